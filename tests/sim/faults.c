/* faults.c -- crashes, partitions, slow disks and hand-overs, drawn from the seed. */
#include "core/base/check.h"
#include "tests/sim/sim.h"

static struct server *some_node(struct world *w)
{
    return &w->nodes[rng_below(&w->rng, w->options.nodes)];
}

static void restart(struct world *w, void *ctx)
{
    struct server *n = ctx;

    (void) w;
    if (!n->up) node_start(n);
}

/* Any number may be down at a time: a majority lost is only a pause. */
static void fault_crash(struct world *w)
{
    struct server *n = some_node(w);
    uint32_t leader = world_leader(w);

    if (leader != 0 && chance(w, 500)) n = &w->nodes[leader - 1];
    if (!n->up) return;
    w->stats.crashes++;
    node_crash(n);
    world_at(w, 1000 + rng_below(&w->rng, 1500000), restart, n);
}

static void tell_up(struct server *from, uint32_t to)
{
    if (!from->up) return;
    replica_peer_up(from->replica, node_time(from), to);
    node_soon(from);
}

/* A connection that was never told to be down may come up all the same. */
static void mend(struct world *w, void *ctx)
{
    (void) ctx;
    for (uint32_t a = 0; a < w->options.nodes; a++) {
        for (uint32_t b = 0; b < w->options.nodes; b++) {
            if (w->cut[a][b]) tell_up(&w->nodes[a], b + 1);
            w->cut[a][b] = false;
        }
    }
    trace(w, "the network is whole");
}

static void cut_link(struct world *w, uint32_t a, uint32_t b, bool tell)
{
    struct server *to = &w->nodes[b];

    w->cut[a][b] = true;
    if (tell && to->up) {
        replica_peer_down(to->replica, node_time(to), a + 1);
        node_soon(to);
    }
}

/* Halves, one node, one direction, a ring with gaps, a bridge: each is some set of links. */
static void fault_partition(struct world *w)
{
    uint32_t n = w->options.nodes, kind = (uint32_t) rng_below(&w->rng, 5);
    uint32_t one = (uint32_t) rng_below(&w->rng, n), side = (uint32_t) rng_next(&w->rng);
    bool tell = chance(w, 500);

    for (uint32_t a = 0; a < n; a++) {
        for (uint32_t b = 0; b < n; b++) {
            bool apart = false;

            if (a == b) continue;
            if (kind == 0) apart = (side >> a & 1) != (side >> b & 1);
            if (kind == 1) apart = a == one || b == one;
            if (kind == 2) apart = a == one;
            if (kind == 3) apart = (a + 1) % n != b && (b + 1) % n != a;
            if (kind == 4) apart = a != one && b != one;
            if (apart) cut_link(w, a, b, tell);
        }
    }
    trace(w, "partition of kind %u around node %u", kind, one + 1);
    world_at(w, 50000 + rng_below(&w->rng, 1500000), mend, NULL);
}

static void fault_slow_disk(struct world *w)
{
    some_node(w)->slow_disk_us = chance(w, 300) ? 0 : rng_below(&w->rng, 60000);
}

static void fault_wall_clock(struct world *w)
{
    some_node(w)->wall_offset_ms += (int64_t) rng_below(&w->rng, 20000) - 10000;
}

static void fault_connection(struct world *w)
{
    struct server *n = some_node(w);
    uint32_t peer = 1 + (uint32_t) rng_below(&w->rng, w->options.nodes);

    if (!n->up || peer == n->id) return;
    replica_peer_down(n->replica, node_time(n), peer);
    node_soon(n);
}

/* Wanted by an operator, so no fault; but it may meet any. */
static void fault_transfer(struct world *w)
{
    uint32_t leader = world_leader(w);
    struct server *n = leader == 0 ? some_node(w) : &w->nodes[leader - 1];
    uint32_t to = (uint32_t) rng_below(&w->rng, w->options.nodes + 1);

    if (!n->up || replica_transfer(n->replica, node_time(n), to) != 0) return;
    w->stats.transfers++;
    trace(w, "node %u hands over to %u", n->id, to);
    node_soon(n);
}

static void fault(struct world *w, void *ctx)
{
    (void) ctx;
    if (w->healed) return;
    w->stats.faults++;
    switch (rng_below(&w->rng, 7)) {
    case 0:
    case 1:
        fault_crash(w);
        break;
    case 2:
        fault_partition(w);
        break;
    case 3:
        fault_slow_disk(w);
        break;
    case 4:
        fault_wall_clock(w);
        break;
    case 5:
        fault_transfer(w);
        break;
    default:
        fault_connection(w);
        break;
    }
    world_at(w, 20000 + rng_below(&w->rng, 600000), fault, NULL);
}

void faults_start(struct world *w)
{
    world_at(w, rng_below(&w->rng, 500000), fault, NULL);
}

void faults_heal(struct world *w)
{
    w->healed = true;
    mend(w, NULL);
    for (uint32_t id = 1; id <= w->options.nodes; id++) {
        struct server *n = &w->nodes[id - 1];

        n->slow_disk_us = 0;
        if (!n->up) node_start(n);
    }
}
