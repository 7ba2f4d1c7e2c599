/* watches.h -- the clients' watches on their connections: the I/O of core/watch/feed.h, where
 * the rules stand. An owner is a connection.
 *
 * What a transaction fires goes into the connections' output at once, in one notification
 * each. A connection with too many bytes of events unread gets "lagged" in their place. */
#ifndef CORE_SERVER_WATCHES_H
#define CORE_SERVER_WATCHES_H

#include "core/server/job.h"
#include "core/watch/feed.h"

enum {
    CONN_EVENT_BYTES_MAX = LIMIT(4 << 20, 64 << 10), /* events unread: then lagged */
};

struct service;
struct conn;

void watches_init(struct service *s); /* its feed */

/* A WATCH job whose read is ready. True: it was answered, its caller ends it. False: it has
 * to catch up; it is ended by dispatch_done(). */
bool watches_arm(struct job *j);
void watches_unarm(struct conn *c, uint64_t id);
void watches_forget(struct conn *c); /* it closes */

#endif
