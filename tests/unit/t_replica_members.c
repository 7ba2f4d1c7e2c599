/* t_replica_members.c -- who belongs, and changes of that, while requests go on.
 *
 * Method: the rig of tests/lib/replica_rig.h. Server 1 leads at first. A "mark" is a numbered
 * node, so a request that took effect twice shows in their count. */
#include "core/base/check.h"
#include "core/base/errors.h"
#include "core/paxos/nodes.h"
#include "tests/lib/replica_rig.h"
#include "tests/lib/tap.h"

static struct trio *t;

enum { ACCEPT = TRIO_PAXOS + PAXOS_ACCEPT,
       ACCEPTED = TRIO_PAXOS + PAXOS_ACCEPTED,
       PROMISE = TRIO_PAXOS + PAXOS_PROMISE };

static void begin(uint32_t nodes, uint32_t founders)
{
    t = trio_found(nodes, founders);
    trio_lead(t, 1);
}

static void end(void)
{
    for (uint32_t id = 1; id <= t->nodes_count; id++) {
        struct replica *r = trio_replica(t, id);

        if (r != NULL) machine_check(replica_machine(r));
    }
    trio_free(t);
}

static int code(uint64_t tag)
{
    return t->answers[tag].code != 0 ? t->answers[tag].code : t->answers[tag].result.code;
}

static const struct roster *roster_at(uint32_t id)
{
    return replica_roster(trio_replica(t, id));
}

static struct members sets_at(uint32_t id)
{
    return roster_sets(roster_at(id));
}

static uint32_t leader(void)
{
    for (uint32_t id = 1; id <= t->nodes_count; id++) {
        if (trio_replica(t, id) != NULL && trio_status(t, id).serving) return id;
    }
    return 0;
}

/* Time passes until this is answered, or nearly for ever. */
static int answer(uint64_t tag)
{
    for (int i = 0; i < 500 && t->answers[tag].count == 0; i++) trio_pass(t, TICK_MS);
    return code(tag);
}

static void join(uint32_t at, uint32_t who)
{
    uint64_t tag = trio_member(t, at, MEMBER_JOIN, who);

    IS(answer(tag), 0);
    IS(t->answers[tag].id, who);
    CHECK(trio_restart(t, who));
}

static void votes_soon(uint32_t who)
{
    for (int i = 0; i < 500 && !nodes_has(sets_at(leader()).voters, who); i++) {
        trio_pass(t, TICK_MS);
        if (leader() == 0) trio_pass(t, ELECTION_MAX_MS);
    }
    OK(nodes_has(sets_at(leader()).voters, who));
    trio_pass(t, 2 * HEARTBEAT_MS);
}

static void the_first_reign_states_who_founded_the_cluster(void)
{
    struct roster roster;

    begin(3, 3);
    for (uint32_t id = 1; id <= 3; id++) {
        IS(machine_roster(replica_machine(trio_replica(t, id)), &roster), 0);
        IS(roster.number, 1);
        IS(roster.count, 3);
        IS(t->nodes[id - 1].rosters, 1);
    }
    trio_crash(t, 1);
    trio_lead(t, 2);
    IS(roster_at(2)->number, 1);
    IS(t->nodes[1].rosters, 1); /* later reigns state it no more */
    end();
}

static void a_server_that_joins_learns_everything_and_then_votes(void)
{
    begin(4, 3);
    trio_mark(t, 1);
    trio_settle(t);
    join(2, 4);
    IS(sets_at(1).learners, node_bit(4));
    votes_soon(4);
    IS(trio_marks(t, 4), 1);
    IS(trio_status(t, 4).applied, trio_status(t, 1).applied);
    OK(trio_status(t, 4).digest == trio_status(t, 1).digest);
    IS(roster_at(4)->number, 3);
    IS(paxos_members(trio_replica(t, 4)->paxos)->voters, 15);
    end();
}

