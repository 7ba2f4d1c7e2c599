/* leave.h -- a server that was removed stays until the others can go on without it.
 *
 * It may be the only one that knows what happened.  Of servers 1 and 2 let 2 find its own
 * removal among the votes when it becomes leader, and get it chosen: 2 counted, while 1 has
 * voted for it and no more, and waits for the quorum of two.  Were 2 gone now, 1 would
 * wait for ever.
 *
 * So who goes tells the voters that are left how far it knows, again and again, with a
 * WOULD_YOU, whose answer says how far they know; and it answers their LEARN_REQUESTs, as
 * anybody may.  It is free when a quorum of them knows the slot of the removal as chosen,
 * for these need nobody else to go on; or after LEAVE_MS_MAX, when no quorum of them is
 * there, so that nothing is lost by going.
 *
 * It decides no safety: who stays leads, asks, promises, votes and learns no more. */
#ifndef CORE_PAXOS_LEAVE_H
#define CORE_PAXOS_LEAVE_H

#include "core/paxos/acceptor.h"

struct leave {
    uint32_t self, heartbeat_ms;
    bool on;            /* it stays */
    uint64_t slot;      /* who knows it as chosen knows of the removal; 0 = there was none */
    nodes_set know;     /* who said so */
    uint64_t resend_ms; /* when to tell the others again */
    uint64_t deadline_ms;
};

void leave_init(struct leave *l, const struct paxos_config *config);
/* The removal is among the slots that `a` knows as chosen. */
void leave_begin(struct leave *l, const struct acceptor *a, uint64_t now_ms);

/* `node` knows every slot up to `chosen` as chosen, and has that on disk. */
void leave_hear(struct leave *l, uint32_t node, uint64_t chosen);

/* Ends each step: tells who does not know yet, or is through with it. */
void leave_turn(struct leave *l, const struct acceptor *a, uint64_t now_ms,
                struct paxos_output *out);

#endif
