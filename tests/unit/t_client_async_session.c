/* t_client_async_session.c -- the client that does not wait: its session, locks, prefix and
 * watches, one rule a test. Method: async_rig.h. */
#include <stdlib.h>
#include <unistd.h>

#include "tests/lib/async_rig.h"

/* --- the session --- */

static tl_session_state states[16];
static int states_count;
static int64_t left_when_told[16];
static tl_client *session_client;

static void note_state(void *ctx, tl_session_state state)
{
    (void) ctx;
    if (states_count == 16) return;
    left_when_told[states_count] = tl_session_left_ms(session_client);
    states[states_count++] = state;
}

static void open_session(void)
{
    states_count = 0;
    session_client = async_open_client(&(tl_options){ .session_timeout_ms = 1000,
                                                .on_session = note_state });
    IS(tl_session(session_client), TL_SESSION_OPENING);
    RUN_UNTIL(session_client, states_count == 1);
    IS(states[0], TL_SESSION_OK);
}

static void a_session_is_kept_alive_by_the_loop(void)
{
    async_forget();
    open_session();
    const int64_t until = async_now_ms() + 2 * SESSION_MS;

    while (async_now_ms() < until) IS(async_turn(session_client), TL_OK);
    IS(states_count, 1);
    IS(tl_session(session_client), TL_SESSION_OK);
    tl_close(session_client);
    IS(states[states_count - 1], TL_SESSION_OVER);
}

static void a_session_in_jeopardy_is_told_before_its_end_and_again_when_safe(void)
{
    async_forget();
    open_session();
    async_held = true;
    RUN_UNTIL(session_client, states_count == 2);
    IS(states[1], TL_SESSION_JEOPARDY);
    OK(left_when_told[1] > SESSION_MS * 3 / 8);
    IS(tl_session(session_client), TL_SESSION_JEOPARDY);
    async_held = false;
    RUN_UNTIL(session_client, states_count == 3);
    IS(states[2], TL_SESSION_SAFE);
    IS(tl_session(session_client), TL_SESSION_OK);
    tl_close(session_client);
}

static void a_session_ends_by_the_local_clock_when_no_server_answers(void)
{
    async_forget();
    open_session();
    async_mute = true;
    tl_lock_acquire_async(session_client, "/late", 0, async_note, NULL);
    const int64_t before = async_now_ms();

    RUN_UNTIL(session_client, states_count == 3);
    IS(states[1], TL_SESSION_JEOPARDY);
    IS(states[2], TL_SESSION_OVER);
    IS(left_when_told[2], 0);
    OK(async_now_ms() - before <= SESSION_MS + 300);
    IS(async_told.times, 1);
    IS(async_told.code, TL_SESSION_EXPIRED);
    async_mute = false;
    tl_get_async(session_client, "/a", async_note, NULL);
    RUN_UNTIL(session_client, async_told.times == 2);
    IS(async_told.code, TL_OK);
    tl_abandon(session_client);
}

static void a_session_is_over_in_time_though_nobody_looked(void)
{
    async_forget();
    open_session();
    async_mute = true;
    usleep((SESSION_MS + 20) * 1000);
    IS(tl_session(session_client), TL_SESSION_OVER);
    IS(tl_session_left_ms(session_client), 0);
    tl_abandon(session_client);
}

static void ending_the_session_does_not_wait(void)
{
    async_forget();
    open_session();
    tl_end_session(session_client);
    IS(states_count, 1);
    RUN_UNTIL(session_client, states_count == 2);
    IS(states[1], TL_SESSION_OVER);
    tl_close(session_client);
}

/* --- locks --- */

static void a_lock_is_taken_and_given_back(void)
{
    tl_client *c = async_open_client(&(tl_options){ .session_timeout_ms = 1000 });

    async_forget();
    tl_lock_acquire_async(c, "/lock", 0, async_note, NULL);
    RUN_UNTIL(c, async_told.times == 1);
    STR(async_told.lock.path, "/lock/holder");
    IS(async_told.lock.token, 123);
    tl_lock_release_async(c, &(tl_lock){ "/lock/holder", 123 }, async_note, NULL);
    RUN_UNTIL(c, async_told.times == 2);
    IS(async_told.code, TL_OK);
    IS(async_releases_heard, 1);
    tl_close(c);
}

static void wait_for_a_late_lock_and_cancel(tl_client *c)
{
    const uint64_t handle = tl_lock_acquire_async(c, "/late", 0, async_note, NULL);

    RUN_UNTIL(c, async_heard_count == 1);
    tl_cancel(c, handle);
}

static void a_lock_granted_to_who_cancelled_is_given_back(void)
{
    tl_client *c = async_open_client(&(tl_options){ .session_timeout_ms = 1000 });

    async_forget();
    async_grants_late = true;
    wait_for_a_late_lock_and_cancel(c);
    RUN_UNTIL(c, async_releases_heard == 1);
    IS(async_told.times, 0);
    tl_close(c);
    async_forget();
    c = async_open_client(&(tl_options){ .session_timeout_ms = 1000 });
    wait_for_a_late_lock_and_cancel(c);
    tl_get_async(c, "/then", async_note, NULL);
    RUN_UNTIL(c, async_told.times == 1);
    tl_close(c);
    IS(async_releases_heard, 0);
    IS(async_told.times, 1);
}

/* --- the prefix --- */

static char event_path[64];
static int event_count;

static void note_event(void *ctx, const tl_event *e)
{
    (void) ctx;
    event_count++;
    if (e->kind == TL_EVENT_CHANGED) snprintf(event_path, sizeof event_path, "%s", e->path);
}

