/* election.h -- when to try for leadership, and whether others would let us.
 *
 * Holds the clocks of a server that does not lead: who leads as far as it heard, how long
 * to wait for him, and the would-you round.  The round asks first and promises nothing, so
 * that a server that was cut off, or hears only some of the others, disturbs nobody (Paxos
 * phase 0).  It decides no safety: whatever it answers, two values are never chosen. */
#ifndef CORE_PAXOS_ELECTION_H
#define CORE_PAXOS_ELECTION_H

#include "core/paxos/acceptor.h"

/* A closed connection is noticed by several servers at once; who waits least asks first. */
enum { PEER_DOWN_JITTER_MS = 16 };

struct election {
    uint32_t self;
    uint32_t heartbeat_ms, min_ms, max_ms;
    struct rng rng;

    uint64_t round_seen; /* the highest in any message, or own */
    uint32_t leader;     /* who leads, as heard; 0 = not known */
    struct ballot leader_ballot;
    uint64_t leader_ms;   /* when he was heard last */
    uint64_t deadline_ms; /* the present role's patience ends */
    uint64_t resend_ms;   /* ASKING, PREPARING: ask once more who did not answer */
    uint64_t nonce;       /* of the would-you round; an answer to another is stale */
    nodes_set yes;
};

void election_init(struct election *e, const struct paxos_config *config,
                   const struct acceptor *a, uint64_t now_ms);

/* Waits for a leader, anew. */
void election_wait(struct election *e, uint64_t now_ms);
void election_leader_spoke(struct election *e, const struct paxos_message *m,
                           uint64_t now_ms);
void election_forget_leader(struct election *e);
/* The connection to the leader closed: forgets him and waits next to nothing. */
void election_leader_down(struct election *e, uint64_t now_ms);

void election_see(struct election *e, const struct paxos_message *m); /* rounds */
uint64_t election_round_next(const struct election *e, const struct acceptor *a);

/* Begins a would-you round, or repeats the running one to who has not said yes. */
void election_ask(struct election *e, const struct acceptor *a, uint64_t now_ms,
                  struct paxos_output *out);
void election_ask_again(struct election *e, const struct acceptor *a, uint64_t now_ms,
                        struct paxos_output *out);
void election_take_would(struct election *e, const struct paxos_message *m);
bool election_has_quorum(const struct election *e, const struct acceptor *a);

/* Answers a WOULD_YOU; `engaged`: this server leads or prepares itself. */
void election_answer(const struct election *e, const struct acceptor *a,
                     const struct paxos_message *m, uint64_t now_ms, bool engaged,
                     struct paxos_output *out);

#endif
