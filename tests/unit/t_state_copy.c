/* t_state_copy.c -- a state is copied for a peer while it changes, and a peer's state takes
 * the place of the own one, whole or not at all.
 *
 * Method: a copy is compared with what was applied when it was opened. The steps of the
 * change of directories are made by hand, one after the other, with a restart after each; and
 * a child that installs one state after the other is killed at random times. Replay with:
 *     SEED=<n> ./t_state_copy */
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#include "core/base/errors.h"
#include "core/state/dirs.h"
#include "tests/lib/state_rig.h"

enum { CELLS = 300 };

/* Every cell tells which state it is of. */
static void fill(int of)
{
    char key[32], value[64];

    for (int i = 0; i < CELLS; i++) {
        snprintf(key, sizeof key, "n/%03d", i);
        snprintf(value, sizeof value, "%d of %d", i, of);
        put(key, value);
    }
}

static bool is_all_of(int of)
{
    char key[32], value[64];

    for (int i = 0; i < CELLS; i++) {
        snprintf(key, sizeof key, "n/%03d", i);
        snprintf(value, sizeof value, "%d of %d", i, of);
        if (!holds(key, value)) return false;
    }
    return true;
}

static void put_cells(struct buf *cells, int from, int to, int of)
{
    char key[32], value[64];

    buf_clear(cells);
    for (int i = from; i < to; i++) {
        snprintf(key, sizeof key, "n/%03d", i);
        snprintf(value, sizeof value, "%d of %d", i, of);
        buf_put_bytes(cells, bytes_str(key));
        buf_put_bytes(cells, bytes_str(value));
    }
}

static bool stage_has_done(uint64_t pieces)
{
    uint64_t done = 0;

    for (int i = 0; i < 10000 && done < pieces; i++) {
        if (state_staged(s, &done, why, sizeof why) != 0) return false;
        if (done < pieces) usleep(500);
    }
    return done == pieces;
}

/* A whole other state stands beside ours. */
static void stage(int of)
{
    struct buf cells = { 0 };

    state_stage_begin(s);
    put_cells(&cells, 0, CELLS / 2, of);
    state_stage_put(s, buf_bytes(&cells));
    put_cells(&cells, CELLS / 2, CELLS, of);
    state_stage_put(s, buf_bytes(&cells));
    state_stage_seal(s);
    OK(stage_has_done(3));
    buf_fini(&cells);
}

static void install(void)
{
    IS(state_install(s, why, sizeof why), 0);
    slot = 0;
}

/* --- copies --- */

/* All cells, in chunks; how many chunks there were. */
static int copy_all(struct buf *all, size_t bytes_aim)
{
    struct buf chunk = { 0 }, after = { 0 };
    int chunks = 0;
    bool end = false;

    buf_clear(all);
    for (; !end; chunks++) {
        buf_clear(&chunk);
        end = state_copy_read(s, buf_bytes(&after), bytes_aim, &chunk);
        struct reader r = reader_of(buf_bytes(&chunk));
        while (reader_left(&r) > 0) {
            struct bytes key = read_bytes(&r, SIZE_MAX);
            (void) read_bytes(&r, SIZE_MAX);
            buf_clear(&after);
            buf_put_bytes_raw(&after, key);
        }
        OK(!r.bad);
        buf_put_bytes_raw(all, buf_bytes(&chunk));
    }
    buf_fini(&chunk);
    buf_fini(&after);
    return chunks;
}

static void a_copy_shows_one_moment_whatever_is_written_since(void)
{
    struct buf copy = { 0 }, want = { 0 };

    fresh();
    slot = 1;
    fill(1);
    flush();
    settle();
    state_copy_open(s);
    slot = 2;
    fill(2);
    put("n/more", "since");
    flush();
    settle();
    copy_all(&copy, 1 << 20);
    put_cells(&want, 0, CELLS, 1);
    OK(bytes_equal(buf_bytes(&copy), buf_bytes(&want)));
    state_copy_close(s);
    OK(is_all_of(2));
    state_close(s);
    buf_fini(&copy);
    buf_fini(&want);
}

