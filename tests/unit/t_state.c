/* t_state.c -- the state at rest: what is applied reads the same from memory and from disk.
 *
 * Method: each cell tells its slot; a random run is compared, cell by cell and key by key,
 * with an overlay on nothing, while threads write and flush as they get to it. Replay the
 * random run with:  SEED=<n> ./t_state */
#include <stdatomic.h>

#include "core/state/cache.h"
#include "tests/lib/state_rig.h"

static void what_is_applied_comes_back_after_a_stop(void)
{
    fresh();
    slot = 7;
    put("n/a", "one");
    put("n/b", "");
    put("n/c", "three");
    OK(holds("n/a", "one"));
    kv_delete(state_applied(s), BYTES_LIT("n/c"), slot);
    state_close(s);
    reopen();
    OK(holds("n/a", "one"));
    OK(holds("n/b", "")); /* an empty value is a value */
    OK(!has("n/c"));
    OK(!has("n/d"));
    IS(state_flushed(s), 0);
    state_close(s);
}

static void a_cell_is_found_wherever_it_lies(void)
{
    fresh();
    for (slot = 1; slot < 5; slot++) {
        put("n/x", "old");
        state_flush(s, slot); /* clean now */
        OK(holds("n/x", "old"));
        put("n/x", "new");
        OK(holds("n/x", "new"));
        kv_delete(state_applied(s), BYTES_LIT("n/x"), slot);
        OK(!has("n/x"));
        state_flush(s, slot);
        OK(!has("n/x"));
    }
    state_close(s);
}

static void a_key_that_was_absent_is_seen_when_it_is_written(void)
{
    fresh();
    OK(!has("n/late"));
    OK(!has("n/late"));
    slot = 1;
    put("n/late", "here");
    OK(holds("n/late", "here"));
    flush();
    OK(holds("n/late", "here"));
    state_close(s);
}

static void flushed_names_the_slot_that_is_on_disk(void)
{
    fresh();
    IS(state_flushed(s), 0);
    for (slot = 1; slot <= 50; slot++) put("m", "cell");
    slot = 50;
    state_turn(s, slot); /* too little to write behind */
    IS(state_flushed(s), 0);
    flush();
    IS(state_flushed(s), 50);
    state_flush(s, 51); /* nothing new */
    IS(state_flushed(s), 50);
    slot = 60;
    put("m", "more");
    flush();
    IS(state_flushed(s), 60);
    state_close(s);
}

static void woken(void *ctx)
{
    atomic_int *count = ctx;
    (*count)++;
}

static void the_loop_is_woken_after_a_flush(void)
{
    static atomic_int count;

    wipe(dir);
    configure();
    config.on_flushed = woken;
    config.ctx = &count;
    reopen();
    slot = 1;
    put("m", "cell");
    flush();
    state_close(s);
    IS(count, 1);
}

/* Enough written behind starts a flush without being asked. */
static void many_changes_flush_by_themselves(void)
{
    char key[32];
    static char value[4000];

    fresh();
    memset(value, 'x', sizeof value - 1);
    for (slot = 1; slot <= 6000; slot++) {
        snprintf(key, sizeof key, "n/%llu", (unsigned long long) slot);
        put(key, value);
        state_turn(s, slot);
    }
    for (int i = 0; i < 10000 && state_flushed(s) == 0; i++) usleep(1000);
    OK(state_flushed(s) > 0);
    OK(holds("n/1", value));
    OK(holds("n/6000", value));
    slot = 6000;
    state_close(s);
}

static void list_is(const char *want)
{
    struct buf key = { 0 }, all = { 0 };

    while (kv_next(view(), BYTES_LIT("n/"), &key)) {
        buf_put_bytes_raw(&all, bytes_of(key.ptr + 2, key.len - 2));
    }
    OK(bytes_equal(buf_bytes(&all), bytes_str(want)));
    buf_fini(&all);
}

