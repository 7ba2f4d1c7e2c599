/* t_config_recipe.c -- recipes/config.lua: each of its rules, then seeded writers and a
 * watcher.
 *
 * Method: the shipped recipe runs in the real host on a tree in memory
 * (tests/lib/recipe_bench.h). Plain writes come from a recipe of the test's own, which is
 * put into the tree. Replay the random test with SEED=<n>. */
#include <stdarg.h>
#include <stdlib.h>

#include "core/base/limits.h"
#include "core/base/rng.h"
#include "core/tree/tree.h"
#include "tests/lib/recipe_bench.h"
#include "tests/lib/tap.h"

static struct recipe_bench b;

/* Writes past the recipe: {path, data}. */
static const char PLAIN[] =
    "return {"
    " set = function(tx, args) tx:set(args[1], args[2]) end,"
    " create = function(tx, args) tx:create(args[1], args[2], { parents = true }) end }";

static void fresh(void)
{
    bench_init(&b, (struct sandbox_budget){ .memory_max = SCRIPT_MEMORY_MAX,
                                            .fuel_max = SCRIPT_FUEL_MAX });
    for (uint64_t id = 1; id <= 3; id++) bench_session_open(&b, id);
    bench_recipe_put(&b, "plain", bytes_of(PLAIN, sizeof(PLAIN) - 1));
}

/* `format` is a Lua expression. Returns what the call stands at. */
static const char *ask(uint64_t session, const char *function, const char *format, ...)
{
    char args[300];
    va_list values;

    va_start(values, format);
    vsnprintf(args, sizeof(args), format, values);
    va_end(values);
    return bench_text(&b, bench_call(&b, session, function, args));
}

static const char *put(const char *data)
{
    return ask(1, "config.put", "{ path = '/c', data = '%s' }", data);
}

static const char *put_many(int count)
{
    const char *text = NULL;

    for (int i = 0; i < count; i++) {
        text = ask(1, "config.put", "{ path = '/c', data = 'v%d' }", i + 1);
    }
    return text;
}

static size_t watch(int after)
{
    char args[80];

    snprintf(args, sizeof(args), "{ path = '/c', after = %d }", after);
    return bench_call(&b, 2, "config.watch", args);
}

/* The answer to the put that stored what /c holds now. */
static void check_stored(const char *answer, int version)
{
    char text[80];
    struct node n = { 0 };

    OK(bench_node_read(&b, "/c", &n));
    snprintf(text, sizeof(text), "{\"version\"=>%d, \"zxid\"=>%d}", version, (int) n.mzxid);
    STR(answer, text);
}

static bool is_data(const char *path, const char *data)
{
    struct node n;

    return bench_node_read(&b, path, &n) && n.data.ptr != NULL &&
           bytes_equal(n.data, bytes_str(data));
}

static uint64_t children(const char *path)
{
    struct node n;

    return bench_node_read(&b, path, &n) ? n.children : 0;
}

/* Does the text hold this version with this value? */
static bool tells(const char *text, int version, const char *data)
{
    char member[80];

    snprintf(member, sizeof(member), "\"data\"=>\"%s\"", data);
    if (strstr(text, member) == NULL) return false;
    snprintf(member, sizeof(member), "\"version\"=>%d,", version);
    return strstr(text, member) != NULL;
}

/* --- put and get --- */

static void a_value_is_the_nodes_own_data(void)
{
    fresh();
    check_stored(put("one"), 1);
    OK(is_data("/c", "one"));
    check_stored(put("two"), 2);
    OK(is_data("/c", "two"));
    OK(is_data("/c/versions/0000000001", "one"));
    OK(is_data("/c/versions/0000000002", "two"));
    bench_fini(&b);
}

static void a_version_is_told_with_when_and_by_whom(void)
{
    char text[200];
    struct node n;

    fresh();
    STR(ask(0, "config.get", "{ path = '/c' }"), "nil");
    put("one");
    put("two");
    OK(bench_node_read(&b, "/c/versions/0000000001", &n));
    snprintf(text, sizeof(text),
             "{\"data\"=>\"one\", \"session\"=>1, \"size\"=>3, \"time\"=>%lld, "
             "\"version\"=>1, \"zxid\"=>%d}",
             (long long) n.ctime, (int) n.czxid);
    STR(ask(0, "config.get", "{ path = '/c', version = 1 }"), text);
    OK(tells(ask(0, "config.get", "{ path = '/c' }"), 2, "two"));
    bench_fini(&b);
}

