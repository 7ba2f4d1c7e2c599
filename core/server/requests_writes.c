/* requests_writes.c -- what is common to all writes, and the writes with one op. */
#include "core/server/requests_inside.h"
#include "core/tree/tx.h"

enum { SESSION = 0, SEQ, ACK, GUARD, ALIVE, WRITE_OPTIONS_COUNT }; /* after a write's arguments */
enum { PATH = 0, DATA = 1, COPY_TO = 1 };
enum { CREATE_OPTIONS = 2, CREATE_EPHEMERAL = CREATE_OPTIONS + WRITE_OPTIONS_COUNT };
enum { CREATE_SEQUENTIAL = CREATE_EPHEMERAL + 1, CREATE_PARENTS, CREATE_CONTAINER };
enum { CREATE_TTL = CREATE_CONTAINER + 1, CREATE_LINGER };
enum { SET_OPTIONS = 2, SET_VERSION = SET_OPTIONS + WRITE_OPTIONS_COUNT };
enum { DELETE_OPTIONS = 1, DELETE_VERSION = DELETE_OPTIONS + WRITE_OPTIONS_COUNT };
enum { TOUCH_OPTIONS = 1, COPY_OPTIONS = 2 };
enum { TREE_OPTIONS = 1, TREE_PARTLY = TREE_OPTIONS + WRITE_OPTIONS_COUNT };
enum { QUOTA_OPTIONS = 1, QUOTA_NODES = QUOTA_OPTIONS + WRITE_OPTIONS_COUNT, QUOTA_BYTES };

void requests_check_write(enum method method, unsigned options)
{
    requests_check(method, "session", options + SESSION);
    requests_check(method, "seq", options + SEQ);
    requests_check(method, "ack", options + ACK);
    requests_check(method, "guard", options + GUARD);
    requests_check(method, "alive", options + ALIVE);
}

void requests_check_writes(void)
{
    requests_check_write(METHOD_CREATE, CREATE_OPTIONS);
    requests_check_write(METHOD_SET, SET_OPTIONS);
    requests_check_write(METHOD_DELETE, DELETE_OPTIONS);
    requests_check_write(METHOD_TOUCH, TOUCH_OPTIONS);
    requests_check_write(METHOD_DELETE_TREE, TREE_OPTIONS);
    requests_check_write(METHOD_COPY, COPY_OPTIONS);
    requests_check_write(METHOD_QUOTA_SET, QUOTA_OPTIONS);
    requests_check(METHOD_CREATE, "ephemeral", CREATE_EPHEMERAL);
    requests_check(METHOD_CREATE, "sequential", CREATE_SEQUENTIAL);
    requests_check(METHOD_CREATE, "parents", CREATE_PARENTS);
    requests_check(METHOD_CREATE, "container", CREATE_CONTAINER);
    requests_check(METHOD_CREATE, "ttl_ms", CREATE_TTL);
    requests_check(METHOD_CREATE, "linger_ms", CREATE_LINGER);
    requests_check(METHOD_SET, "version", SET_VERSION);
    requests_check(METHOD_DELETE, "version", DELETE_VERSION);
    requests_check(METHOD_DELETE_TREE, "partly", TREE_PARTLY);
    requests_check(METHOD_COPY, "to", COPY_TO);
    requests_check(METHOD_QUOTA_SET, "nodes", QUOTA_NODES);
    requests_check(METHOD_QUOTA_SET, "bytes", QUOTA_BYTES);
}

/* --- what is common to all --- */

static int read_session(struct rpc_values *v, unsigned options, struct request *r)
{
    const struct rpc_value *session = &v->at[options + SESSION],
                           *seq = &v->at[options + SEQ], *ack = &v->at[options + ACK];

    if (session->given != seq->given || (ack->given && !session->given)) {
        return requests_refuse(v, ERR_BAD_OPTION,
                               "session and seq are given together, ack only with them");
    }
    if (session->given && (session->number == 0 || seq->number == 0)) {
        return requests_refuse(v, ERR_BAD_OPTION, "session and seq count from 1");
    }
    r->session = session->number;
    r->seq = seq->number;
    r->ack = ack->number;
    return 0;
}

static bool read_version(const struct rpc_value *value, int64_t *version)
{
    *version = value->given ? value->integer : -1;
    return *version >= INT32_MIN && *version <= INT32_MAX;
}

void write_put_want(struct requests *q, struct request *r, const struct want *w)
{
    want_encode(&q->wants, w);
    r->wants_count++;
}

static bool put_guard(struct requests *q, struct request *r, const msgpack_object *pair)
{
    if (pair->type != MSGPACK_OBJECT_ARRAY || pair->via.array.size != 2) return false;
    const msgpack_object *path = &pair->via.array.ptr[0], *token = &pair->via.array.ptr[1];
    if (path->type != MSGPACK_OBJECT_STR) return false;
    if (token->type != MSGPACK_OBJECT_POSITIVE_INTEGER) return false;
    write_put_want(q, r,
                   &(struct want){ .kind = WANT_GUARD,
                                   .path = rpc_bytes(path),
                                   .token = token->via.u64 });
    return true;
}

/* One pair, or a list of pairs. */
static int read_guards(struct requests *q, struct rpc_values *v, unsigned options,
                       struct request *r, struct job *j)
{
    const struct rpc_value *guard = &v->at[options + GUARD], *alive = &v->at[options + ALIVE];
    bool sound = true;

