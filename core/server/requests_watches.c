/* requests_watches.c -- watches, one or many at a time. */
#include <stdio.h>

#include "core/server/requests_inside.h"

enum { PATH = 0, WATCH_ID, DATA, CHILDREN, ONCE, SINCE, VALUE, CONSISTENCY, RECURSIVE };
enum { SNAPSHOT = RECURSIVE + 1, UNWATCH_ID = 0, MANY_LIST = 0, MANY_SINCE };

void requests_check_watches(void)
{
    requests_check(METHOD_WATCH, "watch", WATCH_ID);
    requests_check(METHOD_WATCH, "data", DATA);
    requests_check(METHOD_WATCH, "children", CHILDREN);
    requests_check(METHOD_WATCH, "once", ONCE);
    requests_check(METHOD_WATCH, "since", SINCE);
    requests_check(METHOD_WATCH, "value", VALUE);
    requests_check(METHOD_WATCH, "consistency", CONSISTENCY);
    requests_check(METHOD_WATCH, "recursive", RECURSIVE);
    requests_check(METHOD_WATCH, "snapshot", SNAPSHOT);
    requests_check(METHOD_WATCH_MANY, "watches", MANY_LIST);
    requests_check(METHOD_WATCH_MANY, "since", MANY_SINCE);
    requests_check(METHOD_UNWATCH, "watch", UNWATCH_ID);
}

enum {
    FLAG_DATA = 1,
    FLAG_CHILDREN = 2,
    FLAG_ONCE = 4,
    FLAG_VALUE = 8,
    FLAG_RECURSIVE = 16,
    FLAG_SNAPSHOT = 32,
    FLAG_SINCE = 64,
};

/* Why flags do not go together; NULL: they do. */
static const char *flags_refusal(unsigned flags)
{
    if ((flags & (FLAG_DATA | FLAG_CHILDREN)) == 0) {
        return "a watch is of data, of children, or of both";
    }
    if ((flags & FLAG_RECURSIVE) != 0 && (flags & FLAG_CHILDREN) != 0) {
        return "a recursive watch tells of the children as nodes: leave children out";
    }
    if ((flags & FLAG_RECURSIVE) != 0 && (flags & FLAG_DATA) == 0) {
        return "a recursive watch is of data";
    }
    if ((flags & FLAG_SNAPSHOT) != 0 &&
        (flags & (FLAG_CHILDREN | FLAG_ONCE | FLAG_SINCE)) != 0) {
        return "a snapshot goes not with children, once or since";
    }
    return NULL;
}

static void put_watch(struct buf *body, uint64_t id, struct bytes path, unsigned flags)
{
    buf_put_uint(body, id);
    buf_put_bytes(body, path);
    buf_put_u8(body, (uint8_t)flags);
}

/* --- one --- */

static unsigned flag_of(const struct rpc_value *v, unsigned flag)
{
    return v->number != 0 ? flag : 0;
}

static unsigned watch_flags(const struct rpc_value *at)
{
    unsigned data = at[DATA].given ? flag_of(&at[DATA], FLAG_DATA) : FLAG_DATA;

    return data | flag_of(&at[CHILDREN], FLAG_CHILDREN) | flag_of(&at[ONCE], FLAG_ONCE) |
           flag_of(&at[VALUE], FLAG_VALUE) | flag_of(&at[RECURSIVE], FLAG_RECURSIVE) |
           flag_of(&at[SNAPSHOT], FLAG_SNAPSHOT) | (at[SINCE].given ? FLAG_SINCE : 0);
}

int requests_watch(struct rpc_values *v, struct job *j)
{
    const struct rpc_value *at = v->at;
    unsigned flags = watch_flags(at);
    const char *why = flags_refusal(flags);

    int code = requests_consistency(v, &at[CONSISTENCY], j);
    if (code != 0) return code;
    if (why != NULL) return requests_refuse(v, ERR_BAD_OPTION, why);
    if (at[SINCE].given && j->class == JOB_LOCAL) {
        return requests_refuse(v, ERR_BAD_OPTION,
                               "since goes with consistency \"strong\" only");
    }
    buf_put_uint(&j->body, at[SINCE].number);
    put_watch(&j->body, at[WATCH_ID].number, at[PATH].bytes, flags);
    return 0;
}

