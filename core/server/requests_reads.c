/* requests_reads.c -- reads. */
#include "core/server/requests_inside.h"

enum { QUOTA_CONSISTENCY = 0 };
enum { PATH = 0, READ_CONSISTENCY, CHILDREN_AFTER, CHILDREN_LIMIT };

void requests_check_reads(void)
{
    requests_check(METHOD_GET, "consistency", READ_CONSISTENCY);
    requests_check(METHOD_STAT, "consistency", READ_CONSISTENCY);
    requests_check(METHOD_QUOTA_LIST, "consistency", QUOTA_CONSISTENCY);
    requests_check(METHOD_CHILDREN, "consistency", READ_CONSISTENCY);
    requests_check(METHOD_CHILDREN, "after", CHILDREN_AFTER);
    requests_check(METHOD_CHILDREN, "limit", CHILDREN_LIMIT);
}

int requests_consistency(struct rpc_values *v, const struct rpc_value *level, struct job *j)
{
    j->class = JOB_READ;
    if (!level->given) return 0;
    bool any = bytes_equal(level->bytes, BYTES_LIT("any"));
    if (!any && !bytes_equal(level->bytes, BYTES_LIT("strong"))) {
        return requests_refuse(v, ERR_BAD_OPTION, "consistency is \"strong\" or \"any\"");
    }
    if (any) j->class = JOB_LOCAL;
    return 0;
}

int requests_read(struct rpc_values *v, struct job *j)
{
    if (j->method == METHOD_QUOTA_LIST) {
        return requests_consistency(v, &v->at[QUOTA_CONSISTENCY], j);
    }
    int code = requests_consistency(v, &v->at[READ_CONSISTENCY], j);
    if (code != 0) return code;
    buf_put_bytes(&j->body, v->at[PATH].bytes);
    if (j->method != METHOD_CHILDREN) return 0;
    buf_put_bytes(&j->body, v->at[CHILDREN_AFTER].bytes);
    buf_put_uint(&j->body, v->at[CHILDREN_LIMIT].number);
    return 0;
}

struct read_args read_args_of(const struct job *j)
{
    struct reader r = reader_of(buf_bytes(&j->body));
    struct read_args args = { .path = read_bytes(&r, RPC_BYTES_MAX) };

    if (j->method != METHOD_CHILDREN) return args;
    args.after = read_bytes(&r, RPC_BYTES_MAX);
    args.limit = read_uint(&r);
    return args;
}
