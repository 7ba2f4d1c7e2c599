/* lease.h -- the time in which a leader may answer reads without asking anybody.
 *
 * A heartbeat asks its receivers to promise nothing to anybody else for `lease` ms.  When a
 * quorum of voters answered it, no other server can gather a quorum of promises before that
 * time is over on one of them, so nothing can be chosen that the leader does not know.
 *
 *   holder    counts from when it SENT the heartbeat, and ends early by the drift of clocks
 *   grantor   counts from when the heartbeat CAME, and promises nobody else meanwhile, also
 *             not itself; after a restart it knows no grant, and promises nobody for the
 *             longest lease there can be
 *   release   the word TAKE_OVER ends the lease: the holder counts on none in that reign
 *             from then on, and the PREPARE that follows names its ballot
 *
 * L1 A lease ends on the holder before it ends on any grantor that it counts, as long as
 *    their clocks run at rates within LEASE_DRIFT_PERMILLE of each other.
 * L2 Nobody is promised anything against a grant but who holds it, or whom it released.
 *
 * A read that came before the look at the clock may be answered at any time after, so a
 * process that is paused in between does no harm.  A clock that stands still does, as that
 * of a virtual machine may while its host pauses it.  That is why leases are off unless
 * asked for (lease_ms 0). */
#ifndef CORE_PAXOS_LEASE_H
#define CORE_PAXOS_LEASE_H

#include "core/paxos/paxos.h"

enum {
    /* By half of it one clock may run slower than time, and the other faster. */
    LEASE_DRIFT_PERMILLE = 20,
    LEASE_ROUNDING_MS = 2, /* both clocks are read in whole milliseconds */
};

struct lease {
    uint32_t lease_ms;

    /* As holder. */
    bool given_up;     /* in this reign, for good */
    uint64_t round;    /* a read round; when it is confirmed the lease counts from */
    uint64_t sent_ms;  /* here.  round 0 = none is under way */
    uint64_t until_ms; /* 0 = none held */

    /* As grantor. */
    uint32_t to; /* 0 = to one unknown, before the restart */
    struct ballot ballot;
    uint64_t bound_ms; /* nobody else is promised anything before */
};

/* `restarted`: it may have granted a lease that it does not know of. */
void lease_init(struct lease *l, const struct paxos_config *config, bool restarted,
                uint64_t now_ms);

/* Holder.  A reign begins, or ends: nothing is held. */
void lease_begin(struct lease *l);
void lease_give_up(struct lease *l);
/* Whether the next heartbeat should begin a round, to count a lease from. */
bool lease_wants_round(const struct lease *l, uint64_t now_ms);
void lease_sent(struct lease *l, uint64_t round, uint64_t now_ms);
/* What a heartbeat is to ask for, in ms; 0 = no lease. */
uint32_t lease_asked(const struct lease *l);
void lease_confirmed(struct lease *l, uint64_t round);

/* Grantor. */
void lease_grant(struct lease *l, const struct paxos_message *heartbeat, uint64_t now_ms);
/* Whether a grant forbids to promise to `node`, whom the leader of `released` released. */
bool lease_forbids(const struct lease *l, uint32_t node, struct ballot released,
                   uint64_t now_ms);

#endif
