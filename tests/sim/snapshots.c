/* snapshots.c -- servers keep little log, and states that go from one to another.
 *
 * What is at rest is on disk: a copy is made of it, and an installed state replaces it, in
 * one step as in core/state. A copy and a stage are lost with the server. */
#include "core/base/check.h"
#include "core/base/errors.h"
#include "core/base/hash.h"
#include "tests/sim/sim.h"

/* The replica knows these hooks; they stand before those of the store in memory. */
static struct memory_store *store_of(void *ctx)
{
    return &((struct server *) ctx)->store;
}

static int on_open(void *ctx, uint64_t *slot)
{
    struct server *n = ctx;
    int code = memory_store_hooks(&n->store).open(&n->store, slot);

    if (code != 0) return code;
    trace(n->world, "node %u sends its state of slot %" PRIu64, n->id, *slot);
    checks_state(n->world, n->id, *slot, hash_bytes(buf_bytes(&n->store.copy), 0));
    return 0;
}

static bool on_read(void *ctx, struct bytes after, struct buf *cells)
{
    return memory_store_hooks(store_of(ctx)).read(store_of(ctx), after, cells);
}

static void on_close(void *ctx)
{
    memory_store_hooks(store_of(ctx)).close(store_of(ctx));
}

static void on_begin(void *ctx)
{
    memory_store_hooks(store_of(ctx)).begin(store_of(ctx));
}

static void on_put(void *ctx, struct bytes cells)
{
    struct server *n = ctx;

    memory_store_hooks(&n->store).put(&n->store, cells);
    n->store.held = rng_below(&n->world->rng, 3);
}

static void on_seal(void *ctx)
{
    memory_store_hooks(store_of(ctx)).seal(store_of(ctx));
}

static int on_staged(void *ctx, uint64_t *done)
{
    struct server *n = ctx;

    if (n->store.held > 0 && chance(n->world, 500)) n->store.held--;
    return memory_store_hooks(&n->store).staged(&n->store, done);
}

static void on_drop(void *ctx)
{
    memory_store_hooks(store_of(ctx)).drop(store_of(ctx));
}

/* A crash just before leaves the old state, one just after it the new one, of which the log
 * does not know yet. */
static int on_install(void *ctx, uint64_t slot)
{
    struct server *n = ctx;

    if (node_dies_here(n)) return ERR_IO;
    checks_state(n->world, n->id, slot, hash_bytes(buf_bytes(&n->store.stage), 0));
    n->history = checks_history(n->world, slot);
    n->zxid_told = 0;
    n->world->stats.installs++;
    trace(n->world, "node %u takes up the state of slot %" PRIu64, n->id, slot);
    front_installed(n);
    return memory_store_hooks(&n->store).install(&n->store, slot);
}

void sim_store_init(struct server *n)
{
    memory_store_init(&n->store, &n->flushed, &n->applied,
                      100 + rng_below(&n->world->rng, 2000));
}

struct snapshot_store sim_store(struct server *n)
{
    return (struct snapshot_store){ .ctx = n,
                                    .open = on_open,
                                    .read = on_read,
                                    .close = on_close,
                                    .begin = on_begin,
                                    .put = on_put,
                                    .seal = on_seal,
                                    .staged = on_staged,
                                    .drop = on_drop,
                                    .install = on_install };
}

/* What is flushed is needed in the log only by others. Those who get a snapshot cannot go on
 * from it when the log is cut too far meanwhile: then they get another. */
void sim_trim(struct server *n, uint64_t flushed)
{
    struct world *w = n->world;
    uint64_t slot = flushed, sending = replica_sending(n->replica);

    if (w->options.log_slots == 0) return;
    if (sending != 0 && slot > sending && chance(w, 900)) slot = sending;
    slot = slot > w->options.log_slots ? slot - w->options.log_slots : 0;
    if (slot > n->trimmed) n->trimmed = slot;
}
