/* t_client_objects.c -- elections, observers and followed configurations, one rule a test.
 *
 * Method: a server in a thread plays the recipes, of one election and one value, as far as
 * a client can see them. Setting the node /tell makes it tell of an event: "deleted" tells
 * the newest watch of that, at the next zxid. The program is a loop that polls tl_fd(). */
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "core/client/tidelock.h"
#include "tests/lib/fake_server.h"
#include "tests/lib/tap.h"

enum { LIMIT_MS = 5000, TOKEN = 41, TOLD_MAX = 32 };

static char address[64];
static atomic_int newest, oldest, page; /* versions; page: how many an answer */
static atomic_int calls_heard, queries_heard, resigns_heard, campaigns_heard;
static atomic_bool reads_only, campaign_waits, nobody_leads, refuses, forgets;
static atomic_ullong zxid, session_ms, token_seen, node_zxid;
static atomic_bool late; /* the next query is answered behind the next event */
static uint32_t late_msgid;
static char watch_path[64];
static uint64_t watch_number;
static uint32_t campaign_msgid;

static void put_version(struct buf *b, int number)
{
    char data[16];

    snprintf(data, sizeof data, "v%d", number);
    pack_map(b, 3);
    pack_cstr(b, "version");
    pack_int(b, number);
    pack_cstr(b, "data");
    pack_cstr(b, data);
    pack_cstr(b, "zxid");
    pack_int(b, 100 + number);
}

static void put_value(struct buf *b, uint32_t msgid)
{
    rpc_response_begin(b, msgid);
    pack_map(b, 1);
    pack_cstr(b, "value");
}

static void answer_history(struct buf *b, int after)
{
    const int first = after + 1 > oldest ? after + 1 : oldest;
    const int last = newest - first + 1 > page ? first + page - 1 : newest;

    pack_map(b, 3);
    pack_cstr(b, "versions");
    pack_array(b, last >= first ? (uint32_t) (last - first + 1) : 0);
    for (int i = first; i <= last; i++) put_version(b, i);
    pack_cstr(b, "skipped");
    pack_bool(b, first > after + 1 && last >= first);
    pack_cstr(b, "more");
    pack_bool(b, last < newest);
}

static void put_grant(struct buf *b)
{
    pack_map(b, 2);
    pack_cstr(b, "path");
    pack_cstr(b, "/e/leader");
    pack_cstr(b, "token");
    pack_uint(b, TOKEN);
}

static void answer_function(const struct rpc_message *m, struct buf *b)
{
    const struct bytes function = rpc_bytes(&m->params->via.array.ptr[0]);
    const msgpack_object *args = &m->params->via.array.ptr[1];
    const bool is_config = function.len > 6 && memcmp(function.ptr, "config", 6) == 0;

    if (is_config && late) {
        late = false;
        late_msgid = m->msgid;
    } else if (is_config && refuses) {
        rpc_error(b, m->msgid, ERR_REFUSED, "it must be deleted");
    } else if (is_config && m->method == METHOD_QUERY && reads_only) {
        rpc_error(b, m->msgid, ERR_READ_ONLY, NULL);
    } else if (bytes_equal(function, bytes_str("config.get"))) {
        put_value(b, m->msgid);
        if (newest == 0) pack_nil(b);
        if (newest > 0) put_version(b, newest);
    } else if (is_config) {
        put_value(b, m->msgid);
        answer_history(b, (int) rpc_int(rpc_member(args, "after"), 0));
    } else if (bytes_equal(function, bytes_str("election.campaign"))) {
        campaigns_heard++;
        campaign_msgid = m->msgid;
        if (campaign_waits) return;
        put_value(b, m->msgid);
        put_grant(b);
    } else {
        resigns_heard++;
        put_value(b, m->msgid);
        pack_map(b, 0);
    }
}

/* Of the leader's node. */
static void answer_node(const struct rpc_message *m, struct buf *b)
{
    if (nobody_leads) {
        rpc_error(b, m->msgid, ERR_NO_NODE, NULL);
        return;
    }
    rpc_response_begin(b, m->msgid);
    pack_map(b, 2);
    pack_cstr(b, "data");
    pack_cstr(b, "ann");
    pack_cstr(b, "stat");
    pack_map(b, 2);
    pack_cstr(b, "czxid");
    pack_uint(b, token_seen);
    pack_cstr(b, "mzxid");
    pack_uint(b, node_zxid);
}

