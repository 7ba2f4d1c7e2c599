/* options.c -- what one seed's world is like. Swarm testing: each seed draws which kinds of
 * fault may strike at all, and how hard, so that kinds that hide each other are also tried
 * apart. */
#include "tests/sim/sim.h"

enum { KEPT_SLOTS = 30 };

static uint32_t between(struct rng *rng, uint32_t least, uint32_t most)
{
    return least + (uint32_t)rng_below(rng, most - least + 1);
}

/* Half of the seeds go without it. */
static uint32_t maybe(struct rng *rng, uint32_t most)
{
    return rng_below(rng, 2) == 0 ? 0 : between(rng, 0, most);
}

static uint64_t draw_faults(struct rng *rng)
{
    uint32_t permille = between(rng, 100, 900);
    uint64_t set = 0;

    for (uint32_t kind = 0; kind < FAULT_KINDS; kind++) {
        if (rng_below(rng, 1000) < permille) set |= (uint64_t)1 << kind;
    }
    return set;
}

/* Servers that are lost for good are the admin's business then. */
static void draw_admin(struct rng *rng, struct options *o)
{
    o->nodes = between(rng, 3, SIM_NODES_MAX);
    o->founders = between(rng, 1, o->nodes);
    o->admin_gap_ms = between(rng, 10, 200);
    o->faults &= ~FAULT_BIT(LOST_SERVER);
}

/* In half of the seeds: the client library, and watches. */
static void draw_guests(struct rng *rng, struct options *o)
{
    if (rng_below(rng, 2) == 0) return;
    o->guests = between(rng, 1, 4);
    o->nap_permille = maybe(rng, 50);
    if (rng_below(rng, 16) == 0) o->bulk_bytes = between(rng, 20000, 200000);
}

void options_crowd(struct options *o)
{
    enum { CROWD = 24, CROWD_NAPS = 150, CROWD_GAP_US = 30000 };

    o->crowd = true;
    o->guests = CROWD;
    o->clients = 2;
    o->bulk_bytes = 0;
    o->nap_permille = CROWD_NAPS;
    o->client_gap_us = CROWD_GAP_US;
    o->session_ms = SESSION_TIMEOUT_MIN_MS;
}

/* Leases stand on clocks whose rates differ by 20 permille at most (core/paxos/lease.h). */
static void draw_lease(struct rng *rng, struct options *o)
{
    enum { RATE_OFF_MAX = 10 };

    if (rng_below(rng, 2) == 0) return;
    o->lease_ms = LEASE_MS_MAX;
    if (o->drift_permille > 0) o->drift_permille = between(rng, 1, RATE_OFF_MAX);
}

struct options options_draw(uint64_t seed)
{
    struct rng rng;
    struct options o = { .seed = seed };

    rng_init(&rng, seed ^ 0x5eed);
    o.nodes = rng_below(&rng, 3) == 0 ? 5 : 3;
    o.clients = between(&rng, 2, SIM_CLIENTS_MAX);
    o.life_ms = between(&rng, 2500, 7000);
    o.faults = draw_faults(&rng);
    o.fault_gap_ms = between(&rng, 30, 300);
    o.client_gap_us = between(&rng, 500, 15000);
    o.session_ms = between(&rng, SESSION_TIMEOUT_MIN_MS, 2500);
    o.loss_permille = maybe(&rng, 80);
    o.double_permille = maybe(&rng, 100);
    o.slow_permille = maybe(&rng, 100);
    o.ordered = rng_below(&rng, 2) == 0;
    o.flight_us = between(&rng, 200, rng_below(&rng, 4) == 0 ? 20000 : 3000);
    o.sync_us = between(&rng, 200, 3000);
    o.drift_permille = (o.faults & FAULT_BIT(CLOCK_RATE)) == 0 ? 0 : between(&rng, 1, 50);
    o.founders = o.nodes;
    o.log_slots = rng_below(&rng, 3) == 0 ? 0 : between(&rng, 1, KEPT_SLOTS);
    if (rng_below(&rng, 3) == 0) draw_admin(&rng, &o);
    draw_lease(&rng, &o);
    draw_guests(&rng, &o);
    return o;
}

struct options options_calm(uint64_t seed)
{
    struct options o = options_draw(seed);

    o.faults = 0;
    o.admin_gap_ms = 0;
    o.client_gap_us += 10000; /* scenarios last long, and count their slots */
    o.founders = o.nodes;
    o.loss_permille = o.double_permille = o.slow_permille = o.drift_permille = 0;
    return o;
}

void options_print(const struct options *o)
{
    printf("seed %" PRIu64 ": %u servers (%u found, a change every %u ms), %u clients (one "
           "asks every %u us, sessions of %u ms), %u guests (%u of 1000 moves are naps, "
           "writes to %u bytes), ",
           o->seed, o->nodes, o->founders, o->admin_gap_ms, o->clients, o->client_gap_us,
           o->session_ms, o->guests, o->nap_permille, o->bulk_bytes);
    printf("%u ms of faults, one every %u ms; of 1000 frames %u lost, %u doubled, %u late, "
           "%s; flight to %u us, sync to %u us, clocks off by up to %u permille, leases of "
           "%u ms\nfaults:",
           o->life_ms, o->fault_gap_ms, o->loss_permille, o->double_permille,
           o->slow_permille, o->ordered ? "in order" : "out of order", o->flight_us,
           o->sync_us, o->drift_permille, o->lease_ms);
    for (uint32_t kind = 0; kind < FAULT_KINDS; kind++) {
        if ((o->faults >> kind & 1) != 0) printf(" %s", fault_name(kind));
    }
    printf("\n");
}
