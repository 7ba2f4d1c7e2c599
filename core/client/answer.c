/* Results, from what the protocol says to what the program gets. A result that lacks what
 * the protocol promises reads as zeros. */
#include <stdlib.h>

#include "core/client/call.h"

/* A number of either sign, as the bits of 64. */
static uint64_t number(const msgpack_object *o)
{
    const int64_t negative = rpc_int(o, 0);

    return rpc_uint(o, (uint64_t) negative);
}

static bool is_true(const msgpack_object *o)
{
    return o != NULL && o->type == MSGPACK_OBJECT_BOOLEAN && o->via.boolean;
}

/* With a zero byte behind it; NULL for null bytes. */
static const char *text_of(struct buf *room, struct bytes s)
{
    if (s.ptr == NULL) return NULL;
    buf_put_bytes_raw(room, s);
    buf_put_u8(room, 0);
    return (const char *) room->ptr;
}

static bool stat_of(tl_stat *stat, const msgpack_object *map)
{
    if (map == NULL || map->type != MSGPACK_OBJECT_MAP) return false;
#define F(member, name)                                                                    \
    stat->member = (__typeof__(stat->member)) number(rpc_member(map, name));
    STAT_FIELDS(F)
#undef F
    return true;
}

static void stat_read(struct answer *a, const msgpack_object *map)
{
    if (stat_of(&a->stat, map)) a->result.stat = &a->stat;
}

/* The texts grow while they are read, so a node has places in them until all are there. */
struct node_places {
    size_t path, data; /* beyond the place, 0 = null */
};

static size_t text_keep(struct buf *texts, struct bytes text)
{
    const size_t at = texts->len;

    if (text.ptr == NULL) return 0;
    buf_put_bytes_raw(texts, text);
    buf_put_u8(texts, 0);
    return at + 1;
}

static struct node_places node_read_one(struct answer *a, const tl_client *c, tl_node *n,
                                        const msgpack_object *o)
{
    const struct bytes path = rpc_bytes(rpc_member(o, "path"));
    const struct bytes data = rpc_bytes(rpc_member(o, "data"));
    const uint64_t deleted = rpc_uint(rpc_member(o, "deleted"), 0);

    n->exists = stat_of(&n->stat, rpc_member(o, "stat"));
    n->len = data.len;
    n->count = rpc_uint(rpc_member(o, "copied"), deleted);
    return (struct node_places){
        path.ptr == NULL ? 0 : text_keep(&a->texts, prefix_strip(c, path)),
        text_keep(&a->texts, data)
    };
}

static void nodes_read(struct answer *a, const tl_client *c, const msgpack_object *list)
{
    if (list == NULL || list->type != MSGPACK_OBJECT_ARRAY) return;

    const uint32_t count = list->via.array.size;
    struct node_places *places = mem_alloc((count + 1) * sizeof *places);

    a->nodes = mem_zalloc((count + 1) * sizeof *a->nodes);
    for (uint32_t i = 0; i < count; i++) {
        places[i] = node_read_one(a, c, &a->nodes[i], &list->via.array.ptr[i]);
    }
    for (uint32_t i = 0; i < count; i++) {
        const char *const texts = (const char *) a->texts.ptr;

        if (places[i].path > 0) a->nodes[i].path = texts + places[i].path - 1;
        if (places[i].data > 0) a->nodes[i].data = texts + places[i].data - 1;
    }
    free(places);
    a->result.nodes = a->nodes;
    a->result.count = count;
}

static void names_read(struct answer *a, const msgpack_object *children)
{
    if (children == NULL || children->type != MSGPACK_OBJECT_ARRAY) return;
    buf_reserve(&a->names, 1);
    for (uint32_t i = 0; i < children->via.array.size; i++) {
        buf_put_bytes_raw(&a->names, rpc_bytes(&children->via.array.ptr[i]));
        buf_put_u8(&a->names, 0);
    }
    a->result.names = (const char *) a->names.ptr;
    a->result.count = children->via.array.size;
}

static void paths_read(struct answer *a, const tl_client *c, const msgpack_object *results)
{
    if (results == NULL || results->type != MSGPACK_OBJECT_ARRAY) return;
    buf_reserve(&a->names, 1);
    for (uint32_t i = 0; i < results->via.array.size; i++) {
        const msgpack_object *part = &results->via.array.ptr[i];
        const bool created = bytes_equal(rpc_bytes(rpc_member(part, "kind")),
                                         BYTES_LIT("create"));
        const struct bytes path = rpc_bytes(rpc_member(part, "path"));

        if (created) buf_put_bytes_raw(&a->names, prefix_strip(c, path));
        buf_put_u8(&a->names, 0);
    }
    a->result.names = (const char *) a->names.ptr;
    a->result.count = results->via.array.size;
}

static void counts_read(struct answer *a, const msgpack_object *object)
{
    const msgpack_object *deleted = rpc_member(object, "deleted");
    const msgpack_object *copied = rpc_member(object, "copied");

    if (deleted != NULL) a->result.count = (size_t) rpc_uint(deleted, 0);
    if (copied != NULL) a->result.count = (size_t) rpc_uint(copied, 0);
}

static void value_read(struct answer *a, const msgpack_object *value)
{
    if (value == NULL || (a->result.code != 0 && value->type == MSGPACK_OBJECT_NIL)) return;
    pack_object(&a->value, value);
    a->result.value = a->value.ptr;
    a->result.value_len = a->value.len;
}

