#include "core/tree/tx.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "core/base/check.h"
#include "core/base/errors.h"
#include "core/base/limits.h"
#include "core/tree/path.h"
#include "core/tree/quota.h"
#include "core/tree/tx_inside.h"
#include "core/tree/walk.h"

void tx_init(struct tx *t, struct kv_view *below, uint64_t seed)
{
    *t = (struct tx){ 0 };
    kv_overlay_init(&t->over, below, seed);
}

void tx_fini(struct tx *t)
{
    kv_overlay_fini(&t->over);
    buf_fini(&t->ops);
    buf_fini(&t->reads);
    buf_fini(&t->emptied);
    buf_fini(&t->why);
}

void tx_reset(struct tx *t)
{
    kv_overlay_clear(&t->over);
    buf_clear(&t->ops);
    buf_clear(&t->reads);
    buf_clear(&t->emptied);
    buf_clear(&t->why);
    t->ops_count = t->ops_max = t->subtree_ops = 0;
    t->zxid = t->session = t->clock_ms = 0;
    t->time_ms = 0;
    t->tally = (struct tree_tally){ 0 };
    t->limits = (struct tx_limits){ 0 };
    t->reserved_allowed = t->read_only = t->track_reads = false;
}

/* -- Reading -------------------------------------------------------------------------- */

static void note_read(struct tx *t, struct bytes path)
{
    if (t->track_reads) buf_put_bytes(&t->reads, path);
}

bool tx_read(struct tx *t, struct bytes path, struct node *n)
{
    note_read(t, path);
    return node_read(&t->over.view, path, n);
}

bool tx_child_next(struct tx *t, struct bytes parent, struct bytes name,
                   enum kv_direction direction, struct buf *out)
{
    struct node n;

    note_read(t, parent);
    /* Lines that recipes look into are mostly empty, which their node tells. It is at hand,
     * where a seek past all that is on disk costs ten times as much. */
    if (!node_read(&t->over.view, parent, &n) || n.children == 0) return false;
    return node_child_next(&t->over.view, parent, name, direction, out);
}

bool tx_owned_next(struct tx *t, uint64_t session, struct bytes top, struct bytes after,
                   struct buf *out)
{
    struct buf prefix = { 0 }, from = { 0 }, key = { 0 };
    bool found;

    note_read(t, top);
    node_owner_key(&prefix, session, top);
    if (!path_is_root(top)) buf_put_u8(&prefix, '/');
    node_owner_key(&from, session, after);
    if (after.len <= top.len) {
        buf_clear(&from);
        buf_put_bytes_raw(&from, buf_bytes(&prefix));
    }
    found = path_is_within(after.len == 0 ? top : after, top) &&
            kv_seek(&t->over.view, buf_bytes(&prefix), buf_bytes(&from), KV_FORWARD, &key);
    buf_clear(out);
    if (found) buf_put_bytes_raw(out, node_owner_key_path(buf_bytes(&key)));
    buf_fini(&prefix);
    buf_fini(&from);
    buf_fini(&key);
    return found;
}

/* -- What every change must respect --------------------------------------------------- */

void tx_append_session(struct tx *t, const struct op *op)
{
    CHECK(!t->read_only); /* X3 */
    op_encode(&t->ops, op);
    t->ops_count++;
}

void tx_append(struct tx *t, const struct op *op)
{
    const struct tree_context c = { .zxid = t->zxid,
                                    .time_ms = t->time_ms,
                                    .clock_ms = t->clock_ms,
                                    .tally = &t->tally };

    /* The log first: the op may borrow from a cell that its effect replaces. */
    tx_append_session(t, op);
    tree_apply(&t->over, &c, op);
}

void tx_why(struct tx *t, const char *format, ...)
{
    va_list args;
    char text[256];

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    buf_clear(&t->why);
    buf_put_bytes_raw(&t->why, bytes_str(text));
}

int tx_check_room(struct tx *t, uint64_t count, uint64_t bytes)
{
    uint32_t ops_max = t->ops_max == 0 ? MULTI_OPS_MAX : t->ops_max;

    if (t->ops_count - t->subtree_ops + count > ops_max) return ERR_TOO_LARGE;
    if (t->ops.len + bytes + count * OP_HEAD_BYTES_MAX > TX_BYTES_MAX) return ERR_TOO_LARGE;
    return 0;
}

