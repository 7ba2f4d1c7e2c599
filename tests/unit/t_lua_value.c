/* t_lua_value.c -- MessagePack to Lua and back: what is kept exactly, what is refused.
 *
 * Method: `echo` answers its argument, `make` a value written in Lua; bytes are compared in
 * hexadecimal. The last test feeds random and mutated bytes. Replay it with SEED=<n>. */
#include <stdlib.h>

#include "core/base/errors.h"
#include "core/base/limits.h"
#include "core/base/rng.h"
#include "tests/lib/recipe_bench.h"
#include "tests/lib/tap.h"

static struct recipe_bench b;

static void fresh(void)
{
    bench_init(&b, (struct sandbox_budget){ .memory_max = SCRIPT_MEMORY_MAX,
                                            .fuel_max = SCRIPT_FUEL_MAX });
    bench_recipe_put(&b, "v",
                     bytes_str("return { echo = function(tx, args) return args end }"));
}

static struct bytes unhex(const char *hex)
{
    static uint8_t bytes[256];
    size_t len = strlen(hex) / 2;

    for (size_t i = 0; i < len; i++) {
        unsigned byte = 0;

        sscanf(hex + 2 * i, "%2x", &byte);
        bytes[i] = (uint8_t) byte;
    }
    return bytes_of(bytes, len);
}

/* The answer's bytes in hexadecimal, or the error's text. */
static const char *answer_of(size_t call)
{
    static char text[700];
    const struct script_result *r = &b.calls[call].last;

    if (r->outcome != SCRIPT_DONE) return bench_text(&b, call);
    for (size_t i = 0; i < r->value.len && i < 300; i++) {
        snprintf(text + 2 * i, 3, "%02x", r->value.ptr[i]);
    }
    return text;
}

static const char *echo(const char *hex)
{
    return answer_of(bench_call_packed(&b, 0, "v.echo", unhex(hex)));
}

/* What the Lua expression is in MessagePack. */
static const char *make(const char *expression)
{
    char source[300];

    snprintf(source, sizeof(source), "return { f = function() return %s end }", expression);
    bench_recipe_put(&b, "m", bytes_str(source));
    return answer_of(bench_call_packed(&b, 0, "m.f", unhex("c0")));
}

static void integers_keep_all_their_bits(void)
{
    static const char *const same[] = { "00", "7f", "ff", "e0", "cc80", "ccff", "cd0100",
        "ceffffffff", "cf0000000100000000", "cf7fffffffffffffff", "d080", "d18000",
        "d280000000", "d38000000000000000" };

    fresh();
    for (size_t i = 0; i < sizeof(same) / sizeof(*same); i++) STR(echo(same[i]), same[i]);
    STR(echo("d301"), "bad_params: the value's bytes end too early");
    STR(echo("d30000000000000005"), "05");
    STR(echo("d0ff"), "ff");
    bench_fini(&b);
}

static void an_integer_that_lua_cannot_hold_is_refused(void)
{
    fresh();
    STR(echo("cf8000000000000000"), "bad_params: an integer above 9223372036854775807");
    bench_fini(&b);
}

static void floats_stay_floats_and_must_be_finite(void)
{
    fresh();
    STR(echo("cb3ff0000000000000"), "cb3ff0000000000000");
    STR(echo("ca3fc00000"), "cb3ff8000000000000");
    STR(make("2^53"), "cb4340000000000000");
    OK(strstr(make("0/0"), "a value must not be NaN") != NULL);
    OK(strstr(make("{ 1/0 }"), "a value must not be infinite") != NULL);
    bench_fini(&b);
}

static void text_goes_out_as_str_and_anything_else_as_bin(void)
{
    fresh();
    STR(echo("a0"), "a0");
    STR(echo("c403616263"), "a3616263");
    STR(echo("a2c3a4"), "a2c3a4");
    STR(echo("a1ff"), "c401ff");
    STR(echo("a2c080"), "c402c080");     /* longer than need be */
    STR(echo("a3eda080"), "c403eda080"); /* a surrogate */
    STR(echo("a4f4908080"), "c404f4908080");
    STR(echo("a4f09f9880"), "a4f09f9880");
    bench_fini(&b);
}

static void tables_become_arrays_or_maps(void)
{
    fresh();
    STR(make("{}"), "80");
    STR(make("array{}"), "90");
    STR(make("{1,2,3}"), "93010203");
    STR(make("array{7}"), "9107");
    STR(make("array(array{7})"), "9107");
    STR(make("map{7}"), "810107");
    STR(make("map{}"), "80");
    STR(make("binary('ab')"), "c4026162");
    STR(make("{ x = binary('') }"), "81a178c400");
    STR(echo("90"), "90");
    STR(echo("80"), "80");
    STR(echo("820107020a"), "820107020a");
    STR(make("{ b = 1, a = 2, [3] = 4, [-1] = 5 }"), "84ff050304a16102a16201");
    STR(make("{ [1] = 1, [3] = 3 }"), "8201010303");
    STR(make("nil"), "c0");
    STR(make("{ 1, null, 3 }"), "9301c003");
    OK(strstr(make("array{ 1, nil, 3, x = 1 }"), "the keys 1 to n") != NULL);
    bench_fini(&b);
}

