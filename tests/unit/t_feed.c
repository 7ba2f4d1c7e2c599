/* t_feed.c -- watches of many owners over live transactions and over the log: F1..F3.
 *
 * Method: slots are batches in memory, as the log would give them; what owners are told is
 * written down as text, or compared in the storm with a plain list of all that was done.
 * Replay: SEED=<n> ./t_feed */
#include <stdarg.h>
#include <stdlib.h>

#include "core/base/errors.h"
#include "core/base/rng.h"
#include "core/tree/op.h"
#include "core/watch/feed.h"
#include "tests/lib/tap.h"

enum { SLOTS = 4000, OWNERS = 6, PATHS = 5 };

static struct feed feed;
static struct kv_overlay tree; /* what snapshots show */
static struct blob *slots[SLOTS];
static uint64_t slot, zxid; /* the newest */
static uint64_t log_first;  /* slots below are no longer kept */
static bool full, slow;     /* no owner can be told more; none reads */
static char told[1 << 14];

static void put(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void put(const char *format, ...)
{
    const size_t at = strlen(told);
    va_list args;

    va_start(args, format);
    vsnprintf(told + at, sizeof told - at, format, args);
    va_end(args);
}

static const char *take(void)
{
    static char taken[sizeof told];

    memcpy(taken, told, sizeof told);
    told[0] = '\0';
    return taken;
}

/* --- the world of the feed --- */

static bool on_events(void *ctx, uint64_t owner, uint64_t z, const struct changes *c,
                      const struct watch_firing *f, size_t count)
{
    (void) ctx;
    if (full) return false;
    put("%" PRIu64 "@%" PRIu64 ":", owner, z);
    for (size_t i = 0; i < count; i++) {
        const struct event *e = changes_at(c, f[i].event);

        put(" %" PRIu64 " %s %.*s", f[i].id, event_name(e->kind), (int) e->path.len,
            (const char *) e->path.ptr);
    }
    put("; ");
    return true;
}

static void on_lagged(void *ctx, uint64_t owner, uint64_t z, const uint64_t *ids,
                      size_t count)
{
    (void) ctx;
    put("%" PRIu64 " lagged %" PRIu64 ":", owner, z);
    for (size_t i = 0; i < count; i++) put(" %" PRIu64, ids[i]);
    put("; ");
}

static bool on_waits(void *ctx, uint64_t owner)
{
    (void) ctx, (void) owner;
    return slow;
}

static struct blob *on_batch(void *ctx, uint64_t s)
{
    (void) ctx;
    return s < log_first ? NULL : blob_ref(slots[s]);
}

static void on_ended(void *ctx, uint64_t tag, int code)
{
    (void) ctx;
    put("tag %" PRIu64 " %d; ", tag, code);
}

static void on_node(void *ctx, struct bytes path, uint64_t mzxid, bool value,
                    struct bytes data)
{
    (void) ctx, (void) value, (void) data;
    put("%.*s@%" PRIu64 " ", (int) path.len, (const char *) path.ptr, mzxid);
}

static void on_page(void *ctx, uint64_t owner, uint64_t id, uint64_t z, bool more)
{
    (void) ctx;
    put("%s of %" PRIu64 " %" PRIu64 " @%" PRIu64 "; ", more ? "page" : "last page", owner,
        id, z);
}

static void begin(void)
{
    const struct feed_io io = { .events = on_events,
                                .lagged = on_lagged,
                                .waits = on_waits,
                                .batch = on_batch,
                                .ended = on_ended,
                                .node = on_node,
                                .page = on_page };

    feed_init(&feed, &io, 7);
    kv_overlay_init(&tree, NULL, 7);
    slot = zxid = log_first = 0;
    full = slow = false;
    told[0] = '\0';
}

static void end(void)
{
    for (uint64_t owner = 1; owner <= OWNERS; owner++) feed_forget(&feed, owner);
    feed_fini(&feed);
    kv_overlay_fini(&tree);
    for (int i = 0; i < SLOTS; i++) {
        blob_unref(slots[i]);
        slots[i] = NULL;
    }
}

/* One slot with one transaction for each path given: a SET of it. None: a void batch. */
static void apply(const char *const *paths, uint32_t count)
{
    struct buf batch = { 0 }, ops = { 0 };
    const uint64_t first = zxid + 1;

    slot++;
    batch_begin(&batch, &(struct batch){ .zxid_first = first, .time_ms = 1 });
    buf_put_uint(&batch, count);
    for (uint32_t i = 0; i < count; i++) {
        buf_clear(&ops);
        op_encode(&ops, &(struct op){ .kind = OP_SET, .path = bytes_str(paths[i]) });
        const struct txn t = { .flags = TXN_FINAL, .ops = buf_bytes(&ops) };

        txn_encode(&batch, &t);
        feed_txn(&feed, &t, ++zxid);
    }
    feed_applied(&feed, slot);
    slots[slot] = blob_new(buf_bytes(&batch));
    buf_fini(&batch);
    buf_fini(&ops);
}

/* A transaction of a slot that is not over. */
static void feed_txn_of(const char *path)
{
    struct buf ops = { 0 };

    op_encode(&ops, &(struct op){ .kind = OP_SET, .path = bytes_str(path) });
    feed_txn(&feed, &(struct txn){ .flags = TXN_FINAL, .ops = buf_bytes(&ops) }, ++zxid);
    buf_fini(&ops);
}

static void set(const char *path)
{
    apply(&path, 1);
}

static int arm_since(uint64_t owner, uint64_t id, const char *path, uint64_t since)
{
    const struct feed_wish wish = { .spec = { .owner = owner,
                                              .id = id,
                                              .path = bytes_str(path),
                                              .what = WATCH_DATA,
                                              .since = since },
                                    .resumes = true,
                                    .tag = id };

    return feed_arm(&feed, &wish, zxid);
}

static int arm(uint64_t owner, uint64_t id, const char *path)
{
    return arm_since(owner, id, path, zxid);
}

static void turn(void)
{
    feed_turn(&feed, &tree.view, zxid);
}

static void run(void)
{
    while (feed_again(&feed)) turn();
}

/* --- rules --- */

static void an_armed_watch_hears_of_what_comes(void)
{
    begin();
    set("/a");
    IS(arm(1, 1, "/a"), 0);
    set("/a");
    set("/b");
    set("/a");
    STR(take(), "1@2: 1 changed /a; 1@4: 1 changed /a; ");
    feed_unarm(&feed, 1, 1);
    set("/a");
    STR(take(), "");
    end();
}

static void a_watch_that_comes_back_hears_of_what_it_missed_then_ends_its_tag(void)
{
    begin();
    for (int i = 0; i < 3; i++) set("/a"), set("/b");
    IS(arm_since(1, 9, "/a", 1), FEED_LATER);
    run();
    STR(take(), "1@3: 9 changed /a; 1@5: 9 changed /a; tag 9 0; ");
    set("/a");
    STR(take(), "1@7: 9 changed /a; ");
    end();
}

static void void_batches_are_passed_over(void)
{
    begin();
    set("/a");
    apply(NULL, 0);
    set("/a");
    IS(arm_since(1, 9, "/a", 1), FEED_LATER);
    run();
    STR(take(), "1@2: 9 changed /a; tag 9 0; ");
    end();
}

static void what_comes_while_one_catches_up_is_told_in_its_turn(void)
{
    begin();
    for (int i = 0; i < 3 * FEED_SLOTS_A_TURN; i++) set("/b");
    set("/a");
    IS(arm_since(1, 9, "/a", 1), FEED_LATER);
    turn();
    set("/a");
    STR(take(), "");
    run();
    char want[100];

    snprintf(want, sizeof want, "1@%d: 9 changed /a; 1@%d: 9 changed /a; tag 9 0; ",
             3 * FEED_SLOTS_A_TURN + 1, 3 * FEED_SLOTS_A_TURN + 2);
    STR(take(), want);
    end();
}

static void an_owner_that_does_not_read_is_waited_for(void)
{
    begin();
    set("/a");
    set("/a");
    slow = true;
    IS(arm_since(1, 9, "/a", 1), FEED_LATER);
    OK(!feed_again(&feed));
    turn();
    STR(take(), "");
    slow = false;
    run();
    STR(take(), "1@2: 9 changed /a; tag 9 0; ");
    end();
}

static void what_is_no_longer_kept_or_still_to_come_is_lagged(void)
{
    begin();
    for (int i = 0; i < 5; i++) set("/a");
    IS(arm_since(1, 9, "/a", 6), ERR_LAGGED);
    log_first = 4;
    IS(arm_since(1, 9, "/a", 1), FEED_LATER);
    run();
    char want[50];

    snprintf(want, sizeof want, "tag 9 %d; ", ERR_LAGGED);
    STR(take(), want);
    for (int i = 0; i < FEED_HISTORY_SLOTS && slot < SLOTS - 2; i++) apply(NULL, 0);
    if (slot > FEED_HISTORY_SLOTS) IS(arm_since(1, 9, "/a", 1), ERR_LAGGED);
    set("/a");
    STR(take(), "");
    end();
}

static void a_watch_that_cannot_be_told_more_is_gone_alone_and_its_owner_hears(void)
{
    begin();
    set("/a");
    IS(arm(1, 1, "/a"), 0);
    IS(arm(1, 2, "/b"), 0);
    set("/a");
    full = true;
    set("/a");
    full = false;
    set("/a");
    set("/b");
    STR(take(), "1@2: 1 changed /a; 1 lagged 2: 1; 1@5: 2 changed /b; ");
    IS(arm_since(1, 1, "/a", 2), FEED_LATER);
    run();
    STR(take(), "1@3: 1 changed /a; 1@4: 1 changed /a; tag 1 0; ");
    end();
}

/* The watch of /b stays, and hears of the very transaction. */
static void a_watch_with_too_much_unread_lags_alone_until_its_owner_has_read(void)
{
    const char *both[] = { "/a", "/b" };
    const int most = WATCH_UNREAD_MAX / WATCH_UNREAD_UNIT;
    char want[100];

    begin();
    IS(arm(1, 1, "/a"), 0);
    IS(arm(1, 2, "/b"), 0);
    for (int i = 0; i < most; i++) feed_txn_of("/a");
    feed_read(&feed, 1);
    for (int i = 0; i < most; i++) feed_txn_of("/a");
    take();
    apply(both, 2);
    snprintf(want, sizeof want, "1 lagged %d: 1; 1@%d: 2 changed /b; ", 2 * most,
             2 * most + 2);
    STR(take(), want);
    end();
}

static void an_id_stands_once_and_a_bad_path_not_at_all(void)
{
    begin();
    set("/a");
    set("/a");
    IS(arm(1, 1, "/a"), 0);
    IS(arm(1, 1, "/b"), ERR_BAD_PARAMS);
    IS(arm(2, 1, "/b"), 0);
    IS(arm_since(1, 2, "/a", 1), FEED_LATER);
    IS(arm(1, 2, "/a"), ERR_BAD_PARAMS);
    IS(arm(1, 3, "a"), ERR_BAD_PATH);
    end();
}

static void what_is_forgotten_is_told_nothing_and_ends_no_tag(void)
{
    begin();
    set("/a");
    set("/a");
    IS(arm(1, 1, "/a"), 0);
    IS(arm_since(1, 2, "/a", 1), FEED_LATER);
    IS(arm_since(2, 3, "/a", 1), FEED_LATER);
    feed_forget(&feed, 1);
    run();
    STR(take(), "2@2: 3 changed /a; tag 3 0; ");
    end();
}

/* --- the storm --- */

/* A client, as the library is one: it knows how far it is complete, comes back with that,
 * and must hear every change of its path once. */
static struct client {
    uint64_t complete, heard;
    bool there, armed;
    unsigned path;
} clients[OWNERS + 1];
static struct rng rng;
static uint64_t done[SLOTS * 4];           /* the path + 1 that a zxid changed */

static const char *const paths[PATHS] = { "/a", "/b", "/a/b", "/c", "/d" };

static bool storm_events(void *ctx, uint64_t owner, uint64_t z, const struct changes *ch,
                         const struct watch_firing *f, size_t count)
{
    struct client *c = &clients[owner];

    (void) ctx;
    if (rng_below(&rng, 60) == 0) return false;
    IS(count, 1);
    OK(bytes_equal(changes_at(ch, f->event)->path, bytes_str(paths[c->path])));
    for (uint64_t i = c->complete + 1; i < z; i++) OK(done[i] != c->path + 1);
    OK(z > c->complete);
    c->complete = z;
    c->heard++;
    return true;
}

static void storm_lagged(void *ctx, uint64_t owner, uint64_t z, const uint64_t *ids,
                         size_t count)
{
    struct client *c = &clients[owner];

    (void) ctx;
    IS(count, 1);
    IS(ids[0], owner);
    OK(z >= c->complete);
    for (uint64_t i = c->complete + 1; i <= z; i++) OK(done[i] != c->path + 1);
    c->complete = z;
    c->there = c->armed = false;
}

static bool storm_waits(void *ctx, uint64_t owner)
{
    (void) ctx, (void) owner;
    return rng_below(&rng, 4) == 0;
}

static void storm_ended(void *ctx, uint64_t tag, int code)
{
    struct client *c = &clients[tag];

    (void) ctx;
    OK(c->there && !c->armed);
    c->armed = code == 0;
    if (code != 0) c->there = false;
    if (code != 0) return;
    for (uint64_t i = c->complete + 1; i <= zxid; i++) OK(done[i] != c->path + 1);
    c->complete = zxid;
}

static void storm_comes(uint64_t owner)
{
    struct client *c = &clients[owner];
    const int code = arm_since(owner, owner, paths[c->path], c->complete);

    OK(code == 0 || code == FEED_LATER || code == ERR_LAGGED);
    if (code == ERR_LAGGED) c->complete = zxid; /* it reads again */
    c->there = code != ERR_LAGGED;
    c->armed = code == 0;
}

static void storm_step(void)
{
    const uint64_t owner = 1 + rng_below(&rng, OWNERS);
    const char *now[3];
    uint32_t count = 0;

    for (uint64_t n = rng_below(&rng, 4); count < n; count++) {
        const unsigned path = (unsigned) rng_below(&rng, PATHS);

        now[count] = paths[path];
        done[zxid + count + 1] = path + 1;
    }
    if (rng_below(&rng, 2) == 0) apply(now, count);
    if (!clients[owner].there) {
        if (rng_below(&rng, 3) == 0) storm_comes(owner);
    } else if (rng_below(&rng, 20) == 0) {
        feed_forget(&feed, owner);
        clients[owner].there = clients[owner].armed = false;
    }
    if (rng_below(&rng, 3) == 0) turn();
}

static void every_client_hears_of_every_change_once_in_a_storm(void)
{
    const char *env = getenv("SEED");
    const uint64_t seed = env != NULL ? strtoull(env, NULL, 10) : 20260711;
    uint64_t heard = 0;

    printf("# SEED=%" PRIu64 "\n", seed);
    rng_init(&rng, seed);
    begin();
    feed.io = (struct feed_io){ .events = storm_events,
                                .lagged = storm_lagged,
                                .waits = storm_waits,
                                .batch = on_batch,
                                .ended = storm_ended,
                                .node = on_node,
                                .page = on_page };
    for (uint64_t i = 1; i <= OWNERS; i++) {
        clients[i] = (struct client){ .path = (unsigned) rng_below(&rng, PATHS) };
    }
    while (slot < SLOTS - 1) storm_step();
    for (uint64_t i = 1; i <= OWNERS; i++) heard += clients[i].heard;
    printf("# %" PRIu64 " events told\n", heard);
    OK(heard > SLOTS / 4);
    end();
}

int main(void)
{
    TEST(an_armed_watch_hears_of_what_comes);
    TEST(a_watch_that_comes_back_hears_of_what_it_missed_then_ends_its_tag);
    TEST(void_batches_are_passed_over);
    TEST(what_comes_while_one_catches_up_is_told_in_its_turn);
    TEST(an_owner_that_does_not_read_is_waited_for);
    TEST(what_is_no_longer_kept_or_still_to_come_is_lagged);
    TEST(a_watch_that_cannot_be_told_more_is_gone_alone_and_its_owner_hears);
    TEST(a_watch_with_too_much_unread_lags_alone_until_its_owner_has_read);
    TEST(an_id_stands_once_and_a_bad_path_not_at_all);
    TEST(what_is_forgotten_is_told_nothing_and_ends_no_tag);
    TEST(every_client_hears_of_every_change_once_in_a_storm);
    return tap_done();
}
