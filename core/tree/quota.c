#include "core/tree/quota.h"

#include "core/base/check.h"
#include "core/tree/path.h"
#include "core/tree/walk.h"

enum { FORMAT = 1, CELL_BYTES = 1 + 4 * 8, KEY_BYTES_MAX = 1 + PATH_BYTES_MAX };

/* In `room`, of KEY_BYTES_MAX. */
static struct bytes quota_key(uint8_t *room, struct bytes path)
{
    CHECK(path.len <= PATH_BYTES_MAX);
    room[0] = 'q';
    memcpy(room + 1, path.ptr, path.len);
    return bytes_of(room, path.len + 1);
}

bool quota_read(struct kv_view *v, struct bytes path, struct quota *q)
{
    uint8_t room[KEY_BYTES_MAX];
    struct bytes cell;

    if (!kv_get(v, quota_key(room, path), &cell)) return false;
    CHECK(cell.len == CELL_BYTES);
    CHECK(cell.ptr[0] == FORMAT);
    *q = (struct quota){ .nodes_max = get_u64(cell.ptr + 1),
                         .bytes_max = get_u64(cell.ptr + 9),
                         .nodes = get_u64(cell.ptr + 17),
                         .bytes = get_u64(cell.ptr + 25) };
    return true;
}

static void quota_put(struct kv_overlay *o, uint64_t zxid, struct bytes path,
                      const struct quota *q)
{
    uint8_t room[KEY_BYTES_MAX], cell[CELL_BYTES] = { FORMAT };

    put_u64(cell + 1, q->nodes_max);
    put_u64(cell + 9, q->bytes_max);
    put_u64(cell + 17, q->nodes);
    put_u64(cell + 25, q->bytes);
    kv_put(o, quota_key(room, path), bytes_of(cell, sizeof cell), zxid);
}

bool quota_next(struct kv_view *v, struct buf *path)
{
    struct buf from = { 0 };
    bool found;

    buf_put_u8(&from, 'q');
    buf_put_bytes_raw(&from, buf_bytes(path));
    found = kv_seek(v, BYTES_LIT("q"), buf_bytes(&from), KV_FORWARD, path);
    if (found) buf_drop(path, 1);
    buf_fini(&from);
    return found;
}

static bool over(uint64_t max, uint64_t used, uint64_t more)
{
    return max != 0 && more > 0 && (used > max || more > max - used);
}

bool quota_exceeded(struct kv_view *v, struct bytes path, uint64_t nodes, uint64_t bytes,
                    struct bytes *at, struct quota *q)
{
    for (*at = path;; *at = path_parent(*at)) {
        if (quota_read(v, *at, q) &&
            (over(q->nodes_max, q->nodes, nodes) || over(q->bytes_max, q->bytes, bytes))) {
            return true;
        }
        if (path_is_root(*at)) return false;
    }
}

void quotas_account(struct kv_overlay *o, uint64_t zxid, struct bytes path, int64_t nodes,
                    int64_t bytes)
{
    for (struct bytes at = path;; at = path_parent(at)) {
        struct quota q;

        if (quota_read(&o->view, at, &q)) {
            q.nodes += (uint64_t) nodes;
            q.bytes += (uint64_t) bytes;
            quota_put(o, zxid, at, &q);
        }
        if (path_is_root(at)) return;
    }
}

void quota_apply(struct kv_overlay *o, const struct tree_context *c, const struct op *op)
{
    uint8_t room[KEY_BYTES_MAX];
    struct quota q;
    const bool was = quota_read(&o->view, op->path, &q);

    if (op->nodes_max == 0 && op->bytes_max == 0) {
        MAYBE(kv_take(o, quota_key(room, op->path), c->zxid));
        if (was && c->tally != NULL) c->tally->quotas--;
        return;
    }
    q = (struct quota){ op->nodes_max, op->bytes_max, op->nodes, op->bytes };
    quota_put(o, c->zxid, op->path, &q);
    if (!was && c->tally != NULL) c->tally->quotas++;
}

void quotas_check(struct kv_view *v)
{
    struct buf path = { 0 };

    while (quota_next(v, &path)) {
        uint64_t nodes, bytes;
        struct quota q;

        CHECK(quota_read(v, buf_bytes(&path), &q));
        CHECK(tree_count(v, buf_bytes(&path), UINT64_MAX, &nodes, &bytes));
        CHECK(q.nodes == nodes); /* T6 */
        CHECK(q.bytes == bytes);
    }
    buf_fini(&path);
}
