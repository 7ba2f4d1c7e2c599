/* MessagePack by hand: every value takes the shortest form that the format has for it, so
 * the same value always gives the same bytes. */
#include "core/base/check.h"
#include "core/rpc/rpc.h"

/* A format byte and a big-endian number of `size` bytes. */
static void put_sized(struct buf *b, uint8_t format, uint64_t v, size_t size)
{
    buf_reserve(b, 9);
    b->ptr[b->len++] = format;
    for (size_t i = size; i > 0; i--) b->ptr[b->len++] = (uint8_t) (v >> (8 * (i - 1)));
}

void pack_nil(struct buf *b)
{
    buf_put_u8(b, 0xc0);
}

void pack_bool(struct buf *b, bool v)
{
    buf_put_u8(b, v ? 0xc3 : 0xc2);
}

void pack_uint(struct buf *b, uint64_t v)
{
    if (v < 0x80) {
        buf_put_u8(b, (uint8_t) v);
    } else if (v <= UINT8_MAX) {
        put_sized(b, 0xcc, v, 1);
    } else if (v <= UINT16_MAX) {
        put_sized(b, 0xcd, v, 2);
    } else if (v <= UINT32_MAX) {
        put_sized(b, 0xce, v, 4);
    } else {
        put_sized(b, 0xcf, v, 8);
    }
}

void pack_int(struct buf *b, int64_t v)
{
    if (v >= 0) {
        pack_uint(b, (uint64_t) v);
    } else if (v >= -32) {
        buf_put_u8(b, (uint8_t) v);
    } else if (v >= INT8_MIN) {
        put_sized(b, 0xd0, (uint64_t) v, 1);
    } else if (v >= INT16_MIN) {
        put_sized(b, 0xd1, (uint64_t) v, 2);
    } else if (v >= INT32_MIN) {
        put_sized(b, 0xd2, (uint64_t) v, 4);
    } else {
        put_sized(b, 0xd3, (uint64_t) v, 8);
    }
}

/* A length of str or bin: `format` is the one with a length of one byte. */
static void put_length(struct buf *b, uint8_t format, size_t len)
{
    CHECK(len <= UINT32_MAX);
    if (len <= UINT8_MAX) {
        put_sized(b, format, len, 1);
    } else if (len <= UINT16_MAX) {
        put_sized(b, (uint8_t) (format + 1), len, 2);
    } else {
        put_sized(b, (uint8_t) (format + 2), len, 4);
    }
}

void pack_str(struct buf *b, struct bytes s)
{
    if (s.len < 32) {
        buf_put_u8(b, (uint8_t) (0xa0 | s.len));
    } else {
        put_length(b, 0xd9, s.len);
    }
    buf_put_bytes_raw(b, s);
}

void pack_cstr(struct buf *b, const char *s)
{
    pack_str(b, bytes_str(s));
}

void pack_bin(struct buf *b, struct bytes s)
{
    if (s.ptr == NULL) {
        CHECK(s.len == 0);
        pack_nil(b);
        return;
    }
    put_length(b, 0xc4, s.len);
    buf_put_bytes_raw(b, s);
}

/* `small` is the format byte for counts below 16, `wide` the one with two bytes. */
static void put_count(struct buf *b, uint8_t small, uint8_t wide, uint32_t count)
{
    if (count < 16) {
        buf_put_u8(b, (uint8_t) (small | count));
    } else if (count <= UINT16_MAX) {
        put_sized(b, wide, count, 2);
    } else {
        put_sized(b, (uint8_t) (wide + 1), count, 4);
    }
}

void pack_array(struct buf *b, uint32_t count)
{
    put_count(b, 0x90, 0xdc, count);
}

void pack_map(struct buf *b, uint32_t count)
{
    put_count(b, 0x80, 0xde, count);
}

static void pack_float32(struct buf *b, double v)
{
    const float narrow = (float) v;
    uint32_t bits;

    memcpy(&bits, &narrow, sizeof bits);
    put_sized(b, 0xca, bits, 4);
}

static void pack_float64(struct buf *b, double v)
{
    uint64_t bits;

    memcpy(&bits, &v, sizeof bits);
    put_sized(b, 0xcb, bits, 8);
}

static void pack_ext(struct buf *b, const msgpack_object_ext *e)
{
    const bool fixed = e->size > 0 && e->size <= 16 && (e->size & (e->size - 1)) == 0;

    if (fixed) {
        buf_put_u8(b, (uint8_t) (0xd4 + __builtin_ctz(e->size)));
    } else {
        put_length(b, 0xc7, e->size);
    }
    buf_put_u8(b, (uint8_t) e->type);
    buf_put(b, e->ptr, e->size);
}

static void pack_members(struct buf *b, const msgpack_object *o)
{
    if (o->type == MSGPACK_OBJECT_ARRAY) {
        pack_array(b, o->via.array.size);
        for (uint32_t i = 0; i < o->via.array.size; i++) {
            pack_object(b, &o->via.array.ptr[i]);
        }
        return;
    }
    pack_map(b, o->via.map.size);
    for (uint32_t i = 0; i < o->via.map.size; i++) {
        pack_object(b, &o->via.map.ptr[i].key);
        pack_object(b, &o->via.map.ptr[i].val);
    }
}

void pack_object(struct buf *b, const msgpack_object *o)
{
    switch (o->type) {
    case MSGPACK_OBJECT_NIL:
        pack_nil(b);
        break;
    case MSGPACK_OBJECT_BOOLEAN:
        pack_bool(b, o->via.boolean);
        break;
    case MSGPACK_OBJECT_POSITIVE_INTEGER:
        pack_uint(b, o->via.u64);
        break;
    case MSGPACK_OBJECT_NEGATIVE_INTEGER:
        pack_int(b, o->via.i64);
        break;
    case MSGPACK_OBJECT_FLOAT32:
        pack_float32(b, o->via.f64);
        break;
    case MSGPACK_OBJECT_FLOAT64:
        pack_float64(b, o->via.f64);
        break;
    case MSGPACK_OBJECT_STR:
        pack_str(b, bytes_of(o->via.str.ptr, o->via.str.size));
        break;
    case MSGPACK_OBJECT_BIN:
        put_length(b, 0xc4, o->via.bin.size);
        buf_put(b, o->via.bin.ptr, o->via.bin.size);
        break;
    case MSGPACK_OBJECT_EXT:
        pack_ext(b, &o->via.ext);
        break;
    case MSGPACK_OBJECT_ARRAY:
    case MSGPACK_OBJECT_MAP:
        pack_members(b, o); /* no deeper than the scan let in */
        break;
    }
}
