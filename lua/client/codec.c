/* Lua values as MessagePack and back, by the rules of the recipes (lua/value.h), so that a
 * value looks the same on both sides: null keeps a nil's place in an array; array{} marks
 * an empty table as an array; a table with the keys 1..n is an array, any other a map.
 *
 * A string that is not plain ASCII goes as bin, since str must be UTF-8; a recipe sees no
 * difference. What comes was scanned by the client before: its depth has a limit. */
#include <lauxlib.h>
#include <math.h>

#include "lua/client/module.h"

#define CODEC_ARRAY "tidelock.array"

enum { CODEC_DEPTH_MAX = 12 }; /* that of the recipes; a cycle ends here */

void codec_push_null(lua_State *L)
{
    lua_pushlightuserdata(L, NULL);
}

bool codec_is_null(lua_State *L, int index)
{
    return lua_type(L, index) == LUA_TLIGHTUSERDATA && lua_touserdata(L, index) == NULL;
}

static int mark_array(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_setmetatable(L, CODEC_ARRAY);
    return 1;
}

void codec_setup(lua_State *L, int module)
{
    luaL_newmetatable(L, CODEC_ARRAY);
    lua_pop(L, 1);
    codec_push_null(L);
    lua_setfield(L, module, "null");
    lua_pushcfunction(L, mark_array);
    lua_setfield(L, module, "array");
}

/* --- Lua to MessagePack --- */

static int append(void *ctx, const char *ptr, size_t len)
{
    buf_put(ctx, ptr, len);
    return 0;
}

static void encode_value(lua_State *L, int index, msgpack_packer *pk, int depth);

static void encode_string(lua_State *L, int index, msgpack_packer *pk)
{
    size_t len, plain = 0;
    const char *s = lua_tolstring(L, index, &len);

    while (plain < len && (unsigned char) s[plain] < 0x80) plain++;
    if (plain == len) {
        msgpack_pack_str(pk, len);
        msgpack_pack_str_body(pk, s, len);
    } else {
        msgpack_pack_bin(pk, len);
        msgpack_pack_bin_body(pk, s, len);
    }
}

static void encode_number(lua_State *L, int index, msgpack_packer *pk)
{
    const double number = lua_tonumber(L, index);

    if (lua_isinteger(L, index)) {
        msgpack_pack_int64(pk, lua_tointeger(L, index));
        return;
    }
    if (!isfinite(number)) luaL_error(L, "args must not hold NaN nor an infinity");
    msgpack_pack_double(pk, number);
}

static bool is_key(lua_State *L, int index)
{
    return lua_type(L, index) == LUA_TSTRING || lua_isinteger(L, index);
}

/* The number of members; *sequence: they are 1..count. */
static size_t count_members(lua_State *L, int index, bool *sequence)
{
    const lua_Unsigned border = lua_rawlen(L, index);
    size_t count = 0;

    lua_pushnil(L);
    while (lua_next(L, index) != 0) {
        lua_pop(L, 1);
        if (!is_key(L, -1)) {
            luaL_error(L, "args must not hold a table with a key that is a %s",
                       lua_type(L, -1) == LUA_TNUMBER ? "float" : luaL_typename(L, -1));
        }
        count++;
    }
    *sequence = count == border;
    for (lua_Unsigned i = 1; *sequence && i <= border; i++) {
        *sequence = lua_rawgeti(L, index, (lua_Integer) i) != LUA_TNIL;
        lua_pop(L, 1);
    }
    return count;
}

static bool is_marked_array(lua_State *L, int index)
{
    if (!lua_getmetatable(L, index)) return false;
    luaL_getmetatable(L, CODEC_ARRAY);
    const bool marked = lua_rawequal(L, -1, -2);
    lua_pop(L, 2);
    return marked;
}

static void encode_array(lua_State *L, int index, msgpack_packer *pk, int depth,
                         size_t count)
{
    msgpack_pack_array(pk, count);
    for (size_t i = 1; i <= count; i++) {
        lua_rawgeti(L, index, (lua_Integer) i);
        encode_value(L, -1, pk, depth);
        lua_pop(L, 1);
    }
}

static void encode_map(lua_State *L, int index, msgpack_packer *pk, int depth, size_t count)
{
    msgpack_pack_map(pk, count);
    lua_pushnil(L);
    while (lua_next(L, index) != 0) {
        encode_value(L, -2, pk, depth);
        encode_value(L, -1, pk, depth);
        lua_pop(L, 1);
    }
}

