/* conn.h -- one client's connection: bytes in, bytes out, and its end. See service.h. */
#ifndef CORE_SERVER_CONN_H
#define CORE_SERVER_CONN_H

#include "core/server/service.h"

void conn_accept(struct service *s, uv_stream_t *listener);
void conn_close(struct conn *c); /* ends its jobs; the conn frees itself */
/* Says its last and waits for the client to close. */
void conn_part(struct conn *c);

/* To be looked at in this turn: it may go on, or is to be closed. Safe anywhere. */
void conn_wake(struct conn *c);
void conn_doom(struct conn *c);
/* The look: starts, reads on, or closes. */
void conn_resume(struct conn *c);

/* False: too much is asked, or too much is unread. */
bool conn_has_room(const struct conn *c);
/* It has had its share of this turn, or all have; `last`: an `any` read is the next. It is
 * looked at again in the next turn then. */
bool conn_is_tired(struct conn *c, bool last);
void conn_spend(struct conn *c, size_t bytes);
/* To append a response to; dooms a connection that reads nothing. */
struct buf *conn_out(struct conn *c);

/* Closes it when it dawdles. */
void conn_sweep(struct conn *c, uint64_t now_ms);
/* Its output was written as far as it goes. */
void conn_flushed(struct conn *c);

#endif