static void nil_in_an_array_keeps_its_place_and_in_a_map_is_left_out(void)
{
    fresh();
    STR(echo("9301c003"), "9301c003");
    STR(echo("82a161c0a16201"), "81a16201");
    STR(echo("c0"), "c0");
    bench_fini(&b);
}

static void what_cannot_be_a_value_is_named(void)
{
    fresh();
    OK(strstr(make("print"), "script_failed") == NULL); /* there is no print: nil */
    OK(strstr(make("pairs"), "must not be or hold a function") != NULL);
    OK(strstr(make("{ [1.5] = 1 }"), "must be integers or strings, not number") != NULL);
    OK(strstr(make("{ [true] = 1 }"), "must be integers or strings, not boolean") != NULL);
    STR(echo("c1"), "bad_params: MessagePack's ext types are not accepted");
    STR(echo("d40101"), "bad_params: MessagePack's ext types are not accepted");
    STR(echo("8190c0"), "bad_params: a map's key must be a string or an integer");
    STR(echo("81c001"), "bad_params: a map's key must be a string or an integer");
    STR(echo("0101"), "bad_params: bytes follow the value");
    STR(echo(""), "bad_params: the value's bytes end too early");
    bench_fini(&b);
}

static void nesting_is_bounded_both_ways(void)
{
    fresh();
    STR(echo("91919191919191919191919101"), "91919191919191919191919101");
    STR(echo("9191919191919191919191919101"), "bad_params: nested deeper than 12");
    OK(strstr(make("(function() local t = {} t[1] = t return t end)()"),
              "nested deeper than 12, or in itself") != NULL);
    bench_fini(&b);
}

static void a_header_without_content_allocates_nothing(void)
{
    static const char *const hostile[] = { "ddffffffff", "dfffffffff", "c6ffffffff",
                                           "dbffffffff", "dcffff", "deffff01",
                                           "c9ffffffff" };

    fresh();
    for (size_t i = 0; i < sizeof(hostile) / sizeof(*hostile); i++) {
        OK(strncmp(echo(hostile[i]), "bad_params", 10) == 0);
    }
    bench_fini(&b);
}

static void a_result_is_bounded(void)
{
    fresh();
    OK(strstr(make("('12345678'):rep(1 << 17)"), "too_large: ") != NULL);
    OK(strstr(make("(function() local t, s = {}, ('x'):rep(300000) "
                   "for i = 1, 4 do t[i] = s end return t end)()"), "too_large: ") != NULL);
    STR(make("#('12345678'):rep(1 << 17)"), "ce00100000");
    bench_fini(&b);
}

/* Integer keys can be chosen so that they all fall into one chain of Lua's hash. */
static void colliding_integer_keys_do_not_stall(void)
{
    struct buf args = { 0 };

    fresh();
    buf_put(&args, "\xde\xff\xff", 3);
    for (uint32_t i = 0; i < 0xffff; i++) {
        uint8_t key[6] = { 0xce, (uint8_t) (i >> 8), (uint8_t) i, 0, 0, 1 };

        buf_put(&args, key, sizeof(key));
    }
    size_t call = bench_call_packed(&b, 0, "v.echo", buf_bytes(&args));
    STR(bench_text(&b, call), "bad_params: more than 1024 integer keys");
    buf_fini(&args);
    bench_fini(&b);
}

static void random_bytes_give_a_value_or_a_clear_error(void)
{
    const char *env = getenv("SEED");
    uint64_t seed = env != NULL ? strtoull(env, NULL, 10) : 20240601;
    struct rng rng;
    uint8_t bytes[40];

    printf("# SEED=%" PRIu64 "\n", seed);
    rng_init(&rng, seed);
    fresh();
    for (int i = 0; i < 8000; i++) {
        size_t len = (size_t) rng_below(&rng, sizeof(bytes));

        for (size_t k = 0; k < len; k++) {
            bytes[k] = (uint8_t) (rng_below(&rng, 2) != 0 ? 0x80 + rng_below(&rng, 0x60)
                                                          : rng_next(&rng));
        }
        size_t call = bench_call_packed(&b, 0, "v.echo", bytes_of(bytes, len));
        const struct script_result *r = &b.calls[call].last;
        OK(r->outcome == SCRIPT_DONE || r->code == ERR_BAD_PARAMS ||
           strstr(bench_text(&b, call), "a value must not be") != NULL);
    }
    bench_fini(&b);
}

int main(void)
{
    TEST(integers_keep_all_their_bits);
    TEST(an_integer_that_lua_cannot_hold_is_refused);
    TEST(floats_stay_floats_and_must_be_finite);
    TEST(text_goes_out_as_str_and_anything_else_as_bin);
    TEST(tables_become_arrays_or_maps);
    TEST(nil_in_an_array_keeps_its_place_and_in_a_map_is_left_out);
    TEST(what_cannot_be_a_value_is_named);
    TEST(nesting_is_bounded_both_ways);
    TEST(a_header_without_content_allocates_nothing);
    TEST(a_result_is_bounded);
    TEST(colliding_integer_keys_do_not_stall);
    TEST(random_bytes_give_a_value_or_a_clear_error);
    return tap_done();
}
