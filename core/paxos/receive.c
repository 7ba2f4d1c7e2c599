#include "core/paxos/receive.h"

#include "core/base/check.h"
#include "core/paxos/nodes.h"
#include "core/paxos/output.h"
#include "core/paxos/reign.h"

/* To the acceptor and follower. */

/* Obeys a leader, which every server does that has not promised a higher ballot: false when
 * `m` is of no leader, or of a past one, who then is told so. */
static bool obey(struct paxos *p, const struct paxos_message *m, struct paxos_output *out)
{
    if (m->ballot.node != m->from) return false;
    if (ballot_cmp(m->ballot, p->acceptor.promised) < 0) {
        acceptor_refuse(&p->acceptor, m, out);
        return false;
    }
    reign_end(p);
    acceptor_promise(&p->acceptor, m->ballot, out);
    election_leader_spoke(&p->election, m, p->now_ms);
    learner_obey(&p->learner, m);
    learner_advance(&p->learner, &p->acceptor, out);
    return true;
}

static void on_accept(struct paxos *p, const struct paxos_message *m,
                      struct paxos_output *out)
{
    if (!obey(p, m, out)) return;
    acceptor_accept(&p->acceptor, m, out);
    learner_advance(&p->learner, &p->acceptor, out); /* it may have come late */
}

static void on_heartbeat(struct paxos *p, const struct paxos_message *m,
                         struct paxos_output *out)
{
    if (!obey(p, m, out)) return;
    if (!m->yes) return;
    lease_grant(&p->lease, m, p->now_ms);
    /* It attests that nothing higher is promised now (P9), and promises nothing. */
    output_send(out, node_bit(m->from), 0,
                &(struct paxos_message){
                    .kind = PAXOS_HEARTBEAT_OK,
                    .ballot = m->ballot,
                    .round = m->round,
                    .chosen = p->acceptor.chosen,
                    .disk_us = disk_us(&p->disk, p->now_ms),
                });
}

static void on_prepare(struct paxos *p, const struct paxos_message *m,
                       struct paxos_output *out)
{
    const struct ballot before = p->acceptor.promised;

    if (m->ballot.node != m->from) return;
    /* It asks again with each heartbeat, and then the grant is over. */
    if (lease_forbids(&p->lease, m->from, m->promised, p->now_ms)) return; /* L2 */
    acceptor_prepare(&p->acceptor, m, out);
    if (ballot_cmp(p->acceptor.promised, before) == 0) return;
    reign_end(p);
    election_forget_leader(&p->election);
    election_wait(&p->election, p->now_ms); /* the candidate gets the time to lead */
}

/* Asking the others first is for peace, not for safety: they would say no while they hear
 * the very leader that wants to go.  A PREPARE is always allowed (P10). */
static void on_take_over(struct paxos *p, const struct paxos_message *m,
                         struct paxos_output *out)
{
    if (p->role != PAXOS_FOLLOWER || !paxos_votes(p)) return;
    if (p->election.leader != m->from) return;
    if (ballot_cmp(m->ballot, p->election.leader_ballot) != 0) return;
    if (p->acceptor.chosen < m->slot) return; /* said again, it may fit */
    election_forget_leader(&p->election);
    reign_prepare(p, m->ballot, out);
}

static void on_would_you(struct paxos *p, const struct paxos_message *m,
                         struct paxos_output *out)
{
    const nodes_set live = peers_live(&p->peers, p->now_ms);
    const struct ballot none = { 0 };
    const bool quorum = nodes_quorum(live, p->acceptor.members.voters);
    const bool engaged = p->role == PAXOS_PREPARING || (paxos_reigns(p) && quorum) ||
                         lease_forbids(&p->lease, m->from, none, p->now_ms);

    election_answer(&p->election, &p->acceptor, m, p->now_ms, engaged, out);
}

static void on_learn_request(struct paxos *p, const struct paxos_message *m,
                             struct paxos_output *out)
{
    if (m->slot > p->acceptor.chosen) return;
    out->serve.to = m->from;
    out->serve.slot_first = m->slot;
}

static void on_learn(struct paxos *p, const struct paxos_message *m,
                     struct paxos_output *out)
{
    /* Who reigns learns by counting only.  A slot may be chosen at a higher ballot than its
     * own, with another proposal than its own; were `chosen` to move over such a slot, its
     * followers would take their votes at its ballot for the chosen ones (P8). */
    if (paxos_reigns(p) || p->leave.slot != 0) return;
    learner_take(&p->learner, &p->acceptor, m, p->now_ms, out);
}

/* To the proposer. */

/* True when `m` answers what this server, in its present role, sent at its ballot. */
static bool answers(const struct paxos *p, const struct paxos_message *m)
{
    return (p->role == PAXOS_PREPARING || paxos_reigns(p)) &&
           ballot_cmp(m->ballot, p->proposer.ballot) == 0;
}

static void on_would(struct paxos *p, const struct paxos_message *m,
                     struct paxos_output *out)
{
    if (p->role != PAXOS_ASKING) return;
    election_take_would(&p->election, m);
    reign_prepare_if_wanted(p, out);
}

static void on_promise(struct paxos *p, const struct paxos_message *m,
                       struct paxos_output *out)
{
    if (p->role != PAXOS_PREPARING || !answers(p, m)) return;
    proposer_take_promise(&p->proposer, &p->acceptor, m);
    reign_recover_if_promised(p, out);
}

