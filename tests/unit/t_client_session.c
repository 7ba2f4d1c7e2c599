/* t_client_session.c -- how the client comes to a session, keeps and loses it, one rule a
 * test.
 *
 * Method: tests/lib/client_rig.h: this file plays the server. */
#include "tests/lib/client_rig.h"
#include "tests/lib/tap.h"

static void a_session_opens_after_hello_and_then_serves(void)
{
    const struct client_core_config config = { .session_timeout_ms = TIMEOUT_MS };

    core = client_core_new(&config);
    connect_again();
    set(0);
    IS(count_of(METHOD_SET), 0);
    IS(client_core_ready(core), 0);
    say_opened();
    IS(client_core_ready(core), 1);
    IS(client_core_session(core), SESSION);
    IS(newest(METHOD_SET)->seq, 1);
    close_core();
}

static void an_answered_renewal_moves_the_deadline_from_its_sending(void)
{
    open_core(TIMEOUT_MS);
    IS(client_core_deadline_ms(core), 1000 + TIMEOUT_MS);
    tick(TIMEOUT_MS / 3);
    const uint64_t sent = now;
    IS(count_of(METHOD_SESSION_RENEW), 1);
    IS(client_core_deadline_ms(core), 1000 + TIMEOUT_MS);
    now += 300;
    say_zxid(newest(METHOD_SESSION_RENEW), 0);
    IS(client_core_deadline_ms(core), sent + TIMEOUT_MS);
    close_core();
}

static void a_write_done_at_once_renews_and_a_repeated_one_does_not(void)
{
    open_core(TIMEOUT_MS);
    now += 500;
    set(0);
    say_zxid(newest(METHOD_SET), 1);
    IS(client_core_deadline_ms(core), 1500 + TIMEOUT_MS);
    set(1);
    reconnect();
    say_zxid(newest(METHOD_SESSION_ATTACH), 0);
    const uint64_t deadline = client_core_deadline_ms(core);
    say_error(newest(METHOD_SET), ERR_BUSY);
    tick(500);
    IS(count_of(METHOD_SET), 2);
    say_zxid(newest(METHOD_SET), 1);
    IS(client_core_deadline_ms(core), deadline);
    close_core();
}

static void jeopardy_comes_at_half_time_and_goes_with_a_renewal(void)
{
    open_core(TIMEOUT_MS);
    tick(TIMEOUT_MS / 3);
    OK(!client_core_jeopardy(core, now));
    now += TIMEOUT_MS / 3;
    OK(client_core_jeopardy(core, now));
    say_zxid(newest(METHOD_SESSION_RENEW), 0);
    OK(!client_core_jeopardy(core, now));
    close_core();
}

static void a_session_ends_at_its_deadline_for_good(void)
{
    open_core(TIMEOUT_MS);
    set(0);
    ask(1, METHOD_GET, false, 0);
    client_core_disconnected(core, now);
    tick(TIMEOUT_MS - 1);
    OK(!client_core_session_over(core));
    tick(1);
    OK(client_core_session_over(core));
    IS(ended[0].code, ERR_SESSION_EXPIRED);
    IS(ended[1].times, 0);
    connect_again();
    IS(count_of(METHOD_SESSION_ATTACH), 0);
    IS(count_of(METHOD_GET), 1);
    set(2);
    tick(0);
    IS(ended[2].code, ERR_SESSION_EXPIRED);
    OK(client_core_session_over(core));
    close_core();
}

static void an_answer_after_the_deadline_saves_nothing(void)
{
    open_core(TIMEOUT_MS);
    tick(TIMEOUT_MS / 3);
    now = 1000 + TIMEOUT_MS;
    say_zxid(newest(METHOD_SESSION_RENEW), 0);
    OK(client_core_session_over(core));
    close_core();
}