void answer_init(struct answer *a, int code, const char *message)
{
    if (message == NULL) message = code == 0 ? "" : error_text(code);
    *a = (struct answer){ .result = { .code = code, .message = message, .failed = -1 } };
}

void answer_read(struct answer *a, const tl_client *c, const msgpack_object *object)
{
    const struct bytes path = rpc_bytes(rpc_member(object, "path"));
    const struct bytes data = rpc_bytes(rpc_member(object, "data"));
    tl_result *r = &a->result;

    if (r->code != 0) {
        r->failed = (int) rpc_int(rpc_member(object, "index"), -1);
        value_read(a, object);
        return;
    }
    r->zxid = rpc_uint(rpc_member(object, "zxid"), 0);
    if (path.ptr != NULL) r->path = text_of(&a->path, prefix_strip(c, path));
    r->data = text_of(&a->data, data);
    r->len = data.len;
    stat_read(a, rpc_member(object, "stat"));
    names_read(a, rpc_member(object, "children"));
    nodes_read(a, c, rpc_member(object, "nodes"));
    nodes_read(a, c, rpc_member(object, "results"));
    paths_read(a, c, rpc_member(object, "results"));
    counts_read(a, object);
    r->more = is_true(rpc_member(object, "more"));
    value_read(a, rpc_member(object, "value"));
}

static void answer_fail(struct answer *a, int code, const char *message)
{
    a->result.code = code;
    a->result.message = message;
}

void answer_read_grant(struct answer *a, const tl_client *c, const msgpack_object *object)
{
    const msgpack_object *value = rpc_member(object, "value");
    const struct bytes path = prefix_strip(c, rpc_bytes(rpc_member(value, "path")));

    if (a->result.code != 0) return;
    if (value == NULL || value->type == MSGPACK_OBJECT_NIL) {
        answer_fail(a, ERR_REFUSED, "somebody holds the lock, or waits for it");
    } else if (path.len == 0 || path.len >= sizeof a->lock.path) {
        answer_fail(a, ERR_BAD_MESSAGE, "the grant names no path");
    } else {
        memcpy(a->lock.path, path.ptr, path.len);
        a->lock.token = rpc_uint(rpc_member(value, "token"), 0);
        a->result.lock = &a->lock;
    }
}

void answer_fini(struct answer *a)
{
    buf_fini(&a->path);
    buf_fini(&a->data);
    buf_fini(&a->names);
    buf_fini(&a->value);
    buf_fini(&a->texts);
    free(a->nodes);
}

/* --- copies for who waited --- */

static void *copy_of(const void *ptr, size_t len)
{
    if (ptr == NULL) return NULL;

    void *copy = mem_alloc(len == 0 ? 1 : len);

    memcpy(copy, ptr, len);
    return copy;
}

static size_t names_len(const tl_result *r)
{
    size_t len = 0;

    for (size_t i = 0; i < r->count; i++) len += strlen(r->names + len) + 1;
    return len;
}

/* One piece of memory: the nodes, and behind them their texts. */
static tl_nodes *nodes_copy(const tl_result *r)
{
    size_t texts_len = 0;
    tl_nodes *copy;
    char *texts;

    for (size_t i = 0; i < r->count; i++) {
        const tl_node *n = &r->nodes[i];

        if (n->path != NULL) texts_len += strlen(n->path) + 1;
        if (n->data != NULL) texts_len += n->len + 1;
    }
    copy = mem_alloc(sizeof *copy + r->count * sizeof copy->at[0] + texts_len);
    copy->count = r->count;
    texts = (char *) &copy->at[r->count];
    for (size_t i = 0; i < r->count; i++) {
        tl_node *n = &copy->at[i];

        *n = r->nodes[i];
        if (n->path != NULL) {
            n->path = strcpy(texts, n->path);
            texts += strlen(texts) + 1;
        }
        if (n->data != NULL) {
            n->data = memcpy(texts, n->data, n->len + 1);
            texts += n->len + 1;
        }
    }
    return copy;
}

void tl_nodes_free(tl_nodes *nodes)
{
    free(nodes);
}

void out_copy(const struct out *out, const tl_result *r)
{
    if (out->path != NULL) {
        *out->path = r->path == NULL ? NULL : copy_of(r->path, strlen(r->path) + 1);
    }
    if (out->data != NULL) *out->data = copy_of(r->data, r->len + 1);
    if (out->len != NULL) *out->len = r->len;
    if (out->names != NULL) *out->names = copy_of(r->names, names_len(r));
    if (out->count != NULL) *out->count = r->count;
    if (out->nodes != NULL) *out->nodes = r->nodes == NULL ? NULL : nodes_copy(r);
    if (out->nodes_count != NULL) *out->nodes_count = r->count;
    if (out->more != NULL) *out->more = r->more;
    if (out->value != NULL) *out->value = copy_of(r->value, r->value_len);
    if (out->value_len != NULL) *out->value_len = r->value_len;
    if (out->zxid != NULL && r->code == 0) *out->zxid = r->zxid;
    if (out->failed != NULL) *out->failed = r->failed;
    if (out->stat != NULL && r->code == 0) {
        *out->stat = r->stat == NULL ? (tl_stat){ 0 } : *r->stat;
    }
    if (out->lock != NULL) *out->lock = r->lock == NULL ? (tl_lock){ 0 } : *r->lock;
}
