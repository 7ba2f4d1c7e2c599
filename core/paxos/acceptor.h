/* acceptor.h -- the memory of Paxos: what this server promised, what it voted for, and
 * which prefix of the slots it knows as chosen.
 *
 * The one part whose state must reach the disk: each change is a write in the output.  It
 * knows nothing of roles, time or quorums.  Phase 1b and 2b of "Paxos Made Simple", section
 * 2.2.  Votes at or below the chosen prefix are given up; the log keeps them.
 *
 * With the chosen prefix go the run rule and the configuration in force behind it: every
 * server judges the same slots, so all know the same configuration at the same slot.
 *
 * Invariants P1, P2, P4, P6 and P7 of paxos.h are kept here.
 *
 * Blobs: an output may name a batch whose vote the same step gave up, so such a batch is
 * released only by acceptor_release(), at the start of the next step. */
#ifndef CORE_PAXOS_ACCEPTOR_H
#define CORE_PAXOS_ACCEPTOR_H

#include "core/paxos/members.h"
#include "core/paxos/paxos.h"

/* One step replaces at most a window of votes and gives up at most another. */
enum { ACCEPTOR_GRAVE_MAX = 2 * WINDOW_MAX + 2 };

struct acceptor {
    struct ballot promised;
    uint64_t chosen;
    struct run run;         /* over the chosen prefix: run.slot is `chosen` */
    struct members members; /* in force behind it; number 0 = none is known */
    uint64_t write_seq;            /* of the newest write handed out */
    struct vote votes[WINDOW_MAX]; /* slot s lives at s % WINDOW_MAX, and is within
                                      (chosen, chosen + WINDOW_MAX] */
    struct blob *grave[ACCEPTOR_GRAVE_MAX];
    uint32_t grave_count;
};

void acceptor_init(struct acceptor *a, struct ballot promised, const struct run *run,
                   const struct members *members);
void acceptor_restore(struct acceptor *a, const struct vote *v); /* before the first step */
void acceptor_fini(struct acceptor *a);
void acceptor_release(struct acceptor *a);

/* Phase 1b: answers PROMISE (a message a vote), TOO_OLD or NACK. */
void acceptor_prepare(struct acceptor *a, const struct paxos_message *m,
                      struct paxos_output *out);

/* Phase 2b: answers ACCEPTED or NACK, or nothing for a slot beyond the window. */
void acceptor_accept(struct acceptor *a, const struct paxos_message *m,
                     struct paxos_output *out);

/* Answers NACK: `m` has a ballot below what is promised. */
void acceptor_refuse(const struct acceptor *a, const struct paxos_message *m,
                     struct paxos_output *out);

/* Raises the promise, if `b` is higher; always allowed. */
void acceptor_promise(struct acceptor *a, struct ballot b, struct paxos_output *out);

/* Stores a vote in an open slot; its ballot is not below `promised` and above that of the
 * vote it replaces. */
void acceptor_vote(struct acceptor *a, const struct vote *v, struct paxos_output *out);

/* The vote in a slot, or NULL.  Borrowed until the next change. */
const struct vote *acceptor_vote_at(const struct acceptor *a, uint64_t slot);

/* Slot chosen + 1 is chosen: with what was voted for there, or with `p`. */
void acceptor_advance(struct acceptor *a, struct paxos_output *out);
void acceptor_learn(struct acceptor *a, const struct proposal *p, struct paxos_output *out);
/* Every slot up to run->slot is chosen, and what it holds is known from elsewhere. */
void acceptor_install(struct acceptor *a, const struct run *run,
                      const struct members *members, struct paxos_output *out);

void acceptor_check(const struct acceptor *a);

#endif
