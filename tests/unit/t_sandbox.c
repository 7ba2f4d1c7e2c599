/* t_sandbox.c -- hostile recipes: each costs its budget and nothing else.
 *
 * Method: `run` deploys a function body and calls it through the real host; then an honest
 * recipe must still work, as it must after anything. Time is fuel, so the tests are exact
 * but for the two that are about the clock. */
#include "core/base/limits.h"
#include "core/tree/tree.h"
#include "tests/lib/recipe_bench.h"
#include "tests/lib/tap.h"

static struct recipe_bench b;

static void fresh(void)
{
    bench_init(&b, (struct sandbox_budget){ .memory_max = SCRIPT_MEMORY_MAX,
                                            .fuel_max = SCRIPT_FUEL_MAX,
                                            .cpu_ms_max = 2000 });
    bench_session_open(&b, 1);
    bench_recipe_put(&b, "honest",
                     bytes_str("return { f = function() return ('ok'):upper() end }"));
}

static const char *run(const char *body)
{
    char source[1200];

    snprintf(source, sizeof(source), "return { f = function(tx, args) %s end }", body);
    bench_recipe_put(&b, "h", bytes_str(source));
    return bench_text(&b, bench_call(&b, 1, "h.f", "{}"));
}

static bool has(const char *text, const char *part)
{
    if (strstr(text, part) != NULL) return true;
    printf("# \"%s\" is not in \"%s\"\n", part, text);
    return false;
}

static void honest(void)
{
    STR(bench_text(&b, bench_call(&b, 1, "honest.f", "{}")), "\"OK\"");
}

#define FUEL   "over_budget: fuel: more than 1000000 instructions"
#define MEMORY "over_budget: memory: more than 8388608 bytes"

static void endless_loops_run_out_of_fuel(void)
{
    fresh();
    STR(run("while true do end"), FUEL);
    STR(run("repeat until false"), FUEL);
    STR(run("::a:: goto a"), FUEL);
    STR(run("local function f() return f() end f()"), FUEL);
    STR(run("for i = 1, math.huge do end"), FUEL);
    honest();
    bench_fini(&b);
}

static void pcall_cannot_keep_the_end_of_the_budget(void)
{
    fresh();
    STR(run("while true do pcall(function() while true do end end) end"), FUEL);
    STR(run("pcall(pcall, function() while true do end end) return 'alive'"), FUEL);
    STR(run("local s = ('x'):rep(4000) "
            "pcall(function() local t = {} while true do t[#t + 1] = s .. #t end end) "
            "return 'alive'"), MEMORY);
    STR(run("table.sort({ 3, 2, 1 }, function() while true do end end)"), FUEL);
    honest();
    bench_fini(&b);
}

static void memory_is_bounded(void)
{
    fresh();
    STR(run("local s = 'x' while true do s = s .. s end"), MEMORY);
    STR(run("local t = {} for i = 1, 1e9 do t[i] = i end"), MEMORY);
    OK(has(run("return ('x'):rep(1e10)"), "the string would be too long"));
    STR(run("return ('x'):rep(8000000) .. ('y'):rep(8000000)"), FUEL);
    OK(has(run("local t = {} for i = 1, 100 do t[i] = ('x'):rep(100000) end "
               "return #table.concat(t)"), "over_budget: "));
    OK(has(run("local a = ('x'):rep(200000) return #string.format(('%s'):rep(20), "
               "a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a)"), "over_budget: "));
    honest();
    bench_fini(&b);
}

