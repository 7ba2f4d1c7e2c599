/* requests_reads.c -- reads. */
#include "core/server/requests_inside.h"

enum { QUOTA_CONSISTENCY = 0 };
enum { CONSISTENCY = 0, AT_LEAST, MAX_LAG, READ_OPTIONS_COUNT }; /* from a read's first option */
enum { PATH = 0, READ_CONSISTENCY };
enum { CHILDREN_AFTER = READ_CONSISTENCY + READ_OPTIONS_COUNT, CHILDREN_LIMIT };
enum { TREE_AFTER = CHILDREN_AFTER, TREE_LIMIT, TREE_DEPTH, TREE_DATA };

void requests_check_read(enum method method, unsigned options)
{
    requests_check(method, "consistency", options + CONSISTENCY);
    requests_check(method, "at_least", options + AT_LEAST);
    requests_check(method, "max_lag_ms", options + MAX_LAG);
}

void requests_check_reads(void)
{
    requests_check_read(METHOD_GET, READ_CONSISTENCY);
    requests_check_read(METHOD_STAT, READ_CONSISTENCY);
    requests_check_read(METHOD_QUOTA_LIST, QUOTA_CONSISTENCY);
    requests_check_read(METHOD_CHILDREN, READ_CONSISTENCY);
    requests_check_read(METHOD_TREE, READ_CONSISTENCY);
    requests_check(METHOD_TREE, "after", TREE_AFTER);
    requests_check(METHOD_TREE, "limit", TREE_LIMIT);
    requests_check(METHOD_TREE, "depth", TREE_DEPTH);
    requests_check(METHOD_TREE, "data", TREE_DATA);
    requests_check(METHOD_CHILDREN, "after", CHILDREN_AFTER);
    requests_check(METHOD_CHILDREN, "limit", CHILDREN_LIMIT);
}

int requests_consistency(struct rpc_values *v, const struct rpc_value *level, struct job *j)
{
    j->class = JOB_READ;
    if (!level->given) return 0;
    bool any = bytes_equal(level->bytes, BYTES_LIT("any"));
    if (!any && !bytes_equal(level->bytes, BYTES_LIT("strong"))) {
        return requests_refuse(v, ERR_BAD_OPTION,
                               "consistency is \"strong\" or \"any\"; of reads also "
                               "\"session\" and \"bounded\"");
    }
    if (any) j->class = JOB_LOCAL;
    return 0;
}

/* `options`: the read's first. */
int requests_level(struct rpc_values *v, unsigned options, struct job *j)
{
    const struct rpc_value *at_least = &v->at[options + AT_LEAST];
    const struct rpc_value *lag = &v->at[options + MAX_LAG];
    const struct bytes level = v->at[options + CONSISTENCY].bytes;
    const bool session = bytes_equal(level, BYTES_LIT("session"));
    const bool bounded = bytes_equal(level, BYTES_LIT("bounded"));

    if (at_least->given != session || lag->given != bounded ||
        (bounded && lag->number == 0)) {
        return requests_refuse(v, ERR_BAD_OPTION,
                               "session goes with at_least, a zxid, and bounded with "
                               "max_lag_ms, from 1 on");
    }
    if (!session && !bounded) return requests_consistency(v, &v->at[options], j);
    j->class = JOB_READ;
    j->level = session ? JOB_LEVEL_SESSION : JOB_LEVEL_BOUNDED;
    j->at_least = at_least->number;
    j->lag_ms_max = lag->number;
    return 0;
}

static void put_tree_args(struct rpc_values *v, struct job *j)
{
    const struct rpc_value *depth = &v->at[TREE_DEPTH];

    buf_put_bytes(&j->body, v->at[TREE_AFTER].bytes);
    buf_put_uint(&j->body, v->at[TREE_LIMIT].number);
    buf_put_uint(&j->body, depth->given ? depth->number : UINT64_MAX);
    buf_put_u8(&j->body, v->at[TREE_DATA].number != 0);
}

int requests_read(struct rpc_values *v, struct job *j)
{
    if (j->method == METHOD_QUOTA_LIST) {
        return requests_level(v, QUOTA_CONSISTENCY, j);
    }
    int code = requests_level(v, READ_CONSISTENCY, j);
    if (code != 0) return code;
    buf_put_bytes(&j->body, v->at[PATH].bytes);
    if (j->method == METHOD_TREE) put_tree_args(v, j);
    if (j->method != METHOD_CHILDREN) return 0;
    buf_put_bytes(&j->body, v->at[CHILDREN_AFTER].bytes);
    buf_put_uint(&j->body, v->at[CHILDREN_LIMIT].number);
    return 0;
}

struct read_args read_args_of(const struct job *j)
{
    struct reader r = reader_of(buf_bytes(&j->body));
    struct read_args args = { .path = read_bytes(&r, RPC_BYTES_MAX) };

    if (j->method != METHOD_CHILDREN && j->method != METHOD_TREE) return args;
    args.after = read_bytes(&r, RPC_BYTES_MAX);
    args.limit = read_uint(&r);
    if (j->method == METHOD_CHILDREN) return args;
    args.depth = read_uint(&r);
    args.data = read_u8(&r) != 0;
    return args;
}
