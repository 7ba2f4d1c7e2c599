#include "lua/value.h"

#include <lauxlib.h>
#include <math.h>
#include <msgpack.h>

#include "core/base/limits.h"
#include "lua/fault.h"
#include "lua/keys.h"
#include "lua/sandbox.h"

static_assert(VALUE_DEPTH_MAX + 4 <= RPC_DEPTH_MAX, "a value fits into its message");

static void make_mark(lua_State *L, const char *mark)
{
    luaL_newmetatable(L, mark);
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 1);
}

void value_setup(lua_State *L)
{
    make_mark(L, VALUE_ARRAY);
    make_mark(L, VALUE_MAP);
    make_mark(L, VALUE_BINARY);
}

void value_push_null(lua_State *L)
{
    lua_pushlightuserdata(L, NULL);
}

static bool is_null(lua_State *L, int index)
{
    return lua_type(L, index) == LUA_TLIGHTUSERDATA && lua_touserdata(L, index) == NULL;
}

/* --- MessagePack to Lua --- */

struct decoder {
    struct reader in;
    unsigned depth;
    unsigned integer_keys;
};

static void decode_value(lua_State *L, struct decoder *d);

/* `size` bytes, most significant first; zero once the bytes have ended, see reader.bad. */
static uint64_t read_be(struct decoder *d, unsigned size)
{
    uint64_t v = 0;

    while (size-- > 0) v = v << 8 | read_u8(&d->in);
    return v;
}

/* Nothing is made of bytes that are not there. */
static void check_bytes(lua_State *L, const struct decoder *d)
{
    if (d->in.bad) fault_raise(L, ERR_BAD_PARAMS, "the value's bytes end too early");
}

static void decode_unsigned(lua_State *L, uint64_t v)
{
    if (v > INT64_MAX) {
        fault_raise(L, ERR_BAD_PARAMS, "an integer above 9223372036854775807");
    }
    lua_pushinteger(L, (lua_Integer) v);
}

static void decode_signed(lua_State *L, struct decoder *d, unsigned size)
{
    unsigned shift = 64 - 8 * size;

    lua_pushinteger(L, (lua_Integer) (read_be(d, size) << shift) >> shift);
}

static void decode_float(lua_State *L, struct decoder *d, unsigned size)
{
    uint64_t bits = read_be(d, size);
    uint32_t bits_short = (uint32_t) bits;
    double number;
    float number_short;

    if (size == 4) {
        memcpy(&number_short, &bits_short, 4);
        number = (double) number_short;
    } else {
        memcpy(&number, &bits, 8);
    }
    lua_pushnumber(L, number);
}

static void decode_string(lua_State *L, struct decoder *d, uint64_t len)
{
    struct bytes s;

    check_bytes(L, d);
    if (len > reader_left(&d->in)) d->in.bad = true;
    check_bytes(L, d);
    s = read_raw(&d->in, (size_t) len);
    lua_pushlstring(L, (const char *) s.ptr, s.len);
}

/* Opens a container of `count` parts; each part is a byte at least. */
static int open_table(lua_State *L, struct decoder *d, uint64_t count)
{
    check_bytes(L, d);
    if (count > reader_left(&d->in)) d->in.bad = true;
    check_bytes(L, d);
    if (++d->depth > VALUE_DEPTH_MAX) {
        fault_raise(L, ERR_BAD_PARAMS, "nested deeper than %d", VALUE_DEPTH_MAX);
    }
    luaL_checkstack(L, 8, NULL);
    return count < 1024 ? (int) count : 1024; /* room to begin with; no more on trust */
}

static void decode_array(lua_State *L, struct decoder *d, uint64_t count)
{
    lua_createtable(L, open_table(L, d, count), 0);
    for (uint64_t i = 1; i <= count; i++) {
        decode_value(L, d);
        if (lua_isnil(L, -1)) {
            lua_pop(L, 1);
            value_push_null(L);
        }
        lua_rawseti(L, -2, (lua_Integer) i);
    }
    if (count == 0) luaL_setmetatable(L, VALUE_ARRAY); /* else its keys tell what it is */
    d->depth--;
}

