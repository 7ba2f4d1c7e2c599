#include "lua/library.h"

#include <lauxlib.h>
#include <lualib.h>
#include <string.h>

#include "core/base/check.h"
#include "lua/fault.h"
#include "lua/keys.h"
#include "lua/sandbox.h"
#include "lua/strings.h"
#include "lua/tx.h"
#include "lua/value.h"

/* What a function of Lua's own library costs beyond what it allocates. */
enum price {
    PRICE_NONE = 0, /* bounded by what it allocates, or constant */
    PRICE_ARGUMENTS, /* by their number */
    PRICE_TEXT,      /* by the length of its first argument */
    PRICE_SPAN,      /* ... if it is asked for a span of it */
    PRICE_INSERT,    /* by the length of the list, if it must shift */
    PRICE_REMOVE,
    PRICE_CONCAT, /* by the number of elements asked for */
    PRICE_UNPACK,
    PRICE_SORT,
    PRICE_MOVE,
};

struct entry {
    const char *name;
    enum price price;
};

static const struct entry ENTRIES_BASE[] = {
    { "assert", PRICE_NONE }, { "error", PRICE_NONE },    { "ipairs", PRICE_NONE },
    { "type", PRICE_NONE },   { "tonumber", PRICE_TEXT }, { "select", PRICE_ARGUMENTS },
    { NULL, PRICE_NONE },
};

static const struct entry ENTRIES_MATH[] = {
    { "abs", PRICE_NONE },        { "acos", PRICE_NONE },       { "asin", PRICE_NONE },
    { "atan", PRICE_NONE },       { "ceil", PRICE_NONE },       { "cos", PRICE_NONE },
    { "deg", PRICE_NONE },        { "exp", PRICE_NONE },        { "floor", PRICE_NONE },
    { "fmod", PRICE_NONE },       { "huge", PRICE_NONE },       { "log", PRICE_NONE },
    { "max", PRICE_ARGUMENTS },   { "maxinteger", PRICE_NONE }, { "min", PRICE_ARGUMENTS },
    { "mininteger", PRICE_NONE }, { "modf", PRICE_NONE },       { "pi", PRICE_NONE },
    { "rad", PRICE_NONE },        { "sin", PRICE_NONE },        { "sqrt", PRICE_NONE },
    { "tan", PRICE_NONE },        { "tointeger", PRICE_NONE },  { "type", PRICE_NONE },
    { "ult", PRICE_NONE },        { NULL, PRICE_NONE },
};

static const struct entry ENTRIES_STRING[] = {
    { "byte", PRICE_SPAN },  { "char", PRICE_ARGUMENTS }, { "len", PRICE_NONE },
    { "lower", PRICE_NONE }, { "reverse", PRICE_NONE },   { "sub", PRICE_NONE },
    { "upper", PRICE_NONE }, { NULL, PRICE_NONE },
};

static const struct entry ENTRIES_TABLE[] = {
    { "concat", PRICE_CONCAT }, { "insert", PRICE_INSERT }, { "pack", PRICE_ARGUMENTS },
    { "remove", PRICE_REMOVE }, { "sort", PRICE_SORT },     { "unpack", PRICE_UNPACK },
    { "move", PRICE_MOVE },     { NULL, PRICE_NONE },
};

static const struct entry ENTRIES_UTF8[] = {
    { "char", PRICE_ARGUMENTS }, { "codepoint", PRICE_TEXT }, { "len", PRICE_TEXT },
    { "offset", PRICE_TEXT },    { NULL, PRICE_NONE },
};

/* --- prices --- */

static uint64_t text_price(lua_State *L, int index)
{
    return lua_type(L, index) == LUA_TSTRING ? lua_rawlen(L, index) : 0;
}

static uint64_t list_price(lua_State *L)
{
    return lua_type(L, 1) == LUA_TTABLE ? lua_rawlen(L, 1) : 0;
}

/* Of string.byte(text, i, j): how many bytes at most. */
static uint64_t span_price(lua_State *L)
{
    lua_Integer i = lua_tointeger(L, 2), j = lua_tointeger(L, 3);
    uint64_t len = text_price(L, 1);

    if (lua_gettop(L) < 3) return 0;
    if (i <= 0 || j <= 0) return len;
    return j < i ? 0 : (uint64_t) (j - i) < len ? (uint64_t) (j - i) : len;
}

