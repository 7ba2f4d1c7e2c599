/* main.c -- tidelock-sim: many seeds, each a cluster's life (life.c).
 *
 *     tidelock-sim [--seeds N] [--first S] [--jobs J]      N seeds, in J processes;
 *                  [--keep-going]                          past broken ones, to the end
 *                  [--crowd]                               of sessions that expire
 *     tidelock-sim --seed S [--trace]                      one seed again, as it was
 *     tidelock-sim --scenario NAME [--seed S] [--trace]    one of scenarios/; or all, or
 * list
 *
 * The summary says what a second held, so that seeds that do nothing show. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/base/check.h"
#include "tests/sim/guests.h"
#include "tests/sim/jobs.h"

/* A seed takes milliseconds; one that goes round in circles, and one that ends in a CHECK
 * of the code under test, must say who it is. */
enum { SEED_SECONDS_MAX = 60, JOBS_MAX = 64 };

static struct world *watched;

static void on_signal(int signal)
{
    broken(watched, "%s",
           signal == SIGALRM ? "this seed does not come to an end"
                             : "the process dies: see the line before");
}

void watch_over(struct world *w, const struct options *o)
{
    w->options = *o;
    watched = w;
    signal(SIGALRM, on_signal);
    signal(SIGABRT, on_signal);
    signal(SIGSEGV, on_signal);
    alarm(SEED_SECONDS_MAX);
}

static void run_world(const struct options *o, struct stats *stats)
{
    struct world *w = mem_zalloc(sizeof *w);

    watch_over(w, o);
    world_init(w, o);
    life_run(w);
    *stats = w->stats;
    guests_fini(w);
    clients_fini(w);
    world_fini(w);
    free(w);
}

static void run_seed(uint64_t seed, bool traced, struct stats *stats)
{
    struct options o = options_draw(seed);

    o.trace = traced;
    run_world(&o, stats);
}

static void run_crowd(uint64_t seed, bool traced, struct stats *stats)
{
    struct options o = options_draw(seed);

    options_crowd(&o);
    o.trace = traced;
    run_world(&o, stats);
}

static double seconds(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void print_sum(const struct stats *s, double took)
{
    printf("a second: %.0f events, %.0f frames, %.0f operations, %.1f faults, %.1f reigns; "
           "simulated time goes %.0f times as fast as real time\n",
           (double)s->events / took, (double)s->frames / took, (double)s->ops / took,
           (double)s->faults / took, (double)s->leaders / took,
           (double)s->virtual_ms / 1000 / took);
    printf("in all: slots %" PRIu64 ", void batches %" PRIu64 ", sessions expired %" PRIu64
           ", locks granted %" PRIu64 ", guarded writes %" PRIu64 " (refused %" PRIu64
           "), restarts %" PRIu64 ", states installed %" PRIu64 ", members changed %" PRIu64
           " (joined %" PRIu64 "), read rounds spared by leases %" PRIu64 "\nguests: ",
           s->slots, s->voids, s->expiries, s->grants, s->guarded, s->guards_refused,
           s->restarts, s->installs, s->rosters, s->joins, s->spared);
    printf("requests %" PRIu64 ", events told %" PRIu64 ", sessions attached again %" PRIu64
           ", watches armed again %" PRIu64 ", of which lagged %" PRIu64
           ", sessions taken over %" PRIu64 ", thefts tried %" PRIu64 "\nfaults:",
           s->guest_ops, s->events_told, s->attached, s->rearmed, s->lagged, s->taken_over,
           s->thefts);
    for (uint32_t kind = 0; kind < FAULT_KINDS; kind++) {
        printf(" %s %" PRIu64, fault_name(kind), s->by_kind[kind]);
    }
    printf("; frames lost %" PRIu64 ", doubled %" PRIu64 ", late %" PRIu64
           "; syncs torn by a crash %" PRIu64 "\n",
           s->lost, s->doubled, s->late, s->torn);
}

static int run_many(uint64_t first, uint64_t count, uint64_t jobs, bool crowd,
                    bool keep_going)
{
    const struct jobs_config config = { first, count, jobs, keep_going,
                                         crowd ? run_crowd : run_seed };
    const double began = seconds(CLOCK_MONOTONIC);
    struct stats sum = { 0 };
    const uint64_t broke = jobs_run(&config, &sum);
    const double took = seconds(CLOCK_MONOTONIC) - began;

    printf("seeds %" PRIu64 "..%" PRIu64 ": %s in %.1f s\n", first, first + count - 1,
           broke == 0 ? "good" : "BROKEN", took);
    if (broke > 0 && keep_going) printf("%" PRIu64 " of them broke a rule\n", broke);
    if (broke == 0 || keep_going) print_sum(&sum, took);
    return broke == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int run_one(uint64_t seed, bool crowd, bool traced)
{
    struct stats stats;
    struct options o = options_draw(seed);
    double began = seconds(CLOCK_MONOTONIC);

    if (crowd) options_crowd(&o);
    options_print(&o);
    (crowd ? run_crowd : run_seed)(seed, traced, &stats);
    printf("seed %" PRIu64 ": good\n", seed);
    print_sum(&stats, seconds(CLOCK_MONOTONIC) - began);
    return EXIT_SUCCESS;
}

static _Noreturn void usage(void)
{
    fprintf(
        stderr,
        "usage: tidelock-sim [--seeds N] [--first S] [--jobs J] [--crowd] [--keep-going]\n"
        "       tidelock-sim --seed S [--crowd] [--trace]\n"
        "       tidelock-sim --scenario NAME|all|list [--seeds N | --seed S] [--trace]\n");
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
    uint64_t seeds = 100, first = 1, jobs = 2, seed = 1;
    bool one = false, crowd = false, traced = false, keep_going = false;
    const char *scenario = NULL;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--trace") == 0) {
            traced = true;
        } else if (strcmp(argv[i], "--crowd") == 0) {
            crowd = true;
        } else if (strcmp(argv[i], "--keep-going") == 0) {
            keep_going = true;
        } else if (strcmp(argv[i], "--seeds") == 0) {
            seeds = number(argv[++i]);
        } else if (strcmp(argv[i], "--first") == 0) {
            first = number(argv[++i]);
        } else if (strcmp(argv[i], "--jobs") == 0) {
            jobs = number(argv[++i]);
        } else if (strcmp(argv[i], "--scenario") == 0) {
            scenario = argv[++i];
            if (scenario == NULL) usage();
        } else if (strcmp(argv[i], "--seed") == 0) {
            one = true;
            seed = number(argv[++i]);
        } else {
            usage();
        }
    }
    if (seeds == 0 || jobs == 0 || jobs > JOBS_MAX) usage();
    if (scenario != NULL) {
        return one ? scenarios_run(scenario, seed, 1, traced)
                   : scenarios_run(scenario, first, seeds, traced);
    }
    return one ? run_one(seed, crowd, traced)
               : run_many(first, seeds, jobs, crowd, keep_going);
}
