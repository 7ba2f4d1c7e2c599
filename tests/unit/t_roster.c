/* t_roster.c -- the roster: its bytes, its cell, and what each action makes of it. */
#include "core/base/errors.h"
#include "core/machine/roster.h"
#include "tests/lib/tap.h"

static struct roster m;
static uint32_t id;

/* Voters 1 to 3 at a:1, a:2, a:3, with incarnations 11, 12, 13. */
static void begin(void)
{
    m = (struct roster){ .number = 1 };
    for (uint32_t i = 1; i <= 3; i++) {
        struct member *one = &m.at[m.count++];

        *one = (struct member){ .id = i, .kind = MEMBER_VOTER, .incarnation = 10 + i };
        snprintf(one->peer, sizeof one->peer, "a:%u", i);
    }
}

static int join(const char *peer, uint64_t incarnation)
{
    return roster_change(&m,
                         &(struct member_ask){ .action = MEMBER_JOIN,
                                               .kind = MEMBER_JOINING,
                                               .incarnation = incarnation,
                                               .peer = bytes_str(peer) },
                         &id);
}

static int add(uint32_t at, const char *peer)
{
    return roster_change(&m,
                         &(struct member_ask){ .action = MEMBER_ADD,
                                               .id = at,
                                               .kind = MEMBER_LEARNER,
                                               .peer = bytes_str(peer) },
                         &id);
}

static int change(enum member_action action, uint32_t who, uint64_t incarnation)
{
    return roster_change(
        &m,
        &(struct member_ask){ .action = action, .id = who, .incarnation = incarnation }, &id);
}

static enum member_kind kind_of(uint32_t who)
{
    return roster_find(&m, who)->kind;
}

static void a_server_that_joins_gets_the_least_free_id_and_learns(void)
{
    begin();
    IS(change(MEMBER_REMOVE, 2, 0), 0);
    IS(join("a:9", 99), 0);
    IS(id, 2);
    IS(m.number, 3);
    IS(kind_of(2), MEMBER_JOINING);
    OK(roster_knows(&m, 2, 99));
    OK(!roster_knows(&m, 2, 12));
    IS(roster_sets(&m).voters, 5);
    IS(roster_sets(&m).learners, 2);
}

static void joining_again_answers_as_before(void)
{
    begin();
    IS(join("a:4", 14), 0);
    IS(join("a:4", 14), 0);
    IS(id, 4);
    IS(m.number, 2);
    IS(join("a:5", 14), ERR_MEMBER_EXISTS);
}

static void a_wiped_voter_that_joins_votes_no_more(void)
{
    begin();
    IS(join("a:3", 99), 0);
    IS(id, 3);
    IS(kind_of(3), MEMBER_JOINING);
    OK(roster_knows(&m, 3, 99));
    IS(roster_sets(&m).voters, 3);
    IS(m.number, 2);
}

static void a_kept_place_is_claimed_by_its_address(void)
{
    begin();
    IS(add(9, "a:4"), 0);
    IS(id, 9);
    IS(add(0, "a:4"), 0); /* asked again */
    IS(id, 9);
    IS(m.number, 2);
    IS(join("a:4", 14), 0);
    IS(id, 9);
    IS(kind_of(9), MEMBER_LEARNER);
    IS(add(0, "a:4"), ERR_MEMBER_EXISTS);
    IS(add(9, "a:7"), ERR_MEMBER_EXISTS);
}

static void a_learner_is_asked_to_join_and_seated_by_its_incarnation(void)
{
    begin();
    IS(join("a:4", 14), 0);
    IS(change(MEMBER_DEMOTE, 4, 0), 0);
    IS(kind_of(4), MEMBER_LEARNER);
    IS(change(MEMBER_SEAT, 4, 14), ERR_NO_MEMBER); /* nobody wants it to vote */
    IS(change(MEMBER_PROMOTE, 4, 0), 0);
    IS(change(MEMBER_SEAT, 4, 77), ERR_NO_MEMBER);
    IS(kind_of(4), MEMBER_JOINING);
    IS(change(MEMBER_SEAT, 4, 14), 0);
    IS(kind_of(4), MEMBER_VOTER);
    IS(m.number, 5);
    IS(change(MEMBER_SEAT, 4, 14), 0);
    IS(change(MEMBER_PROMOTE, 4, 0), 0);
    IS(m.number, 5);
}

