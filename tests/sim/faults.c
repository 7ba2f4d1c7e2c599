/* faults.c -- what goes wrong, and when: every kind by its name, drawn from those that this
 * seed allows. Cut links are in partitions.c, damage to disks in disk.c. */
#include "core/base/check.h"
#include "tests/sim/guests.h"
#include "tests/sim/sim.h"

/* --- whom it strikes --- */

struct server *some_node(struct world *w)
{
    return &w->nodes[rng_below(&w->rng, w->options.nodes)];
}

struct server *leader_or_some(struct world *w)
{
    uint32_t leader = world_leader(w);

    return leader != 0 ? &w->nodes[leader - 1] : some_node(w);
}

static bool has_damage(const struct server *n)
{
    return n->disk.damaged || n->state_damaged;
}

/* A server may be lost for good only while the others are a quorum. */
static bool may_lose(const struct world *w)
{
    uint32_t lost = 0;

    for (uint32_t i = 0; i < w->options.nodes; i++) {
        lost += w->nodes[i].lost || has_damage(&w->nodes[i]);
    }
    return lost + 1 <= (w->options.nodes - 1) / 2;
}

/* --- servers that end --- */

static void restart(struct world *w, void *ctx)
{
    struct server *n = ctx;

    if (n->up || n->lost || n->away || world_left_out(n)) return;
    node_start(n);
    if (n->crashes_due == 0 || !n->up || w->healed != 0) return;
    n->crashes_due--;
    node_crash_at_effect(n, 1 + (uint32_t)rng_below(&w->rng, 30));
}

void faults_restart_later(struct server *n)
{
    if (n->world->options.scenario != NULL) return; /* which starts it itself */
    world_at(n->world, 1000 + rng_below(&n->world->rng, 800000), restart, n);
}

static bool crash(struct server *n)
{
    if (!n->up) return false;
    node_crash(n);
    return true;
}

bool fault_crash(struct world *w)
{
    return crash(some_node(w));
}

bool fault_crash_leader(struct world *w)
{
    return crash(leader_or_some(w));
}

/* Between two effects of one step: half of its frames have left, its writes are half given
 * to the disk. */
bool fault_crash_effect(struct world *w)
{
    struct server *n = leader_or_some(w);

    if (!n->up) return false;
    node_crash_at_effect(n, 1 + (uint32_t)rng_below(&w->rng, 20));
    return true;
}

/* It is on disk, and nobody will hear so. */
bool fault_crash_synced(struct world *w)
{
    struct server *n = leader_or_some(w);

    n->disk.crash_when_synced = n->up;
    return n->up;
}

/* A sync that fails ends the process: what it was to write may be there or not. */
bool fault_sync_error(struct world *w)
{
    struct server *n = some_node(w);

    n->disk.sync_fails = n->up;
    return n->up;
}

bool fault_power_cut(struct world *w)
{
    bool some = false;

    for (uint32_t i = 0; i < w->options.nodes; i++)
        some |= crash(&w->nodes[i]);
    return some;
}

bool fault_crash_loop(struct world *w)
{
    struct server *n = some_node(w);

    n->crashes_due = 2 + (uint32_t)rng_below(&w->rng, 3);
    return crash(n);
}

bool fault_lost_server(struct world *w)
{
    struct server *n = some_node(w);

    if (!may_lose(w) || n->lost || has_damage(n)) return false;
    trace(w, "node %u is lost for good", n->id);
    n->lost = true;
    if (n->up) node_crash(n);
    return true;
}

/* --- disks --- */

/* A server that finds damage stays away, or joins again as another one where somebody sees
 * to that: so this too may strike only so many. */
static bool may_harm(const struct world *w, const struct server *n)
{
    if (n->lost || has_damage(n)) return false;
    return w->options.admin_gap_ms > 0 ? admin_may_lose(w, n) : may_lose(w);
}

static bool damage(struct world *w, bool (*harm)(struct world *w, struct disk *d))
{
    struct server *n = some_node(w);

    if (!may_harm(w, n)) return false;
    if (n->up) node_crash(n);
    n->disk.damaged = harm(w, &n->disk);
    return n->disk.damaged;
}

bool fault_bit_rot(struct world *w)
{
    return damage(w, disk_rot);
}

bool fault_lost_write(struct world *w)
{
    return damage(w, disk_lose_write);
}

bool fault_misdirected_write(struct world *w)
{
    return damage(w, disk_misdirect_write);
}

/* The files of the state say so themselves when they are read. */
bool fault_rotten_state(struct world *w)
{
    struct server *n = some_node(w);

    if (!may_harm(w, n)) return false;
    if (n->up) node_crash(n);
    n->state_damaged = true;
    return true;
}

/* One server's, or everybody's. */
bool fault_full_disk(struct world *w)
{
    struct server *one = chance(w, 200) ? NULL : some_node(w);
    uint64_t ms = rng_below(&w->rng, 3000);

    for (uint32_t i = 0; i < w->options.nodes; i++) {
        if (one != NULL && one != &w->nodes[i]) continue;
        disk_fill(&w->nodes[i], rng_below(&w->rng, 20000), ms);
    }
    return true;
}

bool fault_slow_disk(struct world *w)
{
    some_node(w)->slow_disk_us = chance(w, 300) ? 0 : rng_below(&w->rng, 60000);
    return true;
}

bool fault_flush_stall(struct world *w)
{
    some_node(w)->flush_from_us = w->now_us + rng_below(&w->rng, 3000000);
    return true;
}

/* --- time --- */

