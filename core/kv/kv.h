/* kv.h -- the whole replicated state as one ordered map of small cells, read in layers.
 *
 * Nodes, sessions and stored results are cells: a key, a value, both plain bytes. A VIEW
 * answers what a key holds and which key comes next. An OVERLAY is a view that holds changes
 * in memory on top of another view. Everything that must be able to vanish is an overlay:
 *
 *     a transaction being built  ->  what the leader resolved, not yet chosen
 *         ->  what is applied, not yet written behind  ->  RocksDB (core/state)
 *
 * An overlay on nothing is the store in memory that the simulator and the recipe test bench
 * use. Keys sort as bytes; the first byte says the kind of cell:
 *
 *     'm' name                          what is applied: slot, zxid, digest (core/machine)
 *     'n' parent-path 0x00 name         a node of the tree           (core/tree/node.h)
 *     'e' owner u64be path              an ephemeral node, by owner   (core/tree/node.h)
 *     't' expires u64be path            a node that goes by itself    (core/tree/node.h)
 *     'q' path                          a quota                       (core/tree/quota.h)
 *     's' id u64be                      a session                     (core/session)
 *     'r' id u64be seq u64be            a stored result, or that it waits (core/session)
 *
 * Pure. Invariants: K1 a view never changes by being read. K2 what an overlay returns is
 * its own newest change of that key, else what is below. K3 the order of seek does not
 * depend on the order of writes or on any hash. */
#ifndef CORE_KV_KV_H
#define CORE_KV_KV_H

#include "core/base/bytes.h"
#include "core/base/hash.h"
#include "core/base/list.h"
#include "core/kv/pool.h"
#include "core/kv/table.h"

enum kv_direction { KV_FORWARD = 1, KV_BACKWARD };

struct kv_view {
    uint64_t seed; /* of the hashes of keys: clients choose keys. Mostly all layers have the
                    * same, so that a question is hashed once on its way down */
    /* The value of `key`; false when there is none. The value is borrowed: it stays until
     * that key is changed in the layer it came from, or a cache is trimmed between steps. */
    bool (*get)(struct kv_view *v, struct bytes key, uint64_t hash, struct bytes *value);
    /* The nearest key strictly after (before) `from` that starts with `prefix`, into
     * `key`, which is cleared first; false when there is none. `from` starts with `prefix`;
     * from == prefix forward means the first; backward from kv_prefix_end() is the last. */
    bool (*seek)(struct kv_view *v, struct bytes prefix, struct bytes from,
                 enum kv_direction direction, struct buf *key);
};

static inline bool kv_get(struct kv_view *v, struct bytes key, struct bytes *value)
{
    return v->get(v, key, hash_bytes(key, v->seed), value);
}

static inline bool kv_seek(struct kv_view *v, struct bytes prefix, struct bytes from,
                           enum kv_direction direction, struct buf *key)
{
    return v->seek(v, prefix, from, direction, key);
}

/* The first and the last key with a prefix, the prefix itself included. */
bool kv_first(struct kv_view *v, struct bytes prefix, struct buf *key);
bool kv_last(struct kv_view *v, struct bytes prefix, struct buf *key);

/* For walks: moves `key` on to the next key that starts with the prefix and is longer; an
 * empty `key` starts at the first one. At the end it is false, and `key` is empty. What was
 * passed may be deleted meanwhile. */
bool kv_next(struct kv_view *v, struct bytes prefix, struct buf *key);

/* The least key above all that start with `prefix`, into `out` (cleared first). No kind of
 * cell is 0xff, so that byte is above everything. */
void kv_prefix_end(struct bytes prefix, struct buf *out);

/* The key of a cell that a number names, or the start of it: kind, then id u64be. */
#define KV_ID_KEY_BYTES 9u
static inline struct bytes kv_id_key(uint8_t room[KV_ID_KEY_BYTES], char kind, uint64_t id)
{
    room[0] = (uint8_t) kind;
    put_u64_be(room + 1, id);
    return bytes_of(room, KV_ID_KEY_BYTES);
}