int requests_unwatch(struct rpc_values *v, struct job *j)
{
    j->class = JOB_LOCAL;
    buf_put_uint(&j->body, v->at[UNWATCH_ID].number);
    return 0;
}

/* --- many --- */

static const struct {
    const char *name;
    unsigned flag;
} names[] = { { "data", FLAG_DATA },
              { "children", FLAG_CHILDREN },
              { "recursive", FLAG_RECURSIVE },
              { "once", FLAG_ONCE },
              { "value", FLAG_VALUE } };

/* What a watch's map says; NULL in *why when that makes sense. */
static unsigned map_flags(const msgpack_object *map, const char **why)
{
    unsigned flags = FLAG_DATA;
    uint32_t known = 0;

    for (size_t i = 0; map != NULL && i < sizeof names / sizeof names[0]; i++) {
        const msgpack_object *flag = rpc_member(map, names[i].name);
        if (flag == NULL) continue;
        known += flag->type == MSGPACK_OBJECT_BOOLEAN;
        flags &= ~names[i].flag;
        if (flag->via.boolean) flags |= names[i].flag;
    }
    *why = flags_refusal(flags);
    if (map != NULL && known != map->via.map.size) {
        *why = "a watch takes data, children, recursive, once, value, each true or false";
    }
    return flags;
}

static int many_refuse(struct rpc_values *v, uint32_t watch, const char *why)
{
    snprintf(v->why, sizeof v->why, "watch %u: %s", watch, why);
    return ERR_BAD_PARAMS;
}

int requests_watch_many(struct rpc_values *v, struct job *j)
{
    const msgpack_object_array *list = &v->at[MANY_LIST].any->via.array;
    unsigned since = v->at[MANY_SINCE].given ? FLAG_SINCE : 0;
    const char *why;

    j->class = JOB_READ;
    if (list->size == 0 || list->size > WATCH_MANY_MAX) {
        snprintf(v->why, sizeof v->why, "one request arms 1 to %u watches", WATCH_MANY_MAX);
        return list->size == 0 ? ERR_BAD_PARAMS : ERR_TOO_LARGE;
    }
    buf_put_uint(&j->body, v->at[MANY_SINCE].number);
    for (uint32_t i = 0; i < list->size; i++) {
        const msgpack_object_array *watch = &list->ptr[i].via.array;
        unsigned flags = map_flags(watch->size > 2 ? &watch->ptr[2] : NULL, &why);
        if (why != NULL) return many_refuse(v, i, why);
        put_watch(&j->body, watch->ptr[0].via.u64, rpc_bytes(&watch->ptr[1]),
                  flags | since);
    }
    return 0;
}

/* --- back --- */

struct watch_list watch_list_of(const struct job *j)
{
    struct watch_list list = { .r = reader_of(buf_bytes(&j->body)) };

    list.since = read_uint(&list.r);
    return list;
}

bool watch_list_next(struct watch_list *list, struct watch_args *args)
{
    if (reader_left(&list->r) == 0) return false;
    *args = (struct watch_args){ .since = list->since };
    args->id = read_uint(&list->r);
    args->path = read_bytes(&list->r, RPC_BYTES_MAX);
    unsigned flags = read_u8(&list->r);
    args->data = (flags & FLAG_DATA) != 0;
    args->children = (flags & FLAG_CHILDREN) != 0;
    args->recursive = (flags & FLAG_RECURSIVE) != 0;
    args->once = (flags & FLAG_ONCE) != 0;
    args->value = (flags & FLAG_VALUE) != 0;
    args->snapshot = (flags & FLAG_SNAPSHOT) != 0;
    args->resumes = (flags & FLAG_SINCE) != 0;
    return true;
}

uint64_t unwatch_id_of(const struct job *j)
{
    struct reader r = reader_of(buf_bytes(&j->body));

    return read_uint(&r);
}
