/* inside.h -- the whole of one server's Paxos, for the parent's files only. */
#ifndef CORE_PAXOS_INSIDE_H
#define CORE_PAXOS_INSIDE_H

#include "core/paxos/acceptor.h"
#include "core/paxos/disk.h"
#include "core/paxos/election.h"
#include "core/paxos/learner.h"
#include "core/paxos/lease.h"
#include "core/paxos/leave.h"
#include "core/paxos/nodes.h"
#include "core/paxos/peers.h"
#include "core/paxos/proposer.h"
#include "core/paxos/transfer.h"

struct paxos {
    struct paxos_config config;
    enum paxos_role role;
    uint64_t now_ms; /* of the last step */
    struct acceptor acceptor;
    struct learner learner;
    struct proposer proposer;
    struct election election;
    struct peers peers;
    struct transfer transfer;
    struct lease lease;
    struct disk disk;
    struct leave leave;
    uint64_t beat_due_ms; /* RECOVERING, LEADING: next regular heartbeat */
    uint64_t told;        /* what all others were sent as chosen, last */
    nodes_set beat_to;    /* this step ends with a heartbeat to these, */
    bool beat_asks;       /* which they are to answer */
    bool alien;           /* see paxos_alien() */
};

/* True when the others hear of this server as the leader. */
static inline bool paxos_reigns(const struct paxos *p)
{
    return p->role == PAXOS_RECOVERING || p->role == PAXOS_LEADING;
}

static inline bool paxos_votes(const struct paxos *p)
{
    return !p->alien && nodes_has(p->acceptor.members.voters, p->config.self);
}

static inline nodes_set paxos_others(const struct paxos *p)
{
    return members_all(&p->acceptor.members) & ~node_bit(p->config.self);
}

#endif
