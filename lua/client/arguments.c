#include <lauxlib.h>
#include <stdlib.h>

#include "lua/client/module.h"

static _Noreturn void refuse(lua_State *L, int arg, const char *name, const char *must,
                             int index)
{
    luaL_argerror(L, arg, lua_pushfstring(L, "%s must be %s, not %s", name, must,
                                          luaL_typename(L, index)));
    abort(); /* it does not return */
}

static bool is_text(lua_State *L, int index)
{
    return lua_type(L, index) == LUA_TSTRING;
}

static const char *text_at(lua_State *L, int index)
{
    size_t len;
    const char *text = lua_tolstring(L, index, &len);

    return strlen(text) == len ? text : "";
}

const char *argument_text(lua_State *L, int arg, const char *name)
{
    if (!is_text(L, arg)) refuse(L, arg, name, "a string", arg);
    return text_at(L, arg);
}

struct bytes argument_data(lua_State *L, int arg, const char *name)
{
    size_t len = 0;

    if (codec_is_null(L, arg)) return (struct bytes){ 0 };
    if (!is_text(L, arg)) refuse(L, arg, name, "a string", arg);
    const char *data = lua_tolstring(L, arg, &len);
    return bytes_of(data, len);
}

static bool is_named(lua_State *L, int index, const char *const *names)
{
    if (!is_text(L, index)) return false;
    while (*names != NULL && strcmp(*names, lua_tostring(L, index)) != 0) names++;
    return *names != NULL;
}

void options_check(lua_State *L, int arg, const char *const *names)
{
    if (lua_isnoneornil(L, arg)) return;
    if (!lua_istable(L, arg)) refuse(L, arg, "options", "a table", arg);
    lua_pushnil(L);
    while (lua_next(L, arg) != 0) {
        lua_pop(L, 1);
        if (is_named(L, -1, names)) continue;
        luaL_tolstring(L, -1, NULL);
        luaL_argerror(L, arg, lua_pushfstring(L, "there is no option %s",
                                              lua_tostring(L, -1)));
    }
}

/* Pushes the option; false, and nothing pushed, when it is not given. */
static bool option_push(lua_State *L, int arg, const char *name)
{
    if (lua_isnoneornil(L, arg)) return false;
    if (lua_getfield(L, arg, name) != LUA_TNIL) return true;
    lua_pop(L, 1);
    return false;
}

bool option_flag(lua_State *L, int arg, const char *name)
{
    if (!option_push(L, arg, name)) return false;
    if (!lua_isboolean(L, -1)) refuse(L, arg, name, "a boolean", -1);
    const bool flag = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return flag;
}

lua_Integer option_integer(lua_State *L, int arg, const char *name, lua_Integer otherwise,
                           lua_Integer max)
{
    if (!option_push(L, arg, name)) return otherwise;
    if (!lua_isinteger(L, -1)) refuse(L, arg, name, "an integer", -1);
    const lua_Integer number = lua_tointeger(L, -1);
    if (number < 0 || number > max) {
        luaL_argerror(L, arg, lua_pushfstring(L, "%s must be 0 to %I", name, max));
    }
    lua_pop(L, 1);
    return number;
}

const char *option_text(lua_State *L, int arg, const char *name)
{
    if (!option_push(L, arg, name)) return NULL;
    if (!is_text(L, -1)) refuse(L, arg, name, "a string", -1);
    return text_at(L, -1);
}

const tl_guard *option_guard(lua_State *L, int arg, tl_guard *guard)
{
    if (!option_push(L, arg, "guard")) return NULL;
    if (!lua_istable(L, -1)) refuse(L, arg, "guard", "a lock or a table", -1);
    lua_getfield(L, -1, "token");
    if (!lua_isinteger(L, -1)) refuse(L, arg, "guard.token", "an integer", -1);
    guard->token = (uint64_t) lua_tointeger(L, -1);
    lua_pop(L, 1);
    lua_getfield(L, -1, "path");
    if (!is_text(L, -1)) refuse(L, arg, "guard.path", "a string", -1);
    guard->path = text_at(L, -1);
    return guard;
}
