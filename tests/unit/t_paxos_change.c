/* t_paxos_change.c -- clusters whose members change, one story a test.
 *
 * Method: whole clusters in virtual time on a simulated network and disk, which judges what
 * is chosen and by whose votes (tests/lib/paxos_net.h).  Replay with:
 * SEED=<n> ./t_paxos_change  */
#include <stdlib.h>

#include "core/paxos/nodes.h"
#include "tests/lib/paxos_net.h"
#include "tests/lib/tap.h"

static uint64_t seed;

/* Asks for the change until it is in force; a leader that is to go hands over. */
static void change(struct net *n, nodes_set voters, nodes_set learners)
{
    for (int ms = 0; ms < 5000; ms++) {
        const struct members *now = net_members(n);
        const uint32_t leader = net_leader(n);

        if (now->voters == voters && now->learners == learners) return;
        if (nodes_has(voters, leader)) {
            net_change(n, leader, voters, learners);
        } else if (leader != 0) {
            net_transfer(n, leader, 0);
        }
        net_run(n, 1);
    }
    OK(net_members(n)->voters == voters); /* it came to nothing */
}

static void choose(struct net *n)
{
    const uint64_t before = n->canon_last;

    for (int ms = 0; ms < 5000 && n->canon_last == before; ms++) {
        if (net_leader(n) != 0) net_propose(n, net_leader(n));
        net_run(n, 1);
    }
    OK(n->canon_last > before);
}

static void hand_over(struct net *n)
{
    const uint32_t from = net_leader(n);

    net_transfer(n, from, 0);
    for (int ms = 0; ms < 5000 && (net_leader(n) == from || net_leader(n) == 0); ms++)
        net_run(n, 1);
    OK(net_leader(n) != 0 && net_leader(n) != from);
}

/* All is whole: members come to know everything. */
static void end(struct net *n)
{
    net_heal(n);
    net_run(n, 2000);
    choose(n);
    net_run(n, 500);
    IS(net_chosen_min(n), n->canon_last);
    IS(n->breaches, 0);
    net_free(n);
}

static void one_server_grows_to_five_and_shrinks_to_three(void)
{
    struct net *n = net_found(5, 1, seed);
    nodes_set voters = 1;

    for (uint32_t id = 2; id <= 5; id++) {
        change(n, voters, node_bit(id));
        n->propose_permille = 100;
        net_run(n, 300);
        n->propose_permille = 0;
        net_run(n, 100);
        voters |= node_bit(id);
        change(n, voters, 0);
    }
    for (uint32_t id = 5; id >= 4; id--) {
        voters &= ~node_bit(id);
        change(n, voters, 0);
    }
    IS(net_members(n)->voters, 7);
    net_crash(n, 4);
    net_crash(n, 5);
    choose(n);
    end(n);
}

static void a_leader_goes_after_it_handed_over(void)
{
    struct net *n = net_new(3, seed);

    net_run(n, 1000);
    const uint32_t leader = net_leader(n);
    hand_over(n);
    change(n, 7 & ~node_bit(leader), 0);
    net_crash(n, leader);
    choose(n);
    net_restart(n, leader);
    net_run(n, 2000); /* it disturbs nobody */
    choose(n);
    end(n);
}

static void a_server_that_was_removed_comes_back_without_a_restart(void)
{
    struct net *n = net_new(3, seed);

    net_run(n, 1000);
    const nodes_set bit = node_bit(net_leader(n) % 3 + 1);
    change(n, 7 & ~bit, 0);
    choose(n);
    change(n, 7 & ~bit, bit);
    net_run(n, 300);
    change(n, 7, 0);
    net_run(n, 300);
    net_crash(n, net_leader(n)); /* now its vote is needed */
    choose(n);
    end(n);
}

/* Of the servers that the absent one knows none is left: the strangers teach it. */
static void who_was_away_while_all_others_were_replaced_learns_of_it(void)
{
    struct net *n = net_found(5, 7, seed);

    net_run(n, 1000);
    const uint32_t away = net_leader(n) % 3 + 1;
    const nodes_set gone = 7 & ~node_bit(away);
    net_crash(n, away);
    change(n, 7, 8);
    net_run(n, 300);
    change(n, 15, 0);
    change(n, 15, 16);
    net_run(n, 300);
    change(n, 31, 0);
    for (uint32_t id = 1; id <= 3; id++) {
        if (!nodes_has(gone, id)) continue;
        change(n, net_members(n)->voters & ~node_bit(id), 0);
        net_crash(n, id);
    }
    net_restart(n, away);
    net_run(n, 1000);
    IS(paxos_members(net_paxos(n, away))->voters, node_bit(away) | 24);
    net_crash(n, net_leader(n)); /* and its vote is needed */
    choose(n);
    end(n);
}

static uint32_t known(struct net *n, uint32_t id)
{
    return paxos_members(net_paxos(n, id))->number;
}

static bool recovers(struct net *n, uint32_t id)
{
    return paxos_role(net_paxos(n, id)) == PAXOS_RECOVERING;
}

/* The hazard that phase 1 after a change is there for.  One leader makes two changes, so
 * that the last servers share none with those who know of no change; they elect a leader
 * that still finds both changes among their votes.  Were it to go on behind them with the
 * promises that it has, it would choose anew where the others have chosen. */
static void missed_changes(uint64_t net_seed)
{
    struct net *n = net_found(5, 7, net_seed);

    net_run(n, 1000);
    change(n, 7, 8);
    change(n, 7, 24);
    net_run(n, 500);
    const uint32_t leader = net_leader(n), a = leader % 3 + 1, b = a % 3 + 1;
    const uint32_t before = net_members(n)->number;
    net_isolate(n, a);
    n->deaf[PAXOS_HEARTBEAT] = n->deaf[PAXOS_LEARN] = node_bit(a) | node_bit(b);
    change(n, 15, 16); /* by the leader and b, who does not hear that it is chosen */
    change(n, 31, 0);  /* and 4, */
    net_isolate(n, b);
    choose(n); /* and 5 */
    choose(n);
    IS(net_leader(n), leader);
    net_crash(n, leader);
    net_crash(n, 5);

    n->deaf[PAXOS_HEARTBEAT] = n->deaf[PAXOS_LEARN] = 0;
    net_link(n, a, b);
    for (int ms = 0; ms < 5000 && !recovers(n, a) && !recovers(n, b); ms++)
        net_run(n, 1);
    OK(recovers(n, a) || recovers(n, b)); /* by promises of a and b alone */
    net_link(n, a, 4);
    net_link(n, b, 4);
    n->propose_permille = 500;
    net_run(n, 2000);
    n->propose_permille = 0;
    OK(known(n, a) > before && known(n, b) > before);
    IS(n->breaches, 0);
    end(n);
}

static void two_changes_and_a_leader_that_missed_them_choose_nothing_twice(void)
{
    for (uint64_t i = 0; i < 10; i++)
        missed_changes(seed + i);
}

int main(void)
{
    const char *env = getenv("SEED");

    seed = env == NULL ? 1 : strtoull(env, NULL, 10);
    printf("# SEED=%" PRIu64 "\n", seed);
    TEST(one_server_grows_to_five_and_shrinks_to_three);
    TEST(a_leader_goes_after_it_handed_over);
    TEST(a_server_that_was_removed_comes_back_without_a_restart);
    TEST(who_was_away_while_all_others_were_replaced_learns_of_it);
    TEST(two_changes_and_a_leader_that_missed_them_choose_nothing_twice);
    return tap_done();
}
