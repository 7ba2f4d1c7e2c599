/* peers.h -- what a leader knows of the others: who answers, up to which read round, and
 * how far each knows what is chosen.
 *
 * Only answers to the leader's own ballot count here; the parent sees to that.  Read rounds
 * are numbered through the life of the process, so that an answer to an earlier reign can
 * never confirm a later round (P9). */
#ifndef CORE_PAXOS_PEERS_H
#define CORE_PAXOS_PEERS_H

#include "core/paxos/paxos.h"

struct peers {
    uint32_t self;
    uint32_t silent_ms;       /* who did not answer for so long is not heard */
    nodes_set down;           /* their connections closed, and they said nothing since */
    uint64_t round;           /* the newest read round */
    uint64_t round_confirmed; /* <= round */
    struct peer {
        bool heard; /* in this reign, at heard_ms */
        uint64_t heard_ms;
        uint64_t round;
        uint64_t chosen; /* its prefix, as it said in this reign */
        uint32_t disk_us; /* how long its log writes take; 0 = not known */
    } of[NODES_MAX]; /* by id - 1; own entry unused */
};

void peers_init(struct peers *p, const struct paxos_config *config);

/* A reign begins; `promised` answered just now. */
void peers_begin(struct peers *p, nodes_set promised, uint64_t now_ms);

void peers_heard(struct peers *p, uint32_t node, uint64_t now_ms); /* at our ballot */
void peers_up(struct peers *p, uint32_t node);                     /* it said anything */
void peers_down(struct peers *p, uint32_t node);

/* Heard lately, self included; `live` leaves out those whose connection closed. */
nodes_set peers_lately(const struct peers *p, uint64_t now_ms);
nodes_set peers_live(const struct peers *p, uint64_t now_ms);

/* Live, and known to have every slot up to `chosen` as chosen; without self. */
nodes_set peers_ready(const struct peers *p, uint64_t chosen, uint64_t now_ms);

/* Begins a read round and returns its number; a single voter confirms it itself. */
uint64_t peers_read(struct peers *p, nodes_set voters);
/* HEARTBEAT_OK: the read round and the chosen prefix of one peer. */
void peers_answer(struct peers *p, const struct paxos_message *m, nodes_set voters);

void peers_check(const struct peers *p);

#endif
