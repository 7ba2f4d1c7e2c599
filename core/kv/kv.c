#include "core/kv/kv.h"

#include <stdlib.h>

#include "core/base/check.h"
#include "core/kv/gaps.h"
#include "core/kv/order.h"
#include "core/kv/seek.h"

enum {
    ROOM_SPARE_MAX = 64,  /* bytes that a shorter value may leave unused where it lies */
    COPY_BYTES_MAX = 256, /* up to here a copy is cheaper than to exchange an entry */
    DIGEST_DELETED = 1,   /* stands in a digest for the value of a deletion */
};

/* -- Views ---------------------------------------------------------------------------- */

bool kv_first(struct kv_view *v, struct bytes prefix, struct buf *key)
{
    struct bytes value;

    if (prefix.len > 0 && kv_get(v, prefix, &value)) {
        buf_clear(key);
        buf_put_bytes_raw(key, prefix);
        return true;
    }
    return kv_seek(v, prefix, prefix, KV_FORWARD, key);
}

bool kv_last(struct kv_view *v, struct bytes prefix, struct buf *key)
{
    struct buf end = { 0 };
    bool found;

    kv_prefix_end(prefix, &end);
    found = kv_seek(v, prefix, buf_bytes(&end), KV_BACKWARD, key);
    buf_fini(&end);
    return found;
}

bool kv_next(struct kv_view *v, struct bytes prefix, struct buf *key)
{
    struct bytes from = key->len == 0 ? prefix : buf_bytes(key);
    struct buf next = { 0 };
    bool found = kv_seek(v, prefix, from, KV_FORWARD, &next);

    buf_fini(key);
    *key = next;
    if (!found) buf_fini(key);
    return found;
}

void kv_prefix_end(struct bytes prefix, struct buf *out)
{
    buf_clear(out);
    while (prefix.len > 0 && prefix.ptr[prefix.len - 1] == 0xff) prefix.len--;
    buf_put_bytes_raw(out, prefix);
    if (prefix.len == 0) buf_put_u8(out, 0xff);
    else out->ptr[out->len - 1]++;
}

/* -- Entries -------------------------------------------------------------------------- */

static struct kv_entry *entry_of_stamp(struct list *l)
{
    return CONTAINER_OF(l, struct kv_entry, by_stamp);
}

static size_t entry_room(size_t key_len, size_t value_room)
{
    return offsetof(struct kv_entry, data) + key_len + value_room;
}

static struct kv_entry *entry_new(struct kv_overlay *o, struct bytes key, uint64_t hash,
                                  size_t value_len)
{
    size_t room = kv_pool_room(entry_room(key.len, value_len));
    struct kv_entry *e = kv_pool_alloc(&o->pool, room);

    CHECK(key.len <= UINT32_MAX);
    CHECK(room - entry_room(key.len, 0) <= UINT32_MAX);
    e->hash = hash;
    e->key_len = (uint32_t) key.len;
    e->value_len = (uint32_t) value_len;
    e->value_room = (uint32_t) (room - entry_room(key.len, 0));
    if (key.len > 0) memcpy(e->data, key.ptr, key.len);
    return e;
}

static void entry_free(struct kv_overlay *o, struct kv_entry *e)
{
    kv_pool_free(&o->pool, e, entry_room(e->key_len, e->value_room));
}

/* True when a value of `len` bytes may lie where the old one does: it fits, and a small
 * value does not keep the memory of a large one. */
static bool entry_fits(const struct kv_entry *e, size_t len)
{
    return len <= e->value_room && e->value_room - len <= ROOM_SPARE_MAX;
}

/* value->ptr == NULL makes it a deletion. `value` may lie in this very entry. */
static void entry_set(struct kv_entry *e, struct bytes value)
{
    CHECK(value.len <= e->value_room);
    if (value.len > 0) memmove(e->data + e->key_len, value.ptr, value.len);
    e->value_len = (uint32_t) value.len;
    e->deleted = value.ptr == NULL;
}

static size_t entry_bytes(const struct kv_entry *e)
{
    return (size_t) e->key_len + e->value_len;
}

/* Makes `e`, which is in no list, the newest change. */
static void overlay_stamp(struct kv_overlay *o, struct kv_entry *e, uint64_t stamp)
{
    struct list *newest = o->by_stamp.prev;

    CHECK(list_empty(&o->by_stamp) || entry_of_stamp(newest)->stamp <= stamp);
    e->stamp = stamp;
    list_push(&o->by_stamp, &e->by_stamp);
}

static void overlay_loosen(struct kv_overlay *o, struct kv_entry *e)
{
    e->loose = true;
    list_push(&o->loose, &e->by_loose);
}

