#include "lua/trial/tests.h"

#include <inttypes.h>
#include <lauxlib.h>
#include <stdio.h>

#include "core/base/check.h"
#include "core/base/errors.h"
#include "core/base/limits.h"
#include "lua/fault.h"
#include "lua/sandbox.h"
#include "lua/shipped.h"
#include "lua/trial/bindings.h"

#define TESTS "tidelock.tests" /* the registry's name for what trial.lua returns */

enum {
    MEMORY_MAX = 256 << 20,
    FUEL_MAX = 500000000, /* of one test: a few seconds; what recipes spend is not counted */
    SESSION_NONE = 0,
};

/* One file of tests on its way through the protected functions. */
struct running {
    const struct trial_tests *tests;
    struct trial_report *report;
    struct sandbox sandbox;
    struct trial_bindings bindings;
    struct trial trial;
    lua_Integer at; /* the test at hand */
    struct buf name;
    bool wanted;
};

/* --- report --- */

static void put(struct buf *out, struct bytes text)
{
    buf_put_bytes_raw(out, text);
}

static void put_number(struct buf *out, uint64_t number)
{
    char text[24];
    const int len = snprintf(text, sizeof text, "%" PRIu64, number);

    buf_put(out, text, (size_t) len);
}

/* A message of several lines stays a comment. */
static void put_comment(struct buf *out, struct bytes text)
{
    put(out, BYTES_LIT("# "));
    for (size_t i = 0; i < text.len; i++) {
        buf_put(out, &text.ptr[i], 1);
        if (text.ptr[i] == '\n') put(out, BYTES_LIT("# "));
    }
    put(out, BYTES_LIT("\n"));
}

static void put_outcome(struct trial_report *report, bool good, struct bytes name,
                        struct bytes why)
{
    report->run++;
    report->failed += good ? 0 : 1;
    if (!good) put_comment(&report->text, why);
    put(&report->text, good ? BYTES_LIT("ok ") : BYTES_LIT("not ok "));
    put_number(&report->text, report->run);
    put(&report->text, BYTES_LIT(" - "));
    put(&report->text, name);
    put(&report->text, BYTES_LIT("\n"));
}

/* --- inside the sandbox --- */

/* Leaves what trial.lua returns, made with the functions of bindings.c, in the registry. */
static void load_world(lua_State *L, struct running *r)
{
    const struct recipe_shipped *world = &TRIAL_SHIPPED[0];

    sandbox_push_compiled(L, world->name, bytes_of(world->source, world->len));
    sandbox_push_environment(L);
    lua_setupvalue(L, -2, 1);
    trial_bindings_push(L, &r->bindings);
    lua_call(L, 1, 1);
    lua_setfield(L, LUA_REGISTRYINDEX, TESTS);
}

static void push_of_world(lua_State *L, const char *name)
{
    lua_getfield(L, LUA_REGISTRYINDEX, TESTS);
    lua_getfield(L, -1, name);
    lua_remove(L, -2);
}

static int load(lua_State *L)
{
    struct running *r = lua_touserdata(L, 1);
    char name[80];

    load_world(L, r);
    snprintf(name, sizeof name, "%.*s", (int) r->tests->tests_name.len,
             (const char *) r->tests->tests_name.ptr);
    sandbox_push_compiled(L, name, r->tests->tests);
    sandbox_push_environment(L);
    push_of_world(L, "test");
    lua_setfield(L, -2, "test");
    lua_setupvalue(L, -2, 1);
    lua_call(L, 0, 0);
    return 0;
}

/* The name of the test at hand; empty: there is none. */
static int find(lua_State *L)
{
    struct running *r = lua_touserdata(L, 1);
    size_t len = 0;
    const char *name;

    push_of_world(L, "name");
    lua_pushinteger(L, r->at);
    lua_call(L, 1, 1);
    buf_clear(&r->name);
    name = lua_tolstring(L, -1, &len);
    if (name != NULL) buf_put(&r->name, name, len);
    return 0;
}

