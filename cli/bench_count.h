/* bench_count.h -- what a run of the load generator counts: latencies, and failures by
 * their names. No I/O. */
#ifndef CLI_BENCH_COUNT_H
#define CLI_BENCH_COUNT_H

#include <stdbool.h>

#include "cli/histogram.h"

enum { BENCH_FAILURES_MAX = 32 }; /* kinds of them that are told apart */

/* An answer that breaks a promise of the service, such as a token that does not rise;
 * beside the (negative) codes of core/base/errors.h. */
enum { BENCH_BROKEN = 1 };

struct bench_failure {
    int code; /* 0: all kinds for which there was no place */
    uint64_t count;
};

struct bench_result {
    struct histogram latency_us;
    struct histogram handover_us; /* of lock: from a release to the next one's grant */
    uint64_t measured_us;         /* how long MEASURE took, with DRAIN */
    uint64_t errors;              /* operations that failed while measuring */
    struct bench_failure failures[BENCH_FAILURES_MAX]; /* `errors` by code */
    unsigned failures_count;
    int last_error; /* their last code */
    char why[200];  /* of a code that bench_run() returns; or of the last error */
};

void bench_result_clear(struct bench_result *r);
/* So many of one kind; 0 changes nothing. `message` may be NULL. */
void bench_count_failures(struct bench_result *r, uint64_t count, int code,
                          const char *message);
/* "no_node", "broken_promise", "other". */
const char *bench_failure_name(int code);
double bench_ops_per_s(const struct bench_result *r);

/* When the operations of an open loop are to begin: the k-th (from 0) at start + k / rate.
 */
struct bench_pace {
    uint32_t rate; /* a second; at least 1 */
    uint64_t start_us;
    uint64_t taken; /* operations handed out so far */
};

/* When the next operation is to begin. It does not move on. */
uint64_t bench_pace_next_us(const struct bench_pace *p);
/* True: an operation is due at now_us, and *intended_us says since when. */
bool bench_pace_take(struct bench_pace *p, uint64_t now_us, uint64_t *intended_us);

#endif
