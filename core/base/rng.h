/* rng.h -- xorshift64*: the same seed gives the same numbers on every machine.
 *
 * For election timeouts, jitter and the simulator.  Never for secrets: those come from the
 * operating system. */
#ifndef CORE_BASE_RNG_H
#define CORE_BASE_RNG_H

#include <stdint.h>

struct rng {
    uint64_t state; /* never 0 */
};

void rng_init(struct rng *r, uint64_t seed);
uint64_t rng_next(struct rng *r);
uint64_t rng_below(struct rng *r, uint64_t bound); /* 0 .. bound - 1; bound > 0 */

#endif
