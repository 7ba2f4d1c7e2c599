/* t_paxos_disk.c -- a leader whose disk is the slowest steps aside, one rule a test.
 *
 * Method: a single instance, server 1 of three, whose writes take as long as the test says
 * (tests/lib/paxos_one.h); then a cluster in which the leader's disk gets slow. */
#include "core/paxos/disk.h"
#include "tests/lib/paxos_net.h"
#include "tests/lib/paxos_one.h"

/* One batch: own write takes `own_ms`, and the others say their figures. */
static void batch(uint32_t own_ms, uint32_t two_us, uint32_t three_us)
{
    const uint32_t figures[] = { two_us, three_us };

    if (paxos_can_propose(p)) propose(1, 0);
    for (uint32_t ms = 0; ms < own_ms; ms += TICK_MS)
        tick(TICK_MS);
    durable();
    for (uint32_t node = 2; node <= 3; node++) {
        accepted(node, paxos_chosen(p) + 1);
        receive(node, (struct paxos_message){ .kind = PAXOS_HEARTBEAT_OK,
                                              .ballot = own(),
                                              .chosen = paxos_chosen(p),
                                              .disk_us = figures[node - 2] });
    }
}

/* Whether it begins to hand over within `ms`, while its writes take `own_ms`. */
static bool goes(uint64_t ms, uint32_t own_ms, uint32_t two_us, uint32_t three_us)
{
    const uint64_t end_ms = now_ms + ms;

    while (now_ms < end_ms && !paxos_transferring(p))
        batch(own_ms, two_us, three_us);
    return paxos_transferring(p);
}

static void leading(void)
{
    lease_ms = 0;
    fresh(THREE);
    become_leading();
}

static void a_server_knows_how_long_its_writes_take_and_tells(void)
{
    fresh(THREE);
    IS(paxos_disk_us(p), 0);
    accept_from(2, 5, 1, 1);
    now_ms += 30;
    durable();
    heartbeat(2, 5, 1);
    IS(sent(PAXOS_HEARTBEAT_OK)->message.disk_us, 30000);
    accept_from(2, 5, 2, 1);
    now_ms += 70;
    durable();
    IS(paxos_disk_us(p), 35000); /* an eighth of the way */
}

static void a_write_that_hangs_counts_as_long_as_it_hangs(void)
{
    fresh(THREE);
    accept_from(2, 5, 1, 1);
    tick(500);
    IS(paxos_disk_us(p), 500000);
}

static void a_leader_whose_disk_is_the_slowest_hands_over_to_the_fastest(void)
{
    leading();
    OK(!goes(DISK_BAD_MS - 100, 50, 9000, 5000));
    OK(goes(1000, 50, 9000, 5000));
    const struct paxos_send *told = sent(PAXOS_TAKE_OVER);
    for (int i = 0; i < 10 && told == NULL; i++) {
        batch(10, 9000, 5000);
        told = sent(PAXOS_TAKE_OVER);
    }
    OK(told != NULL && told->to == node_bit(3));
}

static void a_leader_stays_whose_disk_is_quick_enough_or_no_worse_than_others(void)
{
    leading();
    OK(!goes(20000, 20, 100, 100)); /* not bad as such */
    leading();
    OK(!goes(20000, 50, 15000, 20000)); /* not four times as bad */
    leading();
    OK(!goes(20000, 50, 0, 0)); /* of the others nothing is known */
}

static void a_leader_that_was_slow_for_a_moment_stays(void)
{
    leading();
    for (int i = 0; i < 5; i++) {
        OK(!goes(DISK_BAD_MS / 2, 50, 1000, 1000));
        OK(!goes(3000, 10, 1000, 1000));
    }
}

static void a_leader_hands_over_for_its_disk_once_a_minute_at_most(void)
{
    leading();
    OK(goes(5000, 50, 1000, 1000));
    const uint64_t begun_ms = now_ms;
    while (paxos_transferring(p)) /* nobody takes it */
        batch(50, 1000, 1000);
    OK(!goes(DISK_REST_MS - 2000, 50, 1000, 1000));
    OK(goes(5000, 50, 1000, 1000));
    OK(now_ms - begun_ms >= DISK_REST_MS - 1000);
}

static void a_cluster_gets_a_leader_with_a_quick_disk_and_keeps_it(void)
{
    struct net *n = net_new(3, seed);

    n->propose_permille = 50;
    net_run(n, 1000);
    const uint32_t slow = net_leader(n);
    n->servers[slow - 1].disk_ms = 60;
    net_run(n, 5000);
    const uint32_t quick = net_leader(n);
    OK(quick != slow && quick != 0);
    const struct ballot ballot = paxos_ballot(net_paxos(n, quick));
    net_run(n, 20000);
    IS(net_leader(n), quick);
    IS(ballot_cmp(paxos_ballot(net_paxos(n, quick)), ballot), 0);
    IS(n->breaches, 0);
    net_free(n);
}

int main(void)
{
    rig_begin();
    TEST(a_server_knows_how_long_its_writes_take_and_tells);
    TEST(a_write_that_hangs_counts_as_long_as_it_hangs);
    TEST(a_leader_whose_disk_is_the_slowest_hands_over_to_the_fastest);
    TEST(a_leader_stays_whose_disk_is_quick_enough_or_no_worse_than_others);
    TEST(a_leader_that_was_slow_for_a_moment_stays);
    TEST(a_leader_hands_over_for_its_disk_once_a_minute_at_most);
    TEST(a_cluster_gets_a_leader_with_a_quick_disk_and_keeps_it);
    return rig_end();
}
