/* t_share.c -- what one connection may take of what all share, one rule a test. */
#include "core/server/share.h"
#include "tests/lib/tap.h"

static struct shares all;
static struct share greedy, modest;

static void fresh(void)
{
    all = (struct shares){ 0 };
    greedy = modest = (struct share){ 0 };
    shares_next_turn(&all);
}

static void spend_slice(struct share *s)
{
    while (!share_is_over(&all, s)) share_spend(&all, s, 0);
}

static void a_slice_ends_and_leaves_the_turn_to_others(void)
{
    fresh();
    spend_slice(&greedy);
    OK(!share_is_over(&all, &modest));
    OK(!shares_are_over(&all, false));
    share_spend(&all, &modest, 0);
    OK(!share_is_over(&all, &modest));
    OK(share_is_over(&all, &greedy));
}

static void a_turn_ends_for_all(void)
{
    fresh();
    for (int i = 0; i < SHARE_TURN_COST / SHARE_SLICE_COST; i++) {
        OK(!shares_are_over(&all, false));
        greedy = (struct share){ 0 };
        spend_slice(&greedy);
    }
    OK(shares_are_over(&all, false));
    OK(!share_is_over(&all, &modest)); /* it has had nothing yet */
}

static void who_comes_last_has_half_of_the_turn(void)
{
    fresh();
    share_spend(&all, &greedy, (SHARE_TURN_COST / 2 - 1) * SHARE_UNIT_BYTES);
    OK(shares_are_over(&all, true));
    OK(!shares_are_over(&all, false));
}

static void the_next_turn_gives_everybody_a_slice_again(void)
{
    fresh();
    share_spend(&all, &greedy, SHARE_TURN_COST * SHARE_UNIT_BYTES);
    OK(share_is_over(&all, &greedy));
    shares_next_turn(&all);
    OK(!share_is_over(&all, &greedy));
    OK(!shares_are_over(&all, true));
}

static void a_long_answer_costs_more_than_a_short_one(void)
{
    fresh();
    share_spend(&all, &modest, 10);
    IS(modest.spent, 1);
    share_spend(&all, &greedy, 100 * SHARE_UNIT_BYTES);
    IS(greedy.spent, 101);
}

/* However many ask for all that they can get, one that comes finds something. */
static void those_who_ask_for_much_leave_room_for_one_that_comes(void)
{
    enum { MAX = 10000, MANY = 40 };
    uint64_t held[MANY] = { 0 }, used = 0;

    for (int round = 0; round < MAX; round++) {
        for (int i = 0; i < MANY; i++) {
            if (held[i] >= share_of(MAX, used, SHARE_JOBS_MIN)) continue;
            held[i]++;
            used++;
        }
    }
    OK(used < MAX);
    OK(share_of(MAX, used, SHARE_JOBS_MIN) >= SHARE_JOBS_MIN);
    for (int i = 1; i < MANY; i++) OK(held[i] + 1 >= held[0] && held[i] <= held[0] + 1);
    IS(share_of(MAX, MAX, 5), 5);
    IS(share_of(MAX, MAX + 100, 0), 0);
}

int main(void)
{
    TEST(a_slice_ends_and_leaves_the_turn_to_others);
    TEST(a_turn_ends_for_all);
    TEST(who_comes_last_has_half_of_the_turn);
    TEST(the_next_turn_gives_everybody_a_slice_again);
    TEST(a_long_answer_costs_more_than_a_short_one);
    TEST(those_who_ask_for_much_leave_room_for_one_that_comes);
    return tap_done();
}
