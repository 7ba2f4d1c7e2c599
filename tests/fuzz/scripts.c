/* scripts.c -- random recipes against the sandbox: each costs its budget and nothing else.
 *
 *     tidelock-fuzz [--seconds N] [--seed S] [--show]
 *
 * A script is drawn from a small grammar over all that a recipe can name, with the arguments
 * that hurt: huge numbers, long strings, deep tables, patterns, other paths, functions that
 * fail or never end. It runs on a small budget, so that fuel and memory end at every place.
 * Beside it MessagePack values, random and mutated, go through a recipe that echoes them.
 * After each the tree must be sound and an honest recipe must work. What it finds shows as a
 * CHECK, a sanitizer's report, or a run that took longer than any budget allows. A failure
 * prints the seed and the script; --seed with --seconds 0 runs that one alone. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/base/check.h"
#include "core/base/rng.h"
#include "core/tree/tree.h"
#include "tests/lib/recipe_bench.h"

enum {
    SCRIPT_BYTES_MAX = 4000,
    ROUND_SCRIPTS = 200, /* on one bench */
    RUN_MS_MAX = 2000,   /* under sanitizers, on a busy machine; a stall takes for ever */
};

static const struct sandbox_budget BUDGETS[] = {
    { .memory_max = 1u << 20, .fuel_max = 100000 },
    { .memory_max = 200000, .fuel_max = 1000000 },
    { .memory_max = 60000, .fuel_max = 20000 },
    { .memory_max = 8u << 20, .fuel_max = 1000000 },
};

struct script {
    struct rng rng;
    char text[SCRIPT_BYTES_MAX];
    size_t len;
    int depth;
};

static void put(struct script *s, const char *text)
{
    size_t len = strlen(text);

    if (s->len + len + 1 > sizeof s->text) return;
    memcpy(s->text + s->len, text, len + 1);
    s->len += len;
}

#define PICK(s, list) (list)[rng_below(&(s)->rng, sizeof(list) / sizeof *(list))]

static const char *const ATOMS[] = { "nil", "true", "false", "null", "0", "1", "-1", "2", "7",
    "1000", "1e5", "1e8", "1e300", "1/0", "-1/0", "0/0", "2^53", "math.maxinteger",
    "math.mininteger", "''", "'a'", "'abc'", "'%'", "'\\0'", "'\\xff\\xfe'", "'/a'", "'/a/b'",
    "'/'", "'a.b'", "'%d%s%q'", "('x'):rep(1000)", "('x'):rep(100000)", "a", "b", "c", "t",
    "{}", "{1,2,3}", "{x=1}", "{[1]=1,[3]=3}", "array{}", "map{1}", "binary('x')", "args",
    "tx", "tx.id", "tx.zxid", "string", "_ENV", "f", "...", "#t", "tostring", "pairs" };
static const char *const PATTERNS[] = { "'.-'", "'.*'", "'(a*)*'", "'%b()'", "'%f[%w]'",
    "'[^%s]+'", "'(.)(.)%1'", "'a?a?a?aaa'", "'.-.-.-b'", "'^x*$'", "'[a-'", "'%'", "'()'",
    "('a?'):rep(20)..('a'):rep(20)", "('('):rep(40)", "('.-'):rep(10)..'b'" };
static const char *const FUNCTIONS[] = { "string.byte", "string.char", "string.find",
    "string.format", "string.gmatch", "string.gsub", "string.len", "string.lower",
    "string.match", "string.rep", "string.reverse", "string.sub", "string.upper",
    "table.concat", "table.insert", "table.move", "table.pack", "table.remove", "table.sort",
    "table.unpack", "utf8.char", "utf8.codepoint", "utf8.len", "utf8.offset", "math.abs",
    "math.floor", "math.fmod", "math.max", "math.min", "math.tointeger", "math.type",
    "math.ult", "assert", "error", "ipairs", "pairs", "pcall", "select", "tonumber",
    "tostring", "type", "array", "map", "binary", "f" };
static const char *const METHODS[] = { "now", "exists", "get", "stat", "children", "first",
    "last", "next", "previous", "find", "owned", "create", "set", "delete", "touch",
    "place", "enter", "leave",
    "delete_tree", "check", "fail", "call", "wait" };
