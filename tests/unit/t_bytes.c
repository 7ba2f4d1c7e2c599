/* t_bytes.c -- the encodings that everything stored and sent is made of, and how a reader
 * refuses what is none, one rule a test. Method: hand-made values and bytes. */
#include <stdlib.h>

#include "core/base/bytes.h"
#include "tests/lib/tap.h"

static struct buf b;

static void fixed_numbers_are_little_endian(void)
{
    struct reader r;

    buf_clear(&b);
    buf_put_u8(&b, 1);
    buf_put_u32(&b, 0x01020304);
    buf_put_u64(&b, 0x0102030405060708);
    OK(bytes_equal(buf_bytes(&b), BYTES_LIT("\1\4\3\2\1\10\7\6\5\4\3\2\1")));
    r = reader_of(buf_bytes(&b));
    IS(read_u8(&r), 1);
    IS(read_u32(&r), 0x01020304);
    IS(read_u64(&r), 0x0102030405060708);
    OK(reader_done(&r));
}

static void numbers_in_keys_are_big_endian_so_that_they_sort(void)
{
    uint8_t low[8], high[8];

    put_u64_be(low, 0x01ff);
    put_u64_be(high, 0x0200);
    OK(memcmp(low, high, 8) < 0);
    IS(get_u64_be(low), 0x01ff);
}

static void a_number_of_any_size_is_read_back(void)
{
    for (unsigned shift = 0; shift < 64; shift++) {
        uint64_t values[] = { 1ull << shift, (1ull << shift) - 1, UINT64_MAX >> shift };

        for (int i = 0; i < 3; i++) {
            struct reader r;

            buf_clear(&b);
            buf_put_uint(&b, values[i]);
            r = reader_of(buf_bytes(&b));
            OK(read_uint(&r) == values[i]);
            OK(reader_done(&r));
        }
    }
}

static void a_number_takes_one_byte_for_seven_bits(void)
{
    buf_clear(&b);
    buf_put_uint(&b, 127);
    IS(b.len, 1);
    buf_put_uint(&b, 128);
    IS(b.len, 3);
    buf_put_uint(&b, UINT64_MAX);
    IS(b.len, 13);
}

static bool is_number(struct bytes s)
{
    struct reader r = reader_of(s);

    (void) read_uint(&r);
    return reader_done(&r);
}

static void a_number_beyond_64_bits_is_refused(void)
{
    OK(is_number(BYTES_LIT("\xff\xff\xff\xff\xff\xff\xff\xff\xff\1")));
    OK(!is_number(BYTES_LIT("\xff\xff\xff\xff\xff\xff\xff\xff\xff\2")));
    OK(!is_number(BYTES_LIT("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\1")));
    OK(!is_number(BYTES_LIT("\x80")));
    OK(!is_number(BYTES_LIT("")));
}

static void null_bytes_are_not_empty_bytes(void)
{
    struct reader r;
    struct bytes s;

    buf_clear(&b);
    buf_put_bytes(&b, (struct bytes){ 0 });
    buf_put_bytes(&b, BYTES_LIT(""));
    buf_put_bytes(&b, BYTES_LIT("x"));
    OK(bytes_equal(buf_bytes(&b), BYTES_LIT("\0\1\2x")));
    r = reader_of(buf_bytes(&b));
    OK(read_bytes(&r, 1).ptr == NULL);
    s = read_bytes(&r, 1);
    OK(s.ptr != NULL);
    IS(s.len, 0);
    OK(bytes_equal(read_bytes(&r, 1), BYTES_LIT("x")));
    OK(reader_done(&r));
}

static void bytes_over_the_limit_or_past_the_end_are_refused(void)
{
    struct reader r = reader_of(BYTES_LIT("\3ab"));

    IS(read_bytes(&r, 1).len, 0);
    OK(r.bad);
    r = reader_of(BYTES_LIT("\4ab"));
    IS(read_bytes(&r, 100).len, 0);
    OK(r.bad);
    r = reader_of(BYTES_LIT("\xff\xff\xff\xff\xff\xff\xff\xff\xff\1")); /* 2^64 - 2 bytes */
    IS(read_bytes(&r, SIZE_MAX).len, 0);
    OK(r.bad);
}

