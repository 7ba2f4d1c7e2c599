/* t_batch.c -- batches as bytes, and the history that a person reads. */
#include <stdlib.h>

#include "core/base/errors.h"
#include "core/machine/batch.h"
#include "core/machine/result.h"
#include "core/tree/op.h"
#include "tests/lib/tap.h"

static struct buf bytes, ops, result;
static struct batch got;

static void put_op(struct op op)
{
    op_encode(&ops, &op);
}

static void build(const struct txn *txns, uint32_t count)
{
    buf_clear(&bytes);
    batch_begin(&bytes, &(struct batch){ .zxid_first = 100,
                                         .time_ms = 1700000000000,
                                         .clock_ms = 60000,
                                         .digest_slot = 7,
                                         .digest = 0xfeedull });
    buf_put_uint(&bytes, count);
    for (uint32_t i = 0; i < count; i++)
        txn_encode(&bytes, &txns[i]);
}

static struct txn a_write(void)
{
    struct result r = { .code = 0, .zxid = 100, .index = -1 };

    buf_clear(&ops);
    put_op((struct op){
        .kind = OP_CREATE, .path = BYTES_LIT("/a"), .data = BYTES_LIT("topsecret") });
    put_op((struct op){ .kind = OP_DELETE, .path = BYTES_LIT("/b") });
    buf_clear(&result);
    result_encode(&result, &r);
    return (struct txn){ .flags = TXN_FINAL,
                         .origin = 3,
                         .tag = 44,
                         .session = 5,
                         .seq = 6,
                         .ack = 4,
                         .ops = buf_bytes(&ops),
                         .result = buf_bytes(&result) };
}

static void a_batch_comes_back_as_it_was(void)
{
    struct txn txns[2] = { a_write(), { .flags = TXN_FINAL | TXN_REPEATED, .origin = 1 } };
    struct txn t;

    build(txns, 2);
    IS(batch_decode(buf_bytes(&bytes), &got), 0);
    IS(got.zxid_first, 100);
    IS(got.time_ms, 1700000000000);
    IS(got.digest_slot, 7);
    IS(got.digest, 0xfeed);
    IS(got.count, 2);
    IS(txn_next(&got, &t), 0);
    IS(t.origin, 3);
    IS(t.tag, 44);
    IS(t.session, 5);
    IS(t.seq, 6);
    IS(t.ack, 4);
    OK(bytes_equal(t.ops, buf_bytes(&ops)));
    OK(bytes_equal(t.result, buf_bytes(&result)));
    IS(txn_next(&got, &t), 0);
    IS(t.flags, TXN_FINAL | TXN_REPEATED);
    OK(t.result.ptr == NULL);
    IS(txn_next(&got, &t), ERR_BAD_MESSAGE);
}

static void an_empty_batch_is_a_batch(void)
{
    build(NULL, 0);
    IS(batch_decode(buf_bytes(&bytes), &got), 0);
    IS(got.count, 0);
}

static void no_shorter_and_no_longer_batch_is_a_batch(void)
{
    struct txn t = a_write();

    build(&t, 1);
    for (size_t len = 0; len < bytes.len; len++) {
        uint8_t *exact = mem_alloc(len);

        memcpy(exact, bytes.ptr, len);
        IS(batch_decode(bytes_of(exact, len), &got), ERR_BAD_MESSAGE);
        free(exact);
    }
    buf_put_u8(&bytes, 0);
    IS(batch_decode(buf_bytes(&bytes), &got), ERR_BAD_MESSAGE);
    bytes.ptr[0] = 9;
    IS(batch_decode(buf_bytes(&bytes), &got), ERR_OTHER_VERSION);
}

static void an_op_that_is_none_spoils_the_batch(void)
{
    struct txn t = a_write();

    ops.ptr[0] = 99;
    build(&t, 1);
    IS(batch_decode(buf_bytes(&bytes), &got), ERR_BAD_MESSAGE);
}

static char lines[4][1100];
static int lines_count;

static void keep_line(void *ctx, const char *text)
{
    (void)ctx;
    snprintf(lines[lines_count++ % 4], sizeof lines[0], "%s", text);
}

static void history_names_paths_and_never_data(void)
{
    struct txn txns[3] = { a_write(),
                           { .session = 5, .seq = 7 },
                           { .flags = TXN_FINAL | TXN_REPEATED, .session = 5, .seq = 6 } };

    build(txns, 3);
    lines_count = 0;
    batch_print(buf_bytes(&bytes), keep_line, NULL);
    IS(lines_count, 3);
    STR(lines[0], "zxid=100 origin=3 session=5 seq=6 ok | create /a bytes=9 | delete /b");
    STR(lines[1], "zxid=101 session=5 seq=7 waits");
    STR(lines[2], "zxid=102 session=5 seq=6 repeated");
    lines_count = 0;
    batch_print(BYTES_LIT("\x01"), keep_line, NULL);
    STR(lines[0], "this is no batch: bad_message");
}

int main(void)
{
    TEST(a_batch_comes_back_as_it_was);
    TEST(an_empty_batch_is_a_batch);
    TEST(no_shorter_and_no_longer_batch_is_a_batch);
    TEST(an_op_that_is_none_spoils_the_batch);
    TEST(history_names_paths_and_never_data);
    buf_fini(&bytes);
    buf_fini(&ops);
    buf_fini(&result);
    return tap_done();
}
