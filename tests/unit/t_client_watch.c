/* t_client_watch.c -- the client's watches, one rule a test.
 *
 * Method: the core talks to a server that this file plays. What it asks is kept as `asked`,
 * what it tells as one line of text. The storm plays a server that really keeps a history
 * of zxids, loses connections, lags and forgets, and demands every zxid once (B5) unless
 * LAGGED was told.  Replay: SEED=<n> ./t_client_watch */
#include <stdarg.h>
#include <stdlib.h>

#include "core/base/check.h"
#include "core/base/rng.h"
#include "core/client/core.h"
#include "tests/lib/tap.h"

enum { ASKED_MAX = 8192 };

struct asked {
    uint32_t msgid;
    enum method method;
    uint64_t watch, since;
    bool resumes;
};

static struct client_core *core;
static uint64_t now = 1000;
static struct asked asked[ASKED_MAX];
static size_t asked_count;
static char told[2048];

static void put(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void put(const char *format, ...)
{
    const size_t at = strlen(told);
    va_list args;

    va_start(args, format);
    vsnprintf(told + at, sizeof told - at, format, args);
    va_end(args);
}

static const char *take(void)
{
    static char was[sizeof told];

    memcpy(was, told, sizeof told);
    told[0] = '\0';
    return was;
}

static void note(void *ctx, const struct client_event *e)
{
    static const char *const names[] = { "?",        "created", "changed", "deleted",
                                         "children", "armed",   "lagged",  "ended" };

    put("%s %s %d", (const char *) ctx, names[e->kind],
        e->kind == CLIENT_EVENT_ENDED ? e->code : (int) e->zxid);
    if (e->data.ptr != NULL) put("=%.*s", (int) e->data.len, (const char *) e->data.ptr);
    put("; ");
}

static const msgpack_object *option(const msgpack_object *params, const char *name)
{
    return rpc_member(&params->via.array.ptr[params->via.array.size - 1], name);
}

static void hear(void)
{
    struct buf *out = client_core_output(core);
    msgpack_zone *zone = msgpack_zone_new(512);
    struct rpc_values values;
    struct rpc_scan scan;
    struct rpc_message m;
    size_t len;

    rpc_scan_init(&scan);
    while (rpc_scan(&scan, buf_bytes(out), RPC_BYTES_MAX, &len) == RPC_SCAN_WHOLE) {
        CHECK(rpc_decode(bytes_of(out->ptr, len), zone, &m) == 0);
        CHECK(rpc_check(&m, &values) == 0);
        struct asked *a = &asked[asked_count++ % ASKED_MAX];
        *a = (struct asked){ .msgid = m.msgid, .method = m.method };
        if (m.method == METHOD_WATCH) {
            a->watch = values.at[1].number;
            a->since = rpc_uint(option(m.params, "since"), 0);
            a->resumes = option(m.params, "since") != NULL;
        }
        if (m.method == METHOD_UNWATCH) a->watch = values.at[0].number;
        buf_drop(out, len);
    }
    msgpack_zone_free(zone);
}

static const struct asked *newest(enum method method)
{
    hear();
    for (size_t i = asked_count; i > 0; i--) {
        if (asked[(i - 1) % ASKED_MAX].method == method) return &asked[(i - 1) % ASKED_MAX];
    }
    return &(const struct asked){ 0 };
}

static size_t count_of(enum method method)
{
    size_t count = 0;

    hear();
    for (size_t i = 0; i < asked_count; i++) count += asked[i].method == method;
    return count;
}

static int say(struct buf *b)
{
    const int code = client_core_input(core, now, buf_bytes(b));

    buf_fini(b);
    return code;
}

static void say_zxid(uint32_t msgid, uint64_t zxid)
{
    struct buf b = { 0 };

    rpc_response_begin(&b, msgid);
    pack_map(&b, 2);
    pack_cstr(&b, "zxid");
    pack_uint(&b, zxid);
    pack_cstr(&b, "proto");
    pack_uint(&b, 1);
    IS(say(&b), 0);
}

static void say_error(uint32_t msgid, int code)
{
    struct buf b = { 0 };

    rpc_error(&b, msgid, code, NULL);
    IS(say(&b), 0);
}

static void put_event(struct buf *b, uint64_t watch, const char *kind)
{
    pack_array(b, 4);
    pack_uint(b, watch);
    pack_cstr(b, kind);
    pack_cstr(b, "/a");
    pack_bin(b, BYTES_LIT("v"));
}

static void begin_events(struct buf *b, uint64_t zxid, uint32_t count)
{
    rpc_notification_begin(b, "events");
    pack_array(b, 2);
    pack_uint(b, zxid);
    pack_array(b, count);
}

static void say_event(uint64_t watch, uint64_t zxid)
{
    struct buf b = { 0 };

    begin_events(&b, zxid, 1);
    put_event(&b, watch, "changed");
    IS(say(&b), 0);
}

static void say_lagged(uint64_t zxid)
{
    struct buf b = { 0 };

    rpc_notification_begin(&b, "lagged");
    pack_array(&b, 1);
    pack_uint(&b, zxid);
    IS(say(&b), 0);
}

static void connect_again(void)
{
    asked_count = 0;
    client_core_connected(core, now);
    say_zxid(newest(METHOD_HELLO)->msgid, 0);
    hear();
}

static void reconnect(void)
{
    client_core_disconnected(core, now);
    connect_again();
}

static void open_core(void)
{
    core = client_core_new(&(struct client_core_config){ .seed = 1 });
    told[0] = '\0';
    connect_again();
}

static uint64_t watch(const char *name, bool once)
{
    return client_core_watch(core, now,
                             &(struct client_watch){ .path = BYTES_LIT("/a"),
                                                     .data = true,
                                                     .once = once,
                                                     .fn = note,
                                                     .ctx = (void *) (uintptr_t) name });
}

static uint64_t armed_watch(const char *name, uint64_t zxid)
{
    const uint64_t w = watch(name, false);

    say_zxid(newest(METHOD_WATCH)->msgid, zxid);
    take();
    return w;
}

static void a_watch_is_armed_and_then_tells(void)
{
    open_core();
    const uint64_t w = watch("a", false);
    IS(newest(METHOD_WATCH)->watch, w);
    OK(!newest(METHOD_WATCH)->resumes);
    say_zxid(newest(METHOD_WATCH)->msgid, 10);
    say_event(w, 11);
    say_event(w, 12);
    STR(take(), "a armed 10; a changed 11=v; a changed 12=v; ");
    client_core_free(core);
    STR(take(), "a ended -66; ");
}

static void a_lost_connection_is_gone_on_from_the_last_event(void)
{
    open_core();
    const uint64_t w = armed_watch("a", 10);
    say_event(w, 15);
    reconnect();
    OK(newest(METHOD_WATCH)->resumes);
    IS(newest(METHOD_WATCH)->since, 15);
    say_event(w, 15); /* a server that says it twice all the same */
    say_event(w, 16);
    say_zxid(newest(METHOD_WATCH)->msgid, 20);
    STR(take(), "a changed 15=v; a changed 16=v; ");
    client_core_free(core);
}

static void any_answer_with_a_zxid_says_how_far_armed_watches_are_complete(void)
{
    open_core();
    (void) armed_watch("a", 10);
    now += 2000;
    (void) client_core_tick(core, now);
    say_zxid(newest(METHOD_STAT)->msgid, 500); /* its look, for want of a session */
    reconnect();
    IS(newest(METHOD_WATCH)->since, 500);
    client_core_free(core);
}

static void one_that_is_not_armed_yet_is_not_complete_by_it(void)
{
    open_core();
    const uint64_t w = armed_watch("a", 10);
    reconnect();
    now += 2000;
    (void) client_core_tick(core, now);
    say_event(w, 12); /* replayed, the answer is to come */
    say_zxid(newest(METHOD_STAT)->msgid, 500);
    reconnect();
    IS(newest(METHOD_WATCH)->since, 12);
    client_core_free(core);
}

static void what_another_connection_named_does_not_count(void)
{
    open_core();
    (void) armed_watch("a", 10);
    say_zxid(newest(METHOD_HELLO)->msgid, 500); /* whatever it answers */
    reconnect();
    (void) armed_watch("b", 40);
    reconnect();
    const size_t last = asked_count - 1;
    IS(asked[last].since, 40);
    IS(asked[last - 1].since, 500);
    client_core_free(core);
}

static void what_is_being_asked_is_not_asked_twice_for_a_lag(void)
{
    open_core();
    (void) armed_watch("a", 10);
    (void) watch("b", false);
    const uint32_t msgid = newest(METHOD_WATCH)->msgid;
    say_lagged(30);
    IS(count_of(METHOD_WATCH), 3);
    say_zxid(msgid, 40);
    STR(take(), "b armed 40; ");
    client_core_free(core);
}

static void events_of_one_transaction_are_all_told(void)
{
    struct buf b = { 0 };

    open_core();
    const uint64_t w = armed_watch("a", 10);
    begin_events(&b, 11, 2);
    put_event(&b, w, "deleted");
    put_event(&b, w, "created");
    IS(say(&b), 0);
    STR(take(), "a deleted 11=v; a created 11=v; ");
    client_core_free(core);
}

static void what_the_servers_forgot_is_told_once_it_is_armed_again(void)
{
    open_core();
    const uint64_t w = armed_watch("a", 10);
    reconnect();
    say_error(newest(METHOD_WATCH)->msgid, ERR_LAGGED);
    OK(!newest(METHOD_WATCH)->resumes);
    STR(take(), "");
    say_zxid(newest(METHOD_WATCH)->msgid, 90);
    say_event(w, 91);
    STR(take(), "a lagged 90; a changed 91=v; ");
    client_core_free(core);
}

static void one_that_did_not_read_fast_enough_asks_for_the_rest(void)
{
    open_core();
    const uint64_t w = armed_watch("a", 10);
    say_event(w, 11);
    say_lagged(30);
    IS(count_of(METHOD_WATCH), 2);
    IS(newest(METHOD_WATCH)->since, 30);
    say_event(w, 31);
    say_zxid(newest(METHOD_WATCH)->msgid, 40);
    STR(take(), "a changed 11=v; a changed 31=v; ");
    client_core_free(core);
}

static void armed_once_it_is_gone_after_its_event(void)
{
    open_core();
    const uint64_t w = watch("a", true);
    say_zxid(newest(METHOD_WATCH)->msgid, 10);
    say_event(w, 11);
    say_event(w, 12);
    reconnect();
    IS(count_of(METHOD_WATCH), 0);
    client_core_free(core);
    STR(take(), "a armed 10; a changed 11=v; ");
}

static void fired_by_replay_it_is_gone_before_its_answer(void)
{
    open_core();
    const uint64_t w = watch("a", true);
    say_zxid(newest(METHOD_WATCH)->msgid, 10);
    reconnect();
    const uint32_t msgid = newest(METHOD_WATCH)->msgid;
    say_event(w, 11);
    say_zxid(msgid, 12);
    client_core_free(core);
    STR(take(), "a armed 10; a changed 11=v; ");
}

static void an_unwatched_one_is_silent_and_the_server_hears_of_it(void)
{
    open_core();
    const uint64_t w = armed_watch("a", 10);
    OK(client_core_unwatch(core, now, w) != NULL);
    OK(client_core_unwatch(core, now, w) == NULL);
    IS(newest(METHOD_UNWATCH)->watch, w);
    say_event(w, 11);
    reconnect();
    IS(count_of(METHOD_WATCH), 0);
    client_core_free(core);
    STR(take(), "");
}

static void a_refused_watch_ends_with_the_code(void)
{
    open_core();
    (void) watch("a", false);
    say_error(newest(METHOD_WATCH)->msgid, ERR_BAD_PATH);
    STR(take(), "a ended -7; ");
    client_core_free(core);
    STR(take(), "");
}

static void not_all_are_armed_at_once(void)
{
    const uint32_t all = CLIENT_WATCHES_MAX < 3000 ? CLIENT_WATCHES_MAX : 3000;
    size_t answered = 0;

    open_core();
    for (uint32_t i = 0; i < all; i++) OK(watch("", false) != 0);
    hear();
    OK(asked_count < all);
    while (answered < asked_count) {
        if (asked[answered].method == METHOD_WATCH) say_zxid(asked[answered].msgid, 10);
        answered++;
        hear();
    }
    IS(count_of(METHOD_WATCH), all);
    client_core_free(core);
}

static void malformed_events_end_the_connection(void)
{
    struct buf b = { 0 };

    open_core();
    rpc_notification_begin(&b, "events");
    pack_array(&b, 2);
    pack_uint(&b, 1);
    pack_nil(&b);
    IS(say(&b), ERR_BAD_MESSAGE);
    begin_events(&b, 11, 1);
    pack_uint(&b, 5);
    IS(say(&b), ERR_BAD_MESSAGE);
    client_core_free(core);
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
    asked_count = 0;
    hear();
    for (size_t i = 0; i < asked_count; i++) {
        if (asked[i].method == METHOD_STAT) say_zxid(asked[i].msgid, server_zxid);
        if (asked[i].method != METHOD_WATCH) continue;
        server_asked_msgid = asked[i].msgid;
        server_resumes = asked[i].resumes;
        server_since = server_sent = asked[i].since;
    }
}

/* Replays a part, or all, and then arms. */
static void server_answers(struct rng *rng)
{
    if (server_asked_msgid == 0) return;
    if (server_resumes && server_since < forgotten) {
        say_error((uint32_t) server_asked_msgid, ERR_LAGGED);
        server_asked_msgid = 0;
        return;
    }
    while (server_resumes && server_sent < server_zxid) {
        say_event(server_watch, ++server_sent);
        if (rng_below(rng, 4) == 0) return;
    }
    say_zxid((uint32_t) server_asked_msgid, server_zxid);
    server_asked_msgid = 0;
    server_armed = true;
}

static void server_changes(void)
{
    server_zxid++;
    if (server_armed) say_event(server_watch, server_zxid);
}

static void server_is_lost(void)
{
    server_armed = false;
    server_asked_msgid = 0;
    client_core_disconnected(core, now);
    client_core_connected(core, now);
    asked_count = 0;
    say_zxid(newest(METHOD_HELLO)->msgid, 0);
}

static void storm_step(struct rng *rng)
{
    const uint64_t dice = rng_below(rng, 100);

    now += rng_below(rng, 300);
    (void) client_core_tick(core, now);
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
        say_lagged(server_zxid);
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
    open_core();
    server_watch = client_core_watch(core, now,
                                     &(struct client_watch){ .path = BYTES_LIT("/a"),
                                                             .data = true,
                                                             .fn = judge });
    for (int step = 0; step < STEPS; step++) storm_step(&rng);
    IS(gaps, 0);
    IS(doubled, 0);
    OK(last_told > STEPS / 4);
    client_core_free(core);
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
