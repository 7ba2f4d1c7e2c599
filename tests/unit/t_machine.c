/* t_machine.c -- what applying a slot does and what it refuses, one rule a test.
 *
 * Method: batches are made by hand, as a leader would, and applied to a state in memory. */
#include <stdlib.h>

#include "core/base/check.h"
#include "core/base/errors.h"
#include "core/machine/machine.h"
#include "core/machine/result.h"
#include "core/session/session.h"
#include "core/tree/op.h"
#include "tests/lib/tap.h"

static struct kv_overlay store;
static struct machine m;
static struct buf batch, ops, result;
static bool counted;
static int answers;
static uint64_t answered_zxid;
static int answered_code;

static void begin(void)
{
    kv_overlay_init(&store, NULL, 1);
    CHECK(machine_init(&m, &store) == 0);
    answers = 0;
}

static void end(void)
{
    machine_fini(&m);
    kv_overlay_fini(&store);
}

static void keep(void *ctx, const struct txn *t, uint64_t zxid, struct bytes bytes)
{
    struct result r = { 0 };

    (void)ctx;
    (void)t;
    answers++;
    answered_zxid = zxid;
    if (bytes.ptr != NULL) CHECK(result_decode(bytes, &r) == 0);
    answered_code = bytes.ptr == NULL ? 1 : r.code;
}

static struct bytes one_op(struct op op)
{
    buf_clear(&ops);
    op_encode(&ops, &op);
    return buf_bytes(&ops);
}

static struct bytes a_result(int code)
{
    struct result r = { .code = code, .index = -1 };

    buf_clear(&result);
    result_encode(&result, &r);
    return buf_bytes(&result);
}

static struct op create(const char *path)
{
    return (struct op){ .kind = OP_CREATE, .path = bytes_str(path) };
}

/* The header that a leader at this machine's place would write. */
static void header(uint32_t count)
{
    buf_clear(&batch);
    batch_begin(&batch, &(struct batch){ .zxid_first = m.zxid + 1,
                                         .time_ms = m.time_ms + 10,
                                         .clock_ms = m.clock_ms + 10,
                                         .digest_slot = m.run.slot,
                                         .digest = store.digest });
    buf_put_uint(&batch, count);
}

static int apply_as(uint64_t round, uint64_t reign_first)
{
    struct proposal p = { .reign = { round, 1 },
                          .reign_first = reign_first,
                          .batch = blob_new(buf_bytes(&batch)) };
    int code = machine_apply(&m, &p, keep, NULL, &counted);

    blob_unref(p.batch);
    return code;
}

static int apply(void)
{
    return apply_as(1, 1);
}

static int apply_txn(struct txn t)
{
    header(1);
    txn_encode(&batch, &t);
    return apply();
}

static int apply_create(const char *path)
{
    return apply_txn((struct txn){ .flags = TXN_FINAL,
                                   .origin = 1,
                                   .tag = 1,
                                   .ops = one_op(create(path)),
                                   .result = a_result(0) });
}

static bool exists(const char *path)
{
    struct node n;

    return node_read(&store.view, bytes_str(path), &n);
}

static uint64_t open_session(void)
{
    struct op op = { .kind = OP_SESSION_OPEN,
                     .owner = m.zxid + 1,
                     .timeout_ms = 5000,
                     .data = BYTES_LIT("0123456789abcdef") };

    IS(apply_txn((struct txn){ .flags = TXN_FINAL, .ops = one_op(op) }), 0);
    return op.owner;
}

static void an_empty_state_is_founded_with_a_root_at_slot_0(void)
{
    begin();
    IS(machine_slot(&m), 0);
    OK(exists("/"));
    machine_check(&m);
    end();
}