static void encode_table(lua_State *L, int index, msgpack_packer *pk, int depth)
{
    bool sequence;

    if (depth > CODEC_DEPTH_MAX) {
        luaL_error(L, "args must not hold tables nested deeper than %d, or in themselves",
                   CODEC_DEPTH_MAX);
    }
    const size_t count = count_members(L, index, &sequence);

    if (sequence && (count > 0 || is_marked_array(L, index))) {
        encode_array(L, index, pk, depth, count);
    } else {
        encode_map(L, index, pk, depth, count);
    }
}

static void encode_value(lua_State *L, int index, msgpack_packer *pk, int depth)
{
    const int at = lua_absindex(L, index), type = lua_type(L, at);

    luaL_checkstack(L, 8, NULL);
    if (type == LUA_TNIL || codec_is_null(L, at)) {
        msgpack_pack_nil(pk);
    } else if (type == LUA_TBOOLEAN) {
        lua_toboolean(L, at) ? msgpack_pack_true(pk) : msgpack_pack_false(pk);
    } else if (type == LUA_TNUMBER) {
        encode_number(L, at, pk);
    } else if (type == LUA_TSTRING) {
        encode_string(L, at, pk);
    } else if (type == LUA_TTABLE) {
        encode_table(L, at, pk, depth + 1);
    } else {
        luaL_error(L, "args must not be or hold a %s", lua_typename(L, type));
    }
}

void codec_encode(lua_State *L, int index, struct buf *out)
{
    msgpack_packer pk;

    msgpack_packer_init(&pk, out, append);
    encode_value(L, index, &pk, 0);
}

/* --- MessagePack to Lua --- */

static void push_object(lua_State *L, const msgpack_object *o);

static void push_array(lua_State *L, const msgpack_object_array *a)
{
    lua_createtable(L, (int) a->size, 0);
    for (uint32_t i = 0; i < a->size; i++) {
        push_object(L, &a->ptr[i]);
        if (lua_isnil(L, -1)) {
            lua_pop(L, 1);
            codec_push_null(L);
        }
        lua_rawseti(L, -2, (lua_Integer) i + 1);
    }
}

static bool is_key_object(const msgpack_object *o)
{
    return o->type == MSGPACK_OBJECT_STR || o->type == MSGPACK_OBJECT_BIN ||
           o->type == MSGPACK_OBJECT_POSITIVE_INTEGER ||
           o->type == MSGPACK_OBJECT_NEGATIVE_INTEGER;
}

/* A recipe answers no other keys; a table could not hold all of them. */
static void push_map(lua_State *L, const msgpack_object_map *m)
{
    lua_createtable(L, 0, (int) m->size);
    for (uint32_t i = 0; i < m->size; i++) {
        if (!is_key_object(&m->ptr[i].key)) continue;
        push_object(L, &m->ptr[i].key);
        push_object(L, &m->ptr[i].val);
        lua_rawset(L, -3);
    }
}

static void push_object(lua_State *L, const msgpack_object *o)
{
    luaL_checkstack(L, 8, NULL);
    switch (o->type) {
    case MSGPACK_OBJECT_NIL: lua_pushnil(L); break;
    case MSGPACK_OBJECT_BOOLEAN: lua_pushboolean(L, o->via.boolean); break;
    case MSGPACK_OBJECT_POSITIVE_INTEGER:
    case MSGPACK_OBJECT_NEGATIVE_INTEGER: lua_pushinteger(L, o->via.i64); break;
    case MSGPACK_OBJECT_FLOAT32:
    case MSGPACK_OBJECT_FLOAT64: lua_pushnumber(L, o->via.f64); break;
    case MSGPACK_OBJECT_STR: lua_pushlstring(L, o->via.str.ptr, o->via.str.size); break;
    case MSGPACK_OBJECT_BIN: lua_pushlstring(L, o->via.bin.ptr, o->via.bin.size); break;
    case MSGPACK_OBJECT_ARRAY: push_array(L, &o->via.array); break;
    case MSGPACK_OBJECT_MAP: push_map(L, &o->via.map); break;
    case MSGPACK_OBJECT_EXT: lua_pushnil(L); break; /* no recipe can answer one */
    }
}

bool codec_push(lua_State *L, struct scratch *s, struct bytes packed)
{
    msgpack_object object;
    size_t end = 0;

    s->zone = msgpack_zone_new(MSGPACK_ZONE_CHUNK_SIZE);
    if (s->zone == NULL) luaL_error(L, "not enough memory");
    if (msgpack_unpack((const char *) packed.ptr, packed.len, &end, s->zone, &object) !=
        MSGPACK_UNPACK_SUCCESS) {
        return false;
    }
    push_object(L, &object);
    return true;
}