static void a_value_may_be_any_bytes_and_empty(void)
{
    struct node n;

    fresh();
    ask(1, "config.put", "{ path = '/c', data = '\\0\\255\\n' }");
    OK(bench_node_read(&b, "/c", &n) && bytes_equal(n.data, BYTES_LIT("\0\xff\n")));
    size_t call = bench_call(&b, 0, "config.get", "{ path = '/c' }");
    OK(memmem(b.calls[call].last.value.ptr, b.calls[call].last.value.len,
              "\xa4"
              "data\xc4\x03\0\xff\n",
              10) != NULL);
    put("");
    OK(tells(ask(0, "config.get", "{ path = '/c' }"), 2, ""));
    bench_fini(&b);
}

static void a_put_without_a_session_has_no_author(void)
{
    fresh();
    check_stored(ask(0, "config.put", "{ path = '/c', data = 'x' }"), 1);
    OK(strstr(ask(0, "config.get", "{ path = '/c' }"), "session") == NULL);
    bench_fini(&b);
}

static void a_put_for_another_version_is_a_conflict(void)
{
    fresh();
    const char *text = ask(1, "config.put", "{ path = '/c', data = 'x', version = 1 }");
    STR(text, "refused: conflict: the version is 0, not 1");
    check_stored(ask(1, "config.put", "{ path = '/c', data = 'x', version = 0 }"), 1);
    text = ask(1, "config.put", "{ path = '/c', data = 'y', version = 0 }");
    STR(text, "refused: conflict: the version is 1, not 0");
    struct bytes details = buf_bytes(&b.calls[b.calls_count - 1].last.value);
    OK(bytes_equal(details, BYTES_LIT("\x81\xa7version\x01")));
    OK(is_data("/c", "x"));
    check_stored(ask(1, "config.put", "{ path = '/c', data = 'y', version = 1 }"), 2);
    bench_fini(&b);
}

/* --- history --- */

static void old_versions_go_with_the_put_that_makes_room(void)
{
    fresh();
    check_stored(put_many(25), 25);
    IS(children("/c/versions"), 20);
    IS(children("/c/authors"), 20);
    STR(ask(0, "config.get", "{ path = '/c', version = 5 }"),
        "refused: version 5 is not kept, only 6 to 25");
    OK(tells(ask(0, "config.get", "{ path = '/c', version = 6 }"), 6, "v6"));
    bench_fini(&b);
}

static void who_puts_may_say_how_many_to_keep_from_then_on(void)
{
    fresh();
    put_many(10);
    ask(1, "config.put", "{ path = '/c', data = 'x', keep = 3 }");
    IS(children("/c/versions"), 3);
    put_many(5);
    IS(children("/c/versions"), 3);
    ask(1, "config.put", "{ path = '/c', data = 'x', keep = 1 }");
    IS(children("/c/versions"), 1);
    IS(children("/c/authors"), 1);
    check_stored(put("y"), 18);
    bench_fini(&b);
}

static void the_longest_history_can_be_listed_and_dropped_in_one_call(void)
{
    fresh();
    ask(1, "config.put", "{ path = '/c', data = 'x', keep = 400 }");
    put_many(450);
    IS(children("/c/versions"), 400);
    size_t call = bench_call(&b, 0, "config.versions", "{ path = '/c' }");
    IS(b.calls[call].last.outcome, SCRIPT_DONE);
    ask(1, "plain.set", "{ '/c', 'past the recipe' }");
    check_stored(ask(1, "config.put", "{ path = '/c', data = 'x', keep = 1 }"), 453);
    IS(children("/c/versions"), 1);
    bench_fini(&b);
}

static void a_wrong_number_to_keep_drops_no_newest_version(void)
{
    fresh();
    put_many(3);
    ask(1, "plain.set", "{ '/c/versions', '0' }");
    check_stored(put("x"), 4);
    IS(children("/c/versions"), 1);
    ask(1, "plain.set", "{ '/c/versions', 'some' }");
    put_many(30);
    IS(children("/c/versions"), 20);
    bench_fini(&b);
}

static void versions_are_listed_the_oldest_first(void)
{
    fresh();
    STR(ask(0, "config.versions", "{ path = '/c' }"), "[]");
    put("one");
    ask(2, "config.put", "{ path = '/c', data = 'three' }");
    const char *text = ask(0, "config.versions", "{ path = '/c' }");
    const char *first = strstr(text, "\"session\"=>1, \"size\"=>3");
    const char *second = strstr(text, "\"session\"=>2, \"size\"=>5");
    OK(first != NULL && second != NULL && first < second);
    OK(strstr(text, "data") == NULL);
    bench_fini(&b);
}

