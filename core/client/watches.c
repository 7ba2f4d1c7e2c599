/* Watches. Up to which zxid a watch is complete is known from its own events, from the
 * answer that armed it, and, while it is armed, from any answer of its connection that
 * names a zxid: events stand before it. A lost connection carries that over to the next
 * one, where the watch is armed `since` then; what comes twice all the same (a request that
 * was sent again) is known by its zxid. */
#include <stdlib.h>

#include "core/base/check.h"
#include "core/client/inside.h"

#define SLOT_BITS 20

static_assert(CLIENT_WATCHES_MAX < 1u << SLOT_BITS, "a slot fits a handle");

/* --- slots: a watch by its handle --- */

static uint32_t slot_of(uint64_t handle)
{
    return (uint32_t) (handle & ((1u << SLOT_BITS) - 1));
}

static struct watch *watch_find(const struct client_core *c, uint64_t handle)
{
    const uint32_t slot = slot_of(handle);
    struct watch *w = slot < c->watch_slots_count ? c->watch_slots[slot] : NULL;

    return w != NULL && w->handle == handle ? w : NULL;
}

static void slots_grow(struct client_core *c)
{
    const uint32_t from = c->watch_slots_count, to = from == 0 ? 16 : from * 2;

    c->watch_slots = mem_grow(c->watch_slots, to * sizeof(struct watch *));
    for (uint32_t i = from; i < to; i++) c->watch_slots[i] = NULL;
    c->watch_slots_count = to;
    c->watch_slot_hint = from;
}

static void slot_take(struct client_core *c, struct watch *w)
{
    if (c->watches_count == c->watch_slots_count) slots_grow(c);
    while (c->watch_slots[c->watch_slot_hint] != NULL) {
        c->watch_slot_hint = (c->watch_slot_hint + 1) % c->watch_slots_count;
    }
    w->handle = (uint64_t) ++c->watch_serial << SLOT_BITS | c->watch_slot_hint;
    c->watch_slots[c->watch_slot_hint] = w;
    c->watches_count++;
}

/* --- one watch --- */

/* Out of what it is counted in; its request is forgotten. */
static void watch_leave(struct client_core *c, struct watch *w)
{
    if (w->state == WATCH_ASKED) {
        c->watches_asked--;
        client_core_cancel(c, w->request);
    }
    list_remove(&w->link);
}

static void watch_free(struct client_core *c, struct watch *w)
{
    watch_leave(c, w);
    c->watch_slots[slot_of(w->handle)] = NULL;
    c->watch_slot_hint = slot_of(w->handle);
    c->watches_count--;
    free(w);
}

static void watch_want(struct client_core *c, struct watch *w)
{
    list_remove(&w->link);
    list_push(&c->wanted, &w->link);
    w->state = WATCH_WANTED;
}

static void complete_to(struct watch *w, uint64_t zxid)
{
    if (!w->resumes || zxid > w->complete) w->complete = zxid;
    w->resumes = true;
}

/* Afterwards the watch may be gone. */
static void tell(const struct watch *w, enum client_event_kind kind, uint64_t zxid)
{
    w->wish.fn(w->wish.ctx, &(struct client_event){ .kind = kind,
                                                    .handle = w->handle,
                                                    .zxid = zxid,
                                                    .path = w->wish.path });
}

static void watch_end(struct client_core *c, struct watch *w, int code)
{
    const client_watch_fn fn = w->wish.fn;
    void *const ctx = w->wish.ctx;
    const uint64_t handle = w->handle;

    watch_free(c, w);
    fn(ctx, &(struct client_event){ .kind = CLIENT_EVENT_ENDED,
                                    .handle = handle,
                                    .code = code });
}

/* --- arming --- */

static void watch_answered(void *ctx, int code, const char *message,
                           const msgpack_object *result)
{
    struct watch *w = ctx;
    struct client_core *c = w->core;
    const uint64_t zxid = rpc_uint(rpc_member(result, "zxid"), 0);
    const bool first = !w->resumes;

    (void) message;
    CHECK(w->state == WATCH_ASKED);
    c->watches_asked--;
    if (code == 0) {
        w->state = WATCH_ARMED;
        complete_to(w, zxid);
        if (first) tell(w, w->lagged ? CLIENT_EVENT_LAGGED : CLIENT_EVENT_ARMED, zxid);
    } else if (code == ERR_LAGGED && !first) {
        /* Told when it is armed again: what is read from then on has no gap behind it. */
        w->resumes = false;
        w->lagged = true;
        watch_want(c, w);
    } else {
        w->state = WATCH_WANTED; /* its request is over */
        watch_end(c, w, code);
    }
}

static void put_flag(struct buf *b, const char *name, bool on)
{
    pack_cstr(b, name);
    pack_bool(b, on);
}

static void watch_ask(struct client_core *c, uint64_t now_ms, struct watch *w)
{
    struct buf params = { 0 }, options = { 0 };

    pack_str(&params, w->wish.path);
    pack_uint(&params, w->handle);
    put_flag(&options, "data", w->wish.data);
    put_flag(&options, "children", w->wish.children);
    put_flag(&options, "once", w->wish.once);
    put_flag(&options, "value", w->wish.value);
    if (w->resumes) {
        pack_cstr(&options, "since");
        pack_uint(&options, w->complete);
    }
    list_remove(&w->link);
    list_push(&c->watches, &w->link);
    w->state = WATCH_ASKED;
    c->watches_asked++;

    const struct client_request request = { .method = METHOD_WATCH,
                                            .params = buf_bytes(&params),
                                            .options = buf_bytes(&options),
                                            .args_count = 2,
                                            .options_count = w->resumes ? 5 : 4,
                                            .done = watch_answered,
                                            .ctx = w };
    w->request = client_core_request(c, now_ms, &request);
    buf_fini(&params);
    buf_fini(&options);
}

