/* t_feed_snapshot.c -- what stands below a path, told page by page while it changes: F4.
 *
 * Method: a tree of some forty places in a store in memory; a reader keeps what it is told
 * of in a map, and at the last page, and after every transaction from then on, that map is
 * compared with the tree. Replay: SEED=<n> ./t_feed_snapshot */
#include <stdlib.h>

#include "core/base/rng.h"
#include "core/tree/node.h"
#include "core/tree/op.h"
#include "core/tree/path.h"
#include "core/watch/feed.h"
#include "tests/lib/tap.h"

enum { PLACES = 40 };

static struct feed feed;
static struct kv_overlay tree;
static uint8_t data[FEED_PAGE_BYTES / 3]; /* of every node: three are a page */
static char places[PLACES][16];   /* below and with /t, in the order of a walk */
static uint64_t there[PLACES];    /* mzxid, 0 = no node */
static uint64_t known[PLACES];    /* as the reader was told */
static uint64_t slot, zxid;
static bool whole, slow, full;
static int pages, changed, lags;
static uint64_t lagged_at;
static struct rng rng;

/* "a-" stands behind all that is below "a", as a walk goes. */
static void places_name(void)
{
    static const char *const names[] = { "a", "a-", "b" };
    int count = 0;

    snprintf(places[count++], sizeof places[0], "/t");
    for (int i = 0; i < 3; i++) {
        snprintf(places[count++], sizeof places[0], "/t/%s", names[i]);
        for (int j = 0; j < 3; j++) {
            snprintf(places[count++], sizeof places[0], "/t/%s/%s", names[i], names[j]);
            for (int k = 0; k < 3; k++) {
                snprintf(places[count++], sizeof places[0], "/t/%s/%s/%s", names[i],
                         names[j], names[k]);
            }
        }
    }
}

static int place_of(struct bytes path)
{
    for (int i = 0; i < PLACES; i++) {
        if (bytes_equal(path, bytes_str(places[i]))) return i;
    }
    return -1;
}

/* --- the tree --- */

static void node_put(const char *path)
{
    const struct node n = { .czxid = zxid, .mzxid = zxid, .data = bytes_of(data, sizeof data) };
    struct buf key = { 0 }, value = { 0 };

    node_key(&key, bytes_str(path));
    node_encode(&value, &n);
    kv_put(&tree, buf_bytes(&key), buf_bytes(&value), 0);
    buf_fini(&key);
    buf_fini(&value);
}

static void node_drop(const char *path)
{
    struct buf key = { 0 };

    node_key(&key, bytes_str(path));
    kv_delete(&tree, buf_bytes(&key), 0);
    buf_fini(&key);
}

static bool has_children(int place)
{
    for (int i = 1; i < PLACES; i++) {
        if (there[i] != 0 &&
            bytes_equal(path_parent(bytes_str(places[i])), bytes_str(places[place]))) {
            return true;
        }
    }
    return false;
}

/* What may be done at the place: it is done, and its op appended. */
static void change(struct buf *ops, int place)
{
    const struct bytes path = bytes_str(places[place]);
    const bool rooted = place == 0 || there[place_of(path_parent(path))] != 0;
    struct op op = { .kind = OP_SET, .path = path, .data = BYTES_LIT("x") };

    if (!rooted) return;
    if (there[place] == 0) {
        op.kind = OP_CREATE;
    } else if (!has_children(place) && rng_below(&rng, 2) == 0) {
        op = (struct op){ .kind = OP_DELETE, .path = path };
    }
    if (op.kind == OP_DELETE) node_drop(places[place]);
    else node_put(places[place]);
    there[place] = op.kind == OP_DELETE ? 0 : zxid;
    op_encode(ops, &op);
}

static void compare(void)
{
    for (int i = 0; i < PLACES; i++) IS(known[i], there[i]);
}

/* One slot with one transaction of that many changes. */
static void apply(uint64_t count)
{
    struct buf ops = { 0 };
    struct txn t = { .flags = TXN_FINAL };

    zxid++;
    for (uint64_t i = 0; i < count; i++) change(&ops, (int) rng_below(&rng, PLACES));
    t.ops = buf_bytes(&ops);
    feed_txn(&feed, &t, zxid);
    feed_applied(&feed, ++slot);
    buf_fini(&ops);
    if (whole) compare();
}

/* --- the reader --- */

static bool on_events(void *ctx, uint64_t owner, uint64_t z, const struct changes *c,
                      const struct watch_firing *f, size_t count)
{
    (void) ctx, (void) owner;
    if (full) return false;
    for (size_t i = 0; i < count; i++) {
        const struct event *e = changes_at(c, f[i].event);
        const int place = place_of(e->path);

        OK((known[place] == 0) == (e->kind == EVENT_CREATED));
        known[place] = e->kind == EVENT_DELETED ? 0 : z;
        changed++;
    }
    return true;
}

static void on_lagged(void *ctx, uint64_t owner, uint64_t z, const uint64_t *ids,
                      size_t count)
{
    (void) ctx, (void) owner;
    IS(count, 1);
    IS(ids[0], 5);
    lags++;
    lagged_at = z;
    whole = false;
}

static bool on_waits(void *ctx, uint64_t owner)
{
    (void) ctx, (void) owner;
    return slow;
}

static void on_ended(void *ctx, uint64_t tag, int code)
{
    (void) ctx, (void) tag, (void) code;
}