static void a_rollback_is_a_new_version_with_an_old_value(void)
{
    fresh();
    put_many(3);
    check_stored(ask(2, "config.rollback", "{ path = '/c', version = 1 }"), 4);
    OK(is_data("/c", "v1"));
    OK(tells(ask(0, "config.get", "{ path = '/c' }"), 4, "v1"));
    OK(tells(ask(0, "config.get", "{ path = '/c', version = 3 }"), 3, "v3"));
    STR(ask(1, "config.rollback", "{ path = '/c', version = 9 }"),
        "refused: version 9 is not kept, only 1 to 4");
    STR(ask(1, "config.rollback", "{ path = '/none', version = 1 }"),
        "refused: there is no configuration at /none");
    bench_fini(&b);
}

static void the_history_after_a_version_is_told_in_full(void)
{
    fresh();
    STR(ask(0, "config.history", "{ path = '/c', after = 0 }"),
        "{\"more\"=>false, \"skipped\"=>false, \"versions\"=>[]}");
    put_many(4);
    const char *text = ask(0, "config.history", "{ path = '/c', after = 2 }");
    OK(tells(text, 3, "v3") && tells(text, 4, "v4"));
    OK(strstr(text, "v2") == NULL);
    OK(strstr(text, "\"more\"=>false, \"skipped\"=>false") != NULL);
    text = ask(0, "config.history", "{ path = '/c', after = 99999999999 }");
    STR(text, "{\"more\"=>false, \"skipped\"=>false, \"versions\"=>[]}");
    ask(1, "config.put", "{ path = '/c', data = 'v5', keep = 2 }");
    text = ask(0, "config.history", "{ path = '/c', after = 2 }");
    OK(strstr(text, "\"skipped\"=>true") != NULL);
    OK(tells(text, 4, "v4") && tells(text, 5, "v5"));
    text = ask(0, "config.history", "{ path = '/c', after = 3 }");
    OK(strstr(text, "\"skipped\"=>false") != NULL);
    bench_fini(&b);
}

static void a_long_history_comes_in_pages(void)
{
    fresh();
    for (int i = 0; i < 3; i++) {
        ask(1, "config.put", "{ path = '/c', data = ('x'):rep(300000) }");
    }
    ask(1, "config.put", "{ path = '/c', data = ('x'):rep(1000000) }");
    for (int after = 0; after < 4; after++) {
        char args[60];
        snprintf(args, sizeof(args), "{ path = '/c', after = %d }", after);
        size_t call = bench_call(&b, 0, "config.history", args);
        struct bytes value = buf_bytes(&b.calls[call].last.value);
        IS(b.calls[call].last.outcome, SCRIPT_DONE);
        OK(value.len >= 300000 && value.len <= REQUEST_BYTES_MAX);
        OK(value.len > 6 && memcmp(value.ptr, "\x83\xa4more", 6) == 0);
        IS(value.ptr[6], after < 3 ? 0xc3 : 0xc2); /* true: there is more */
    }
    bench_fini(&b);
}

/* --- watching --- */

static void a_watcher_waits_for_the_next_version(void)
{
    fresh();
    size_t call = watch(0);
    OK(bench_waits(&b, call));
    put("one");
    OK(tells(bench_text(&b, call), 1, "one"));
    call = watch(1);
    OK(bench_waits(&b, call));
    put("two");
    OK(tells(bench_text(&b, call), 2, "two"));
    OK(strstr(bench_text(&b, call), "skipped") == NULL);
    bench_fini(&b);
}

static void a_watcher_behind_gets_each_version_in_turn(void)
{
    fresh();
    put_many(5);
    OK(tells(bench_text(&b, watch(2)), 3, "v3"));
    OK(tells(bench_text(&b, watch(3)), 4, "v4"));
    OK(tells(bench_text(&b, watch(4)), 5, "v5"));
    OK(bench_waits(&b, watch(5)));
    bench_fini(&b);
}

static void a_watcher_too_far_behind_gets_the_newest_and_is_told(void)
{
    fresh();
    put_many(30);
    const char *text = bench_text(&b, watch(3));
    OK(tells(text, 30, "v30"));
    OK(strstr(text, "\"skipped\"=>true") != NULL);
    text = bench_text(&b, watch(10));
    OK(tells(text, 11, "v11"));
    OK(strstr(text, "skipped") == NULL);
    bench_fini(&b);
}

static void a_watcher_may_give_up(void)
{
    fresh();
    size_t call = watch(0);
    bench_cancel(&b, call);
    check_stored(put("x"), 1);
    IS(b.calls[call].runs, 2); /* the first one, and the withdrawal */
    bench_fini(&b);
}

/* --- plain writes --- */

