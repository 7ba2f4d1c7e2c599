#include "core/server/requests.h"

#include <stdio.h>
#include <sys/random.h>

#include "core/base/check.h"
#include "core/server/requests_inside.h"

enum { OPEN_TIMEOUT = 0, ID = 0, ATTACH_SECRET = 1 };

void requests_check(enum method method, const char *name, unsigned position)
{
    CHECK(rpc_value_index(method, name) == position);
}

void requests_init(struct requests *q)
{
    *q = (struct requests){ 0 };
    requests_check_writes();
    requests_check_multi();
    requests_check_calls();
    requests_check_reads();
    requests_check_watches();
    requests_check_members();
    requests_check(METHOD_SESSION_OPEN, "timeout_ms", OPEN_TIMEOUT);
    requests_check(METHOD_SESSION_ATTACH, "secret", ATTACH_SECRET);
}

void requests_fini(struct requests *q)
{
    buf_fini(&q->wants);
    buf_fini(&q->args);
}

int requests_refuse(struct rpc_values *v, int code, const char *text)
{
    snprintf(v->why, sizeof v->why, "%s", text);
    return code;
}

/* --- sessions --- */

static int read_open(struct requests *q, struct rpc_values *v, struct job *j)
{
    const struct rpc_value *timeout = &v->at[OPEN_TIMEOUT];
    struct request r = { .kind = REQUEST_SESSION_OPEN,
                         .secret = bytes_of(j->secret, sizeof j->secret) };

    j->timeout_ms = timeout->given ? timeout->number : SESSION_TIMEOUT_DEFAULT_MS;
    if (j->timeout_ms < SESSION_TIMEOUT_MIN_MS || j->timeout_ms > SESSION_TIMEOUT_MAX_MS) {
        snprintf(v->why, sizeof v->why, "timeout_ms must be %u to %u",
                 SESSION_TIMEOUT_MIN_MS, SESSION_TIMEOUT_MAX_MS);
        return ERR_BAD_OPTION;
    }
    CHECK(getrandom(j->secret, sizeof j->secret, 0) == (ssize_t)sizeof j->secret);
    r.timeout_ms = j->timeout_ms;
    j->class = JOB_WRITE;
    buf_clear(&q->wants);
    return write_end(q, v, &r, j);
}

static int read_close(struct requests *q, struct rpc_values *v, struct job *j)
{
    struct request r = { .kind = REQUEST_SESSION_CLOSE, .session = v->at[ID].number };

    if (r.session == 0)
        return requests_refuse(v, ERR_BAD_PARAMS, "session ids count from 1");
    j->class = JOB_WRITE;
    j->session = r.session;
    buf_clear(&q->wants);
    return write_end(q, v, &r, j);
}

static int read_renewal(struct rpc_values *v, struct job *j)
{
    const struct bytes secret = v->at[ATTACH_SECRET].bytes;

    if (v->at[ID].number == 0)
        return requests_refuse(v, ERR_BAD_PARAMS, "session ids count from 1");
    j->class = JOB_READ;
    j->renew = v->at[ID].number;
    if (j->method == METHOD_SESSION_RENEW) {
        j->session = j->renew;
        return 0;
    }
    if (secret.len != sizeof j->secret) {
        return requests_refuse(v, ERR_BAD_SECRET,
                               "the secret is the 16 bytes that session.open gave");
    }
    memcpy(j->secret, secret.ptr, secret.len);
    return 0;
}

int request_read(struct requests *q, struct rpc_values *v, struct job *j)
{
    switch (j->method) {
    case METHOD_SESSION_OPEN:
        return read_open(q, v, j);
    case METHOD_SESSION_ATTACH:
    case METHOD_SESSION_RENEW:
        return read_renewal(v, j);
    case METHOD_SESSION_CLOSE:
        return read_close(q, v, j);
    case METHOD_CREATE:
        return requests_create(q, v, j);
    case METHOD_SET:
        return requests_set(q, v, j);
    case METHOD_DELETE:
        return requests_delete(q, v, j);
    case METHOD_TOUCH:
        return requests_touch(q, v, j);
    case METHOD_DELETE_TREE:
        return requests_delete_tree(q, v, j);
    case METHOD_COPY:
        return requests_copy(q, v, j);
    case METHOD_QUOTA_SET:
        return requests_quota_set(q, v, j);
    case METHOD_MULTI:
        return requests_multi(q, v, j);
    case METHOD_GET:
    case METHOD_STAT:
    case METHOD_CHILDREN:
    case METHOD_TREE:
    case METHOD_QUOTA_LIST:
        return requests_read(v, j);
    case METHOD_WATCH:
        return requests_watch(v, j);
    case METHOD_WATCH_MANY:
        return requests_watch_many(v, j);
    case METHOD_UNWATCH:
        return requests_unwatch(v, j);
    case METHOD_CALL:
        return requests_call(q, v, j);
    case METHOD_QUERY:
        return requests_query(q, v, j);
    case METHOD_CALL_CANCEL:
        return requests_cancel(q, v, j);
    case METHOD_MEMBER_LIST:
    case METHOD_MEMBER_ADD:
    case METHOD_MEMBER_PROMOTE:
    case METHOD_MEMBER_DEMOTE:
    case METHOD_MEMBER_REMOVE:
    case METHOD_MEMBER_JOIN:
        return requests_member(v, j);
    case METHOD_HELLO:
    case METHOD_PING:
    case METHOD_STATUS:
    case METHOD_RECIPE_STATS:
    case METHOD_TRANSFER:
    case METHOD_NONE:
    case METHOD_COUNT:
        break;
    }
    return ERR_UNKNOWN_METHOD; /* the others are answered where they come in */
}
