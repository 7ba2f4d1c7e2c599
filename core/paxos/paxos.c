#include "core/paxos/paxos.h"

#include <stdlib.h>

#include "core/base/check.h"
#include "core/paxos/inside.h"
#include "core/paxos/nodes.h"
#include "core/paxos/output.h"

/* clang-format off */
#define ROLE(r) (1u << (r))
static const unsigned MOVES[] = { /* the table STATES of paxos.h */
    [PAXOS_FOLLOWER]   = ROLE(PAXOS_ASKING) | ROLE(PAXOS_PREPARING),
    [PAXOS_ASKING]     = ROLE(PAXOS_FOLLOWER) | ROLE(PAXOS_PREPARING),
    [PAXOS_PREPARING]  = ROLE(PAXOS_FOLLOWER) | ROLE(PAXOS_RECOVERING),
    [PAXOS_RECOVERING] = ROLE(PAXOS_FOLLOWER) | ROLE(PAXOS_LEADING),
    [PAXOS_LEADING]    = ROLE(PAXOS_FOLLOWER),
};
/* clang-format on */

static void role_move(struct paxos *p, enum paxos_role to)
{
    CHECK((MOVES[p->role] & ROLE(to)) != 0);
    p->role = to;
}

static nodes_set others(const struct paxos *p)
{
    return p->config.voters & ~node_bit(p->config.self);
}

static void stand_down(struct paxos *p)
{
    if (p->role == PAXOS_FOLLOWER) return;
    role_move(p, PAXOS_FOLLOWER);
    proposer_stop(&p->proposer);
    transfer_stop(&p->transfer);
    election_wait(&p->election, p->now_ms);
    p->beat_to = 0;
}

/* Heartbeats leave when the step ends, so that several reasons for one cost one. */

static void beat_all(struct paxos *p)
{
    p->beat_to = others(p);
    p->beat_asks = true;
}

static void send_beat(struct paxos *p, struct paxos_output *out)
{
    if (p->beat_to == 0) return;
    CHECK(paxos_reigns(p));
    output_send(out, p->beat_to, 0,
                &(struct paxos_message){
                    .kind = PAXOS_HEARTBEAT,
                    .ballot = p->proposer.ballot,
                    .round = p->peers.round,
                    .chosen = p->acceptor.chosen,
                    .trim = p->peers.trim,
                    .yes = p->beat_asks,
                });
}

/* From asking to leading. */

static void lead_if_recovered(struct paxos *p)
{
    if (p->role != PAXOS_RECOVERING) return;
    if (!proposer_has_recovered(&p->proposer, &p->acceptor)) return;
    role_move(p, PAXOS_LEADING);
    beat_all(p);
}

static void recover_if_promised(struct paxos *p, struct paxos_output *out)
{
    if (p->role != PAXOS_PREPARING || !proposer_has_promises(&p->proposer)) return;
    role_move(p, PAXOS_RECOVERING);
    peers_begin(&p->peers, p->proposer.promised, p->now_ms);
    proposer_recover(&p->proposer, &p->acceptor, p->now_ms, out);
    p->beat_due_ms = p->now_ms + p->config.heartbeat_ms;
    beat_all(p);
    lead_if_recovered(p);
}

static void begin_preparing(struct paxos *p, struct paxos_output *out)
{
    role_move(p, PAXOS_PREPARING);
    p->election.deadline_ms = p->now_ms + p->config.election_max_ms;
    p->election.resend_ms = p->now_ms + p->config.heartbeat_ms;
    proposer_prepare(&p->proposer, &p->acceptor,
                     election_round_next(&p->election, &p->acceptor), out);
}

static void prepare_if_wanted(struct paxos *p, struct paxos_output *out)
{
    if (p->role != PAXOS_ASKING || !election_has_quorum(&p->election)) return;
    begin_preparing(p, out);
}

static void begin_asking(struct paxos *p, struct paxos_output *out)
{
    role_move(p, PAXOS_ASKING);
    election_forget_leader(&p->election);
    election_ask(&p->election, &p->acceptor, p->now_ms, out);
    prepare_if_wanted(p, out);
}