static void work_inside_c_functions_is_paid_for(void)
{
    fresh();
    STR(run("return #(''):rep(math.maxinteger)"), "0");
    STR(run("local s = ('12345678'):rep(100000) while true do local t = s .. 'y' end"),
        FUEL);
    STR(run("local s = ('a'):rep(100000) while true do s:find('b') end"), FUEL);
    STR(run("local s = ('a'):rep(100000) while true do utf8.len(s) end"), FUEL);
    STR(run("local s = ('a'):rep(10000) while true do s:byte(1, -1) end"), FUEL);
    STR(run("local t = {} for i = 1, 50000 do t[i] = i end "
            "while true do table.insert(t, 1, 1) table.remove(t, 1) end"), FUEL);
    STR(run("local t = {} for i = 1, 50000 do t[i] = '' end "
            "while true do table.concat(t) end"), FUEL);
    STR(run("local t = {} for i = 1, 9000 do t[i] = i end "
            "while true do table.unpack(t) end"), FUEL);
    STR(run("local t = {} for i = 1, 50000 do t[i] = i end "
            "while true do table.sort(t) end"), FUEL);
    STR(run("local t = {} for i = 1, 5000 do t['k' .. i] = i end "
            "while true do pairs(t) end"), FUEL);
    STR(run("while true do tx:exists('/a') end"), FUEL);
    honest();
    bench_fini(&b);
}

/* With memory nearly full, every few allocations make Lua walk all of it. Where that begins
 * depends on the build of Lua, so several fillings are tried. */
static void a_nearly_full_memory_does_not_stall(void)
{
    char body[120];

    for (int count = 111000; count <= 112400; count += 200) {
        bench_init(&b, (struct sandbox_budget){ .memory_max = SCRIPT_MEMORY_MAX,
                                                .fuel_max = SCRIPT_FUEL_MAX,
                                                .cpu_ms_max = 500 });
        snprintf(body, sizeof(body),
                 "local t = {} for i = 1, %d do t[i] = {} end "
                 "while true do local x = {} end", count);
        const char *text = run(body);
        OK(strcmp(text, FUEL) == 0 || strcmp(text, MEMORY) == 0);
        bench_fini(&b);
    }
}

/* Comparing long strings is one instruction however long they are. */
static void what_fuel_does_not_see_ends_by_the_clock(void)
{
    bench_init(&b, (struct sandbox_budget){ .memory_max = SCRIPT_MEMORY_MAX,
                                            .fuel_max = UINT64_C(1000000000000),
                                            .cpu_ms_max = 50 });
    bench_session_open(&b, 1);
    STR(run("local x, y = ('x'):rep(1e6) .. '', ('x'):rep(1e6) .. '' "
            "while x == y do end"), "over_budget: time: more than 50 ms of the processor");
    STR(run("return 1"), "1");
    bench_fini(&b);
}

/* What stalled or broke others: each is refused, or costs its budget. */
static void the_known_stalls_end(void)
{
    fresh();
    STR(run("table.move({}, 1, 1e9, 2)"), FUEL);
    STR(run("table.move({}, 1, math.maxinteger - 1, 2)"), FUEL);
    STR(run("local t = {} for i = 1, 50000 do t[i] = i end "
            "while true do table.move(t, 1, #t, 2) end"), FUEL);
    OK(has(run("return table.concat({}, ('x'):rep(1e6), 1, 1e6)"), "over_budget"));
    STR(run("local t = {} for i = 1, 9000 do t[i] = '' end "
            "while true do select('#', table.unpack(t)) end"), FUEL);
    STR(run("while true do pcall(table.unpack, {}, 1, 250000) end"), FUEL);
    STR(run("while true do pcall(error, { ('x'):rep(100) }) end"), FUEL);
    STR(run("local function f() while true do end end pcall(f) pcall(f) return 'alive'"),
        FUEL);
    STR(run("local s = ('x'):rep(100000) while true do s = s:gsub('x', 'y') end"), FUEL);
    OK(has(run("return ('x'):rep(300000):gsub('', ('y'):rep(100))"), "over_budget"));
    STR(run("while true do string.format('%99.99f', 1e308) end"), FUEL);
    STR(run("while true do tonumber(('9'):rep(10000)) end"), FUEL);
    STR(run("while true do tx:children('/') end"), FUEL);
    STR(run("while true do pcall(tx.create, tx, '/tidelock/x') end"), FUEL);
    honest();
    bench_fini(&b);
}

