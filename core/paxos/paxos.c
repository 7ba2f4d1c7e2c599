#include "core/paxos/paxos.h"

#include <stdlib.h>

#include "core/base/check.h"
#include "core/paxos/nodes.h"
#include "core/paxos/output.h"
#include "core/paxos/receive.h"
#include "core/paxos/reign.h"

/* Time. */

/* A leader whose disk holds up all others hands over. */
static void step_aside(struct paxos *p)
{
    const nodes_set live = peers_live(&p->peers, p->now_ms);
    const nodes_set able = live & paxos_others(p) & p->acceptor.members.voters;

    if (p->role != PAXOS_LEADING || p->transfer.on || p->proposer.change != 0) return;
    const uint32_t to = disk_step_aside(&p->disk, &p->peers, able, p->now_ms);
    if (to != 0) transfer_begin(&p->transfer, to, p->now_ms);
}

/* What is chosen rides on the next proposal. When none follows, the others hear of it at the
 * next tick, and not with the next heartbeat only: watches and reads of theirs wait for it. */
static void tell_chosen(struct paxos *p)
{
    if (p->told < p->acceptor.chosen) p->beat_to |= paxos_others(p);
}

static void tick_reign(struct paxos *p, struct paxos_output *out)
{
    if (!nodes_quorum(peers_lately(&p->peers, p->now_ms), p->acceptor.members.voters)) {
        reign_end(p);
        return;
    }
    tell_chosen(p);
    if (p->now_ms < p->beat_due_ms) return;
    p->beat_due_ms = p->now_ms + p->config.heartbeat_ms;
    reign_beat_all(p);
    step_aside(p);
    proposer_send_again(&p->proposer, &p->acceptor, ~p->peers.down, p->now_ms,
                        p->config.heartbeat_ms, out);
}

static void tick_preparing(struct paxos *p, struct paxos_output *out)
{
    if (p->now_ms >= p->election.deadline_ms) {
        reign_end(p);
    } else if (p->now_ms >= p->election.resend_ms) {
        p->election.resend_ms = p->now_ms + p->config.heartbeat_ms;
        proposer_prepare_again(&p->proposer, &p->acceptor, out);
    }
}

/* No leader was heard in time. */
static void follow_nobody(struct paxos *p, struct paxos_output *out)
{
    if (paxos_votes(p)) {
        reign_ask(p, out);
    } else {
        election_forget_leader(&p->election);
    }
}

