/* json_parse.c -- the reading half of json.h: recursive descent, bounded by depth.
 *
 * MessagePack counts its elements in front of them, so the elements of an array or object
 * are packed aside first; the depth bounds how often a byte is copied for that. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/json.h"
#include "core/rpc/rpc.h"

struct parse {
    const uint8_t *start, *at, *end;
    unsigned depth;
    const char *why; /* of the first mistake; at stands there */
};

static bool parse_value(struct parse *p, struct buf *out);

static bool wrong(struct parse *p, const char *why)
{
    if (p->why == NULL) p->why = why;
    return false;
}

static void skip_space(struct parse *p)
{
    while (p->at < p->end &&
           (*p->at == ' ' || *p->at == '\t' || *p->at == '\n' || *p->at == '\r')) {
        p->at++;
    }
}

static bool at_char(const struct parse *p, char c)
{
    return p->at < p->end && *p->at == (uint8_t) c;
}

static bool skip_char(struct parse *p, char c)
{
    if (!at_char(p, c)) return false;
    p->at++;
    return true;
}

static bool parse_word(struct parse *p, struct bytes word)
{
    if ((size_t) (p->end - p->at) < word.len || memcmp(p->at, word.ptr, word.len) != 0) {
        return wrong(p, "a value was expected");
    }
    p->at += word.len;
    return true;
}

/* --- strings --- */

static bool parse_hex4(struct parse *p, uint32_t *unit)
{
    *unit = 0;
    if (p->end - p->at < 4) return wrong(p, "\\u needs four hexadecimal digits");
    for (int i = 0; i < 4; i++, p->at++) {
        const uint8_t c = *p->at, lower = c | 0x20;
        if (c >= '0' && c <= '9') {
            *unit = *unit * 16 + (c - '0');
        } else if (lower >= 'a' && lower <= 'f') {
            *unit = *unit * 16 + (uint32_t) (lower - 'a' + 10);
        } else {
            return wrong(p, "\\u needs four hexadecimal digits");
        }
    }
    return true;
}

static void put_utf8(struct buf *out, uint32_t c)
{
    if (c < 0x80) {
        buf_put_u8(out, (uint8_t) c);
        return;
    }
    if (c < 0x800) {
        buf_put_u8(out, (uint8_t) (0xc0 | (c >> 6)));
    } else if (c < 0x10000) {
        buf_put_u8(out, (uint8_t) (0xe0 | (c >> 12)));
        buf_put_u8(out, (uint8_t) (0x80 | ((c >> 6) & 63)));
    } else {
        buf_put_u8(out, (uint8_t) (0xf0 | (c >> 18)));
        buf_put_u8(out, (uint8_t) (0x80 | ((c >> 12) & 63)));
        buf_put_u8(out, (uint8_t) (0x80 | ((c >> 6) & 63)));
    }
    buf_put_u8(out, (uint8_t) (0x80 | (c & 63)));
}

static bool parse_unicode(struct parse *p, struct buf *text)
{
    uint32_t unit, low;

    if (!parse_hex4(p, &unit)) return false;
    if (unit >= 0xdc00 && unit <= 0xdfff) return wrong(p, "half of a surrogate pair");
    if (unit >= 0xd800 && unit <= 0xdbff) {
        if (!skip_char(p, '\\') || !skip_char(p, 'u')) {
            return wrong(p, "half of a surrogate pair");
        }
        if (!parse_hex4(p, &low)) return false;
        if (low < 0xdc00 || low > 0xdfff) return wrong(p, "half of a surrogate pair");
        unit = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
    }
    put_utf8(text, unit);
    return true;
}

static bool parse_escape(struct parse *p, struct buf *text)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";

    if (skip_char(p, 'u')) return parse_unicode(p, text);
    for (size_t i = 0; i < sizeof from - 1; i++) {
        if (!skip_char(p, from[i])) continue;
        buf_put_u8(text, (uint8_t) to[i]);
        return true;
    }
    return wrong(p, "unknown escape in a string");
}

/* Reads a string's content into `text` (cleared first). */
static bool parse_text(struct parse *p, struct buf *text)
{
    buf_clear(text);
    if (!skip_char(p, '"')) return wrong(p, "a string was expected");
    while (!skip_char(p, '"')) {
        if (p->at == p->end) return wrong(p, "a string does not end");
        if (*p->at < 0x20)
            return wrong(p, "a control character in a string must be escaped");
        if (skip_char(p, '\\')) {
            if (!parse_escape(p, text)) return false;
        } else {
            buf_put_u8(text, *p->at++);
        }
    }
    return true;
}

static bool parse_string(struct parse *p, struct buf *out)
{
    struct buf text = { 0 };
    const bool good = parse_text(p, &text);

    if (good)
        pack_str(out, bytes_of(text.len == 0 ? (const void *) "" : text.ptr, text.len));
    buf_fini(&text);
    return good;
}

/* --- numbers --- */

static bool skip_digits(struct parse *p)
{
    const uint8_t *first = p->at;

    while (p->at < p->end && *p->at >= '0' && *p->at <= '9') p->at++;
    return p->at > first;
}

