/* inlet.h -- a connection that another server dialled: it sends, we listen.
 *
 * The first frame must be a hello that fits; it is answered with ours, once what it says
 * of its sender's data directory is durable. A sender that is no member, or not by this
 * directory, is answered with a refusal. Any frame that is none costs this connection,
 * nothing else. */
#ifndef CORE_SERVER_INLET_H
#define CORE_SERVER_INLET_H

#include "core/server/out.h"
#include "core/server/peer_context.h"

struct inlet {
    struct peer_context *context;
    struct list *all; /* the owner's list */
    struct list member;
    struct peer_id peer;
    uint32_t number; /* of the roster that it knew when it greeted */
    size_t body_max; /* a stranger's frames are small */
    uint64_t opened_ms;
    bool closing;
    uv_tcp_t tcp;
    struct out out;
    struct buf in;
};

/* Takes the next connection off the listener; it frees itself when it ends. */
void inlet_accept(uv_stream_t *listener, struct peer_context *context, struct list *all);
void inlet_close(struct inlet *i);

#endif
