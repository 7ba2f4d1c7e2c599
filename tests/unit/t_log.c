/* t_log.c -- the Paxos log on a real disk: what was reported durable comes back, what is
 * damaged is refused, and a tear is cut.
 *
 * Method: small segments in a scratch directory; a crash is a copy of the directory while
 * the log is open, or a child that is killed; damage is done to the closed files. A seeded
 * run of random lives is checked against a model. Replay it with:  SEED=<n> ./t_log */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/errors.h"
#include "core/base/rng.h"
#include "core/log/log.h"
#include "core/log/record.h"
#include "tests/lib/tap.h"

enum { SEGMENT = 64 << 10 };

static char scratch[256], dir[300];
static struct log_config config;
static struct log *l;
static struct log_recovered got;
static char why[512];
static struct rng rng;
static uint64_t seq;

/* Stands before the system's own in this program: a sync can be held up or made to fail. */
static atomic_bool sync_held, sync_fails;
static atomic_uint files_made;

int fdatasync(int fd)
{
    while (atomic_load(&sync_held)) usleep(100);
    if (atomic_load(&sync_fails)) {
        errno = EIO;
        return -1;
    }
    return (int) syscall(SYS_fdatasync, fd);
}

/* Each new file begins so, and no recycled one. */
int posix_fallocate(int fd, off_t offset, off_t len)
{
    files_made++;
    return syscall(SYS_fallocate, fd, 0, offset, len) == 0 ? 0 : errno;
}

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

static void release_votes(void)
{
    for (uint32_t i = 0; i < got.votes_count; i++) blob_unref(got.votes[i].proposal.batch);
    got.votes_count = 0;
}

static int try_open(void)
{
    release_votes();
    why[0] = '\0';
    seq = 0;
    return log_open(&config, &l, &got, why, sizeof why);
}

static void reopen(void)
{
    IS(try_open(), 0);
    if (why[0] != '\0') printf("# %s\n", why);
}

static void fresh(void)
{
    wipe(dir);
    config = (struct log_config){
        .dir = dir, .segment_bytes = SEGMENT, .cluster = 5, .node = 1
    };
    reopen();
}

static struct log_record record_of(enum log_record_kind kind, uint64_t slot, uint64_t round,
                                   struct blob *batch)
{
    struct log_record r = { .kind = kind,
                            .promised = { round, 1 },
                            .chosen = slot == 0 ? 0 : slot - 1,
                            .vote = { .slot = slot,
                                      .proposal = { .reign = { round, 1 },
                                                    .reign_first = 1,
                                                    .batch = batch } } };

    if (kind == LOG_VOTE) r.vote.ballot = (struct ballot){ round, 1 };
    return r;
}

static void promise(uint64_t round, uint64_t chosen)
{
    struct log_record r = { .kind = LOG_PROMISE,
                            .promised = { round, 2 },
                            .chosen = chosen };

    seq = log_append(l, &r);
}

/* A vote for `slot` at round 1 whose batch is `len` bytes that tell the slot. */
static void vote(uint64_t slot, size_t len)
{
    uint8_t *bytes = mem_alloc(len);

    memset(bytes, (int) (slot % 251), len);
    struct blob *batch = blob_new(bytes_of(bytes, len));
    struct log_record r = record_of(LOG_VOTE, slot, 1, batch);
    seq = log_append(l, &r);
    blob_unref(batch);
    free(bytes);
}

static void settle(void)
{
    log_submit(l);
    while (log_durable(l) < seq) usleep(100);
    log_submit(l);
}

static bool reads_as(uint64_t slot, size_t len)
{
    struct proposal p;

    if (log_read(l, slot, &p) != 0) return false;
    struct bytes b = blob_bytes(p.batch);
    bool same = b.len == len;
    for (size_t i = 0; i < b.len && same; i++) same = b.ptr[i] == slot % 251;
    blob_unref(p.batch);
    return same;
}

