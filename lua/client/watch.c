/* Watches: the client's thread tells events, which wait in a queue until next() takes them.
 * A queue that nobody empties is dropped at its limit for one event, "lagged"; a snapshot is
 * then asked for anew when next() has emptied it. */
#include <errno.h>
#include <lauxlib.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "core/base/check.h"
#include "lua/client/module.h"

#define WATCH "tidelock.watch"

enum {
    QUEUE_COUNT_MAX = 10000,
    QUEUE_BYTES_MAX = 16 << 20, /* of data */
    SNAPSHOT_COUNT_MAX = 1000000, /* of one with a snapshot, which comes at a stroke */
    SNAPSHOT_BYTES_MAX = 64 << 20,
};

struct told {
    struct told *next;
    tl_event_kind kind;
    uint64_t zxid;
    bool has_data;
    size_t path_len, data_len;
    char text[]; /* the path, then the data */
};

struct watch {
    uint64_t handle; /* 0: there is none (any more) */
    bool with_value;
    unsigned flags;
    char *path;

    pthread_mutex_t lock; /* what follows belongs to both threads */
    pthread_cond_t came;
    struct told *first, **end;
    size_t count, bytes;
    bool dropped; /* some of a snapshot: the rest of it means nothing */
    int ended; /* why nothing more comes, once the queue is empty; 0 = more may come */
};

/* --- the queue, under its lock --- */

static void queue_clear(struct watch *w)
{
    while (w->first != NULL) {
        struct told *t = w->first;

        w->first = t->next;
        free(t);
    }
    w->end = &w->first;
    w->count = w->bytes = 0;
}

static void queue_put(struct watch *w, const tl_event *e)
{
    const size_t path_len = strlen(e->path);
    struct told *t = mem_alloc(sizeof *t + path_len + e->len);

    *t = (struct told){ .kind = e->kind,
                        .zxid = e->zxid,
                        .has_data = e->data != NULL,
                        .path_len = path_len,
                        .data_len = e->len };
    memcpy(t->text, e->path, path_len);
    if (e->len > 0) memcpy(t->text + path_len, e->data, e->len);
    *w->end = t;
    w->end = &t->next;
    w->count++;
    w->bytes += e->len;
}

static struct told *queue_take(struct watch *w)
{
    struct told *t = w->first;

    if (t == NULL) return NULL;
    w->first = t->next;
    if (w->first == NULL) w->end = &w->first;
    w->count--;
    w->bytes -= t->data_len;
    return t;
}

static bool has_room(const struct watch *w, const tl_event *e)
{
    const bool all = (w->flags & TL_WATCH_SNAPSHOT) != 0;
    const size_t count_max = all ? SNAPSHOT_COUNT_MAX : QUEUE_COUNT_MAX;
    const size_t bytes_max = all ? SNAPSHOT_BYTES_MAX : QUEUE_BYTES_MAX;

    return w->count < count_max && w->bytes + e->len <= bytes_max;
}

/* Called on the client's thread, or within tl_close(). */
static void on_event(void *ctx, const tl_event *e)
{
    struct watch *w = ctx;

    pthread_mutex_lock(&w->lock);
    if (e->kind == TL_EVENT_ENDED) {
        w->ended = e->code == 0 ? TL_CLOSED : e->code;
    } else if (w->dropped) {
        MAYBE(e->kind == TL_EVENT_LAGGED);
    } else if (has_room(w, e)) {
        queue_put(w, e);
    } else {
        queue_clear(w);
        w->dropped = (w->flags & TL_WATCH_SNAPSHOT) != 0;
        queue_put(w, &(tl_event){ .kind = TL_EVENT_LAGGED,
                                  .path = e->path,
                                  .zxid = e->zxid });
    }
    pthread_cond_signal(&w->came);
    pthread_mutex_unlock(&w->lock);
}

/* --- next() --- */

static struct timespec time_after(lua_Integer ms)
{
    struct timespec t;

