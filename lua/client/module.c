/* The module's entry, and what all its functions share. The Lua half comes compiled in, by
 * the means that compile in the recipes. */
#include "lua/client/module.h"

#include <lauxlib.h>
#include <stdlib.h>

#include "lua/shipped.h"

#define SCRATCH "tidelock.scratch"
#define FAILURE "tidelock.error"

/* --- one call's memory --- */

void scratch_drop(struct scratch *s)
{
    buf_fini(&s->packed);
    tl_free(s->got);
    s->got = NULL;
    if (s->zone != NULL) msgpack_zone_free(s->zone);
    s->zone = NULL;
}

static int scratch_collect(lua_State *L)
{
    scratch_drop(luaL_checkudata(L, 1, SCRATCH));
    return 0;
}

struct scratch *scratch_push(lua_State *L)
{
    struct scratch *s = lua_newuserdatauv(L, sizeof *s, 0);

    *s = (struct scratch){ 0 };
    luaL_setmetatable(L, SCRATCH);
    return s;
}

/* --- failures --- */

static int push_failure(lua_State *L, int code, const char *message)
{
    lua_pushnil(L);
    lua_createtable(L, 0, 2);
    lua_pushstring(L, tl_error_name(code));
    lua_setfield(L, -2, "code");
    lua_pushstring(L, message);
    lua_setfield(L, -2, "message");
    luaL_setmetatable(L, FAILURE);
    return 2;
}

int fail(lua_State *L, int code)
{
    return push_failure(L, code, code == TL_CLOSED ? tl_error_text(code) : tl_message());
}

int fail_plainly(lua_State *L, int code)
{
    return push_failure(L, code, tl_error_text(code));
}

/* failure(code, message), for the Lua half. */
static int failure_new(lua_State *L)
{
    lua_createtable(L, 0, 2);
    lua_pushvalue(L, 1);
    lua_setfield(L, -2, "code");
    lua_pushvalue(L, 2);
    lua_setfield(L, -2, "message");
    luaL_setmetatable(L, FAILURE);
    return 1;
}

static int failure_text(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_getfield(L, 1, "code");
    const char *code = luaL_tolstring(L, -1, NULL);

    lua_getfield(L, 1, "message");
    lua_pushfstring(L, "%s: %s", code, luaL_tolstring(L, -1, NULL));
    return 1;
}

/* --- the entry --- */

static void meta_setup(lua_State *L, const char *name, const char *event, lua_CFunction fn)
{
    luaL_newmetatable(L, name);
    lua_pushcfunction(L, fn);
    lua_setfield(L, -2, event);
    lua_pop(L, 1);
}

__attribute__((visibility("default"))) int luaopen_tidelock(lua_State *L);

int luaopen_tidelock(lua_State *L)
{
    const struct recipe_shipped *half = &CLIENT_SHIPPED[0];

    luaL_checkversion(L);
    meta_setup(L, SCRATCH, "__gc", scratch_collect);
    meta_setup(L, FAILURE, "__tostring", failure_text);
    watch_setup(L);
    lua_newtable(L);
    const int module = lua_gettop(L);

    codec_setup(L, module);
    client_setup(L, module);
    if (luaL_loadbufferx(L, (const char *) half->source, half->len, "=tidelock.lua", "t") !=
        LUA_OK) {
        lua_error(L);
    }
    lua_pushvalue(L, module);
    lua_pushcfunction(L, failure_new);
    lua_call(L, 2, 1);
    return 1;
}
