/* store.h -- snapshots between the replica and the state at rest: the driver's part of
 * core/replica/snapshot.h. */
#ifndef CORE_SERVER_STORE_H
#define CORE_SERVER_STORE_H

#include "core/replica/snapshot.h"
#include "core/state/state.h"

struct store {
    struct state *state;
    void (*on_installed)(void *ctx); /* a peer's state has taken the place of the own one */
    void *ctx;
};

struct snapshot_store store_hooks(struct store *s);
/* The slot at which the state stands: all up to it is chosen and applied; 0 = none. */
uint64_t store_slot(struct store *s);

#endif
