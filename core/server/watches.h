/* watches.h -- the clients' watches: arming, firing, and catching up from the log.
 *
 * FIRING  The replica tells of every transaction while it is applied and before it is
 * answered (driver_clients.txn), and what it fires goes into the connections' output at
 * once. So events stand before any answer that shows their change, in the order of zxids,
 * and all of one transaction for one connection in one notification.
 *
 * CATCHING UP  A watch with `since` is not armed at once when its read is ready: its events
 * above `since` are looked for in the log, some slots a turn, and sent before its answer.
 * When it has reached the applied slot it is armed in that same turn, so nothing falls
 * between. Those of one connection that start together go together (struct replay), and a
 * slot that several need is read once. One that does not read its output is waited for.
 *
 * BUDGET  A connection with too many bytes of events unread loses all its watches and
 * hears so in one notification, "lagged", that names the last zxid of which it was sent
 * everything; a watch whose catching up is too much in one piece is refused with
 * ERR_LAGGED. After either the client arms again when it has read that far: nothing is lost
 * silently. */
#ifndef CORE_SERVER_WATCHES_H
#define CORE_SERVER_WATCHES_H

#include "core/base/list.h"
#include "core/machine/batch.h"
#include "core/server/job.h"
#include "core/watch/history.h"
#include "core/watch/watch.h"

enum {
    WATCH_HISTORY_SLOTS = LIMIT(65536, 64), /* how far back a watch may come from */
    WATCH_SLOTS_A_TURN = LIMIT(256, 4),     /* of the log, for catching up */
    CONN_EVENT_BYTES_MAX = LIMIT(4 << 20, 64 << 10), /* events unread: then lagged */
};

struct service;
struct conn;

struct watches {
    struct watch_table armed;
    struct history history;
    uint64_t zxid_first, zxid_last; /* of the slot that is being applied; 0 = none yet */
    struct list replays;            /* of struct replay */
};

void watches_init(struct watches *w);
void watches_fini(struct watches *w); /* every connection was closed */

/* What the driver tells. */
void watches_txn(struct watches *w, const struct txn *t, uint64_t zxid);
void watches_applied(struct watches *w, uint64_t slot);

/* The state jumped over slots that nobody was told of; no watch is armed or catching up. */
void watches_jump(struct watches *w);

/* A WATCH job whose read is ready. True: it was answered, its caller ends it. False: it has
 * to catch up; it is ended by dispatch_done(). */
bool watches_arm(struct job *j);
void watches_unarm(struct conn *c, uint64_t id);
void watches_forget(struct conn *c); /* it closes */

/* Some catching up; again: there is more that could go on now. */
void watches_turn(struct service *s);
bool watches_again(const struct service *s);

#endif
