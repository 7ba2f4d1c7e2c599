/* t_fair.c -- a queue in flows that take turns, one rule a test; then a seeded storm against a
 * plain list. Replay it with:  SEED=<n> ./t_fair */
#include <stdlib.h>

#include "core/base/check.h"
#include "core/base/rng.h"
#include "core/replica/fair.h"
#include "tests/lib/tap.h"

enum { ITEMS = 400 };

static struct fair f;
static struct thing {
    struct fair_item item;
    uint32_t origin;
    uint64_t flow, number; /* when it was pushed; 0: it is not in the queue */
} things[ITEMS];
static uint64_t pushed;

static void push(int i, uint32_t origin, uint64_t flow)
{
    things[i].origin = origin;
    things[i].flow = flow;
    things[i].number = ++pushed;
    fair_push(&f, origin, flow, &things[i].item);
}

static int first(void)
{
    struct fair_item *item = fair_first(&f);

    return item == NULL ? -1 : (int)(CONTAINER_OF(item, struct thing, item) - things);
}

static int take_at(uint64_t cost)
{
    int i = first();

    CHECK(i >= 0);
    fair_end(&f, cost);
    things[i].number = 0;
    return i;
}

static int take(void) /* a dear one */
{
    return take_at(FAIR_TURN);
}

static void within_a_flow_the_order_is_kept(void)
{
    for (int i = 0; i < 5; i++) push(i, 1, 7);
    for (int i = 0; i < 5; i++) IS(take(), i);
    IS(first(), -1);
}

static void flows_take_turns(void)
{
    for (int i = 0; i < 10; i++) push(i, 1, 7);
    push(20, 1, 8);
    push(21, 2, 7); /* another origin's is another flow */
    push(22, 1, 8);
    IS(take(), 0);
    IS(take(), 20);
    IS(take(), 21);
    IS(take(), 1);
    IS(take(), 22);
    for (int i = 2; i < 10; i++) IS(take(), i);
    IS(f.count, 0);
}

static void a_turn_is_some_cheap_things(void)
{
    for (int i = 0; i < FAIR_TURN + 5; i++) push(i, 1, 7);
    push(100, 1, 8);
    for (int i = 0; i < FAIR_TURN; i++) IS(take_at(1), i);
    IS(take_at(1), 100);
    for (int i = FAIR_TURN; i < FAIR_TURN + 5; i++) IS(take_at(1), i);
    push(1, 1, 1); /* a turn that was not used up is nobody's */
    push(2, 1, 2);
    push(3, 1, 2);
    IS(take_at(FAIR_TURN - 1), 1);
    IS(take_at(FAIR_TURN - 1), 2);
    IS(take_at(1), 3);
}

static void whose_turn_it_is_stays_so_until_it_is_removed(void)
{
    push(1, 1, 1);
    push(2, 1, 2);
    for (int i = 10; i < 30; i++) {
        push(i, 1, (uint64_t)i);
        IS(first(), 1);
    }
    IS(take(), 1);
    IS(take(), 2);
    while (first() >= 0) (void)take();
}

static void what_is_removed_is_never_met(void)
{
    for (int i = 0; i < 6; i++) push(i, 1, (uint64_t)i % 2);
    for (int i = 0; i < 6; i += 2) {
        fair_remove(&f, &things[i].item);
        OK(!fair_holds(&things[i].item));
        things[i].number = 0;
    }
    for (int i = 1; i < 6; i += 2) IS(take(), i);
}

/* Nobody waits for more than one thing of each other flow. */
static void in_a_storm_each_flow_keeps_its_order_and_nothing_is_lost(void)
{
    const char *env = getenv("SEED");
    uint64_t seed = env ? strtoull(env, NULL, 10) : 20261124, newest[4][8] = { 0 };
    struct rng rng;

    printf("# SEED=%llu\n", (unsigned long long)seed);
    rng_init(&rng, seed);
    for (int step = 0; step < 100000; step++) {
        int i = (int)rng_below(&rng, ITEMS);
        if (things[i].number == 0) {
            push(i, (uint32_t)rng_below(&rng, 4), rng_below(&rng, 8));
        } else if (rng_below(&rng, 3) == 0) {
            fair_remove(&f, &things[i].item);
            things[i].number = 0;
        } else {
            i = first();
            uint64_t *last = &newest[things[i].origin][things[i].flow];
            CHECK(things[i].number > *last);
            *last = things[i].number;
            (void)take();
        }
    }
    size_t left = 0;
    for (int i = 0; i < ITEMS; i++) left += things[i].number != 0;
    IS(f.count, left);
    while (first() >= 0) (void)take();
    IS(f.count, 0);
}

int main(void)
{
    fair_init(&f);
    TEST(within_a_flow_the_order_is_kept);
    TEST(flows_take_turns);
    TEST(a_turn_is_some_cheap_things);
    TEST(whose_turn_it_is_stays_so_until_it_is_removed);
    TEST(what_is_removed_is_never_met);
    TEST(in_a_storm_each_flow_keeps_its_order_and_nothing_is_lost);
    fair_fini(&f);
    return tap_done();
}
