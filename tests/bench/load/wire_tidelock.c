/* Our own wire, for the clients' side of recipes and for outages; `tidelock bench` measures
 * the rest. It packs and reads messages as our client library does. */
#include "core/base/check.h"
#include "core/rpc/rpc.h"
#include "tests/bench/load/load.h"

enum { SESSION_MS = 60000, MESSAGE_MAX = 16 << 20 };
/* Requests count 1, 2, ...; these two come before them. */
enum { ID_HELLO = 0, ID_OPEN = UINT32_MAX };

struct state {
    struct rpc_scan scan;
    msgpack_zone *zone; /* of the answer taken last */
    uint64_t session, seq;
};

static void greet(struct conn *c)
{
    struct state *s = c->state;

    rpc_scan_init(&s->scan);
    rpc_request_begin(&c->out, ID_HELLO, METHOD_HELLO);
    pack_array(&c->out, 1);
    pack_uint(&c->out, RPC_PROTO);
}

static void session_open(struct conn *c)
{
    rpc_request_begin(&c->out, ID_OPEN, METHOD_SESSION_OPEN);
    pack_array(&c->out, 1);
    pack_map(&c->out, 1);
    pack_cstr(&c->out, "timeout_ms");
    pack_uint(&c->out, SESSION_MS);
}

/* --- requests --- */

static void put_flag(struct buf *b, const char *name, bool flag)
{
    if (!flag) return;
    pack_cstr(b, name);
    pack_bool(b, true);
}

/* One write at a time is outstanding, so all before it are acknowledged. */
static void put_session(struct buf *b, struct state *s)
{
    if (s->session == 0) return;
    s->seq++;
    pack_cstr(b, "session");
    pack_uint(b, s->session);
    pack_cstr(b, "seq");
    pack_uint(b, s->seq);
    pack_cstr(b, "ack");
    pack_uint(b, s->seq - 1);
}

static void put_write(struct conn *c, enum method method, const struct load_request *r,
                      uint32_t id)
{
    struct state *s = c->state;
    struct buf *b = &c->out;
    const bool has_data = method != METHOD_DELETE, versioned = r->version >= 0;
    const uint32_t options = (s->session != 0 ? 3u : 0u) + (versioned ? 1u : 0u) +
                             (r->ephemeral ? 1u : 0u) + (r->sequential ? 1u : 0u);

    rpc_request_begin(b, id, method);
    pack_array(b, 1 + (has_data ? 1u : 0u) + (options > 0 ? 1u : 0u));
    pack_cstr(b, r->path);
    if (has_data) pack_bin(b, r->value);
    if (options == 0) return;
    pack_map(b, options);
    put_session(b, s);
    if (versioned) {
        pack_cstr(b, "version");
        pack_int(b, r->version);
    }
    put_flag(b, "ephemeral", r->ephemeral);
    put_flag(b, "sequential", r->sequential);
}

static void put_await(struct conn *c, const struct load_request *r, uint32_t id)
{
    rpc_request_begin(&c->out, id, METHOD_WATCH);
    pack_array(&c->out, 3);
    pack_cstr(&c->out, r->path);
    pack_uint(&c->out, id);
    pack_map(&c->out, 1);
    put_flag(&c->out, "once", true);
}

static void put_read(struct conn *c, enum method method, const struct load_request *r,
                     uint32_t id)
{
    rpc_request_begin(&c->out, id, method);
    pack_array(&c->out, 1);
    pack_cstr(&c->out, r->path);
}

static bool ask(struct conn *c, uint32_t id, const struct load_request *r)
{
    switch (r->op) {
    case LOAD_GET:
        put_read(c, METHOD_GET, r, id);
        return true;
    case LOAD_CHILDREN:
        put_read(c, METHOD_CHILDREN, r, id);
        return true;
    case LOAD_AWAIT:
        put_await(c, r, id);
        return true;
    case LOAD_SET:
        put_write(c, METHOD_SET, r, id);
        return true;
    case LOAD_CREATE:
        put_write(c, METHOD_CREATE, r, id);
        return true;
    case LOAD_DELETE:
        put_write(c, METHOD_DELETE, r, id);
        return true;
    }
    return false;
}

