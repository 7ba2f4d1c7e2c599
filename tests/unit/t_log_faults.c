/* t_log_faults.c -- the Paxos log on a bad disk: slow, full, failing, and a process that is
 * killed.
 *
 * Method: this program's own fdatasync() and posix_fallocate() stand before the system's
 * and can be held up, fail and count; a limit on file sizes stands in for a full disk; a
 * crash is a child that is killed. Replay with:  SEED=<n> ./t_log_faults */
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/errors.h"
#include "tests/lib/log_rig.h"
#include "tests/lib/tap.h"

/* Stands before the system's own in this program: a sync can be held up or made to fail. */
static atomic_bool sync_held, sync_fails, dies_recycling;
static atomic_uint files_made;

int fdatasync(int fd)
{
    while (atomic_load(&sync_held))
        usleep(100);
    if (atomic_load(&sync_fails)) {
        errno = EIO;
        return -1;
    }
    return (int)syscall(SYS_fdatasync, fd);
}

/* Each new file begins so, and no recycled one. */
int posix_fallocate(int fd, off_t offset, off_t len)
{
    files_made++;
    return syscall(SYS_fallocate, fd, 0, offset, len) == 0 ? 0 : errno;
}

static void nothing_is_durable_before_its_sync_returns(void)
{
    log_rig_fresh();
    log_rig_vote(1, 10);
    log_rig_settle();
    atomic_store(&sync_held, true);
    log_rig_vote(2, 10);
    log_submit(rig.log);
    usleep(20000);
    IS(log_durable(rig.log), 1);
    log_rig_vote(3, 10); /* gathers for the next group */
    log_submit(rig.log);
    OK(log_rig_reads_as(2, 10) && log_rig_reads_as(3, 10));
    atomic_store(&sync_held, false);
    log_rig_settle();
    IS(log_durable(rig.log), 3);
    log_close(rig.log);
}

static void a_log_in_steady_use_seldom_makes_files(void)
{
    unsigned made = 0;

    log_rig_fresh();
    for (uint64_t slot = 1; slot <= 1000; slot++) {
        log_rig_vote(slot, 3000);
        log_rig_settle();
        if (slot > 40 && slot % 10 == 0) log_trim(rig.log, slot - 40);
        if (slot == 300) made = atomic_load(&files_made);
    }
    OK(made > 0);
    OK(atomic_load(&files_made) <= made + 10); /* of 33 segments; some trims come late */
    log_close(rig.log);
}

static void limit_files(rlim_t bytes)
{
    struct rlimit limit;

    getrlimit(RLIMIT_FSIZE, &limit);
    limit.rlim_cur = bytes;
    setrlimit(RLIMIT_FSIZE, &limit);
}

/* A limit on file sizes stands in for a full disk: both are met while preallocating. */
static void a_full_disk_is_told_and_left_again(void)
{
    log_rig_fresh();
    while (log_bytes(rig.log) < 2 * RIG_SEGMENT)
        usleep(100);
    log_rig_settle();
    signal(SIGXFSZ, SIG_IGN);
    log_close(rig.log);
    log_rig_wipe(rig.dir);
    limit_files(RIG_SEGMENT / 2);
    IS(log_rig_try_open(), ERR_DISK_FULL);
    limit_files(RLIM_INFINITY);
    log_rig_reopen();
    while (log_bytes(rig.log) < 2 * RIG_SEGMENT)
        usleep(100);
    OK(!log_full(rig.log));
    usleep(20000); /* the spare is filled by now; the next is refused */
    limit_files(RIG_SEGMENT - 8);
    uint64_t slot = 1;
    for (; !log_full(rig.log) && slot < 200; slot++) {
        log_rig_vote(slot, 1000);
        log_rig_settle();
    }
    OK(log_full(rig.log));
    OK(slot < 200);
    log_rig_promise(500, slot - 1); /* still fits */
    log_rig_settle();
    limit_files(RLIM_INFINITY);
    while (log_full(rig.log))
        usleep(10000);
    for (uint64_t end = slot + 200; slot < end; slot++)
        log_rig_vote(slot, 1000);
    log_rig_settle();
    log_close(rig.log);
    log_rig_reopen();
    IS(rig.got.promised.round, 500);
    log_close(rig.log);
}

static void a_log_that_waits_for_space_can_be_closed(void)
{
    log_rig_fresh();
    signal(SIGXFSZ, SIG_IGN);
    usleep(50000);
    limit_files(RIG_SEGMENT - 8);
    for (uint64_t slot = 1; slot <= 200; slot++)
        log_rig_vote(slot, 1000);
    log_submit(rig.log);
    while (!log_full(rig.log))
        usleep(100);
    limit_files(RLIM_INFINITY);
    log_close(rig.log);
    log_rig_reopen();
    OK(rig.got.chosen < 200);
    log_close(rig.log);
}