/* Walks over a number by JSON's grammar; *whole tells whether it is an integer. */
static bool scan_number(struct parse *p, bool *whole)
{
    *whole = true;
    skip_char(p, '-');
    if (!skip_char(p, '0') && !skip_digits(p)) return wrong(p, "a value was expected");
    if (skip_char(p, '.')) {
        *whole = false;
        if (!skip_digits(p)) return wrong(p, "digits must follow the point");
    }
    if (skip_char(p, 'e') || skip_char(p, 'E')) {
        *whole = false;
        if (!skip_char(p, '-')) skip_char(p, '+');
        if (!skip_digits(p)) return wrong(p, "an exponent needs digits");
    }
    return true;
}

static bool pack_number(struct parse *p, const char *text, bool whole, struct buf *out)
{
    errno = 0;
    if (!whole) {
        const double number = strtod(text, NULL);
        const uint64_t bits = ((union {
                                  double d;
                                  uint64_t u;
                              }){ .d = number })
                                  .u;
        if (!isfinite(number)) return wrong(p, "a number is too large");
        buf_put_u8(out, 0xcb); /* float 64 */
        buf_reserve(out, 8);
        put_u64_be(out->ptr + out->len, bits);
        out->len += 8;
        return true;
    }
    if (text[0] == '-') {
        pack_int(out, strtoll(text, NULL, 10));
    } else {
        pack_uint(out, strtoull(text, NULL, 10));
    }
    if (errno == ERANGE) return wrong(p, "an integer does not fit in 64 bits");
    return true;
}

static bool parse_number(struct parse *p, struct buf *out)
{
    const uint8_t *first = p->at;
    bool whole, good;
    char *text;

    if (!scan_number(p, &whole)) return false;
    text = strndup((const char *) first, (size_t) (p->at - first));
    good = text != NULL && pack_number(p, text, whole, out);
    free(text);
    return good;
}

/* --- arrays and objects --- */

static bool parse_elements(struct parse *p, struct buf *content, uint32_t *count)
{
    *count = 0;
    skip_space(p);
    if (skip_char(p, ']')) return true;
    for (;;) {
        if (!parse_value(p, content)) return false;
        *count += 1;
        skip_space(p);
        if (skip_char(p, ']')) return true;
        if (!skip_char(p, ',')) return wrong(p, "an array's elements need a comma between");
    }
}

/* `keys` gathers every key as LEB128 length and bytes, to find one that comes twice. */
static bool key_is_new(struct bytes keys, struct bytes key)
{
    struct reader r = reader_of(keys);

    while (reader_left(&r) > 0) {
        if (bytes_equal(read_bytes(&r, keys.len), key)) return false;
    }
    return true;
}

static bool parse_member(struct parse *p, struct buf *content, struct buf *keys)
{
    struct buf key = { 0 };
    bool good;

    skip_space(p);
    good = parse_text(p, &key);
    if (good) {
        const struct bytes name =
            bytes_of(key.len == 0 ? (const void *) "" : key.ptr, key.len);
        good = key_is_new(buf_bytes(keys), name) || wrong(p, "a key comes twice");
        buf_put_bytes(keys, name);
        pack_str(content, name);
    }
    skip_space(p);
    good = good && (skip_char(p, ':') || wrong(p, "a key needs a colon behind it"));
    buf_fini(&key);
    return good && parse_value(p, content);
}

static bool parse_members(struct parse *p, struct buf *content, struct buf *keys,
                          uint32_t *count)
{
    *count = 0;
    skip_space(p);
    if (skip_char(p, '}')) return true;
    for (;;) {
        if (!parse_member(p, content, keys)) return false;
        *count += 1;
        skip_space(p);
        if (skip_char(p, '}')) return true;
        if (!skip_char(p, ',')) return wrong(p, "an object's members need a comma between");
    }
}

static bool parse_container(struct parse *p, struct buf *out)
{
    struct buf content = { 0 }, keys = { 0 };
    const bool object = *p->at++ == '{';
    uint32_t count = 0;
    bool good;

    if (p->depth == JSON_DEPTH_MAX) return wrong(p, "it is nested too deeply");
    p->depth++;
    good = object ? parse_members(p, &content, &keys, &count)
                  : parse_elements(p, &content, &count);
    if (good && object) pack_map(out, count);
    if (good && !object) pack_array(out, count);
    if (good) buf_put_bytes_raw(out, buf_bytes(&content));
    p->depth--;
    buf_fini(&content);
    buf_fini(&keys);
    return good;
}

static bool parse_value(struct parse *p, struct buf *out)
{
    skip_space(p);
    if (p->at == p->end) return wrong(p, "a value was expected");
    switch (*p->at) {
    case '{':
    case '[':
        return parse_container(p, out);
    case '"':
        return parse_string(p, out);
    case 't':
        pack_bool(out, true);
        return parse_word(p, BYTES_LIT("true"));
    case 'f':
        pack_bool(out, false);
        return parse_word(p, BYTES_LIT("false"));
    case 'n':
        pack_nil(out);
        return parse_word(p, BYTES_LIT("null"));
    default:
        return parse_number(p, out);
    }
}

bool json_to_msgpack(struct bytes text, struct buf *out, const char **why)
{
    static char room[120];
    struct parse p = { .start = text.ptr, .at = text.ptr, .end = text.ptr + text.len };
    const size_t before = out->len;
    bool good = json_is_utf8(text) || wrong(&p, "it is not UTF-8");

    good = good && parse_value(&p, out);
    skip_space(&p);
    if (good && p.at != p.end) good = wrong(&p, "something follows the value");
    if (!good) {
        out->len = before;
        snprintf(room, sizeof room, "%s, at byte %zu", p.why,
                 (size_t) (p.at - p.start) + 1);
        *why = room;
    }
    return good;
}
