/* look.c -- what the driver may ask between steps, and what must be true then. */
#include "core/base/check.h"
#include "core/paxos/inside.h"

enum paxos_role paxos_role(const struct paxos *p)
{
    return p->role;
}

const char *paxos_role_name(enum paxos_role role)
{
    switch (role) {
    case PAXOS_FOLLOWER:
        return "follower";
    case PAXOS_ASKING:
        return "asking";
    case PAXOS_PREPARING:
        return "preparing";
    case PAXOS_RECOVERING:
        return "recovering";
    case PAXOS_LEADING:
        return "leading";
    }
    return "unknown";
}

uint32_t paxos_leader(const struct paxos *p)
{
    return paxos_reigns(p) ? p->config.self : p->election.leader;
}

struct ballot paxos_ballot(const struct paxos *p)
{
    if (p->role == PAXOS_PREPARING || paxos_reigns(p)) return p->proposer.ballot;
    return p->election.leader_ballot;
}

struct ballot paxos_promised(const struct paxos *p)
{
    return p->acceptor.promised;
}

uint64_t paxos_chosen(const struct paxos *p)
{
    return p->acceptor.chosen;
}

uint64_t paxos_slot_next(const struct paxos *p)
{
    return p->role == PAXOS_LEADING ? p->proposer.slot_next : 0;
}

bool paxos_can_propose(const struct paxos *p)
{
    return p->role == PAXOS_LEADING && !p->transfer.on &&
           proposer_has_room(&p->proposer, &p->acceptor);
}

bool paxos_transferring(const struct paxos *p)
{
    return p->transfer.on;
}

uint64_t paxos_trim(const struct paxos *p)
{
    return p->peers.trim;
}

nodes_set paxos_quorum_heard(const struct paxos *p)
{
    return p->role == PAXOS_LEADING ? peers_live(&p->peers, p->now_ms) : 0;
}

void paxos_check(const struct paxos *p)
{
    acceptor_check(&p->acceptor);
    peers_check(&p->peers);
    if (p->role == PAXOS_PREPARING || paxos_reigns(p)) {
        CHECK(ballot_cmp(p->proposer.ballot, p->acceptor.promised) == 0);
        CHECK(p->election.leader == 0);
    } else {
        CHECK(IMPLIES(p->election.leader != 0,
                      ballot_cmp(p->election.leader_ballot, p->acceptor.promised) == 0));
    }
    CHECK(IMPLIES(p->transfer.on, p->role == PAXOS_LEADING)); /* P10 */
    if (paxos_reigns(p)) proposer_check(&p->proposer, &p->acceptor);
    CHECK(IMPLIES(p->role == PAXOS_LEADING,
                  proposer_has_recovered(&p->proposer, &p->acceptor)));
}