static void overlay_insert(struct kv_overlay *o, struct kv_entry *e, uint64_t stamp)
{
    kv_table_add(&o->table, o->count, e);
    overlay_loosen(o, e);
    overlay_stamp(o, e, stamp);
    o->count++;
    o->bytes += entry_bytes(e);
}

/* Takes `e` out of the tree, or out of those that are not in it yet. */
static void overlay_unorder(struct kv_overlay *o, struct kv_entry *e)
{
    if (e->loose) list_remove(&e->by_loose);
    else order_remove(&o->root, e);
}

static void overlay_remove(struct kv_overlay *o, struct kv_entry *e)
{
    kv_table_remove(&o->table, e);
    overlay_unorder(o, e);
    list_remove(&e->by_stamp);
    o->count--;
    o->bytes -= entry_bytes(e);
    entry_free(o, e);
}

static void overlay_replace(struct kv_overlay *o, struct kv_entry *old, struct kv_entry *e,
                            uint64_t stamp)
{
    kv_table_replace(&o->table, old, e);
    e->is_new = old->is_new;
    overlay_unorder(o, old);
    overlay_loosen(o, e);
    list_remove(&old->by_stamp);
    overlay_stamp(o, e, stamp);
    o->bytes += entry_bytes(e);
    o->bytes -= entry_bytes(old);
    entry_free(o, old);
}

static void overlay_rewrite(struct kv_overlay *o, struct kv_entry *e, struct bytes value,
                            uint64_t stamp)
{
    o->bytes -= entry_bytes(e);
    entry_set(e, value);
    o->bytes += entry_bytes(e);
    list_remove(&e->by_stamp);
    overlay_stamp(o, e, stamp);
}

/* -- Changes -------------------------------------------------------------------------- */

static void digest_change(struct kv_overlay *o, struct bytes key, struct bytes value)
{
    if (!o->digesting) return;
    o->digest = hash_bytes(key, o->digest);
    o->digest = value.ptr == NULL ? hash_u64(DIGEST_DELETED, o->digest)
                                  : hash_bytes(value, o->digest);
}

/* A deletion leaves a mark when there may be something below for it to hide. */
static bool needs_mark(const struct kv_overlay *o, const struct kv_entry *old)
{
    return o->below != NULL && !(o->settled && old != NULL && old->is_new); /* K4 */
}

/* A key on its way into an overlay, and the own entry of it that is there by now. */
struct place {
    struct bytes key;
    uint64_t hash;
    struct kv_entry *old;
};

static struct place place_of(const struct kv_overlay *o, struct bytes key)
{
    uint64_t hash = hash_bytes(key, o->view.seed);

    return (struct place){ key, hash, kv_table_find(&o->table, key, hash) };
}

/* A put, or with a value->ptr == NULL a deletion that needs a mark. */
static void put_at(struct kv_overlay *o, const struct place *at, struct bytes value,
                   bool is_new, uint64_t stamp)
{
    struct kv_entry *e;

    if (at->old == NULL || at->old->deleted != (value.ptr == NULL)) {
        seek_note(o, at->key, value.ptr != NULL);
    }
    if (at->old != NULL && entry_fits(at->old, value.len)) {
        overlay_rewrite(o, at->old, value, stamp);
        return;
    }
    e = entry_new(o, at->key, at->hash, value.len);
    entry_set(e, value);
    e->is_new = is_new;
    if (at->old == NULL) overlay_insert(o, e, stamp);
    else overlay_replace(o, at->old, e, stamp);
}

static void put(struct kv_overlay *o, struct bytes key, struct bytes value, bool is_new,
                uint64_t stamp)
{
    struct place at = place_of(o, key);

    if (value.len == 0) value = BYTES_LIT(""); /* it is a value, even when null */
    CHECK(IMPLIES(is_new, at.old == NULL || at.old->deleted));
    digest_change(o, key, value);
    put_at(o, &at, value, is_new, stamp);
}

static void delete_at(struct kv_overlay *o, const struct place *at, uint64_t stamp)
{
    const struct bytes none = { 0 };

    digest_change(o, at->key, none);
    if (needs_mark(o, at->old)) {
        put_at(o, at, none, false, stamp);
    } else if (at->old != NULL) {
        seek_note(o, at->key, false);
        overlay_remove(o, at->old);
    }
}

void kv_put(struct kv_overlay *o, struct bytes key, struct bytes value, uint64_t stamp)
{
    put(o, key, value, false, stamp);
}

void kv_put_new(struct kv_overlay *o, struct bytes key, struct bytes value, uint64_t stamp)
{
    put(o, key, value, true, stamp);
}

