/* t_host_calls.c -- recipes that call each other, refusals with a code, functions that rest.
 *
 * Method: the bench of tests/lib/recipe_bench.h; `put` stores a module. */
#include "core/base/limits.h"
#include "core/tree/tree.h"
#include "tests/lib/recipe_bench.h"
#include "tests/lib/tap.h"

static struct recipe_bench b;

static void fresh(void)
{
    bench_init(&b, (struct sandbox_budget){ .memory_max = SCRIPT_MEMORY_MAX,
                                            .fuel_max = SCRIPT_FUEL_MAX });
    bench_session_open(&b, 7);
}

static void put(const char *name, const char *functions)
{
    char source[1500];

    snprintf(source, sizeof source, "return { %s }", functions);
    bench_recipe_put(&b, name, bytes_str(source));
}

static const char *call(const char *function, const char *args)
{
    return bench_text(&b, bench_call(&b, 7, function, args));
}

static bool has(const char *text, const char *part)
{
    if (strstr(text, part) != NULL) return true;
    printf("# \"%s\" is not in \"%s\"\n", part, text);
    return false;
}

static bool exists(const char *path)
{
    struct node n;

    return bench_node_read(&b, path, &n);
}

/* --- calls of other recipes --- */

static void a_called_function_is_part_of_the_call(void)
{
    fresh();
    put("inner", "double = function(tx, n) tx:create('/seen', tx.id) return { 2 * n } end");
    put("outer", "f = function(tx, n) local v = tx:call('inner.double', n) "
                 "return { v[1], tx:get('/seen') == tx.id } end");
    STR(call("outer.f", "21"), "[42, true]");
    OK(exists("/seen"));
    bench_fini(&b);
}

static void what_it_sees_is_what_its_caller_wrote(void)
{
    fresh();
    put("inner", "f = function(tx) local v = tx:get('/a') tx:set('/a', v .. '2') return v end");
    put("outer", "f = function(tx) tx:create('/a', '1') local v = tx:call('inner.f') "
                 "tx:set('/a', tx:get('/a') .. '3') return { v, tx:get('/a') } end");
    STR(call("outer.f", "nil"), "[\"1\", \"123\"]");
    bench_fini(&b);
}

static void a_failed_one_leaves_nothing_and_can_be_caught(void)
{
    fresh();
    put("inner", "f = function(tx) tx:create('/x') tx:fail('too_late', 'no', { at = 3 }) end, "
                 "g = function(tx) tx:create('/x') error('bad') end");
    put("outer", "f = function(tx) tx:create('/kept') "
                 "local ok, e = pcall(tx.call, tx, 'inner.f') "
                 "return { ok, e.name, e.message, e.details.code, e.details.details.at } end, "
                 "g = function(tx) return tx:call('inner.g') end, "
                 "h = function(tx) return tx:call('inner.f') end");
    STR(call("outer.f", "nil"), "[false, \"refused\", \"too_late: no\", \"too_late\", 3]");
    OK(exists("/kept") && !exists("/x"));
    OK(has(call("outer.g", "nil"), "script_failed: inner:1: bad"));
    STR(call("outer.h", "nil"), "refused: too_late: no");
    bench_fini(&b);
}

static void a_wait_inside_is_the_wait_of_the_call(void)
{
    fresh();
    put("gate", "pass = function(tx, p) if tx:exists(p) then return 'open' end "
                "tx:create('/waits' .. p, nil, { parents = true }) return tx:wait(p) end, "
                "look = function(tx, p) return tx:get(p) or tx:wait() end");
    put("outer", "f = function(tx) if not tx:exists('/begun') then tx:create('/begun') end "
                 "local ok, v = pcall(tx.call, tx, 'gate.pass', '/g') return { ok, v } end, "
                 "g = function(tx) return tx:call('gate.look', '/g') end, "
                 "open = function(tx) tx:create('/g', 'now') end");
    size_t waiting = bench_call(&b, 7, "outer.f", "nil");
    size_t looking = bench_call(&b, 7, "outer.g", "nil");
    OK(bench_waits(&b, waiting) && bench_waits(&b, looking));
    OK(exists("/begun") && exists("/waits/g"));
    (void) call("outer.open", "nil");
    STR(bench_text(&b, waiting), "[true, \"open\"]");
    STR(bench_text(&b, looking), "\"now\"");
    bench_fini(&b);
}

static void cancel_may_cancel_what_it_called(void)
{
    fresh();
    put("outer", "f = function(tx) return tx:call('lock.acquire', { path = '/l' }) end, "
                 "cancel = function(tx) return tx:call('lock.cancel', { path = '/l' }) end");
    (void) call("outer.f", "nil");
    size_t waiting = bench_call(&b, 7, "outer.f", "nil");
    OK(bench_waits(&b, waiting) && exists("/l/queue/0000000000"));
    bench_cancel(&b, waiting);
    OK(!exists("/l/queue/0000000000"));
    bench_fini(&b);
}

