/* t_resolver.c -- what the leader makes of requests, one rule a test.
 *
 * Method: the rig of tests/lib/resolver_rig.h. A batch that is taken is not yet applied, so
 * "in flight" is a state that a test can hold still. Calls are in t_resolver_calls.c, the
 * storm in t_resolver_storm.c. */
#include <stdio.h>
#include <stdlib.h>

#include "core/base/check.h"
#include "core/base/errors.h"
#include "core/session/session.h"
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

static struct result_part first_part(uint64_t tag)
{
    struct result_parts parts = result_parts_of(rig_answer(&g, tag));
    struct result_part p;

    CHECK(result_part_next(&parts, &p) == 0);
    return p;
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

/* -- Writes -----------------------------------------------------------------------------
 */

static void nothing_is_answered_before_it_is_applied(void)
{
    uint64_t tag;

    begin();
    tag = rig_create(&g, id(a, 1), "/x", 0);
    IS(code(tag), 1);
    rig_take(&g);
    IS(code(tag), 1);
    rig_apply(&g);
    IS(code(tag), 0);
    OK(bytes_equal(first_part(tag).path, BYTES_LIT("/x")));
    OK(first_part(tag).stat.czxid == g.answers[tag].zxid);
    end();
}

static void a_request_sees_what_is_not_chosen_yet(void)
{
    uint64_t created, set;

    begin();
    created = rig_create(&g, id(a, 1), "/x", 0);
    rig_take(&g);
    set = rig_set(&g, id(b, 1), "/x", "v");
    rig_take(&g);
    IS(machine_slot(&g.machine) + 2, g.taken);
    rig_settle(&g);
    IS(code(created), 0);
    IS(code(set), 0);
    IS(first_part(set).stat.version, 1);
    end();
}

static void a_refusal_stands_in_the_batch_and_is_stored(void)
{
    uint64_t first, again;

    begin();
    first = rig_delete(&g, id(a, 1), "/x");
    IS(code(first), 1);
    rig_settle(&g);
    IS(code(first), ERR_NO_NODE);
    STR(message(first), "no_node: /x");
    IS(rig_answer(&g, first)->index, 0);
    rig_create(&g, id(b, 1), "/x", 0);
    again = rig_delete(&g, id(a, 1), "/x");
    rig_settle(&g);
    IS(code(again), ERR_NO_NODE);
    OK(rig_exists(&g, "/x"));
    end();
}

static void a_multi_is_all_or_nothing(void)
{
    struct buf wants = { 0 };
    struct request q = { .kind = REQUEST_WRITE, .wants_count = 3 };
    uint64_t tag;

    begin();
    want_encode(&wants, &(struct want){ .kind = WANT_CREATE, .path = BYTES_LIT("/m") });
    want_encode(&wants, &(struct want){ .kind = WANT_CREATE, .path = BYTES_LIT("/m/n") });
    want_encode(
        &wants,
        &(struct want){ .kind = WANT_CHECK, .path = BYTES_LIT("/none"), .version = -1 });
    q.wants = buf_bytes(&wants);
    tag = rig_submit(&g, &q);
    rig_settle(&g);
    IS(code(tag), ERR_NO_NODE);
    IS(rig_answer(&g, tag)->index, 2);
    OK(!rig_exists(&g, "/m"));
    buf_clear(&wants);
    want_encode(&wants, &(struct want){ .kind = WANT_CREATE, .path = BYTES_LIT("/m") });
    want_encode(&wants, &(struct want){ .kind = WANT_CREATE, .path = BYTES_LIT("/m/n") });
    q.wants = buf_bytes(&wants);
    q.wants_count = 2;
    tag = rig_submit(&g, &q);
    rig_settle(&g);
    IS(code(tag), 0);
    IS(rig_answer(&g, tag)->parts_count, 2);
    OK(rig_exists(&g, "/m/n"));
    buf_fini(&wants);
    end();
}

static void a_create_without_parent_names_the_parent(void)
{
    uint64_t plain, numbered;

    begin();
    plain = rig_create(&g, id(a, 1), "/x/y/z", 0);
    numbered = rig_create(&g, id(a, 2), "/x/", TX_SEQUENTIAL);
    rig_settle(&g);
    IS(code(plain), ERR_NO_NODE);
    STR(message(plain), "no_node: /x/y, the parent of /x/y/z");
    STR(message(numbered), "no_node: /x, the parent of /x/");
    end();
}

/* A source that begins with "!" does not load; each check costs half of a turn. */
static void check_source(struct scripts *s, struct bytes name, struct bytes source,
                         struct script_result *out)
{
    const bool loads = source.len == 0 || source.ptr[0] != '!';

