/* checks.c -- the judges. They see everything and share no code with what they judge.
 *
 *     S1  no slot is chosen with two values (counted from the votes on the platters)
 *     S2  what a replica applies in a slot is what was chosen there
 *     S3  every replica judges a slot alike (run rule) and ends with the same state
 *     S4  a batch that counts was computed on exactly the history before it
 *     S5  promises and votes survive crashes
 *     S6  no promise, vote or prepare leaves before its own record is on the platter
 *     S7  an acknowledged write is in the history, under the zxid that was told
 *     S8  a request without a session takes effect at most once
 *     S9  what a replica says at its start that a slot gave is what it gave
 *     S10 a server that knows its disk to be full takes no new batch from others */
#include <stdlib.h>

#include "core/base/check.h"
#include "core/base/hash.h"
#include "core/machine/batch.h"
#include "core/replica/frame.h"
#include "tests/sim/hearing.h"
#include "tests/sim/sim.h"
#include "tests/sim/tenure.h"

enum { BALLOTS_MAX = 8, CREATED_MAX = 1 << 14, ZXIDS_MAX = 1 << 15, ACKS_MAX = 256,
       TAGS_MAX = 1 << 14 };

struct slot_votes { /* one (slot, ballot): who has it on the platter */
    struct ballot ballot;
    nodes_set nodes;
    uint64_t value;
};

struct slot_truth {
    struct slot_votes votes[BALLOTS_MAX]; /* the highest ballots seen */
    uint32_t votes_count;
    bool chosen, applied, counted;
    uint64_t value;   /* hash of the chosen proposal */
    uint64_t digest;  /* of the state after it */
    uint64_t history; /* of the valid batches up to it */
    uint64_t state;   /* hash of all cells after it; 0 = nobody has told yet */
    uint64_t zxid_first, zxid_last; /* 0: it gave no transaction */
};

struct created {
    uint64_t value, history;
};

struct told {
    uint64_t session, seq;
    bool known;
};

struct ack {
    uint64_t zxid, session, seq;
};

struct checks {
    struct slot_truth *slots;
    struct created *created; /* open addressing by value */
    struct told *zxids;
    uint64_t *tags; /* S8: of requests without a session; open addressing */
    struct ack acks[ACKS_MAX]; /* not judged yet */
    uint32_t acks_count;
    struct ballot promised[SIM_NODES_MAX]; /* the highest each node ever told */
    struct roster roster; /* behind the newest slot that was applied */
};

void checks_init(struct world *w)
{
    struct checks *c = mem_zalloc(sizeof *c);

    c->slots = mem_zalloc(SIM_SLOTS_MAX * sizeof *c->slots);
    c->created = mem_zalloc(CREATED_MAX * sizeof *c->created);
    c->zxids = mem_zalloc(ZXIDS_MAX * sizeof *c->zxids);
    c->tags = mem_zalloc(TAGS_MAX * sizeof *c->tags);
    w->checks = c;
}

void checks_fini(struct world *w)
{
    free(w->checks->slots);
    free(w->checks->created);
    free(w->checks->zxids);
    free(w->checks->tags);
    free(w->checks);
}

static uint64_t value_of(const struct proposal *p)
{
    uint64_t h = hash_u64(p->reign.round, p->reign.node);

    h = hash_u64(p->reign_first, h);
    h = hash_u64(p->members.number, h);
    h = hash_u64((uint64_t) p->members.voters << 32 | p->members.learners, h);
    return hash_bytes(blob_bytes(p->batch), h) | 1;
}

static struct slot_truth *truth(struct world *w, uint64_t slot)
{
    CHECK(slot < SIM_SLOTS_MAX);
    return &w->checks->slots[slot];
}

/* --- S1 --- */

static void choose(struct world *w, uint64_t slot, uint64_t value)
{
    struct slot_truth *t = truth(w, slot);

    if (t->chosen && t->value != value) {
        broken(w, "slot %" PRIu64 " is chosen with two values", slot);
    }
    t->chosen = true;
    t->value = value;
}

static struct slot_votes *votes_at(struct slot_truth *t, struct ballot ballot)
{
    uint32_t least = 0;

