/* identity.h -- whose a data directory is, and which others it counts on; the file
 * `identity` in it:
 *
 *     tidelock 2
 *     cluster = NAME
 *     id = N
 *     members = 1=host:port,2=host:port
 *     incarnation = 16 hex digits       drawn at the first start
 *     peers = 2=16 hex digits           the incarnations of the others, once met
 *     joined = yes                      or no: see I3
 *
 * It is replaced whole: a crash leaves the one before or the one after.
 *
 * An incarnation names one data directory for good. It guards against memory that was lost:
 * a server that comes back with an empty directory has another one.
 *
 * Invariants: I1 cluster, id, members and incarnation never change. I2 a known incarnation
 * never changes. I3 once joined, for ever joined; only a joined server votes. I4 what this
 * struct says is durable. Why that keeps forgetful servers out of quorums: README.md. */
#ifndef CORE_SERVER_IDENTITY_H
#define CORE_SERVER_IDENTITY_H

#include "core/paxos/types.h"
#include "core/server/config.h"

enum { IDENTITY_FORMAT = 2 };

struct identity {
    const struct config *config; /* borrowed */
    const char *folder;          /* borrowed: the data directory */
    uint64_t incarnation;        /* never 0 */
    uint64_t known[NODES_MAX];   /* by id - 1; 0 = not met */
    bool joined;
};

/* Reads and compares. When the configuration names no members, the ones of the identity are
 * filled into it. 1; 0 when there is no identity; or an error with one line in `why`. */
int identity_open(struct identity *i, const char *folder, struct config *c, char *why);
/* Draws an incarnation and writes the first identity; a server alone is joined at once. */
int identity_found(struct identity *i, const char *folder, const struct config *c,
                   char *why);

/* Notes that `node` has this incarnation. 0 when it is durable; ERR_OTHER_DATA when another
 * one is known; else what the disk said. */
int identity_meet(struct identity *i, uint32_t node, uint64_t incarnation, char *why);
nodes_set identity_unknown(const struct identity *i); /* members that were never met */
/* Of members and their incarnations, the same on each server; 0 while one is unknown. */
uint64_t identity_founding(const struct identity *i);
/* Whoever joins has heard that the founding of every other member is the same: from each of
 * them, or from one that has joined. */
int identity_join(struct identity *i, char *why);

#endif
