/* roster.h -- who belongs to the cluster: the configuration with all that Paxos need not
 * know of it, as it stands in the replicated state.
 *
 * Paxos decides by sets of ids (core/paxos/members.h). The roster says which server each id
 * is: its INCARNATION, which names one data directory for good, and its addresses. One
 * OP_MEMBERS puts a whole roster. It is alone in its batch, whose proposal carries the same
 * number and the same sets. Only the first one, of the configuration that the cluster was
 * founded with, stands in an ordinary batch: Paxos knows it from the start.
 *
 * Cell 'm' "members": version u8 (1) | number | count | a member: id | kind u8 |
 * incarnation u64 | peer bytes | client bytes. By id. Pure.
 *
 * Invariants: O1 ids, peer addresses and incarnations are distinct, at least one member
 * votes, and who votes has an incarnation. O2 the number rises by one with each change.
 * O3 a change makes or unmakes one voter at most. */
#ifndef CORE_MACHINE_ROSTER_H
#define CORE_MACHINE_ROSTER_H

#include "core/base/bytes.h"
#include "core/paxos/types.h"
#include "core/tree/tx.h"

enum { MEMBER_ADDRESS_MAX = 263 }; /* "[host]:port" */

enum member_kind {
    MEMBER_VOTER = 1,
    MEMBER_JOINING, /* learns, and is made a voter when it has caught up */
    MEMBER_LEARNER, /* learns for good */
};

struct member {
    uint32_t id;
    enum member_kind kind;
    uint64_t incarnation; /* 0: the place is kept for a server that has not joined yet */
    char peer[MEMBER_ADDRESS_MAX + 1], client[MEMBER_ADDRESS_MAX + 1]; /* or empty */
};

struct roster {
    uint32_t number; /* 0: none is known */
    uint32_t count;
    struct member at[NODES_MAX]; /* by id */
};

/* What may be asked. All may be asked again: what is so already is answered as it is. */
enum member_action {
    MEMBER_ADD = 1, /* keeps a place, for a `kind`, at `peer`; id 0 = the least free one */
    MEMBER_JOIN,    /* by the server itself, which has no memory: its kept place, or a new one;
                       if another incarnation had that address, its place, as a learner */
    MEMBER_PROMOTE, /* `id` is to vote once it has caught up */
    MEMBER_SEAT,    /* it has: now it votes. Only the leader says so */
    MEMBER_DEMOTE,  /* `id` learns for good */
    MEMBER_REMOVE,
};

struct member_ask {
    enum member_action action;
    uint32_t id;           /* JOIN: 0 */
    enum member_kind kind; /* ADD, JOIN: JOINING or LEARNER */
    uint64_t incarnation;  /* JOIN: never 0. Else 0, or the one that is meant: no other */
    struct bytes peer, client; /* ADD, JOIN: client may be empty */
};

void roster_encode(struct buf *out, const struct roster *m); /* appends */
int roster_decode(struct bytes bytes, struct roster *m);     /* ERR_BAD_MESSAGE, ... */
bool roster_is_sound(const struct roster *m);                /* O1 */

/* The cell's; number 0 when there is none. ERR_DAMAGED. */
int roster_read(struct kv_view *v, struct roster *m);
/* The cell, of whom an op puts; the same for the leader's pending state and for apply. */
void roster_apply(struct kv_overlay *o, uint64_t zxid, struct bytes roster);
void roster_put(struct tx *t, const struct roster *m);
/* Whether this cell's key is the roster's, for who moves cells without a machine. */
struct bytes roster_key(void);

struct members roster_sets(const struct roster *m);
const struct member *roster_find(const struct roster *m, uint32_t id); /* NULL: none */
/* Whether the server with this id and incarnation is a member. */
bool roster_knows(const struct roster *m, uint32_t id, uint64_t incarnation);

/* Does what is asked to `m`. 0: see whether m->number rose; `id` is whom it was about. Else a
 * code, and `m` is as it was: ERR_BAD_PARAMS, ERR_NO_MEMBER, ERR_MEMBER_EXISTS,
 * ERR_MEMBERS_FULL, ERR_LAST_VOTER. */
int roster_change(struct roster *m, const struct member_ask *ask, uint32_t *id);

const char *member_kind_name(enum member_kind kind); /* "voter", "joining", "learner" */

#endif
