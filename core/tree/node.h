/* node.h -- one node of the tree, and its cells.
 *
 * Cell of a node ('n' parent 0x00 name; the root is 'n' 0x00), all little-endian:
 *
 *     offset size field
 *     0      1    format version: 1; 2 when there is more to say than 1 can
 *     1      1    flags: bit 0 = data is null
 *     2      1    life (2: what ends the node beside a delete; 1: zero)
 *     3      1    zero
 *     4      4    version      changes of the data; never -1 (skips it)
 *     8      4    aversion
 *     12     4    zero
 *     16     8    czxid        transaction that created it: a fencing token
 *     24     8    mzxid        ... that last changed its data
 *     32     8    pzxid        ... that last created or deleted a child
 *     40     8    ctime        milliseconds of UTC, from the batch's time
 *     48     8    mtime
 *     56     8    owner        session of an ephemeral node, else 0
 *     64     8    children     how many there are now
 *     72     8    created      how many children were ever created: the next sequence number
 *     80     ..   data
 *
 * and of a node with a life of its own, format 2, before the data:
 *
 *     80     8    life_ms      TTL: how long it stays unchanged; LINGERS: how long after its
 *                              owner has expired
 *     88     8    expires      TTL: when it goes, by the service's clock; 0: it has children
 *
 * Cell of an ephemeral node's owner ('e' owner path) and of a node that expires ('t' expires
 * path): empty value. Pure. */
#ifndef CORE_TREE_NODE_H
#define CORE_TREE_NODE_H

#include "core/base/limits.h"
#include "core/kv/kv.h"

/* What ends a node, beside a delete and the end of its owner. */
enum node_life {
    NODE_STAYS = 0,
    NODE_CONTAINER, /* goes with its last child, in the same transaction */
    NODE_TTL,       /* goes when it was not changed for life_ms and has no children */
    NODE_LINGERS,   /* ephemeral: if its owner expires, an empty TTL node of life_ms takes its
                       place, so that the name is not free at once (a lock's delay) */
};

struct node {
    int32_t version, aversion;
    uint64_t czxid, mzxid, pzxid;
    int64_t ctime, mtime;
    uint64_t owner;
    uint64_t children;
    uint64_t created;
    enum node_life life;
    uint64_t life_ms; /* TTL, LINGERS */
    uint64_t expires; /* TTL without children: by the service's clock; else 0 */
    struct bytes data; /* ptr NULL = null data; borrowed from the cell */
};

/* What clients see: ZooKeeper's stat, same names and meaning. */
struct stat_view {
    uint64_t czxid, mzxid, pzxid;
    int64_t ctime, mtime;
    int32_t version, cversion, aversion; /* cversion = 2 * created - children, wrapped */
    uint64_t ephemeral_owner;
    uint64_t data_length, num_children;
    uint64_t ttl, container; /* ours: milliseconds, 0 = none; 1 = it is one */
};

struct stat_view node_stat(const struct node *n);

enum {
    NODE_KEY_BYTES_MAX = PATH_BYTES_MAX + 2, /* no key of a node is longer */
    NODE_HEAD_BYTES_MAX = 96, /* what a cell takes beside the data */
    NODE_EXPIRY_KEY_BYTES_MAX = KV_ID_KEY_BYTES + PATH_BYTES_MAX,
};

/* Keys, into `out` (cleared first). */
void node_key(struct buf *out, struct bytes path);
void node_children_prefix(struct buf *out, struct bytes parent);
void node_owner_key(struct buf *out, uint64_t owner, struct bytes path);
void node_owner_prefix(struct buf *out, uint64_t owner);
/* Of the index of what expires: the earliest first. */
void node_expiry_key(struct buf *out, uint64_t expires, struct bytes path);
/* The part of a child's node key that is its name; the path of an owner key. Borrowed. */
struct bytes node_key_name(struct bytes key);
struct bytes node_owner_key_path(struct bytes key);
struct bytes node_expiry_key_path(struct bytes key);

/* Values. node_decode() fails with ERR_DAMAGED or ERR_OTHER_VERSION. */
void node_encode(struct buf *out, const struct node *n); /* cleared first */
int node_decode(struct bytes cell, struct node *n);

/* Reads the node at `path`; false when there is none. A cell that does not decode is a
 * broken store and stops the process (CHECK): core/state verified it when reading. */
bool node_read(struct kv_view *v, struct bytes path, struct node *n);

/* The child name next after (before) `name` in byte order, into `out` (cleared first); false
 * when there is none. An empty name means from the start (from the end, backward). */
bool node_child_next(struct kv_view *v, struct bytes parent, struct bytes name,
                     enum kv_direction direction, struct buf *out);

#endif
