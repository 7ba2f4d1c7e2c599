/* snapshot_rig.h -- three replicas' snapshots on a table, without Paxos around them: every
 * frame passes through its encoding and lies in a row until the test delivers it.
 *
 * Header only: for t_snapshot.c. Node 1 receives, 2 and 3 send. */
#ifndef TESTS_LIB_SNAPSHOT_RIG_H
#define TESTS_LIB_SNAPSHOT_RIG_H

#include <stdlib.h>

#include "core/base/check.h"
#include "core/base/errors.h"
#include "core/base/hash.h"
#include "core/base/rng.h"
#include "core/machine/machine.h"
#include "tests/lib/memory_store.h"
#include "tests/lib/tap.h"

enum { NODES = 3, FRAMES_MAX = 256, CELLS = 40, CHUNK_BYTES = 100 };

struct side {
    uint32_t id;
    struct kv_overlay state;
    struct memory_store store;
    struct snapshots snapshots;
};

static struct flying {
    uint32_t from, to;
    struct buf bytes;
} frames[FRAMES_MAX];
static uint32_t frames_count;

static struct side nodes[NODES + 1]; /* by id */
static uint64_t now_ms, chosen;
static uint64_t sent[FRAME_SNAPSHOT_CHUNK + 1];
static struct rng rng;

static void send(void *ctx, nodes_set to, const struct frame *f, struct bytes cells)
{
    const struct side *n = ctx;

    for (uint32_t id = 1; id <= NODES; id++) {
        if ((to & node_bit(id)) == 0) continue;
        CHECK(frames_count < FRAMES_MAX);
        struct flying *flying = &frames[frames_count++];
        *flying = (struct flying){ .from = n->id, .to = id };
        frame_encode(&flying->bytes, f);
        buf_put_bytes_raw(&flying->bytes, cells);
        sent[f->kind]++;
    }
}

/* --- states --- */

static void put_place(struct side *n, uint64_t slot)
{
    struct buf place = { 0 };

    buf_put_u8(&place, 1);
    buf_put_uint(&place, slot);
    kv_put(&n->state, machine_place_key(), buf_bytes(&place), 0);
    buf_fini(&place);
}

static void fill(struct side *n, uint64_t slot, int cells)
{
    char key[16], value[64];

    kv_overlay_clear(&n->state);
    for (int i = 0; i < cells; i++) {
        snprintf(key, sizeof key, "n%03d", i);
        snprintf(value, sizeof value, "value %d at %d", i, (int) slot);
        kv_put(&n->state, bytes_str(key), bytes_str(value), 0);
    }
    put_place(n, slot);
}

static bool states_equal(struct side *a, struct side *b)
{
    struct buf key = { 0 };
    struct bytes mine, theirs;
    size_t count = 0;
    bool equal = true;

    while (kv_next(&a->state.view, (struct bytes){ 0 }, &key)) {
        CHECK(kv_get(&a->state.view, buf_bytes(&key), &mine));
        if (!kv_get(&b->state.view, buf_bytes(&key), &theirs)) equal = false;
        if (equal && !bytes_equal(mine, theirs)) equal = false;
        count++;
    }
    return equal && count == b->state.count;
}

/* --- the rig --- */

static void start(struct side *n)
{
    const struct snapshot_store store = memory_store_hooks(&n->store);

    snapshots_init(&n->snapshots, &store, send, n);
}

static void begin(void)
{
    now_ms = 100000;
    chosen = 1;
    frames_count = 0;
    memset(sent, 0, sizeof sent);
    for (uint32_t id = 1; id <= NODES; id++) {
        struct side *n = &nodes[id];

        n->id = id;
        kv_overlay_init(&n->state, NULL, id);
        memory_store_init(&n->store, &n->state, NULL, CHUNK_BYTES);
        start(n);
    }
    fill(&nodes[1], 1, 3);
    fill(&nodes[2], 50, CELLS);
    fill(&nodes[3], 60, CELLS);
}

