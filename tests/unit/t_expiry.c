/* t_expiry.c -- when a leader takes a session for ended, one rule a test.
 *
 * Method: hand-made times for each rule, then a seeded storm beside a plain array of
 * deadlines. Replay a failing storm with: SEED=<n> ./t_expiry */
#include <stdlib.h>

#include "core/base/rng.h"
#include "core/session/expiry.h"
#include "tests/lib/tap.h"

static uint64_t seed;
static struct expiry *e;

static void fresh(void)
{
    expiry_free(e);
    e = expiry_new();
}

static void a_session_is_due_when_its_timeout_has_passed(void)
{
    fresh();
    expiry_add(e, 1, 100, 1000);
    IS(expiry_take_due(e, 1099), 0);
    IS(expiry_take_due(e, 1100), 1);
    IS(expiry_take_due(e, 1100), 0);
    IS(expiry_count(e), 0);
}

static void what_is_due_comes_by_deadline_then_by_id(void)
{
    fresh();
    expiry_add(e, 4, 100, 1000);
    expiry_add(e, 3, 100, 1000);
    expiry_add(e, 9, 50, 1000);
    expiry_add(e, 2, 100, 1001);
    IS(expiry_take_due(e, 2000), 9);
    IS(expiry_take_due(e, 2000), 3);
    IS(expiry_take_due(e, 2000), 4);
    IS(expiry_take_due(e, 2000), 2);
    IS(expiry_take_due(e, 2000), 0);
}

static void a_renewal_gives_the_full_timeout_again(void)
{
    fresh();
    expiry_add(e, 1, 100, 1000);
    OK(expiry_renew(e, 1, 1050));
    IS(expiry_take_due(e, 1149), 0);
    IS(expiry_take_due(e, 1150), 1);
}

static void a_late_renewal_never_moves_a_deadline_back(void)
{
    fresh();
    expiry_add(e, 1, 100, 1000);
    OK(expiry_renew(e, 1, 900));
    IS(expiry_take_due(e, 1099), 0);
}

static void an_unknown_session_cannot_be_renewed(void)
{
    fresh();
    OK(!expiry_renew(e, 1, 0));
    expiry_add(e, 1, 100, 1000);
    IS(expiry_take_due(e, 1100), 1);
    OK(!expiry_renew(e, 1, 1100));
}

static void a_session_added_again_takes_its_new_timeout(void)
{
    fresh();
    expiry_add(e, 1, 100, 1000);
    expiry_add(e, 1, 500, 1000);
    IS(expiry_count(e), 1);
    IS(expiry_take_due(e, 1499), 0);
    IS(expiry_take_due(e, 1500), 1);
}

static void a_session_without_a_timeout_is_due_at_once_and_stays_so(void)
{
    fresh();
    expiry_add(e, 1, 0, 1000);
    OK(expiry_renew(e, 1, 1000));
    IS(expiry_take_due(e, 1000), 1);
}

static void a_removed_session_is_never_due(void)
{
    fresh();
    expiry_add(e, 1, 100, 1000);
    expiry_add(e, 2, 100, 1000);
    expiry_remove(e, 1);
    expiry_remove(e, 1);
    expiry_remove(e, 7);
    IS(expiry_count(e), 1);
    IS(expiry_take_due(e, 5000), 2);
    IS(expiry_take_due(e, 5000), 0);
}

static void a_stall_gives_the_lost_time_back_to_all(void)
{
    fresh();
    expiry_add(e, 1, 100, 1000);
    expiry_stalled(e, 300);
    expiry_add(e, 2, 100, 1350); /* after the stall: its own time only */
    IS(expiry_take_due(e, 1399), 0);
    IS(expiry_take_due(e, 1400), 1);
    IS(expiry_take_due(e, 1449), 0);
    IS(expiry_take_due(e, 1450), 2);
}

