/* t_pack.c -- packing: the shortest form of every value, the one that msgpack-c reads back.
 *
 * Method: values at each border between two forms, with their length stated; then a seeded
 * storm of random values that go through pack, msgpack-c and pack_object() and must come
 * out as the same bytes.  Replay:  SEED=<n> ./t_pack */
#include <stdlib.h>

#include "core/base/rng.h"
#include "core/rpc/rpc.h"
#include "tests/lib/tap.h"

static struct buf b;
static msgpack_zone *zone;

static msgpack_object unpack(void)
{
    msgpack_object o = { 0 };
    size_t end = 0;

    msgpack_zone_clear(zone);
    IS(msgpack_unpack((const char *) b.ptr, b.len, &end, zone, &o), MSGPACK_UNPACK_SUCCESS);
    IS(end, b.len);
    return o;
}

static void uint_has_length(uint64_t v, size_t len)
{
    buf_clear(&b);
    pack_uint(&b, v);
    IS(b.len, len);
    msgpack_object o = unpack();
    OK(rpc_uint(&o, ~v) == v);
}

static void int_has_length(int64_t v, size_t len)
{
    buf_clear(&b);
    pack_int(&b, v);
    IS(b.len, len);
    msgpack_object o = unpack();
    IS(rpc_int(&o, ~v), v);
}

static void unsigned_numbers_take_the_shortest_form(void)
{
    uint_has_length(0, 1);
    uint_has_length(0x7f, 1);
    uint_has_length(0x80, 2);
    uint_has_length(0xff, 2);
    uint_has_length(0x100, 3);
    uint_has_length(0xffff, 3);
    uint_has_length(0x10000, 5);
    uint_has_length(0xffffffff, 5);
    uint_has_length(0x100000000, 9);
    uint_has_length(UINT64_MAX, 9);
}

static void signed_numbers_take_the_shortest_form(void)
{
    int_has_length(5, 1);
    int_has_length(-1, 1);
    int_has_length(-32, 1);
    int_has_length(-33, 2);
    int_has_length(-128, 2);
    int_has_length(-129, 3);
    int_has_length(INT16_MIN, 3);
    int_has_length(INT16_MIN - 1, 5);
    int_has_length(INT32_MIN, 5);
    int_has_length((int64_t) INT32_MIN - 1, 9);
    int_has_length(INT64_MIN, 9);
    int_has_length(INT64_MAX, 9);
}

static void text_has_header(size_t len, size_t str_header, size_t bin_header)
{
    char *text = calloc(1, len + 1);

    buf_clear(&b);
    pack_str(&b, bytes_of(text, len));
    IS(b.len, str_header + len);
    msgpack_object o = unpack();
    IS(o.type, MSGPACK_OBJECT_STR);
    IS(o.via.str.size, len);
    buf_clear(&b);
    pack_bin(&b, bytes_of(text, len));
    IS(b.len, bin_header + len);
    o = unpack();
    IS(o.type, MSGPACK_OBJECT_BIN);
    IS(o.via.bin.size, len);
    free(text);
}

static void str_and_bin_take_the_shortest_form(void)
{
    text_has_header(0, 1, 2);
    text_has_header(31, 1, 2);
    text_has_header(32, 2, 2);
    text_has_header(255, 2, 2);
    text_has_header(256, 3, 3);
    text_has_header(65535, 3, 3);
    text_has_header(65536, 5, 5);
}

static void counts_take_the_shortest_form(void)
{
    static const struct {
        uint32_t count;
        size_t len;
    } rows[] = { { 0, 1 }, { 15, 1 }, { 16, 3 }, { 65535, 3 }, { 65536, 5 } };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        buf_clear(&b);
        pack_array(&b, rows[i].count);
        IS(b.len, rows[i].len);
        buf_clear(&b);
        pack_map(&b, rows[i].count);
        IS(b.len, rows[i].len);
    }
}