/* Every function of tx with thousands of arguments, none, and wrong ones. */
static void tx_survives_any_arguments(void)
{
    static const char *const names[] = { "now", "exists", "get", "stat", "children", "first",
        "last", "next", "previous", "find", "owned", "create", "set", "delete", "touch",
        "place", "enter", "leave",
        "delete_tree", "check", "fail", "call", "wait" };
    char body[500];

    fresh();
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        snprintf(body, sizeof(body),
                 "local f = tx.%s "
                 "for _, a in ipairs { 1, 'x', '/', '/a', true, pairs, tx, {}, { {} }, "
                 "('/x'):rep(600) } do for _, b in ipairs { 1, 'x', {}, { x = 1 }, tx } do "
                 "pcall(f, tx, a, b, a) pcall(f, a, b) end end "
                 "pcall(f) pcall(f, tx) pcall(f, nil) pcall(f, tx, nil, nil) "
                 "pcall(f, tx, table.unpack({}, 1, 8000)) "
                 "pcall(f, tx, '/a', table.unpack({}, 1, 8000)) return 'alive'", names[i]);
        STR(run(body), "\"alive\"");
    }
    tree_check(&b.state.view);
    honest();
    bench_fini(&b);
}

static void recursion_ends(void)
{
    fresh();
    OK(has(run("local function f() return 1 + f() end return f()"), "over_budget: "));
    OK(has(run("local function f() pcall(f) end f() return 'deep'"), "deep"));
    OK(has(run("local t = {} for i = 1, 20000 do t = { t } end return t"),
           "nested deeper"));
    OK(has(run("local function f(...) return f(1, ...) end return f()"), "over_budget: "));
    honest();
    bench_fini(&b);
}

static void nothing_dangerous_has_a_name(void)
{
    static const char *const names[] = { "os", "io", "debug", "package", "require", "load",
        "loadstring", "loadfile", "dofile", "collectgarbage", "coroutine", "setmetatable",
        "getmetatable", "rawget", "rawset", "rawequal", "rawlen", "next", "xpcall", "print",
        "warn", "_G", "_VERSION", "newproxy", "getfenv", "setfenv", "string.dump",
        "string.pack", "string.unpack",
        "math.random", "math.randomseed", "utf8.codes", "utf8.charpattern" };
    char body[100];

    fresh();
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        snprintf(body, sizeof(body), "return %s == nil", names[i]);
        STR(run(body), "true");
    }
    STR(run("return ('x').dump == nil and ('x').pack == nil"), "true");
    bench_fini(&b);
}

static void bytecode_is_not_loaded(void)
{
    fresh();
    bench_recipe_put(&b, "h", bytes_of("\x1bLuaT\0\x19\x93\r\n\x1a\n", 12));
    OK(has(bench_text(&b, bench_call(&b, 1, "h.f", "{}")),
           "attempt to load a binary chunk"));
    honest();
    bench_fini(&b);
}

static void one_run_cannot_poison_the_next(void)
{
    static const char *const attempts[] = {
        "string.upper = function() return 'evil' end",
        "string.evil = 1",
        "table.insert(string, 'evil')",
        "table.insert(math, 'evil')",
        "tx.get = nil",
        "('x').upper = nil",
    };
    static const char *const silent[] = {
        "pairs = nil evil = 1 string = nil tostring = function() return 'evil' end",
        "_ENV.type = 1 _ENV = nil",
        "array.x = 1",
    };

    fresh();
    bench_recipe_put(&b, "h", bytes_str(
        "return { try = function(tx, args) return evil == nil and string.evil == nil and "
        "string[1] == nil and math[1] == nil and ('ok'):upper() == 'OK' and "
        "tostring(1) == '1' and type(pairs) == 'function' end }"));
    for (size_t i = 0; i < sizeof(attempts) / sizeof(*attempts); i++) {
        OK(strncmp(run(attempts[i]), "script_failed", 13) == 0);
    }
    for (size_t i = 0; i < sizeof(silent) / sizeof(*silent); i++) (void) run(silent[i]);
    honest();

    /* Within one recipe: the state is the same one, and must be as new. */
    bench_recipe_put(&b, "p", bytes_str(
        "seen = (seen or 0) + 1\n"
        "local count = 0\n"
        "return { f = function(tx) count = count + 1 evil = tx pairs = nil\n"
        "  return { seen, count } end,\n"
        "  g = function() return evil == nil and pairs ~= nil end }"));
    STR(bench_text(&b, bench_call(&b, 1, "p.f", "{}")), "[1, 1]");
    STR(bench_text(&b, bench_call(&b, 1, "p.f", "{}")), "[1, 1]");
    STR(bench_text(&b, bench_call(&b, 1, "p.g", "{}")), "true");
    bench_fini(&b);
}

