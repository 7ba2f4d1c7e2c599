/* MessagePack for programs that know nothing of it. What is read came from a program or a
 * server; so it is scanned like anything from the wire, and bounded in depth. */
#include "core/base/check.h"
#include "core/client/call.h"

void *tl_map(const tl_pair *pairs, size_t count, size_t *len)
{
    struct buf map = { 0 };

    pack_map(&map, (uint32_t) count);
    for (size_t i = 0; i < count; i++) {
        pack_cstr(&map, pairs[i].name);
        if (pairs[i].text != NULL) {
            pack_cstr(&map, pairs[i].text);
        } else {
            pack_int(&map, pairs[i].number);
        }
    }
    *len = map.len;
    return map.ptr;
}

/* The scan takes messages, so the value is put into one, and is as deep as that may be. */
static bool is_sound(struct bytes value)
{
    struct buf message = { 0 };
    struct rpc_scan scan;
    size_t len = 0;

    pack_array(&message, 3);
    pack_nil(&message);
    pack_nil(&message);
    buf_put_bytes_raw(&message, value);
    rpc_scan_init(&scan);
    const bool whole = rpc_scan(&scan, buf_bytes(&message), message.len, &len) ==
                       RPC_SCAN_WHOLE;
    const bool sound = whole && len == message.len;
    buf_fini(&message);
    return sound;
}

/* What is found borrows from `value`, not from the zone. */
static bool find(struct bytes value, const char *name, msgpack_object *found)
{
    msgpack_zone *zone;
    size_t end = 0;

    if (value.ptr == NULL || !is_sound(value)) return false;
    zone = msgpack_zone_new(MSGPACK_ZONE_CHUNK_SIZE);
    CHECK(zone != NULL);

    msgpack_object whole;
    const bool read = msgpack_unpack((const char *) value.ptr, value.len, &end, zone,
                                     &whole) == MSGPACK_UNPACK_SUCCESS;
    const msgpack_object *part = NULL;

    if (read) part = name == NULL ? &whole : rpc_member(&whole, name);
    if (part != NULL) *found = *part;
    msgpack_zone_free(zone);
    return part != NULL;
}

bool tl_value_text(const void *value, size_t value_len, const char *name, const char **text,
                   size_t *len)
{
    msgpack_object found;

    if (!find(bytes_of(value, value_len), name, &found)) return false;
    const struct bytes bytes = rpc_bytes(&found);

    if (bytes.ptr == NULL) return false;
    *text = (const char *) bytes.ptr;
    *len = bytes.len;
    return true;
}

bool tl_value_number(const void *value, size_t value_len, const char *name, int64_t *number)
{
    msgpack_object found;

    if (!find(bytes_of(value, value_len), name, &found)) return false;
    if (found.type != MSGPACK_OBJECT_NEGATIVE_INTEGER &&
        (found.type != MSGPACK_OBJECT_POSITIVE_INTEGER || found.via.u64 > INT64_MAX)) {
        return false;
    }
    *number = found.via.i64;
    return true;
}