void watches_flush(struct client_core *c, uint64_t now_ms)
{
    while (c->stage == CLIENT_READY && !list_empty(&c->wanted) &&
           c->watches_asked < WATCHES_ASKED_MAX) {
        watch_ask(c, now_ms, LIST_FIRST(&c->wanted, struct watch, link));
    }
}

uint64_t client_core_watch(struct client_core *c, uint64_t now_ms,
                           const struct client_watch *wish)
{
    struct watch *w;

    if (c->watches_count == CLIENT_WATCHES_MAX || c->ended != 0) return 0;
    w = mem_alloc(sizeof *w + wish->path.len);
    *w = (struct watch){ .state = WATCH_WANTED, .core = c, .wish = *wish };
    memcpy(w->text, wish->path.ptr, wish->path.len);
    w->wish.path.ptr = w->text;
    list_init(&w->link);
    list_push(&c->wanted, &w->link);
    slot_take(c, w);
    watches_flush(c, now_ms);
    return w->handle;
}

/* A server that has it armed, or is about to, is told; nobody waits for the answer. */
void *client_core_unwatch(struct client_core *c, uint64_t now_ms, uint64_t handle)
{
    struct watch *w = watch_find(c, handle);
    struct buf params = { 0 };

    if (w == NULL) return NULL;
    const bool known = w->state != WATCH_WANTED && c->stage == CLIENT_READY;
    void *const ctx = w->wish.ctx;

    watch_free(c, w);
    if (!known) return ctx;
    pack_uint(&params, handle);
    (void) client_core_request(c, now_ms,
                               &(struct client_request){ .method = METHOD_UNWATCH,
                                                         .params = buf_bytes(&params),
                                                         .args_count = 1 });
    buf_fini(&params);
    return ctx;
}

/* --- the end of a connection, of the core --- */

void watches_lost(struct client_core *c)
{
    LIST_EACH_SAFE(at, after, &c->watches) {
        struct watch *w = CONTAINER_OF(at, struct watch, link);

        if (w->state == WATCH_ARMED) complete_to(w, c->zxid_seen);
        if (w->state == WATCH_ASKED) {
            /* Asked anew rather than again: it may be complete further by now. */
            client_core_cancel(c, w->request);
            c->watches_asked--;
        }
        watch_want(c, w);
    }
}

void watches_end_all(struct client_core *c, int code)
{
    struct list *const lists[] = { &c->wanted, &c->watches };

    for (int i = 0; i < 2; i++) {
        while (!list_empty(lists[i])) {
            watch_end(c, LIST_FIRST(lists[i], struct watch, link), code);
        }
    }
}

/* --- events --- */

static bool kind_read(const msgpack_object *o, enum client_event_kind *kind)
{
    static const char *const names[] = { "created", "changed", "deleted", "children" };

    for (int i = 0; i < 4; i++) {
        *kind = (enum client_event_kind)(CLIENT_EVENT_CREATED + i);
        if (bytes_equal(rpc_bytes(o), bytes_str(names[i]))) return true;
    }
    return false;
}

static bool event_read(const msgpack_object *o, struct client_event *e)
{
    const msgpack_object *part = o->via.array.ptr;

    if (o->type != MSGPACK_OBJECT_ARRAY || o->via.array.size < 3) return false;
    if (!kind_read(&part[1], &e->kind)) return false;
    e->handle = rpc_uint(&part[0], 0);
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
    struct client_event e;

    for (uint32_t i = 0; i < list->size; i++) {
        struct watch *w = event_read(&list->ptr[i], &e) ? watch_find(c, e.handle) : NULL;

        if (w != NULL) complete_to(w, zxid);
    }
}

int watches_events_came(struct client_core *c, const msgpack_object *params)
{
    const msgpack_object *at = params->via.array.ptr;
    struct client_event e;

    if (params->via.array.size < 2 || at[1].type != MSGPACK_OBJECT_ARRAY) {
        return ERR_BAD_MESSAGE;
    }
    const uint64_t zxid = rpc_uint(&at[0], 0);

    for (uint32_t i = 0; i < at[1].via.array.size; i++) {
        e = (struct client_event){ .zxid = zxid };
        if (!event_read(&at[1].via.array.ptr[i], &e)) return ERR_BAD_MESSAGE;
        e.zxid = zxid;
        event_tell(c, &e);
    }
    events_passed(c, &at[1].via.array, zxid);
    return 0;
}

/* The server dropped what was armed there, having sent everything up to that zxid. */
int watches_lagged_came(struct client_core *c, uint64_t now_ms,
                        const msgpack_object *params)
{
    if (params->via.array.size < 1) return ERR_BAD_MESSAGE;
    const uint64_t zxid = rpc_uint(&params->via.array.ptr[0], 0);

    LIST_EACH_SAFE(at, after, &c->watches) {
        struct watch *w = CONTAINER_OF(at, struct watch, link);

        if (w->state != WATCH_ARMED) continue;
        complete_to(w, zxid);
        watch_want(c, w);
    }
    watches_flush(c, now_ms);
    return 0;
}
