/* t_client_watch.c -- the client's watches, one rule a test.
 *
 * Method: the core talks to a server that the rig plays. The storm plays a server that really
 * keeps a history of zxids, loses connections, lags and forgets, and demands every zxid once
 * (B5) unless LAGGED was told.  Replay: SEED=<n> ./t_client_watch */
#include <stdlib.h>

#include "core/base/rng.h"
#include "tests/lib/watch_rig.h"

static void a_watch_is_armed_and_then_tells(void)
{
    rig_open_core();
    const uint64_t w = rig_watch("a", false);
    IS(rig_newest(METHOD_WATCH)->watch, w);
    OK(!rig_newest(METHOD_WATCH)->resumes);
    rig_say_zxid(rig_newest(METHOD_WATCH)->msgid, 10);
    rig_say_event(w, 11);
    rig_say_event(w, 12);
    STR(rig_taken(), "a armed 10; a changed 11=v; a changed 12=v; ");
    client_core_free(rig_core);
    STR(rig_taken(), "a ended -66; ");
}

static void a_lost_connection_is_gone_on_from_the_last_event(void)
{
    rig_open_core();
    const uint64_t w = rig_armed_watch("a", 10);
    rig_say_event(w, 15);
    rig_reconnect();
    OK(rig_newest(METHOD_WATCH)->resumes);
    IS(rig_newest(METHOD_WATCH)->since, 15);
    rig_say_event(w, 15); /* a server that says it twice all the same */
    rig_say_event(w, 16);
    rig_say_zxid(rig_newest(METHOD_WATCH)->msgid, 20);
    STR(rig_taken(), "a changed 15=v; a changed 16=v; ");
    client_core_free(rig_core);
}

static void any_answer_with_a_zxid_says_how_far_armed_watches_are_complete(void)
{
    rig_open_core();
    (void) rig_armed_watch("a", 10);
    rig_now += 2000;
    (void) client_core_tick(rig_core, rig_now);
    rig_say_zxid(rig_newest(METHOD_STAT)->msgid, 500); /* its look, for want of a session */
    rig_reconnect();
    IS(rig_newest(METHOD_WATCH)->since, 500);
    client_core_free(rig_core);
}

static void one_that_is_not_armed_yet_is_not_complete_by_it(void)
{
    rig_open_core();
    const uint64_t w = rig_armed_watch("a", 10);
    rig_reconnect();
    rig_now += 2000;
    (void) client_core_tick(rig_core, rig_now);
    rig_say_event(w, 12); /* replayed, the answer is to come */
    rig_say_zxid(rig_newest(METHOD_STAT)->msgid, 500);
    rig_reconnect();
    IS(rig_newest(METHOD_WATCH)->since, 12);
    client_core_free(rig_core);
}

static void what_another_connection_named_does_not_count(void)
{
    rig_open_core();
    (void) rig_armed_watch("a", 10);
    rig_say_zxid(rig_newest(METHOD_HELLO)->msgid, 500); /* whatever it answers */
    rig_reconnect();
    (void) rig_armed_watch("b", 40);
    rig_reconnect();
    const size_t last = rig_asked_count - 1;
    IS(rig_asked[last].since, 40);
    IS(rig_asked[last - 1].since, 500);
    client_core_free(rig_core);
}

static void what_is_being_asked_is_not_asked_twice_for_a_lag(void)
{
    rig_open_core();
    const uint64_t w = rig_armed_watch("a", 10), other = rig_watch("b", false);
    const uint32_t msgid = rig_newest(METHOD_WATCH)->msgid;
    rig_say_lagged(30, other); /* it makes no sense, and does no harm */
    rig_say_lagged(30, w);
    IS(rig_count_of(METHOD_WATCH), 3);
    rig_say_zxid(msgid, 40);
    STR(rig_taken(), "b armed 40; ");
    client_core_free(rig_core);
}

static void events_of_one_transaction_are_all_told(void)
{
    struct buf b = { 0 };

    rig_open_core();
    const uint64_t w = rig_armed_watch("a", 10);
    rig_begin_events(&b, 11, 2);
    rig_put_event(&b, w, "deleted");
    rig_put_event(&b, w, "created");
    IS(rig_say(&b), 0);
    STR(rig_taken(), "a deleted 11=v; a created 11=v; ");
    client_core_free(rig_core);
}

