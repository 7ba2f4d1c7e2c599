#include "core/client/call.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/base/check.h"

void call_begin(struct call *call, enum method method)
{
    const bool write = method == METHOD_CREATE || method == METHOD_SET ||
                       method == METHOD_DELETE || method == METHOD_MULTI ||
                       method == METHOD_CALL;

    *call = (struct call){ .request = { .method = method, .write = write } };
}

struct buf *call_arg(struct call *call)
{
    call->request.args_count++;
    return &call->params;
}

void call_path(struct call *call, const char *path)
{
    if (path == NULL) call->code = ERR_BAD_PATH;
    pack_cstr(call_arg(call), path == NULL ? "" : path);
}

struct buf *call_option(struct call *call, const char *name)
{
    call->request.options_count++;
    pack_cstr(&call->options, name);
    return &call->options;
}

void call_guard(struct call *call, const tl_guard *guard)
{
    if (guard == NULL) return;
    if (guard->path == NULL) call->code = ERR_BAD_PATH;

    struct buf *b = call_option(call, "guard");

    pack_array(b, 1);
    pack_array(b, 2);
    pack_cstr(b, guard->path == NULL ? "" : guard->path);
    pack_uint(b, guard->token);
}

/* Runs under the client's lock, in whichever thread brought the answer. */
static void call_ended(void *ctx, int code, const char *message,
                       const msgpack_object *result)
{
    struct call *call = ctx;

    call->code = code;
    if (message != NULL) snprintf(call->message, sizeof call->message, "%s", message);
    if (result != NULL) pack_object(&call->packed, result);
    call->ended = true;
    pthread_cond_signal(&call->ended_signal);
}

static void result_read(struct call *call)
{
    size_t end = 0;

    if (call->packed.len == 0) return;
    call->zone = msgpack_zone_new(MSGPACK_ZONE_CHUNK_SIZE);
    CHECK(call->zone != NULL);
    /* Our own packing of what was scanned when it came. */
    CHECK(msgpack_unpack((const char *) call->packed.ptr, call->packed.len, &end,
                         call->zone, &call->result) == MSGPACK_UNPACK_SUCCESS);
}

int call_run(tl_client *c, struct call *call)
{
    if (call->code != 0) return client_fail(call->code, NULL);
    call->request.params = buf_bytes(&call->params);
    call->request.options = buf_bytes(&call->options);
    call->request.done = call_ended;
    call->request.ctx = call;
    client_ask(c, call);
    result_read(call);
    if (call->code == 0) return 0;
    return client_fail(call->code, call->message[0] == '\0' ? NULL : call->message);
}

void call_fini(struct call *call)
{
    buf_fini(&call->params);
    buf_fini(&call->options);
    buf_fini(&call->packed);
    if (call->zone != NULL) msgpack_zone_free(call->zone);
    call->zone = NULL;
}