static void a_renewal_after_a_stall_counts_from_now(void)
{
    fresh();
    expiry_add(e, 1, 100, 1000);
    expiry_stalled(e, 300);
    OK(expiry_renew(e, 1, 1350));
    IS(expiry_take_due(e, 1449), 0);
    IS(expiry_take_due(e, 1450), 1);
}

static void a_cleared_leader_expires_nobody(void)
{
    fresh();
    expiry_add(e, 1, 100, 1000);
    expiry_stalled(e, 300);
    expiry_clear(e);
    IS(expiry_count(e), 0);
    IS(expiry_take_due(e, UINT32_MAX), 0);
    expiry_add(e, 1, 100, 1000); /* the next leadership starts afresh */
    IS(expiry_take_due(e, 1100), 1);
}

/* -- The storm ------------------------------------------------------------------------ */

enum { IDS = 200, STEPS = 50000 };

static struct rng rng;
static uint64_t now, deadlines[IDS + 1], timeouts[IDS + 1]; /* deadline 0 = none */

static uint64_t model_due(void)
{
    uint64_t due = 0;

    for (uint64_t id = 1; id <= IDS; id++) {
        if (deadlines[id] == 0 || deadlines[id] > now) continue;
        if (due == 0 || deadlines[id] < deadlines[due]) due = id;
    }
    return due;
}

static bool storm_renew(uint64_t id)
{
    bool known = deadlines[id] != 0;

    if (known && now + timeouts[id] > deadlines[id]) deadlines[id] = now + timeouts[id];
    return expiry_renew(e, id, now) == known;
}

static void storm_add(uint64_t id)
{
    timeouts[id] = 1 + rng_below(&rng, 500);
    if (now + timeouts[id] > deadlines[id]) deadlines[id] = now + timeouts[id];
    expiry_add(e, id, timeouts[id], now);
}

static void storm_stall(uint64_t lost)
{
    for (uint64_t id = 1; id <= IDS; id++) {
        if (deadlines[id] != 0) deadlines[id] += lost;
    }
    expiry_stalled(e, lost);
    now += lost;
}

static bool storm_step(void)
{
    uint64_t id = 1 + rng_below(&rng, IDS), dice = rng_below(&rng, 100), due;

    now += rng_below(&rng, 3);
    if (dice < 60) return storm_renew(id);
    if (dice < 80) {
        storm_add(id);
    } else if (dice < 85) {
        deadlines[id] = 0;
        expiry_remove(e, id);
    } else if (dice == 85) {
        storm_stall(rng_below(&rng, 400));
    } else {
        due = model_due();
        deadlines[due] = 0;
        return expiry_take_due(e, now) == due;
    }
    return true;
}

static void deadlines_agree_with_a_plain_array(void)
{
    long wrong = 0;

    fresh();
    rng_init(&rng, seed);
    now = 1000;
    for (int i = 0; i < STEPS; i++) {
        if (!storm_step()) wrong++;
    }
    IS(wrong, 0);
}

int main(void)
{
    const char *given = getenv("SEED");

    seed = given != NULL ? strtoull(given, NULL, 10) : 1;
    printf("# SEED=%" PRIu64 "\n", seed);
    TEST(a_session_is_due_when_its_timeout_has_passed);
    TEST(what_is_due_comes_by_deadline_then_by_id);
    TEST(a_renewal_gives_the_full_timeout_again);
    TEST(a_late_renewal_never_moves_a_deadline_back);
    TEST(an_unknown_session_cannot_be_renewed);
    TEST(a_session_added_again_takes_its_new_timeout);
    TEST(a_session_without_a_timeout_is_due_at_once_and_stays_so);
    TEST(a_removed_session_is_never_due);
    TEST(a_stall_gives_the_lost_time_back_to_all);
    TEST(a_renewal_after_a_stall_counts_from_now);
    TEST(a_cleared_leader_expires_nobody);
    TEST(deadlines_agree_with_a_plain_array);
    expiry_free(e);
    return tap_done();
}