static void a_session_that_a_server_calls_over_is_over(void)
{
    static const enum method by[] = { METHOD_SET, METHOD_SESSION_RENEW,
                                      METHOD_SESSION_ATTACH };

    for (int i = 0; i < 3; i++) {
        open_core(TIMEOUT_MS);
        set(0);
        tick(TIMEOUT_MS / 3);
        if (by[i] == METHOD_SESSION_ATTACH) reconnect();
        say_error(newest(by[i]), ERR_SESSION_EXPIRED);
        OK(client_core_session_over(core));
        IS(ended[0].times, 1);
        IS(ended[0].code, ERR_SESSION_EXPIRED);
        IS(client_core_deadline_ms(core), 0);
        ask(1, METHOD_GET, false, 0);
        say_zxid(newest(METHOD_GET), 3);
        IS(ended[1].code, 0);
        close_core();
    }
}

static void opening_is_tried_again_where_it_is_refused_for_now(void)
{
    const struct client_core_config config = { .session_timeout_ms = TIMEOUT_MS };

    core = client_core_new(&config);
    connect_again();
    say_error(newest(METHOD_SESSION_OPEN), ERR_NO_QUORUM);
    IS(client_core_trouble(core), ERR_NO_QUORUM);
    IS(client_core_ready(core), 0);
    tick(200);
    IS(count_of(METHOD_SESSION_OPEN), 2);
    say_opened();
    IS(client_core_ready(core), 1);
    IS(client_core_trouble(core), 0);
    close_core();
}

static void another_cluster_ends_everything(void)
{
    const struct client_core_config config = { .cluster = "main" };

    memset(ended, 0, sizeof ended);
    core = client_core_new(&config);
    heard_count = 0;
    client_core_connected(core, now);
    ask(0, METHOD_GET, false, 0);
    IS(say_error(newest(METHOD_HELLO), ERR_WRONG_CLUSTER), ERR_WRONG_CLUSTER);
    IS(client_core_ready(core), ERR_WRONG_CLUSTER);
    IS(ended[0].code, ERR_WRONG_CLUSTER);
    ask(1, METHOD_GET, false, 0);
    tick(0);
    IS(ended[1].code, ERR_WRONG_CLUSTER);
    close_core();
}

static void another_protocol_ends_everything(void)
{
    const struct client_core_config config = { 0 };

    core = client_core_new(&config);
    heard_count = 0;
    client_core_connected(core, now);
    IS(say_hello(2), ERR_BAD_PROTOCOL);
    IS(client_core_ready(core), ERR_BAD_PROTOCOL);
    close_core();
}

static void closing_ends_the_session_when_it_is_answered(void)
{
    open_core(TIMEOUT_MS);
    client_core_close_session(core, now);
    IS(count_of(METHOD_SESSION_CLOSE), 1);
    OK(!client_core_session_over(core));
    reconnect();
    say_zxid(newest(METHOD_SESSION_ATTACH), 0);
    IS(count_of(METHOD_SESSION_CLOSE), 1);
    say_zxid(newest(METHOD_SESSION_CLOSE), 3);
    OK(client_core_session_over(core));
    close_core();
}

static void a_session_of_the_wrong_shape_is_refused(void)
{
    const struct client_core_config config = { .session_timeout_ms = TIMEOUT_MS };

    core = client_core_new(&config);
    connect_again();
    IS(say_zxid(newest(METHOD_SESSION_OPEN), 5), ERR_BAD_MESSAGE);
    IS(client_core_ready(core), 0);
    close_core();
}

/* --- servers of another cluster, and of ours --- */

/* An address that was learnt may lead to a stranger. */
static void once_its_cluster_was_met_a_stranger_is_only_left(void)
{
    static const int strange[] = { ERR_WRONG_CLUSTER, ERR_BAD_PROTOCOL };

    for (int i = 0; i < 2; i++) {
        open_core(TIMEOUT_MS);
        set(0);
        client_core_disconnected(core, now);
        client_core_connected(core, now);
        IS(say_error(newest(METHOD_HELLO), strange[i]), 0);
        OK(client_core_wants_other(core));
        reconnect();
        say_zxid(newest(METHOD_SESSION_ATTACH), 0);
        say_zxid(newest(METHOD_SET), 4);
        IS(ended[0].zxid, 4);
        close_core();
    }
}

static struct members told;
static int told_times;

static void note_members(void *ctx, const struct members *members)
{
    (void) ctx;
    told = *members;
    told_times++;
}

