/* life.c -- the life of one seed's world, in three parts.
 *
 *   1  Safety: clients work while everything fails.
 *   2  Progress with nothing to spare: a random quorum, the core, is healed; all others are
 *      frozen as they stand, reachable but dumb. The core must answer every open request,
 * let every client through with a new write, and pass on a lock that is held. 3  Peace: the
 * others wake up, with all that was on its way to them. All must end alike. */
#include <stdlib.h>

#include "core/base/check.h"
#include "tests/sim/guests.h"
#include "tests/sim/sim.h"
#include "tests/sim/tenure.h"

enum {
    UNAWARE_MS = 3000,  /* nobody leads for so long: the core may not know who belongs */
    CORE_WORK_MS = 300, /* of plain work, before new requests end */
    BUSY_SLOTS = SIM_SLOTS_MAX * 3 / 4, /* a life that used up so many is long enough */
    PROGRESS_LIMIT_MS = 20000, /* near 60 elections; a dead client's session ends in 4 s */
};

/* A quorum of servers with whole disks, drawn at random. */
static nodes_set draw_core(struct world *w)
{
    const nodes_set voters = roster_sets(admin_roster(w)).voters;
    uint32_t wanted = (uint32_t)__builtin_popcount(voters) / 2 + 1;
    nodes_set core = 0;

    while ((uint32_t)__builtin_popcount(core) < wanted) {
        uint32_t id = 1 + (uint32_t)rng_below(&w->rng, w->options.nodes);

        if ((voters & node_bit(id)) == 0 || w->nodes[id - 1].disk.damaged) continue;
        if (admin_counts(&w->nodes[id - 1])) core |= node_bit(id);
    }
    return core;
}

static bool same_everywhere(const struct world *w)
{
    const struct replica_status *first = NULL;
    struct replica_status s[SIM_NODES_MAX];

    for (uint32_t i = 0; i < w->options.nodes; i++) {
        const struct server *n = &w->nodes[i];

        if (!admin_counts(n) || world_left_out(n)) continue;
        if (!n->up) return false;
        s[i] = replica_status(n->replica);
        if (first == NULL) first = &s[i];
        if (s[i].applied != first->applied || s[i].digest != first->digest) return false;
    }
    return true;
}

static void run_for(struct world *w, uint64_t ms)
{
    uint64_t end_us = w->now_us + 1000 * ms;

    while (w->now_us < end_us)
        world_step(w);
}

/* Those of its voters that have the memory it counts on. */
static nodes_set whole_voters(const struct world *w, const struct roster *m)
{
    nodes_set whole = 0;

    for (uint32_t i = 0; i < w->options.nodes; i++) {
        const struct server *n = &w->nodes[i];

        if (n->lost || n->away || n->disk.damaged || n->state_damaged) continue;
        if (roster_knows(m, n->id, n->incarnation)) whole |= node_bit(n->id);
    }
    return whole & roster_sets(m).voters;
}

/* Wakes as many more of its voters as make those that are whole a quorum of them. */
static void grow_to_quorum(struct world *w, const struct roster *m)
{
    const int voters = __builtin_popcount(roster_sets(m).voters);
    const nodes_set whole = whole_voters(w, m);
    nodes_set more = w->healed;
    uint32_t first = (uint32_t)rng_below(&w->rng, w->options.nodes);

    for (uint32_t i = 0; i < w->options.nodes; i++) {
        if (2 * __builtin_popcount(more & whole) > voters) break;
        more |= node_bit((first + i) % w->options.nodes + 1) & whole;
    }
    if (more != w->healed) faults_heal(w, more);
}

/* The newest roster that a server of the core knows; NULL: none. */
static const struct roster *newest_known(const struct world *w)
{
    const struct roster *newest = NULL;

    for (uint32_t i = 0; i < w->options.nodes; i++) {
        const struct server *n = &w->nodes[i];
        const struct roster *known;

        if (!n->up || world_left_out(n)) continue;
        known = replica_roster(n->replica);
        if (newest == NULL || known->number > newest->number) newest = known;
    }
    return newest;
}

/* A change that was asked for before may leave the core without a quorum: then it gets one.
 * So it may when only frozen servers know of the last change: what they chose together must
 * be found out from a quorum of the roster before it. */
static void follow_members(struct world *w, uint64_t healed_us)
{
    const struct roster *known;

    grow_to_quorum(w, admin_roster(w));
    if (w->now_us < healed_us + 1000 * UNAWARE_MS || world_leader(w) != 0) return;
    known = newest_known(w);
    if (known != NULL) grow_to_quorum(w, known);
}

static bool at_rest(const struct world *w)
{
    const uint32_t living = w->options.clients + w->options.guests;

    return clients_idle(w) && guests_idle(w) && tenure_open(w) == living && /* T7 */
           world_leader(w) != 0 && same_everywhere(w);
}

static void expect_progress(struct world *w, const char *among)
{
    uint64_t limit_us = w->now_us + 1000 * PROGRESS_LIMIT_MS;

    while (!at_rest(w)) {
        world_step(w);
        follow_members(w, limit_us - 1000 * PROGRESS_LIMIT_MS);
        if (w->now_us < limit_us) continue;
        world_print(w);
        clients_print(w);
        guests_print(w);
        printf("%" PRIu64 " sessions live\n", tenure_open(w));
        broken(w, "no progress: for %u s %s were healed and something is still open",
               PROGRESS_LIMIT_MS / 1000, among);
    }
}

void life_end(struct world *w)
{
    faults_heal(w, draw_core(w));
    clients_prove(w);
    run_for(w, CORE_WORK_MS);
    clients_stop(w);
    guests_stop(w);
    expect_progress(w, "the servers of a quorum");

    faults_heal(w, ~(nodes_set)0);
    expect_progress(w, "all servers");
    checks_end(w);
    clients_check_end(w);
    guests_check_end(w);
    for (uint32_t i = 0; i < w->options.nodes; i++) {
        if (!w->nodes[i].up) continue;
        w->stats.spared += replica_status(w->nodes[i].replica).rounds_spared;
    }
    w->stats.virtual_ms = w->now_us / 1000;
}

void life_run(struct world *w)
{
    clients_start(w);
    guests_start(w);
    faults_start(w);
    admin_start(w);
    while (w->now_us < 1000 * (uint64_t)w->options.life_ms && w->stats.slots < BUSY_SLOTS)
        world_step(w);
    life_end(w);
}