/* The segments' names in order; how many there are. */
static int segments(char names[64][32])
{
    int count = 0;
    struct dirent **list;
    int all = scandir(dir, &list, NULL, alphasort);

    for (int i = 0; i < all; i++) {
        if (strlen(list[i]->d_name) == 20 && count < 64)
            strcpy(names[count++], list[i]->d_name);
        free(list[i]);
    }
    free(list);
    return count;
}

static int open_segment(int index)
{
    char names[64][32], path[400];

    OK(segments(names) > index);
    snprintf(path, sizeof path, "%s/%s", dir, names[index]);
    return open(path, O_RDWR);
}

static void flip(int index, off_t at)
{
    uint8_t byte;
    int fd = open_segment(index);

    IS(pread(fd, &byte, 1, at), 1);
    byte ^= 0x20;
    IS(pwrite(fd, &byte, 1, at), 1);
    close(fd);
}

/* Offset and kind of the first record of each group of one segment. */
static int groups_of(int index, size_t at[200], enum log_record_kind kind[200])
{
    static uint8_t bytes[SEGMENT];
    struct log_scan s;
    struct log_record r;
    struct bytes batch;
    int fd = open_segment(index), count = 0;
    uint64_t number = 0;

    IS(read(fd, bytes, SEGMENT), SEGMENT);
    close(fd);
    IS(log_scan_init(&s, bytes_of(bytes, SEGMENT)), 0);
    while (log_scan_next(&s, &r, &batch) == LOG_GOOD && count < 200) {
        if (s.number == number) continue;
        number = s.number;
        at[count] = s.record - LOG_GROUP_HEADER;
        kind[count++] = r.kind;
    }
    return count;
}

static void a_new_log_is_empty_and_counts_its_starts(void)
{
    fresh();
    IS(got.boot, 1);
    IS(got.promised.round, 0);
    IS(got.chosen, 0);
    IS(got.slot_first, 0);
    IS(got.votes_count, 0);
    IS(log_slot_first(l), 0);
    for (uint64_t boot = 2; boot < 6; boot++) {
        log_close(l);
        reopen();
        IS(got.boot, boot);
        IS(got.torn_bytes, 0);
    }
    log_close(l);
}

static void what_is_durable_comes_back(void)
{
    fresh();
    promise(7, 0);
    vote(1, 10);
    vote(2, 20);
    struct log_record noop = record_of(LOG_CHOSEN, 3, 9, NULL);
    noop.vote.proposal.reign = (struct ballot){ 0 };
    seq = log_append(l, &noop);
    vote(4, 40);
    vote(5, 0);
    IS(seq, 6);
    settle();
    log_close(l);
    reopen();
    IS(got.promised.round, 9);
    IS(got.chosen, 4);
    IS(got.slot_first, 1);
    IS(got.votes_count, 1);
    IS(got.votes[0].slot, 5);
    IS(got.votes[0].ballot.round, 1);
    OK(got.votes[0].proposal.batch != NULL);
    OK(reads_as(1, 10) && reads_as(2, 20) && reads_as(3, 0) && reads_as(4, 40));
    log_close(l);
}

static void the_newest_vote_of_a_slot_counts(void)
{
    fresh();
    for (uint64_t round = 1; round < 9; round++) {
        for (uint64_t ahead = 0; ahead < WINDOW_MAX; ahead++) {
            struct log_record r = record_of(LOG_VOTE, 1 + ahead, round, NULL);
            r.chosen = 0;
            r.vote.proposal.reign_first = round * 100 + ahead;
            seq = log_append(l, &r);
        }
    }
    settle();
    log_close(l);
    reopen();
    IS(got.votes_count, WINDOW_MAX);
    for (uint32_t i = 0; i < got.votes_count; i++) {
        IS(got.votes[i].slot, 1 + i);
        IS(got.votes[i].ballot.round, 8);
        IS(got.votes[i].proposal.reign_first, 800 + i);
    }
    log_close(l);
}