static void a_lone_server_grows_to_three(void)
{
    begin(3, 1);
    join(1, 2);
    votes_soon(2);
    join(2, 3);
    votes_soon(3);
    IS(sets_at(3).voters, 7);
    trio_crash(t, 1);
    trio_lead(t, 3);
    IS(answer(trio_mark(t, 2)), 0);
    end();
}

static void nothing_fails_or_happens_twice_through_a_change(void)
{
    uint64_t tags[40];

    begin(4, 3);
    for (uint32_t i = 0; i < 40; i++) {
        if (i == 10) trio_member(t, 3, MEMBER_JOIN, 4);
        tags[i] = trio_mark(t, 1 + i % 3);
        if (i % 4 == 0) trio_turn(t, 1);
    }
    for (uint32_t i = 0; i < 40; i++) IS(answer(tags[i]), 0);
    IS(roster_at(1)->number, 2);
    IS(trio_marks(t, 1), 40);
    end();
}

static void a_change_waits_for_what_is_under_way_and_goes_alone(void)
{
    uint64_t write, member, late;

    begin(4, 3);
    t->hold[ACCEPTED] = node_bit(2) | node_bit(3);
    write = trio_mark(t, 1);
    trio_settle(t);
    member = trio_member(t, 1, MEMBER_JOIN, 4);
    late = trio_mark(t, 1);
    trio_settle(t);
    OK(trio_status(t, 1).changing);
    IS(paxos_slot_next(trio_replica(t, 1)->paxos), trio_status(t, 1).chosen + 2);
    t->hold[ACCEPTED] = 0;
    trio_settle(t);
    IS(code(write), 0);
    IS(code(member), 0);
    IS(answer(late), 0);
    OK(!trio_status(t, 1).changing);
    end();
}

static void changes_that_are_asked_together_go_one_by_one(void)
{
    uint64_t tags[3];

    begin(5, 3);
    tags[0] = trio_member(t, 1, MEMBER_JOIN, 4);
    tags[1] = trio_member(t, 2, MEMBER_JOIN, 5);
    tags[2] = trio_member(t, 1, MEMBER_REMOVE, 3);
    for (int i = 0; i < 3; i++) IS(answer(tags[i]), 0);
    IS(roster_at(1)->number, 4);
    IS(sets_at(1).voters, 3);
    IS(nodes_count(sets_at(1).learners), 2);
    end();
}

static void a_leader_that_is_removed_hands_over_and_stops(void)
{
    uint64_t tag, write;

    begin(3, 3);
    tag = trio_member(t, 1, MEMBER_REMOVE, 1);
    write = trio_mark(t, 2);
    IS(answer(write), 0);
    trio_pass(t, 200);
    OK(t->nodes[0].removed);
    OK(leader() > 1);
    IS(sets_at(leader()).voters, 6);
    IS(trio_marks(t, leader()), 1);
    (void)tag; /* it was asked at a server that is gone */
    end();
}

static void a_leader_that_is_demoted_goes_on_as_a_learner(void)
{
    begin(3, 3);
    IS(answer(trio_member(t, 1, MEMBER_DEMOTE, 1)), 0);
    OK(leader() > 1);
    IS(sets_at(1).learners, 1);
    IS(answer(trio_mark(t, 1)), 0);
    trio_read(t, 1, 0);
    IS(answer(t->tag), 0);
    end();
}

static void a_removed_follower_hears_it_and_stops(void)
{
    begin(3, 3);
    IS(answer(trio_member(t, 1, MEMBER_REMOVE, 3)), 0);
    trio_pass(t, HEARTBEAT_MS);
    OK(t->nodes[2].removed);
    OK(trio_status(t, 3).removed);
    trio_mark(t, 3);
    IS(t->code, ERR_NO_QUORUM);
    end();
}

static void a_learner_for_good_is_not_seated_unless_it_is_asked_for(void)
{
    begin(4, 3);
    join(1, 4);
    IS(answer(trio_member(t, 1, MEMBER_DEMOTE, 4)), 0);
    trio_pass(t, 2000);
    IS(sets_at(1).voters, 7);
    IS(answer(trio_member(t, 1, MEMBER_PROMOTE, 4)), 0);
    votes_soon(4);
    end();
}

