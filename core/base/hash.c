#define XXH_INLINE_ALL
#include "core/base/hash.h"

#include <xxhash.h>

uint64_t hash_bytes(struct bytes s, uint64_t seed)
{
    return XXH3_64bits_withSeed(s.ptr, s.len, seed);
}

uint64_t hash_u64(uint64_t v, uint64_t seed)
{
    uint8_t at[8];

    put_u64(at, v);
    return XXH3_64bits_withSeed(at, sizeof at, seed);
}
