#include "core/tree/tree.h"

#include "core/base/check.h"
#include "core/tree/node.h"
#include "core/tree/path.h"
#include "core/tree/quota.h"
#include "core/tree/walk.h"

enum {
    ROOM_BYTES = KV_ID_KEY_BYTES + NODE_KEY_BYTES_MAX, /* the keys of nodes and of owners */
    CELL_ROOM_BYTES = 512, /* most cells fit; a larger one is worth a malloc */
};

/* One change being applied: where, when, and work space for its keys. */
struct change {
    struct kv_overlay *o;
    const struct tree_context *context;
    struct buf key; /* lies in a room of ROOM_BYTES: paths are bounded, so it never grows */
};

static struct change change_begin(struct kv_overlay *o, const struct tree_context *c,
                                  uint8_t room[ROOM_BYTES])
{
    return (struct change){ .o = o,
                            .context = c,
                            .key = { .ptr = room, .cap = ROOM_BYTES } };
}

static void change_end(const struct change *c)
{
    CHECK(c->key.cap == ROOM_BYTES);
}

static void put_cell(struct change *c, struct bytes path, const struct node *n,
                     void (*put)(struct kv_overlay *, struct bytes, struct bytes, uint64_t))
{
    uint8_t room[CELL_ROOM_BYTES];
    struct buf cell = { 0 };

    if (NODE_HEAD_BYTES_MAX + n->data.len <= sizeof room) {
        cell = (struct buf){ .ptr = room, .cap = sizeof room };
    }
    node_key(&c->key, path);
    node_encode(&cell, n);
    put(c->o, buf_bytes(&c->key), buf_bytes(&cell), c->context->zxid);
    if (cell.ptr != room) buf_fini(&cell);
}

static void put_node(struct change *c, struct bytes path, const struct node *n)
{
    put_cell(c, path, n, kv_put);
}

/* The node that the op rests on: resolving made sure that it is there. */
static struct node need_node(struct change *c, struct bytes path)
{
    struct node n;
    bool found = node_read(&c->o->view, path, &n);

    CHECK(found);
    return n;
}

/* -- What expires --------------------------------------------------------------------- */

static void expiry_forget(struct change *c, struct bytes path, struct node *n)
{
    if (n->expires == 0) return;
    node_expiry_key(&c->key, n->expires, path);
    kv_delete(c->o, buf_bytes(&c->key), c->context->zxid);
    n->expires = 0;
}

/* A TTL node without children was changed: its time begins anew. */
static void expiry_begin(struct change *c, struct bytes path, struct node *n)
{
    struct tree_tally *tally = c->context->tally;
    uint64_t expires = c->context->clock_ms + n->life_ms;

    if (n->life != NODE_TTL || n->children > 0 || n->expires == expires) return;
    expiry_forget(c, path, n);
    n->expires = expires;
    node_expiry_key(&c->key, expires, path);
    kv_put(c->o, buf_bytes(&c->key), BYTES_LIT(""), c->context->zxid);
    if (tally != NULL && expires < tally->expires_first) tally->expires_first = expires;
}

/* -- What the tree adds up to --------------------------------------------------------- */

static void account(struct change *c, struct bytes path, int64_t nodes, int64_t bytes)
{
    struct tree_tally *tally = c->context->tally;

    if (tally == NULL) return;
    tally->nodes += (uint64_t) nodes; /* wraps as it should for what goes */
    tally->bytes += (uint64_t) bytes;
    if (tally->quotas > 0) quotas_account(c->o, c->context->zxid, path, nodes, bytes);
}

/* -- Ops ------------------------------------------------------------------------------ */

static void parent_gains(struct change *c, struct bytes path)
{
    struct node parent = need_node(c, path);

    CHECK(parent.owner == 0); /* T2 */
    parent.children++;
    parent.created++;
    parent.pzxid = c->context->zxid;
    expiry_forget(c, path, &parent);
    put_node(c, path, &parent);
}

