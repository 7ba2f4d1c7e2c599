/* state.h -- the state at rest: RocksDB below, a bounded cache of clean cells, and on top
 * the overlay of applied changes that are not yet written behind.
 *
 * The log is the durable truth, so applied changes gather in memory and are written behind:
 * one atomic batch (no WAL) holds all dirty cells up to exactly one applied slot, the cell
 * 'm' that names that slot among them. After a crash the last flush plus the log give the
 * state back. One column family, the plainest RocksDB features only (dependencies 1.5).
 *
 * Two threads of its own write and flush (behind.h); the loop reads through what is dirty,
 * what is being written, the cache and RocksDB, in this order, and waits for nothing. Only
 * when the disk has fallen so far behind that 16 times `dirty_bytes` are dirty does a turn
 * wait for the write at hand: memory is bounded always.
 *
 * A failed read or write stops the process with one line that says why: a server that
 * cannot read its state must not answer. Invariants: R1 what is on disk is the state at one
 * applied slot, never between. R2 a view's borrowed values live until the next
 * state_turn(). */
#ifndef CORE_STATE_STATE_H
#define CORE_STATE_STATE_H

#include "core/kv/kv.h"

struct state;

struct state_config {
    const char *dir;     /* created if missing */
    size_t cache_bytes;  /* bound of the clean cache; RocksDB's own block cache is small */
    size_t dirty_bytes;  /* write behind when the overlay holds so much, 16 times at most */
    uint64_t seed;
    void (*on_flushed)(void *ctx); /* on its thread, after a flush: wake the loop only */
    void *ctx;
};

/* 0, or a code and one line for a person in `why`. */
int state_open(const struct state_config *config, struct state **state, char *why,
               size_t why_size);
void state_close(struct state *s); /* writes behind, flushes, waits */

/* The applied state; changes go in here (core/machine). */
struct kv_overlay *state_applied(struct state *s);

/* Between steps, cheap when there is nothing to do: has changes written behind when it is
 * due, keeps the cache true and in its bound, has RocksDB flushed when enough was written
 * since the last time. To be called now and then also while nothing is applied, or what was
 * begun is not ended. `slot` is the applied slot. */
void state_turn(struct state *s, uint64_t slot);

/* The slot up to which everything is on disk (a completed flush). */
uint64_t state_flushed(const struct state *s);
/* A turn that has all of this written behind and flushed, whatever is due: now, or in one
 * of the next turns when another write is on its way. */
void state_flush(struct state *s, uint64_t slot);

#endif