static void who_does_not_keep_up_is_not_seated(void)
{
    begin(4, 3);
    join(1, 4);
    t->cut = node_bit(4);
    trio_pass(t, 2000);
    IS(sets_at(1).voters, 7);
    t->cut = 0;
    votes_soon(4);
    end();
}

static void a_change_that_leaves_no_living_majority_is_refused(void)
{
    begin(3, 3);
    trio_crash(t, 3);
    trio_pass(t, 2 * ELECTION_MAX_MS);
    IS(answer(trio_member(t, 1, MEMBER_REMOVE, 2)), ERR_UNSAFE_CHANGE);
    IS(answer(trio_member(t, 1, MEMBER_REMOVE, 3)), 0); /* who is gone may go */
    IS(sets_at(1).voters, 3);
    end();
}

static void refusals_cost_no_reign(void)
{
    struct ballot before;

    begin(3, 3);
    before = trio_status(t, 1).ballot;
    IS(answer(trio_member(t, 1, MEMBER_REMOVE, 5)), ERR_NO_MEMBER);
    IS(answer(trio_member(t, 2, MEMBER_JOIN, 3)), 0); /* it is one already */
    IS(answer(trio_member(t, 2, MEMBER_PROMOTE, 3)), 0);
    IS(ballot_cmp(trio_status(t, 1).ballot, before), 0);
    IS(roster_at(1)->number, 1);
    end();
}

/* The counter-example of README.md: 1 and 3 chose a mark that 2 never saw. 3 loses its
 * memory. Could 3 vote at once, 2 and 3 would elect 2, who knows nothing of the mark. */
static void a_server_without_its_memory_does_not_vote_for_its_predecessor(void)
{
    uint64_t tag;

    begin(3, 3);
    t->cut = node_bit(2);
    tag = trio_mark(t, 1);
    trio_settle(t);
    IS(code(tag), 0);
    trio_crash(t, 1);
    trio_wipe(t, 3);
    t->nodes[2].joins = false; /* started as at the first time: it believes that it votes */
    CHECK(trio_restart(t, 3));
    t->cut = 0;
    t->hold[TRIO_PAXOS + PAXOS_LEARN] = node_bit(2); /* and does not learn better */
    for (int i = 0; i < 200; i++) {
        trio_tick(t, 2, TICK_MS);
        trio_settle(t);
    }
    IS(leader(), 0);
    t->hold[TRIO_PAXOS + PAXOS_LEARN] = 0;
    CHECK(trio_restart(t, 1));
    trio_lead(t, 1);
    IS(trio_marks(t, 2), 1);
    end();
}

static void a_wiped_voter_joins_again_as_a_learner_and_is_seated(void)
{
    begin(3, 3);
    trio_mark(t, 3);
    trio_settle(t);
    trio_wipe(t, 3);
    trio_pass(t, HEARTBEAT_MS);
    join(2, 3);
    IS(sets_at(1).voters, 3);
    votes_soon(3);
    IS(trio_marks(t, 3), 1);
    IS(answer(trio_mark(t, 3)), 0);
    end();
}

/* The same, with the log gone that it would learn from. */
static void a_server_may_join_by_a_snapshot(void)
{
    begin(4, 3);
    for (int i = 0; i < 20; i++) IS(answer(trio_mark(t, 1)), 0);
    join(1, 4);
    trio_crash(t, 4);
    for (uint32_t id = 1; id <= 3; id++) t->nodes[id - 1].trimmed = trio_status(t, 1).chosen;
    CHECK(trio_restart(t, 4));
    votes_soon(4);
    IS(trio_marks(t, 4), 20);
    end();
}

static void what_a_stranger_forwards_is_not_taken(void)
{
    begin(4, 3);
    CHECK(trio_restart(t, 4)); /* nobody added it */
    trio_pass(t, HEARTBEAT_MS);
    trio_mark(t, 4);
    trio_pass(t, 2 * RESEND_MS);
    IS(trio_marks(t, 1), 0);
    end();
}