static void a_slot_can_be_read_before_and_after_it_is_written(void)
{
    fresh();
    vote(1, 300);
    OK(reads_as(1, 300)); /* queued */
    log_submit(l);
    OK(reads_as(1, 300)); /* on its way */
    settle();
    OK(reads_as(1, 300)); /* from disk */
    IS(log_slot_first(l), 1);
    log_close(l);
}

static void bytes_that_rotted_are_not_handed_out(void)
{
    struct proposal p;

    fresh();
    vote(1, 300);
    settle();
    size_t at[200];
    enum log_record_kind kind[200];
    int count = groups_of(0, at, kind);
    for (int i = 0; i < count; i++) {
        if (kind[i] == LOG_VOTE) flip(0, (off_t) at[i] + 200);
    }
    IS(log_read(l, 1, &p), ERR_DAMAGED);
    log_close(l);
}

static void woken(void *ctx)
{
    atomic_int *count = ctx;
    (*count)++;
}

static void the_loop_is_woken_after_each_sync(void)
{
    static atomic_int count;

    fresh();
    log_close(l);
    config.on_durable = woken;
    config.ctx = &count;
    reopen();
    vote(1, 10);
    settle();
    log_close(l); /* joins: the call has been made */
    IS(count, 1);
}

static void nothing_is_durable_before_its_sync_returns(void)
{
    fresh();
    vote(1, 10);
    settle();
    atomic_store(&sync_held, true);
    vote(2, 10);
    log_submit(l);
    usleep(20000);
    IS(log_durable(l), 1);
    vote(3, 10); /* gathers for the next group */
    log_submit(l);
    OK(reads_as(2, 10) && reads_as(3, 10));
    atomic_store(&sync_held, false);
    settle();
    IS(log_durable(l), 3);
    log_close(l);
}

static void segments_follow_each_other_and_are_recycled(void)
{
    char names[64][32];
    uint64_t bytes_max = 0;

    fresh();
    for (uint64_t slot = 1; slot <= 600; slot++) {
        vote(slot, 3000);
        settle();
        if (slot % 50 == 0) log_trim(l, slot - 25);
        if (log_bytes(l) > bytes_max) bytes_max = log_bytes(l);
        OK(log_slot_first(l) <= slot);
    }
    uint64_t first = log_slot_first(l);
    OK(first > 500 && first <= 575);
    for (uint64_t slot = first; slot <= 600; slot++) OK(reads_as(slot, 3000));
    OK(bytes_max <= 9 * SEGMENT); /* 75 slots of 3000 bytes, the newest, and spares */
    log_close(l);
    OK(segments(names) < 8);
    reopen();
    IS(got.chosen, 599);
    IS(got.slot_first, first);
    IS(got.votes_count, 1);
    IS(got.boot, 2);
    for (uint64_t slot = first; slot <= 600; slot++) OK(reads_as(slot, 3000));
    log_close(l);
}

static void a_log_in_steady_use_seldom_makes_files(void)
{
    unsigned made = 0;

    fresh();
    for (uint64_t slot = 1; slot <= 1000; slot++) {
        vote(slot, 3000);
        settle();
        if (slot > 40 && slot % 10 == 0) log_trim(l, slot - 40);
        if (slot == 300) made = atomic_load(&files_made);
    }
    OK(made > 0);
    OK(atomic_load(&files_made) <= made + 10); /* of 33 segments; some trims come late */
    log_close(l);
}

static void trimming_keeps_promise_and_prefix_and_what_is_open(void)
{
    char names[64][32];

    fresh();
    promise(77, 0);
    for (uint64_t slot = 1; slot <= 100; slot++) vote(slot, 3000);
    settle();
    log_trim(l, UINT64_MAX); /* asks for too much: open votes stay */
    vote(101, 10);
    settle();
    log_close(l);
    OK(segments(names) < 4);
    reopen();
    IS(got.promised.round, 77);
    IS(got.chosen, 100);
    IS(got.votes_count, 1);
    IS(got.boot, 2);
    log_close(l);
}