static void a_copy_in_chunks_is_the_same_whatever_their_size(void)
{
    struct buf copy = { 0 }, want = { 0 };
    const size_t sizes[] = { 1, 100, 1000, 1 << 20 };

    fresh();
    slot = 1;
    fill(1);
    flush();
    settle();
    put_cells(&want, 0, CELLS, 1);
    state_copy_open(s);
    for (int i = 0; i < 4; i++) {
        int chunks = copy_all(&copy, sizes[i]);
        OK(bytes_equal(buf_bytes(&copy), buf_bytes(&want)));
        IS(i == 0 ? chunks : CELLS, CELLS); /* one cell at least */
        if (i == 3) IS(chunks, 1);
    }
    state_copy_close(s);
    state_close(s);
    buf_fini(&copy);
    buf_fini(&want);
}

static void a_copy_goes_on_anywhere(void)
{
    struct buf cells = { 0 }, want = { 0 };

    fresh();
    slot = 1;
    fill(1);
    flush();
    settle();
    state_copy_open(s);
    for (int i = 0; i < 100; i++) {
        char after[32];
        int at = (int) rng_below(&rng, CELLS - 1);

        snprintf(after, sizeof after, "n/%03d%s", at, i % 2 == 0 ? "" : "x");
        buf_clear(&cells);
        state_copy_read(s, bytes_str(after), 1, &cells);
        put_cells(&want, at + 1, at + 2, 1);
        OK(bytes_equal(buf_bytes(&cells), buf_bytes(&want)));
    }
    buf_clear(&cells);
    OK(state_copy_read(s, BYTES_LIT("z"), 100, &cells));
    IS(cells.len, 0);
    OK(state_copy_get(s, BYTES_LIT("n/007"), &cells));
    OK(bytes_equal(buf_bytes(&cells), BYTES_LIT("7 of 1")));
    OK(!state_copy_get(s, BYTES_LIT("n/none"), &cells));
    state_copy_close(s);
    state_close(s);
    buf_fini(&cells);
    buf_fini(&want);
}

/* The loop reads one chunk a turn: it must be a matter of a few milliseconds. */
static void a_chunk_of_the_usual_size_takes_little_time(void)
{
    enum { CHUNK = 256 << 10, VALUE = 500, MANY = 60000 };
    static char value[VALUE];
    struct buf cells = { 0 };
    struct timespec began, ended;
    double worst = 0, sum = 0;
    int chunks = 0;
    char after[32] = "";

    fresh();
    memset(value, 'x', sizeof value - 1);
    for (int i = 0; i < MANY; i++) {
        char key[32];

        slot = (uint64_t) i + 1;
        snprintf(key, sizeof key, "n/%06d", i);
        put(key, value);
        if (i % 100 == 0) state_turn(s, slot);
    }
    flush();
    state_copy_open(s);
    for (bool end = false; !end; chunks++) {
        buf_clear(&cells);
        clock_gettime(CLOCK_MONOTONIC, &began);
        end = state_copy_read(s, bytes_str(after), CHUNK, &cells);
        clock_gettime(CLOCK_MONOTONIC, &ended);
        double took = (double) (ended.tv_sec - began.tv_sec) * 1e3 +
                      (double) (ended.tv_nsec - began.tv_nsec) / 1e6;
        sum += took;
        if (took > worst) worst = took;
        struct reader r = reader_of(buf_bytes(&cells));
        while (reader_left(&r) > 0) {
            struct bytes key = read_bytes(&r, SIZE_MAX);
            (void) read_bytes(&r, SIZE_MAX);
            memcpy(after, key.ptr, key.len);
            after[key.len] = '\0';
        }
    }
    printf("# %d chunks of 256 KiB: %.2f ms each, %.2f ms the longest\n", chunks,
           sum / chunks, worst);
    OK(sum / chunks < 50); /* a slow machine is no failure; a chunk of seconds is */
    state_copy_close(s);
    state_close(s);
    buf_fini(&cells);
}

/* --- a state from a peer --- */