    for (uint32_t i = 0; i < t->votes_count; i++) {
        if (ballot_cmp(t->votes[i].ballot, ballot) == 0) return &t->votes[i];
        if (ballot_cmp(t->votes[i].ballot, t->votes[least].ballot) < 0) least = i;
    }
    if (t->votes_count < BALLOTS_MAX) least = t->votes_count++;
    t->votes[least] = (struct slot_votes){ .ballot = ballot };
    return &t->votes[least];
}

static bool is_majority(nodes_set nodes, nodes_set voters)
{
    return 2 * __builtin_popcount(nodes & voters) > __builtin_popcount(voters);
}

void checks_vote_durable(struct world *w, uint32_t node, const struct log_record *r)
{
    uint64_t value;
    struct slot_votes *v;

    if (r->kind == LOG_CHOSEN) choose(w, r->vote.slot, value_of(&r->vote.proposal));
    if (r->kind != LOG_VOTE) return;
    trace(w, "node %u has its vote for slot %" PRIu64 " on disk", node, r->vote.slot);
    value = value_of(&r->vote.proposal);
    v = votes_at(truth(w, r->vote.slot), r->vote.ballot);
    if (v->nodes != 0 && v->value != value) {
        broken(w, "slot %" PRIu64 ": two values at ballot %" PRIu64 ".%u", r->vote.slot,
               r->vote.ballot.round, r->vote.ballot.node);
    }
    v->value = value;
    v->nodes |= node_bit(node);
    if (is_majority(v->nodes, admin_voters(w, r->vote.ballot))) {
        choose(w, r->vote.slot, value);
    }
}

/* --- S4 --- */

static struct created *created_at(struct world *w, uint64_t value)
{
    for (uint64_t i = value;; i++) {
        struct created *c = &w->checks->created[i % CREATED_MAX];

        if (c->value == 0 || c->value == value) return c;
    }
}

/* A leader votes first for what it creates: then it knows the history that it built on. */
void checks_created(struct world *w, struct server *n, const struct vote *v)
{
    const struct proposal *p = &v->proposal;
    uint64_t value = value_of(p);
    struct created *c = created_at(w, value);

    if (p->batch == NULL || ballot_cmp(p->reign, v->ballot) != 0) return;
    if (p->reign.node != n->id || c->value != 0) return;
    if (ballot_cmp(n->expected_reign, p->reign) != 0) {
        n->expected_reign = p->reign;
        n->expected = n->history;
    }
    *c = (struct created){ value, n->expected };
    n->expected = hash_u64(value, n->expected);
}

/* --- S2, S3, S4, S7 --- */

/* S8. A wire tag is unique over a server's lives; the origin and its incarnation make it so
 * among servers. */
static void once_without_session(struct world *w, const struct txn *t)
{
    const struct member *origin = roster_find(&w->checks->roster, t->origin);
    uint64_t incarnation = origin == NULL ? 0 : origin->incarnation;
    uint64_t tag = hash_u64(incarnation, hash_u64(t->tag, t->origin)) | 1;

    if (t->session != 0 || t->origin == 0 || t->ops.len == 0) return;
    for (uint64_t i = tag;; i++) {
        uint64_t *at = &w->checks->tags[i % TAGS_MAX];

        if (*at == tag) broken(w, "a request without a session took effect twice");
        if (*at == 0) {
            *at = tag;
            return;
        }
    }
}

static void judge_ops(struct world *w, const struct txn *t)
{
    struct reader ops = reader_of(t->ops);
    struct op op;

    while (reader_left(&ops) > 0 && op_decode(&ops, &op) == 0) {
        tenure_op(w, &op);
        if (op.kind == OP_CREATE) hearing_op(w, HEARING_CREATED, op.path, op.data);
        if (op.kind == OP_SET) hearing_op(w, HEARING_CHANGED, op.path, op.data);
        if (op.kind == OP_DELETE) hearing_op(w, HEARING_DELETED, op.path, op.data);
        if (op.kind == OP_SESSION_CLOSE && t->origin == 0) clients_expired(w, op.owner);
        if (op.kind == OP_MEMBERS) (void)roster_decode(op.data, &w->checks->roster);
    }
}

