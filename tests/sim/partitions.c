/* partitions.c -- links that are cut, in the shapes that are known to hurt. */
#include "tests/sim/sim.h"

static void mend(struct world *w, void *ctx)
{
    (void)ctx;
    for (uint32_t a = 0; a < w->options.nodes; a++) {
        for (uint32_t b = 0; b < w->options.nodes; b++) {
            if (w->cut[a][b]) node_peer_up(&w->nodes[a], b + 1);
        }
    }
    memset(w->cut, 0, sizeof w->cut);
    trace(w, "the network is whole");
}

void partitions_mend(struct world *w)
{
    mend(w, NULL);
}

/* Half of the partitions are noticed as closed connections, the others are silence. */
static void cut_link(struct world *w, uint32_t a, uint32_t b, bool told)
{
    w->cut[a][b] = true;
    if (told) node_peer_down(&w->nodes[b], a + 1);
}

typedef bool (*apart_fn)(uint32_t nodes, uint32_t one, uint32_t sides, uint32_t a,
                         uint32_t b);

static bool partition(struct world *w, apart_fn apart)
{
    uint32_t n = w->options.nodes, one = (uint32_t)rng_below(&w->rng, n);
    uint32_t sides = (uint32_t)rng_next(&w->rng) >> 8;
    bool told = chance(w, 500);

    for (uint32_t a = 0; a < n; a++) {
        for (uint32_t b = 0; b < n; b++) {
            /* Places in the shape are counted from node `one`. */
            if (a != b && apart(n, one, sides, (a + n - one) % n, (b + n - one) % n)) {
                cut_link(w, a, b, told);
            }
        }
    }
    world_at(w, 50000 + rng_below(&w->rng, 1200000), mend, NULL);
    return true;
}

static bool apart_halves(uint32_t n, uint32_t one, uint32_t sides, uint32_t a, uint32_t b)
{
    (void)n;
    (void)one;
    return (sides >> a & 1) != (sides >> b & 1);
}

static bool apart_one(uint32_t n, uint32_t one, uint32_t sides, uint32_t a, uint32_t b)
{
    (void)n;
    (void)one;
    (void)sides;
    return a == 0 || b == 0;
}

/* One node hears and is not heard, or the other way round. */
static bool apart_one_way(uint32_t n, uint32_t one, uint32_t sides, uint32_t a, uint32_t b)
{
    (void)n;
    (void)one;
    return (sides & 1) != 0 ? a == 0 : b == 0;
}

static bool apart_ring(uint32_t n, uint32_t one, uint32_t sides, uint32_t a, uint32_t b)
{
    (void)one;
    (void)sides;
    return (a + 1) % n != b && (b + 1) % n != a;
}

static bool apart_chain(uint32_t n, uint32_t one, uint32_t sides, uint32_t a, uint32_t b)
{
    (void)n;
    (void)one;
    (void)sides;
    return a + 1 != b && b + 1 != a;
}

/* Two halves that only one node joins. */
static bool apart_bridge(uint32_t n, uint32_t one, uint32_t sides, uint32_t a, uint32_t b)
{
    (void)one;
    (void)sides;
    return a != 0 && b != 0 && (a <= n / 2) != (b <= n / 2);
}

/* All hear only one another node: nobody else has a quorum. */
static bool apart_star(uint32_t n, uint32_t one, uint32_t sides, uint32_t a, uint32_t b)
{
    (void)n;
    (void)one;
    (void)sides;
    return a != 0 && b != 0;
}

bool fault_halves(struct world *w)
{
    return partition(w, apart_halves);
}

bool fault_isolate(struct world *w)
{
    return partition(w, apart_one);
}

bool fault_one_way(struct world *w)
{
    return partition(w, apart_one_way);
}

bool fault_ring(struct world *w)
{
    return partition(w, apart_ring);
}

bool fault_chain(struct world *w)
{
    return partition(w, apart_chain);
}

bool fault_bridge(struct world *w)
{
    return partition(w, apart_bridge);
}

bool fault_star(struct world *w)
{
    return partition(w, apart_star);
}
