/* tx.h -- a transaction being built by the leader: plain requests and recipes alike.
 *
 * Reads see the newest state, changes not yet chosen included, and the transaction's own
 * changes on top. Each change is checked, written to an overlay and appended to `ops` as a
 * resolved op. On an error the caller drops the whole transaction (tx_fini); on success the
 * overlay goes into the leader's pending state and `ops` into the batch. Pure.
 *
 * Invariants: X1 a failed change leaves the transaction as it was. X2 replaying `ops` with
 * tree_apply() on what the transaction was built upon gives exactly the cells of `over`.
 * X3 one that is read-only has neither. X4 after tx_finish() no container is there whose
 * last child went in this transaction. */
#ifndef CORE_TREE_TX_H
#define CORE_TREE_TX_H

#include "core/kv/kv.h"
#include "core/tree/node.h"
#include "core/tree/op.h"
#include "core/tree/tree.h"

enum tx_create_flags {
    TX_EPHEMERAL = 1,  /* gone with the session that created it */
    TX_SEQUENTIAL = 2, /* append the parent's next sequence number, ten digits at least */
    TX_PARENTS = 4,    /* create missing parents, persistent, null data */
    TX_CONTAINER = 8,  /* gone with its last child; one that never had a child stays */
};

struct tx_creation {
    unsigned flags;
    uint64_t ttl_ms;    /* 0: none. Gone when not changed for so long, without children */
    uint64_t linger_ms; /* with TX_EPHEMERAL: NODE_LINGERS of node.h; 0: not */
};

/* Of the whole tree, from the leader's configuration; 0 = none. */
struct tx_limits {
    uint64_t nodes, bytes;
};

struct tx {
    struct kv_overlay over;
    struct buf ops;
    uint32_t ops_count, ops_max; /* ops_max 0 = MULTI_OPS_MAX */
    uint64_t zxid;    /* what this transaction will be known as */
    int64_t time_ms;  /* the batch's time, UTC */
    uint64_t clock_ms; /* the service's clock, by which nodes expire: see machine.h */
    struct tree_tally tally; /* of the tree as the transaction leaves it */
    struct tx_limits limits;
    uint32_t subtree_ops;    /* of ops_count: what whole subtrees took, bounded by itself */
    struct buf emptied; /* containers that may have lost their last child, buf_put_bytes() */
    struct buf why;     /* of a refusal: what its code does not tell; else empty */
    uint64_t session; /* the caller's, 0 = none */
    bool reserved_allowed; /* may change /tidelock */
    bool read_only;        /* every change is refused: ERR_READ_ONLY */
    struct buf reads;   /* paths read, each as buf_put_bytes(), when `track_reads` */
    bool track_reads;
};

void tx_init(struct tx *t, struct kv_view *below, uint64_t seed);
void tx_fini(struct tx *t);
/* Empties it for the next transaction on the same state, keeping its memory. Whatever the
 * caller had set is zero again, `reserved_allowed` and `session` above all. */
void tx_reset(struct tx *t);

/* How many ops it may still have, those of whole subtrees aside. */
uint32_t tx_ops_left(const struct tx *t);

/* Begins a transaction, not initialised yet, on top of another one that has ops left: what
 * one wrote the other sees, and dropping it (tx_fini) leaves the other as it was. Meanwhile
 * the other must not change. */
void tx_begin_inside(struct tx *t, struct tx *around);
/* What `t` wrote and read becomes what `around` did; `t` is good for tx_fini() only.
 * ERR_TOO_LARGE: it was too much, and `around` is as it was. */
int tx_join(struct tx *around, struct tx *t);

/* False when there is no node. `n` is borrowed until the next change of that path. */
bool tx_read(struct tx *t, struct bytes path, struct node *n);

/* The child after (before) `name`; see node_child_next(). Recorded as a read of `parent`. */
bool tx_child_next(struct tx *t, struct bytes parent, struct bytes name,
                   enum kv_direction direction, struct buf *out);