static void child_votes_in_vain(bool write_fails)
{
    signal(SIGXFSZ, SIG_IGN);
    freopen("/dev/null", "w", stderr);
    if (log_open(&rig.config, &rig.log, &rig.got, rig.why, sizeof rig.why) != 0) _exit(1);
    usleep(100000); /* the spare is ready and the mark is written */
    if (write_fails)
        limit_files(LOG_SEGMENT_HEADER);
    else
        atomic_store(&sync_fails, true);
    log_rig_vote(1, 100);
    log_submit(rig.log);
    sleep(10);
    _exit(log_durable(rig.log) == 0 ? 2 : 3);
}

static void a_failed_write_or_sync_ends_the_process(void)
{
    for (int i = 0; i < 2; i++) {
        int status = 0;
        log_rig_fresh();
        log_close(rig.log);
        fflush(stdout);
        pid_t child = fork();
        if (child == 0) child_votes_in_vain(i == 0);
        IS(waitpid(child, &status, 0), child);
        OK(WIFEXITED(status));
        IS(WEXITSTATUS(status), 70);
    }
}

/* The process is gone at the step that gives a segment the spare's name. */
int renameat(int from_dir, const char *from, int to_dir, const char *to)
{
    if (atomic_load(&dies_recycling) && strlen(from) == 20) _exit(9);
    return (int) syscall(SYS_renameat, from_dir, from, to_dir, to);
}

static _Noreturn void child_recycles(void)
{
    if (log_open(&rig.config, &rig.log, &rig.got, rig.why, sizeof rig.why) != 0) _exit(1);
    atomic_store(&dies_recycling, true);
    for (uint64_t slot = 1; slot <= 200; slot++) {
        log_rig_vote(slot, 3000);
        log_rig_settle();
        if (slot > 60) log_trim(rig.log, slot - 30);
    }
    _exit(2);
}

/* A segment keeps its header as long as it has its name. */
static void a_crash_in_the_middle_of_recycling_leaves_a_sound_log(void)
{
    int status = 0;

    log_rig_fresh();
    log_close(rig.log);
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) child_recycles();
    IS(waitpid(child, &status, 0), child);
    OK(WIFEXITED(status));
    IS(WEXITSTATUS(status), 9);
    log_rig_reopen();
    OK(rig.got.chosen >= 60);
    IS(rig.got.skipped[0], 0);
    log_close(rig.log);
}

static _Noreturn void append_and_tell(int out)
{
    if (log_open(&rig.config, &rig.log, &rig.got, rig.why, sizeof rig.why) != 0) _exit(1);
    for (uint64_t slot = rig.got.chosen + 1;; slot++) {
        log_rig_vote(slot, 50 + slot * 37 % 4000);
        if (slot % 3 != 0) continue;
        log_submit(rig.log);
        uint64_t told[2] = { slot, 0 };
        while (log_durable(rig.log) < rig.seq)
            usleep(10);
        if (write(out, told, 8) != 8) _exit(1);
        if (slot % 60 == 0) log_trim(rig.log, slot - 30);
    }
}

static void nothing_durable_is_lost_by_a_kill(void)
{
    uint64_t slot = 0, slot_told = 0;

    log_rig_fresh();
    log_close(rig.log);
    for (int life = 0; life < 12; life++) {
        int ends[2];
        IS(pipe(ends), 0);
        fflush(stdout);
        pid_t child = fork();
        if (child == 0) append_and_tell(ends[1]);
        close(ends[1]);
        usleep((useconds_t)(20000 + rng_below(&rig.rng, 80000)));
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        while (read(ends[0], &slot, 8) == 8)
            slot_told = slot;
        close(ends[0]);

        log_rig_reopen();
        uint64_t newest = rig.got.chosen;
        if (rig.got.votes_count > 0) newest = rig.got.votes[rig.got.votes_count - 1].slot;
        OK(newest >= slot_told);
        for (uint64_t s = rig.got.slot_first; s != 0 && s <= rig.got.chosen; s++) {
            OK(log_rig_reads_as(s, 50 + s * 37 % 4000));
        }
        log_close(rig.log);
    }
    OK(slot_told > 12);
}

int main(void)
{
    if (!log_rig_begin(20260303)) return 1;
    TEST(nothing_is_durable_before_its_sync_returns);
    TEST(a_log_in_steady_use_seldom_makes_files);
    TEST(a_full_disk_is_told_and_left_again);
    TEST(a_log_that_waits_for_space_can_be_closed);
    TEST(a_failed_write_or_sync_ends_the_process);
    TEST(nothing_durable_is_lost_by_a_kill);
    TEST(a_crash_in_the_middle_of_recycling_leaves_a_sound_log);
    log_rig_end();
    return tap_done();
}
