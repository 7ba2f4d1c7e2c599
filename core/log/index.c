#include "core/log/index.h"

#include <stdlib.h>

#include "core/base/bytes.h"
#include "core/base/check.h"

enum { RING_SIZE_FIRST = 256 };

void log_index_init(struct log_index *ix, uint64_t chosen)
{
    *ix = (struct log_index){
        .size = RING_SIZE_FIRST, .first = chosen + 1, .end = chosen + 1, .chosen = chosen
    };
    ix->ring = mem_zalloc(ix->size * sizeof *ix->ring);
}

void log_index_fini(struct log_index *ix)
{
    free(ix->ring);
    *ix = (struct log_index){ 0 };
}

static struct log_entry *entry_of(const struct log_index *ix, uint64_t slot)
{
    return &ix->ring[slot & (ix->size - 1)];
}

static bool is_present(const struct log_entry *e)
{
    return e->item != NULL || e->place.len > 0;
}

struct log_entry *log_index_at(const struct log_index *ix, uint64_t slot)
{
    if (slot < ix->first || slot >= ix->end) return NULL;

    struct log_entry *e = entry_of(ix, slot);
    return is_present(e) ? e : NULL;
}

static void ring_double(struct log_index *ix)
{
    struct log_index larger = *ix;

    larger.size = ix->size * 2;
    larger.ring = mem_zalloc(larger.size * sizeof *larger.ring);
    for (uint64_t slot = ix->first; slot < ix->end; slot++) {
        *entry_of(&larger, slot) = *entry_of(ix, slot);
    }
    free(ix->ring);
    *ix = larger;
}

static void put(struct log_index *ix, uint64_t slot, struct log_entry e)
{
    if (slot < ix->first) return;
    while (slot - ix->first >= ix->size)
        ring_double(ix);
    for (; ix->end <= slot; ix->end++)
        *entry_of(ix, ix->end) = (struct log_entry){ 0 };
    *entry_of(ix, slot) = e;
}

static void drop_below(struct log_index *ix, uint64_t slot)
{
    if (slot <= ix->first) return;
    ix->first = slot;
    if (ix->end < slot) ix->end = slot;
}

static void choose(struct log_index *ix, uint64_t chosen)
{
    if (chosen <= ix->chosen) return;

    uint64_t from = ix->chosen + 1 > ix->first ? ix->chosen + 1 : ix->first;
    uint64_t absent = chosen >= ix->end ? chosen : 0; /* the highest; 0 = none */
    for (uint64_t slot = from; absent < chosen && slot <= chosen; slot++) {
        if (!is_present(entry_of(ix, slot))) absent = slot;
    }
    drop_below(ix, absent + 1);
    ix->chosen = chosen;
    CHECK(ix->first <= ix->chosen + 1); /* X1 */
}

bool log_index_note(struct log_index *ix, const struct log_record *r, struct log_entry e)
{
    uint64_t slot = r->vote.slot;

    if (slot != 0) {
        /* First what is chosen below the slot, so that the ring never spans a gap that a
         * snapshot left; then the slot; and only then what is chosen from it on. */
        choose(ix, r->chosen < slot ? r->chosen : slot - 1);
        if (slot > ix->chosen + WINDOW_MAX) return false;
        put(ix, slot, e);
        if (r->kind == LOG_CHOSEN && slot == ix->chosen + 1) choose(ix, slot);
    }
    choose(ix, r->chosen);
    return true;
}

void log_index_drop(struct log_index *ix, uint32_t segment)
{
    uint64_t kept = ix->first;

    for (uint64_t slot = ix->first; slot < ix->end && slot <= ix->chosen; slot++) {
        const struct log_entry *e = entry_of(ix, slot);
        if (e->item == NULL && e->place.segment < segment) kept = slot + 1;
    }
    drop_below(ix, kept);
}

void log_index_forget(struct log_index *ix, uint64_t slot)
{
    choose(ix, slot);
    drop_below(ix, slot + 1);
}

uint64_t log_index_first(const struct log_index *ix)
{
    return log_index_at(ix, ix->first) != NULL ? ix->first : 0;
}
