/* paxos.h -- one server's whole part in Multi-Paxos: proposer, acceptor, learner, election.
 *
 * Pure: one input goes in, outputs come out as data; no I/O, no clock, no randomness of
 * its own, and no allocation after init, so that no step can fail half way.  Batches are
 * blobs that it holds by reference and never looks into.  Follows Lamport, "Paxos Made
 * Simple" (sections 2.2, 2.3, 3): phase 1 once per reign over the whole open suffix, then
 * one accept round a slot, many slots in flight, applied in order.
 *
 * THE DRIVER'S DUTY (core/replica in both the server and the simulator)
 *   - Do the writes of every output in order.  Writes are numbered by `seq` from 1 on;
 *     tell PAXOS_IN_DURABLE when all up to one are on disk.
 *   - Let a message leave only when the write `after` is durable (0 = at once).
 *   - Hand in PAXOS_IN_TICK at least every TICK_MS (paxos needs no finer clock).
 *   - With leases, read the clock anew for each message, after it came, and for each look
 *     at paxos_lease_until_ms(): a time older than the event makes grants too short.
 *   - Take the chosen proposals of every output, in order, before the next step.
 *   - After a restart: paxos_init() with what the log kept, paxos_restore() per vote above
 *     the chosen prefix, and only then steps.
 *
 * INVARIANTS (cited by CHECKs, tests and README.md)
 *   P1  `promised` never goes down, also not over a restart.
 *   P2  No vote has a ballot above `promised`; a vote is replaced only by a higher ballot,
 *       and at one ballot one slot has one proposal.
 *   P3  A PREPARE leaves only after the candidate's own promise is on disk.
 *   P4  Own votes count only when they are on disk; a promise or an ACCEPTED leaves only
 *       when its write is on disk, also when the write was an earlier one.
 *   P5  A recovering leader proposes in each slot the proposal of the highest ballot that a
 *       quorum reported, else a no-op, and nothing of its own until all those are chosen.
 *   P6  `chosen` only grows and is contiguous: every slot up to it is known and in the log.
 *   P7  An acceptor refuses a PREPARE for slots that it knows as chosen and has given up.
 *   P8  Only a leader counts: others move `chosen` on the word of a leader's ballot for
 *       their own vote at that very ballot, or on a LEARN.
 *   P9  A read round is confirmed only by answers, from a quorum, that left after it began.
 *   P10 A leader that hands over proposes nothing.  Nobody prepares unasked but who knows
 *       all that the leader it follows had chosen, and on that leader's word.
 *   P11 A ballot acts under one configuration.  Who proposes a change of it, also an
 *       earlier leader's, proposes nothing behind that, and when it is chosen prepares
 *       anew, asking those who belong now.
 *   P12 Quorums are counted over the voters of the configuration in force behind the
 *       chosen prefix.  Who does not vote in it neither asks nor prepares; who does not
 *       belong to it only learns, and is heard only as one who may know more.
 *
 * STATES
 *   FOLLOWER   -> ASKING     nothing heard of a leader in time, or its connection closed
 *   FOLLOWER   -> PREPARING  the leader said TAKE_OVER              [hand-over]
 *   ASKING     -> FOLLOWER   a leader spoke, or too few said yes in time
 *   ASKING     -> PREPARING  a quorum said yes                      [election]
 *   PREPARING  -> FOLLOWER   a higher ballot, a TOO_OLD, or time    [step down]
 *   PREPARING  -> RECOVERING a quorum promised                      [proposer]
 *   RECOVERING -> LEADING    all recovered slots are chosen
 *   RECOVERING, LEADING -> FOLLOWER  a higher ballot, or no quorum heard for ELECTION_MAX_MS
 *   RECOVERING, LEADING -> PREPARING a change of the configuration is chosen      [P11]
 *   (all)      -> FOLLOWER   votes no longer
 *
 * A leader whose log writes are much slower than another voter's hands over by itself, see
 * disk.h.  A HAND-OVER is no state of its own: the leader leads on, for reads too, until
 * the higher ballot of its successor comes; if none came within ELECTION_MAX_MS it proposes
 * again. */
