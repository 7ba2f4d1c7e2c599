/* t_session.c -- sessions and exactly-once, one rule a test.
 *
 * Method: hand-made requests for each rule, then a seeded storm of requests, repeats and
 * acknowledgements in which session_check() and a plain table of answers are the judges.
 * Replay a failing storm with: SEED=<n> ./t_session */
#include <stdlib.h>

#include "core/base/errors.h"
#include "core/base/rng.h"
#include "core/session/session.h"
#include "tests/lib/tap.h"

enum { ID = 10, OTHER = 11, TIMEOUT = 5000 };

#define SECRET BYTES_LIT("0123456789abcdef")

static uint64_t seed;
static struct kv_overlay low, state; /* changes land above what is written behind */
static struct tx t;
static uint64_t zxid;

static void next_tx(void)
{
    tx_reset(&t);
    t.zxid = ++zxid;
}

static void commit(void)
{
    kv_overlay_move(&t.over, &state, zxid);
    tree_check(&state.view);
    session_check(&state.view);
    next_tx();
}

static void open_session(uint64_t id)
{
    zxid = id - 1;
    next_tx();
    IS(session_open(&t, TIMEOUT, SECRET), 0);
    commit();
}

static void begin(void)
{
    kv_overlay_init(&low, NULL, seed);
    kv_overlay_init(&state, &low.view, seed);
    tree_found(&low);
    tx_init(&t, &state.view, seed);
    open_session(ID);
}

static void end(void)
{
    tx_fini(&t);
    kv_overlay_fini(&state);
    kv_overlay_fini(&low);
}

static void fresh(void)
{
    end();
    begin();
}

static void record(uint64_t seq, uint64_t ack, const char *result)
{
    struct bytes bytes = { 0 };

    if (result != NULL) bytes = bytes_str(result);
    session_record(&state, ++zxid, ID, seq, ack, bytes);
    session_check(&state.view);
}

static int judge(uint64_t seq)
{
    return (int) session_judge(&state.view, ID, seq, 0);
}

static bool has_result(uint64_t seq, const char *want)
{
    struct bytes result;

    if (!session_result(&state.view, ID, seq, &result)) return false;
    return bytes_equal(result, bytes_str(want));
}

static struct session session(void)
{
    struct session s = { 0 };

    OK(session_read(&state.view, ID, &s));
    return s;
}

static void create_ephemeral(const char *path, uint64_t owner)
{
    struct buf created = { 0 };

    t.session = owner;
    IS(tx_create(&t, bytes_str(path), (struct bytes){ 0 }, TX_EPHEMERAL | TX_PARENTS,
                 &created),
       0);
    buf_fini(&created);
    commit();
}

/* -- Open and close ------------------------------------------------------------------- */

static void an_opened_session_is_known_by_the_zxid_that_opened_it(void)
{
    struct session s;

    fresh();
    s = session();
    IS(s.id, ID);
    IS(s.timeout_ms, TIMEOUT);
    IS(s.last, 0);
    IS(s.ack, 0);
    OK(bytes_equal(bytes_of(s.secret, sizeof s.secret), SECRET));
    OK(!session_read(&state.view, OTHER, &s));
}

static void a_secret_of_another_length_is_refused(void)
{
    fresh();
    IS(session_open(&t, TIMEOUT, BYTES_LIT("short")), ERR_BAD_PARAMS);
    IS(session_open(&t, TIMEOUT, (struct bytes){ 0 }), ERR_BAD_PARAMS);
    IS(t.ops_count, 0);
}

static void a_close_takes_the_session_its_results_and_its_ephemerals(void)
{
    struct session s;
    struct node n;

    fresh();
    create_ephemeral("/a/e1", ID);
    create_ephemeral("/a/e2", ID);
    record(1, 0, "one");
    record(2, 0, "two");
    next_tx();
    IS(session_close(&t, ID, false), 0);
    IS(t.ops_count, 3);
    commit();
    OK(!session_read(&state.view, ID, &s));
    OK(!has_result(1, "one"));
    OK(!has_result(2, "two"));
    OK(!node_read(&state.view, BYTES_LIT("/a/e1"), &n));
    OK(!node_read(&state.view, BYTES_LIT("/a/e2"), &n));
    OK(node_read(&state.view, BYTES_LIT("/a"), &n));
    IS(n.children, 0);
    IS(n.pzxid, zxid - 1);
}

static void a_close_leaves_what_others_own(void)
{
    struct node n;

    fresh();
    open_session(OTHER);
    create_ephemeral("/mine", ID);
    create_ephemeral("/theirs", OTHER);
    IS(session_close(&t, ID, false), 0);
    commit();
    OK(!node_read(&state.view, BYTES_LIT("/mine"), &n));
    OK(node_read(&state.view, BYTES_LIT("/theirs"), &n));
}

static void a_close_has_no_limit_of_ops(void)
{
    fresh();
    create_ephemeral("/e1", ID);
    create_ephemeral("/e2", ID);
    t.ops_max = 1;
    IS(session_close(&t, ID, false), 0);
    IS(t.ops_count, 3);
    commit();
}

