/* peer_context.h -- what the connections between servers share: who we are, where received
 * bytes go, and whom to tell. Filled by peers.c. */
#ifndef CORE_SERVER_PEER_CONTEXT_H
#define CORE_SERVER_PEER_CONTEXT_H

#include "core/base/list.h"
#include "core/base/rng.h"
#include "core/server/identity.h"
#include "core/server/wire.h"

enum { PEER_READ_BYTES = 256 << 10 };

/* Who is at the other end of a connection, as its hello said. */
struct peer_id {
    uint32_t node; /* 0 before the hello */
    uint64_t incarnation;
};

struct peer_context {
    uv_loop_t *loop;
    uint32_t self;
    uint64_t cluster, boot;
    char client[ADDRESS_TEXT_MAX];
    struct rng rng;
    struct list dirties;  /* outs with something to flush */
    uint8_t *read_buffer; /* PEER_READ_BYTES, shared by all */
    const struct identity *identity;
    uint32_t number; /* of the newest roster that we know; 0 before we have joined */
    uint64_t complained_ms, forgetful_ms; /* when a line was written last */

    void *peers;
    /* A hello that fits arrived: 0, or why its sender is refused. */
    int (*greeted)(void *peers, const struct wire_hello *theirs);
    /* Such a hello answered ours. False: ask again later, nothing is sent until then. */
    bool (*agreed)(void *peers, const struct wire_hello *theirs);
    /* A server of another cluster takes us for a member of its own. */
    void (*foreign)(void *peers, const struct wire_hello *theirs);
    /* Us, by that server, which knows the roster `number`. */
    void (*refused)(void *peers, uint32_t node, int code, uint32_t number);
    bool (*frame)(void *peers, struct peer_id from, struct bytes body); /* false: none */
    void (*up)(void *peers, uint32_t node);
    void (*down)(void *peers, struct peer_id peer);
};

/* libuv's allocation callback for handles whose data is at `context`. */
void peer_read_buffer(struct peer_context *c, uv_buf_t *buf);
/* Small delays matter between servers, and a vanished one must be noticed in about a
 * second. */
void peer_tcp_tune(uv_tcp_t *tcp);
void peer_hello_put(const struct peer_context *c, uint32_t to, struct buf *out);
/* One line of the log, at most one in 10 s: a wrong peer comes back again and again. */
void peer_complain(struct peer_context *c, const char *who, int code);
/* The same for a server that is no member, or by another data directory. */
void peer_complain_stranger(struct peer_context *c, uint32_t node, int code);
/* What to do about such a server, for the lines of both sides. */
#define PEER_COMES_BACK                                                                    \
    "let it come back as a new learner: with an empty directory, or --rejoin, and --join "  \
    "HOST:PORT,... (a client address of another server)"
#define PEER_STRANGER_ADVICE "put its old data directory back, or " PEER_COMES_BACK

#endif
