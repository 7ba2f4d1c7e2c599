/* The format byte of a value tells all that the scan needs: how long its header is, and
 * either how many bytes of content follow or how many elements.  So the scan walks from
 * header to header, iteratively, and never reads content. */
#include "core/base/check.h"
#include "core/rpc/rpc.h"

struct header {
    size_t len;        /* of the header itself */
    uint64_t content;  /* bytes that follow it */
    uint64_t elements; /* values that follow it; a map's pair is two */
    bool whole;        /* false: only a part of the header has come, see `len` only */
};

/* A big-endian number of `size` bytes. */
static uint64_t number_read(const uint8_t *at, size_t size)
{
    uint64_t v = 0;

    for (size_t i = 0; i < size; i++) v = v << 8 | at[i];
    return v;
}

/* The length or count of `size` bytes that stands after the format byte. */
static uint64_t size_read(struct bytes left, size_t size, struct header *h)
{
    h->len = 1 + size;
    h->whole = left.len >= h->len;
    return h->whole ? number_read(left.ptr + 1, size) : 0;
}

/* The formats 0xc0 to 0xdf. */
static void wide_read(struct bytes left, struct header *h)
{
    const uint8_t format = left.ptr[0];

    if (format >= 0xc4 && format <= 0xc6) { /* bin */
        h->content = size_read(left, (size_t) 1 << (format - 0xc4), h);
    } else if (format >= 0xc7 && format <= 0xc9) { /* ext: one byte more, its type */
        h->content = 1 + size_read(left, (size_t) 1 << (format - 0xc7), h);
    } else if (format == 0xca || format == 0xcb) { /* float */
        h->content = format == 0xca ? 4 : 8;
    } else if (format >= 0xcc && format <= 0xd3) { /* uint, int */
        h->content = 1u << (format - 0xcc) % 4;
    } else if (format >= 0xd4 && format <= 0xd8) { /* fixext: its type, 1 to 16 bytes */
        h->content = 1 + (1u << (format - 0xd4));
    } else if (format >= 0xd9 && format <= 0xdb) { /* str */
        h->content = size_read(left, (size_t) 1 << (format - 0xd9), h);
    } else if (format >= 0xdc) { /* array 16, array 32, map 16, map 32 */
        h->elements = size_read(left, format % 2 == 0 ? 2 : 4, h);
        if (format >= 0xde) h->elements *= 2;
    }
}

/* `left` has a byte at least. */
static void header_read(struct bytes left, struct header *h)
{
    const uint8_t format = left.ptr[0];

    *h = (struct header){ .len = 1, .whole = true };
    if (format < 0x80 || format >= 0xe0) return; /* fixint */
    if (format < 0x90) {
        h->elements = 2u * (format & 0x0f); /* fixmap */
    } else if (format < 0xa0) {
        h->elements = format & 0x0f; /* fixarray */
    } else if (format < 0xc0) {
        h->content = format & 0x1f; /* fixstr */
    } else {
        wide_read(left, h);
    }
}

/* What is wrong with the header at the scan's place; NULL: nothing so far. */
static const char *header_judge(const struct rpc_scan *s, const struct header *h,
                                uint8_t format, size_t size_max)
{
    const size_t room = size_max > s->at ? size_max - s->at : 0;
    const bool front_array = format == 0xdc || format == 0xdd || format >> 4 == 9;

    if (format == 0xc1) return "byte 0xc1 is not MessagePack";
    if (s->at == 0 && !front_array) return "a message is an array";
    if (h->len > room) return "the message is too long";
    if (!h->whole) return NULL;
    if (h->content > room - h->len) return "the message is too long";
    if (h->elements > room - h->len) return "more elements than the message can hold";
    if (s->at == 0 && (h->elements < 3 || h->elements > 4)) {
        return "a message is an array of 3 or 4 elements";
    }
    if (h->elements > 0 && s->depth == RPC_DEPTH_MAX) return "nested too deep";
    return NULL;
}

/* One value was begun: counts it, enters it, and leaves all that it ends. */
static void place_advance(struct rpc_scan *s, const struct header *h)
{
    s->at += h->len + (size_t) h->content;
    s->left[s->depth]--;
    if (h->elements > 0) s->left[++s->depth] = h->elements;
    while (s->depth > 0 && s->left[s->depth] == 0) s->depth--;
}

void rpc_scan_init(struct rpc_scan *s)
{
    *s = (struct rpc_scan){ .left = { 1 } };
}

enum rpc_scan_verdict rpc_scan(struct rpc_scan *s, struct bytes bytes, size_t size_max,
                               size_t *len)
{
    struct header h;

    while (s->left[0] > 0 || s->depth > 0) {
        /* `at` may stand beyond what has come: content is skipped unseen. */
        if (s->at >= bytes.len) return RPC_SCAN_MORE;

        const struct bytes left = bytes_of(bytes.ptr + s->at, bytes.len - s->at);

        header_read(left, &h);
        s->why = header_judge(s, &h, left.ptr[0], size_max);
        if (s->why != NULL) return RPC_SCAN_BAD;
        if (!h.whole) return RPC_SCAN_MORE;
        place_advance(s, &h);
    }
    if (s->at > bytes.len) return RPC_SCAN_MORE;
    *len = s->at;
    rpc_scan_init(s);
    CHECK(*len <= size_max);
    return RPC_SCAN_WHOLE;
}
