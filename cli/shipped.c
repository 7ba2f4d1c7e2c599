#include "cli/shipped.h"

#include "cli/ask.h"

static void on_status(void *ctx, const msgpack_object *result)
{
    struct buf *names = ctx;
    const msgpack_object *shipped = rpc_member(result, "shipped");

    if (shipped == NULL || shipped->type != MSGPACK_OBJECT_ARRAY) return;
    for (uint32_t i = 0; i < shipped->via.array.size; i++) {
        buf_put_bytes(names, rpc_bytes(&shipped->via.array.ptr[i]));
    }
}

int shipped_ask(const struct options *o, struct remote *remote, struct buf *names)
{
    struct ask a;
    int code;

    ask_init(&a, o, METHOD_STATUS, false);
    code = ask_send(&a, remote, on_status, names);
    ask_fini(&a);
    return code;
}

bool shipped_has(struct bytes names, struct bytes name)
{
    struct reader r = reader_of(names);

    while (reader_left(&r) > 0) {
        if (bytes_equal(read_bytes(&r, names.len), name)) return true;
    }
    return false;
}