static void circles_and_depth_end(void)
{
    char name[8], body[120];

    fresh();
    put("a", "f = function(tx) return tx:call('b.f') end");
    put("b", "f = function(tx) return tx:call('a.f') end");
    OK(has(call("a.f", "nil"), "a.f: recipes call each other in a circle"));
    put("a", "f = function(tx) return tx:call('a.f') end");
    OK(has(call("a.f", "nil"), "in a circle"));
    for (int i = 0; i < 10; i++) {
        snprintf(name, sizeof name, "d%d", i);
        snprintf(body, sizeof body, "f = function(tx) return tx:call('d%d.f') end", i + 1);
        put(name, body);
    }
    OK(has(call("d0.f", "nil"), "deeper than 8"));
    put("d7", "f = function(tx) return 'deep' end");
    STR(call("d0.f", "nil"), "\"deep\"");
    bench_fini(&b);
}

static void all_live_on_one_budget(void)
{
    fresh();
    put("loop", "f = function(tx) while true do end end, "
                "work = function(tx) for i = 1, 100000 do end end, "
                "keep = function(tx) return #('x'):rep(1000):rep(4500) end, "
                "fail = function(tx) tx:fail('no') end");
    put("outer", "f = function(tx) pcall(tx.call, tx, 'loop.f') return 'alive' end, "
                 "g = function(tx) while true do tx:call('loop.work') end end, "
                 "h = function(tx) while true do pcall(tx.call, tx, 'loop.fail') end end, "
                 "m = function(tx) local s = ('x'):rep(1000):rep(4500) "
                 "return tx:call('loop.keep') + #s end, "
                 "ops = function(tx) for i = 1, 600 do tx:call('w.f', i) end end");
    put("w", "f = function(tx, i) tx:create('/n' .. i) tx:create('/m' .. i) end");
    STR(call("outer.f", "nil"), "over_budget: fuel: more than 1000000 instructions");
    STR(call("outer.g", "nil"), "over_budget: fuel: more than 1000000 instructions");
    STR(call("outer.h", "nil"), "over_budget: fuel: more than 1000000 instructions");
    STR(call("outer.m", "nil"), "over_budget: memory: more than 8388608 bytes");
    OK(has(call("outer.ops", "nil"), "too_large: "));
    OK(!exists("/n1"));
    tree_check(&b.state.view);
    bench_fini(&b);
}

static void what_cannot_be_called_is_told(void)
{
    fresh();
    put("inner", "_hidden = function() end");
    put("outer", "f = function(tx, name) return tx:call(name) end");
    OK(has(call("outer.f", "'nodot'"), "bad_params: "));
    OK(has(call("outer.f", "'none.f'"), "no_recipe: "));
    OK(has(call("outer.f", "'inner.f'"), "no_function: "));
    OK(has(call("outer.f", "'inner._hidden'"), "no_function: "));
    OK(has(call("outer.f", "nil"), "string expected"));
    bench_fini(&b);
}

static void a_query_calls_to_read_only(void)
{
    fresh();
    put("inner", "get = function(tx, p) return tx:get(p) end, "
                 "put = function(tx, p) tx:create(p) end");
    put("outer", "get = function(tx, p) return tx:call('inner.get', p) end, "
                 "put = function(tx, p) return tx:call('inner.put', p) end, "
                 "make = function(tx, p) tx:create(p, 'v') end");
    (void) call("outer.make", "'/a'");
    STR(bench_query(&b, "outer.get", "'/a'"), "\"v\"");
    OK(has(bench_query(&b, "outer.put", "'/b'"), "read_only: "));
    bench_fini(&b);
}

/* --- find, owned, fail --- */

static void owned_finds_what_the_session_holds(void)
{
    fresh();
    bench_session_open(&b, 8);
    put("o", "make = function(tx, p) tx:create(p, tx.id, { ephemeral = true, parents = true }) "
             "end, list = function(tx, top) local out, at = {}, tx:owned(top) "
             "while at do out[#out + 1] = at at = tx:owned(top, at) end return array(out) end");
    (void) call("o.make", "'/q/2'");
    (void) call("o.make", "'/q/deep/1'");
    (void) call("o.make", "'/qq'");
    (void) bench_call(&b, 8, "o.make", "'/q/1'");
    STR(call("o.list", "'/q'"), "[\"/q/2\", \"/q/deep/1\"]");
    STR(call("o.list", "'/'"), "[\"/q/2\", \"/q/deep/1\", \"/qq\"]");
    STR(call("o.list", "'/none'"), "[]");
    STR(bench_text(&b, bench_call(&b, 0, "o.list", "'/q'")), "[]");
    bench_fini(&b);
}

