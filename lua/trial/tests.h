/* tests.h -- runs the tests of a recipe, written in Lua, each on a trial of its own.
 *
 * The file of tests runs in a sandbox as recipes do, with a larger budget, and names what
 * trial.lua gives it beside the library. So it can neither harm nor depend on the machine. */
#ifndef LUA_TRIAL_TESTS_H
#define LUA_TRIAL_TESTS_H

#include "core/base/bytes.h"

struct trial_tests {
    struct bytes recipe_name, recipe;   /* put into each trial first */
    struct bytes tests_name, tests;     /* of the file, for messages; its source */
    uint64_t seed;                      /* of t:random() */
    struct bytes only;                  /* run the test of this name only; null: all */
};

struct trial_report {
    unsigned run, failed;
    struct buf text; /* TAP */
};

/* Appends to `report`, which begins zeroed; its text is the caller's to free. Returns 0, or
 * ERR_SCRIPT_FAILED when the file of tests, or the recipe, does not load: the text says why
 * in a line of TAP. */
int trial_tests_run(const struct trial_tests *tests, struct trial_report *report);

#endif
