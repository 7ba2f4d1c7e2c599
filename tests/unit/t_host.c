/* t_host.c -- the recipe host: names, versions, results, and every function of `tx`.
 *
 * Method: small recipes on a tree in memory (tests/lib/recipe_bench.h). The bench commits
 * what a run wrote; a run that fails must leave the tree as it was. */
#include "core/base/errors.h"
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

static const char *call(const char *function, const char *args)
{
    return bench_text(&b, bench_call(&b, 7, function, args));
}

/* Runs a function body in a recipe "r". */
static const char *run(const char *body)
{
    char source[1200];

    snprintf(source, sizeof(source), "return { f = function(tx, args) %s end }", body);
    bench_recipe_put(&b, "r", bytes_str(source));
    return call("r.f", "{}");
}

static bool has(const char *text, const char *part)
{
    if (strstr(text, part) != NULL) return true;
    printf("# \"%s\" is not in \"%s\"\n", part, text);
    return false;
}

static void a_recipe_answers_with_a_value(void)
{
    fresh();
    bench_recipe_put(&b, "sum", bytes_str(
        "return { add = function(tx, args) return { sum = args[1] + args[2] } end }"));
    STR(call("sum.add", "{ 2, 3 }"), "{\"sum\"=>5}");
    bench_fini(&b);
}

static void an_unknown_recipe_or_function_is_refused_by_name(void)
{
    fresh();
    STR(call("nothing.f", "nil"), "no_recipe: there is no recipe of this name: nothing");
    STR(call("../x.f", "nil"), "no_recipe: there is no recipe of this name: ");
    STR(call("a/b.f", "nil"), "no_recipe: there is no recipe of this name: a/b");
    bench_recipe_put(&b, "r", bytes_str("return { _in = pairs, cancel = pairs, n = 5 }"));
    OK(has(call("r.f", "nil"), "no_function: "));
    OK(has(call("r.n", "nil"), "no_function: "));
    OK(has(call("r._in", "nil"), "no_function: "));
    OK(has(call("r.cancel", "nil"), "no_function: "));
    OK(has(call("r.", "nil"), "no_function: "));
    bench_fini(&b);
}

static void a_new_version_is_used_at_once(void)
{
    fresh();
    STR(run("return 1"), "1");
    STR(run("return 2"), "2");
    STR(run("return 1"), "1");
    bench_fini(&b);
}

static void a_shipped_recipe_can_be_replaced(void)
{
    fresh();
    STR(call("lock.holder", "{ path = '/l' }"), "nil");
    bench_recipe_put(&b, "lock",
                     bytes_str("return { holder = function() return 'me' end }"));
    STR(call("lock.holder", "{ path = '/l' }"), "\"me\"");
    bench_fini(&b);
}

/* What the check says of a source, as text. */
static const char *check(const char *name, struct bytes source)
{
    static char text[400];
    struct script_result out = { 0 };

    host_scripts(b.host)->check(host_scripts(b.host), bytes_str(name), source, &out);
    OK(out.outcome == (out.code == 0 ? SCRIPT_DONE : SCRIPT_ERROR));
    snprintf(text, sizeof(text), "%s: %.*s", out.code == 0 ? "ok" : error_name(out.code),
             (int) out.message.len, (const char *) out.message.ptr);
    if (out.code == 0) OK(out.fuel > source.len); /* to compile is not free */
    buf_fini(&out.value);
    buf_fini(&out.message);
    buf_fini(&out.paths);
    return text;
}

