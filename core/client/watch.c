/* tl_watch() and tl_unwatch(): the core's watches, told to the program in its own words. */
#include <stdlib.h>

#include "core/client/call.h"

struct told { /* the ctx of a watch in the core; goes with the watch */
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

static bool is_last(const struct told *told, const struct client_event *e)
{
    const bool state = e->kind == CLIENT_EVENT_ARMED || e->kind == CLIENT_EVENT_LAGGED;

    return e->kind == CLIENT_EVENT_ENDED || (told->once && !state);
}

static void on_event(void *ctx, const struct client_event *e)
{
    struct told *told = ctx;
    char path[PATH_BYTES_MAX + 1] = "";
    const size_t len = e->path.len < sizeof path ? e->path.len : sizeof path - 1;
    const tl_event event = { .kind = (tl_event_kind) e->kind,
                             .path = path,
                             .zxid = e->zxid,
                             .data = e->data.ptr,
                             .len = e->data.len,
                             .code = e->code };

    if (len > 0) memcpy(path, e->path.ptr, len);
    told->fn(told->ctx, &event);
    if (is_last(told, e)) free(told);
}

int tl_watch(tl_client *c, const char *path, unsigned flags, tl_watch_fn fn, void *ctx,
             uint64_t *handle)
{
    const unsigned what = flags & (TL_WATCH_DATA | TL_WATCH_CHILDREN);
    struct told *told;

    if (path == NULL) return client_fail(ERR_BAD_PATH, NULL);
    if (strlen(path) > PATH_BYTES_MAX) return client_fail(ERR_TOO_LARGE, NULL);
    told = mem_alloc(sizeof *told);
    *told = (struct told){ fn, ctx, (flags & TL_WATCH_ONCE) != 0 };
    *handle = client_watch(
        c, &(struct client_watch){ .path = bytes_str(path),
                                   .data = what == 0 || (what & TL_WATCH_DATA) != 0,
                                   .children = (what & TL_WATCH_CHILDREN) != 0,
                                   .once = told->once,
                                   .value = (flags & TL_WATCH_VALUE) != 0,
                                   .fn = on_event,
                                   .ctx = told });
    if (*handle != 0) return 0;
    free(told);
    return client_fail(ERR_BUSY, "the client has too many watches, or has ended");
}

void tl_unwatch(tl_client *c, uint64_t handle)
{
    free(client_unwatch(c, handle));
}