static void null_bytes_are_nil_and_empty_bytes_are_not(void)
{
    buf_clear(&b);
    pack_bin(&b, (struct bytes){ 0 });
    IS(unpack().type, MSGPACK_OBJECT_NIL);
    buf_clear(&b);
    pack_bin(&b, BYTES_LIT(""));
    IS(unpack().type, MSGPACK_OBJECT_BIN);
}

static void floats_and_extensions_are_copied_as_they_are(void)
{
    static const char all[] = "\x99\xca\x3f\x80\x00\x00\xcb\x3f\xf0\x00\x00\x00\x00\x00\x01"
                              "\xd4\x01z\xd5\xffzz\xd6\x01zzzz\xd7\x01zzzzzzzz"
                              "\xd8\x01zzzzzzzzzzzzzzzz\xc7\x03\x01zzz\xc7\x00\x01";
    struct buf copy = { 0 };

    buf_clear(&b);
    buf_put(&b, all, sizeof all - 1);
    msgpack_object o = unpack();
    pack_object(&copy, &o);
    OK(bytes_equal(buf_bytes(&copy), buf_bytes(&b)));
    buf_fini(&copy);
}

static void a_long_form_is_copied_in_its_shortest(void)
{
    struct buf copy = { 0 };

    buf_clear(&b);
    buf_put(&b,
            "\xdd\x00\x00\x00\x02\xcf\x00\x00\x00\x00\x00\x00\x00\x05\xd3\xff\xff\xff\xff"
            "\xff\xff\xff\xff",
            23);
    msgpack_object o = unpack();
    pack_object(&copy, &o);
    OK(bytes_equal(buf_bytes(&copy), BYTES_LIT("\x92\x05\xff")));
    buf_fini(&copy);
}

static void put_random(struct rng *r, int depth)
{
    static const char text[400];
    const uint64_t kind = rng_below(r, depth == 0 ? 6 : 8);
    const uint32_t count = (uint32_t) rng_below(r, 20);

    if (kind == 0) pack_nil(&b);
    if (kind == 1) pack_bool(&b, rng_below(r, 2) == 0);
    if (kind == 2) pack_uint(&b, rng_next(r) >> rng_below(r, 64));
    if (kind == 3) pack_int(&b, -(int64_t) (rng_next(r) >> (1 + rng_below(r, 63))));
    if (kind == 4) pack_str(&b, bytes_of(text, rng_below(r, sizeof text)));
    if (kind == 5) pack_bin(&b, bytes_of(text, rng_below(r, sizeof text)));
    if (kind < 6) return;
    if (kind == 6) pack_array(&b, count);
    if (kind == 7) pack_map(&b, count);
    for (uint32_t i = 0; i < count * (kind == 7 ? 2 : 1); i++) put_random(r, depth - 1);
}

static void random_values_come_back_as_the_same_bytes(void)
{
    const char *env = getenv("SEED");
    uint64_t seed = env ? strtoull(env, NULL, 10) : 20260302;
    struct buf copy = { 0 };
    struct rng r;

    printf("# SEED=%" PRIu64 "\n", seed);
    rng_init(&r, seed);
    for (int i = 0; i < 2000; i++) {
        buf_clear(&b);
        buf_clear(&copy);
        put_random(&r, 3);
        msgpack_object o = unpack();
        pack_object(&copy, &o);
        OK(bytes_equal(buf_bytes(&copy), buf_bytes(&b)));
    }
    buf_fini(&copy);
}

int main(void)
{
    zone = msgpack_zone_new(MSGPACK_ZONE_CHUNK_SIZE);
    TEST(unsigned_numbers_take_the_shortest_form);
    TEST(signed_numbers_take_the_shortest_form);
    TEST(str_and_bin_take_the_shortest_form);
    TEST(counts_take_the_shortest_form);
    TEST(null_bytes_are_nil_and_empty_bytes_are_not);
    TEST(floats_and_extensions_are_copied_as_they_are);
    TEST(a_long_form_is_copied_in_its_shortest);
    TEST(random_values_come_back_as_the_same_bytes);
    msgpack_zone_free(zone);
    buf_fini(&b);
    return tap_done();
}