static void put_members(struct buf *b)
{
    pack_map(b, 3);
    pack_uint(b, 1);
    pack_cstr(b, "10.0.0.1:7400");
    pack_uint(b, 2);
    pack_cstr(b, "");
    pack_cstr(b, "three"); /* no id: of a later version, or a mistake */
    pack_nil(b);
}

static void check_told(int times)
{
    IS(told_times, times);
    IS(told.count, 3);
    IS(told.at[0].id, 1);
    STR(told.at[0].server.host, "10.0.0.1");
    STR(told.at[1].server.host, "");
    STR(told.at[2].server.host, "");
}

static void members_are_told_from_hello_and_from_notifications(void)
{
    const struct client_core_config config = { .members = note_members };
    struct buf b = { 0 };

    core = client_core_new(&config);
    heard_count = 0;
    told_times = 0;
    client_core_connected(core, now);
    OK(newest(METHOD_HELLO)->wants_members);
    rpc_response_begin(&b, newest(METHOD_HELLO)->msgid);
    pack_map(&b, 2);
    pack_cstr(&b, "proto");
    pack_uint(&b, RPC_PROTO);
    pack_cstr(&b, "members");
    put_members(&b);
    IS(say(&b), 0);
    check_told(1);
    rpc_notification_begin(&b, "members");
    pack_array(&b, 1);
    put_members(&b);
    IS(say(&b), 0);
    check_told(2);
    close_core();
}

static void members_are_not_asked_for_where_nobody_listens(void)
{
    open_core(0);
    OK(!newest(METHOD_HELLO)->wants_members);
    reconnect(); /* now with the cluster's name */
    OK(!newest(METHOD_HELLO)->wants_members);
    close_core();
}

static void a_list_of_members_of_the_wrong_shape_is_ignored(void)
{
    const struct client_core_config config = { .members = note_members };
    struct buf b = { 0 };

    core = client_core_new(&config);
    connect_again();
    told_times = 0;
    rpc_notification_begin(&b, "members");
    pack_array(&b, 0);
    IS(say(&b), 0);
    rpc_notification_begin(&b, "members");
    pack_array(&b, 1);
    pack_cstr(&b, "10.0.0.1:7400");
    IS(say(&b), 0);
    IS(told_times, 0);
    close_core();
}

/* --- takeover --- */

enum { FORMER = 55 };

static void open_successor(uint32_t timeout_ms)
{
    const struct client_core_config config = {
        .session_timeout_ms = timeout_ms,
        .replaces = { .id = FORMER, .secret = BYTES_LIT("fedcba9876543210") },
    };

    now = 1000;
    core = client_core_new(&config);
    connect_again();
}

static void a_forerunners_session_is_closed_before_ours_is_opened(void)
{
    open_successor(TIMEOUT_MS);
    IS(newest(METHOD_SESSION_ATTACH)->session, FORMER);
    IS(count_of(METHOD_SESSION_CLOSE), 0);
    say_zxid(newest(METHOD_SESSION_ATTACH), 0);
    IS(newest(METHOD_SESSION_CLOSE)->session, FORMER);
    IS(count_of(METHOD_SESSION_OPEN), 0);
    say_zxid(newest(METHOD_SESSION_CLOSE), 3);
    IS(client_core_ready(core), 0);
    say_opened();
    IS(client_core_ready(core), 1);
    IS(client_core_session(core), SESSION);
    OK(!client_core_session_over(core));
    reconnect(); /* from now on it is ours that is attached */
    IS(newest(METHOD_SESSION_ATTACH)->session, SESSION);
    IS(count_of(METHOD_SESSION_ATTACH), 1);
    close_core();
}

static void a_forerunners_session_that_is_gone_already_is_fine(void)
{
    static const int gone[] = { ERR_SESSION_EXPIRED, ERR_BAD_SECRET, ERR_BAD_PARAMS };

    for (int i = 0; i < 3; i++) {
        open_successor(TIMEOUT_MS);
        say_error(newest(METHOD_SESSION_ATTACH), gone[i]);
        IS(count_of(METHOD_SESSION_CLOSE), 0);
        say_opened();
        IS(client_core_ready(core), 1);
        close_core();
    }
    open_successor(TIMEOUT_MS);
    say_zxid(newest(METHOD_SESSION_ATTACH), 0);
    say_error(newest(METHOD_SESSION_CLOSE), ERR_SESSION_EXPIRED);
    say_opened();
    IS(client_core_ready(core), 1);
    close_core();
}

