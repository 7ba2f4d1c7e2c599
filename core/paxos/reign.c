#include "core/paxos/reign.h"

#include "core/base/check.h"
#include "core/paxos/nodes.h"
#include "core/paxos/output.h"

/* clang-format off */
#define ROLE(r) (1u << (r))
static const unsigned MOVES[] = { /* the table STATES of paxos.h */
    [PAXOS_FOLLOWER]   = ROLE(PAXOS_ASKING) | ROLE(PAXOS_PREPARING),
    [PAXOS_ASKING]     = ROLE(PAXOS_FOLLOWER) | ROLE(PAXOS_PREPARING),
    [PAXOS_PREPARING]  = ROLE(PAXOS_FOLLOWER) | ROLE(PAXOS_RECOVERING),
    [PAXOS_RECOVERING] = ROLE(PAXOS_FOLLOWER) | ROLE(PAXOS_LEADING) |
                         ROLE(PAXOS_PREPARING),
    [PAXOS_LEADING]    = ROLE(PAXOS_FOLLOWER) | ROLE(PAXOS_PREPARING),
};
/* clang-format on */

static void role_move(struct paxos *p, enum paxos_role to)
{
    CHECK((MOVES[p->role] & ROLE(to)) != 0);
    p->role = to;
}

void reign_end(struct paxos *p)
{
    if (p->role == PAXOS_FOLLOWER) return;
    role_move(p, PAXOS_FOLLOWER);
    proposer_stop(&p->proposer);
    transfer_stop(&p->transfer);
    lease_begin(&p->lease);
    election_wait(&p->election, p->now_ms);
    p->beat_to = 0;
    p->beat_asks = false;
}

void reign_beat_all(struct paxos *p)
{
    p->beat_to = paxos_others(p);
    p->beat_asks = true;
}

void reign_send_beat(struct paxos *p, struct paxos_output *out)
{
    if (p->beat_to == 0 && !p->beat_asks) return;
    CHECK(paxos_reigns(p));
    if (p->beat_asks && lease_wants_round(&p->lease, p->now_ms)) {
        const uint64_t round = peers_read(&p->peers, p->acceptor.members.voters);

        lease_sent(&p->lease, round, p->now_ms);
    }
    if ((paxos_others(p) & ~p->beat_to) == 0) p->told = p->acceptor.chosen;
    output_send(out, p->beat_to, 0,
                &(struct paxos_message){
                    .kind = PAXOS_HEARTBEAT,
                    .ballot = p->proposer.ballot,
                    .round = p->peers.round,
                    .chosen = p->acceptor.chosen,
                    .yes = p->beat_asks,
                    .lease = p->beat_asks ? lease_asked(&p->lease) : 0,
                });
}

/* From asking to leading. */

static void lead_if_recovered(struct paxos *p)
{
    if (p->role != PAXOS_RECOVERING) return;
    if (!proposer_has_recovered(&p->proposer, &p->acceptor)) return;
    role_move(p, PAXOS_LEADING);
    reign_beat_all(p);
}

void reign_recover_if_promised(struct paxos *p, struct paxos_output *out)
{
    if (p->role != PAXOS_PREPARING) return;
    if (!proposer_has_promises(&p->proposer, &p->acceptor)) return;
    role_move(p, PAXOS_RECOVERING);
    peers_begin(&p->peers, p->proposer.promised, p->now_ms);
    disk_lead(&p->disk);
    proposer_recover(&p->proposer, &p->acceptor, p->now_ms, out);
    p->beat_due_ms = p->now_ms + p->config.heartbeat_ms;
    reign_beat_all(p);
    lead_if_recovered(p);
}

void reign_prepare(struct paxos *p, struct ballot released, struct paxos_output *out)
{
    role_move(p, PAXOS_PREPARING);
    p->election.deadline_ms = p->now_ms + p->config.election_max_ms;
    p->election.resend_ms = p->now_ms + p->config.heartbeat_ms;
    proposer_prepare(&p->proposer, &p->acceptor,
                     election_round_next(&p->election, &p->acceptor), released, out);
}

void reign_prepare_if_wanted(struct paxos *p, struct paxos_output *out)
{
    const struct ballot none = { 0 };

    if (p->role != PAXOS_ASKING) return;
    if (!election_has_quorum(&p->election, &p->acceptor)) return;
    if (lease_forbids(&p->lease, p->config.self, none, p->now_ms)) return; /* L2 */
    reign_prepare(p, none, out);
}

void reign_ask(struct paxos *p, struct paxos_output *out)
{
    role_move(p, PAXOS_ASKING);
    election_forget_leader(&p->election);
    election_ask(&p->election, &p->acceptor, p->now_ms, out);
    reign_prepare_if_wanted(p, out);
}

/* A change that this server proposed is chosen, whether it takes force or not (P11).  The
 * others hear so at the old ballot, at which their own votes tell them what is chosen. */
static void begin_anew(struct paxos *p, nodes_set before, struct paxos_output *out)
{
    p->beat_to = before | paxos_others(p);
    p->beat_asks = false;
    reign_send_beat(p, out);
    p->beat_to = 0;
    if (paxos_votes(p)) {
        transfer_stop(&p->transfer);
        lease_begin(&p->lease);
        reign_prepare(p, (struct ballot){ 0 }, out);
    } else {
        reign_end(p);
    }
}

void reign_advance(struct paxos *p, struct paxos_output *out)
{
    const nodes_set before = paxos_others(p);

    if (!paxos_reigns(p)) return;
    /* Those servers are told at once where a client waits for it. */
    p->beat_to |= proposer_advance(&p->proposer, &p->acceptor, out);
    if (proposer_is_done(&p->proposer, &p->acceptor)) {
        begin_anew(p, before, out);
    } else {
        lead_if_recovered(p);
    }
}

void reign_follow_members(struct paxos *p)
{
    const uint32_t leader = p->election.leader;
    /* Promises are being gathered from those who do not decide any more. */
    const bool stale = p->role == PAXOS_PREPARING &&
                       p->proposer.members != p->acceptor.members.number;

    if (stale || !paxos_votes(p)) reign_end(p);
    if (leader != 0 && !nodes_has(members_all(&p->acceptor.members), leader)) {
        election_leader_down(&p->election, p->now_ms); /* it goes, and says no more */
    }
}

/* When the last open slot became chosen the others hear so at once, and answer when they
 * know it too. */
void reign_hand_over(struct paxos *p, struct paxos_output *out)
{
    const uint64_t chosen = p->acceptor.chosen;

    if (!p->transfer.on) return;
    if (p->now_ms >= p->transfer.deadline_ms) {
        transfer_stop(&p->transfer);
        return;
    }
    if (proposer_has_open(&p->proposer, &p->acceptor)) return;
    if (out->chosen_count > 0) reign_beat_all(p);
    const nodes_set ready = peers_ready(&p->peers, chosen, p->now_ms);

    transfer_offer(&p->transfer, ready & p->acceptor.members.voters, p->proposer.ballot,
                   chosen, p->now_ms, out);
    /* Who was told may be promised everything at once: no lease in this reign any more. */
    if (p->transfer.told != 0) lease_give_up(&p->lease);
}
