/* clock.h -- the time that the replica goes by.
 *
 * CLOCK_BOOTTIME goes on while the machine sleeps, so a leader that wakes up knows that its
 * lease is over. It is read anew for each input, after what the input is about: leases rest
 * on that (core/paxos/paxos.h). */
#ifndef CORE_SERVER_CLOCK_H
#define CORE_SERVER_CLOCK_H

#include <time.h>

#include "core/replica/replica.h"

static inline int64_t clock_ms(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static inline struct replica_time clock_now(void)
{
    return (struct replica_time){ .now_ms = (uint64_t)clock_ms(CLOCK_BOOTTIME) + 1,
                                  .wall_ms = clock_ms(CLOCK_REALTIME) };
}

#endif
