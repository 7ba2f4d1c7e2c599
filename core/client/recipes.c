/* Recipes from C: any function, the lock, and what is put into a configuration. */
#include "core/client/call.h"

/* --- any function --- */

static void call_wait_limit(struct call *call, uint32_t wait_ms)
{
    if (wait_ms > 0) pack_uint(call_option(call, "timeout_ms"), wait_ms);
}

static void build_query(struct call *call, tl_client *c, const char *function)
{
    call_function(call, c, METHOD_QUERY, function);
    call_reads(call);
}

static void call_args(struct call *call, struct bytes args)
{
    if (args.ptr == NULL) {
        pack_nil(call_arg(call));
    } else {
        buf_put_bytes_raw(call_arg(call), args);
    }
}

static void build_call(struct call *call, const tl_guard *guard, struct bytes args,
                       uint32_t wait_ms)
{
    call_args(call, args);
    call_wait_limit(call, wait_ms);
    call_guard(call, guard);
    call->limit_ms = wait_ms == 0 ? CALL_LIMIT_NONE
                                  : (uint64_t) call->client->timeout_ms + wait_ms;
}

int tl_call(tl_client *c, const char *function, const void *args, size_t args_len,
            uint32_t wait_ms, const tl_guard *guard, void **value, size_t *value_len)
{
    struct call call;

    call_function(&call, c, METHOD_CALL, function);
    build_call(&call, guard, bytes_of(args, args_len), wait_ms);
    return call_wait(&call, &(struct out){ .value = value, .value_len = value_len });
}

uint64_t tl_call_async(tl_client *c, const char *function, const void *args,
                       size_t args_len, uint32_t wait_ms, const tl_guard *guard,
                       tl_done_fn done, void *ctx)
{
    struct call call;

    call_function(&call, c, METHOD_CALL, function);
    build_call(&call, guard, bytes_of(args, args_len), wait_ms);
    return call_ask(&call, done, ctx);
}

int tl_query(tl_client *c, const char *function, const void *args, size_t args_len,
             void **value, size_t *value_len)
{
    struct call call;

    build_query(&call, c, function);
    call_args(&call, bytes_of(args, args_len));
    return call_wait(&call, &(struct out){ .value = value, .value_len = value_len });
}

uint64_t tl_query_async(tl_client *c, const char *function, const void *args,
                        size_t args_len, tl_done_fn done, void *ctx)
{
    struct call call;

    build_query(&call, c, function);
    call_args(&call, bytes_of(args, args_len));
    return call_ask(&call, done, ctx);
}

/* --- the lock --- */

/* Without a limit of its own: a call that was given up here could still be granted the
 * lock, and nobody would know. It ends by the server's limit, or with the session. */
static void build_lock(struct call *call, tl_client *c, const char *path, bool try_only)
{
    call_function(call, c, METHOD_CALL, "lock.acquire");
    if (!c->has_session) call_fail(call, ERR_CONFIG, "a lock needs a session");
    call->give_back = "lock.release";
    call->limit_ms = CALL_LIMIT_NONE;
    pack_map(call_arg(call), try_only ? 2 : 1);
    pack_cstr(&call->params, "path");
    call_put_path(call, &call->params, path);
    if (!try_only) return;
    pack_cstr(&call->params, "try");
    pack_bool(&call->params, true);
}

int tl_lock_acquire(tl_client *c, const char *path, uint32_t wait_ms, tl_lock *lock)
{
    struct call call;

    build_lock(&call, c, path, false);
    call_wait_limit(&call, wait_ms);
    return call_wait(&call, &(struct out){ .lock = lock });
}

uint64_t tl_lock_acquire_async(tl_client *c, const char *path, uint32_t wait_ms,
                               tl_done_fn done, void *ctx)
{
    struct call call;

    build_lock(&call, c, path, false);
    call_wait_limit(&call, wait_ms);
    return call_ask(&call, done, ctx);
}

int tl_lock_try(tl_client *c, const char *path, tl_lock *lock)
{
    struct call call;

    build_lock(&call, c, path, true);
    return call_wait(&call, &(struct out){ .lock = lock });
}

uint64_t tl_lock_try_async(tl_client *c, const char *path, tl_done_fn done, void *ctx)
{
    struct call call;

    build_lock(&call, c, path, true);
    return call_ask(&call, done, ctx);
}

