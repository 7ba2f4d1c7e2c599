/* greet.h -- what a server says of itself and of its cluster: the answers to hello and
 * status, and the notification of members, to those that asked for it in hello. */
#ifndef CORE_SERVER_GREET_H
#define CORE_SERVER_GREET_H

#include "core/server/service.h"

/* Answers, and marks the connection as greeted when the two sides fit. */
void greet_hello(struct conn *c, uint32_t msgid, const struct rpc_values *values,
                 struct buf *out);
void greet_status(struct service *s, uint32_t msgid, struct buf *out);
void greet_recipe_stats(struct service *s, uint32_t msgid, struct buf *out);
/* Tells the connections that want it when the members' list has changed since. */
void greet_turn(struct service *s);

#endif
