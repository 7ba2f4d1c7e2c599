/* tree.h -- what a resolved op does to the cells: one function for the leader (which runs it
 * on a transaction's overlay) and for every replica that applies the log. Pure.
 *
 * Invariants: T1 a node's `children` is the number of its child cells. T2 an ephemeral node
 * has an 'e' cell, has no children, and its owner is a live session. T3 every node but the
 * root has a parent. T4 czxid <= mzxid. T5 a TTL node without children, and no other, has a 't'
 * cell, at the time that it names. T6 the counts of a quota are those of its subtree, and the
 * tally is that of the tree. */
#ifndef CORE_TREE_TREE_H
#define CORE_TREE_TREE_H

#include "core/kv/kv.h"
#include "core/tree/op.h"

/* What the tree adds up to, kept as ops are applied. */
struct tree_tally {
    uint64_t nodes, bytes; /* bytes of data */
    uint64_t quotas;       /* while there is none, a change looks for none */
    uint64_t expires_first; /* no node expires before; no part of the state. 0: not known */
};

/* The circumstances of the transaction that an op belongs to. */
struct tree_context {
    uint64_t zxid;
    int64_t time_ms;
    uint64_t clock_ms;        /* the service's clock: see machine.h */
    struct tree_tally *tally; /* NULL: not kept, and there are no quotas */
};

/* An op for which op_is_of_tree() holds. It fits the state (CHECK). Cells are stamped with
 * the zxid. */
void tree_apply(struct kv_overlay *o, const struct tree_context *c, const struct op *op);

/* The root node, once, on an empty state. */
void tree_found(struct kv_overlay *o);

/* Adds up the tree by walking it: for a state that does not tell. */
struct tree_tally tree_tally_count(struct kv_view *v);

/* T1..T6 over the whole state; for tests and the simulator, costs a walk. */
void tree_check(struct kv_view *v);

#endif
