#include <inttypes.h>
#include <stdio.h>

#include "tests/lib/paxos_net_inside.h"

void net_breach(struct net *n, uint32_t id, const char *what, uint64_t number)
{
    if (n->breaches++ < 10) {
        printf("# at %" PRIu64 " ms, server %u: %s (%" PRIu64 ")\n", n->now_ms, id, what,
               number);
    }
}

const struct paxos_write *net_record(const struct net_server *s, uint64_t slot)
{
    for (uint32_t i = s->log_count; i > 0; i--) {
        if (s->log[i - 1].vote.slot == slot) return &s->log[i - 1];
    }
    return NULL;
}

/* P3 and P4: whoever hears this message may rely on what stands on the sender's disk, so it
 * must stand there: the promise, and the vote unless the slot is known as chosen. */
void net_judge_told(struct net *n, const struct net_packet *packet)
{
    struct net_server *s = server(n, packet->from);
    struct paxos_message m;

    if (paxos_message_decode(blob_bytes(packet->body), &m) != 0) {
        net_breach(n, packet->from, "a message that does not decode",
                   packet->body->data[0]);
        return;
    }
    blob_unref(m.vote.proposal.batch);
    if (m.kind != PAXOS_PREPARE && m.kind != PAXOS_PROMISE && m.kind != PAXOS_ACCEPTED)
        return;
    if (s->log_durable == 0 ||
        ballot_cmp(s->log[s->log_durable - 1].promised, m.ballot) < 0) {
        net_breach(n, packet->from, "told of a promise that is not on disk",
                   m.ballot.round);
    }
    if (ballot_cmp(m.ballot, s->promise_told) > 0) s->promise_told = m.ballot;
    if (m.kind != PAXOS_ACCEPTED || m.slot <= paxos_chosen(s->paxos)) return;
    for (uint32_t i = s->log_durable; i > 0; i--) {
        const struct vote *v = &s->log[i - 1].vote;

        if (v->slot == m.slot && ballot_cmp(v->ballot, m.ballot) == 0) return;
    }
    net_breach(n, packet->from, "told of a vote that is not on disk", m.slot);
}

bool net_same(const struct proposal *a, const struct proposal *b)
{
    return ballot_cmp(a->reign, b->reign) == 0 && a->reign_first == b->reign_first &&
           a->members.number == b->members.number &&
           a->members.voters == b->members.voters &&
           a->members.learners == b->members.learners &&
           bytes_equal(blob_bytes(a->batch), blob_bytes(b->batch));
}

static void judge_run(struct net *n, uint32_t id, const struct proposal *p)
{
    struct net_server *s = server(n, id);

    if (!run_step(&s->run, p)) return;
    if (get_u64(p->batch->data + 8) != s->last_id) {
        net_breach(n, id, "a batch counts on another ground than it was computed on",
               s->applied);
    }
    s->last_id = get_u64(p->batch->data);
}

/* The newest vote for a slot at a ballot is on the disk.  Who had not come near the slot
 * yet has none. */
static bool voted(const struct net_server *s, uint64_t slot, struct ballot ballot)
{
    for (uint32_t i = s->log_durable; i > 0; i--) {
        const struct paxos_write *w = &s->log[i - 1];

        if (w->vote.slot == slot && ballot_cmp(w->vote.ballot, ballot) == 0) return true;
        if (w->chosen + WINDOW_MAX < slot) return false;
    }
    return false;
}

/* Who first knows a slot as chosen counted the votes at its own ballot. */
static void judge_quorum(struct net *n, uint32_t id, uint64_t slot)
{
    const struct net_server *s = server(n, id);
    const struct ballot ballot = net_record(s, slot)->vote.ballot;
    const struct members *in_force = &n->members[slot - 1];
    nodes_set voters = 0;

    for (uint32_t node = 1; node <= n->nodes; node++) {
        if (voted(server(n, node), slot, ballot)) voters |= node_bit(node);
    }
    if (!nodes_quorum(voters, in_force->voters)) {
        net_breach(n, id, "a slot is chosen without a quorum of those who vote", slot);
    }
    if (ballot_cmp(ballot, s->asked) != 0 || s->asked_number != in_force->number) {
        net_breach(n, id, "counts under another configuration than it asked", slot);
    }
}