static void on_too_old(struct paxos *p, const struct paxos_message *m)
{
    if (p->role == PAXOS_PREPARING && answers(p, m)) reign_end(p);
}

static void on_accepted(struct paxos *p, const struct paxos_message *m,
                        struct paxos_output *out)
{
    if (!paxos_reigns(p) || !answers(p, m)) return;
    peers_heard(&p->peers, m->from, p->now_ms);
    proposer_accepted(&p->proposer, &p->acceptor, m);
    reign_advance(p, out);
}

static void on_nack(struct paxos *p, const struct paxos_message *m)
{
    if (answers(p, m) && ballot_cmp(m->promised, m->ballot) > 0) reign_end(p);
}

static void on_heartbeat_ok(struct paxos *p, const struct paxos_message *m)
{
    if (!paxos_reigns(p) || !answers(p, m)) return;
    peers_heard(&p->peers, m->from, p->now_ms);
    peers_answer(&p->peers, m, p->acceptor.members.voters);
}

/* Who asks for a vote is told no and what is known as chosen, and that for good: it may be
 * what the asker lacks to know who belongs, and nobody else may know it; or he was removed,
 * and only waits for that word (leave.h). */
static void answer_stranger(const struct paxos *p, const struct paxos_message *m,
                            struct paxos_output *out)
{
    output_send(out, node_bit(m->from), p->acceptor.write_seq,
                &(struct paxos_message){
                    .kind = PAXOS_WOULD,
                    .ballot = p->acceptor.promised,
                    .round = m->round,
                    .slot = p->acceptor.chosen,
                });
}

/* What every server may say to every other one: this slot is chosen, and what it holds. */
static void receive_strange(struct paxos *p, const struct paxos_message *m,
                            struct paxos_output *out)
{
    if (m->kind == PAXOS_WOULD_YOU) answer_stranger(p, m, out);
    if (m->kind == PAXOS_WOULD) leave_hear(&p->leave, m->from, m->slot);
    if (m->kind == PAXOS_LEARN_REQUEST) on_learn_request(p, m, out);
    if (m->kind == PAXOS_LEARN) on_learn(p, m, out);
}

/* The prefix that the sender of `m` says is chosen. */
static uint64_t prefix_told(const struct paxos_message *m)
{
    switch (m->kind) {
    case PAXOS_WOULD_YOU:
    case PAXOS_WOULD:
    case PAXOS_TOO_OLD:
    case PAXOS_TAKE_OVER:
        return m->slot;
    case PAXOS_PREPARE:
    case PAXOS_LEARN_REQUEST:
        return m->slot - 1;
    case PAXOS_ACCEPT:
    case PAXOS_HEARTBEAT:
    case PAXOS_HEARTBEAT_OK:
    case PAXOS_LEARN:
        return m->chosen;
    case PAXOS_PROMISE:
    case PAXOS_ACCEPTED:
    case PAXOS_NACK:
    case PAXOS_MESSAGE_KINDS_END:
        break;
    }
    return 0;
}

static void receive_known(struct paxos *p, const struct paxos_message *m,
                          struct paxos_output *out)
{
    election_see(&p->election, m);
    peers_up(&p->peers, m->from);

    switch (m->kind) {
    case PAXOS_WOULD_YOU:
        on_would_you(p, m, out);
        return;
    case PAXOS_WOULD:
        on_would(p, m, out);
        return;
    case PAXOS_PREPARE:
        on_prepare(p, m, out);
        return;
    case PAXOS_PROMISE:
        on_promise(p, m, out);
        return;
    case PAXOS_TOO_OLD:
        on_too_old(p, m);
        return;
    case PAXOS_ACCEPT:
        on_accept(p, m, out);
        return;
    case PAXOS_ACCEPTED:
        on_accepted(p, m, out);
        return;
    case PAXOS_NACK:
        on_nack(p, m);
        return;
    case PAXOS_HEARTBEAT:
        on_heartbeat(p, m, out);
        return;
    case PAXOS_HEARTBEAT_OK:
        on_heartbeat_ok(p, m);
        return;
    case PAXOS_LEARN_REQUEST:
        on_learn_request(p, m, out);
        return;
    case PAXOS_LEARN:
        on_learn(p, m, out);
        return;
    case PAXOS_TAKE_OVER:
        on_take_over(p, m, out);
        return;
    case PAXOS_MESSAGE_KINDS_END:
        return;
    }
}

/* Who does not belong to the configuration known here may belong to a later one: it is
 * heard as one to learn from, and else not at all (P12).  So is everybody by who does not
 * belong to it himself. */
void paxos_receive(struct paxos *p, const struct paxos_message *m, bool strange,
                   struct paxos_output *out)
{
    const nodes_set all = members_all(&p->acceptor.members);
    const bool belongs = nodes_has(all, p->config.self) && !p->alien;

    CHECK(m->kind > 0 && m->kind < PAXOS_MESSAGE_KINDS_END);
    CHECK(m->from >= 1 && m->from <= NODES_MAX);
    if (m->from == p->config.self) return;
    learner_hear(&p->learner, m->from, prefix_told(m));
    if (belongs && !strange && nodes_has(all, m->from)) {
        receive_known(p, m, out);
    } else {
        receive_strange(p, m, out);
    }
}