static void any_error_value_is_a_clear_answer(void)
{
    fresh();
    STR(run("error('plain', 0)"), "script_failed: plain");
    STR(run("error('placed')"), "script_failed: h:1: placed");
    STR(run("error(nil)"), "script_failed: nil");
    STR(run("error({})"), "script_failed: table");
    STR(run("error(pairs)"), "script_failed: function");
    STR(run("error(tx)"), "script_failed: userdata");
    STR(run("error(null)"), "script_failed: userdata");
    STR(run("error({ __tostring = function() while true do end end })"),
        "script_failed: table");
    STR(run("local x = nil; return x.y"),
        "script_failed: h:1: attempt to index a nil value (local 'x')");
    STR(run("error('a\\xff\\xc3\\xa4\\xc3', 0)"), "script_failed: a?\xc3\xa4?");
    STR(run("assert(false, 'no')"), "script_failed: h:1: no");
    bench_fini(&b);
}

static void a_caught_error_can_be_read_and_raised_again(void)
{
    fresh();
    STR(run("local ok, e = pcall(tx.get, tx, 'bad') return { ok, e.code, e.name }"),
        "[false, -7, \"bad_path\"]");
    OK(has(run("local ok, e = pcall(tx.delete, tx, '/none') error(e)"), "no_node: "));
    OK(has(run("local ok, e = pcall(tx.delete, tx, '/none') e.code = 5 error(e)"),
           "script_failed: "));
    OK(has(run("local ok, e = pcall(tx.delete, tx, '/none') e.code = -1e18 e.message = tx "
               "error(e)"), "script_failed: table"));
    STR(run("return pcall(error)"), "false");
    bench_fini(&b);
}

static void nothing_shows_an_address(void)
{
    fresh();
    STR(run("return { tostring({}), tostring(print), tostring(pairs), tostring(tx), "
            "tostring(1.5), tostring('s'), tostring(nil), tostring(null) }"),
        "[\"table\", \"nil\", \"function\", \"userdata\", \"1.5\", \"s\", \"nil\", "
        "\"userdata\"]");
    STR(run("return string.format('%s %5s %d %%s %q', {}, pairs, 7, 'x')"),
        "\"table function 7 %s \"x\"\"");
    OK(has(run("return string.format('%p', {})"), "there is no %p"));
    OK(has(run("return string.format('%10.3p', {})"), "there is no %p"));
    OK(has(run("return string.format('%s')"), "no value"));
    OK(has(run("return string.format('%', 1)"), "invalid conversion"));
    bench_fini(&b);
}

static void pairs_goes_in_a_fixed_order(void)
{
    fresh();
    STR(run("local out = {} for k, v in pairs({ b = 1, a = 2, [10] = 3, [-1] = 4, 5 }) do "
            "out[#out + 1] = tostring(k) .. '=' .. v end return out"),
        "[\"-1=4\", \"1=5\", \"10=3\", \"a=2\", \"b=1\"]");
    STR(run("local out = {} local t = { a = 1, b = 2, c = 3 } for k in pairs(t) do "
            "t.b = nil t.d = 4 out[#out + 1] = k end return out"), "[\"a\", \"c\"]");
    STR(run("local n = 0 for _, v in pairs({ 1, 2, 3 }) do n = n + v end return n"), "6");
    STR(run("local it = pairs({ 1 }) it() it() return it(7, 8)"), "nil");
    STR(run("local t = {} for i = 1, 100 do t['k' .. i] = i end local s = 0 "
            "for _, v in pairs(t) do s = s + v end return s"), "5050");
    STR(run("for n = 1, 40 do local t, last = {}, nil for i = 1, n do "
            "t[i * 7 % 41 - 20], t['k' .. i * 7 % 41] = 1, 1 end "
            "for k in pairs(t) do if last and (type(k) == type(last) and k <= last "
            "or type(k) ~= type(last) and type(k) ~= 'string') then return n end "
            "last = k end end return 'good'"), "\"good\"");
    OK(has(run("for k in pairs({ [1.5] = 1 }) do end"), "must be integers or strings"));
    bench_fini(&b);
}

