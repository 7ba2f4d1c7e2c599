/* t_state_crash.c -- a crash leaves the state at one slot; a disk that fails or a directory
 * that cannot be used ends it with a reason.
 *
 * Method: each cell tells its slot. A crash is this program run again as a child that ends
 * without closing, or is killed, or ends at the n-th call that changes what is on disk: for
 * that the calls of libc that RocksDB makes go through here. Replay with:
 * SEED=<n> ./t_state_crash */
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "core/base/errors.h"
#include "tests/lib/state_rig.h"

/* The calls that are left until this process is gone; 0: for ever. */
static atomic_long steps_left;

static void step(void)
{
    if (atomic_load(&steps_left) > 0 && atomic_fetch_sub(&steps_left, 1) == 1) _exit(44);
}

int fsync(int fd)
{
    step();
    return (int) syscall(SYS_fsync, fd);
}

int fdatasync(int fd)
{
    step();
    return (int) syscall(SYS_fdatasync, fd);
}

int link(const char *from, const char *to)
{
    step();
    return (int) syscall(SYS_link, from, to);
}

int rename(const char *from, const char *to)
{
    step();
    return (int) syscall(SYS_rename, from, to);
}

int unlink(const char *name)
{
    step();
    return (int) syscall(SYS_unlink, name);
}

/* Runs this program again as `role`; RocksDB's threads do not survive a plain fork. */
static int run_child(const char *role)
{
    int status = 0;

    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        execl("/proc/self/exe", "t_state_crash", role, dir, (char *) NULL);
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

enum { STRETCH = 600 }; /* enough new nodes for a file of their own */

/* At slot n there are n * STRETCH nodes in all, and hot cells that say n. */
static void apply_stretch(void)
{
    char key[32], at[32];

    snprintf(at, sizeof at, "%llu", (unsigned long long) slot);
    put("m", at);
    put("s", at);
    for (unsigned i = 0; i < STRETCH; i++) {
        int len = snprintf(key, sizeof key, "n/p|%llu-%03u", (unsigned long long) slot, i);
        key[3] = '\0';
        kv_put_new(state_applied(s), bytes_of(key, (size_t) len), bytes_str(at), slot);
    }
}

/* Ends at the step that the role names, in the second of two writes of several files. */
static int child_ends_at(long step_last)
{
    if (state_open(&config, &s, why, sizeof why) != 0) return 1;
    state_applied(s)->settled = true; /* as core/machine has it: new is new */
    for (slot = 1; slot <= 2; slot++) {
        if (slot == 2) atomic_store(&steps_left, step_last);
        apply_stretch();
        flush();
    }
    atomic_store(&steps_left, 0);
    _exit(33);
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
            execl("/proc/self/exe", "t_state_crash", "go-on", dir, (char *) NULL);
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

static long nodes_count(void)
{
    struct buf key = { 0 };
    long count = 0;

    while (kv_next(view(), BYTES_LIT("n"), &key)) count++;
    buf_fini(&key);
    return count;
}

/* R1, at each step of a write in turn: the old state or the new one, and whole. */
static void a_crash_at_any_step_of_a_write_leaves_all_of_it_or_nothing(void)
{
    char role[32];
    int ended = 44;
    long steps = 0, old = 0, new = 0;

    while (ended == 44 && steps < 500) {
        wipe(dir);
        configure();
        snprintf(role, sizeof role, "end-at-%ld", ++steps);
        ended = run_child(role);
        reopen();
        long at = number_in("m");
        old += at == 1;
        new += at == 2;
        IS(number_in("s"), at);
        IS(nodes_count(), at * STRETCH);
        slot = (uint64_t) at + 1; /* what is left over is in nobody's way */
        apply_stretch();
        flush();
        IS(nodes_count(), (at + 1) * STRETCH);
        state_close(s);
    }
    IS(ended, 33);
    IS(old + new, steps);
    OK(old >= 5); /* files are synced, named and named again before they count */
    OK(new >= 1);
    printf("# %ld steps, the new state from step %ld on\n", steps, old + 1);
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
    if (argc == 3) {
        snprintf(dir, sizeof dir, "%s", argv[2]);
        configure();
        if (strcmp(argv[1], "crash") == 0) return child_crashes();
        if (strcmp(argv[1], "go-on") == 0) return child_goes_on();
        if (strncmp(argv[1], "end-at-", 7) == 0) return child_ends_at(atol(argv[1] + 7));
        return strcmp(argv[1], "read") == 0 ? child_reads() : child_cannot_write();
    }
    rig_seed(20260303);
    if (!rig_begin("t_state_crash")) return 1;
    TEST(a_crash_leaves_the_state_at_one_slot);
    TEST(a_kill_at_any_time_leaves_the_state_at_one_slot);
    TEST(a_crash_at_any_step_of_a_write_leaves_all_of_it_or_nothing);
    TEST(a_failed_write_ends_the_process);
    TEST(a_cell_that_rotted_ends_the_process);
    TEST(a_state_in_use_is_refused);
    TEST(a_damaged_state_is_refused);
    TEST(a_path_that_is_no_directory_is_refused);
    rig_end();
    return tap_done();
}
