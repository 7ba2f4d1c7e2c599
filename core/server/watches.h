/* watches.h -- the clients' watches on their connections: the I/O of core/watch/feed.h, where
 * the rules stand. An owner is a connection.
 *
 * What a transaction fires goes into the connections' output at once, in one notification
 * each; what several connections hear is packed once. A connection with too many bytes of
 * events unread gets "lagged" in their place. */
#ifndef CORE_SERVER_WATCHES_H
#define CORE_SERVER_WATCHES_H

#include "core/server/event_pack.h"
#include "core/server/job.h"
#include "core/watch/feed.h"

enum {
    CONN_EVENT_BYTES_MAX = LIMIT(4 << 20, 64 << 10), /* events unread: then lagged */
    WATCH_PROGRESS_MS = 5000, /* to those who hear nothing: how far that is all */
};

struct service;
struct conn;

void watches_init(struct service *s); /* its feed */

/* A WATCH job whose read is ready. True: it was answered, its caller ends it. False: it has
 * to catch up; it is ended by dispatch_done(). */
bool watches_arm(struct job *j);
bool watches_arm_many(struct job *j); /* WATCH_MANY */
void watches_unarm(struct conn *c, uint64_t id);
void watches_forget(struct conn *c); /* it closes */
void watches_written(struct conn *c); /* some of its output */
void watches_sweep(struct conn *c, uint64_t now_ms); /* now and then */

#endif
