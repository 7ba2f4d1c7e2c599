/* table.h -- a hash table of things that bring their own link; it owns none of them.
 *
 * The caller hashes and compares. Nothing walks a table in its own order, so no output can
 * depend on a hash. Pure. */
#ifndef CORE_MACHINE_TABLE_H
#define CORE_MACHINE_TABLE_H

#include <stddef.h>
#include <stdint.h>

struct table_link {
    struct table_link *next;
    uint64_t hash;
};

struct table {
    struct table_link **chains; /* NULL while nothing was ever added */
    size_t size;                /* a power of two */
    size_t count;
};

void table_fini(struct table *t); /* it is empty (CHECK) */

/* The first link of the chain that `hash` belongs to: compare, then follow `next`. */
struct table_link *table_chain(const struct table *t, uint64_t hash);
void table_add(struct table *t, struct table_link *link, uint64_t hash);
void table_remove(struct table *t, struct table_link *link); /* it is there (CHECK) */

#endif
