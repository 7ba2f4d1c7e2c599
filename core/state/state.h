/* state.h -- the state at rest: RocksDB below, a bounded cache of clean cells, and on top
 * the overlay of applied changes that are not yet written behind.
 *
 * The log is the durable truth, so applied changes gather in memory and are written behind:
 * one atomic batch (no WAL) holds all dirty cells up to exactly one applied slot, the cell 'm'
 * that names that slot among them. After a crash the last flush plus the log give the state
 * back. One column family, the plainest RocksDB features only (dependencies 1.5).
 *
 * A failed read or write stops the process with one line that says why: a server that
 * cannot read its state must not answer. Invariants: R1 what is on disk is the state at one
 * applied slot, never between. R2 a view's borrowed values live until the next
 * state_trim_cache(). */
#ifndef CORE_STATE_STATE_H
#define CORE_STATE_STATE_H

#include "core/kv/kv.h"

struct state;

struct state_config {
    const char *dir;     /* created if missing */
    size_t cache_bytes;  /* bound of the clean cache; RocksDB's own block cache is small */
    size_t dirty_bytes;  /* write behind when the overlay holds so much */
    uint64_t seed;
    void (*on_flushed)(void *ctx); /* on a pool thread, after a flush: only wake the loop */
    void *ctx;
};

/* 0, or a code and one line for a person in `why`. */
int state_open(const struct state_config *config, struct state **state, char *why,
               size_t why_size);
void state_close(struct state *s); /* writes behind, flushes, waits */

/* The applied state; changes go in here (core/machine). */
struct kv_overlay *state_applied(struct state *s);

/* Between steps, cheap when there is nothing to do: writes behind when due, keeps the cache
 * in its bound, starts a flush to disk on a thread of its own when enough was written since
 * the last. `slot` is the applied slot. */
void state_turn(struct state *s, uint64_t slot);

/* The slot up to which everything is on disk (a completed flush). */
uint64_t state_flushed(const struct state *s);
/* Starts a write behind and a flush now, whatever is due. */
void state_flush(struct state *s, uint64_t slot);

#endif