/* A vote is a promise to others until its slot is chosen, whoever says that it may go. */
static void trimming_never_takes_an_open_vote(void)
{
    fresh();
    for (uint64_t slot = 1; slot <= WINDOW_MAX; slot++) {
        struct blob *batch = blob_new(bytes_of(scratch, sizeof scratch));
        for (uint64_t round = 1; round < 40; round++) {
            struct log_record r = record_of(LOG_VOTE, slot, round, batch);
            r.chosen = 0;
            seq = log_append(l, &r);
        }
        blob_unref(batch);
        settle();
        log_trim(l, UINT64_MAX);
    }
    log_close(l);
    reopen();
    IS(got.votes_count, WINDOW_MAX);
    log_close(l);
}

static void a_group_larger_than_a_segment_gets_its_own(void)
{
    fresh();
    vote(1, 10);
    settle();
    vote(2, 5 * SEGMENT);
    settle();
    vote(3, 10);
    settle();
    OK(reads_as(2, 5 * SEGMENT));
    log_close(l);
    reopen();
    IS(got.chosen, 2);
    OK(reads_as(1, 10) && reads_as(2, 5 * SEGMENT));
    for (uint64_t slot = 3; slot < 100; slot++) vote(slot, 3000);
    settle();
    log_trim(l, 90); /* its size is not the usual one, so it is not recycled */
    log_close(l);
    reopen();
    OK(got.slot_first > 2);
    OK(log_bytes(l) <= 12 * SEGMENT);
    log_close(l);
}

/* A snapshot moved the prefix over slots that the log never held. */
static void a_gap_ends_what_can_be_read(void)
{
    fresh();
    for (uint64_t slot = 1; slot <= 10; slot++) vote(slot, 10);
    promise(3, UINT64_C(5000000000));
    IS(log_slot_first(l), 0);
    vote(UINT64_C(5000000001), 10);
    vote(UINT64_C(5000000002), 10);
    IS(log_slot_first(l), 5000000001);
    settle();
    log_close(l);
    reopen();
    IS(got.chosen, 5000000001);
    IS(got.slot_first, 5000000001);
    IS(got.votes_count, 1);
    OK(reads_as(UINT64_C(5000000001), 10));
    log_close(l);
}

/* START; vote 1..6, a group each; a mark. Closed. */
static void build_small(void)
{
    fresh();
    for (uint64_t slot = 1; slot <= 6; slot++) {
        vote(slot, 100);
        settle();
    }
    log_close(l);
}

static void damage_in_the_middle_is_refused_by_file_and_offset(void)
{
    char names[64][32], at_text[64];
    size_t at[200];
    enum log_record_kind kind[200];

    build_small();
    int count = groups_of(0, at, kind);
    for (int i = 0; i < count - 1; i++) {
        flip(0, (off_t) at[i] + LOG_GROUP_HEADER);
        IS(try_open(), ERR_DAMAGED);
        segments(names);
        snprintf(at_text, sizeof at_text, "offset %zu;", at[i]);
        OK(strstr(why, names[0]) != NULL);
        OK(strstr(why, at_text) != NULL);
        flip(0, (off_t) at[i] + LOG_GROUP_HEADER);
    }
    flip(0, 20); /* the header */
    IS(try_open(), ERR_DAMAGED);
    flip(0, 20);
    reopen(); /* refusing changed nothing */
    IS(got.chosen, 5);
    log_close(l);
}

/* What is left is a sound chain, so only the size tells. */
static void a_file_that_was_cut_off_is_damage(void)
{
    size_t at[200];
    enum log_record_kind kind[200];

    build_small();
    int count = groups_of(0, at, kind);
    int fd = open_segment(0);
    IS(ftruncate(fd, (off_t) at[count / 2]), 0);
    close(fd);
    IS(try_open(), ERR_DAMAGED);
    OK(strstr(why, "the file was cut off") != NULL);
}

