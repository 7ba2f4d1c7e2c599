/* Watches. Up to which zxid a watch is complete is known from its own events, from the
 * answer that armed it, and, while it is armed, from whatever names a zxid on its connection:
 * events stand before it. A lost connection carries that over to the next one, where the
 * watch is armed `since` then, together with all that know the same; what comes twice all the
 * same (a request that was sent again) is known by its zxid. */
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

struct watch *watch_find(const struct client_core *c, uint64_t handle)
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

/* Out of what it is counted in. */
static void watch_leave(struct client_core *c, struct watch *w)
{
    if (w->state == WATCH_ASKED) c->watches_asked--;
    list_remove(&w->link);
}

void watch_free(struct client_core *c, struct watch *w)
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

void watch_complete(struct watch *w, uint64_t zxid)
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

/* What a snapshot told so far is worth nothing unless it is whole: it is told anew. */
void watch_again(struct client_core *c, struct watch *w)
{
    if (w->wish.snapshot && !w->whole) {
        w->lagged |= w->announced;
        w->resumes = false;
    }
    watch_want(c, w);
}

/* --- arming --- */

static void watch_answered(struct client_core *c, struct watch *w, int code, uint64_t zxid)
{
    CHECK(w->state == WATCH_ASKED);
    c->watches_asked--;
    w->chunk = NULL;
    if (code == 0) {
        const bool told = w->announced && !w->lagged;
        const bool lagged = w->lagged;

        w->state = WATCH_ARMED;
        w->announced = true;
        w->lagged = false;
        watch_complete(w, zxid);
        if (!told) tell(w, lagged ? CLIENT_EVENT_LAGGED : CLIENT_EVENT_ARMED, zxid);
    } else if (code == ERR_LAGGED && w->resumes) {
        /* Told when it is armed again: what is read from then on has no gap behind it. */
        w->resumes = w->whole = false;
        w->lagged = true;
        watch_want(c, w);
    } else if (code == ERR_BUSY) {
        /* By itself, among others that were armed; input came just now. */
        c->watches_retry_ms = core_retry_ms(c, c->quiet_since_ms);
        watch_want(c, w);
    } else {
        w->state = WATCH_WANTED; /* its request is over */
        watch_end(c, w, code);
    }
}

static int refusal_of(const msgpack_object *refused, uint64_t handle)
{
    if (refused == NULL || refused->type != MSGPACK_OBJECT_ARRAY) return 0;
    for (uint32_t i = 0; i < refused->via.array.size; i++) {
        const msgpack_object *at = &refused->via.array.ptr[i];

        if (at->type != MSGPACK_OBJECT_ARRAY || at->via.array.size < 2) continue;
        if (rpc_uint(&at->via.array.ptr[0], 0) != handle) continue;
        return (int) rpc_int(&at->via.array.ptr[1], ERR_BAD_MESSAGE);
    }
    return 0;
}

static void chunk_free(struct chunk *chunk)
{
    list_remove(&chunk->link);
    free(chunk);
}

static void chunk_answered(void *ctx, int code, const char *message,
                           const msgpack_object *result)
{
    struct chunk *chunk = ctx;
    struct client_core *c = chunk->core;
    const uint64_t zxid = rpc_uint(rpc_member(result, "zxid"), 0);
    const msgpack_object *refused = rpc_member(result, "refused");

    (void) message;
    for (uint32_t i = 0; i < chunk->count; i++) {
        struct watch *w = watch_find(c, chunk->handles[i]);

        if (w == NULL || w->chunk != chunk) continue;
        watch_answered(c, w, code != 0 ? code : refusal_of(refused, w->handle), zxid);
    }
    chunk_free(chunk);
}

static uint32_t put_flag(struct buf *b, const char *name, bool on)
{
    if (!on) return 0;
    pack_cstr(b, name);
    pack_bool(b, true);
    return 1;
}

/* The pairs that say what is wished; returns how many. */
static uint32_t put_wish(struct buf *b, const struct client_watch *wish)
{
    uint32_t count = put_flag(b, "children", wish->children);

    if (!wish->data && !wish->recursive) {
        pack_cstr(b, "data");
        pack_bool(b, false);
        count++;
    }
    count += put_flag(b, "recursive", wish->recursive);
    count += put_flag(b, "once", wish->once);
    return count + put_flag(b, "value", wish->value);
}

static void chunk_send(struct client_core *c, uint64_t now_ms, struct chunk *chunk,
                       struct client_request *request, bool resumes, uint64_t since,
                       struct buf *options)
{
    if (resumes) {
        pack_cstr(options, "since");
        pack_uint(options, since);
        request->options_count++;
    }
    request->options = buf_bytes(options);
    request->done = chunk_answered;
    request->ctx = chunk;
    chunk->request = client_core_request(c, now_ms, request);
}

/* One alone. */
static void watch_ask(struct client_core *c, uint64_t now_ms, struct chunk *chunk,
                      const struct watch *w)
{
    struct buf params = { 0 }, options = { 0 };
    struct client_request request = { .method = METHOD_WATCH, .args_count = 2 };

    pack_str(&params, w->wish.path);
    pack_uint(&params, w->handle);
    request.options_count = put_wish(&options, &w->wish);
    request.options_count +=
        put_flag(&options, "snapshot", w->wish.snapshot && !w->resumes);
    request.params = buf_bytes(&params);
    chunk_send(c, now_ms, chunk, &request, w->resumes, w->complete, &options);
    buf_fini(&params);
    buf_fini(&options);
}

