#include "tests/lib/tap.h"

#include <stdlib.h>
#include <unistd.h>

static int tests_run, tests_failed;
static long facts, facts_failed;

enum { WATCHDOG_S = 600 }; /* for what hangs; under sanitizers the slowest takes half */

void tap_run(const char *name, void (*test)(void))
{
    if (tests_run == 0) alarm(WATCHDOG_S);
    facts = facts_failed = 0;
    test();
    if (facts == 0) printf("# %s states nothing\n", name);
    bool ok = facts > 0 && facts_failed == 0;
    if (!ok) tests_failed++;
    printf("%s %d - %s\n", ok ? "ok" : "not ok", ++tests_run, name);
    fflush(stdout);
}

void tap_is(const char *file, int line, const char *what, long long got, long long want)
{
    facts++;
    if (got == want) return;
    if (facts_failed++ < 10) {
        printf("# %s:%d: %s is %lld, not %lld\n", file, line, what, got, want);
    }
}

void tap_str(const char *file, int line, const char *what, const char *got, const char *want)
{
    facts++;
    if (got != NULL && strcmp(got, want) == 0) return;
    if (facts_failed++ < 10) {
        printf("# %s:%d: %s is \"%s\", not \"%s\"\n", file, line, what,
               got == NULL ? "(null)" : got, want);
    }
}

int tap_done(void)
{
    printf("1..%d\n", tests_run);
    return tests_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
