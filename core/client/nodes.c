/* The tree's calls, each of them built once and asked in two ways. */
#include "core/client/call.h"
#include "core/client/creation.h"

static struct bytes data_of(const void *data, size_t len)
{
    return bytes_of(data, data == NULL ? 0 : len);
}

/* A name to be numbered in the root begins with the slash of the prefix's node. */
static void create_path(struct call *call, const char *path, unsigned flags)
{
    struct buf *b = call_arg(call);
    struct buf full = { 0 };

    if (path == NULL || strcmp(path, "/") != 0 || (flags & TL_SEQUENTIAL) == 0) {
        call_put_path(call, b, path);
        return;
    }
    buf_put_bytes_raw(&full, bytes_str(call->client->prefix));
    buf_put_u8(&full, '/');
    pack_str(b, buf_bytes(&full));
    buf_fini(&full);
}

static void build_create(struct call *call, tl_client *c, const char *path,
                         struct bytes data, const tl_creation *how)
{
    call_begin(call, c, METHOD_CREATE);
    create_path(call, path, how->flags);
    pack_bin(call_arg(call), data);
    creation_pack(&call->options, how);
    call->request.options_count += creation_count(how);
}

int tl_create_as(tl_client *c, const char *path, const void *data, size_t len,
                 const tl_creation *how, const tl_guard *guard, char **created,
                 tl_stat *stat)
{
    struct call call;

    build_create(&call, c, path, data_of(data, len), how);
    call_guard(&call, guard);
    return call_wait(&call, &(struct out){ .path = created, .stat = stat });
}

uint64_t tl_create_as_async(tl_client *c, const char *path, const void *data, size_t len,
                            const tl_creation *how, const tl_guard *guard, tl_done_fn done,
                            void *ctx)
{
    struct call call;

    build_create(&call, c, path, data_of(data, len), how);
    call_guard(&call, guard);
    return call_ask(&call, done, ctx);
}

int tl_create(tl_client *c, const char *path, const void *data, size_t len, unsigned flags,
              const tl_guard *guard, char **created, tl_stat *stat)
{
    return tl_create_as(c, path, data, len, &(tl_creation){ .flags = flags }, guard, created,
                        stat);
}

uint64_t tl_create_async(tl_client *c, const char *path, const void *data, size_t len,
                         unsigned flags, const tl_guard *guard, tl_done_fn done, void *ctx)
{
    return tl_create_as_async(c, path, data, len, &(tl_creation){ .flags = flags }, guard,
                              done, ctx);
}

static void call_version(struct call *call, int64_t version)
{
    if (version != -1) pack_int(call_option(call, "version"), version);
}

static void build_set(struct call *call, tl_client *c, const char *path, struct bytes data)
{
    call_begin(call, c, METHOD_SET);
    call_path(call, path);
    pack_bin(call_arg(call), data);
}

int tl_set(tl_client *c, const char *path, const void *data, size_t len, int64_t version,
           const tl_guard *guard, tl_stat *stat)
{
    struct call call;

    build_set(&call, c, path, data_of(data, len));
    call_version(&call, version);
    call_guard(&call, guard);
    return call_wait(&call, &(struct out){ .stat = stat });
}

uint64_t tl_set_async(tl_client *c, const char *path, const void *data, size_t len,
                      int64_t version, const tl_guard *guard, tl_done_fn done, void *ctx)
{
    struct call call;

    build_set(&call, c, path, data_of(data, len));
    call_version(&call, version);
    call_guard(&call, guard);
    return call_ask(&call, done, ctx);
}

/* A request of a path and no other argument. */
static void build_of_path(struct call *call, tl_client *c, enum method method,
                          const char *path)
{
    call_begin(call, c, method);
    call_path(call, path);
}

int tl_delete(tl_client *c, const char *path, int64_t version, const tl_guard *guard)
{
    struct call call;

    build_of_path(&call, c, METHOD_DELETE, path);
    call_version(&call, version);
    call_guard(&call, guard);
    return call_wait(&call, &(struct out){ 0 });
}

uint64_t tl_delete_async(tl_client *c, const char *path, int64_t version,
                         const tl_guard *guard, tl_done_fn done, void *ctx)
{
    struct call call;

    build_of_path(&call, c, METHOD_DELETE, path);
    call_version(&call, version);
    call_guard(&call, guard);
    return call_ask(&call, done, ctx);
}

static void build_read(struct call *call, tl_client *c, enum method method,
                       const char *path)
{
    build_of_path(call, c, method, path);
    call_reads(call);
}

int tl_get(tl_client *c, const char *path, char **data, size_t *len, tl_stat *stat)
{
    struct call call;

    build_read(&call, c, METHOD_GET, path);
    return call_wait(&call, &(struct out){ .data = data, .len = len, .stat = stat });
}

uint64_t tl_get_async(tl_client *c, const char *path, tl_done_fn done, void *ctx)
{
    struct call call;

    build_read(&call, c, METHOD_GET, path);
    return call_ask(&call, done, ctx);
}

int tl_get_stat(tl_client *c, const char *path, tl_stat *stat)
{
    struct call call;

    build_read(&call, c, METHOD_STAT, path);
    return call_wait(&call, &(struct out){ .stat = stat });
}

uint64_t tl_get_stat_async(tl_client *c, const char *path, tl_done_fn done, void *ctx)
{
    struct call call;

    build_read(&call, c, METHOD_STAT, path);
    return call_ask(&call, done, ctx);
}

static void build_children(struct call *call, const char *after, unsigned limit)
{
    const unsigned limit_default = 1000;

    if (after != NULL) pack_cstr(call_option(call, "after"), after);
    pack_uint(call_option(call, "limit"), limit == 0 ? limit_default : limit);
}

int tl_children(tl_client *c, const char *path, const char *after, unsigned limit,
                char **names, size_t *count, bool *more)
{
    struct call call;

    build_read(&call, c, METHOD_CHILDREN, path);
    build_children(&call, after, limit);
    return call_wait(&call, &(struct out){ .names = names, .count = count, .more = more });
}

uint64_t tl_children_async(tl_client *c, const char *path, const char *after,
                           unsigned limit, tl_done_fn done, void *ctx)
{
    struct call call;

    build_read(&call, c, METHOD_CHILDREN, path);
    build_children(&call, after, limit);
    return call_ask(&call, done, ctx);
}
