/* watch.h -- who hears of what: a table of watches by path, and what one transaction fires.
 *
 * A watch belongs to an owner (the caller's handle of a connection) and has an id that the
 * owner chose. It stands on a path, whether a node is there or not; a watch of a TREE hears
 * of all below its path as well. What a transaction adds up to (changes.h) is given to
 * watch_fire(), and every owner that is concerned is told of all its firings at once. An
 * event costs one look for the path and one for each of those above it, however many
 * watches there are elsewhere.
 *
 * RUNS  A watch that is not live belongs to a run: watches that go through the log together.
 * It is passed over by live transactions; those of the log fire it when its run is at hand.
 * A run whose watches have become live may have a walk (walk.h): it hears of what the walk
 * has passed only, since the rest is still to be read.
 *
 * BUDGET  Of each watch is known how much live events came to since its owner had read all,
 * as watch_owner_read() says. What would be more than WATCH_UNREAD_MAX is marked `too_much`.
 *
 * Not here: reading the log, bytes of the wire, what becomes of it (feed.h). Pure.
 *
 * Invariants: W1 an id is armed at most once per owner. W2 firings of one owner come in the
 * order of events; of one event, those on its path before those on the trees above it, each
 * in the order of arming. W3 a watch that is armed once fires for one event and has gone when
 * watch_fire() tells of it. W4 a watch fires for exactly what it was armed for. */
#ifndef CORE_WATCH_WATCH_H
#define CORE_WATCH_WATCH_H

#include "core/base/limits.h"
#include "core/machine/table.h"
#include "core/watch/changes.h"
#include "core/watch/walk.h"

enum watch_what {
    WATCH_DATA = 1,     /* created, changed, deleted */
    WATCH_CHILDREN = 2, /* a child created or deleted; the node itself deleted */
    WATCH_TREE = 4,     /* as DATA, of the node and of all below it; goes with no other */
};

enum {
    WATCH_UNREAD_UNIT = 64,
    WATCH_UNREAD_MAX = LIMIT(1 << 20, 16 << 10), /* bytes; a single event may be more */
};

struct watch_run {
    bool live;                /* what was its own is live now */
    bool now;                 /* the transaction at hand is one of the log that it needs */
    bool held;                /* by the caller; else it goes with its last watch */
    uint32_t watches;
    const struct walk *walk;  /* or NULL; the caller's */
};

struct watch_spec {
    uint64_t owner, id;
    struct bytes path; /* copied */
    unsigned what;     /* of enum watch_what */
    bool once;
    bool value;     /* the owner wants the data: told with each firing */
    uint64_t since; /* the owner has seen up to this zxid: nothing up to it is fired */
    struct watch_run *run; /* NULL: live */
};

struct watch_firing {
    uint64_t id;
    uint32_t event; /* its index in the changes */
    bool value;
    bool once;     /* the watch has gone */
    bool too_much; /* with what the owner has not read of this watch */
};

struct watch_place {
    uint32_t first, last; /* of a list of watches; 0 = none */
};

struct watch_table {
    uint64_t seed;             /* clients choose paths and ids */
    struct table paths;        /* of struct watch_path */
    struct table owners;       /* of struct watch_owner */
    struct watch **chunks;     /* every watch has a place: its number, from 1 */
    uint32_t places, free;     /* how many there are; the first free one, 0 = none */
    uint32_t *ids;             /* chains of watches by owner and id */
    size_t ids_size, count;
    size_t trees;              /* paths with watches of trees */
    struct buf found;          /* firings of the transaction at hand: struct watch_found */
    struct buf groups;         /* its owners by first firing: struct watch_group */
    struct buf firings;        /* work space */
};

void watch_table_init(struct watch_table *t, uint64_t seed);
void watch_table_fini(struct watch_table *t); /* frees every watch */

/* False when the owner has that id armed already. */
bool watch_add(struct watch_table *t, const struct watch_spec *spec);
bool watch_armed(const struct watch_table *t, uint64_t owner, uint64_t id);
void watch_remove(struct watch_table *t, uint64_t owner, uint64_t id); /* none: fine */
void watch_drop(struct watch_table *t, uint64_t owner);                /* all of them */

/* The owner has read all that it was told. */
void watch_owner_read(struct watch_table *t, uint64_t owner);

size_t watch_count(const struct watch_table *t);
size_t watch_count_of(const struct watch_table *t, uint64_t owner);

/* A run, held by the caller until it is let go: its watches, if there are any, are live from
 * then on. */
struct watch_run *watch_run_new(void);
void watch_run_let_go(struct watch_run *run);
/* Ends the watches of a run, which are all of that owner. */
void watch_run_drop(struct watch_table *t, uint64_t owner, struct watch_run *run);

/* Firings are borrowed for the call, which may end watches of any owner. */
typedef void (*watch_fire_fn)(void *ctx, uint64_t owner, uint64_t zxid,
                              const struct changes *changes,
                              const struct watch_firing *firings, size_t count);
/* A transaction: one that was applied just now, or (`replay`) one of the log, for the runs
 * that are at hand. */
void watch_fire(struct watch_table *t, const struct changes *changes, uint64_t zxid,
                bool replay, watch_fire_fn each, void *ctx);

/* W1 and the counts; for tests. */
void watch_table_check(const struct watch_table *t);

#endif
