/* t_resolver_calls.c -- how recipe calls run, wait, wake and end, and what a new reign
 * keeps of them, one rule a test.
 *
 * Method: the rig of tests/lib/resolver_rig.h. A batch that is taken is not yet applied, so
 * "in flight" is a state that a test can hold still. The rig's scripts stand for recipes. */
#include <stdio.h>
#include <stdlib.h>

#include "core/base/check.h"
#include "core/base/errors.h"
#include "tests/lib/resolver_rig.h"
#include "tests/lib/tap.h"

static struct rig g;
static uint64_t a, b; /* two sessions */

static void begin(void)
{
    rig_init(&g, 7);
    a = rig_open(&g);
    b = rig_open(&g);
}

static void end(void)
{
    rig_settle(&g);
    machine_check(&g.machine);
    IS(resolver_stats(g.resolver).pending_cells, 0);
    rig_fini(&g);
}

static struct rig_id id(uint64_t session, uint64_t seq)
{
    return (struct rig_id){ session, seq };
}

static int code(uint64_t tag)
{
    return rig_answer(&g, tag)->code;
}

static const char *message(uint64_t tag)
{
    static char text[1200];
    struct bytes m = rig_answer(&g, tag)->message;

    snprintf(text, sizeof text, "%.*s", (int)m.len, (const char *)m.ptr);
    return text;
}

static bool told_same(uint64_t tag, uint64_t other)
{
    return bytes_equal(buf_bytes(&g.answers[tag].bytes),
                       buf_bytes(&g.answers[other].bytes));
}

/* -- Calls ------------------------------------------------------------------------------
 */

static void a_call_is_one_transaction_with_one_stored_result(void)
{
    uint64_t first, again;

    begin();
    first = rig_call(&g, id(a, 1), "lock.acquire", "/l");
    again = rig_call(&g, id(a, 1), "lock.acquire", "/l");
    rig_settle(&g);
    IS(code(first), 0);
    OK(bytes_equal(rig_answer(&g, first)->value, BYTES_LIT("\x01")));
    OK(told_same(first, again));
    OK(rig_exists(&g, "/l/holder"));
    IS(resolver_stats(g.resolver).script_runs, 1);
    end();
}

static void a_failed_call_writes_nothing(void)
{
    uint64_t tag;

    begin();
    tag = rig_call(&g, id(a, 1), "any.boom", "x");
    rig_settle(&g);
    IS(code(tag), ERR_SCRIPT_FAILED);
    OK(!rig_exists(&g, "/boom"));
    end();
}

static void run_with_details(struct scripts *s, const struct script_call *call,
                             struct tx *tx, struct script_result *out)
{
    rig_run_script(s, call, tx, out);
    if (out->outcome == SCRIPT_ERROR) buf_put_bytes_raw(&out->value, BYTES_LIT("\x2a"));
}

static void a_failed_call_is_answered_with_its_details(void)
{
    uint64_t tag, again;

    begin();
    tag = rig_call(&g, id(a, 1), "any.boom", "x");
    g.scripts.run = run_with_details;
    again = rig_call(&g, id(a, 1), "any.boom", "x");
    rig_settle(&g);
    OK(rig_answer(&g, tag)->value.ptr == NULL);
    OK(told_same(tag, again));
    tag = rig_call(&g, id(a, 2), "any.boom", "x");
    again = rig_call(&g, id(a, 2), "any.boom", "x");
    rig_settle(&g);
    IS(code(tag), ERR_SCRIPT_FAILED);
    OK(bytes_equal(rig_answer(&g, tag)->value, BYTES_LIT("\x2a")));
    OK(told_same(tag, again));
    OK(!rig_exists(&g, "/boom"));
    end();
}

static void a_call_larger_than_a_batch_is_refused(void)
{
    uint64_t tag;

    begin();
    tag = rig_call(&g, id(a, 1), "any.big", "/big");
    rig_settle(&g);
    IS(code(tag), ERR_TOO_LARGE);
    OK(!rig_exists(&g, "/big"));
    end();
}

static void a_call_that_waits_needs_a_session(void)
{
    uint64_t tag;

    begin();
    tag = rig_call(&g, id(0, 0), "any.read", "/none");
    rig_settle(&g);
    IS(code(tag), ERR_BAD_MESSAGE);
    IS(resolver_stats(g.resolver).waiting, 0);
    end();
}

