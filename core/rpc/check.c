#include <stdarg.h>
#include <stdio.h>

#include "core/rpc/rpc.h"
#include "core/rpc/spec.h"

static int refuse(struct rpc_values *values, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static int refuse(struct rpc_values *values, int code, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(values->why, sizeof values->why, format, args);
    va_end(args);
    return code;
}

/* A name that a client sent, fit for a message: short, and printable ASCII only. */
struct shown {
    char text[41];
};

static struct shown shown_name(struct bytes name)
{
    struct shown s = { 0 };

    for (size_t i = 0; i < name.len && i < sizeof s.text - 1; i++) {
        s.text[i] = name.ptr[i] > 0x20 && name.ptr[i] < 0x7f ? (char) name.ptr[i] : '?';
    }
    return s;
}

static bool guards_fit(const msgpack_object *o)
{
    if (o->type != MSGPACK_OBJECT_ARRAY) return false;
    for (uint32_t i = 0; i < o->via.array.size; i++) {
        const msgpack_object *guard = &o->via.array.ptr[i];

        if (guard->type != MSGPACK_OBJECT_ARRAY || guard->via.array.size != 2) return false;
        if (guard->via.array.ptr[0].type != MSGPACK_OBJECT_STR) return false;
        if (guard->via.array.ptr[1].type != MSGPACK_OBJECT_POSITIVE_INTEGER) return false;
    }
    return true;
}

static bool ops_fit(const msgpack_object *o)
{
    if (o->type != MSGPACK_OBJECT_ARRAY) return false;
    for (uint32_t i = 0; i < o->via.array.size; i++) {
        const msgpack_object *op = &o->via.array.ptr[i];

        if (op->type != MSGPACK_OBJECT_ARRAY || op->via.array.size == 0) return false;
        if (op->via.array.ptr[0].type != MSGPACK_OBJECT_STR) return false;
    }
    return true;
}

static bool watches_fit(const msgpack_object *o)
{
    if (o->type != MSGPACK_OBJECT_ARRAY) return false;
    for (uint32_t i = 0; i < o->via.array.size; i++) {
        const msgpack_object_array *watch = &o->via.array.ptr[i].via.array;

        if (o->via.array.ptr[i].type != MSGPACK_OBJECT_ARRAY) return false;
        if (watch->size < 2 || watch->size > 3) return false;
        if (watch->ptr[0].type != MSGPACK_OBJECT_POSITIVE_INTEGER) return false;
        if (watch->ptr[1].type != MSGPACK_OBJECT_STR) return false;
        if (watch->size == 3 && watch->ptr[2].type != MSGPACK_OBJECT_MAP) return false;
    }
    return true;
}

static bool integer_take(const msgpack_object *o, struct rpc_value *v)
{
    if (o->type != MSGPACK_OBJECT_NEGATIVE_INTEGER &&
        (o->type != MSGPACK_OBJECT_POSITIVE_INTEGER || o->via.u64 > INT64_MAX)) {
        return false;
    }
    v->integer = rpc_int(o, 0);
    return true;
}

/* Takes a value of the wanted type; false: it is of another type. */
static bool value_take(char type, const msgpack_object *o, struct rpc_value *v)
{
    const bool is_str = o->type == MSGPACK_OBJECT_STR;
    const bool is_bin = o->type == MSGPACK_OBJECT_BIN;
    const bool is_nil = o->type == MSGPACK_OBJECT_NIL;

    v->given = true;
    v->bytes = rpc_bytes(o);
    v->any = o;
    switch (type) {
    case 'p':
    case 's':
        return is_str;
    case 'x':
        return is_str || is_bin;
    case 'd':
        return is_str || is_bin || is_nil;
    case 'u':
        v->number = rpc_uint(o, 0);
        return o->type == MSGPACK_OBJECT_POSITIVE_INTEGER;
    case 'i':
        return integer_take(o, v);
    case 'b':
        v->number = o->type == MSGPACK_OBJECT_BOOLEAN && o->via.boolean;
        return o->type == MSGPACK_OBJECT_BOOLEAN;
    case 'o':
        return ops_fit(o);
    case 'w':
        return watches_fit(o);
    case 'g':
        return guards_fit(o);
    }
    return true; /* v */
}

static int option_check(const struct spec *spec, const msgpack_object_kv *option,
                        struct rpc_values *values)
{
    const struct bytes name = rpc_bytes(&option->key);
    unsigned i = spec->arguments_count;

    while (i < spec->count && !bytes_equal(spec->at[i].name, name)) i++;
    if (i == spec->count) {
        return refuse(values, ERR_BAD_OPTION, "%s has no option '%s'", spec->name.ptr,
                      shown_name(name).text);
    }
    if (values->at[i].given) {
        return refuse(values, ERR_BAD_OPTION, "option '%.*s' is given twice",
                      (int) name.len, name.ptr);
    }
    if (!value_take(spec->at[i].type, &option->val, &values->at[i])) {
        return refuse(values, ERR_BAD_OPTION, "option '%.*s' must be %s", (int) name.len,
                      name.ptr, spec_type_text(spec->at[i].type));
    }
    return 0;
}

static int options_check(const struct spec *spec, const msgpack_object *map,
                         struct rpc_values *values)
{
    if (map->type != MSGPACK_OBJECT_MAP) {
        return refuse(values, ERR_BAD_PARAMS, "after its %u arguments %s takes a map only",
                      spec->arguments_count, spec->name.ptr);
    }
    for (uint32_t i = 0; i < map->via.map.size; i++) {
        int rc = option_check(spec, &map->via.map.ptr[i], values);

        if (rc != 0) return rc;
    }
    return 0;
}

int rpc_check(const struct rpc_message *m, struct rpc_values *values)
{
    const msgpack_object_array *params = &m->params->via.array;

    *values = (struct rpc_values){ 0 };
    if (m->method == METHOD_NONE) {
        return refuse(values, ERR_UNKNOWN_METHOD, "there is no method '%s'",
                      shown_name(m->method_name).text);
    }

    const struct spec *spec = spec_of(m->method);

    for (unsigned i = 0; i < spec->arguments_count; i++) {
        const struct spec_value *want = &spec->at[i];

        if (i >= params->size) {
            return refuse(values, ERR_BAD_PARAMS, "parameter '%.*s' is missing: %s",
                          (int) want->name.len, want->name.ptr, spec_type_text(want->type));
        }
        if (!value_take(want->type, &params->ptr[i], &values->at[i])) {
            return refuse(values, ERR_BAD_PARAMS, "parameter '%.*s' must be %s",
                          (int) want->name.len, want->name.ptr, spec_type_text(want->type));
        }
    }
    if (params->size == spec->arguments_count) return 0;
    if (params->size > spec->arguments_count + 1) {
        return refuse(values, ERR_BAD_PARAMS, "%s takes %u arguments and a map of options",
                      spec->name.ptr, spec->arguments_count);
    }
    return options_check(spec, &params->ptr[spec->arguments_count], values);
}
