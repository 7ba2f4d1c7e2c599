/* admin.c -- who belongs to the cluster, and somebody who changes that while everything goes
 * on: servers are added, removed, the leader too, demoted and promoted; they lose their
 * memory and join again.
 *
 * The admin does one thing at a time and asks until he is told how it ended. He takes a
 * voter's memory only when that costs no quorum, now or by what he asked for before. Rules:
 *
 *     B1  a number has one roster, on every server
 *     B2  a ballot acts under one configuration; what is chosen at it, a majority of that
 *         one's voters has on disk (checks.c counts by admin_voters()) */
#include <stdlib.h>

#include "core/base/check.h"
#include "core/base/errors.h"
#include "core/machine/request.h"
#include "core/machine/result.h"
#include "core/paxos/nodes.h"
#include "tests/sim/sim.h"

enum {
    ROSTERS_MAX = 512,
    BALLOTS_MAX = 4096,
    ASK_AGAIN_MS = 150,
    ADMIN_MARK = 0xff, /* where a client's tag has its number */
};

struct admin {
    struct world *world;
    enum member_action action; /* under way; 0 = nothing */
    uint32_t who;
    uint64_t incarnation;
    uint64_t tag, generation, asked_us;
    bool loose; /* something asked for may still happen, whatever came of it */
    struct roster rosters[ROSTERS_MAX]; /* B1, by number */
    uint64_t slots[ROSTERS_MAX];        /* where each was chosen */
    uint32_t newest;
    struct { struct ballot ballot; nodes_set voters; } ballots[BALLOTS_MAX]; /* B2 */
    uint32_t ballots_count;
};

/* --- who belongs --- */

static struct roster founders(const struct world *w)
{
    struct roster m = { .number = 1 };

    for (uint32_t id = 1; id <= w->options.founders; id++) {
        struct member *one = &m.at[m.count++];

        *one = (struct member){ .id = id, .kind = MEMBER_VOTER, .incarnation = id };
        snprintf(one->peer, sizeof one->peer, "node%u:1", id);
    }
    return m;
}

struct roster admin_founders(const struct server *n)
{
    struct roster m = founders(n->world);

    if (n->joins) return (struct roster){ 0 };
    m.at[n->id - 1].incarnation = n->incarnation;
    return m;
}

void admin_init(struct world *w)
{
    struct admin *a = mem_zalloc(sizeof *a);

    a->world = w;
    a->newest = 1;
    a->rosters[1] = founders(w);
    w->admin = a;
    for (uint32_t id = w->options.founders + 1; id <= w->options.nodes; id++) {
        w->nodes[id - 1].away = w->nodes[id - 1].joins = true;
    }
}

void admin_fini(struct world *w)
{
    free(w->admin);
}

const struct roster *admin_roster(const struct world *w)
{
    return &w->admin->rosters[w->admin->newest];
}

bool admin_counts(const struct server *n)
{
    return !n->lost && !n->away && !n->disk.damaged && !n->state_damaged &&
           roster_knows(admin_roster(n->world), n->id, n->incarnation);
}

void admin_members(struct server *n)
{
    struct world *w = n->world;
    const struct roster *m = replica_roster(n->replica);
    struct roster *first = &w->admin->rosters[m->number];

    CHECK(m->number < ROSTERS_MAX);
    trace(w, "node %u goes by roster %u", n->id, m->number);
    if (first->number == 0) *first = *m;
    if (memcmp(first, m, sizeof *m) != 0) { /* B1 */
        broken(w, "node %u has another roster %u", n->id, m->number);
    }
    if (m->number > w->admin->newest) {
        w->admin->newest = m->number;
        w->admin->slots[m->number] = replica_status(n->replica).applied;
        w->stats.rosters++;
    }
}

/* Who was removed tells the others, and ends when they can go on without it. */
void admin_tick(struct server *n)
{
    const struct replica_status s = replica_status(n->replica);

    if (!s.removed || s.leaving || n->dying) return;
    trace(n->world, "node %u leaves", n->id);
    n->away = true;
    n->dying = n->world->some_dying = true;
}

bool admin_was_removed(const struct server *n)
{
    const struct roster *known = replica_roster(n->replica);
    bool was = false;

    for (uint32_t number = 1; number <= known->number; number++) {
        was = was || roster_knows(&n->world->admin->rosters[number], n->id, n->incarnation);
    }
    return was && !roster_knows(known, n->id, n->incarnation);
}

/* --- B2 --- */

