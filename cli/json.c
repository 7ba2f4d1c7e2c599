#include "cli/json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/rpc/rpc.h"
#include "cli/report.h"

/* --- text --- */

/* The length of the UTF-8 sequence at the front, 0 when it is none. Overlong forms,
 * surrogates and what is above U+10FFFF are none. */
static size_t utf8_length(struct bytes s)
{
    const uint8_t c = s.ptr[0];
    const size_t len = c < 0x80 ? 1 : c < 0xc2 ? 0 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;

    if (len == 0 || c > 0xf4 || s.len < len) return 0;
    for (size_t i = 1; i < len; i++) {
        if ((s.ptr[i] & 0xc0) != 0x80) return 0;
    }
    if (c == 0xe0 && s.ptr[1] < 0xa0) return 0;
    if (c == 0xed && s.ptr[1] > 0x9f) return 0;
    if (c == 0xf0 && s.ptr[1] < 0x90) return 0;
    if (c == 0xf4 && s.ptr[1] > 0x8f) return 0;
    return len;
}

bool json_is_utf8(struct bytes s)
{
    while (s.len > 0) {
        const size_t len = utf8_length(s);
        if (len == 0) return false;
        s = bytes_of(s.ptr + len, s.len - len);
    }
    return true;
}

void json_put_string(struct buf *out, struct bytes utf8)
{
    buf_put_u8(out, '"');
    for (size_t i = 0; i < utf8.len; i++) {
        const uint8_t c = utf8.ptr[i];
        if (c == '"' || c == '\\') {
            buf_put_u8(out, '\\');
            buf_put_u8(out, c);
        } else if (c == '\n') {
            buf_put(out, "\\n", 2);
        } else if (c == '\t') {
            buf_put(out, "\\t", 2);
        } else if (c < 0x20 || c == 0x7f) {
            report_printf(out, "\\u%04x", c);
        } else {
            buf_put_u8(out, c);
        }
    }
    buf_put_u8(out, '"');
}

void json_put_base64(struct buf *out, struct bytes s)
{
    static const char digits[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    buf_put_u8(out, '"');
    for (size_t i = 0; i < s.len; i += 3) {
        const size_t left = s.len - i;
        const uint32_t b1 = left > 1 ? s.ptr[i + 1] : 0, b2 = left > 2 ? s.ptr[i + 2] : 0;
        const uint32_t bits = ((uint32_t) s.ptr[i] << 16) | (b1 << 8) | b2;
        buf_put_u8(out, (uint8_t) digits[bits >> 18]);
        buf_put_u8(out, (uint8_t) digits[(bits >> 12) & 63]);
        buf_put_u8(out, (uint8_t) (left > 1 ? digits[(bits >> 6) & 63] : '='));
        buf_put_u8(out, (uint8_t) (left > 2 ? digits[bits & 63] : '='));
    }
    buf_put_u8(out, '"');
}

/* --- printing --- */

static void put_bytes(struct buf *out, struct bytes s)
{
    if (json_is_utf8(s)) {
        json_put_string(out, s);
        return;
    }
    buf_put_bytes_raw(out, BYTES_LIT("{\"base64\":"));
    json_put_base64(out, s);
    buf_put_u8(out, '}');
}

/* The shortest form that reads back as the same number. */
static void put_float(struct buf *out, double number)
{
    char text[40];

    if (!isfinite(number)) {
        buf_put_bytes_raw(out, BYTES_LIT("null"));
        return;
    }
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, number);
        if (strtod(text, NULL) == number) break;
    }
    buf_put_bytes_raw(out, bytes_str(text));
    if (strpbrk(text, ".e") == NULL) buf_put_bytes_raw(out, BYTES_LIT(".0"));
}

/* JSON's keys are strings: any other key is printed as a string that holds its JSON. */
static void put_key(struct buf *out, const msgpack_object *key)
{
    struct buf text = { 0 };

    if (key->type == MSGPACK_OBJECT_STR && json_is_utf8(rpc_bytes(key))) {
        json_put_string(out, rpc_bytes(key));
        return;
    }
    json_from_msgpack(&text, key);
    json_put_string(out, buf_bytes(&text));
    buf_fini(&text);
}

static void put_map(struct buf *out, const msgpack_object_map *map)
{
    buf_put_u8(out, '{');
    for (uint32_t i = 0; i < map->size; i++) {
        if (i > 0) buf_put_u8(out, ',');
        put_key(out, &map->ptr[i].key);
        buf_put_u8(out, ':');
        json_from_msgpack(out, &map->ptr[i].val);
    }
    buf_put_u8(out, '}');
}

static void put_array(struct buf *out, const msgpack_object_array *array)
{
    buf_put_u8(out, '[');
    for (uint32_t i = 0; i < array->size; i++) {
        if (i > 0) buf_put_u8(out, ',');
        json_from_msgpack(out, &array->ptr[i]);
    }
    buf_put_u8(out, ']');
}

void json_from_msgpack(struct buf *out, const msgpack_object *value)
{
    switch (value->type) {
    case MSGPACK_OBJECT_NIL:
        buf_put_bytes_raw(out, BYTES_LIT("null"));
        return;
    case MSGPACK_OBJECT_BOOLEAN:
        buf_put_bytes_raw(out, bytes_str(value->via.boolean ? "true" : "false"));
        return;
    case MSGPACK_OBJECT_POSITIVE_INTEGER:
        report_printf(out, "%llu", (unsigned long long) value->via.u64);
        return;
    case MSGPACK_OBJECT_NEGATIVE_INTEGER:
        report_printf(out, "%lld", (long long) value->via.i64);
        return;
    case MSGPACK_OBJECT_FLOAT32:
    case MSGPACK_OBJECT_FLOAT64:
        put_float(out, value->via.f64);
        return;
    case MSGPACK_OBJECT_STR:
    case MSGPACK_OBJECT_BIN:
        put_bytes(out, rpc_bytes(value));
        return;
    case MSGPACK_OBJECT_ARRAY:
        put_array(out, &value->via.array);
        return;
    case MSGPACK_OBJECT_MAP:
        put_map(out, &value->via.map);
        return;
    case MSGPACK_OBJECT_EXT:
        put_bytes(out, bytes_of(value->via.ext.ptr, value->via.ext.size));
        return;
    }
}
