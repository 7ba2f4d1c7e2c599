/* run.h -- the run rule: which chosen batches count.
 *
 * A leader computes a batch on top of its earlier batches while those are still in flight,
 * so a chosen batch may count only if what it was computed on really precedes it.  It is
 * VALID iff it stands in the first slot of its reign, or the slot before it holds a valid
 * batch of the same reign.  All else is applied as a no-op by every replica.  (Without the
 * rule, per-slot recovery can splice two leaders' work together; see the Zab paper,
 * section "primary order".)  Pure; the state is part of what every snapshot holds. */
#ifndef CORE_PAXOS_RUN_H
#define CORE_PAXOS_RUN_H

#include "core/paxos/types.h"

struct run {
    uint64_t slot;       /* the last slot judged; 0 at the start */
    struct ballot reign; /* of the last slot's batch */
    bool valid;          /* whether that batch counted */
};

/* Judges the proposal chosen in slot r->slot + 1 and moves on.  True: it counts. */
bool run_step(struct run *r, const struct proposal *p);

#endif