void kv_delete(struct kv_overlay *o, struct bytes key, uint64_t stamp)
{
    struct place at = place_of(o, key);

    delete_at(o, &at, stamp);
}

/* What the layers below the own one say. */
static bool below_get(const struct kv_overlay *o, struct bytes key, uint64_t hash,
                      struct bytes *value)
{
    if (o->below == NULL) return false;
    if (o->below->seed != o->view.seed) return kv_get(o->below, key, value);
    return o->below->get(o->below, key, hash, value);
}

bool kv_take(struct kv_overlay *o, struct bytes key, uint64_t stamp)
{
    struct place at = place_of(o, key);
    struct bytes value;

    if (at.old == NULL && !below_get(o, key, at.hash, &value)) return false;
    if (at.old != NULL && at.old->deleted) return false;
    delete_at(o, &at, stamp);
    return true;
}

void kv_overlay_forget(struct kv_overlay *o, uint64_t stamp)
{
    while (!list_empty(&o->by_stamp)) {
        struct kv_entry *oldest = entry_of_stamp(o->by_stamp.next);

        if (oldest->stamp > stamp) return;
        overlay_remove(o, oldest);
    }
    kv_pool_clear(&o->pool); /* a burst's memory is not kept */
}

/* Of the entries no large one is left. */
static void overlay_empty(struct kv_overlay *o)
{
    kv_table_clear(&o->table, o->count);
    kv_pool_clear(&o->pool);
    list_init(&o->by_stamp);
    list_init(&o->loose);
    o->root = NULL;
    o->count = 0;
    o->bytes = 0;
}

void kv_overlay_clear(struct kv_overlay *o)
{
    if (o->pool.large > 0) {
        LIST_EACH_SAFE(at, after, &o->by_stamp) entry_free(o, entry_of_stamp(at));
    }
    overlay_empty(o);
    seek_forget(o);
}

/* -- Moving --------------------------------------------------------------------------- */

struct move {
    struct kv_overlay *from, *to;
    uint64_t stamp;
    bool rehash;
};

/* Another overlay's entry as one of `to`: a small one is copied, a large one handed on. */
static struct kv_entry *entry_take(struct kv_overlay *from, struct kv_overlay *to,
                                   struct kv_entry *e)
{
    size_t room = entry_room(e->key_len, e->value_room);
    struct kv_entry *own;

    if (kv_pool_is_large(room)) {
        kv_pool_pass(&from->pool, &to->pool);
        return e;
    }
    own = kv_pool_alloc(&to->pool, room);
    memcpy(own, e, entry_room(e->key_len, e->value_len));
    return own;
}

static void move_entry(void *ctx, struct kv_entry *e)
{
    const struct move *m = ctx;
    struct kv_overlay *to = m->to;
    struct bytes value = e->deleted ? (struct bytes){ 0 } : entry_value(e);
    struct kv_entry *old;

    digest_change(to, entry_key(e), value);
    if (m->rehash) e->hash = hash_bytes(entry_key(e), to->view.seed);
    old = kv_table_find(&to->table, entry_key(e), e->hash);
    seek_note(to, entry_key(e), !e->deleted);
    if (e->deleted && !needs_mark(to, old)) {
        if (old != NULL) overlay_remove(to, old);
        entry_free(m->from, e);
    } else if (old != NULL && value.len <= COPY_BYTES_MAX && entry_fits(old, value.len)) {
        overlay_rewrite(to, old, value, m->stamp);
        entry_free(m->from, e);
    } else if (old != NULL) {
        overlay_replace(to, old, entry_take(m->from, to, e), m->stamp);
    } else {
        e->is_new = false; /* it may be, but `to` was not told */
        overlay_insert(to, entry_take(m->from, to, e), m->stamp);
    }
}

void kv_overlay_move(struct kv_overlay *from, struct kv_overlay *to, uint64_t stamp)
{
    struct move m = { .from = from,
                      .to = to,
                      .stamp = stamp,
                      .rehash = from->view.seed != to->view.seed };

    CHECK(from != to);
    if (to->digesting) {
        overlay_order(from);
        order_walk(from->root, move_entry, &m);
    } else {
        LIST_EACH_SAFE(at, after, &from->by_stamp) move_entry(&m, entry_of_stamp(at));
    }
    overlay_empty(from);
}

