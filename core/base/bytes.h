/* bytes.h -- slices, growing buffers, and the little-endian encoding of everything that we
 * store or send between servers.
 *
 * A `struct bytes` borrows; whoever hands one out says how long it lives.  A `struct buf`
 * owns.  A `struct reader` walks untrusted bytes: the first read past the end sets `bad`,
 * every later read gives zero, and the caller asks once at the end.
 * Memory that cannot be had stops the process (mem_alloc): a server that drops a part of a
 * transaction is worse than one that restarts.
 *
 * What runs some dozen times for every request stands here as `static inline`: as calls
 * these few lines took an eighth of the time that resolving and applying a write takes. */
#ifndef CORE_BASE_BYTES_H
#define CORE_BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* malloc, calloc and realloc that never return NULL; free with free(). */
void *mem_alloc(size_t size);
void *mem_zalloc(size_t size);
void *mem_grow(void *ptr, size_t size);

struct bytes {
    const uint8_t *ptr; /* NULL is "null data", which is not empty data */
    size_t len;
};

static inline struct bytes bytes_of(const void *ptr, size_t len)
{
    return (struct bytes){ .ptr = ptr, .len = len };
}

static inline struct bytes bytes_str(const char *str)
{
    return bytes_of(str, strlen(str));
}

#define BYTES_LIT(lit) ((struct bytes){ (const uint8_t *) (lit), sizeof(lit) - 1 })

static inline bool bytes_equal(struct bytes a, struct bytes b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

/* Like memcmp, the shorter first when one is the start of the other. */
int bytes_cmp(struct bytes a, struct bytes b);

/* Equal or not in a time that depends on the lengths only; for secrets. */
bool bytes_equal_secret(struct bytes a, struct bytes b);

struct buf {
    uint8_t *ptr;
    size_t len;
    size_t cap;
};

void buf_fini(struct buf *b); /* frees; the buf is empty and usable again */
void buf_clear(struct buf *b); /* forgets the content, keeps the memory */
void buf_grow(struct buf *b, size_t more); /* for buf_reserve() */
void buf_drop(struct buf *b, size_t count); /* removes the first `count` bytes */

/* Room for `more` bytes beyond len. */
static inline void buf_reserve(struct buf *b, size_t more)
{
    if (b->cap - b->len < more) buf_grow(b, more);
}

static inline void buf_put(struct buf *b, const void *ptr, size_t len)
{
    if (len == 0) return;
    buf_reserve(b, len);
    memcpy(b->ptr + b->len, ptr, len);
    b->len += len;
}

static inline void buf_put_bytes_raw(struct buf *b, struct bytes s)
{
    buf_put(b, s.ptr, s.len);
}

static inline void buf_put_u8(struct buf *b, uint8_t v)
{
    buf_reserve(b, 1);
    b->ptr[b->len++] = v;
}

void buf_put_u32(struct buf *b, uint32_t v); /* fixed, little-endian */
void buf_put_u64(struct buf *b, uint64_t v); /* fixed, little-endian */
void buf_put_uint(struct buf *b, uint64_t v); /* 1..10 bytes, LEB128 */
void buf_put_bytes(struct buf *b, struct bytes s); /* LEB128 of len + 1 (0 = null), content */

void buf_set_u32(struct buf *b, size_t at, uint32_t v); /* overwrites 4 bytes at `at` */

static inline struct bytes buf_bytes(const struct buf *b)
{
    return bytes_of(b->ptr, b->len);
}

/* Written out byte by byte, not as loops: so compilers make one move of each. */
static inline void put_u32(uint8_t *at, uint32_t v)
{
    at[0] = (uint8_t) v;
    at[1] = (uint8_t) (v >> 8);
    at[2] = (uint8_t) (v >> 16);
    at[3] = (uint8_t) (v >> 24);
}

static inline void put_u64(uint8_t *at, uint64_t v)
{
    put_u32(at, (uint32_t) v);
    put_u32(at + 4, (uint32_t) (v >> 32));
}

static inline uint32_t get_u32(const uint8_t *at)
{
    return (uint32_t) at[0] | (uint32_t) at[1] << 8 | (uint32_t) at[2] << 16 |
           (uint32_t) at[3] << 24;
}

static inline uint64_t get_u64(const uint8_t *at)
{
    return (uint64_t) get_u32(at) | (uint64_t) get_u32(at + 4) << 32;
}

/* Big-endian: keys that sort by number. */
static inline void put_u64_be(uint8_t *at, uint64_t v)
{
    put_u64(at, __builtin_bswap64(v));
}

static inline uint64_t get_u64_be(const uint8_t *at)
{
    return __builtin_bswap64(get_u64(at));
}

struct reader {
    const uint8_t *at;
    const uint8_t *end;
    bool bad;
};

static inline struct reader reader_of(struct bytes s)
{
    return (struct reader){ .at = s.ptr, .end = s.ptr == NULL ? s.ptr : s.ptr + s.len };
}

static inline size_t reader_left(const struct reader *r)
{
    return r->bad ? 0 : (size_t) (r->end - r->at);
}

static inline uint8_t read_u8(struct reader *r)
{
    if (reader_left(r) > 0) return *r->at++;
    r->bad = true;
    return 0;
}

uint32_t read_u32(struct reader *r);
uint64_t read_u64(struct reader *r);
uint64_t read_uint_long(struct reader *r); /* for read_uint() */

static inline uint64_t read_uint(struct reader *r)
{
    if (reader_left(r) > 0 && *r->at < 0x80) return *r->at++;
    return read_uint_long(r);
}

/* What buf_put_bytes() wrote; borrowed from the reader's bytes.  A length past the end or
 * over `len_max` is bad. */
struct bytes read_bytes(struct reader *r, size_t len_max);
struct bytes read_raw(struct reader *r, size_t len);

/* True when nothing was bad and nothing is left over. */
bool reader_done(const struct reader *r);

#endif