static void on_tick(struct paxos *p, struct paxos_output *out)
{
    const bool late = p->now_ms >= p->election.deadline_ms;

    switch (p->role) {
    case PAXOS_FOLLOWER:
        if (late) follow_nobody(p, out);
        return;
    case PAXOS_ASKING:
        if (late) {
            reign_end(p);
        } else {
            election_ask_again(&p->election, &p->acceptor, p->now_ms, out);
            reign_prepare_if_wanted(p, out); /* a grant may be over now */
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

/* The other inputs. */

static void on_durable(struct paxos *p, uint64_t seq, struct paxos_output *out)
{
    CHECK(seq <= p->acceptor.write_seq);
    disk_durable(&p->disk, seq, p->now_ms);
    if (p->role == PAXOS_FOLLOWER || p->role == PAXOS_ASKING) return;
    proposer_durable(&p->proposer, &p->acceptor, seq);
    reign_recover_if_promised(p, out);
    reign_advance(p, out);
}

static void on_read(struct paxos *p, struct paxos_output *out)
{
    if (p->role != PAXOS_LEADING) return;
    out->round = peers_read(&p->peers, p->acceptor.members.voters);
    reign_beat_all(p);
}

static void on_peer_down(struct paxos *p, uint32_t node)
{
    CHECK(node >= 1 && node <= NODES_MAX);
    peers_down(&p->peers, node);
    learner_peer_down(&p->learner, node);
    if (p->election.leader == node) election_leader_down(&p->election, p->now_ms);
}

static void on_transfer(struct paxos *p, uint32_t node)
{
    const nodes_set able = paxos_others(p) & p->acceptor.members.voters;

    if (p->role != PAXOS_LEADING || p->transfer.on || able == 0) return;
    if (node != 0 && !nodes_has(able, node)) return;
    transfer_begin(&p->transfer, node, p->now_ms);
    reign_beat_all(p);
}

/* Whoever led or wished to did so from a prefix that the cluster has long passed. */
static void on_installed(struct paxos *p, const struct paxos_input *in,
                         struct paxos_output *out)
{
    reign_end(p);
    acceptor_install(&p->acceptor, in->run, &in->members, out);
    learner_advance(&p->learner, &p->acceptor, out);
}

static void on_input(struct paxos *p, const struct paxos_input *in,
                     struct paxos_output *out)
{
    switch (in->kind) {
    case PAXOS_IN_TICK:
        on_tick(p, out);
        return;
    case PAXOS_IN_MESSAGE:
        paxos_receive(p, in->message, in->strange, out);
        return;
    case PAXOS_IN_DURABLE:
        on_durable(p, in->seq, out);
        return;
    case PAXOS_IN_PROPOSE:
        CHECK(in->members.number == 0 ? paxos_can_propose(p) : paxos_can_change(p));
        proposer_propose(&p->proposer, &p->acceptor, in, out);
        p->told = p->acceptor.chosen;
        return;
    case PAXOS_IN_READ:
        on_read(p, out);
        return;
    case PAXOS_IN_PEER_DOWN:
        on_peer_down(p, in->node);
        return;
    case PAXOS_IN_TRANSFER:
        on_transfer(p, in->node);
        return;
    case PAXOS_IN_INSTALLED:
        on_installed(p, in, out);
        return;
    }
}

void paxos_step(struct paxos *p, const struct paxos_input *in, struct paxos_output *out)
{
    const enum paxos_role role = p->role;
    const uint32_t leader = paxos_leader(p);
    const struct ballot ballot = paxos_ballot(p), promised = p->acceptor.promised;
    const uint64_t chosen = p->acceptor.chosen, confirmed = p->peers.round_confirmed;
    const uint64_t base = in->kind == PAXOS_IN_INSTALLED ? in->run->slot : chosen;
    const uint32_t number = p->acceptor.members.number;

    CHECK(in->now_ms >= p->now_ms);
    p->now_ms = in->now_ms;
    p->beat_to = 0;
    p->beat_asks = false;
    acceptor_release(&p->acceptor);
    output_begin(out);

    on_input(p, in, out);
    out->members_changed = number != p->acceptor.members.number;
    if (out->members_changed) reign_follow_members(p);
    reign_hand_over(p, out);
    reign_send_beat(p, out);
    if (paxos_reigns(p)) lease_confirmed(&p->lease, p->peers.round_confirmed);
    if (!paxos_reigns(p) && p->leave.slot == 0)
        learner_ask(&p->learner, &p->acceptor, p->now_ms, out);
    leave_turn(&p->leave, &p->acceptor, p->now_ms, out);

    if (out->writes_count > 0) disk_writes(&p->disk, p->acceptor.write_seq, p->now_ms);
    if (p->peers.round_confirmed > confirmed)
        out->round_confirmed = p->peers.round_confirmed;
    out->role_changed = role != p->role || leader != paxos_leader(p) ||
                        ballot_cmp(ballot, paxos_ballot(p)) != 0;
    CHECK(ballot_cmp(p->acceptor.promised, promised) >= 0);  /* P1 */
    CHECK(p->acceptor.chosen == base + out->chosen_count); /* P6 */
    paxos_check(p);
}

struct paxos *paxos_new(const struct paxos_config *config)
{
    struct paxos *p = mem_zalloc(sizeof *p);

    CHECK(config->self >= 1 && config->self <= NODES_MAX);
    CHECK(config->heartbeat_ms > 0);
    CHECK(config->election_min_ms > config->heartbeat_ms);
    CHECK(config->election_max_ms >= config->election_min_ms);
    CHECK(config->lease_ms <= LEASE_MS_MAX && config->lease_ms < config->election_min_ms);
    p->config = *config;
    paxos_init(p, (struct ballot){ 0 }, &(struct run){ 0 }, &(struct members){ 0 }, 0);
    return p;
}

void paxos_free(struct paxos *p)
{
    if (p == NULL) return;
    proposer_stop(&p->proposer);
    learner_fini(&p->learner);
    acceptor_fini(&p->acceptor);
    free(p);
}

void paxos_init(struct paxos *p, struct ballot promised, const struct run *run,
                const struct members *members, uint64_t now_ms)
{
    proposer_stop(&p->proposer);
    learner_fini(&p->learner);
    acceptor_fini(&p->acceptor);
    p->role = PAXOS_FOLLOWER;
    p->alien = false;
    p->now_ms = now_ms;
    p->beat_to = 0;
    acceptor_init(&p->acceptor, promised, run, members);
    learner_init(&p->learner);
    proposer_init(&p->proposer, &p->config);
    election_init(&p->election, &p->config, &p->acceptor, now_ms);
    peers_init(&p->peers, &p->config);
    transfer_init(&p->transfer, &p->config);
    disk_init(&p->disk);
    leave_init(&p->leave, &p->config);
    lease_init(&p->lease, &p->config,
               promised.round > 0 && members->voters != node_bit(p->config.self), now_ms);
    paxos_check(p);
}

void paxos_alien(struct paxos *p, bool alien)
{
    p->alien = alien;
    if (alien) reign_end(p);
}

void paxos_leave(struct paxos *p)
{
    paxos_alien(p, true);
    leave_begin(&p->leave, &p->acceptor, p->now_ms);
}

void paxos_let_go(struct paxos *p, uint32_t node)
{
    leave_hear(&p->leave, node, p->leave.slot);
}

void paxos_restore(struct paxos *p, const struct vote *v)
{
    acceptor_restore(&p->acceptor, v);
}