static void find_takes_a_pattern_or_plain_text(void)
{
    fresh();
    STR(run("return { ('a.b.c'):find('.b', 1, true) }"), "[2, 3]");
    STR(run("return { ('a.b.c'):find('.b') }"), "[2, 3]");
    STR(run("return { ('a.b.c'):find('%.(%a)') }"), "[2, 3, \"b\"]");
    STR(run("return { ('aXa'):find('a', 2) }"), "[3, 3]");
    STR(run("return { ('aXa'):find('a', -1) }"), "[3, 3]");
    STR(run("return { ('abc'):find('', 4) }"), "[4, 3]");
    STR(run("return ('abc'):find('', 5)"), "nil");
    STR(run("return ('abc'):find('c', math.maxinteger)"), "nil");
    STR(run("return { ('abc'):find('a', math.mininteger) }"), "[1, 1]");
    bench_fini(&b);
}

/* Exponential in Lua's own matcher, inside of one instruction. */
static void a_pathological_pattern_costs_its_budget(void)
{
    fresh();
    STR(run("return ('a'):rep(30):find(('a?'):rep(30) .. ('a'):rep(30))"), FUEL);
    STR(run("return ('x'):rep(2000):find('.-.-.-.-b')"), FUEL);
    STR(run("return ('x'):rep(2000):match('.*.*.*.*b')"), FUEL);
    STR(run("return ('x'):rep(2000):match('(.*)(.*)(.*)%1b')"), FUEL);
    STR(run("for _ in ('x'):rep(5000):gmatch('.-.-.-b') do end"), FUEL);
    STR(run("return ('('):rep(100000):gsub('%b()', '')"), FUEL);
    STR(run("return ('x'):rep(100000):gsub('[' .. ('%d'):rep(1000) .. ']', '')"), FUEL);
    STR(run("local s = ('a'):rep(100000) while true do s:gsub('a', 'b') end"), FUEL);
    STR(run("local s = ('a'):rep(100000) while true do s:find('%f[b]') end"), FUEL);
    OK(has(run("return ('x'):rep(300):find(('x?'):rep(300))"), "too complex"));
    OK(has(run("return ('x'):find(('('):rep(40))"), "too many captures"));
    OK(has(run("return ('x'):rep(100):gsub('x', ('y'):rep(100000))"), "over_budget"));
    STR(run("while true do pcall(string.find, ('a'):rep(30), ('a?'):rep(30) .. "
            "('a'):rep(30)) end"), FUEL);
    honest();
    bench_fini(&b);
}

