/* tl_watch() and tl_unwatch(): the core's watches, told to the program in its own words. */
#include <stdlib.h>

#include "core/base/check.h"
#include "core/client/client.h"

struct told { /* the ctx of a watch in the core; goes with the watch */
    tl_client *client;
    tl_watch_fn fn;
    void *ctx;
    bool once;
};

#define SAME(name)                                                                         \
    static_assert((int) TL_EVENT_##name == (int) CLIENT_EVENT_##name, "one table of kinds")
SAME(CREATED);
SAME(CHANGED);
SAME(DELETED);
SAME(CHILDREN);
SAME(ARMED);
SAME(LAGGED);
SAME(ENDED);
SAME(NODE);
SAME(READY);

static bool is_last(const struct told *told, const struct client_event *e)
{
    return e->kind == CLIENT_EVENT_ENDED ||
           (told->once && e->kind <= CLIENT_EVENT_CHILDREN);
}

/* Of the last event the core has forgotten the watch already; of any other one the program
 * may unwatch it, and `told` is gone. */
static void on_event(void *ctx, const struct client_event *e)
{
    struct told *told = ctx;
    const bool last = is_last(told, e);
    const struct bytes name = prefix_strip(told->client, e->path);
    const size_t len = name.len <= PATH_BYTES_MAX ? name.len : PATH_BYTES_MAX;
    char path[PATH_BYTES_MAX + 1] = { 0 };
    const tl_event event = { .kind = (tl_event_kind) e->kind,
                             .path = path,
                             .zxid = e->zxid,
                             .data = e->data.ptr,
                             .len = e->data.len,
                             .code = e->code };

    if (len > 0) memcpy(path, name.ptr, len);
    told->fn(told->ctx, &event);
    if (last) free(told);
}

static uint64_t watch(struct told *told, const char *path, unsigned flags, uint64_t since)
{
    const unsigned what = flags & (TL_WATCH_DATA | TL_WATCH_CHILDREN);
    tl_client *c = told->client;
    struct buf full = { 0 };

    prefix_put(c, &full, path);
    const uint64_t handle = client_core_watch(
        c->core, client_now_ms(),
        &(struct client_watch){ .path = buf_bytes(&full),
                                .data = what == 0 || (what & TL_WATCH_DATA) != 0,
                                .children = (what & TL_WATCH_CHILDREN) != 0,
                                .recursive = (flags & TL_WATCH_RECURSIVE) != 0,
                                .once = told->once,
                                .value = (flags & TL_WATCH_VALUE) != 0,
                                .snapshot = (flags & TL_WATCH_SNAPSHOT) != 0,
                                .since = since,
                                .fn = on_event,
                                .ctx = told });
    buf_fini(&full);
    turn_wake(c);
    return handle;
}

static const char *flags_refusal(unsigned flags, uint64_t since)
{
    if ((flags & TL_WATCH_RECURSIVE) != 0 && (flags & TL_WATCH_CHILDREN) != 0) {
        return "a recursive watch tells of the children as nodes: leave CHILDREN out";
    }
    if ((flags & TL_WATCH_SNAPSHOT) != 0 &&
        ((flags & (TL_WATCH_CHILDREN | TL_WATCH_ONCE)) != 0 || since != 0)) {
        return "a snapshot goes not with CHILDREN, ONCE or a zxid to begin at";
    }
    return NULL;
}

int tl_watch(tl_client *c, const char *path, unsigned flags, tl_watch_fn fn, void *ctx,
             uint64_t *handle)
{
    return tl_watch_since(c, path, flags, 0, fn, ctx, handle);
}

int tl_watch_since(tl_client *c, const char *path, unsigned flags, uint64_t since,
                   tl_watch_fn fn, void *ctx, uint64_t *handle)
{
    const char *why = flags_refusal(flags, since);
    struct told *told;

    *handle = 0;
    if (why != NULL) return client_fail(ERR_BAD_OPTION, why);
    if (path == NULL || path[0] != '/') {
        return client_fail(ERR_BAD_PATH, "a path begins with a slash");
    }
    if (strlen(path) > PATH_BYTES_MAX) return client_fail(ERR_TOO_LARGE, NULL);
    told = mem_alloc(sizeof *told);
    *told = (struct told){ c, fn, ctx, (flags & TL_WATCH_ONCE) != 0 };
    client_lock(c);
    if (!c->freeing) *handle = watch(told, path, flags, since);
    client_unlock(c);
    if (*handle != 0) return 0;
    free(told);
    return client_fail(ERR_BUSY, "the client has too many watches, or has ended");
}

void tl_unwatch(tl_client *c, uint64_t handle)
{
    client_lock(c);
    free(client_core_unwatch(c->core, client_now_ms(), handle));
    turn_wake(c);
    client_unlock(c);
}

uint64_t tl_watch_zxid(tl_client *c, uint64_t handle)
{
    client_lock(c);
    const uint64_t zxid = client_core_watch_zxid(c->core, handle);

    client_unlock(c);
    return zxid;
}
