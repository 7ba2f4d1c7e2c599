#include "core/client/creation.h"

#include "core/rpc/rpc.h"

static uint32_t flags_count(unsigned flags)
{
    const unsigned known = TL_EPHEMERAL | TL_SEQUENTIAL | TL_PARENTS | TL_CONTAINER;

    return (uint32_t) __builtin_popcount(flags & known);
}

uint32_t creation_count(const tl_creation *how)
{
    return flags_count(how->flags) + (how->ttl_ms > 0) + (how->linger_ms > 0);
}

void creation_pack(struct buf *b, const tl_creation *how)
{
    const unsigned flags = how->flags;

    if (flags & TL_EPHEMERAL) {
        pack_cstr(b, "ephemeral");
        pack_bool(b, true);
    }
    if (flags & TL_SEQUENTIAL) {
        pack_cstr(b, "sequential");
        pack_bool(b, true);
    }
    if (flags & TL_PARENTS) {
        pack_cstr(b, "parents");
        pack_bool(b, true);
    }
    if (flags & TL_CONTAINER) {
        pack_cstr(b, "container");
        pack_bool(b, true);
    }
    if (how->ttl_ms > 0) {
        pack_cstr(b, "ttl_ms");
        pack_uint(b, how->ttl_ms);
    }
    if (how->linger_ms > 0) {
        pack_cstr(b, "linger_ms");
        pack_uint(b, how->linger_ms);
    }
}