static void parent_loses(struct change *c, struct bytes path)
{
    struct node parent = need_node(c, path);

    CHECK(parent.children > 0); /* T1 */
    parent.children--;
    parent.pzxid = c->context->zxid;
    expiry_begin(c, path, &parent);
    put_node(c, path, &parent);
}

static void apply_create(struct change *c, const struct op *op)
{
    struct node n = { .czxid = c->context->zxid,
                      .mzxid = c->context->zxid,
                      .pzxid = c->context->zxid,
                      .ctime = c->context->time_ms,
                      .mtime = c->context->time_ms,
                      .owner = op->owner,
                      .life = op->life,
                      .life_ms = op->life_ms,
                      .data = op->data };

    /* That the path is free was seen when the op was resolved: to ask the whole state again
     * on every server would be the dearest part of a create. */
    parent_gains(c, path_parent(op->path));
    expiry_begin(c, op->path, &n);
    put_cell(c, op->path, &n, kv_put_new);
    account(c, op->path, 1, (int64_t) op->data.len);
    if (op->owner == 0) return;
    node_owner_key(&c->key, op->owner, op->path);
    kv_put_new(c->o, buf_bytes(&c->key), BYTES_LIT(""), c->context->zxid);
}

/* -1 in a request means any version, so no node is ever at it. */
static int32_t version_after(int32_t version)
{
    if (version == INT32_MAX) return INT32_MIN;
    return version == -2 ? 0 : version + 1;
}

static void apply_set(struct change *c, const struct op *op)
{
    struct node n = need_node(c, op->path);
    const int64_t grown = (int64_t) op->data.len - (int64_t) n.data.len;

    n.version = version_after(n.version);
    n.mzxid = c->context->zxid;
    n.mtime = c->context->time_ms;
    n.data = op->data;
    expiry_begin(c, op->path, &n);
    put_node(c, op->path, &n);
    account(c, op->path, 0, grown);
}

static void apply_touch(struct change *c, const struct op *op)
{
    struct node n = need_node(c, op->path);

    n.mtime = c->context->time_ms;
    expiry_begin(c, op->path, &n);
    put_node(c, op->path, &n);
}

static void apply_delete(struct change *c, const struct op *op)
{
    struct node n = need_node(c, op->path);

    CHECK(n.children == 0); /* T3 */
    account(c, op->path, -1, -(int64_t) n.data.len);
    expiry_forget(c, op->path, &n);
    parent_loses(c, path_parent(op->path));
    node_key(&c->key, op->path);
    kv_delete(c->o, buf_bytes(&c->key), c->context->zxid);
    if (n.owner == 0) return;
    node_owner_key(&c->key, n.owner, op->path);
    kv_delete(c->o, buf_bytes(&c->key), c->context->zxid);
}

void tree_apply(struct kv_overlay *o, const struct tree_context *c, const struct op *op)
{
    uint8_t room[ROOM_BYTES];
    struct change change = change_begin(o, c, room);

    CHECK(op_is_of_tree(op->kind)); /* session_apply() and roster_apply() have the others */
    switch (op->kind) {
    case OP_CREATE:
        apply_create(&change, op);
        break;
    case OP_SET:
        apply_set(&change, op);
        break;
    case OP_DELETE:
        apply_delete(&change, op);
        break;
    case OP_TOUCH:
        apply_touch(&change, op);
        break;
    case OP_QUOTA:
        quota_apply(o, c, op);
        break;
    case OP_SESSION_OPEN:
    case OP_SESSION_CLOSE:
    case OP_SESSION_END:
    case OP_MEMBERS:
        break;
    }
    change_end(&change);
}

void tree_found(struct kv_overlay *o)
{
    uint8_t room[ROOM_BYTES];
    struct change change = change_begin(o, &(struct tree_context){ 0 }, room);
    struct node root = { .data = BYTES_LIT("") };
    bool taken = node_read(&o->view, BYTES_LIT("/"), &root);

    CHECK(!taken);
    put_node(&change, BYTES_LIT("/"), &root);
    change_end(&change);
}

