/* t_paxos_storm.c -- Paxos in bad weather.
 *
 * Method: whole clusters on a simulated network and disk (tests/lib/paxos_net.h) that
 * judges every chosen slot, promise, read and run.  Each storm picks its faults at random,
 * then heals and demands progress.  Replay a failing storm with:  SEED=<n> ./t_paxos_storm
 */
#include <stdlib.h>

#include "tests/lib/paxos_net.h"
#include "tests/lib/tap.h"

enum { STORMS = 40, GUSTS = 60 };

static uint64_t seed;
static uint64_t changes, transfers, leased_ms; /* in all storms of a test */

static void blow(struct net *n)
{
    const uint32_t id = 1 + (uint32_t)rng_below(&n->rng, n->nodes);
    const uint32_t peer = 1 + (uint32_t)rng_below(&n->rng, n->nodes);

    switch (rng_below(&n->rng, 9)) {
    case 0:
        net_crash(n, id);
        return;
    case 1:
        net_crash(n, id);
        if (rng_below(&n->rng, 2) == 0) net_restart(n, id); /* at once */
        return;
    case 2:
    case 3:
        net_restart(n, id);
        return;
    case 4:
        net_isolate(n, id);
        return;
    case 5:
        if (id != peer) net_cut(n, id, peer);
        return;
    case 6:
        net_heal(n);
        return;
    case 7:
        net_hang_up(n, net_leader(n) != 0 ? net_leader(n) : id);
        return;
    default:
        n->loss_permille = (uint32_t)rng_below(&n->rng, 500);
        n->double_permille = (uint32_t)rng_below(&n->rng, 200);
        n->delay_ms_max = 1 + (uint32_t)rng_below(&n->rng, 60);
        n->disk_ms_max = 1 + (uint32_t)rng_below(&n->rng, 20);
        return;
    }
}

/* After healing everybody must come to know everything, and new batches be chosen. */
static void demand_progress(struct net *n, uint64_t storm_seed)
{
    n->change_permille = n->fall_permille = 0;
    net_heal(n);
    net_run(n, 3000);
    n->propose_permille = 0;
    const uint64_t before = n->canon_last;
    bool taken = net_propose(n, net_leader(n) == 0 ? 1 : net_leader(n));

    net_run(n, 1000);
    if (!taken || net_chosen_min(n) <= before) {
        printf("# no progress after storm SEED=%" PRIu64 "\n", storm_seed);
    }
    OK(taken);
    OK(net_chosen_min(n) > before);
    IS(net_chosen_min(n), n->canon_last);
}

/* `n` is taken. */
static void storm(struct net *n, uint64_t storm_seed)
{
    n->propose_permille = 20 + (uint32_t)rng_below(&n->rng, 400);
    n->read_permille = 20;
    n->urgent = (nodes_set)rng_below(&n->rng, node_bit(n->nodes + 1));
    const uint64_t gust_ms = 20 + rng_below(&n->rng, 400);
    for (int i = 0; i < GUSTS; i++) {
        blow(n);
        net_run(n, 1 + rng_below(&n->rng, gust_ms));
    }
    demand_progress(n, storm_seed);
    if (n->breaches > 0) printf("# breached in storm SEED=%" PRIu64 "\n", storm_seed);
    IS(n->breaches, 0);
    OK(n->counted > 0);
    OK(n->reads_confirmed > 0);
    changes += n->changes;
    leased_ms += n->leased_ms;
    transfers += n->transfers;
    net_free(n);
}

static void storms(uint32_t nodes)
{
    const bool replay = getenv("SEED") != NULL;

    for (uint64_t i = 0; i < (replay ? 1 : STORMS); i++)
        storm(net_new(nodes, seed + i), seed + i);
}

/* Of `nodes` servers those in `founders` begin; who belongs and who votes changes all the
 * time. */
static void storms_of_change(uint32_t nodes, nodes_set founders)
{
    const bool replay = getenv("SEED") != NULL;

    changes = transfers = 0;
    for (uint64_t i = 0; i < (replay ? 1 : STORMS); i++) {
        struct net *n = net_found(nodes, founders, seed + i);

        n->change_permille = 1 + (uint32_t)rng_below(&n->rng, 200);
        n->fall_permille = (uint32_t)rng_below(&n->rng, 500);
        storm(n, seed + i);
    }
    OK(replay || changes > 10 * STORMS);
    OK(replay || transfers > STORMS);
}

static void servers_come_and_go_and_nothing_is_chosen_twice(void)
{
    storms_of_change(5, 7);
}

static void one_server_grows_and_shrinks_at_random(void)
{
    storms_of_change(4, 1);
}

static void three_servers_never_choose_twice_and_recover(void)
{
    storms(3);
}

static void five_servers_never_choose_twice_and_recover(void)
{
    storms(5);
}

static void two_servers_never_choose_twice_and_recover(void)
{
    storms(2);
}

static void one_server_loses_nothing_that_it_told(void)
{
    storms(1);
}

/* Each clock runs at its own rate, as far as the bound of leases allows. */
static void storms_of_leases(uint32_t nodes, nodes_set founders, uint32_t change_permille)
{
    const bool replay = getenv("SEED") != NULL;

    leased_ms = 0;
    for (uint64_t i = 0; i < (replay ? 1 : STORMS); i++) {
        struct net *n = net_found(nodes, founders, seed + i);

        for (uint32_t id = 1; id <= nodes; id++) {
            net_crash(n, id);
            n->servers[id - 1].rate = id % 2 == 0 ? 990 : 1010;
            n->servers[id - 1].clock_from_ms = rng_below(&n->rng, 1000000);
        }
        n->lease_ms = LEASE_MS_MAX;
        net_heal(n);
        n->change_permille = change_permille;
        n->fall_permille = 200;
        storm(n, seed + i);
    }
    OK(replay || leased_ms > 1000 * STORMS);
}

static void no_lease_outlives_its_grants(void)
{
    storms_of_leases(3, 7, 0);
}

static void no_lease_outlives_a_change_of_the_members(void)
{
    storms_of_leases(5, 7, 20);
}

int main(void)
{
    const char *env = getenv("SEED");

    seed = env == NULL ? 1 : strtoull(env, NULL, 10);
    printf("# SEED=%" PRIu64 "\n", seed);
    TEST(one_server_loses_nothing_that_it_told);
    TEST(two_servers_never_choose_twice_and_recover);
    TEST(three_servers_never_choose_twice_and_recover);
    TEST(five_servers_never_choose_twice_and_recover);
    TEST(servers_come_and_go_and_nothing_is_chosen_twice);
    TEST(one_server_grows_and_shrinks_at_random);
    TEST(no_lease_outlives_its_grants);
    TEST(no_lease_outlives_a_change_of_the_members);
    return tap_done();
}
