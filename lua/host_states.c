#include <lauxlib.h>

#include "core/base/check.h"
#include "core/base/errors.h"
#include "lua/fault.h"
#include "lua/host_inside.h"

#define CHUNK "tidelock.chunk" /* the registry's name for the compiled recipe */

void recipe_state_close(struct recipe_state *s)
{
    CHECK(!s->running);
    sandbox_close(&s->sandbox);
    buf_fini(&s->source);
    s->used = 0;
}

void recipe_state_settle(struct recipe_state *s)
{
    const struct sandbox *b = &s->sandbox;

    if (b->over != SANDBOX_WITHIN || b->memory > b->budget.memory_max / 4) {
        recipe_state_close(s);
    }
}

static bool recipe_state_holds(const struct recipe_state *s, struct bytes name,
                               struct bytes source)
{
    return s->sandbox.lua != NULL && bytes_equal(bytes_str(s->name), name) &&
           bytes_equal(buf_bytes(&s->source), source); /* H3 */
}

bool recipe_state_is_ready(const struct lua_host *h, struct bytes name, struct bytes source)
{
    for (int i = 0; i < HOST_STATES_MAX; i++) {
        if (recipe_state_holds(&h->states[i], name, source)) return true;
    }
    return false;
}

/* The one that holds it, else a free one, else the one longest unused. Two versions of a
 * recipe may be in use at a time. */
static struct recipe_state *recipe_state_choose(struct lua_host *h, struct bytes name,
                                                struct bytes source)
{
    struct recipe_state *oldest = NULL;

    for (int i = 0; i < HOST_STATES_MAX; i++) {
        struct recipe_state *s = &h->states[i];

        if (s->running) continue;
        if (recipe_state_holds(s, name, source)) return s;
        if (oldest == NULL || s->used < oldest->used) oldest = s;
    }
    CHECK(oldest != NULL);
    return oldest;
}

static int compile(lua_State *L)
{
    struct recipe_state *s = lua_touserdata(L, 1);

    tx_object_setup(L);
    sandbox_push_compiled(L, s->name, buf_bytes(&s->source));
    lua_setfield(L, LUA_REGISTRYINDEX, CHUNK);
    return 0;
}

/* False: `out` says why. */
bool recipe_state_open(struct lua_host *h, struct recipe_state *s, struct bytes name,
                       struct bytes source, struct script_result *out)
{
    recipe_state_close(s);
    memcpy(s->name, name.ptr, name.len);
    s->name[name.len] = '\0';
    buf_put_bytes_raw(&s->source, source);
    if (sandbox_open(&s->sandbox, h->budget) != 0) {
        end_with(out, ERR_OVER_BUDGET, BYTES_LIT("the budget is too small for any recipe"));
        return false;
    }
    sandbox_refill(&s->sandbox);
    if (sandbox_call(&s->sandbox, compile, s) == LUA_OK) return true;
    out->fuel = h->budget.fuel_max; /* the compiler pays none, and may have done much */
    end_with_error_value(s, out);
    recipe_state_close(s);
    return false;
}

struct recipe_state *recipe_state_for(struct lua_host *h, struct bytes name,
                                      struct bytes source, struct script_result *out)
{
    struct recipe_state *s = recipe_state_choose(h, name, source);

    if (!recipe_state_holds(s, name, source) && !recipe_state_open(h, s, name, source, out))
        return NULL;
    s->used = ++h->uses;
    return s;
}

void recipe_state_push_module(lua_State *L)
{
    lua_getfield(L, LUA_REGISTRYINDEX, CHUNK);
    sandbox_push_environment(L);
    lua_setupvalue(L, -2, 1);
    lua_call(L, 0, 1);
    if (lua_type(L, -1) == LUA_TTABLE) return;
    fault_raise(L, ERR_SCRIPT_FAILED, "a recipe must return a table of functions, not %s",
                lua_typename(L, lua_type(L, -1)));
}