/* Counts what came in and tells at once those servers where a client waits for it. */
static void advance(struct paxos *p, struct paxos_output *out)
{
    if (!paxos_reigns(p)) return;
    p->beat_to |= proposer_advance(&p->proposer, &p->acceptor, out);
    lead_if_recovered(p);
}

/* Ends each step of a leader that hands over.  When its last open slot became chosen the
 * others hear so at once, and answer when they know it too. */
static void hand_over(struct paxos *p, struct paxos_output *out)
{
    const uint64_t chosen = p->acceptor.chosen;

    if (!p->transfer.on) return;
    if (p->now_ms >= p->transfer.deadline_ms) {
        transfer_stop(&p->transfer);
        return;
    }
    if (p->proposer.slot_next != chosen + 1) return;
    if (out->chosen_count > 0) beat_all(p);
    transfer_offer(&p->transfer, peers_ready(&p->peers, chosen, p->now_ms),
                   p->proposer.ballot, chosen, p->now_ms, out);
}

/* Time. */

static void tick_reign(struct paxos *p, struct paxos_output *out)
{
    if (!nodes_quorum(peers_lately(&p->peers, p->now_ms), p->config.voters)) {
        stand_down(p);
        return;
    }
    if (p->now_ms < p->beat_due_ms) return;
    p->beat_due_ms = p->now_ms + p->config.heartbeat_ms;
    beat_all(p);
    peers_trim(&p->peers);
    proposer_send_again(&p->proposer, &p->acceptor, ~p->peers.down, p->now_ms,
                        p->config.heartbeat_ms, out);
}

static void tick_preparing(struct paxos *p, struct paxos_output *out)
{
    if (p->now_ms >= p->election.deadline_ms) {
        stand_down(p);
    } else if (p->now_ms >= p->election.resend_ms) {
        p->election.resend_ms = p->now_ms + p->config.heartbeat_ms;
        proposer_prepare_again(&p->proposer, out);
    }
}

static void on_tick(struct paxos *p, struct paxos_output *out)
{
    const bool late = p->now_ms >= p->election.deadline_ms;

    switch (p->role) {
    case PAXOS_FOLLOWER:
        if (late) begin_asking(p, out);
        return;
    case PAXOS_ASKING:
        if (late) {
            stand_down(p);
        } else {
            election_ask_again(&p->election, &p->acceptor, p->now_ms, out);
        }
        return;
    case PAXOS_PREPARING:
        tick_preparing(p, out);
        return;
    case PAXOS_RECOVERING:
    case PAXOS_LEADING:
        tick_reign(p, out);
        return;
    }
}

/* Messages to the acceptor and follower. */

/* Obeys a leader, which every server does that has not promised a higher ballot: false when
 * `m` is of no leader, or of a past one, who then is told so. */
static bool obey(struct paxos *p, const struct paxos_message *m, struct paxos_output *out)
{
    if (m->ballot.node != m->from) return false;
    if (ballot_cmp(m->ballot, p->acceptor.promised) < 0) {
        acceptor_refuse(&p->acceptor, m, out);
        return false;
    }
    stand_down(p);
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
    peers_trim_told(&p->peers, m->trim);
    if (!m->yes) return;
    /* It attests that nothing higher is promised now (P9), and promises nothing. */
    output_send(out, node_bit(m->from), 0,
                &(struct paxos_message){
                    .kind = PAXOS_HEARTBEAT_OK,
                    .ballot = m->ballot,
                    .round = m->round,
                    .chosen = p->acceptor.chosen,
                    .flushed = p->peers.flushed,
                });
}

static void on_prepare(struct paxos *p, const struct paxos_message *m,
                       struct paxos_output *out)
{
    const struct ballot before = p->acceptor.promised;

    if (m->ballot.node != m->from) return;
    acceptor_prepare(&p->acceptor, m, out);
    if (ballot_cmp(p->acceptor.promised, before) == 0) return;
    stand_down(p);
    election_forget_leader(&p->election);
    election_wait(&p->election, p->now_ms); /* the candidate gets the time to lead */
}

