#include "core/server/answers.h"

#include "core/base/check.h"
#include "core/base/errors.h"
#include "core/machine/request.h"
#include "core/server/requests.h"
#include "core/tree/path.h"

enum {
    CHILDREN_DEFAULT = 1000,
    CHILDREN_BYTES_AIM = 1 << 20, /* a page of long names ends early */
};

static void put_uint(struct buf *out, const char *name, uint64_t v)
{
    pack_cstr(out, name);
    pack_uint(out, v);
}

static void put_int(struct buf *out, const char *name, int64_t v)
{
    pack_cstr(out, name);
    pack_int(out, v);
}

void answer_put_stat(struct buf *out, const struct stat_view *s)
{
    pack_cstr(out, "stat");
    pack_map(out, STAT_FIELDS_COUNT);
#define F(member, name) \
    _Generic(s->member, uint64_t: put_uint, default: put_int)(out, name, s->member);
    STAT_FIELDS(F)
#undef F
}

void answer_put_age(struct buf *out, const struct job *j)
{
    if (j->class == JOB_LOCAL) put_uint(out, "age_ms", j->age_ms);
}

/* --- errors --- */

static void put_details(struct buf *out, const struct job *j, const struct result *r)
{
    bool indexed = j->method == METHOD_MULTI && r->index >= 0;
    bool value = r->value.ptr != NULL, busy = r->code == ERR_BUSY;

    pack_map(out, 1u + indexed + value + busy);
    put_uint(out, "zxid", r->zxid);
    if (busy) put_uint(out, "retry_ms", rpc_retry_ms(j->msgid));
    if (indexed) {
        put_int(out, "index", r->index < j->guards ? -1 : r->index - (int64_t)j->guards);
    }
    if (!value) return;
    pack_cstr(out, "value");
    buf_put_bytes_raw(out, r->value);
}

static void answer_refusal(struct buf *out, const struct job *j, const struct result *r)
{
    pack_array(out, 4);
    pack_uint(out, 1);
    pack_uint(out, j->msgid);
    pack_map(out, 4);
    put_int(out, "code", r->code);
    pack_cstr(out, "name");
    pack_cstr(out, error_name(r->code));
    pack_cstr(out, "message");
    pack_str(out, r->message.len > 0 ? r->message : bytes_str(error_text(r->code)));
    pack_cstr(out, "details");
    put_details(out, j, r);
    pack_nil(out);
}

/* --- writes --- */

/* The part of a single write: guards have none there. An empty one when it is missing, as
 * for a DELETE. */
static struct result_part part_of(const struct result *r)
{
    struct result_parts parts = result_parts_of(r);
    struct result_part part = { 0 };

    if (r->parts_count > 0) CHECK(result_part_next(&parts, &part) == 0);
    return part;
}

static const char *kind_name(unsigned kind)
{
    switch ((enum want_kind)kind) {
    case WANT_CHECK:
        return "check";
    case WANT_CHECK_ABSENT:
        return "absent";
    case WANT_GUARD:
        return "guard";
    case WANT_ALIVE:
        return "alive";
    case WANT_CREATE:
    case WANT_CREATE_AS:
        return "create";
    case WANT_SET:
        return "set";
    case WANT_DELETE:
        return "delete";
    case WANT_GET:
        return "get";
    case WANT_STAT:
        return "stat";
    case WANT_TOUCH:
        return "touch";
    case WANT_DELETE_TREE:
        return "delete_tree";
    case WANT_COPY:
        return "copy";
    case WANT_QUOTA:
        return "quota";
    }
    return "unknown";
}

/* What an op has to tell beside its kind, path and stat. */
static void put_part_rest(struct buf *out, const struct result_part *part)
{
    if (part->kind == WANT_GET) {
        pack_cstr(out, "data");
        pack_bin(out, part->data);
    } else if (part->kind == WANT_DELETE_TREE) {
        put_uint(out, "deleted", part->id);
    } else if (part->kind == WANT_COPY) {
        put_uint(out, "copied", part->id);
    }
}

static void put_part(struct buf *out, const struct result_part *part)
{
    const bool reads = part->kind == WANT_GET || part->kind == WANT_STAT;
    const bool rest = part->kind == WANT_GET || part->kind == WANT_DELETE_TREE ||
                      part->kind == WANT_COPY;

    pack_map(out, 1u + (part->path.ptr != NULL) + (part->has_stat || reads) + rest);
    pack_cstr(out, "kind");
    pack_cstr(out, kind_name(part->kind));
    if (part->path.ptr != NULL) {
        pack_cstr(out, "path");
        pack_str(out, part->path);
    }
    if (part->has_stat) {
        answer_put_stat(out, &part->stat);
    } else if (reads) {
        pack_cstr(out, "stat");
        pack_nil(out);
    }
    put_part_rest(out, part);
}

