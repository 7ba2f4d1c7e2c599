#include "core/server/requests.h"

#include <stdio.h>
#include <sys/random.h>

#include "core/base/check.h"
#include "core/machine/request.h"
#include "core/tree/tx.h"

/* Positions in the rows of methods.h; requests_init() compares them. */
enum { SESSION = 0, SEQ, ACK, GUARD, WRITE_OPTIONS_COUNT }; /* after a write's arguments */
enum { PATH = 0, DATA = 1 };
enum { CREATE_OPTIONS = 2, CREATE_EPHEMERAL = 6, CREATE_SEQUENTIAL, CREATE_PARENTS };
enum { SET_OPTIONS = 2, SET_VERSION = 6 };
enum { DELETE_OPTIONS = 1, DELETE_VERSION = 5 };
enum { MULTI_OPS = 0, MULTI_OPTIONS = 1 };
enum { CALL_FUNCTION = 0, CALL_ARGS, CALL_OPTIONS, CALL_TIMEOUT = 6 };
enum { READ_CONSISTENCY = 1, CHILDREN_AFTER, CHILDREN_LIMIT };
enum { WATCH_ID = 1, WATCH_DATA_OPTION, WATCH_CHILDREN_OPTION, WATCH_ONCE, WATCH_SINCE };
enum { WATCH_VALUE = WATCH_SINCE + 1, WATCH_CONSISTENCY, UNWATCH_ID = 0 };
enum { OPEN_TIMEOUT = 0, ID = 0, ATTACH_SECRET = 1, CANCEL_SESSION = 0, CANCEL_SEQ };

enum { CALL_TIMEOUT_MAX_MS = 24 * 3600 * 1000 };

static void check_position(enum method method, const char *name, unsigned position)
{
    CHECK(rpc_value_index(method, name) == position);
}

static void check_write(enum method method, unsigned options)
{
    check_position(method, "session", options + SESSION);
    check_position(method, "seq", options + SEQ);
    check_position(method, "ack", options + ACK);
    check_position(method, "guard", options + GUARD);
}

void requests_init(struct requests *q)
{
    *q = (struct requests){ 0 };
    check_write(METHOD_CREATE, CREATE_OPTIONS);
    check_write(METHOD_SET, SET_OPTIONS);
    check_write(METHOD_DELETE, DELETE_OPTIONS);
    check_write(METHOD_MULTI, MULTI_OPTIONS);
    check_write(METHOD_CALL, CALL_OPTIONS);
    check_position(METHOD_CREATE, "ephemeral", CREATE_EPHEMERAL);
    check_position(METHOD_CREATE, "sequential", CREATE_SEQUENTIAL);
    check_position(METHOD_CREATE, "parents", CREATE_PARENTS);
    check_position(METHOD_SET, "version", SET_VERSION);
    check_position(METHOD_DELETE, "version", DELETE_VERSION);
    check_position(METHOD_CALL, "timeout_ms", CALL_TIMEOUT);
    check_position(METHOD_GET, "consistency", READ_CONSISTENCY);
    check_position(METHOD_STAT, "consistency", READ_CONSISTENCY);
    check_position(METHOD_CHILDREN, "consistency", READ_CONSISTENCY);
    check_position(METHOD_CHILDREN, "after", CHILDREN_AFTER);
    check_position(METHOD_CHILDREN, "limit", CHILDREN_LIMIT);
    check_position(METHOD_WATCH, "watch", WATCH_ID);
    check_position(METHOD_WATCH, "data", WATCH_DATA_OPTION);
    check_position(METHOD_WATCH, "children", WATCH_CHILDREN_OPTION);
    check_position(METHOD_WATCH, "once", WATCH_ONCE);
    check_position(METHOD_WATCH, "since", WATCH_SINCE);
    check_position(METHOD_WATCH, "value", WATCH_VALUE);
    check_position(METHOD_WATCH, "consistency", WATCH_CONSISTENCY);
    check_position(METHOD_UNWATCH, "watch", UNWATCH_ID);
    check_position(METHOD_SESSION_OPEN, "timeout_ms", OPEN_TIMEOUT);
    check_position(METHOD_SESSION_ATTACH, "secret", ATTACH_SECRET);
    check_position(METHOD_CALL_CANCEL, "seq", CANCEL_SEQ);
}

void requests_fini(struct requests *q)
{
    buf_fini(&q->wants);
    buf_fini(&q->args);
}

static int refuse(struct rpc_values *v, int code, const char *text)
{
    snprintf(v->why, sizeof v->why, "%s", text);
    return code;
}

/* --- what is common to all writes --- */

