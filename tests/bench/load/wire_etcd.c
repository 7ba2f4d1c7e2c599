/* etcd's wire: gRPC, which is HTTP/2 with protobuf bodies.
 *
 * The frames are made by hand because a gRPC library costs its client several times what a
 * request costs the server, and the two cores are shared: the comparison would then be one
 * of client libraries. It is the cheapest that a client may be. Requests are headers (that
 * the server has to look up in its table from the second request on, never to decode anew)
 * and a body; of the answer only the body is looked at: gRPC sends one if and only if the
 * call succeeded, so that headers need not be decoded (RFC 7541 would be most of this
 * file).
 *
 *     frame  length:24 type:8 flags:8 stream:32 (RFC 9113, 4.1)
 *     body   0:8 length:32 protobuf (gRPC over HTTP/2) */
#include "core/base/check.h"
#include "tests/bench/load/load.h"

enum frame_type {
    FRAME_DATA = 0,
    FRAME_HEADERS = 1,
    FRAME_RST_STREAM = 3,
    FRAME_SETTINGS = 4,
    FRAME_PING = 6,
    FRAME_GOAWAY = 7,
    FRAME_WINDOW_UPDATE = 8
};
enum { FLAG_ACK = 1, FLAG_END_STREAM = 1, FLAG_END_HEADERS = 4 };
enum { SETTING_PUSH = 2, SETTING_WINDOW = 4 };
enum { FRAME_HEAD = 9, FRAME_MAX = 1 << 24, BODY_HEAD = 5 };
enum { WINDOW_START = 65535, WINDOW_MAX = INT32_MAX, WINDOW_REFILL = 1 << 30 };
enum { HPACK_DYNAMIC_FIRST = 62, MESSAGE_MAX = 1 << 16 };

enum call { CALL_PUT, CALL_RANGE, CALL_COUNT };

struct state {
    int64_t window;  /* of body bytes that the server takes now, on this connection */
    uint32_t taken;  /* bytes of bodies taken since the server's window was refilled */
    uint32_t fields; /* that the server's table of headers holds, all put in by us */
    uint32_t field_authority; /* the how-manieth each was; 0: not in there yet */
    uint32_t field_type, field_te, field_path[CALL_COUNT];
    bool settled; /* the server's settings have come */
};

/* --- frames --- */

static void put_be(struct buf *b, uint64_t v, unsigned bytes)
{
    while (bytes-- > 0)
        buf_put_u8(b, (uint8_t)(v >> 8 * bytes));
}

static uint64_t get_be(const uint8_t *at, unsigned bytes)
{
    uint64_t v = 0;

    for (unsigned i = 0; i < bytes; i++)
        v = v << 8 | at[i];
    return v;
}

static void put_frame(struct buf *b, size_t len, enum frame_type type, unsigned flags,
                      uint32_t stream)
{
    put_be(b, len, 3);
    put_be(b, type, 1);
    put_be(b, flags, 1);
    put_be(b, stream, 4);
}

static void put_window(struct buf *b, uint32_t more)
{
    put_frame(b, 4, FRAME_WINDOW_UPDATE, 0, 0);
    put_be(b, more, 4);
}

static void greet(struct conn *c)
{
    struct state *s = c->state;

    s->window = WINDOW_START;
    buf_put_bytes_raw(&c->out, BYTES_LIT("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"));
    put_frame(&c->out, 12, FRAME_SETTINGS, 0, 0);
    put_be(&c->out, SETTING_PUSH, 2);
    put_be(&c->out, 0, 4);
    put_be(&c->out, SETTING_WINDOW, 2);
    put_be(&c->out, WINDOW_MAX, 4);
    put_window(&c->out, WINDOW_MAX - WINDOW_START);
}

/* --- headers: HPACK, without Huffman --- */

static void put_text(struct buf *b, const char *text)
{
    const size_t len = strlen(text);

    CHECK(len < 127);
    buf_put_u8(b, (uint8_t)len);
    buf_put(b, text, len);
}

/* A field is sent as text once, which puts it into the server's table, and as its place
 * there from then on. `name` is the static table's index of the name; 0: `name_text`. */
static void put_field(struct buf *b, struct state *s, uint32_t *field, uint8_t name,
                      const char *name_text, const char *value)
{
    if (*field != 0) {
        buf_put_u8(b, (uint8_t)(0x80 | (HPACK_DYNAMIC_FIRST + s->fields - *field)));
        return;
    }
    *field = ++s->fields;
    buf_put_u8(b, (uint8_t)(0x40 | name));
    if (name == 0) put_text(b, name_text);
    put_text(b, value);
}

static void put_headers(struct conn *c, enum call call, uint32_t stream)
{
    static const char *const paths[] = {
        [CALL_PUT] = "/etcdserverpb.KV/Put", [CALL_RANGE] = "/etcdserverpb.KV/Range"
    };
    struct state *s = c->state;
    struct buf *b = &c->out;
    const size_t begun = b->len; /* all of it is shorter than 256 bytes */

    put_frame(b, 0, FRAME_HEADERS, FLAG_END_HEADERS, stream);
    buf_put_u8(b, 0x83); /* :method POST */
    buf_put_u8(b, 0x86); /* :scheme http */
    put_field(b, s, &s->field_path[call], 4, NULL, paths[call]);
    put_field(b, s, &s->field_authority, 1, NULL, c->where);
    put_field(b, s, &s->field_type, 31, NULL, "application/grpc");
    put_field(b, s, &s->field_te, 0, "te", "trailers");
    b->ptr[begun + 2] = (uint8_t)(b->len - begun - FRAME_HEAD);
}

