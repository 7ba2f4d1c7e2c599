/* machine.h -- the replicated state machine: chosen slots in, state and answers out.
 *
 * Every replica applies the same slots in the same order and gets the same cells: tree,
 * sessions, results. Which batches count is the run rule's word (core/paxos/run.h). Pure.
 *
 * Cell 'm' "applied": version u8 (2) | slot | reign.round | reign.node | valid u8 | zxid |
 * time_ms | digest u64 | clock_ms | nodes | bytes | quotas. It is put with each slot, so that
 * whatever is written behind names the slot it stands at. (Version 1 ended with the digest.)
 *
 * Time is told in two ways. `time_ms` is the leaders' wall clock, for people: ctime, mtime. It
 * jumps when a leader's is wrong. `clock_ms`, the service's clock, is how long somebody has
 * led, by the monotonic clocks of those who did: a new leader goes on where the log ends, and
 * leaves out what nobody led. By it nodes expire: whatever a wall clock says, none goes before
 * it was left alone for its whole time; and after an outage each has what it had left. (The
 * log tells the time with each batch: a new leader does not know what passed since the newest
 * one, so that much later a node may go.)
 *
 * Invariants: M1 slots are applied one by one, each once. M2 zxid and times never go back.
 * M3 the digest of two replicas at one slot is the same. M4 a batch that does not count
 * changes nothing but `slot` and the run. M5 an answer is given only after it is applied. */
#ifndef CORE_MACHINE_MACHINE_H
#define CORE_MACHINE_MACHINE_H

#include "core/kv/kv.h"
#include "core/machine/batch.h"
#include "core/machine/roster.h"
#include "core/paxos/run.h"
#include "core/tree/tree.h"

enum { MACHINE_DIGESTS = 2 * WINDOW_MAX }; /* a batch's digest_slot is at most a window old */

/* Cell 'm' "members" is the roster: see roster.h. */
struct machine {
    struct kv_overlay *applied; /* borrowed */
    struct run run;             /* run.slot is the applied slot */
    uint64_t zxid;              /* the newest applied */
    int64_t time_ms;
    uint64_t clock_ms;
    struct tree_tally tally;
    uint64_t digests[MACHINE_DIGESTS]; /* of slot s at s % MACHINE_DIGESTS */
    uint64_t digests_first;            /* none is known below: what the state was loaded at */
    uint64_t differs_slot; /* where the digest in the batch applied last is not ours; 0 */
    struct buf scratch;
};

/* One transaction that was applied. `result` is what is stored for it, also for a repeated
 * one; null for a call that goes on waiting. Everything is borrowed for the call. */
typedef void (*machine_txn_fn)(void *ctx, const struct txn *t, uint64_t zxid,
                               struct bytes result);

/* Loads the place from the 'm' cell, or founds an empty state (root node, slot 0).
 * ERR_DAMAGED or ERR_OTHER_VERSION when the cell is neither. */
int machine_init(struct machine *m, struct kv_overlay *applied);
void machine_fini(struct machine *m);

/* Applies what was chosen in slot m->run.slot + 1. `counted` tells whether it was valid.
 * Returns 0; ERR_DAMAGED when the batch does not decode or does not go on from this state,
 * and then nothing has changed: the caller stops this replica and names the slot. When the
 * batch names another digest than this replica's, it is applied and `differs_slot` says so:
 * the caller finds out who is wrong. */
int machine_apply(struct machine *m, const struct proposal *p, machine_txn_fn each, void *ctx,
                  bool *counted);

/* What a transaction leaves in its session, its ops aside: the result, the highest seq, the
 * mark of what is acknowledged. Nothing when the session is over. One function for the
 * leader's pending state and for apply, so that the two cannot differ. */
void machine_record(struct kv_overlay *o, const struct txn *t, uint64_t zxid);

uint64_t machine_slot(const struct machine *m);
/* The roster behind the applied slot; number 0: the state has none yet. ERR_DAMAGED. */
int machine_roster(const struct machine *m, struct roster *roster);
/* After `slot`; false when that is not applied, or too long ago to be known still. */
bool machine_digest(const struct machine *m, uint64_t slot, uint64_t *digest);

/* Outside of all consensus: this state is to go on by itself, under another roster, from a
 * higher zxid on. For the recovery of a cluster whose majority is lost. */
void machine_refound(struct machine *m, const struct roster *roster, uint64_t zxid);

/* For who moves cells without a machine: true when `key` is that of the place; then `slot` is
 * the slot that `value` names, 0 when it names none. */
bool machine_place_peek(struct bytes key, struct bytes value, uint64_t *slot);
struct bytes machine_place_key(void);

/* tree_check() and session_check() over the whole state; for tests and the simulator. */
void machine_check(struct machine *m);

#endif