static void a_release_and_the_next_grant_stand_in_one_batch(void)
{
    uint64_t first, second, released;

    begin();
    first = rig_call(&g, id(a, 1), "lock.acquire", "/l");
    second = rig_call(&g, id(b, 1), "lock.acquire", "/l");
    rig_settle(&g);
    IS(code(first), 0);
    IS(code(second), 1);
    released = rig_call(&g, id(a, 2), "lock.release", "/l");
    rig_take(&g);
    rig_apply(&g);
    IS(code(released), 0);
    IS(code(second), 0);
    IS(g.answers[second].zxid, g.answers[released].zxid + 1);
    end();
}

static void one_release_wakes_one_of_many(void)
{
    enum { WAITERS = 200 };
    uint64_t runs, sessions[WAITERS];

    begin();
    rig_call(&g, id(a, 1), "lock.acquire", "/l");
    for (int i = 0; i < WAITERS; i++) {
        sessions[i] = rig_open(&g);
        rig_call(&g, id(sessions[i], 1), "lock.acquire", "/l");
    }
    rig_settle(&g);
    IS(resolver_stats(g.resolver).waiting, WAITERS);
    runs = resolver_stats(g.resolver).script_runs;
    rig_call(&g, id(a, 2), "lock.release", "/l");
    rig_settle(&g);
    /* The release, the next holder, and the one who waited for that one's place. */
    OK(resolver_stats(g.resolver).script_runs - runs <= 3);
    IS(resolver_stats(g.resolver).waiting, WAITERS - 1);
    end();
}

static void a_call_is_not_woken_by_its_own_writes(void)
{
    begin();
    rig_create(&g, id(0, 0), "/t", 0);
    rig_call(&g, id(a, 1), "any.touch", "/t");
    rig_settle(&g);
    IS(resolver_stats(g.resolver).script_runs, 1);
    rig_create(&g, id(0, 0), "/t/other", 0);
    rig_settle(&g);
    IS(resolver_stats(g.resolver).script_runs, 2);
    end();
}

static void calls_that_wake_each_other_for_ever_stop_nobody(void)
{
    uint64_t tag;

    begin();
    rig_create(&g, id(0, 0), "/t", 0);
    rig_call(&g, id(a, 1), "any.touch", "/t");
    rig_call(&g, id(b, 1), "any.touch", "/t");
    OK(resolver_stats(g.resolver).script_runs <= 2100);
    rig_take(&g);
    tag = rig_create(&g, id(0, 0), "/served", 0);
    rig_take(&g);
    while (machine_slot(&g.machine) < g.taken)
        rig_apply(&g);
    IS(code(tag), 0);
    rig_cancel(&g, id(a, 1));
    end();
}

static void a_run_that_changes_nothing_leaves_no_transaction(void)
{
    uint64_t zxid, tag;

    begin();
    rig_create(&g, id(0, 0), "/d", 0);
    tag = rig_call(&g, id(a, 1), "any.read", "/d/x/y");
    rig_settle(&g);
    IS(code(tag), 1);
    zxid = g.machine.zxid;
    rig_create(&g, id(0, 0), "/d/x", 0);
    rig_settle(&g);
    IS(g.machine.zxid, zxid + 1);
    rig_create(&g, id(0, 0), "/d/x/y", 0);
    rig_settle(&g);
    IS(code(tag), 0);
    IS(g.machine.zxid, zxid + 3);
    end();
}

static void a_seq_after_a_waiting_call_is_not_held_up(void)
{
    uint64_t tag;

    begin();
    rig_call(&g, id(a, 1), "any.read", "/none");
    tag = rig_create(&g, id(a, 2), "/x", 0);
    rig_settle(&g);
    IS(code(tag), 0);
    end();
}

static void every_arrival_of_a_waiting_call_is_answered(void)
{
    uint64_t older, newer;

    begin();
    older = rig_call(&g, id(a, 1), "any.read", "/x");
    newer = rig_call(&g, id(a, 1), "any.read", "/x");
    IS(resolver_stats(g.resolver).waiting, 1);
    rig_create(&g, id(b, 1), "/x", 0);
    rig_settle(&g);
    IS(code(newer), 0);
    OK(told_same(older, newer));
    end();
}

/* Its client went from one server to another, and after a change of leaders the copy that it
 * left behind may come last. */
static void a_waiting_call_asked_at_two_servers_is_answered_at_both(void)
{
    uint64_t here, there, later;

    begin();
    here = rig_call(&g, id(a, 1), "any.read", "/x");
    g.origin = 2;
    there = rig_call(&g, id(a, 1), "any.read", "/x");
    later = rig_call(&g, id(a, 1), "any.read", "/x");
    g.origin = 1;
    IS(resolver_stats(g.resolver).waiting, 1);
    rig_create(&g, id(b, 1), "/x", 0);
    rig_settle(&g);
    IS(code(here), 0);
    IS(code(later), 0);
    OK(told_same(here, later));
    OK(told_same(here, there));
    IS(resolver_stats(g.resolver).waiting, 0);
    end();
}