/* Elements from the number at `first`, else 1, to the next one, else the list's end. */
static uint64_t range_price(lua_State *L, int first)
{
    lua_Integer i = lua_isnoneornil(L, first) ? 1 : lua_tointeger(L, first);
    lua_Integer j = lua_isnoneornil(L, first + 1) ? (lua_Integer) list_price(L)
                                                  : lua_tointeger(L, first + 1);

    return j < i ? 0 : (uint64_t) j - (uint64_t) i;
}

/* Ranges are the caller's: their length may be near the largest number. */
static uint64_t times(uint64_t count, uint64_t price)
{
    return count > UINT64_MAX / price ? UINT64_MAX : count * price;
}

static uint64_t sort_price(lua_State *L)
{
    uint64_t count = list_price(L), price = count;

    for (uint64_t n = count; n > 1; n /= 2) price += count;
    return times(price, 6);
}

static uint64_t price_of(lua_State *L, enum price price)
{
    switch (price) {
    case PRICE_NONE: break;
    case PRICE_ARGUMENTS: return (uint64_t) lua_gettop(L) / 8;
    case PRICE_TEXT: return text_price(L, 1) / 2;
    case PRICE_SPAN: return span_price(L);
    case PRICE_INSERT: return lua_gettop(L) < 3 ? 0 : list_price(L);
    case PRICE_REMOVE: return lua_gettop(L) < 2 ? 0 : list_price(L);
    case PRICE_CONCAT: return times(range_price(L, 3), 6);
    case PRICE_UNPACK: return range_price(L, 2);
    case PRICE_SORT: return sort_price(L);
    case PRICE_MOVE: return range_price(L, 2);
    }
    return 0;
}

/* Upvalues: the library's function, its price. It runs in this very frame, so that its
 * errors name the recipe's line. */
static int priced(lua_State *L)
{
    lua_CFunction function = lua_tocfunction(L, lua_upvalueindex(1));

    sandbox_charge(L, price_of(L, (enum price) lua_tointeger(L, lua_upvalueindex(2))));
    return function(L);
}

/* --- our own functions: base --- */

static int base_pcall(lua_State *L)
{
    int status;

    luaL_checkany(L, 1);
    lua_pushboolean(L, 1);
    lua_insert(L, 1);
    status = lua_pcall(L, lua_gettop(L) - 2, LUA_MULTRET, 0);
    sandbox_after_pcall(L, status);
    if (status == LUA_OK) return lua_gettop(L);
    if (tx_object_is_wait(L, -1)) lua_error(L); /* a wait below tx:call(): no error */
    lua_pushboolean(L, 0);
    lua_insert(L, -2);
    return 2;
}

static int base_tostring(lua_State *L)
{
    luaL_checkany(L, 1);
    fault_push_text(L, 1);
    return 1;
}

/* Upvalues: the table, its keys or nil for a sequence, the place reached, their number. */
static int pairs_next(lua_State *L)
{
    lua_Integer at = lua_tointeger(L, lua_upvalueindex(3));
    lua_Integer count = lua_tointeger(L, lua_upvalueindex(4));

    while (at < count) {
        lua_pushinteger(L, ++at);
        lua_copy(L, -1, lua_upvalueindex(3));
        if (!lua_isnil(L, lua_upvalueindex(2))) lua_rawget(L, lua_upvalueindex(2));
        lua_pushvalue(L, -1);
        if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL) return 2;
        lua_pop(L, 2); /* removed since */
    }
    lua_pushnil(L);
    return 1;
}

static void push_key_list(lua_State *L, const struct keys *k)
{
    if (k->sequence) {
        lua_pushnil(L);
        return;
    }
    lua_newtable(L);
    for (size_t i = 0; i < k->count; i++) {
        key_push(L, &k->at[i]);
        lua_rawseti(L, -2, (lua_Integer) i + 1);
    }
}

static int base_pairs(lua_State *L)
{
    struct keys k;

    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    keys_gather(L, 1, &k);
    lua_pushvalue(L, 1);
    push_key_list(L, &k);
    lua_pushinteger(L, 0);
    lua_pushinteger(L, (lua_Integer) k.count);
    lua_pushcclosure(L, pairs_next, 4);
    return 1;
}

