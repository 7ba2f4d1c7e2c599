/* answers_tree.c -- what spans many nodes: a page of a subtree, and the quotas. */
#include "core/base/check.h"
#include "core/server/answers.h"
#include "core/server/requests.h"
#include "core/tree/path.h"
#include "core/tree/quota.h"
#include "core/tree/walk.h"

enum {
    PAGE_NODES_MAX = 1000,     /* each is a seek: near 10 ms of a loop's turn */
    PAGE_BYTES_AIM = 1 << 20, /* a page of large nodes ends early */
};

static void put_uint(struct buf *out, const char *name, uint64_t v)
{
    pack_cstr(out, name);
    pack_uint(out, v);
}

/* --- a subtree --- */

static uint64_t level_of(struct bytes path)
{
    uint64_t level = 0;

    for (size_t i = 0; i < path.len && path.len > 1; i++) level += path.ptr[i] == '/';
    return level;
}

static void put_node(struct buf *out, struct bytes path, const struct node *n, bool data)
{
    const struct stat_view stat = node_stat(n);

    pack_map(out, 2u + data);
    pack_cstr(out, "path");
    pack_str(out, path);
    answer_put_stat(out, &stat);
    if (!data) return;
    pack_cstr(out, "data");
    pack_bin(out, n->data);
}

struct page {
    struct buf *nodes; /* packed */
    uint32_t count;
    bool more;
};

static struct page tree_page(struct kv_view *view, const struct read_args *args,
                             struct buf *nodes)
{
    const uint64_t top = level_of(args->path);
    struct page page = { .nodes = nodes };
    uint64_t limit = args->limit;
    struct tree_walk w;
    struct node n;

    if (limit == 0 || limit > PAGE_NODES_MAX) limit = PAGE_NODES_MAX;
    buf_clear(nodes);
    tree_walk_init(&w, view, args->path, args->after);
    while (tree_walk_down(&w, level_of(buf_bytes(&w.path)) - top < args->depth, &n)) {
        page.more = page.count == limit || nodes->len >= PAGE_BYTES_AIM;
        if (page.more) break;
        put_node(nodes, buf_bytes(&w.path), &n, args->data);
        page.count++;
    }
    tree_walk_fini(&w);
    return page;
}

void answer_tree(struct buf *out, const struct job *j, struct kv_view *view, uint64_t zxid,
                 struct buf *scratch)
{
    const struct read_args args = read_args_of(j);
    const struct page page = tree_page(view, &args, scratch);

    rpc_response_begin(out, j->msgid);
    pack_map(out, 3u + (j->class == JOB_LOCAL));
    answer_put_age(out, j);
    pack_cstr(out, "nodes");
    pack_array(out, page.count);
    buf_put_bytes_raw(out, buf_bytes(page.nodes));
    pack_cstr(out, "more");
    pack_bool(out, page.more);
    put_uint(out, "zxid", zxid);
}

/* --- quotas --- */

void answer_quotas(struct buf *out, const struct job *j, struct kv_view *view,
                   const struct tree_tally *tally, uint64_t zxid)
{
    struct buf path = { 0 }, list = { 0 };
    uint32_t count = 0;
    struct quota q;

    for (; quota_next(view, &path); count++) {
        CHECK(quota_read(view, buf_bytes(&path), &q));
        pack_map(&list, 5);
        pack_cstr(&list, "path");
        pack_str(&list, buf_bytes(&path));
        put_uint(&list, "nodes", q.nodes_max);
        put_uint(&list, "bytes", q.bytes_max);
        put_uint(&list, "nodes_used", q.nodes);
        put_uint(&list, "bytes_used", q.bytes);
    }
    rpc_response_begin(out, j->msgid);
    pack_map(out, 4);
    pack_cstr(out, "quotas");
    pack_array(out, count);
    buf_put_bytes_raw(out, buf_bytes(&list));
    put_uint(out, "nodes", tally->nodes);
    put_uint(out, "bytes", tally->bytes);
    put_uint(out, "zxid", zxid);
    buf_fini(&path);
    buf_fini(&list);
}
