#include "core/kv/pool.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/bytes.h"
#include "core/base/check.h"

enum { CHUNK_BYTES = 64 << 10 };

struct kv_chunk {
    struct kv_chunk *next;
    uint64_t padding; /* so that blocks lie as malloc's would */
    uint8_t bytes[];
};

/* A block that was given back. */
struct idle {
    struct idle *next;
};

static void use_first_chunk(struct kv_pool *p)
{
    p->next = p->chunks->bytes;
    p->end = (uint8_t *) p->chunks + CHUNK_BYTES;
}

static void *cut(struct kv_pool *p, size_t room)
{
    if ((size_t) (p->end - p->next) < room) {
        struct kv_chunk *c = mem_alloc(CHUNK_BYTES);

        c->next = p->chunks;
        p->chunks = c;
        use_first_chunk(p);
    }
    p->next += room;
    return p->next - room;
}

static void **idle_of(struct kv_pool *p, size_t room)
{
    CHECK(room > 0);
    return &p->idle[room / KV_POOL_STEP - 1];
}

void *kv_pool_alloc(struct kv_pool *p, size_t room)
{
    if (kv_pool_is_large(room)) {
        p->large++;
        return mem_alloc(room);
    }
    void **idle = idle_of(p, room);
    struct idle *block = *idle;

    if (block == NULL) return cut(p, room);
    *idle = block->next;
    return block;
}

void kv_pool_free(struct kv_pool *p, void *block, size_t room)
{
    if (kv_pool_is_large(room)) {
        p->large--;
        free(block);
        return;
    }
    void **idle = idle_of(p, room);

    ((struct idle *) block)->next = *idle;
    *idle = block;
}

void kv_pool_pass(struct kv_pool *from, struct kv_pool *to)
{
    CHECK(from->large > 0);
    from->large--;
    to->large++;
}

static void free_chunks(struct kv_chunk *c)
{
    while (c != NULL) {
        struct kv_chunk *next = c->next;

        free(c);
        c = next;
    }
}

void kv_pool_clear(struct kv_pool *p)
{
    CHECK(p->large == 0);
    memset(p->idle, 0, sizeof p->idle);
    if (p->chunks == NULL) return;
    free_chunks(p->chunks->next);
    p->chunks->next = NULL;
    use_first_chunk(p);
}

void kv_pool_fini(struct kv_pool *p)
{
    CHECK(p->large == 0);
    free_chunks(p->chunks);
    *p = (struct kv_pool){ 0 };
}