/* Asking the others first is for peace, not for safety: they would say no while they hear
 * the very leader that wants to go.  A PREPARE is always allowed (P10). */
static void on_take_over(struct paxos *p, const struct paxos_message *m,
                         struct paxos_output *out)
{
    if (p->role != PAXOS_FOLLOWER || p->election.leader != m->from) return;
    if (ballot_cmp(m->ballot, p->election.leader_ballot) != 0) return;
    if (p->acceptor.chosen < m->slot) return; /* said again, it may fit */
    election_forget_leader(&p->election);
    begin_preparing(p, out);
}

static void on_would_you(struct paxos *p, const struct paxos_message *m,
                         struct paxos_output *out)
{
    const nodes_set live = peers_live(&p->peers, p->now_ms);
    const bool engaged = p->role == PAXOS_PREPARING ||
                         (paxos_reigns(p) && nodes_quorum(live, p->config.voters));

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
    if (paxos_reigns(p)) return;
    learner_take(&p->learner, &p->acceptor, m, p->now_ms, out);
}

/* Answers to the proposer. */

/* True when `m` answers what this server, in its present role, sent at its ballot. */
static bool answers(const struct paxos *p, const struct paxos_message *m)
{
    return (p->role == PAXOS_PREPARING || paxos_reigns(p)) &&
           ballot_cmp(m->ballot, p->proposer.ballot) == 0;
}

static void on_would(struct paxos *p, const struct paxos_message *m,
                     struct paxos_output *out)
{
    learner_hear(&p->learner, m->from, m->slot);
    if (p->role != PAXOS_ASKING) return;
    election_take_would(&p->election, m);
    prepare_if_wanted(p, out);
}

static void on_promise(struct paxos *p, const struct paxos_message *m,
                       struct paxos_output *out)
{
    if (p->role != PAXOS_PREPARING || !answers(p, m)) return;
    proposer_take_promise(&p->proposer, &p->acceptor, m);
    recover_if_promised(p, out);
}

static void on_too_old(struct paxos *p, const struct paxos_message *m)
{
    learner_hear(&p->learner, m->from, m->slot);
    if (p->role == PAXOS_PREPARING && answers(p, m)) stand_down(p);
}

static void on_accepted(struct paxos *p, const struct paxos_message *m,
                        struct paxos_output *out)
{
    if (!paxos_reigns(p) || !answers(p, m)) return;
    peers_heard(&p->peers, m->from, p->now_ms);
    proposer_accepted(&p->proposer, &p->acceptor, m);
    advance(p, out);
}

static void on_nack(struct paxos *p, const struct paxos_message *m)
{
    if (answers(p, m) && ballot_cmp(m->promised, m->ballot) > 0) stand_down(p);
}

static void on_heartbeat_ok(struct paxos *p, const struct paxos_message *m)
{
    if (!paxos_reigns(p) || !answers(p, m)) return;
    peers_heard(&p->peers, m->from, p->now_ms);
    peers_answer(&p->peers, m);
}