static void a_source_is_checked_before_it_is_stored(void)
{
    fresh();
    STR(check("r", BYTES_LIT("return { f = function() end, n = 5 }")), "ok: ");
    OK(has(check("r", BYTES_LIT("return {{{")), "script_failed: r:1: "));
    OK(has(check("r", BYTES_LIT("\033Lua\124")), "script_failed: "));
    OK(has(check("r", BYTES_LIT("")), "must return a table of functions, not nil"));
    OK(has(check("r", BYTES_LIT("return 5")), "not number"));
    OK(has(check("r", BYTES_LIT("return { n = 5 }")), "has no function"));
    OK(has(check("r", BYTES_LIT("error({})")), "script_failed: "));
    OK(has(check("r", BYTES_LIT("os.exit()")), "script_failed: r:1: "));
    OK(has(check("r", BYTES_LIT("while true do end")), "over_budget: fuel"));
    OK(has(check("r", BYTES_LIT("local t = {} while true do t = { t, ('x'):rep(1e5) } end")),
           "over_budget: "));
    OK(has(check("a.b", BYTES_LIT("return { f = function() end }")), "bad_path: "));
    OK(has(check("", BYTES_LIT("return { f = function() end }")), "bad_path: "));
    bench_fini(&b);
}

static void a_check_leaves_the_recipe_in_use_as_it_is(void)
{
    fresh();
    STR(run("return 1"), "1");
    OK(has(check("r", BYTES_LIT("return 5")), "script_failed: "));
    STR(call("r.f", "nil"), "1");
    bench_fini(&b);
}

static void more_recipes_than_states_work_all_the_same(void)
{
    char name[40], source[80], want[16];

    fresh();
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < HOST_STATES_MAX + 8; i++) {
            snprintf(name, sizeof(name), "many%d", i);
            snprintf(source, sizeof(source), "return { f = function() return %d end }", i);
            if (round == 0) bench_recipe_put(&b, name, bytes_str(source));
            snprintf(name, sizeof(name), "many%d.f", i);
            snprintf(want, sizeof(want), "%d", i);
            STR(call(name, "nil"), want);
        }
    }
    bench_fini(&b);
}

static void a_failed_run_writes_nothing(void)
{
    struct node n;

    fresh();
    OK(has(run("tx:create('/a', 'x') tx:create('/b', 'x') error('no')"), "script_failed"));
    OK(!bench_node_read(&b, "/a", &n) && !bench_node_read(&b, "/b", &n));
    bench_fini(&b);
}

static void a_refusal_carries_its_message_and_details(void)
{
    fresh();
    bench_recipe_put(&b, "r", bytes_str(
        "return { f = function(tx) tx:create('/a') tx:fail('not now', { left = 3 }) end,"
        " g = function(tx) tx:fail('bad', pairs) end }"));
    size_t handle = bench_call(&b, 7, "r.f", "nil");
    STR(bench_text(&b, handle), "refused: not now");
    IS(b.calls[handle].last.code, ERR_REFUSED);
    IS(b.calls[handle].last.value.len, 7); /* {left: 3} */
    STR(call("r.g", "nil"), "script_failed: its details cannot be sent");
    bench_fini(&b);
}

static void reads_see_the_calls_own_writes(void)
{
    fresh();
    STR(run("tx:create('/a', 'one') local x = tx:get('/a') tx:set('/a', 'two') "
            "return { x, tx:get('/a'), tx:exists('/a'), tx:exists('/b') }"),
        "[\"one\", \"two\", true, false]");
    STR(run("tx:delete('/a') return tx:exists('/a')"), "false");
    bench_fini(&b);
}

static void null_data_is_not_empty_data(void)
{
    fresh();
    STR(run("tx:create('/null') tx:create('/empty', '') "
            "return { tx:get('/null') == nil, tx:get('/empty'), tx:get('/none') == nil }"),
        "[true, \"\", true]");
    STR(run("tx:set('/empty', nil) return tx:get('/empty') == nil"), "true");
    bench_fini(&b);
}

static void stat_has_the_names_that_zookeeper_gave(void)
{
    fresh();
    (void) run("tx:create('/a', 'xyz') tx:create('/a/b')");
    OK(has(run("local s = tx:stat('/a') return { s.version, s.dataLength, s.numChildren, "
               "s.ephemeralOwner, s.aversion, s.cversion, s.czxid == s.mzxid, "
               "s.ctime == s.mtime, s.pzxid == s.czxid }"),
           "[0, 3, 1, 0, 0, 1, true, true, true]"));
    STR(run("return tx:stat('/none')"), "nil");
    bench_fini(&b);
}