int tl_lock_release(tl_client *c, const tl_lock *lock)
{
    const tl_guard grant = { lock->path, lock->token };
    struct call call;

    call_give_back(&call, c, "lock.release", &grant);
    return call_wait(&call, &(struct out){ 0 });
}

uint64_t tl_lock_release_async(tl_client *c, const tl_lock *lock, tl_done_fn done,
                               void *ctx)
{
    const tl_guard grant = { lock->path, lock->token };
    struct call call;

    call_give_back(&call, c, "lock.release", &grant);
    return call_ask(&call, done, ctx);
}

/* --- a configuration value --- */

static void build_put(struct call *call, tl_client *c, const char *path, struct bytes data,
                      int64_t version)
{
    call_function(call, c, METHOD_CALL, "config.put");
    pack_map(call_arg(call), version == -1 ? 2 : 3);
    pack_cstr(&call->params, "path");
    call_put_path(call, &call->params, path);
    pack_cstr(&call->params, "data");
    pack_bin(&call->params, data.ptr == NULL ? BYTES_LIT("") : data);
    if (version == -1) return;
    pack_cstr(&call->params, "version");
    pack_int(&call->params, version);
}

int tl_config_put(tl_client *c, const char *path, const void *data, size_t len,
                  int64_t version, const tl_guard *guard, uint64_t *stored)
{
    void *value = NULL;
    size_t value_len = 0;
    int64_t number = 0;
    struct call call;

    build_put(&call, c, path, bytes_of(data, len), version);
    call_guard(&call, guard);
    const int code =
        call_wait(&call, &(struct out){ .value = &value, .value_len = &value_len });

    if (stored != NULL && code == 0) {
        (void) tl_value_number(value, value_len, "version", &number);
        *stored = (uint64_t) number;
    }
    tl_free(value);
    return code;
}

uint64_t tl_config_put_async(tl_client *c, const char *path, const void *data, size_t len,
                             int64_t version, const tl_guard *guard, tl_done_fn done,
                             void *ctx)
{
    struct call call;

    build_put(&call, c, path, bytes_of(data, len), version);
    call_guard(&call, guard);
    return call_ask(&call, done, ctx);
}

/* Without the session: a call of it writes nothing but what somebody else has stored. */
static int ask_version(tl_client *c, const char *path, uint64_t version, bool writes,
                       struct out *out)
{
    struct call call;

    if (writes) call_function(&call, c, METHOD_CALL, "config.get");
    if (!writes) build_query(&call, c, "config.get");
    call.request.write = false;
    pack_map(call_arg(&call), version == 0 ? 1 : 2);
    pack_cstr(&call.params, "path");
    call_put_path(&call, &call.params, path);
    if (version != 0) {
        pack_cstr(&call.params, "version");
        pack_uint(&call.params, version);
    }
    return call_wait(&call, out);
}

/* `answer`: the recipe's value, nil when there is no version. */
static int take_version(struct bytes answer, char **data, size_t *len, uint64_t *number)
{
    struct buf copy = { 0 };
    int64_t stored = 0;
    const char *text;
    size_t text_len;

    if (!tl_value_text(answer.ptr, answer.len, "data", &text, &text_len)) {
        return client_fail(ERR_NO_NODE, "nothing was ever stored there");
    }
    buf_put_bytes_raw(&copy, bytes_of(text, text_len));
    buf_put_u8(&copy, 0);
    (void) tl_value_number(answer.ptr, answer.len, "version", &stored);
    *data = (char *) copy.ptr;
    *len = text_len;
    if (number != NULL) *number = (uint64_t) stored;
    return 0;
}

int tl_config_get(tl_client *c, const char *path, uint64_t version, char **data,
                  size_t *len, uint64_t *number)
{
    void *value = NULL;
    size_t value_len = 0;
    struct out out = { .value = &value, .value_len = &value_len };
    int code = ask_version(c, path, version, false, &out);

    *data = NULL;
    *len = 0;
    if (code == ERR_READ_ONLY) { /* a plain write of the node has yet to become a version */
        tl_free(value);
        value = NULL;
        code = ask_version(c, path, version, true, &out);
    }
    if (code == 0) code = take_version(bytes_of(value, value_len), data, len, number);
    tl_free(value);
    return code;
}
