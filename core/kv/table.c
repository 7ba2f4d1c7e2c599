#include "core/kv/table.h"

#include <stdlib.h>

#include "core/base/check.h"
#include "core/kv/order.h"

enum { SIZE_MIN = 16, SIZE_MIN_SHIFT = 28 }; /* 2^(32 - shift) is the size */

/* Never 0; the lowest bit of a hash is no loss. */
static uint32_t tag_of(uint64_t hash)
{
    return (uint32_t) (hash >> 32) | 1;
}

static size_t home_of(const struct kv_table *t, uint32_t tag)
{
    return tag >> t->shift;
}

static size_t after(const struct kv_table *t, size_t place)
{
    return (place + 1) & (t->size - 1);
}

struct kv_entry *kv_table_find(const struct kv_table *t, struct bytes key, uint64_t hash)
{
    const uint32_t tag = tag_of(hash);

    if (t->size == 0) return NULL;
    for (size_t at = home_of(t, tag); t->tags[at] != 0; at = after(t, at)) {
        if (t->tags[at] == tag && bytes_equal(entry_key(t->entries[at]), key)) {
            return t->entries[at];
        }
    }
    return NULL;
}

static size_t place_of(const struct kv_table *t, const struct kv_entry *e)
{
    for (size_t at = home_of(t, tag_of(e->hash));; at = after(t, at)) {
        CHECK(t->tags[at] != 0); /* H1 */
        if (t->entries[at] == e) return at;
    }
}

static void put(struct kv_table *t, uint32_t tag, struct kv_entry *e)
{
    size_t at = home_of(t, tag);

    while (t->tags[at] != 0) at = after(t, at);
    t->tags[at] = tag;
    t->entries[at] = e;
}

static void grow(struct kv_table *t)
{
    struct kv_table old = *t;

    t->size = old.size == 0 ? SIZE_MIN : 2 * old.size;
    t->shift = old.size == 0 ? SIZE_MIN_SHIFT : old.shift - 1;
    CHECK(t->shift > 0);
    t->tags = mem_zalloc(t->size * sizeof *t->tags);
    t->entries = mem_alloc(t->size * sizeof *t->entries);
    for (size_t i = 0; i < old.size; i++) {
        if (old.tags[i] != 0) put(t, old.tags[i], old.entries[i]);
    }
    kv_table_fini(&old);
}

void kv_table_add(struct kv_table *t, size_t count, struct kv_entry *e)
{
    if (4 * (count + 1) > 3 * t->size) grow(t);
    put(t, tag_of(e->hash), e);
}

/* What follows moves up, so that no search ends too early: H1. */
void kv_table_remove(struct kv_table *t, const struct kv_entry *e)
{
    size_t hole = place_of(t, e);

    for (size_t at = after(t, hole); t->tags[at] != 0; at = after(t, at)) {
        size_t home = home_of(t, t->tags[at]);

        if (((at - home) & (t->size - 1)) < ((at - hole) & (t->size - 1))) continue;
        t->tags[hole] = t->tags[at];
        t->entries[hole] = t->entries[at];
        hole = at;
    }
    t->tags[hole] = 0;
}

void kv_table_replace(struct kv_table *t, const struct kv_entry *old, struct kv_entry *e)
{
    t->entries[place_of(t, old)] = e;
}

void kv_table_clear(struct kv_table *t, size_t count)
{
    if (t->size > SIZE_MIN && count < t->size / 8) {
        kv_table_fini(t);
    } else if (count > 0) {
        memset(t->tags, 0, t->size * sizeof *t->tags);
    }
}

void kv_table_fini(struct kv_table *t)
{
    free(t->tags);
    free(t->entries);
    *t = (struct kv_table){ 0 };
}

size_t kv_table_check(const struct kv_table *t)
{
    size_t count = 0;

    for (size_t i = 0; i < t->size; i++) {
        if (t->tags[i] == 0) continue;
        const struct kv_entry *e = t->entries[i];
        CHECK(t->tags[i] == tag_of(e->hash));
        CHECK(kv_table_find(t, entry_key(e), e->hash) == e); /* H1 */
        count++;
    }
    return count;
}
