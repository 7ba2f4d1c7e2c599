/* t_client_core.c -- the client's promises about requests, one rule a test.
 *
 * Method: tests/lib/client_rig.h: this file plays the server. The storm at the end answers at
 * random, with lost connections and refusals, and checks the numbered invariants.
 * Replay:  SEED=<n> ./t_client_core */
#include <stdlib.h>

#include "core/base/rng.h"
#include "tests/lib/client_rig.h"
#include "tests/lib/tap.h"

static void an_answer_completes_its_request_with_its_result(void)
{
    open_core(TIMEOUT_MS);
    set(0);
    set(1);
    say_zxid(newest(METHOD_SET), 9);
    IS(ended[0].times, 0);
    IS(ended[1].times, 1);
    IS(ended[1].code, 0);
    IS(ended[1].zxid, 9);
    close_core();
}

static void a_refusal_completes_its_request_with_its_code(void)
{
    open_core(TIMEOUT_MS);
    set(0);
    say_error(newest(METHOD_SET), ERR_NO_NODE);
    IS(ended[0].code, ERR_NO_NODE);
    close_core();
}

static void a_server_has_served_when_it_has_done_something_that_was_asked(void)
{
    open_core(TIMEOUT_MS);
    OK(!client_core_served(core)); /* hello, and a session */
    set(0);
    say_error(newest(METHOD_SET), ERR_BUSY);
    OK(!client_core_served(core));
    tick(200);
    say_zxid(newest(METHOD_SET), 9);
    OK(client_core_served(core));
    reconnect();
    say_zxid(newest(METHOD_SESSION_ATTACH), 0);
    OK(!client_core_served(core));
    tick(TIMEOUT_MS / 2);
    say_zxid(newest(METHOD_SESSION_RENEW), 0);
    OK(client_core_served(core));
    close_core();
}

static void an_answer_said_twice_completes_once(void)
{
    open_core(TIMEOUT_MS);
    set(0);
    const struct heard h = *newest(METHOD_SET);
    say_zxid(&h, 9);
    set(1);
    say_zxid(&h, 9);
    IS(ended[0].times, 1);
    IS(ended[1].times, 0);
    close_core();
}

static void an_answer_to_what_is_not_asked_now_is_ignored(void)
{
    open_core(TIMEOUT_MS);
    set(0);
    const struct heard h = *newest(METHOD_SET);
    say_error(&h, ERR_BUSY);
    IS(say_zxid(&h, 9), 0);
    IS(ended[0].times, 0);
    tick(200);
    say_zxid(newest(METHOD_SET), 10);
    IS(ended[0].zxid, 10);
    close_core();
}

static void writes_are_sent_again_in_order_with_their_seqs(void)
{
    open_core(TIMEOUT_MS);
    for (size_t i = 0; i < 3; i++) set(i);
    say_zxid(&heard[heard_count - 2], 5);
    reconnect();
    IS(count_of(METHOD_SET), 0);
    say_zxid(newest(METHOD_SESSION_ATTACH), 0);
    IS(count_of(METHOD_SET), 2);
    IS(heard[heard_count - 2].seq, 1);
    IS(heard[heard_count - 1].seq, 3);
    set(3);
    IS(newest(METHOD_SET)->seq, 4);
    close_core();
}

static void ack_stays_below_every_unanswered_seq(void)
{
    open_core(TIMEOUT_MS);
    set(0);
    IS(newest(METHOD_SET)->ack, 0);
    const struct heard first = *newest(METHOD_SET);
    set(1);
    say_zxid(newest(METHOD_SET), 5);
    set(2);
    IS(newest(METHOD_SET)->ack, 0);
    say_zxid(&first, 6);
    set(3);
    IS(newest(METHOD_SET)->ack, 2);
    close_core();
}

static void reads_are_sent_again_and_unpromised_writes_are_not(void)
{
    open_core(0);
    ask(0, METHOD_GET, false, 0);
    set(1);
    IS(newest(METHOD_SET)->seq, 0);
    reconnect();
    IS(count_of(METHOD_GET), 1);
    IS(count_of(METHOD_SET), 0);
    IS(ended[0].times, 0);
    IS(ended[1].code, ERR_UNREACHABLE);
    close_core();
}