static void remember_zxids(struct world *w, struct slot_truth *truth,
                           const struct proposal *p)
{
    struct batch b;
    struct txn t;

    if (batch_decode(blob_bytes(p->batch), &b) != 0) broken(w, "a chosen batch is no batch");
    if (b.count > 0) truth->zxid_first = b.zxid_first;
    if (b.count > 0) truth->zxid_last = b.zxid_first + b.count - 1;
    for (uint32_t i = 0; i < b.count; i++) {
        uint64_t zxid = b.zxid_first + i;

        if (txn_next(&b, &t) != 0) broken(w, "a chosen batch has a broken transaction");
        CHECK(zxid < ZXIDS_MAX);
        w->checks->zxids[zxid] = (struct told){ t.session, t.seq, true };
        once_without_session(w, &t);

        hearing_txn(w, zxid);
        tenure_txn(w, &t);
        judge_ops(w, &t);
        tenure_txn_end(w);
    }
}

static void first_applied(struct world *w, struct slot_truth *t, uint64_t slot,
                          const struct proposal *p, uint64_t history_before)
{
    w->stats.slots++;
    t->applied = true;
    t->history = history_before;
    if (!t->counted) {
        w->stats.voids += p->batch != NULL;
        return;
    }

    struct created *c = created_at(w, t->value);

    if (c->value == 0) broken(w, "slot %" PRIu64 ": nobody created this batch", slot);
    if (c->history != history_before) {
        broken(w, "slot %" PRIu64 " counts, but was computed on another history", slot);
    }
    t->history = hash_u64(t->value, history_before);
    remember_zxids(w, t, p);
}

void checks_recalled(struct world *w, struct server *n, uint64_t slot, uint64_t zxid_first,
                     uint64_t zxid_last)
{
    const struct slot_truth *t = truth(w, slot);

    if (!t->applied || t->zxid_first != zxid_first || t->zxid_last != zxid_last) {
        broken(w, "node %u recalls of slot %" PRIu64 " what it did not give", n->id, slot);
    }
}

uint64_t checks_history(struct world *w, uint64_t slot)
{
    return truth(w, slot)->history;
}

void checks_state(struct world *w, uint32_t node, uint64_t slot, uint64_t hash)
{
    struct slot_truth *t = truth(w, slot);

    if (!t->applied) broken(w, "node %u has a state of a slot that nobody applied", node);
    if (t->state != 0 && t->state != hash) {
        broken(w, "node %u has other cells than another at slot %" PRIu64, node, slot);
    }
    t->state = hash;
}

/* An answer comes while its slot is being applied, just before the slot is shown to the
 * checks: so it is remembered here and judged there. */
void checks_acknowledged(struct world *w, uint64_t zxid, uint64_t session, uint64_t seq)
{
    struct checks *c = w->checks;

    CHECK(c->acks_count < ACKS_MAX);
    c->acks[c->acks_count++] = (struct ack){ zxid, session, seq };
}

static void judge_acks(struct world *w)
{
    struct checks *c = w->checks;

    for (uint32_t i = 0; i < c->acks_count; i++) {
        const struct ack *a = &c->acks[i];
        const struct told *t = &c->zxids[a->zxid % ZXIDS_MAX];

        if (!t->known || t->session != a->session || t->seq != a->seq) {
            broken(w, "zxid %" PRIu64 " was acknowledged and is not in the history", a->zxid);
        }
    }
    c->acks_count = 0;
}

void checks_applied(struct world *w, struct server *n, uint64_t slot, const struct proposal *p,
                    bool counted)
{
    struct slot_truth *t = truth(w, slot);
    uint64_t digest = n->applied.digest;

    if (n->differs) return; /* whether it notices is the question */
    if (!t->chosen || t->value != value_of(p)) {
        broken(w, "node %u applies in slot %" PRIu64 " what was not chosen there", n->id,
               slot);
    }
    if (!t->applied) {
        t->counted = counted;
        t->digest = digest;
        first_applied(w, t, slot, p, truth(w, slot - 1)->history);
    }
    if (t->counted != counted) {
        broken(w, "node %u judges slot %" PRIu64 " differently", n->id, slot);
    }
    if (t->digest != digest) {
        broken(w, "node %u has another state after slot %" PRIu64, n->id, slot);
    }
    n->history = t->history;
    judge_acks(w);
    trace(w, "node %u applies slot %" PRIu64 "%s", n->id, slot, counted ? "" : " (void)");
}

