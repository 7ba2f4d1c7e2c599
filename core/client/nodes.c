/* The tree's calls. A result that lacks what the protocol promises reads as zeros. */
#include <stdlib.h>

#include "core/client/call.h"

/* A number of either sign, as the bits of 64. */
static uint64_t number(const msgpack_object *o)
{
    const int64_t negative = rpc_int(o, 0);

    return rpc_uint(o, (uint64_t) negative);
}

static void stat_read(const msgpack_object *result, tl_stat *stat)
{
    const msgpack_object *map = rpc_member(result, "stat");

    if (stat == NULL) return;
#define F(member, name)                                                                    \
    stat->member = (__typeof__(stat->member)) number(rpc_member(map, name));
    STAT_FIELDS(F)
#undef F
}

/* A copy with a zero byte behind it; NULL for null bytes. */
static char *copy_of(struct bytes s)
{
    if (s.ptr == NULL) return NULL;

    char *copy = mem_alloc(s.len + 1);

    memcpy(copy, s.ptr, s.len);
    copy[s.len] = '\0';
    return copy;
}

static struct bytes data_of(const void *data, size_t len)
{
    return bytes_of(data, data == NULL ? 0 : len);
}

static uint32_t flags_count(unsigned flags)
{
    const unsigned known = TL_EPHEMERAL | TL_SEQUENTIAL | TL_PARENTS;

    return (uint32_t) __builtin_popcount(flags & known);
}

static void pack_flags(struct buf *b, unsigned flags)
{
    if (flags & TL_EPHEMERAL) {
        pack_cstr(b, "ephemeral");
        pack_bool(b, true);
    }
    if (flags & TL_SEQUENTIAL) {
        pack_cstr(b, "sequential");
        pack_bool(b, true);
    }
    if (flags & TL_PARENTS) {
        pack_cstr(b, "parents");
        pack_bool(b, true);
    }
}

int tl_create(tl_client *c, const char *path, const void *data, size_t len, unsigned flags,
              const tl_guard *guard, char **created, tl_stat *stat)
{
    struct call call;

    call_begin(&call, METHOD_CREATE);
    call_path(&call, path);
    pack_bin(call_arg(&call), data_of(data, len));
    pack_flags(&call.options, flags);
    call.request.options_count += flags_count(flags);
    call_guard(&call, guard);

    const int code = call_run(c, &call);

    if (code == 0 && created != NULL) {
        *created = copy_of(rpc_bytes(rpc_member(&call.result, "path")));
    }
    if (code == 0) stat_read(&call.result, stat);
    call_fini(&call);
    return code;
}

static void call_version(struct call *call, int64_t version)
{
    if (version != -1) pack_int(call_option(call, "version"), version);
}

int tl_set(tl_client *c, const char *path, const void *data, size_t len, int64_t version,
           const tl_guard *guard, tl_stat *stat)
{
    struct call call;

    call_begin(&call, METHOD_SET);
    call_path(&call, path);
    pack_bin(call_arg(&call), data_of(data, len));
    call_version(&call, version);
    call_guard(&call, guard);

    const int code = call_run(c, &call);

    if (code == 0) stat_read(&call.result, stat);
    call_fini(&call);
    return code;
}

int tl_delete(tl_client *c, const char *path, int64_t version, const tl_guard *guard)
{
    struct call call;

    call_begin(&call, METHOD_DELETE);
    call_path(&call, path);
    call_version(&call, version);
    call_guard(&call, guard);

    const int code = call_run(c, &call);

    call_fini(&call);
    return code;
}

int tl_get(tl_client *c, const char *path, char **data, size_t *len, tl_stat *stat)
{
    struct call call;

    call_begin(&call, METHOD_GET);
    call_path(&call, path);

    const int code = call_run(c, &call);
    const struct bytes got = rpc_bytes(rpc_member(&call.result, "data"));

    if (data != NULL) *data = code == 0 ? copy_of(got) : NULL;
    if (len != NULL) *len = code == 0 ? got.len : 0;
    if (code == 0) stat_read(&call.result, stat);
    call_fini(&call);
    return code;
}

