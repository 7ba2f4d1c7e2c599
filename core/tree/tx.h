/* tx.h -- a transaction being built by the leader: plain requests and recipes alike.
 *
 * Reads see the newest state, changes not yet chosen included, and the transaction's own
 * changes on top. Each change is checked, written to an overlay and appended to `ops` as a
 * resolved op. On an error the caller drops the whole transaction (tx_fini); on success the
 * overlay goes into the leader's pending state and `ops` into the batch. Pure.
 *
 * Invariants: X1 a failed change leaves the transaction as it was. X2 replaying `ops` with
 * tree_apply() on what the transaction was built upon gives exactly the cells of `over`.
 * X3 one that is read-only has neither. */
#ifndef CORE_TREE_TX_H
#define CORE_TREE_TX_H

#include "core/kv/kv.h"
#include "core/tree/node.h"
#include "core/tree/op.h"

enum tx_create_flags {
    TX_EPHEMERAL = 1,  /* gone with the session that created it */
    TX_SEQUENTIAL = 2, /* append the parent's next sequence number, ten digits at least */
    TX_PARENTS = 4,    /* create missing parents, persistent, null data */
};

struct tx {
    struct kv_overlay over;
    struct buf ops;
    uint32_t ops_count, ops_max; /* ops_max 0 = MULTI_OPS_MAX */
    uint64_t zxid;    /* what this transaction will be known as */
    int64_t time_ms;  /* the batch's time, UTC */
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

/* `version` -1 = any. ERR_BAD_PATH, ERR_NO_NODE, ERR_BAD_VERSION, ERR_TOO_LARGE, ... */
int tx_set(struct tx *t, struct bytes path, struct bytes data, int64_t version);

/* ... and ERR_NOT_EMPTY. The root cannot be deleted (ERR_BAD_PATH). */
int tx_delete(struct tx *t, struct bytes path, int64_t version);

/* The node exists, at that version if not -1: ERR_NO_NODE, ERR_BAD_VERSION. */
int tx_check(struct tx *t, struct bytes path, int64_t version);
/* There is none: ERR_NODE_EXISTS. */
int tx_check_absent(struct tx *t, struct bytes path);
/* The node exists with that czxid: ERR_GUARD_FAILED. */
int tx_guard(struct tx *t, struct bytes path, uint64_t token);

/* For core/session, without any limit: adds an op of the tree that the caller has checked,
 * with its effects; and one of a session, whose effects are session_apply()'s. */
void tx_append(struct tx *t, const struct op *op);
void tx_append_session(struct tx *t, const struct op *op);

#endif
