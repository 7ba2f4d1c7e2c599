/* Before a source is stored: it must compile, run within the budget and return a table with
 * a function in it; and what its field `on` binds must be there. */
#include <lauxlib.h>
#include <string.h>

#include "core/base/check.h"
#include "core/base/errors.h"
#include "core/base/limits.h"
#include "core/tree/path.h"
#include "lua/fault.h"
#include "lua/host_inside.h"

/* --- what it is bound to --- */

enum { MODULE = 2, LIST }; /* places on the stack */

/* A path whose parts may each be a star; at the end there may be two. */
static void check_pattern(lua_State *L, struct bytes pattern)
{
    const char *text = (const char *)pattern.ptr; /* Lua's: ended by a zero */

    if (path_check(pattern) != 0 || path_is_root(pattern) || path_is_reserved(pattern)) {
        fault_raise(L, ERR_SCRIPT_FAILED, "on: %s is no path that can be bound", text);
    }
    for (size_t i = 0; i < pattern.len; i++) {
        bool starts = i > 0 && text[i - 1] == '/';

        if (text[i] != '*') continue;
        if (starts && (text[i + 1] == '/' || text[i + 1] == '\0')) continue;
        if (starts && strcmp(text + i, "**") == 0) return;
        fault_raise(L, ERR_SCRIPT_FAILED,
                    "on: %s: a part is a name or *, the last one may be **", text);
    }
}

static struct bytes string_on_top(lua_State *L)
{
    size_t len;
    const char *text = lua_tolstring(L, -1, &len);

    return bytes_of(text, len);
}

/* The function that member `name` of the entry on top names; null bytes: there is none. The
 * entry holds the text. */
static struct bytes function_named(lua_State *L, const char *name)
{
    struct bytes function = { 0 };

    if (lua_getfield(L, -1, name) != LUA_TNIL) {
        if (lua_type(L, -1) != LUA_TSTRING) {
            fault_raise(L, ERR_SCRIPT_FAILED, "on: %s must name a function", name);
        }
        function = string_on_top(L);
        lua_pushvalue(L, -1);
        if (lua_rawget(L, MODULE) != LUA_TFUNCTION || !host_name_is_legal(function)) {
            fault_raise(L, ERR_SCRIPT_FAILED, "on: there is no function %s", function.ptr);
        }
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    return function;
}

/* One entry, on top: {path = pattern, validate = name} or {path = pattern, react = name}.
 */
static void put_binding(lua_State *L, struct buf *out)
{
    struct script_binding b;
    struct bytes react;

    if (!lua_istable(L, -1)) fault_raise(L, ERR_SCRIPT_FAILED, "on: a list of tables");
    b.function = function_named(L, "validate");
    react = function_named(L, "react");
    b.validates = b.function.ptr != NULL;
    if (b.validates == (react.ptr != NULL)) {
        fault_raise(L, ERR_SCRIPT_FAILED, "on: either validate or react names a function");
    }
    if (!b.validates) b.function = react;
    if (lua_getfield(L, -1, "path") != LUA_TSTRING) {
        fault_raise(L, ERR_SCRIPT_FAILED, "on: path is missing");
    }
    b.pattern = string_on_top(L);
    check_pattern(L, b.pattern);
    script_binding_put(out, &b);
    lua_pop(L, 1);
}

static void put_bindings(lua_State *L, struct buf *out)
{
    lua_Integer count;

    lua_pushliteral(L, "on");
    if (lua_rawget(L, MODULE) == LUA_TNIL) return;
    if (!lua_istable(L, LIST)) fault_raise(L, ERR_SCRIPT_FAILED, "on: a list of tables");
    count = (lua_Integer)lua_rawlen(L, LIST);
    if (count > HOST_BINDINGS_MAX) {
        fault_raise(L, ERR_SCRIPT_FAILED, "on: more than %d entries", HOST_BINDINGS_MAX);
    }
    for (lua_Integer i = 1; i <= count; i++) {
        lua_rawgeti(L, LIST, i);
        put_binding(L, out);
        lua_pop(L, 1);
    }
}

/* --- the check --- */

static int check_protected(lua_State *L)
{
    struct script_result *out = lua_touserdata(L, 1);
    bool any = false;

    recipe_state_push_module(L);
    for (lua_pushnil(L); lua_next(L, MODULE) != 0; lua_pop(L, 1)) {
        any = any || lua_type(L, -1) == LUA_TFUNCTION;
    }
    if (!any) {
        fault_raise(L, ERR_SCRIPT_FAILED,
                    "a recipe must return a table of functions; this one has no function");
    }
    put_bindings(L, &out->value);
    return 0;
}

/* In a state of its own, so that a recipe in use stays as it is. The compiler pays no fuel;
 * here each byte costs one, so that a turn does not compile without end. */
void host_check(struct scripts *scripts, struct bytes name, struct bytes source,
                struct script_result *out)
{
    struct lua_host *h = CONTAINER_OF(scripts, struct lua_host, scripts);
    struct recipe_state s = { 0 };

    if (!host_name_is_legal(name)) {
        end_with(out, ERR_BAD_PATH,
                 BYTES_LIT("a recipe's name is a letter or _, then letters, digits, _ and "
                           "-, 64 at most"));
        return;
    }
    if (!recipe_state_open(h, &s, name, source, out)) return;
    sandbox_refill(&s.sandbox);
    out->outcome = SCRIPT_DONE;
    if (sandbox_call(&s.sandbox, check_protected, out) != LUA_OK) {
        end_with_error_value(&s, out);
    }
    out->fuel = fuel_spent(&s.sandbox, h->budget.fuel_max) + source.len;
    recipe_state_close(&s);
}
