#include "core/state/behind.h"

#include "core/base/check.h"

enum { CELL_WORK_BYTES = 64 }; /* what a cell costs beyond its bytes, in bytes' worth */

/* R1: the whole layer in one atomic write. */
static void write_frozen(struct behind *b)
{
    const struct list *at = NULL;
    struct kv_change change;

    while (kv_overlay_step(&b->frozen, &at, &change)) rocks_gather(b->rocks, &change);
    if (rocks_write(b->rocks)) atomic_store(&b->flushed, b->frozen_slot);
    pthread_mutex_lock(&b->lock);
    atomic_store(&b->phase, BEHIND_WRITTEN);
    pthread_cond_broadcast(&b->wake);
    pthread_mutex_unlock(&b->lock);
    if (b->on_flushed != NULL) b->on_flushed(b->ctx);
}

static void free_spent(struct behind *b)
{
    kv_overlay_clear(&b->spent);
    pthread_mutex_lock(&b->lock);
    atomic_store(&b->spent_full, false);
    pthread_cond_broadcast(&b->wake);
    pthread_mutex_unlock(&b->lock);
}

static void *writer_run(void *arg)
{
    struct behind *b = arg;

    pthread_mutex_lock(&b->lock);
    for (;;) {
        bool write = behind_phase(b) == BEHIND_WRITING;
        if (!write && !atomic_load(&b->spent_full)) {
            if (b->stopping) break;
            pthread_cond_wait(&b->wake, &b->lock);
            continue;
        }
        pthread_mutex_unlock(&b->lock);
        if (write) {
            write_frozen(b);
        } else {
            free_spent(b);
        }
        pthread_mutex_lock(&b->lock);
    }
    pthread_mutex_unlock(&b->lock);
    return NULL;
}

void behind_init(struct behind *b, struct rocks *rocks, struct kv_view *below,
                 uint64_t seed)
{
    *b = (struct behind){ .rocks = rocks };
    atomic_init(&b->phase, BEHIND_EMPTY);
    kv_overlay_init(&b->frozen, below, seed);
    kv_overlay_remember(&b->frozen); /* what leaves it is below by then */
    kv_overlay_init(&b->spent, NULL, seed);
    CHECK(pthread_mutex_init(&b->lock, NULL) == 0);
    CHECK(pthread_cond_init(&b->wake, NULL) == 0);
    CHECK(pthread_create(&b->writer, NULL, writer_run, b) == 0);
}

void behind_fini(struct behind *b)
{
    pthread_mutex_lock(&b->lock);
    b->stopping = true;
    pthread_cond_broadcast(&b->wake);
    pthread_mutex_unlock(&b->lock);
    CHECK(pthread_join(b->writer, NULL) == 0);
    kv_overlay_fini(&b->frozen);
    kv_overlay_fini(&b->spent);
    pthread_cond_destroy(&b->wake);
    pthread_mutex_destroy(&b->lock);
}

void behind_freeze(struct behind *b, struct kv_overlay *dirty, uint64_t slot)
{
    CHECK(behind_phase(b) == BEHIND_EMPTY); /* B2 */
    kv_overlay_hand(dirty, &b->frozen);
    b->settled = NULL;
    b->frozen_slot = slot;
    pthread_mutex_lock(&b->lock);
    atomic_store(&b->phase, BEHIND_WRITING);
    pthread_cond_broadcast(&b->wake);
    pthread_mutex_unlock(&b->lock);
}

/* The layer is through. The memory of the last one may still be in the thread's hands. */
static void let_go(struct behind *b)
{
    if (atomic_load(&b->spent_full)) return; /* the next turn, then */
    kv_overlay_hand(&b->frozen, &b->spent);
    atomic_store(&b->phase, BEHIND_EMPTY);
    pthread_mutex_lock(&b->lock);
    atomic_store(&b->spent_full, true);
    pthread_cond_broadcast(&b->wake);
    pthread_mutex_unlock(&b->lock);
}

void behind_settle(struct behind *b, struct cache *cache, size_t bytes_max)
{
    struct kv_change change;
    size_t bytes = 0;

    if (behind_phase(b) != BEHIND_WRITTEN) return;
    if (b->settled == NULL) rocks_refresh(b->rocks); /* seeks must see what was written */
    do {
        if (!kv_overlay_step(&b->frozen, &b->settled, &change)) {
            let_go(b);
            return;
        }
        bytes += CELL_WORK_BYTES;
        if (change.is_new) continue; /* the cache has none that RocksDB had not */
        cache_renew(cache, change.key, change.hash, change.value); /* B1 */
        bytes += change.key.len + change.value.len;
    } while (bytes < bytes_max);
}

void behind_wait(struct behind *b)
{
    pthread_mutex_lock(&b->lock);
    while (behind_phase(b) == BEHIND_WRITING || atomic_load(&b->spent_full)) {
        pthread_cond_wait(&b->wake, &b->lock);
    }
    pthread_mutex_unlock(&b->lock);
}
