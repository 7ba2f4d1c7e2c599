/* internal.h -- the parts of one replica, for its own files only.
 *
 *     replica.c   inputs, the turn, Paxos's outputs, applying, roles
 *     writes.c    requests that go through the log: kept, sent, forwarded, answered
 *     reads.c     strong reads: shared rounds, renewals, release
 *     digests.c   who is wrong when states differ
 *     full.c      disks without room
 *     membership.c  who belongs, and changes of that
 *     install.c   snapshots: given to a peer, or taken up in place of the own state
 *     recall.c    what was applied before this start, for watches that come back
 *
 * A replica is a SERVING LEADER when it leads and has applied the first slot of its reign,
 * and has a SERVING LEADER when the last slot it applied is valid and of the reign of the
 * leader it follows. Only then are requests sent there (see README.md for why). */
#ifndef CORE_REPLICA_INTERNAL_H
#define CORE_REPLICA_INTERNAL_H

#include "core/base/list.h"
#include "core/replica/fair.h"
#include "core/replica/frame.h"
#include "core/replica/replica.h"

enum {
    /* Nothing is refused while a normal election may still be going on. */
    HOPELESS_MS = 2 * ELECTION_MAX_MS,
    /* After so long without a sign of receipt a forward or an ask is sent again. */
    RESEND_MS = 100,
    FORWARD_BYTES_AIM = 256 << 10, /* one frame of forwarded requests, one at least */
    FORWARDS_MAX = LIMIT(1024, 16), /* requests on their way that the leader has not taken */
    RESOLVE_MAX = LIMIT(8192, 64), /* requests resolved in one turn: some 25 ms */
    READ_GROUPS_MAX = 256,
    ASKS_MAX = 64 * NODES_MAX,
};

/* --- writes --- */

struct pending {
    struct list link;    /* in writes.all */
    struct list by_sent; /* in writes.sent */
    struct fair_item turn; /* in writes.queue, until it is sent */
    uint64_t tag;        /* the driver's */
    uint64_t flow;
    uint64_t wire_tag;   /* what the batch bears */
    uint64_t number;     /* in the channel of writes.reign; 0 = not sent there yet */
    bool exposed;        /* was sent in some reign: it may be in a batch */
    size_t len;
    uint8_t request[];
};

/* What a leader takes from one origin, in order and once. */
struct channel {
    uint64_t id;   /* of the origin's numbering: it rises with every start, and when the
                      origin forgets what it had numbered */
    uint64_t next; /* the number expected next */
    uint64_t told; /* the one that the origin knows of */
    uint64_t count, bytes; /* taken, and waiting in the queue */
    bool starved; /* something found no room: what comes behind it is no news */
};

struct inbound { /* a forwarded request that waits for room in the open batch */
    struct fair_item turn; /* in writes.queue */
    uint32_t origin;
    uint64_t tag;
    size_t len;
    uint8_t request[];
};

struct writes {
    struct list all;        /* of struct pending, as submitted */
    struct list sent;       /* those sent in this reign, by their numbers */
    struct list *unsent;    /* in `sent`: the first to be sent (again); &sent = none */
    /* Of pending ones that were not sent in this reign; and, at a leader, of inbound ones. */
    struct fair queue;
    bool probing;           /* the leader is silent: one frame, until it says how far it is */
    uint32_t resolved;      /* in this turn */
    struct ballot reign;    /* the reign that `number`s count in */
    uint64_t number_next;
    uint64_t channel;       /* the id of this numbering */
    uint64_t sent_ms;       /* when something was last sent or acknowledged */
    uint64_t acked;         /* the leader has every number below it */
    struct pending **slots; /* by the low bits of the wire tag */
    uint32_t *slots_free;
    uint32_t slots_free_count;
    uint64_t generation;
    uint64_t count, bytes;
    /* The leader's side. */
    struct channel channels[NODES_MAX];
};

/* --- reads --- */

struct read {
    uint64_t tag, session;
};

struct read_group { /* reads that share one confirmation */
    struct list link;
    uint64_t id;          /* a new one in each reign, so that a late answer fits nothing */
    struct ballot asked;  /* the ballot of the leader that was asked; 0 = nobody yet */
    uint64_t asked_ms;
    uint64_t begun_ms;    /* when it was first asked for under this id */
    uint64_t round;       /* own round, when this replica leads */
    bool confirmed;
    uint64_t index;       /* when confirmed: release once this slot is applied */
    uint32_t count, cap;
    struct read *reads;
};

struct ask { /* another replica's group, at the leader */
    uint32_t from;
    uint64_t boot, id, round, index;
    bool begun;
};

struct reads {
    struct list groups;       /* of struct read_group, in the order they were closed */
    struct read_group *open;  /* gathers the reads of this turn; never NULL */
    struct list spare;
    uint32_t groups_count;
    uint64_t id_next, count;
    uint64_t leased; /* how often a lease took a round's place */
    struct ask *asks;
    uint32_t asks_count;
    uint64_t fresh_ms;        /* see replica_fresh_ms() */
    bool renewal_over;        /* one of the sessions to be renewed is over or ending */
};

/* --- digests --- */

struct digests { /* the case at hand; slot 0 = there is none */
    uint64_t slot;
    nodes_set agree, differ; /* with this replica, after that slot */
    bool doubts;             /* it differs from the leader that made the batch */
    uint64_t since_ms, asked_ms;
};

