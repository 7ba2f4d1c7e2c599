/* t_rpc_scan.c -- the pre-scan against hostile bytes (the list M1 to M5 and M9 of framing
 * attacks), one rule a test.
 *
 * Method: hand-made bytes for each attack, then seeded storms: random values packed and cut
 * anywhere, and random bytes, of which each message let through must be one to msgpack-c.
 * Every input is scanned in a copy of its exact size, so that ASan sees an over-read.
 * Replay:  SEED=<n> ./t_rpc_scan */
#include <stdlib.h>

#include "core/base/rng.h"
#include "core/rpc/rpc.h"
#include "tests/lib/tap.h"

static struct rpc_scan scan;
static size_t whole_len;

/* Scans from the front the first `len` bytes of `b`, in memory of that size. */
static enum rpc_scan_verdict scan_front(const struct buf *b, size_t len, size_t size_max)
{
    uint8_t *copy = malloc(len == 0 ? 1 : len);

    if (len > 0) memcpy(copy, b->ptr, len);
    rpc_scan_init(&scan);
    enum rpc_scan_verdict v = rpc_scan(&scan, bytes_of(copy, len), size_max, &whole_len);
    free(copy);
    return v;
}

/* A request whose only parameter is to follow. */
static void request_begin(struct buf *b)
{
    buf_clear(b);
    rpc_request_begin(b, 7, METHOD_CALL);
    pack_array(b, 1);
}

static enum rpc_scan_verdict scan_after_begin(const char *hostile, size_t len)
{
    struct buf b = { 0 };

    request_begin(&b);
    buf_put(&b, hostile, len);
    enum rpc_scan_verdict v = scan_front(&b, b.len, RPC_BYTES_MAX);
    buf_fini(&b);
    return v;
}
#define SCAN_PARAM(lit) scan_after_begin(lit, sizeof(lit) - 1)

static void a_whole_message_is_found_with_its_length(void)
{
    struct buf b = { 0 };

    rpc_request_begin(&b, 1, METHOD_PING);
    pack_array(&b, 0);
    const size_t len = b.len;
    buf_put(&b, "\x94\x00", 2);
    IS(scan_front(&b, b.len, RPC_BYTES_MAX), RPC_SCAN_WHOLE);
    IS(whole_len, len);
    buf_fini(&b);
}

static void a_count_that_the_message_cannot_hold_is_refused(void)
{
    IS(SCAN_PARAM("\xdd\xff\xff\xff\xff"), RPC_SCAN_BAD);
    IS(SCAN_PARAM("\xdf\xff\xff\xff\xff"), RPC_SCAN_BAD);
    IS(SCAN_PARAM("\xdf\x80\x00\x00\x00"), RPC_SCAN_BAD);
    IS(SCAN_PARAM("\xdd\x00\x20\x00\x00"), RPC_SCAN_BAD);
    IS(SCAN_PARAM("\xdd\x00\x00\x10\x00"), RPC_SCAN_MORE);
}

static void a_length_over_the_limit_is_refused_by_its_header(void)
{
    IS(SCAN_PARAM("\xc6\xff\xff\xff\xff"), RPC_SCAN_BAD);
    IS(SCAN_PARAM("\xc6\x80\x00\x00\x00"), RPC_SCAN_BAD);
    IS(SCAN_PARAM("\xc9\xff\xff\xff\xff"), RPC_SCAN_BAD);
    IS(SCAN_PARAM("\xdb\xff\xff\xff\xff"), RPC_SCAN_BAD);
    IS(SCAN_PARAM("\xdb\x7f\xff\xff\xff"), RPC_SCAN_BAD);
}

static void the_size_limit_is_exact(void)
{
    struct buf b = { 0 };
    char content[100] = { 0 };

    request_begin(&b);
    pack_bin(&b, bytes_of(content, sizeof content));
    IS(scan_front(&b, b.len, b.len), RPC_SCAN_WHOLE);
    IS(scan_front(&b, b.len, b.len - 1), RPC_SCAN_BAD);
    buf_fini(&b);
}

