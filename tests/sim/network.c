/* network.c -- frames between nodes: late, lost, doubled, out of order, clogged, cut off,
 * and old ones that come again. */
#include <stdlib.h>

#include "core/base/check.h"
#include "tests/sim/sim.h"

struct flight {
    uint32_t from, to; /* frames outlive their sender's life, as packets do */
    uint64_t from_incarnation, to_incarnation; /* the ends of their connection */
    size_t len;
    uint8_t frame[];
};

static void arrive(struct world *w, void *ctx)
{
    struct flight *f = ctx;
    struct server *to = &w->nodes[f->to - 1];

    if (node_defers(to, arrive, f)) return;
    if (to->up && to->incarnation == f->to_incarnation && !w->cut[f->from - 1][f->to - 1]) {
        const struct replica_peer from = { f->from, f->from_incarnation };

        if (!replica_receive(to->replica, node_time(to), from,
                             bytes_of(f->frame, f->len))) {
            broken(w, "node %u refused a frame of node %u", f->to, f->from);
        }
        node_soon(to);
    }
    free(f);
}

static struct flight *flight_new(struct world *w, uint32_t from, uint32_t to,
                                 struct bytes frame)
{
    struct flight *f = mem_alloc(sizeof *f + frame.len);

    *f = (struct flight){ .from = from, .to = to, .len = frame.len };
    f->from_incarnation = w->nodes[from - 1].incarnation;
    f->to_incarnation = w->nodes[to - 1].incarnation;
    memcpy(f->frame, frame.ptr, frame.len);
    return f;
}

/* As on one connection: nothing overtakes what was sent before. */
static uint64_t behind(struct world *w, uint64_t *newest_us, uint64_t delay_us)
{
    if (w->now_us + delay_us > *newest_us) *newest_us = w->now_us + delay_us;
    return *newest_us - w->now_us;
}

static void fly(struct world *w, uint32_t from, uint32_t to, struct bytes frame)
{
    uint64_t delay_us = 100 + rng_below(&w->rng, w->options.flight_us);
    uint64_t free_us = w->clogged_until_us[from - 1][to - 1];

    if (w->healed == 0 && chance(w, w->options.slow_permille)) {
        delay_us += rng_below(&w->rng, 200000);
        w->stats.late++;
    }
    if (free_us > w->now_us) delay_us += free_us - w->now_us;
    if (w->options.ordered) delay_us = behind(w, &w->newest_us[from - 1][to - 1], delay_us);
    w->stats.frames++;
    world_at(w, delay_us, arrive, flight_new(w, from, to, frame));
}

/* --- old frames that come again --- */

/* Some frames are kept aside, one in so many, and may arrive a second time much later. */
static void remember(struct world *w, uint32_t from, uint32_t to, struct bytes frame)
{
    struct flight **place = &w->old_frames[rng_below(&w->rng, OLD_FRAMES)];

    if ((w->options.faults & FAULT_BIT(REPLAY)) == 0 || !chance(w, 50)) return;
    free(*place);
    *place = flight_new(w, from, to, frame);
}

bool network_replay(struct world *w)
{
    bool some = false;

    for (uint32_t i = 0; i < OLD_FRAMES; i++) {
        if (w->old_frames[i] == NULL) continue;
        world_at(w, rng_below(&w->rng, 100000), arrive, w->old_frames[i]);
        w->old_frames[i] = NULL;
        some = true;
    }
    return some;
}

void network_fini(struct world *w)
{
    for (uint32_t i = 0; i < OLD_FRAMES; i++)
        free(w->old_frames[i]);
}

/* --- sending --- */

static bool unlucky(struct world *w, uint32_t permille, uint64_t *count)
{
    if (w->healed != 0 || !chance(w, permille)) return false;
    ++*count;
    return true;
}

static void leave(struct server *from, nodes_set to, struct bytes frame)
{
    struct world *w = from->world;

    checks_leaves(w, from, frame);
    for (uint32_t id = 1; id <= w->options.nodes; id++) {
        if ((to & node_bit(id)) == 0 || w->cut[from->id - 1][id - 1]) continue;
        if (node_dies_here(from)) return; /* some hear it, the others never will */
        if (unlucky(w, w->options.loss_permille, &w->stats.lost)) continue;
        fly(w, from->id, id, frame);
        remember(w, from->id, id, frame);
        if (unlucky(w, w->options.double_permille, &w->stats.doubled)) {
            fly(w, from->id, id, frame);
        }
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
