/* query_queue.h -- queries whose turn has come: run at once, or put off.
 *
 * Scripts have a budget a turn (core/machine/query.h). What comes when it is spent waits
 * here, first come first served whichever connection it is of, and the loop does not sleep
 * meanwhile; so a query is late by others' runs, and a heartbeat by one budget and one run.
 */
#ifndef CORE_SERVER_QUERY_QUEUE_H
#define CORE_SERVER_QUERY_QUEUE_H

#include "core/server/service.h"

/* The query's state may be read now; the job is in no list. Answers it and ends it, now or
 * in a later turn. */
void query_queue_due(struct job *j);
/* Runs what this turn has the budget for. */
void query_queue_turn(struct service *s);
bool query_queue_again(const struct service *s); /* something is put off */
/* The connection ends: its queries are forgotten. */
void query_queue_forget(struct conn *c);

#endif
