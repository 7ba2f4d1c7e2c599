#include "tests/lib/log_rig.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/lib/tap.h"

struct log_rig rig;

void log_rig_wipe(const char *path)
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
    for (uint32_t i = 0; i < rig.got.votes_count; i++)
        blob_unref(rig.got.votes[i].proposal.batch);
    rig.got.votes_count = 0;
}

int log_rig_try_open(void)
{
    release_votes();
    rig.why[0] = '\0';
    rig.seq = 0;
    return log_open(&rig.config, &rig.log, &rig.got, rig.why, sizeof rig.why);
}

void log_rig_reopen(void)
{
    IS(log_rig_try_open(), 0);
    if (rig.why[0] != '\0') printf("# %s\n", rig.why);
}

void log_rig_fresh(void)
{
    log_rig_wipe(rig.dir);
    rig.config = (struct log_config){
        .dir = rig.dir, .segment_bytes = RIG_SEGMENT, .cluster = 5, .node = 1
    };
    log_rig_reopen();
}

struct log_record log_rig_record(enum log_record_kind kind, uint64_t slot, uint64_t round,
                                 struct blob *batch)
{
    struct log_record r = {
        .kind = kind,
        .promised = { round, 1 },
        .chosen = slot == 0 ? 0 : slot - 1,
        .vote = { .slot = slot,
                  .proposal = { .reign = { round, 1 }, .reign_first = 1, .batch = batch } }
    };

    if (kind == LOG_VOTE) r.vote.ballot = (struct ballot){ round, 1 };
    return r;
}

void log_rig_promise(uint64_t round, uint64_t chosen)
{
    struct log_record r = { .kind = LOG_PROMISE,
                            .promised = { round, 2 },
                            .chosen = chosen };

    rig.seq = log_append(rig.log, &r);
}

/* A vote for `slot` at round 1 whose batch is `len` bytes that tell the slot. */
void log_rig_vote(uint64_t slot, size_t len)
{
    uint8_t *bytes = mem_alloc(len);

    memset(bytes, (int)(slot % 251), len);
    struct blob *batch = blob_new(bytes_of(bytes, len));
    struct log_record r = log_rig_record(LOG_VOTE, slot, 1, batch);
    rig.seq = log_append(rig.log, &r);
    blob_unref(batch);
    free(bytes);
}

void log_rig_settle(void)
{
    log_submit(rig.log);
    while (log_durable(rig.log) < rig.seq)
        usleep(100);
    log_submit(rig.log);
}

bool log_rig_reads_as(uint64_t slot, size_t len)
{
    struct proposal p;

    if (log_read(rig.log, slot, &p) != 0) return false;
    struct bytes b = blob_bytes(p.batch);
    bool same = b.len == len;
    for (size_t i = 0; i < b.len && same; i++)
        same = b.ptr[i] == slot % 251;
    blob_unref(p.batch);
    return same;
}

/* The segments' names in order; how many there are. */
int log_rig_segments(char names[RIG_SEGMENTS_MAX][32])
{
    int count = 0;
    struct dirent **list;
    int all = scandir(rig.dir, &list, NULL, alphasort);

    for (int i = 0; i < all; i++) {
        if (strlen(list[i]->d_name) == 20 && count < RIG_SEGMENTS_MAX)
            strcpy(names[count++], list[i]->d_name);
        free(list[i]);
    }
    free(list);
    return count;
}

int log_rig_open_segment(int index)
{
    char names[RIG_SEGMENTS_MAX][32], path[400];

    OK(log_rig_segments(names) > index);
    snprintf(path, sizeof path, "%s/%s", rig.dir, names[index]);
    return open(path, O_RDWR);
}

void log_rig_flip(int index, off_t at)
{
    uint8_t byte;
    int fd = log_rig_open_segment(index);

    IS(pread(fd, &byte, 1, at), 1);
    byte ^= 0x20;
    IS(pwrite(fd, &byte, 1, at), 1);
    close(fd);
}

void log_rig_groups_of(int index, struct rig_groups *groups)
{
    static uint8_t bytes[RIG_SEGMENT];
    struct log_scan s;
    struct log_record r;
    struct bytes batch;
    int fd = log_rig_open_segment(index);
    uint64_t number = 0;

    groups->count = 0;
    IS(read(fd, bytes, RIG_SEGMENT), RIG_SEGMENT);
    close(fd);
    IS(log_scan_init(&s, bytes_of(bytes, RIG_SEGMENT)), 0);
    while (log_scan_next(&s, &r, &batch) == LOG_GOOD && groups->count < RIG_GROUPS_MAX) {
        if (s.number == number) continue;
        number = s.number;
        groups->at[groups->count] = s.record - LOG_GROUP_HEADER;
        groups->kind[groups->count++] = r.kind;
    }
}

bool log_rig_begin(uint64_t seed)
{
    const char *env = getenv("SEED"), *tmp = getenv("TMPDIR");

    if (env != NULL) seed = strtoull(env, NULL, 10);
    printf("# SEED=%" PRIu64 "\n", seed);
    rng_init(&rig.rng, seed);
    snprintf(rig.scratch, sizeof rig.scratch, "%s/t_log.XXXXXX",
             tmp != NULL ? tmp : "/tmp");
    if (mkdtemp(rig.scratch) == NULL) return false;
    snprintf(rig.dir, sizeof rig.dir, "%s/log", rig.scratch);
    return true;
}

void log_rig_end(void)
{
    release_votes();
    log_rig_wipe(rig.dir);
    rmdir(rig.scratch);
}
