/* events.h -- what a transaction's ops mean to those who watch paths.
 *
 *     CREATE path   created(path, data), then children(parent)
 *     SET path      changed(path, data)
 *     DELETE path   deleted(path), then children(parent)
 *
 * Ops of sessions are no events; the DELETEs of a session's ephemeral nodes stand before
 * its close. Pure. */
#ifndef CORE_WATCH_EVENTS_H
#define CORE_WATCH_EVENTS_H

#include "core/base/bytes.h"

enum event_kind {
    EVENT_CREATED = 1,
    EVENT_CHANGED,
    EVENT_DELETED,
    EVENT_CHILDREN, /* a child of `path` was created or deleted */
};

struct event {
    enum event_kind kind;
    struct bytes path;
    struct bytes data; /* CREATED, CHANGED: the node's data then; else null */
};

/* Calls `each` for every event in the order of the ops; all is borrowed from `ops`, which
 * are sound (CHECK): batch_decode() has seen them. */
typedef void (*event_fn)(void *ctx, const struct event *e);
void events_each(struct bytes ops, event_fn each, void *ctx);

const char *event_name(enum event_kind kind); /* "created", as on the wire */

#endif
