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

static void stat_read(struct answer *a, const msgpack_object *map)
{
    if (map == NULL) return;
#define F(member, name)                                                                    \
    a->stat.member = (__typeof__(a->stat.member)) number(rpc_member(map, name));
    STAT_FIELDS(F)
#undef F
    a->result.stat = &a->stat;
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
    paths_read(a, c, rpc_member(object, "results"));
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

void out_copy(const struct out *out, const tl_result *r)
{
    if (out->path != NULL) {
        *out->path = r->path == NULL ? NULL : copy_of(r->path, strlen(r->path) + 1);
    }
    if (out->data != NULL) *out->data = copy_of(r->data, r->len + 1);
    if (out->len != NULL) *out->len = r->len;
    if (out->names != NULL) *out->names = copy_of(r->names, names_len(r));
    if (out->count != NULL) *out->count = r->count;
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
