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

nodes_set paxos_quorum_heard(const struct paxos *p)
{
    if (p->role != PAXOS_LEADING) return 0;
    return peers_live(&p->peers, p->now_ms) & p->acceptor.members.voters;
}

uint64_t paxos_lease_until_ms(const struct paxos *p)
{
    return p->role == PAXOS_LEADING ? p->lease.until_ms : 0;
}

uint64_t paxos_round_next(const struct paxos *p)
{
    return p->peers.round + 1;
}

nodes_set paxos_heard(const struct paxos *p)
{
    if (p->role != PAXOS_LEADING) return 0;
    return peers_live(&p->peers, p->now_ms) & members_all(&p->acceptor.members);
}

uint32_t paxos_disk_us(const struct paxos *p)
{
    return disk_us(&p->disk, p->now_ms);
}

const struct members *paxos_members(const struct paxos *p)
{
    return &p->acceptor.members;
}

bool paxos_can_change(const struct paxos *p)
{
    return paxos_can_propose(p) && !proposer_has_open(&p->proposer, &p->acceptor);
}

bool paxos_leaving(const struct paxos *p)
{
    return p->leave.on;
}

uint64_t paxos_peer_chosen(const struct paxos *p, uint32_t node)
{
    CHECK(node >= 1 && node <= NODES_MAX);
    return p->role == PAXOS_LEADING ? p->peers.of[node - 1].chosen : 0;
}

void paxos_check(const struct paxos *p)
{
    acceptor_check(&p->acceptor);
    learner_check(&p->learner);
    peers_check(&p->peers);
    if (p->role == PAXOS_PREPARING || paxos_reigns(p)) {
        CHECK(ballot_cmp(p->proposer.ballot, p->acceptor.promised) == 0);
        CHECK(p->election.leader == 0);
    } else {
        CHECK(IMPLIES(p->election.leader != 0,
                      ballot_cmp(p->election.leader_ballot, p->acceptor.promised) == 0));
    }
    CHECK(IMPLIES(p->transfer.on, p->role == PAXOS_LEADING));        /* P10 */
    CHECK(IMPLIES(p->role != PAXOS_FOLLOWER, paxos_votes(p)));       /* P12 */
    CHECK(IMPLIES(p->role == PAXOS_PREPARING || paxos_reigns(p),     /* P11 */
                  p->proposer.members == p->acceptor.members.number));
    CHECK(IMPLIES(!paxos_reigns(p), p->lease.until_ms == 0));
    CHECK(IMPLIES(p->leave.slot != 0, p->alien && p->role == PAXOS_FOLLOWER)); /* P12 */
    if (paxos_reigns(p)) proposer_check(&p->proposer, &p->acceptor);
    CHECK(IMPLIES(p->role == PAXOS_LEADING,
                  proposer_has_recovered(&p->proposer, &p->acceptor)));
}