static void put_entry(struct buf *b, const struct watch *w, struct buf *room)
{
    buf_clear(room);
    const uint32_t pairs = put_wish(room, &w->wish);

    pack_array(b, 2u + (pairs > 0));
    pack_uint(b, w->handle);
    pack_str(b, w->wish.path);
    if (pairs == 0) return;
    pack_map(b, pairs);
    buf_put_bytes_raw(b, buf_bytes(room));
}

/* Several that begin at the same zxid, or now. */
static void chunk_ask(struct client_core *c, uint64_t now_ms, struct chunk *chunk,
                      const struct watch *first)
{
    struct buf params = { 0 }, options = { 0 }, room = { 0 };
    struct client_request request = { .method = METHOD_WATCH_MANY, .args_count = 1 };

    pack_array(&params, chunk->count);
    for (uint32_t i = 0; i < chunk->count; i++) {
        put_entry(&params, watch_find(c, chunk->handles[i]), &room);
    }
    request.params = buf_bytes(&params);
    chunk_send(c, now_ms, chunk, &request, first->resumes, first->complete, &options);
    buf_fini(&params);
    buf_fini(&options);
    buf_fini(&room);
}

static bool go_together(const struct watch *a, const struct watch *b)
{
    return !a->wish.snapshot && !b->wish.snapshot && a->resumes == b->resumes &&
           (!a->resumes || a->complete == b->complete);
}

/* Takes the first that is wanted and those behind it that go with it. */
static struct chunk *chunk_new(struct client_core *c)
{
    const struct watch *first = LIST_FIRST(&c->wanted, struct watch, link);
    struct chunk *chunk =
        mem_zalloc(sizeof *chunk + CHUNK_WATCHES_MAX * sizeof chunk->handles[0]);
    size_t bytes = 0;

    chunk->core = c;
    list_push(&c->chunks, &chunk->link);
    while (!list_empty(&c->wanted) && chunk->count < CHUNK_WATCHES_MAX &&
           bytes < CHUNK_BYTES_MAX) {
        struct watch *w = LIST_FIRST(&c->wanted, struct watch, link);

        if (w != first && !go_together(first, w)) break;
        bytes += w->wish.path.len;
        list_remove(&w->link);
        list_push(&c->watches, &w->link);
        w->state = WATCH_ASKED;
        w->chunk = chunk;
        c->watches_asked++;
        chunk->handles[chunk->count++] = w->handle;
    }
    return chunk;
}

uint64_t watches_next_ms(const struct client_core *c)
{
    const bool waits = c->stage == CLIENT_READY && !list_empty(&c->wanted);

    return waits && c->watches_retry_ms != 0 ? c->watches_retry_ms : NEVER;
}

void watches_flush(struct client_core *c, uint64_t now_ms)
{
    if (now_ms < c->watches_retry_ms) return;
    c->watches_retry_ms = 0;
    while (c->stage == CLIENT_READY && !list_empty(&c->wanted) &&
           c->watches_asked < WATCHES_ASKED_MAX) {
        const struct watch *first = LIST_FIRST(&c->wanted, struct watch, link);
        struct chunk *chunk = chunk_new(c);

        if (chunk->count == 1) watch_ask(c, now_ms, chunk, first);
        else chunk_ask(c, now_ms, chunk, first);
    }
}

uint64_t client_core_watch(struct client_core *c, uint64_t now_ms,
                           const struct client_watch *wish)
{
    struct watch *w;

    if (c->watches_count == CLIENT_WATCHES_MAX || c->ended != 0) return 0;
    w = mem_alloc(sizeof *w + wish->path.len);
    *w = (struct watch){ .state = WATCH_WANTED, .core = c, .wish = *wish };
    w->complete = wish->since;
    w->resumes = wish->since != 0;
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

uint64_t client_core_watch_zxid(const struct client_core *c, uint64_t handle)
{
    const struct watch *w = watch_find(c, handle);

    if (w == NULL || !w->resumes || (w->wish.snapshot && !w->whole)) return 0;
    return w->state == WATCH_ARMED && c->zxid_seen > w->complete ? c->zxid_seen
                                                                 : w->complete;
}

/* --- the end of a connection, of the core --- */

/* What was asked is asked anew rather than again: it may be complete further by now. */
static void chunks_drop(struct client_core *c)
{
    while (!list_empty(&c->chunks)) {
        struct chunk *chunk = LIST_FIRST(&c->chunks, struct chunk, link);

        client_core_cancel(c, chunk->request);
        chunk_free(chunk);
    }
}

void watches_lost(struct client_core *c)
{
    chunks_drop(c);
    LIST_EACH_SAFE(at, after, &c->watches) {
        struct watch *w = CONTAINER_OF(at, struct watch, link);

        if (w->state == WATCH_ARMED) watch_complete(w, c->zxid_seen);
        if (w->state == WATCH_ASKED) c->watches_asked--;
        w->chunk = NULL;
        watch_again(c, w);
    }
}

void watches_end_all(struct client_core *c, int code)
{
    struct list *const lists[] = { &c->wanted, &c->watches };

    chunks_drop(c);
    for (int i = 0; i < 2; i++) {
        while (!list_empty(lists[i])) {
            watch_end(c, LIST_FIRST(lists[i], struct watch, link), code);
        }
    }
}
