/* world.c -- virtual time, its events, and the nodes that live in it. */
#include <stdarg.h>
#include <stdlib.h>

#include "core/base/check.h"
#include "core/base/errors.h"
#include "tests/sim/hearing.h"
#include "tests/sim/sim.h"
#include "tests/sim/tenure.h"

/* --- telling --- */

void trace(struct world *w, const char *format, ...)
{
    va_list args;

    if (!w->options.trace) return;
    printf("%9.3f ms  ", (double) w->now_us / 1000);
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    printf("\n");
}

_Noreturn void broken(struct world *w, const char *format, ...)
{
    char why[256];
    va_list args;

    va_start(args, format);
    vsnprintf(why, sizeof why, format, args);
    va_end(args);
    jobs_broken(why);
    printf("\nBROKEN at %.3f ms: %s", (double) w->now_us / 1000, why);
    printf("\nreplay: tidelock-sim --seed %" PRIu64 " --trace", w->options.seed);
    if (w->options.crowd) printf(" --crowd");
    if (w->options.scenario != NULL) printf(" --scenario %s", w->options.scenario);
    printf("\n");
    fflush(stdout);
    _Exit(1);
}

bool chance(struct world *w, uint32_t permille)
{
    return rng_below(&w->rng, 1000) < permille;
}

uint64_t draw(struct world *w, uint64_t below)
{
    return rng_below(&w->rng, below);
}

uint64_t world_now_us(const struct world *w)
{
    return w->now_us;
}

const struct options *world_options(const struct world *w)
{
    return &w->options;
}

bool world_is_full(const struct world *w)
{
    return w->stats.slots > SIM_SLOTS_MAX / 4 * 3;
}

struct guests **world_guests(struct world *w)
{
    return &w->guests;
}

struct stats *world_stats(struct world *w)
{
    return &w->stats;
}

/* --- events: a binary heap by (time, order) --- */

static bool earlier(const struct happening *a, const struct happening *b)
{
    return a->at_us != b->at_us ? a->at_us < b->at_us : a->order < b->order;
}

static void swap(struct happening *a, struct happening *b)
{
    struct happening c = *a;

    *a = *b;
    *b = c;
}

