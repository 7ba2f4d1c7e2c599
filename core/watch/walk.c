#include "core/watch/walk.h"

#include "core/tree/node.h"
#include "core/tree/path.h"

void walk_init(struct walk *w, struct bytes top, bool deep)
{
    *w = (struct walk){ .deep = deep };
    buf_put_bytes_raw(&w->top, top);
}

void walk_fini(struct walk *w)
{
    buf_fini(&w->top);
    buf_fini(&w->passed);
}

/* The end of a path stands before a slash, and a slash before every other byte. */
static int rank(struct bytes path, size_t i)
{
    if (i == path.len) return -1;
    return path.ptr[i] == '/' ? 0 : path.ptr[i];
}

int walk_compare(struct bytes a, struct bytes b)
{
    const size_t both = a.len < b.len ? a.len : b.len;
    size_t i = 0;

    while (i < both && a.ptr[i] == b.ptr[i]) i++;
    return rank(a, i) - rank(b, i);
}

bool walk_has_passed(const struct walk *w, struct bytes path)
{
    return w->passed.len > 0 && walk_compare(path, buf_bytes(&w->passed)) <= 0;
}

static void pass(struct walk *w, struct bytes parent, struct buf *name)
{
    struct buf path = { 0 };

    path_join(&path, parent, buf_bytes(name));
    buf_fini(&w->passed);
    w->passed = path;
}

/* From the path passed last: its first child, else the next sibling of it or of the nearest
 * of those above it that has one. */
static bool step(struct walk *w, struct kv_view *view, struct buf *name)
{
    const struct bytes top = buf_bytes(&w->top);
    struct bytes at = buf_bytes(&w->passed), after = BYTES_LIT("");

    while (!node_child_next(view, at, after, KV_FORWARD, name)) {
        if (bytes_equal(at, top)) return false;
        after = path_name(at);
        at = path_parent(at);
    }
    pass(w, at, name);
    return true;
}

bool walk_next(struct walk *w, struct kv_view *view)
{
    struct buf name = { 0 };
    struct node n;
    bool found;

    if (w->passed.len == 0) {
        buf_put_bytes_raw(&w->passed, buf_bytes(&w->top));
        return node_read(view, buf_bytes(&w->top), &n);
    }
    found = w->deep && step(w, view, &name);
    buf_fini(&name);
    return found;
}