static void create_takes_its_options(void)
{
    fresh();
    STR(run("return tx:create('/q/n-', 'x', { sequential = true, parents = true })"),
        "\"/q/n-0000000000\"");
    STR(run("return { tx:create('/q/n-', 'x', { sequential = true }), "
            "tx:stat(tx:create('/e', 'x', { ephemeral = true })).ephemeralOwner }"),
        "[\"/q/n-0000000001\", 7]");
    OK(has(run("tx:create('/z', 'x', { ephemral = true })"),
           "bad_option: r:1: no such option: ephemral"));
    OK(has(run("tx:create('/z', 'x', { [1] = true })"), "bad_option: "));
    OK(has(run("tx:set('/q', 'x', { version = '1' })"), "bad_option: "));
    bench_fini(&b);
}

static void what_the_tree_refuses_ends_the_call_with_its_code(void)
{
    fresh();
    STR(run("tx:set('/none', 'x')"), "no_node: r:1: /none: there is no node at this path");
    OK(has(run("tx:create('/none/x')"), "no_node: "));
    OK(has(run("tx:create('/a') tx:create('/a')"), "node_exists: "));
    OK(has(run("tx:create('/a') tx:set('/a', 'x', { version = 9 })"), "bad_version: "));
    OK(has(run("tx:create('/a') tx:delete('/a', { version = 9 })"), "bad_version: "));
    OK(has(run("tx:create('/a') tx:create('/a/b') tx:delete('/a')"), "not_empty: "));
    OK(has(run("tx:create('/e', '', { ephemeral = true }) tx:create('/e/x')"),
           "ephemeral_parent: "));
    OK(has(run("tx:delete('/')"), "bad_path: "));
    OK(has(run("tx:create('/tidelock/x')"), "reserved: "));
    OK(has(run("tx:set('/tidelock/recipes/r', 'x')"), "reserved: "));
    OK(has(run("tx:create('/' .. ('x'):rep(2000))"), "too_large: "));
    OK(has(run("for i = 1, 2000 do tx:create('/n' .. i) end"), "too_large: "));
    OK(has(run("tx:create('/big', ('12345678'):rep(131073))"), "too_large: "));
    bench_fini(&b);
}

static void a_caught_refusal_leaves_the_rest_standing(void)
{
    struct node n;

    fresh();
    STR(run("tx:create('/a') local ok, e = pcall(tx.create, tx, '/a') tx:create('/b') "
            "return e.name"), "\"node_exists\"");
    OK(bench_node_read(&b, "/a", &n) && bench_node_read(&b, "/b", &n));
    tree_check(&b.state.view);
    bench_fini(&b);
}

static void every_function_refuses_what_is_no_path(void)
{
    static const char *const calls[] = { "get(%s)", "exists(%s)", "stat(%s)",
        "children(%s)", "first(%s)", "last(%s)", "next(%s)", "previous(%s)",
        "find(%s, 'x')", "create(%s)", "set(%s)", "delete(%s)", "wait(%s)" };
    static const char *const paths[] = { "''", "'x'", "'/a/'", "'//'", "'/..'", "'/a\\0b'",
        "'/\\255'" };
    char body[100], inner[80];

    fresh();
    for (size_t i = 0; i < sizeof(calls) / sizeof(*calls); i++) {
        for (size_t k = 0; k < sizeof(paths) / sizeof(*paths); k++) {
            snprintf(inner, sizeof(inner), calls[i], paths[k]);
            snprintf(body, sizeof(body), "tx:%s", inner);
            OK(has(run(body), "bad_path: "));
        }
        snprintf(inner, sizeof(inner), calls[i], "{}");
        snprintf(body, sizeof(body), "tx:%s", inner);
        OK(has(run(body), "string expected"));
        snprintf(inner, sizeof(inner), calls[i], "'/a'");
        snprintf(body, sizeof(body), "tx.%s", inner);
        OK(has(run(body), "bad argument"));
    }
    bench_fini(&b);
}