void world_at(struct world *w, uint64_t delay_us, happen_fn run, void *ctx)
{
    size_t i = w->heap_count++;

    if (w->heap_count > w->heap_cap) {
        w->heap_cap = w->heap_cap == 0 ? 1024 : 2 * w->heap_cap;
        w->heap = mem_grow(w->heap, w->heap_cap * sizeof *w->heap);
    }
    w->heap[i] = (struct happening){ w->now_us + delay_us, ++w->order, run, ctx };
    while (i > 0 && earlier(&w->heap[i], &w->heap[(i - 1) / 2])) {
        swap(&w->heap[i], &w->heap[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
}

static struct happening heap_take(struct world *w)
{
    struct happening first = w->heap[0];
    size_t i = 0;

    w->heap[0] = w->heap[--w->heap_count];
    for (;;) {
        size_t least = i, child = 2 * i + 1;

        for (size_t c = child; c < child + 2 && c < w->heap_count; c++) {
            if (earlier(&w->heap[c], &w->heap[least])) least = c;
        }
        if (least == i) return first;
        swap(&w->heap[i], &w->heap[least]);
        i = least;
    }
}

static void bury(struct world *w)
{
    w->some_dying = false;
    for (uint32_t i = 0; i < w->options.nodes; i++) {
        if (w->nodes[i].dying) node_crash(&w->nodes[i]);
    }
}

bool world_step(struct world *w)
{
    struct happening e;

    if (w->heap_count == 0) return false;
    e = heap_take(w);
    CHECK(e.at_us >= w->now_us);
    w->now_us = e.at_us;
    w->stats.events++;
    e.run(w, e.ctx);
    if (w->some_dying) bury(w);
    return true;
}

/* --- a node's effects --- */

static void io_send(void *ctx, nodes_set to, uint64_t after, struct bytes frame)
{
    network_send(ctx, to, after, frame);
}

static void io_write(void *ctx, const struct paxos_write *write)
{
    struct server *n = ctx;

    checks_takes(n->world, n, write);
    if (write->vote.slot != 0) {
        struct slot_memory *m = &n->slots[write->vote.slot % SIM_SLOTS_MAX];

        blob_ref(write->vote.proposal.batch);
        blob_unref(m->proposal.batch);
        *m = (struct slot_memory){ write->vote.slot, write->vote.proposal };
    }
    if (write->kind == PAXOS_WRITE_INSTALLED) n->trimmed = write->chosen;
    if (node_dies_here(n)) return;
    if (write->kind == PAXOS_WRITE_VOTE && write->vote.ballot.node == n->id) {
        admin_ballot_acts(n, write->vote.ballot);
        checks_created(n->world, n, &write->vote);
    }
    disk_append(n, write);
}

static void io_recalled(void *ctx, uint64_t slot, uint64_t zxid_first, uint64_t zxid_last)
{
    struct server *n = ctx;

    checks_recalled(n->world, n, slot, zxid_first, zxid_last);
    front_recalled(n, slot, zxid_first, zxid_last);
}

static void io_attached(void *ctx, uint64_t session, uint64_t zxid)
{
    front_attached(ctx, session, zxid);
}

int node_read_log(const struct server *n, uint64_t slot, struct proposal *p)
{
    const struct slot_memory *m = &n->slots[slot % SIM_SLOTS_MAX];

    if (m->slot != slot || slot <= n->trimmed) return ERR_NO_NODE;
    *p = m->proposal;
    blob_ref(p->batch);
    return 0;
}

static int io_read_log(void *ctx, uint64_t slot, struct proposal *p)
{
    return node_read_log(ctx, slot, p);
}

static void io_answer(void *ctx, uint64_t tag, int code, struct bytes result)
{
    struct server *n = ctx;

    if (node_dies_here(n)) return;
    if (front_owns(tag)) {
        front_answer(n, tag, code, result);
    } else if (admin_owns(tag)) {
        admin_answer(n->world, tag, code, result);
    } else {
        clients_answer(n, tag, code, result);
    }
}

/* Watches stand on this: transactions are told of one by one, without a gap. */
static void io_txn(void *ctx, const struct txn *t, uint64_t zxid)
{
    struct server *n = ctx;

    CHECK(t->origin <= NODES_MAX);
    CHECK(n->zxid_told == 0 || zxid == n->zxid_told + 1);
    n->zxid_told = zxid;
    front_txn(n, t, zxid);
}

static void io_ready(void *ctx, uint64_t tag, int code)
{
    if (node_dies_here(ctx)) return;
    if (front_owns(tag)) {
        front_ready(ctx, tag, code);
    } else {
        clients_ready(ctx, tag, code);
    }
}

static void io_role(void *ctx)
{
    struct server *n = ctx;

    if (n->replica == NULL) return;

    struct replica_status s = replica_status(n->replica);

    trace(n->world, "node %u is %s, leader %u, round %" PRIu64, n->id,
          paxos_role_name(s.role), s.leader, s.ballot.round);
    if (s.role == PAXOS_LEADING) n->world->stats.leaders++;
}

static void io_applied(void *ctx, uint64_t slot, const struct proposal *p, bool counted)
{
    struct server *n = ctx;

    checks_applied(n->world, n, slot, p, counted);
    front_applied(n, slot);
}

/* What a server finds out while it dies, nobody knows. */
static void io_members(void *ctx)
{
    struct server *n = ctx;

    if (!n->dying) admin_members(n);
}

/* It goes on until it has left: see tick(). */
static void io_removed(void *ctx)
{
    struct server *n = ctx;

    trace(n->world, "node %u was removed", n->id);
}

static void io_stop(void *ctx, uint64_t slot, const char *why)
{
    struct server *n = ctx;

    if (n->dying) return;
    if (n->differs) {
        trace(n->world, "node %u stops at slot %" PRIu64 ": %s", n->id, slot, why);
        n->lost = true;
        n->dying = n->world->some_dying = true;
        return;
    }
    broken(n->world, "node %u stops at slot %" PRIu64 ": %s", n->id, slot, why);
}

/* --- the life of a node --- */

struct replica_time node_time(const struct server *n)
{
    uint64_t ran_us = (n->world->now_us - n->clock_set_us) * n->clock_permille / 1000;
    uint64_t ms = (n->clock_us + ran_us) / 1000;

    return (struct replica_time){ .now_ms = ms + 1,
                                  .wall_ms = (int64_t) ms + n->wall_offset_ms };
}

void node_clock_rate(struct server *n, uint32_t permille)
{
    uint64_t now_us = n->world->now_us;

    n->clock_us += (now_us - n->clock_set_us) * n->clock_permille / 1000;
    n->clock_set_us = now_us;
    n->clock_permille = permille;
}

struct node_event {
    struct server *node;
    uint64_t life;
};

static struct node_event *node_event(struct server *n)
{
    struct node_event *e = mem_alloc(sizeof *e);

    *e = (struct node_event){ n, n->life };
    return e;
}

static bool alive(const struct node_event *e)
{
    return e->node->up && e->node->life == e->life;
}

static void tick(struct world *w, void *ctx)
{
    struct node_event *e = ctx;
    struct server *n = e->node;

    if (node_defers(n, tick, e)) return;
    if (!alive(e)) {
        free(e);
        return;
    }
    n->told_full = disk_is_full(n);
    replica_full(n->replica, n->told_full);
    replica_tick(n->replica, node_time(n));
    admin_tick(n);
    node_soon(n);
    world_at(w, 1000 * TICK_MS + rng_below(&w->rng, 1000), tick, e);
}

static void turn(struct world *w, void *ctx)
{
    struct node_event *e = ctx;

    if (node_defers(e->node, turn, e)) return;
    if (alive(e)) {
        e->node->turning = false;
        front_turn(e->node);
        replica_check(e->node->replica);
        if (replica_again(e->node->replica)) node_soon(e->node);
    }
    (void) w;
    free(e);
}

void node_soon(struct server *n)
{
    struct world *w = n->world;

    if (n->turning) return;
    n->turning = true;
    world_at(w, chance(w, 700) ? 0 : rng_below(&w->rng, 1000), turn, node_event(n));
}

void node_durable(struct server *n)
{
    replica_durable(n->replica, node_time(n), n->disk.seq_durable);
    network_release(n);
    node_soon(n);
}

/* The state is written behind, now and then: what is on disk is at one applied slot. */
static void flush(struct world *w, void *ctx)
{
    struct node_event *e = ctx;
    struct server *n = e->node;

    if (node_defers(n, flush, e)) return;
    if (!alive(e)) {
        free(e);
        return;
    }
    const uint64_t full_us = n->disk.full_until_us;
    const uint64_t from_us = n->flush_from_us > full_us ? n->flush_from_us : full_us;

    if (w->now_us < from_us) {
        world_at(w, from_us - w->now_us, flush, e);
        return;
    }
    kv_overlay_move(&n->applied, &n->flushed, 0);
    sim_trim(n, machine_slot(replica_machine(n->replica)));
    world_at(w, 100000 + rng_below(&w->rng, 3000000), flush, e);
}

static struct replica_config config_of(struct server *n, uint64_t boot)
{
    struct world *w = n->world;

    return (struct replica_config){
        .paxos = { .self = n->id,
                   .heartbeat_ms = HEARTBEAT_MS,
                   .election_min_ms = ELECTION_MIN_MS,
                   .election_max_ms = ELECTION_MAX_MS,
                   .lease_ms = w->options.lease_ms,
                   .seed = w->options.seed },
        .founders = admin_founders(n),
        .incarnation = n->incarnation,
        .io = { n, io_send, io_write, io_read_log, io_txn, io_answer, io_ready, io_role,
                io_applied, io_recalled, io_attached, io_members, io_removed, io_stop },
        .store = sim_store(n),
        .scripts = host_scripts(n->host),
        .applied = &n->applied,
        .boot = boot,
        .seed = 7,
    };
}

void node_start(struct server *n)
{
    struct world *w = n->world;
    struct disk_restored kept;
    struct replica_restored restored;
    char why[256];

    CHECK(!n->up);
    n->zxid_told = 0;
    w->stats.restarts += n->life > 0;
    if (n->state_damaged || !disk_recover(w, n->id, &kept)) {
        trace(w, "node %u finds its memory damaged and stays away", n->id);
        n->lost = w->options.admin_gap_ms == 0;
        if (!n->lost) admin_lost(n);
        return;
    }
    checks_restored(w, n->id, &kept);
    restored = (struct replica_restored){ kept.promised, kept.chosen, kept.votes_count,
                                          kept.votes };
    trace(w, "node %u starts: promised %" PRIu64 ".%u, chosen %" PRIu64 ", %u votes", n->id,
          kept.promised.round, kept.promised.node, kept.chosen, kept.votes_count);
    n->expected_reign = (struct ballot){ 0 };
    front_start(n);
    n->host = host_new((struct sandbox_budget){ SCRIPT_MEMORY_MAX, SCRIPT_FUEL_MAX, 0 });

    struct replica_config config = config_of(n, kept.boot);

    n->replica = replica_new(&config, &restored, node_time(n), why, sizeof why);
    if (n->replica == NULL) broken(w, "node %u does not start: %s", n->id, why);
    for (uint32_t i = 0; i < kept.votes_count; i++) {
        blob_unref(kept.votes[i].proposal.batch);
    }
    n->history = checks_history(w, machine_slot(replica_machine(n->replica)));
    if (admin_was_removed(n)) replica_leave(n->replica);
    n->up = true;
    n->turning = false;
    world_at(w, rng_below(&w->rng, 10000), tick, node_event(n));
    world_at(w, rng_below(&w->rng, 1000000), flush, node_event(n));
}

void node_crash(struct server *n)
{
    struct world *w = n->world;

    CHECK(n->up);
    trace(w, "node %u crashes", n->id);
    w->stats.spared += replica_status(n->replica).rounds_spared;
    node_thaw(n);
    n->up = n->dying = n->told_full = false;
    n->effects_left = 0;
    n->life++;
    network_drop_held(n);
    front_end(n);
    replica_free(n->replica);
    n->replica = NULL;
    host_free(n->host);
    disk_crash(n);
    memory_store_crash(&n->store);
    kv_overlay_clear(&n->applied);
    for (uint32_t id = 1; id <= w->options.nodes; id++) {
        struct server *peer = &w->nodes[id - 1];

        if (peer != n && !w->cut[n->id - 1][id - 1]) node_peer_down(peer, n->id);
    }
    clients_server_ends(w, n->id);
    faults_restart_later(n);
}

void node_wipe(struct server *n)
{
    CHECK(!n->up);
    disk_fini(&n->disk);
    disk_format(&n->disk, n->id);
    kv_overlay_clear(&n->flushed);
    n->trimmed = n->history = 0;
    n->state_damaged = false;
}

/* Who is paused does not notice, and will find out by silence. */
void node_peer_down(struct server *n, uint32_t peer)
{
    if (!n->up || n->frozen || n->dying) return;
    replica_peer_down(n->replica, node_time(n), peer);
    node_soon(n);
}

/* Also of a connection that was never told to be down. */
void node_peer_up(struct server *n, uint32_t peer)
{
    if (!n->up || n->frozen || n->dying) return;
    replica_peer_up(n->replica, node_time(n), peer);
    node_soon(n);
}

/* --- pauses, and crashes in the middle of a step --- */

void node_freeze(struct server *n)
{
    trace(n->world, "node %u is paused", n->id);
    n->frozen = true;
}

void node_thaw(struct server *n)
{
    if (!n->frozen) return;
    trace(n->world, "node %u runs again", n->id);
    n->frozen = false;
    for (size_t i = 0; i < n->deferred_count; i++) {
        world_at(n->world, rng_below(&n->world->rng, 3000), n->deferred[i].run,
                 n->deferred[i].ctx);
    }
    n->deferred_count = 0;
}

bool node_defers(struct server *n, happen_fn run, void *ctx)
{
    if (!n->frozen) return false;
    if (n->deferred_count == n->deferred_cap) {
        n->deferred_cap = n->deferred_cap == 0 ? 64 : 2 * n->deferred_cap;
        n->deferred = mem_grow(n->deferred, n->deferred_cap * sizeof *n->deferred);
    }
    n->deferred[n->deferred_count++] = (struct deferred){ run, ctx };
    return true;
}

void node_crash_at_effect(struct server *n, uint32_t effect)
{
    n->effects_left = effect;
}

/* The replica cannot be freed in the middle of its step: so it goes on without effects, and
 * world_step() crashes it when the event is over. */
bool node_dies_here(struct server *n)
{
    if (n->dying) return true;
    if (n->effects_left == 0 || --n->effects_left > 0) return false;
    trace(n->world, "node %u dies in the middle of a step", n->id);
    n->dying = n->world->some_dying = true;
    return true;
}

/* Of several that believe they lead the one with the highest ballot does. */
uint32_t world_leader(const struct world *w)
{
    struct ballot highest = { 0 };

    for (uint32_t id = 1; id <= w->options.nodes; id++) {
        const struct server *n = &w->nodes[id - 1];

        if (!n->up || n->frozen) continue;

        const struct replica_status s = replica_status(n->replica);

        if (s.serving && ballot_cmp(s.ballot, highest) > 0) highest = s.ballot;
    }
    return highest.node;
}

bool world_left_out(const struct server *n)
{
    return n->world->healed != 0 && (n->away || (n->world->healed & node_bit(n->id)) == 0);
}

void world_print(const struct world *w)
{
    for (uint32_t id = 1; id <= w->options.nodes; id++) {
        const struct server *n = &w->nodes[id - 1];

        printf("node %u: %s", id,
               n->lost ? "lost" : !n->up ? "down" : n->frozen ? "frozen" : "runs");
        if (n->up) {
            struct replica_status s = replica_status(n->replica);

            printf(", %s, leader %u, ballot %" PRIu64 ".%u, chosen %" PRIu64
                   ", applied %" PRIu64 ", open writes %" PRIu64 ", reads %" PRIu64
                   ", waiting calls %" PRIu64 "%s",
                   paxos_role_name(s.role), s.leader, s.ballot.round, s.ballot.node,
                   s.chosen, s.applied, s.pending_writes, s.pending_reads, s.waiting_calls,
                   s.serving ? ", serves" : "");
        }
        printf("\n");
    }
}

void world_init(struct world *w, const struct options *o)
{
    memset(w, 0, sizeof *w);
    w->options = *o;
    rng_init(&w->rng, o->seed);
    checks_init(w);
    hearing_init(w);
    tenure_init(w);
    for (uint32_t id = 1; id <= o->nodes; id++) {
        struct server *n = &w->nodes[id - 1];

        n->world = w;
        n->id = id;
        n->incarnation = id;
        n->clock_permille = 1000;
        n->wall_offset_ms = 1700000000000 + (int64_t) rng_below(&w->rng, 5000);
        n->slots = mem_zalloc(SIM_SLOTS_MAX * sizeof *n->slots);
        list_init(&n->held);
        disk_format(&n->disk, id);
        kv_overlay_init(&n->flushed, NULL, 1);
        kv_overlay_init(&n->applied, &n->flushed.view, 2);
        sim_store_init(n);
    }
    admin_init(w);
    for (uint32_t id = 1; id <= o->founders; id++) node_start(&w->nodes[id - 1]);
}

static void node_fini(struct server *n)
{
    network_drop_held(n);
    front_end(n);
    replica_free(n->replica);
    if (n->up) host_free(n->host);
    disk_fini(&n->disk);
    for (size_t i = 0; i < SIM_SLOTS_MAX; i++) blob_unref(n->slots[i].proposal.batch);
    free(n->slots);
    free(n->deferred);
    kv_overlay_fini(&n->applied);
    kv_overlay_fini(&n->flushed);
    memory_store_fini(&n->store);
}

void world_fini(struct world *w)
{
    for (uint32_t id = 1; id <= w->options.nodes; id++) node_fini(&w->nodes[id - 1]);
    checks_fini(w);
    hearing_fini(w);
    tenure_fini(w);
    admin_fini(w);
    network_fini(w);
    free(w->heap);
}
