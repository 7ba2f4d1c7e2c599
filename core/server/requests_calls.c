/* requests_calls.c -- recipes' functions: calls, cancels, queries. */
#include "core/server/requests_inside.h"

enum { FUNCTION = 0, ARGS };
enum { CALL_OPTIONS = 2, CALL_TIMEOUT = 7, QUERY_CONSISTENCY = 2 };
enum { CANCEL_SESSION = 0, CANCEL_SEQ };

enum { CALL_TIMEOUT_MAX_MS = 24 * 3600 * 1000 };

void requests_check_calls(void)
{
    requests_check_write(METHOD_CALL, CALL_OPTIONS);
    requests_check(METHOD_CALL, "args", ARGS);
    requests_check(METHOD_CALL, "timeout_ms", CALL_TIMEOUT);
    requests_check(METHOD_QUERY, "args", ARGS);
    requests_check_read(METHOD_QUERY, QUERY_CONSISTENCY);
    requests_check(METHOD_CALL_CANCEL, "seq", CANCEL_SEQ);
}

/* "recipe.function"; false when it is not of that form. */
static bool split(struct bytes name, struct bytes *recipe, struct bytes *function)
{
    const uint8_t *dot = name.len > 0 ? memchr(name.ptr, '.', name.len) : NULL;

    if (dot == NULL || dot == name.ptr || dot + 1 == name.ptr + name.len) return false;
    *recipe = bytes_of(name.ptr, (size_t)(dot - name.ptr));
    *function = bytes_of(dot + 1, name.len - recipe->len - 1);
    return true;
}

static int refuse_name(struct rpc_values *v)
{
    return requests_refuse(v, ERR_BAD_PARAMS,
                           "function must be recipe.function, as in lock.acquire");
}

int requests_call(struct requests *q, struct rpc_values *v, struct job *j)
{
    struct request r = { .kind = REQUEST_CALL, .timeout_ms = v->at[CALL_TIMEOUT].number };
    const struct bytes name = v->at[FUNCTION].bytes;

    int code = write_begin(q, v, CALL_OPTIONS, &r, j);
    if (code != 0) return code;
    if (!split(name, &r.recipe, &r.function)) return refuse_name(v);
    if (r.timeout_ms > CALL_TIMEOUT_MAX_MS) {
        return requests_refuse(v, ERR_BAD_OPTION, "timeout_ms is at most a day, 86400000");
    }
    buf_clear(&q->args);
    pack_object(&q->args, v->at[ARGS].any);
    r.args = buf_bytes(&q->args);
    return write_end(q, v, &r, j);
}

int requests_cancel(struct requests *q, struct rpc_values *v, struct job *j)
{
    struct request r = { .kind = REQUEST_CANCEL,
                         .session = v->at[CANCEL_SESSION].number,
                         .target_seq = v->at[CANCEL_SEQ].number };

    if (r.session == 0 || r.target_seq == 0) {
        return requests_refuse(v, ERR_BAD_PARAMS, "session and seq count from 1");
    }
    j->class = JOB_WRITE;
    j->session = r.session;
    buf_clear(&q->wants);
    return write_end(q, v, &r, j);
}

/* --- queries --- */

int requests_query(struct requests *q, struct rpc_values *v, struct job *j)
{
    struct bytes recipe, function;

    int code = requests_level(v, QUERY_CONSISTENCY, j);
    if (code != 0) return code;
    if (!split(v->at[FUNCTION].bytes, &recipe, &function)) return refuse_name(v);
    buf_clear(&q->args);
    pack_object(&q->args, v->at[ARGS].any);
    buf_put_bytes(&j->body, recipe);
    buf_put_bytes(&j->body, function);
    buf_put_bytes(&j->body, buf_bytes(&q->args));
    return 0;
}

struct query query_of(const struct job *j)
{
    struct reader r = reader_of(buf_bytes(&j->body));
    struct query query = { .recipe = read_bytes(&r, RPC_BYTES_MAX) };

    query.function = read_bytes(&r, RPC_BYTES_MAX);
    query.args = read_bytes(&r, SIZE_MAX);
    return query;
}
