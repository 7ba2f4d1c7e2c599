/* state.h -- the state at rest: RocksDB below, a bounded cache of clean cells, and on top
 * the overlay of applied changes that are not yet written behind.
 *
 * The log is the durable truth, so applied changes gather in memory and are written behind:
 * one atomic write holds all dirty cells up to exactly one applied slot, the cell 'm' that
 * names that slot among them. After a crash the last write plus the log give the state back.
 * It goes to disk as sorted files that RocksDB takes in, past its WAL and its own memory
 * (rocks.h). One column family, and few of RocksDB's features.
 *
 * A thread of its own writes (behind.h); the loop reads through what is dirty, what is
 * being written, the cache and RocksDB, in this order, and waits for nothing. Only
 * when the disk has fallen so far behind that 16 times `dirty_bytes` are dirty does a turn
 * wait for the write at hand: memory is bounded always.
 *
 * A failed read or write stops the process with one line that says why: a server that
 * cannot read its state must not answer. Only while the disk is nearly full a write
 * waits for space, and reads go on meanwhile: state_full(). Changes gather in memory then,
 * so no more of them must come. Invariants: R1 what is on disk is the state at one
 * applied slot, never between. R2 a view's borrowed values live until the next state_turn()
 * or state_install(). R3 a crash while a state is installed leaves the old or the new one. */
#ifndef CORE_STATE_STATE_H
#define CORE_STATE_STATE_H

#include "core/kv/kv.h"

struct state;

struct state_config {
    const char *dir;     /* created if missing */
    size_t cache_bytes;  /* bound of the clean cache; RocksDB's own block cache is small */
    size_t dirty_bytes;  /* write behind when the overlay holds so much, 16 times at most */
    uint64_t seed;
    void (*on_flushed)(void *ctx); /* on its thread, after a write: wake the loop only */
    void *ctx;
};

/* 0, or a code and one line for a person in `why`. */
int state_open(const struct state_config *config, struct state **state, char *why,
               size_t why_size);
void state_close(struct state *s); /* writes behind, flushes, waits */

/* The applied state; changes go in here (core/machine). */
struct kv_overlay *state_applied(struct state *s);

/* Between steps, cheap when there is nothing to do: has changes written behind when it is
 * due, keeps the cache true and in its bound. To be called now and then also while nothing is
 * applied, or what was begun is not ended. `slot` is the applied slot. */
void state_turn(struct state *s, uint64_t slot);

/* A write waits for space on the disk. */
bool state_full(const struct state *s);
/* The slot up to which everything is on disk. */
uint64_t state_flushed(const struct state *s);
/* A turn that has all of this written behind, whatever is due: now, or in one of the next
 * turns when another write is on its way. */
void state_flush(struct state *s, uint64_t slot);

/* --- for a peer: a copy of what is written behind, at one slot --- */

/* Opens one, of which there is one at most. It keeps what it shows until it is closed. */
void state_copy_open(struct state *s);
bool state_copy_get(struct state *s, struct bytes key, struct buf *value); /* cleared first */
/* Appends the cells behind the key `after` (empty: from the first) in key order, each as key
 * and value by buf_put_bytes(): about `bytes_aim`, one at least. True: there are no more. */
bool state_copy_read(struct state *s, struct bytes after, size_t bytes_aim,
                     struct buf *cells);
void state_copy_close(struct state *s);

/* --- from a peer: a whole new state beside the old one (stage.h) --- */

/* Queued, in order: each returns at once, and `on_flushed` is called after each. */
void state_stage_begin(struct state *s); /* an empty one, whatever was there */
void state_stage_put(struct state *s, struct bytes cells);
void state_stage_seal(struct state *s); /* it is whole: brings it to disk */
void state_stage_drop(struct state *s);
/* How many puts and seals since the last begin are done, or the code of what failed. */
int state_staged(struct state *s, uint64_t *done, char *why, size_t why_size);

/* The stage is sealed, and that is done: it becomes the state, durably and in one step (R3,
 * dirs.h). What was applied, cached or copied from is gone; views stay where they are. A code
 * and `why`: this state can only be closed, and the next start finds the old or the new. */
int state_install(struct state *s, char *why, size_t why_size);

#endif
