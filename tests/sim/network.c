/* network.c -- frames between nodes: late, lost, doubled, out of order, cut off. */
#include <stdlib.h>

#include "core/base/check.h"
#include "tests/sim/sim.h"

struct flight {
    uint32_t from, to;
    uint64_t life; /* of the sender: frames outlive it, as packets do */
    size_t len;
    uint8_t frame[];
};

static void arrive(struct world *w, void *ctx)
{
    struct flight *f = ctx;
    struct server *to = &w->nodes[f->to - 1];

    if (to->up && !w->cut[f->from - 1][f->to - 1]) {
        if (!replica_receive(to->replica, node_time(to), f->from,
                             bytes_of(f->frame, f->len))) {
            broken(w, "node %u refused a frame of node %u", f->to, f->from);
        }
        node_soon(to);
    }
    free(f);
}

static void fly(struct world *w, uint32_t from, uint32_t to, struct bytes frame)
{
    struct flight *f = mem_alloc(sizeof *f + frame.len);
    uint64_t delay_us = 100 + rng_below(&w->rng, 2000);

    if (chance(w, w->options.slow_permille)) delay_us += rng_below(&w->rng, 200000);
    *f = (struct flight){ .from = from, .to = to, .len = frame.len };
    memcpy(f->frame, frame.ptr, frame.len);
    w->stats.frames++;
    world_at(w, delay_us, arrive, f);
}

static void leave(struct server *from, nodes_set to, struct bytes frame)
{
    struct world *w = from->world;

    checks_leaves(w, from, frame);
    for (uint32_t id = 1; id <= w->options.nodes; id++) {
        if ((to & node_bit(id)) == 0 || w->cut[from->id - 1][id - 1]) continue;
        if (!w->healed && chance(w, w->options.loss_permille)) continue;
        fly(w, from->id, id, frame);
        if (!w->healed && chance(w, w->options.double_permille)) fly(w, from->id, id, frame);
    }
}

void network_send(struct server *from, nodes_set to, uint64_t after, struct bytes frame)
{
    if (after <= from->disk.seq_durable) {
        leave(from, to, frame);
        return;
    }

    struct held *h = mem_zalloc(sizeof *h);

    h->after = after;
    h->to = to;
    buf_put_bytes_raw(&h->frame, frame);
    list_push(&from->held, &h->link);
}

static void held_free(struct held *h)
{
    list_remove(&h->link);
    buf_fini(&h->frame);
    free(h);
}

void network_release(struct server *from)
{
    LIST_EACH_SAFE(at, after, &from->held)
    {
        struct held *h = CONTAINER_OF(at, struct held, link);

        if (h->after > from->disk.seq_durable) continue;
        leave(from, h->to, buf_bytes(&h->frame));
        held_free(h);
    }
}

void network_drop_held(struct server *n)
{
    LIST_EACH_SAFE(at, after, &n->held) held_free(CONTAINER_OF(at, struct held, link));
}