void admin_ballot_acts(struct server *n, struct ballot ballot)
{
    struct admin *a = n->world->admin;
    nodes_set voters = roster_sets(replica_roster(n->replica)).voters;

    for (uint32_t i = a->ballots_count; i-- > 0;) {
        if (ballot_cmp(a->ballots[i].ballot, ballot) != 0) continue;
        if (a->ballots[i].voters != voters) {
            broken(n->world, "ballot %" PRIu64 ".%u acts under two configurations",
                   ballot.round, ballot.node);
        }
        return;
    }
    CHECK(a->ballots_count < BALLOTS_MAX);
    a->ballots[a->ballots_count].ballot = ballot;
    a->ballots[a->ballots_count++].voters = voters;
}

nodes_set admin_voters(const struct world *w, struct ballot ballot)
{
    const struct admin *a = w->admin;

    for (uint32_t i = a->ballots_count; i-- > 0;) {
        if (ballot_cmp(a->ballots[i].ballot, ballot) == 0) return a->ballots[i].voters;
    }
    return roster_sets(&a->rosters[1]).voters;
}

/* --- asking --- */

static void encode(const struct admin *a, struct buf *out)
{
    char peer[32];
    struct request q = { .kind = REQUEST_MEMBER,
                         .member = { .action = a->action,
                                     .id = a->action == MEMBER_JOIN ? 0 : a->who,
                                     .kind = MEMBER_JOINING } };

    snprintf(peer, sizeof peer, "node%u:1", a->who);
    if (a->action != MEMBER_ADD) q.member.incarnation = a->incarnation;
    if (a->action == MEMBER_ADD || a->action == MEMBER_JOIN) q.member.peer = bytes_str(peer);
    request_encode(out, &q);
}

static void ask(struct world *w)
{
    struct admin *a = w->admin;
    struct server *n = some_node(w);
    struct buf request = { 0 };

    a->asked_us = w->now_us;
    if (!n->up || n->frozen) return;
    a->tag = ++a->generation << 16 | ADMIN_MARK << 8;
    trace(w, "admin asks node %u: action %u of node %u", n->id, a->action, a->who);
    encode(a, &request);
    (void) replica_submit(n->replica, node_time(n), a->tag, 0, buf_bytes(&request));
    buf_fini(&request);
    node_soon(n);
}

void admin_begin(struct world *w, enum member_action action, const struct server *n)
{
    struct admin *a = w->admin;

    a->action = action;
    a->who = n->id;
    a->incarnation = n->incarnation;
    if (action == MEMBER_DEMOTE) a->loose = true;
    ask(w);
}

bool admin_busy(struct world *w)
{
    struct admin *a = w->admin;

    if (a->action != 0 && w->now_us - a->asked_us > 1000 * ASK_AGAIN_MS) ask(w);
    return a->action != 0;
}

bool admin_owns(uint64_t tag)
{
    return (tag >> 8 & 0xff) == ADMIN_MARK;
}

/* What was kept for it is its own now. */
static void joined(struct world *w, struct server *n)
{
    n->away = false;
    w->stats.joins++;
    if (!n->up && !world_left_out(n)) node_start(n);
}

/* An old asking of a JOIN, that came when its server had been removed again, has taken the
 * number that was meant for this one. In here servers are known by their numbers. */
static void put_out(struct world *w, uint32_t id, uint64_t incarnation)
{
    struct admin *a = w->admin;

    a->action = MEMBER_REMOVE;
    a->who = id;
    a->incarnation = incarnation;
    ask(w);
}

static void went_well(struct world *w, uint32_t id)
{
    struct admin *a = w->admin;
    struct server *n = &w->nodes[a->who - 1];
    enum member_action done = a->action;

    a->action = 0;
    if (done == MEMBER_ADD) admin_begin(w, MEMBER_JOIN, n);
    if (done != MEMBER_JOIN) return;
    if (id == n->id) {
        joined(w, n);
    } else {
        put_out(w, id, n->incarnation);
    }
}

void admin_answer(struct world *w, uint64_t tag, int code, struct bytes bytes)
{
    struct admin *a = w->admin;
    struct result_part part;
    struct result_parts parts;
    struct result r;

    if (a->action == 0 || tag != a->tag || code != 0) return;
    if (result_decode(bytes, &r) != 0) broken(w, "the admin's answer is no result");
    trace(w, "admin is told: %s", error_name(r.code));
    if (r.code == 0) {
        parts = result_parts_of(&r);
        if (result_part_next(&parts, &part) != 0) broken(w, "the admin's answer is empty");
        went_well(w, (uint32_t) part.id);
    } else if (r.code != ERR_UNSAFE_CHANGE) {
        a->loose |= r.code == ERR_LAST_VOTER;
        a->action = 0;
    }
}

/* --- what to do next --- */

/* It goes by the newest roster, and would also after a crash. */
static bool knows_newest(const struct server *n)
{
    const struct admin *a = n->world->admin;

    return n->up && replica_roster(n->replica)->number == a->newest &&
           n->disk.chosen_durable >= a->slots[a->newest];
}

/* A change that only `n` and the dead know of as chosen would be lost with its memory, and
 * with it who is a majority. */
