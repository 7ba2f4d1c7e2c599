/* out.h -- what a connection has to say, gathered and written once per loop turn.
 *
 * Everything appended to out_buf() during a turn leaves in one write when the owner calls
 * out_flush(): at once as far as the kernel takes it, the rest by one uv_write. While that
 * one is under way nothing else is written (libuv completes queued writes one per turn).
 * An out with something to flush hangs in its owner's list of dirty ones.
 *
 * Invariants: O1 bytes leave in the order they were appended. O2 at most one uv_write is
 * under way. */
#ifndef CORE_SERVER_OUT_H
#define CORE_SERVER_OUT_H

#include <uv.h>

#include "core/base/bytes.h"
#include "core/base/list.h"

struct out {
    uv_stream_t *stream;  /* borrowed */
    struct list *dirties; /* the owner's list */
    struct list dirty;
    struct buf pending; /* gathered since the last flush */
    struct buf writing; /* under way */
    bool busy;
    uint64_t written; /* bytes, of all time */
    uv_write_t request;
};

void out_init(struct out *o, uv_stream_t *stream, struct list *dirties);
/* Only after the stream's close callback. */
void out_fini(struct out *o);

/* To append to; the out becomes dirty. */
struct buf *out_buf(struct out *o);
size_t out_queued(const struct out *o);
/* Forgets what is not yet under way: for a reader too slow to be worth it. */
void out_drop(struct out *o);

/* Leaves the list of dirty ones. Negative (of libuv): the connection is broken. */
int out_flush(struct out *o);
/* Flushes every dirty one; `each` hears of it, with what out_flush() returned. */
void out_flush_all(struct list *dirties, void (*each)(struct out *o, int code));

#endif
