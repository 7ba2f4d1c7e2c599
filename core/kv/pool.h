/* pool.h -- inside of an overlay: the memory of its entries. For core/kv/ only.
 *
 * Entries come and go a dozen times for every request, most of them of a few hundred bytes,
 * so small blocks are cut from chunks; a block given back waits in a list of its size, and
 * clearing gives back all of them without a look at any. A LARGE block is malloc's own: it
 * can change its owner, and whoever clears has freed each before.
 *
 * Invariant: `large` is the number of large blocks that are out. */
#ifndef CORE_KV_POOL_H
#define CORE_KV_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    KV_POOL_STEP = 32, /* small blocks are multiples of that */
    KV_POOL_SIZES = 32,
#ifdef __SANITIZE_ADDRESS__
    KV_POOL_SMALL_MAX = 0, /* all are large: whoever uses one that is gone is caught */
#else
    KV_POOL_SMALL_MAX = KV_POOL_STEP * KV_POOL_SIZES,
#endif
};

struct kv_pool {
    struct kv_chunk *chunks; /* the one in use first */
    uint8_t *next, *end;     /* what is left of that */
    void *idle[KV_POOL_SIZES];
    size_t large;
};

/* What a block of `size` bytes holds in truth. */
static inline size_t kv_pool_room(size_t size)
{
    if (size > KV_POOL_SMALL_MAX) return size;
    return (size + KV_POOL_STEP - 1) / KV_POOL_STEP * KV_POOL_STEP;
}

static inline bool kv_pool_is_large(size_t room)
{
    return room > KV_POOL_SMALL_MAX;
}

/* `room` is not 0 and comes from kv_pool_room(). */
void *kv_pool_alloc(struct kv_pool *p, size_t room);
void kv_pool_free(struct kv_pool *p, void *block, size_t room);

/* A large block of `from` is one of `to` from now on. */
void kv_pool_pass(struct kv_pool *from, struct kv_pool *to);

/* Every small block is gone; no large one is out. Keeps a chunk for what comes next. */
void kv_pool_clear(struct kv_pool *p);
void kv_pool_fini(struct kv_pool *p);

#endif