static void decode_key(lua_State *L, struct decoder *d)
{
    decode_value(L, d);
    if (lua_type(L, -1) == LUA_TSTRING) return;
    if (!lua_isinteger(L, -1)) {
        fault_raise(L, ERR_BAD_PARAMS, "a map's key must be a string or an integer");
    }
    if (++d->integer_keys > VALUE_INTEGER_KEYS_MAX) {
        fault_raise(L, ERR_BAD_PARAMS, "more than %d integer keys", VALUE_INTEGER_KEYS_MAX);
    }
}

static void decode_map(lua_State *L, struct decoder *d, uint64_t count)
{
    unsigned integer_keys = d->integer_keys;

    lua_createtable(L, 0, open_table(L, d, count));
    for (uint64_t i = 0; i < count; i++) {
        decode_key(L, d);
        decode_value(L, d);
        lua_rawset(L, -3);
    }
    /* Its keys may be 1 to n, and yet it is no array. */
    if (d->integer_keys != integer_keys) luaL_setmetatable(L, VALUE_MAP);
    d->depth--;
}

/* The tags 0xc0 to 0xdf; the others hold their value or their length themselves. */
static void decode_tagged(lua_State *L, struct decoder *d, uint8_t tag)
{
    switch (tag) {
    case 0xc0: lua_pushnil(L); break;
    case 0xc2: lua_pushboolean(L, 0); break;
    case 0xc3: lua_pushboolean(L, 1); break;
    case 0xc4: case 0xd9: decode_string(L, d, read_be(d, 1)); break;
    case 0xc5: case 0xda: decode_string(L, d, read_be(d, 2)); break;
    case 0xc6: case 0xdb: decode_string(L, d, read_be(d, 4)); break;
    case 0xca: decode_float(L, d, 4); break;
    case 0xcb: decode_float(L, d, 8); break;
    case 0xcc: case 0xcd: case 0xce: case 0xcf:
        decode_unsigned(L, read_be(d, 1u << (tag - 0xcc)));
        break;
    case 0xd0: case 0xd1: case 0xd2: case 0xd3:
        decode_signed(L, d, 1u << (tag - 0xd0));
        break;
    case 0xdc: decode_array(L, d, read_be(d, 2)); break;
    case 0xdd: decode_array(L, d, read_be(d, 4)); break;
    case 0xde: decode_map(L, d, read_be(d, 2)); break;
    case 0xdf: decode_map(L, d, read_be(d, 4)); break;
    default: fault_raise(L, ERR_BAD_PARAMS, "MessagePack's ext types are not accepted");
    }
}

static void decode_value(lua_State *L, struct decoder *d)
{
    uint8_t tag = read_u8(&d->in);

    check_bytes(L, d);
    if (tag < 0x80) {
        lua_pushinteger(L, tag);
    } else if (tag < 0x90) {
        decode_map(L, d, tag & 0x0fu);
    } else if (tag < 0xa0) {
        decode_array(L, d, tag & 0x0fu);
    } else if (tag < 0xc0) {
        decode_string(L, d, tag & 0x1fu);
    } else if (tag < 0xe0) {
        decode_tagged(L, d, tag);
    } else {
        lua_pushinteger(L, (lua_Integer) tag - 256);
    }
    check_bytes(L, d);
}

void value_push(lua_State *L, struct bytes msgpack)
{
    struct decoder d = { .in = reader_of(msgpack) };

    luaL_checkstack(L, 8, NULL);
    sandbox_charge(L, msgpack.len / SANDBOX_FUEL_BYTES + 1);
    decode_value(L, &d);
    if (!reader_done(&d.in)) fault_raise(L, ERR_BAD_PARAMS, "bytes follow the value");
}

/* --- Lua to MessagePack --- */

static int append(void *ctx, const char *ptr, size_t len)
{
    buf_put(ctx, ptr, len);
    return 0;
}

