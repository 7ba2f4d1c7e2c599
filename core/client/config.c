/* Follows a configuration value: a watch says that there may be something new, recipe
 * "config" says what. One question at a time: config.get first, then config.history after
 * the version that was told last; what changes meanwhile is asked for when it is answered.
 *
 * The question is a query, which is cheap, since each change makes all followers ask. Only
 * when the recipe has to write, to make a plain write of the node a version, the function
 * is called; without the session, since it may be called as often as need be, and shall go
 * on when a session has ended. */
#include <stdlib.h>

#include "core/base/check.h"
#include "core/client/call.h"

struct tl_config {
    struct object object;
    char *path;
    tl_config_fn fn;
    void *ctx;

    uint64_t watch, asked;
    uint64_t number; /* of the version told last; 0 = none */
    bool started;    /* config.get was answered */
    bool stale;      /* something changed since the question */
    bool writes;     /* the question could not be answered by reading only */
};

/* The program may close the object in it. */
static void tell(tl_config *f, const msgpack_object *version, bool skipped)
{
    const uint64_t number = rpc_uint(rpc_member(version, "version"), 0);
    const struct bytes data = rpc_bytes(rpc_member(version, "data"));
    struct buf text = { 0 };

    if (number <= f->number || f->object.closed) return;
    f->number = number;
    buf_put_bytes_raw(&text, data);
    buf_put_u8(&text, 0);
    f->fn(f->ctx, &(tl_version){ .number = number,
                                 .zxid = rpc_uint(rpc_member(version, "zxid"), 0),
                                 .data = (const char *) text.ptr,
                                 .len = data.len,
                                 .skipped = skipped });
    buf_fini(&text);
}

static void tell_end(tl_config *f, int code)
{
    tl_unwatch(f->object.client, f->watch);
    tl_cancel(f->object.client, f->asked);
    f->watch = f->asked = 0;
    f->fn(f->ctx, &(tl_version){ .code = code });
}

static bool is_true(const msgpack_object *o)
{
    return o != NULL && o->type == MSGPACK_OBJECT_BOOLEAN && o->via.boolean;
}

/* An answer of history. True: there is more of it. */
static bool take_history(tl_config *f, const msgpack_object *answer)
{
    const msgpack_object *versions = rpc_member(answer, "versions");
    const bool skipped = is_true(rpc_member(answer, "skipped"));

    if (versions == NULL || versions->type != MSGPACK_OBJECT_ARRAY) return false;
    for (uint32_t i = 0; i < versions->via.array.size; i++) {
        tell(f, &versions->via.array.ptr[i], skipped && i == 0);
    }
    return is_true(rpc_member(answer, "more")) && versions->via.array.size > 0;
}

/* True: ask again. */
static bool take(tl_config *f, const tl_result *r)
{
    msgpack_zone *zone = msgpack_zone_new(MSGPACK_ZONE_CHUNK_SIZE);
    const bool first = !f->started;
    msgpack_object answer;
    bool more = false;
    size_t end = 0;

    CHECK(zone != NULL);
    f->started = true;
    /* Our own packing of what was scanned when it came. */
    if (r->value != NULL && msgpack_unpack(r->value, r->value_len, &end, zone, &answer) ==
                                MSGPACK_UNPACK_SUCCESS) {
        if (first) tell(f, &answer, false);
        if (!first) more = take_history(f, &answer);
    }
    msgpack_zone_free(zone);
    return more;
}

static void ask(tl_config *f);

static void on_answer(void *ctx, const tl_result *r)
{
    tl_config *f = ctx;

    f->asked = 0;
    if (r->code == ERR_READ_ONLY && !f->writes) {
        f->writes = true;
        ask(f);
        return;
    }
    if (r->code != 0) {
        tell_end(f, r->code);
        return;
    }
    f->writes = false;
    const bool more = take(f, r);

    if ((more || f->stale) && !f->object.closed) ask(f);
}

static void ask(tl_config *f)
{
    struct call call;

    call_function(&call, f->object.client, f->writes ? METHOD_CALL : METHOD_QUERY,
                  f->started ? "config.history" : "config.get");
    call.request.write = false; /* not of the session */
    call.limit_ms = CALL_LIMIT_NONE;
    call.persists = true;
    pack_map(call_arg(&call), f->started ? 2 : 1);
    pack_cstr(&call.params, "path");
    call_put_path(&call, &call.params, f->path);
    if (f->started) {
        pack_cstr(&call.params, "after");
        pack_uint(&call.params, f->number);
    }
    f->stale = false;
    f->asked = call_ask(&call, on_answer, f);
}

static void on_event(void *ctx, const tl_event *e)
{
    tl_config *f = ctx;

    if (e->kind == TL_EVENT_ENDED) {
        f->watch = 0;
        tell_end(f, e->code);
        return;
    }
    f->stale = true;
    if (f->asked == 0) ask(f);
}

static void config_end(struct object *o)
{
    tl_config *f = CONTAINER_OF(o, tl_config, object);

    tl_unwatch(o->client, f->watch);
    tl_cancel(o->client, f->asked);
}

static void config_free(struct object *o)
{
    tl_config *f = CONTAINER_OF(o, tl_config, object);

    free(f->path);
    free(f);
}

static const struct object_kind config_kind = { .end = config_end, .free = config_free };

int tl_config_open(tl_client *c, const char *path, tl_config_fn fn, void *ctx,
                   tl_config **config)
{
    tl_config *f;
    int code;

    *config = NULL;
    if (path == NULL || path[0] != '/') return client_fail(ERR_BAD_PATH, NULL);
    f = mem_zalloc(sizeof *f);
    f->path = text_dup(path);
    f->fn = fn;
    f->ctx = ctx;
    client_lock(c);
    code = tl_watch(c, path, TL_WATCH_DATA, on_event, f, &f->watch);
    if (code == 0) object_add(&f->object, c, &config_kind);
    client_unlock(c);
    if (code == 0) {
        *config = f;
        return 0;
    }
    free(f->path);
    free(f);
    return code;
}

void tl_config_close(tl_config *f)
{
    if (f != NULL) object_close(&f->object);
}