static void an_installed_state_takes_the_place_of_the_old_one(void)
{
    fresh();
    slot = 9;
    fill(1);
    put("n/only-here", "x");
    flush();
    settle();
    put("n/dirty", "x");
    OK(has("n/only-here"));
    stage(2);
    OK(is_all_of(1)); /* until then nothing has changed */
    install();
    OK(is_all_of(2));
    OK(!has("n/only-here") && !has("n/dirty"));
    slot = 20;
    put("n/new", "x");
    flush();
    OK(state_flushed(s) >= 20);
    state_close(s);
    reopen();
    OK(is_all_of(2) && holds("n/new", "x"));
    state_close(s);
}

static void a_state_can_be_replaced_again_and_again(void)
{
    fresh();
    for (int of = 1; of <= 5; of++) {
        stage(of);
        install();
        OK(is_all_of(of));
        slot = 1;
        put("n/extra", "x");
        if (of % 2 == 0) flush();
    }
    state_close(s);
    reopen();
    OK(is_all_of(5));
    state_close(s);
}

static bool is_there(const char *suffix)
{
    char name[400];

    snprintf(name, sizeof name, "%s%s", dir, suffix);
    return access(name, F_OK) == 0;
}

static bool nothing_is_beside(void)
{
    return !is_there(".tmp") && !is_there(".new") && !is_there(".old");
}

static void a_stage_that_is_dropped_or_left_is_removed(void)
{
    uint64_t done;

    fresh();
    slot = 1;
    fill(1);
    stage(2);
    OK(is_there(".tmp"));
    state_stage_drop(s);
    for (int i = 0; i < 5000 && is_there(".tmp"); i++) usleep(500);
    OK(!is_there(".tmp"));
    stage(3); /* and another can begin */
    state_stage_begin(s);
    OK(state_staged(s, &done, why, sizeof why) == 0 && done == 0);
    stage(4);
    state_close(s);
    reopen();
    OK(is_all_of(1));
    OK(nothing_is_beside());
    state_close(s);
}

static void a_stage_that_cannot_be_written_says_so(void)
{
    char name[400];
    uint64_t done;
    int code = 0;

    fresh();
    snprintf(name, sizeof name, "%s.tmp/sub", dir);
    state_stage_begin(s);
    OK(stage_has_done(0));
    for (int i = 0; i < 5000 && mkdir(name, 0700) != 0; i++) usleep(500);
    state_stage_begin(s); /* what is there cannot be removed: it holds a directory */
    for (int i = 0; i < 5000 && code == 0; i++) {
        code = state_staged(s, &done, why, sizeof why);
        if (code == 0) usleep(500);
    }
    IS(code, ERR_IO);
    OK(strlen(why) > 0);
    rmdir(name);
    stage(2); /* a begin forgets what went wrong before */
    state_close(s);
    OK(!is_there(".tmp"));
}

/* --- crashes between the steps --- */

static void rename_to(const char *from, const char *to)
{
    char a[400], b[400];

    snprintf(a, sizeof a, "%s%s", dir, from);
    snprintf(b, sizeof b, "%s%s", dir, to);
    IS(rename(a, b), 0);
}

static void copy_to(const char *from, const char *to)
{
    char command[1000];

    snprintf(command, sizeof command, "cp -r %s%s %s%s", dir, from, dir, to);
    IS(system(command), 0);
}

/* The old state at DIR, and the new one whole at DIR.tmp; nobody uses either. */
static void prepare(void)
{
    fresh();
    slot = 1;
    fill(1);
    flush();
    settle();
    stage(2);
    copy_to(".tmp", ".kept");
    state_close(s);
    rename_to(".kept", ".tmp");
}

static void after_a_restart_it_is(int of)
{
    reopen();
    OK(is_all_of(of));
    OK(nothing_is_beside());
    slot = 2;
    put("n/extra", "x");
    flush();
    state_close(s);
    reopen();
    OK(is_all_of(of) && holds("n/extra", "x"));
    state_close(s);
}

