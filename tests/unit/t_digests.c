/* t_digests.c -- a replica whose state differs from that of a majority stops, whoever
 * leads.
 *
 * Method: the rig of tests/lib/replica_rig.h. A state is made to differ by changing its
 * digest in memory, which then stays wrong, as that of a state with one wrong cell does. */
#include "core/base/errors.h"
#include "tests/lib/replica_rig.h"
#include "tests/lib/tap.h"

static struct trio *t;

static void begin(uint32_t nodes)
{
    t = trio_new(nodes);
    trio_lead(t, 1);
    trio_mark(t, 1);
    trio_settle(t);
}

static void make_differ(uint32_t id, uint64_t by)
{
    struct machine *m = replica_machine(trio_replica(t, id));

    m->applied->digest ^= by;
    m->digests[m->run.slot % MACHINE_DIGESTS] ^= by;
}

/* A batch that names the digest after the one before it. */
static uint64_t two_writes(uint32_t id)
{
    trio_mark(t, id);
    trio_settle(t);
    uint64_t tag = trio_mark(t, id);
    trio_settle(t);
    return tag;
}

static void stops(int first, int second, int third)
{
    IS(t->nodes[0].stops, first);
    IS(t->nodes[1].stops, second);
    IS(t->nodes[2].stops, third);
}

static void who_agree_never_ask(void)
{
    begin(3);
    for (int i = 0; i < 5; i++)
        two_writes(1);
    trio_pass(t, 3000);
    IS(t->sent[FRAME_DIGEST], 0);
    stops(0, 0, 0);
    trio_free(t);
}

static void a_follower_that_differs_stops_and_the_others_go_on(void)
{
    begin(3);
    make_differ(2, 1);
    uint64_t tag = two_writes(1);
    stops(0, 1, 0);
    IS(t->answers[tag].count, 1);
    trio_pass(t, 3000);
    stops(0, 1, 0);
    IS(t->answers[two_writes(1)].count, 1);
    trio_free(t);
}

static void a_leader_that_differs_stops_and_the_others_go_on(void)
{
    begin(3);
    make_differ(1, 1);
    two_writes(1);
    stops(1, 0, 0);
    trio_lead(t, 2);
    IS(t->answers[two_writes(2)].count, 1);
    trio_pass(t, 3000);
    stops(1, 0, 0);
    OK(trio_status(t, 2).digest == trio_status(t, 3).digest);
    trio_free(t);
}

/* Their log names the digests of a leader that was wrong. */
static void who_was_right_starts_again_behind_a_leader_that_was_wrong(void)
{
    begin(3);
    make_differ(1, 1);
    two_writes(1);
    stops(1, 0, 0);
    for (uint32_t id = 2; id <= 3; id++) {
        trio_crash(t, id);
        OK(trio_restart(t, id));
    }
    trio_lead(t, 2);
    IS(t->answers[two_writes(2)].count, 1);
    trio_pass(t, 3000);
    stops(1, 0, 0);
    trio_free(t);
}

static void when_none_agree_all_stop(void)
{
    begin(3);
    make_differ(2, 1);
    make_differ(3, 2);
    two_writes(1);
    stops(1, 1, 1);
    trio_free(t);
}

static void of_two_that_differ_none_goes_on(void)
{
    begin(2);
    make_differ(2, 1);
    two_writes(1);
    stops(1, 1, 0);
    trio_free(t);
}

/* Two that differ and a third that is away: nobody can tell, and the leader's word counts
 * until it is back. */
static void who_differs_from_its_leader_stops_when_no_majority_can_be_asked(void)
{
    begin(3);
    t->cut = node_bit(3);
    make_differ(2, 1);
    two_writes(1);
    stops(0, 0, 0);
    trio_pass(t, 1000);
    stops(0, 0, 0);
    trio_pass(t, 2000);
    stops(0, 1, 0);
    trio_free(t);
}

static void a_judge_that_comes_late_is_asked_again(void)
{
    begin(3);
    t->cut = node_bit(3);
    make_differ(1, 1);
    two_writes(1);
    stops(0, 0, 0);
    t->cut = 0;
    trio_pass(t, 1500);
    stops(1, 0, 0);
    trio_free(t);
}

/* It knows its digest at that slot, which is all that is asked for. */
static void a_judge_answers_without_having_met_the_batch(void)
{
    begin(3);
    make_differ(1, 1);
    trio_mark(t, 1);
    trio_settle(t);
    trio_tick(t, 1, HEARTBEAT_MS);
    trio_settle(t);
    IS(trio_status(t, 3).applied, trio_status(t, 1).applied);
    t->cut = node_bit(3);
    trio_mark(t, 1);
    trio_settle(t);
    for (unsigned kind = TRIO_PAXOS; kind < TRIO_KINDS; kind++) t->hold[kind] = node_bit(1);
    t->cut = 0;
    trio_pass(t, 150);
    stops(1, 0, 0);
    trio_free(t);
}

/* Every batch differs by then; the case stays long enough for the answers to come. */
static void many_batches_in_flight_hide_nothing(void)
{
    begin(3);
    make_differ(1, 1);
    t->hold[FRAME_DIGEST] = 7;
    for (int i = 0; i < 30; i++)
        two_writes(1);
    stops(0, 0, 0);
    t->hold[FRAME_DIGEST] = 0;
    trio_settle(t);
    stops(1, 0, 0);
    trio_free(t);
}

int main(void)
{
    TEST(who_agree_never_ask);
    TEST(a_follower_that_differs_stops_and_the_others_go_on);
    TEST(a_leader_that_differs_stops_and_the_others_go_on);
    TEST(who_was_right_starts_again_behind_a_leader_that_was_wrong);
    TEST(when_none_agree_all_stop);
    TEST(of_two_that_differ_none_goes_on);
    TEST(who_differs_from_its_leader_stops_when_no_majority_can_be_asked);
    TEST(a_judge_that_comes_late_is_asked_again);
    TEST(a_judge_answers_without_having_met_the_batch);
    TEST(many_batches_in_flight_hide_nothing);
    return tap_done();
}