/* The ephemeral node of `session` next after `after` (empty: the first) that lies below
 * `top`, by path, into `out`; false when there is none. Recorded as a read of `top`. */
bool tx_owned_next(struct tx *t, uint64_t session, struct bytes top, struct bytes after,
                   struct buf *out);

/* The path created (with its sequence number) goes to `created` (cleared first).
 * ERR_BAD_PATH, ERR_READ_ONLY, ERR_TOO_LARGE, ERR_RESERVED, ERR_NO_NODE (no parent),
 * ERR_NODE_EXISTS, ERR_EPHEMERAL_PARENT, ERR_SESSION_EXPIRED (ephemeral without a live
 * session). */
int tx_create(struct tx *t, struct bytes path, struct bytes data, unsigned flags,
              struct buf *created);

/* The same, with all that can be asked of a node: ERR_BAD_OPTION for what does not fit
 * together; ERR_OVER_QUOTA. */
int tx_create_as(struct tx *t, struct bytes path, struct bytes data,
                 const struct tx_creation *how, struct buf *created);

/* `version` -1 = any. ERR_BAD_PATH, ERR_NO_NODE, ERR_BAD_VERSION, ERR_TOO_LARGE, ... */
int tx_set(struct tx *t, struct bytes path, struct bytes data, int64_t version);

/* ... and ERR_NOT_EMPTY. The root cannot be deleted (ERR_BAD_PATH). */
int tx_delete(struct tx *t, struct bytes path, int64_t version);

/* A TTL begins anew, as by a set, but the data, its version and mzxid stay: nobody who
 * watches the data hears of it. ERR_NO_NODE, ... */
int tx_touch(struct tx *t, struct bytes path);

/* The node and all below it, ephemeral ones too. More than SUBTREE_NODES_MAX, or than a
 * transaction can hold: ERR_TOO_LARGE, nothing deleted; but with `partly` as many as it can
 * hold, leaves first, so that the rest is a tree: repeat it while *more. */
struct tx_deleted {
    uint64_t nodes;
    bool more;
};
int tx_delete_tree(struct tx *t, struct bytes path, bool partly, struct tx_deleted *deleted);

/* The node `from` and all below it, data and lives, without ephemeral nodes, to `to`, which
 * must not be there but its parent must; neither may lie in the other. As new nodes: versions
 * and times begin. Bounded like tx_delete_tree(). *nodes: how many. */
int tx_copy(struct tx *t, struct bytes from, struct bytes to, uint64_t *nodes);

/* Bounds the subtree: see quota.h. 0 = no limit, both 0 = no quota more. What is over it
 * already stays. ERR_TOO_LARGE: a new one over more than QUOTA_COUNT_MAX nodes, or too many
 * quotas. */
int tx_quota(struct tx *t, struct bytes path, uint64_t nodes_max, uint64_t bytes_max);

/* Before what the transaction wrote is taken: containers that are left empty go, and so on
 * upwards. Never fails; whoever commits tests the size of `ops` behind it. At the end and
 * not at once, so that a transaction may take the last child and put another. */
void tx_finish(struct tx *t);

/* The node exists, at that version if not -1: ERR_NO_NODE, ERR_BAD_VERSION. */
int tx_check(struct tx *t, struct bytes path, int64_t version);
/* There is none: ERR_NODE_EXISTS. */
int tx_check_absent(struct tx *t, struct bytes path);
/* The node exists with that czxid: ERR_GUARD_FAILED. */
int tx_guard(struct tx *t, struct bytes path, uint64_t token);

/* For core/session, without any limit: adds an op of the tree that the caller has checked,
 * with its effects; and one of a session, whose effects are session_apply()'s. */
void tx_append(struct tx *t, const struct op *op);
void tx_append_delete(struct tx *t, struct bytes path);
void tx_append_session(struct tx *t, const struct op *op);

#endif