void kv_overlay_hand(struct kv_overlay *from, struct kv_overlay *to)
{
    struct kv_overlay old = *to;

    CHECK(to->count == 0);
    CHECK(to->pool.large == 0);
    CHECK(to->view.seed == from->view.seed);
    seek_forget(to);
    to->count = from->count;
    to->bytes = from->bytes;
    to->root = from->root;
    to->table = from->table;
    to->pool = from->pool;
    list_splice(&to->by_stamp, &from->by_stamp);
    list_splice(&to->loose, &from->loose);
    from->count = from->bytes = 0;
    from->root = NULL;
    from->table = old.table; /* empty, but of the right size already */
    from->pool = old.pool;
}

/* -- Reading -------------------------------------------------------------------------- */

static bool overlay_get(struct kv_view *v, struct bytes key, uint64_t hash,
                        struct bytes *value)
{
    const struct kv_overlay *o = (const struct kv_overlay *) v;
    const struct kv_entry *e = NULL;

    if (o->count > 0) e = kv_table_find(&o->table, key, hash);
    if (e == NULL) return below_get(o, key, hash, value);
    if (!e->deleted) *value = entry_value(e);
    return !e->deleted; /* K2 */
}

struct visit {
    kv_each_fn each;
    void *ctx;
};

static void visit_entry(void *ctx, struct kv_entry *e)
{
    const struct visit *visit = ctx;
    struct bytes value = e->deleted ? (struct bytes){ 0 } : entry_value(e);

    visit->each(visit->ctx, entry_key(e), value, e->stamp);
}

void kv_overlay_each(struct kv_overlay *o, kv_each_fn each, void *ctx)
{
    struct visit visit = { .each = each, .ctx = ctx };

    overlay_order(o);
    order_walk(o->root, visit_entry, &visit);
}

bool kv_overlay_step(const struct kv_overlay *o, const struct list **at,
                     struct kv_change *change)
{
    const struct list *next = *at == NULL ? o->by_stamp.next : (*at)->next;
    const struct kv_entry *e;

    if (next == &o->by_stamp) return false;
    e = CONTAINER_OF(next, const struct kv_entry, by_stamp);
    *at = next;
    change->key = entry_key(e);
    change->value = e->deleted ? (struct bytes){ 0 } : entry_value(e);
    change->hash = e->hash;
    change->is_new = e->is_new;
    return true;
}

/* -- Life ----------------------------------------------------------------------------- */

void kv_overlay_init(struct kv_overlay *o, struct kv_view *below, uint64_t seed)
{
    *o = (struct kv_overlay){ .view = { .seed = seed,
                                        .get = overlay_get,
                                        .seek = overlay_seek },
                              .below = below };
    list_init(&o->by_stamp);
    list_init(&o->loose);
}

void kv_overlay_remember(struct kv_overlay *o)
{
    if (o->gaps == NULL) o->gaps = gaps_new(o->view.seed);
}

void kv_overlay_fini(struct kv_overlay *o)
{
    kv_overlay_clear(o);
    kv_table_fini(&o->table);
    kv_pool_fini(&o->pool);
    gaps_free(o->gaps);
    o->gaps = NULL;
}

static void check_stamps(const struct kv_overlay *o)
{
    uint64_t stamp = 0;

    LIST_EACH(at, &o->by_stamp) {
        CHECK(entry_of_stamp(at)->stamp >= stamp);
        stamp = entry_of_stamp(at)->stamp;
    }
}

static bool is_below(const struct kv_overlay *o, struct bytes key)
{
    struct bytes value;

    return o->below != NULL && kv_get(o->below, key, &value);
}

static size_t loose_count(const struct kv_overlay *o)
{
    size_t count = 0;

    LIST_EACH(at, &o->loose)
    {
        CHECK(entry_of_loose(at)->loose);
        count++;
    }
    return count;
}

static void check_entries(const struct kv_overlay *o)
{
    size_t count = 0, bytes = 0, large = 0;

    LIST_EACH(at, &o->by_stamp) {
        const struct kv_entry *e = entry_of_stamp(at);

        CHECK(e->hash == hash_bytes(entry_key(e), o->view.seed));
        CHECK(IMPLIES(e->deleted, needs_mark(o, e)));
        CHECK(IMPLIES(o->settled && e->is_new, !is_below(o, entry_key(e)))); /* K4 */
        if (kv_pool_is_large(entry_room(e->key_len, e->value_room))) large++;
        count++;
        bytes += entry_bytes(e);
    }
    CHECK(count == o->count);
    CHECK(bytes == o->bytes);
    CHECK(large == o->pool.large);
}

void kv_overlay_check(struct kv_overlay *o)
{
    size_t loose = loose_count(o);

    CHECK(kv_table_check(&o->table) == o->count);
    CHECK(order_check(o->root) + loose == o->count);
    check_entries(o);
    check_stamps(o);
    seek_check(o);
}