    CHECK(clock_gettime(CLOCK_MONOTONIC, &t) == 0);
    t.tv_sec += (time_t) (ms / 1000);
    t.tv_nsec += (long) (ms % 1000) * 1000000;
    if (t.tv_nsec >= 1000000000) {
        t.tv_nsec -= 1000000000;
        t.tv_sec++;
    }
    return t;
}

/* timeout_ms -1: as long as it takes. NULL: *code says why there is none. */
static struct told *wait_event(struct watch *w, lua_Integer timeout_ms, int *code)
{
    const struct timespec until = time_after(timeout_ms < 0 ? 0 : timeout_ms);
    int waited = 0;

    pthread_mutex_lock(&w->lock);
    while (w->first == NULL && w->ended == 0 && waited != ETIMEDOUT) {
        waited = timeout_ms < 0 ? pthread_cond_wait(&w->came, &w->lock)
                                : pthread_cond_timedwait(&w->came, &w->lock, &until);
    }
    struct told *t = queue_take(w);
    *code = w->ended != 0 ? w->ended : TL_TIMEOUT;
    pthread_mutex_unlock(&w->lock);
    return t;
}

static void push_event(lua_State *L, const struct watch *w, const struct told *t)
{
    static const char *const kinds[] = { [TL_EVENT_CREATED] = "created",
                                         [TL_EVENT_CHANGED] = "changed",
                                         [TL_EVENT_DELETED] = "deleted",
                                         [TL_EVENT_CHILDREN] = "children",
                                         [TL_EVENT_ARMED] = "armed",
                                         [TL_EVENT_LAGGED] = "lagged",
                                         [TL_EVENT_NODE] = "node",
                                         [TL_EVENT_READY] = "ready" };
    const bool data = t->kind <= TL_EVENT_CHANGED || t->kind == TL_EVENT_NODE;

    lua_createtable(L, 0, 4);
    lua_pushstring(L, kinds[t->kind]);
    lua_setfield(L, -2, "kind");
    lua_pushlstring(L, t->text, t->path_len);
    lua_setfield(L, -2, "path");
    lua_pushinteger(L, (lua_Integer) t->zxid);
    lua_setfield(L, -2, "zxid");
    if (!w->with_value || !data) return;
    if (t->has_data) {
        lua_pushlstring(L, t->text + t->path_len, t->data_len);
    } else {
        codec_push_null(L);
    }
    lua_setfield(L, -2, "data");
}

/* Asks anew for a snapshot whose queue was dropped, and which has just told "lagged". */
static void watch_renew(lua_State *L, struct watch *w)
{
    pthread_mutex_lock(&w->lock);
    const bool due = w->dropped && w->ended == 0;

    pthread_mutex_unlock(&w->lock);
    if (!due) return;
    lua_getiuservalue(L, 1, 1);
    tl_client *tl = client_open(L, -1);

    lua_pop(L, 1);
    if (tl == NULL) return;
    tl_unwatch(tl, w->handle);
    w->dropped = false; /* nobody else looks at it now */
    const int code = tl_watch(tl, w->path, w->flags, on_event, w, &w->handle);

    pthread_mutex_lock(&w->lock);
    if (code != 0) w->ended = code;
    pthread_mutex_unlock(&w->lock);
}

static int watch_next(lua_State *L)
{
    struct watch *w = luaL_checkudata(L, 1, WATCH);
    const lua_Integer timeout_ms = luaL_optinteger(L, 2, -1);
    struct scratch *s = scratch_push(L);
    int code;

    luaL_argcheck(L, timeout_ms >= -1 && timeout_ms <= UINT32_MAX, 2,
                  "timeout_ms must be 0 to 4294967295");
    struct told *t = wait_event(w, timeout_ms, &code);

    s->got = t;
    if (t == NULL) return fail_plainly(L, code);
    push_event(L, w, t);
    scratch_drop(s);
    watch_renew(L, w);
    return 1;
}

/* --- opening and closing --- */

static int watch_close(lua_State *L)
{
    struct watch *w = luaL_checkudata(L, 1, WATCH);

    lua_getiuservalue(L, 1, 1);
    tl_client *tl = client_open(L, -1);

    /* A client that was closed told ENDED, and tells nothing more. */
    if (tl != NULL && w->handle != 0) tl_unwatch(tl, w->handle);
    w->handle = 0;
    pthread_mutex_lock(&w->lock);
    queue_clear(w);
    w->ended = TL_CLOSED;
    pthread_mutex_unlock(&w->lock);
    lua_pushboolean(L, 1);
    return 1;
}

