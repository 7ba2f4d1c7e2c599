/* t_state.c -- the state at rest: what is applied reads the same from memory and from disk,
 * and a crash leaves the state at one slot.
 *
 * Method: each cell tells its slot; a random run is compared, cell by cell and key by key,
 * with an overlay on nothing, while threads write and flush as they get to it. A crash is
 * this program run again as a child that ends without closing, or is killed. Replay the
 * random runs with:  SEED=<n> ./t_state */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/errors.h"
#include "core/base/rng.h"
#include "core/state/cache.h"
#include "core/state/state.h"
#include "tests/lib/tap.h"

static char scratch[256], dir[300];
static struct state_config config;
static struct state *s;
static char why[512];
static struct rng rng;
static uint64_t slot;

static void wipe(const char *path)
{
    char name[600];
    DIR *d = opendir(path);

    if (d == NULL) return;
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        snprintf(name, sizeof name, "%s/%s", path, e->d_name);
        unlink(name);
    }
    closedir(d);
    rmdir(path);
}

static void configure(void)
{
    config = (struct state_config){ .dir = dir,
                                    .cache_bytes = 20000,
                                    .dirty_bytes = 8000,
                                    .seed = 5 };
    slot = 0;
}

static void reopen(void)
{
    IS(state_open(&config, &s, why, sizeof why), 0);
}

static void fresh(void)
{
    wipe(dir);
    configure();
    reopen();
}

static struct kv_view *view(void)
{
    return &state_applied(s)->view;
}

static void put(const char *key, const char *value)
{
    kv_put(state_applied(s), bytes_str(key), bytes_str(value), slot);
}

static bool holds(const char *key, const char *value)
{
    struct bytes got;

    return kv_get(view(), bytes_str(key), &got) && bytes_equal(got, bytes_str(value));
}

static bool has(const char *key)
{
    struct bytes got;

    return kv_get(view(), bytes_str(key), &got);
}

static void flush(void)
{
    state_flush(s, slot);
    while (state_flushed(s) < slot) {
        state_turn(s, slot);
        usleep(500);
    }
}

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

