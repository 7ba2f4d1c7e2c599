/* feed.h -- the watches of all clients of one server: arming, firing, catching up from the
 * log. What a server does for its connections, without the connections: an OWNER is whoever
 * is told, known by a handle that the caller chose.
 *
 * FIRING  The caller hands over every transaction when it is applied and before it is
 * answered, and the feed tells each owner concerned of all that it means at once. So events
 * stand before any answer that shows their change, in the order of zxids, and all of one
 * transaction in one piece.
 *
 * CATCHING UP  A watch that comes back with `since` is not live at once: its events above
 * `since` are looked for in the log, some slots a turn. When it has reached the applied
 * slot it is live in that same turn, so nothing falls between. Those of one owner that
 * start together go together (struct replay), and a slot that several need is read once. An
 * owner that has much unread is waited for.
 *
 * SNAPSHOT  A watch may ask for what stands there: the node, or with WATCH_TREE all below
 * it too, some pages a turn, as io.node and io.page tell them. Meanwhile the tree goes on
 * changing, and nothing is held fast for it: the watch hears of every change of what was
 * told already, and of no other. So when the last page was told, all that was told adds up
 * to the tree at exactly that page's zxid, and every transaction after it is told whole.
 *
 * BUDGET  When a watch has too much unread (watch.h), or its owner cannot be told more
 * (io.events says so), the watches that would have heard are gone, those of other events
 * stay, and io.lagged names them and the last zxid of which they were told everything; a
 * watch whose catching up is too much in one piece ends with ERR_LAGGED. After either the
 * owner arms again when it has read that far: nothing is lost silently.
 *
 * The caller's duty: feed_txn() and feed_applied() for every slot in order, feed_turn()
 * once a turn, after what was at hand was handled. Pure: tests and the simulator run it as
 * the server does.
 *
 * Invariants: F1 an owner is told of zxids in rising order by its live watches, and by
 * those that catch up together. F2 every watch is told of each zxid above its `since`, or
 * above the one at which it was armed, once, until it is gone; when that is not by the
 * owner's own wish, the owner hears how far it was told. F3 each tag ends once, or is
 * forgotten with its owner. F4 nodes and changes of a snapshot add up to the tree at its
 * last page's zxid. */
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
    FEED_PAGES_A_TURN = 4,                 /* of all snapshots, each in its turn */
    FEED_PAGE_NODES = LIMIT(64, 4),
    FEED_PAGE_BYTES = LIMIT(64 << 10, 1024), /* a page ends as soon as it has so many */
};

/* Effects. None may call back into the feed. */
struct feed_io {
    void *ctx;
    /* What one transaction means to one owner; borrowed. False: it has too much unread, and
     * was told nothing. */
    bool (*events)(void *ctx, uint64_t owner, uint64_t zxid, const struct changes *changes,
                   const struct watch_firing *firings, size_t count);
    /* These watches of the owner are gone; they were told everything up to `zxid`. */
    void (*lagged)(void *ctx, uint64_t owner, uint64_t zxid, const uint64_t *ids,
                   size_t count);
    /* True: it has much unread, so its catching up and its snapshots wait. */
    bool (*waits)(void *ctx, uint64_t owner);
    /* The batch that was chosen in a slot, a reference for the feed; NULL: no longer kept. */
    struct blob *(*batch)(void *ctx, uint64_t slot);
    /* What feed_arm() put off, of all watches with this tag: they have caught up and are
     * armed, or fired and were armed once (0); or they are gone (ERR_LAGGED). */
    void (*ended)(void *ctx, uint64_t tag, int code);
    /* Of a snapshot: a node, the transaction that changed its data last, and its data if the
     * watch wants it; then, behind some nodes, whose they are, and the tree they show. */
    void (*node)(void *ctx, struct bytes path, uint64_t mzxid, bool value,
                 struct bytes data);
    void (*page)(void *ctx, uint64_t owner, uint64_t id, uint64_t zxid, bool more);
};

struct feed {
    struct feed_io io;
    struct watch_table watches;
    struct changes changes; /* of the transaction at hand */
    struct history history;
    uint64_t zxid_first, zxid_last; /* of the slot that is being applied; 0 = none yet */
    struct list replays;            /* of struct replay */
    struct list snapshots;          /* of struct snapshot; the next one first */
    struct buf ids, kept;           /* work space */
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

struct feed_wish {
    struct watch_spec spec; /* without a run */
    bool resumes;           /* its events above spec.since come first */
    bool snapshot;          /* it is told what stands there; goes with neither `resumes` nor
                             * `once` nor WATCH_CHILDREN (CHECK) */
    uint64_t tag;           /* several may have one, given one after the other and with the
                             * same `since`; they end together */
};

enum { FEED_LATER = 1 };

/* Arms a watch; `zxid` is the newest applied. 0: it is armed. FEED_LATER: it has to catch up,
 * io.ended tells when it has.
 * ERR_BAD_PATH, ERR_TOO_LARGE (the path, or too many watches of one owner), ERR_BAD_PARAMS
 * (the owner has that id armed), ERR_BUSY (too many watches), ERR_LAGGED (what came after
 * `since` is no longer known, or is still to come). */
int feed_arm(struct feed *f, const struct feed_wish *wish, uint64_t zxid);
bool feed_armed(const struct feed *f, uint64_t owner, uint64_t id);
size_t feed_count_of(const struct feed *f, uint64_t owner); /* its watches */
void feed_unarm(struct feed *f, uint64_t owner, uint64_t id);
void feed_forget(struct feed *f, uint64_t owner); /* all of it, tags too */
void feed_read(struct feed *f, uint64_t owner);   /* it has read all that it was told */

/* Some catching up, and some pages from the applied state; again: there is more that could
 * go on now. */
void feed_turn(struct feed *f, struct kv_view *view, uint64_t zxid);
bool feed_again(const struct feed *f);

#endif