int tx_check_writable(struct tx *t, struct bytes path)
{
    buf_clear(&t->why);
    int err = t->read_only ? ERR_READ_ONLY : path_check(path);

    if (err != 0) return err;
    return path_is_reserved(path) && !t->reserved_allowed ? ERR_RESERVED : 0;
}

int tx_check_not_root(struct tx *t, struct bytes path)
{
    if (!path_is_root(path)) return 0;
    tx_why(t, "the root cannot be deleted");
    return ERR_BAD_PATH;
}

/* -- Quotas --------------------------------------------------------------------------- */

static void tell_quota(struct tx *t, struct bytes at, const struct quota *q)
{
    char nodes[64] = "", bytes[64] = "";

    if (q->nodes_max > 0) {
        snprintf(nodes, sizeof nodes, " %" PRIu64 " of %" PRIu64 " nodes%s", q->nodes,
                 q->nodes_max, q->bytes_max > 0 ? "," : "");
    }
    if (q->bytes_max > 0) {
        snprintf(bytes, sizeof bytes, " %" PRIu64 " of %" PRIu64 " bytes", q->bytes,
                 q->bytes_max);
    }
    tx_why(t, "of %.*s:%s%s", (int) (at.len > 128 ? 128 : at.len), (const char *) at.ptr,
           nodes, bytes);
}

static bool over(uint64_t max, uint64_t used, uint64_t more)
{
    return max != 0 && more > 0 && (used > max || more > max - used);
}

int tx_check_quotas(struct tx *t, struct bytes path, uint64_t nodes, uint64_t bytes)
{
    const struct quota whole = { t->limits.nodes, t->limits.bytes, t->tally.nodes,
                                 t->tally.bytes };
    struct bytes at = BYTES_LIT("the whole tree");
    struct quota q = whole;

    if (!over(whole.nodes_max, whole.nodes, nodes) &&
        !over(whole.bytes_max, whole.bytes, bytes) &&
        (t->tally.quotas == 0 ||
         !quota_exceeded(&t->over.view, path, nodes, bytes, &at, &q))) {
        return 0;
    }
    tell_quota(t, at, &q);
    return ERR_OVER_QUOTA;
}

int tx_quota(struct tx *t, struct bytes path, uint64_t nodes_max, uint64_t bytes_max)
{
    struct op op = {
        .kind = OP_QUOTA, .path = path, .nodes_max = nodes_max, .bytes_max = bytes_max
    };
    struct quota old = { 0 };
    const bool removes = nodes_max == 0 && bytes_max == 0;
    int err = t->read_only ? ERR_READ_ONLY : path_check(path);

    buf_clear(&t->why);
    if (err == 0) err = tx_check_room(t, 1, path.len);
    if (err != 0) return err;
    const bool is_new = !quota_read(&t->over.view, path, &old);
    op.nodes = old.nodes;
    op.bytes = old.bytes;
    if (is_new && !removes) {
        if (t->tally.quotas >= QUOTAS_MAX) {
            tx_why(t, "there are %d quotas already", QUOTAS_MAX);
            return ERR_TOO_LARGE;
        }
        if (!tree_count(&t->over.view, path, QUOTA_COUNT_MAX, &op.nodes, &op.bytes)) {
            tx_why(t, "a new quota over more than %d nodes; set it on parts of it, or before",
                   QUOTA_COUNT_MAX);
            return ERR_TOO_LARGE;
        }
    }
    if (!is_new || !removes) tx_append(t, &op);
    return 0;
}

/* -- Create --------------------------------------------------------------------------- */

/* The path to create, into `created`: with TX_SEQUENTIAL, the parent's number behind it.
 * The number is part of the name, so "/queue/" is a legal path to number. */
static int resolve_name(struct tx *t, struct bytes path, unsigned flags,
                        struct buf *created)
{
    struct node parent = { 0 };
    char number[24];
    int err;

    buf_clear(created);
    if (path.len > PATH_BYTES_MAX) return ERR_TOO_LARGE;
    buf_put_bytes_raw(created, path);
    if ((flags & TX_SEQUENTIAL) == 0) return tx_check_writable(t, path);

