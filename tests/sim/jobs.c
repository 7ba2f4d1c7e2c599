/* jobs.c -- many seeds in several processes.
 *
 * A seed that breaks a rule ends its process, whatever state that is in.  So each process
 * says in shared memory where it is, and with `keep_going` another one takes over behind
 * the broken seed. */
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/check.h"
#include "tests/sim/jobs.h"

struct job {
    pid_t pid;     /* 0 = it is through */
    uint64_t seed; /* which it runs, or runs next */
    struct stats sum;
    char why[160]; /* that one broke */
};

struct broken_seed {
    uint64_t seed;
    char why[160];
};

struct jobs {
    const struct jobs_config *config;
    struct job *at; /* shared with the processes */
    struct broken_seed *broken;
    size_t broken_count, broken_cap;
};

static struct job *own; /* in a job's process */

void jobs_broken(const char *why)
{
    if (own != NULL) snprintf(own->why, sizeof own->why, "%s", why);
}

void stats_add(struct stats *sum, const struct stats *s)
{
    uint64_t *to = (uint64_t *) sum;
    const uint64_t *from = (const uint64_t *) s;

    for (size_t i = 0; i < sizeof *s / sizeof *to; i++)
        to[i] += from[i];
}

static uint64_t end_of(const struct jobs *j)
{
    return j->config->first + j->config->count;
}

static _Noreturn void run_job(const struct jobs *j, struct job *job)
{
    struct stats one;

    own = job;
    for (; job->seed < end_of(j); job->seed += j->config->jobs) {
        j->config->run(job->seed, false, &one);
        stats_add(&job->sum, &one);
    }
    _Exit(0);
}

static void job_start(struct jobs *j, struct job *job)
{
    pid_t pid;

    fflush(stdout);
    pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) run_job(j, job);
    job->pid = pid;
}

static struct job *job_of(const struct jobs *j, pid_t pid)
{
    for (uint64_t i = 0; i < j->config->jobs; i++) {
        if (j->at[i].pid == pid) return &j->at[i];
    }
    return NULL;
}

static void note_broken(struct jobs *j, const struct job *job)
{
    if (j->broken_count == j->broken_cap) {
        j->broken_cap = j->broken_cap == 0 ? 64 : 2 * j->broken_cap;
        j->broken = mem_grow(j->broken, j->broken_cap * sizeof *j->broken);
    }
    struct broken_seed *b = &j->broken[j->broken_count++];

    b->seed = job->seed;
    memcpy(b->why, job->why, sizeof b->why);
}

static void end_others(const struct jobs *j)
{
    for (uint64_t i = 0; i < j->config->jobs; i++) {
        if (j->at[i].pid != 0) kill(j->at[i].pid, SIGTERM);
    }
}

static void job_ended(struct jobs *j, struct job *job, int status)
{
    job->pid = 0;
    if (status == 0) return;
    if (j->broken_count > 0 && !j->config->keep_going) return; /* ended by end_others() */
    note_broken(j, job);
    if (j->config->keep_going) {
        job->seed += j->config->jobs;
        job->why[0] = '\0';
        job_start(j, job);
    } else {
        end_others(j);
    }
}

static int by_seed(const void *a, const void *b)
{
    const uint64_t x = ((const struct broken_seed *) a)->seed;
    const uint64_t y = ((const struct broken_seed *) b)->seed;

    return (x > y) - (x < y);
}

static void print_broken(struct jobs *j)
{
    if (j->broken_count == 0) return;
    qsort(j->broken, j->broken_count, sizeof *j->broken, by_seed);
    for (size_t i = 0; i < j->broken_count; i++) {
        printf("broken: seed %" PRIu64 ": %s\n", j->broken[i].seed, j->broken[i].why);
    }
}

uint64_t jobs_run(const struct jobs_config *config, struct stats *sum)
{
    struct jobs j = { .config = config };
    const size_t size = config->jobs * sizeof *j.at;
    struct job *job;
    int status;
    pid_t pid;

    j.at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(j.at != MAP_FAILED);
    for (uint64_t i = 0; i < config->jobs; i++) {
        j.at[i].seed = config->first + i;
        job_start(&j, &j.at[i]);
    }
    while ((pid = wait(&status)) > 0) {
        job = job_of(&j, pid);
        if (job != NULL) job_ended(&j, job, status);
    }
    for (uint64_t i = 0; i < config->jobs; i++)
        stats_add(sum, &j.at[i].sum);
    print_broken(&j);
    free(j.broken);
    munmap(j.at, size);
    return j.broken_count;
}