/* L1: the mark says that the group before it was on disk, so it cannot be a tear. */
static void a_marked_group_is_never_cut_and_an_unmarked_one_is(void)
{
    size_t at[200];
    enum log_record_kind kind[200];

    build_small();
    int count = groups_of(0, at, kind);
    IS(kind[count - 1], LOG_MARK);
    IS(kind[count - 2], LOG_VOTE);
    flip(0, (off_t) at[count - 2] + 40);
    IS(try_open(), ERR_DAMAGED);

    /* The same without the mark: as a crash before it leaves it. */
    uint8_t zeros[LOG_GROUP_HEADER + LOG_ALIGN] = { 0 };
    int fd = open_segment(0);
    IS(pwrite(fd, zeros, sizeof zeros, (off_t) at[count - 1]), sizeof zeros);
    close(fd);
    reopen();
    OK(got.torn_bytes > 100);
    IS(got.chosen, 4);
    IS(got.votes_count, 1);
    vote(6, 50);
    settle();
    log_close(l);
    reopen(); /* the log went on where the tear was, and nothing of it is met again */
    IS(got.torn_bytes, 0);
    IS(got.chosen, 5);
    IS(got.votes_count, 1);
    IS(blob_bytes(got.votes[0].proposal.batch).len, 50);
    log_close(l);
}

static void a_tear_in_an_older_segment_is_damage(void)
{
    char names[64][32];
    size_t at[200];
    enum log_record_kind kind[200];

    fresh();
    for (uint64_t slot = 1; slot <= 40; slot++) {
        vote(slot, 3000);
        settle();
    }
    log_close(l);
    OK(segments(names) >= 2);
    int count = groups_of(0, at, kind);
    flip(0, (off_t) at[count - 1] + 60);
    IS(try_open(), ERR_DAMAGED);
    OK(strstr(why, names[0]) != NULL);
    flip(0, (off_t) at[count - 1] + 60);
    flip(0, (off_t) at[count - 1]); /* not even a group's magic is left */
    IS(try_open(), ERR_DAMAGED);
    flip(0, (off_t) at[count - 1]);
    reopen();
    log_close(l);
}

static void a_missing_segment_is_damage(void)
{
    char names[64][32], path[400];

    fresh();
    for (uint64_t slot = 1; slot <= 100; slot++) {
        vote(slot, 3000);
        settle();
    }
    log_close(l);
    OK(segments(names) >= 4);
    snprintf(path, sizeof path, "%s/%s", dir, names[1]);
    IS(unlink(path), 0);
    IS(try_open(), ERR_DAMAGED);
    OK(strstr(why, names[0]) != NULL);
}

static void a_log_of_another_cluster_or_node_is_refused(void)
{
    build_small();
    config.cluster = 6;
    IS(try_open(), ERR_WRONG_CLUSTER);
    OK(strstr(why, "node 1 of cluster 0000000000000005") != NULL);
    config.cluster = 5;
    config.node = 2;
    IS(try_open(), ERR_WRONG_CLUSTER);
    config.node = 1;
    reopen();
    log_close(l);
}

static void a_directory_that_cannot_be_used_is_told_plainly(void)
{
    fresh();
    struct log *first = l;
    IS(try_open(), ERR_IN_USE);
    OK(strstr(why, "another process") != NULL);
    log_close(first);
    config.dir = "/proc/none/log";
    OK(try_open() < 0);
    OK(strstr(why, "/proc/none/log") != NULL);
}

static void count_line(void *ctx, const char *text)
{
    int *counts = ctx;

    counts[0]++;
    if (strstr(text, "kind=vote slot=3 ballot=1.1") != NULL) counts[1]++;
    if (strstr(text, "bytes=100") != NULL) counts[2]++;
}