/* --- bodies: protobuf --- */

enum { PB_BYTES = 2 };

static void pb_bytes(struct buf *b, unsigned field, struct bytes s)
{
    buf_put_u8(b, (uint8_t)(field << 3 | PB_BYTES));
    buf_put_uint(b, s.len);
    buf_put_bytes_raw(b, s);
}

/* A create is a put as well: the server is not asked whether the key was there. */
static void put_put(struct buf *b, const struct load_request *r)
{
    pb_bytes(b, 1, bytes_str(r->path));
    pb_bytes(b, 2, r->value);
}

static bool ask(struct conn *c, uint32_t id, const struct load_request *r)
{
    static struct buf body; /* kept for its memory only */
    const enum call call = r->op == LOAD_GET ? CALL_RANGE : CALL_PUT;
    struct state *s = c->state;

    buf_clear(&body);
    if (call == CALL_PUT)
        put_put(&body, r);
    else
        pb_bytes(&body, 1, bytes_str(r->path)); /* linearizable */
    CHECK(body.len > 0 && body.len + BODY_HEAD < MESSAGE_MAX);
    if (s->window < (int64_t)body.len + BODY_HEAD) return false;
    s->window -= (int64_t)body.len + BODY_HEAD;
    put_headers(c, call, id);
    put_frame(&c->out, body.len + BODY_HEAD, FRAME_DATA, FLAG_END_STREAM, id);
    buf_put_u8(&c->out, 0); /* not compressed */
    put_be(&c->out, body.len, 4);
    buf_put_bytes_raw(&c->out, buf_bytes(&body));
    return true;
}

/* --- answers --- */

static enum wire_verdict take_data(struct conn *c, uint32_t stream, struct bytes content,
                                   struct load_answer *a)
{
    struct state *s = c->state;

    s->taken += (uint32_t)content.len;
    if (s->taken > WINDOW_REFILL) {
        put_window(&c->out, s->taken);
        s->taken = 0;
    }
    /* An answer of more than one frame counts at its first. */
    if (conn_pending(c, stream)->id != stream) return WIRE_NOTHING;
    a->id = stream;
    a->outcome = LOAD_DONE;
    return WIRE_ANSWER;
}

/* The stream ends: was there a body before, then it is answered. */
static enum wire_verdict take_end(struct conn *c, uint32_t stream, struct load_answer *a)
{
    if (conn_pending(c, stream)->id != stream) return WIRE_NOTHING;
    a->id = stream;
    a->outcome = LOAD_FAILED;
    return WIRE_ANSWER;
}

static enum wire_verdict take_settings(struct conn *c, unsigned flags)
{
    struct state *s = c->state;

    if ((flags & FLAG_ACK) != 0) return WIRE_NOTHING;
    put_frame(&c->out, 0, FRAME_SETTINGS, FLAG_ACK, 0);
    if (s->settled) return WIRE_NOTHING;
    s->settled = true;
    return WIRE_READY;
}

static void answer_ping(struct conn *c, unsigned flags, struct bytes content)
{
    if ((flags & FLAG_ACK) != 0) return;
    put_frame(&c->out, content.len, FRAME_PING, FLAG_ACK, 0);
    buf_put_bytes_raw(&c->out, content);
}

static enum wire_verdict take_frame(struct conn *c, const uint8_t *head,
                                    struct bytes content, struct load_answer *a)
{
    struct state *s = c->state;
    const unsigned flags = head[4];
    const uint32_t stream = (uint32_t)get_be(head + 5, 4) & INT32_MAX;

    switch ((enum frame_type)head[3]) {
    case FRAME_DATA:
        return take_data(c, stream, content, a);
    case FRAME_HEADERS:
        return (flags & FLAG_END_STREAM) != 0 ? take_end(c, stream, a) : WIRE_NOTHING;
    case FRAME_RST_STREAM:
        return take_end(c, stream, a);
    case FRAME_SETTINGS:
        return take_settings(c, flags);
    case FRAME_PING:
        answer_ping(c, flags, content);
        return WIRE_NOTHING;
    case FRAME_WINDOW_UPDATE:
        if (stream == 0) s->window += (int64_t)get_be(content.ptr, 4);
        return WIRE_NOTHING;
    case FRAME_GOAWAY:
        return WIRE_BROKEN;
    }
    return WIRE_NOTHING; /* "Implementations MUST ignore frames of unknown types." */
}

static enum wire_verdict take(struct conn *c, struct bytes in, size_t *used,
                              struct load_answer *a)
{
    size_t len;

    if (in.len < FRAME_HEAD) return WIRE_MORE;
    len = get_be(in.ptr, 3);
    if (len >= FRAME_MAX) return WIRE_BROKEN;
    if (in.len < FRAME_HEAD + len) return WIRE_MORE;
    *used = FRAME_HEAD + len;
    return take_frame(c, in.ptr, bytes_of(in.ptr + FRAME_HEAD, len), a);
}

const struct wire WIRE_ETCD = { .name = "etcd",
                                .state_size = sizeof(struct state),
                                .id_step = 2,
                                .greet = greet,
                                .ask = ask,
                                .take = take };