/* -- Checking ------------------------------------------------------------------------- */

/* The path that a node's key stands for, into `out`. */
static void path_of_key(struct buf *out, struct bytes key)
{
    struct bytes name = node_key_name(key);
    struct bytes parent = bytes_of(key.ptr + 1, key.len - name.len - 2);

    if (parent.len > 0) {
        path_join(out, parent, name);
    } else {
        buf_clear(out);
        buf_put_u8(out, '/');
    }
}

static uint64_t children_count(struct kv_view *v, struct bytes path)
{
    struct buf name = { 0 };
    uint64_t count = 0;

    while (node_child_next(v, path, buf_bytes(&name), KV_FORWARD, &name)) count++;
    buf_fini(&name);
    return count;
}

static void check_owner(struct kv_view *v, struct bytes path, uint64_t owner)
{
    uint8_t room[KV_ID_KEY_BYTES];
    struct buf key = { 0 };
    struct bytes value;

    node_owner_key(&key, owner, path);
    CHECK(kv_get(v, buf_bytes(&key), &value));             /* T2 */
    CHECK(kv_get(v, kv_id_key(room, 's', owner), &value)); /* T2 */
    buf_fini(&key);
}

static void check_expiry(struct kv_view *v, struct bytes path, const struct node *n)
{
    struct buf key = { 0 };
    struct bytes value;

    CHECK((n->expires != 0) == (n->life == NODE_TTL && n->children == 0)); /* T5 */
    if (n->expires == 0) return;
    node_expiry_key(&key, n->expires, path);
    CHECK(kv_get(v, buf_bytes(&key), &value)); /* T5 */
    buf_fini(&key);
}

static void check_node(struct kv_view *v, struct bytes path)
{
    struct node n, parent;

    CHECK(node_read(v, path, &n));
    CHECK(n.children == children_count(v, path)); /* T1 */
    CHECK(n.children <= n.created);
    CHECK(n.version != -1);
    CHECK(n.czxid <= n.mzxid); /* T4 */
    CHECK(n.czxid <= n.pzxid);
    if (!path_is_root(path)) {
        CHECK(node_read(v, path_parent(path), &parent)); /* T3 */
        CHECK(parent.owner == 0);                        /* T2 */
        CHECK(parent.pzxid >= n.czxid);
    }
    if (n.owner != 0) check_owner(v, path, n.owner);
    check_expiry(v, path, &n);
}

/* The node that an 'e' cell names is there and has that owner. */
static void check_owned(struct kv_view *v, struct bytes key)
{
    struct node n;

    CHECK(node_read(v, node_owner_key_path(key), &n));
    CHECK(n.owner == get_u64_be(key.ptr + 1));
}

static void check_expiring(struct kv_view *v, struct bytes key)
{
    struct node n;

    CHECK(node_read(v, node_expiry_key_path(key), &n));
    CHECK(n.expires == get_u64_be(key.ptr + 1)); /* T5 */
}

struct tree_tally tree_tally_count(struct kv_view *v)
{
    struct tree_tally tally = { 0 };
    struct buf key = { 0 };

    tree_count(v, BYTES_LIT("/"), UINT64_MAX, &tally.nodes, &tally.bytes);
    while (kv_next(v, BYTES_LIT("q"), &key)) tally.quotas++;
    return tally;
}

void tree_check(struct kv_view *v)
{
    struct buf key = { 0 }, path = { 0 };

    while (kv_next(v, BYTES_LIT("n"), &key)) {
        path_of_key(&path, buf_bytes(&key));
        check_node(v, buf_bytes(&path));
    }
    while (kv_next(v, BYTES_LIT("e"), &key)) check_owned(v, buf_bytes(&key));
    while (kv_next(v, BYTES_LIT("t"), &key)) check_expiring(v, buf_bytes(&key));
    quotas_check(v);
    buf_fini(&path);
}