    if (alive->given) {
        write_put_want(q, r, &(struct want){ .kind = WANT_ALIVE, .token = alive->number });
        j->guards = r->wants_count;
    }
    if (!guard->given) return 0;
    if (guard->any->type == MSGPACK_OBJECT_ARRAY) {
        const msgpack_object_array *list = &guard->any->via.array;
        bool one = list->size == 2 && list->ptr[0].type == MSGPACK_OBJECT_STR;
        for (uint32_t i = 0; !one && sound && i < list->size; i++) {
            sound = put_guard(q, r, &list->ptr[i]);
        }
        if (one) sound = put_guard(q, r, guard->any);
    } else {
        sound = false;
    }
    j->guards = r->wants_count;
    return sound ? 0
                 : requests_refuse(v, ERR_BAD_OPTION,
                                   "guard is [path, token] or a list of these");
}

int write_begin(struct requests *q, struct rpc_values *v, unsigned options,
                struct request *r, struct job *j)
{
    j->class = r->kind == REQUEST_CALL ? JOB_CALL : JOB_WRITE;
    buf_clear(&q->wants);
    int code = read_session(v, options, r);
    j->session = r->session;
    return code != 0 ? code : read_guards(q, v, options, r, j);
}

int write_end(struct requests *q, struct rpc_values *v, struct request *r, struct job *j)
{
    if (r->wants_count > MULTI_OPS_MAX)
        return requests_refuse(v, ERR_TOO_LARGE, "too many ops");
    r->wants = buf_bytes(&q->wants);
    request_encode(&j->body, r);
    return 0;
}

/* --- writes with one op --- */

void write_create_want(struct want *w, const struct create_options *o)
{
    const bool more = o->container || o->ttl_ms > 0 || o->linger_ms > 0;

    w->kind = more ? WANT_CREATE_AS : WANT_CREATE;
    w->flags = (o->ephemeral ? TX_EPHEMERAL : 0u) | (o->sequential ? TX_SEQUENTIAL : 0u) |
               (o->parents ? TX_PARENTS : 0u) | (o->container ? TX_CONTAINER : 0u);
    w->ttl_ms = o->ttl_ms;
    w->linger_ms = o->linger_ms;
}

static int read_single(struct requests *q, struct rpc_values *v, struct job *j,
                       unsigned options, struct want *w)
{
    struct request r = { .kind = REQUEST_WRITE, .single = true };

    w->path = v->at[PATH].bytes;
    int code = write_begin(q, v, options, &r, j);
    if (code != 0) return code;
    if ((w->flags & TX_EPHEMERAL) != 0 && r.session == 0) {
        return requests_refuse(v, ERR_BAD_OPTION, "an ephemeral node needs a session");
    }
    write_put_want(q, &r, w);
    return write_end(q, v, &r, j);
}

int requests_create(struct requests *q, struct rpc_values *v, struct job *j)
{
    const struct create_options o = { .ephemeral = v->at[CREATE_EPHEMERAL].number,
                                      .sequential = v->at[CREATE_SEQUENTIAL].number,
                                      .parents = v->at[CREATE_PARENTS].number,
                                      .container = v->at[CREATE_CONTAINER].number,
                                      .ttl_ms = v->at[CREATE_TTL].number,
                                      .linger_ms = v->at[CREATE_LINGER].number };
    struct want w = { .data = v->at[DATA].bytes };

    write_create_want(&w, &o);
    return read_single(q, v, j, CREATE_OPTIONS, &w);
}

static int version_refuse(struct rpc_values *v)
{
    return requests_refuse(v, ERR_BAD_OPTION,
                           "a version is a number of 32 bits, -1 for any");
}

int requests_set(struct requests *q, struct rpc_values *v, struct job *j)
{
    struct want w = { .kind = WANT_SET, .data = v->at[DATA].bytes };

    if (!read_version(&v->at[SET_VERSION], &w.version)) return version_refuse(v);
    return read_single(q, v, j, SET_OPTIONS, &w);
}

int requests_delete(struct requests *q, struct rpc_values *v, struct job *j)
{
    struct want w = { .kind = WANT_DELETE };

    if (!read_version(&v->at[DELETE_VERSION], &w.version)) return version_refuse(v);
    return read_single(q, v, j, DELETE_OPTIONS, &w);
}

int requests_touch(struct requests *q, struct rpc_values *v, struct job *j)
{
    struct want w = { .kind = WANT_TOUCH };

    return read_single(q, v, j, TOUCH_OPTIONS, &w);
}

int requests_delete_tree(struct requests *q, struct rpc_values *v, struct job *j)
{
    struct want w = { .kind = WANT_DELETE_TREE, .partly = v->at[TREE_PARTLY].number };

    return read_single(q, v, j, TREE_OPTIONS, &w);
}

int requests_copy(struct requests *q, struct rpc_values *v, struct job *j)
{
    struct want w = { .kind = WANT_COPY, .to = v->at[COPY_TO].bytes };

    return read_single(q, v, j, COPY_OPTIONS, &w);
}

int requests_quota_set(struct requests *q, struct rpc_values *v, struct job *j)
{
    struct want w = { .kind = WANT_QUOTA,
                      .nodes_max = v->at[QUOTA_NODES].number,
                      .bytes_max = v->at[QUOTA_BYTES].number };

    return read_single(q, v, j, QUOTA_OPTIONS, &w);
}
