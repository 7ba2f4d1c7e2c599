/* memory_store.h -- snapshots of a state in memory: struct snapshot_store for tests and the
 * simulator.
 *
 * A copy is all cells of `rest`; a stage takes its pieces when the owner lets it
 * (`held`); an installed stage replaces what `rest` holds, and empties `above`. What a crash
 * loses is for the owner to say: memory_store_crash(). */
#ifndef TESTS_LIB_MEMORY_STORE_H
#define TESTS_LIB_MEMORY_STORE_H

#include "core/replica/snapshot.h"

struct memory_store {
    struct kv_overlay *rest;  /* the state at rest */
    struct kv_overlay *above; /* what is applied on top of it; may be NULL */
    size_t chunk_bytes;
    void (*on_install)(void *ctx, uint64_t slot); /* may be NULL */
    void *ctx;

    bool open;
    struct buf copy;
    size_t copy_at;  /* where the last read ended */
    struct buf last; /* the last key before that */

    bool staging, sealed;
    struct buf stage;
    uint64_t pieces;    /* puts and the seal since begin */
    uint64_t done;      /* of these, as was told */
    uint64_t held;      /* so many of them are not done yet */
    int code;           /* what staged() fails with */
    uint64_t reads, begins, drops, installs;
};

void memory_store_init(struct memory_store *m, struct kv_overlay *rest,
                       struct kv_overlay *above, size_t chunk_bytes);
void memory_store_fini(struct memory_store *m);
void memory_store_crash(struct memory_store *m); /* the copy and the stage are gone */
struct snapshot_store memory_store_hooks(struct memory_store *m);

#endif
