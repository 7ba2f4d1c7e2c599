/* t_pattern.c -- patterns match as Lua's own do.
 *
 * Method: random patterns and texts of a few letters, so that everything meets everything;
 * find, match, gmatch and gsub are asked here and in a stock Lua state, and must agree, in
 * their errors too. Replay with SEED=<n>. */
#include <lauxlib.h>
#include <lualib.h>
#include <stdlib.h>

#include "core/base/check.h"
#include "core/base/limits.h"
#include "core/base/rng.h"
#include "lua/sandbox.h"
#include "tests/lib/tap.h"

static const char PROGRAM[] =
    "local s, p, r = ...\n"
    "local out = {}\n"
    "local function add(name, ok, ...)\n"
    "  out[#out + 1] = name\n"
    "  for _, v in ipairs(table.pack(...)) do\n"
    "    out[#out + 1] = (tostring(v):gsub('^[^ ]*:%d+: ', ''))\n"
    "  end\n"
    "end\n"
    "add('find', pcall(string.find, s, p))\n"
    "add('find2', pcall(string.find, s, p, 2))\n"
    "add('match', pcall(string.match, s, p))\n"
    "add('gsub', pcall(string.gsub, s, p, r))\n"
    "add('gsub1', pcall(string.gsub, s, p, r, 1))\n"
    "add('gsubt', pcall(string.gsub, s, p, { a = 'A', ab = false, b = 7 }))\n"
    "add('gsubf', pcall(string.gsub, s, p, function(x, y) return y and '<' .. x .. y end))\n"
    "add('gmatch', pcall(function()\n"
    "  local n, all = 0, ''\n"
    "  for x, y in s:gmatch(p) do n = n + 1 all = all .. '|' .. tostring(x) .. tostring(y) end\n"
    "  return n, all\n"
    "end))\n"
    "return table.concat(out, '\\n')\n";

struct question {
    char text[40], pattern[40], replacement[20];
    char answer[4000];
};

static void ask(lua_State *L, struct question *q)
{
    lua_pushstring(L, q->text);
    lua_pushstring(L, q->pattern);
    lua_pushstring(L, q->replacement);
    lua_call(L, 3, 1);
    snprintf(q->answer, sizeof q->answer, "%s", lua_tostring(L, -1));
    lua_pop(L, 1);
}

static int ask_ours(lua_State *L)
{
    sandbox_push_compiled(L, "t", bytes_str(PROGRAM));
    sandbox_push_environment(L);
    lua_setupvalue(L, -2, 1);
    ask(L, lua_touserdata(L, 1));
    return 0;
}

static void draw(struct rng *rng, const char *const parts[], size_t count, char *out,
                 size_t size)
{
    size_t n = rng_below(rng, 7), len = 0;

    out[0] = '\0';
    for (size_t i = 0; i < n; i++) {
        const char *part = parts[rng_below(rng, count)];

        if (len + strlen(part) + 1 > size) return;
        memcpy(out + len, part, strlen(part) + 1);
        len += strlen(part);
    }
}

static void draw_question(struct rng *rng, struct question *q)
{
    static const char *const texts[] = { "a", "b", "aa", "ab", "(", ")", "1", " ", ".", "-",
                                         "]", "A", "%" };
    static const char *const parts[] = { "a", "b", ".", "%a", "%D", "[ab]", "[^a]", "[a-c]",
        "[%w_]", "*", "+", "-", "?", "(", ")", "()", "%1", "%2", "^", "$", "%b()", "%f[ab]",
        "%", "[", "]", "[]a]", "%.", "[%]", "%b", "%f", "[a-", "[^", "%s", "%u", "%x" };
    static const char *const replacements[] = { "x", "%0", "%1", "%2", "%%", "%", "%y" };

    draw(rng, texts, sizeof texts / sizeof *texts, q->text, sizeof q->text);
    draw(rng, parts, sizeof parts / sizeof *parts, q->pattern, sizeof q->pattern);
    draw(rng, replacements, sizeof replacements / sizeof *replacements, q->replacement,
         sizeof q->replacement);
}

static bool agree(const struct question *ours, const struct question *theirs)
{
    if (strcmp(ours->answer, theirs->answer) == 0) return true;
    printf("# text '%s' pattern '%s' replacement '%s'\n# ours:\n%s\n# Lua's:\n%s\n", ours->text,
           ours->pattern, ours->replacement, ours->answer, theirs->answer);
    return false;
}

static void patterns_mean_what_they_mean_in_lua(void)
{
    const char *seed = getenv("SEED");
    struct rng rng;
    lua_State *stock = luaL_newstate();
    struct sandbox s;
    int differ = 0;

    rng_init(&rng, seed == NULL ? 20261124 : strtoull(seed, NULL, 10));
    luaL_openlibs(stock);
    OK(sandbox_open(&s, (struct sandbox_budget){ .memory_max = SCRIPT_MEMORY_MAX,
                                                 .fuel_max = SCRIPT_FUEL_MAX }) == 0);
    for (int i = 0; i < 20000 && differ < 3; i++) {
        struct question ours = { 0 }, theirs;

        draw_question(&rng, &ours);
        theirs = ours;
        CHECK(luaL_loadbuffer(stock, PROGRAM, sizeof PROGRAM - 1, "=t") == LUA_OK);
        ask(stock, &theirs);
        sandbox_refill(&s);
        CHECK(sandbox_call(&s, ask_ours, &ours) == LUA_OK);
        differ += !agree(&ours, &theirs);
    }
    IS(differ, 0);
    sandbox_close(&s);
    lua_close(stock);
}

int main(void)
{
    TEST(patterns_mean_what_they_mean_in_lua);
    return tap_done();
}
