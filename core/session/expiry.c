#include "core/session/expiry.h"

#include <stdlib.h>

#include "core/base/bytes.h"
#include "core/base/check.h"
#include "core/base/hash.h"

/* A lease is found by its id in a table, and by its turn in a binary heap. A renewal moves
 * only the deadline: `turn`, by which the heap is ordered, stays at or below it, and is put
 * right when the lease comes to the top. So a renewal costs one look into the table. */
struct lease {
    struct lease *chain; /* next in the same bucket */
    uint64_t id;
    uint64_t timeout_ms;
    uint64_t deadline; /* as are `turn`s: without expiry.shift_ms */
    uint64_t turn;     /* <= deadline */
    size_t at;         /* in the heap */
};

struct expiry {
    struct lease **table;
    struct lease **heap; /* by turn, then id; the children of i are at 2i+1 and 2i+2 */
    size_t size;         /* of both, a power of two */
    size_t count;
    uint64_t shift_ms; /* what all deadlines have moved by: E2 */
};

enum { SIZE_MIN = 16 };

/* -- The heap ------------------------------------------------------------------------- */

static bool is_before(const struct lease *a, const struct lease *b)
{
    return a->turn != b->turn ? a->turn < b->turn : a->id < b->id;
}

static void heap_set(struct expiry *e, size_t at, struct lease *l)
{
    e->heap[at] = l;
    l->at = at;
}

static void heap_up(struct expiry *e, struct lease *l)
{
    size_t at = l->at;

    for (; at > 0 && is_before(l, e->heap[(at - 1) / 2]); at = (at - 1) / 2) {
        heap_set(e, at, e->heap[(at - 1) / 2]);
    }
    heap_set(e, at, l);
}

static void heap_down(struct expiry *e, struct lease *l)
{
    size_t at = l->at;

    for (;;) {
        size_t child = 2 * at + 1;

        if (child >= e->count) break;
        if (child + 1 < e->count && is_before(e->heap[child + 1], e->heap[child])) child++;
        if (!is_before(e->heap[child], l)) break;
        heap_set(e, at, e->heap[child]);
        at = child;
    }
    heap_set(e, at, l);
}

/* -- The table ------------------------------------------------------------------------ */

/* Ids are zxids, which nobody chooses, so no seed is needed. */
static struct lease **bucket_of(const struct expiry *e, uint64_t id)
{
    return &e->table[hash_u64(id, 0) & (e->size - 1)];
}

static struct lease *find(const struct expiry *e, uint64_t id)
{
    struct lease *l = e->count == 0 ? NULL : *bucket_of(e, id);

    while (l != NULL && l->id != id) l = l->chain;
    return l;
}

static void table_add(struct expiry *e, struct lease *l)
{
    struct lease **bucket = bucket_of(e, l->id);

    l->chain = *bucket;
    *bucket = l;
}

static void table_remove(struct expiry *e, const struct lease *l)
{
    struct lease **link = bucket_of(e, l->id);

    while (*link != l) link = &(*link)->chain;
    *link = l->chain;
}

static void grow(struct expiry *e)
{
    e->size = e->size == 0 ? SIZE_MIN : 2 * e->size;
    e->heap = mem_grow(e->heap, e->size * sizeof(struct lease *));
    free(e->table);
    e->table = mem_zalloc(e->size * sizeof(struct lease *));
    for (size_t i = 0; i < e->count; i++) table_add(e, e->heap[i]);
}

/* -- Leases --------------------------------------------------------------------------- */

/* E1: a clock that went back, or a shift larger than the deadline, changes nothing. */
static void renew(const struct expiry *e, struct lease *l, uint64_t now_ms)
{
    uint64_t deadline = now_ms + l->timeout_ms;

    deadline = deadline > e->shift_ms ? deadline - e->shift_ms : 0;
    if (deadline > l->deadline) l->deadline = deadline;
}

static void take_out(struct expiry *e, struct lease *l)
{
    struct lease *last = e->heap[--e->count];

    table_remove(e, l);
    if (last != l) {
        heap_set(e, l->at, last);
        heap_up(e, last);
        heap_down(e, last);
    }
    free(l);
}

void expiry_add(struct expiry *e, uint64_t id, uint64_t timeout_ms, uint64_t now_ms)
{
    struct lease *l = find(e, id);

    CHECK(id != 0);
    if (l != NULL) {
        l->timeout_ms = timeout_ms;
        renew(e, l, now_ms);
        return;
    }
    if (e->count == e->size) grow(e);
    l = mem_zalloc(sizeof *l);
    l->id = id;
    l->timeout_ms = timeout_ms;
    renew(e, l, now_ms);
    l->turn = l->deadline;
    table_add(e, l);
    heap_set(e, e->count++, l);
    heap_up(e, l);
}

void expiry_remove(struct expiry *e, uint64_t id)
{
    struct lease *l = find(e, id);

    if (l != NULL) take_out(e, l);
}

bool expiry_renew(struct expiry *e, uint64_t id, uint64_t now_ms)
{
    struct lease *l = find(e, id);

    if (l != NULL) renew(e, l, now_ms);
    return l != NULL;
}

void expiry_stalled(struct expiry *e, uint64_t lost_ms)
{
    e->shift_ms += lost_ms;
}

uint64_t expiry_take_due(struct expiry *e, uint64_t now_ms)
{
    while (e->count > 0) {
        struct lease *first = e->heap[0];
        uint64_t id = first->id;

        if (first->turn + e->shift_ms > now_ms) return 0;
        if (first->turn == first->deadline) {
            take_out(e, first);
            return id;
        }
        first->turn = first->deadline;
        heap_down(e, first);
    }
    return 0;
}

uint64_t expiry_count(const struct expiry *e)
{
    return e->count;
}

/* -- Life ----------------------------------------------------------------------------- */

struct expiry *expiry_new(void)
{
    return mem_zalloc(sizeof(struct expiry));
}

void expiry_clear(struct expiry *e)
{
    for (size_t i = 0; i < e->count; i++) free(e->heap[i]);
    free(e->heap);
    free(e->table);
    *e = (struct expiry){ 0 };
}

void expiry_free(struct expiry *e)
{
    if (e == NULL) return;
    expiry_clear(e);
    free(e);
}
