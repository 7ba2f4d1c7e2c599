/* t_exhaust.c -- every interleaving of a small cluster, on the real paxos_step().
 *
 * Three servers, two of them candidates with one ballot each, two slots, one crash.  The
 * world's state is the servers' own structs, the logs on their disks and the set of all
 * messages ever sent; depth first over every action from every state, each state once,
 * known by its hash.  A message stays in the set, so it may arrive late, twice, never, and
 * in any order; it is left out only when it can never do anything any more.  The server
 * that will crash (each in turn) has its writes pending for as long as the search likes,
 * and of those the crash keeps any prefix; the others write at once, for a late write
 * without a crash looks to all others like late messages.  Nor does it matter which
 * candidate is called 1: he is the one who has promised nothing when he begins.
 *
 * Time stands still.  What time would do are actions of their own: a server loses patience
 * (the others say yes at once: the would-you round is for peace, not for safety), and a
 * leader beats.  LEARNs are given by who knows, without the request.  Two slots with
 * heartbeats and LEARNs too are more states than fit, so there only ACCEPTs tell what is
 * chosen.
 *
 * Judged in every state: no slot has two values voted for by quorums, at any ballots, since
 * the beginning; no slot two values at one ballot; who says chosen says that value; and
 * every CHECK of core/paxos.  A breach prints the actions that led to it. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/check.h"
#include "core/base/hash.h"
#include "core/paxos/inside.h"
#include "core/paxos/members.h"
#include "tests/lib/tap.h"

enum {
    SERVERS = 3,
    CANDIDATES = 2,
    SLOTS_MAX = 2,
    ROUNDS_MAX = 2,
    LOG_MAX = 16,
    HELD_MAX = 16,
    MESSAGES_MAX = 256,
    DEPTH_MAX = 128,
    TABLE_SIZE = 1 << 25,
    REFS_MANY = 1 << 30, /* blobs outlive every copy of a state */
};

/* --- the world --- */

struct server {
    struct paxos paxos;
    struct paxos_write log[LOG_MAX];
    uint32_t log_count, log_durable, log_boot; /* boot: records before this start */
    struct paxos_send held[HELD_MAX];
    uint32_t held_count;
    bool campaigned;
};

struct sent {
    uint32_t to;
    uint64_t hash;
    struct paxos_message message;
};

struct value { /* of one slot at one ballot: who had it on disk at any time */
    nodes_set nodes;
    uint64_t value; /* hash of the proposal; 0 = none */
};

static struct {
    struct server servers[SERVERS];
    struct sent messages[MESSAGES_MAX];
    uint32_t messages_count;
    uint64_t hashes[SERVERS];
    struct value votes[SLOTS_MAX + 1][ROUNDS_MAX + 1][SERVERS + 1]; /* slot, round, node */
    uint64_t chosen[SLOTS_MAX + 1];
    struct proposal canon[SLOTS_MAX + 1];
    uint32_t crashes_left;
} world;

static struct {
    uint32_t slots, victim; /* the bounds of this search; victim 0: nobody crashes */
    bool quiet;             /* what is chosen is told by ACCEPTs only */
    uint64_t states, steps;
    uint32_t depth, deepest;
    uint64_t breaches;
    struct {
        uint32_t action, node, which;
    } path[DEPTH_MAX];
} search;

static struct paxos_output out;
static uint64_t *table;

static struct blob *batches[SERVERS + 1][SLOTS_MAX + 1]; /* by proposer and slot */

enum action { DELIVER, SYNC, CAMPAIGN, PROPOSE, BEAT, LEARN, CRASH, ACTIONS };

static void print_path(void)
{
    static const char *const names[] = { "hears", "syncs",  "campaigns", "proposes",
                                         "beats", "learns", "crashes" };

    for (uint32_t i = 0; i < search.depth; i++) {
        const struct paxos_message *m = &world.messages[search.path[i].which].message;

        printf("# %2u  %u %s", i + 1, search.path[i].node, names[search.path[i].action]);
        if (search.path[i].action == DELIVER) {
            printf(" %s slot %" PRIu64 " of %u at %" PRIu64 ".%u",
                   paxos_message_name(m->kind), m->slot, m->from, m->ballot.round,
                   m->ballot.node);
        }
        printf("\n");
    }
    fflush(stdout);
}

