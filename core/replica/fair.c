#include "core/replica/fair.h"

#include <stdlib.h>

#include "core/base/bytes.h"
#include "core/base/check.h"
#include "core/base/hash.h"

static uint64_t hash_of(uint32_t origin, uint64_t number)
{
    return hash_u64(number, origin);
}

void fair_init(struct fair *f)
{
    *f = (struct fair){ 0 };
    list_init(&f->ring);
    list_init(&f->spare);
}

void fair_fini(struct fair *f)
{
    CHECK(f->count == 0 && list_empty(&f->ring));
    while (!list_empty(&f->spare)) {
        struct fair_flow *flow = LIST_FIRST(&f->spare, struct fair_flow, in_ring);
        list_remove(&flow->in_ring);
        free(flow);
    }
    table_fini(&f->flows);
}

static struct fair_flow *find(const struct fair *f, uint32_t origin, uint64_t number)
{
    if (f->flows.count == 0) return NULL;
    struct table_link *at = table_chain(&f->flows, hash_of(origin, number));

    for (; at != NULL; at = at->next) {
        struct fair_flow *flow = CONTAINER_OF(at, struct fair_flow, link);
        if (flow->origin == origin && flow->number == number) return flow;
    }
    return NULL;
}

static struct fair_flow *begin_flow(struct fair *f, uint32_t origin, uint64_t number)
{
    struct fair_flow *flow;

    if (list_empty(&f->spare)) {
        flow = mem_zalloc(sizeof *flow);
        list_init(&flow->in_ring);
        list_init(&flow->items);
    } else {
        flow = LIST_FIRST(&f->spare, struct fair_flow, in_ring);
        list_remove(&flow->in_ring);
    }
    flow->origin = origin;
    flow->number = number;
    table_add(&f->flows, &flow->link, hash_of(origin, number));
    list_push(&f->ring, &flow->in_ring);
    return flow;
}

void fair_push(struct fair *f, uint32_t origin, uint64_t number, struct fair_item *item)
{
    CHECK(!fair_holds(item));
    struct fair_flow *flow = find(f, origin, number);
    if (flow == NULL) flow = begin_flow(f, origin, number);
    item->flow = flow;
    list_push(&flow->items, &item->link);
    f->count++;
}

struct fair_item *fair_first(const struct fair *f)
{
    if (list_empty(&f->ring)) return NULL;
    const struct fair_flow *flow = LIST_FIRST(&f->ring, struct fair_flow, in_ring);
    return LIST_FIRST(&flow->items, struct fair_item, link);
}

void fair_remove(struct fair *f, struct fair_item *item)
{
    struct fair_flow *flow = item->flow;

    CHECK(fair_holds(item) && f->count > 0);
    list_remove(&item->link);
    item->flow = NULL;
    f->count--;
    if (!list_empty(&flow->items)) return;
    if (f->ring.next == &flow->in_ring) f->spent = 0;
    list_remove(&flow->in_ring);
    table_remove(&f->flows, &flow->link);
    list_push(&f->spare, &flow->in_ring);
}

void fair_end(struct fair *f, uint64_t cost)
{
    struct fair_flow *flow = LIST_FIRST(&f->ring, struct fair_flow, in_ring);

    CHECK(f->count > 0);
    f->spent += cost;
    fair_remove(f, LIST_FIRST(&flow->items, struct fair_item, link));
    if (f->spent < FAIR_TURN) return;
    f->spent = 0;
    list_remove(&flow->in_ring);
    list_push(&f->ring, &flow->in_ring);
}
