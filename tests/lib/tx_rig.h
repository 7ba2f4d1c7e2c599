/* tx_rig.h -- a tree in memory and one transaction on it, for the tests of core/tree/tx.h.
 * A test program includes it once and has its own. */
#ifndef TESTS_LIB_TX_RIG_H
#define TESTS_LIB_TX_RIG_H

#include <stdlib.h>

#include "core/tree/tree.h"
#include "core/tree/tx.h"
#include "tests/lib/tap.h"

enum { SESSION = 5, ZXID = 100, TIME = 1700000000 };

static uint64_t seed; /* of the tree's tables */
static struct kv_overlay state;
static struct tx t;
static struct buf created;
static struct tree_tally tally; /* of `state`, if the test keeps it: keep_tx() */
static uint64_t clock_ms;       /* the service's, for the transactions to come */

/* The tree asks no more of a session than that its cell is there. */
static inline void put_session(struct kv_overlay *o, uint64_t id)
{
    uint8_t room[KV_ID_KEY_BYTES];

    kv_put(o, kv_id_key(room, 's', id), BYTES_LIT("alive"), 0);
}

static inline void begin_tx(uint64_t zxid)
{
    tx_reset(&t);
    t.zxid = zxid;
    t.time_ms = TIME + (int64_t) zxid;
    t.session = SESSION;
    t.clock_ms = clock_ms;
    t.tally = tally;
}

/* What was built becomes the state that the next transaction stands on. */
static inline void keep_tx(void)
{
    uint64_t zxid = t.zxid;

    tx_finish(&t);
    tally = t.tally;
    kv_overlay_move(&t.over, &state, zxid);
    tree_check(&state.view);
    begin_tx(zxid + 1);
}

static inline void begin(void)
{
    kv_overlay_init(&state, NULL, seed);
    tx_init(&t, &state.view, seed + 1);
    tree_found(&state);
    put_session(&state, SESSION);
    tally = (struct tree_tally){ .nodes = 1, .expires_first = UINT64_MAX };
    clock_ms = 1000;
    begin_tx(ZXID);
}

static inline void end(void)
{
    tx_fini(&t);
    kv_overlay_fini(&state);
}

/* SEED of the environment, or 1. */
static inline void read_seed(void)
{
    const char *given = getenv("SEED");

    seed = given != NULL ? strtoull(given, NULL, 10) : 1;
    printf("# SEED=%" PRIu64 "\n", seed);
}

#endif
