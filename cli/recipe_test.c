/* recipe_test.c -- `tidelock recipe test`: a recipe's own tests, on trials in memory. No
 * server is needed. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/input.h"
#include "cli/recipe.h"
#include "cli/report.h"
#include "core/base/limits.h"
#include "lua/trial/tests.h"

/* recipes/lock.lua has its tests in recipes/lock_test.lua. False: the name is too long. */
static bool name_beside(const char *file, char *out, size_t size)
{
    const size_t len = strlen(file);
    const bool is_lua = len > 4 && strcmp(file + len - 4, ".lua") == 0;
    const int written =
        snprintf(out, size, "%.*s_test.lua", (int) (is_lua ? len - 4 : len), file);

    return written > 0 && (size_t) written < size;
}

static int name_tests(const struct options *o, char *out, size_t size)
{
    int written;

    if (o->words_count > 1) {
        written = snprintf(out, size, "%s", o->words[1]);
        if (written > 0 && (size_t) written < size) return 0;
    } else if (name_beside(o->words[0], out, size)) {
        return 0;
    }
    return report_usage(o->command, "the name of the file is too long");
}

static int run(const struct options *o, struct bytes recipe, struct bytes tests_name,
               struct bytes tests)
{
    const char *only = options_text(o, FLAG_ONLY, NULL);
    const struct trial_tests what = {
        .recipe_name = recipe_name_of_file(o->words[0]),
        .recipe = recipe,
        .tests_name = tests_name,
        .tests = tests,
        .seed = options_number(o, FLAG_SEED, 1),
        .only = only == NULL ? (struct bytes){ 0 } : bytes_str(only),
    };
    struct trial_report report = { 0 };
    int status;

    (void) trial_tests_run(&what, &report);
    status = report_write(o->command, buf_bytes(&report.text));
    if (status == 0 && report.run == 0) {
        status = report_usage(o->command, "there is no test%s%s in %.*s",
                              only == NULL ? "" : " ", only == NULL ? "" : only,
                              (int) tests_name.len, (const char *) tests_name.ptr);
    }
    if (status == 0 && report.failed > 0) status = CLI_FAILED;
    buf_fini(&report.text);
    return status;
}

/* The tests that failed, and before each why. */
static void tell_failures(const struct options *o, struct bytes text)
{
    for (size_t at = 0, end; at < text.len; at = end + 1) {
        const char *line = (const char *) text.ptr + at;
        const void *newline = memchr(line, '\n', text.len - at);

        end = newline == NULL ? text.len : (size_t) ((const uint8_t *) newline - text.ptr);
        if (line[0] == '#' || line[0] == 'n') {
            report_note(o->command, "%.*s", (int) (end - at), line);
        }
    }
}

int recipe_own_tests(const struct options *o, const char *file, struct bytes name,
                     struct bytes source)
{
    struct trial_report report = { 0 };
    struct trial_tests what = { .recipe_name = name, .recipe = source, .seed = 1 };
    struct buf tests = { 0 };
    char tests_name[4096];
    int status;

    if (strcmp(file, "-") == 0 || !name_beside(file, tests_name, sizeof tests_name)) return 0;
    if (access(tests_name, R_OK) != 0) return 0;
    status = input_read(o, tests_name, &tests);
    what.tests_name = bytes_str(tests_name);
    what.tests = buf_bytes(&tests);
    if (status == 0) (void) trial_tests_run(&what, &report);
    if (report.failed > 0) {
        tell_failures(o, buf_bytes(&report.text));
        report_note(o->command, "%s: %u of %u tests fail, so it is not stored; --untested "
                    "stores it all the same", tests_name, report.failed, report.run);
        status = CLI_FAILED;
    }
    buf_fini(&report.text);
    buf_fini(&tests);
    return status;
}

int command_recipe_test(const struct options *o)
{
    struct buf recipe = { 0 }, tests = { 0 };
    char tests_name[4096];
    int status = name_tests(o, tests_name, sizeof tests_name);

    if (status == 0) status = input_read(o, o->words[0], &recipe);
    if (status == 0) status = input_read(o, tests_name, &tests);
    if (status == 0) {
        status = run(o, buf_bytes(&recipe), bytes_str(tests_name), buf_bytes(&tests));
    }
    buf_fini(&recipe);
    buf_fini(&tests);
    return status;
}