static void so_it_is_when_its_session_ends(void)
{
    uint64_t here, there;

    begin();
    here = rig_call(&g, id(a, 1), "any.read", "/x");
    g.origin = 2;
    there = rig_call(&g, id(a, 1), "any.read", "/x");
    g.origin = 1;
    rig_close(&g, a);
    rig_settle(&g);
    IS(code(here), ERR_SESSION_EXPIRED);
    IS(code(there), ERR_SESSION_EXPIRED);
    end();
}

static void a_time_limit_withdraws_the_call_and_its_place(void)
{
    uint64_t tag, cancel;

    begin();
    rig_call(&g, id(a, 1), "lock.acquire", "/l");
    tag = rig_call(&g, id(b, 1), "lock.acquire", "/l");
    rig_settle(&g);
    OK(rig_exists(&g, "/l/queue/w-0000000000"));
    for (int i = 0; i < 60; i++) {
        rig_pass(&g, 1000);
        resolver_renew(g.resolver, a, g.now.now_ms);
        resolver_renew(g.resolver, b, g.now.now_ms);
    }
    rig_settle(&g);
    IS(code(tag), ERR_TIMEOUT);
    OK(!rig_exists(&g, "/l/queue/w-0000000000"));
    cancel = rig_cancel(&g, id(b, 1));
    rig_settle(&g);
    IS(code(cancel), ERR_NO_CALL);
    end();
}

static void cancel_and_grant_compete_for_one_result(void)
{
    uint64_t call, cancel;

    begin();
    rig_call(&g, id(a, 1), "lock.acquire", "/l");
    call = rig_call(&g, id(b, 1), "lock.acquire", "/l");
    rig_take(&g);
    cancel = rig_cancel(&g, id(b, 1)); /* first: the grant finds nobody */
    rig_call(&g, id(a, 2), "lock.release", "/l");
    rig_settle(&g);
    IS(code(call), ERR_CANCELLED);
    IS(code(cancel), 0);
    OK(!rig_exists(&g, "/l/holder"));

    rig_call(&g, id(a, 3), "lock.acquire", "/l");
    call = rig_call(&g, id(b, 2), "lock.acquire", "/l");
    rig_take(&g);
    rig_call(&g, id(a, 4), "lock.release", "/l"); /* first: the cancel finds nobody */
    cancel = rig_cancel(&g, id(b, 2));
    rig_settle(&g);
    IS(code(call), 0);
    IS(code(cancel), ERR_NO_CALL);
    OK(rig_exists(&g, "/l/holder"));
    end();
}

static void a_clean_up_that_fails_still_ends_the_call(void)
{
    uint64_t call, cancel;

    begin();
    call = rig_call(&g, id(a, 1), "any.read", "/none");
    cancel = rig_cancel(&g, id(a, 1));
    rig_settle(&g);
    IS(code(call), ERR_CANCELLED);
    IS(code(cancel), 0);
    OK(!rig_exists(&g, "/boom"));
    end();
}

static void woken_calls_run_in_the_order_in_which_they_began_to_wait(void)
{
    struct buf wants = { 0 };
    struct request q = { .kind = REQUEST_WRITE, .wants_count = 2 };
    uint64_t first, second;

    begin();
    first = rig_call(&g, id(b, 1), "any.read", "/p2");
    second = rig_call(&g, id(a, 1), "any.read", "/p1");
    want_encode(&wants, &(struct want){ .kind = WANT_CREATE, .path = BYTES_LIT("/p1") });
    want_encode(&wants, &(struct want){ .kind = WANT_CREATE, .path = BYTES_LIT("/p2") });
    q.wants = buf_bytes(&wants);
    rig_submit(&g, &q);
    rig_settle(&g);
    IS(code(first), 0);
    IS(g.answers[second].zxid, g.answers[first].zxid + 1);
    buf_fini(&wants);
    end();
}

static void scripts_that_had_their_share_wait_for_the_next_turn(void)
{
    begin();
    OK(resolver_room(g.resolver));
    uint64_t tag = rig_call(&g, id(a, 1), "any.dear", "x");
    OK(resolver_is_tired(g.resolver));
    OK(rig_take(&g));
    OK(!resolver_room(g.resolver)); /* an empty batch is not yet a new turn */
    resolver_turn(g.resolver);
    OK(resolver_room(g.resolver));
    rig_settle(&g);
    IS(code(tag), 0);
    end();
}