static void answer_watch(const struct rpc_message *m, struct buf *b)
{
    const struct bytes path = rpc_bytes(&m->params->via.array.ptr[0]);

    if (forgets && rpc_member(&m->params->via.array.ptr[2], "since") != NULL) {
        forgets = false;
        rpc_error(b, m->msgid, ERR_LAGGED, NULL);
        return;
    }
    snprintf(watch_path, sizeof watch_path, "%.*s", (int) path.len, path.ptr);
    watch_number = m->params->via.array.ptr[1].via.u64;
    rpc_response_begin(b, m->msgid);
    pack_map(b, 1);
    pack_cstr(b, "zxid");
    pack_uint(b, zxid);
}

/* "lagged": what is armed is dropped. */
static void tell_event(struct buf *b, struct bytes kind)
{
    if (bytes_equal(kind, bytes_str("lagged"))) {
        rpc_notification_begin(b, "lagged");
        pack_array(b, 2);
        pack_uint(b, ++zxid);
        pack_array(b, 1);
        pack_uint(b, watch_number);
        return;
    }
    rpc_notification_begin(b, "events");
    pack_array(b, 2);
    pack_uint(b, ++zxid);
    pack_array(b, 1);
    pack_array(b, 4);
    pack_uint(b, watch_number);
    pack_str(b, kind);
    pack_cstr(b, watch_path);
    pack_bin(b, BYTES_LIT("bob"));
}

static bool answer(const struct rpc_message *m, struct buf *b)
{
    const msgpack_object *at = m->params->via.array.ptr;

    if (m->method == METHOD_CALL || m->method == METHOD_QUERY) {
        answer_function(m, b);
    } else if (m->method == METHOD_WATCH) {
        answer_watch(m, b);
    } else if (m->method == METHOD_GET || m->method == METHOD_STAT) {
        answer_node(m, b);
    } else if (m->method == METHOD_CALL_CANCEL) {
        rpc_error(b, campaign_msgid, ERR_CANCELLED, NULL);
        rpc_response_begin(b, m->msgid);
        pack_map(b, 0);
    } else if (m->method == METHOD_SESSION_RENEW && session_ms < 1000) {
        return true; /* such a session is left to expire */
    } else {
        if (m->method == METHOD_SET) tell_event(b, rpc_bytes(&at[1]));
        if (m->method == METHOD_SET && late_msgid != 0) {
            put_value(b, late_msgid);
            put_version(b, 1);
            late_msgid = 0;
        }
        rpc_response_begin(b, m->msgid);
        if (m->method == METHOD_HELLO) {
            fake_put_hello(b);
        } else if (m->method == METHOD_SESSION_OPEN) {
            fake_put_session(b, session_ms);
        } else {
            pack_map(b, 0);
        }
    }
    calls_heard += m->method == METHOD_CALL; /* and answered */
    queries_heard += m->method == METHOD_QUERY;
    return true;
}

/* --- the program --- */

static tl_client *client;

static int64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int turn(void)
{
    struct pollfd fd = { .fd = tl_fd(client), .events = POLLIN };

    return poll(&fd, 1, LIMIT_MS) == 1 ? tl_process(client) : TL_TIMEOUT;
}

#define RUN_UNTIL(fact)                                                                    \
    do {                                                                                   \
        const int64_t until_ = now_ms() + LIMIT_MS;                                        \
        while (!(fact) && now_ms() < until_ && turn() == 0) continue;                      \
        OK(fact);                                                                          \
    } while (0)

/* All that an object told, one line each. */
static char told[TOLD_MAX][64];
static int told_count;

#define NOTE(...)                                                                          \
    do {                                                                                   \
        if (told_count < TOLD_MAX) {                                                       \
            snprintf(told[told_count++], sizeof told[0], __VA_ARGS__);                     \
        }                                                                                  \
    } while (0)