static void a_plain_write_becomes_a_version(void)
{
    fresh();
    put("one");
    ask(1, "plain.set", "{ '/c', 'by hand' }");
    const char *text = ask(2, "config.get", "{ path = '/c' }");
    OK(tells(text, 2, "by hand"));
    OK(strstr(text, "session") == NULL);
    OK(tells(ask(0, "config.get", "{ path = '/c' }"), 2, "by hand"));
    ask(1, "plain.set", "{ '/c', 'again' }");
    STR(ask(1, "config.put", "{ path = '/c', data = 'y', version = 2 }"),
        "refused: conflict: the version is 3, not 2");
    check_stored(ask(1, "config.put", "{ path = '/c', data = 'y', version = 3 }"), 4);
    OK(tells(ask(0, "config.get", "{ path = '/c', version = 3 }"), 3, "again"));
    bench_fini(&b);
}

static void readers_can_be_queried(void)
{
    fresh();
    STR(bench_query(&b, "config.get", "{ path = '/c' }"), "nil");
    put_many(3);
    OK(tells(bench_query(&b, "config.get", "{ path = '/c' }"), 3, "v3"));
    OK(tells(bench_query(&b, "config.get", "{ path = '/c', version = 2 }"), 2, "v2"));
    OK(strstr(bench_query(&b, "config.versions", "{ path = '/c' }"), "\"version\"=>3") !=
       NULL);
    OK(strstr(bench_query(&b, "config.history", "{ path = '/c', after = 2 }"), "v3") != NULL);
    OK(strstr(bench_query(&b, "config.put", "{ path = '/c', data = 'x' }"), "read_only: ") !=
       NULL);
    bench_fini(&b);
}

/* F2: no query may give a number to what is not kept yet. */
static void a_plain_write_is_no_version_in_a_query(void)
{
    fresh();
    put("one");
    ask(2, "plain.set", "{ '/c', 'two' }");
    OK(strstr(bench_query(&b, "config.get", "{ path = '/c' }"), "read_only: ") != NULL);
    OK(tells(ask(1, "config.get", "{ path = '/c' }"), 2, "two"));
    OK(tells(bench_query(&b, "config.get", "{ path = '/c' }"), 2, "two"));
    bench_fini(&b);
}

static void a_plain_write_reaches_a_watcher(void)
{
    fresh();
    put("one");
    size_t call = watch(1);
    ask(1, "plain.set", "{ '/c', 'by hand' }");
    OK(tells(bench_text(&b, call), 2, "by hand"));
    OK(bench_waits(&b, watch(2)));
    bench_fini(&b);
}

static void a_node_that_was_there_before_is_version_1(void)
{
    fresh();
    ask(1, "plain.create", "{ '/c', 'old' }");
    check_stored(put("new"), 2);
    OK(tells(ask(0, "config.get", "{ path = '/c', version = 1 }"), 1, "old"));
    ask(1, "plain.create", "{ '/d/below', 'x' }");
    STR(ask(0, "config.get", "{ path = '/d' }"), "nil"); /* a directory has no value */
    const char *text = ask(1, "config.put", "{ path = '/d', data = 'x' }");
    OK(strstr(text, "\"version\"=>1,") != NULL);
    bench_fini(&b);
}

static void a_null_that_is_written_is_a_version_without_data(void)
{
    fresh();
    put("one");
    ask(1, "plain.set", "{ '/c' }");
    const char *text = ask(0, "config.get", "{ path = '/c' }");
    OK(strstr(text, "\"version\"=>2,") != NULL);
    OK(strstr(text, "data") == NULL);
    check_stored(ask(1, "config.rollback", "{ path = '/c', version = 1 }"), 3);
    OK(is_data("/c", "one"));
    bench_fini(&b);
}

/* --- arguments --- */

static void wrong_arguments_are_refused_by_name(void)
{
    fresh();
    STR(ask(1, "config.put", "'/c'"), "refused: the arguments must be a map by name");
    STR(ask(1, "config.put", "{ path = '/c' }"), "refused: data is missing");
    STR(ask(1, "config.put", "{ data = 'x' }"), "refused: path is missing");
    STR(ask(1, "config.put", "{ path = '/c', data = 7 }"),
        "refused: data must be a string");
    STR(ask(1, "config.put", "{ path = '/c', data = 'x', versoin = 3 }"),
        "refused: there is no argument versoin");
    STR(ask(1, "config.put", "{ path = '/c', data = 'x', version = '3' }"),
        "refused: version must be an integer of 0 or more");
    STR(ask(1, "config.put", "{ path = '/c', data = 'x', keep = 0 }"),
        "refused: keep must be 1 to 400");
    STR(ask(1, "config.put", "{ path = '/c', data = 'x', keep = 401 }"),
        "refused: keep must be 1 to 400");
    STR(ask(1, "config.put", "{ path = '/c', data = ('x'):rep(1000001) }"),
        "refused: data is longer than 1000000 bytes");
    STR(ask(1, "config.get", "{ path = '/c', version = -1 }"),
        "refused: version must be an integer of 0 or more");
    STR(ask(1, "config.watch", "{ path = '/c' }"), "refused: after is missing");
    STR(ask(1, "config.rollback", "{ path = '/c' }"), "refused: version is missing");
    OK(strncmp(ask(1, "config.get", "{ path = 'c' }"), "bad_path: ", 10) == 0);
    IS(children("/c"), 0);
    bench_fini(&b);
}

