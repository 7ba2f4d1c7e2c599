/* shipped.h -- the recipes that are compiled into the servers: this program does not hold
 * them, and asks. */
#ifndef CLI_SHIPPED_H
#define CLI_SHIPPED_H

#include "cli/remote.h"

#define RECIPES_DIRECTORY "/tidelock/recipes"

/* Appends each name as buf_put_bytes(). 0 or a code with remote->message. */
int shipped_ask(const struct options *o, struct remote *remote, struct buf *names);
bool shipped_has(struct bytes names, struct bytes name);

#endif
