/* requests_multi.c -- the ops of a multi. */
#include <stdio.h>

#include "core/server/requests_inside.h"
#include "core/tree/tx.h"

enum { OPS = 0, OPTIONS };

void requests_check_multi(void)
{
    requests_check_write(METHOD_MULTI, OPTIONS);
}

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

static uint64_t op_number(struct op_reader *o, const msgpack_object *map, const char *name,
                          uint32_t *known)
{
    const msgpack_object *number = rpc_member(map, name);

    if (number == NULL) return 0;
    if (number->type != MSGPACK_OBJECT_POSITIVE_INTEGER) o->bad = true;
    *known += 1;
    return rpc_uint(number, 0);
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

static void op_create(struct op_reader *o, struct want *w)
{
    const msgpack_object *map = op_part(o);
    struct create_options options = { 0 };
    uint32_t known = 0;

    if (map != NULL && map->type == MSGPACK_OBJECT_MAP) {
        options.ephemeral = op_flag(o, map, "ephemeral", &known);
        options.sequential = op_flag(o, map, "sequential", &known);
        options.parents = op_flag(o, map, "parents", &known);
        options.container = op_flag(o, map, "container", &known);
        options.ttl_ms = op_number(o, map, "ttl_ms", &known);
        options.linger_ms = op_number(o, map, "linger_ms", &known);
        if (known != map->via.map.size) o->bad = true;
    } else if (map != NULL) {
        o->bad = true;
    }
    write_create_want(w, &options);
}

static bool op_kind(struct bytes name, enum want_kind *kind)
{
    static const struct {
        const char *name;
        enum want_kind kind;
    } kinds[] = {
        { "create", WANT_CREATE },       { "set", WANT_SET },
        { "delete", WANT_DELETE },       { "check", WANT_CHECK },
        { "absent", WANT_CHECK_ABSENT }, { "guard", WANT_GUARD },
        { "alive", WANT_ALIVE },         { "get", WANT_GET },
        { "stat", WANT_STAT },           { "touch", WANT_TOUCH },
        { "copy", WANT_COPY },           { "delete_tree", WANT_DELETE_TREE },
    };

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
    if (w->kind != WANT_ALIVE) w->path = op_path(&o);
    switch (w->kind) {
    case WANT_CREATE:
        w->data = op_data(&o);
        op_create(&o, w);
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
    case WANT_ALIVE:
        w->token = op_token(&o);
        break;
    case WANT_COPY:
        w->to = op_path(&o);
        break;
    case WANT_CHECK_ABSENT:
    case WANT_GET:
    case WANT_STAT:
    case WANT_TOUCH:
    case WANT_DELETE_TREE:
        break;
    case WANT_CREATE_AS:
    case WANT_QUOTA:
        return false; /* no op has these names */
    }
    return !o.bad && o.left == 0;
}

static int op_refuse(struct rpc_values *v, uint32_t i, const char *what)
{
    snprintf(v->why, sizeof v->why, "op %u %s", (unsigned)i, what);
    return ERR_BAD_PARAMS;
}

int requests_multi(struct requests *q, struct rpc_values *v, struct job *j)
{
    struct request r = { .kind = REQUEST_WRITE };
    const msgpack_object *ops = v->at[OPS].any;
    struct want w;

    int code = write_begin(q, v, OPTIONS, &r, j);
    if (code != 0) return code;
    for (uint32_t i = 0; i < ops->via.array.size; i++) {
        const msgpack_object *op = &ops->via.array.ptr[i];
        if (op->type != MSGPACK_OBJECT_ARRAY || !op_read(op, &w)) {
            return op_refuse(v, i, "is malformed: see multi in the protocol");
        }
        if ((w.flags & TX_EPHEMERAL) != 0 && r.session == 0) {
            return op_refuse(v, i, "creates an ephemeral node, which needs a session");
        }
        write_put_want(q, &r, &w);
    }
    return write_end(q, v, &r, j);
}
