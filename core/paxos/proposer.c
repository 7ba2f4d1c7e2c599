#include "core/paxos/proposer.h"

#include "core/base/check.h"
#include "core/paxos/nodes.h"
#include "core/paxos/output.h"

static nodes_set others(const struct proposer *p, const struct acceptor *a)
{
    return members_all(&a->members) & ~node_bit(p->self);
}

static struct proposer_slot *slot_at(struct proposer *p, uint64_t slot)
{
    return &p->slots[slot % WINDOW_MAX];
}

void proposer_init(struct proposer *p, const struct paxos_config *config)
{
    *p = (struct proposer){ .self = config->self };
}

void proposer_stop(struct proposer *p)
{
    for (uint32_t i = 0; i < WINDOW_MAX; i++) {
        blob_unref(p->reported[i].proposal.batch);
        p->reported[i] = (struct vote){ 0 };
    }
}

/* Phase 1. */

void proposer_prepare(struct proposer *p, struct acceptor *a, uint64_t round,
                      struct ballot released, struct paxos_output *out)
{
    const struct ballot ballot = { round, p->self };

    CHECK(ballot_cmp(ballot, a->promised) > 0);
    CHECK(nodes_has(a->members.voters, p->self)); /* P12 */
    proposer_stop(p);
    for (uint32_t i = 0; i < NODES_MAX; i++)
        p->reports[i] = (struct report){ 0 };
    p->ballot = ballot;
    p->released = released;
    p->members = a->members.number;
    p->promised = 0;
    p->change = 0;
    p->slot_asked = a->chosen + 1;
    acceptor_promise(a, ballot, out);
    p->promise_seq = a->write_seq;
    proposer_prepare_again(p, a, out);
}

void proposer_prepare_again(const struct proposer *p, const struct acceptor *a,
                            struct paxos_output *out)
{
    output_send(out, others(p, a) & ~p->promised, p->promise_seq, /* P3 */
                &(struct paxos_message){
                    .kind = PAXOS_PREPARE,
                    .ballot = p->ballot,
                    .slot = p->slot_asked,
                    .promised = p->released,
                });
}

static void keep_highest(struct proposer *p, const struct vote *v)
{
    struct vote *best = &p->reported[v->slot % WINDOW_MAX];

    /* What was kept for this place may be of a slot that has been learned since. */
    if (best->slot == v->slot && ballot_cmp(best->ballot, v->ballot) >= 0) return;
    if (best->slot > v->slot) return;
    blob_ref(v->proposal.batch);
    blob_unref(best->proposal.batch);
    *best = *v;
}

void proposer_take_promise(struct proposer *p, const struct acceptor *a,
                           const struct paxos_message *m)
{
    struct report *r = &p->reports[m->from - 1];

    if (m->slot != p->slot_asked) return;
    if (r->pages != 0 && r->count != m->count) return; /* a broken acceptor */
    r->count = m->count;
    if (m->count > 0) {
        r->pages |= (uint64_t)1 << m->index;
        if (m->vote.slot > a->chosen) keep_highest(p, &m->vote);
    }
    if ((uint32_t)__builtin_popcountll(r->pages) == r->count) {
        p->promised |= node_bit(m->from);
    }
}

bool proposer_has_promises(const struct proposer *p, const struct acceptor *a)
{
    return nodes_quorum(p->promised, a->members.voters); /* P12 */
}

/* Phase 2. */

static void send_accept(struct proposer *p, const struct acceptor *a, uint64_t slot,
                        nodes_set to, struct paxos_output *out)
{
    const struct vote *v = acceptor_vote_at(a, slot);

    CHECK(v != NULL);
    /* The promise of this ballot is on disk since phase 1, so nothing holds this back; own
     * vote is written meanwhile. */
    output_send(out, to, 0,
                &(struct paxos_message){
                    .kind = PAXOS_ACCEPT,
                    .ballot = p->ballot,
                    .slot = slot,
                    .chosen = a->chosen,
                    .vote.proposal = v->proposal,
                });
}

static void propose(struct proposer *p, struct acceptor *a, const struct proposal *proposal,
                    uint64_t now_ms, struct paxos_output *out)
{
    const uint64_t slot = p->slot_next++;

    CHECK(p->members == a->members.number && p->change == 0); /* P11 */
    if (proposal->members.number != 0) p->change = slot;
    acceptor_vote(a, &(struct vote){ slot, p->ballot, *proposal }, out);
    *slot_at(p, slot) = (struct proposer_slot){
        .vote_seq = a->write_seq,
        .sent_ms = now_ms,
    };
    send_accept(p, a, slot, others(p, a), out);
}

/* The vote of the highest ballot that the quorum (own votes included) has for a slot. */
static const struct vote *highest(const struct proposer *p, const struct acceptor *a,
                                  uint64_t slot)
{
    const struct vote *own = acceptor_vote_at(a, slot);
    const struct vote *theirs = &p->reported[slot % WINDOW_MAX];

    if (theirs->slot != slot) return own;
    if (own == NULL || ballot_cmp(theirs->ballot, own->ballot) > 0) return theirs;
    return own;
}