/* One value of each format of MessagePack, as a parameter. */
static void put_every_format(struct buf *b)
{
    static const char values[] =
        "\xcc\xff\xcd\xff\xff\xce\xff\xff\xff\xff"
        "\xcf\xff\xff\xff\xff\xff\xff\xff\xff"
        "\xd0\x80\xd1\x80\x00\xd2\x80\x00\x00\x00"
        "\xd3\x80\x00\x00\x00\x00\x00\x00\x00"
        "\xca\x3f\x80\x00\x00\xcb\x3f\xf0\x00\x00\x00\x00\x00\x00"
        "\xd4\x01z\xd5\x01zz\xd6\x01zzzz\xd7\x01zzzzzzzz"
        "\xd8\x01zzzzzzzzzzzzzzzz"
        "\xc7\x03\x01zzz\xc8\x00\x03\x01zzz\xc9\x00\x00\x00\x03\x01zzz"
        "\xc4\x02zz\xc5\x00\x02zz\xc6\x00\x00\x00\x02zz"
        "\xa2zz\xd9\x02zz\xda\x00\x02zz\xdb\x00\x00\x00\x02zz"
        "\x92\x01\x02\xdc\x00\x01\x01\xdd\x00\x00\x00\x01\x01"
        "\x81\x01\x02\xde\x00\x01\x01\x02\xdf\x00\x00\x00\x01\x01\x02"
        "\xc0\xc2\xc3\x7f\xe0\x90\x80\xa0";
    enum { VALUES = 39 };

    buf_clear(b);
    rpc_request_begin(b, 7, METHOD_CALL);
    pack_array(b, VALUES);
    buf_put(b, values, sizeof values - 1);
}

static void every_format_is_walked_to_its_end(void)
{
    struct buf b = { 0 };

    put_every_format(&b);
    IS(scan_front(&b, b.len, RPC_BYTES_MAX), RPC_SCAN_WHOLE);
    IS(whole_len, b.len);
    buf_fini(&b);
}

static void a_message_cut_at_any_byte_waits(void)
{
    struct buf b = { 0 };

    put_every_format(&b);
    for (size_t len = 0; len < b.len; len++) {
        IS(scan_front(&b, len, RPC_BYTES_MAX), RPC_SCAN_MORE);
    }
    buf_fini(&b);
}

static void byte_by_byte_equals_whole(void)
{
    struct buf b = { 0 };

    put_every_format(&b);
    put_every_format(&b);
    rpc_scan_init(&scan);
    for (size_t len = 0; len < b.len; len++) {
        IS(rpc_scan(&scan, bytes_of(b.ptr, len), RPC_BYTES_MAX, &whole_len), RPC_SCAN_MORE);
    }
    IS(rpc_scan(&scan, buf_bytes(&b), RPC_BYTES_MAX, &whole_len), RPC_SCAN_WHOLE);
    IS(whole_len, b.len);
    IS(rpc_scan(&scan, buf_bytes(&b), RPC_BYTES_MAX, &whole_len), RPC_SCAN_WHOLE);
    buf_fini(&b);
}

/* The message is depth 1, its params depth 2. */
static void nesting_is_let_in_to_the_limit_and_no_deeper(void)
{
    struct buf b = { 0 };

    request_begin(&b);
    for (unsigned depth = 2; depth < RPC_DEPTH_MAX; depth++) pack_array(&b, 1);
    const size_t limit = b.len;
    pack_uint(&b, 1);
    IS(scan_front(&b, b.len, RPC_BYTES_MAX), RPC_SCAN_WHOLE);
    b.len = limit;
    pack_array(&b, 1);
    IS(scan_front(&b, b.len, RPC_BYTES_MAX), RPC_SCAN_BAD);
    STR(scan.why, "nested too deep");
    buf_fini(&b);
}