/* --- S10 --- */

void checks_takes(struct world *w, const struct server *n, const struct paxos_write *write)
{
    enum { EMPTY_BATCH_MAX = 64 };
    const struct proposal *p = &write->vote.proposal;

    if (!n->told_full || write->kind != PAXOS_WRITE_VOTE || p->batch == NULL) return;
    if (ballot_cmp(p->reign, write->vote.ballot) != 0) return; /* found, not created */
    if (p->reign.node == n->id) return; /* it had it in memory */
    if (blob_bytes(p->batch).len > EMPTY_BATCH_MAX) {
        broken(w, "node %u takes a batch of %zu bytes on its full disk", n->id,
               blob_bytes(p->batch).len);
    }
}

/* --- S5, S6 --- */

void checks_wiped(struct world *w, uint32_t node)
{
    w->checks->promised[node - 1] = (struct ballot){ 0 };
}

void checks_restored(struct world *w, uint32_t node, const struct disk_restored *r)
{
    if (ballot_cmp(r->promised, w->checks->promised[node - 1]) < 0) {
        broken(w, "node %u forgot a promise over a crash", node);
    }
    /* What was being written when it crashed may be there after all. */
    for (uint32_t i = 0; i < r->votes_count; i++) {
        checks_vote_durable(w, node,
                            &(struct log_record){ .kind = LOG_VOTE, .vote = r->votes[i] });
    }
}

static bool has_durable_vote(struct world *w, uint32_t node, uint64_t slot, struct ballot b)
{
    struct slot_truth *t = truth(w, slot);

    if (t->chosen) return true; /* below its chosen prefix it need not keep a vote */
    for (uint32_t i = 0; i < t->votes_count; i++) {
        if (ballot_cmp(t->votes[i].ballot, b) == 0) {
            return (t->votes[i].nodes & node_bit(node)) != 0;
        }
    }
    return false;
}

void checks_leaves(struct world *w, struct server *from, struct bytes bytes)
{
    struct frame f;
    const struct paxos_message *m = &f.paxos;

    if (frame_decode(bytes, &f) != 0) broken(w, "node %u sends no frame", from->id);
    if (f.kind == FRAME_PAXOS) {
        trace(w, "node %u sends %s slot %" PRIu64 " ballot %" PRIu64 ".%u", from->id,
              frame_name(&f), m->slot, m->ballot.round, m->ballot.node);
    } else {
        trace(w, "node %u sends %s number %" PRIu64 " count %u", from->id, frame_name(&f),
              f.number, f.count);
    }
    if (f.kind != FRAME_PAXOS) return;
    if (m->kind == PAXOS_PROMISE || m->kind == PAXOS_PREPARE || m->kind == PAXOS_ACCEPTED) {
        if (ballot_cmp(from->disk.promised_durable, m->ballot) < 0) {
            broken(w, "node %u tells a promise that is not on its disk", from->id);
        }
        if (ballot_cmp(m->ballot, w->checks->promised[from->id - 1]) > 0) {
            w->checks->promised[from->id - 1] = m->ballot;
        }
    }
    if (m->kind == PAXOS_ACCEPTED && !has_durable_vote(w, from->id, m->slot, m->ballot)) {
        broken(w, "node %u tells a vote that is not on its disk", from->id);
    }
    blob_unref(m->vote.proposal.batch);
}

/* --- the end: everything is healed, so everything must agree --- */

void checks_end(struct world *w)
{
    uint64_t slot = 0;

    for (uint32_t id = 1; id <= w->options.nodes; id++) {
        struct server *n = &w->nodes[id - 1];

        if (!admin_counts(n)) continue;

        struct replica_status s = replica_status(n->replica);

        if (slot != 0 && s.applied != slot) {
            broken(w, "node %u is at slot %" PRIu64 ", others at %" PRIu64, id, s.applied,
                   slot);
        }
        slot = s.applied;
        machine_check(replica_machine(n->replica));
    }
}