static void a_bad_reader_gives_zero_ever_after(void)
{
    struct reader r = reader_of(BYTES_LIT("abcde"));

    IS(read_u64(&r), 0);
    OK(r.bad);
    IS(read_u8(&r), 0);
    IS(read_u32(&r), 0);
    IS(read_uint(&r), 0);
    OK(read_raw(&r, 0).ptr == NULL);
    IS(reader_left(&r), 0);
    OK(!reader_done(&r));
}

static void a_reader_is_done_only_when_nothing_is_left(void)
{
    struct reader r = reader_of(BYTES_LIT("ab"));

    IS(read_u8(&r), 'a');
    OK(!reader_done(&r));
    IS(read_u8(&r), 'b');
    OK(reader_done(&r));
    r = reader_of((struct bytes){ 0 });
    OK(reader_done(&r));
    OK(read_raw(&r, 0).ptr != NULL);
}

static void bytes_sort_like_memcmp_and_the_shorter_first(void)
{
    OK(bytes_cmp(BYTES_LIT("a"), BYTES_LIT("b")) < 0);
    OK(bytes_cmp(BYTES_LIT("ab"), BYTES_LIT("a")) > 0);
    OK(bytes_cmp(BYTES_LIT("\x7f"), BYTES_LIT("\x80")) < 0);
    IS(bytes_cmp(BYTES_LIT(""), (struct bytes){ 0 }), 0);
    OK(bytes_equal(BYTES_LIT("a"), BYTES_LIT("a")));
    OK(!bytes_equal(BYTES_LIT("a"), BYTES_LIT("ab")));
}

static void secrets_are_equal_only_when_all_bytes_are(void)
{
    OK(bytes_equal_secret(BYTES_LIT("abc"), BYTES_LIT("abc")));
    OK(!bytes_equal_secret(BYTES_LIT("abc"), BYTES_LIT("abd")));
    OK(!bytes_equal_secret(BYTES_LIT("abc"), BYTES_LIT("xbc")));
    OK(!bytes_equal_secret(BYTES_LIT("abc"), BYTES_LIT("ab")));
}

static void a_buffer_keeps_its_content_while_it_grows(void)
{
    long wrong = 0;

    buf_clear(&b);
    for (uint32_t i = 0; i < 1000; i++) buf_put_u32(&b, i);
    for (uint32_t i = 0; i < 1000; i++) wrong += get_u32(b.ptr + 4 * i) != i;
    IS(wrong, 0);
}

static void the_start_of_a_buffer_can_be_dropped_and_a_place_overwritten(void)
{
    buf_clear(&b);
    buf_put(&b, "abcdef", 6);
    buf_drop(&b, 2);
    OK(bytes_equal(buf_bytes(&b), BYTES_LIT("cdef")));
    buf_set_u32(&b, 0, 0x01020304);
    OK(bytes_equal(buf_bytes(&b), BYTES_LIT("\4\3\2\1")));
    buf_drop(&b, 4);
    IS(b.len, 0);
}

int main(void)
{
    TEST(fixed_numbers_are_little_endian);
    TEST(numbers_in_keys_are_big_endian_so_that_they_sort);
    TEST(a_number_of_any_size_is_read_back);
    TEST(a_number_takes_one_byte_for_seven_bits);
    TEST(a_number_beyond_64_bits_is_refused);
    TEST(null_bytes_are_not_empty_bytes);
    TEST(bytes_over_the_limit_or_past_the_end_are_refused);
    TEST(a_bad_reader_gives_zero_ever_after);
    TEST(a_reader_is_done_only_when_nothing_is_left);
    TEST(bytes_sort_like_memcmp_and_the_shorter_first);
    TEST(secrets_are_equal_only_when_all_bytes_are);
    TEST(a_buffer_keeps_its_content_while_it_grows);
    TEST(the_start_of_a_buffer_can_be_dropped_and_a_place_overwritten);
    buf_fini(&b);
    return tap_done();
}