static void a_prefix_stands_before_every_path_and_is_taken_off_again(void)
{
    const tl_guard guard = { "/lock/holder", 1 };
    const tl_op ops[] = { { .kind = TL_OP_SET, .path = "/m", .version = -1 } };
    tl_client *c = async_open_client(&(tl_options){ .prefix = "/apps/a",
                                              .session_timeout_ms = 1000 });
    uint64_t handle = 0;
    char *path = tl_path(c, "/x");

    async_forget();
    event_count = 0;
    tl_create_async(c, "/n", "", 0, 0, NULL, async_note, NULL);
    RUN_UNTIL(c, async_told.times == 1);
    STR(async_told.path, "/n");
    tl_set_async(c, "/n", "", 0, -1, &guard, async_note, NULL);
    tl_multi_async(c, ops, 1, async_note, NULL);
    tl_lock_try_async(c, "/lock", async_note, NULL);
    RUN_UNTIL(c, async_told.times == 4);
    STR(async_told.lock.path, "/lock/holder");
    IS(tl_watch(c, "/w", 0, note_event, NULL, &handle), TL_OK);
    RUN_UNTIL(c, event_count == 2);
    STR(event_path, "/w");
    STR(async_heard[0], "/apps/a/n");
    STR(async_heard[1], "/apps/a/n");
    STR(async_heard[2], "/apps/a/lock/holder");
    STR(async_heard[3], "/apps/a/m");
    STR(async_heard[4], "/apps/a/lock");
    STR(async_heard[5], "/apps/a/w");
    STR(path, "/apps/a/x");
    tl_free(path);
    tl_close(c);
}

static void the_prefix_cannot_be_left(void)
{
    tl_client *c = async_open_client(&(tl_options){ .prefix = "/apps/a" });

    async_forget();
    tl_get_async(c, "/", async_note, NULL);
    tl_create_async(c, "/", "", 0, TL_SEQUENTIAL, NULL, async_note, NULL);
    tl_get_async(c, "b", async_note, NULL);
    tl_get_async(c, "", async_note, NULL);
    RUN_UNTIL(c, async_told.times == 4);
    IS(async_heard_count, 2);
    STR(async_heard[0], "/apps/a");
    STR(async_heard[1], "/apps/a/");
    event_count = 0;
    IS(tl_watch(c, "/", 0, note_event, NULL, &(uint64_t){ 0 }), TL_OK);
    RUN_UNTIL(c, event_count == 2);
    STR(event_path, "/");
    tl_close(c);
}

static void a_malformed_prefix_is_refused(void)
{
    static const char *const bad[] = { "a", "/", "/a/", "//a", "/a//b", "/./a", "/a/.." };
    static const char *const good[] = { "", "/a", "/a/b.c", "/...", "/..a" };
    tl_options o = { .servers = async_address };
    tl_client *c = NULL;

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        o.prefix = bad[i];
        IS(tl_open(&o, &c), TL_CONFIG);
        OK(c == NULL && strstr(tl_message(), "prefix") != NULL);
    }
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        o.prefix = good[i];
        IS(tl_open(&o, &c), TL_OK);
        tl_close(c);
    }
}

/* --- watches and values --- */

static uint64_t watch_handle;

static void unwatch_at_once(void *ctx, const tl_event *e)
{
    (void) e;
    event_count++;
    tl_unwatch(ctx, watch_handle);
}

static void a_watch_may_be_ended_by_its_own_callback(void)
{
    tl_client *c = async_open_client(NULL);

    async_forget();
    event_count = 0;
    IS(tl_watch(c, "/w", 0, unwatch_at_once, c, &watch_handle), TL_OK);
    RUN_UNTIL(c, event_count == 1);
    tl_get_async(c, "/then", async_note, NULL);
    RUN_UNTIL(c, async_told.times == 1);
    tl_close(c);
    IS(event_count, 1);
}

static void a_map_is_made_and_read(void)
{
    const tl_pair pairs[] = { { .name = "path", .text = "/a" },
                              { .name = "count", .number = -3 } };
    const char *text = NULL;
    int64_t number = 0;
    size_t len = 0, text_len = 0;
    void *map = tl_map(pairs, 2, &len);

    OK(tl_value_text(map, len, "path", &text, &text_len));
    OK(text_len == 2 && memcmp(text, "/a", 2) == 0);
    OK(tl_value_number(map, len, "count", &number));
    IS(number, -3);
    OK(!tl_value_text(map, len, "count", &text, &text_len));
    OK(!tl_value_number(map, len, "other", &number));
    OK(!tl_value_number(map, len - 1, "count", &number));
    OK(!tl_value_number(NULL, 0, "count", &number));
    OK(!tl_value_number("\xcf\xff\xff\xff\xff\xff\xff\xff\xff", 9, NULL, &number));
    OK(tl_value_number("\x07", 1, NULL, &number));
    IS(number, 7);
    tl_free(map);
}

int main(void)
{
    async_begin();
    TEST(a_session_is_kept_alive_by_the_loop);
    TEST(a_session_in_jeopardy_is_told_before_its_end_and_again_when_safe);
    TEST(a_session_ends_by_the_local_clock_when_no_server_answers);
    TEST(a_session_is_over_in_time_though_nobody_looked);
    TEST(ending_the_session_does_not_wait);
    TEST(a_lock_is_taken_and_given_back);
    TEST(a_lock_granted_to_who_cancelled_is_given_back);
    TEST(a_prefix_stands_before_every_path_and_is_taken_off_again);
    TEST(the_prefix_cannot_be_left);
    TEST(a_malformed_prefix_is_refused);
    TEST(a_watch_may_be_ended_by_its_own_callback);
    TEST(a_map_is_made_and_read);
    async_end();
    return tap_done();
}
