#include "tests/lib/client_rig.h"

#include "tests/lib/tap.h"

struct client_core *core;
uint64_t now;
struct heard heard[HEARD_MAX];
size_t heard_count;
struct ended ended[HEARD_MAX];

static void note_end(void *ctx, int code, const char *message, const msgpack_object *result)
{
    struct ended *e = ctx;

    (void) message;
    e->times++;
    e->code = code;
    e->zxid = rpc_uint(rpc_member(result, "zxid"), 0);
}

static uint64_t option(const msgpack_object *params, const char *name)
{
    const uint32_t count = params->via.array.size;

    return count == 0 ? 0
                      : rpc_uint(rpc_member(&params->via.array.ptr[count - 1], name), 0);
}

static uint64_t session_of(const struct rpc_message *m)
{
    const bool named =
        m->method == METHOD_SESSION_ATTACH || m->method == METHOD_SESSION_CLOSE;

    return named ? rpc_uint(&m->params->via.array.ptr[0], 0) : 0;
}

static bool wants_members(const struct rpc_message *m)
{
    const msgpack_object_array *params = &m->params->via.array;
    const msgpack_object *o =
        params->size == 0 ? NULL : rpc_member(&params->ptr[params->size - 1], "members");

    return m->method == METHOD_HELLO && o != NULL && o->via.boolean;
}

void hear(void)
{
    struct buf *out = client_core_output(core);
    msgpack_zone *zone = msgpack_zone_new(512);
    struct rpc_scan scan;
    struct rpc_values values;
    size_t len;

    rpc_scan_init(&scan);
    while (rpc_scan(&scan, buf_bytes(out), RPC_BYTES_MAX, &len) == RPC_SCAN_WHOLE) {
        struct rpc_message m;

        IS(rpc_decode(bytes_of(out->ptr, len), zone, &m), 0);
        IS(rpc_check(&m, &values), 0);
        heard[heard_count++] = (struct heard){ .msgid = m.msgid,
                                               .method = m.method,
                                               .seq = option(m.params, "seq"),
                                               .ack = option(m.params, "ack"),
                                               .session = session_of(&m),
                                               .wants_members = wants_members(&m) };
        buf_drop(out, len);
    }
    msgpack_zone_free(zone);
}

uint64_t tick(uint64_t more_ms)
{
    now += more_ms;
    uint64_t next = client_core_tick(core, now);
    hear();
    return next;
}

const struct heard *newest(enum method method)
{
    hear();
    for (size_t i = heard_count; i > 0; i--) {
        if (heard[i - 1].method == method) return &heard[i - 1];
    }
    return NULL;
}

size_t count_of(enum method method)
{
    size_t count = 0;

    hear();
    for (size_t i = 0; i < heard_count; i++) count += heard[i].method == method;
    return count;
}

int say(struct buf *b)
{
    int rc = client_core_input(core, now, buf_bytes(b));

    buf_fini(b);
    hear();
    return rc;
}

int say_zxid(const struct heard *h, uint64_t zxid)
{
    struct buf b = { 0 };

    rpc_response_begin(&b, h->msgid);
    pack_map(&b, 1);
    pack_cstr(&b, "zxid");
    pack_uint(&b, zxid);
    return say(&b);
}

int say_error(const struct heard *h, int code)
{
    struct buf b = { 0 };

    rpc_error(&b, h->msgid, code, NULL);
    return say(&b);
}

int say_hello(uint64_t proto)
{
    struct buf b = { 0 };

    rpc_response_begin(&b, newest(METHOD_HELLO)->msgid);
    pack_map(&b, 2);
    pack_cstr(&b, "proto");
    pack_uint(&b, proto);
    pack_cstr(&b, "cluster");
    pack_cstr(&b, "main");
    return say(&b);
}

void say_opened(void)
{
    struct buf b = { 0 };

    rpc_response_begin(&b, newest(METHOD_SESSION_OPEN)->msgid);
    pack_map(&b, 3);
    pack_cstr(&b, "id");
    pack_uint(&b, SESSION);
    pack_cstr(&b, "secret");
    pack_bin(&b, BYTES_LIT("0123456789abcdef"));
    pack_cstr(&b, "timeout_ms");
    pack_uint(&b, TIMEOUT_MS);
    say(&b);
}

void connect_again(void)
{
    heard_count = 0;
    client_core_connected(core, now);
    say_hello(RPC_PROTO);
}

void reconnect(void)
{
    client_core_disconnected(core, now);
    connect_again();
}

void open_core(uint32_t timeout_ms)
{
    const struct client_core_config config = { .session_timeout_ms = timeout_ms,
                                               .seed = 1 };

    memset(ended, 0, sizeof ended);
    now = 1000;
    core = client_core_new(&config);
    connect_again();
    if (timeout_ms > 0) say_opened();
}

uint64_t ask(size_t i, enum method method, bool write, uint64_t limit_ms)
{
    struct buf params = { 0 };
    struct client_request r = { .method = method, .args_count = 1, .write = write,
                                .limit_ms = limit_ms, .done = note_end, .ctx = &ended[i] };

    pack_cstr(&params, "/a");
    if (method == METHOD_SET || method == METHOD_CALL) {
        pack_nil(&params);
        r.args_count = 2;
    }
    r.params = buf_bytes(&params);
    uint64_t handle = client_core_request(core, now, &r);
    buf_fini(&params);
    hear();
    return handle;
}

uint64_t set(size_t i)
{
    return ask(i, METHOD_SET, true, 0);
}

void close_core(void)
{
    client_core_free(core);
}
