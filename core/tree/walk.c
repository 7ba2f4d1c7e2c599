#include "core/tree/walk.h"

#include "core/tree/path.h"

void tree_walk_init(struct tree_walk *w, struct kv_view *v, struct bytes top,
                    struct bytes after)
{
    *w = (struct tree_walk){ .view = v, .top = top };
    buf_put_bytes_raw(&w->path, after);
}

void tree_walk_fini(struct tree_walk *w)
{
    buf_fini(&w->path);
    buf_fini(&w->scratch);
}

static void append_name(struct tree_walk *w)
{
    if (!path_is_root(buf_bytes(&w->path))) buf_put_u8(&w->path, '/');
    buf_put_bytes_raw(&w->path, buf_bytes(&w->scratch));
}

static bool to_first_child(struct tree_walk *w)
{
    if (!node_child_next(w->view, buf_bytes(&w->path), BYTES_LIT(""), KV_FORWARD,
                         &w->scratch)) {
        return false;
    }
    append_name(w);
    return true;
}

static bool at_top(const struct tree_walk *w)
{
    return w->path.len <= w->top.len;
}

/* False: there is none behind it. */
static bool to_sibling(struct tree_walk *w)
{
    const struct bytes path = buf_bytes(&w->path);
    const struct bytes parent = path_parent(path);

    if (!node_child_next(w->view, parent, path_name(path), KV_FORWARD, &w->scratch)) {
        return false;
    }
    w->path.len = parent.len;
    append_name(w);
    return true;
}

static void to_parent(struct tree_walk *w)
{
    w->path.len = path_parent(buf_bytes(&w->path)).len;
}

bool tree_walk_down(struct tree_walk *w, bool into, struct node *n)
{
    if (w->path.len == 0) {
        buf_put_bytes_raw(&w->path, w->top);
        return node_read(w->view, w->top, n);
    }
    if (into && node_read(w->view, buf_bytes(&w->path), n) && n->children > 0 &&
        to_first_child(w)) {
        return node_read(w->view, buf_bytes(&w->path), n);
    }
    for (; !at_top(w); to_parent(w)) {
        if (to_sibling(w)) return node_read(w->view, buf_bytes(&w->path), n);
    }
    return false;
}

static void to_leaf(struct tree_walk *w)
{
    struct node n;

    while (node_read(w->view, buf_bytes(&w->path), &n) && n.children > 0) {
        if (!to_first_child(w)) return;
    }
}

bool tree_walk_up(struct tree_walk *w)
{
    struct node n;

    if (w->path.len == 0) {
        buf_put_bytes_raw(&w->path, w->top);
        if (!node_read(w->view, w->top, &n)) return false;
        to_leaf(w);
        return true;
    }
    if (at_top(w)) return false;
    if (to_sibling(w)) {
        to_leaf(w);
    } else {
        to_parent(w);
    }
    return true;
}

bool tree_count(struct kv_view *v, struct bytes top, uint64_t nodes_max, uint64_t *nodes,
                uint64_t *bytes)
{
    struct tree_walk w;
    struct node n;

    *nodes = *bytes = 0;
    tree_walk_init(&w, v, top, BYTES_LIT(""));
    while (*nodes <= nodes_max && tree_walk_down(&w, true, &n)) {
        *nodes += 1;
        *bytes += n.data.len;
    }
    tree_walk_fini(&w);
    return *nodes <= nodes_max;
}