/* The caller's ops only: its guards stand before them in the result. */
static void answer_multi(struct buf *out, const struct job *j, const struct result *r)
{
    struct result_parts parts = result_parts_of(r);
    struct result_part part;

    CHECK(r->parts_count >= j->guards);
    pack_map(out, 2);
    put_uint(out, "zxid", r->zxid);
    pack_cstr(out, "results");
    pack_array(out, r->parts_count - j->guards);
    for (uint32_t i = 0; i < r->parts_count; i++) {
        CHECK(result_part_next(&parts, &part) == 0);
        if (i >= j->guards) put_part(out, &part);
    }
}

static void answer_node(struct buf *out, const struct job *j, const struct result *r)
{
    const struct result_part part = part_of(r);
    bool path = j->method == METHOD_CREATE, stat = j->method != METHOD_DELETE;

    pack_map(out, 1u + path + stat);
    if (path) {
        pack_cstr(out, "path");
        pack_str(out, part.path);
    }
    put_uint(out, "zxid", r->zxid);
    if (stat) answer_put_stat(out, &part.stat);
}

static void answer_subtree(struct buf *out, const struct job *j, const struct result *r)
{
    const struct result_part part = part_of(r);
    const bool deletes = j->method == METHOD_DELETE_TREE;

    pack_map(out, 2u + deletes);
    put_uint(out, "zxid", r->zxid);
    put_uint(out, deletes ? "deleted" : "copied", part.id);
    if (!deletes) return;
    pack_cstr(out, "more");
    pack_bool(out, part.more);
}

static void answer_open(struct buf *out, const struct job *j, const struct result *r)
{
    pack_map(out, 4);
    put_uint(out, "id", part_of(r).id);
    pack_cstr(out, "secret");
    pack_bin(out, bytes_of(j->secret, sizeof j->secret));
    put_uint(out, "timeout_ms", j->timeout_ms);
    put_uint(out, "zxid", r->zxid);
}

static void answer_call(struct buf *out, const struct result *r)
{
    pack_map(out, 2);
    pack_cstr(out, "value");
    if (r->value.ptr != NULL) {
        buf_put_bytes_raw(out, r->value);
    } else {
        pack_nil(out);
    }
    put_uint(out, "zxid", r->zxid);
}

void answer_result(struct buf *out, const struct job *j, const struct result *r)
{
    if (r->code != 0) {
        answer_refusal(out, j, r);
        return;
    }
    rpc_response_begin(out, j->msgid);
    if (j->method == METHOD_CREATE || j->method == METHOD_SET ||
        j->method == METHOD_DELETE || j->method == METHOD_TOUCH) {
        answer_node(out, j, r);
    } else if (j->method == METHOD_DELETE_TREE || j->method == METHOD_COPY) {
        answer_subtree(out, j, r);
    } else if (j->method == METHOD_MULTI) {
        answer_multi(out, j, r);
    } else if (j->method == METHOD_CALL || j->method == METHOD_QUERY) {
        answer_call(out, r);
    } else if (j->method == METHOD_SESSION_OPEN) {
        answer_open(out, j, r);
    } else {
        pack_map(out, 1);
        put_uint(out, "zxid", r->zxid);
    }
}

/* --- reads --- */

static int fail(struct buf *out, const struct job *j, int code)
{
    rpc_error(out, j->msgid, code, NULL);
    return code;
}

/* Says which path, as a write's refusal does. */
static int fail_at(struct buf *out, const struct job *j, int code, struct bytes path,
                   struct buf *scratch)
{
    buf_clear(scratch);
    result_put_message(scratch, code, path);
    buf_put_u8(scratch, '\0');
    rpc_error(out, j->msgid, code, (const char *)scratch->ptr);
    return code;
}

static void answer_get(struct buf *out, const struct job *j, const struct node *n,
                       uint64_t zxid)
{
    const struct stat_view stat = node_stat(n);
    bool data = j->method == METHOD_GET;

    rpc_response_begin(out, j->msgid);
    pack_map(out, 2u + data + (j->class == JOB_LOCAL));
    answer_put_age(out, j);
    if (data) {
        pack_cstr(out, "data");
        pack_bin(out, n->data);
    }
    answer_put_stat(out, &stat);
    put_uint(out, "zxid", zxid);
}

struct page {
    struct buf *names; /* packed */
    uint32_t count;
    bool more;
};

static struct page children_page(struct kv_view *view, const struct read_args *args,
                                 struct buf *names)
{
    struct page page = { .names = names };
    uint64_t limit = args->limit == 0 ? CHILDREN_DEFAULT : args->limit;
    struct buf name = { 0 }, next = { 0 };

