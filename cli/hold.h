/* hold.h -- runs a command while something is held that a recipe grants: a lock, an office.
 *
 * The grant has a path and a token, is bound to a session, and is taken and given back by
 * two functions of the recipe. The command runs in a process group of its own, under a
 * guardian (guardian.h); it finds path, token and servers in its environment. */
#ifndef CLI_HOLD_H
#define CLI_HOLD_H

#include "cli/options.h"

struct hold_kind {
    const char *take; /* waits for the grant and answers {path, token}; nil: refused */
    /* Its arguments. With --wait 0 they say that it shall not wait. */
    void (*pack_take)(struct buf *params, const struct options *o);
    const char *give_back; /* takes {path, token} */
    const char *name;      /* for messages: "the lock" */
    const char *variable_path, *variable_token;
};

/* Takes it, runs o->rest, gives it back. Returns the exit status: the command's, 128 + a
 * signal's number, or one of ours, told already. */
int hold_run(const struct options *o, const struct hold_kind *kind);

#endif
