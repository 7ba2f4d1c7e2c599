#include "core/base/bytes.h"

#include <stdlib.h>

#include "core/base/check.h"

void *mem_alloc(size_t size)
{
    void *ptr = malloc(size == 0 ? 1 : size);

    CHECK(ptr != NULL);
    return ptr;
}

void *mem_zalloc(size_t size)
{
    void *ptr = calloc(1, size == 0 ? 1 : size);

    CHECK(ptr != NULL);
    return ptr;
}

void *mem_grow(void *ptr, size_t size)
{
    void *grown = realloc(ptr, size == 0 ? 1 : size);

    CHECK(grown != NULL);
    return grown;
}

int bytes_cmp(struct bytes a, struct bytes b)
{
    size_t len = a.len < b.len ? a.len : b.len;
    int order = len == 0 ? 0 : memcmp(a.ptr, b.ptr, len);

    if (order != 0) return order;
    return (a.len > b.len) - (a.len < b.len);
}

bool bytes_equal_secret(struct bytes a, struct bytes b)
{
    uint8_t differs = 0;

    if (a.len != b.len) return false;
    for (size_t i = 0; i < a.len; i++) differs |= a.ptr[i] ^ b.ptr[i];
    return differs == 0;
}

void buf_fini(struct buf *b)
{
    free(b->ptr);
    *b = (struct buf){ 0 };
}

void buf_clear(struct buf *b)
{
    b->len = 0;
}

void buf_grow(struct buf *b, size_t more)
{
    size_t cap = b->cap == 0 ? 64 : b->cap;

    while (cap - b->len < more) {
        CHECK(cap <= SIZE_MAX / 2);
        cap *= 2;
    }
    b->ptr = mem_grow(b->ptr, cap);
    b->cap = cap;
}

void buf_drop(struct buf *b, size_t count)
{
    CHECK(count <= b->len);
    if (count == 0) return;
    memmove(b->ptr, b->ptr + count, b->len - count);
    b->len -= count;
}

void buf_put_u32(struct buf *b, uint32_t v)
{
    buf_reserve(b, 4);
    put_u32(b->ptr + b->len, v);
    b->len += 4;
}

void buf_put_u64(struct buf *b, uint64_t v)
{
    buf_reserve(b, 8);
    put_u64(b->ptr + b->len, v);
    b->len += 8;
}

void buf_put_uint(struct buf *b, uint64_t v)
{
    buf_reserve(b, 10);
    while (v >= 0x80) {
        b->ptr[b->len++] = (uint8_t) (v | 0x80);
        v >>= 7;
    }
    b->ptr[b->len++] = (uint8_t) v;
}

void buf_put_bytes(struct buf *b, struct bytes s)
{
    if (s.ptr == NULL) {
        CHECK(s.len == 0);
        buf_put_uint(b, 0);
        return;
    }
    buf_put_uint(b, (uint64_t) s.len + 1);
    buf_put(b, s.ptr, s.len);
}

void buf_set_u32(struct buf *b, size_t at, uint32_t v)
{
    CHECK(b->len >= 4);
    CHECK(at <= b->len - 4);
    put_u32(b->ptr + at, v);
}

/* The next `len` bytes, or NULL and `bad`.  An empty read of an empty reader is fine. */
static const uint8_t *take(struct reader *r, size_t len)
{
    static const uint8_t nothing[1];
    const uint8_t *at = r->at;

    if (r->bad || len > reader_left(r)) {
        r->bad = true;
        return NULL;
    }
    if (len == 0) return at == NULL ? nothing : at;
    r->at += len;
    return at;
}

uint32_t read_u32(struct reader *r)
{
    const uint8_t *at = take(r, 4);

    return at == NULL ? 0 : get_u32(at);
}

uint64_t read_u64(struct reader *r)
{
    const uint8_t *at = take(r, 8);

    return at == NULL ? 0 : get_u64(at);
}

uint64_t read_uint_long(struct reader *r)
{
    uint64_t v = 0;

    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint8_t byte = read_u8(r);

        if (r->bad) return 0;
        if (shift == 63 && byte > 1) break; /* would not fit in 64 bits */
        v |= (uint64_t) (byte & 0x7f) << shift;
        if (byte < 0x80) return v;
    }
    r->bad = true;
    return 0;
}

struct bytes read_bytes(struct reader *r, size_t len_max)
{
    uint64_t len = read_uint(r);

    if (r->bad || len == 0) return (struct bytes){ 0 };
    if (len - 1 > len_max) {
        r->bad = true;
        return (struct bytes){ 0 };
    }
    return read_raw(r, (size_t) (len - 1));
}

struct bytes read_raw(struct reader *r, size_t len)
{
    const uint8_t *at = take(r, len);

    return at == NULL ? (struct bytes){ 0 } : bytes_of(at, len);
}

bool reader_done(const struct reader *r)
{
    return !r->bad && r->at == r->end;
}