static void a_dump_shows_each_record_and_changes_nothing(void)
{
    int counts[3] = { 0 };

    build_small();
    IS(log_dump(dir, count_line, counts, why, sizeof why), 0);
    IS(counts[0], 1 + 1 + 6 + 2 - (counts[0] == 9)); /* perhaps a mark behind the start */
    IS(counts[1], 1);
    IS(counts[2], 6);
    flip(0, 300);
    IS(log_dump(dir, count_line, counts, why, sizeof why), ERR_DAMAGED);
    IS(log_dump("/nowhere", count_line, counts, why, sizeof why), ERR_IO);
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
    fresh();
    while (log_bytes(l) < 2 * SEGMENT) usleep(100);
    settle();
    signal(SIGXFSZ, SIG_IGN);
    log_close(l);
    wipe(dir);
    limit_files(SEGMENT / 2);
    IS(try_open(), ERR_DISK_FULL);
    limit_files(RLIM_INFINITY);
    reopen();
    while (log_bytes(l) < 2 * SEGMENT) usleep(100);
    OK(!log_full(l));
    usleep(20000); /* the spare is filled by now; the next is refused */
    limit_files(SEGMENT - 8);
    uint64_t slot = 1;
    for (; !log_full(l) && slot < 200; slot++) {
        vote(slot, 1000);
        settle();
    }
    OK(log_full(l));
    OK(slot < 200);
    promise(500, slot - 1); /* still fits */
    settle();
    limit_files(RLIM_INFINITY);
    while (log_full(l)) usleep(10000);
    for (uint64_t end = slot + 200; slot < end; slot++) vote(slot, 1000);
    settle();
    log_close(l);
    reopen();
    IS(got.promised.round, 500);
    log_close(l);
}

static void a_log_that_waits_for_space_can_be_closed(void)
{
    fresh();
    signal(SIGXFSZ, SIG_IGN);
    usleep(50000);
    limit_files(SEGMENT - 8);
    for (uint64_t slot = 1; slot <= 200; slot++) vote(slot, 1000);
    log_submit(l);
    while (!log_full(l)) usleep(100);
    limit_files(RLIM_INFINITY);
    log_close(l);
    reopen();
    OK(got.chosen < 200);
    log_close(l);
}

static void child_votes_in_vain(bool write_fails)
{
    signal(SIGXFSZ, SIG_IGN);
    freopen("/dev/null", "w", stderr);
    if (log_open(&config, &l, &got, why, sizeof why) != 0) _exit(1);
    usleep(100000); /* the spare is ready and the mark is written */
    if (write_fails) limit_files(LOG_SEGMENT_HEADER);
    else atomic_store(&sync_fails, true);
    vote(1, 100);
    log_submit(l);
    sleep(10);
    _exit(log_durable(l) == 0 ? 2 : 3);
}

static void a_failed_write_or_sync_ends_the_process(void)
{
    for (int i = 0; i < 2; i++) {
        int status = 0;
        fresh();
        log_close(l);
        fflush(stdout);
        pid_t child = fork();
        if (child == 0) child_votes_in_vain(i == 0);
        IS(waitpid(child, &status, 0), child);
        OK(WIFEXITED(status));
        IS(WEXITSTATUS(status), 70);
    }
}

static _Noreturn void append_and_tell(int out)
{
    if (log_open(&config, &l, &got, why, sizeof why) != 0) _exit(1);
    for (uint64_t slot = got.chosen + 1;; slot++) {
        vote(slot, 50 + slot * 37 % 4000);
        if (slot % 3 != 0) continue;
        log_submit(l);
        uint64_t told[2] = { slot, 0 };
        while (log_durable(l) < seq) usleep(10);
        if (write(out, told, 8) != 8) _exit(1);
        if (slot % 60 == 0) log_trim(l, slot - 30);
    }
}