static int read_session(struct rpc_values *v, unsigned options, struct request *r)
{
    const struct rpc_value *session = &v->at[options + SESSION],
                           *seq = &v->at[options + SEQ], *ack = &v->at[options + ACK];

    if (session->given != seq->given || (ack->given && !session->given)) {
        return refuse(v, ERR_BAD_OPTION,
                      "session and seq are given together, ack only with them");
    }
    if (session->given && (session->number == 0 || seq->number == 0)) {
        return refuse(v, ERR_BAD_OPTION, "session and seq count from 1");
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

static void put_want(struct requests *q, struct request *r, const struct want *w)
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
    put_want(q, r,
             &(struct want){
                 .kind = WANT_GUARD, .path = rpc_bytes(path), .token = token->via.u64 });
    return true;
}

/* One pair, or a list of pairs. */
static int read_guards(struct requests *q, struct rpc_values *v, unsigned options,
                       struct request *r, struct job *j)
{
    const struct rpc_value *guard = &v->at[options + GUARD];
    bool sound = true;

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
                 : refuse(v, ERR_BAD_OPTION, "guard is [path, token] or a list of these");
}

static int begin_write(struct requests *q, struct rpc_values *v, unsigned options,
                       struct request *r, struct job *j)
{
    j->class = r->kind == REQUEST_CALL ? JOB_CALL : JOB_WRITE;
    buf_clear(&q->wants);
    int code = read_session(v, options, r);
    j->session = r->session;
    return code != 0 ? code : read_guards(q, v, options, r, j);
}

static int end_write(struct requests *q, struct rpc_values *v, struct request *r,
                     struct job *j)
{
    if (r->wants_count > MULTI_OPS_MAX) return refuse(v, ERR_TOO_LARGE, "too many ops");
    r->wants = buf_bytes(&q->wants);
    request_encode(&j->body, r);
    return 0;
}

/* --- writes with one op --- */

static unsigned create_flags(bool ephemeral, bool sequential, bool parents)
{
    return (ephemeral ? TX_EPHEMERAL : 0u) | (sequential ? TX_SEQUENTIAL : 0u) |
           (parents ? TX_PARENTS : 0u);
}

static int read_single(struct requests *q, struct rpc_values *v, struct job *j,
                       unsigned options, struct want *w)
{
    struct request r = { .kind = REQUEST_WRITE, .single = true };

    w->path = v->at[PATH].bytes;
    int code = begin_write(q, v, options, &r, j);
    if (code != 0) return code;
    if ((w->flags & TX_EPHEMERAL) != 0 && r.session == 0) {
        return refuse(v, ERR_BAD_OPTION, "an ephemeral node needs a session");
    }
    put_want(q, &r, w);
    return end_write(q, v, &r, j);
}

static int read_create(struct requests *q, struct rpc_values *v, struct job *j)
{
    struct want w = { .kind = WANT_CREATE, .data = v->at[DATA].bytes };

    w.flags = create_flags(v->at[CREATE_EPHEMERAL].number, v->at[CREATE_SEQUENTIAL].number,
                           v->at[CREATE_PARENTS].number);
    return read_single(q, v, j, CREATE_OPTIONS, &w);
}

static int version_refuse(struct rpc_values *v)
{
    return refuse(v, ERR_BAD_OPTION, "a version is a number of 32 bits, -1 for any");
}

static int read_set(struct requests *q, struct rpc_values *v, struct job *j)
{
    struct want w = { .kind = WANT_SET, .data = v->at[DATA].bytes };

    if (!read_version(&v->at[SET_VERSION], &w.version)) return version_refuse(v);
    return read_single(q, v, j, SET_OPTIONS, &w);
}

static int read_delete(struct requests *q, struct rpc_values *v, struct job *j)
{
    struct want w = { .kind = WANT_DELETE };

    if (!read_version(&v->at[DELETE_VERSION], &w.version)) return version_refuse(v);
    return read_single(q, v, j, DELETE_OPTIONS, &w);
}

/* --- multi --- */

struct op_reader { /* walks one op's array; `bad` stays set */
    const msgpack_object *at;
    uint32_t left;
    bool bad;
};

static const msgpack_object *op_part(struct op_reader *o)
{
    if (o->left == 0) return NULL;
    o->left--;
    return o->at++;
}

static struct bytes op_path(struct op_reader *o)
{
    const msgpack_object *part = op_part(o);

    if (part == NULL || part->type != MSGPACK_OBJECT_STR) {
        o->bad = true;
        return BYTES_LIT("");
    }
    return rpc_bytes(part);
}

static struct bytes op_data(struct op_reader *o)
{
    const msgpack_object *part = op_part(o);
    struct bytes data = part != NULL ? rpc_bytes(part) : (struct bytes){ 0 };

    if (part != NULL && data.ptr == NULL && part->type != MSGPACK_OBJECT_NIL) o->bad = true;
    return data;
}

static int64_t op_version(struct op_reader *o)
{
    const msgpack_object *part = op_part(o);

    if (part == NULL) return -1;
    if (part->type == MSGPACK_OBJECT_NEGATIVE_INTEGER && part->via.i64 == -1) return -1;
    if (part->type != MSGPACK_OBJECT_POSITIVE_INTEGER || part->via.u64 > INT32_MAX) {
        o->bad = true;
        return -1;
    }
    return (int64_t)part->via.u64;
}

static uint64_t op_token(struct op_reader *o)
{
    const msgpack_object *part = op_part(o);

    if (part != NULL && part->type == MSGPACK_OBJECT_POSITIVE_INTEGER) return part->via.u64;
    o->bad = true;
    return 0;
}

static bool op_flag(struct op_reader *o, const msgpack_object *map, const char *name,
                    uint32_t *known)
{
    const msgpack_object *flag = rpc_member(map, name);

    if (flag == NULL) return false;
    if (flag->type != MSGPACK_OBJECT_BOOLEAN) o->bad = true;
    *known += 1;
    return flag->via.boolean;
}

static unsigned op_flags(struct op_reader *o)
{
    const msgpack_object *map = op_part(o);
    uint32_t known = 0;

    if (map == NULL) return 0;
    if (map->type != MSGPACK_OBJECT_MAP) {
        o->bad = true;
        return 0;
    }
    bool ephemeral = op_flag(o, map, "ephemeral", &known);
    bool sequential = op_flag(o, map, "sequential", &known);
    bool parents = op_flag(o, map, "parents", &known);
    if (known != map->via.map.size) o->bad = true;
    return create_flags(ephemeral, sequential, parents);
}

static bool op_kind(struct bytes name, enum want_kind *kind)
{
    static const struct {
        const char *name;
        enum want_kind kind;
    } kinds[] = { { "create", WANT_CREATE },       { "set", WANT_SET },
                  { "delete", WANT_DELETE },       { "check", WANT_CHECK },
                  { "absent", WANT_CHECK_ABSENT }, { "guard", WANT_GUARD } };

    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        *kind = kinds[i].kind;
        if (bytes_equal(name, bytes_str(kinds[i].name))) return true;
    }
    return false;
}