static void children_are_listed_in_order_and_by_pages(void)
{
    fresh();
    (void) run("for _, name in ipairs { 'c', 'a', 'b', 'd' } do "
               "tx:create('/x/' .. name, name .. name, { parents = true }) end");
    STR(run("return tx:children('/x')"), "[\"a\", \"b\", \"c\", \"d\"]");
    STR(run("return tx:children('/x', 'b')"), "[\"c\", \"d\"]");
    STR(run("return tx:children('/x', nil, 2)"), "[\"a\", \"b\"]");
    STR(run("return #tx:children('/x', 'a', 0)"), "0");
    STR(run("return #tx:children('/none')"), "0");
    OK(has(run("tx:children('/x', '', -1)"), "bad_params: "));
    OK(has(run("tx:children('/x', '', math.mininteger)"), "bad_params: "));
    STR(run("return { tx:first('/x'), tx:last('/x'), tx:next('/x/a'), tx:previous('/x/c'), "
            "tx:next('/x/aa'), tx:find('/x', 'c') }"),
        "[\"/x/a\", \"/x/d\", \"/x/b\", \"/x/b\", \"/x/b\", \"/x/c\"]");
    STR(run("return tx:first('/none') == nil and tx:previous('/x/a') == nil and "
            "tx:next('/x/d') == nil and tx:find('/x', 'zz') == nil"), "true");
    STR(run("return { tx:first('/'), tx:next('/tidelock') }"), "[\"/tidelock\", \"/x\"]");
    OK(has(run("tx:next('/')"), "bad_path: "));
    bench_fini(&b);
}

static void a_call_knows_its_name_session_and_time(void)
{
    char want[100];

    fresh();
    bench_recipe_put(&b, "r", bytes_str(
        "return { f = function(tx) return { tx.id, tx.session, tx.zxid, tx:now(), "
        "tx.none == nil } end }"));
    size_t handle = bench_call(&b, 7, "r.f", "nil");
    snprintf(want, sizeof(want), "[\"s7-%llu\", 7, %llu, %lld, true]",
             (unsigned long long) b.calls[handle].seq, (unsigned long long) b.zxid,
             (long long) b.time_ms);
    STR(bench_text(&b, handle), want);
    handle = bench_call(&b, 0, "r.f", "nil");
    snprintf(want, sizeof(want), "[\"z%llu\", 0, %llu, %lld, true]",
             (unsigned long long) b.zxid, (unsigned long long) b.zxid,
             (long long) b.time_ms);
    STR(bench_text(&b, handle), want);
    bench_fini(&b);
}

static void a_waiting_call_runs_again_when_its_path_changes(void)
{
    fresh();
    bench_recipe_put(&b, "r", bytes_str(
        "return { f = function(tx, args) local v = tx:get('/v') "
        "if v == args then return v end return tx:wait('/v') end,"
        " g = function(tx, args) return tx:get('/v') or tx:wait() end,"
        " put = function(tx, args) tx:create('/v', args) end }"));
    size_t named = bench_call(&b, 7, "r.f", "'yes'");
    size_t read = bench_call(&b, 7, "r.g", "nil");
    OK(bench_waits(&b, named) && bench_waits(&b, read));
    IS(b.calls[named].last.paths.len, 3);
    (void) call("r.put", "'yes'");
    STR(bench_text(&b, named), "\"yes\"");
    STR(bench_text(&b, read), "\"yes\"");
    IS(b.calls[named].runs, 2);
    bench_fini(&b);
}

static void a_wait_counts_only_when_it_is_returned(void)
{
    fresh();
    STR(run("tx:wait('/a') return 5"), "5");
    OK(has(run("return { tx:wait('/a') }"), "must not be or hold a userdata"));
    size_t handle = bench_call(&b, 7, "r.f", "nil");
    IS(b.calls[handle].last.paths.len, 0);
    bench_fini(&b);
}