/* The last slot to recover.  Behind a change another configuration may be in force, whose
 * servers this ballot has not asked: nothing is proposed there (P11). */
static uint64_t recover_to(const struct proposer *p, const struct acceptor *a)
{
    uint64_t last = a->chosen;

    for (uint64_t s = a->chosen + 1; s <= a->chosen + WINDOW_MAX; s++) {
        const struct vote *v = highest(p, a, s);

        if (v == NULL) continue;
        last = s;
        if (v->proposal.members.number != 0) break;
    }
    return last;
}

void proposer_recover(struct proposer *p, struct acceptor *a, uint64_t now_ms,
                      struct paxos_output *out)
{
    const uint64_t last = recover_to(p, a);

    CHECK(proposer_has_promises(p, a));
    p->slot_next = a->chosen + 1;
    p->reign_first = last + 1;
    while (p->slot_next <= last) { /* P5 */
        const struct vote *v = highest(p, a, p->slot_next);
        const struct proposal proposal = v == NULL ? (struct proposal){ 0 } : v->proposal;

        propose(p, a, &proposal, now_ms, out);
    }
    proposer_stop(p);
}

bool proposer_has_recovered(const struct proposer *p, const struct acceptor *a)
{
    return a->chosen + 1 >= p->reign_first;
}

bool proposer_is_done(const struct proposer *p, const struct acceptor *a)
{
    return p->change != 0 && p->change <= a->chosen;
}

bool proposer_has_room(const struct proposer *p, const struct acceptor *a)
{
    return p->change == 0 && p->slot_next <= a->chosen + WINDOW_MAX;
}

bool proposer_has_open(const struct proposer *p, const struct acceptor *a)
{
    return p->slot_next > a->chosen + 1;
}

void proposer_propose(struct proposer *p, struct acceptor *a, const struct paxos_input *in,
                      struct paxos_output *out)
{
    const uint64_t slot = p->slot_next;
    const struct proposal proposal = {
        .reign = p->ballot,
        .reign_first = p->reign_first,
        .batch = in->batch,
        .members = in->members,
    };
    const struct members *change = &in->members;

    CHECK(in->batch != NULL);
    CHECK(in->batch->len <= BATCH_BYTES_MAX);
    CHECK(proposer_has_recovered(p, a)); /* P5 */
    CHECK(proposer_has_room(p, a));
    if (change->number != 0) {
        CHECK(!proposer_has_open(p, a));
        CHECK(members_follow(&a->members, change));
        CHECK(nodes_has(change->voters, p->self)); /* a leader hands over before it goes */
    }
    propose(p, a, &proposal, in->now_ms, out);
    slot_at(p, slot)->urgent = in->urgent;
}

static bool slot_is_open(const struct proposer *p, const struct acceptor *a, uint64_t slot)
{
    return slot > a->chosen && slot < p->slot_next;
}

void proposer_accepted(struct proposer *p, const struct acceptor *a,
                       const struct paxos_message *m)
{
    if (!slot_is_open(p, a, m->slot)) return; /* chosen without this one */
    slot_at(p, m->slot)->accepted |= node_bit(m->from);
}

nodes_set proposer_advance(struct proposer *p, struct acceptor *a, struct paxos_output *out)
{
    nodes_set urgent = 0;

    while (slot_is_open(p, a, a->chosen + 1)) {
        const struct proposer_slot *s = slot_at(p, a->chosen + 1);

        if (!nodes_quorum(s->accepted, a->members.voters)) break; /* P12 */
        urgent |= s->urgent;
        acceptor_advance(a, out);
    }
    return urgent & others(p, a);
}

void proposer_durable(struct proposer *p, const struct acceptor *a, uint64_t seq)
{
    if (seq >= p->promise_seq) p->promised |= node_bit(p->self);
    for (uint64_t s = a->chosen + 1; slot_is_open(p, a, s); s++) {
        if (slot_at(p, s)->vote_seq <= seq) slot_at(p, s)->accepted |= node_bit(p->self);
    }
}

void proposer_send_again(struct proposer *p, const struct acceptor *a, nodes_set to,
                         uint64_t now_ms, uint32_t age_ms, struct paxos_output *out)
{
    for (uint64_t s = a->chosen + 1; slot_is_open(p, a, s); s++) {
        struct proposer_slot *slot = slot_at(p, s);

        if (now_ms - slot->sent_ms < age_ms) continue;
        slot->sent_ms = now_ms;
        send_accept(p, a, s, others(p, a) & to & ~slot->accepted, out);
    }
}

void proposer_check(const struct proposer *p, const struct acceptor *a)
{
    CHECK(p->slot_next > a->chosen);
    CHECK(p->slot_next <= a->chosen + WINDOW_MAX + 1);
    CHECK(p->reign_first <= p->slot_next);
    CHECK(IMPLIES(p->change != 0, p->change + 1 == p->slot_next && p->change > a->chosen));
    for (uint64_t s = a->chosen + 1; slot_is_open(p, a, s); s++) {
        const struct vote *v = acceptor_vote_at(a, s);

        CHECK(v != NULL);
        CHECK(ballot_cmp(v->ballot, p->ballot) == 0);
    }
}
