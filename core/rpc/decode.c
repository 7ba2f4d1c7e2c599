#include "core/base/check.h"
#include "core/rpc/rpc.h"
#include "core/rpc/spec.h"

static bool is_uint(const msgpack_object *o, uint64_t max)
{
    return o->type == MSGPACK_OBJECT_POSITIVE_INTEGER && o->via.u64 <= max;
}

static bool is_str(const msgpack_object *o)
{
    return o->type == MSGPACK_OBJECT_STR;
}

static int request_decode(const msgpack_object *part, struct rpc_message *m)
{
    if (!is_uint(&part[1], UINT32_MAX) || !is_str(&part[2])) return ERR_BAD_MESSAGE;
    if (part[3].type != MSGPACK_OBJECT_ARRAY) return ERR_BAD_MESSAGE;
    m->msgid = (uint32_t) part[1].via.u64;
    m->method_name = rpc_bytes(&part[2]);
    m->method = spec_find(m->method_name);
    m->params = &part[3];
    return 0;
}

static int response_decode(const msgpack_object *part, struct rpc_message *m)
{
    if (!is_uint(&part[1], UINT32_MAX)) return ERR_BAD_MESSAGE;
    m->msgid = (uint32_t) part[1].via.u64;
    m->error = &part[2];
    m->result = &part[3];
    return 0;
}

static int notification_decode(const msgpack_object *part, struct rpc_message *m)
{
    if (!is_str(&part[1]) || part[2].type != MSGPACK_OBJECT_ARRAY) return ERR_BAD_MESSAGE;
    m->method_name = rpc_bytes(&part[1]);
    m->params = &part[2];
    return 0;
}

int rpc_decode(struct bytes bytes, msgpack_zone *zone, struct rpc_message *m)
{
    msgpack_object root;
    size_t end = 0;

    *m = (struct rpc_message){ 0 };
    if (msgpack_unpack((const char *) bytes.ptr, bytes.len, &end, zone, &root) !=
        MSGPACK_UNPACK_SUCCESS) {
        return ERR_BAD_MESSAGE;
    }
    CHECK(end == bytes.len); /* the scan found this end */
    if (root.type != MSGPACK_OBJECT_ARRAY) return ERR_BAD_MESSAGE;

    const msgpack_object *part = root.via.array.ptr;
    const uint32_t count = root.via.array.size;

    if (count < 3 || !is_uint(&part[0], 2)) return ERR_BAD_MESSAGE;
    m->type = (unsigned) part[0].via.u64;
    if (count != (m->type == 2 ? 3 : 4)) return ERR_BAD_MESSAGE;
    if (m->type == 0) return request_decode(part, m);
    return m->type == 1 ? response_decode(part, m) : notification_decode(part, m);
}

const msgpack_object *rpc_member(const msgpack_object *map, const char *name)
{
    if (map == NULL || map->type != MSGPACK_OBJECT_MAP) return NULL;
    for (uint32_t i = 0; i < map->via.map.size; i++) {
        const msgpack_object_kv *member = &map->via.map.ptr[i];

        if (is_str(&member->key) && bytes_equal(rpc_bytes(&member->key), bytes_str(name))) {
            return &member->val;
        }
    }
    return NULL;
}

uint64_t rpc_uint(const msgpack_object *o, uint64_t otherwise)
{
    return o != NULL && is_uint(o, UINT64_MAX) ? o->via.u64 : otherwise;
}

int64_t rpc_int(const msgpack_object *o, int64_t otherwise)
{
    if (o == NULL) return otherwise;
    if (is_uint(o, INT64_MAX)) return (int64_t) o->via.u64;
    return o->type == MSGPACK_OBJECT_NEGATIVE_INTEGER ? o->via.i64 : otherwise;
}

struct bytes rpc_bytes(const msgpack_object *o)
{
    if (o == NULL) return (struct bytes){ 0 };
    if (is_str(o)) return bytes_of(o->via.str.ptr, o->via.str.size);
    if (o->type == MSGPACK_OBJECT_BIN) return bytes_of(o->via.bin.ptr, o->via.bin.size);
    return (struct bytes){ 0 };
}
