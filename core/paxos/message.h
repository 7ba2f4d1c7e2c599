/* message.h -- what servers say to each other about consensus, and its bytes.
 *
 * One struct for all kinds: fields that a kind does not name are 0.  Decoding checks every
 * range, so paxos_step() may CHECK them: a corrupt or hostile peer costs its connection.
 *
 * Body of a frame (core/replica/frame.h adds length, version and sender); all numbers are
 * LEB128 unless said otherwise:
 *
 *   kind u8 | ballot.round | ballot.node | then, by kind, the fields in the order below
 *
 *   WOULD_YOU        round(nonce) slot(chosen prefix of the asker)
 *   WOULD            round(nonce) slot(chosen prefix of the answerer) yes
 *   PREPARE          slot(first open slot of the candidate) released.round released.node
 *   PROMISE          slot(first open slot asked for) count index; when count > 0 the vote:
 *                    vote.slot vote.ballot proposal          (one vote a message: "paged")
 *   TOO_OLD          slot(chosen prefix of the acceptor: catch up to there first)
 *   ACCEPT           slot chosen proposal
 *   ACCEPTED         slot
 *   NACK             promised.round promised.node
 *   HEARTBEAT        round(read round) chosen yes(an answer is wanted)
 *                    lease(ms for which to promise nobody else; 0 = asks for none)
 *   HEARTBEAT_OK     round(read round) chosen(answerer's prefix)
 *                    disk_us(how long the answerer's log writes take)
 *   LEARN_REQUEST    slot(first slot wanted)
 *   LEARN            slot chosen(sender's prefix) yes(the last of this answer) proposal
 *   TAKE_OVER        slot(chosen prefix of the leader)
 *   proposal         reign.round reign.node reign_first batch(length + 1, bytes; 0 = none)
 *                    members.number(0 = no change, and nothing follows) voters learners */
#ifndef CORE_PAXOS_MESSAGE_H
#define CORE_PAXOS_MESSAGE_H

#include "core/paxos/types.h"

/* clang-format off */
#define PAXOS_MESSAGES(X)                                                                 \
    X(WOULD_YOU,     1)  /* would you promise to me? Disturbs nobody (Paxos phase 0) */   \
    X(WOULD,         2)                                                                   \
    X(PREPARE,       3)  /* phase 1a */                                                   \
    X(PROMISE,       4)  /* phase 1b */                                                   \
    X(TOO_OLD,       5)  /* phase 1b refused: the candidate does not know what is chosen */ \
    X(ACCEPT,        6)  /* phase 2a */                                                   \
    X(ACCEPTED,      7)  /* phase 2b */                                                   \
    X(NACK,          8)  /* 1b or 2b refused: promised to a higher ballot */              \
    X(HEARTBEAT,     9)  /* the leader lives, what it knows as chosen, a read round */    \
    X(HEARTBEAT_OK, 10)                                                                   \
    X(LEARN_REQUEST,11)  /* send me chosen slots from here on */                          \
    X(LEARN,        12)  /* one chosen slot */                                            \
    X(TAKE_OVER,    13)  /* the leader hands over: prepare at once, without asking */
/* clang-format on */

enum paxos_message_kind {
#define X(name, number) PAXOS_##name = number,
    PAXOS_MESSAGES(X)
#undef X
        PAXOS_MESSAGE_KINDS_END = 14
};

struct paxos_message {
    enum paxos_message_kind kind;
    uint32_t from; /* set by the receiver's connection, not by the bytes */
    struct ballot ballot;
    uint64_t slot;
    uint64_t chosen;
    uint64_t round;
    struct ballot promised; /* NACK; PREPARE: whose leader told the sender to TAKE_OVER */
    uint32_t lease;         /* HEARTBEAT */
    uint32_t disk_us;       /* HEARTBEAT_OK */
    bool yes;               /* WOULD; HEARTBEAT: answer me; LEARN: last of this answer */
    uint32_t count, index;  /* PROMISE: votes in all, and which this is */
    struct vote vote;       /* PROMISE: the vote; ACCEPT, LEARN: vote.proposal */
};

const char *paxos_message_name(enum paxos_message_kind kind);

/* Appends the bytes of `m`. */
void paxos_message_encode(struct buf *out, const struct paxos_message *m);

/* Fills `m` from one whole body.  On success the caller owns the reference in
 * m->vote.proposal.batch (if any) and gives it back with blob_unref().
 * Returns 0, or ERR_BAD_MESSAGE with nothing to release. */
int paxos_message_decode(struct bytes body, struct paxos_message *m);

#endif
