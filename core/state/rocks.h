/* rocks.h -- RocksDB as this project uses it: one column family, no WAL, one writer.
 *
 * Internal to core/state, and the only place that knows RocksDB. A failed read, write or
 * flush does not return: it stops the process with one line that says why.
 *
 * One thread reads (rocks_get, rocks_seek, rocks_refresh), one writes (rocks_gather,
 * rocks_write), one flushes (rocks_flush), all at the same time. */
#ifndef CORE_STATE_ROCKS_H
#define CORE_STATE_ROCKS_H

#include <rocksdb/c.h>

#include "core/kv/kv.h"

struct rocks {
    rocksdb_t *db;
    rocksdb_options_t *options;
    rocksdb_block_based_table_options_t *table;
    rocksdb_cache_t *blocks;
    rocksdb_readoptions_t *reading;
    rocksdb_readoptions_t *listing; /* bounded by `prefix` and `prefix_end` */
    rocksdb_writeoptions_t *writing;
    rocksdb_flushoptions_t *flushing;
    rocksdb_iterator_t *iterator; /* of `listing`; NULL: to be made anew when needed */
    struct buf prefix, prefix_end;
    rocksdb_writebatch_t *batch; /* NULL: no write is being gathered; the writer's */
};

/* The directory exists. 0, or a code and one line in `why`; then `r` is empty. */
int rocks_open(struct rocks *r, const char *dir, char *why, size_t why_size);
void rocks_close(struct rocks *r);

/* The value is pinned: release it with rocksdb_pinnableslice_destroy(). NULL: none. */
rocksdb_pinnableslice_t *rocks_get(struct rocks *r, struct bytes key, struct bytes *value);
/* As in kv.h. Sees what was written before the last rocks_refresh() at least. */
bool rocks_seek(struct rocks *r, struct bytes prefix, struct bytes from,
                enum kv_direction direction, struct buf *key);
/* Seeks see all writes again, and what old ones pinned in memory is let go. */
void rocks_refresh(struct rocks *r);

/* Gathers a put, or a deletion when value.ptr is NULL; rocks_write() writes all at once: a
 * reader meets all of it or nothing. */
void rocks_gather(struct rocks *r, struct bytes key, struct bytes value);
void rocks_write(struct rocks *r);
/* Brings all that was written to disk. */
void rocks_flush(struct rocks *r);

#endif
