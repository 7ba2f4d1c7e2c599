/* greet.h -- what a server says of itself: the answers to hello and status. */
#ifndef CORE_SERVER_GREET_H
#define CORE_SERVER_GREET_H

#include "core/server/service.h"

/* Answers, and marks the connection as greeted when the two sides fit. */
void greet_hello(struct conn *c, uint32_t msgid, const struct rpc_values *values,
                 struct buf *out);
void greet_status(struct service *s, uint32_t msgid, struct buf *out);

#endif
