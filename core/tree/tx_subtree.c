/* Changes of whole subtrees. What is to be done is gathered first, so that one that is too
 * large changes nothing (X1). */
#include "core/base/check.h"
#include "core/base/errors.h"
#include "core/base/limits.h"
#include "core/tree/path.h"
#include "core/tree/tx_inside.h"
#include "core/tree/walk.h"

/* How many more ops of subtrees there may be, and how many bytes of them with their heads. */
static uint64_t ops_left(const struct tx *t)
{
    return SUBTREE_NODES_MAX - t->subtree_ops;
}

static uint64_t bytes_left(const struct tx *t)
{
    return t->ops.len < TX_BYTES_MAX ? TX_BYTES_MAX - t->ops.len : 0;
}

static int too_large(struct tx *t, const char *what)
{
    tx_why(t, "%s: one transaction takes %u nodes and %u bytes", what, SUBTREE_NODES_MAX,
           TX_BYTES_MAX);
    return ERR_TOO_LARGE;
}

/* -- Delete --------------------------------------------------------------------------- */

/* Paths, leaves first, until there is no room for more. */
static void gather_up(struct tx *t, struct bytes top, struct buf *paths,
                      struct tx_deleted *deleted)
{
    struct tree_walk w;
    uint64_t bytes = 0;

    tree_walk_init(&w, &t->over.view, top, BYTES_LIT(""));
    while (!deleted->more && tree_walk_up(&w)) {
        bytes += w.path.len + OP_HEAD_BYTES_MAX;
        deleted->more = deleted->nodes == ops_left(t) || bytes > bytes_left(t);
        if (deleted->more) break;
        deleted->nodes++;
        buf_put_bytes(paths, buf_bytes(&w.path));
    }
    tree_walk_fini(&w);
}

static void delete_gathered(struct tx *t, struct bytes paths)
{
    struct reader r = reader_of(paths);

    while (reader_left(&r) > 0) {
        tx_append_delete(t, read_bytes(&r, PATH_BYTES_MAX));
        t->subtree_ops++;
    }
}

int tx_delete_tree(struct tx *t, struct bytes path, bool partly, struct tx_deleted *deleted)
{
    struct buf paths = { 0 };
    struct node n;
    int err = tx_check_writable(t, path);

    *deleted = (struct tx_deleted){ 0 };
    if (err == 0) err = tx_check_not_root(t, path);
    if (err == 0 && !tx_read(t, path, &n)) err = ERR_NO_NODE;
    if (err != 0) return err;
    gather_up(t, path, &paths, deleted);
    if (deleted->more && (!partly || deleted->nodes == 0)) {
        err = too_large(t, "the subtree; delete it in steps");
    } else {
        delete_gathered(t, buf_bytes(&paths));
    }
    buf_fini(&paths);
    return err;
}

/* -- Copy ----------------------------------------------------------------------------- */

struct copying {
    struct tx *t;
    struct bytes from, to;
    struct buf path; /* of the node at hand, where it goes */
    uint64_t nodes, bytes, data;
};

static void put_target(struct copying *c, struct bytes path)
{
    const bool root = path_is_root(c->from);

    buf_clear(&c->path);
    buf_put_bytes_raw(&c->path, c->to);
    buf_put_bytes_raw(&c->path, bytes_of(path.ptr + (root ? 0 : c->from.len),
                                         path.len - (root ? 0 : c->from.len)));
}

static int copy_measure(struct copying *c)
{
    struct tree_walk w;
    struct node n;
    int err = 0;

    tree_walk_init(&w, &c->t->over.view, c->from, BYTES_LIT(""));
    while (err == 0 && tree_walk_down(&w, true, &n)) {
        if (n.owner != 0) continue;
        put_target(c, buf_bytes(&w.path));
        c->nodes++;
        c->data += n.data.len;
        c->bytes += c->path.len + n.data.len + OP_HEAD_BYTES_MAX;
        if (c->path.len > PATH_BYTES_MAX) {
            tx_why(c->t, "a path of the copy would be longer than %u bytes", PATH_BYTES_MAX);
            err = ERR_TOO_LARGE;
        } else if (c->nodes > ops_left(c->t) || c->bytes > bytes_left(c->t)) {
            err = too_large(c->t, "the copy");
        }
    }
    tree_walk_fini(&w);
    return err;
}

/* The walk goes over the source, which the new nodes are no part of. */
static void copy_run(struct copying *c)
{
    struct tree_walk w;
    struct node n;

    tree_walk_init(&w, &c->t->over.view, c->from, BYTES_LIT(""));
    while (tree_walk_down(&w, true, &n)) {
        if (n.owner != 0) continue;
        put_target(c, buf_bytes(&w.path));
        tx_append(c->t, &(struct op){ .kind = OP_CREATE,
                                      .path = buf_bytes(&c->path),
                                      .data = n.data,
                                      .life = n.life,
                                      .life_ms = n.life_ms });
        c->t->subtree_ops++;
    }
    tree_walk_fini(&w);
}

static int check_ends(struct tx *t, struct bytes from, struct bytes to)
{
    struct node n;
    int err = tx_check_writable(t, to);

    if (err == 0) err = path_check(from);
    if (err != 0) return err;
    if (path_is_within(to, from) || path_is_within(from, to)) {
        tx_why(t, "one of the two lies in the other");
        return ERR_BAD_PATH;
    }
    if (!tx_read(t, from, &n)) return ERR_NO_NODE;
    if (n.owner != 0) return ERR_EPHEMERAL_PARENT;
    if (tx_read(t, to, &n)) return ERR_NODE_EXISTS;
    if (!tx_read(t, path_parent(to), &n)) return ERR_NO_NODE;
    return n.owner != 0 ? ERR_EPHEMERAL_PARENT : 0;
}

int tx_copy(struct tx *t, struct bytes from, struct bytes to, uint64_t *nodes)
{
    struct copying c = { .t = t, .from = from, .to = to };
    int err = check_ends(t, from, to);

    if (err == 0) err = copy_measure(&c);
    if (err == 0) err = tx_check_quotas(t, to, c.nodes, c.data);
    if (err == 0) copy_run(&c);
    *nodes = err == 0 ? c.nodes : 0;
    buf_fini(&c.path);
    return err;
}
