/* t_wire.c -- frames and hellos between servers: what is taken, and what costs the
 * connection.
 *
 * Method: a stream of frames fed in pieces of every size, and bytes bent by hand. */
#include "core/base/errors.h"
#include "core/base/limits.h"
#include "core/server/wire.h"
#include "tests/lib/tap.h"

static struct buf stream, kept, seen;
static size_t body_max = 1000;

static bool collect(void *ctx, struct bytes body)
{
    (void)ctx;
    buf_put_bytes(&seen, body);
    return true;
}

static void start(void)
{
    buf_clear(&stream);
    buf_clear(&kept);
    buf_clear(&seen);
}

static void frames_arrive_whole_however_they_are_cut(void)
{
    struct buf want = { 0 };

    for (size_t step = 1; step < 40; step++) {
        start();
        buf_clear(&want);
        for (int i = 1; i < 20; i++) {
            const struct bytes body = bytes_of("0123456789abcdefghij", (size_t)i);
            wire_frame_put(&stream, body);
            buf_put_bytes(&want, body);
        }
        for (size_t at = 0; at < stream.len; at += step) {
            size_t len = stream.len - at < step ? stream.len - at : step;
            OK(wire_feed(&kept, bytes_of(stream.ptr + at, len), &body_max, collect, NULL));
        }
        IS(kept.len, 0);
        OK(bytes_equal(buf_bytes(&seen), buf_bytes(&want)));
    }
    buf_fini(&want);
}

static void any_changed_bit_of_a_body_is_noticed(void)
{
    for (size_t bit = 0; bit < 8 * 11; bit++) {
        start();
        wire_frame_put(&stream, BYTES_LIT("hello world"));
        stream.ptr[WIRE_FRAME_HEADER + bit / 8] ^= (uint8_t)(1u << bit % 8);
        OK(!wire_feed(&kept, buf_bytes(&stream), &body_max, collect, NULL));
        IS(seen.len, 0);
    }
}

static void a_length_over_the_bound_or_of_nothing_is_refused_at_once(void)
{
    start();
    buf_put_u32(&stream, 1001);
    buf_put_u32(&stream, 0);
    OK(!wire_feed(&kept, buf_bytes(&stream), &body_max, collect, NULL));
    start();
    buf_put_u32(&stream, 0);
    buf_put_u32(&stream, 0);
    OK(!wire_feed(&kept, buf_bytes(&stream), &body_max, collect, NULL));
}

static struct wire_hello hello_through_the_wire(const struct wire_hello *h)
{
    struct wire_hello got = { 0 };
    struct bytes body;
    size_t len;

    start();
    wire_hello_put(&stream, h);
    IS(wire_frame_next(buf_bytes(&stream), body_max, &body, &len), WIRE_WHOLE);
    IS(wire_hello_read(body, &got), 0);
    return got;
}

static void a_hello_is_read_as_it_was_written(void)
{
    const struct wire_hello h = { .cluster = 77,
                                  .boot = 5,
                                  .incarnation = 8,
                                  .founding = 9,
                                  .number = 4,
                                  .joined = true,
                                  .from = 1,
                                  .to = 2,
                                  .client = BYTES_LIT("127.0.0.1:7400") };
    const struct wire_hello got = hello_through_the_wire(&h);

    IS(got.cluster, 77);
    IS(got.boot, 5);
    IS(got.incarnation, 8);
    IS(got.founding, 9);
    IS(got.number, 4);
    OK(got.joined);
    IS(got.from, 1);
    IS(got.to, 2);
    OK(bytes_equal(got.client, h.client));
}

static void a_hello_cut_short_is_none(void)
{
    const struct wire_hello h = { .cluster = 77,
                                  .boot = 5,
                                  .incarnation = 8,
                                  .founding = 9,
                                  .number = 4,
                                  .joined = true,
                                  .from = 1,
                                  .to = 2,
                                  .client = BYTES_LIT("127.0.0.1:7400") };
    struct wire_hello got;

    start();
    wire_hello_put(&stream, &h);
    for (size_t len = 0; len < stream.len - WIRE_FRAME_HEADER; len++) {
        OK(wire_hello_read(bytes_of(stream.ptr + WIRE_FRAME_HEADER, len), &got) != 0);
    }
}

