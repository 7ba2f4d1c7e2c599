/* order.h -- inside of an overlay: its entries, and the balanced tree that keeps them in
 * key order. For core/kv/ only.
 *
 * Most entries come and go without anybody asking for the order, so an entry is LOOSE at
 * first, and stands in the tree only once a seek or a walk has needed that.
 *
 * The tree is a treap: a search tree by key that is at the same time a heap by priority.
 * The priority is the upper half of the entry's hash, which is seeded, so that no choice of
 * keys makes it deep. Shape follows from keys and seed alone; answers, from keys alone.
 *
 * Invariants: O1 keys rise from left to right. O2 no entry has a priority above its
 * parent's. */
#ifndef CORE_KV_ORDER_H
#define CORE_KV_ORDER_H

#include "core/base/check.h"
#include "core/kv/kv.h"

struct kv_entry {
    union {
        struct {
            struct kv_entry *left, *right; /* in the tree */
        };
        struct list by_loose; /* not yet in the tree */
    };
    struct list by_stamp; /* in the overlay's list */
    uint64_t hash;
    uint64_t stamp;
    uint32_t key_len, value_len;
    uint32_t value_room; /* bytes that a value may take where it lies */
    bool loose;
    bool deleted;
    bool is_new; /* K4: no view below a settled overlay has the key */
    uint8_t data[]; /* the key, then the value */
};

static inline struct bytes entry_key(const struct kv_entry *e)
{
    return bytes_of(e->data, e->key_len);
}

static inline struct bytes entry_value(const struct kv_entry *e)
{
    return bytes_of(e->data + e->key_len, e->value_len);
}

static inline struct kv_entry *entry_of_loose(struct list *l)
{
    return CONTAINER_OF(l, struct kv_entry, by_loose);
}

void order_remove(struct kv_entry **root, struct kv_entry *e);

/* Puts `count` loose entries, whose keys are new here, into the tree. `entries` changes its
 * order. One sort and one pass: some thousands take a few milliseconds. */
void order_insert(struct kv_entry **root, struct kv_entry **entries, size_t count);

/* The entry nearest after (before) `from`, or NULL. */
struct kv_entry *order_next(struct kv_entry *root, struct bytes from,
                            enum kv_direction direction);

/* Calls `each` in key order. It may reuse the links of the entry that it is given. */
typedef void (*order_walk_fn)(void *ctx, struct kv_entry *e);
void order_walk(struct kv_entry *root, order_walk_fn each, void *ctx);

/* O1 and O2; returns how many entries there are. */
size_t order_check(const struct kv_entry *root);

#endif