    buf_put_u8(created, '0');
    err = path_check(buf_bytes(created));
    if (err != 0) return err;
    MAYBE(tx_read(t, path_parent(buf_bytes(created)), &parent)); /* else the first number */
    created->len = path.len;
    snprintf(number, sizeof number, "%010llu", (unsigned long long) parent.created);
    buf_put_bytes_raw(created, bytes_str(number));
    return tx_check_writable(t, buf_bytes(created));
}

static bool session_is_alive(struct tx *t, uint64_t id)
{
    uint8_t room[KV_ID_KEY_BYTES];
    struct bytes value;

    return id != 0 && kv_get(&t->over.view, kv_id_key(room, 's', id), &value);
}

/* What is missing above a new node. */
struct missing {
    uint64_t count, bytes;
};

/* Finds the nearest ancestor that is there; it must be able to have children. */
static int check_ancestors(struct tx *t, struct bytes path, unsigned flags,
                           struct missing *missing)
{
    struct node above;

    for (path = path_parent(path); !tx_read(t, path, &above); path = path_parent(path)) {
        if ((flags & TX_PARENTS) == 0) return ERR_NO_NODE;
        missing->count++;
        missing->bytes += path.len;
    }
    return above.owner != 0 ? ERR_EPHEMERAL_PARENT : 0;
}

/* What `how` asks for, into the op; ERR_BAD_OPTION when it does not fit together. */
static int resolve_life(struct tx *t, const struct tx_creation *how, struct op *op)
{
    const bool ephemeral = (how->flags & TX_EPHEMERAL) != 0;
    const bool container = (how->flags & TX_CONTAINER) != 0;

    if (container + (how->ttl_ms > 0) + ephemeral > 1) {
        tx_why(t, "a node is ephemeral, or a container, or has a TTL");
        return ERR_BAD_OPTION;
    }
    if (how->ttl_ms > TTL_MS_MAX || how->linger_ms > LINGER_MS_MAX ||
        (how->linger_ms > 0 && !ephemeral)) {
        tx_why(t, "a TTL is 100 years at most; only an ephemeral node lingers, for %u ms",
               LINGER_MS_MAX);
        return ERR_BAD_OPTION;
    }
    op->owner = ephemeral ? t->session : 0;
    op->life_ms = how->ttl_ms + how->linger_ms;
    op->life = container            ? NODE_CONTAINER
               : how->ttl_ms > 0    ? NODE_TTL
               : how->linger_ms > 0 ? NODE_LINGERS
                                    : NODE_STAYS;
    return 0;
}

static int check_create(struct tx *t, const struct op *op, unsigned flags,
                        struct missing *missing)
{
    struct node n;
    int err;

    if (op->data.len > REQUEST_BYTES_MAX) return ERR_TOO_LARGE;
    if (tx_read(t, op->path, &n)) return ERR_NODE_EXISTS;
    err = check_ancestors(t, op->path, flags, missing);
    if (err != 0) return err;
    if ((flags & TX_EPHEMERAL) != 0 && !session_is_alive(t, t->session)) {
        return ERR_SESSION_EXPIRED;
    }
    err = tx_check_room(t, missing->count + 1,
                        missing->bytes + op->path.len + op->data.len);
    if (err != 0) return err;
    return tx_check_quotas(t, op->path, missing->count + 1, op->data.len);
}

static void create_parents(struct tx *t, struct bytes path)
{
    struct bytes top = path;
    struct node n;

    /* From the top down: every round ends the path at its next slash. */
    for (size_t i = 1; i < path.len; i++) {
        if (path.ptr[i] != '/') continue;
        top.len = i;
        if (node_read(&t->over.view, top, &n)) continue;
        tx_append(t, &(struct op){ .kind = OP_CREATE, .path = top });
    }
}

int tx_create(struct tx *t, struct bytes path, struct bytes data, unsigned flags,
              struct buf *created)
{
    return tx_create_as(t, path, data, &(struct tx_creation){ .flags = flags }, created);
}

