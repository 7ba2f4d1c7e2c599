#include "lua/sandbox.h"

#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "core/base/check.h"
#include "lua/fault.h"
#include "lua/library.h"
#include "lua/value.h"

#define ENVIRONMENT "tidelock.environment" /* the metatable of every run's environment */

static char the_end; /* its address is the error value that no pcall keeps */

/* Full fuel while the state is set up: what we do there is bounded by us. */
static const uint64_t FUEL_UNBOUNDED = UINT64_MAX;

/* Lua collects everything when it is refused and asks again. Near the limit that could
 * happen at each small allocation, so it is priced like allocating all that is walked. */
static void pay_for_collection(struct sandbox *s)
{
    uint64_t price = s->memory / SANDBOX_FUEL_BYTES;

    s->fuel -= price < s->fuel ? price : s->fuel;
}

static bool may_grow(struct sandbox *s, size_t old, size_t size)
{
    uint64_t price = SANDBOX_FUEL_BLOCK + size / SANDBOX_FUEL_BYTES;

    if (size - old > s->memory_limit - s->memory) {
        s->refused = SANDBOX_MEMORY;
        pay_for_collection(s);
        return false;
    }
    if (price > s->fuel) {
        s->refused = SANDBOX_FUEL;
        s->fuel = 0;
        return false;
    }
    s->fuel -= price;
    return true;
}

static void *allocate(void *ctx, void *ptr, size_t size_old, size_t size)
{
    struct sandbox *s = ctx;
    size_t old = ptr == NULL ? 0 : size_old; /* without ptr it tells a type, not a size */
    void *moved;

    CHECK(old <= s->memory);
    if (size == 0) {
        free(ptr);
        s->memory -= old;
        return NULL;
    }
    if (size > old && !may_grow(s, old, size)) return NULL;
    moved = mem_grow(ptr, size);
    s->memory = s->memory - old + size;
    CHECK(s->memory <= s->memory_limit); /* B1 */
    return moved;
}

static int panic(lua_State *L)
{
    (void) L;
    check_failed(__FILE__, __LINE__, "every Lua error is raised inside sandbox_call()");
}

struct sandbox *sandbox_of(lua_State *L)
{
    struct sandbox *s;

    memcpy(&s, lua_getextraspace(L), sizeof(s));
    return s;
}

/* --- the budget --- */

static void hook(lua_State *L, lua_Debug *activation);

static void end_run(lua_State *L, enum sandbox_over why)
{
    sandbox_of(L)->over = why;
    lua_sethook(L, hook, LUA_MASKCOUNT, 1); /* B2 */
    lua_pushlightuserdata(L, &the_end);
    lua_error(L);
}

static uint64_t cpu_now_ns(void)
{
    struct timespec now;

    CHECK(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now) == 0);
    return (uint64_t) now.tv_sec * 1000000000u + (uint64_t) now.tv_nsec + 1;
}

static bool cpu_spent(struct sandbox *s)
{
    uint64_t now;

    if (s->budget.cpu_ms_max == 0) return false;
    now = cpu_now_ns();
    if (s->cpu_first_ns == 0) s->cpu_first_ns = now;
    return now - s->cpu_first_ns > s->budget.cpu_ms_max * 1000000u;
}

static void hook(lua_State *L, lua_Debug *activation)
{
    struct sandbox *s = sandbox_of(L);

    (void) activation;
    if (s->over == SANDBOX_WITHIN && cpu_spent(s)) end_run(L, SANDBOX_TIME);
    sandbox_charge(L, SANDBOX_HOOK_COUNT);
}

void sandbox_charge(lua_State *L, uint64_t fuel)
{
    struct sandbox *s = sandbox_of(L);

    if (s->over != SANDBOX_WITHIN) end_run(L, s->over);
    if (fuel > s->fuel) {
        s->fuel = 0;
        end_run(L, SANDBOX_FUEL);
    }
    s->fuel -= fuel;
}

void sandbox_after_pcall(lua_State *L, int status)
{
    struct sandbox *s = sandbox_of(L);

    if (s->over == SANDBOX_WITHIN && status == LUA_ERRMEM) s->over = s->refused;
    if (s->over != SANDBOX_WITHIN) end_run(L, s->over);
}

