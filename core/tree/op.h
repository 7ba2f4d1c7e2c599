/* op.h -- resolved operations: what the log holds of a transaction.
 *
 * A resolved op cannot fail. The leader checked everything when it made it, so applying it
 * is a pure function of the state; an op that does not fit the state is a bug (CHECK).
 * Every op names each path that it touches (the parent of a created or deleted node is
 * implied). Bytes, numbers as LEB128 unless said otherwise:
 *
 *     kind u8, then
 *     CREATE         path data owner        data: length + 1 and bytes; 0 = null
 *     SET            path data
 *     DELETE         path
 *     SESSION_OPEN   id timeout_ms secret
 *     SESSION_CLOSE  id                     its ephemerals are deleted by DELETEs before it
 *     MEMBERS        roster bytes           (core/machine/roster.h, who looks into them)
 *     TOUCH          path                   its TTL begins anew
 *     QUOTA          path nodes_max bytes_max nodes bytes   used now; all 0: no quota more
 *     SESSION_END    id                     over, though not all of its nodes are gone yet
 *     CREATE (32)    path data owner life u8 life_ms        of a node with a life (node.h)
 *
 * Pure. */
#ifndef CORE_TREE_OP_H
#define CORE_TREE_OP_H

#include "core/base/bytes.h"
#include "core/tree/node.h"

enum op_kind {
    OP_CREATE = 1,
    OP_SET,
    OP_DELETE,
    OP_SESSION_OPEN,
    OP_SESSION_CLOSE,
    OP_MEMBERS,
    OP_TOUCH,
    OP_QUOTA,
    OP_SESSION_END,
};

struct op {
    enum op_kind kind;
    struct bytes path;
    struct bytes data;  /* CREATE, SET: data; SESSION_OPEN: secret; MEMBERS: roster */
    uint64_t owner;     /* CREATE: owner; SESSION_*: id */
    uint64_t timeout_ms; /* SESSION_OPEN */
    enum node_life life; /* CREATE */
    uint64_t life_ms;
    uint64_t nodes_max, bytes_max, nodes, bytes; /* QUOTA */
};

/* Whether it has a path, and core/tree applies it: tree_apply(). */
bool op_is_of_tree(enum op_kind kind);

void op_encode(struct buf *out, const struct op *op); /* appends */

/* Reads the next op; ERR_BAD_MESSAGE when the bytes are none. Borrowed from the reader. */
int op_decode(struct reader *r, struct op *op);

const char *op_name(enum op_kind kind);

#endif
