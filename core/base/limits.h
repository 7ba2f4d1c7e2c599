/* limits.h -- every bound of the system, with its reason.
 *
 * Nothing queues, loops or grows without one of these.  A test build shrinks them
 * (-DTIDELOCK_SMALL_LIMITS) so that every bound is reached in seconds. */
#ifndef CORE_BASE_LIMITS_H
#define CORE_BASE_LIMITS_H

#include <assert.h>

#ifdef TIDELOCK_SMALL_LIMITS
#define LIMIT(normal, small) (small)
#else
#define LIMIT(normal, small) (normal)
#endif

/* Consensus. */
#define NODES_MAX   16u             /* members of a cluster; a set of them fits in 32 bits */
#define WINDOW_MAX  LIMIT(64u, 8u)  /* undecided slots; a set of them fits in 64 bits */
#define BATCH_BYTES_MAX (4u << 20)  /* hard size of one batch: one largest request, resolved */
#define BATCH_BYTES_AIM LIMIT(256u << 10, 1024u) /* a batch at this size takes no more requests */
#define LEARN_BYTES_MAX (1u << 20)  /* what one catch-up answer may carry, one slot at least */

/* The tree. */
#define PATH_BYTES_MAX    1024u
#define REQUEST_BYTES_MAX (1u << 20) /* default for one request: data, paths and options */
#define MULTI_OPS_MAX     1024u      /* ops of one multi, guards included */
#define TX_BYTES_MAX      (3u << 20) /* resolved ops of one multi or run: twice a request and
                                        more, since a path can resolve to many */
#define CALL_OPS_MAX      1024u      /* ops of one run of a recipe function */
#define LIST_COUNT_MAX    10000u     /* names in one page of children */
#define SUBTREE_NODES_MAX LIMIT(10000u, 100u) /* that one transaction deletes or copies */
#define TTL_MS_MAX        (100ull * 365 * 86400 * 1000)
#define LINGER_MS_MAX     60000u     /* an expired owner's name is kept so long at most */

/* Sessions. */
#define SESSION_TIMEOUT_MIN_MS     1000u
#define SESSION_TIMEOUT_MAX_MS     600000u
#define SESSION_TIMEOUT_DEFAULT_MS 10000u
#define SESSION_SECRET_BYTES       16u
#define SESSION_RESULTS_MAX        4096u /* stored results of one session not yet acknowledged */

/* Requests at one server that are not yet answered: what fits in memory at the
 * largest request would not, so bytes are bounded too. */
#define PENDING_COUNT_MAX LIMIT(65536u, 256u)
#define PENDING_BYTES_MAX (64u << 20)
#define WAITING_CALLS_MAX LIMIT(65536u, 256u) /* recipe calls waiting on the leader */

/* Watches: near 80 bytes each, and 40 with its length for each path. */
#define CONN_WATCHES_MAX LIMIT(100000u, 64u) /* of one connection */
#define WATCH_MANY_MAX   LIMIT(1000u, 16u) /* of one request */
#define WATCHES_MAX      LIMIT(1000000u, 256u) /* of one server */

/* Messages. */
#define RPC_BYTES_MAX      (REQUEST_BYTES_MAX + 4096u) /* one request with its envelope */
#define RPC_HELLO_BYTES_MAX 4096u /* one request before hello: a stranger costs no more */
#define RPC_DEPTH_MAX      16u    /* nesting of one request */
#define FRAME_BYTES_MAX    (8u << 20) /* one frame between servers */

/* Timing, in milliseconds. */
#define HEARTBEAT_MS    50u
#define ELECTION_MIN_MS 150u
#define ELECTION_MAX_MS 300u
#define LEASE_MS_MAX    100u /* a leader's lease, and what a restarted server waits for one */
#define LEAVE_MS_MAX    30000u /* a removed server, when the others do not say that they know */
#define STALL_MS        200u /* a leader that was not run for so long expires nobody for it */

/* Scripts. */
#define SCRIPT_MEMORY_MAX (8u << 20)   /* bytes one recipe's Lua state may hold */
#define SCRIPT_FUEL_MAX   1000000u     /* Lua instructions of one run, near 10 ms */

static_assert(WINDOW_MAX <= 64, "a set of window slots is one uint64_t");
static_assert(NODES_MAX <= 32, "a set of nodes is one uint32_t");
static_assert(REQUEST_BYTES_MAX * 2 <= BATCH_BYTES_MAX, "a resolved request fits a batch");
static_assert(TX_BYTES_MAX + REQUEST_BYTES_MAX <= BATCH_BYTES_MAX, "so do ops and result");
static_assert(BATCH_BYTES_MAX * 2 <= FRAME_BYTES_MAX, "a batch fits a frame");
static_assert(HEARTBEAT_MS * 3 <= ELECTION_MIN_MS, "two lost heartbeats elect nobody");
static_assert(LEASE_MS_MAX < ELECTION_MIN_MS, "a lease is over when silence is long enough");

#endif