static void what_the_servers_forgot_is_told_once_it_is_armed_again(void)
{
    rig_open_core();
    const uint64_t w = rig_armed_watch("a", 10);
    rig_reconnect();
    rig_say_error(rig_newest(METHOD_WATCH)->msgid, ERR_LAGGED);
    OK(!rig_newest(METHOD_WATCH)->resumes);
    STR(rig_taken(), "");
    rig_say_zxid(rig_newest(METHOD_WATCH)->msgid, 90);
    rig_say_event(w, 91);
    STR(rig_taken(), "a lagged 90; a changed 91=v; ");
    client_core_free(rig_core);
}

static void one_that_did_not_read_fast_enough_asks_for_the_rest(void)
{
    rig_open_core();
    const uint64_t w = rig_armed_watch("a", 10);
    rig_say_event(w, 11);
    rig_say_lagged(30, w);
    IS(rig_count_of(METHOD_WATCH), 2);
    IS(rig_newest(METHOD_WATCH)->since, 30);
    rig_say_event(w, 31);
    rig_say_zxid(rig_newest(METHOD_WATCH)->msgid, 40);
    STR(rig_taken(), "a changed 11=v; a changed 31=v; ");
    client_core_free(rig_core);
}

static void armed_once_it_is_gone_after_its_event(void)
{
    rig_open_core();
    const uint64_t w = rig_watch("a", true);
    rig_say_zxid(rig_newest(METHOD_WATCH)->msgid, 10);
    rig_say_event(w, 11);
    rig_say_event(w, 12);
    rig_reconnect();
    IS(rig_count_of(METHOD_WATCH), 0);
    client_core_free(rig_core);
    STR(rig_taken(), "a armed 10; a changed 11=v; ");
}

static void fired_by_replay_it_is_gone_before_its_answer(void)
{
    rig_open_core();
    const uint64_t w = rig_watch("a", true);
    rig_say_zxid(rig_newest(METHOD_WATCH)->msgid, 10);
    rig_reconnect();
    const uint32_t msgid = rig_newest(METHOD_WATCH)->msgid;
    rig_say_event(w, 11);
    rig_say_zxid(msgid, 12);
    client_core_free(rig_core);
    STR(rig_taken(), "a armed 10; a changed 11=v; ");
}

static void an_unwatched_one_is_silent_and_the_server_hears_of_it(void)
{
    rig_open_core();
    const uint64_t w = rig_armed_watch("a", 10);
    OK(client_core_unwatch(rig_core, rig_now, w) != NULL);
    OK(client_core_unwatch(rig_core, rig_now, w) == NULL);
    IS(rig_newest(METHOD_UNWATCH)->watch, w);
    rig_say_event(w, 11);
    rig_reconnect();
    IS(rig_count_of(METHOD_WATCH), 0);
    client_core_free(rig_core);
    STR(rig_taken(), "");
}

static void a_refused_watch_ends_with_the_code(void)
{
    rig_open_core();
    (void) rig_watch("a", false);
    rig_say_error(rig_newest(METHOD_WATCH)->msgid, ERR_BAD_PATH);
    STR(rig_taken(), "a ended -7; ");
    client_core_free(rig_core);
    STR(rig_taken(), "");
}

static void not_all_are_armed_at_once(void)
{
    const uint32_t all = CLIENT_WATCHES_MAX < 3000 ? CLIENT_WATCHES_MAX : 3000;
    size_t answered = 0;

    rig_open_core();
    for (uint32_t i = 0; i < all; i++) OK(rig_watch("", false) != 0);
    rig_hear();
    OK(rig_watches_asked() < all);
    while (answered < rig_asked_count) {
        if (rig_asked[answered].count > 0) rig_say_zxid(rig_asked[answered].msgid, 10);
        answered++;
        rig_hear();
    }
    IS(rig_watches_asked(), all);
    OK(rig_asked_count < all);
    client_core_free(rig_core);
}

static void malformed_events_end_the_connection(void)
{
    struct buf b = { 0 };

    rig_open_core();
    rpc_notification_begin(&b, "events");
    pack_array(&b, 2);
    pack_uint(&b, 1);
    pack_nil(&b);
    IS(rig_say(&b), ERR_BAD_MESSAGE);
    rig_begin_events(&b, 11, 1);
    pack_uint(&b, 5);
    IS(rig_say(&b), ERR_BAD_MESSAGE);
    client_core_free(rig_core);
}

/* --- the storm --- */

enum { STEPS = 40000 };

static uint64_t server_zxid, forgotten; /* what it does not remember is up to there */
static uint64_t server_watch, server_asked_msgid, server_since, server_sent;
static bool server_armed, server_resumes;
static uint64_t last_told, gaps, doubled;