static void a_busy_write_keeps_its_seq_and_holds_back_those_after_it(void)
{
    open_core(TIMEOUT_MS);
    set(0);
    set(1);
    const struct heard second = *newest(METHOD_SET);
    say_error(&heard[heard_count - 2], ERR_BUSY);
    say_error(&second, ERR_BUSY);
    set(2);
    IS(count_of(METHOD_SET), 2);
    tick(200);
    IS(count_of(METHOD_SET), 5);
    IS(heard[heard_count - 3].seq, 1);
    IS(heard[heard_count - 2].seq, 2);
    IS(heard[heard_count - 1].seq, 3);
    OK(!client_core_wants_other(core));
    close_core();
}

static void a_busy_read_is_asked_again_until_its_limit(void)
{
    open_core(0);
    ask(0, METHOD_GET, false, 1000);
    for (int i = 0; i < 4; i++) {
        say_error(newest(METHOD_GET), ERR_BUSY);
        tick(200);
    }
    IS(count_of(METHOD_GET), 5);
    IS(ended[0].times, 0);
    tick(200);
    IS(ended[0].code, ERR_BUSY);
    close_core();
}

static void a_stopping_server_is_left_at_once(void)
{
    open_core(0);
    ask(0, METHOD_GET, false, 0);
    say_error(newest(METHOD_GET), ERR_STOPPING);
    OK(client_core_wants_other(core));
    reconnect();
    OK(!client_core_wants_other(core));
    tick(0); /* the other one is asked at once, too */
    IS(count_of(METHOD_GET), 1);
    close_core();
}

static void a_server_without_a_quorum_is_left_after_a_while(void)
{
    open_core(0);
    ask(0, METHOD_GET, false, 0);
    say_error(newest(METHOD_GET), ERR_NO_QUORUM);
    OK(!client_core_wants_other(core));
    tick(600);
    say_error(newest(METHOD_GET), ERR_NO_QUORUM);
    OK(client_core_wants_other(core));
    close_core();
}

/* Its seq would be missing, and every write after it would wait for it for ever. */
static void a_write_that_a_full_disk_refuses_is_asked_again(void)
{
    open_core(TIMEOUT_MS);
    ask(0, METHOD_SET, true, 0);
    ask(1, METHOD_SET, true, 0);
    say_error(newest(METHOD_SET), ERR_DISK_FULL);
    IS(ended[1].times, 0);
    tick(600);
    IS(count_of(METHOD_SET), 3);
    IS(newest(METHOD_SET)->seq, 2);
    close_core();
}

/* It may have been done, so it must not end as if it had failed. */
static void a_write_that_a_server_let_go_is_asked_elsewhere(void)
{
    open_core(TIMEOUT_MS);
    ask(0, METHOD_SET, true, 0);
    say_error(newest(METHOD_SET), ERR_CLOSED);
    IS(ended[0].times, 0);
    OK(client_core_wants_other(core));
    reconnect();
    say_zxid(newest(METHOD_SESSION_ATTACH), 0);
    tick(600);
    IS(newest(METHOD_SET)->seq, 1);
    close_core();
}

static void a_late_write_is_pending_and_goes_on_unseen(void)
{
    open_core(TIMEOUT_MS);
    ask(0, METHOD_SET, true, 100);
    tick(100);
    IS(ended[0].code, ERR_PENDING);
    reconnect();
    say_zxid(newest(METHOD_SESSION_ATTACH), 0);
    IS(newest(METHOD_SET)->seq, 1);
    say_zxid(newest(METHOD_SET), 4);
    IS(ended[0].times, 1);
    set(1);
    IS(newest(METHOD_SET)->ack, 1);
    close_core();
}

static void what_was_never_sent_is_unreachable_and_takes_no_seq(void)
{
    open_core(TIMEOUT_MS);
    client_core_disconnected(core, now);
    ask(0, METHOD_SET, true, 100);
    ask(1, METHOD_GET, false, 100);
    tick(100);
    IS(ended[0].code, ERR_UNREACHABLE);
    IS(ended[1].code, ERR_UNREACHABLE);
    connect_again();
    say_zxid(newest(METHOD_SESSION_ATTACH), 0);
    set(2);
    IS(newest(METHOD_SET)->seq, 1);
    close_core();
}

static void a_silent_server_gets_a_ping_and_is_left(void)
{
    open_core(TIMEOUT_MS);
    ask(0, METHOD_CALL, true, 0);
    tick(TIMEOUT_MS / 6);
    IS(count_of(METHOD_PING), 1);
    OK(!client_core_wants_other(core));
    tick(TIMEOUT_MS / 6);
    OK(client_core_wants_other(core));
    close_core();
}