static void wake(struct world *w, void *ctx)
{
    (void)w;
    if (!world_left_out(ctx)) node_thaw(ctx);
}

static bool pause_node(struct world *w, struct server *n)
{
    if (!n->up || n->frozen) return false;
    node_freeze(n);
    world_at(w, 10000 + rng_below(&w->rng, chance(w, 500) ? 300000 : 2000000), wake, n);
    return true;
}

bool fault_pause(struct world *w)
{
    return pause_node(w, some_node(w));
}

bool fault_pause_leader(struct world *w)
{
    return pause_node(w, leader_or_some(w));
}

bool fault_wall_clock(struct world *w)
{
    some_node(w)->wall_offset_ms += (int64_t)rng_below(&w->rng, 20000) - 10000;
    return true;
}

bool fault_clock_rate(struct world *w)
{
    uint32_t drift = w->options.drift_permille;

    node_clock_rate(some_node(w),
                    1000 - drift + (uint32_t)rng_below(&w->rng, 2 * drift + 1));
    return true;
}

/* --- network --- */

bool fault_connection(struct world *w)
{
    struct server *n = some_node(w);
    uint32_t peer = 1 + (uint32_t)rng_below(&w->rng, w->options.nodes);

    if (peer == n->id) return false;
    node_peer_down(n, peer);
    return true;
}

/* All look for a leader at the same moment. */
bool fault_duel(struct world *w)
{
    for (uint32_t i = 0; i < w->options.nodes; i++) {
        for (uint32_t peer = 1; peer <= w->options.nodes; peer++) {
            if (peer != i + 1) node_peer_down(&w->nodes[i], peer);
        }
    }
    return true;
}

/* Links that take everything and deliver it later, each at its own time. */
bool fault_clog(struct world *w)
{
    uint32_t permille = chance(w, 300) ? 1000 : 300;

    for (uint32_t a = 0; a < w->options.nodes; a++) {
        for (uint32_t b = 0; b < w->options.nodes; b++) {
            if (!chance(w, permille)) continue;
            w->clogged_until_us[a][b] = w->now_us + rng_below(&w->rng, 1000000);
        }
    }
    return true;
}

bool fault_replay(struct world *w)
{
    return network_replay(w);
}

/* --- people and clients --- */

/* Wanted by an operator, so no fault; but it may meet any. */
bool fault_hand_over(struct world *w)
{
    struct server *n = leader_or_some(w);
    uint32_t to = (uint32_t)rng_below(&w->rng, w->options.nodes + 1);

    if (!n->up || n->frozen) return false;
    if (replica_transfer(n->replica, node_time(n), to) != 0) return false;
    trace(w, "node %u hands over to %u", n->id, to);
    node_soon(n);
    return true;
}

bool fault_pause_client(struct world *w)
{
    clients_pause(w, 100 + rng_below(&w->rng, 2 * w->options.session_ms));
    return true;
}

bool fault_ask_twice(struct world *w)
{
    clients_ask_twice(w);
    return true;
}

bool fault_guest_naps(struct world *w)
{
    guests_nap(w);
    return w->options.guests > 0;
}

bool fault_guests_cut(struct world *w)
{
    guests_cut(w);
    return w->options.guests > 0;
}

bool fault_guests_stall(struct world *w)
{
    guests_stall(w);
    return w->options.guests > 0;
}

bool fault_guest_dies(struct world *w)
{
    guests_die(w);
    return w->options.guests > 0;
}

/* --- the table --- */

static const struct {
    const char *name;
    bool (*strike)(struct world *w); /* false: nothing to strike now */
} kinds[FAULT_KINDS] = {
#define X(constant, name) [FAULT_##constant] = { #name, fault_##name },
    FAULTS(X)
#undef X
};

const char *fault_name(uint32_t kind)
{
    return kinds[kind].name;
}

static void strike(struct world *w, void *ctx)
{
    uint32_t kind = (uint32_t)rng_below(&w->rng, FAULT_KINDS);

    (void)ctx;
    if (w->healed != 0) return;
    while ((w->options.faults >> kind & 1) == 0)
        kind = (kind + 1) % FAULT_KINDS;
    if (kinds[kind].strike(w)) {
        trace(w, "fault: %s", kinds[kind].name);
        w->stats.faults++;
        w->stats.by_kind[kind]++;
    }
    world_at(w, rng_below(&w->rng, 2000 * w->options.fault_gap_ms), strike, NULL);
}

void faults_start(struct world *w)
{
    if (w->options.faults == 0) return;
    world_at(w, rng_below(&w->rng, 500000), strike, NULL);
}

/* --- the end of it --- */

static void heal_node(struct server *n)
{
    n->slow_disk_us = n->flush_from_us = 0;
    n->crashes_due = 0;
    n->disk.crash_when_synced = n->disk.sync_fails = false;
    disk_free(n);
    node_crash_at_effect(n, 0);
    if (n->lost || n->away) return;
    node_thaw(n);
    if (!n->up) node_start(n);
}

void faults_heal(struct world *w, nodes_set whole)
{
    w->healed = whole;
    partitions_mend(w);
    memset(w->clogged_until_us, 0, sizeof w->clogged_until_us);
    for (uint32_t id = 1; id <= w->options.nodes; id++) {
        struct server *n = &w->nodes[id - 1];

        if ((whole & node_bit(id)) != 0) {
            heal_node(n);
        } else if (n->up && !n->frozen) {
            node_freeze(n);
        }
    }
    clients_heal(w);
    guests_heal(w);
}