static void a_batch_is_applied_and_answered_in_order(void)
{
    begin();
    header(2);
    txn_encode(&batch, &(struct txn){ .flags = TXN_FINAL,
                                      .origin = 1,
                                      .ops = one_op(create("/a")),
                                      .result = a_result(0) });
    txn_encode(&batch, &(struct txn){ .flags = TXN_FINAL,
                                      .origin = 1,
                                      .result = a_result(ERR_NODE_EXISTS) });
    IS(apply(), 0);
    OK(counted);
    OK(exists("/a"));
    IS(answers, 2);
    IS(answered_zxid, 2);
    IS(answered_code, ERR_NODE_EXISTS);
    IS(m.zxid, 2);
    IS(machine_slot(&m), 1);
    machine_check(&m);
    end();
}

static void the_place_is_found_again(void)
{
    struct machine again;

    begin();
    IS(apply_create("/a"), 0);
    IS(machine_init(&again, &store), 0);
    IS(machine_slot(&again), 1);
    IS(again.zxid, 1);
    IS(again.time_ms, m.time_ms);
    IS(again.run.reign.round, 1);
    OK(again.run.valid);
    machine_check(&again);
    machine_fini(&again);
    end();
}

static void a_place_that_is_none_is_named(void)
{
    struct kv_overlay bad;
    struct machine none;

    kv_overlay_init(&bad, NULL, 1);
    kv_put(&bad, BYTES_LIT("mapplied"), BYTES_LIT("\x01\x05"), 0);
    IS(machine_init(&none, &bad), ERR_DAMAGED);
    kv_put(&bad, BYTES_LIT("mapplied"), BYTES_LIT("\x07zz"), 0);
    IS(machine_init(&none, &bad), ERR_OTHER_VERSION);
    kv_overlay_fini(&bad);
}

static void a_void_batch_changes_only_the_slot_and_the_run(void)
{
    uint64_t digest;

    begin();
    IS(apply_create("/a"), 0);
    digest = store.digest;
    header(1);
    txn_encode(&batch, &(struct txn){ .flags = TXN_FINAL, .ops = one_op(create("/b")) });
    IS(apply_as(2, 1), 0); /* reign 2 began at slot 1, which holds reign 1's batch */
    OK(!counted);
    OK(!exists("/b"));
    IS(answers, 1);
    IS(m.zxid, 1);
    IS(machine_slot(&m), 2);
    OK(store.digest == digest);
    machine_check(&m);
    end();
}

static void a_hole_is_a_no_op(void)
{
    struct proposal hole = { 0 };

    begin();
    IS(machine_apply(&m, &hole, keep, NULL, &counted), 0);
    OK(!counted);
    IS(machine_slot(&m), 1);
    end();
}

/* Expects that what stands in `batch` stops this replica and changes nothing. */
static void refused(void)
{
    uint64_t digest = store.digest, zxid = m.zxid;

    IS(apply(), ERR_DAMAGED);
    IS(machine_slot(&m), 1);
    IS(m.zxid, zxid);
    OK(store.digest == digest);
    OK(!exists("/b"));
    machine_check(&m);
}

static void batch_with(uint64_t zxid_first, int64_t time_ms, uint64_t slot, uint64_t digest)
{
    buf_clear(&batch);
    batch_begin(&batch, &(struct batch){ .zxid_first = zxid_first,
                                         .time_ms = time_ms,
                                         .clock_ms = m.clock_ms,
                                         .digest_slot = slot,
                                         .digest = digest });
    buf_put_uint(&batch, 1);
    txn_encode(&batch, &(struct txn){ .flags = TXN_FINAL, .ops = one_op(create("/b")) });
}

static void a_batch_that_does_not_follow_stops_the_replica(void)
{
    begin();
    IS(apply_create("/a"), 0);
    batch_with(m.zxid + 2, m.time_ms, 1, store.digest);
    refused();
    batch_with(m.zxid, m.time_ms, 1, store.digest);
    refused();
    batch_with(m.zxid + 1, m.time_ms - 1, 1, store.digest);
    refused();
    batch_with(m.zxid + 1, m.time_ms, 2, store.digest);
    refused();
    batch_with(m.zxid + 1, m.time_ms, 1, store.digest);
    batch.len--;
    refused();
    end();
}

