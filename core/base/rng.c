#include "core/base/rng.h"

#include "core/base/check.h"

void rng_init(struct rng *r, uint64_t seed)
{
    /* Seeds such as 1, 2, 3 must not give neighbouring histories: splitmix64 first. */
    uint64_t z = seed + UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    z ^= z >> 31;
    r->state = z == 0 ? 1 : z;
}

uint64_t rng_next(struct rng *r)
{
    r->state ^= r->state >> 12;
    r->state ^= r->state << 25;
    r->state ^= r->state >> 27;
    return r->state * UINT64_C(2685821657736338717);
}

uint64_t rng_below(struct rng *r, uint64_t bound)
{
    CHECK(bound > 0);
    return rng_next(r) % bound;
}