    (void)s;
    out->fuel = SCRIPT_FUEL_MAX / 2;
    out->outcome = loads ? SCRIPT_DONE : SCRIPT_ERROR;
    out->code = loads ? 0 : ERR_SCRIPT_FAILED;
    buf_put_bytes_raw(&out->message, name);
}

static void begin_with_recipe(void)
{
    begin();
    g.scripts.check = check_source;
    rig_create(&g, id(a, 1), "/tidelock/recipes/r", TX_PARENTS);
    rig_settle(&g);
    OK(rig_exists(&g, "/tidelock/recipes/r")); /* null data is no source */
}

/* In a turn of its own. */
static uint64_t set_source(uint64_t seq, const char *path, const char *source)
{
    resolver_turn(g.resolver);
    return rig_set(&g, id(a, seq), path, source);
}

static void a_recipe_that_does_not_load_is_not_stored(void)
{
    uint64_t bad, good, above, below, elsewhere;

    begin_with_recipe();
    bad = set_source(2, "/tidelock/recipes/r", "!");
    good = set_source(3, "/tidelock/recipes/r", "good");
    above = set_source(4, "/tidelock/recipes", "!");
    rig_create(&g, id(a, 5), "/tidelock/recipes/r/x", 0);
    below = set_source(6, "/tidelock/recipes/r/x", "!");
    rig_create(&g, id(a, 7), "/recipes", 0);
    elsewhere = set_source(8, "/recipes", "!");
    rig_settle(&g);
    IS(code(bad), ERR_SCRIPT_FAILED);
    STR(message(bad), "script_failed: r");
    IS(code(good), 0);
    IS(first_part(good).stat.version, 1);
    IS(code(above), 0);
    IS(code(below), 0);
    IS(code(elsewhere), 0);
    end();
}

static void the_recipes_of_one_request_share_a_budget(void)
{
    struct want set = { .kind = WANT_SET,
                        .path = BYTES_LIT("/tidelock/recipes/r"),
                        .data = BYTES_LIT("good"),
                        .version = -1 };
    struct buf wants = { 0 };
    struct request q = { .kind = REQUEST_WRITE, .wants_count = 3 };
    uint64_t two, three;

    begin_with_recipe();
    for (int i = 0; i < 3; i++) want_encode(&wants, &set);
    q.wants = buf_bytes(&wants);
    three = rig_submit(&g, &q);
    resolver_turn(g.resolver);
    q.wants_count = 2;
    q.wants.len = q.wants.len / 3 * 2;
    two = rig_submit(&g, &q);
    rig_settle(&g);
    IS(code(three), ERR_OVER_BUDGET);
    IS(rig_answer(&g, three)->index, 2);
    IS(code(two), 0);
    buf_fini(&wants);
    end();
}

static void bytes_that_are_no_request_are_refused_at_once(void)
{
    struct resolver_request bad = { 1, 1, BYTES_LIT("\x01\x01") };

    begin();
    IS(resolver_submit(g.resolver, &bad, g.now), ERR_BAD_MESSAGE);
    OK(!resolver_has_batch(g.resolver));
    end();
}

static void a_request_not_taken_can_be_refused_through_the_batch(void)
{
    struct resolver_request busy = { 1, 0, BYTES_LIT("") };
    struct session s;

    begin();
    busy.tag = ++g.tag;
    resolver_refuse(g.resolver, &busy, g.now, ERR_BUSY);
    rig_settle(&g);
    IS(code(busy.tag), ERR_BUSY);
    OK(session_read(&g.store.view, a, &s));
    IS(s.last, 0);
    end();
}

/* -- Exactly once -----------------------------------------------------------------------
 */

static void a_repeat_in_flight_gets_the_first_result(void)
{
    uint64_t first, again;

    begin();
    first = rig_create(&g, id(a, 1), "/q-", TX_SEQUENTIAL);
    rig_take(&g);
    again = rig_create(&g, id(a, 1), "/q-", TX_SEQUENTIAL);
    rig_settle(&g);
    IS(code(first), 0);
    OK(told_same(first, again));
    OK(rig_exists(&g, "/q-0000000000"));
    OK(!rig_exists(&g, "/q-0000000001"));
    end();
}

static void a_repeat_after_apply_and_after_a_new_reign_gets_the_first_result(void)
{
    uint64_t first, again;

    begin();
    first = rig_create(&g, id(a, 1), "/q-", TX_SEQUENTIAL);
    rig_settle(&g);
    again = rig_create(&g, id(a, 1), "/q-", TX_SEQUENTIAL);
    rig_settle(&g);
    OK(told_same(first, again));
    rig_new_reign(&g, 0);
    again = rig_create(&g, id(a, 1), "/q-", TX_SEQUENTIAL);
    rig_settle(&g);
    OK(told_same(first, again));
    OK(!rig_exists(&g, "/q-0000000001"));
    end();
}

static void an_acknowledged_seq_is_refused_and_nothing_is_stored(void)
{
    struct request q = { .kind = REQUEST_WRITE, .session = a, .seq = 2, .ack = 1 };
    uint64_t again;

    begin();
    q.session = a;
    rig_create(&g, id(a, 1), "/x", 0);
    rig_submit(&g, &q);
    again = rig_create(&g, id(a, 1), "/x", 0);
    rig_settle(&g);
    IS(code(again), ERR_SEQ_ACKNOWLEDGED);
    end();
}

static void a_gap_waits_and_the_rest_follows_in_seq_order(void)
{
    uint64_t third, second, first;

    begin();
    third = rig_delete(&g, id(a, 3), "/x");
    second = rig_set(&g, id(a, 2), "/x", "v");
    IS(resolver_stats(g.resolver).held, 2);
    OK(!resolver_has_batch(g.resolver));
    first = rig_create(&g, id(a, 1), "/x", 0);
    IS(resolver_stats(g.resolver).held, 0);
    rig_settle(&g);
    IS(code(first), 0);
    IS(code(second), 0);
    IS(code(third), 0);
    OK(g.answers[first].zxid < g.answers[second].zxid);
    OK(g.answers[second].zxid < g.answers[third].zxid);
    end();
}

static void every_arrival_of_a_held_request_is_answered(void)
{
    uint64_t older, newer;

    begin();
    older = rig_create(&g, id(a, 2), "/y", 0);
    newer = rig_create(&g, id(a, 2), "/y", 0);
    IS(resolver_stats(g.resolver).held, 2);
    rig_create(&g, id(a, 1), "/x", 0);
    rig_settle(&g);
    IS(code(newer), 0);
    IS(g.answers[older].count, 1);
    end();
}

static void a_seq_too_far_ahead_is_busy(void)
{
    begin();
    rig_create(&g, id(a, 4096), "/x", 0);
    IS(g.code, 0);
    rig_create(&g, id(a, 4097), "/x", 0);
    IS(g.code, ERR_BUSY);
    IS(resolver_stats(g.resolver).held, 1);
    end();
}

/* -- Sessions ---------------------------------------------------------------------------
 */

static void expiry_takes_all_ephemerals_in_one_transaction(void)
{
    uint64_t zxid;

    begin();
    rig_create(&g, id(a, 1), "/e1", TX_EPHEMERAL);
    rig_create(&g, id(a, 2), "/e2", TX_EPHEMERAL);
    rig_create(&g, id(b, 1), "/kept", TX_EPHEMERAL);
    rig_settle(&g);
    rig_pass(&g, 4000);
    OK(resolver_renew(g.resolver, b, g.now.now_ms));
    zxid = g.machine.zxid;
    rig_pass(&g, 1001);
    IS(resolver_stats(g.resolver).expiries, 1);
    OK(!resolver_renew(g.resolver, a, g.now.now_ms)); /* resolved, if not yet applied */
    rig_settle(&g);
    OK(!rig_exists(&g, "/e1"));
    OK(!rig_exists(&g, "/e2"));
    OK(rig_exists(&g, "/kept"));
    IS(g.machine.zxid, zxid + 1);
    end();
}

static void after_an_end_is_resolved_nothing_of_the_session_is(void)
{
    uint64_t closed, late;

    begin();
    closed = rig_close(&g, a);
    late = rig_create(&g, id(a, 1), "/x", TX_EPHEMERAL);
    rig_settle(&g);
    IS(code(closed), 0);
    IS(code(late), ERR_SESSION_EXPIRED);
    OK(!rig_exists(&g, "/x"));
    IS(code(rig_close(&g, a)), 1);
    rig_settle(&g);
    IS(code(g.tag), ERR_SESSION_EXPIRED);
    end();
}

static void the_end_answers_what_the_session_still_has_here(void)
{
    uint64_t waiting, held;

    begin();
    waiting = rig_call(&g, id(a, 1), "any.read", "/none");
    held = rig_create(&g, id(a, 3), "/x", 0);
    rig_close(&g, a);
    IS(resolver_stats(g.resolver).waiting, 0);
    IS(resolver_stats(g.resolver).held, 0);
    rig_settle(&g);
    IS(code(waiting), ERR_SESSION_EXPIRED);
    IS(code(held), ERR_SESSION_EXPIRED);
    end();
}

static void requests_renew_their_session(void)
{
    begin();
    rig_pass(&g, 4000);
    rig_create(&g, id(a, 1), "/x", 0);
    rig_pass(&g, 4000);
    OK(resolver_renew(g.resolver, a, g.now.now_ms));
    OK(!resolver_renew(g.resolver, b, g.now.now_ms));
    end();
}

static void a_session_too_large_for_one_batch_ends_in_parts(void)
{
    char path[1100];

    begin();
    rig_create(&g, id(0, 0), "/e", 0);
    memset(path, 'x', sizeof path);
    for (uint64_t seq = 1; seq <= 3000; seq++) {
        int len = snprintf(path, sizeof path, "/e/%06u", (unsigned)seq);

        path[len] = 'x';
        path[1020] = '\0';
        rig_create(&g, id(a, seq), path, TX_EPHEMERAL);
        IS(g.code, 0);
        if (seq % 100 == 0) rig_settle(&g);
    }
    rig_settle(&g);
    rig_pass(&g, 5001);
    rig_settle(&g);
    OK(!resolver_renew(g.resolver, a, g.now.now_ms));
    rig_delete(&g, id(0, 0), "/e");
    rig_settle(&g);
    IS(code(g.tag), 0);
    end();
}

int main(void)
{
    TEST(nothing_is_answered_before_it_is_applied);
    TEST(a_request_sees_what_is_not_chosen_yet);
    TEST(a_refusal_stands_in_the_batch_and_is_stored);
    TEST(a_multi_is_all_or_nothing);
    TEST(a_create_without_parent_names_the_parent);
    TEST(a_recipe_that_does_not_load_is_not_stored);
    TEST(the_recipes_of_one_request_share_a_budget);
    TEST(bytes_that_are_no_request_are_refused_at_once);
    TEST(a_request_not_taken_can_be_refused_through_the_batch);
    TEST(a_repeat_in_flight_gets_the_first_result);
    TEST(a_repeat_after_apply_and_after_a_new_reign_gets_the_first_result);
    TEST(an_acknowledged_seq_is_refused_and_nothing_is_stored);
    TEST(a_gap_waits_and_the_rest_follows_in_seq_order);
    TEST(every_arrival_of_a_held_request_is_answered);
    TEST(a_seq_too_far_ahead_is_busy);
    TEST(expiry_takes_all_ephemerals_in_one_transaction);
    TEST(after_an_end_is_resolved_nothing_of_the_session_is);
    TEST(the_end_answers_what_the_session_still_has_here);
    TEST(requests_renew_their_session);
    TEST(a_session_too_large_for_one_batch_ends_in_parts);
    return tap_done();
}
