/* rocks.h -- RocksDB as this project uses it: one column family, no WAL, one writer.
 *
 * Internal to core/state, and the only place that knows RocksDB. A failed read or write does
 * not return: it stops the process with one line that says why.
 *
 * Changes come many at a time and are in the Paxos log already, so they go past RocksDB's
 * own memory: they are written as sorted files, and RocksDB takes these in, all of them by
 * one record of its manifest. They are on disk then, and nothing has to be flushed; new keys
 * never have to be compacted either (sorted.h). For a created node this takes a third of
 * the work that a write, its flush and its compactions did.
 *
 *     DIR/behind-<i>.tmp   part i, written and synced; the next start removes it
 *     DIR/<number>.sst     another name of it, which means nothing ...
 *     DIR/MANIFEST-...     ... before this names it: then it is a part of the state
 *
 * One thread reads (rocks_get, rocks_seek, rocks_refresh, rocks_copy_*), and one writes
 * (rocks_gather, rocks_write), both at the same time.
 *
 * A FULL DISK. A write waits until there is room. RocksDB takes no more writes once one of its
 * own, of a compaction too, found none, and cannot be opened for writing without any; then it is
 * open for reading only, and is opened anew once there is room:
 *
 *     SOUND -> BROKEN [write_gathered, rocks_open]   it found no space
 *     BROKEN -> ASKS  [wait_for_space]               the writer, once there is some
 *     ASKS -> SOUND or BROKEN [rocks_mend]           the reader opens it anew
 *
 * In ASKS the writer does not touch the database, so that the reader may close it. */
#ifndef CORE_STATE_ROCKS_H
#define CORE_STATE_ROCKS_H

#include <rocksdb/c.h>
#include <stdatomic.h>

#include "core/kv/kv.h"
#include "core/state/sorted.h"

enum rocks_phase { ROCKS_SOUND = 0, ROCKS_BROKEN, ROCKS_ASKS };

struct rocks {
    rocksdb_t *db;
    rocksdb_options_t *options;
    rocksdb_block_based_table_options_t *table;
    rocksdb_cache_t *blocks;
    rocksdb_readoptions_t *reading;
    rocksdb_readoptions_t *listing; /* bounded by `prefix` and `prefix_end` */
    rocksdb_writeoptions_t *writing;   /* of a new state */
    rocksdb_flushoptions_t *flushing;  /* of a new state */
    rocksdb_envoptions_t *files;
    rocksdb_ingestexternalfileoptions_t *taking_in;
    rocksdb_iterator_t *iterator; /* of `listing`; NULL: to be made anew when needed */
    struct buf prefix, prefix_end;
    struct sorted gathered; /* the writer's */
    char *dir;
    int dir_fd;
    atomic_int phase;    /* enum rocks_phase */
    atomic_bool full;    /* a write waits for space */
    atomic_bool closing; /* then it waits no longer */
    atomic_bool gave_up; /* one did not happen: no other may, ever */
};

/* The directory exists. 0, or a code and one line in `why`; then `r` is empty. On a full disk
 * a state that is there can be read. */
int rocks_open(struct rocks *r, const char *dir, char *why, size_t why_size);
void rocks_close(struct rocks *r);

/* The value is pinned: release it with rocksdb_pinnableslice_destroy(). NULL: none. */
rocksdb_pinnableslice_t *rocks_get(struct rocks *r, struct bytes key, struct bytes *value);
/* As in kv.h. Sees what was written before the last rocks_refresh() at least. */
bool rocks_seek(struct rocks *r, struct bytes prefix, struct bytes from,
                enum kv_direction direction, struct buf *key);
/* Seeks see all writes again, and what old ones pinned in memory is let go. */
void rocks_refresh(struct rocks *r);

/* Gathers a change, which is borrowed; rocks_write() writes all at once: a reader meets all
 * of it or nothing, and so does the next start. On disk when it returns; false: it was not
 * written, see rocks_close_soon(). */
void rocks_gather(struct rocks *r, const struct kv_change *change);
bool rocks_write(struct rocks *r);
/* The writer asks for rocks_mend(), to be called when no copy is open. It takes as long as a
 * start. Values and keys that were given out stay as they are. */
bool rocks_asks(const struct rocks *r);
void rocks_mend(struct rocks *r);
/* From now on a write that finds no space is given up, and all that follow it are dropped:
 * on disk is what was there before, and the log has the rest. */
void rocks_close_soon(struct rocks *r);

/* --- a copy for a peer: all cells as they were at one moment --- */

struct rocks_copy {
    const rocksdb_snapshot_t *moment;
    rocksdb_readoptions_t *reading;
    rocksdb_iterator_t *iterator;
};

void rocks_copy_open(struct rocks *r, struct rocks_copy *c);
void rocks_copy_close(struct rocks *r, struct rocks_copy *c);
/* The value of `key`, cleared first; false: none. */
bool rocks_copy_get(struct rocks *r, struct rocks_copy *c, struct bytes key,
                    struct buf *value);
/* The first cell whose key is above `after` (empty: the first of all), borrowed until the
 * next call. A call that goes on where the last one stood is a step, any other a seek. */
bool rocks_copy_next(struct rocks_copy *c, struct bytes after, struct bytes *key,
                     struct bytes *value);

/* --- a new state that is filled from a peer: what fails is told, not the end --- */

/* All at once; `cells` as keys and values by buf_put_bytes(). */
int rocks_put_cells(struct rocks *r, struct bytes cells, char *why, size_t why_size);
int rocks_try_flush(struct rocks *r, char *why, size_t why_size);

#endif