static void a_hello_without_an_incarnation_is_none(void)
{
    const struct wire_hello h = { .cluster = 77, .from = 1, .to = 2 };
    struct wire_hello got;

    start();
    wire_hello_put(&stream, &h);
    struct bytes body =
        bytes_of(stream.ptr + WIRE_FRAME_HEADER, stream.len - WIRE_FRAME_HEADER);
    IS(wire_hello_read(body, &got), ERR_BAD_MESSAGE);
}

static void a_refusal_is_told_from_a_hello(void)
{
    const struct wire_hello h = { .cluster = 77, .incarnation = 8, .from = 1, .to = 2 };
    struct wire_hello got;
    struct bytes body;
    uint32_t number = 0;
    size_t len;

    start();
    wire_refusal_put(&stream, ERR_OTHER_DATA, 12);
    IS(wire_frame_next(buf_bytes(&stream), body_max, &body, &len), WIRE_WHOLE);
    IS(wire_refusal_read(body, &number), ERR_OTHER_DATA);
    IS(number, 12);
    IS(wire_hello_read(body, &got), ERR_BAD_MESSAGE);
    for (size_t cut = 0; cut < body.len; cut++) {
        IS(wire_refusal_read(bytes_of(body.ptr, cut), &number), 0);
    }
    start();
    wire_hello_put(&stream, &h);
    IS(wire_frame_next(buf_bytes(&stream), body_max, &body, &len), WIRE_WHOLE);
    IS(wire_refusal_read(body, &number), 0);
}

static void only_the_peer_that_is_meant_is_let_in(void)
{
    const struct wire_hello ours = { .cluster = 77, .from = 2, .to = 1 };
    struct wire_hello theirs = { .cluster = 77, .from = 1, .to = 2 };

    IS(wire_hello_judge(&theirs, &ours), 0);
    theirs.cluster = 78;
    IS(wire_hello_judge(&theirs, &ours), ERR_WRONG_CLUSTER);
    theirs = (struct wire_hello){ .cluster = 77, .from = 1, .to = 3 };
    IS(wire_hello_judge(&theirs, &ours), ERR_CONFIG);
    theirs = (struct wire_hello){ .cluster = 77, .from = 3, .to = 2 };
    IS(wire_hello_judge(&theirs, &ours), ERR_CONFIG);
    theirs = (struct wire_hello){ .cluster = 77, .from = 2, .to = 2 };
    IS(wire_hello_judge(&theirs, &ours), ERR_CONFIG);
    theirs = (struct wire_hello){ .cluster = 77, .from = NODES_MAX + 1, .to = 2 };
    IS(wire_hello_judge(&theirs, &(struct wire_hello){ .cluster = 77, .from = 2 }),
       ERR_CONFIG);
}

static void who_has_joined_is_told_by_the_founding_and_others_by_the_first_members(void)
{
    const struct wire_hello ours = {
        .cluster = 77, .founding = 9, .joined = true, .from = 2
    };
    struct wire_hello theirs = {
        .cluster = 78, .founding = 9, .joined = true, .from = 1, .to = 2
    };

    IS(wire_hello_judge(&theirs, &ours), 0);
    theirs.founding = 10;
    theirs.cluster = 77;
    IS(wire_hello_judge(&theirs, &ours), ERR_WRONG_CLUSTER);
    theirs.joined = false;
    IS(wire_hello_judge(&theirs, &ours), 0);
    theirs.cluster = 78;
    IS(wire_hello_judge(&theirs, &ours), ERR_WRONG_CLUSTER);
}

int main(void)
{
    TEST(frames_arrive_whole_however_they_are_cut);
    TEST(any_changed_bit_of_a_body_is_noticed);
    TEST(a_length_over_the_bound_or_of_nothing_is_refused_at_once);
    TEST(a_hello_is_read_as_it_was_written);
    TEST(a_hello_cut_short_is_none);
    TEST(a_hello_without_an_incarnation_is_none);
    TEST(a_refusal_is_told_from_a_hello);
    TEST(only_the_peer_that_is_meant_is_let_in);
    TEST(who_has_joined_is_told_by_the_founding_and_others_by_the_first_members);
    buf_fini(&stream);
    buf_fini(&kept);
    buf_fini(&seen);
    return tap_done();
}
