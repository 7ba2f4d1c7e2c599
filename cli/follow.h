/* follow.h -- for commands that follow something until they are interrupted: a function of
 * a recipe called again and again, each time with the number that the last answer bore.
 *
 * Such functions take {path, after} and wait until there is something newer than `after`.
 * A call that waits needs a session. When that has expired, while a command of --exec ran
 * or no server was there, another one is opened; nothing is missed: `after` says it all. */
#ifndef CLI_FOLLOW_H
#define CLI_FOLLOW_H

#include "cli/remote.h"

struct follow {
    const struct options *o;
    struct remote remote; /* of an error: its message */
    bool open;
};

/* Asks `function` about o->words[0], for as long as it takes. `after` NULL: left out. `fn`
 * gets the function's value. 0 or a code. */
int follow_ask(struct follow *f, const char *function, const uint64_t *after,
               remote_result_fn fn, void *ctx);
void follow_end(struct follow *f);

#endif