/* --- answers --- */

static void read_names(struct conn *c, const msgpack_object *list, struct load_answer *a)
{
    if (list == NULL || list->type != MSGPACK_OBJECT_ARRAY) return;
    for (uint32_t i = 0; i < list->via.array.size; i++) {
        *conn_name(c, a) = rpc_bytes(&list->via.array.ptr[i]);
    }
}

static void read_result(struct conn *c, const msgpack_object *result, struct load_answer *a)
{
    const msgpack_object *stat = rpc_member(result, "stat");

    switch (conn_pending(c, a->id)->op) {
    case LOAD_GET:
        a->version = rpc_int(rpc_member(stat, "version"), -1);
        return;
    case LOAD_CREATE:
        a->path = rpc_bytes(rpc_member(result, "path"));
        return;
    case LOAD_CHILDREN:
        read_names(c, rpc_member(result, "children"), a);
        return;
    case LOAD_AWAIT:
        if (stat == NULL || stat->type == MSGPACK_OBJECT_NIL) a->outcome = LOAD_REFUSED;
        return;
    case LOAD_SET:
    case LOAD_DELETE:
        return;
    }
}

static enum load_outcome outcome_of(const msgpack_object *error)
{
    if (error->type == MSGPACK_OBJECT_NIL) return LOAD_DONE;
    switch (rpc_int(rpc_member(error, "code"), 0)) {
    case ERR_NO_NODE:
    case ERR_NODE_EXISTS:
    case ERR_BAD_VERSION:
        return LOAD_REFUSED;
    default:
        return LOAD_FAILED;
    }
}

static enum wire_verdict take_response(struct conn *c, const struct rpc_message *m,
                                       struct load_answer *a)
{
    struct state *s = c->state;

    a->outcome = outcome_of(m->error);
    if (m->msgid == ID_HELLO || m->msgid == ID_OPEN) {
        if (a->outcome != LOAD_DONE) return WIRE_BROKEN;
        if (m->msgid == ID_OPEN) s->session = rpc_uint(rpc_member(m->result, "id"), 0);
        if (s->session != 0 || !c->wants_session) return WIRE_READY;
        session_open(c);
        return WIRE_NOTHING;
    }
    a->id = m->msgid;
    if (a->outcome == LOAD_DONE) read_result(c, m->result, a);
    return WIRE_ANSWER;
}

static enum wire_verdict take(struct conn *c, struct bytes in, size_t *used,
                              struct load_answer *a)
{
    struct state *s = c->state;
    struct rpc_message m;
    size_t len;

    switch (rpc_scan(&s->scan, in, MESSAGE_MAX, &len)) {
    case RPC_SCAN_MORE:
        return WIRE_MORE;
    case RPC_SCAN_BAD:
        return WIRE_BROKEN;
    case RPC_SCAN_WHOLE:
        break;
    }
    *used = len;
    if (s->zone == NULL) s->zone = msgpack_zone_new(MSGPACK_ZONE_CHUNK_SIZE);
    msgpack_zone_clear(s->zone);
    if (rpc_decode(bytes_of(in.ptr, len), s->zone, &m) != 0) return WIRE_BROKEN;
    if (m.type == 1) return take_response(c, &m, a);
    /* Clients that lag are closed out by their server; here nobody should. */
    if (bytes_equal(m.method_name, BYTES_LIT("lagged"))) return WIRE_BROKEN;
    return bytes_equal(m.method_name, BYTES_LIT("events")) ? WIRE_ANSWER : WIRE_NOTHING;
}

static void forget(struct conn *c)
{
    struct state *s = c->state;

    if (s->zone != NULL) msgpack_zone_free(s->zone);
}

const struct wire WIRE_TIDELOCK = { .name = "tidelock",
                                    .state_size = sizeof(struct state),
                                    .id_step = 1,
                                    .recipes = true,
                                    .greet = greet,
                                    .ask = ask,
                                    .take = take,
                                    .forget = forget };
