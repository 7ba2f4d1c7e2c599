#include "core/kv/seek.h"

#include <stdlib.h>

#include "core/base/check.h"
#include "core/kv/gaps.h"
#include "core/kv/order.h"

void overlay_order(struct kv_overlay *o)
{
    struct kv_entry **entries;
    size_t count = 0;

    if (list_empty(&o->loose)) return;
    entries = mem_alloc(o->count * sizeof *entries);
    LIST_EACH(at, &o->loose) entries[count++] = entry_of_loose(at);
    list_init(&o->loose); /* the links are the tree's from here on */
    order_insert(&o->root, entries, count);
    free(entries);
}

static bool starts_with(struct bytes key, struct bytes prefix)
{
    return key.len >= prefix.len && bytes_equal(bytes_of(key.ptr, prefix.len), prefix);
}

static void buf_set(struct buf *b, struct bytes s)
{
    buf_clear(b);
    buf_put_bytes_raw(b, s);
}

/* -- Merging -------------------------------------------------------------------------- */

/* The own change nearest to `from` with the prefix, deletions included, or NULL. */
static struct kv_entry *own_next(struct kv_overlay *o, struct bytes prefix,
                                 struct bytes from, enum kv_direction direction)
{
    struct kv_entry *e = order_next(o->root, from, direction);

    return e != NULL && starts_with(entry_key(e), prefix) ? e : NULL;
}

static bool below_seek(struct kv_overlay *o, struct bytes prefix, struct bytes from,
                       enum kv_direction direction, struct buf *key)
{
    buf_clear(key);
    return o->below != NULL && kv_seek(o->below, prefix, from, direction, key);
}

/* `key` holds the nearest key from below until an own one turns out to be nearer. cmp < 0:
 * the own one is. */
static bool merged_seek(struct kv_overlay *o, struct bytes prefix, struct bytes from,
                        enum kv_direction direction, struct buf *key)
{
    overlay_order(o);

    struct kv_entry *own = own_next(o, prefix, from, direction);
    bool below = below_seek(o, prefix, from, direction, key);

    while (own != NULL) {
        int cmp = below ? bytes_cmp(entry_key(own), buf_bytes(key)) : -1;

        if (direction == KV_BACKWARD && below) cmp = -cmp;
        if (cmp > 0) return true;
        if (!own->deleted) {
            buf_set(key, entry_key(own));
            return true;
        }
        if (cmp == 0) below = below_seek(o, prefix, entry_key(own), direction, key);
        own = own_next(o, prefix, entry_key(own), direction);
    }
    return below;
}

/* -- Remembering ---------------------------------------------------------------------- */

/* What is asked, and where the seek stands on its way through the gaps. */
struct search {
    struct kv_overlay *o;
    struct bytes prefix;
    enum kv_direction direction;
    struct buf start; /* all between here ... */
    struct buf at;    /* ... and here is empty */
    enum kv_end_kind start_kind, at_kind;
};

static struct kv_end *end_ahead(const struct search *s, struct kv_gap *gap)
{
    return s->direction == KV_FORWARD ? &gap->high : &gap->low;
}

static struct kv_end *end_behind(const struct search *s, struct kv_gap *gap)
{
    return s->direction == KV_FORWARD ? &gap->low : &gap->high;
}

static void stand_at(struct search *s, struct bytes key, enum kv_end_kind kind)
{
    buf_set(&s->at, key);
    s->at_kind = kind;
}

static void start_at(struct search *s, struct bytes key, enum kv_end_kind kind)
{
    buf_set(&s->start, key);
    s->start_kind = kind;
}

enum verdict { FOUND, NONE, GO_ON };

/* What this end of a gap says to who has come through the gap. */
static enum verdict verdict_of(const struct search *s, struct kv_end *end)
{
    struct bytes key = buf_bytes(&end->key), value;

    if (!starts_with(key, s->prefix)) return NONE; /* all further keys are as far away */
    if (end->kind == KV_END_UNKNOWN) {
        end->kind = kv_get(&s->o->view, key, &value) ? KV_END_KEY : KV_END_FREE; /* G2 */
    }
    if (end->kind == KV_END_KEY) return FOUND;
    return s->direction == KV_BACKWARD && bytes_equal(key, s->prefix) ? NONE : GO_ON;
}

/* On through the gaps that begin where it stands. */
static enum verdict pass_gaps(struct search *s)
{
    enum verdict verdict = GO_ON;

    while (verdict == GO_ON) {
        struct kv_gap *gap =
            gaps_find(s->o->gaps, s->prefix, buf_bytes(&s->at), s->direction);

        if (gap == NULL) return GO_ON;
        verdict = verdict_of(s, end_ahead(s, gap));
        stand_at(s, buf_bytes(&end_ahead(s, gap)->key), end_ahead(s, gap)->kind);
    }
    return verdict;
}