static void judge(void *ctx, const struct client_event *e)
{
    (void) ctx;
    if (e->kind == CLIENT_EVENT_ENDED) return;
    if (e->kind == CLIENT_EVENT_ARMED || e->kind == CLIENT_EVENT_LAGGED) {
        last_told = e->zxid;
        return;
    }
    if (e->zxid > last_told + 1) gaps++;
    if (e->zxid <= last_told) doubled++;
    last_told = e->zxid;
}

static void server_hears(void)
{
    rig_asked_count = 0;
    rig_hear();
    for (size_t i = 0; i < rig_asked_count; i++) {
        if (rig_asked[i].method == METHOD_STAT) rig_say_zxid(rig_asked[i].msgid, server_zxid);
        if (rig_asked[i].method != METHOD_WATCH) continue;
        server_asked_msgid = rig_asked[i].msgid;
        server_resumes = rig_asked[i].resumes;
        server_since = server_sent = rig_asked[i].since;
    }
}

/* Replays a part, or all, and then arms. */
static void server_answers(struct rng *rng)
{
    if (server_asked_msgid == 0) return;
    if (server_resumes && server_since < forgotten) {
        rig_say_error((uint32_t) server_asked_msgid, ERR_LAGGED);
        server_asked_msgid = 0;
        return;
    }
    while (server_resumes && server_sent < server_zxid) {
        rig_say_event(server_watch, ++server_sent);
        if (rng_below(rng, 4) == 0) return;
    }
    rig_say_zxid((uint32_t) server_asked_msgid, server_zxid);
    server_asked_msgid = 0;
    server_armed = true;
}

static void server_changes(void)
{
    server_zxid++;
    if (server_armed) rig_say_event(server_watch, server_zxid);
}

static void server_is_lost(void)
{
    server_armed = false;
    server_asked_msgid = 0;
    client_core_disconnected(rig_core, rig_now);
    client_core_connected(rig_core, rig_now);
    rig_asked_count = 0;
    rig_say_zxid(rig_newest(METHOD_HELLO)->msgid, 0);
}

static void storm_step(struct rng *rng)
{
    const uint64_t dice = rng_below(rng, 100);

    rig_now += rng_below(rng, 300);
    (void) client_core_tick(rig_core, rig_now);
    server_hears();
    if (dice < 50) {
        server_changes();
    } else if (dice < 85) {
        server_answers(rng);
    } else if (dice < 92) {
        server_is_lost();
    } else if (dice < 94) {
        forgotten = server_zxid > 20 ? server_zxid - 20 : 0;
    } else if (dice < 96 && server_armed) {
        server_armed = false;
        rig_say_lagged(server_zxid, server_watch);
    }
    server_hears();
}

static void every_change_is_told_once_whatever_fails(void)
{
    const char *text = getenv("SEED");
    const uint64_t seed = text == NULL ? 1 : strtoull(text, NULL, 10);
    struct rng rng;

    printf("# SEED=%" PRIu64 "\n", seed);
    rng_init(&rng, seed);
    rig_open_core();
    server_watch = client_core_watch(rig_core, rig_now,
                                     &(struct client_watch){ .path = BYTES_LIT("/a"),
                                                             .data = true,
                                                             .fn = judge });
    for (int step = 0; step < STEPS; step++) storm_step(&rng);
    IS(gaps, 0);
    IS(doubled, 0);
    OK(last_told > STEPS / 4);
    client_core_free(rig_core);
}

int main(void)
{
    TEST(a_watch_is_armed_and_then_tells);
    TEST(a_lost_connection_is_gone_on_from_the_last_event);
    TEST(any_answer_with_a_zxid_says_how_far_armed_watches_are_complete);
    TEST(one_that_is_not_armed_yet_is_not_complete_by_it);
    TEST(what_another_connection_named_does_not_count);
    TEST(what_is_being_asked_is_not_asked_twice_for_a_lag);
    TEST(events_of_one_transaction_are_all_told);
    TEST(what_the_servers_forgot_is_told_once_it_is_armed_again);
    TEST(one_that_did_not_read_fast_enough_asks_for_the_rest);
    TEST(armed_once_it_is_gone_after_its_event);
    TEST(fired_by_replay_it_is_gone_before_its_answer);
    TEST(an_unwatched_one_is_silent_and_the_server_hears_of_it);
    TEST(a_refused_watch_ends_with_the_code);
    TEST(not_all_are_armed_at_once);
    TEST(malformed_events_end_the_connection);
    TEST(every_change_is_told_once_whatever_fails);
    return tap_done();
}