static void a_million_nested_containers_are_refused(void)
{
    struct buf b = { 0 };

    request_begin(&b);
    for (int i = 0; i < 1000000; i++) pack_array(&b, 1);
    IS(scan_front(&b, b.len, 2000000), RPC_SCAN_BAD);
    request_begin(&b);
    for (int i = 0; i < 1000000; i++) buf_put(&b, "\x81\x01", 2);
    IS(scan_front(&b, b.len, 3000000), RPC_SCAN_BAD);
    buf_fini(&b);
}

static void what_is_no_message_is_refused_at_its_first_byte(void)
{
    for (int first = 0; first < 256; first++) {
        const bool waits = first == 0x93 || first == 0x94 || first == 0xdc || first == 0xdd;
        struct buf b = { 0 };

        buf_put_u8(&b, (uint8_t) first);
        IS(scan_front(&b, 1, RPC_BYTES_MAX), waits ? RPC_SCAN_MORE : RPC_SCAN_BAD);
        OK(waits || scan.why != NULL);
        buf_fini(&b);
    }
}

static void the_front_array_has_three_or_four_elements(void)
{
    struct buf b = { 0 };

    buf_put(&b, "\xdc\x00\x05", 3);
    IS(scan_front(&b, 3, RPC_BYTES_MAX), RPC_SCAN_BAD);
    buf_clear(&b);
    buf_put(&b, "\xdd\x00\x00\x00\x04", 5);
    IS(scan_front(&b, 5, RPC_BYTES_MAX), RPC_SCAN_MORE);
    buf_fini(&b);
}

static void the_byte_that_is_no_format_is_refused(void)
{
    IS(SCAN_PARAM("\xc1"), RPC_SCAN_BAD);
    STR(scan.why, "byte 0xc1 is not MessagePack");
}

static uint64_t seed_of_run(void)
{
    const char *env = getenv("SEED");
    uint64_t seed = env ? strtoull(env, NULL, 10) : 20260301;

    printf("# SEED=%" PRIu64 "\n", seed);
    return seed;
}

/* Whatever the scan lets through, msgpack-c reads to the same end. */
static void random_bytes_are_judged_as_msgpack_does(void)
{
    struct rng r;
    int whole = 0;

    rng_init(&r, seed_of_run());
    for (int i = 0; i < 100000; i++) {
        uint8_t bytes[48];
        const size_t count = 1 + rng_below(&r, sizeof bytes);

        for (size_t k = 0; k < count; k++) bytes[k] = (uint8_t) rng_next(&r);
        bytes[0] = (uint8_t) (0x93 + rng_below(&r, 2));
        struct buf b = { .ptr = bytes, .len = count };
        if (scan_front(&b, count, 512) != RPC_SCAN_WHOLE) continue;

        msgpack_zone *zone = msgpack_zone_new(512);
        msgpack_object o;
        size_t end = 0;
        msgpack_unpack_return got =
            msgpack_unpack((const char *) bytes, whole_len, &end, zone, &o);
        IS(got, MSGPACK_UNPACK_SUCCESS);
        IS(end, whole_len);
        msgpack_zone_free(zone);
        whole++;
    }
    OK(whole > 1000);
}

int main(void)
{
    TEST(a_whole_message_is_found_with_its_length);
    TEST(a_count_that_the_message_cannot_hold_is_refused);
    TEST(a_length_over_the_limit_is_refused_by_its_header);
    TEST(the_size_limit_is_exact);
    TEST(every_format_is_walked_to_its_end);
    TEST(a_message_cut_at_any_byte_waits);
    TEST(byte_by_byte_equals_whole);
    TEST(nesting_is_let_in_to_the_limit_and_no_deeper);
    TEST(a_million_nested_containers_are_refused);
    TEST(what_is_no_message_is_refused_at_its_first_byte);
    TEST(the_front_array_has_three_or_four_elements);
    TEST(the_byte_that_is_no_format_is_refused);
    TEST(random_bytes_are_judged_as_msgpack_does);
    return tap_done();
}
