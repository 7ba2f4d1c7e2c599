/* ZooKeeper's wire: jute over TCP. A packet is a length of 4 bytes and fields one behind
 * the other, big-endian; answers come in the order of the requests. */
#include "core/base/check.h"
#include "tests/bench/load/load.h"

enum {
    OP_CREATE = 1,
    OP_DELETE = 2,
    OP_EXISTS = 3,
    OP_GET = 4,
    OP_SET = 5,
    OP_CHILDREN = 8
};
enum { NO_NODE = -101, BAD_VERSION = -103, NODE_EXISTS = -110 };
enum { XID_EVENT = -1, PERMISSIONS_ALL = 31, SESSION_MS = 30000 };
enum { REPLY_HEADER = 16, PACKET_MAX = 16 << 20, STAT_VERSION_AT = 32 };

struct session {
    bool open;
};

static void put_i32(struct buf *b, int64_t v)
{
    buf_put_u32(b, __builtin_bswap32((uint32_t)v));
}

static void put_buffer(struct buf *b, struct bytes s)
{
    put_i32(b, (int64_t)s.len);
    buf_put_bytes_raw(b, s);
}

static size_t packet_begin(struct buf *b)
{
    put_i32(b, 0);
    return b->len;
}

static void packet_end(struct buf *b, size_t begun)
{
    buf_set_u32(b, begun - 4, __builtin_bswap32((uint32_t)(b->len - begun)));
}

static void greet(struct conn *c)
{
    static const uint8_t zeros[16];
    const size_t begun = packet_begin(&c->out);

    put_i32(&c->out, 0);                                /* protocol */
    buf_put(&c->out, zeros, 8);                         /* last zxid seen */
    put_i32(&c->out, SESSION_MS);                       /* timeout */
    buf_put(&c->out, zeros, 8);                         /* session: a new one */
    put_buffer(&c->out, bytes_of(zeros, sizeof zeros)); /* password */
    buf_put_u8(&c->out, 0);                             /* read only */
    packet_end(&c->out, begun);
}

static int type_of(enum load_op op)
{
    static const int types[] = {
        [LOAD_GET] = OP_GET,       [LOAD_SET] = OP_SET,           [LOAD_CREATE] = OP_CREATE,
        [LOAD_DELETE] = OP_DELETE, [LOAD_CHILDREN] = OP_CHILDREN, [LOAD_AWAIT] = OP_EXISTS
    };
    return types[op];
}

static void put_body(struct buf *b, const struct load_request *r)
{
    switch (r->op) {
    case LOAD_GET:
    case LOAD_CHILDREN:
        buf_put_u8(b, 0); /* no watch */
        return;
    case LOAD_AWAIT:
        buf_put_u8(b, 1);
        return;
    case LOAD_SET:
        put_buffer(b, r->value);
        put_i32(b, r->version);
        return;
    case LOAD_DELETE:
        put_i32(b, -1);
        return;
    case LOAD_CREATE:
        put_buffer(b, r->value);
        put_i32(b, 1); /* one entry of the ACL: everybody may do everything */
        put_i32(b, PERMISSIONS_ALL);
        put_buffer(b, BYTES_LIT("world"));
        put_buffer(b, BYTES_LIT("anyone"));
        put_i32(b, (r->ephemeral ? 1 : 0) | (r->sequential ? 2 : 0));
        return;
    }
}

static bool ask(struct conn *c, uint32_t id, const struct load_request *r)
{
    const size_t begun = packet_begin(&c->out);

    put_i32(&c->out, id);
    put_i32(&c->out, type_of(r->op));
    put_buffer(&c->out, bytes_str(r->path));
    put_body(&c->out, r);
    packet_end(&c->out, begun);
    return true;
}

/* --- answers --- */

static int32_t read_i32(struct reader *r)
{
    return (int32_t)__builtin_bswap32(read_u32(r));
}

static struct bytes read_buffer(struct reader *r)
{
    const int32_t len = read_i32(r);
    return read_raw(r, len < 0 ? 0 : (size_t)len);
}

static void read_body(struct conn *c, enum load_op op, struct reader *r,
                      struct load_answer *a)
{
    if (op == LOAD_GET) {
        (void)read_buffer(r);
        (void)read_raw(r, STAT_VERSION_AT);
        a->version = read_i32(r);
    } else if (op == LOAD_CREATE) {
        a->path = read_buffer(r);
    } else if (op == LOAD_CHILDREN) {
        const int32_t count = read_i32(r);
        for (int32_t i = 0; i < count && !r->bad; i++)
            *conn_name(c, a) = read_buffer(r);
    }
}

static enum load_outcome outcome_of(int32_t error)
{
    if (error == 0) return LOAD_DONE;
    return error == NO_NODE || error == BAD_VERSION || error == NODE_EXISTS ? LOAD_REFUSED
                                                                            : LOAD_FAILED;
}

static enum wire_verdict take_reply(struct conn *c, struct reader *r, struct load_answer *a)
{
    const int32_t xid = read_i32(r);

    (void)read_u64(r); /* zxid */
    a->outcome = outcome_of(read_i32(r));
    if (xid == XID_EVENT) return WIRE_ANSWER;
    a->id = (uint32_t)xid;
    if (a->outcome == LOAD_DONE) read_body(c, conn_pending(c, a->id)->op, r, a);
    return r->bad ? WIRE_BROKEN : WIRE_ANSWER;
}

static enum wire_verdict take(struct conn *c, struct bytes in, size_t *used,
                              struct load_answer *a)
{
    struct session *session = c->state;
    struct reader r = reader_of(in);
    const int32_t len = read_i32(&r);

    if (r.bad) return WIRE_MORE;
    if (len < 0 || len > PACKET_MAX) return WIRE_BROKEN;
    if (in.len < 4 + (size_t)len) return WIRE_MORE;
    *used = 4 + (size_t)len;
    r = reader_of(bytes_of(in.ptr + 4, (size_t)len));
    if (session->open) return len < REPLY_HEADER ? WIRE_BROKEN : take_reply(c, &r, a);
    session->open = true;
    (void)read_i32(&r);                                  /* protocol */
    return read_i32(&r) <= 0 ? WIRE_BROKEN : WIRE_READY; /* timeout; 0: refused */
}

const struct wire WIRE_ZOOKEEPER = { .name = "zookeeper",
                                     .state_size = sizeof(struct session),
                                     .id_step = 1,
                                     .recipes = true,
                                     .greet = greet,
                                     .ask = ask,
                                     .take = take };
