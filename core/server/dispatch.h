/* dispatch.h -- from a message to a job to an answer. See service.h for the order. */
#ifndef CORE_SERVER_DISPATCH_H
#define CORE_SERVER_DISPATCH_H

#include "core/server/conn.h"

/* One whole scanned message. False: it is none of the protocol, close. */
bool dispatch_message(struct conn *c, struct bytes bytes);
/* Answers reads that waited for room, and starts what may start. */
void dispatch_resume(struct conn *c);
/* The connection ends: its jobs are forgotten. What the replica has goes on there, and its
 * answer finds nobody. */
void dispatch_abandon(struct conn *c);

/* A read was answered that had to wait here: a watch that caught up, a query put off. */
void dispatch_done(struct job *j);

/* What the driver tells; `tag` may be of a job that is gone. */
void dispatch_answer(struct service *s, uint64_t tag, int code, struct bytes result);
void dispatch_ready(struct service *s, uint64_t tag, int code);

#endif
