/* identity.h -- whose a data directory is, and which others it counts on; the file
 * `identity` in it:
 *
 *     tidelock 3
 *     cluster = NAME
 *     id = N
 *     members = 1=host:port,2=host:port
 *     number = 1                        of the configuration that `members` is: 1 = it was
 *                                       founded with it; else the one it joined
 *     incarnation = 16 hex digits       drawn at the first start
 *     peers = 2=16 hex digits           the incarnations of the others, once met
 *     joined = yes                      or no: see I3; new: yes, and there is no log yet;
 *                                       removed: see I5; recovering: recover.h has begun
 *     founding = 16 hex digits          which cluster this is; zeros until joined
 *
 * It is replaced whole: a crash leaves the one before or the one after. Once joined it does
 * not follow later changes of the members: those stand in the replicated state.
 *
 * An incarnation names one data directory for good. It guards against memory that was lost:
 * a server that comes back with an empty directory has another one.
 *
 * Invariants: I1 cluster, id, members and incarnation never change. I2 a known incarnation
 * never changes. I3 once joined, for ever joined; only a joined server votes. I4 what this
 * struct says is durable. I5 once removed, this directory takes part never again. Why that
 * keeps forgetful servers out of quorums: README.md. */
#ifndef CORE_SERVER_IDENTITY_H
#define CORE_SERVER_IDENTITY_H

#include "core/machine/roster.h"
#include "core/paxos/types.h"
#include "core/server/config.h"

enum { IDENTITY_FORMAT = 3, IDENTITY_NUMBER_FOUNDED = 1 };

struct identity {
    const struct config *config; /* borrowed */
    const char *folder;          /* borrowed: the data directory */
    uint32_t number;             /* of the configuration in `config` */
    uint64_t incarnation;        /* never 0 */
    uint64_t known[NODES_MAX];   /* by id - 1; 0 = not met */
    uint64_t founding;           /* 0 until joined */
    bool joined, removed, recovering;
    bool is_new; /* joined, and has promised nothing yet: no log is missed */
};

/* What a cluster answers to a server that asks to join; the id, the cluster's name and the
 * members' addresses are in its config then. */
struct identity_place {
    uint32_t number;
    uint64_t incarnation, founding;
    uint64_t known[NODES_MAX];
};

/* Reads and compares. What the configuration does not say is filled into it: the members,
 * and for who joined a cluster its name and the id. 1; 0 when there is no identity; or an
 * error with one line in `why`. */
int identity_open(struct identity *i, const char *folder, struct config *c, char *why);
/* Draws an incarnation and writes the first identity; a server alone is joined at once. */
int identity_found(struct identity *i, const char *folder, const struct config *c,
                   char *why);
uint64_t identity_draw(void); /* an incarnation */
/* Writes the identity of who was taken in by a cluster: joined. */
int identity_admit(struct identity *i, const char *folder, const struct config *c,
                   const struct identity_place *place, char *why);

/* Notes that `node` has this incarnation. 0 when it is durable; ERR_OTHER_DATA when another
 * one is known; else what the disk said. */
int identity_meet(struct identity *i, uint32_t node, uint64_t incarnation, char *why);
nodes_set identity_unknown(const struct identity *i); /* members that were never met */
/* Before joining: of the cluster's name, members and their incarnations, the same on each
 * server; 0 while one is unknown. */
uint64_t identity_founding(const struct identity *i);
/* Whoever joins has heard that the founding of every other member is the same: from each of
 * them, or from one that has joined. */
int identity_join(struct identity *i, char *why);
/* There is a log now, which must never be lost from now on. */
int identity_settle(struct identity *i, char *why);
/* For recover.h: until the second, this directory is not started. The members are those of
 * the config then, of another cluster, whose founding is drawn. */
int identity_recovering(struct identity *i, char *why);
int identity_refound(struct identity *i, uint32_t number, char *why);
/* The cluster goes on without this directory. */
int identity_remove(struct identity *i, char *why);

/* The members that this identity names, with incarnations and without client addresses. Of
 * who did not found the cluster the kinds are not known: all are learners. */
void identity_roster(const struct identity *i, struct roster *out);

#endif