#ifndef CORE_PAXOS_PAXOS_H
#define CORE_PAXOS_PAXOS_H

#include "core/base/rng.h"
#include "core/paxos/message.h"
#include "core/paxos/run.h"
#include "core/paxos/types.h"

enum { TICK_MS = 10 };

enum paxos_role {
    PAXOS_FOLLOWER = 1,
    PAXOS_ASKING,
    PAXOS_PREPARING,
    PAXOS_RECOVERING,
    PAXOS_LEADING,
};

struct paxos_config {
    uint32_t self;
    uint32_t heartbeat_ms;
    uint32_t election_min_ms, election_max_ms;
    uint32_t lease_ms; /* reads without a round for so long, see lease.h; 0 = never */
    uint64_t seed; /* of the election timeouts' jitter; different on each server */
};

enum paxos_input_kind {
    PAXOS_IN_TICK = 1,
    PAXOS_IN_MESSAGE,   /* message */
    PAXOS_IN_DURABLE,   /* seq: every write up to it is on disk */
    PAXOS_IN_PROPOSE,   /* batch, urgent: the leader's next batch; see paxos_can_propose().
                           members: it changes the configuration, see paxos_can_change() */
    PAXOS_IN_READ,      /* start a read round now; the output says which (`round`) */
    PAXOS_IN_PEER_DOWN, /* node: its connection closed */
    PAXOS_IN_INSTALLED, /* run, members: this server's state came from a peer, stands at
                           run->slot, which is above the chosen prefix, and is on disk */
    PAXOS_IN_TRANSFER,  /* node: hand over to it, 0 = to whom is ready first; ignored by who
                           does not lead or hands over, and for who is no other voter */
};

struct paxos_input {
    enum paxos_input_kind kind;
    uint64_t now_ms;                     /* monotonic */
    const struct paxos_message *message; /* borrowed; proposals stored are referenced */
    uint64_t seq;
    uint64_t slot;
    uint32_t node;
    struct blob *batch; /* borrowed */
    struct members members; /* PROPOSE: follows the present ones, with self as a voter;
                               number 0 = changes nothing.  INSTALLED: behind run->slot */
    const struct run *run;  /* INSTALLED; borrowed */
    bool strange; /* MESSAGE: not of the server that the configuration means by its id (its
                     predecessor there may have had another memory): only learned from */
    nodes_set urgent;   /* PROPOSE: nodes to tell at once when this is chosen, since a
                           client waits there; the others hear with the next message */
};

/* Records for the log, in the order of seq. `chosen` rides on each: at that point of the
 * log every slot up to it stands in the log with its chosen proposal. */
enum paxos_write_kind {
    PAXOS_WRITE_PROMISE = 1, /* promised */
    PAXOS_WRITE_VOTE,        /* vote (and promised, which is >= vote.ballot) */
    PAXOS_WRITE_CHOSEN,      /* vote.slot, vote.proposal: learned, replaces any vote there */
    PAXOS_WRITE_INSTALLED,   /* what `chosen` covers is known from a peer's state; those
                                slots need not stand in the log */
};

struct paxos_write {
    enum paxos_write_kind kind;
    uint64_t seq;
    struct ballot promised;
    uint64_t chosen;
    struct vote vote; /* the output holds no reference of its own: see `paxos_output` */
};

struct paxos_send {
    nodes_set to; /* one encoding for all of them; never contains self */
    uint64_t after;
    struct paxos_message message;
};

enum {
    PAXOS_WRITES_MAX = WINDOW_MAX + 3,
    /* Becoming leader re-proposes a whole window; a promise reports one. */
    PAXOS_SENDS_MAX = 2 * WINDOW_MAX + 3 * NODES_MAX + 8,
};