static const char LINE[] =
    "line = function(tx, p) local none, last = tx:place(p) local mine = tx:enter(p, 'me') "
    "local again = tx:enter(p) local found, ahead = tx:place(p) "
    "return array { none or 0, last or 0, mine, again, found, ahead or 0, tx:get(mine), "
    "tx:get(p .. '/calls/' .. tx.id), tx:stat(mine).ephemeralOwner, "
    "tx:stat(p .. '/calls/' .. tx.id).ephemeralOwner } end, "
    "pass = function(tx, p) tx:leave(p) tx:enter(p) tx:leave(p) tx:leave(p) "
    "return array { tx:place(p) or 0, #tx:children(p .. '/queue'), "
    "#tx:children(p .. '/calls') } end, "
    "lost = function(tx, p) tx:delete(tx:enter(p)) tx:leave(p) "
    "return #tx:children(p .. '/calls') end, "
    "false_note = function(tx, p) tx:enter(p) tx:set(p .. '/calls/' .. tx.id, 'x') "
    "return tx:place(p) end, "
    "noted = function(tx, p) tx:create(p .. '/calls/' .. tx.id, nil, { parents = true }) "
    "local ok, why = pcall(tx.enter, tx, p) "
    "return array { ok, why.message, tx:exists(p .. '/queue') } end, "
    "full = function(tx, left) for i = left + 1, 1024 do "
    "tx:create('/' .. left .. '-' .. i, nil) end local ok, why = pcall(tx.enter, tx, '/f') "
    "return array { ok, ok and why or why.name, tx:exists('/f') } end, ";

static void a_call_has_one_place_in_a_queue(void)
{
    fresh();
    bench_session_open(&b, 8);
    put("o", LINE);
    STR(call("o.line", "'/q'"),
        "[0, 0, \"/q/queue/0000000000\", \"/q/queue/0000000000\", "
        "\"/q/queue/0000000000\", 0, \"me\", \"/q/queue/0000000000\", 7, 7]");
    STR(bench_text(&b, bench_call(&b, 8, "o.line", "'/q'")),
        "[0, \"/q/queue/0000000000\", \"/q/queue/0000000001\", \"/q/queue/0000000001\", "
        "\"/q/queue/0000000001\", \"/q/queue/0000000000\", \"me\", "
        "\"/q/queue/0000000001\", 8, 8]");
    STR(call("o.pass", "'/q'"), "[0, 2, 2]");
    STR(call("o.lost", "'/q'"), "2");
    bench_fini(&b);
}

static void a_queue_says_why_it_refuses(void)
{
    fresh();
    put("o", LINE);
    OK(has(call("o.line", "'/'"), "the root is nobody's directory"));
    OK(has(call("o.line", "'q'"), "q: "));
    OK(has(call("o.false_note", "'/q'"), "x: "));
    OK(has(bench_text(&b, bench_call(&b, 0, "o.line", "'/q'")),
           "an ephemeral node needs a session"));
    OK(has(bench_query(&b, "o.line", "'/q'"), "read_only: "));
    bench_fini(&b);
}

/* Not even the parents that were made for it, or for its note. */
static void a_refused_place_leaves_nothing(void)
{
    fresh();
    bench_session_open(&b, 8);
    put("o", LINE);
    STR(call("o.noted", "'/q'"),
        "[false, \"/q/calls/s7-1: a node stands at this path already\", false]");
    for (int left = 0; left < 5; left++) {
        char args[8];

        snprintf(args, sizeof args, "%d", left);
        STR(call("o.full", args), "[false, \"too_large\", false]");
    }
    STR(call("o.full", "5"), "[true, \"/f/queue/0000000000\", true]");
    bench_fini(&b);
}

static void find_looks_for_the_beginning_of_a_name(void)
{
    fresh();
    put("o", "f = function(tx, p) if not tx:exists('/d') then for _, n in ipairs { 'a-1', "
             "'a-2', 'b', 'bb' } do tx:create('/d/' .. n, n, { parents = true }) end end "
             "return tx:find('/d', p) end");
    STR(call("o.f", "'a-'"), "\"/d/a-1\"");
    STR(call("o.f", "'a-2'"), "\"/d/a-2\"");
    STR(call("o.f", "'b'"), "\"/d/b\"");
    STR(call("o.f", "'bb'"), "\"/d/bb\"");
    STR(call("o.f", "'c'"), "nil");
    STR(call("o.f", "''"), "\"/d/a-1\"");
    STR(call("o.f", "'a/'"), "nil");
    bench_fini(&b);
}