/* Which layer a cell lies in is known: a layer stays frozen until the next turn. */
static void reads_see_dirty_frozen_and_clean_cells(void)
{
    fresh();
    slot = 1;
    for (const char *name = "abcdefg"; *name != '\0'; name++) {
        put((char[]){ 'n', '/', *name, '\0' }, "clean");
        OK(has((char[]){ 'n', '/', *name, '\0' }));
    }
    flush();
    settle();
    slot = 2;
    put("n/b", "frozen");
    put("n/c", "frozen");
    put("n/h", "frozen");
    put("n/i", "frozen");
    kv_delete(state_applied(s), BYTES_LIT("n/d"), slot);
    kv_delete(state_applied(s), BYTES_LIT("n/e"), slot);
    state_flush(s, slot);
    IS(state_applied(s)->count, 0);
    put("n/c", "dirty");
    put("n/e", "dirty");
    put("n/j", "dirty");
    kv_delete(state_applied(s), BYTES_LIT("n/i"), slot);
    kv_delete(state_applied(s), BYTES_LIT("n/f"), slot);

    for (int round = 0; round < 2; round++) {
        OK(holds("n/a", "clean") && holds("n/b", "frozen") && holds("n/c", "dirty"));
        OK(!has("n/d") && holds("n/e", "dirty") && !has("n/f") && holds("n/g", "clean"));
        OK(holds("n/h", "frozen") && !has("n/i") && holds("n/j", "dirty"));
        list_is("abceghj");
        settle(); /* what was frozen is clean in the second round */
    }
    state_close(s);
}

static void a_listing_sees_what_was_written_since_the_last(void)
{
    static char value[9000]; /* due to be written at once, and not flushed */

    fresh();
    memset(value, 'x', sizeof value - 1);
    for (slot = 1; slot <= 5; slot++) {
        list_is(&"abcde"[6 - slot]);
        put((char[]){ 'n', '/', (char) ('f' - slot), '\0' }, value);
        state_turn(s, slot);
        IS(state_applied(s)->count, 0);
        settle();
    }
    slot = 5;
    list_is("abcde");
    state_close(s);
}

/* The cache still holds older values of the cells that were written. */
static void a_layer_renews_the_cache_over_many_turns(void)
{
    char key[32], value[32];

    fresh();
    for (slot = 1; slot <= 5; slot++) {
        for (int i = 0; i < 300; i++) {
            snprintf(key, sizeof key, "n/%d", i);
            snprintf(value, sizeof value, "%d at %d", i, (int) slot);
            put(key, value);
        }
        state_flush(s, slot);
        for (int turn = 0; turn < 60; turn++) {
            int i = (int) rng_below(&rng, 300);
            snprintf(key, sizeof key, "n/%d", i);
            snprintf(value, sizeof value, "%d at %d", i, (int) slot);
            OK(holds(key, value));
            state_turn(s, slot);
            usleep(50);
        }
        settle();
    }
    slot = 5;
    state_close(s);
}

static void a_flush_asked_for_during_another_comes_too(void)
{
    fresh();
    for (slot = 1; slot <= 20; slot++) {
        put("m", "cell");
        state_flush(s, slot);
    }
    slot = 20;
    for (int i = 0; i < 5000 && state_flushed(s) < slot; i++) {
        usleep(500);
        state_turn(s, slot);
    }
    IS(state_flushed(s), 20);
    state_close(s);
}

/* However slow the writing is: the turn waits then. */
static void memory_holds_no_more_changes_than_its_bound(void)
{
    static char value[7000];
    char key[32];

    fresh();
    config.dirty_bytes = 1000;
    state_close(s);
    reopen();
    memset(value, 'x', sizeof value - 1);
    for (slot = 1; slot <= 500; slot++) {
        snprintf(key, sizeof key, "n/%d", (int) slot);
        put(key, value);
        state_turn(s, slot);
        OK(state_applied(s)->bytes < 16 * config.dirty_bytes);
    }
    slot = 500;
    OK(holds("n/1", value));
    OK(holds("n/500", value));
    state_close(s);
}

static void a_close_while_writing_loses_nothing(void)
{
    char key[32], value[32];

    fresh();
    for (slot = 1; slot <= 20; slot++) {
        for (int i = 0; i < 200; i++) {
            snprintf(key, sizeof key, "n/%d", i);
            snprintf(value, sizeof value, "%d at %d", i, (int) slot);
            put(key, value);
            if (i == 100) state_flush(s, slot);
        }
        if (slot % 2 == 0) state_turn(s, slot);
        state_close(s);
        reopen();
        for (int i = 0; i < 200; i++) {
            snprintf(key, sizeof key, "n/%d", i);
            snprintf(value, sizeof value, "%d at %d", i, (int) slot);
            OK(holds(key, value));
        }
    }
    slot = 20;
    state_close(s);
}