/* Everything up to it was given by next(). */
static int watch_zxid(lua_State *L)
{
    struct watch *w = luaL_checkudata(L, 1, WATCH);
    uint64_t zxid = 0;

    lua_getiuservalue(L, 1, 1);
    tl_client *tl = client_open(L, -1);

    if (tl != NULL && w->handle != 0) zxid = tl_watch_zxid(tl, w->handle);
    pthread_mutex_lock(&w->lock);
    for (const struct told *t = w->first; t != NULL; t = t->next) {
        if (t->kind > TL_EVENT_CHILDREN) continue;
        if (t->zxid <= zxid) zxid = t->zxid - 1;
        break; /* they rise */
    }
    pthread_mutex_unlock(&w->lock);
    lua_pushinteger(L, (lua_Integer) zxid);
    return 1;
}

static int watch_collect(lua_State *L)
{
    struct watch *w = luaL_checkudata(L, 1, WATCH);

    watch_close(L);
    free(w->path);
    pthread_cond_destroy(&w->came);
    pthread_mutex_destroy(&w->lock);
    return 0;
}

static struct watch *watch_push(lua_State *L)
{
    struct watch *w = lua_newuserdatauv(L, sizeof *w, 1);
    pthread_condattr_t monotonic;

    lua_pushvalue(L, 1);
    lua_setiuservalue(L, -2, 1); /* the client lives as long as its watches */
    *w = (struct watch){ 0 };
    w->end = &w->first;
    CHECK(pthread_condattr_init(&monotonic) == 0);
    CHECK(pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC) == 0);
    CHECK(pthread_cond_init(&w->came, &monotonic) == 0);
    CHECK(pthread_mutex_init(&w->lock, NULL) == 0);
    pthread_condattr_destroy(&monotonic);
    luaL_setmetatable(L, WATCH);
    return w;
}

int watch_new(lua_State *L)
{
    static const char *const names[] = { "data",     "children", "value", "recursive",
                                         "snapshot", "since",    NULL };
    (void) client_open(L, 1); /* it is one */
    const char *path = argument_text(L, 2, "path");

    options_check(L, 3, names);
    const unsigned flags = (option_flag(L, 3, "data") ? TL_WATCH_DATA : 0u) |
                           (option_flag(L, 3, "children") ? TL_WATCH_CHILDREN : 0u) |
                           (option_flag(L, 3, "value") ? TL_WATCH_VALUE : 0u) |
                           (option_flag(L, 3, "recursive") ? TL_WATCH_RECURSIVE : 0u) |
                           (option_flag(L, 3, "snapshot") ? TL_WATCH_SNAPSHOT : 0u);
    const lua_Integer since = option_integer(L, 3, "since", 0, LUA_MAXINTEGER);
    struct watch *w = watch_push(L);

    w->with_value = (flags & TL_WATCH_VALUE) != 0;
    w->flags = flags;
    w->path = mem_alloc(strlen(path) + 1);
    memcpy(w->path, path, strlen(path) + 1);
    tl_client *tl = client_open(L, 1);
    const int code = tl == NULL ? TL_CLOSED
                                : tl_watch_since(tl, path, flags, (uint64_t) since,
                                                 on_event, w, &w->handle);

    return code == 0 ? 1 : fail(L, code);
}

void watch_setup(lua_State *L)
{
    static const luaL_Reg methods[] = { { "next", watch_next },
                                        { "zxid", watch_zxid },
                                        { "close", watch_close },
                                        { NULL, NULL } };
    static const luaL_Reg meta[] = { { "__gc", watch_collect },
                                     { "__close", watch_close },
                                     { NULL, NULL } };

    luaL_newmetatable(L, WATCH);
    luaL_setfuncs(L, meta, 0);
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable"); /* finalizers are called once, by the collector */
    luaL_newlib(L, methods);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
}
