/* watch.h -- who hears of what: a table of watches by path, and what one transaction fires.
 *
 * A watch belongs to an owner (the caller's handle of a connection) and has an id that the
 * owner chose. It stands on a path, whether a node is there or not. Of one transaction:
 *
 *     watch_match() for each of its events, then watch_deliver() once
 *
 * and every owner that is concerned is told of all its firings at once. A transaction may
 * touch a path several times; a watch is told of what adds up: a change of what it was just
 * told was created or changed only replaces the data, and children are told of once.
 *
 * Not here: reading the log, bytes of the wire, budgets (core/server/watches.h). Pure.
 *
 * Invariants: W1 an id is armed at most once per owner. W2 firings of one owner come in the
 * order of events, those of one event in the order of arming. W3 a watch that is armed once
 * fires for one transaction and has gone when watch_deliver() returns. W4 a watch fires for
 * exactly its path, and what it was armed for. */
#ifndef CORE_WATCH_WATCH_H
#define CORE_WATCH_WATCH_H

#include "core/machine/table.h"
#include "core/watch/events.h"

enum watch_what {
    WATCH_DATA = 1,     /* created, changed, deleted */
    WATCH_CHILDREN = 2, /* a child created or deleted; the node itself deleted */
};

struct watch_spec {
    uint64_t owner, id;
    struct bytes path; /* copied */
    unsigned what;     /* of enum watch_what; at least one */
    bool once;
    bool value;     /* the owner wants the data: handed back with each firing */
    uint64_t since; /* the owner has seen up to this zxid: nothing up to it is fired */
};

struct watch_firing {
    uint64_t id;
    enum event_kind kind;
    struct bytes path;
    struct bytes data;
    bool value;
};

struct watch_table {
    uint64_t seed;             /* clients choose paths and ids */
    struct table paths;        /* of struct watch_path */
    struct table ids;          /* of struct watch, by owner and id */
    struct table owners;       /* of struct watch_owner */
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
/* Arms all watches of an owner in `to`, in the order in which they were armed here; no id
 * of them is armed there (CHECK). Not between watch_match() and watch_deliver(). */
void watch_move(struct watch_table *from, struct watch_table *to, uint64_t owner);

size_t watch_count(const struct watch_table *t);
size_t watch_count_of(const struct watch_table *t, uint64_t owner);

/* What `e` borrows must stay until watch_deliver(). */
void watch_match(struct watch_table *t, const struct event *e, uint64_t zxid);

/* Firings are borrowed for the call, which may drop watches of any owner. */
typedef void (*watch_deliver_fn)(void *ctx, uint64_t owner, uint64_t zxid,
                                 const struct watch_firing *firings, size_t count);
void watch_deliver(struct watch_table *t, uint64_t zxid, watch_deliver_fn each, void *ctx);

/* W1 and the counts; for tests. */
void watch_table_check(const struct watch_table *t);

#endif