static void values_stay_until_the_turn_ends(void)
{
    char key[32];
    struct bytes first, other;

    fresh();
    for (slot = 1; slot <= 500; slot++) {
        snprintf(key, sizeof key, "n/%llu", (unsigned long long) slot);
        put(key, key);
    }
    slot = 500;
    flush();
    OK(kv_get(view(), BYTES_LIT("n/1"), &first));
    for (int i = 2; i <= 500; i++) { /* far more than the cache may keep */
        snprintf(key, sizeof key, "n/%d", i);
        OK(kv_get(view(), bytes_str(key), &other));
    }
    OK(bytes_equal(first, BYTES_LIT("n/1")));
    state_turn(s, slot);
    OK(holds("n/1", "n/1"));
    state_close(s);
}

static uint64_t hash_of(struct bytes key)
{
    return hash_bytes(key, 3);
}

static void the_cache_keeps_its_bound_and_what_is_asked_for(void)
{
    struct cache c;
    struct bytes value;
    char key[32];

    cache_init(&c, 10000);
    cache_put(&c, BYTES_LIT("hot"), hash_of(BYTES_LIT("hot")), BYTES_LIT("value"));
    for (int i = 0; i < 5000; i++) {
        snprintf(key, sizeof key, "cold%d", i);
        cache_put(&c, bytes_str(key), hash_of(bytes_str(key)), bytes_str(key));
        OK(cache_get(&c, BYTES_LIT("hot"), hash_of(BYTES_LIT("hot")), &value));
        OK(bytes_equal(value, BYTES_LIT("value")));
        cache_trim(&c);
        OK(c.bytes <= 10000); /* C1 */
    }
    OK(c.count > 20);
    OK(!cache_get(&c, BYTES_LIT("cold1"), hash_of(BYTES_LIT("cold1")), &value));
    OK(cache_get(&c, BYTES_LIT("cold4999"), hash_of(BYTES_LIT("cold4999")), &value));
    cache_put(&c, BYTES_LIT("hot"), hash_of(BYTES_LIT("hot")),
              BYTES_LIT("another, longer value"));
    OK(cache_get(&c, BYTES_LIT("hot"), hash_of(BYTES_LIT("hot")), &value));
    OK(bytes_equal(value, BYTES_LIT("another, longer value")));
    cache_renew(&c, BYTES_LIT("hot"), hash_of(BYTES_LIT("hot")), BYTES_LIT("new"));
    OK(cache_get(&c, BYTES_LIT("hot"), hash_of(BYTES_LIT("hot")), &value));
    OK(bytes_equal(value, BYTES_LIT("new")));
    cache_put(&c, BYTES_LIT("gone"), hash_of(BYTES_LIT("gone")), BYTES_LIT("value"));
    cache_renew(&c, BYTES_LIT("gone"), hash_of(BYTES_LIT("gone")), (struct bytes){ 0 });
    OK(!cache_get(&c, BYTES_LIT("gone"), hash_of(BYTES_LIT("gone")), &value));
    cache_renew(&c, BYTES_LIT("unknown"), hash_of(BYTES_LIT("unknown")),
                BYTES_LIT("created"));
    OK(!cache_get(&c, BYTES_LIT("unknown"), hash_of(BYTES_LIT("unknown")), &value));
    c.bytes_max = 0;
    cache_get(&c, BYTES_LIT("hot"), hash_of(BYTES_LIT("hot")), &value);
    cache_trim(&c);
    IS(c.count, 0);
    IS(c.bytes, 0);
    cache_fini(&c);
}

/* -- The model ------------------------------------------------------------------------ */

static struct kv_overlay model;

static struct bytes random_key(char key[16])
{
    static const char kinds[] = "emns";
    int len = snprintf(key, 16, "%c%u", kinds[rng_below(&rng, 4)],
                       (unsigned) rng_below(&rng, 300));