static void drop(uint32_t at)
{
    buf_fini(&frames[at].bytes);
    memmove(&frames[at], &frames[at + 1], (--frames_count - at) * sizeof frames[0]);
}

static void drop_all(void)
{
    while (frames_count > 0) drop(0);
}

static void end(void)
{
    drop_all();
    for (uint32_t id = 1; id <= NODES; id++) {
        snapshots_fini(&nodes[id].snapshots);
        memory_store_fini(&nodes[id].store);
        kv_overlay_fini(&nodes[id].state);
    }
}

static void restart(uint32_t id)
{
    snapshots_fini(&nodes[id].snapshots);
    memory_store_crash(&nodes[id].store);
    start(&nodes[id]);
}

static void receive(uint32_t from, uint32_t to, struct bytes bytes)
{
    struct snapshots *s = &nodes[to].snapshots;
    struct frame f;

    IS(frame_decode(bytes, &f), 0);
    if (f.kind == FRAME_SNAPSHOT_ASK) snapshots_asked(s, now_ms, from, &f);
    if (f.kind == FRAME_SNAPSHOT_OFFER) snapshots_offered(s, now_ms, chosen, from, &f);
    if (f.kind == FRAME_SNAPSHOT_CHUNK) snapshots_came(s, now_ms, from, &f);
    snapshots_check(s);
}

static void deliver(uint32_t at, bool keep)
{
    struct buf copy = { 0 };
    uint32_t from = frames[at].from, to = frames[at].to;

    buf_put_bytes_raw(&copy, buf_bytes(&frames[at].bytes));
    if (!keep) drop(at);
    receive(from, to, buf_bytes(&copy));
    buf_fini(&copy);
}

static void turns(void)
{
    for (uint32_t id = 1; id <= NODES; id++) {
        struct snapshots *s = &nodes[id].snapshots;

        snapshots_turn(s, now_ms, id == 1 ? chosen : 1000,
                       (node_bit(NODES + 1) - 1) & ~node_bit(id));
        snapshots_check(s);
    }
}

/* As replica.c: what is ready is installed, and this is the chosen prefix then. */
static void install_if_ready(void)
{
    struct side *n = &nodes[1];
    uint64_t slot = snapshots_ready(&n->snapshots);

    if (slot == 0) return;
    snapshots_installed(&n->snapshots);
    const struct snapshot_store store = memory_store_hooks(&n->store);
    IS(store.install(store.ctx, slot), 0);
    chosen = slot;
}

static void round_of_all(void)
{
    turns();
    while (frames_count > 0) deliver(0, false);
    install_if_ready();
}

static void run(uint64_t ms)
{
    for (uint64_t until = now_ms + ms; now_ms < until; now_ms += 10) round_of_all();
}

static void offer(uint32_t from)
{
    snapshots_offer(&nodes[from].snapshots, now_ms, 1, chosen + 1);
}

static uint32_t find(enum frame_kind kind, uint32_t from)
{
    struct frame f;

    for (uint32_t i = 0; i < frames_count; i++) {
        CHECK(frame_decode(buf_bytes(&frames[i].bytes), &f) == 0);
        if (f.kind == kind && frames[i].from == from) return i;
    }
    CHECK(false);
}

/* The offer is taken and the first chunks lie there. */
static void begin_pulling(uint32_t from)
{
    offer(from);
    deliver(find(FRAME_SNAPSHOT_OFFER, from), false);
    deliver(find(FRAME_SNAPSHOT_ASK, 1), false);
    for (int i = 0; i < SNAPSHOT_WINDOW; i++) turns();
}

static void got_the_state_of(uint32_t id)
{
    IS(nodes[1].store.installs, 1);
    OK(states_equal(&nodes[1], &nodes[id]));
    OK(!snapshots_receiving(&nodes[1].snapshots));
}

#endif
