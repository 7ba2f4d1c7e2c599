/* fair.h -- a queue of things in flows, which take turns; within a flow they keep their order.
 *
 * A flow is what one client's connection asks of one server (the origin). So one that asks for
 * thousands of things costs the others a turn of its own at a time, and not all of them. A
 * turn is some cheap things, or a dear one: what lies together is done together.
 * The queue owns none of the things; they bring their item. Pure; flows that are empty cost
 * nothing. */
#ifndef CORE_REPLICA_FAIR_H
#define CORE_REPLICA_FAIR_H

#include "core/base/list.h"
#include "core/machine/table.h"

struct fair_flow {
    struct table_link link;
    struct list in_ring; /* of those that have items; or of the spare ones */
    struct list items;
    uint32_t origin;
    uint64_t number;
};

struct fair_item { /* zeroed: in no queue */
    struct list link;
    struct fair_flow *flow; /* NULL: in none */
};

enum { FAIR_TURN = 32 }; /* what a flow may cost before it is another one's turn */

struct fair {
    struct table flows;
    struct list ring, spare;
    size_t count; /* items */
    uint64_t spent; /* of the turn of the first flow */
};

void fair_init(struct fair *f);
void fair_fini(struct fair *f); /* it is empty (CHECK) */

/* Behind all of its flow; a flow that had none goes behind all others. */
void fair_push(struct fair *f, uint32_t origin, uint64_t flow, struct fair_item *item);
/* Whose turn it is; NULL: the queue is empty. The same until it is removed. */
struct fair_item *fair_first(const struct fair *f);
/* The first item, which has cost so much (1 = a cheap one): it leaves. */
void fair_end(struct fair *f, uint64_t cost);
/* Any item. */
void fair_remove(struct fair *f, struct fair_item *item);

static inline bool fair_holds(const struct fair_item *item)
{
    return item->flow != NULL;
}

#endif