static void remember(struct net *n, uint64_t slot, const struct proposal *p)
{
    n->canon_last = slot;
    n->canon[slot] = *p;
    blob_ref(p->batch);
    n->members[slot] = n->members[slot - 1];
    if (!members_take(&n->members[slot], p, run_step(&n->run, p))) return;
    n->changes++;
    if (rng_below(&n->rng, 1000) < n->fall_permille) {
        n->fall_ms = n->now_ms + 1 + rng_below(&n->rng, 4 * n->delay_ms_max + 20);
    }
}

/* Promises of this ballot are on the disks of a quorum of those who vote. */
static void judge_asked(struct net *n, uint32_t id)
{
    struct net_server *s = server(n, id);
    nodes_set promised = 0;

    s->asked = paxos_ballot(s->paxos);
    s->asked_number = paxos_members(s->paxos)->number;
    for (uint32_t node = 1; node <= n->nodes; node++) {
        const struct net_server *other = server(n, node);

        if (other->log_durable == 0) continue;
        if (ballot_cmp(other->log[other->log_durable - 1].promised, s->asked) >= 0)
            promised |= node_bit(node);
    }
    if (!nodes_quorum(promised, paxos_members(s->paxos)->voters)) {
        net_breach(n, id, "proposes without a quorum's promise", s->asked.round);
    }
}

void net_judge_members(struct net *n, uint32_t id)
{
    const struct net_server *s = server(n, id);
    const struct members *known = paxos_members(s->paxos);
    const struct members *true_ones = &n->members[paxos_chosen(s->paxos)];
    const enum paxos_role role = paxos_role(s->paxos);

    if (known->number != 0 &&
        (known->number != true_ones->number || known->voters != true_ones->voters ||
         known->learners != true_ones->learners)) {
        net_breach(n, id, "knows another configuration", paxos_chosen(s->paxos));
    }
    if ((role == PAXOS_RECOVERING || role == PAXOS_LEADING) &&
        ballot_cmp(paxos_ballot(s->paxos), s->asked) != 0) {
        judge_asked(n, id);
    }
}

void net_judge_sent(struct net *n, uint32_t id, const struct paxos_send *send)
{
    const struct net_server *s = server(n, id);
    const struct paxos_message *m = &send->message;

    if ((send->to & node_bit(id)) != 0) net_breach(n, id, "a message to itself", id);
    if (m->kind != PAXOS_ACCEPT || ballot_cmp(m->ballot, s->asked) != 0) return;
    if (paxos_members(s->paxos)->number != s->asked_number) {
        net_breach(n, id, "proposes under another configuration than it asked", m->slot);
    }
}

void net_judge_chosen(struct net *n, uint32_t id, uint64_t slot, const struct proposal *p)
{
    struct net_server *s = server(n, id);

    CHECK(slot < NET_SLOTS_MAX);
    if (slot != s->applied + 1) net_breach(n, id, "a chosen slot out of order", slot);
    if (slot > n->canon_last) {
        CHECK(slot == n->canon_last + 1);
        judge_quorum(n, id, slot);
        remember(n, slot, p);
    } else if (!net_same(&n->canon[slot], p)) {
        net_breach(n, id, "two proposals chosen for one slot", slot);
    }
    s->applied = slot;
    judge_run(n, id, p);
    if (s->run.valid && slot == n->canon_last) n->counted++;
}

void net_judge_reads(struct net *n, uint32_t id, uint64_t confirmed)
{
    struct net_server *s = server(n, id);
    uint32_t kept = 0;

    for (uint32_t i = 0; i < s->reads_count; i++) {
        if (s->reads[i].round > confirmed) {
            s->reads[kept++] = s->reads[i];
        } else {
            n->reads_confirmed++;
            if (s->reads[i].have < s->reads[i].need) {
                net_breach(n, id, "a confirmed read missed a chosen slot",
                           s->reads[i].need);
            }
        }
    }
    s->reads_count = kept;
}

void net_judge_leases(struct net *n)
{
    bool held = false;

    for (uint32_t id = 1; id <= n->nodes; id++) {
        const struct paxos *p = server(n, id)->paxos;

        if (p == NULL || net_clock(n, id) >= paxos_lease_until_ms(p)) continue;
        held = true;
        if (paxos_chosen(p) < n->canon_last) {
            net_breach(n, id, "holds a lease and misses a chosen slot", n->canon_last);
        }
    }
    n->leased_ms += held;
}
