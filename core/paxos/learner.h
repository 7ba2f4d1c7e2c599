/* learner.h -- how a server that does not lead moves its chosen prefix, and whom it asks
 * when it cannot.
 *
 * Two ways (P8): a leader's word "chosen up to c, at ballot b" covers own votes at that
 * very ballot; a LEARN covers itself.  A vote at an older ballot proves nothing, although
 * it is mostly the right one, so after a change of leaders the open slots are asked for.
 *
 * LEARNs may come in any order: those within a window above the prefix are kept until it
 * is their turn.  What is kept is chosen, so it never becomes wrong, only old.
 *
 * Requests are paced: a series of LEARNs on its way must not be asked for again while it
 * still arrives, and an answer that is slow must not be asked for ever more often.  Who
 * never answers (paused, cut off in silence) is given up: the next that speaks of a chosen
 * slot is asked instead, even if he knows less. */
#ifndef CORE_PAXOS_LEARNER_H
#define CORE_PAXOS_LEARNER_H

#include "core/paxos/acceptor.h"

enum { LEARN_WAIT_MS = 20, LEARN_WAIT_MS_MAX = 320 };

struct learner {
    uint64_t known;         /* the highest chosen prefix that anybody spoke of */
    uint32_t source;        /* who did, and so whom to ask; 0 = nobody */
    struct ballot leader;   /* the newest word of a leader: its ballot, */
    uint64_t leader_chosen; /* and its chosen prefix */
    uint64_t wait_ms;       /* pause after the next request */
    uint64_t due_ms;        /* no request before */
    uint64_t series_end;    /* the last slot of the answer that is arriving; 0 = not known */
    uint32_t ahead_count;
    struct learned { /* slot s lives at s % WINDOW_MAX; holds a reference */
        uint64_t slot; /* 0 = nothing is kept here */
        struct proposal proposal;
    } ahead[WINDOW_MAX];
};

void learner_init(struct learner *l);
void learner_fini(struct learner *l);

/* `node` says that every slot up to `chosen` is chosen. */
void learner_hear(struct learner *l, uint32_t node, uint64_t chosen);

/* The leader of `m`, whose ballot is not below what is promised, says the same. */
void learner_obey(struct learner *l, const struct paxos_message *m);

/* Moves the chosen prefix as far as the leader's word for own votes, and LEARNs, reach. */
void learner_advance(struct learner *l, struct acceptor *a, struct paxos_output *out);

/* A LEARN: ignored when it is of no slot of the window above the prefix. */
void learner_take(struct learner *l, struct acceptor *a, const struct paxos_message *m,
                  uint64_t now_ms, struct paxos_output *out);

/* Asks for what is known to be chosen and is missing, when the pace allows. */
void learner_ask(struct learner *l, const struct acceptor *a, uint64_t now_ms,
                 struct paxos_output *out);

/* The connection to `node` closed: it will not answer. */
void learner_peer_down(struct learner *l, uint32_t node);

void learner_check(const struct learner *l);

#endif