static void breach(const char *what, uint64_t slot)
{
    if (search.breaches++ != 0) return;
    printf("# BROKEN: %s, slot %" PRIu64 ", after these actions:\n", what, slot);
    print_path();
}

static void on_abort(int number)
{
    (void)number;
    printf("# a CHECK failed after these actions:\n");
    print_path();
    _exit(1);
}

/* --- hashing what matters --- */

static uint64_t mix_ballot(uint64_t h, struct ballot b)
{
    return hash_u64(b.round << 8 | b.node, h);
}

static uint64_t hash_proposal(const struct proposal *p)
{
    uint64_t h = mix_ballot(hash_u64(p->reign_first, 1), p->reign);

    return hash_bytes(blob_bytes(p->batch), h) | 1;
}

static uint64_t mix_vote(uint64_t h, const struct vote *v)
{
    if (v->slot == 0) return hash_u64(0, h);
    return hash_u64(hash_proposal(&v->proposal),
                    mix_ballot(hash_u64(v->slot, h), v->ballot));
}

static uint64_t hash_message(uint32_t to, const struct paxos_message *m)
{
    uint64_t h =
        mix_ballot(hash_u64((uint64_t)m->kind << 16 | m->from << 8 | to, 2), m->ballot);

    h = hash_u64(m->slot << 32 | m->chosen << 16 | m->count << 8 | m->index, h);
    return mix_vote(mix_ballot(h, m->promised), &m->vote) ^ m->vote.proposal.reign.round;
}

static uint64_t mix_proposer(uint64_t h, const struct proposer *p)
{
    h = mix_ballot(h, p->ballot);
    h = hash_u64(
        p->slot_asked << 48 | p->promise_seq << 32 | p->promised << 16 | p->slot_next, h);
    h = hash_u64(p->reign_first, h);
    for (uint32_t i = 0; i < SERVERS; i++) {
        h = hash_u64(p->reports[i].pages << 8 | p->reports[i].count, h);
    }
    for (uint32_t s = 1; s <= search.slots; s++) {
        h = mix_vote(h, &p->reported[s]);
        h = hash_u64(p->slots[s].vote_seq << 8 | p->slots[s].accepted, h);
    }
    return h;
}

static uint64_t mix_log(uint64_t h, const struct server *n)
{
    h = hash_u64(n->log_count << 16 | n->log_durable << 8 | n->log_boot, h);
    for (uint32_t i = 0; i < n->log_count; i++) {
        h = mix_vote(mix_ballot(hash_u64(n->log[i].kind, h), n->log[i].promised),
                     &n->log[i].vote);
        h = hash_u64(n->log[i].chosen, h);
    }
    return h;
}

static uint64_t hash_server(const struct server *n)
{
    const struct paxos *p = &n->paxos;
    uint64_t h = hash_u64(p->role << 8 | n->campaigned, 3), held = 0;

    h = mix_ballot(hash_u64(p->acceptor.chosen, h), p->acceptor.promised);
    for (uint32_t s = 1; s <= search.slots; s++)
        h = mix_vote(h, &p->acceptor.votes[s]);
    if (p->role == PAXOS_PREPARING || paxos_reigns(p)) h = mix_proposer(h, &p->proposer);
    h = mix_ballot(hash_u64(p->learner.leader_chosen, h), p->learner.leader);
    for (uint32_t i = 0; i < n->held_count; i++) {
        held +=
            hash_u64(n->held[i].after, hash_message(n->held[i].to, &n->held[i].message));
    }
    return hash_u64(held, mix_log(h, n));
}

static bool may_crash(const struct server *n)
{
    return world.crashes_left > 0 && n->paxos.config.self == search.victim;
}

static struct ballot promise_on_disk(const struct server *n)
{
    return n->log_durable == 0 ? (struct ballot){ 0 } : n->log[n->log_durable - 1].promised;
}

static bool dead_to_follower(const struct server *n, const struct paxos_message *m)
{
    const struct paxos *p = &n->paxos;
    const bool told = ballot_cmp(p->learner.leader, m->ballot) == 0 &&
                      p->learner.leader_chosen >= m->chosen;
    const struct vote *v = acceptor_vote_at(&p->acceptor, m->slot);

    if (ballot_cmp(m->ballot, promise_on_disk(n)) < 0) return true;
    if (may_crash(n)) return false; /* what else it knows, it may forget */
    if (m->kind == PAXOS_HEARTBEAT) return told;
    if (m->kind == PAXOS_PREPARE) return false;
    return told && ((v != NULL && ballot_cmp(v->ballot, m->ballot) == 0) ||
                    m->slot <= p->acceptor.chosen);
}