static void on_node(void *ctx, struct bytes path, uint64_t mzxid, bool value,
                    struct bytes got)
{
    (void) ctx;
    OK(value);
    IS(got.len, sizeof data);
    IS(known[place_of(path)], 0); /* told for the first time */
    known[place_of(path)] = mzxid;
}

static void on_page(void *ctx, uint64_t owner, uint64_t id, uint64_t z, bool more)
{
    (void) ctx;
    IS(owner, 1);
    IS(id, 5);
    IS(z, zxid);
    pages++;
    whole = !more;
    if (whole) compare();
}

static void begin(uint64_t seed)
{
    const struct feed_io io = { .events = on_events,
                                .lagged = on_lagged,
                                .waits = on_waits,
                                .ended = on_ended,
                                .node = on_node,
                                .page = on_page };

    rng_init(&rng, seed);
    feed_init(&feed, &io, 7);
    kv_overlay_init(&tree, NULL, 7);
    places_name();
    memset(there, 0, sizeof there);
    slot = zxid = 0;
    whole = slow = full = false;
    pages = changed = lags = 0;
}

static void arm(bool deep)
{
    const struct feed_wish wish = { .spec = { .owner = 1,
                                              .id = 5,
                                              .path = BYTES_LIT("/t"),
                                              .what = deep ? WATCH_TREE : WATCH_DATA,
                                              .value = true },
                                    .snapshot = true };

    memset(known, 0, sizeof known);
    whole = false;
    IS(feed_arm(&feed, &wish, zxid), 0);
}

static void turn(void)
{
    feed_turn(&feed, &tree.view, zxid);
}

static void run(void)
{
    while (feed_again(&feed)) turn();
}

static void end(void)
{
    feed_forget(&feed, 1);
    feed_fini(&feed);
    kv_overlay_fini(&tree);
}

static void grow(void)
{
    for (int i = 0; i < 200; i++) apply(3);
}

/* --- rules --- */

static void a_walk_goes_in_the_order_of_paths_below_each_other(void)
{
    places_name();
    for (int i = 0; i < PLACES; i++) {
        for (int j = 0; j < PLACES; j++) {
            const int order = walk_compare(bytes_str(places[i]), bytes_str(places[j]));

            IS((order > 0) - (order < 0), (i > j) - (i < j));
        }
    }
    OK(walk_compare(BYTES_LIT("/"), BYTES_LIT("/t")) < 0);
}

static void what_stands_there_is_told_and_then_what_changes(void)
{
    begin(1);
    grow();
    arm(true);
    OK(!whole);
    run();
    OK(whole);
    OK(pages > 1);
    grow();
    OK(changed > 0);
    end();
}

static void a_snapshot_of_nothing_is_one_empty_page(void)
{
    begin(2);
    arm(true);
    run();
    IS(pages, 1);
    OK(whole);
    end();
}

static void a_watch_of_one_node_is_told_of_that_node(void)
{
    begin(3);
    zxid++;
    node_put("/t");
    node_put("/t/a");
    there[0] = zxid;
    arm(false);
    run();
    IS(pages, 1);
    OK(whole);
    end();
}

static void no_page_is_told_to_an_owner_that_does_not_read(void)
{
    begin(4);
    grow();
    slow = true;
    arm(true);
    OK(!feed_again(&feed));
    turn();
    IS(pages, 0);
    slow = false;
    run();
    OK(whole);
    end();
}

static void a_watch_that_is_gone_gets_no_page(void)
{
    begin(5);
    grow();
    arm(true);
    feed_unarm(&feed, 1, 5);
    run();
    IS(pages, 0);
    arm(true); /* its id is free */
    run();
    OK(whole);
    end();
}

static void one_that_lagged_may_begin_anew(void)
{
    begin(6);
    grow();
    arm(true);
    run();
    OK(whole);
    full = true;
    while (lags == 0) apply(3);
    full = false;
    IS(lagged_at, zxid - 1);
    run();
    arm(true);
    run();
    OK(whole);
    end();
}

static void all_that_is_told_adds_up_to_the_tree_in_a_storm(void)
{
    const char *env = getenv("SEED");
    const uint64_t seed = env != NULL ? strtoull(env, NULL, 10) : 20260711;
    int wholes = 0;

    printf("# SEED=%" PRIu64 "\n", seed);
    begin(seed);
    grow();
    for (int step = 0; step < 4000; step++) {
        if (feed_count_of(&feed, 1) == 0) arm(true);
        if (rng_below(&rng, 3) != 0) apply(rng_below(&rng, 4));
        full = rng_below(&rng, 100) == 0;
        if (rng_below(&rng, 5) == 0) turn();
        if (whole && rng_below(&rng, 10) == 0) {
            wholes++;
            feed_forget(&feed, 1);
            whole = false;
        }
    }
    printf("# %d snapshots in %d pages, %d changes, %d lags\n", wholes, pages, changed, lags);
    OK(wholes > 50);
    OK(lags > 0);
    end();
}

int main(void)
{
    TEST(a_walk_goes_in_the_order_of_paths_below_each_other);
    TEST(what_stands_there_is_told_and_then_what_changes);
    TEST(a_snapshot_of_nothing_is_one_empty_page);
    TEST(a_watch_of_one_node_is_told_of_that_node);
    TEST(no_page_is_told_to_an_owner_that_does_not_read);
    TEST(a_watch_that_is_gone_gets_no_page);
    TEST(one_that_lagged_may_begin_anew);
    TEST(all_that_is_told_adds_up_to_the_tree_in_a_storm);
    return tap_done();
}
