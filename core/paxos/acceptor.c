#include "core/paxos/acceptor.h"

#include "core/base/check.h"
#include "core/paxos/output.h"

static bool slot_is_open(const struct acceptor *a, uint64_t slot)
{
    return slot > a->chosen && slot - a->chosen <= WINDOW_MAX;
}

const struct vote *acceptor_vote_at(const struct acceptor *a, uint64_t slot)
{
    const struct vote *v = &a->votes[slot % WINDOW_MAX];

    return slot != 0 && v->slot == slot ? v : NULL;
}

static void bury(struct acceptor *a, struct vote *v)
{
    if (v->proposal.batch != NULL) {
        CHECK(a->grave_count < ACCEPTOR_GRAVE_MAX);
        a->grave[a->grave_count++] = v->proposal.batch;
    }
    *v = (struct vote){ 0 };
}

static void put_vote(struct acceptor *a, const struct vote *v)
{
    struct vote *place = &a->votes[v->slot % WINDOW_MAX];

    CHECK(slot_is_open(a, v->slot));
    bury(a, place);
    *place = *v;
    blob_ref(place->proposal.batch);
}

static void write_record(struct acceptor *a, enum paxos_write_kind kind,
                         const struct vote *v, struct paxos_output *out)
{
    struct paxos_write w = {
        .kind = kind,
        .seq = ++a->write_seq,
        .promised = a->promised,
        .chosen = a->chosen,
    };

    if (v != NULL) w.vote = *v;
    output_write(out, &w);
}

void acceptor_promise(struct acceptor *a, struct ballot b, struct paxos_output *out)
{
    CHECK(b.round > 0);
    if (ballot_cmp(b, a->promised) <= 0) return; /* P1 */
    a->promised = b;
    write_record(a, PAXOS_WRITE_PROMISE, NULL, out);
}

void acceptor_vote(struct acceptor *a, const struct vote *v, struct paxos_output *out)
{
    const struct vote *before = acceptor_vote_at(a, v->slot);

    CHECK(ballot_cmp(v->ballot, a->promised) >= 0);
    CHECK(IMPLIES(before != NULL, ballot_cmp(v->ballot, before->ballot) > 0)); /* P2 */
    a->promised = v->ballot; /* an accept carries the promise of its ballot */
    put_vote(a, v);
    write_record(a, PAXOS_WRITE_VOTE, v, out);
}

void acceptor_refuse(const struct acceptor *a, const struct paxos_message *m,
                     struct paxos_output *out)
{
    /* A refusal promises nothing, so it need not wait for the disk. */
    output_send(out, node_bit(m->from), 0,
                &(struct paxos_message){
                    .kind = PAXOS_NACK,
                    .ballot = m->ballot,
                    .promised = a->promised,
                });
}

/* One message a vote, so that a report of a whole window never needs a frame that large.
 * A repeated PREPARE writes nothing, yet its answer must wait just the same: the write of
 * the first one may still be on its way to the disk (P4). */
static void report(struct acceptor *a, const struct paxos_message *m,
                   struct paxos_output *out)
{
    struct paxos_message answer = {
        .kind = PAXOS_PROMISE,
        .ballot = m->ballot,
        .slot = m->slot,
    };

    for (uint32_t i = 0; i < WINDOW_MAX; i++)
        answer.count += a->votes[i].slot >= m->slot;
    if (answer.count == 0) output_send(out, node_bit(m->from), a->write_seq, &answer);

    for (uint64_t s = a->chosen + 1; slot_is_open(a, s); s++) {
        const struct vote *v = acceptor_vote_at(a, s);

        if (v == NULL || s < m->slot) continue;
        answer.vote = *v;
        output_send(out, node_bit(m->from), a->write_seq, &answer);
        answer.index++;
    }
}

void acceptor_prepare(struct acceptor *a, const struct paxos_message *m,
                      struct paxos_output *out)
{
    if (ballot_cmp(m->ballot, a->promised) < 0) {
        acceptor_refuse(a, m, out);
    } else if (m->slot <= a->chosen) {
        /* P7: the votes asked for are given up.  A candidate that took their absence for
         * an empty slot would put a second value where one is chosen. */
        output_send(out, node_bit(m->from), 0,
                    &(struct paxos_message){
                        .kind = PAXOS_TOO_OLD,
                        .ballot = m->ballot,
                        .slot = a->chosen,
                    });
    } else {
        acceptor_promise(a, m->ballot, out);
        report(a, m, out);
    }
}

static bool proposals_equal(const struct proposal *a, const struct proposal *b)
{
    return ballot_cmp(a->reign, b->reign) == 0 && a->reign_first == b->reign_first &&
           a->members.number == b->members.number &&
           a->members.voters == b->members.voters &&
           a->members.learners == b->members.learners &&
           bytes_equal(blob_bytes(a->batch), blob_bytes(b->batch));
}