static void a_server_that_answers_pings_may_let_a_call_wait(void)
{
    open_core(0);
    ask(0, METHOD_CALL, true, 0);
    for (int i = 0; i < 100; i++) {
        tick(1000);
        OK(!client_core_wants_other(core));
        IS(count_of(METHOD_PING), (size_t) i + 1);
        say_zxid(newest(METHOD_PING), 0);
    }
    IS(ended[0].times, 0);
    close_core();
}

static void a_cancelled_call_is_withdrawn_on_every_connection(void)
{
    open_core(TIMEOUT_MS);
    uint64_t handle = ask(0, METHOD_CALL, true, 0);
    client_core_cancel(core, handle);
    tick(0);
    IS(newest(METHOD_CALL_CANCEL)->msgid < 16, 1);
    IS(count_of(METHOD_CALL_CANCEL), 1);
    say_error(newest(METHOD_CALL_CANCEL), ERR_BUSY);
    tick(200);
    IS(count_of(METHOD_CALL_CANCEL), 2);
    reconnect();
    say_zxid(newest(METHOD_SESSION_ATTACH), 0);
    IS(count_of(METHOD_CALL), 1);
    IS(count_of(METHOD_CALL_CANCEL), 1);
    say_error(newest(METHOD_CALL), ERR_CANCELLED);
    IS(ended[0].times, 0);
    IS(client_core_in_flight(core), 0);
    close_core();
}

static void a_cancelled_read_is_forgotten(void)
{
    open_core(0);
    client_core_cancel(core, ask(0, METHOD_GET, false, 0));
    IS(client_core_in_flight(core), 0);
    IS(say_zxid(newest(METHOD_GET), 1), 0);
    IS(ended[0].times, 0);
    close_core();
}

static void too_many_requests_are_refused(void)
{
    open_core(0);
    client_core_disconnected(core, now);
    for (size_t i = 0; i < CLIENT_REQUESTS_MAX; i++) ask(1, METHOD_GET, false, 0);
    ask(0, METHOD_GET, false, 0);
    tick(0);
    IS(ended[0].code, ERR_BUSY);
    IS(ended[1].times, 0);
    close_core();
    IS(ended[1].times, (int) CLIENT_REQUESTS_MAX);
    IS(ended[1].code, ERR_CLOSED);
}

/* Waiting for nothing must not keep the driver busy. */
static void a_quiet_core_asks_for_no_time(void)
{
    open_core(0);
    IS(tick(0) == UINT64_MAX, 1);
    ask(0, METHOD_GET, false, 0);
    say_error(newest(METHOD_GET), ERR_BUSY);
    client_core_disconnected(core, now);
    tick(1000);
    IS(tick(0) == UINT64_MAX, 1);
    close_core();
}

static int input(const char *bytes, size_t len)
{
    return client_core_input(core, now, bytes_of(bytes, len));
}
#define INPUT(lit) input(lit, sizeof(lit) - 1)

static void hostile_bytes_close_the_connection_only(void)
{
    static const struct {
        const char *bytes;
        size_t len;
    } hostile[] = {
#define H(lit) { lit, sizeof(lit) - 1 }
        H("\xc1"), H("HTTP/1.1 200"), H("\x94\x01\x01\xc0\xdd\xff\xff\xff\xff"),
        H("\x94\x00\x01\xa4ping\x90"), H("\x94\x01\x01\x05\xc0"), H("\x93\x01\x01\xc0"),
        H("\x94\x01\x01\x81\xa4" "code\x05\xc0"), H("\x94\x01\xff\xc0\xc0"),
#undef H
    };

    for (size_t i = 0; i < sizeof hostile / sizeof hostile[0]; i++) {
        open_core(TIMEOUT_MS);
        set(0);
        IS(input(hostile[i].bytes, hostile[i].len), ERR_BAD_MESSAGE);
        reconnect();
        say_zxid(newest(METHOD_SESSION_ATTACH), 0);
        say_zxid(newest(METHOD_SET), 5);
        IS(ended[0].zxid, 5);
        close_core();
    }
}

static void unknown_notifications_and_late_answers_are_ignored(void)
{
    open_core(0);
    IS(INPUT("\x93\x02\xa5" "event\x90"), 0);
    IS(INPUT("\x94\x01\xce\xff\xff\xff\xff\xc0\xc0"), 0);
    IS(INPUT("\x94\x01\x05\xc0\xc0"), 0);
    close_core();
}