static const char *const OPERATORS[] = { "+", "-", "*", "/", "//", "%", "^", "..", "==", "<",
    "<=", "~=", "and", "or", "&", "|", "~", "<<", ">>" };
static const char *const NAMES[] = { "a", "b", "c", "t" };

static void expression(struct script *s);

static void arguments(struct script *s)
{
    uint64_t count = rng_below(&s->rng, 4);

    put(s, "(");
    for (uint64_t i = 0; i < count; i++) {
        if (i > 0) put(s, ",");
        expression(s);
    }
    put(s, ")");
}

static void call(struct script *s)
{
    switch (rng_below(&s->rng, 5)) {
    case 0:
        put(s, "tx:");
        put(s, PICK(s, METHODS));
        arguments(s);
        break;
    case 1:
        put(s, "(");
        expression(s);
        put(s, "):");
        put(s, rng_below(&s->rng, 2) ? "gsub" : "find");
        put(s, "(");
        put(s, PICK(s, PATTERNS));
        put(s, ",");
        expression(s);
        put(s, ")");
        break;
    case 2:
        put(s, "pcall(");
        put(s, PICK(s, FUNCTIONS));
        put(s, ",");
        expression(s);
        put(s, ",");
        expression(s);
        put(s, ")");
        break;
    default:
        put(s, PICK(s, FUNCTIONS));
        arguments(s);
    }
}

static void expression(struct script *s)
{
    if (++s->depth > 5) {
        put(s, PICK(s, ATOMS));
        s->depth--;
        return;
    }
    switch (rng_below(&s->rng, 7)) {
    case 0: call(s); break;
    case 1:
        put(s, "(");
        expression(s);
        put(s, " ");
        put(s, PICK(s, OPERATORS));
        put(s, " ");
        expression(s);
        put(s, ")");
        break;
    case 2:
        put(s, "{");
        expression(s);
        put(s, ", x = ");
        expression(s);
        put(s, "}");
        break;
    case 3:
        put(s, "function(...) return ");
        expression(s);
        put(s, " end");
        break;
    default: put(s, PICK(s, ATOMS));
    }
    s->depth--;
}

static void statement(struct script *s);

static void block(struct script *s)
{
    uint64_t count = rng_below(&s->rng, 4);

    for (uint64_t i = 0; i < count; i++) statement(s);
}

static void guarded(struct script *s, const char *before, void (*middle)(struct script *),
                    const char *between, const char *after)
{
    put(s, before);
    middle(s);
    put(s, between);
    block(s);
    put(s, after);
}

static void statement(struct script *s)
{
    if (++s->depth > 5) {
        s->depth--;
        return;
    }
    switch (rng_below(&s->rng, 9)) {
    case 0: guarded(s, "for i = 1, (", expression, ") do ", " end "); break;
    case 1: guarded(s, "for k, v in pairs(", expression, ") do ", " end "); break;
    case 2: guarded(s, "while ", expression, " do ", " end "); break;
    case 3: guarded(s, "if ", expression, " then ", " end "); break;
    case 4: guarded(s, "pcall(function() local z = ", expression, " ", " end) "); break;
    case 5:
        put(s, "t[");
        expression(s);
        put(s, "] = ");
        expression(s);
        put(s, " ");
        break;
    default:
        put(s, PICK(s, NAMES));
        put(s, " = ");
        expression(s);
        put(s, " ");
    }
    s->depth--;
}

static void draw_script(struct script *s, uint64_t seed)
{
    *s = (struct script){ .depth = 0 };
    rng_init(&s->rng, seed);
    put(s, "local r = {} local a, b, c, t = 1, 'x', nil, {}\n"
           "local function f(x) return f and x end\n"
           "function r.f(tx, args, ...)\n");
    s->len = s->len < SCRIPT_BYTES_MAX - 200 ? s->len : SCRIPT_BYTES_MAX - 200;
    for (uint64_t i = 0, n = 1 + rng_below(&s->rng, 6); i < n; i++) statement(s);
    put(s, "\nreturn ");
    expression(s);
    put(s, "\nend\nfunction r.cancel(tx) ");
    put(s, "end\nreturn r\n");
}

/* --- values --- */

