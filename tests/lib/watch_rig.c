#include "tests/lib/watch_rig.h"

#include <stdarg.h>
#include <stdlib.h>

struct client_core *rig_core;
uint64_t rig_now = 1000; /* ms */
struct asked rig_asked[ASKED_MAX];
size_t rig_asked_count;
static char told[2048];

static void put(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void put(const char *format, ...)
{
    const size_t at = strlen(told);
    va_list args;

    va_start(args, format);
    vsnprintf(told + at, sizeof told - at, format, args);
    va_end(args);
}

const char *rig_taken(void)
{
    static char was[sizeof told];

    memcpy(was, told, sizeof told);
    told[0] = '\0';
    return was;
}

void rig_note(void *ctx, const struct client_event *e)
{
    static const char *const names[] = { "?",        "created", "changed", "deleted",
                                         "children", "armed",   "lagged",  "ended",
                                         "node",     "ready" };

    put("%s %s %d", (const char *) ctx, names[e->kind],
        e->kind == CLIENT_EVENT_ENDED ? e->code : (int) e->zxid);
    if (e->data.ptr != NULL) put("=%.*s", (int) e->data.len, (const char *) e->data.ptr);
    put("; ");
}

static const msgpack_object *option(const msgpack_object *params, const char *name)
{
    return rpc_member(&params->via.array.ptr[params->via.array.size - 1], name);
}

static void asked_watches(struct asked *a, const struct rpc_message *m,
                          const struct rpc_values *values)
{
    a->watch = values->at[1].number;
    a->count = 1;
    if (m->method == METHOD_WATCH_MANY) {
        a->count = values->at[0].any->via.array.size;
        a->watch = values->at[0].any->via.array.ptr[0].via.array.ptr[0].via.u64;
    }
    a->since = rpc_uint(option(m->params, "since"), 0);
    a->resumes = option(m->params, "since") != NULL;
    a->snapshot = option(m->params, "snapshot") != NULL;
}

void rig_hear(void)
{
    struct buf *out = client_core_output(rig_core);
    msgpack_zone *zone = msgpack_zone_new(512);
    struct rpc_values values;
    struct rpc_scan scan;
    struct rpc_message m;
    size_t len;

    rpc_scan_init(&scan);
    while (rpc_scan(&scan, buf_bytes(out), RPC_BYTES_MAX, &len) == RPC_SCAN_WHOLE) {
        CHECK(rpc_decode(bytes_of(out->ptr, len), zone, &m) == 0);
        CHECK(rpc_check(&m, &values) == 0);
        struct asked *a = &rig_asked[rig_asked_count++ % ASKED_MAX];
        *a = (struct asked){ .msgid = m.msgid, .method = m.method };
        if (m.method == METHOD_WATCH || m.method == METHOD_WATCH_MANY) {
            asked_watches(a, &m, &values);
        }
        if (m.method == METHOD_UNWATCH) a->watch = values.at[0].number;
        buf_drop(out, len);
    }
    msgpack_zone_free(zone);
}

const struct asked *rig_newest(enum method method)
{
    static const struct asked none;

    rig_hear();
    for (size_t i = rig_asked_count; i > 0; i--) {
        const struct asked *a = &rig_asked[(i - 1) % ASKED_MAX];

        if (a->method == method) return a;
    }
    return &none;
}

size_t rig_count_of(enum method method)
{
    size_t count = 0;

    rig_hear();
    for (size_t i = 0; i < rig_asked_count; i++) count += rig_asked[i].method == method;
    return count;
}

size_t rig_watches_asked(void)
{
    size_t count = 0;

    rig_hear();
    for (size_t i = 0; i < rig_asked_count; i++) count += rig_asked[i].count;
    return count;
}

int rig_say(struct buf *b)
{
    const int code = client_core_input(rig_core, rig_now, buf_bytes(b));

    buf_fini(b);
    return code;
}

void rig_say_zxid(uint32_t msgid, uint64_t zxid)
{
    struct buf b = { 0 };

    rpc_response_begin(&b, msgid);
    pack_map(&b, 2);
    pack_cstr(&b, "zxid");
    pack_uint(&b, zxid);
    pack_cstr(&b, "proto");
    pack_uint(&b, 1);
    IS(rig_say(&b), 0);
}

void rig_say_error(uint32_t msgid, int code)
{
    struct buf b = { 0 };

    rpc_error(&b, msgid, code, NULL);
    IS(rig_say(&b), 0);
}

void rig_put_event(struct buf *b, uint64_t watch, const char *kind)
{
    pack_array(b, 4);
    pack_uint(b, watch);
    pack_cstr(b, kind);
    pack_cstr(b, "/a");
    pack_bin(b, BYTES_LIT("v"));
}

void rig_begin_events(struct buf *b, uint64_t zxid, uint32_t count)
{
    rpc_notification_begin(b, "events");
    pack_array(b, 2);
    pack_uint(b, zxid);
    pack_array(b, count);
}

void rig_say_event(uint64_t watch, uint64_t zxid)
{
    struct buf b = { 0 };

    rig_begin_events(&b, zxid, 1);
    rig_put_event(&b, watch, "changed");
    IS(rig_say(&b), 0);
}

void rig_say_lagged(uint64_t zxid, uint64_t watch_handle)
{
    struct buf b = { 0 };

    rpc_notification_begin(&b, "lagged");
    pack_array(&b, 2);
    pack_uint(&b, zxid);
    pack_array(&b, 1);
    pack_uint(&b, watch_handle);
    IS(rig_say(&b), 0);
}

void rig_connect_again(void)
{
    rig_asked_count = 0;
    client_core_connected(rig_core, rig_now);
    rig_say_zxid(rig_newest(METHOD_HELLO)->msgid, 0);
    rig_hear();
}

void rig_reconnect(void)
{
    client_core_disconnected(rig_core, rig_now);
    rig_connect_again();
}

void rig_open_core(void)
{
    rig_core = client_core_new(&(struct client_core_config){ .seed = 1 });
    told[0] = '\0';
    rig_connect_again();
}

uint64_t rig_watch(const char *name, bool once)
{
    return client_core_watch(rig_core, rig_now,
                             &(struct client_watch){ .path = BYTES_LIT("/a"),
                                                     .data = true,
                                                     .once = once,
                                                     .fn = rig_note,
                                                     .ctx = (void *) (uintptr_t) name });
}

uint64_t rig_armed_watch(const char *name, uint64_t zxid)
{
    const uint64_t w = rig_watch(name, false);

    rig_say_zxid(rig_newest(METHOD_WATCH)->msgid, zxid);
    rig_taken();
    return w;
}