struct kv_entry; /* internal */
struct kv_gaps;  /* internal */

struct kv_overlay {
    struct kv_view view;   /* first: &overlay->view is the view of it with all below */
    struct kv_view *below; /* NULL: nothing */
    bool settled;          /* what is below changes only by what leaves this overlay: K4 */
    bool digesting;        /* fold every change into `digest` */
    uint64_t digest;       /* of all changes in order since it was set; part of the state */
    size_t count;          /* entries, deletions included */
    size_t bytes;          /* keys and values held */
    struct kv_table table;
    struct kv_pool pool; /* their memory */
    struct kv_entry *root; /* those that are in key order by now */
    struct list loose;     /* the others */
    struct list by_stamp;  /* the same entries in the order of their newest change */
    struct kv_gaps *gaps;  /* kv_overlay_remember() */
};

void kv_overlay_init(struct kv_overlay *o, struct kv_view *below, uint64_t seed);
void kv_overlay_fini(struct kv_overlay *o);
/* Seeks remember from now on where there is nothing, so that each deletion is passed once
 * (gaps.h). K5: its view changes only by its own changes; what leaves it, by being handed
 * on, moved or forgotten, is the same below by then. A cleared one begins anew. */
void kv_overlay_remember(struct kv_overlay *o);

/* Copies key and value; `stamp` is remembered for kv_overlay_forget(). */
void kv_put(struct kv_overlay *o, struct bytes key, struct bytes value, uint64_t stamp);
void kv_delete(struct kv_overlay *o, struct bytes key, uint64_t stamp);
/* As kv_delete() when the view has the key; else nothing, and false. */
bool kv_take(struct kv_overlay *o, struct bytes key, uint64_t stamp);
/* As kv_put(), of a key that the view does not have: the caller knows. Only the overlay's
 * own changes are looked at: what is below is not asked. */
void kv_put_new(struct kv_overlay *o, struct bytes key, struct bytes value, uint64_t stamp);

/* Forgets every change: the view is what is below again. */
void kv_overlay_clear(struct kv_overlay *o);

/* Forgets every change whose stamp is at most `stamp`. Stamps of one overlay never go back
 * (0 everywhere is fine), so entries hang in a list by stamp and this costs only what it
 * forgets. */
void kv_overlay_forget(struct kv_overlay *o, uint64_t stamp);

/* Moves every change of `from` into `to`, with a new stamp; `from` is empty after. Costs no
 * copy of keys or of large values. When `to` digests, the order of the moves is key order, so
 * that the digest is the same everywhere. */
void kv_overlay_move(struct kv_overlay *from, struct kv_overlay *to, uint64_t stamp);

/* Calls `each` for every change in key order; value->ptr == NULL is a deletion (a cell is
 * never null). `each` must not change the overlay. */
typedef void (*kv_each_fn)(void *ctx, struct bytes key, struct bytes value, uint64_t stamp);
void kv_overlay_each(struct kv_overlay *o, kv_each_fn each, void *ctx);

/* Hands every change of `from` on to `to`, which is empty and has the same seed, in no time.
 * Digest and marks stay as they were. */
void kv_overlay_hand(struct kv_overlay *from, struct kv_overlay *to);

struct kv_change {
    struct bytes key, value; /* value.ptr == NULL is a deletion */
    uint64_t hash;           /* of the key, by the overlay's seed */
    bool is_new;             /* it came by kv_put_new() */
};

/* The changes one by one, in the order of their stamps: `at` is NULL before the first and
 * where it stands after; false at the end. Touches nothing that a get or a seek may change,
 * so one thread may walk while another reads; neither may change the overlay. */
bool kv_overlay_step(const struct kv_overlay *o, const struct list **at,
                     struct kv_change *change);

/* K4, and the table, the order and the counts agree. */
void kv_overlay_check(struct kv_overlay *o);

#endif
