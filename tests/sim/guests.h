/* guests.h -- clients that are the client library (core/client/core.h), connected to the
 * service of core/server: with sessions, ephemeral nodes and watches, reconnecting, napping
 * for about as long as their sessions live, dying and taking over what they left behind.
 *
 * Who judges what they are told: hearing.h, tenure.h; and here
 *
 *     G1  a request is done once: a node of a fresh name is never there already, and a
 *         counter goes up as often as its owner was told
 *     G2  a read is no older than a write that had ended
 *     G3  whom a session was taken over from is gone when its heir begins
 *     G4  no server tells what is no message */
#ifndef TESTS_SIM_GUESTS_H
#define TESTS_SIM_GUESTS_H

#include "tests/sim/base.h"

void guests_start(struct world *w);
void guests_fini(struct world *w);
void guests_heal(struct world *w); /* all wake, and go to servers that must get on */
void guests_stop(struct world *w); /* nothing new; finish what is open */
bool guests_idle(const struct world *w); /* ... and every watch has told everything */
void guests_print(const struct world *w);
void guests_expired(struct world *w, uint64_t session);
void guests_check_end(struct world *w);

/* Faults. */
void guests_nap(struct world *w); /* one of them, for about a session's time */
void guests_sleep(struct world *w, uint64_t ms);
void guests_cut(struct world *w);   /* some connections end */
void guests_stall(struct world *w); /* some connections stand still */
void guests_die(struct world *w);   /* one dies and comes back for what it left */

#endif