static bool dead_to_proposer(const struct paxos *p, const struct paxos_message *m)
{
    if (ballot_cmp(m->ballot, p->proposer.ballot) != 0) return true;
    if (m->kind == PAXOS_ACCEPTED) {
        return !paxos_reigns(p) || m->slot <= p->acceptor.chosen ||
               nodes_has(p->proposer.slots[m->slot].accepted, m->from);
    }
    return p->role != PAXOS_PREPARING ||
           (m->kind == PAXOS_PROMISE && m->count > 0 &&
            (p->proposer.reports[m->from - 1].pages >> m->index & 1) != 0);
}

/* Whether it has no effect now, nor ever will: promises only rise, roles at a ballot only
 * end, and each candidate has one. */
static bool is_dead(const struct sent *s)
{
    const struct server *n = &world.servers[s->to - 1];
    const struct paxos_message *m = &s->message;

    if (m->kind == PAXOS_PREPARE || m->kind == PAXOS_ACCEPT || m->kind == PAXOS_HEARTBEAT) {
        return dead_to_follower(n, m);
    }
    return dead_to_proposer(&n->paxos, m);
}

static uint64_t hash_world(void)
{
    uint64_t h = world.crashes_left, messages = 0;

    for (uint32_t i = 0; i < world.messages_count; i++) {
        if (!is_dead(&world.messages[i])) messages += world.messages[i].hash;
    }
    h = hash_u64(messages, h);
    for (uint32_t i = 0; i < SERVERS; i++)
        h = hash_u64(world.hashes[i], h);
    for (uint32_t s = 1; s <= search.slots; s++) {
        for (uint32_t r = 1; r <= ROUNDS_MAX; r++) {
            for (uint32_t b = 1; b <= CANDIDATES; b++) {
                h = hash_u64(world.votes[s][r][b].value ^ world.votes[s][r][b].nodes, h);
            }
        }
    }
    return h | 1;
}

/* True when this state was not seen before. */
static bool state_is_new(void)
{
    uint64_t h = hash_world();

    for (uint64_t i = h;; i++) {
        uint64_t *at = &table[i % TABLE_SIZE];

        if (*at == h) return false;
        if (*at == 0) {
            *at = h;
            CHECK(++search.states < TABLE_SIZE * 3ull / 4);
            return true;
        }
    }
}

/* --- the judge --- */

static void choose(uint64_t slot, uint64_t value, const struct proposal *p)
{
    if (world.chosen[slot] != 0 && world.chosen[slot] != value) {
        breach("two values are chosen", slot);
    }
    world.chosen[slot] = value;
    world.canon[slot] = *p;
}

static void vote_is_durable(uint32_t node, const struct vote *v)
{
    struct value *place = &world.votes[v->slot][v->ballot.round][v->ballot.node];
    uint64_t value = hash_proposal(&v->proposal);

    if (place->value != 0 && place->value != value) {
        breach("two values at one ballot", v->slot);
    }
    place->value = value;
    place->nodes |= node_bit(node);
    if (__builtin_popcount(place->nodes) > SERVERS / 2)
        choose(v->slot, value, &v->proposal);
}

static void durable(struct server *n, uint32_t count)
{
    for (; n->log_durable < count; n->log_durable++) {
        const struct paxos_write *w = &n->log[n->log_durable];

        if (w->kind == PAXOS_WRITE_VOTE) vote_is_durable(n->paxos.config.self, &w->vote);
    }
}

/* --- a step, and what it sends --- */

static void network_add(uint32_t to, const struct paxos_message *m)
{
    uint64_t h = hash_message(to, m);

    for (uint32_t i = 0; i < world.messages_count; i++) {
        if (world.messages[i].hash == h) return;
    }
    CHECK(world.messages_count < MESSAGES_MAX);
    world.messages[world.messages_count++] = (struct sent){ to, h, *m };
}

/* Requests to learn, would-you rounds and answers to heartbeats choose nothing; refusals
 * only make a candidate give up, which not hearing of it does as well. */