static void a_digest_that_differs_is_told_and_the_batch_applied(void)
{
    begin();
    IS(apply_create("/a"), 0);
    batch_with(m.zxid + 1, m.time_ms, 1, store.digest + 1);
    IS(apply(), 0);
    IS(m.differs_slot, 1);
    OK(exists("/b"));
    IS(apply_create("/c"), 0);
    IS(m.differs_slot, 0);
    end();
}

static void a_digest_from_before_the_state_was_loaded_says_nothing(void)
{
    begin();
    IS(apply_create("/a"), 0);
    machine_fini(&m);
    IS(machine_init(&m, &store), 0);
    batch_with(m.zxid + 1, m.time_ms, 0, 12345);
    IS(apply(), 0);
    end();
}

static void a_result_is_stored_with_its_effect_and_answered_again(void)
{
    struct bytes stored;
    uint64_t s;

    begin();
    s = open_session();
    IS(apply_txn((struct txn){ .flags = TXN_FINAL,
                               .session = s,
                               .seq = 1,
                               .ops = one_op(create("/a")),
                               .result = a_result(0) }),
       0);
    IS(apply_txn((struct txn){
           .flags = TXN_FINAL, .session = s, .seq = 2, .result = a_result(ERR_NO_NODE) }),
       0);
    IS(apply_txn((struct txn){
           .flags = TXN_FINAL | TXN_REPEATED, .session = s, .seq = 2, .ack = 1 }),
       0);
    IS(answered_code, ERR_NO_NODE);
    OK(session_result(&store.view, s, 2, &stored));
    OK(!session_result(&store.view, s, 1, &stored)); /* the repeated one acknowledged it */
    IS(apply_txn((struct txn){ .flags = TXN_FINAL | TXN_REPEATED, .session = s, .seq = 1 }),
       0);
    IS(answered_code, ERR_SEQ_ACKNOWLEDGED);
    machine_check(&m);
    end();
}

static void a_call_that_waits_marks_its_seq_and_stores_nothing(void)
{
    struct bytes stored;
    struct session session;
    uint64_t s;

    begin();
    s = open_session();
    IS(apply_txn((struct txn){ .session = s, .seq = 1 }), 0);
    IS(answered_code, 1); /* it was told of, without a result */
    OK(!session_result(&store.view, s, 1, &stored));
    OK(session_read(&store.view, s, &session));
    IS(session.last, 1);
    machine_check(&m);
    end();
}

static void a_closed_session_keeps_no_result(void)
{
    struct bytes stored;
    uint64_t s;

    begin();
    s = open_session();
    IS(apply_txn(
           (struct txn){ .flags = TXN_FINAL,
                         .session = s,
                         .seq = 1,
                         .ops = one_op((struct op){ .kind = OP_SESSION_CLOSE, .owner = s }),
                         .result = a_result(0) }),
       0);
    IS(answered_code, 0);
    OK(!session_result(&store.view, s, 1, &stored));
    machine_check(&m);
    end();
}

int main(void)
{
    TEST(an_empty_state_is_founded_with_a_root_at_slot_0);
    TEST(a_batch_is_applied_and_answered_in_order);
    TEST(the_place_is_found_again);
    TEST(a_place_that_is_none_is_named);
    TEST(a_void_batch_changes_only_the_slot_and_the_run);
    TEST(a_hole_is_a_no_op);
    TEST(a_batch_that_does_not_follow_stops_the_replica);
    TEST(a_digest_that_differs_is_told_and_the_batch_applied);
    TEST(a_digest_from_before_the_state_was_loaded_says_nothing);
    TEST(a_result_is_stored_with_its_effect_and_answered_again);
    TEST(a_call_that_waits_marks_its_seq_and_stores_nothing);
    TEST(a_closed_session_keeps_no_result);
    buf_fini(&batch);
    buf_fini(&ops);
    buf_fini(&result);
    return tap_done();
}
