/* types.h -- the words of Paxos that every part of it, the log and the replica share. */
#ifndef CORE_PAXOS_TYPES_H
#define CORE_PAXOS_TYPES_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/blob.h"
#include "core/base/limits.h"

/* Ordered by round, then by node; node breaks ties, so no two nodes share one. */
struct ballot {
    uint64_t round; /* 0 = no ballot; real rounds start at 1 */
    uint32_t node;  /* 1..NODES_MAX */
};

static inline int ballot_cmp(struct ballot a, struct ballot b)
{
    if (a.round != b.round) return a.round < b.round ? -1 : 1;
    return (a.node > b.node) - (a.node < b.node);
}

/* A set of nodes: bit (id - 1). */
typedef uint32_t nodes_set;

static inline nodes_set node_bit(uint32_t id)
{
    return (nodes_set) 1 << (id - 1);
}

/* A configuration: who votes, and who only learns.  See members.h. */
struct members {
    uint32_t number; /* rises by one with each change; 0 = none: no change, none known */
    nodes_set voters, learners;
};

/* What a slot may hold.  `reign` is the ballot of the leader that created the batch, and
 * stays with it when a later leader proposes it again under its own ballot; the run rule
 * (run.h) needs both.  A hole that recovery fills has reign {0, 0} and no batch. */
struct proposal {
    struct ballot reign;
    uint64_t reign_first; /* the first slot of that reign */
    struct blob *batch;   /* NULL: a no-op.  Who stores a proposal holds a reference */
    struct members members; /* what the batch changes the configuration to; number 0: it
                               does not */
};

struct vote {
    uint64_t slot; /* 0 = no vote; real slots start at 1 */
    struct ballot ballot;
    struct proposal proposal;
};

#endif
