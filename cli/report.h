/* report.h -- what a command tells: its exit status, its one line of error, its output.
 *
 * Errors are one line on stderr, `tidelock: <command>: <name>: <text> (<detail>)`; the exit
 * statuses are a contract with scripts and stand in the help. */
#ifndef CLI_REPORT_H
#define CLI_REPORT_H

#include <stdbool.h>

#include "core/base/bytes.h"

#define CLI_VERSION "0.1.0"

enum cli_exit {
    CLI_OK = 0,
    CLI_FAILED = 1,
    CLI_USAGE = 2,
    CLI_UNREACHABLE = 3,
    CLI_NOT_FOUND = 4,
    CLI_CONFLICT = 5,
    CLI_NOT_PERMITTED = 6,
    CLI_NO_QUORUM = 7,
};

enum cli_exit report_exit_of(int code);

/* Names the error on stderr and returns its exit status. `detail` may be "" or NULL. */
int report_error(const char *command, int code, const char *detail);

/* `tidelock: <command>: usage: <text>`; returns CLI_USAGE. `command` NULL: none yet. */
int report_usage(const char *command, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* A line `tidelock: <command>: <text>` on stderr. */
void report_note(const char *command, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Appends formatted text. */
void report_printf(struct buf *out, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Writes all of `text` to stdout; a reader that went away or a full disk is an error:
 * returns the exit status. */
int report_write(const char *command, struct bytes text);

#endif
