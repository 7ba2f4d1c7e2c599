/* Many ops as one, and what spans many nodes. */
#include "core/client/call.h"
#include "core/client/creation.h"

static struct bytes data_of(const void *data, size_t len)
{
    return bytes_of(data, data == NULL ? 0 : len);
}

/* --- multi --- */

static struct buf *op_begin(struct call *call, uint32_t parts, const char *kind,
                            const char *path)
{
    struct buf *b = &call->params;

    pack_array(b, parts);
    pack_cstr(b, kind);
    call_put_path(call, b, path);
    return b;
}

static void pack_create(struct call *call, const tl_op *op)
{
    const tl_creation how = { op->flags, op->ttl_ms, op->linger_ms };
    struct buf *b = op_begin(call, 4, "create", op->path);

    pack_bin(b, data_of(op->data, op->len));
    pack_map(b, creation_count(&how));
    creation_pack(b, &how);
}

static void pack_op(struct call *call, const tl_op *op)
{
    struct buf *b;

    switch (op->kind) {
    case TL_OP_CREATE:
        pack_create(call, op);
        return;
    case TL_OP_SET:
        b = op_begin(call, 4, "set", op->path);
        pack_bin(b, data_of(op->data, op->len));
        pack_int(b, op->version);
        return;
    case TL_OP_DELETE:
        b = op_begin(call, 3, "delete", op->path);
        pack_int(b, op->version);
        return;
    case TL_OP_CHECK:
        b = op_begin(call, 3, "check", op->path);
        pack_int(b, op->version);
        return;
    case TL_OP_ABSENT:
        op_begin(call, 2, "absent", op->path);
        return;
    case TL_OP_GUARD:
        b = op_begin(call, 3, "guard", op->path);
        pack_uint(b, op->token);
        return;
    case TL_OP_ALIVE:
        pack_array(&call->params, 2);
        pack_cstr(&call->params, "alive");
        pack_uint(&call->params, op->token);
        return;
    case TL_OP_GET:
        op_begin(call, 2, "get", op->path);
        return;
    case TL_OP_STAT:
        op_begin(call, 2, "stat", op->path);
        return;
    case TL_OP_TOUCH:
        op_begin(call, 2, "touch", op->path);
        return;
    case TL_OP_DELETE_TREE:
        op_begin(call, 2, "delete_tree", op->path);
        return;
    case TL_OP_COPY:
        call_put_path(call, op_begin(call, 3, "copy", op->path), op->to);
        return;
    }
    call_fail(call, ERR_BAD_PARAMS, "there is no op of this kind");
}

static void build_multi(struct call *call, tl_client *c, const tl_op *ops, size_t count)
{
    call_begin(call, c, METHOD_MULTI);
    if (count > MULTI_OPS_MAX) {
        call_fail(call, ERR_TOO_LARGE, "too many ops");
        return;
    }
    pack_array(call_arg(call), (uint32_t) count);
    for (size_t i = 0; i < count; i++) pack_op(call, &ops[i]);
}

int tl_multi(tl_client *c, const tl_op *ops, size_t count, char **paths, uint64_t *zxid,
             int *failed)
{
    struct call call;

    build_multi(&call, c, ops, count);
    return call_wait(&call,
                     &(struct out){ .names = paths, .zxid = zxid, .failed = failed });
}

int tl_multi_nodes(tl_client *c, const tl_op *ops, size_t count, tl_nodes **nodes,
                   uint64_t *zxid, int *failed)
{
    struct call call;

    build_multi(&call, c, ops, count);
    return call_wait(&call,
                     &(struct out){ .nodes = nodes, .zxid = zxid, .failed = failed });
}

uint64_t tl_multi_async(tl_client *c, const tl_op *ops, size_t count, tl_done_fn done,
                        void *ctx)
{
    struct call call;

    build_multi(&call, c, ops, count);
    return call_ask(&call, done, ctx);
}

/* --- touch --- */

static void build_touch(struct call *call, tl_client *c, const char *path,
                        const tl_guard *guard)
{
    call_begin(call, c, METHOD_TOUCH);
    call_path(call, path);
    call_guard(call, guard);
}

