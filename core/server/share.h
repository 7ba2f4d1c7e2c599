/* share.h -- what one connection may take of what all share: the work of a turn, places for
 * requests, memory.
 *
 * A TURN has work for so much (TURN_COST), and a connection has a slice of it. Whoever has
 * spent its slice, or comes when the turn is spent, goes on in the next turn, behind those
 * that wait already; so it costs the others one turn at most, however much it asks for. Of a
 * turn `any` reads may spend half, so they come last; what keeps sessions alive and what
 * administers the service is done all the same.
 *
 * PLACES AND MEMORY  A connection may hold a quarter of what is free, and a little in any
 * case. So those that ask for much get equal parts, and leave enough for one that comes.
 *
 * Cost is counted and not measured: one unit, near a microsecond, for a request, and one for
 * so many bytes of it or of its answer. Pure. */
#ifndef CORE_SERVER_SHARE_H
#define CORE_SERVER_SHARE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/limits.h"

enum {
    SHARE_TURN_COST = LIMIT(8192, 64), /* less than a heartbeat may be late */
    SHARE_SLICE_COST = LIMIT(2048, 16),
    SHARE_UNIT_BYTES = 32,
    SHARE_PART = 4,     /* of what is free: one such part */
    SHARE_JOBS_MIN = 8, /* in any case */
};

struct shares { /* of all */
    uint64_t turn;
    uint32_t spent;
};

struct share { /* of one */
    uint64_t turn; /* the one that `spent` is about */
    uint32_t spent;
};

void shares_next_turn(struct shares *all);
/* A request, or its answer, of so many bytes. */
void share_spend(struct shares *all, struct share *one, size_t bytes);
/* It waits for the next turn. */
bool share_is_over(const struct shares *all, const struct share *one);
/* So does everybody; `last`: whoever comes last. */
bool shares_are_over(const struct shares *all, bool last);

/* What one may hold of `max` when `used` of it are in use by all. */
uint64_t share_of(uint64_t max, uint64_t used, uint64_t min);

#endif