static int run(lua_State *L)
{
    const struct running *r = lua_touserdata(L, 1);

    push_of_world(L, "run");
    lua_pushinteger(L, r->at);
    lua_pushinteger(L, (lua_Integer) r->tests->seed);
    lua_call(L, 2, 0);
    return 0;
}

static int describe(lua_State *L)
{
    struct running *r = lua_touserdata(L, 1);
    size_t len;
    const char *text;

    fault_push_text(L, 2);
    text = lua_tolstring(L, -1, &len);
    buf_clear(&r->bindings.message);
    buf_put(&r->bindings.message, text, len);
    return 0;
}

/* Calls `function`; false: the message says why it failed. */
static bool protect(struct running *r, lua_CFunction function)
{
    struct buf *message = &r->bindings.message;

    buf_clear(message);
    if (r->sandbox.over == SANDBOX_WITHIN) {
        sandbox_refill(&r->sandbox);
        if (sandbox_call(&r->sandbox, function, r) == LUA_OK) return true;
        if (r->sandbox.over == SANDBOX_WITHIN) {
            sandbox_refill(&r->sandbox);
            if (sandbox_call(&r->sandbox, describe, r) == LUA_OK) return false;
        }
        lua_settop(r->sandbox.lua, 0);
    }
    buf_clear(message);
    put(message, BYTES_LIT("the tests are over their budget of "));
    if (r->sandbox.over != SANDBOX_WITHIN) sandbox_describe_over(&r->sandbox, message);
    return false;
}

/* --- one test --- */

/* As any client stores it; false: the message says why it does not load. */
static bool put_recipe(struct running *r)
{
    struct trial_bindings *b = &r->bindings;
    struct request q = { .kind = REQUEST_WRITE, .single = true, .wants_count = 1 };
    struct result result;
    struct want w = { .kind = WANT_CREATE, .data = r->tests->recipe, .flags = TX_PARENTS };

    buf_clear(&b->name);
    put(&b->name, BYTES_LIT(SCRIPT_DIRECTORY "/"));
    put(&b->name, r->tests->recipe_name);
    w.path = buf_bytes(&b->name);
    buf_clear(&b->wants);
    want_encode(&b->wants, &w);
    q.wants = buf_bytes(&b->wants);
    CHECK(trial_answer(&r->trial, trial_send(&r->trial, SESSION_NONE, &q), &result));
    buf_clear(&b->message);
    put(&b->message, result.message);
    return result.code == 0;
}

static void run_one(struct running *r)
{
    bool good;

    trial_init(&r->trial);
    good = put_recipe(r) && protect(r, run);
    trial_fini(&r->trial);
    put_outcome(r->report, good, buf_bytes(&r->name), buf_bytes(&r->bindings.message));
}

static void run_all(struct running *r)
{
    const struct bytes only = r->tests->only;

    for (r->at = 1; r->sandbox.over == SANDBOX_WITHIN; r->at++) {
        if (!protect(r, find) || r->name.len == 0) return;
        if (only.ptr == NULL || bytes_equal(only, buf_bytes(&r->name))) run_one(r);
    }
}

static void running_fini(struct running *r)
{
    sandbox_close(&r->sandbox);
    buf_fini(&r->bindings.args);
    buf_fini(&r->bindings.wants);
    buf_fini(&r->bindings.name);
    buf_fini(&r->bindings.next);
    buf_fini(&r->bindings.message);
    buf_fini(&r->name);
}

int trial_tests_run(const struct trial_tests *tests, struct trial_report *report)
{
    const struct sandbox_budget budget = { .memory_max = MEMORY_MAX,
                                           .fuel_max = FUEL_MAX };
    struct running r = { .tests = tests, .report = report };
    int code = 0;

    r.bindings.trial = &r.trial;
    CHECK(sandbox_open(&r.sandbox, budget) == 0);
    if (!protect(&r, load)) {
        put_outcome(report, false, tests->tests_name, buf_bytes(&r.bindings.message));
        code = ERR_SCRIPT_FAILED;
    } else {
        run_all(&r);
    }
    put(&report->text, BYTES_LIT("1.."));
    put_number(&report->text, report->run);
    put(&report->text, BYTES_LIT("\n"));
    running_fini(&r);
    return code;
}
