/* quota.h -- how large a subtree may become.
 *
 * A quota stands at a path, whether there is a node or not, and bounds the number of nodes at
 * and below it and the bytes of their data; of several above a node each one counts. It is
 * checked when a change is resolved (tx.h) and counted as ops are applied, by every server
 * alike. While there is no quota at all a change costs nothing for it; while there is one,
 * a look at each ancestor.
 *
 * Cell 'q' path: version u8 (1) | nodes_max | bytes_max | nodes | bytes, as u64, little-endian;
 * a limit of 0 is none. Pure. */
#ifndef CORE_TREE_QUOTA_H
#define CORE_TREE_QUOTA_H

#include "core/tree/tree.h"

enum {
    QUOTAS_MAX = 1000,
    QUOTA_COUNT_MAX = 100000, /* nodes that a new quota finds: counting them holds up all */
};

struct quota {
    uint64_t nodes_max, bytes_max;
    uint64_t nodes, bytes; /* used */
};

bool quota_read(struct kv_view *v, struct bytes path, struct quota *q);
/* Moves `path` on to the next path with a quota; an empty one starts. False at the end. */
bool quota_next(struct kv_view *v, struct buf *path);

/* The nearest quota at or above `path` that would not bear so many more. False: there is
 * none. `at` borrows from `path`. */
bool quota_exceeded(struct kv_view *v, struct bytes path, uint64_t nodes, uint64_t bytes,
                    struct bytes *at, struct quota *q);

/* For tree_apply(). */
void quotas_account(struct kv_overlay *o, uint64_t zxid, struct bytes path, int64_t nodes,
                    int64_t bytes);
void quota_apply(struct kv_overlay *o, const struct tree_context *c, const struct op *op);

void quotas_check(struct kv_view *v); /* T6 */

#endif
