/* behind.h -- writes behind: a frozen layer of changes on its way to RocksDB.
 *
 * Internal to core/state. The loop freezes what is applied and not yet written, and goes on
 * with an empty overlay above it; a thread brings the frozen layer to disk in one atomic
 * step. The loop does not wait for it. All calls come from the loop.
 *
 *     EMPTY   -> WRITING  [behind_freeze]  by the loop
 *     WRITING -> WRITTEN  [write_frozen]   by the writing thread
 *     WRITTEN -> EMPTY    [behind_settle]  by the loop, some cells at a time
 *
 * While WRITING both threads only read the layer. While WRITTEN the layer and RocksDB say
 * the same, and its cells renew the cache, which may hold older ones of the same keys: the
 * layer hides those until it is through. The emptied layer's memory is given back by
 * the writing thread (`spent`).
 *
 * Invariants: B1 a cell in the cache that differs from RocksDB is hidden by the layer. B2
 * a freeze is written before the next is frozen, so RocksDB holds whole freezes only. */
#ifndef CORE_STATE_BEHIND_H
#define CORE_STATE_BEHIND_H

#include <pthread.h>
#include <stdatomic.h>

#include "core/state/cache.h"
#include "core/state/rocks.h"

enum behind_phase { BEHIND_EMPTY = 1, BEHIND_WRITING, BEHIND_WRITTEN };

struct behind {
    struct rocks *rocks;
    void (*on_flushed)(void *ctx); /* on a thread of ours; NULL, or set right after init */
    void *ctx;

    struct kv_overlay frozen;   /* its view is always to be read, whatever the phase */
    uint64_t frozen_slot;       /* what it is the state at; fixed while WRITING */
    const struct list *settled; /* up to here cells have renewed the cache */

    pthread_t writer;
    pthread_mutex_t lock;
    pthread_cond_t wake; /* both threads wait here, each for its own */
    bool stopping;       /* under `lock` */
    struct kv_overlay spent; /* the loop's while `spent_full` is false, else the writer's */
    atomic_bool spent_full;
    _Atomic enum behind_phase phase;
    _Atomic uint64_t flushed; /* the slot that is on disk */
};

/* `below` is what the layer lies on, `seed` that of the overlay above. */
void behind_init(struct behind *b, struct rocks *rocks, struct kv_view *below,
                 uint64_t seed);
/* Waits until all that was frozen is on disk. */
void behind_fini(struct behind *b);

static inline enum behind_phase behind_phase(const struct behind *b)
{
    return atomic_load(&b->phase);
}

/* Takes all changes of `dirty`, which are the state at `slot`. The phase is EMPTY. */
void behind_freeze(struct behind *b, struct kv_overlay *dirty, uint64_t slot);
/* Renews the cache by some cells of a written layer, `bytes_max` or one at least. */
void behind_settle(struct behind *b, struct cache *cache, size_t bytes_max);
/* Returns when the writing thread has nothing in its hands: then behind_settle() can
 * take all at once. The way out when changes come faster than the disk takes them. */
void behind_wait(struct behind *b);

#endif