static void guards_are_checked_at_every_run(void)
{
    struct buf wants = { 0 };
    struct request q = { .kind = REQUEST_CALL,
                         .session = a,
                         .seq = 1,
                         .wants_count = 1,
                         .recipe = BYTES_LIT("any"),
                         .function = BYTES_LIT("read"),
                         .args = BYTES_LIT("/none") };
    uint64_t made, tag;

    begin();
    q.session = a;
    made = rig_create(&g, id(0, 0), "/fence", 0);
    rig_settle(&g);
    want_encode(&wants, &(struct want){ .kind = WANT_GUARD,
                                        .path = BYTES_LIT("/fence"),
                                        .token = g.answers[made].zxid });
    q.wants = buf_bytes(&wants);
    tag = rig_submit(&g, &q);
    rig_settle(&g);
    IS(code(tag), 1);
    rig_delete(&g, id(0, 0), "/fence");
    rig_create(&g, id(0, 0), "/fence", 0);
    rig_settle(&g);
    IS(code(tag), ERR_GUARD_FAILED);
    STR(message(tag), "guard_failed: /fence");
    buf_fini(&wants);
    end();
}

/* -- Reigns -----------------------------------------------------------------------------
 */

static void the_end_of_a_reign_leaves_nothing_and_the_next_goes_on(void)
{
    uint64_t lost, again, call;
    struct resolver_stats stats;

    begin();
    rig_call(&g, id(a, 1), "lock.acquire", "/l");
    call = rig_call(&g, id(b, 1), "lock.acquire", "/l");
    rig_settle(&g);
    lost = rig_create(&g, id(a, 2), "/x", 0);
    rig_create(&g, id(a, 9), "/held", 0);
    rig_take(&g);
    resolver_stop(g.resolver);
    stats = resolver_stats(g.resolver);
    IS(stats.waiting + stats.held + stats.pending_cells, 0);
    OK(!resolver_renew(g.resolver, a, g.now.now_ms));
    rig_new_reign(&g, 0);
    OK(!rig_exists(&g, "/x"));
    OK(resolver_renew(g.resolver, a, g.now.now_ms));

    again = rig_create(&g, id(a, 2), "/x", 0);
    call = rig_call(&g, id(b, 1), "lock.acquire", "/l"); /* binds to its old place */
    rig_settle(&g);
    IS(g.answers[lost].count, 0);
    IS(code(again), 0);
    IS(code(call), 1);
    rig_call(&g, id(a, 3), "lock.release", "/l");
    rig_settle(&g);
    IS(code(call), 0);
    OK(!rig_exists(&g, "/l/queue/w-0000000001"));
    end();
}

static void a_new_reign_gives_every_session_its_full_timeout(void)
{
    begin();
    rig_pass(&g, 4900);
    rig_settle(&g);
    rig_new_reign(&g, 0);
    rig_pass(&g, 4900);
    OK(resolver_renew(g.resolver, a, g.now.now_ms));
    rig_pass(&g, 5001);
    OK(!resolver_renew(g.resolver, a, g.now.now_ms));
    end();
}

int main(void)
{
    TEST(a_call_is_one_transaction_with_one_stored_result);
    TEST(a_failed_call_writes_nothing);
    TEST(a_failed_call_is_answered_with_its_details);
    TEST(a_call_larger_than_a_batch_is_refused);
    TEST(a_call_that_waits_needs_a_session);
    TEST(a_release_and_the_next_grant_stand_in_one_batch);
    TEST(one_release_wakes_one_of_many);
    TEST(a_call_is_not_woken_by_its_own_writes);
    TEST(calls_that_wake_each_other_for_ever_stop_nobody);
    TEST(a_run_that_changes_nothing_leaves_no_transaction);
    TEST(a_seq_after_a_waiting_call_is_not_held_up);
    TEST(every_arrival_of_a_waiting_call_is_answered);
    TEST(a_waiting_call_asked_at_two_servers_is_answered_at_both);
    TEST(so_it_is_when_its_session_ends);
    TEST(a_time_limit_withdraws_the_call_and_its_place);
    TEST(cancel_and_grant_compete_for_one_result);
    TEST(a_clean_up_that_fails_still_ends_the_call);
    TEST(woken_calls_run_in_the_order_in_which_they_began_to_wait);
    TEST(scripts_that_had_their_share_wait_for_the_next_turn);
    TEST(guards_are_checked_at_every_run);
    TEST(the_end_of_a_reign_leaves_nothing_and_the_next_goes_on);
    TEST(a_new_reign_gives_every_session_its_full_timeout);
    return tap_done();
}
