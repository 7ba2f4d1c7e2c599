/* t_tx_storm.c -- random transactions on the tree.
 *
 * Method: a seeded storm of changes, good and bad; the ops of each transaction are replayed
 * on a twin, and all cells, digests and tree_check() must agree. Replay a failing one with:
 * SEED=<n> ./t_tx_storm */
#include "core/base/rng.h"
#include "core/tree/op.h"
#include "tests/lib/tx_rig.h"

enum { STORM_TXS = 3000 };

static struct rng rng;
static struct kv_overlay twin;
static struct buf path_room;
static long storm_changes, storm_refusals;

/* Of few names and small depth, so that paths meet; now and then what is no path. */
static struct bytes storm_path(void)
{
    uint64_t depth = rng_below(&rng, 4);

    buf_clear(&path_room);
    for (uint64_t i = 0; i < depth; i++) {
        char part[3] = { '/', (char) ('a' + (int) rng_below(&rng, 3)) };

        buf_put_bytes_raw(&path_room, bytes_str(part));
    }
    if (depth == 0) buf_put_u8(&path_room, '/');
    if (rng_below(&rng, 50) == 0) buf_put_u8(&path_room, '/');
    return buf_bytes(&path_room);
}

static int storm_create_with_ttl(struct bytes path, struct bytes data)
{
    const struct tx_creation how = { .flags = rng_below(&rng, 2) == 0 ? TX_PARENTS : 0,
                                     .ttl_ms = 1 + rng_below(&rng, 300) };

    return tx_create_as(&t, path, data, &how, &created);
}

static int storm_subtree(struct bytes path)
{
    struct tx_deleted deleted;
    struct buf from = { 0 };
    uint64_t nodes;
    int err;

    if (rng_below(&rng, 3) == 0) {
        return tx_delete_tree(&t, path, rng_below(&rng, 2) == 0, &deleted);
    }
    buf_put_bytes_raw(&from, path);
    err = tx_copy(&t, buf_bytes(&from), storm_path(), &nodes);
    buf_fini(&from);
    return err;
}

static int storm_change(void)
{
    static const uint8_t data[300];
    struct bytes some = { 0 }, path = storm_path();
    int64_t version = rng_below(&rng, 3) == 0 ? (int64_t) rng_below(&rng, 3) : -1;

    if (rng_below(&rng, 4) > 0) some = bytes_of(data, rng_below(&rng, sizeof data));
    switch (rng_below(&rng, 16)) {
    case 0:
    case 1:
    case 2:
    case 3:
        return tx_create(&t, path, some, (unsigned) rng_below(&rng, 16), &created);
    case 4:
    case 5:
        return storm_create_with_ttl(path, some);
    case 6:
    case 7:
    case 8:
        return tx_set(&t, path, some, version);
    case 9:
        return tx_check(&t, path, version);
    case 10:
        return tx_touch(&t, path);
    case 11:
        return storm_subtree(path);
    case 12:
        return tx_quota(&t, path, rng_below(&rng, 30), rng_below(&rng, 5000));
    default:
        return tx_delete(&t, path, version);
    }
}

struct weighed {
    uint64_t digest;
    size_t ops;
};

static void digest_cell(void *ctx, struct bytes key, struct bytes value, uint64_t stamp)
{
    struct kv_overlay *o = ctx;

    (void) stamp;
    if (value.ptr == NULL) kv_delete(o, key, 0);
    else kv_put(o, key, value, 0);
}

/* One number for all cells of an overlay. */
static uint64_t cells_digest(struct kv_overlay *o)
{
    struct kv_overlay sum;
    uint64_t digest;

    kv_overlay_init(&sum, NULL, 1);
    sum.digesting = true;
    kv_overlay_each(o, digest_cell, &sum);
    digest = sum.digest;
    kv_overlay_fini(&sum);
    return digest;
}

/* X1: what a refused change must not touch. */
static struct weighed weigh(void)
{
    return (struct weighed){ cells_digest(&t.over), t.ops.len };
}

static bool storm_build(void)
{
    bool whole = true;

    for (uint64_t i = rng_below(&rng, 6); i > 0; i--) {
        struct weighed before = weigh(), after;

        if (storm_change() == 0) {
            storm_changes++;
            continue;
        }
        storm_refusals++;
        after = weigh();
        whole = whole && before.digest == after.digest && before.ops == after.ops;
    }
    return whole;
}

/* X2: the ops alone give the twin the same cells. */
static void storm_replay(struct kv_overlay *o)
{
    struct tree_tally twin_tally = tally;
    struct tree_context c = { .zxid = t.zxid,
                              .time_ms = t.time_ms,
                              .clock_ms = t.clock_ms,
                              .tally = &twin_tally };
    struct reader r = reader_of(buf_bytes(&t.ops));
    struct op op;

    while (reader_left(&r) > 0) {
        IS(op_decode(&r, &op), 0);
        tree_apply(o, &c, &op);
    }
    IS(twin_tally.nodes, t.tally.nodes);
    IS(twin_tally.bytes, t.tally.bytes);
    IS(twin_tally.quotas, t.tally.quotas);
}

static bool storm_transaction(uint64_t zxid)
{
    struct kv_overlay replay;
    bool whole, same;

    clock_ms += rng_below(&rng, 50);
    begin_tx(zxid);
    whole = storm_build();
    tx_finish(&t);
    kv_overlay_init(&replay, &twin.view, seed + 3);
    storm_replay(&replay);
    same = cells_digest(&replay) == cells_digest(&t.over);
    if (rng_below(&rng, 4) > 0) { /* else it is dropped, here as there */
        tally = t.tally;
        kv_overlay_move(&t.over, &state, zxid);
        kv_overlay_move(&replay, &twin, zxid);
    }
    kv_overlay_fini(&replay);
    return whole && same && state.digest == twin.digest;
}

static void replayed_ops_give_the_same_cells_and_digests(void)
{
    long wrong = 0;

    begin();
    rng_init(&rng, seed);
    kv_overlay_init(&twin, NULL, seed + 2);
    tree_found(&twin);
    put_session(&twin, SESSION);
    state.digesting = twin.digesting = true;
    for (uint64_t i = 0; i < STORM_TXS; i++) {
        if (!storm_transaction(ZXID + i)) wrong++;
        if (i % 16 == 0) tree_check(&twin.view);
    }
    tree_check(&state.view);
    IS(wrong, 0);
    OK(cells_digest(&state) == cells_digest(&twin));
    IS(tree_tally_count(&state.view).nodes, tally.nodes);
    OK(storm_changes > STORM_TXS / 4);
    OK(storm_refusals > STORM_TXS / 2);
    kv_overlay_fini(&twin);
    end();
}

int main(void)
{
    read_seed();
    TEST(replayed_ops_give_the_same_cells_and_digests);
    buf_fini(&created);
    buf_fini(&path_room);
    return tap_done();
}