static bool matters(const struct paxos_message *m)
{
    return m->kind == PAXOS_PREPARE || m->kind == PAXOS_PROMISE ||
           m->kind == PAXOS_ACCEPT || m->kind == PAXOS_ACCEPTED ||
           m->kind == PAXOS_HEARTBEAT || m->kind == PAXOS_TOO_OLD;
}

static void leave(const struct paxos_send *s)
{
    for (uint32_t id = 1; id <= SERVERS; id++) {
        if (nodes_has(s->to, id)) network_add(id, &s->message);
    }
}

static void release(struct server *n)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < n->held_count; i++) {
        if (n->log_boot + n->held[i].after <= n->log_durable) {
            leave(&n->held[i]);
        } else {
            n->held[kept++] = n->held[i];
        }
    }
    n->held_count = kept;
}

/* The same message, held for an earlier write, makes this one needless. */
static void hold(struct server *n, const struct paxos_send *s)
{
    uint64_t h = hash_message(s->to, &s->message);

    for (uint32_t i = 0; i < n->held_count; i++) {
        if (hash_message(n->held[i].to, &n->held[i].message) == h) return;
    }
    CHECK(n->held_count < HELD_MAX);
    n->held[n->held_count++] = *s;
}

static void take_output(struct server *n)
{
    for (uint32_t i = 0; i < out.writes_count; i++) {
        CHECK(n->log_count < LOG_MAX);
        n->log[n->log_count++] = out.writes[i];
    }
    for (uint32_t i = 0; i < out.sends_count; i++) {
        struct paxos_send s = out.sends[i];

        if (!matters(&s.message)) continue;
        if (search.quiet && s.message.kind == PAXOS_HEARTBEAT) continue;
        s.message.from = n->paxos.config.self;
        s.message.round = 0;
        s.message.yes = false;
        hold(n, &s);
    }
    for (uint32_t i = 0; i < out.chosen_count; i++) {
        uint64_t value = hash_proposal(&out.chosen[i].proposal);

        if (world.chosen[out.chosen[i].slot] != value) {
            breach("a server says chosen of what is not", out.chosen[i].slot);
        }
    }
}

/* Time stands still, so its traces must too; and who leads, as heard, decides nothing that
 * is judged here. */
static void still(struct paxos *p)
{
    p->election.leader = 0;
    p->election.leader_ballot = (struct ballot){ 0 };
    p->election.round_seen = 0;
    p->election.deadline_ms = p->election.resend_ms = UINT64_MAX;
    p->beat_due_ms = UINT64_MAX;
    p->learner.due_ms = UINT64_MAX;
    p->election.rng.state = 1;
}

static void blobs_refresh(void)
{
    for (uint32_t b = 1; b <= CANDIDATES; b++) {
        for (uint32_t s = 1; s <= SLOTS_MAX; s++)
            atomic_store(&batches[b][s]->refs, REFS_MANY);
    }
}

static void step_once(struct server *n, struct paxos_input *in)
{
    in->now_ms = 1;
    paxos_step(&n->paxos, in, &out);
    take_output(n);
    still(&n->paxos);
    release(n);
}

static bool sync_all(struct server *n)
{
    if (n->log_durable == n->log_count) return false;
    durable(n, n->log_count);
    step_once(n, &(struct paxos_input){ .kind = PAXOS_IN_DURABLE,
                                        .seq = n->log_durable - n->log_boot });
    return true;
}

static void step(struct server *n, struct paxos_input *in)
{
    step_once(n, in);
    while (!may_crash(n) && sync_all(n))
        continue;
}

/* --- actions: false when nothing can happen --- */

static void act_deliver(struct server *n, const struct paxos_message *m)
{
    struct paxos_message copy = *m;

    step(n, &(struct paxos_input){ .kind = PAXOS_IN_MESSAGE, .message = &copy });
}

static bool act_campaign(struct server *n)
{
    struct paxos *p = &n->paxos;
    uint32_t other = p->config.self % SERVERS + 1;

    if (p->config.self > CANDIDATES || n->campaigned || p->role != PAXOS_FOLLOWER)
        return false;
    if (p->config.self == 1 && p->acceptor.promised.round != 0) return false;
    n->campaigned = true;
    p->election.deadline_ms = 0;
    step(n, &(struct paxos_input){ .kind = PAXOS_IN_TICK });

    struct paxos_message yes = {
        .kind = PAXOS_WOULD, .from = other, .round = p->election.nonce, .yes = true
    };

    step(n, &(struct paxos_input){ .kind = PAXOS_IN_MESSAGE, .message = &yes });
    return p->proposer.ballot.round <= ROUNDS_MAX;
}