void sandbox_refill(struct sandbox *s)
{
    CHECK(s->over == SANDBOX_WITHIN); /* B2 */
    s->fuel = s->budget.fuel_max;
    s->memory_limit = s->budget.memory_max;
    s->cpu_first_ns = 0;
    lua_sethook(s->lua, hook, LUA_MASKCOUNT, SANDBOX_HOOK_COUNT);
}

void sandbox_limit(struct sandbox *s, uint64_t fuel_max)
{
    if (fuel_max != 0 && fuel_max < s->fuel) s->fuel = fuel_max;
}

void sandbox_share(struct sandbox *inner, const struct sandbox *outer)
{
    sandbox_refill(inner);
    inner->fuel = outer->fuel;
    inner->memory_limit = inner->memory + (outer->memory_limit - outer->memory);
    inner->cpu_first_ns = outer->cpu_first_ns;
}

void sandbox_settle(const struct sandbox *inner, lua_State *outer)
{
    struct sandbox *s = sandbox_of(outer);

    s->fuel = inner->fuel < s->fuel ? inner->fuel : s->fuel;
    s->cpu_first_ns = inner->cpu_first_ns;
    if (inner->over != SANDBOX_WITHIN) end_run(outer, inner->over);
}

void sandbox_describe_over(const struct sandbox *s, struct buf *out)
{
    char text[120];
    int len = 0;

    switch (s->over) {
    case SANDBOX_FUEL:
        len = snprintf(text, sizeof(text), "fuel: more than %llu instructions",
                       (unsigned long long) s->budget.fuel_max);
        break;
    case SANDBOX_MEMORY:
        len = snprintf(text, sizeof(text), "memory: more than %zu bytes",
                       s->budget.memory_max);
        break;
    case SANDBOX_TIME:
        len = snprintf(text, sizeof(text), "time: more than %llu ms of the processor",
                       (unsigned long long) s->budget.cpu_ms_max);
        break;
    case SANDBOX_WITHIN:
        CHECK(s->over != SANDBOX_WITHIN);
    }
    buf_put(out, text, (size_t) len);
}

/* --- calls --- */

int sandbox_call(struct sandbox *s, lua_CFunction function, void *ctx)
{
    int status, given = lua_gettop(s->lua);

    CHECK(given <= 1);
    lua_pushcfunction(s->lua, function); /* neither push allocates, so neither can raise */
    lua_pushlightuserdata(s->lua, ctx);
    lua_rotate(s->lua, 1, 2);
    status = lua_pcall(s->lua, given + 1, 0, 0);
    if (status == LUA_ERRMEM && s->over == SANDBOX_WITHIN) s->over = s->refused;
    return status;
}

void sandbox_push_compiled(lua_State *L, const char *name, struct bytes source)
{
    const char *title = lua_pushfstring(L, "=%s", name);
    int status = luaL_loadbufferx(L, (const char *) source.ptr, source.len, title, "t");

    sandbox_after_pcall(L, status);
    if (status != LUA_OK) lua_error(L);
    lua_remove(L, -2);
}

void sandbox_push_environment(lua_State *L)
{
    lua_newtable(L);
    luaL_setmetatable(L, ENVIRONMENT);
}

static int set_up(lua_State *L)
{
    fault_setup(L);
    value_setup(L);
    luaL_newmetatable(L, ENVIRONMENT);
    library_push(L);
    lua_setfield(L, -2, "__index");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    return 0;
}

int sandbox_open(struct sandbox *s, struct sandbox_budget budget)
{
    *s = (struct sandbox){ .budget = budget,
                           .memory_limit = budget.memory_max,
                           .fuel = FUEL_UNBOUNDED };
    s->lua = lua_newstate(allocate, s);
    if (s->lua == NULL) return ERR_OVER_BUDGET;
    memcpy(lua_getextraspace(s->lua), &s, sizeof(s));
    lua_atpanic(s->lua, panic);
    if (sandbox_call(s, set_up, NULL) == LUA_OK) return 0;
    sandbox_close(s);
    return ERR_OVER_BUDGET;
}

void sandbox_close(struct sandbox *s)
{
    if (s->lua == NULL) return;
    s->fuel = FUEL_UNBOUNDED;
    lua_close(s->lua);
    CHECK(s->memory == 0); /* B1 */
    s->lua = NULL;
}
