#include "core/tree/node.h"

#include "core/base/check.h"
#include "core/base/errors.h"
#include "core/tree/path.h"

enum {
    FORMAT_PLAIN = 1,
    FORMAT_WITH_LIFE = 2,
    FLAG_NULL = 1,
    HEAD_BYTES = 80,
    LIFE_BYTES = 16,
};
static_assert(HEAD_BYTES + LIFE_BYTES == NODE_HEAD_BYTES_MAX, "the longest head");

struct stat_view node_stat(const struct node *n)
{
    return (struct stat_view){
        .czxid = n->czxid,
        .mzxid = n->mzxid,
        .pzxid = n->pzxid,
        .ctime = n->ctime,
        .mtime = n->mtime,
        .version = n->version,
        .cversion = (int32_t) (uint32_t) (2 * n->created - n->children),
        .aversion = n->aversion,
        .ephemeral_owner = n->owner,
        .data_length = n->data.len,
        .num_children = n->children,
        .ttl = n->life == NODE_TTL ? n->life_ms : 0,
        .container = n->life == NODE_CONTAINER,
    };
}

/* -- Keys ----------------------------------------------------------------------------- */

static void key_put(struct buf *out, struct bytes parent, struct bytes name)
{
    buf_put_u8(out, 'n');
    buf_put_bytes_raw(out, parent);
    buf_put_u8(out, 0);
    buf_put_bytes_raw(out, name);
}

void node_key(struct buf *out, struct bytes path)
{
    buf_clear(out);
    if (path_is_root(path)) key_put(out, BYTES_LIT(""), BYTES_LIT(""));
    else key_put(out, path_parent(path), path_name(path));
}

void node_children_prefix(struct buf *out, struct bytes parent)
{
    buf_clear(out);
    key_put(out, parent, BYTES_LIT(""));
}

void node_owner_prefix(struct buf *out, uint64_t owner)
{
    uint8_t room[KV_ID_KEY_BYTES];

    buf_clear(out);
    buf_put_bytes_raw(out, kv_id_key(room, 'e', owner));
}

void node_owner_key(struct buf *out, uint64_t owner, struct bytes path)
{
    node_owner_prefix(out, owner);
    buf_put_bytes_raw(out, path);
}

void node_expiry_key(struct buf *out, uint64_t expires, struct bytes path)
{
    uint8_t room[KV_ID_KEY_BYTES];

    buf_clear(out);
    buf_put_bytes_raw(out, kv_id_key(room, 't', expires));
    buf_put_bytes_raw(out, path);
}

struct bytes node_key_name(struct bytes key)
{
    const uint8_t *zero = memchr(key.ptr, 0, key.len);

    CHECK(zero != NULL);
    return bytes_of(zero + 1, (size_t) (key.ptr + key.len - zero) - 1);
}

struct bytes node_owner_key_path(struct bytes key)
{
    CHECK(key.len > KV_ID_KEY_BYTES);
    return bytes_of(key.ptr + KV_ID_KEY_BYTES, key.len - KV_ID_KEY_BYTES);
}

struct bytes node_expiry_key_path(struct bytes key)
{
    return node_owner_key_path(key); /* they are of one form */
}

/* -- Values --------------------------------------------------------------------------- */

void node_encode(struct buf *out, const struct node *n)
{
    const bool plain = n->life == NODE_STAYS;
    const size_t head_len = plain ? HEAD_BYTES : HEAD_BYTES + LIFE_BYTES;
    uint8_t head[HEAD_BYTES + LIFE_BYTES] = { plain ? FORMAT_PLAIN : FORMAT_WITH_LIFE };

    head[1] = n->data.ptr == NULL ? FLAG_NULL : 0;
    head[2] = (uint8_t) n->life;
    put_u32(head + 4, (uint32_t) n->version);
    put_u32(head + 8, (uint32_t) n->aversion);
    put_u64(head + 16, n->czxid);
    put_u64(head + 24, n->mzxid);
    put_u64(head + 32, n->pzxid);
    put_u64(head + 40, (uint64_t) n->ctime);
    put_u64(head + 48, (uint64_t) n->mtime);
    put_u64(head + 56, n->owner);
    put_u64(head + 64, n->children);
    put_u64(head + 72, n->created);
    put_u64(head + 80, n->life_ms);
    put_u64(head + 88, n->expires);
    buf_clear(out);
    buf_reserve(out, head_len + n->data.len);
    buf_put(out, head, head_len);
    buf_put_bytes_raw(out, n->data);
}

