#include "core/kv/order.h"

#include <stdlib.h>

#include "core/base/check.h"

static uint32_t priority(const struct kv_entry *e)
{
    return (uint32_t) (e->hash >> 32);
}

/* The pointer to the child of `at` on whose side `key` lies. */
static struct kv_entry **side(struct kv_entry *at, struct bytes key)
{
    return bytes_cmp(key, entry_key(at)) < 0 ? &at->left : &at->right;
}

/* The pointer that holds `e`, found by its key. */
static struct kv_entry **link_of(struct kv_entry **root, const struct kv_entry *e)
{
    struct kv_entry **link = root;

    while (*link != e) {
        CHECK(*link != NULL);
        link = side(*link, entry_key(e));
    }
    return link;
}

/* Parts the tree `at` into the entries before `key` and those after it. */
static void split(struct kv_entry *at, struct bytes key, struct kv_entry **before,
                  struct kv_entry **after)
{
    while (at != NULL) {
        if (bytes_cmp(key, entry_key(at)) < 0) {
            *after = at;
            after = &at->left;
            at = at->left;
        } else {
            *before = at;
            before = &at->right;
            at = at->right;
        }
    }
    *before = *after = NULL;
}

static int by_key(const void *a, const void *b)
{
    return bytes_cmp(entry_key(*(struct kv_entry *const *) a),
                     entry_key(*(struct kv_entry *const *) b));
}

/* A tree of entries in key order. Every entry comes in at the right end: what has a lower
 * priority than it becomes its left side. The right edge of the tree stands in `edge`. */
static struct kv_entry *build(struct kv_entry **entries, size_t count)
{
    struct kv_entry **edge = mem_alloc(count * sizeof *edge), *root;
    size_t depth = 0;

    for (size_t i = 0; i < count; i++) {
        struct kv_entry *e = entries[i];

        e->left = e->right = NULL;
        while (depth > 0 && priority(edge[depth - 1]) < priority(e)) {
            e->left = edge[--depth];
        }
        if (depth > 0) edge[depth - 1]->right = e;
        edge[depth++] = e;
    }
    root = edge[0];
    free(edge);
    return root;
}

/* Both trees as one. The calls nest as deep as the trees are, which their seed keeps flat. */
static struct kv_entry *unite(struct kv_entry *a, struct kv_entry *b)
{
    struct kv_entry *top = a, *other = b, *before, *after;

    if (a == NULL || b == NULL) return a != NULL ? a : b;
    if (priority(a) < priority(b)) {
        top = b;
        other = a;
    }
    split(other, entry_key(top), &before, &after);
    top->left = unite(top->left, before);
    top->right = unite(top->right, after);
    return top;
}

void order_insert(struct kv_entry **root, struct kv_entry **entries, size_t count)
{
    if (count == 0) return;
    qsort(entries, count, sizeof *entries, by_key);
    for (size_t i = 0; i < count; i++) entries[i]->loose = false;
    *root = unite(*root, build(entries, count));
}

void order_remove(struct kv_entry **root, struct kv_entry *e)
{
    struct kv_entry **link = link_of(root, e);
    struct kv_entry *before = e->left, *after = e->right;

    while (before != NULL && after != NULL) {
        if (priority(before) >= priority(after)) {
            *link = before;
            link = &before->right;
            before = before->right;
        } else {
            *link = after;
            link = &after->left;
            after = after->left;
        }
    }
    *link = before != NULL ? before : after;
}

struct kv_entry *order_next(struct kv_entry *root, struct bytes from,
                            enum kv_direction direction)
{
    bool forward = direction == KV_FORWARD;
    struct kv_entry *nearest = NULL;

    for (struct kv_entry *at = root; at != NULL;) {
        int cmp = bytes_cmp(entry_key(at), from);

        if (forward ? cmp > 0 : cmp < 0) {
            nearest = at;
            at = forward ? at->left : at->right;
        } else {
            at = forward ? at->right : at->left;
        }
    }
    return nearest;
}

void order_walk(struct kv_entry *root, order_walk_fn each, void *ctx)
{
    while (root != NULL) {
        struct kv_entry *right = root->right;

        order_walk(root->left, each, ctx);
        each(ctx, root);
        root = right;
    }
}

size_t order_check(const struct kv_entry *root)
{
    size_t count = 0;

    for (; root != NULL; root = root->right) {
        const struct kv_entry *left = root->left, *right = root->right;

        CHECK(left == NULL || bytes_cmp(entry_key(left), entry_key(root)) < 0);   /* O1 */
        CHECK(right == NULL || bytes_cmp(entry_key(right), entry_key(root)) > 0); /* O1 */
        CHECK(left == NULL || priority(left) <= priority(root));                  /* O2 */
        CHECK(right == NULL || priority(right) <= priority(root));                /* O2 */
        count += 1 + order_check(left);
    }
    return count;
}