static void a_code_is_a_word_with_a_message_behind_it(void)
{
    fresh();
    put("o", "code = function(tx) tx:fail('not_yet', 'come later', 7) end, "
             "text = function(tx) tx:fail('come later', 'details') end, "
             "word = function(tx) tx:fail('never') end");
    size_t at = bench_call(&b, 7, "o.code", "nil");
    STR(bench_text(&b, at), "refused: not_yet: come later");
    OK(bytes_equal(buf_bytes(&b.calls[at].last.value),
                   BYTES_LIT("\x82\xa4" "code\xa7not_yet\xa7" "details\x07")));
    STR(call("o.text", "nil"), "refused: come later");
    STR(call("o.word", "nil"), "refused: never");
    bench_fini(&b);
}

/* --- rest --- */

static void one_that_goes_over_too_often_rests(void)
{
    struct host_stats stats;

    fresh();
    put("r", "f = function(tx, bad) while bad do end return 'ok' end, "
             "g = function() return 'ok' end");
    for (int i = 0; i < HOST_STRIKES_MAX; i++) {
        OK(has(call("r.f", "true"), "over_budget: fuel"));
    }
    OK(has(call("r.f", "false"), "resting: r.f went over its budget 5 times and rests: "
                                 "ask again in 999 ms"));
    OK(has(call("r.f", "false"), "998 ms"));
    const struct script_result *last = &b.calls[b.calls_count - 1].last;
    OK(bytes_equal(buf_bytes(&last->value),
                   bytes_of("\x81\xaeretry_after_ms\xcf\0\0\0\0\0\0\x03\xe6", 25)));
    STR(call("r.g", "nil"), "\"ok\"");
    OK(host_stats(b.host, 0, &stats));
    OK(bytes_equal(stats.name, BYTES_LIT("r.f")));
    IS(stats.over_budget, HOST_STRIKES_MAX);
    IS(stats.rests, 1);
    b.time_ms += 1000;
    STR(call("r.f", "false"), "\"ok\"");
    for (int i = 0; i < HOST_STRIKES_MAX; i++) (void) call("r.f", "true");
    OK(has(call("r.f", "false"), "1999 ms"));
    bench_fini(&b);
}

/* Its time stands still while nothing is written. */
static void a_query_never_rests(void)
{
    fresh();
    put("r", "f = function(tx, bad) while bad do end return 'ok' end");
    for (int i = 0; i < 2 * HOST_STRIKES_MAX; i++) {
        OK(has(bench_query(&b, "r.f", "true"), "over_budget: fuel"));
    }
    STR(call("r.f", "false"), "\"ok\"");
    for (int i = 0; i < HOST_STRIKES_MAX; i++) (void) call("r.f", "true");
    OK(has(call("r.f", "false"), "resting: "));
    STR(bench_query(&b, "r.f", "false"), "\"ok\"");
    bench_fini(&b);
}

static void a_new_version_need_not_rest(void)
{
    fresh();
    put("r", "f = function(tx, bad) while true do end end");
    for (int i = 0; i < HOST_STRIKES_MAX; i++) (void) call("r.f", "nil");
    OK(has(call("r.f", "nil"), "resting: "));
    put("r", "f = function(tx, bad) return 'better' end");
    STR(call("r.f", "nil"), "\"better\"");
    bench_fini(&b);
}

static void functions_that_are_none_leave_no_record(void)
{
    struct host_stats stats;

    fresh();
    put("r", "f = function() return 1 end");
    OK(has(call("r.none", "nil"), "no_function"));
    OK(!host_stats(b.host, 0, &stats));
    (void) call("r.f", "nil");
    OK(host_stats(b.host, 0, &stats));
    IS(stats.calls, 1);
    IS(stats.runs, 1);
    IS(stats.errors, 0);
    bench_fini(&b);
}

int main(void)
{
    TEST(a_called_function_is_part_of_the_call);
    TEST(what_it_sees_is_what_its_caller_wrote);
    TEST(a_failed_one_leaves_nothing_and_can_be_caught);
    TEST(a_wait_inside_is_the_wait_of_the_call);
    TEST(cancel_may_cancel_what_it_called);
    TEST(circles_and_depth_end);
    TEST(all_live_on_one_budget);
    TEST(what_cannot_be_called_is_told);
    TEST(a_query_calls_to_read_only);
    TEST(owned_finds_what_the_session_holds);
    TEST(a_call_has_one_place_in_a_queue);
    TEST(a_queue_says_why_it_refuses);
    TEST(a_refused_place_leaves_nothing);
    TEST(find_looks_for_the_beginning_of_a_name);
    TEST(a_code_is_a_word_with_a_message_behind_it);
    TEST(one_that_goes_over_too_often_rests);
    TEST(a_query_never_rests);
    TEST(a_new_version_need_not_rest);
    TEST(functions_that_are_none_leave_no_record);
    return tap_done();
}