static void a_stranger_among_the_versions_is_named(void)
{
    fresh();
    put("one");
    ask(1, "plain.create", "{ '/c/versions/notes', 'x' }");
    STR(put("two"), "refused: /c/versions/notes is no version: it must be deleted");
    STR(ask(0, "config.versions", "{ path = '/c' }"),
        "refused: /c/versions/notes is no version: it must be deleted");
    bench_fini(&b);
}

/* --- writers and a watcher --- */

/* One write; the number of versions there are then. With nobody watching, plain writes one
 * after the other are one version. */
static int write_some(struct rng *rng, int version, bool *is_plain)
{
    char data[30];

    snprintf(data, sizeof(data), "v%d", version + 1);
    if (rng_below(rng, 4) != 0) {
        *is_plain = false;
        check_stored(put(data), version + 1);
        return version + 1;
    }
    if (*is_plain) return version;
    *is_plain = true;
    ask(1, "plain.set", "{ '/c', '%s' }", data);
    return version + 1;
}

/* Between its calls up to `keep` versions come, and it gets each of them in turn. */
static void a_watcher_by_after_misses_no_version(void)
{
    const char *env = getenv("SEED");
    uint64_t seed = env != NULL ? strtoull(env, NULL, 10) : 20240601;
    int version = 1, had = 0;
    bool is_plain = false;
    struct rng rng;

    printf("# SEED=%" PRIu64 "\n", seed);
    rng_init(&rng, seed);
    fresh();
    ask(1, "config.put", "{ path = '/c', data = 'v1', keep = 7 }");
    for (int i = 0; i < 600; i++) {
        char data[30];
        size_t call = watch(had);

        is_plain = false; /* the call took it in */
        while (bench_waits(&b, call) || (version - had < 7 && rng_below(&rng, 2) == 0)) {
            version = write_some(&rng, version, &is_plain);
        }
        snprintf(data, sizeof(data), "v%d", had + 1);
        OK(tells(bench_text(&b, call), had + 1, data));
        OK(strstr(bench_text(&b, call), "skipped") == NULL);
        OK(children("/c/versions") <= 7);
        had++;
    }
    tree_check(&b.state.view);
    bench_fini(&b);
}

int main(void)
{
    TEST(a_value_is_the_nodes_own_data);
    TEST(a_version_is_told_with_when_and_by_whom);
    TEST(a_value_may_be_any_bytes_and_empty);
    TEST(a_put_without_a_session_has_no_author);
    TEST(a_put_for_another_version_is_a_conflict);
    TEST(old_versions_go_with_the_put_that_makes_room);
    TEST(who_puts_may_say_how_many_to_keep_from_then_on);
    TEST(the_longest_history_can_be_listed_and_dropped_in_one_call);
    TEST(a_wrong_number_to_keep_drops_no_newest_version);
    TEST(versions_are_listed_the_oldest_first);
    TEST(a_rollback_is_a_new_version_with_an_old_value);
    TEST(the_history_after_a_version_is_told_in_full);
    TEST(a_long_history_comes_in_pages);
    TEST(a_watcher_waits_for_the_next_version);
    TEST(a_watcher_behind_gets_each_version_in_turn);
    TEST(a_watcher_too_far_behind_gets_the_newest_and_is_told);
    TEST(a_watcher_may_give_up);
    TEST(a_plain_write_becomes_a_version);
    TEST(readers_can_be_queried);
    TEST(a_plain_write_is_no_version_in_a_query);
    TEST(a_plain_write_reaches_a_watcher);
    TEST(a_node_that_was_there_before_is_version_1);
    TEST(a_null_that_is_written_is_a_version_without_data);
    TEST(wrong_arguments_are_refused_by_name);
    TEST(a_stranger_among_the_versions_is_named);
    TEST(a_watcher_by_after_misses_no_version);
    return tap_done();
}
