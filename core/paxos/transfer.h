/* transfer.h -- a leader that hands over: to whom, how often it says so, when it gives up.
 *
 * While it lasts the leader proposes nothing, so that its open slots run out; the first
 * server that knows all of them as chosen is told to take over, and that server's PREPARE
 * ends the reign.  It decides no safety: a TAKE_OVER only spares its receiver the would-you
 * round, which is there for peace and not for safety. */
#ifndef CORE_PAXOS_TRANSFER_H
#define CORE_PAXOS_TRANSFER_H

#include "core/paxos/peers.h"

struct transfer {
    uint32_t patience_ms, heartbeat_ms;
    bool on;
    uint32_t wanted;      /* only this server may take over; 0 = any that is ready */
    uint32_t told;        /* who was told last; 0 = nobody yet */
    uint64_t resend_ms;   /* when to tell it again */
    uint64_t deadline_ms; /* when to propose again */
};

void transfer_init(struct transfer *t, const struct paxos_config *config);
void transfer_begin(struct transfer *t, uint32_t wanted, uint64_t now_ms);
void transfer_stop(struct transfer *t);

/* Tells a server of `ready` to take over; the same one as before, if it still is ready. */
void transfer_offer(struct transfer *t, nodes_set ready, struct ballot ballot,
                    uint64_t chosen, uint64_t now_ms, struct paxos_output *out);

#endif
