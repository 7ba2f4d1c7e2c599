/* bench_loop.h -- the load generator: many clients, each its own connection and session, in
 * one thread with one epoll, because it shares the machine's cores with the servers that it
 * measures.
 *
 * Closed loop (rate 0): each client has `depth` operations under way, and the end of one
 * makes the next. Open loop: `rate` operations a second arrive whether the service keeps up
 * or not; one that finds no client free waits, and its latency counts from its arrival, so
 * that a stall of the service is felt by all that would have come meanwhile.
 *
 *     CONNECT  until every client is ready
 *     PREPARE  what the operation needs is made; bench_kinds.c says what
 *     WARMUP   the operation, not counted
 *     MEASURE  the operation, counted
 *     DRAIN    open loop: what arrived in time and is not done yet, for timeout_ms at most
 *     END */
#ifndef CLI_BENCH_LOOP_H
#define CLI_BENCH_LOOP_H

#include "cli/bench_count.h"
#include "cli/bench_hosts.h"
#include "core/client/servers.h"

struct bench_kind;

struct bench_config {
    const struct bench_kind *kind;
    uint32_t clients, depth, size, keys;
    uint32_t locks;      /* of lock: how many of them */
    uint32_t batch;      /* of multi: sets in each */
    uint32_t read_share; /* of mix: percent of gets */
    uint32_t rate;       /* operations a second; 0 = closed loop */
    uint32_t seconds, warmup_seconds;
    uint32_t timeout_ms; /* of one request; also for reaching the service at all */
    bool prepared;       /* nodes /bench/k-<i> are there */
    bool progress;       /* a line a second on stderr */
    const struct servers *servers; /* client i connects to servers->at[(first + i * step)
                                        % count] first */
    size_t first, step;
    uint64_t seed;
};

/* A kind by its name; NULL when there is none. */
const struct bench_kind *bench_kind_find(const char *name);
const char *bench_kind_name(const struct bench_kind *kind);
uint32_t bench_kind_keys(const struct bench_kind *kind); /* by default; 0: it uses none */
/* NULL, or what of the configuration does not fit its kind. */
const char *bench_kind_misfit(const struct bench_config *config);
/* "set, get, ..." into `text`. */
void bench_kind_names(char *text, size_t size);

/* 0, or the code that ended it before it could measure: result->why says more. `hosts` are
 * looked at when measuring begins and when it ends. */
int bench_run(const struct bench_config *config, struct bench_hosts *hosts,
              struct bench_result *result);

#endif