struct encoder {
    struct buf *out;
    msgpack_packer pk;
    unsigned depth;
};

static void encode_value(lua_State *L, int index, struct encoder *e);

/* `more` bytes of content and a header fit. */
static void check_size(lua_State *L, const struct encoder *e, size_t more)
{
    if (more <= REQUEST_BYTES_MAX && e->out->len + more + 9 <= REQUEST_BYTES_MAX) return;
    fault_raise(L, ERR_TOO_LARGE, "the value is larger than %d bytes",
                (int) REQUEST_BYTES_MAX);
}

/* How many bytes the character at `at` has, or 0 when it is not UTF-8. The table of
 * well-formed sequences of the Unicode standard (3.9, D92). */
static size_t utf8_len(const uint8_t *at, size_t left)
{
    size_t len = at[0] < 0xe0 ? 2 : at[0] < 0xf0 ? 3 : 4;
    uint8_t low = 0x80, high = 0xbf;

    if (at[0] < 0x80) return 1;
    if (at[0] < 0xc2 || at[0] > 0xf4 || left < len) return 0;
    if (at[0] == 0xe0) low = 0xa0;  /* else shorter would do */
    if (at[0] == 0xed) high = 0x9f; /* surrogates */
    if (at[0] == 0xf0) low = 0x90;
    if (at[0] == 0xf4) high = 0x8f; /* above U+10FFFF */
    if (at[1] < low || at[1] > high) return 0;
    for (size_t i = 2; i < len; i++) {
        if (at[i] < 0x80 || at[i] > 0xbf) return 0;
    }
    return len;
}

static bool is_utf8(const uint8_t *s, size_t len)
{
    for (size_t at = 0, step; at < len; at += step) {
        step = utf8_len(s + at, len - at);
        if (step == 0) return false;
    }
    return true;
}

void value_put_text(struct buf *out, struct bytes text, size_t len_max)
{
    size_t step;

    for (size_t at = 0; at < text.len; at += step) {
        step = utf8_len(text.ptr + at, text.len - at);
        if (step > len_max || len_max == 0) return;
        if (step == 0) {
            step = 1;
            buf_put_u8(out, '?');
        } else {
            buf_put(out, text.ptr + at, step);
        }
        len_max -= step;
    }
}

static void encode_string(struct encoder *e, const char *s, size_t len)
{
    if (is_utf8((const uint8_t *) s, len)) {
        msgpack_pack_str(&e->pk, len);
        msgpack_pack_str_body(&e->pk, s, len);
    } else {
        msgpack_pack_bin(&e->pk, len);
        msgpack_pack_bin_body(&e->pk, s, len);
    }
}

static void encode_number(lua_State *L, int index, struct encoder *e)
{
    double number = lua_tonumber(L, index);

    if (lua_isinteger(L, index)) {
        msgpack_pack_int64(&e->pk, lua_tointeger(L, index));
        return;
    }
    if (!isfinite(number)) {
        fault_raise(L, ERR_SCRIPT_FAILED, "a value must not be %s",
                    isnan(number) ? "NaN" : "infinite");
    }
    msgpack_pack_double(&e->pk, number);
}

static void encode_array(lua_State *L, int index, struct encoder *e, size_t count)
{
    check_size(L, e, count);
    msgpack_pack_array(&e->pk, count);
    for (size_t i = 1; i <= count; i++) {
        lua_rawgeti(L, index, (lua_Integer) i);
        encode_value(L, -1, e);
        lua_pop(L, 1);
    }
}

static void encode_map(lua_State *L, int index, struct encoder *e, const struct keys *k)
{
    check_size(L, e, k->count);
    msgpack_pack_map(&e->pk, k->count);
    for (size_t i = 0; i < k->count; i++) {
        if (k->sequence) {
            lua_pushinteger(L, (lua_Integer) i + 1);
        } else {
            key_push(L, &k->at[i]);
        }
        encode_value(L, -1, e);
        lua_rawget(L, index);
        encode_value(L, -1, e);
        lua_pop(L, 1);
    }
}

