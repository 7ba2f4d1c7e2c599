/* walk.h -- the nodes of a subtree, one after the other, on any view.
 *
 * Depth first, children in byte order of their names. A walk holds one path and nothing else,
 * so it can be left and taken up again at any path, in another request and at a later state:
 * what has gone meanwhile is passed over. Each step reads one node and seeks once, or once a
 * level on its way up. Pure. */
#ifndef CORE_TREE_WALK_H
#define CORE_TREE_WALK_H

#include "core/tree/node.h"

struct tree_walk {
    struct kv_view *view;
    struct bytes top; /* borrowed */
    struct buf path;  /* of the node at hand; empty before the first */
    struct buf scratch;
};

/* `after`: where to go on, a path at or below `top`; empty: begin at `top` itself. */
void tree_walk_init(struct tree_walk *w, struct kv_view *v, struct bytes top,
                    struct bytes after);
void tree_walk_fini(struct tree_walk *w);

/* A node before its children: moves w->path on and reads what is there. `into` false: what is
 * below the node at hand is left out. False at the end. `n` borrows from the view. */
bool tree_walk_down(struct tree_walk *w, bool into, struct node *n);

/* A node after its children, `top` last. Nothing may be deleted meanwhile. */
bool tree_walk_up(struct tree_walk *w);

/* How many nodes the subtree has and how many bytes of data, itself included; false when
 * there are more than nodes_max, and the counts are of a part. 0 when there is no such node. */
bool tree_count(struct kv_view *v, struct bytes top, uint64_t nodes_max, uint64_t *nodes,
                uint64_t *bytes);

#endif