    if (limit > LIST_COUNT_MAX) limit = LIST_COUNT_MAX;
    buf_clear(names);
    buf_put_bytes_raw(&name, args->after);
    while (node_child_next(view, args->path, buf_bytes(&name), KV_FORWARD, &next)) {
        page.more = page.count == limit || names->len >= CHILDREN_BYTES_AIM;
        if (page.more) break;
        pack_str(names, buf_bytes(&next));
        page.count++;
        struct buf swap = name;
        name = next;
        next = swap;
    }
    buf_fini(&name);
    buf_fini(&next);
    return page;
}

static void answer_children(struct buf *out, const struct job *j, struct kv_view *view,
                            const struct read_args *args, const struct node *n,
                            uint64_t zxid, struct buf *scratch)
{
    const struct stat_view stat = node_stat(n);
    const struct page page = children_page(view, args, scratch);

    rpc_response_begin(out, j->msgid);
    pack_map(out, 4u + (j->class == JOB_LOCAL));
    answer_put_age(out, j);
    pack_cstr(out, "children");
    pack_array(out, page.count);
    buf_put_bytes_raw(out, buf_bytes(page.names));
    pack_cstr(out, "more");
    pack_bool(out, page.more);
    answer_put_stat(out, &stat);
    put_uint(out, "zxid", zxid);
}

static int answer_session(struct buf *out, const struct job *j, struct kv_view *view,
                          uint64_t zxid)
{
    struct session s;
    bool attach = j->method == METHOD_SESSION_ATTACH;

    if (!session_read(view, j->renew, &s)) return fail(out, j, ERR_SESSION_EXPIRED);
    if (attach && !bytes_equal_secret(bytes_of(s.secret, sizeof s.secret),
                                      bytes_of(j->secret, sizeof j->secret))) {
        return fail(out, j, ERR_BAD_SECRET);
    }
    rpc_response_begin(out, j->msgid);
    pack_map(out, 2u + attach);
    put_uint(out, "timeout_ms", s.timeout_ms);
    if (attach) put_uint(out, "last", s.last);
    put_uint(out, "zxid", zxid);
    return 0;
}

int answer_read(struct buf *out, const struct job *j, struct kv_view *view, uint64_t zxid,
                struct buf *scratch)
{
    struct node n;

    if (j->renew != 0) return answer_session(out, j, view, zxid);
    const struct read_args args = read_args_of(j);
    int code = path_check(args.path);
    if (code == ERR_BAD_PATH) return fail_at(out, j, code, args.path, scratch);
    if (code == 0 && args.after.len > PATH_BYTES_MAX) code = ERR_TOO_LARGE;
    if (code == 0 && j->method == METHOD_TREE && args.after.len > 0) {
        code = path_check(args.after);
    }
    if (code != 0) return fail(out, j, code);
    if (!node_read(view, args.path, &n)) {
        return fail_at(out, j, ERR_NO_NODE, args.path, scratch);
    }
    if (j->method == METHOD_TREE) {
        if (args.after.len > 0 && !path_is_within(args.after, args.path)) {
            return fail(out, j, ERR_BAD_PATH);
        }
        answer_tree(out, j, view, zxid, scratch);
    } else if (j->method == METHOD_CHILDREN) {
        answer_children(out, j, view, &args, &n, zxid, scratch);
    } else {
        answer_get(out, j, &n, zxid);
    }
    return 0;
}

void answer_watch(struct buf *out, const struct job *j, struct kv_view *view,
                  uint64_t zxid)
{
    struct watch_list list = watch_list_of(j);
    struct watch_args args;
    struct node n;

    CHECK(watch_list_next(&list, &args));
    rpc_response_begin(out, j->msgid);
    pack_map(out, 2);
    if (node_read(view, args.path, &n)) {
        const struct stat_view stat = node_stat(&n);
        answer_put_stat(out, &stat);
    } else {
        pack_cstr(out, "stat");
        pack_nil(out);
    }
    put_uint(out, "zxid", zxid);
}

void answer_watch_many(struct buf *out, const struct job *j, struct bytes refused,
                       uint64_t zxid)
{
    const struct watch_refusal *at = (const struct watch_refusal *)(const void *)refused.ptr;
    size_t count = refused.len / sizeof *at;

    rpc_response_begin(out, j->msgid);
    pack_map(out, 2);
    put_uint(out, "zxid", zxid);
    pack_cstr(out, "refused");
    pack_array(out, (uint32_t)count);
    for (size_t i = 0; i < count; i++) {
        pack_array(out, 2);
        pack_uint(out, at[i].id);
        pack_int(out, at[i].code);
    }
}
