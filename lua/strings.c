#include "lua/strings.h"

#include <ctype.h>
#include <lauxlib.h>
#include <string.h>

#include "core/base/check.h"
#include "lua/fault.h"
#include "lua/pattern.h"
#include "lua/sandbox.h"

static struct bytes string_at(lua_State *L, int index)
{
    size_t len;
    const char *text = luaL_checklstring(L, index, &len);

    return bytes_of(text, len);
}

/* --- find and match --- */

/* The place where to begin, counted from 0; beyond the text when there is none. */
static size_t start_of(lua_Integer init, size_t len)
{
    if (init > 0) return (uint64_t)init - 1 > len ? len + 1 : (size_t)init - 1;
    if (init == 0 || init < -(lua_Integer)len) return 0;
    return len - (size_t)-init;
}

static bool find_plain(lua_State *L, struct bytes text, struct bytes wanted, size_t start,
                       size_t *from)
{
    const uint8_t *found;

    sandbox_charge(L, (text.len + wanted.len) / SANDBOX_FUEL_BYTES);
    if (start > text.len) return false;
    found = memmem(text.ptr + start, text.len - start, wanted.ptr, wanted.len);
    if (found == NULL) return false;
    *from = (size_t)(found - text.ptr);
    return true;
}

static int push_span(lua_State *L, size_t from, size_t to)
{
    lua_pushinteger(L, (lua_Integer)from + 1);
    lua_pushinteger(L, (lua_Integer)to);
    return 2;
}

static int string_find(lua_State *L)
{
    struct bytes text = string_at(L, 1), wanted = string_at(L, 2);
    size_t start = start_of(luaL_optinteger(L, 3, 1), text.len), from, to;
    struct pattern p;

    if (lua_toboolean(L, 4) || pattern_is_plain(wanted)) {
        if (find_plain(L, text, wanted, start, &from)) {
            return push_span(L, from, from + wanted.len);
        }
    } else {
        pattern_init(&p, L, text, wanted);
        if (pattern_next(&p, start, &from, &to)) {
            int count = push_span(L, from, to);

            return p.count == 0 ? count : count + pattern_push_captures(&p, from, to);
        }
    }
    lua_pushnil(L);
    return 1;
}

static int string_match(lua_State *L)
{
    struct bytes text = string_at(L, 1), wanted = string_at(L, 2);
    size_t start = start_of(luaL_optinteger(L, 3, 1), text.len), from, to;
    struct pattern p;

    pattern_init(&p, L, text, wanted);
    if (pattern_next(&p, start, &from, &to)) return pattern_push_captures(&p, from, to);
    lua_pushnil(L);
    return 1;
}

/* --- gmatch --- */

/* Upvalues: text, pattern, where to go on, where the last match ended (-1: none). */
static int gmatch_next(lua_State *L)
{
    struct bytes text = string_at(L, lua_upvalueindex(1));
    size_t start = (size_t)lua_tointeger(L, lua_upvalueindex(3)), from, to;
    lua_Integer last = lua_tointeger(L, lua_upvalueindex(4));
    struct pattern p;

    pattern_init(&p, L, text, string_at(L, lua_upvalueindex(2)));
    p.anchored = false;
    p.pattern = string_at(L, lua_upvalueindex(2)); /* a ^ means itself here */
    while (pattern_next(&p, start, &from, &to)) {
        if ((lua_Integer)to == last) { /* an empty match where the last one ended */
            start = from + 1;
            continue;
        }
        lua_pushinteger(L, (lua_Integer)to);
        lua_copy(L, -1, lua_upvalueindex(3));
        lua_replace(L, lua_upvalueindex(4));
        return pattern_push_captures(&p, from, to);
    }
    lua_pushinteger(L, (lua_Integer)text.len + 1);
    lua_replace(L, lua_upvalueindex(3));
    lua_pushnil(L);
    return 1;
}

static int string_gmatch(lua_State *L)
{
    struct bytes text = string_at(L, 1);

    (void)string_at(L, 2);
    size_t start = start_of(luaL_optinteger(L, 3, 1), text.len);
    lua_settop(L, 2);
    lua_pushinteger(L, (lua_Integer)start);
    lua_pushinteger(L, -1);
    lua_pushcclosure(L, gmatch_next, 4);
    return 1;
}

/* --- gsub --- */

enum { SUBJECT = 1, PATTERN, REPLACEMENT, LIMIT };
enum { MATCH_FUEL = 10, CONVERSION_FUEL = 100, FLOAT_FUEL = 1600 };

/* The replacement's text, with %0 to %9 in place. */
static void add_text(struct pattern *p, luaL_Buffer *out, size_t from, size_t to)
{
    struct bytes text = string_at(p->L, REPLACEMENT);

    for (size_t i = 0; i < text.len; i++) {
        char c = (char)text.ptr[i];

        if (c != '%') {
            luaL_addchar(out, c);
            continue;
        }
        c = ++i < text.len ? (char)text.ptr[i] : '\0';
        if (c == '%') {
            luaL_addchar(out, '%');
        } else if (isdigit((unsigned char)c)) {
            pattern_push_capture(p, c - '0', from, to);
            luaL_tolstring(p->L, -1, NULL); /* a place is a number */
            lua_remove(p->L, -2);
            luaL_addvalue(out);
        } else {
            luaL_error(p->L, "invalid use of '%%' in replacement string");
        }
    }
    sandbox_charge(p->L, text.len / 8);
}

