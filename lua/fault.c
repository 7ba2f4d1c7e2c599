#include "lua/fault.h"

#include <lauxlib.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>

#include "core/base/check.h"

#define FAULT_TYPE "tidelock.fault"

void fault_setup(lua_State *L)
{
    luaL_newmetatable(L, FAULT_TYPE);
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 1);
}

/* The message is on top of the stack; the fault takes its place. */
static void wrap(lua_State *L, int code)
{
    lua_createtable(L, 0, 4);
    lua_insert(L, -2);
    lua_setfield(L, -2, "message");
    lua_pushinteger(L, code);
    lua_setfield(L, -2, "code");
    lua_pushstring(L, error_name(code));
    lua_setfield(L, -2, "name");
    luaL_setmetatable(L, FAULT_TYPE);
}

static _Noreturn void raise_top(lua_State *L)
{
    lua_error(L);
    check_failed(__FILE__, __LINE__, "lua_error() does not return");
}

void fault_raise(lua_State *L, int code, const char *format, ...)
{
    va_list values;

    luaL_checkstack(L, 8, NULL);
    luaL_where(L, 1);
    va_start(values, format);
    lua_pushvfstring(L, format, values);
    va_end(values);
    lua_concat(L, 2);
    wrap(L, code);
    raise_top(L);
}

void fault_refuse(lua_State *L, int message, int details)
{
    lua_pushvalue(L, message);
    wrap(L, ERR_REFUSED);
    lua_pushvalue(L, details);
    lua_setfield(L, -2, "details");
    raise_top(L);
}

void fault_raise_again(lua_State *L, int code, struct bytes message)
{
    lua_pushlstring(L, (const char *) message.ptr, message.len);
    wrap(L, code);
    lua_insert(L, -2);
    lua_setfield(L, -2, "details");
    raise_top(L);
}

static bool is_fault(lua_State *L, int index)
{
    bool same;

    if (lua_type(L, index) != LUA_TTABLE || !lua_getmetatable(L, index)) return false;
    luaL_getmetatable(L, FAULT_TYPE);
    same = lua_rawequal(L, -1, -2);
    lua_pop(L, 2);
    return same;
}

/* A recipe may have written into a fault that it caught, so nothing in it is trusted. */
static int code_in(lua_State *L, int index)
{
    lua_Integer code = 0;

    lua_getfield(L, index, "code");
    if (lua_isinteger(L, -1)) code = lua_tointeger(L, -1);
    lua_pop(L, 1);
    if (code >= 0 || code < -1000) return ERR_SCRIPT_FAILED;
    if (strcmp(error_name((int) code), "unknown") == 0) return ERR_SCRIPT_FAILED;
    return (int) code;
}

int fault_code(lua_State *L, int index)
{
    return is_fault(L, index) ? code_in(L, lua_absindex(L, index)) : ERR_SCRIPT_FAILED;
}

/* A recipe may have put anything in the place of the message. */
static bool push_own_message(lua_State *L, int index)
{
    if (!is_fault(L, index)) return false;
    if (lua_getfield(L, index, "message") == LUA_TSTRING) return true;
    lua_pop(L, 1);
    return false;
}

void fault_push_details(lua_State *L, int index)
{
    if (is_fault(L, index)) {
        lua_getfield(L, index, "details");
    } else {
        lua_pushnil(L);
    }
}

void fault_push_text(lua_State *L, int index)
{
    int at = lua_absindex(L, index), type = lua_type(L, at);

    luaL_checkstack(L, 4, NULL);
    if (type == LUA_TNIL || type == LUA_TBOOLEAN || type == LUA_TNUMBER ||
        type == LUA_TSTRING) {
        luaL_tolstring(L, at, NULL); /* none of these has a __tostring or an address */
    } else if (!push_own_message(L, at)) {
        lua_pushstring(L, lua_typename(L, type));
    }
}
