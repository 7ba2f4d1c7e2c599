/* input.h -- data that a command is given: on the line, in a file, on standard input. */
#ifndef CLI_INPUT_H
#define CLI_INPUT_H

#include "cli/options.h"

/* Appends all of a file, or of standard input for "-"; at most REQUEST_BYTES_MAX. Returns
 * 0, or the exit status of a mistake that was told. `data` has memory afterwards, also when
 * nothing was read: empty is not null. */
int input_read(const struct options *o, const char *name, struct buf *data);

#endif