static void an_empty_place_is_never_seated(void)
{
    begin();
    IS(add(4, "a:4"), 0);
    IS(change(MEMBER_PROMOTE, 4, 0), 0);
    IS(change(MEMBER_SEAT, 4, 0), ERR_NO_MEMBER);
}

static void the_last_voter_stays(void)
{
    begin();
    IS(change(MEMBER_REMOVE, 1, 0), 0);
    IS(change(MEMBER_DEMOTE, 2, 0), 0);
    IS(change(MEMBER_REMOVE, 3, 0), ERR_LAST_VOTER);
    IS(change(MEMBER_DEMOTE, 3, 0), ERR_LAST_VOTER);
    IS(join("a:3", 99), ERR_LAST_VOTER);
    IS(kind_of(3), MEMBER_VOTER);
    IS(m.number, 3);
}

static void who_is_not_there_is_no_member(void)
{
    begin();
    IS(change(MEMBER_REMOVE, 7, 0), ERR_NO_MEMBER);
    IS(change(MEMBER_REMOVE, 3, 99), ERR_NO_MEMBER);
    IS(change(MEMBER_REMOVE, 3, 13), 0);
    IS(change(MEMBER_REMOVE, 3, 13), ERR_NO_MEMBER);
}

static void a_full_cluster_takes_nobody_more(void)
{
    char peer[16];

    begin();
    for (uint32_t i = 4; i <= NODES_MAX; i++) {
        snprintf(peer, sizeof peer, "a:%u", i);
        IS(add(0, peer), 0);
        IS(id, i);
    }
    IS(add(0, "b:1"), ERR_MEMBERS_FULL);
    IS(join("b:1", 77), ERR_MEMBERS_FULL);
}

static void nonsense_is_refused(void)
{
    begin();
    IS(join("", 14), ERR_BAD_PARAMS);
    IS(join("a:4", 0), ERR_BAD_PARAMS);
    IS(join("a 4", 14), ERR_BAD_PARAMS);
    IS(m.number, 1);
    IS(m.count, 3);
}

static void bytes_come_back_and_a_cut_or_unsound_roster_is_refused(void)
{
    struct buf bytes = { 0 };
    struct roster got;

    begin();
    IS(join("a:4", 14), 0);
    roster_encode(&bytes, &m);
    IS(roster_decode(buf_bytes(&bytes), &got), 0);
    OK(memcmp(&got, &m, sizeof m) == 0);
    for (size_t len = 0; len < bytes.len; len++) {
        OK(roster_decode(bytes_of(bytes.ptr, len), &got) != 0);
    }
    m.at[1].incarnation = m.at[0].incarnation;
    buf_clear(&bytes);
    roster_encode(&bytes, &m);
    IS(roster_decode(buf_bytes(&bytes), &got), ERR_BAD_MESSAGE);
    buf_fini(&bytes);
}

static void what_is_put_is_what_an_op_applies(void)
{
    struct kv_overlay state;
    struct roster got;
    struct tx tx;
    struct op op;
    struct reader ops;

    begin();
    kv_overlay_init(&state, NULL, 1);
    tx_init(&tx, &state.view, 1);
    IS(roster_read(&state.view, &got), 0);
    IS(got.number, 0);
    roster_put(&tx, &m);
    IS(roster_read(&tx.over.view, &got), 0);
    IS(got.number, 1);
    ops = reader_of(buf_bytes(&tx.ops));
    IS(op_decode(&ops, &op), 0);
    IS(op.kind, OP_MEMBERS);
    roster_apply(&state, 1, op.data);
    IS(roster_read(&state.view, &got), 0);
    OK(memcmp(&got, &m, sizeof m) == 0);
    tx_fini(&tx);
    kv_overlay_fini(&state);
}

int main(void)
{
    TEST(a_server_that_joins_gets_the_least_free_id_and_learns);
    TEST(joining_again_answers_as_before);
    TEST(a_wiped_voter_that_joins_votes_no_more);
    TEST(a_kept_place_is_claimed_by_its_address);
    TEST(a_learner_is_asked_to_join_and_seated_by_its_incarnation);
    TEST(an_empty_place_is_never_seated);
    TEST(the_last_voter_stays);
    TEST(who_is_not_there_is_no_member);
    TEST(a_full_cluster_takes_nobody_more);
    TEST(nonsense_is_refused);
    TEST(bytes_come_back_and_a_cut_or_unsound_roster_is_refused);
    TEST(what_is_put_is_what_an_op_applies);
    return tap_done();
}
