/* walk.h -- through a node and all below it, some nodes at a time, while the tree goes on
 * changing.
 *
 * The order is that of a table of contents: a node stands before those below it, siblings
 * in the order of their names' bytes. A walk is known by the path that it passed last, which
 * may be gone by now; so it costs nothing while it rests. Pure. */
#ifndef CORE_WATCH_WALK_H
#define CORE_WATCH_WALK_H

#include "core/kv/kv.h"

struct walk {
    struct buf top;
    struct buf passed; /* the path passed last; empty: none yet */
    bool deep;         /* all below `top` too */
};

void walk_init(struct walk *w, struct bytes top, bool deep);
void walk_fini(struct walk *w);

/* Passes on to the next node there is, whose path is w->passed then; false: there is no
 * other. */
bool walk_next(struct walk *w, struct kv_view *view);

/* True: the walk has passed where that path stands, or would stand. */
bool walk_has_passed(const struct walk *w, struct bytes path);

/* Negative, 0, positive: the order of a walk. */
int walk_compare(struct bytes a, struct bytes b);

#endif