static bool others_know(const struct world *w, const struct server *n)
{
    const struct roster *m = admin_roster(w);
    nodes_set know = 0;

    for (uint32_t id = 1; id <= w->options.nodes; id++) {
        const struct server *one = &w->nodes[id - 1];

        if (one == n || !admin_counts(one)) continue;
        if (knows_newest(one)) know |= node_bit(id);
    }
    return nodes_quorum(know, roster_sets(m).voters);
}

/* Every member has its memory, so that one voter may lose it, and a majority is left also
 * when somebody is just being seated. */
static bool may_wipe(const struct world *w, const struct server *n)
{
    const struct roster *m = admin_roster(w);

    if (w->admin->loose || !admin_counts(n) || !others_know(w, n)) return false;
    for (uint32_t i = 0; i < m->count; i++) {
        const struct server *one = &w->nodes[m->at[i].id - 1];

        if (!roster_knows(m, one->id, one->incarnation)) return false;
        if (one->disk.damaged || one->state_damaged) return false;
    }
    return nodes_count(roster_sets(m).voters) >= 3;
}

void admin_wipe(struct server *n)
{
    trace(n->world, "node %u loses its memory", n->id);
    n->away = n->joins = true;
    if (n->up) node_crash(n);
    node_wipe(n);
    checks_wiped(n->world, n->id);
    n->incarnation += SIM_NODES_MAX;
}

bool admin_may_lose(const struct world *w, const struct server *n)
{
    return w->admin->action == 0 && may_wipe(w, n);
}

void admin_lost(struct server *n)
{
    n->disk.damaged = false;
    admin_wipe(n);
}

/* Somebody starts it as at the very first time. It believes that it votes; nobody else may. */
void admin_start_as_founder(struct server *n)
{
    trace(n->world, "node %u starts as a founder again", n->id);
    n->away = n->joins = false;
    node_start(n);
}

/* A member that lost its memory votes no more: without `n` the others must be a quorum. */
static bool may_go(const struct world *w, const struct server *n)
{
    const nodes_set voters = roster_sets(admin_roster(w)).voters;
    const nodes_set left = voters & ~node_bit(n->id);
    nodes_set whole = 0;

    for (uint32_t id = 1; id <= w->options.nodes; id++) {
        if (admin_counts(&w->nodes[id - 1])) whole |= node_bit(id);
    }
    if ((voters & ~whole) == 0) return true;
    return !w->admin->loose && nodes_quorum(whole, left);
}

static void change_of(struct world *w, struct server *n)
{
    switch (rng_below(&w->rng, 6)) {
    case 0:
    case 1:
        if (may_go(w, n)) admin_begin(w, MEMBER_REMOVE, n);
        break;
    case 2:
        if (chance(w, 200) && may_go(w, n)) admin_begin(w, MEMBER_DEMOTE, n);
        break;
    case 3:
        admin_begin(w, MEMBER_PROMOTE, n);
        break;
    default:
        if (!may_wipe(w, n)) return;
        admin_wipe(n);
        if (w->options.founders > 1 && n->id <= w->options.founders && chance(w, 500)) {
            admin_start_as_founder(n);
        } else {
            admin_begin(w, MEMBER_JOIN, n);
        }
        break;
    }
}

/* A majority can go on by the newest roster. */
static bool is_settled(const struct world *w)
{
    const struct roster *m = admin_roster(w);
    nodes_set know = 0;

    for (uint32_t id = 1; id <= w->options.nodes; id++) {
        const struct server *n = &w->nodes[id - 1];

        if (knows_newest(n)) know |= node_bit(id);
    }
    return nodes_quorum(know, roster_sets(m).voters);
}

/* Who was removed comes back as another.  Its process may not know that it should have
 * ended; but one that is still needed by the others is let be. */
static void bring_back(struct world *w, struct server *n)
{
    if (!n->away && !is_settled(w)) return;
    admin_wipe(n);
    admin_begin(w, roster_find(admin_roster(w), n->id) != NULL ? MEMBER_JOIN : MEMBER_ADD, n);
}

static void next(struct world *w)
{
    struct server *n = chance(w, 300) ? leader_or_some(w) : some_node(w);

    if (n->frozen) return;
    if (!roster_knows(admin_roster(w), n->id, n->incarnation)) {
        bring_back(w, n);
    } else {
        change_of(w, n);
    }
}

static void live(struct world *w, void *ctx)
{
    (void) ctx;
    if (w->healed != 0) return;
    if (!admin_busy(w)) next(w);
    world_at(w, rng_below(&w->rng, 2000 * w->options.admin_gap_ms), live, NULL);
}

void admin_start(struct world *w)
{
    if (w->options.admin_gap_ms > 0) world_at(w, 300000, live, NULL);
}