static void on_message(struct paxos *p, const struct paxos_message *m,
                       struct paxos_output *out)
{
    CHECK(m->kind > 0 && m->kind < PAXOS_MESSAGE_KINDS_END);
    if (!nodes_has(others(p), m->from)) return;
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

/* The other inputs. */

static void on_durable(struct paxos *p, uint64_t seq, struct paxos_output *out)
{
    CHECK(seq <= p->acceptor.write_seq);
    if (p->role == PAXOS_FOLLOWER || p->role == PAXOS_ASKING) return;
    proposer_durable(&p->proposer, &p->acceptor, seq);
    recover_if_promised(p, out);
    advance(p, out);
}

static void on_read(struct paxos *p, struct paxos_output *out)
{
    if (p->role != PAXOS_LEADING) return;
    out->round = peers_read(&p->peers);
    beat_all(p);
}

static void on_peer_down(struct paxos *p, uint32_t node)
{
    if (!nodes_has(others(p), node)) return;
    peers_down(&p->peers, node);
    learner_peer_down(&p->learner, node);
    if (p->election.leader == node) election_leader_down(&p->election, p->now_ms);
}

static void on_transfer(struct paxos *p, uint32_t node)
{
    if (p->role != PAXOS_LEADING || p->transfer.on || others(p) == 0) return;
    if (node != 0 && !nodes_has(others(p), node)) return;
    transfer_begin(&p->transfer, node, p->now_ms);
    beat_all(p);
}

static void on_input(struct paxos *p, const struct paxos_input *in,
                     struct paxos_output *out)
{
    switch (in->kind) {
    case PAXOS_IN_TICK:
        on_tick(p, out);
        return;
    case PAXOS_IN_MESSAGE:
        on_message(p, in->message, out);
        return;
    case PAXOS_IN_DURABLE:
        on_durable(p, in->seq, out);
        return;
    case PAXOS_IN_PROPOSE:
        CHECK(paxos_can_propose(p));
        proposer_propose(&p->proposer, &p->acceptor, in, out);
        return;
    case PAXOS_IN_READ:
        on_read(p, out);
        return;
    case PAXOS_IN_PEER_DOWN:
        on_peer_down(p, in->node);
        return;
    case PAXOS_IN_FLUSHED:
        peers_flushed(&p->peers, in->slot);
        return;
    case PAXOS_IN_TRANSFER:
        on_transfer(p, in->node);
        return;
    }
}

void paxos_step(struct paxos *p, const struct paxos_input *in, struct paxos_output *out)
{
    const enum paxos_role role = p->role;
    const uint32_t leader = paxos_leader(p);
    const struct ballot ballot = paxos_ballot(p), promised = p->acceptor.promised;
    const uint64_t chosen = p->acceptor.chosen, confirmed = p->peers.round_confirmed;

    CHECK(in->now_ms >= p->now_ms);
    p->now_ms = in->now_ms;
    p->beat_to = 0;
    p->beat_asks = false;
    acceptor_release(&p->acceptor);
    output_begin(out);

    on_input(p, in, out);
    hand_over(p, out);
    send_beat(p, out);
    if (!paxos_reigns(p)) learner_ask(&p->learner, &p->acceptor, p->now_ms, out);

    if (p->peers.round_confirmed > confirmed)
        out->round_confirmed = p->peers.round_confirmed;
    out->role_changed = role != p->role || leader != paxos_leader(p) ||
                        ballot_cmp(ballot, paxos_ballot(p)) != 0;
    CHECK(ballot_cmp(p->acceptor.promised, promised) >= 0);  /* P1 */
    CHECK(p->acceptor.chosen == chosen + out->chosen_count); /* P6 */
    paxos_check(p);
}

struct paxos *paxos_new(const struct paxos_config *config)
{
    struct paxos *p = mem_zalloc(sizeof *p);

    CHECK(nodes_has(config->voters, config->self));
    CHECK(config->heartbeat_ms > 0);
    CHECK(config->election_min_ms > config->heartbeat_ms);
    CHECK(config->election_max_ms >= config->election_min_ms);
    p->config = *config;
    paxos_init(p, (struct ballot){ 0 }, 0, 0);
    return p;
}

void paxos_free(struct paxos *p)
{
    if (p == NULL) return;
    proposer_stop(&p->proposer);
    acceptor_fini(&p->acceptor);
    free(p);
}

void paxos_init(struct paxos *p, struct ballot promised, uint64_t chosen, uint64_t now_ms)
{
    proposer_stop(&p->proposer);
    acceptor_fini(&p->acceptor);
    p->role = PAXOS_FOLLOWER;
    p->now_ms = now_ms;
    p->beat_to = 0;
    acceptor_init(&p->acceptor, promised, chosen);
    learner_init(&p->learner);
    proposer_init(&p->proposer, &p->config);
    election_init(&p->election, &p->config, now_ms);
    peers_init(&p->peers, &p->config);
    transfer_init(&p->transfer, &p->config);
    paxos_check(p);
}

void paxos_restore(struct paxos *p, const struct vote *v)
{
    acceptor_restore(&p->acceptor, v);
}
