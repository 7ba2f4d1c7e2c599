#include "core/server/wire.h"

#include "core/base/errors.h"
#include "core/base/hash.h"
#include "core/base/limits.h"

static const char magic[] = "TIDEPEER";
static const char magic_refusal[] = "TIDEDENY";

enum { MAGIC_LEN = sizeof magic - 1 };

static_assert(sizeof magic == sizeof magic_refusal, "one length for both");

static uint32_t checksum(struct bytes body)
{
    return (uint32_t)hash_bytes(body, 0);
}

void wire_frame_put(struct buf *out, struct bytes body)
{
    buf_reserve(out, WIRE_FRAME_HEADER + body.len);
    buf_put_u32(out, (uint32_t)body.len);
    buf_put_u32(out, checksum(body));
    buf_put_bytes_raw(out, body);
}

enum wire_verdict wire_frame_next(struct bytes in, size_t body_max, struct bytes *body,
                                  size_t *len)
{
    if (in.len < WIRE_FRAME_HEADER) return WIRE_MORE;
    uint32_t body_len = get_u32(in.ptr);
    if (body_len == 0 || body_len > body_max) return WIRE_BAD;
    if (in.len - WIRE_FRAME_HEADER < body_len) return WIRE_MORE;
    *body = bytes_of(in.ptr + WIRE_FRAME_HEADER, body_len);
    *len = WIRE_FRAME_HEADER + body_len;
    return checksum(*body) == get_u32(in.ptr + 4) ? WIRE_WHOLE : WIRE_BAD;
}

bool wire_feed(struct buf *kept, struct bytes got, const size_t *body_max,
               wire_each_fn each, void *ctx)
{
    bool direct = kept->len == 0, going = true;
    enum wire_verdict verdict = WIRE_WHOLE;
    struct bytes body;
    size_t len;

    if (!direct) {
        buf_put_bytes_raw(kept, got);
        got = buf_bytes(kept);
    }
    const size_t whole = got.len;
    while (going &&
           (verdict = wire_frame_next(got, *body_max, &body, &len)) == WIRE_WHOLE) {
        going = each(ctx, body);
        got = bytes_of(got.ptr + len, got.len - len);
    }
    if (direct) {
        buf_put_bytes_raw(kept, got);
    } else {
        buf_drop(kept, whole - got.len);
    }
    return verdict != WIRE_BAD;
}

void wire_hello_put(struct buf *out, const struct wire_hello *h)
{
    struct buf body = { 0 };

    buf_put(&body, magic, MAGIC_LEN);
    buf_put_u32(&body, WIRE_VERSION);
    buf_put_u64(&body, h->cluster);
    buf_put_u32(&body, h->from);
    buf_put_u32(&body, h->to);
    buf_put_u64(&body, h->boot);
    buf_put_u64(&body, h->incarnation);
    buf_put_u64(&body, h->founding);
    buf_put_u32(&body, h->number);
    buf_put_u8(&body, h->joined);
    buf_put_bytes(&body, h->client);
    wire_frame_put(out, buf_bytes(&body));
    buf_fini(&body);
}

int wire_hello_read(struct bytes body, struct wire_hello *h)
{
    struct reader r = reader_of(body);

    if (!bytes_equal(read_raw(&r, MAGIC_LEN), BYTES_LIT("TIDEPEER")))
        return ERR_BAD_MESSAGE;
    if (read_u32(&r) != WIRE_VERSION) return ERR_OTHER_VERSION;
    h->cluster = read_u64(&r);
    h->from = read_u32(&r);
    h->to = read_u32(&r);
    h->boot = read_u64(&r);
    h->incarnation = read_u64(&r);
    h->founding = read_u64(&r);
    h->number = read_u32(&r);
    h->joined = read_u8(&r) != 0;
    h->client = read_bytes(&r, WIRE_HELLO_BYTES_MAX);
    return reader_done(&r) && h->incarnation != 0 ? 0 : ERR_BAD_MESSAGE;
}

int wire_hello_judge(const struct wire_hello *theirs, const struct wire_hello *ours)
{
    bool both_joined = theirs->joined && ours->joined;

    if (both_joined ? theirs->founding != ours->founding : theirs->cluster != ours->cluster)
        return ERR_WRONG_CLUSTER;
    if (theirs->to != ours->from || theirs->from == ours->from) return ERR_CONFIG;
    if (theirs->from == 0 || theirs->from > NODES_MAX) return ERR_CONFIG;
    if (ours->to != 0 && theirs->from != ours->to) return ERR_CONFIG;
    return 0;
}

void wire_refusal_put(struct buf *out, int code, uint32_t number)
{
    struct buf body = { 0 };

    buf_put(&body, magic_refusal, MAGIC_LEN);
    buf_put_u32(&body, WIRE_VERSION);
    buf_put_u32(&body, (uint32_t)-code);
    buf_put_u32(&body, number);
    wire_frame_put(out, buf_bytes(&body));
    buf_fini(&body);
}

int wire_refusal_read(struct bytes body, uint32_t *number)
{
    struct reader r = reader_of(body);

    if (!bytes_equal(read_raw(&r, MAGIC_LEN), bytes_of(magic_refusal, MAGIC_LEN))) return 0;
    uint32_t version = read_u32(&r), code = read_u32(&r);
    *number = read_u32(&r);
    if (!reader_done(&r) || version != WIRE_VERSION || code > INT32_MAX) return 0;
    return -(int)code;
}