static size_t draw_value(struct rng *rng, uint8_t *out, size_t max, int depth)
{
    static const uint8_t tags[] = { 0xc0, 0xc1, 0xc2, 0xc4, 0xc5, 0xc6, 0xc7, 0xca, 0xcb,
        0xcc, 0xcf, 0xd0, 0xd3, 0xd4, 0xd9, 0xda, 0xdb, 0xdc, 0xdd, 0xde, 0xdf };
    size_t len = 0, parts = rng_below(rng, 4);

    if (max == 0) return 0;
    switch (rng_below(rng, 4)) {
    case 0: out[len++] = (uint8_t) (0x80 + parts); parts *= 2; break;
    case 1: out[len++] = (uint8_t) (0x90 + parts); break;
    case 2: out[len++] = tags[rng_below(rng, sizeof tags)]; break;
    default: out[len++] = (uint8_t) rng_next(rng); parts = 0;
    }
    for (size_t i = 0; i < parts && depth > 0 && len < max; i++) {
        len += draw_value(rng, out + len, max - len, depth - 1);
    }
    return len;
}

/* --- running --- */

static struct recipe_bench b;
static struct script script;
static uint64_t seed_now;

static uint64_t cpu_ms(void)
{
    struct timespec now;

    CHECK(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now) == 0);
    return (uint64_t) now.tv_sec * 1000 + (uint64_t) now.tv_nsec / 1000000;
}

static void tell(void)
{
    fprintf(stderr, "seed %llu\n%s\n", (unsigned long long) seed_now, script.text);
}

static void must(bool good, const char *what)
{
    if (good) return;
    fprintf(stderr, "%s\n", what);
    tell();
    abort();
}

static void fuzz_one(uint64_t seed)
{
    uint8_t value[600];
    struct rng rng;
    uint64_t began = cpu_ms();
    size_t handle;

    seed_now = seed;
    draw_script(&script, seed);
    bench_recipe_put(&b, "s", bytes_of(script.text, script.len));
    handle = bench_call(&b, 7, "s.f", "{ path = '/a', n = 3 }");
    if (bench_waits(&b, handle)) bench_cancel(&b, handle);
    must(cpu_ms() - began < RUN_MS_MAX, "a script took too long");

    rng_init(&rng, seed);
    size_t len = 0;
    while (len < sizeof value && (len == 0 || rng_below(&rng, 8) != 0)) {
        len += draw_value(&rng, value + len, sizeof value - len, 14);
        if (rng_below(&rng, 4) != 0) break;
    }
    (void) bench_call_packed(&b, 7, "honest.echo", bytes_of(value, len));
    must(strcmp(bench_text(&b, bench_call(&b, 7, "honest.f", "nil")), "\"OK\"") == 0,
         "an honest recipe does not work any more");
    tree_check(&b.state.view);
}

static void begin_round(uint64_t round)
{
    bench_init(&b, BUDGETS[round % (sizeof BUDGETS / sizeof *BUDGETS)]);
    bench_session_open(&b, 7);
    bench_recipe_put(&b, "honest",
                     bytes_str("return { f = function() return ('ok'):upper() end, "
                               "echo = function(tx, args) return args end }"));
}

static uint64_t number_after(int argc, char **argv, const char *name, uint64_t otherwise)
{
    for (int i = 1; i + 1 < argc; i++) {
        if (strcmp(argv[i], name) == 0) return strtoull(argv[i + 1], NULL, 10);
    }
    return otherwise;
}

int main(int argc, char **argv)
{
    const uint64_t seconds = number_after(argc, argv, "--seconds", 5);
    const uint64_t first = number_after(argc, argv, "--seed", 1);
    const time_t end = time(NULL) + (time_t) seconds;
    uint64_t seed = first;

    do {
        begin_round(seed / ROUND_SCRIPTS);
        do {
            fuzz_one(seed++);
        } while (seconds > 0 && seed % ROUND_SCRIPTS != 0);
        bench_fini(&b);
    } while (time(NULL) < end);
    if (argc > 1 && strcmp(argv[argc - 1], "--show") == 0) tell();
    printf("%llu scripts from seed %llu on: good\n", (unsigned long long) (seed - first),
           (unsigned long long) first);
    return 0;
}