static void begin(void)
{
    const tl_options o = { .servers = address, .session_timeout_ms = 5000 };

    newest = oldest = 1;
    page = 100;
    zxid = node_zxid = 50;
    token_seen = TOKEN;
    if (session_ms == 0) session_ms = 5000;
    calls_heard = queries_heard = resigns_heard = campaigns_heard = told_count = 0;
    reads_only = campaign_waits = nobody_leads = refuses = forgets = late = false;
    IS(tl_open(&o, &client), TL_OK);
}

static void end(void)
{
    tl_close(client);
    session_ms = 0;
}

static void on_set(void *ctx, const tl_result *r)
{
    (void) r;
    ++*(int *) ctx;
}

/* The newest watch is told of an event of that kind. */
static void tell(const char *kind)
{
    int done = 0;

    tl_set_async(client, "/tell", kind, strlen(kind), -1, NULL, on_set, &done);
    RUN_UNTIL(done == 1);
}

/* --- configuration --- */

static tl_config *config;

static void on_version(void *ctx, const tl_version *v)
{
    (void) ctx;
    if (v->code != 0) {
        NOTE("end %d", v->code);
    } else {
        NOTE("%d %s%s", (int) v->number, v->data, v->skipped ? " skipped" : "");
    }
}

static void follow(void)
{
    IS(tl_config_open(client, "/c", on_version, NULL, &config), TL_OK);
    IS(told_count, 0);
}

static void the_newest_version_is_told_first_and_then_each_newer_one(void)
{
    begin();
    newest = 3;
    follow();
    RUN_UNTIL(told_count == 1);
    newest = 6;
    tell("changed");
    RUN_UNTIL(told_count == 4);
    STR(told[0], "3 v3");
    STR(told[1], "4 v4");
    STR(told[3], "6 v6");
    tell("changed"); /* of what was told already */
    IS(told_count, 4);
    IS(calls_heard, 0);
    end();
    STR(told[4], "end -66");
}

static void versions_come_page_by_page_and_gaps_are_told(void)
{
    begin();
    follow();
    RUN_UNTIL(told_count == 1);
    page = 2;
    oldest = 4;
    newest = 8;
    tell("changed");
    RUN_UNTIL(told_count == 6);
    STR(told[1], "4 v4 skipped");
    STR(told[2], "5 v5");
    STR(told[5], "8 v8");
    end();
}

static void nothing_is_told_until_the_first_version_is_stored(void)
{
    begin();
    newest = 0;
    follow();
    RUN_UNTIL(queries_heard == 1);
    tell("created");
    RUN_UNTIL(queries_heard == 2);
    IS(told_count, 0);
    newest = 2;
    tell("changed");
    RUN_UNTIL(told_count == 2);
    STR(told[0], "1 v1");
    end();
}

static void the_recipe_is_called_only_when_it_has_to_write(void)
{
    begin();
    reads_only = true;
    follow();
    RUN_UNTIL(told_count == 1);
    IS(calls_heard, 1);
    reads_only = false;
    newest = 2;
    tell("changed");
    RUN_UNTIL(told_count == 2);
    IS(calls_heard, 1);
    end();
}

static void what_changes_during_the_question_is_asked_for(void)
{
    begin();
    late = true;
    follow();
    RUN_UNTIL(queries_heard == 1);
    newest = 2;
    tell("changed");
    RUN_UNTIL(told_count == 2);
    STR(told[0], "1 v1");
    STR(told[1], "2 v2");
    end();
}

static void what_cannot_be_followed_is_told_once(void)
{
    begin();
    refuses = true;
    follow();
    RUN_UNTIL(told_count == 1);
    STR(told[0], "end -19");
    tell("changed");
    end();
    IS(told_count, 1);
}

static void close_config(void *ctx, const tl_version *v)
{
    on_version(ctx, v);
    tl_config_close(config);
}

