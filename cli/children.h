/* children.h -- all names of a node's children, however many pages they take. */
#ifndef CLI_CHILDREN_H
#define CLI_CHILDREN_H

#include "cli/remote.h"

/* Appends each name as buf_put_bytes(). 0 or a code with remote->message; ERR_NO_NODE. */
int children_ask(const struct options *o, struct remote *remote, struct bytes path,
                 struct buf *names);

#endif