/* Marks the table at 1, a new one without an argument. */
static int mark(lua_State *L, const char *name, const char *mark_name)
{
    if (lua_isnone(L, 1)) lua_newtable(L);
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    if (value_has_mark(L, 1, mark_name)) return 1;
    if (lua_getmetatable(L, 1)) luaL_error(L, "%s: this table is marked already", name);
    luaL_setmetatable(L, mark_name);
    return 1;
}

static int base_array(lua_State *L)
{
    return mark(L, "array", VALUE_ARRAY);
}

static int base_map(lua_State *L)
{
    return mark(L, "map", VALUE_MAP);
}

static int base_binary(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TSTRING);
    lua_createtable(L, 1, 0);
    lua_pushvalue(L, 1);
    lua_rawseti(L, -2, 1);
    luaL_setmetatable(L, VALUE_BINARY);
    return 1;
}

static const luaL_Reg OWN_BASE[] = {
    { "array", base_array }, { "binary", base_binary }, { "map", base_map },
    { "pairs", base_pairs }, { "pcall", base_pcall },   { "tostring", base_tostring },
    { NULL, NULL },
};

/* --- putting it together --- */

/* From the library's table on top into the table below it. */
static void take_entries(lua_State *L, const struct entry *entries)
{
    for (const struct entry *e = entries; e->name != NULL; e++) {
        lua_getfield(L, -1, e->name);
        CHECK(!lua_isnil(L, -1));
        if (e->price != PRICE_NONE) {
            lua_pushinteger(L, e->price);
            lua_pushcclosure(L, priced, 2);
        }
        lua_setfield(L, -3, e->name);
    }
}

static int refuse_write(lua_State *L)
{
    return luaL_error(L, "the libraries cannot be changed");
}

/* Replaces the table on top by an empty one through which it can be read only. */
static void make_read_only(lua_State *L)
{
    lua_newtable(L);
    lua_createtable(L, 0, 3);
    lua_rotate(L, -3, -1); /* proxy, metatable, table */
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, refuse_write);
    lua_setfield(L, -2, "__newindex");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_setmetatable(L, -2);
}

/* Pushes a new table with the entries of a library, which is never seen itself. */
static void push_library(lua_State *L, lua_CFunction open, const struct entry *entries)
{
    lua_newtable(L);
    lua_pushcfunction(L, open);
    lua_call(L, 0, 1);
    take_entries(L, entries);
    lua_pop(L, 1);
}

static void put_library(lua_State *L, const char *name, lua_CFunction open,
                        const struct entry *entries)
{
    push_library(L, open, entries);
    make_read_only(L);
    lua_setfield(L, -2, name);
}

/* Strings find their methods in the same table; its own metatable (arithmetic on strings)
 * goes away. */
static void set_string_methods(lua_State *L)
{
    lua_pushliteral(L, "");
    lua_createtable(L, 0, 2);
    lua_pushvalue(L, -3);
    lua_setfield(L, -2, "__index");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_setmetatable(L, -2);
    lua_pop(L, 1);
}

static void put_string(lua_State *L)
{
    lua_newtable(L);
    lua_pushcfunction(L, luaopen_string);
    lua_call(L, 0, 1);
    take_entries(L, ENTRIES_STRING);
    strings_put(L);
    lua_pop(L, 1);
    set_string_methods(L);
    make_read_only(L);
    lua_setfield(L, -2, "string");
}

void library_push(lua_State *L)
{
    push_library(L, luaopen_base, ENTRIES_BASE);
    luaL_setfuncs(L, OWN_BASE, 0);
    value_push_null(L);
    lua_setfield(L, -2, "null");
    put_string(L);
    put_library(L, "math", luaopen_math, ENTRIES_MATH);
    put_library(L, "table", luaopen_table, ENTRIES_TABLE);
    put_library(L, "utf8", luaopen_utf8, ENTRIES_UTF8);

    /* luaopen_base() filled the state's table of globals; no recipe's code shall own it. */
    lua_newtable(L);
    lua_rawseti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
}