static void a_session_is_closed_once(void)
{
    fresh();
    IS(session_close(&t, ID, false), 0);
    IS(session_close(&t, ID, false), ERR_SESSION_EXPIRED);
    commit();
    IS(session_close(&t, ID, false), ERR_SESSION_EXPIRED);
    IS(session_close(&t, OTHER, false), ERR_SESSION_EXPIRED);
}

static void a_session_may_be_closed_in_the_transaction_that_made_its_nodes(void)
{
    struct buf created = { 0 };
    struct node n;

    fresh();
    t.session = ID;
    IS(tx_create(&t, BYTES_LIT("/e"), (struct bytes){ 0 }, TX_EPHEMERAL, &created), 0);
    IS(session_close(&t, ID, false), 0);
    OK(!tx_read(&t, BYTES_LIT("/e"), &n));
    IS(tx_create(&t, BYTES_LIT("/e"), (struct bytes){ 0 }, TX_EPHEMERAL, &created),
       ERR_SESSION_EXPIRED);
    commit();
    buf_fini(&created);
}

static uint64_t digest_of(struct kv_overlay *changes)
{
    struct kv_overlay sum;
    uint64_t digest;

    kv_overlay_init(&sum, NULL, seed);
    sum.digesting = true;
    kv_overlay_move(changes, &sum, 0);
    digest = sum.digest;
    kv_overlay_fini(&sum);
    return digest;
}

static void the_replayed_ops_of_a_close_give_the_same_cells(void)
{
    struct kv_overlay replay;
    struct reader r;
    struct op op;

    fresh();
    create_ephemeral("/a/e", ID);
    record(1, 0, "one");
    next_tx();
    IS(session_close(&t, ID, false), 0);
    kv_overlay_init(&replay, &state.view, seed);
    r = reader_of(buf_bytes(&t.ops));
    while (reader_left(&r) > 0) {
        struct tree_context c = { .zxid = t.zxid };

        IS(op_decode(&r, &op), 0);
        if (op.kind == OP_SESSION_CLOSE) session_apply(&replay, &c, &op);
        else tree_apply(&replay, &c, &op);
    }
    IS(replay.count, 5); /* the node, its parent, and the cells of 'e', 's' and 'r' */
    OK(digest_of(&replay) == digest_of(&t.over));
    kv_overlay_fini(&replay);
}

/* -- Exactly once --------------------------------------------------------------------- */

static void requests_are_new_in_order_without_a_gap(void)
{
    fresh();
    IS(judge(1), SESSION_NEW);
    IS(judge(2), SESSION_GAP);
    record(1, 0, "one");
    IS(judge(2), SESSION_NEW);
    IS(judge(3), SESSION_GAP);
    IS(judge(UINT64_MAX), SESSION_GAP);
}

static void a_repeated_request_gets_the_first_result(void)
{
    fresh();
    record(1, 0, "one");
    IS(judge(1), SESSION_REPEATED);
    OK(has_result(1, "one"));
}

static void an_empty_result_is_a_result(void)
{
    fresh();
    record(1, 0, "");
    IS(judge(1), SESSION_REPEATED);
    OK(has_result(1, ""));
}

static void a_call_waits_until_its_result_is_recorded(void)
{
    fresh();
    record(1, 0, NULL);
    IS(judge(1), SESSION_WAITING);
    record(2, 0, "two");
    IS(judge(1), SESSION_WAITING);
    record(1, 0, "one");
    IS(judge(1), SESSION_REPEATED);
    IS(session().last, 2);
}

static void a_repeat_without_a_result_keeps_the_first_one(void)
{
    fresh();
    record(1, 0, "one");
    record(1, 0, NULL);
    OK(has_result(1, "one"));
}

static void an_acknowledged_result_is_dropped_and_its_request_refused(void)
{
    fresh();
    record(1, 0, "one");
    record(2, 0, "two");
    record(3, 2, "three");
    IS(judge(1), SESSION_ACKNOWLEDGED);
    IS(judge(2), SESSION_ACKNOWLEDGED);
    IS(judge(3), SESSION_REPEATED);
    OK(!has_result(1, "one"));
    OK(!has_result(2, "two"));
    IS(judge(0), SESSION_ACKNOWLEDGED);
}

static void an_acknowledgement_is_cut_to_what_came_before(void)
{
    fresh();
    record(1, UINT64_MAX, "one");
    IS(session().ack, 0);
    OK(has_result(1, "one"));
    record(2, 2, "two");
    IS(session().ack, 1);
}

static void an_acknowledgement_never_goes_back(void)
{
    fresh();
    record(1, 0, "one");
    record(2, 1, "two");
    record(3, 0, "three");
    IS(session().ack, 1);
}

static void a_result_acknowledged_before_it_came_is_not_kept(void)
{
    fresh();
    record(1, 0, NULL);
    record(2, 1, "two");
    record(1, 0, "one");
    OK(!has_result(1, "one"));
    IS(judge(1), SESSION_ACKNOWLEDGED);
}

