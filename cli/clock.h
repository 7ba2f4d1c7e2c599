/* clock.h -- the command line's one clock: CLOCK_BOOTTIME in milliseconds. It goes on while
 * the machine sleeps, as the leases of sessions do. */
#ifndef CLI_CLOCK_H
#define CLI_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline uint64_t clock_now_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_BOOTTIME, &t);
    return (uint64_t) t.tv_sec * 1000000 + (uint64_t) t.tv_nsec / 1000;
}

static inline uint64_t clock_now_ms(void)
{
    return clock_now_us() / 1000;
}

#endif
