/* bench_loop.h -- the load generator: many clients, each its own connection and session, in
 * one thread with one epoll, because it shares the machine's cores with the servers that it
 * measures. Closed loop: each client has `depth` requests outstanding, and an answer makes
 * the next request.
 *
 *     CREATE  every key is created (that it exists already is fine)
 *     FILL    get only: every key is set to a value of the size asked for
 *     WARMUP  the operation, not counted
 *     MEASURE the operation, counted
 *
 * `create` has no keys: it starts at WARMUP, with names that are never used twice. */
#ifndef CLI_BENCH_LOOP_H
#define CLI_BENCH_LOOP_H

#include "cli/histogram.h"
#include "core/client/servers.h"

enum bench_op { BENCH_SET = 1, BENCH_GET, BENCH_CREATE };

struct bench_config {
    enum bench_op op;
    uint32_t clients, depth, size, keys;
    uint32_t seconds, warmup_seconds;
    uint32_t timeout_ms; /* of one request; also for reaching the service at all */
    const struct servers *servers; /* client i connects to servers->at[(first + i * step)
                                        % count] first */
    size_t first, step;
    uint64_t seed;
};

struct bench_result {
    struct histogram latency_us;
    uint64_t measured_us; /* how long MEASURE took */
    uint64_t errors;      /* requests that failed while measuring */
    int last_error;       /* their last code */
    char why[200];        /* of a code that bench_run() returns; or of the last error */
};

/* 0, or the code that ended it before it could measure. */
int bench_run(const struct bench_config *config, struct bench_result *result);

#endif