/* --- full disks --- */

struct full {
    bool self;
    uint64_t until_ms[NODES_MAX]; /* by id - 1: full as far as known, until then */
    uint64_t since_ms, said_ms, moved_ms;
};

/* --- membership --- */

struct membership {
    struct roster roster; /* in force behind what is applied here, or the founders */
    bool stated;          /* it is the state's, and not only configured */
    bool removed;
    /* The leader's side. */
    bool changing;        /* a change was proposed: nothing more in this reign */
    uint64_t reign_ms;    /* since when it leads */
    struct replica_peer seat; /* who is to vote next; 0 = nobody */
    uint64_t caught_up_ms[NODES_MAX]; /* by id - 1: since when a joining one keeps up */
};

/* --- the whole --- */

struct replica {
    struct replica_config config;
    struct replica_io io;
    uint32_t self;
    struct paxos *paxos;
    struct paxos_output out; /* of the last step */
    struct machine machine;
    struct resolver *resolver;
    struct queries queries;
    struct ballot reign;     /* started for this one; 0 = the resolver is stopped */
    struct replica_time time;
    uint64_t ticked_ms;
    uint64_t leaderless_ms;  /* since when no leader is known; 0 = one is */
    bool stopped;            /* io.stop was called: nothing happens any more */
    struct buf frame, batch; /* work space */
    struct writes writes;
    struct reads reads;
    struct snapshots snapshots;
    struct digests digests;
    struct full full;
    struct membership membership;
};

/* replica.c: one Paxos step and all that follows from its output. */
void replica_step(struct replica *r, const struct paxos_input *in);
void replica_send(struct replica *r, nodes_set to, uint64_t after);  /* r->frame */
/* The leader that requests may go to now, 0 = none. */
uint32_t replica_serving(const struct replica *r);
bool replica_hopeless(const struct replica *r);

/* The open batch, which changes the members to these if their number is not 0. */
bool replica_propose(struct replica *r, const struct members *members);
void replica_stop(struct replica *r, uint64_t slot, const char *why);
int replica_load(struct replica *r); /* machine and resolver, from what is applied */
void replica_unload(struct replica *r);

/* install.c */
void install_init(struct replica *r);
void install_offer(struct replica *r, uint32_t to, uint64_t slot_first);
void install_frame_came(struct replica *r, uint32_t from, const struct frame *f);
void install_turn(struct replica *r);

void membership_init(struct replica *r);
void membership_tell_paxos(struct replica *r); /* once it is initialized */
int membership_load(struct replica *r);      /* from what is applied */
void membership_follow(struct replica *r);   /* the same; tells who it concerns */
void membership_applied(struct replica *r, const struct proposal *p, bool counted);
bool membership_is_stranger(const struct replica *r, struct replica_peer peer);
void membership_reign_begun(struct replica *r);
void membership_reign_ended(struct replica *r);
bool membership_is_next(const struct replica *r); /* nothing else may be resolved */
bool membership_turn(struct replica *r);          /* leader: true when one was resolved */
void membership_tick(struct replica *r);          /* leader */
void membership_check(const struct replica *r);

bool full_refuses(const struct replica *r); /* new writes: none could be taken */
bool full_drops(const struct replica *r, const struct frame *f); /* this one needs room */
void full_frame_came(struct replica *r, uint32_t from, const struct frame *f);
void full_tick(struct replica *r);

void digests_applied(struct replica *r, const struct proposal *p);
void digests_frame_came(struct replica *r, uint32_t from, const struct frame *f);
void digests_tick(struct replica *r);
/* The machine stands where it was loaded; the log knows as chosen what is up to `chosen`. */
void replica_recall(struct replica *r, uint64_t chosen);

void writes_init(struct writes *w, uint64_t boot);
void writes_fini(struct replica *r);
void writes_turn(struct replica *r);         /* resolve or forward what is at hand */
void writes_turn_begin(struct replica *r);
bool writes_resolve(struct replica *r);      /* leader: true when some were resolved */
bool writes_again(const struct replica *r);  /* some are left that might be resolved */
bool writes_member_next(const struct replica *r, struct resolver_request *q);
void writes_member_taken(struct replica *r); /* that one is resolved */
void writes_refuse(struct replica *r);       /* hopeless: answer those that never left */
void writes_abandon(struct replica *r);      /* answer all, whatever became of them */
void writes_applied(struct replica *r, const struct txn *t, struct bytes result);
void writes_forward_came(struct replica *r, uint32_t from, const struct frame *f);
void writes_next_came(struct replica *r, uint32_t from, const struct frame *f);
void writes_peer_up(struct replica *r);      /* of the serving leader */
void writes_leader_lost(struct replica *r);
void writes_check(const struct replica *r);

void reads_init(struct reads *s);
void reads_fini(struct reads *s);
void reads_turn(struct replica *r);
void reads_refuse(struct replica *r);
void reads_abandon(struct replica *r);
void reads_confirmed(struct replica *r, uint64_t round);
void reads_release(struct replica *r);       /* those whose slot is applied */
void reads_ask_came(struct replica *r, uint32_t from, const struct frame *f);
void reads_ok_came(struct replica *r, const struct frame *f);
void reads_peer_up(struct replica *r);       /* of the serving leader */
void reads_leader_lost(struct replica *r);

#endif
