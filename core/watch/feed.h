/* feed.h -- the watches of all clients of one server: arming, firing, catching up from the
 * log. What a server does for its connections, without the connections: an OWNER is whoever
 * is told, known by a handle that the caller chose.
 *
 * FIRING  The caller hands over every transaction when it is applied and before it is
 * answered, and the feed tells each owner concerned of all that it means at once. So events
 * stand before any answer that shows their change, in the order of zxids, and all of one
 * transaction in one piece.
 *
 * CATCHING UP  A watch that comes back with `since` is not armed at once: its events above
 * `since` are looked for in the log, some slots a turn. When it has reached the applied slot
 * it is armed in that same turn, so nothing falls between. Those of one owner that start
 * together go together (struct replay), and a slot that several need is read once. An owner
 * that has much unread is waited for.
 *
 * BUDGET  An owner that cannot be told more (io.events says so) loses all its watches and
 * hears so once, by io.lagged, with the last zxid of which it was told everything; a watch
 * whose catching up is too much in one piece ends with ERR_LAGGED. After either the owner
 * arms again when it has read that far: nothing is lost silently.
 *
 * The caller's duty: feed_txn() and feed_applied() for every slot in order, feed_turn() once
 * a turn, after what was at hand was handled. Pure: tests and the simulator run it as the
 * server does.
 *
 * Invariants: F1 an owner is told of zxids in rising order by its armed watches, and by those
 * that catch up together. F2 every watch is told of each zxid above its `since`, or above
 * the one at which it was armed, once, until it is gone; when that is not by the owner's own
 * wish, the owner hears how far it was told. F3 each tag ends once, or is forgotten with its
 * owner. */
#ifndef CORE_WATCH_FEED_H
#define CORE_WATCH_FEED_H

#include "core/base/blob.h"
#include "core/base/limits.h"
#include "core/base/list.h"
#include "core/machine/batch.h"
#include "core/watch/history.h"
#include "core/watch/watch.h"

enum {
    FEED_HISTORY_SLOTS = LIMIT(65536, 64), /* how far back a watch may come from */
    FEED_SLOTS_A_TURN = LIMIT(256, 4),     /* of the log, for catching up */
};

/* Effects. None may call back into the feed. */
struct feed_io {
    void *ctx;
    /* What one transaction means to one owner; borrowed. False: it has too much unread, and
     * was told nothing. */
    bool (*events)(void *ctx, uint64_t owner, uint64_t zxid,
                   const struct watch_firing *firings, size_t count);
    /* All armed watches of the owner are gone; it was told everything up to `zxid`. */
    void (*lagged)(void *ctx, uint64_t owner, uint64_t zxid);
    /* True: it has much unread, so its catching up waits. */
    bool (*waits)(void *ctx, uint64_t owner);
    /* The batch that was chosen in a slot, a reference for the feed; NULL: no longer kept. */
    struct blob *(*batch)(void *ctx, uint64_t slot);
    /* What feed_arm() put off: the watch has caught up and is armed, or fired and was armed
     * once (0); or it is gone (ERR_LAGGED). */
    void (*ended)(void *ctx, uint64_t tag, int code);
};

struct feed {
    struct feed_io io;
    struct watch_table armed;
    struct history history;
    uint64_t zxid_first, zxid_last; /* of the slot that is being applied; 0 = none yet */
    struct list replays;            /* of struct replay */
};

void feed_init(struct feed *f, const struct feed_io *io, uint64_t seed);
void feed_fini(struct feed *f); /* every owner was forgotten (CHECK) */

/* A transaction of the slot that is being applied; then, of every slot, its end. */
void feed_txn(struct feed *f, const struct txn *t, uint64_t zxid);
void feed_applied(struct feed *f, uint64_t slot);
/* A slot that an earlier life applied, as replica_io.recalled tells it; before all others. */
void feed_recalled(struct feed *f, uint64_t slot, uint64_t zxid_first, uint64_t zxid_last);
/* The state jumped over slots that nobody was told of; every owner was forgotten (CHECK). */
void feed_jump(struct feed *f);

enum { FEED_LATER = 1 };

/* Arms a watch; `zxid` is the newest applied. `resumes`: its events above spec->since come
 * first. 0: it is armed. FEED_LATER: it has to catch up, io.ended tells when it has.
 * ERR_BAD_PATH, ERR_TOO_LARGE (the path, or too many watches of one owner), ERR_BAD_PARAMS
 * (the owner has that id armed), ERR_BUSY (too many watches), ERR_LAGGED (what came after
 * `since` is no longer known, or is still to come). */
int feed_arm(struct feed *f, const struct watch_spec *spec, bool resumes, uint64_t zxid,
             uint64_t tag);
void feed_unarm(struct feed *f, uint64_t owner, uint64_t id); /* not one that catches up */
void feed_forget(struct feed *f, uint64_t owner);             /* all of it, tags too */

/* Some catching up; again: there is more that could go on now. */
void feed_turn(struct feed *f);
bool feed_again(const struct feed *f);

#endif
