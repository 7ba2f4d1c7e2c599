/* log_rig.h -- one Paxos log with small segments in a scratch directory, for the tests of
 * core/log: shorthands to fill it, to open it again, and to look at and change its files.
 *
 * A vote's batch tells its slot, so that what comes back can be judged without a list. */
#ifndef TESTS_LIB_LOG_RIG_H
#define TESTS_LIB_LOG_RIG_H

#include <sys/types.h>

#include "core/base/rng.h"
#include "core/log/log.h"
#include "core/log/record.h"

enum { RIG_SEGMENT = 64 << 10, RIG_SEGMENTS_MAX = 64, RIG_GROUPS_MAX = 200 };

struct log_rig {
    char scratch[256], dir[300];
    struct log_config config;
    struct log *log;           /* the one that is open */
    struct log_recovered got;  /* by the last open */
    char why[1024];
    uint64_t seq;              /* of the last record */
    struct rng rng;
};
extern struct log_rig rig;

struct rig_groups { /* of one segment: where each group begins, and its first record */
    int count;
    size_t at[RIG_GROUPS_MAX];
    enum log_record_kind kind[RIG_GROUPS_MAX];
};

/* Draws the seed (SEED, else `seed`), prints it and makes the directory. False: it cannot. */
bool log_rig_begin(uint64_t seed);
void log_rig_end(void);
void log_rig_wipe(const char *path); /* a directory of files */

int log_rig_try_open(void);
void log_rig_reopen(void); /* must succeed */
void log_rig_fresh(void);  /* an empty log of the usual configuration, open */

struct log_record log_rig_record(enum log_record_kind kind, uint64_t slot, uint64_t round,
                             struct blob *batch);
void log_rig_promise(uint64_t round, uint64_t chosen);
/* At round 1, all slots below being chosen; a batch of `len` bytes that tell the slot. */
void log_rig_vote(uint64_t slot, size_t len);
void log_rig_settle(void); /* until all is durable */
bool log_rig_reads_as(uint64_t slot, size_t len);

/* The segments' names in order; how many there are. */
int log_rig_segments(char names[RIG_SEGMENTS_MAX][32]);
int log_rig_open_segment(int index);
void log_rig_flip(int index, off_t at);
void log_rig_groups_of(int index, struct rig_groups *groups);

#endif
