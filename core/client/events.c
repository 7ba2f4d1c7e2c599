/* What a server tells of watches without being asked. Within one notification a callback may
 * end any watch, so each is looked for by its handle whenever it is told. */
#include "core/client/inside.h"

static bool kind_read(const msgpack_object *o, enum client_event_kind *kind)
{
    static const char *const names[] = { "created", "changed", "deleted", "children" };

    for (int i = 0; i < 4; i++) {
        *kind = (enum client_event_kind)(CLIENT_EVENT_CREATED + i);
        if (bytes_equal(rpc_bytes(o), bytes_str(names[i]))) return true;
    }
    return false;
}

/* One watch, or an array of them. */
static uint32_t watches_count(const msgpack_object *o)
{
    return o->type == MSGPACK_OBJECT_ARRAY ? o->via.array.size : 1;
}

static uint64_t watch_at(const msgpack_object *o, uint32_t i)
{
    return rpc_uint(o->type == MSGPACK_OBJECT_ARRAY ? &o->via.array.ptr[i] : o, 0);
}

static bool event_read(const msgpack_object *o, struct client_event *e)
{
    const msgpack_object *part = o->via.array.ptr;

    if (o->type != MSGPACK_OBJECT_ARRAY || o->via.array.size < 3) return false;
    if (!kind_read(&part[1], &e->kind)) return false;
    e->path = rpc_bytes(&part[2]);
    e->data = o->via.array.size > 3 ? rpc_bytes(&part[3]) : (struct bytes){ 0 };
    return e->path.ptr != NULL;
}

/* B5. One transaction may have several events for one watch, all in one notification: only
 * once all are told is the watch complete up to it. */
static void event_tell(struct client_core *c, const struct client_event *e)
{
    struct watch *w = watch_find(c, e->handle);

    if (w == NULL || (w->resumes && e->zxid <= w->complete)) return;
    const struct client_watch wish = w->wish;

    if (wish.once) watch_free(c, w);
    wish.fn(wish.ctx, e);
}

static void events_passed(struct client_core *c, const msgpack_object_array *list,
                          uint64_t zxid)
{
    for (uint32_t i = 0; i < list->size; i++) {
        const msgpack_object *watches = &list->ptr[i].via.array.ptr[0];

        for (uint32_t k = 0; k < watches_count(watches); k++) {
            struct watch *w = watch_find(c, watch_at(watches, k));

            if (w != NULL) watch_complete(w, zxid);
        }
    }
    zxid_see(c, zxid);
}

int events_came(struct client_core *c, const msgpack_object *params)
{
    const msgpack_object *at = params->via.array.ptr;

    if (params->via.array.size < 2 || at[1].type != MSGPACK_OBJECT_ARRAY) {
        return ERR_BAD_MESSAGE;
    }
    const uint64_t zxid = rpc_uint(&at[0], 0);

    for (uint32_t i = 0; i < at[1].via.array.size; i++) {
        const msgpack_object *o = &at[1].via.array.ptr[i];
        struct client_event e = { .zxid = zxid };

        if (!event_read(o, &e)) return ERR_BAD_MESSAGE;
        for (uint32_t k = 0; k < watches_count(&o->via.array.ptr[0]); k++) {
            e.handle = watch_at(&o->via.array.ptr[0], k);
            event_tell(c, &e);
        }
    }
    events_passed(c, &at[1].via.array, zxid);
    return 0;
}

/* --- snapshots --- */

static bool node_read(const msgpack_object *o, struct client_event *e)
{
    if (o->type != MSGPACK_OBJECT_ARRAY || o->via.array.size < 2) return false;
    e->path = rpc_bytes(&o->via.array.ptr[0]);
    e->zxid = rpc_uint(&o->via.array.ptr[1], 0);
    e->data = o->via.array.size > 2 ? rpc_bytes(&o->via.array.ptr[2]) : (struct bytes){ 0 };
    return e->path.ptr != NULL;
}

static void snapshot_tell(struct client_core *c, const struct client_event *e)
{
    struct watch *w = watch_find(c, e->handle);

    if (w != NULL) w->wish.fn(w->wish.ctx, e);
}

static void snapshot_ready(struct client_core *c, uint64_t handle, uint64_t zxid)
{
    struct watch *w = watch_find(c, handle);

    if (w == NULL) return;
    w->whole = true;
    watch_complete(w, zxid);
    snapshot_tell(c, &(struct client_event){ .kind = CLIENT_EVENT_READY,
                                             .handle = handle,
                                             .zxid = zxid,
                                             .path = w->wish.path });
}

int events_nodes_came(struct client_core *c, const msgpack_object *params)
{
    const msgpack_object *at = params->via.array.ptr;

    if (params->via.array.size < 4 || at[2].type != MSGPACK_OBJECT_ARRAY ||
        at[3].type != MSGPACK_OBJECT_BOOLEAN) {
        return ERR_BAD_MESSAGE;
    }
    struct client_event e = { .kind = CLIENT_EVENT_NODE, .handle = rpc_uint(&at[1], 0) };

    for (uint32_t i = 0; i < at[2].via.array.size; i++) {
        if (!node_read(&at[2].via.array.ptr[i], &e)) return ERR_BAD_MESSAGE;
        snapshot_tell(c, &e);
    }
    if (!at[3].via.boolean) snapshot_ready(c, e.handle, rpc_uint(&at[0], 0));
    return 0;
}

/* --- how far all is told --- */

/* The server dropped what was armed there, having sent everything up to that zxid. */
static void watch_lagged(struct client_core *c, struct watch *w, uint64_t zxid)
{
    if (w == NULL || w->state != WATCH_ARMED) return;
    watch_complete(w, zxid);
    watch_again(c, w);
}

int events_lagged_came(struct client_core *c, uint64_t now_ms, const msgpack_object *params)
{
    const msgpack_object *at = params->via.array.ptr;

    if (params->via.array.size < 2 || at[1].type != MSGPACK_OBJECT_ARRAY) {
        return ERR_BAD_MESSAGE;
    }
    for (uint32_t i = 0; i < at[1].via.array.size; i++) {
        watch_lagged(c, watch_find(c, rpc_uint(&at[1].via.array.ptr[i], 0)),
                     rpc_uint(&at[0], 0));
    }
    watches_flush(c, now_ms);
    return 0;
}

/* A server that had nothing to tell says so now and then. */
int events_progress_came(struct client_core *c, const msgpack_object *params)
{
    if (params->via.array.size < 1) return ERR_BAD_MESSAGE;
    zxid_see(c, rpc_uint(&params->via.array.ptr[0], 0));
    return 0;
}
