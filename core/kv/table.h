/* table.h -- inside of an overlay: finds an entry by its key. For core/kv/ only.
 *
 * Open addressing with linear probing. Beside the entries stands a row of tags, 32 bits of
 * each hash: most questions are for keys that are not there, and are answered by the tags
 * without a look at an entry, which would be far away in memory. A tag tells the place where
 * its search begins too, so removing and growing look at no entry either.
 *
 * Invariants: H1 from the place of a tag on to where it stands no place is empty. H2 a tag
 * is 0 exactly where there is no entry. */
#ifndef CORE_KV_TABLE_H
#define CORE_KV_TABLE_H

#include "core/base/bytes.h"

struct kv_entry;

struct kv_table {
    size_t size; /* a power of two, or 0: `tags` and `entries` are NULL */
    unsigned shift;
    uint32_t *tags;
    struct kv_entry **entries;
};

/* The entry of a key whose hash is `hash`, or NULL. */
struct kv_entry *kv_table_find(const struct kv_table *t, struct bytes key, uint64_t hash);
/* The table has `count` entries; the key of `e` is not among them. */
void kv_table_add(struct kv_table *t, size_t count, struct kv_entry *e);
void kv_table_remove(struct kv_table *t, const struct kv_entry *e);
/* `e` stands for the same key as `old`, which is in the table. */
void kv_table_replace(struct kv_table *t, const struct kv_entry *old, struct kv_entry *e);
/* Removes all `count` entries, and gives memory back when it is much more than they needed:
 * one large transaction must not make every later clear slow. */
void kv_table_clear(struct kv_table *t, size_t count);
void kv_table_fini(struct kv_table *t);

/* H1 and H2, and every entry is found by its key; returns how many there are. */
size_t kv_table_check(const struct kv_table *t);

#endif