static void answers_may_come_byte_by_byte(void)
{
    struct buf b = { 0 };

    open_core(0);
    ask(0, METHOD_GET, false, 0);
    rpc_response_begin(&b, newest(METHOD_GET)->msgid);
    pack_map(&b, 1);
    pack_cstr(&b, "zxid");
    pack_uint(&b, 1234567);
    for (size_t i = 0; i < b.len; i++) {
        IS(ended[0].times, 0);
        IS(client_core_input(core, now, bytes_of(b.ptr + i, 1)), 0);
    }
    IS(ended[0].zxid, 1234567);
    buf_fini(&b);
    close_core();
}

/* --- the storm --- */

static void answer_at_random(struct rng *r, bool *answered, uint64_t *ack_max)
{
    const size_t count = heard_count;

    for (size_t i = 0; i < count; i++) {
        const struct heard h = heard[i];
        const uint64_t luck = rng_below(r, 10);

        if (h.method == METHOD_SESSION_ATTACH || h.method == METHOD_SESSION_RENEW) {
            say_zxid(&h, 1);
        }
        if (h.method != METHOD_SET || luck > 6) continue;
        for (uint64_t seq = 1; seq <= h.ack; seq++) OK(answered[seq]); /* B3 */
        if (h.ack > *ack_max) *ack_max = h.ack;
        if (luck == 0) {
            say_error(&h, ERR_BUSY);
        } else {
            answered[h.seq] = true;
            say_zxid(&h, h.seq);
        }
    }
    heard_count = 0;
}

static void every_write_is_answered_once_in_a_random_storm(void)
{
    enum { WRITES = 300 };
    const char *env = getenv("SEED");
    uint64_t seed = env ? strtoull(env, NULL, 10) : 20260303, ack_max = 0;
    bool answered[WRITES + 1] = { false };
    struct rng r;

    printf("# SEED=%" PRIu64 "\n", seed);
    rng_init(&r, seed);
    open_core(TIMEOUT_MS);
    size_t asked = 0;
    for (int i = 0; i < 4000; i++) {
        if (asked < WRITES && rng_below(&r, 4) == 0) set(asked++);
        if (rng_below(&r, 20) == 0) {
            reconnect();
            say_zxid(newest(METHOD_SESSION_ATTACH), 1);
        }
        uint64_t before = 0; /* B2: what is sent in one go is in the order of seq */
        for (size_t k = 0; k < heard_count; k++) {
            if (heard[k].method != METHOD_SET) continue;
            OK(heard[k].seq > before);
            before = heard[k].seq;
        }
        answer_at_random(&r, answered, &ack_max);
        tick(rng_below(&r, 50));
    }
    for (size_t i = 0; i < WRITES; i++) {
        IS(ended[i].times, 1); /* B1 */
        IS(ended[i].zxid, i + 1);
    }
    OK(ack_max > WRITES / 2);
    close_core();
}

int main(void)
{
    TEST(an_answer_completes_its_request_with_its_result);
    TEST(a_refusal_completes_its_request_with_its_code);
    TEST(a_server_has_served_when_it_has_done_something_that_was_asked);
    TEST(an_answer_said_twice_completes_once);
    TEST(an_answer_to_what_is_not_asked_now_is_ignored);
    TEST(writes_are_sent_again_in_order_with_their_seqs);
    TEST(ack_stays_below_every_unanswered_seq);
    TEST(reads_are_sent_again_and_unpromised_writes_are_not);
    TEST(a_busy_write_keeps_its_seq_and_holds_back_those_after_it);
    TEST(a_busy_read_is_asked_again_until_its_limit);
    TEST(a_stopping_server_is_left_at_once);
    TEST(a_server_without_a_quorum_is_left_after_a_while);
    TEST(a_write_that_a_full_disk_refuses_is_asked_again);
    TEST(a_write_that_a_server_let_go_is_asked_elsewhere);
    TEST(a_late_write_is_pending_and_goes_on_unseen);
    TEST(what_was_never_sent_is_unreachable_and_takes_no_seq);
    TEST(a_silent_server_gets_a_ping_and_is_left);
    TEST(a_server_that_answers_pings_may_let_a_call_wait);
    TEST(a_cancelled_call_is_withdrawn_on_every_connection);
    TEST(a_cancelled_read_is_forgotten);
    TEST(too_many_requests_are_refused);
    TEST(a_quiet_core_asks_for_no_time);
    TEST(hostile_bytes_close_the_connection_only);
    TEST(unknown_notifications_and_late_answers_are_ignored);
    TEST(answers_may_come_byte_by_byte);
    TEST(every_write_is_answered_once_in_a_random_storm);
    return tap_done();
}