/* Every function gets extreme numbers and many arguments: an answer or an error. */
static void extreme_arguments_are_survived(void)
{
    static const char *const lists[] = { "'abc'", "{ 1, 2 }", "'%d %s'", "1", "nil",
                                         "-1.5" };
    char body[900];

    fresh();
    for (size_t i = 0; i < sizeof(lists) / sizeof(*lists); i++) {
        snprintf(body, sizeof(body),
            "local hard = { 0, -1, 1, 2147483647, 2147483648, -2147483649, 2^53, 1/0, "
            "-1/0, 0/0, math.maxinteger, math.mininteger, '1e308', '', false, null } "
            "local names = { string = { 'byte', 'char', 'find', 'format', 'gmatch', 'gsub', "
            "'len', 'lower', 'match', 'rep', 'reverse', 'sub', 'upper' }, table = { 'concat', 'insert', 'move', "
            "'pack', 'remove', 'sort', 'unpack' }, utf8 = { 'char', 'codepoint', 'len', "
            "'offset' } } "
            "local n = 0 for lib, list in pairs(names) do for _, name in ipairs(list) do "
            "for i = 1, #hard do if not (name == 'insert' or name == 'unpack' or "
            "name == 'concat' or name == 'move') then pcall(_ENV[lib][name], %s, hard[i], "
            "hard[#hard - i + 1]) n = n + 1 end end end end return n > 0", lists[i]);
        const char *text = run(body);
        OK(strcmp(text, "true") == 0 || has(text, "over_budget"));
    }
    OK(has(run("return table.unpack({}, 1, 1e8)"), "over_budget"));
    OK(has(run("return table.unpack({}, 1, 900000)"), "too many results"));
    OK(has(run("return table.unpack({}, math.mininteger, math.maxinteger)"),
           "over_budget"));
    OK(has(run("return table.concat({}, 'x', 1, math.maxinteger)"), "over_budget"));
    OK(has(run("return table.concat({}, 'x', math.maxinteger, math.maxinteger)"),
           "invalid"));
    OK(has(run("table.insert({}, math.maxinteger, 1)"), "out of bounds"));
    STR(run("return select('#', table.unpack({}, 1, 8000))"), "8000");
    OK(has(run("return string.char(table.unpack({}, 1, 8000))"), "script_failed"));
    OK(has(run("return tx:wait(table.unpack({}, 1, 8000))"), "more than 128 paths"));
    OK(has(run("return tx:get(table.unpack({}, 1, 8000))"), "string expected"));
    STR(run("local t = {} for i = 1, 8000 do t[i] = i end "
            "return #{ table.unpack(t) }"), "8000");
    honest();
    bench_fini(&b);
}

static void what_the_compiler_refuses_is_told(void)
{
    struct buf deep = { 0 };

    fresh();
    bench_recipe_put(&b, "h", bytes_str("return {"));
    OK(has(bench_text(&b, bench_call(&b, 1, "h.f", "{}")), "script_failed: h:1: "));
    bench_recipe_put(&b, "h", bytes_str("return 5"));
    OK(has(bench_text(&b, bench_call(&b, 1, "h.f", "{}")), "must return a table"));
    bench_recipe_put(&b, "h", bytes_str(""));
    OK(has(bench_text(&b, bench_call(&b, 1, "h.f", "{}")), "must return a table"));
    bench_recipe_put(&b, "h", bytes_str("while true do end"));
    STR(bench_text(&b, bench_call(&b, 1, "h.f", "{}")), FUEL);

    buf_put(&deep, "return ", 7);
    for (int i = 0; i < 400000; i++) buf_put_u8(&deep, '(');
    bench_recipe_put(&b, "h", buf_bytes(&deep));
    OK(has(bench_text(&b, bench_call(&b, 1, "h.f", "{}")), "C stack overflow"));
    buf_clear(&deep);
    while (deep.len < 900000) buf_put(&deep, "local a = 1 do local b = a end\n", 31);
    bench_recipe_put(&b, "h", buf_bytes(&deep));
    OK(has(bench_text(&b, bench_call(&b, 1, "h.f", "{}")), "too many local variables"));
    buf_fini(&deep);
    honest();
    bench_fini(&b);
}

int main(void)
{
    TEST(endless_loops_run_out_of_fuel);
    TEST(pcall_cannot_keep_the_end_of_the_budget);
    TEST(memory_is_bounded);
    TEST(work_inside_c_functions_is_paid_for);
    TEST(a_nearly_full_memory_does_not_stall);
    TEST(what_fuel_does_not_see_ends_by_the_clock);
    TEST(the_known_stalls_end);
    TEST(tx_survives_any_arguments);
    TEST(recursion_ends);
    TEST(nothing_dangerous_has_a_name);
    TEST(bytecode_is_not_loaded);
    TEST(one_run_cannot_poison_the_next);
    TEST(any_error_value_is_a_clear_answer);
    TEST(a_caught_error_can_be_read_and_raised_again);
    TEST(nothing_shows_an_address);
    TEST(pairs_goes_in_a_fixed_order);
    TEST(find_takes_a_pattern_or_plain_text);
    TEST(a_pathological_pattern_costs_its_budget);
    TEST(extreme_arguments_are_survived);
    TEST(what_the_compiler_refuses_is_told);
    return tap_done();
}