static bool act_propose(struct server *n)
{
    uint64_t slot;

    if (!paxos_can_propose(&n->paxos)) return false;
    slot = paxos_slot_next(&n->paxos);
    if (slot > search.slots) return false;
    step(n, &(struct paxos_input){ .kind = PAXOS_IN_PROPOSE,
                                   .batch = batches[n->paxos.config.self][slot] });
    return true;
}

static bool act_beat(struct server *n)
{
    if (!paxos_reigns(&n->paxos) || n->paxos.acceptor.chosen == 0) return false;
    n->paxos.beat_due_ms = 0;
    step(n, &(struct paxos_input){ .kind = PAXOS_IN_TICK });
    return true;
}

static bool act_learn(struct server *n, const struct server *from)
{
    uint64_t slot = n->paxos.acceptor.chosen + 1;

    if (from->paxos.acceptor.chosen < slot) return false;

    struct paxos_message learn = { .kind = PAXOS_LEARN,
                                   .from = from->paxos.config.self,
                                   .ballot = from->paxos.acceptor.promised,
                                   .slot = slot,
                                   .chosen = from->paxos.acceptor.chosen,
                                   .vote.proposal = world.canon[slot] };

    step(n, &(struct paxos_input){ .kind = PAXOS_IN_MESSAGE, .message = &learn });
    return true;
}

static const struct paxos_config CONFIG = {
    .heartbeat_ms = HEARTBEAT_MS,
    .election_min_ms = ELECTION_MIN_MS,
    .election_max_ms = ELECTION_MAX_MS,
};

static void restart(struct server *n, uint32_t id)
{
    struct paxos_config config = CONFIG;
    struct members members = { 1, node_bit(SERVERS + 1) - 1, 0 };
    struct vote votes[SLOTS_MAX + 1] = { 0 };
    struct ballot promised = { 0 };
    struct run run = { 0 };
    uint64_t chosen = 0;
    struct paxos *fresh;

    for (uint32_t i = 0; i < n->log_count; i++) {
        const struct paxos_write *w = &n->log[i];

        promised = w->promised;
        chosen = w->chosen;
        if (w->kind == PAXOS_WRITE_VOTE) votes[w->vote.slot] = w->vote;
    }
    for (uint64_t s = 1; s <= chosen; s++)
        run_step(&run, &world.canon[s]);
    config.self = id;
    fresh = paxos_new(&config);
    paxos_init(fresh, promised, &run, &members, 1);
    for (uint64_t s = chosen + 1; s <= SLOTS_MAX; s++) {
        if (votes[s].slot != 0) paxos_restore(fresh, &votes[s]);
    }
    n->paxos = *fresh;
    free(fresh); /* its references live on in the copy */
    still(&n->paxos);
    n->log_boot = n->log_count;
    n->held_count = 0;
}

/* Of what was not synced, the first `kept` records are there after all. */
static bool act_crash(struct server *n, uint32_t kept)
{
    if (!may_crash(n) || n->log_durable + kept > n->log_count) return false;
    world.crashes_left--;
    durable(n, n->log_durable + kept);
    n->log_count = n->log_durable;
    restart(n, n->paxos.config.self);
    return true;
}

/* --- the search --- */

struct before { /* what one action may change */
    struct server server;
    struct value votes[SLOTS_MAX + 1][ROUNDS_MAX + 1][SERVERS + 1];
    uint64_t chosen[SLOTS_MAX + 1];
    uint64_t hash;
    uint32_t messages_count, crashes_left;
};

static void save(struct before *b, uint32_t at)
{
    b->server = world.servers[at];
    memcpy(b->votes, world.votes, sizeof b->votes);
    memcpy(b->chosen, world.chosen, sizeof b->chosen);
    b->messages_count = world.messages_count;
    b->crashes_left = world.crashes_left;
    b->hash = world.hashes[at];
}

static void back(const struct before *b, uint32_t at)
{
    world.servers[at] = b->server;
    memcpy(world.votes, b->votes, sizeof b->votes);
    memcpy(world.chosen, b->chosen, sizeof b->chosen);
    world.messages_count = b->messages_count;
    world.crashes_left = b->crashes_left;
    world.hashes[at] = b->hash;
    blobs_refresh();
}

