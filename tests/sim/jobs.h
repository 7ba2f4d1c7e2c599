/* jobs.h -- many seeds, in several processes. */
#ifndef TESTS_SIM_JOBS_H
#define TESTS_SIM_JOBS_H

#include "tests/sim/sim.h"

struct jobs_config {
    uint64_t first, count, jobs;
    bool keep_going; /* past broken seeds, to the end; else the first ends all */
    void (*run)(uint64_t seed, bool traced, struct stats *stats);
};

/* Adds to `sum` what the seeds that broke nothing held; prints each that did, with the rule
 * it broke, and returns how many these were. */
uint64_t jobs_run(const struct jobs_config *config, struct stats *sum);

void stats_add(struct stats *sum, const struct stats *s);

#endif