static bool op_read(const msgpack_object *op, struct want *w)
{
    struct op_reader o = { op->via.array.ptr, op->via.array.size, false };

    *w = (struct want){ .version = -1 };
    if (!op_kind(op_path(&o), &w->kind)) return false;
    w->path = op_path(&o);
    switch (w->kind) {
    case WANT_CREATE:
        w->data = op_data(&o);
        w->flags = op_flags(&o);
        break;
    case WANT_SET:
        w->data = op_data(&o);
        w->version = op_version(&o);
        break;
    case WANT_DELETE:
    case WANT_CHECK:
        w->version = op_version(&o);
        break;
    case WANT_GUARD:
        w->token = op_token(&o);
        break;
    case WANT_CHECK_ABSENT:
        break;
    }
    return !o.bad && o.left == 0;
}

static int op_refuse(struct rpc_values *v, uint32_t i, const char *what)
{
    snprintf(v->why, sizeof v->why, "op %u %s", (unsigned)i, what);
    return ERR_BAD_PARAMS;
}

static int read_multi(struct requests *q, struct rpc_values *v, struct job *j)
{
    struct request r = { .kind = REQUEST_WRITE };
    const msgpack_object *ops = v->at[MULTI_OPS].any;
    struct want w;

    int code = begin_write(q, v, MULTI_OPTIONS, &r, j);
    if (code != 0) return code;
    for (uint32_t i = 0; i < ops->via.array.size; i++) {
        const msgpack_object *op = &ops->via.array.ptr[i];
        if (op->type != MSGPACK_OBJECT_ARRAY || !op_read(op, &w)) {
            return op_refuse(v, i, "is malformed: see multi in the protocol");
        }
        if ((w.flags & TX_EPHEMERAL) != 0 && r.session == 0) {
            return op_refuse(v, i, "creates an ephemeral node, which needs a session");
        }
        put_want(q, &r, &w);
    }
    return end_write(q, v, &r, j);
}

/* --- calls --- */

