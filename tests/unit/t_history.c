/* t_history.c -- from a zxid to the slot that comes after it, against a plain list. */
#include <stdlib.h>

#include "core/base/rng.h"
#include "core/watch/history.h"
#include "tests/lib/tap.h"

static uint64_t find(const struct history *h, uint64_t since)
{
    uint64_t slot = 0;

    return history_find(h, since, &slot) ? slot : UINT64_MAX; /* UINT64_MAX: not kept */
}

static void nothing_is_known_before_the_first_transaction(void)
{
    struct history h;

    history_init(&h, 4);
    history_add(&h, 10, 0, 0);
    IS(find(&h, 0), -1);
    history_add(&h, 11, 0, 0);
    history_add(&h, 12, 100, 102);
    IS(find(&h, 98), -1);
    IS(find(&h, 99), 12);
    IS(find(&h, 101), 12);
    IS(find(&h, 102), 0); /* everything was seen */
    history_fini(&h);
}

static void a_slot_without_transactions_is_passed_over(void)
{
    struct history h;

    history_init(&h, 8);
    history_add(&h, 1, 1, 3);
    history_add(&h, 2, 0, 0);
    history_add(&h, 3, 4, 4);
    IS(find(&h, 3), 3);
    OK(history_counted(&h, 1));
    OK(!history_counted(&h, 2));
    OK(history_counted(&h, 3));
    history_fini(&h);
}

static void a_full_ring_forgets_the_oldest_slot_and_says_so(void)
{
    struct history h;

    history_init(&h, 3);
    for (uint64_t slot = 1; slot <= 5; slot++) {
        history_add(&h, slot, slot * 10 - 9, slot * 10);
    }
    IS(h.slot_first, 3);
    IS(find(&h, 19), -1);
    IS(find(&h, 20), 3);
    IS(find(&h, 39), 4);
    IS(find(&h, 40), 5);
    history_fini(&h);
}

static void any_zxid_is_found_as_in_a_plain_list(void)
{
    enum { SLOTS = 500, SIZE = 64 };
    uint64_t zxid = 0, after[SLOTS + 1] = { 0 };
    struct history h;
    struct rng rng;

    rng_init(&rng, 1);
    history_init(&h, SIZE);
    for (uint64_t slot = 1; slot <= SLOTS; slot++) {
        const uint64_t count = slot == 1 ? 1 : rng_below(&rng, 3);

        history_add(&h, slot, count == 0 ? 0 : zxid + 1, count == 0 ? 0 : zxid + count);
        after[slot] = zxid += count;
        const uint64_t oldest = after[slot < SIZE ? 0 : slot - SIZE];

        for (uint64_t since = oldest; since <= zxid; since++) {
            uint64_t want = 1;

            while (want <= slot && after[want] <= since) want++;
            if (find(&h, since) != (want > slot ? 0 : want)) {
                IS(find(&h, since), want);
            }
        }
    }
    OK(h.slot_last == SLOTS);
    history_fini(&h);
}

int main(void)
{
    TEST(nothing_is_known_before_the_first_transaction);
    TEST(a_slot_without_transactions_is_passed_over);
    TEST(a_full_ring_forgets_the_oldest_slot_and_says_so);
    TEST(any_zxid_is_found_as_in_a_plain_list);
    return tap_done();
}