static bool head_is_legal(const uint8_t *head, size_t data_len)
{
    return (head[1] == 0 || (head[1] == FLAG_NULL && data_len == 0)) && head[3] == 0 &&
           get_u32(head + 12) == 0;
}

/* Each life has what it needs, and no more: no two cells say the same. */
static bool life_is_legal(const struct node *n)
{
    switch (n->life) {
    case NODE_STAYS:
        return false; /* that is format 1 */
    case NODE_CONTAINER:
        return n->owner == 0 && n->life_ms == 0 && n->expires == 0;
    case NODE_TTL:
        return n->owner == 0 && n->life_ms > 0 && (n->expires != 0) == (n->children == 0);
    case NODE_LINGERS:
        return n->owner != 0 && n->life_ms > 0 && n->expires == 0;
    }
    return false;
}

static int decode_life(const uint8_t *head, struct node *n)
{
    if (head[2] > NODE_LINGERS) return ERR_DAMAGED;
    n->life = (enum node_life) head[2];
    n->life_ms = get_u64(head + 80);
    n->expires = get_u64(head + 88);
    return life_is_legal(n) ? 0 : ERR_DAMAGED;
}

int node_decode(struct bytes cell, struct node *n)
{
    const uint8_t *head = cell.ptr;
    size_t head_len = HEAD_BYTES;

    if (cell.len == 0) return ERR_DAMAGED;
    if (head[0] != FORMAT_PLAIN && head[0] != FORMAT_WITH_LIFE) return ERR_OTHER_VERSION;
    if (head[0] == FORMAT_WITH_LIFE) head_len += LIFE_BYTES;
    if (cell.len < head_len) return ERR_DAMAGED;
    if (!head_is_legal(head, cell.len - head_len)) return ERR_DAMAGED;
    *n = (struct node){
        .version = (int32_t) get_u32(head + 4),
        .aversion = (int32_t) get_u32(head + 8),
        .czxid = get_u64(head + 16),
        .mzxid = get_u64(head + 24),
        .pzxid = get_u64(head + 32),
        .ctime = (int64_t) get_u64(head + 40),
        .mtime = (int64_t) get_u64(head + 48),
        .owner = get_u64(head + 56),
        .children = get_u64(head + 64),
        .created = get_u64(head + 72),
    };
    if (head[1] == 0) n->data = bytes_of(head + head_len, cell.len - head_len);
    if (head[0] == FORMAT_WITH_LIFE) return decode_life(head, n);
    return head[2] == 0 ? 0 : ERR_DAMAGED;
}

/* -- Reading -------------------------------------------------------------------------- */

bool node_read(struct kv_view *v, struct bytes path, struct node *n)
{
    uint8_t room[NODE_KEY_BYTES_MAX];
    struct buf key = { .ptr = room, .cap = sizeof room }; /* a path is bounded: no growth */
    struct bytes cell;

    if (path_check(path) != 0) return false;
    node_key(&key, path);
    CHECK(key.ptr == room);
    if (!kv_get(v, buf_bytes(&key), &cell)) return false;
    CHECK(node_decode(cell, n) == 0);
    return true;
}

bool node_child_next(struct kv_view *v, struct bytes parent, struct bytes name,
                     enum kv_direction direction, struct buf *out)
{
    struct buf prefix = { 0 }, from = { 0 };
    bool found;

    if (path_check(parent) != 0) return false;
    node_children_prefix(&prefix, parent);
    if (name.len == 0 && direction == KV_BACKWARD) {
        kv_prefix_end(buf_bytes(&prefix), &from);
    } else {
        key_put(&from, parent, name);
    }
    found = kv_seek(v, buf_bytes(&prefix), buf_bytes(&from), direction, out);
    if (found) buf_drop(out, prefix.len);
    buf_fini(&from);
    buf_fini(&prefix);
    return found;
}
