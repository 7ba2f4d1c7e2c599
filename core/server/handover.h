/* handover.h -- a client's wish that this server hand over its leadership, until it is
 * answered: when another server leads, or when that came to nothing.
 *
 * One wish at a time; whoever comes second is told that it is busy. A wish whose client has
 * gone goes on and is answered to nobody. */
#ifndef CORE_SERVER_HANDOVER_H
#define CORE_SERVER_HANDOVER_H

#include "core/rpc/rpc.h"

struct conn;
struct service;

struct handover {
    struct conn *conn; /* who asked; NULL: nobody */
    uint32_t msgid;
    uint64_t until_ms;
};

/* The method "transfer": begins, or answers at once why not. */
void handover_come(struct conn *c, uint32_t msgid, const struct rpc_values *values);
void handover_turn(struct service *s); /* answers when it is over */
void handover_forget(struct conn *c);

#endif
