/* tree.h -- what a resolved op does to the cells: one function for the leader (which runs it
 * on a transaction's overlay) and for every replica that applies the log. Pure.
 *
 * Invariants: T1 a node's `children` is the number of its child cells. T2 an ephemeral node
 * has an 'e' cell, has no children, and its owner is a live session. T3 every node but the
 * root has a parent. T4 czxid <= mzxid. */
#ifndef CORE_TREE_TREE_H
#define CORE_TREE_TREE_H

#include "core/kv/kv.h"
#include "core/tree/op.h"

/* The circumstances of the transaction that an op belongs to. */
struct tree_context {
    uint64_t zxid;
    int64_t time_ms;
};

/* CREATE, SET or DELETE. The op fits the state (CHECK). Cells are stamped with the zxid. */
void tree_apply(struct kv_overlay *o, const struct tree_context *c, const struct op *op);

/* The root node, once, on an empty state. */
void tree_found(struct kv_overlay *o);

/* T1..T4 over the whole state; for tests and the simulator, costs a walk. */
void tree_check(struct kv_view *v);

#endif