/* Filled by each step; valid, with every blob it names, until the next step. */
struct paxos_output {
    uint32_t writes_count, sends_count, chosen_count;
    struct paxos_write writes[PAXOS_WRITES_MAX];
    struct paxos_send sends[PAXOS_SENDS_MAX];
    /* Newly chosen, in slot order, contiguous: chosen[i].slot = chosen_first + i. */
    struct { uint64_t slot; struct proposal proposal; } chosen[WINDOW_MAX];
    uint64_t round;           /* IN_READ: the round that answers it; 0 = not leading */
    uint64_t round_confirmed; /* every read round up to it is confirmed; 0 = none new */
    struct {                  /* LEARN_REQUEST came: send `to` LEARNs from slot_first on,
                                 the last of them with `yes` */
        uint32_t to;          /* 0 = none */
        uint64_t slot_first;
    } serve;
    bool role_changed; /* see paxos_role(), paxos_leader(), paxos_ballot() */
    bool members_changed; /* see paxos_members() */
};

struct paxos; /* opaque here only to keep the header short; one allocation, at init */

struct paxos *paxos_new(const struct paxos_config *config);
void paxos_free(struct paxos *p);

/* `promised` as the log kept it; `run` and `members` behind the chosen prefix, run->slot,
 * as the log (and the state at rest, whichever is higher) kept them: the configuration that
 * the cluster was founded with, changed by each slot up to there (members_take()), or
 * number 0 for who joins and knows nothing.  `now_ms` starts the clocks.  Then one
 * paxos_restore() per vote above run->slot, in any order; a vote outside the window is our
 * bug: recovery has refused it. */
void paxos_init(struct paxos *p, struct ballot promised, const struct run *run,
                const struct members *members, uint64_t now_ms);
void paxos_restore(struct paxos *p, const struct vote *v);

/* From the next step on: the configuration in force means another server by this one's id,
 * which had it before and may have voted.  So this one does not belong (P12), although its
 * id does, until a later configuration means it.  As paxos_init() leaves it, it is none. */
void paxos_alien(struct paxos *p, bool alien);

/* From the next step on: this server was removed by a slot that it knows as chosen.  It
 * takes no part any more, learns nothing more, and stays, driven as before, only until the
 * others can go on without it (leave.h): while paxos_leaving().  paxos_let_go(): `node` goes
 * by a configuration without this server, as is known otherwise than by a message. */
void paxos_leave(struct paxos *p);
bool paxos_leaving(const struct paxos *p);
void paxos_let_go(struct paxos *p, uint32_t node);

void paxos_step(struct paxos *p, const struct paxos_input *in, struct paxos_output *out);

/* What the driver may ask between steps. */
enum paxos_role paxos_role(const struct paxos *p);
const char *paxos_role_name(enum paxos_role role);
uint32_t paxos_leader(const struct paxos *p);       /* 0 = not known */
struct ballot paxos_ballot(const struct paxos *p);  /* of the leader followed, or own */
struct ballot paxos_promised(const struct paxos *p);
uint64_t paxos_chosen(const struct paxos *p);       /* the chosen prefix */
uint64_t paxos_slot_next(const struct paxos *p);    /* LEADING: where a batch would go */
bool paxos_can_propose(const struct paxos *p);      /* LEADING, the window has room, and no
                                                       hand-over goes on */
bool paxos_transferring(const struct paxos *p);     /* LEADING, and handing over */
nodes_set paxos_quorum_heard(const struct paxos *p); /* LEADING: voters that answered
                                                        lately, itself included */
uint64_t paxos_lease_until_ms(const struct paxos *p); /* LEADING: a read that came before
                              needs no round; 0 = no lease.  See the driver's duty */
nodes_set paxos_heard(const struct paxos *p); /* the same of all members, who only learn
                                                 included */
uint64_t paxos_round_next(const struct paxos *p); /* the number of the next read round.  With
                              leases heartbeats begin some on their own */
uint32_t paxos_disk_us(const struct paxos *p); /* how long own log writes take, smoothed */
const struct members *paxos_members(const struct paxos *p); /* in force behind the prefix */
bool paxos_can_change(const struct paxos *p); /* LEADING, nothing open, no hand-over: a
                                                 change of the members may be proposed */
uint64_t paxos_peer_chosen(const struct paxos *p, uint32_t node); /* LEADING: the chosen
                              prefix that `node` last told in this reign; 0 = none yet */

/* P1, P2, P6 and the counts, as far as one state can show them; runs after every step. */
void paxos_check(const struct paxos *p);

#endif
