/* subtree.h -- `tidelock delete --recursive`: in one transaction, or in steps. */
#ifndef CLI_SUBTREE_H
#define CLI_SUBTREE_H

#include "cli/options.h"

int subtree_delete(const struct options *o); /* the exit status */

#endif
