/* member.h -- what of `tidelock member` other commands need. */
#ifndef CLI_MEMBER_H
#define CLI_MEMBER_H

#include "cli/options.h"

/* Keeps the place `id` for the server that will join with this peer address, as a learner
 * for good if --learner says so; one that has it already keeps it. An exit status; errors
 * are told. */
int member_keep_place(const struct options *o, const char *peer, unsigned id);

#endif
