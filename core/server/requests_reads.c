/* requests_reads.c -- reads and watches. */
#include "core/server/requests_inside.h"

enum { QUOTA_CONSISTENCY = 0 };
enum { PATH = 0, READ_CONSISTENCY, CHILDREN_AFTER, CHILDREN_LIMIT };
enum { WATCH_ID = 1, WATCH_DATA_OPTION, WATCH_CHILDREN_OPTION, WATCH_ONCE, WATCH_SINCE };
enum { WATCH_VALUE = WATCH_SINCE + 1, WATCH_CONSISTENCY, UNWATCH_ID = 0 };

void requests_check_reads(void)
{
    requests_check(METHOD_GET, "consistency", READ_CONSISTENCY);
    requests_check(METHOD_STAT, "consistency", READ_CONSISTENCY);
    requests_check(METHOD_QUOTA_LIST, "consistency", QUOTA_CONSISTENCY);
    requests_check(METHOD_CHILDREN, "consistency", READ_CONSISTENCY);
    requests_check(METHOD_CHILDREN, "after", CHILDREN_AFTER);
    requests_check(METHOD_CHILDREN, "limit", CHILDREN_LIMIT);
    requests_check(METHOD_WATCH, "watch", WATCH_ID);
    requests_check(METHOD_WATCH, "data", WATCH_DATA_OPTION);
    requests_check(METHOD_WATCH, "children", WATCH_CHILDREN_OPTION);
    requests_check(METHOD_WATCH, "once", WATCH_ONCE);
    requests_check(METHOD_WATCH, "since", WATCH_SINCE);
    requests_check(METHOD_WATCH, "value", WATCH_VALUE);
    requests_check(METHOD_WATCH, "consistency", WATCH_CONSISTENCY);
    requests_check(METHOD_UNWATCH, "watch", UNWATCH_ID);
}

/* --- reads --- */

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

/* --- watches --- */

enum { FLAG_DATA = 1, FLAG_CHILDREN = 2, FLAG_ONCE = 4, FLAG_VALUE = 8, FLAG_SINCE = 16 };

int requests_watch(struct rpc_values *v, struct job *j)
{
    const struct rpc_value *at = v->at;
    bool data = !at[WATCH_DATA_OPTION].given || at[WATCH_DATA_OPTION].number != 0;
    bool children = at[WATCH_CHILDREN_OPTION].number != 0;

    int code = requests_consistency(v, &at[WATCH_CONSISTENCY], j);
    if (code != 0) return code;
    if (!data && !children) {
        return requests_refuse(v, ERR_BAD_OPTION,
                               "a watch is of data, of children, or of both");
    }
    if (at[WATCH_SINCE].given && j->class == JOB_LOCAL) {
        return requests_refuse(v, ERR_BAD_OPTION,
                               "since goes with consistency \"strong\" only");
    }
    buf_put_uint(&j->body, at[WATCH_ID].number);
    buf_put_bytes(&j->body, at[PATH].bytes);
    buf_put_uint(&j->body, at[WATCH_SINCE].number);
    buf_put_u8(&j->body, (uint8_t)((data ? FLAG_DATA : 0) | (children ? FLAG_CHILDREN : 0) |
                                   (at[WATCH_ONCE].number != 0 ? FLAG_ONCE : 0) |
                                   (at[WATCH_VALUE].number != 0 ? FLAG_VALUE : 0) |
                                   (at[WATCH_SINCE].given ? FLAG_SINCE : 0)));
    return 0;
}

int requests_unwatch(struct rpc_values *v, struct job *j)
{
    j->class = JOB_LOCAL;
    buf_put_uint(&j->body, v->at[UNWATCH_ID].number);
    return 0;
}

struct watch_args watch_args_of(const struct job *j)
{
    struct reader r = reader_of(buf_bytes(&j->body));
    struct watch_args args = { .id = read_uint(&r) };

    if (j->method == METHOD_UNWATCH) return args;
    args.path = read_bytes(&r, RPC_BYTES_MAX);
    args.since = read_uint(&r);
    unsigned flags = read_u8(&r);
    args.data = (flags & FLAG_DATA) != 0;
    args.children = (flags & FLAG_CHILDREN) != 0;
    args.once = (flags & FLAG_ONCE) != 0;
    args.value = (flags & FLAG_VALUE) != 0;
    args.resumes = (flags & FLAG_SINCE) != 0;
    return args;
}