static bool act(enum action action, struct server *n, uint32_t which)
{
    switch (action) {
    case DELIVER:
        act_deliver(n, &world.messages[which].message);
        return true;
    case SYNC:
        return which == 0 && sync_all(n);
    case CAMPAIGN:
        return which == 0 && act_campaign(n);
    case PROPOSE:
        return which == 0 && act_propose(n);
    case BEAT:
        return which == 0 && act_beat(n);
    case LEARN:
        return which < SERVERS && act_learn(n, &world.servers[which]);
    case CRASH:
        return act_crash(n, which);
    case ACTIONS:
        break;
    }
    return false;
}

static void explore(void);

static void attempt(enum action action, uint32_t at, uint32_t which)
{
    struct before b;

    if (search.breaches != 0) return;
    save(&b, at);
    search.path[search.depth].action = action;
    search.path[search.depth].node = at + 1;
    search.path[search.depth++].which = which;
    if (act(action, &world.servers[at], which)) {
        search.steps++;
        world.hashes[at] = hash_server(&world.servers[at]);
        if (search.breaches == 0 && state_is_new()) explore();
    }
    search.depth--;
    back(&b, at);
}

static void explore(void)
{
    uint32_t messages = world.messages_count;

    CHECK(search.depth < DEPTH_MAX);
    if (search.depth > search.deepest) search.deepest = search.depth;
    for (uint32_t i = 0; i < messages; i++) {
        if (!is_dead(&world.messages[i])) attempt(DELIVER, world.messages[i].to - 1, i);
    }
    for (uint32_t at = 0; at < SERVERS; at++) {
        for (enum action a = SYNC; a < (search.quiet ? BEAT : CRASH); a++) {
            for (uint32_t which = 0; which < (a == LEARN ? SERVERS : 1); which++) {
                attempt(a, at, which);
            }
        }
        if (!may_crash(&world.servers[at])) continue;
        for (uint32_t kept = 0; kept <= LOG_MAX; kept++)
            attempt(CRASH, at, kept);
    }
}

static void search_all(uint32_t slots, uint32_t victim, bool quiet)
{
    memset(&world, 0, sizeof world);
    memset(&search, 0, sizeof search);
    memset(table, 0, TABLE_SIZE * sizeof *table);
    search.slots = slots;
    search.victim = victim;
    search.quiet = quiet;
    world.crashes_left = victim != 0;
    for (uint32_t i = 0; i < SERVERS; i++) {
        restart(&world.servers[i], i + 1);
        world.hashes[i] = hash_server(&world.servers[i]);
    }
    explore();
    printf("# %u slots, server %u crashes: %" PRIu64 " states, %" PRIu64
           " steps, %u deep\n",
           slots, victim, search.states, search.steps, search.deepest);
    IS(search.breaches, 0);
    OK(search.states > 1000);
}

static void one_slot_has_one_value(void)
{
    search_all(1, 0, false);
}

static void one_slot_has_one_value_whoever_crashes(void)
{
    for (uint32_t id = 1; id <= SERVERS; id++)
        search_all(1, id, false);
}

static void two_slots_have_one_value_each(void)
{
    search_all(2, 0, true);
}

#ifndef __SANITIZE_ADDRESS__
static void two_slots_have_one_value_each_whoever_crashes(void)
{
    for (uint32_t id = 1; id <= SERVERS; id++)
        search_all(2, id, true);
}
#endif

int main(void)
{
    table = mem_alloc(TABLE_SIZE * sizeof *table);
    for (uint32_t b = 1; b <= CANDIDATES; b++) {
        for (uint32_t s = 1; s <= SLOTS_MAX; s++) {
            char text[8] = { (char)('0' + b), (char)('0' + s), 0 };

            batches[b][s] = blob_new(bytes_str(text));
        }
    }
    blobs_refresh();
    signal(SIGABRT, on_abort);
    TEST(one_slot_has_one_value);
    TEST(one_slot_has_one_value_whoever_crashes);
    TEST(two_slots_have_one_value_each);
#ifndef __SANITIZE_ADDRESS__ /* which makes it take minutes, and finds nothing more here   \
                              */
    TEST(two_slots_have_one_value_each_whoever_crashes);
#endif
    return tap_done();
}