    return bytes_of(key, (size_t) len);
}

static void random_change(void)
{
    char key[16], value[120];
    struct bytes k = random_key(key);

    if (rng_below(&rng, 3) == 0) {
        kv_delete(&model, k, slot);
        kv_delete(state_applied(s), k, slot);
        return;
    }
    memset(value, (int) ('a' + slot % 26), sizeof value);
    struct bytes v = bytes_of(value, rng_below(&rng, sizeof value));
    kv_put(&model, k, v, slot);
    kv_put(state_applied(s), k, v, slot);
}

static void random_question(void)
{
    char key[16];
    struct bytes k = random_key(key), prefix = bytes_of(k.ptr, 1 + rng_below(&rng, k.len));
    struct bytes got, want = { 0 };
    struct buf next = { 0 }, next_want = { 0 };
    enum kv_direction direction = rng_below(&rng, 2) == 0 ? KV_FORWARD : KV_BACKWARD;

    bool found = kv_get(&model.view, k, &want);
    IS(kv_get(view(), k, &got), found);
    if (found) OK(bytes_equal(got, want));
    for (int steps = 0; steps < 5; steps++) { /* a listing goes on from its last key */
        found = kv_seek(&model.view, prefix, k, direction, &next_want);
        IS(kv_seek(view(), prefix, k, direction, &next), found);
        if (!found) break;
        OK(bytes_equal(buf_bytes(&next), buf_bytes(&next_want)));
        if (next.len > sizeof key) break;
        memcpy(key, next.ptr, next.len);
        k = bytes_of(key, next.len);
    }
    buf_fini(&next);
    buf_fini(&next_want);
}

static void compare_ends(void)
{
    struct buf key = { 0 }, want = { 0 };

    for (const char *kind = "emnsx"; *kind != '\0'; kind++) {
        struct bytes prefix = bytes_of(kind, 1);
        bool found = kv_first(&model.view, prefix, &want);
        IS(kv_first(view(), prefix, &key), found);
        if (found) OK(bytes_equal(buf_bytes(&key), buf_bytes(&want)));
        found = kv_last(&model.view, prefix, &want);
        IS(kv_last(view(), prefix, &key), found);
        if (found) OK(bytes_equal(buf_bytes(&key), buf_bytes(&want)));
    }
    buf_fini(&key);
    buf_fini(&want);
}

static void a_random_run_reads_like_the_model(void)
{
    fresh();
    kv_overlay_init(&model, NULL, 9);
    for (slot = 1; slot <= 20000; slot++) {
        random_change();
        random_question();
        if (rng_below(&rng, 4) == 0) state_turn(s, slot);
        if (rng_below(&rng, 50) == 0) usleep((unsigned) rng_below(&rng, 300));
        if (rng_below(&rng, 400) == 0) state_flush(s, slot);
        if (rng_below(&rng, 100) == 0) compare_ends();
        if (rng_below(&rng, 4000) == 0) {
            state_close(s);
            reopen();
        }
    }
    state_close(s);
    kv_overlay_fini(&model);
}

int main(void)
{
    rig_seed(20260303);
    if (!rig_begin("t_state")) return 1;
    TEST(what_is_applied_comes_back_after_a_stop);
    TEST(a_cell_is_found_wherever_it_lies);
    TEST(a_key_that_was_absent_is_seen_when_it_is_written);
    TEST(flushed_names_the_slot_that_is_on_disk);
    TEST(the_loop_is_woken_after_a_flush);
    TEST(many_changes_flush_by_themselves);
    TEST(reads_see_dirty_frozen_and_clean_cells);
    TEST(a_listing_sees_what_was_written_since_the_last);
    TEST(a_layer_renews_the_cache_over_many_turns);
    TEST(a_flush_asked_for_during_another_comes_too);
    TEST(memory_holds_no_more_changes_than_its_bound);
    TEST(a_close_while_writing_loses_nothing);
    TEST(values_stay_until_the_turn_ends);
    TEST(the_cache_keeps_its_bound_and_what_is_asked_for);
    TEST(a_random_run_reads_like_the_model);
    rig_end();
    return tap_done();
}