int tl_get_stat(tl_client *c, const char *path, tl_stat *stat)
{
    struct call call;

    call_begin(&call, METHOD_STAT);
    call_path(&call, path);

    const int code = call_run(c, &call);

    if (code == 0) stat_read(&call.result, stat);
    call_fini(&call);
    return code;
}

static char *names_copy(const msgpack_object *children, size_t *count)
{
    struct buf names = { 0 };

    const bool listed = children != NULL && children->type == MSGPACK_OBJECT_ARRAY;
    const uint32_t children_count = listed ? children->via.array.size : 0;

    *count = 0;
    buf_reserve(&names, 1);
    for (uint32_t i = 0; i < children_count; i++) {
        buf_put_bytes_raw(&names, rpc_bytes(&children->via.array.ptr[i]));
        buf_put_u8(&names, 0);
        ++*count;
    }
    return (char *) names.ptr;
}

int tl_children(tl_client *c, const char *path, const char *after, unsigned limit,
                char **names, size_t *count, bool *more)
{
    const unsigned limit_default = 1000;
    struct call call;

    call_begin(&call, METHOD_CHILDREN);
    call_path(&call, path);
    if (after != NULL) pack_cstr(call_option(&call, "after"), after);
    pack_uint(call_option(&call, "limit"), limit == 0 ? limit_default : limit);

    const int code = call_run(c, &call);
    const msgpack_object *has_more = rpc_member(&call.result, "more");

    *names = NULL;
    *count = 0;
    if (code == 0) *names = names_copy(rpc_member(&call.result, "children"), count);
    if (more != NULL) {
        *more = code == 0 && has_more != NULL && has_more->type == MSGPACK_OBJECT_BOOLEAN &&
                has_more->via.boolean;
    }
    call_fini(&call);
    return code;
}

/* --- multi --- */

static void pack_op_begin(struct buf *b, uint32_t parts, const char *kind, const char *path)
{
    pack_array(b, parts);
    pack_cstr(b, kind);
    pack_cstr(b, path == NULL ? "" : path); /* which no server takes for a path */
}

static void pack_op(struct buf *b, const tl_op *op)
{
    switch (op->kind) {
    case TL_OP_CREATE:
        pack_op_begin(b, 4, "create", op->path);
        pack_bin(b, data_of(op->data, op->len));
        pack_map(b, flags_count(op->flags));
        pack_flags(b, op->flags);
        return;
    case TL_OP_SET:
        pack_op_begin(b, 4, "set", op->path);
        pack_bin(b, data_of(op->data, op->len));
        pack_int(b, op->version);
        return;
    case TL_OP_DELETE:
        pack_op_begin(b, 3, "delete", op->path);
        pack_int(b, op->version);
        return;
    case TL_OP_CHECK:
        pack_op_begin(b, 3, "check", op->path);
        pack_int(b, op->version);
        return;
    case TL_OP_ABSENT:
        pack_op_begin(b, 2, "absent", op->path);
        return;
    case TL_OP_GUARD:
        pack_op_begin(b, 3, "guard", op->path);
        pack_uint(b, op->token);
        return;
    }
    pack_array(b, 0); /* a kind that does not exist: the server refuses it */
}

int tl_multi(tl_client *c, const tl_op *ops, size_t count, uint64_t *zxid, int *failed)
{
    struct call call;

    if (failed != NULL) *failed = -1;
    if (count > MULTI_OPS_MAX) return client_fail(ERR_TOO_LARGE, "too many ops");
    call_begin(&call, METHOD_MULTI);
    pack_array(call_arg(&call), (uint32_t) count);
    for (size_t i = 0; i < count; i++) pack_op(&call.params, &ops[i]);

    const int code = call_run(c, &call);

    if (code == 0 && zxid != NULL) *zxid = rpc_uint(rpc_member(&call.result, "zxid"), 0);
    if (code != 0 && failed != NULL) {
        const int64_t index = rpc_int(rpc_member(&call.result, "index"), -1);

        *failed = index < (int64_t) count ? (int) index : -1;
    }
    call_fini(&call);
    return code;
}
