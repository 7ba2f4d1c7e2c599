/* nodes.h -- sets of servers, counted. */
#ifndef CORE_PAXOS_NODES_H
#define CORE_PAXOS_NODES_H

#include "core/paxos/types.h"

static inline uint32_t nodes_count(nodes_set set)
{
    return (uint32_t)__builtin_popcount(set);
}

/* True when `some` are a majority of `voters`.  The only place that knows what a quorum is:
 * any two of them share a server. */
static inline bool nodes_quorum(nodes_set some, nodes_set voters)
{
    return nodes_count(some & voters) > nodes_count(voters) / 2;
}

static inline bool nodes_has(nodes_set set, uint32_t id)
{
    return id >= 1 && id <= NODES_MAX && (set & node_bit(id)) != 0;
}

#endif