static int read_call(struct requests *q, struct rpc_values *v, struct job *j)
{
    struct request r = { .kind = REQUEST_CALL, .timeout_ms = v->at[CALL_TIMEOUT].number };
    const struct bytes name = v->at[CALL_FUNCTION].bytes;

    int code = begin_write(q, v, CALL_OPTIONS, &r, j);
    if (code != 0) return code;
    const uint8_t *dot = name.len > 0 ? memchr(name.ptr, '.', name.len) : NULL;
    if (dot == NULL || dot == name.ptr || dot + 1 == name.ptr + name.len) {
        return refuse(v, ERR_BAD_PARAMS,
                      "function must be recipe.function, as in lock.acquire");
    }
    if (r.timeout_ms > CALL_TIMEOUT_MAX_MS) {
        return refuse(v, ERR_BAD_OPTION, "timeout_ms is at most a day, 86400000");
    }
    r.recipe = bytes_of(name.ptr, (size_t)(dot - name.ptr));
    r.function = bytes_of(dot + 1, name.len - r.recipe.len - 1);
    buf_clear(&q->args);
    pack_object(&q->args, v->at[CALL_ARGS].any);
    r.args = buf_bytes(&q->args);
    return end_write(q, v, &r, j);
}

static int read_cancel(struct requests *q, struct rpc_values *v, struct job *j)
{
    struct request r = { .kind = REQUEST_CANCEL,
                         .session = v->at[CANCEL_SESSION].number,
                         .target_seq = v->at[CANCEL_SEQ].number };

    if (r.session == 0 || r.target_seq == 0) {
        return refuse(v, ERR_BAD_PARAMS, "session and seq count from 1");
    }
    j->class = JOB_WRITE;
    j->session = r.session;
    buf_clear(&q->wants);
    return end_write(q, v, &r, j);
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
    return end_write(q, v, &r, j);
}

static int read_close(struct requests *q, struct rpc_values *v, struct job *j)
{
    struct request r = { .kind = REQUEST_SESSION_CLOSE, .session = v->at[ID].number };

    if (r.session == 0) return refuse(v, ERR_BAD_PARAMS, "session ids count from 1");
    j->class = JOB_WRITE;
    j->session = r.session;
    buf_clear(&q->wants);
    return end_write(q, v, &r, j);
}

static int read_renewal(struct rpc_values *v, struct job *j)
{
    const struct bytes secret = v->at[ATTACH_SECRET].bytes;

    if (v->at[ID].number == 0) return refuse(v, ERR_BAD_PARAMS, "session ids count from 1");
    j->class = JOB_READ;
    j->renew = v->at[ID].number;
    if (j->method == METHOD_SESSION_RENEW) {
        j->session = j->renew;
        return 0;
    }
    if (secret.len != sizeof j->secret) {
        return refuse(v, ERR_BAD_SECRET,
                      "the secret is the 16 bytes that session.open gave");
    }
    memcpy(j->secret, secret.ptr, secret.len);
    return 0;
}

/* --- reads --- */

static int read_consistency(struct rpc_values *v, const struct rpc_value *level,
                            struct job *j)
{
    j->class = JOB_READ;
    if (!level->given) return 0;
    bool any = bytes_equal(level->bytes, BYTES_LIT("any"));
    if (!any && !bytes_equal(level->bytes, BYTES_LIT("strong"))) {
        return refuse(v, ERR_BAD_OPTION, "consistency is \"strong\" or \"any\"");
    }
    if (any) j->class = JOB_LOCAL;
    return 0;
}

static int read_read(struct rpc_values *v, struct job *j)
{
    int code = read_consistency(v, &v->at[READ_CONSISTENCY], j);
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

static int read_watch(struct rpc_values *v, struct job *j)
{
    const struct rpc_value *at = v->at;
    bool data = !at[WATCH_DATA_OPTION].given || at[WATCH_DATA_OPTION].number != 0;
    bool children = at[WATCH_CHILDREN_OPTION].number != 0;

    int code = read_consistency(v, &at[WATCH_CONSISTENCY], j);
    if (code != 0) return code;
    if (!data && !children) {
        return refuse(v, ERR_BAD_OPTION, "a watch is of data, of children, or of both");
    }
    if (at[WATCH_SINCE].given && j->class == JOB_LOCAL) {
        return refuse(v, ERR_BAD_OPTION, "since goes with consistency \"strong\" only");
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

static int read_unwatch(struct rpc_values *v, struct job *j)
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
        return read_create(q, v, j);
    case METHOD_SET:
        return read_set(q, v, j);
    case METHOD_DELETE:
        return read_delete(q, v, j);
    case METHOD_MULTI:
        return read_multi(q, v, j);
    case METHOD_GET:
    case METHOD_STAT:
    case METHOD_CHILDREN:
        return read_read(v, j);
    case METHOD_WATCH:
        return read_watch(v, j);
    case METHOD_UNWATCH:
        return read_unwatch(v, j);
    case METHOD_CALL:
        return read_call(q, v, j);
    case METHOD_CALL_CANCEL:
        return read_cancel(q, v, j);
    case METHOD_HELLO:
    case METHOD_PING:
    case METHOD_STATUS:
    case METHOD_TRANSFER:
    case METHOD_NONE:
    case METHOD_COUNT:
        break;
    }
    return ERR_UNKNOWN_METHOD; /* the others are answered where they come in */
}
