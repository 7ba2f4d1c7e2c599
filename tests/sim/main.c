/* main.c -- tidelock-sim: many seeds, each a cluster's life of faults, then of peace.
 *
 *     tidelock-sim [--seeds N] [--first S] [--jobs J]      N seeds, each in a process
 *     tidelock-sim --seed S [--trace]                      one seed again, as it was
 *
 * A seed has two phases. Safety: clients work while everything fails. Liveness: everything
 * is healed, and all that was asked must be answered, a lock held must pass on, and the
 * replicas must end alike. */
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/base/check.h"
#include "tests/sim/sim.h"

enum { HEAL_LIMIT_US = 60000000 };

static struct options options_of(uint64_t seed)
{
    struct rng rng;
    struct options o = { .seed = seed, .ops_min = 500, .faults_min = 20 };

    rng_init(&rng, seed ^ 0x5eed);
    o.nodes = rng_below(&rng, 3) == 0 ? 5 : 3;
    o.clients = 3 + (uint32_t) rng_below(&rng, SIM_CLIENTS_MAX - 2);
    o.loss_permille = rng_below(&rng, 2) == 0 ? 0 : (uint32_t) rng_below(&rng, 80);
    o.double_permille = rng_below(&rng, 2) == 0 ? 0 : (uint32_t) rng_below(&rng, 100);
    o.slow_permille = rng_below(&rng, 2) == 0 ? 0 : (uint32_t) rng_below(&rng, 100);
    return o;
}

static bool same_everywhere(const struct world *w)
{
    struct replica_status first = replica_status(w->nodes[0].replica);

    for (uint32_t i = 1; i < w->options.nodes; i++) {
        struct replica_status s = replica_status(w->nodes[i].replica);

        if (s.applied != first.applied || s.digest != first.digest) return false;
    }
    return true;
}

static void run_seed(uint64_t seed, bool traced, struct stats *stats)
{
    struct world *w = mem_zalloc(sizeof *w);
    struct options o = options_of(seed);
    uint64_t healed_us;

    o.trace = traced;
    world_init(w, &o);
    clients_start(w);
    faults_start(w);
    while (w->stats.ops < o.ops_min || w->stats.faults < o.faults_min) world_step(w);
    faults_heal(w);
    healed_us = w->now_us;
    while (w->now_us < healed_us + 3000000) world_step(w); /* all still working */
    clients_stop(w);
    while (!clients_idle(w) || world_leader(w) == 0 || !same_everywhere(w)) {
        world_step(w);
        if (w->now_us > healed_us + HEAL_LIMIT_US) {
            broken(w, "no progress: %.0f s after everything was healed something is still "
                      "open", (double) HEAL_LIMIT_US / 1e6);
        }
    }
    checks_end(w);
    clients_check_end(w);
    *stats = w->stats;
    clients_fini(w);
    world_fini(w);
    free(w);
}

static void add(struct stats *sum, const struct stats *s)
{
    uint64_t *to = (uint64_t *) sum;
    const uint64_t *from = (const uint64_t *) s;

    for (size_t i = 0; i < sizeof *s / sizeof *to; i++) to[i] += from[i];
}

/* One job: seeds first, first + step, ... Its sums go up the pipe. */
static void run_job(uint64_t first, uint64_t end, uint64_t step, int out)
{
    struct stats sum = { 0 }, one;

    for (uint64_t seed = first; seed < end; seed += step) {
        run_seed(seed, false, &one);
        add(&sum, &one);
    }
    if (write(out, &sum, sizeof sum) != sizeof sum) _Exit(1);
    _Exit(0);
}

static double seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double) now.tv_sec + (double) now.tv_nsec / 1e9;
}

static int run_many(uint64_t first, uint64_t count, uint64_t jobs)
{
    struct stats sum = { 0 }, one;
    double began = seconds(), took;
    int pipes[2], status, failed = 0;

    if (pipe(pipes) != 0) return EXIT_FAILURE;
    fflush(stdout);
    for (uint64_t j = 0; j < jobs; j++) {
        pid_t pid = fork();

        if (pid < 0) return EXIT_FAILURE;
        if (pid == 0) run_job(first + j, first + count, jobs, pipes[1]);
    }
    close(pipes[1]);
    while (read(pipes[0], &one, sizeof one) == sizeof one) add(&sum, &one);
    while (wait(&status) > 0) failed |= status != 0;
    took = seconds() - began;
    printf("seeds %" PRIu64 "..%" PRIu64 ": %s in %.1f s; a second: %.0f events, %.0f frames, "
           "%.0f operations, %.1f faults (%.1f crashes, %.1f hand-overs), %.1f reigns; slots "
           "%" PRIu64 ", void batches %" PRIu64 ", expiries %" PRIu64
           ", locks granted %" PRIu64 "\n",
           first, first + count - 1, failed ? "BROKEN" : "good", took,
           (double) sum.events / took, (double) sum.frames / took, (double) sum.ops / took,
           (double) sum.faults / took, (double) sum.crashes / took,
           (double) sum.transfers / took, (double) sum.leaders / took,
           sum.slots, sum.voids, sum.expiries, sum.grants);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

static _Noreturn void usage(void)
{
    fprintf(stderr, "usage: tidelock-sim [--seeds N] [--first S] [--jobs J]\n"
                    "       tidelock-sim --seed S [--trace]\n");
    exit(2);
}

static uint64_t number(const char *text)
{
    char *end;
    unsigned long long v;

    if (text == NULL || *text < '0' || *text > '9') usage();
    v = strtoull(text, &end, 10);
    if (*end != '\0') usage();
    return v;
}

int main(int argc, char **argv)
{
    uint64_t seeds = 100, first = 1, jobs = 2, seed = 0;
    bool one = false, traced = false;
    struct stats stats;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--trace") == 0) {
            traced = true;
        } else if (strcmp(argv[i], "--seeds") == 0) {
            seeds = number(argv[++i]);
        } else if (strcmp(argv[i], "--first") == 0) {
            first = number(argv[++i]);
        } else if (strcmp(argv[i], "--jobs") == 0) {
            jobs = number(argv[++i]);
        } else if (strcmp(argv[i], "--seed") == 0) {
            one = true;
            seed = number(argv[++i]);
        } else {
            usage();
        }
    }
    if (seeds == 0 || jobs == 0 || jobs > 64) usage();
    if (!one) return run_many(first, seeds, jobs);
    run_seed(seed, traced, &stats);
    printf("seed %" PRIu64 ": good; %" PRIu64 " events, %" PRIu64 " operations, %" PRIu64
           " faults, %" PRIu64 " slots\n",
           seed, stats.events, stats.ops, stats.faults, stats.slots);
    return EXIT_SUCCESS;
}