/* Turns until nothing is on its way any more. */
static void settle(void)
{
    for (int i = 0; i < 400; i++) {
        state_turn(s, slot);
        usleep(100);
    }
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

static void the_cache_keeps_its_bound_and_what_is_asked_for(void)
{
    struct cache c;
    struct bytes value;
    char key[32];

    cache_init(&c, 10000, 3);
    cache_put(&c, BYTES_LIT("hot"), BYTES_LIT("value"));
    cache_put(&c, BYTES_LIT("none"), (struct bytes){ 0 });
    for (int i = 0; i < 5000; i++) {
        snprintf(key, sizeof key, "cold%d", i);
        cache_put(&c, bytes_str(key), bytes_str(key));
        OK(cache_get(&c, BYTES_LIT("hot"), &value));
        OK(bytes_equal(value, BYTES_LIT("value")));
        OK(cache_get(&c, BYTES_LIT("none"), &value));
        OK(value.ptr == NULL);
        cache_trim(&c);
        OK(c.bytes <= 10000); /* C1 */
    }
    OK(c.count > 20);
    OK(!cache_get(&c, BYTES_LIT("cold1"), &value));
    OK(cache_get(&c, BYTES_LIT("cold4999"), &value));
    cache_put(&c, BYTES_LIT("hot"), BYTES_LIT("another, longer value"));
    OK(cache_get(&c, BYTES_LIT("hot"), &value));
    OK(bytes_equal(value, BYTES_LIT("another, longer value")));
    cache_renew(&c, BYTES_LIT("hot"), BYTES_LIT("new"));
    OK(cache_get(&c, BYTES_LIT("hot"), &value));
    OK(bytes_equal(value, BYTES_LIT("new")));
    cache_renew(&c, BYTES_LIT("none"), BYTES_LIT("created"));
    OK(!cache_get(&c, BYTES_LIT("none"), &value));
    cache_renew(&c, BYTES_LIT("unknown"), BYTES_LIT("created"));
    OK(!cache_get(&c, BYTES_LIT("unknown"), &value));
    c.bytes_max = 0;
    cache_get(&c, BYTES_LIT("hot"), &value);
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

/* -- Crashes and refusals ------------------------------------------------------------- */

/* Runs this program again as `role`; RocksDB's threads do not survive a plain fork. */
static int run_child(const char *role)
{
    int status = 0;

    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        execl("/proc/self/exe", "t_state", role, dir, (char *) NULL);
        _exit(127);
    }
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* Flushes at slot 100, writes behind at 200, applies 300, and is gone. */
static int child_crashes(void)
{
    char text[32];

    config.dirty_bytes = 1000;
    if (state_open(&config, &s, why, sizeof why) != 0) return 1;
    for (slot = 1; slot <= 300; slot++) {
        snprintf(text, sizeof text, "%llu", (unsigned long long) slot);
        put("m", text);
        put("n/hot", text);
        snprintf(text, sizeof text, "n/%llu", (unsigned long long) slot);
        put(text, text);
        if (slot == 100) flush();
        if (slot == 200) state_turn(s, slot); /* dirty_bytes are over: written behind */
    }
    _exit(33);
}

/* Slot n changes cell n % 50; large cells, so that RocksDB flushes by itself too. */
static int child_goes_on(void)
{
    static char text[2000];
    char key[32];

    config.dirty_bytes = 20000;
    if (state_open(&config, &s, why, sizeof why) != 0) return 1;
    memset(text, 'x', sizeof text - 1);
    for (slot = 1; slot < 1000000; slot++) {
        text[snprintf(text, sizeof text, "%llu", (unsigned long long) slot)] = ' ';
        snprintf(key, sizeof key, "n/%llu", (unsigned long long) slot % 50);
        put("m", text);
        put(key, text);
        if (slot % 1000 == 0) state_flush(s, slot);
        else state_turn(s, slot);
    }
    return 2;
}

static int child_cannot_write(void)
{
    static char value[200000];
    struct rlimit limit = { 4096, RLIM_INFINITY };

    signal(SIGXFSZ, SIG_IGN);
    if (state_open(&config, &s, why, sizeof why) != 0) return 1;
    freopen("/dev/null", "w", stderr);
    setrlimit(RLIMIT_FSIZE, &limit);
    memset(value, 'x', sizeof value - 1);
    slot = 1;
    put("n/large", value);
    flush();
    return 2;
}

/* R1: all cells at the slot that 'm' names, and that is at least the flushed one. */
static void a_crash_leaves_the_state_at_one_slot(void)
{
    struct bytes m;
    char key[32];

    wipe(dir);
    configure();
    IS(run_child("crash"), 33);
    reopen();
    OK(kv_get(view(), BYTES_LIT("m"), &m));
    long at = strtol((const char *) m.ptr, NULL, 10);
    OK(at == 100 || at == 200);
    for (long i = 1; i <= 300; i++) {
        snprintf(key, sizeof key, "n/%ld", i);
        IS(has(key), i <= at);
    }
    snprintf(key, sizeof key, "%ld", at);
    OK(holds("n/hot", key));
    state_close(s);
}

static long number_in(const char *key)
{
    struct bytes value;

    if (!kv_get(view(), bytes_str(key), &value)) return 0;
    return strtol((const char *) value.ptr, NULL, 10);
}

static void a_kill_at_any_time_leaves_the_state_at_one_slot(void)
{
    char key[32];

    for (int run = 0; run < 8; run++) {
        wipe(dir);
        configure();
        fflush(stdout);
        pid_t child = fork();
        if (child == 0) {
            execl("/proc/self/exe", "t_state", "go-on", dir, (char *) NULL);
            _exit(127);
        }
        usleep(100000 + (unsigned) rng_below(&rng, 200000));
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        reopen();
        long at = number_in("m");
        for (long i = 0; i < 50; i++) {
            snprintf(key, sizeof key, "n/%ld", i);
            long newest = at - (at - i % 50 + 50) % 50;
            IS(number_in(key), newest > 0 ? newest : 0);
        }
        state_close(s);
    }
}

/* Some builds of RocksDB end it themselves, by an assertion on the failed file. */
static void a_failed_write_ends_the_process(void)
{
    wipe(dir);
    configure();
    int status = run_child("full");
    OK(status == 70 || status == -1);
}

static int child_reads(void)
{
    if (state_open(&config, &s, why, sizeof why) != 0) return 1;
    freopen("/dev/null", "w", stderr);
    return has("n/a") ? 0 : 2;
}

static void a_cell_that_rotted_ends_the_process(void)
{
    char command[500];

    fresh();
    slot = 1;
    put("n/a", "a value in a file whose first block is about to rot");
    state_close(s);
    IS(run_child("read"), 0);
    snprintf(command, sizeof command,
             "for f in %s/*.sst; do printf X | dd of=$f bs=1 seek=20 conv=notrunc; done "
             "2>/dev/null", dir);
    IS(system(command), 0);
    IS(run_child("read"), 70);
}

static void a_state_in_use_is_refused(void)
{
    struct state *second;

    fresh();
    IS(state_open(&config, &second, why, sizeof why), ERR_IN_USE);
    OK(second == NULL);
    OK(strstr(why, dir) != NULL && strstr(why, "another process") != NULL);
    state_close(s);
}

/* Removes each file whose name ends so; how many. */
static int remove_files(const char *end)
{
    char name[600];
    int count = 0;
    DIR *d = opendir(dir);

    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        size_t len = strlen(e->d_name), len_end = strlen(end);
        if (len < len_end || strcmp(e->d_name + len - len_end, end) != 0) continue;
        snprintf(name, sizeof name, "%s/%s", dir, e->d_name);
        count += unlink(name) == 0;
    }
    closedir(d);
    return count;
}

static void a_damaged_state_is_refused(void)
{
    fresh();
    slot = 1;
    put("n/a", "one");
    state_close(s);
    OK(remove_files(".sst") > 0);
    IS(state_open(&config, &s, why, sizeof why), ERR_DAMAGED);
    OK(strstr(why, "restore the directory") != NULL);
}

static void a_path_that_is_no_directory_is_refused(void)
{
    wipe(dir);
    configure();
    int fd = open(dir, O_CREAT | O_WRONLY, 0600);
    close(fd);
    IS(state_open(&config, &s, why, sizeof why), ERR_IO);
    OK(strstr(why, dir) != NULL);
    unlink(dir);
    config.dir = "/nowhere/at/all";
    IS(state_open(&config, &s, why, sizeof why), ERR_IO);
    OK(strstr(why, "/nowhere/at/all") != NULL);
}

int main(int argc, char **argv)
{
    const char *env = getenv("SEED"), *tmp = getenv("TMPDIR");
    uint64_t seed = env != NULL ? strtoull(env, NULL, 10) : 20260303;

    if (argc == 3) {
        snprintf(dir, sizeof dir, "%s", argv[2]);
        configure();
        if (strcmp(argv[1], "crash") == 0) return child_crashes();
        if (strcmp(argv[1], "go-on") == 0) return child_goes_on();
        return strcmp(argv[1], "read") == 0 ? child_reads() : child_cannot_write();
    }
    printf("# SEED=%" PRIu64 "\n", seed);
    rng_init(&rng, seed);
    snprintf(scratch, sizeof scratch, "%s/t_state.XXXXXX", tmp != NULL ? tmp : "/tmp");
    if (mkdtemp(scratch) == NULL) return 1;
    snprintf(dir, sizeof dir, "%s/state", scratch);
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
    TEST(a_crash_leaves_the_state_at_one_slot);
    TEST(a_kill_at_any_time_leaves_the_state_at_one_slot);
    TEST(a_failed_write_ends_the_process);
    TEST(a_cell_that_rotted_ends_the_process);
    TEST(a_state_in_use_is_refused);
    TEST(a_damaged_state_is_refused);
    TEST(a_path_that_is_no_directory_is_refused);
    wipe(dir);
    rmdir(scratch);
    return tap_done();
}