int tx_create_as(struct tx *t, struct bytes path, struct bytes data,
                 const struct tx_creation *how, struct buf *created)
{
    struct op op = { .kind = OP_CREATE, .data = data };
    struct missing missing = { 0 };
    int err = resolve_name(t, path, how->flags, created);

    op.path = buf_bytes(created);
    if (err == 0) err = resolve_life(t, how, &op);
    if (err == 0) err = check_create(t, &op, how->flags, &missing);
    if (err != 0) {
        buf_clear(created);
        return err;
    }
    if (missing.count > 0) create_parents(t, op.path);
    tx_append(t, &op);
    return 0;
}

/* -- Set and delete ------------------------------------------------------------------- */

static int read_at_version(struct tx *t, struct bytes path, int64_t version, struct node *n)
{
    if (!tx_read(t, path, n)) return ERR_NO_NODE;
    return version != -1 && version != n->version ? ERR_BAD_VERSION : 0;
}

int tx_set(struct tx *t, struct bytes path, struct bytes data, int64_t version)
{
    struct node n;
    int err = tx_check_writable(t, path);

    if (err == 0 && data.len > REQUEST_BYTES_MAX) err = ERR_TOO_LARGE;
    if (err == 0) err = read_at_version(t, path, version, &n);
    if (err == 0) err = tx_check_room(t, 1, path.len + data.len);
    if (err == 0 && data.len > n.data.len) {
        err = tx_check_quotas(t, path, 0, data.len - n.data.len);
    }
    if (err != 0) return err;
    tx_append(t, &(struct op){ .kind = OP_SET, .path = path, .data = data });
    return 0;
}

int tx_touch(struct tx *t, struct bytes path)
{
    struct node n;
    int err = tx_check_writable(t, path);

    if (err == 0) err = read_at_version(t, path, -1, &n);
    if (err == 0) err = tx_check_room(t, 1, path.len);
    if (err != 0) return err;
    tx_append(t, &(struct op){ .kind = OP_TOUCH, .path = path });
    return 0;
}

int tx_delete(struct tx *t, struct bytes path, int64_t version)
{
    struct node n;
    int err = tx_check_writable(t, path);

    if (err == 0) err = tx_check_not_root(t, path);
    if (err == 0) err = read_at_version(t, path, version, &n);
    if (err == 0 && n.children > 0) err = ERR_NOT_EMPTY;
    if (err == 0) err = tx_check_room(t, 1, path.len);
    if (err != 0) return err;
    tx_append_delete(t, path);
    return 0;
}

void tx_append_delete(struct tx *t, struct bytes path)
{
    struct bytes parent = path_parent(path);
    struct node n;

    tx_append(t, &(struct op){ .kind = OP_DELETE, .path = path });
    if (node_read(&t->over.view, parent, &n) && n.life == NODE_CONTAINER &&
        n.children == 0) {
        buf_put_bytes(&t->emptied, parent);
    }
}

/* One that went already, or got another child, or was made anew, is passed over. */
static bool is_left_empty(struct tx *t, struct bytes path)
{
    struct node n;

    return node_read(&t->over.view, path, &n) && n.life == NODE_CONTAINER &&
           n.children == 0 && n.created > 0;
}

void tx_finish(struct tx *t)
{
    struct buf emptied = t->emptied;
    struct reader r = reader_of(buf_bytes(&emptied));

    t->emptied = (struct buf){ 0 }; /* those above a container are found here */
    while (reader_left(&r) > 0) {
        struct bytes path = read_bytes(&r, PATH_BYTES_MAX);

        for (; !path_is_root(path) && is_left_empty(t, path); path = path_parent(path)) {
            tx_append(t, &(struct op){ .kind = OP_DELETE, .path = path });
        }
    }
    buf_clear(&emptied);
    t->emptied = emptied;
}

/* -- Conditions ----------------------------------------------------------------------- */

int tx_check(struct tx *t, struct bytes path, int64_t version)
{
    struct node n;
    int err = path_check(path);

    return err != 0 ? err : read_at_version(t, path, version, &n);
}

int tx_check_absent(struct tx *t, struct bytes path)
{
    struct node n;
    int err = path_check(path);

    if (err != 0) return err;
    return tx_read(t, path, &n) ? ERR_NODE_EXISTS : 0;
}

int tx_guard(struct tx *t, struct bytes path, uint64_t token)
{
    struct node n;
    int err = path_check(path);

    if (err != 0) return err;
    return tx_read(t, path, &n) && n.czxid == token ? 0 : ERR_GUARD_FAILED;
}