static void a_takeover_is_repeated_until_a_server_has_answered_it(void)
{
    open_successor(TIMEOUT_MS);
    say_error(newest(METHOD_SESSION_ATTACH), ERR_NO_QUORUM);
    IS(client_core_trouble(core), ERR_NO_QUORUM);
    tick(200);
    IS(count_of(METHOD_SESSION_ATTACH), 2);
    say_zxid(newest(METHOD_SESSION_ATTACH), 0);
    reconnect(); /* the close may have been done or not */
    IS(newest(METHOD_SESSION_ATTACH)->session, FORMER);
    say_zxid(newest(METHOD_SESSION_ATTACH), 0);
    say_error(newest(METHOD_SESSION_CLOSE), ERR_NOT_ATTACHED);
    OK(client_core_wants_other(core));
    reconnect();
    say_error(newest(METHOD_SESSION_ATTACH), ERR_SESSION_EXPIRED);
    IS(count_of(METHOD_SESSION_OPEN), 1);
    say_opened();
    IS(client_core_ready(core), 1);
    close_core();
}

static void a_silent_server_is_left_during_a_takeover(void)
{
    open_successor(TIMEOUT_MS);
    tick(TIMEOUT_MS / 3);
    OK(client_core_wants_other(core));
    close_core();
}

static void a_client_closed_during_a_takeover_opens_nothing(void)
{
    open_successor(TIMEOUT_MS);
    client_core_close_session(core, now);
    say_zxid(newest(METHOD_SESSION_ATTACH), 0);
    say_zxid(newest(METHOD_SESSION_CLOSE), 3);
    IS(count_of(METHOD_SESSION_OPEN), 0);
    OK(client_core_session_over(core));
    close_core();
}

static void only_a_server_can_say_that_a_session_is_gone(void)
{
    open_core(TIMEOUT_MS);
    client_core_disconnected(core, now);
    tick(TIMEOUT_MS);
    OK(client_core_session_over(core));
    OK(!client_core_session_gone(core));
    close_core();
    open_core(TIMEOUT_MS);
    client_core_close_session(core, now);
    OK(!client_core_session_gone(core));
    say_zxid(newest(METHOD_SESSION_CLOSE), 3);
    OK(client_core_session_gone(core));
    close_core();
    open_core(TIMEOUT_MS);
    set(0);
    say_error(newest(METHOD_SET), ERR_SESSION_EXPIRED);
    OK(client_core_session_gone(core));
    close_core();
}

int main(void)
{
    TEST(a_session_opens_after_hello_and_then_serves);
    TEST(an_answered_renewal_moves_the_deadline_from_its_sending);
    TEST(a_write_done_at_once_renews_and_a_repeated_one_does_not);
    TEST(jeopardy_comes_at_half_time_and_goes_with_a_renewal);
    TEST(a_session_ends_at_its_deadline_for_good);
    TEST(an_answer_after_the_deadline_saves_nothing);
    TEST(a_session_that_a_server_calls_over_is_over);
    TEST(opening_is_tried_again_where_it_is_refused_for_now);
    TEST(another_cluster_ends_everything);
    TEST(another_protocol_ends_everything);
    TEST(closing_ends_the_session_when_it_is_answered);
    TEST(a_session_of_the_wrong_shape_is_refused);
    TEST(once_its_cluster_was_met_a_stranger_is_only_left);
    TEST(members_are_told_from_hello_and_from_notifications);
    TEST(members_are_not_asked_for_where_nobody_listens);
    TEST(a_list_of_members_of_the_wrong_shape_is_ignored);
    TEST(a_forerunners_session_is_closed_before_ours_is_opened);
    TEST(a_forerunners_session_that_is_gone_already_is_fine);
    TEST(a_takeover_is_repeated_until_a_server_has_answered_it);
    TEST(a_silent_server_is_left_during_a_takeover);
    TEST(a_client_closed_during_a_takeover_opens_nothing);
    TEST(only_a_server_can_say_that_a_session_is_gone);
    return tap_done();
}