static void a_callback_may_close_its_object(void)
{
    begin();
    newest = 0;
    IS(tl_config_open(client, "/c", close_config, NULL, &config), TL_OK);
    RUN_UNTIL(queries_heard == 1);
    tell("changed");
    RUN_UNTIL(queries_heard == 2);
    newest = 3; /* three versions in one answer */
    tell("changed");
    RUN_UNTIL(told_count == 1);
    tell("changed");
    end();
    IS(told_count, 1);
}

/* --- election --- */

static tl_election *election;

static void on_term(void *ctx, const tl_term *t)
{
    (void) ctx;
    if (t->leads) {
        NOTE("leads %s %d", t->guard.path, (int) t->guard.token);
    } else {
        NOTE("over %d", t->code);
    }
}

static void stand(void)
{
    IS(tl_election_open(client, "/e", "me", on_term, NULL, &election), TL_OK);
    IS(told_count, 0);
}

static void lead(void)
{
    stand();
    RUN_UNTIL(told_count == 1);
    STR(told[0], "leads /e/leader 41");
    tell("children"); /* by now the watch stands */
}

static void who_resigns_is_told_and_may_stand_again(void)
{
    begin();
    lead();
    tl_election_stand(election);
    tell("children");
    IS(campaigns_heard, 1);
    tl_election_resign(election);
    tl_election_resign(election);
    IS(told_count, 1);
    RUN_UNTIL(told_count == 2);
    STR(told[1], "over 0");
    IS(resigns_heard, 1);
    tl_election_stand(election);
    RUN_UNTIL(told_count == 3);
    STR(told[2], "leads /e/leader 41");
    tl_election_close(election);
    end();
    IS(told_count, 3);
    IS(resigns_heard, 2);
}

static void a_term_that_somebody_else_ended_is_over(void)
{
    begin();
    lead();
    tell("changed"); /* another value: no matter */
    IS(told_count, 1);
    tell("deleted");
    RUN_UNTIL(told_count == 2);
    STR(told[1], "over -1");
    tell("created");
    IS(told_count, 2);
    tl_election_close(election);
    end();
    IS(resigns_heard, 0);
}

static void a_term_that_ended_before_its_watch_stood_is_over(void)
{
    begin();
    token_seen = TOKEN + 1;
    stand();
    RUN_UNTIL(told_count == 2);
    STR(told[1], "over -1");
    end();
}

static void a_candidacy_can_be_given_up(void)
{
    begin();
    campaign_waits = true;
    stand();
    RUN_UNTIL(campaigns_heard == 1);
    tl_election_resign(election);
    RUN_UNTIL(told_count == 1);
    STR(told[0], "over 0");
    IS(resigns_heard, 0);
    end();
    IS(told_count, 1);
    begin();
    stand();
    tl_election_resign(election); /* before any server was asked */
    RUN_UNTIL(told_count == 1);
    STR(told[0], "over 0");
    IS(campaigns_heard, 0);
    end();
}

static void a_term_is_over_with_its_session(void)
{
    session_ms = 500;
    begin();
    lead();
    RUN_UNTIL(told_count == 2);
    STR(told[1], "over -9");
    IS(tl_session(client), TL_SESSION_OVER);
    tl_election_stand(election);
    RUN_UNTIL(told_count == 3);
    STR(told[2], "over -9");
    end();
}

static void an_election_needs_a_session(void)
{
    const tl_options o = { .servers = address };

    begin();
    tl_close(client);
    IS(tl_open(&o, &client), TL_OK);
    IS(tl_election_open(client, "/e", NULL, on_term, NULL, &election), TL_CONFIG);
    IS(tl_election_open(client, "e", NULL, on_term, NULL, &election), TL_BAD_PATH);
    OK(election == NULL);
    end();
}

/* --- who leads --- */

static tl_observer *observer;

static void on_leader(void *ctx, const tl_leader *l)
{
    (void) ctx;
    if (l->code != 0) {
        NOTE("end %d", l->code);
    } else {
        NOTE("%d %s%s", (int) l->token, l->value == NULL ? "none" : l->value,
             l->lagged ? " lagged" : "");
    }
}

static void observe(void)
{
    IS(tl_observer_open(client, "/e", on_leader, NULL, &observer), TL_OK);
}

