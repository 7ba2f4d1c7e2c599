#include "core/tree/path.h"

#include "core/base/check.h"
#include "core/base/errors.h"
#include "core/base/limits.h"

#define NO_CHARACTER UINT32_MAX

/* How many bytes follow a first byte that is not ASCII; 0 when it cannot be one. */
static unsigned utf8_more(uint8_t first)
{
    if ((first & 0xe0) == 0xc0) return 1;
    if ((first & 0xf0) == 0xe0) return 2;
    if ((first & 0xf8) == 0xf0) return 3;
    return 0;
}

/* The next character of UTF-8, or NO_CHARACTER when the bytes are none. */
static uint32_t utf8_next(struct reader *r)
{
    static const uint32_t least[] = { 0, 0x80, 0x800, 0x10000 };
    uint8_t first = read_u8(r);
    unsigned more = utf8_more(first);
    uint32_t c = first & (0x3fu >> more);

    if (first < 0x80) return first;
    if (more == 0 || reader_left(r) < more) return NO_CHARACTER;
    for (unsigned i = 0; i < more; i++) {
        uint8_t next = read_u8(r);

        if ((next & 0xc0) != 0x80) return NO_CHARACTER;
        c = c << 6 | (next & 0x3f);
    }
    return c < least[more] || c > 0x10ffff ? NO_CHARACTER : c;
}

static bool is_forbidden(uint32_t c)
{
    return c <= 0x1f || (c >= 0x7f && c <= 0x9f) || (c >= 0xd800 && c <= 0xf8ff) ||
           (c >= 0xfff0 && c <= 0xffff) || c == NO_CHARACTER;
}

/* Printing ASCII. */
static bool is_plain(uint8_t c)
{
    return c >= 0x20 && c < 0x7f;
}

/* The same of eight bytes at once. Both additions are made without the top bits, so no
 * carry leaves its byte. */
static bool are_plain(const uint8_t *eight)
{
    const uint64_t ones = UINT64_MAX / 0xff, tops = ones * 0x80;
    uint64_t word, low;

    memcpy(&word, eight, sizeof word);
    low = word & ~tops;
    /* The first addition sets the top bit of 0x20 and more, the second that of 0x7f. */
    return ((word | ~(low + ones * 0x60) | (low + ones)) & tops) == 0;
}

static bool characters_are_legal(struct bytes path)
{
    struct reader r = reader_of(path);

    for (;;) {
        while (r.end - r.at >= 8 && are_plain(r.at)) r.at += 8; /* nearly all are */
        while (r.at < r.end && is_plain(*r.at)) r.at++;
        if (r.at == r.end) return true;
        if (is_forbidden(utf8_next(&r))) return false;
    }
}

static bool part_is_legal(const uint8_t *part, size_t len)
{
    if (len == 0) return false;
    if (len == 1) return part[0] != '.';
    return len != 2 || part[0] != '.' || part[1] != '.';
}

static bool parts_are_legal(struct bytes path)
{
    const uint8_t *part = path.ptr + 1, *end = path.ptr + path.len, *slash;

    while ((slash = memchr(part, '/', (size_t) (end - part))) != NULL) {
        if (!part_is_legal(part, (size_t) (slash - part))) return false;
        part = slash + 1;
    }
    return part_is_legal(part, (size_t) (end - part));
}

int path_check(struct bytes path)
{
    if (path.len == 0 || path.ptr[0] != '/') return ERR_BAD_PATH;
    if (path.len > PATH_BYTES_MAX) return ERR_TOO_LARGE;
    if (path.len == 1) return 0;
    return parts_are_legal(path) && characters_are_legal(path) ? 0 : ERR_BAD_PATH;
}

bool path_is_root(struct bytes path)
{
    return path.len == 1 && path.ptr[0] == '/';
}

/* Where the last part's slash stands. */
static size_t last_slash(struct bytes path)
{
    const uint8_t *slash = memrchr(path.ptr, '/', path.len);

    CHECK(slash != NULL);
    CHECK(!path_is_root(path));
    return (size_t) (slash - path.ptr);
}

struct bytes path_parent(struct bytes path)
{
    size_t slash = last_slash(path);

    return bytes_of(path.ptr, slash == 0 ? 1 : slash);
}

struct bytes path_name(struct bytes path)
{
    size_t start = last_slash(path) + 1;

    return bytes_of(path.ptr + start, path.len - start);
}

bool path_is_within(struct bytes path, struct bytes top)
{
    if (path_is_root(top)) return true;
    if (path.len < top.len || memcmp(path.ptr, top.ptr, top.len) != 0) return false;
    return path.len == top.len || path.ptr[top.len] == '/';
}

bool path_is_reserved(struct bytes path)
{
    return path_is_within(path, BYTES_LIT("/tidelock"));
}

void path_join(struct buf *out, struct bytes parent, struct bytes name)
{
    buf_clear(out);
    buf_put_bytes_raw(out, parent);
    if (!path_is_root(parent)) buf_put_u8(out, '/');
    buf_put_bytes_raw(out, name);
}