enum mark { MARK_NONE = 0, MARK_ARRAY, MARK_MAP, MARK_BINARY };

bool value_has_mark(lua_State *L, int index, const char *mark)
{
    bool marked;

    if (lua_type(L, index) != LUA_TTABLE || !lua_getmetatable(L, index)) return false;
    luaL_getmetatable(L, mark);
    marked = lua_rawequal(L, -1, -2);
    lua_pop(L, 2);
    return marked;
}

static enum mark mark_of(lua_State *L, int index)
{
    if (value_has_mark(L, index, VALUE_ARRAY)) return MARK_ARRAY;
    if (value_has_mark(L, index, VALUE_MAP)) return MARK_MAP;
    return value_has_mark(L, index, VALUE_BINARY) ? MARK_BINARY : MARK_NONE;
}

static void encode_binary(lua_State *L, int index, struct encoder *e)
{
    const char *s;
    size_t len;

    if (lua_rawgeti(L, index, 1) != LUA_TSTRING) {
        fault_raise(L, ERR_SCRIPT_FAILED, "what binary() made must not be changed");
    }
    s = lua_tolstring(L, -1, &len);
    check_size(L, e, len);
    sandbox_charge(L, len / SANDBOX_FUEL_BYTES);
    msgpack_pack_bin(&e->pk, len);
    msgpack_pack_bin_body(&e->pk, s, len);
    lua_pop(L, 1);
}

static void encode_keys(lua_State *L, int index, struct encoder *e, enum mark mark)
{
    struct keys k;

    keys_gather(L, index, &k);
    if (mark == MARK_ARRAY && !k.sequence) {
        fault_raise(L, ERR_SCRIPT_FAILED, "an array has the keys 1 to n and no other");
    }
    if (k.sequence && mark != MARK_MAP && (mark == MARK_ARRAY || k.count > 0)) {
        encode_array(L, index, e, k.count);
    } else {
        encode_map(L, index, e, &k);
    }
    lua_pop(L, 1); /* what holds the keys */
}

static void encode_table(lua_State *L, int index, struct encoder *e)
{
    enum mark mark = mark_of(L, index);

    if (++e->depth > VALUE_DEPTH_MAX) {
        fault_raise(L, ERR_SCRIPT_FAILED, "a table nested deeper than %d, or in itself",
                    VALUE_DEPTH_MAX);
    }
    if (mark == MARK_BINARY) {
        encode_binary(L, index, e);
    } else {
        encode_keys(L, index, e, mark);
    }
    e->depth--;
}

static void encode_value(lua_State *L, int index, struct encoder *e)
{
    int at = lua_absindex(L, index), type = lua_type(L, at);
    size_t len = 0;
    const char *s;

    luaL_checkstack(L, 8, NULL);
    sandbox_charge(L, 1);
    check_size(L, e, 0);
    if (type == LUA_TNIL || is_null(L, at)) {
        msgpack_pack_nil(&e->pk);
    } else if (type == LUA_TBOOLEAN) {
        lua_toboolean(L, at) ? msgpack_pack_true(&e->pk) : msgpack_pack_false(&e->pk);
    } else if (type == LUA_TNUMBER) {
        encode_number(L, at, e);
    } else if (type == LUA_TSTRING) {
        s = lua_tolstring(L, at, &len);
        check_size(L, e, len);
        sandbox_charge(L, len / SANDBOX_FUEL_BYTES);
        encode_string(e, s, len);
    } else if (type == LUA_TTABLE) {
        encode_table(L, at, e);
    } else {
        fault_raise(L, ERR_SCRIPT_FAILED, "a value must not be or hold a %s",
                    lua_typename(L, type));
    }
}

void value_encode(lua_State *L, int index, struct buf *out)
{
    struct encoder e = { .out = out };

    msgpack_packer_init(&e.pk, out, append);
    encode_value(L, index, &e);
}
