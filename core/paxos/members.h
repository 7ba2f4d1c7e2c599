/* members.h -- which changes of the configuration count.
 *
 * A change stands in a slot like any batch and takes force behind it, on every server at
 * the same slot: when the run rule lets its batch count (run.h) and it follows on the
 * configuration in force.  Else it is void, although its slot is chosen.  A leader only
 * proposes what follows, so a change that counts by the run rule follows too; that it is
 * looked at once more costs nothing.
 *
 * One voter changes at a time, so that quorums before and after share a server: the proof
 * in README.md needs that.  A server that knows no configuration yet (number 0: it joined
 * with an empty state) takes the first change that counts as a whole. */
#ifndef CORE_PAXOS_MEMBERS_H
#define CORE_PAXOS_MEMBERS_H

#include "core/paxos/types.h"

static inline nodes_set members_all(const struct members *m)
{
    return m->voters | m->learners;
}

/* Somebody votes, nobody is both, none is beyond NODES_MAX; or all is 0: none known. */
bool members_are_sound(const struct members *m);

/* Whether `after` may be the next configuration. */
bool members_follow(const struct members *before, const struct members *after);

/* `p` was chosen and `counted` by the run rule.  True: it changed `m`. */
bool members_take(struct members *m, const struct proposal *p, bool counted);

#endif