/* What a table or a function gives for the match; false or nil keeps what was there. */
static void add_value(struct pattern *p, luaL_Buffer *out, size_t from, size_t to)
{
    lua_State *L = p->L;

    if (lua_type(L, REPLACEMENT) == LUA_TTABLE) {
        pattern_push_capture(p, 1, from, to);
        lua_gettable(L, REPLACEMENT);
    } else {
        lua_pushvalue(L, REPLACEMENT);
        lua_call(L, pattern_push_captures(p, from, to), 1);
    }
    if (!lua_toboolean(L, -1)) {
        lua_pop(L, 1);
        lua_pushlstring(L, (const char *)p->text.ptr + from, to - from);
    } else if (!lua_isstring(L, -1)) {
        luaL_error(L, "invalid replacement value (a %s)", luaL_typename(L, -1));
    }
    luaL_addvalue(out);
}

static void add_replacement(struct pattern *p, luaL_Buffer *out, size_t from, size_t to)
{
    int type = lua_type(p->L, REPLACEMENT);

    if (type == LUA_TSTRING || type == LUA_TNUMBER)
        add_text(p, out, from, to);
    else
        add_value(p, out, from, to);
}

static void check_replacement(lua_State *L)
{
    int type = lua_type(L, REPLACEMENT);

    if (type != LUA_TSTRING && type != LUA_TNUMBER && type != LUA_TTABLE &&
        type != LUA_TFUNCTION) {
        luaL_typeerror(L, REPLACEMENT, "string/function/table");
    }
}

static int string_gsub(lua_State *L)
{
    struct bytes text = string_at(L, SUBJECT);
    lua_Integer limit = luaL_optinteger(L, LIMIT, (lua_Integer)text.len + 1), count = 0;
    size_t done = 0, start = 0, from, to;
    struct pattern p;
    luaL_Buffer out;

    check_replacement(L);
    pattern_init(&p, L, text, string_at(L, PATTERN));
    luaL_buffinit(L, &out);
    for (bool matched = false; count < limit; matched = true) {
        if (!pattern_next(&p, start, &from, &to)) break;
        if (matched && to == from && from == done) { /* empty, where the last one ended */
            start = from + 1;
            continue;
        }
        luaL_addlstring(&out, (const char *)text.ptr + done, from - done);
        sandbox_charge(L, MATCH_FUEL);
        add_replacement(&p, &out, from, to);
        count++;
        start = done = to;
        if (p.anchored) break;
    }
    luaL_addlstring(&out, (const char *)text.ptr + done, text.len - done);
    luaL_pushresult(&out);
    lua_pushinteger(L, count);
    return 2;
}

/* --- rep and format --- */

/* Upvalue: the library's function, which loops for ever over enough empty strings. */
static int string_rep(lua_State *L)
{
    size_t len, between_len;
    lua_Integer count = luaL_checkinteger(L, 2);

    luaL_checklstring(L, 1, &len);
    luaL_optlstring(L, 3, "", &between_len);
    if (count <= 0 || len + between_len == 0) {
        lua_pushliteral(L, "");
        return 1;
    }
    if ((uint64_t)count > sandbox_of(L)->budget.memory_max / (len + between_len)) {
        luaL_error(L, "the string would be too long");
    }
    sandbox_charge(L, (uint64_t)count / 2);
    return lua_tocfunction(L, lua_upvalueindex(1))(L);
}

/* Upvalue: the library's function. What %s shows is made here, so it shows no address. */
static int string_format(lua_State *L)
{
    size_t len;
    const char *format = luaL_checklstring(L, 1, &len);
    int argument = 1, top = lua_gettop(L);

    sandbox_charge(L, len / 8);
    for (size_t i = 0; i < len; i++) {
        if (format[i] != '%' || format[++i] == '%') continue;
        i += strspn(format + i, "-+ #0123456789.");
        if (++argument > top) break; /* the library's function says what is missing */
        sandbox_charge(L, strchr("aAeEfgG", format[i]) == NULL ? CONVERSION_FUEL : FLOAT_FUEL);
        if (format[i] == 'p') luaL_error(L, "string.format: there is no %%p");
        if (format[i] != 's') continue;
        fault_push_text(L, argument);
        lua_replace(L, argument);
    }
    return lua_tocfunction(L, lua_upvalueindex(1))(L);
}

/* --- putting it together --- */

static void take_wrapped(lua_State *L, const char *name, lua_CFunction wrapper)
{
    lua_getfield(L, -1, name);
    CHECK(lua_iscfunction(L, -1));
    lua_pushcclosure(L, wrapper, 1);
    lua_setfield(L, -3, name);
}

static const luaL_Reg OWN[] = {
    { "find", string_find },
    { "match", string_match },
    { "gmatch", string_gmatch },
    { "gsub", string_gsub },
    { NULL, NULL },
};

void strings_put(lua_State *L)
{
    take_wrapped(L, "rep", string_rep);
    take_wrapped(L, "format", string_format);
    lua_pushvalue(L, -2);
    luaL_setfuncs(L, OWN, 0);
    lua_pop(L, 1);
}
