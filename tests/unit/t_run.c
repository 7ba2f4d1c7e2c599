/* t_run.c -- which chosen batches count, one rule a test.
 *
 * Method: short logs, given to the rule slot by slot. */
#include "core/paxos/run.h"
#include "tests/lib/tap.h"

static struct run r;
static struct blob *batch;

static bool own(uint64_t round, uint32_t node, uint64_t reign_first)
{
    return run_step(&r, &(struct proposal){ .reign = { round, node },
                                              .reign_first = reign_first,
                                              .batch = batch });
}

static bool noop(void)
{
    return run_step(&r, &(struct proposal){ 0 });
}

static void fresh(void)
{
    r = (struct run){ 0 };
}

static void the_first_slot_of_a_reign_counts(void)
{
    fresh();
    OK(own(1, 1, 1));
    OK(own(2, 2, 2));
    IS(r.slot, 2);
}

static void an_unbroken_run_of_one_reign_counts(void)
{
    fresh();
    for (int i = 0; i < 5; i++)
        OK(own(3, 1, 1));
}

static void a_noop_counts_for_nothing_and_breaks_the_run(void)
{
    fresh();
    OK(own(1, 1, 1));
    OK(!noop());
    OK(!own(1, 1, 1));
    OK(!own(1, 1, 1));
}

static void another_reign_breaks_the_run(void)
{
    fresh();
    OK(own(1, 1, 1));
    OK(own(2, 2, 2));
    OK(!own(1, 1, 1));
    OK(!own(2, 2, 2));
}

static void a_run_whose_start_was_not_chosen_never_counts(void)
{
    fresh();
    OK(own(2, 1, 1));
    OK(own(2, 1, 1));
    OK(!own(3, 2, 2));
    OK(!own(3, 2, 2));
}

static void nodes_tell_two_reigns_of_one_round_apart(void)
{
    fresh();
    OK(own(4, 1, 1));
    OK(!own(4, 2, 1));
}

static void a_new_reign_counts_after_a_broken_one(void)
{
    fresh();
    OK(own(1, 1, 1));
    OK(!noop());
    OK(!own(1, 1, 1));
    OK(own(5, 3, 4));
    OK(own(5, 3, 4));
}

int main(void)
{
    batch = blob_new(bytes_of("x", 1));
    TEST(the_first_slot_of_a_reign_counts);
    TEST(an_unbroken_run_of_one_reign_counts);
    TEST(a_noop_counts_for_nothing_and_breaks_the_run);
    TEST(another_reign_breaks_the_run);
    TEST(a_run_whose_start_was_not_chosen_never_counts);
    TEST(nodes_tell_two_reigns_of_one_round_apart);
    TEST(a_new_reign_counts_after_a_broken_one);
    blob_unref(batch);
    return tap_done();
}