static void a_restart_in_the_middle_of_joining_goes_on(void)
{
    begin(4, 3);
    join(1, 4);
    trio_pass(t, TICK_MS);
    trio_crash(t, 4);
    trio_crash(t, 1);
    trio_lead(t, 2);
    CHECK(trio_restart(t, 4));
    CHECK(trio_restart(t, 1));
    votes_soon(4);
    end();
}

/* 1 founded the cluster alone, and a log that it reads as somebody new says so. */
static void who_joins_is_not_who_had_its_id_before(void)
{
    const unsigned learn = TRIO_PAXOS + PAXOS_LEARN;

    begin(2, 1);
    IS(answer(trio_mark(t, 1)), 0);
    join(1, 2);
    votes_soon(2);
    trio_member(t, 2, MEMBER_REMOVE, 1);
    trio_pass(t, 1000);
    OK(t->nodes[0].removed);
    trio_wipe(t, 1);
    t->hold[learn] = node_bit(2);
    join(2, 1);
    for (int i = 0; i < 100 && roster_at(1)->number == 0; i++) {
        trio_pass(t, TICK_MS);
        (void)trio_deliver(t, 2, 1, learn);
    }
    IS(sets_at(1).voters, node_bit(1));
    for (int i = 0; i < 100; i++) trio_tick(t, 1, TICK_MS);
    IS(trio_status(t, 1).role, PAXOS_FOLLOWER);
    t->hold[learn] = 0;
    votes_soon(1);
    IS(trio_marks(t, 1), 1);
    end();
}

/* Both count their requests from the start, so they use the same tags for them. */
static void a_predecessors_batch_answers_no_request(void)
{
    const unsigned learn = TRIO_PAXOS + PAXOS_LEARN;
    uint64_t tag;

    begin(3, 3);
    for (int i = 0; i < 3; i++) IS(answer(trio_mark(t, 3)), 0);
    trio_wipe(t, 3);
    t->hold[learn] = node_bit(1) | node_bit(2);
    join(1, 3);
    tag = trio_mark(t, 3);
    IS(t->code, 0);
    for (int i = 0; i < 100 && trio_marks(t, 3) < 3; i++) {
        if (!trio_deliver(t, 0, 3, learn)) trio_pass(t, TICK_MS);
    }
    IS(trio_marks(t, 3), 3);
    IS(t->answers[tag].count, 0);
    t->hold[learn] = 0;
    IS(answer(tag), 0);
    IS(trio_marks(t, 3), 4);
    end();
}

int main(void)
{
    TEST(the_first_reign_states_who_founded_the_cluster);
    TEST(a_server_that_joins_learns_everything_and_then_votes);
    TEST(a_lone_server_grows_to_three);
    TEST(nothing_fails_or_happens_twice_through_a_change);
    TEST(a_change_waits_for_what_is_under_way_and_goes_alone);
    TEST(changes_that_are_asked_together_go_one_by_one);
    TEST(a_leader_that_is_removed_hands_over_and_stops);
    TEST(a_leader_that_is_demoted_goes_on_as_a_learner);
    TEST(a_removed_follower_hears_it_and_stops);
    TEST(a_learner_for_good_is_not_seated_unless_it_is_asked_for);
    TEST(who_does_not_keep_up_is_not_seated);
    TEST(a_change_that_leaves_no_living_majority_is_refused);
    TEST(refusals_cost_no_reign);
    TEST(a_server_without_its_memory_does_not_vote_for_its_predecessor);
    TEST(a_wiped_voter_joins_again_as_a_learner_and_is_seated);
    TEST(a_server_may_join_by_a_snapshot);
    TEST(what_a_stranger_forwards_is_not_taken);
    TEST(a_restart_in_the_middle_of_joining_goes_on);
    TEST(who_joins_is_not_who_had_its_id_before);
    TEST(a_predecessors_batch_answers_no_request);
    return tap_done();
}
