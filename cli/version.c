#include "cli/version.h"

#include "cli/json.h"

static void put_member(struct buf *out, const msgpack_object *version, const char *name)
{
    const msgpack_object *value = rpc_member(version, name);

    buf_put_u8(out, ',');
    json_put_string(out, bytes_str(name));
    buf_put_u8(out, ':');
    if (value == NULL) {
        buf_put_bytes_raw(out, BYTES_LIT("null"));
    } else {
        json_from_msgpack(out, value);
    }
}

void version_put_data(struct buf *out, struct bytes data)
{
    if (json_is_utf8(data)) {
        json_put_string(out, data);
    } else {
        json_put_base64(out, data);
    }
}

void version_put_json(struct buf *out, struct bytes path, const msgpack_object *version)
{
    const struct bytes data = rpc_bytes(rpc_member(version, "data"));

    buf_put_bytes_raw(out, BYTES_LIT("{\"path\":"));
    json_put_string(out, path);
    put_member(out, version, "version");
    buf_put_bytes_raw(out, bytes_str(json_is_utf8(data) ? ",\"data\":"
                                                        : ",\"data_base64\":"));
    version_put_data(out, data);
    put_member(out, version, "zxid");
    put_member(out, version, "time");
    put_member(out, version, "size");
    put_member(out, version, "session");
    buf_put_bytes_raw(out, BYTES_LIT("}\n"));
}
