/* proposer.h -- phase 1 and phase 2 as the one who leads: gathers promises, recovers what
 * may be chosen, proposes, counts.
 *
 * Knows ballots and slots, no roles and no timeouts: the parent says when to begin and
 * stop. Its own votes stand in the acceptor, which it shares with the rest; every slot
 * within (chosen, slot_next) holds there its proposal at its ballot.
 *
 * A ballot acts under one configuration: what it proposes last may change that, and when
 * this is chosen the ballot has done its work.  The parent then begins anew (P11).
 *
 * Invariants P3, P4 (own promise and votes), P5 and P11 of paxos.h are kept here. */
#ifndef CORE_PAXOS_PROPOSER_H
#define CORE_PAXOS_PROPOSER_H

#include "core/paxos/acceptor.h"

struct proposer {
    uint32_t self;
    struct ballot ballot; /* of the attempt or reign that goes on or was the last */
    struct ballot released; /* of the leader that told it to take over; round 0 = none */
    uint32_t members;     /* the number of the configuration that it acts under */

    /* Phase 1. */
    uint64_t slot_asked;  /* votes from here on are asked for */
    uint64_t promise_seq; /* the write of own promise */
    nodes_set promised;   /* whose whole report is here */
    struct report {
        uint32_t count;
        uint64_t pages; /* bit `index` of each message that came */
    } reports[NODES_MAX];
    struct vote reported[WINDOW_MAX]; /* the highest ballot's, by slot % WINDOW_MAX; holds
                                         references */

    /* Phase 2. */
    uint64_t reign_first; /* first slot for own batches; recovery fills those below */
    uint64_t slot_next;
    uint64_t change; /* a proposal in this slot changes the configuration, and nothing is
                        proposed behind it; 0 = none does */
    struct proposer_slot {
        nodes_set accepted;
        nodes_set urgent;
        uint64_t vote_seq; /* the write of own vote; counts when it is on disk */
        uint64_t sent_ms;
    } slots[WINDOW_MAX]; /* slot s at s % WINDOW_MAX */
};

void proposer_init(struct proposer *p, const struct paxos_config *config);
void proposer_stop(struct proposer *p); /* gives back what phase 1 gathered */

/* Phase 1a: promises to itself and asks the others, once that is on disk.  `released`: the
 * ballot whose leader told it to take over, or none. */
void proposer_prepare(struct proposer *p, struct acceptor *a, uint64_t round,
                      struct ballot released, struct paxos_output *out);
void proposer_prepare_again(const struct proposer *p, const struct acceptor *a,
                            struct paxos_output *out);
void proposer_take_promise(struct proposer *p, const struct acceptor *a,
                           const struct paxos_message *m);
bool proposer_has_promises(const struct proposer *p, const struct acceptor *a);

/* Phase 2a for all that phase 1 found, holes as no-ops, up to the first change of the
 * configuration.  Sets reign_first. */
void proposer_recover(struct proposer *p, struct acceptor *a, uint64_t now_ms,
                      struct paxos_output *out);
bool proposer_has_recovered(const struct proposer *p, const struct acceptor *a);

/* A change that this ballot proposed is chosen: it proposes nothing more. */
bool proposer_is_done(const struct proposer *p, const struct acceptor *a);

/* Phase 2a for an own batch. */
bool proposer_has_room(const struct proposer *p, const struct acceptor *a);
bool proposer_has_open(const struct proposer *p, const struct acceptor *a);
void proposer_propose(struct proposer *p, struct acceptor *a, const struct paxos_input *in,
                      struct paxos_output *out);

/* Phase 2b.  Then proposer_advance() moves the chosen prefix and returns who waits for it.
 */
void proposer_accepted(struct proposer *p, const struct acceptor *a,
                       const struct paxos_message *m);
nodes_set proposer_advance(struct proposer *p, struct acceptor *a,
                           struct paxos_output *out);

/* Own writes up to `seq` are on disk: own promise and votes count (P4). */
void proposer_durable(struct proposer *p, const struct acceptor *a, uint64_t seq);

/* Sends open slots again that were not sent for `age_ms`, to who has not accepted them. */
void proposer_send_again(struct proposer *p, const struct acceptor *a, nodes_set to,
                         uint64_t now_ms, uint32_t age_ms, struct paxos_output *out);

void proposer_check(const struct proposer *p, const struct acceptor *a);

#endif
