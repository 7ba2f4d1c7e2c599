/* state_rig.h -- one state in a scratch directory of its own; for the tests of core/state.
 *
 * Header only: each program has its own. */
#ifndef TESTS_LIB_STATE_RIG_H
#define TESTS_LIB_STATE_RIG_H

#include <dirent.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/rng.h"
#include "core/state/state.h"
#include "tests/lib/tap.h"

static char scratch[256], dir[300];
static struct state_config config;
static struct state *s;
static char why[512];
static struct rng rng;
static uint64_t slot;

static inline void wipe(const char *path)
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

static inline void configure(void)
{
    config = (struct state_config){ .dir = dir,
                                    .cache_bytes = 20000,
                                    .dirty_bytes = 8000,
                                    .seed = 5 };
    slot = 0;
}

static inline void reopen(void)
{
    IS(state_open(&config, &s, why, sizeof why), 0);
}

static inline void fresh(void)
{
    wipe(dir);
    configure();
    reopen();
}

static inline struct kv_view *view(void)
{
    return &state_applied(s)->view;
}

static inline void put(const char *key, const char *value)
{
    kv_put(state_applied(s), bytes_str(key), bytes_str(value), slot);
}

static inline bool holds(const char *key, const char *value)
{
    struct bytes got;

    return kv_get(view(), bytes_str(key), &got) && bytes_equal(got, bytes_str(value));
}

static inline bool has(const char *key)
{
    struct bytes got;

    return kv_get(view(), bytes_str(key), &got);
}

static inline void flush(void)
{
    state_flush(s, slot);
    while (state_flushed(s) < slot) {
        state_turn(s, slot);
        usleep(500);
    }
}

/* Turns until nothing is on its way any more. */
static inline void settle(void)
{
    for (int i = 0; i < 400; i++) {
        state_turn(s, slot);
        usleep(100);
    }
}

/* A number from the environment, or `otherwise`; printed, for the next run. */
static inline void rig_seed(uint64_t otherwise)
{
    const char *given = getenv("SEED");
    uint64_t seed = given != NULL ? strtoull(given, NULL, 10) : otherwise;

    printf("# SEED=%" PRIu64 "\n", seed);
    rng_init(&rng, seed);
}

/* False: there is no room for it. */
static inline bool rig_begin(const char *name)
{
    const char *tmp = getenv("TMPDIR");

    snprintf(scratch, sizeof scratch, "%s/%s.XXXXXX", tmp != NULL ? tmp : "/tmp", name);
    if (mkdtemp(scratch) == NULL) return false;
    snprintf(dir, sizeof dir, "%s/state", scratch);
    return true;
}

static inline void rig_end(void)
{
    wipe(dir);
    rmdir(scratch);
}

#endif