static void who_leads_is_told_at_first_and_at_each_change(void)
{
    begin();
    observe();
    RUN_UNTIL(told_count == 1);
    STR(told[0], "41 ann");
    tell("deleted");
    tell("created");
    tell("changed");
    STR(told[1], "0 none");
    STR(told[2], "52 bob");
    STR(told[3], "52 bob");
    IS(told_count, 4);
    STR(watch_path, "/e/leader");
    tl_observer_close(observer);
    end();
    IS(told_count, 4);
}

static void what_was_before_the_read_is_not_told_behind_it(void)
{
    begin();
    node_zxid = 52;
    observe();
    RUN_UNTIL(told_count == 1);
    tell("deleted"); /* at 51 */
    tell("created"); /* at 52 */
    IS(told_count, 1);
    tell("deleted");
    IS(told_count, 2);
    end();
}

static void that_nobody_leads_is_told_once(void)
{
    begin();
    nobody_leads = true;
    observe();
    RUN_UNTIL(told_count == 1);
    STR(told[0], "0 none");
    tell("deleted");
    IS(told_count, 1);
    tell("created");
    STR(told[1], "52 bob");
    end();
    STR(told[2], "end -66");
}

static void after_a_gap_it_is_told_who_leads_now(void)
{
    begin();
    observe();
    RUN_UNTIL(told_count == 1);
    forgets = true;
    token_seen = 60;
    tell("lagged");
    RUN_UNTIL(told_count == 2);
    STR(told[1], "60 ann lagged"); /* though the node is as it was */
    nobody_leads = forgets = true;
    tell("lagged");
    RUN_UNTIL(told_count == 3);
    STR(told[2], "0 none lagged");
    end();
}

static void after_a_gap_a_configuration_is_asked_for_again(void)
{
    begin();
    follow();
    RUN_UNTIL(told_count == 1);
    newest = 3;
    forgets = true;
    tell("lagged");
    RUN_UNTIL(told_count == 3);
    STR(told[2], "3 v3");
    end();
}

static atomic_int versions_told;

static void count_version(void *ctx, const tl_version *v)
{
    (void) ctx, (void) v;
    versions_told++;
}

static void objects_live_on_a_client_with_a_thread_too(void)
{
    const tl_options o = { .servers = address };
    const struct timespec pause = { .tv_nsec = 1000000 };

    begin();
    end();
    versions_told = 0;
    IS(tl_connect(&o, &client), TL_OK);
    IS(tl_config_open(client, "/c", count_version, NULL, &config), TL_OK);
    for (int i = 0; i < LIMIT_MS && versions_told == 0; i++) nanosleep(&pause, NULL);
    IS(versions_told, 1);
    tl_config_close(config);
    IS(tl_config_open(client, "/c", count_version, NULL, &config), TL_OK);
    end();
    OK(versions_told >= 2); /* the version, or the end, or both */
}

int main(void)
{
    fake_server_start(address, sizeof address, answer);
    TEST(the_newest_version_is_told_first_and_then_each_newer_one);
    TEST(versions_come_page_by_page_and_gaps_are_told);
    TEST(nothing_is_told_until_the_first_version_is_stored);
    TEST(the_recipe_is_called_only_when_it_has_to_write);
    TEST(what_changes_during_the_question_is_asked_for);
    TEST(what_cannot_be_followed_is_told_once);
    TEST(a_callback_may_close_its_object);
    TEST(who_resigns_is_told_and_may_stand_again);
    TEST(a_term_that_somebody_else_ended_is_over);
    TEST(a_term_that_ended_before_its_watch_stood_is_over);
    TEST(a_candidacy_can_be_given_up);
    TEST(a_term_is_over_with_its_session);
    TEST(an_election_needs_a_session);
    TEST(who_leads_is_told_at_first_and_at_each_change);
    TEST(what_was_before_the_read_is_not_told_behind_it);
    TEST(that_nobody_leads_is_told_once);
    TEST(after_a_gap_it_is_told_who_leads_now);
    TEST(after_a_gap_a_configuration_is_asked_for_again);
    TEST(objects_live_on_a_client_with_a_thread_too);
    fake_server_stop();
    return tap_done();
}
