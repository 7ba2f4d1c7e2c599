/* link.h -- the connection that we dial to one peer, and on which only we send.
 *
 * Each server dials every other: two connections a pair, each with one sender. So there is
 * no question of who keeps which when both dial at once, and a broken one is replaced by
 * the side that needs it. The other side answers with its hello and is silent then; we go
 * on reading only to notice the end.
 *
 *     IDLE      -> RESOLVING [dial]         after a delay of 20..200 ms
 *     RESOLVING -> IDLE [on_resolved]       no such host
 *     RESOLVING -> DIALLING [connect_to]
 *     DIALLING  -> GREETING [on_connected]  our hello is sent
 *     GREETING  -> UP [on_hello]            theirs fits: frames may leave. One that knows
 *                                           less than we do is asked again, after a delay
 *     DIALLING, GREETING, UP -> CLOSING [link_close]
 *     CLOSING   -> IDLE [on_closed]
 *
 * A link that is stopped frees itself when the loop has let go of it. */
#ifndef CORE_SERVER_LINK_H
#define CORE_SERVER_LINK_H

#include "core/server/out.h"
#include "core/server/peer_context.h"

enum link_state {
    LINK_IDLE = 1,
    LINK_RESOLVING,
    LINK_DIALLING,
    LINK_GREETING,
    LINK_UP,
    LINK_CLOSING,
};

struct link {
    struct peer_context *context;
    struct peer_id peer; /* node: whom we dial; the rest is known once UP */
    struct address address;
    enum link_state state;
    bool stopping;
    uint32_t delay_ms; /* before the next dial */
    uv_timer_t timer;  /* IDLE: the delay. DIALLING, GREETING: the time limit */
    uv_getaddrinfo_t resolve;
    uv_connect_t connect;
    uv_tcp_t tcp;
    struct out out;
    struct buf in;
};

struct link *link_new(struct peer_context *context, uint32_t node,
                      const struct address *address);
/* Dropped unless UP, and when too much is queued already: Paxos stands loss. */
void link_send(struct link *l, struct bytes body);
/* This connection only: it dials again. */
void link_close(struct link *l);
/* For good; `l` is not the caller's any more. */
void link_stop(struct link *l);

#endif