static void a_crash_before_the_first_step_leaves_the_old_state(void)
{
    prepare();
    after_a_restart_it_is(1);
}

static void a_crash_after_the_first_step_leaves_the_new_state(void)
{
    prepare();
    rename_to(".tmp", ".new");
    after_a_restart_it_is(2);
}

static void a_crash_after_the_second_step_leaves_the_new_state(void)
{
    prepare();
    rename_to(".tmp", ".new");
    rename_to("", ".old");
    after_a_restart_it_is(2);
}

static void a_crash_after_the_third_step_leaves_the_new_state(void)
{
    prepare();
    rename_to(".tmp", ".new");
    rename_to("", ".old");
    rename_to(".new", "");
    after_a_restart_it_is(2);
}

/* The old state was being removed when the server died, and then it got another. */
static void what_is_left_of_an_old_state_is_in_nobodys_way(void)
{
    prepare();
    rename_to(".tmp", ".new");
    copy_to("", ".old");
    after_a_restart_it_is(2);
}

/* Installs 1, 2, 3, ... and says so once each is in place. */
static int child_installs(void)
{
    configure();
    if (state_open(&config, &s, why, sizeof why) != 0) return 1;
    for (int of = 1; of < 1000000; of++) {
        stage(of);
        if (state_install(s, why, sizeof why) != 0) return 2;
        slot = 0;
        dprintf(STDERR_FILENO, "%d\n", of);
    }
    return 3;
}

static pid_t start_child(int *told)
{
    int ends[2];

    IS(pipe(ends), 0);
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        if (freopen("/dev/null", "w", stdout) == NULL) _exit(126);
        execl("/proc/self/exe", "t_state_copy", "installs", dir, (char *) NULL);
        _exit(127);
    }
    close(ends[1]);
    *told = ends[0];
    return child;
}

/* The last whole line that the child has told. */
static int last_told(int told)
{
    static char text[1 << 20];
    size_t len = 0;
    ssize_t got;

    while ((got = read(told, text + len, sizeof text - 1 - len)) > 0) len += (size_t) got;
    close(told);
    text[len] = '\0';
    char *end = strrchr(text, '\n');
    if (end == NULL) return 0;
    *end = '\0';
    char *line = strrchr(text, '\n');
    return atoi(line != NULL ? line + 1 : text);
}

static void a_kill_at_any_time_leaves_one_whole_state(void)
{
    int told;

    for (int run = 0; run < 12; run++) {
        wipe(dir);
        configure();
        reopen();
        fill(0);
        state_close(s);
        pid_t child = start_child(&told);
        usleep(100000 + (unsigned) rng_below(&rng, 150000));
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        int last = last_told(told);
        reopen();
        OK(is_all_of(last) || is_all_of(last + 1));
        OK(nothing_is_beside());
        state_close(s);
    }
}

int main(int argc, char **argv)
{
    if (argc == 3) {
        snprintf(dir, sizeof dir, "%s", argv[2]);
        return child_installs();
    }
    rig_seed(20260404);
    if (!rig_begin("t_state_copy")) return 1;
    TEST(a_copy_shows_one_moment_whatever_is_written_since);
    TEST(a_copy_in_chunks_is_the_same_whatever_their_size);
    TEST(a_copy_goes_on_anywhere);
    TEST(a_chunk_of_the_usual_size_takes_little_time);
    TEST(an_installed_state_takes_the_place_of_the_old_one);
    TEST(a_state_can_be_replaced_again_and_again);
    TEST(a_stage_that_is_dropped_or_left_is_removed);
    TEST(a_stage_that_cannot_be_written_says_so);
    TEST(a_crash_before_the_first_step_leaves_the_old_state);
    TEST(a_crash_after_the_first_step_leaves_the_new_state);
    TEST(a_crash_after_the_second_step_leaves_the_new_state);
    TEST(a_crash_after_the_third_step_leaves_the_new_state);
    TEST(what_is_left_of_an_old_state_is_in_nobodys_way);
    TEST(a_kill_at_any_time_leaves_one_whole_state);
    rig_end();
    return tap_done();
}
