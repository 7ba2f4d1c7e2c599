/* wire.h -- the bytes on a TCP connection between two servers. Pure.
 *
 *     frame     length u32 | checksum u32 | body
 *               length is the body's, 1..FRAME_BYTES_MAX; checksum: low half of XXH3-64 of
 *               the body
 *     hello     the first frame of each side:
 *               magic "TIDEPEER" | version u32 | cluster u64 | from u32 | to u32 |
 *               boot u64 | incarnation u64 | founding u64 | number u32 | joined u8 |
 *               client address (LEB128 length + 1, text)
 *     refusal   instead of the hello that answers one; the connection ends after it:
 *               magic "TIDEDENY" | version u32 | code u32 (of errors.h, without its sign) |
 *               number u32
 *
 * `number` is that of the newest roster (core/machine/roster.h) that its sender knows, 0 of
 * who has not joined: whoever knows the newer one is right about who belongs.
 *
 * TCP's own checksum lets about one bad segment in 65,536 through; a changed ballot must
 * not be taken for a real one. */
#ifndef CORE_SERVER_WIRE_H
#define CORE_SERVER_WIRE_H

#include "core/base/bytes.h"

enum { WIRE_VERSION = 3, WIRE_FRAME_HEADER = 8, WIRE_HELLO_BYTES_MAX = 512 };

void wire_frame_put(struct buf *out, struct bytes body); /* appends */

enum wire_verdict { WIRE_WHOLE = 1, WIRE_MORE, WIRE_BAD };
/* Looks at the front of `in`. WHOLE: `body` is borrowed, *len is what to consume. */
enum wire_verdict wire_frame_next(struct bytes in, size_t body_max, struct bytes *body,
                                  size_t *len);

/* Feeds received bytes: calls `each` for every whole frame and keeps the rest in `kept`.
 * *body_max is looked at before each frame. `each` returns false to stop (it has closed the
 * connection). False: the bytes are no frames. */
typedef bool (*wire_each_fn)(void *ctx, struct bytes body);
bool wire_feed(struct buf *kept, struct bytes got, const size_t *body_max,
               wire_each_fn each, void *ctx);

struct wire_hello {
    uint64_t cluster, boot;
    uint64_t incarnation, founding; /* of the sender: identity.h */
    uint32_t number;
    bool joined;
    uint32_t from, to;
    struct bytes client; /* where this server listens for clients */
};

void wire_hello_put(struct buf *out, const struct wire_hello *h); /* appends, framed */
/* 0, ERR_BAD_MESSAGE (no hello at all), ERR_OTHER_VERSION. Borrowed from `body`. */
int wire_hello_read(struct bytes body, struct wire_hello *h);
/* Whether it may talk to us: ERR_WRONG_CLUSTER, ERR_CONFIG (ids). Two that have joined must
 * have one founding, others one `cluster`: name and members at the first start. `ours->to`
 * is whom we expect, 0 = anybody but ourselves. */
int wire_hello_judge(const struct wire_hello *theirs, const struct wire_hello *ours);

void wire_refusal_put(struct buf *out, int code, uint32_t number); /* appends, framed */
/* The code, negative; 0 when this is no refusal. */
int wire_refusal_read(struct bytes body, uint32_t *number);

#endif