static void cancel_runs_with_the_name_of_the_function(void)
{
    struct node n;

    fresh();
    bench_recipe_put(&b, "r", bytes_str(
        "return { f = function(tx, args) return tx:wait('/v') end,"
        " cancel = function(tx, args, name) tx:create('/gone', name .. args.x) end }"));
    size_t handle = bench_call(&b, 7, "r.f", "{ x = 'y' }");
    bench_cancel(&b, handle);
    STR(bench_text(&b, handle), "nil");
    OK(bench_node_read(&b, "/gone", &n) && bytes_equal(n.data, BYTES_LIT("fy")));

    bench_recipe_put(&b, "r", bytes_str(
        "return { f = function(tx) return tx:wait('/v') end }"));
    handle = bench_call(&b, 7, "r.f", "nil");
    bench_cancel(&b, handle);
    STR(bench_text(&b, handle), "nil");

    bench_recipe_put(&b, "r", bytes_str(
        "return { f = function(tx) return tx:wait('/v') end, "
        "cancel = function(tx) return tx:wait('/v') end }"));
    handle = bench_call(&b, 7, "r.f", "nil");
    bench_cancel(&b, handle);
    OK(has(bench_text(&b, handle), "cancel cannot wait"));
    bench_fini(&b);
}

/* The node of the recipe is not what the recipe read. */
static void a_new_version_does_not_wake_who_waits(void)
{
    fresh();
    bench_recipe_put(&b, "r", bytes_str(
        "return { f = function(tx) tx:get('/v') return tx:wait() end }"));
    size_t handle = bench_call(&b, 7, "r.f", "nil");
    bench_recipe_put(&b, "r", bytes_str("return {}"));
    OK(bench_waits(&b, handle));
    bench_fini(&b);
}

/* One run with that budget, the second of a fresh host, so that the compiled recipe and the
 * run in an open state are both reached. */
static bool within(struct sandbox_budget budget)
{
    bool done = false;

    bench_init(&b, budget);
    bench_session_open(&b, 7);
    for (int i = 0; i < 2; i++) {
        const char *text = call("lock.acquire", "{ path = '/l', reentrant = true }");

        done = strncmp(text, "{\"path\"=>\"/l/holder\"", 20) == 0;
        OK(done || strncmp(text, "over_budget: ", 13) == 0);
    }
    tree_check(&b.state.view);
    bench_fini(&b);
    return done;
}

static void memory_may_end_at_any_place(void)
{
    size_t size = 0;

    while (!within((struct sandbox_budget){ .memory_max = size, .fuel_max = 100000 })) {
        size += size < 10000 ? 500 : 61;
    }
    OK(size < 60000); /* what a state costs; 14 KB of it before the recipe */
}

static void fuel_may_end_at_any_place(void)
{
    uint64_t fuel = 0;

    while (!within((struct sandbox_budget){ .memory_max = 1 << 20, .fuel_max = fuel })) {
        fuel += 7;
    }
    OK(fuel < 3000); /* what a grant costs, compiling included */
}

int main(void)
{
    TEST(a_recipe_answers_with_a_value);
    TEST(an_unknown_recipe_or_function_is_refused_by_name);
    TEST(a_new_version_is_used_at_once);
    TEST(a_shipped_recipe_can_be_replaced);
    TEST(a_source_is_checked_before_it_is_stored);
    TEST(a_check_leaves_the_recipe_in_use_as_it_is);
    TEST(more_recipes_than_states_work_all_the_same);
    TEST(a_failed_run_writes_nothing);
    TEST(a_refusal_carries_its_message_and_details);
    TEST(reads_see_the_calls_own_writes);
    TEST(null_data_is_not_empty_data);
    TEST(stat_has_the_names_that_zookeeper_gave);
    TEST(create_takes_its_options);
    TEST(what_the_tree_refuses_ends_the_call_with_its_code);
    TEST(a_caught_refusal_leaves_the_rest_standing);
    TEST(every_function_refuses_what_is_no_path);
    TEST(children_are_listed_in_order_and_by_pages);
    TEST(a_call_knows_its_name_session_and_time);
    TEST(a_waiting_call_runs_again_when_its_path_changes);
    TEST(a_wait_counts_only_when_it_is_returned);
    TEST(cancel_runs_with_the_name_of_the_function);
    TEST(a_new_version_does_not_wake_who_waits);
    TEST(memory_may_end_at_any_place);
    TEST(fuel_may_end_at_any_place);
    return tap_done();
}
