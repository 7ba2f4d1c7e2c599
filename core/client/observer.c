/* Who leads: a watch of the leader's node with its value, and a read wherever the watch
 * does not say. The events after ARMED or LAGGED are complete, so the read is of no use any
 * more once one of them has told who leads. */
#include <stdlib.h>

#include "core/base/check.h"
#include "core/client/call.h"

struct tl_observer {
    struct object object;
    char *node; /* of the leader */
    tl_observer_fn fn;
    void *ctx;

    uint64_t watch, asked;
    uint64_t zxid;  /* of the last change that is known */
    uint64_t token; /* as told; 0 = nobody leads */
    bool told;      /* anything */
    bool lagged;    /* not told yet */
};

/* Comes last in each function: the program may close the observer. */
static void tell(tl_observer *o, uint64_t token, const char *value, size_t len)
{
    const tl_leader leader = { .token = token, .value = value, .len = len,
                               .lagged = o->lagged };

    if (o->told && !o->lagged && token == 0 && o->token == 0) return;
    o->told = true;
    o->lagged = false;
    o->token = token;
    o->fn(o->ctx, &leader);
}

static void tell_end(tl_observer *o, int code)
{
    tl_unwatch(o->object.client, o->watch);
    tl_cancel(o->object.client, o->asked);
    o->watch = o->asked = 0;
    o->fn(o->ctx, &(tl_leader){ .code = code });
}

static void on_read(void *ctx, const tl_result *r)
{
    tl_observer *o = ctx;

    o->asked = 0;
    if (r->code == ERR_NO_NODE) {
        tell(o, 0, NULL, 0);
    } else if (r->code != 0) {
        tell_end(o, r->code);
    } else if (r->stat->mzxid > o->zxid) {
        o->zxid = r->stat->mzxid;
        tell(o, r->stat->czxid, r->data, r->len);
    }
}

static void read_node(tl_observer *o)
{
    struct call call;

    call_begin(&call, o->object.client, METHOD_GET);
    call_path(&call, o->node);
    call.limit_ms = CALL_LIMIT_NONE;
    call.persists = true;
    tl_cancel(o->object.client, o->asked);
    o->asked = call_ask(&call, on_read, o);
}

/* An event's data has no zero byte behind it. */
static void tell_event(tl_observer *o, uint64_t token, const tl_event *e)
{
    struct buf value = { 0 };

    buf_put(&value, e->data, e->len);
    buf_put_u8(&value, 0);
    tell(o, token, e->data == NULL ? NULL : (const char *) value.ptr, e->len);
    buf_fini(&value);
}

static void on_change(tl_observer *o, const tl_event *e)
{
    const bool read_wanted = o->asked != 0;

    if (e->zxid <= o->zxid) return;
    if (e->kind == TL_EVENT_CHANGED && read_wanted) return; /* whose, the read will tell */
    o->zxid = e->zxid;
    tl_cancel(o->object.client, o->asked);
    o->asked = 0;
    if (e->kind == TL_EVENT_DELETED) {
        tell(o, 0, NULL, 0);
    } else {
        tell_event(o, e->kind == TL_EVENT_CREATED ? e->zxid : o->token, e);
    }
}

static void on_event(void *ctx, const tl_event *e)
{
    tl_observer *o = ctx;

    switch (e->kind) {
    case TL_EVENT_ARMED:
        read_node(o);
        break;
    case TL_EVENT_LAGGED:
        o->lagged = true;
        o->zxid = 0; /* the read may find what was told: then it is told again */
        read_node(o);
        break;
    case TL_EVENT_CREATED:
    case TL_EVENT_CHANGED:
    case TL_EVENT_DELETED:
        on_change(o, e);
        break;
    case TL_EVENT_ENDED:
        o->watch = 0;
        tell_end(o, e->code);
        break;
    case TL_EVENT_CHILDREN:
    case TL_EVENT_NODE:
    case TL_EVENT_READY:
        break;
    }
}

static void observer_end(struct object *object)
{
    tl_observer *o = CONTAINER_OF(object, tl_observer, object);

    tl_unwatch(object->client, o->watch);
    tl_cancel(object->client, o->asked);
}

static void observer_free(struct object *object)
{
    tl_observer *o = CONTAINER_OF(object, tl_observer, object);

    free(o->node);
    free(o);
}

static const struct object_kind observer_kind = { .end = observer_end,
                                                  .free = observer_free };

static char *leader_node(const char *path)
{
    struct buf node = { 0 };

    if (strcmp(path, "/") != 0) buf_put_bytes_raw(&node, bytes_str(path));
    buf_put(&node, "/leader", sizeof "/leader");
    return (char *) node.ptr;
}

int tl_observer_open(tl_client *c, const char *path, tl_observer_fn fn, void *ctx,
                     tl_observer **observer)
{
    tl_observer *o;
    int code;

    *observer = NULL;
    if (path == NULL || path[0] != '/') return client_fail(ERR_BAD_PATH, NULL);
    o = mem_zalloc(sizeof *o);
    o->node = leader_node(path);
    o->fn = fn;
    o->ctx = ctx;
    client_lock(c);
    code = tl_watch(c, o->node, TL_WATCH_DATA | TL_WATCH_VALUE, on_event, o, &o->watch);
    if (code == 0) object_add(&o->object, c, &observer_kind);
    client_unlock(c);
    if (code == 0) {
        *observer = o;
        return 0;
    }
    free(o->node);
    free(o);
    return code;
}

void tl_observer_close(tl_observer *o)
{
    if (o != NULL) object_close(&o->object);
}
