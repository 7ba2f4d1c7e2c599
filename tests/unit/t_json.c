/* t_json.c -- JSON to MessagePack and back: what is kept, what is refused.
 *
 * Method: text is read into MessagePack, that is decoded by msgpack-c, and printed again. A
 * storm then cuts and flips good texts: reading must end, with a verdict. */
#include <stdlib.h>

#include "cli/json.h"
#include "core/base/rng.h"
#include "tests/lib/tap.h"

static char printed[4096];

/* Reads and prints again; on a refusal gives "!" and the reason. */
static const char *again(const char *text)
{
    struct buf packed = { 0 }, out = { 0 };
    const char *why;
    msgpack_unpacked value;
    size_t at = 0;

    if (!json_to_msgpack(bytes_str(text), &packed, &why)) {
        snprintf(printed, sizeof printed, "!%s", why);
        buf_fini(&packed);
        return printed;
    }
    msgpack_unpacked_init(&value);
    OK(msgpack_unpack_next(&value, (const char *) packed.ptr, packed.len, &at) ==
       MSGPACK_UNPACK_SUCCESS);
    IS(at, packed.len);
    json_from_msgpack(&out, &value.data);
    snprintf(printed, sizeof printed, "%.*s", (int) out.len, (const char *) out.ptr);
    msgpack_unpacked_destroy(&value);
    buf_fini(&packed);
    buf_fini(&out);
    return printed;
}

static bool refused(const char *text)
{
    return again(text)[0] == '!';
}

static void values_of_every_kind_come_back(void)
{
    STR(again("null"), "null");
    STR(again(" true "), "true");
    STR(again("[ ]"), "[]");
    STR(again("{\"a\":[1,-2,{\"b\":\"c\"}],\"\":false}"),
        "{\"a\":[1,-2,{\"b\":\"c\"}],\"\":false}");
    STR(again("\"\""), "\"\"");
}

static void integers_keep_all_64_bits(void)
{
    STR(again("18446744073709551615"), "18446744073709551615");
    STR(again("-9223372036854775808"), "-9223372036854775808");
    STR(again("9007199254740993"), "9007199254740993");
    OK(refused("18446744073709551616"));
    OK(refused("-9223372036854775809"));
}

static void floats_stay_floats(void)
{
    STR(again("1.5"), "1.5");
    STR(again("1.0"), "1.0");
    STR(again("0.1"), "0.1");
    STR(again("1e300"), "1e+300");
    OK(refused("1e999"));
}

static void escapes_become_characters(void)
{
    STR(again("\"\\u0041\\n\\/\\\"\""), "\"A\\n/\\\"\"");
    STR(again("\"\\ud83d\\ude00\""), "\"\xf0\x9f\x98\x80\"");
    STR(again("\"\\u0000\""), "\"\\u0000\"");
    OK(refused("\"\\ud83d\""));
    OK(refused("\"\\ude00\\ud83d\""));
    OK(refused("\"\\x41\""));
}

static void what_is_almost_json_is_refused(void)
{
    static const char *const texts[] = {
        "",
        " ",
        "nul",
        "nulll",
        "01",
        "-",
        "+1",
        ".5",
        "1.",
        "1e",
        "[1,]",
        "[1 2]",
        "{\"a\"}",
        "{\"a\":1,}",
        "{a:1}",
        "{1:1}",
        "'a'",
        "\"a",
        "\"a\nb\"",
        "1 2",
        "[",
        "{",
        "]",
        "NaN",
        "Infinity",
        "\xff",
        "\"\xc0\x80\"",
        "\"\xed\xa0\x80\"",
        "// x\n1",
    };

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (!refused(texts[i])) printf("# not refused: %s\n", texts[i]);
        OK(refused(texts[i]));
    }
}

static void a_key_that_comes_twice_is_refused(void)
{
    OK(refused("{\"a\":1,\"a\":2}"));
    OK(refused("{\"a\":1,\"\\u0061\":2}"));
    STR(again("{\"a\":{\"a\":1},\"b\":1}"), "{\"a\":{\"a\":1},\"b\":1}");
}

static void depth_is_bounded(void)
{
    char text[2 * JSON_DEPTH_MAX + 3] = "";

    memset(text, '[', JSON_DEPTH_MAX);
    memset(text + JSON_DEPTH_MAX, ']', JSON_DEPTH_MAX);
    STR(again(text), text);
    memset(text, '[', JSON_DEPTH_MAX + 1);
    memset(text + JSON_DEPTH_MAX + 1, ']', JSON_DEPTH_MAX + 1);
    OK(refused(text));
}

static void a_refusal_appends_nothing(void)
{
    struct buf out = { 0 };
    const char *why = NULL;

    buf_put_u8(&out, 7);
    OK(!json_to_msgpack(bytes_str("[1,2,x]"), &out, &why));
    IS(out.len, 1);
    STR(why, "a value was expected, at byte 6");
    buf_fini(&out);
}

static void bytes_that_are_no_text_are_printed_as_base64(void)
{
    static const char raw[] = { (char) 0xff, 0, 1, 2 };
    msgpack_object bin = { .type = MSGPACK_OBJECT_BIN };
    struct buf out = { 0 };

    bin.via.bin.ptr = raw;
    bin.via.bin.size = sizeof raw;
    json_from_msgpack(&out, &bin);
    buf_put_u8(&out, 0);
    STR((const char *) out.ptr, "{\"base64\":\"/wABAg==\"}");
    buf_clear(&out);
    bin.via.bin.ptr = "text";
    json_from_msgpack(&out, &bin);
    buf_put_u8(&out, 0);
    STR((const char *) out.ptr, "\"text\"");
    buf_fini(&out);
}

static void broken_texts_always_get_a_verdict(void)
{
    static const char good[] = "{\"a\":[1,-2.5e3,\"x\\u00e9\\ud83d\\ude00\",{\"b\":null}],"
                               "\"c\":{\"d\":[true,false]}}";
    const char *env = getenv("SEED");
    const uint64_t seed = env != NULL ? strtoull(env, NULL, 10) : 20260301;
    struct buf out = { 0 };
    struct rng rng;

    printf("# SEED=%" PRIu64 "\n", seed);
    rng_init(&rng, seed);
    for (int i = 0; i < 20000; i++) {
        char text[sizeof good];
        const char *why = NULL;
        const size_t len = rng_below(&rng, sizeof good);

        memcpy(text, good, sizeof good);
        for (uint64_t k = rng_below(&rng, 4); k > 0; k--) {
            text[rng_below(&rng, sizeof good)] = (char) rng_below(&rng, 256);
        }
        buf_clear(&out);
        if (!json_to_msgpack(bytes_of(text, len), &out, &why) && why == NULL) {
            OK(why != NULL);
        }
    }
    OK(out.cap > 0);
    buf_fini(&out);
}

int main(void)
{
    TEST(values_of_every_kind_come_back);
    TEST(integers_keep_all_64_bits);
    TEST(floats_stay_floats);
    TEST(escapes_become_characters);
    TEST(what_is_almost_json_is_refused);
    TEST(a_key_that_comes_twice_is_refused);
    TEST(depth_is_bounded);
    TEST(a_refusal_appends_nothing);
    TEST(bytes_that_are_no_text_are_printed_as_base64);
    TEST(broken_texts_always_get_a_verdict);
    return tap_done();
}