/* On through what nobody has passed since. */
static bool pass_unknown(struct search *s, struct buf *key)
{
    bool found = merged_seek(s->o, s->prefix, buf_bytes(&s->at), s->direction, key);

    if (found) {
        stand_at(s, buf_bytes(key), KV_END_KEY);
    } else if (s->direction == KV_FORWARD) {
        kv_prefix_end(s->prefix, &s->at);
        s->at_kind = KV_END_UNKNOWN;
    } else {
        stand_at(s, s->prefix, KV_END_FREE); /* it would have been found itself */
    }
    return found;
}

static void learn(const struct search *s)
{
    struct bytes start = buf_bytes(&s->start), at = buf_bytes(&s->at);
    struct kv_gap_range range = { start, at, s->start_kind, s->at_kind };

    if (bytes_equal(start, at)) return;
    if (s->direction == KV_BACKWARD) {
        range = (struct kv_gap_range){ at, start, s->at_kind, s->start_kind };
    }
    gaps_learn(s->o->gaps, s->prefix, &range);
}

/* `gap`, or NULL, is the one in which it begins. */
static bool search_on(struct search *s, struct bytes from, struct kv_gap *gap,
                      struct buf *key)
{
    if (gap == NULL) {
        start_at(s, from, KV_END_UNKNOWN);
        stand_at(s, from, KV_END_UNKNOWN);
    } else {
        start_at(s, buf_bytes(&end_behind(s, gap)->key), end_behind(s, gap)->kind);
        stand_at(s, buf_bytes(&end_ahead(s, gap)->key), end_ahead(s, gap)->kind);
    }
    enum verdict verdict = pass_gaps(s);
    bool found = verdict == FOUND;
    if (verdict == GO_ON)
        found = pass_unknown(s, key);
    else if (found)
        buf_set(key, buf_bytes(&s->at));
    learn(s);
    buf_fini(&s->start);
    buf_fini(&s->at);
    return found;
}

static bool remembering_seek(struct search *s, struct bytes from, struct buf *key)
{
    struct kv_gap *gap = gaps_find(s->o->gaps, s->prefix, from, s->direction);
    enum verdict verdict = gap == NULL ? GO_ON : verdict_of(s, end_ahead(s, gap));

    if (verdict == GO_ON) return search_on(s, from, gap, key);
    buf_clear(key);
    if (verdict == FOUND) buf_put_bytes_raw(key, buf_bytes(&end_ahead(s, gap)->key));
    return verdict == FOUND;
}

/* What is asked for together stands in one family; a walk of the whole state does not. */
static bool is_remembered(const struct kv_overlay *o, struct bytes prefix)
{
    return o->gaps != NULL && gaps_family(prefix) > 0;
}

bool overlay_seek(struct kv_view *v, struct bytes prefix, struct bytes from,
                  enum kv_direction direction, struct buf *key)
{
    struct kv_overlay *o = (struct kv_overlay *)v;
    struct search s = { .o = o, .prefix = prefix, .direction = direction };

    if (!is_remembered(o, prefix)) return merged_seek(o, prefix, from, direction, key);
    return remembering_seek(&s, from, key);
}

void seek_note(struct kv_overlay *o, struct bytes key, bool there)
{
    if (o->gaps == NULL) return;
    if (there)
        gaps_put(o->gaps, key);
    else
        gaps_deleted(o->gaps, key);
}

void seek_forget(struct kv_overlay *o)
{
    if (o->gaps != NULL) gaps_clear(o->gaps);
}

/* -- Checking ------------------------------------------------------------------------- */

static void check_end(struct kv_overlay *o, const struct kv_end *end)
{
    struct bytes value;

    if (end->kind == KV_END_UNKNOWN) return;
    CHECK(kv_get(&o->view, buf_bytes(&end->key), &value) ==
          (end->kind == KV_END_KEY)); /* G2 */
}

static void check_gap(void *ctx, const struct kv_gap *gap)
{
    struct kv_overlay *o = ctx;
    struct buf next = { 0 };

    check_end(o, &gap->low);
    check_end(o, &gap->high);
    if (merged_seek(o, (struct bytes){ 0 }, buf_bytes(&gap->low.key), KV_FORWARD, &next)) {
        CHECK(bytes_cmp(buf_bytes(&next), buf_bytes(&gap->high.key)) >= 0); /* G1 */
    }
    buf_fini(&next);
}

void seek_check(struct kv_overlay *o)
{
    if (o->gaps != NULL) gaps_each(o->gaps, check_gap, o);
}