int tl_touch(tl_client *c, const char *path, const tl_guard *guard, tl_stat *stat)
{
    struct call call;

    build_touch(&call, c, path, guard);
    return call_wait(&call, &(struct out){ .stat = stat });
}

uint64_t tl_touch_async(tl_client *c, const char *path, const tl_guard *guard,
                        tl_done_fn done, void *ctx)
{
    struct call call;

    build_touch(&call, c, path, guard);
    return call_ask(&call, done, ctx);
}

/* --- whole subtrees --- */

static void build_delete_tree(struct call *call, tl_client *c, const char *path, bool partly,
                              const tl_guard *guard)
{
    call_begin(call, c, METHOD_DELETE_TREE);
    call_path(call, path);
    if (partly) pack_bool(call_option(call, "partly"), true);
    call_guard(call, guard);
}

static int delete_tree_step(tl_client *c, const char *path, bool partly,
                            const tl_guard *guard, size_t *count, bool *more)
{
    struct call call;

    build_delete_tree(&call, c, path, partly, guard);
    return call_wait(&call, &(struct out){ .count = count, .more = more });
}

int tl_delete_tree(tl_client *c, const char *path, const tl_guard *guard, uint64_t *deleted)
{
    uint64_t sum = 0;
    size_t count = 0;
    bool more = false;
    int code = delete_tree_step(c, path, false, guard, &count, &more);

    if (code == ERR_TOO_LARGE) {
        do {
            more = false;
            code = delete_tree_step(c, path, true, guard, &count, &more);
            if (code == 0) sum += count;
        } while (code == 0 && more);
    } else if (code == 0) {
        sum = count;
    }
    if (deleted != NULL) *deleted = sum;
    return code;
}

uint64_t tl_delete_tree_async(tl_client *c, const char *path, bool partly,
                              const tl_guard *guard, tl_done_fn done, void *ctx)
{
    struct call call;

    build_delete_tree(&call, c, path, partly, guard);
    return call_ask(&call, done, ctx);
}

static void build_copy(struct call *call, tl_client *c, const char *from, const char *to,
                       const tl_guard *guard)
{
    call_begin(call, c, METHOD_COPY);
    call_path(call, from);
    call_path(call, to);
    call_guard(call, guard);
}

int tl_copy(tl_client *c, const char *from, const char *to, const tl_guard *guard,
            uint64_t *copied)
{
    struct call call;
    size_t count = 0;

    build_copy(&call, c, from, to, guard);
    const int code = call_wait(&call, &(struct out){ .count = &count });

    if (copied != NULL) *copied = count;
    return code;
}

uint64_t tl_copy_async(tl_client *c, const char *from, const char *to,
                       const tl_guard *guard, tl_done_fn done, void *ctx)
{
    struct call call;

    build_copy(&call, c, from, to, guard);
    return call_ask(&call, done, ctx);
}

static void build_tree(struct call *call, tl_client *c, const char *path, const char *after,
                       unsigned limit, bool data)
{
    call_begin(call, c, METHOD_TREE);
    call_path(call, path);
    call_reads(call);
    if (after != NULL) call_put_path(call, call_option(call, "after"), after);
    if (limit != 0) pack_uint(call_option(call, "limit"), limit);
    if (data) pack_bool(call_option(call, "data"), true);
}

int tl_tree(tl_client *c, const char *path, const char *after, unsigned limit, bool data,
            tl_nodes **page, bool *more)
{
    struct call call;

    build_tree(&call, c, path, after, limit, data);
    return call_wait(&call, &(struct out){ .nodes = page, .more = more });
}

uint64_t tl_tree_async(tl_client *c, const char *path, const char *after, unsigned limit,
                       bool data, tl_done_fn done, void *ctx)
{
    struct call call;

    build_tree(&call, c, path, after, limit, data);
    return call_ask(&call, done, ctx);
}

int tl_quota_set(tl_client *c, const char *path, uint64_t nodes, uint64_t bytes)
{
    struct call call;

    call_begin(&call, c, METHOD_QUOTA_SET);
    call_path(&call, path);
    pack_uint(call_option(&call, "nodes"), nodes);
    pack_uint(call_option(&call, "bytes"), bytes);
    return call_wait(&call, &(struct out){ 0 });
}
