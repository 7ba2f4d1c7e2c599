/* cache.h -- clean cells in memory: what RocksDB holds, by key.
 *
 * Internal to core/state. Keys come with their hashes. Not a view: state.c asks it first and
 * RocksDB after. Cells come in when they are read; they go when they change, and in
 * cache_trim(), so that values may be borrowed until then (R2). That a key is not there is
 * not kept: that is asked once, mostly, before a node is created, and RocksDB's filters tell
 * it for less than a cell here costs.
 * The order of going is second chance (CLOCK): a cell that was asked for since it was last
 * looked at stays for another round.
 *
 * Invariant C1: after cache_trim() `bytes` is at most `bytes_max`. */
#ifndef CORE_STATE_CACHE_H
#define CORE_STATE_CACHE_H

#include "core/base/bytes.h"
#include "core/base/list.h"

struct cache_cell;

struct cache {
    size_t bytes_max;
    size_t bytes; /* keys, values and what keeping them costs */
    size_t count;
    struct cache_cell **table;
    size_t table_size; /* a power of 2, fixed */
    struct list clock; /* the next to be looked at first */
};

void cache_init(struct cache *c, size_t bytes_max);
void cache_fini(struct cache *c);

/* Borrowed until cache_put() or cache_renew() of that key, or cache_trim(). */
bool cache_get(struct cache *c, struct bytes key, uint64_t hash, struct bytes *value);
/* Copies. Returns the value as the cache holds it. */
struct bytes cache_put(struct cache *c, struct bytes key, uint64_t hash,
                       struct bytes value);
/* The key has changed; value.ptr NULL = it is gone. What was read before is likely to be
 * read again, so its new value is kept. */
void cache_renew(struct cache *c, struct bytes key, uint64_t hash, struct bytes value);
void cache_trim(struct cache *c);

#endif
