/* peer_context.h -- what the connections between servers share: who we are, where received
 * bytes go, and whom to tell. Filled by peers.c. */
#ifndef CORE_SERVER_PEER_CONTEXT_H
#define CORE_SERVER_PEER_CONTEXT_H

#include "core/base/list.h"
#include "core/base/rng.h"
#include "core/server/identity.h"
#include "core/server/wire.h"

enum { PEER_READ_BYTES = 256 << 10 };

struct peer_context {
    uv_loop_t *loop;
    uint32_t self;
    uint64_t cluster, boot;
    char client[ADDRESS_TEXT_MAX];
    struct rng rng;
    struct list dirties;  /* outs with something to flush */
    uint8_t *read_buffer; /* PEER_READ_BYTES, shared by all */
    const struct identity *identity;
    uint64_t complained_ms, forgetful_ms; /* when a line was written last */

    void *peers;
    /* A hello that fits arrived: 0, or why its sender is refused. */
    int (*greeted)(void *peers, const struct wire_hello *theirs);
    /* Such a hello answered ours. False: ask again later, nothing is sent until then. */
    bool (*agreed)(void *peers, const struct wire_hello *theirs);
    void (*refused)(void *peers, uint32_t node, int code);        /* us, by that server */
    bool (*frame)(void *peers, uint32_t node, struct bytes body); /* false: not a frame */
    void (*up)(void *peers, uint32_t node);
    void (*down)(void *peers, uint32_t node);
};

/* libuv's allocation callback for handles whose data is at `context`. */
void peer_read_buffer(struct peer_context *c, uv_buf_t *buf);
/* Small delays matter between servers, and a vanished one must be noticed in about a
 * second. */
void peer_tcp_tune(uv_tcp_t *tcp);
void peer_hello_put(const struct peer_context *c, uint32_t to, struct buf *out);
/* One line of the log, at most one in 10 s: a wrong peer comes back again and again. */
void peer_complain(struct peer_context *c, const char *who, int code);
/* The same for a server whose incarnation is another than the known one. */
void peer_complain_forgetful(struct peer_context *c, uint32_t node);
/* What to do about such a server, for the lines of both sides. */
#define PEER_FORGETFUL_ADVICE                                                              \
    "put its old data directory back, or keep it off: the others go on without it"

#endif
