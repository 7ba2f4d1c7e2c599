/* reign.h -- the ways from asking to leading and back: the only place where roles move, by
 * the table STATES of paxos.h.  Of the parent; for paxos.c and receive.c only. */
#ifndef CORE_PAXOS_REIGN_H
#define CORE_PAXOS_REIGN_H

#include "core/paxos/inside.h"

void reign_end(struct paxos *p); /* to FOLLOWER, from whatever role */

/* ASKING, and PREPARING when a quorum says yes. */
void reign_ask(struct paxos *p, struct paxos_output *out);
void reign_prepare_if_wanted(struct paxos *p, struct paxos_output *out);
/* `released`: by the leader of that ballot, who told this server to take over; or none. */
void reign_prepare(struct paxos *p, struct ballot released, struct paxos_output *out);
/* RECOVERING, LEADING. */
void reign_recover_if_promised(struct paxos *p, struct paxos_output *out);
/* Counts what came in; with it the prefix, the role and the configuration may move. */
void reign_advance(struct paxos *p, struct paxos_output *out);

/* Heartbeats leave when the step ends, so that several reasons for one cost one. */
void reign_beat_all(struct paxos *p);
void reign_send_beat(struct paxos *p, struct paxos_output *out);

/* Ends each step of a leader that hands over. */
void reign_hand_over(struct paxos *p, struct paxos_output *out);

/* The configuration changed in this step. */
void reign_follow_members(struct paxos *p);

#endif
