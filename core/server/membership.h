/* membership.h -- what a server does about who belongs to its cluster, between identity
 * (what its directory knows), roster (what the replicated state says) and the operator. */
#ifndef CORE_SERVER_MEMBERSHIP_H
#define CORE_SERVER_MEMBERSHIP_H

#include "core/server/identity.h"

/* Those the cluster was founded with, for the replica; number 0 when this server joined
 * later and learns who they are. Where clients find this server only it knows. */
struct roster membership_founders(const struct identity *i, const struct address *client);

/* Whether a server that starts with this applied roster belongs still. */
bool membership_is_mine(const struct identity *i, const struct roster *applied);

/* It does not belong, or not any more: notes it for ever, and says so, once. `node` is who
 * said so, 0 = the replicated state, and `code` what (peers.h). */
void membership_end(struct identity *i, uint32_t node, int code);

#endif