static void nothing_durable_is_lost_by_a_kill(void)
{
    uint64_t slot = 0, slot_told = 0;

    fresh();
    log_close(l);
    for (int life = 0; life < 12; life++) {
        int ends[2];
        IS(pipe(ends), 0);
        fflush(stdout);
        pid_t child = fork();
        if (child == 0) append_and_tell(ends[1]);
        close(ends[1]);
        usleep((useconds_t) (20000 + rng_below(&rng, 80000)));
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        while (read(ends[0], &slot, 8) == 8) slot_told = slot;
        close(ends[0]);

        reopen();
        uint64_t newest = got.chosen;
        if (got.votes_count > 0) newest = got.votes[got.votes_count - 1].slot;
        OK(newest >= slot_told);
        for (uint64_t s = got.slot_first; s != 0 && s <= got.chosen; s++) {
            OK(reads_as(s, 50 + s * 37 % 4000));
        }
        log_close(l);
    }
    OK(slot_told > 12);
}

/* What a power cut leaves of the last group: any of its sectors, in any order. */
static void a_group_of_which_some_sectors_are_missing_is_cut_whole(void)
{
    static uint8_t image[SEGMENT], torn[SEGMENT];
    size_t at[200], start;
    enum log_record_kind kind[200];

    build_small();
    reopen();
    vote(7, 5000);
    settle();
    log_close(l);
    int count = groups_of(0, at, kind);
    IS(kind[count - 1], LOG_MARK);
    IS(kind[count - 2], LOG_VOTE);
    start = at[count - 2];
    int fd = open_segment(0);
    IS(pread(fd, image, SEGMENT, 0), SEGMENT);
    memset(image + at[count - 1], 0, SEGMENT - at[count - 1]);
    for (int round = 0; round < 60; round++) {
        bool whole = true;
        memcpy(torn, image, SEGMENT);
        for (size_t i = start; i < at[count - 1]; i = (i / 512 + 1) * 512) {
            if (rng_below(&rng, 8) >= 2) continue;
            memset(torn + i, round % 2 == 0 ? 0 : 0xee, (i / 512 + 1) * 512 - i);
            whole = false;
        }
        IS(pwrite(fd, torn, SEGMENT, 0), SEGMENT);
        reopen();
        IS(got.chosen, whole ? 6 : 5);
        IS(got.votes_count, 1);
        vote(7, 60);
        settle();
        log_close(l);
        reopen();
        IS(got.torn_bytes, 0);
        IS(got.chosen, 6);
        IS(blob_bytes(got.votes[0].proposal.batch).len, 60);
        log_close(l);
    }
    close(fd);
}

/* The model: per slot the mark of its newest record; 0 = none. */
enum { SLOTS = 4000 };
static uint64_t model[SLOTS];
static uint64_t model_chosen, model_promised;

static void random_record(void)
{
    uint64_t slot = model_chosen + 1 + rng_below(&rng, WINDOW_MAX);
    struct log_record r = { .kind = LOG_VOTE };
    uint8_t content[900] = { 0 };

    while (model[model_chosen + 1] != 0 && rng_below(&rng, 3) != 0) model_chosen++;
    if (rng_below(&rng, 20) == 0) model_promised++;
    if (rng_below(&rng, 4) != 0 || slot >= SLOTS) slot = model_chosen + 1;
    if (slot <= model_chosen) return;
    uint64_t mark = 1 + rng_below(&rng, UINT32_MAX);
    struct blob *batch = blob_new(bytes_of(content, rng_below(&rng, sizeof content)));
    r.promised = (struct ballot){ model_promised, 1 };
    r.chosen = model_chosen;
    r.vote = (struct vote){ .slot = slot,
                            .ballot = { model_promised, 1 },
                            .proposal = { .reign_first = mark, .batch = batch } };
    seq = log_append(l, &r);
    model[slot] = mark;
    blob_unref(batch);
}

