/* tap.h -- the Test Anything Protocol, as `prove` reads it: one `ok` line a rule.
 *
 * A test is a function named as a sentence, run by TEST(). Inside it IS, OK and STR state
 * what must be; a failure prints file, line and both values, and the test goes on. A test
 * that states nothing fails: it could not have. A watchdog ends a test program that hangs. */
#ifndef TESTS_LIB_TAP_H
#define TESTS_LIB_TAP_H

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

void tap_run(const char *name, void (*test)(void));
void tap_is(const char *file, int line, const char *what, long long got, long long want);
void tap_str(const char *file, int line, const char *what, const char *got, const char *want);
int tap_done(void); /* prints the plan; the exit status of main() */

#define TEST(function)  tap_run(#function, function)
#define IS(got, want)   tap_is(__FILE__, __LINE__, #got, (long long) (got), (long long) (want))
#define OK(fact)        tap_is(__FILE__, __LINE__, #fact, (fact) ? 1 : 0, 1)
#define STR(got, want)  tap_str(__FILE__, __LINE__, #got, got, want)

#endif