static void without_a_session_there_is_no_request(void)
{
    fresh();
    IS(session_judge(&state.view, OTHER, 1, 0), SESSION_OVER);
    IS(session_close(&t, ID, false), 0);
    commit();
    IS(judge(1), SESSION_OVER);
}

static void a_full_session_takes_a_request_that_acknowledges(void)
{
    fresh();
    for (uint64_t seq = 1; seq <= SESSION_RESULTS_MAX; seq++) {
        session_record(&state, ++zxid, ID, seq, 0, BYTES_LIT("r"));
    }
    IS(judge(SESSION_RESULTS_MAX + 1), SESSION_FULL);
    IS(judge(1), SESSION_REPEATED);
    IS(session_judge(&state.view, ID, SESSION_RESULTS_MAX + 1, 1), SESSION_NEW);
    record(SESSION_RESULTS_MAX + 1, 1, "r");
    IS(judge(SESSION_RESULTS_MAX + 2), SESSION_FULL);
}

/* -- The storm ------------------------------------------------------------------------ */

enum { STORM_STEPS = 20000 };

static struct rng rng;

/* What the storm's client was answered, by seq; 0 = it waits. */
static uint64_t answers[STORM_STEPS + 1];
static uint64_t storm_last, storm_ack;

static void storm_record(uint64_t seq, uint64_t ack)
{
    uint8_t result[8];
    bool waits = rng_below(&rng, 4) == 0;

    if (!waits) answers[seq] = rng_next(&rng) | 1;
    put_u64(result, answers[seq]);
    session_record(&state, ++zxid, ID, seq, ack,
                   waits ? (struct bytes){ 0 } : bytes_of(result, sizeof result));
    if (ack >= seq) ack = seq - 1;
    if (ack > storm_ack) storm_ack = ack;
    if (seq > storm_last) storm_last = seq;
}

static enum session_verdict storm_expected(uint64_t seq)
{
    if (seq <= storm_ack) return SESSION_ACKNOWLEDGED;
    if (seq > storm_last) return seq == storm_last + 1 ? SESSION_NEW : SESSION_GAP;
    return answers[seq] == 0 ? SESSION_WAITING : SESSION_REPEATED;
}

static bool storm_step(void)
{
    uint64_t lowest = storm_last > 8 ? storm_last - 8 : 0;
    uint64_t seq = lowest + rng_below(&rng, 12);
    uint64_t ack = lowest > 20 ? lowest - rng_below(&rng, 20) : 0;
    enum session_verdict verdict = session_judge(&state.view, ID, seq, ack);
    struct bytes result;

    if (verdict != storm_expected(seq)) return false;
    if (verdict == SESSION_NEW || verdict == SESSION_WAITING) storm_record(seq, ack);
    if (verdict != SESSION_REPEATED) return true;
    return session_result(&state.view, ID, seq, &result) &&
           get_u64(result.ptr) == answers[seq];
}

static void every_request_is_answered_once_and_the_same(void)
{
    long wrong = 0;

    fresh();
    rng_init(&rng, seed);
    for (int i = 0; i < STORM_STEPS; i++) {
        if (!storm_step()) wrong++;
        if (i % 64 == 0) session_check(&state.view);
        if (i % 1000 == 0) kv_overlay_move(&state, &low, zxid);
    }
    IS(wrong, 0);
    OK(storm_last > STORM_STEPS / 20);
    OK(storm_ack > 0);
}

int main(void)
{
    const char *given = getenv("SEED");

    seed = given != NULL ? strtoull(given, NULL, 10) : 1;
    printf("# SEED=%" PRIu64 "\n", seed);
    begin();
    TEST(an_opened_session_is_known_by_the_zxid_that_opened_it);
    TEST(a_secret_of_another_length_is_refused);
    TEST(a_close_takes_the_session_its_results_and_its_ephemerals);
    TEST(a_close_leaves_what_others_own);
    TEST(a_close_has_no_limit_of_ops);
    TEST(a_session_is_closed_once);
    TEST(a_session_may_be_closed_in_the_transaction_that_made_its_nodes);
    TEST(the_replayed_ops_of_a_close_give_the_same_cells);
    TEST(requests_are_new_in_order_without_a_gap);
    TEST(a_repeated_request_gets_the_first_result);
    TEST(an_empty_result_is_a_result);
    TEST(a_call_waits_until_its_result_is_recorded);
    TEST(a_repeat_without_a_result_keeps_the_first_one);
    TEST(an_acknowledged_result_is_dropped_and_its_request_refused);
    TEST(an_acknowledgement_is_cut_to_what_came_before);
    TEST(an_acknowledgement_never_goes_back);
    TEST(a_result_acknowledged_before_it_came_is_not_kept);
    TEST(without_a_session_there_is_no_request);
    TEST(a_full_session_takes_a_request_that_acknowledges);
    TEST(every_request_is_answered_once_and_the_same);
    end();
    return tap_done();
}
