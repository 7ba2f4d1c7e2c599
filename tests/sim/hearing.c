#include "tests/sim/hearing.h"

#include <stdlib.h>

#include "core/base/check.h"
#include "core/base/hash.h"
#include "core/tree/path.h"
#include "tests/sim/sim.h"

enum { ZXIDS_MAX = 1 << 15 };

struct happened {
    enum hearing_kind kind;
    uint64_t path, data; /* hashes */
};

struct hearing {
    struct happened *all; /* of all transactions, one after the other */
    size_t count, cap;
    uint32_t *from; /* by zxid: where its events begin; its end is the next one's begin */
    uint64_t newest;
};

void hearing_init(struct world *w)
{
    w->hearing = mem_zalloc(sizeof *w->hearing);
    w->hearing->from = mem_zalloc((ZXIDS_MAX + 2) * sizeof(uint32_t));
}

void hearing_fini(struct world *w)
{
    free(w->hearing->all);
    free(w->hearing->from);
    free(w->hearing);
}

static uint64_t hash_of(struct bytes b)
{
    return hash_bytes(b, 11);
}

void hearing_txn(struct world *w, uint64_t zxid)
{
    struct hearing *h = w->hearing;

    CHECK(zxid < ZXIDS_MAX);
    CHECK(zxid == h->newest + 1);
    h->newest = zxid;
    h->from[zxid] = h->from[zxid + 1] = (uint32_t)h->count;
}

static void happens(struct hearing *h, struct happened what)
{
    if (h->count == h->cap) {
        h->cap = h->cap == 0 ? 4096 : 2 * h->cap;
        h->all = mem_grow(h->all, h->cap * sizeof *h->all);
    }
    h->all[h->count++] = what;
    h->from[h->newest + 1] = (uint32_t)h->count;
}

void hearing_op(struct world *w, enum hearing_kind kind, struct bytes path,
                struct bytes data)
{
    struct hearing *h = w->hearing;

    happens(h, (struct happened){ kind, hash_of(path), hash_of(data) });
    if (kind == HEARING_CHANGED) return;
    happens(h, (struct happened){ HEARING_CHILDREN, hash_of(path_parent(path)), 0 });
}

/* --- what of it concerns a watch --- */

static bool concerns(const struct heard *h, const struct happened *one)
{
    if (one->path != h->path_hash) return false;
    if (one->kind == HEARING_CHILDREN) return h->children;
    return h->data || (h->children && one->kind == HEARING_DELETED);
}

/* The kinds of a transaction that concern it; `last` is the last that brought data. */
static unsigned kinds_of(const struct heard *h, uint64_t zxid, const struct happened **last)
{
    const struct hearing *all = h->world->hearing;
    unsigned kinds = 0;

    for (uint32_t i = all->from[zxid]; i < all->from[zxid + 1]; i++) {
        const struct happened *one = &all->all[i];

        if (!concerns(h, one)) continue;
        kinds |= one->kind;
        if (one->kind == HEARING_CREATED || one->kind == HEARING_CHANGED) *last = one;
    }
    return kinds;
}

static uint64_t newest(const struct heard *h)
{
    return h->world->hearing->newest;
}

/* The first transaction behind what was told that concerns it, up to `end`; 0: none. */
static uint64_t first_untold(struct heard *h, uint64_t end)
{
    const struct happened *last;

    if (h->sure < h->at) h->sure = h->at;
    while (h->sure < end) {
        if (kinds_of(h, h->sure + 1, &last) != 0) return h->sure + 1;
        h->sure++;
    }
    return 0;
}

static _Noreturn void wrong(const struct heard *h, const char *what, uint64_t zxid)
{
    broken(h->world, "guest %u, the watch of %.*s: %s (zxid %" PRIu64 ", told up to %" PRIu64
                     ")", h->guest, (int)h->path.len, (const char *)h->path.ptr, what, zxid,
           h->at);
}

/* --- what it tells --- */

void heard_armed(struct heard *h, uint64_t zxid)
{
    if (h->armed && zxid < h->at) wrong(h, "armed again before what it told", zxid);
    h->path_hash = hash_of(h->path);
    h->armed = true;
    h->at = h->sure = zxid;
    h->told = 0;
}

/* Of a transaction with several ops some may add up; about the node and about its children
 * something must be told when something happened. */
static void must_be_complete(const struct heard *h)
{
    const unsigned node = HEARING_CREATED | HEARING_CHANGED | HEARING_DELETED;
    const struct happened *last;
    unsigned kinds = kinds_of(h, h->at, &last);

    if (((kinds & node) != 0) != ((h->told & node) != 0) ||
        ((kinds ^ h->told) & HEARING_CHILDREN) != 0) {
        wrong(h, "a transaction was told in part", h->at);
    }
}

/* H1: `zxid` is what comes next. */
static void follows(struct heard *h, uint64_t zxid)
{
    uint64_t missed;

    if (zxid > newest(h)) wrong(h, "tells of what was not chosen", zxid); /* H2 */
    if (zxid < h->at || (zxid == h->at && h->told == 0)) wrong(h, "goes back", zxid);
    if (zxid == h->at) return;
    if (h->told != 0) must_be_complete(h);
    missed = first_untold(h, zxid - 1);
    if (missed != 0) wrong(h, "left one out", missed);
    h->at = h->sure = zxid;
    h->told = 0;
}

void heard_event(struct heard *h, enum hearing_kind kind, uint64_t zxid, struct bytes path,
                 struct bytes data)
{
    const struct happened *last = NULL;
    unsigned kinds;

    if (!h->armed) wrong(h, "tells before it is armed", zxid);
    follows(h, zxid);
    kinds = kinds_of(h, zxid, &last);
    if ((kinds & kind) == 0) wrong(h, "tells of what did not happen", zxid);
    if ((h->told & kind) != 0) wrong(h, "tells it twice", zxid);
    if (!bytes_equal(path, h->path)) wrong(h, "tells of another path", zxid);
    h->told |= kind;
    if (!h->value || (kind & (HEARING_CREATED | HEARING_CHANGED)) == 0) return;
    if (last == NULL || hash_of(data) != last->data) wrong(h, "tells other data", zxid);
}

void heard_shown(struct heard *h, uint64_t zxid)
{
    uint64_t missed = h->armed && zxid <= newest(h) ? first_untold(h, zxid) : 0;

    if (missed != 0) wrong(h, "an answer came before the event", missed);
}

bool heard_all(struct heard *h)
{
    return first_untold(h, newest(h)) == 0;
}