static void compare_with_model(void)
{
    uint32_t open = 0;
    struct proposal p;

    IS(got.chosen <= model_chosen, 1);
    for (uint64_t slot = got.chosen + 1; slot <= got.chosen + WINDOW_MAX; slot++) {
        if (slot >= SLOTS || model[slot] == 0) continue;
        OK(open < got.votes_count);
        IS(got.votes[open].slot, slot);
        IS(got.votes[open].proposal.reign_first, model[slot]);
        open++;
    }
    IS(got.votes_count, open);
    for (uint64_t slot = got.slot_first; slot != 0 && slot <= got.chosen; slot++) {
        IS(log_read(l, slot, &p), 0);
        IS(p.reign_first, model[slot]);
        blob_unref(p.batch);
    }
}

static void random_lives_match_a_model(void)
{
    fresh();
    memset(model, 0, sizeof model);
    model_chosen = 0;
    model_promised = 1;
    for (int life = 0; life < 20; life++) {
        for (int i = 0; i < 250 && model_chosen + WINDOW_MAX + 1 < SLOTS; i++) {
            random_record();
            if (rng_below(&rng, 3) == 0) log_submit(l);
            if (rng_below(&rng, 60) == 0) settle();
            if (rng_below(&rng, 100) == 0 && model_chosen > 40)
                log_trim(l, model_chosen - 40);
        }
        log_close(l);
        reopen();
        IS(got.boot, life + 2);
        compare_with_model();
    }
    OK(got.slot_first > 1);
    log_close(l);
}

int main(void)
{
    const char *env = getenv("SEED"), *tmp = getenv("TMPDIR");
    uint64_t seed = env != NULL ? strtoull(env, NULL, 10) : 20260302;

    printf("# SEED=%" PRIu64 "\n", seed);
    rng_init(&rng, seed);
    snprintf(scratch, sizeof scratch, "%s/t_log.XXXXXX", tmp != NULL ? tmp : "/tmp");
    if (mkdtemp(scratch) == NULL) return 1;
    snprintf(dir, sizeof dir, "%s/log", scratch);
    TEST(a_new_log_is_empty_and_counts_its_starts);
    TEST(what_is_durable_comes_back);
    TEST(the_newest_vote_of_a_slot_counts);
    TEST(a_slot_can_be_read_before_and_after_it_is_written);
    TEST(bytes_that_rotted_are_not_handed_out);
    TEST(the_loop_is_woken_after_each_sync);
    TEST(nothing_is_durable_before_its_sync_returns);
    TEST(segments_follow_each_other_and_are_recycled);
    TEST(a_log_in_steady_use_seldom_makes_files);
    TEST(trimming_keeps_promise_and_prefix_and_what_is_open);
    TEST(trimming_never_takes_an_open_vote);
    TEST(a_group_larger_than_a_segment_gets_its_own);
    TEST(a_gap_ends_what_can_be_read);
    TEST(damage_in_the_middle_is_refused_by_file_and_offset);
    TEST(a_file_that_was_cut_off_is_damage);
    TEST(a_marked_group_is_never_cut_and_an_unmarked_one_is);
    TEST(a_tear_in_an_older_segment_is_damage);
    TEST(a_missing_segment_is_damage);
    TEST(a_log_of_another_cluster_or_node_is_refused);
    TEST(a_directory_that_cannot_be_used_is_told_plainly);
    TEST(a_dump_shows_each_record_and_changes_nothing);
    TEST(a_full_disk_is_told_and_left_again);
    TEST(a_log_that_waits_for_space_can_be_closed);
    TEST(a_failed_write_or_sync_ends_the_process);
    TEST(nothing_durable_is_lost_by_a_kill);
    TEST(a_group_of_which_some_sectors_are_missing_is_cut_whole);
    TEST(random_lives_match_a_model);
    release_votes();
    wipe(dir);
    rmdir(scratch);
    return tap_done();
}
