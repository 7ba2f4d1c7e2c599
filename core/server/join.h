/* join.h -- how a server without memory asks a cluster that is there to take it in.
 *
 * It speaks the clients' protocol, as a client does, and blocks: the server has not begun
 * yet. It asks one server after the other, under one incarnation, so that being asked twice
 * does no harm, until one has answered. */
#ifndef CORE_SERVER_JOIN_H
#define CORE_SERVER_JOIN_H

#include "core/server/identity.h"

/* Asks the servers of c->join for a place for c->peer and place->incarnation. Fills in
 * c->id, c->cluster, c->members and `place`. 0, or a code with one line in `why`: what the
 * cluster refused with, or ERR_UNREACHABLE after a minute. */
int join_ask(struct config *c, struct identity_place *place, char *why);

#endif
