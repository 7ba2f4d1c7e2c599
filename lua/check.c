/* tx:check() of tx.h. */
#include <lauxlib.h>
#include <stdbool.h>
#include <string.h>

#include "core/tree/path.h"
#include "lua/fault.h"
#include "lua/keys.h"
#include "lua/sandbox.h"
#include "lua/tx.h"

enum { CHECK_FUEL = 10 }; /* an argument */

struct kind {
    const char *name;
    const char *article; /* "x must be ..." */
    bool (*fits)(lua_State *L, int index);
};

static bool is_string(lua_State *L, int index)
{
    return lua_type(L, index) == LUA_TSTRING;
}

static bool is_integer(lua_State *L, int index)
{
    return lua_isinteger(L, index);
}

static bool is_natural(lua_State *L, int index)
{
    return lua_isinteger(L, index) && lua_tointeger(L, index) >= 0;
}

static bool is_number(lua_State *L, int index)
{
    return lua_type(L, index) == LUA_TNUMBER;
}

static bool is_boolean(lua_State *L, int index)
{
    return lua_isboolean(L, index);
}

static bool is_table(lua_State *L, int index)
{
    return lua_istable(L, index);
}

static bool is_anything(lua_State *L, int index)
{
    (void) L;
    (void) index;
    return true;
}

static const struct kind KINDS[] = {
    { "path", "the path of a node", is_string },
    { "string", "a string", is_string },
    { "integer", "an integer", is_integer },
    { "natural", "an integer of 0 or more", is_natural },
    { "number", "a number", is_number },
    { "boolean", "true or false", is_boolean },
    { "table", "a table", is_table },
    { "any", "anything", is_anything },
};

#define KIND_PATH (&KINDS[0])

/* The kind that is named "integer" or "integer?". */
static const struct kind *kind_of(lua_State *L, const char *text, bool *optional)
{
    const size_t len = strlen(text);

    *optional = len > 0 && text[len - 1] == '?';
    for (size_t i = 0; i < sizeof KINDS / sizeof KINDS[0]; i++) {
        const size_t name_len = strlen(KINDS[i].name);

        if (name_len != len - *optional) continue;
        if (memcmp(KINDS[i].name, text, name_len) == 0) return &KINDS[i];
    }
    luaL_error(L, "check: there is no kind of argument \"%s\"", text);
    return NULL; /* not reached: luaL_error() does not return */
}

_Noreturn static void refuse(lua_State *L, const char *text)
{
    lua_settop(L, 3);
    lua_pushstring(L, text);
    lua_pushnil(L);
    fault_refuse(L, 4, 5);
}

/* As the tree would say it of a path that it was given. The root is nobody's directory. */
static void check_path(lua_State *L, const char *name)
{
    size_t len;
    const char *text = lua_tolstring(L, -1, &len);
    const int err = path_check(bytes_of(text, len));

    if (err == ERR_BAD_PATH) {
        fault_raise(L, err, "%s: %s: %s", name, text, error_text(err));
    }
    if (err != 0) fault_raise(L, err, "%s: %s", name, error_text(err));
    if (len == 1) fault_raise(L, ERR_BAD_PATH, "%s must not be the root", name);
}

static void check_one(lua_State *L, const char *name)
{
    const struct kind *kind;
    bool optional;

    if (lua_getfield(L, 3, name) != LUA_TSTRING) {
        luaL_error(L, "check: the kind of %s is no string", name);
    }
    kind = kind_of(L, lua_tostring(L, -1), &optional);
    lua_getfield(L, 2, name);
    if (lua_isnil(L, -1)) {
        if (!optional) refuse(L, lua_pushfstring(L, "%s is missing", name));
    } else if (!kind->fits(L, -1)) {
        refuse(L, lua_pushfstring(L, "%s must be %s", name, kind->article));
    } else if (kind == KIND_PATH) {
        check_path(L, name);
    }
    lua_pop(L, 2);
}

/* In the order of their names, so that the same mistake is always told. */
static void check_all(lua_State *L)
{
    struct keys names;

    keys_gather(L, 3, &names);
    if (names.sequence) {
        if (names.count > 0) luaL_error(L, "check: kinds are given by name");
        lua_pop(L, 1);
        return;
    }
    for (size_t i = 0; i < names.count; i++) {
        if (names.at[i].str == NULL) luaL_error(L, "check: kinds are given by name");
        sandbox_charge(L, CHECK_FUEL);
        check_one(L, names.at[i].str);
    }
    lua_pop(L, 1);
}

/* Nothing else was given: a misspelt argument must not be overlooked. */
static void check_no_other(lua_State *L)
{
    struct keys given;

    keys_gather(L, 2, &given);
    if (given.sequence && given.count > 0) refuse(L, "the arguments must be a map by name");
    for (size_t i = 0; !given.sequence && i < given.count; i++) {
        key_push(L, &given.at[i]);
        if (lua_rawget(L, 3) == LUA_TNIL) {
            key_push(L, &given.at[i]);
            refuse(L, lua_pushfstring(L, "there is no argument %s", lua_tostring(L, -1)));
        }
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
}

int tx_object_check(lua_State *L)
{
    luaL_checktype(L, 3, LUA_TTABLE);
    lua_settop(L, 3);
    if (lua_isnil(L, 2)) {
        lua_newtable(L);
        lua_replace(L, 2);
    }
    if (!lua_istable(L, 2)) refuse(L, "the arguments must be a map by name");
    check_all(L);
    check_no_other(L);
    return 0;
}
