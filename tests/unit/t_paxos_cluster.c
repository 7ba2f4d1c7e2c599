/* t_paxos_cluster.c -- who leads, and how soon, in whole clusters of Paxos instances.
 *
 * Method: fair weather with single faults on the simulated network (tests/lib/paxos_net.h),
 * among them the partial partitions that keep some election schemes from ever ending.
 * Replay with:  SEED=<n> ./t_paxos_cluster  */
#include <stdlib.h>

#include "tests/lib/paxos_net.h"
#include "tests/lib/tap.h"

static uint64_t seed;

static void a_cluster_with_equal_seeds_elects_one_leader(void)
{
    for (uint32_t nodes = 2; nodes <= 7; nodes++) {
        struct net *n = net_new(nodes, seed);

        net_run(n, 1000);
        OK(net_leader(n) != 0);
        for (uint32_t id = 1; id <= nodes; id++) {
            IS(paxos_leader(net_paxos(n, id)), net_leader(n));
        }
        net_free(n);
    }
}

static void a_killed_leader_is_replaced_within_a_tenth_of_a_second(void)
{
    for (uint64_t i = 0; i < 20; i++) {
        struct net *n = net_new(3, seed + i);

        net_run(n, 1000);
        net_crash(n, net_leader(n));
        net_run(n, 100);
        OK(net_leader(n) != 0);
        net_free(n);
    }
}

static void a_server_that_comes_back_disrupts_nobody(void)
{
    struct net *n = net_new(3, seed);

    net_run(n, 1000);
    const uint32_t leader = net_leader(n), other = leader % 3 + 1;
    const struct ballot before = paxos_ballot(net_paxos(n, leader));
    net_isolate(n, other);
    n->propose_permille = 100;
    net_run(n, 3000);
    net_heal(n);
    net_run(n, 1000);
    IS(net_leader(n), leader);
    IS(ballot_cmp(paxos_ballot(net_paxos(n, leader)), before), 0);
    n->propose_permille = 0;
    net_run(n, 500);
    IS(net_chosen_min(n), n->canon_last);
    IS(n->breaches, 0);
    net_free(n);
}

static void both_ways(struct net *n, uint32_t a, uint32_t b)
{
    net_cut(n, a, b);
    net_cut(n, b, a);
}

static void expect_progress(struct net *n)
{
    net_run(n, 3000);
    const uint64_t before = n->canon_last;
    net_run(n, 1000);
    OK(n->canon_last > before);
    IS(n->breaches, 0);
    net_free(n);
}

/* Only one server can still reach a quorum, and it is not the leader. */
static void a_cluster_recovers_when_the_leader_alone_lost_its_quorum(void)
{
    struct net *n = net_new(5, seed);

    n->propose_permille = 50;
    net_run(n, 1000);
    const uint32_t centre = net_leader(n) % 5 + 1;
    for (uint32_t a = 1; a <= 5; a++) {
        for (uint32_t b = a + 1; b <= 5; b++) {
            if (a != centre && b != centre) both_ways(n, a, b);
        }
    }
    expect_progress(n);
}

static void a_cluster_recovers_when_the_centre_missed_the_last_slots(void)
{
    struct net *n = net_new(5, seed);

    n->propose_permille = 50;
    net_run(n, 1000);
    const uint32_t leader = net_leader(n), centre = leader % 5 + 1;
    both_ways(n, leader, centre);
    net_run(n, 500); /* the centre falls behind */
    for (uint32_t a = 1; a <= 5; a++) {
        if (a != centre) both_ways(n, leader, a);
    }
    for (uint32_t a = 1; a <= 5; a++) {
        for (uint32_t b = a + 1; b <= 5; b++) {
            if (a != centre && b != centre) both_ways(n, a, b);
        }
    }
    expect_progress(n);
}

static void a_chain_of_three_keeps_working_and_all_learn(void)
{
    struct net *n = net_new(3, seed);

    n->propose_permille = 50;
    net_run(n, 1000);
    const uint32_t leader = net_leader(n), far = leader % 3 + 1;
    both_ways(n, leader, far);
    net_run(n, 3000);
    const uint64_t before = net_chosen_min(n);
    net_run(n, 2000);
    OK(net_chosen_min(n) > before);
    expect_progress(n);
}

static void a_long_absence_is_caught_up(void)
{
    struct net *n = net_new(3, seed);

    net_run(n, 1000);
    const uint32_t other = net_leader(n) % 3 + 1;
    net_crash(n, other);
    n->propose_permille = 1000;
    net_run(n, 2000);
    net_restart(n, other);
    net_run(n, 1500); /* it gains on a cluster that goes on */
    n->propose_permille = 0;
    net_run(n, 500);
    IS(net_chosen_min(n), n->canon_last);
    OK(n->canon_last > 3000);
    net_free(n);
}

int main(void)
{
    const char *env = getenv("SEED");

    seed = env == NULL ? 1 : strtoull(env, NULL, 10);
    printf("# SEED=%" PRIu64 "\n", seed);
    TEST(a_cluster_with_equal_seeds_elects_one_leader);
    TEST(a_killed_leader_is_replaced_within_a_tenth_of_a_second);
    TEST(a_server_that_comes_back_disrupts_nobody);
    TEST(a_cluster_recovers_when_the_leader_alone_lost_its_quorum);
    TEST(a_cluster_recovers_when_the_centre_missed_the_last_slots);
    TEST(a_chain_of_three_keeps_working_and_all_learn);
    TEST(a_long_absence_is_caught_up);
    return tap_done();
}