/* False when the slot holds another proposal of the same ballot already: only a broken
 * proposer sends that, and it gets no vote for it (P2). */
static bool vote_for(struct acceptor *a, const struct paxos_message *m,
                     struct paxos_output *out)
{
    const struct vote v = { m->slot, m->ballot, m->vote.proposal };
    const struct vote *before = acceptor_vote_at(a, m->slot);

    if (before != NULL && ballot_cmp(before->ballot, m->ballot) == 0) {
        return proposals_equal(&before->proposal, &v.proposal);
    }
    acceptor_vote(a, &v, out);
    return true;
}

void acceptor_accept(struct acceptor *a, const struct paxos_message *m,
                     struct paxos_output *out)
{
    if (ballot_cmp(m->ballot, a->promised) < 0) {
        acceptor_refuse(a, m, out);
        return;
    }
    if (m->slot > a->chosen) {
        if (!slot_is_open(a, m->slot)) return; /* too far behind: LEARNs will help */
        if (!vote_for(a, m, out)) return;
    } else {
        /* What is chosen is what this ballot proposes, if it can get a quorum at all: had a
         * higher ballot chosen another value, every quorum would hold a server that has
         * promised to it.  So the vote is given, and need not be kept. */
        acceptor_promise(a, m->ballot, out);
    }
    output_send(out, node_bit(m->from), a->write_seq, /* P4 */
                &(struct paxos_message){
                    .kind = PAXOS_ACCEPTED,
                    .ballot = m->ballot,
                    .slot = m->slot,
                });
}

/* True when it changed the configuration. */
static bool advance(struct acceptor *a, struct paxos_output *out)
{
    struct vote *v = &a->votes[(a->chosen + 1) % WINDOW_MAX];
    const bool counted = run_step(&a->run, &v->proposal);
    const bool changed = members_take(&a->members, &v->proposal, counted);

    CHECK(v->slot == a->chosen + 1);
    output_chosen(out, v->slot, &v->proposal);
    bury(a, v);
    a->chosen++;
    return changed;
}

/* That a slot is chosen is written with the next record, whatever that is.  Not so with a
 * change: who is removed by it goes when others say that they know, so they must not forget
 * (leave.h). */
void acceptor_advance(struct acceptor *a, struct paxos_output *out)
{
    if (advance(a, out)) write_record(a, PAXOS_WRITE_PROMISE, NULL, out);
}

void acceptor_learn(struct acceptor *a, const struct proposal *p, struct paxos_output *out)
{
    const struct vote v = { .slot = a->chosen + 1, .proposal = *p };

    put_vote(a, &v);
    (void)advance(a, out);
    write_record(a, PAXOS_WRITE_CHOSEN, &v, out); /* `chosen` covers the record itself */
}

/* Votes up to the slot are given up as those of any chosen slot; what was promised and
 * voted for above it stays. */
void acceptor_install(struct acceptor *a, const struct run *run,
                      const struct members *members, struct paxos_output *out)
{
    CHECK(run->slot > a->chosen);
    for (uint32_t i = 0; i < WINDOW_MAX; i++) {
        if (a->votes[i].slot <= run->slot) bury(a, &a->votes[i]);
    }
    a->chosen = run->slot;
    a->run = *run;
    a->members = *members;
    write_record(a, PAXOS_WRITE_INSTALLED, NULL, out);
}

void acceptor_init(struct acceptor *a, struct ballot promised, const struct run *run,
                   const struct members *members)
{
    *a = (struct acceptor){
        .promised = promised,
        .chosen = run->slot,
        .run = *run,
        .members = *members,
    };
}

void acceptor_restore(struct acceptor *a, const struct vote *v)
{
    CHECK(a->write_seq == 0);
    CHECK(acceptor_vote_at(a, v->slot) == NULL);
    put_vote(a, v);
    acceptor_check(a);
}

void acceptor_release(struct acceptor *a)
{
    for (uint32_t i = 0; i < a->grave_count; i++)
        blob_unref(a->grave[i]);
    a->grave_count = 0;
}

void acceptor_fini(struct acceptor *a)
{
    acceptor_release(a);
    for (uint32_t i = 0; i < WINDOW_MAX; i++)
        blob_unref(a->votes[i].proposal.batch);
}

void acceptor_check(const struct acceptor *a)
{
    CHECK(a->run.slot == a->chosen);
    CHECK(members_are_sound(&a->members));
    for (uint32_t i = 0; i < WINDOW_MAX; i++) {
        const struct vote *v = &a->votes[i];

        if (v->slot == 0) {
            CHECK(v->proposal.batch == NULL);
            continue;
        }
        CHECK(v->slot % WINDOW_MAX == i);
        CHECK(slot_is_open(a, v->slot));
        CHECK(v->ballot.round > 0);
        CHECK(ballot_cmp(v->ballot, a->promised) <= 0); /* P2 */
        CHECK((v->proposal.batch != NULL) == (v->proposal.reign.round > 0));
    }
}
