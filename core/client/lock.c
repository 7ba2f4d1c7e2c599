/* Recipes from C: tl_call(), and the lock on top of it. */
#include <stdlib.h>

#include "core/client/call.h"

static void call_wait(struct call *call, uint32_t wait_ms)
{
    if (wait_ms > 0) pack_uint(call_option(call, "timeout_ms"), wait_ms);
}

int tl_call(tl_client *c, const char *function, const void *args, size_t args_len,
            uint32_t wait_ms, const tl_guard *guard, void **value, size_t *value_len)
{
    struct buf packed = { 0 };
    struct call call;

    *value = NULL;
    *value_len = 0;
    if (function == NULL) return client_fail(ERR_NO_FUNCTION, NULL);
    call_begin(&call, METHOD_CALL);
    pack_cstr(call_arg(&call), function);
    if (args == NULL) {
        pack_nil(call_arg(&call));
    } else {
        buf_put(call_arg(&call), args, args_len);
    }
    call_wait(&call, wait_ms);
    call_guard(&call, guard);
    call.request.limit_ms = wait_ms == 0 ? CALL_LIMIT_NONE : client_limit_ms(c, wait_ms);

    const int code = call_run(c, &call);
    const msgpack_object *got = code == 0 ? rpc_member(&call.result, "value") : NULL;

    if (got != NULL) {
        pack_object(&packed, got);
        *value = packed.ptr;
        *value_len = packed.len;
    }
    call_fini(&call);
    return code;
}

/* Without a limit of its own: a call that was given up here could still be granted the
 * lock, and nobody would know. It ends by the server's limit, or with the session. */
static int lock_call(tl_client *c, const char *path, uint32_t wait_ms, bool try_only,
                     tl_lock *lock)
{
    struct call call;

    *lock = (tl_lock){ 0 };
    if (tl_session(c) == TL_SESSION_NONE) {
        return client_fail(ERR_CONFIG, "a lock needs a session");
    }
    call_begin(&call, METHOD_CALL);
    pack_cstr(call_arg(&call), "lock.acquire");
    pack_map(call_arg(&call), try_only ? 2 : 1);
    pack_cstr(&call.params, "path");
    pack_cstr(&call.params, path == NULL ? "" : path);
    if (try_only) {
        pack_cstr(&call.params, "try");
        pack_bool(&call.params, true);
    }
    call_wait(&call, wait_ms);
    call.request.limit_ms = CALL_LIMIT_NONE;

    int code = call_run(c, &call);
    const msgpack_object *value = rpc_member(&call.result, "value");
    const struct bytes granted = rpc_bytes(rpc_member(value, "path"));

    if (code == 0 && try_only && (value == NULL || value->type == MSGPACK_OBJECT_NIL)) {
        code = client_fail(ERR_REFUSED, "somebody holds the lock, or waits for it");
    } else if (code == 0 && (granted.len == 0 || granted.len >= sizeof lock->path)) {
        code = client_fail(ERR_BAD_MESSAGE, "the grant names no path");
    }
    if (code == 0) {
        memcpy(lock->path, granted.ptr, granted.len);
        lock->token = rpc_uint(rpc_member(value, "token"), 0);
    }
    call_fini(&call);
    return code;
}

int tl_lock_acquire(tl_client *c, const char *path, uint32_t wait_ms, tl_lock *lock)
{
    return lock_call(c, path, wait_ms, false, lock);
}

int tl_lock_try(tl_client *c, const char *path, tl_lock *lock)
{
    return lock_call(c, path, 0, true, lock);
}

int tl_lock_release(tl_client *c, const tl_lock *lock)
{
    struct call call;

    call_begin(&call, METHOD_CALL);
    pack_cstr(call_arg(&call), "lock.release");
    pack_map(call_arg(&call), 2);
    pack_cstr(&call.params, "path");
    pack_cstr(&call.params, lock->path);
    pack_cstr(&call.params, "token");
    pack_uint(&call.params, lock->token);

    const int code = call_run(c, &call);

    call_fini(&call);
    return code;
}
