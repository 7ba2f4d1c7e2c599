/* Calls. Asked is what the core has taken, with a completion of ours; what cannot be asked
 * at all waits in `refused` for the next turn, since no call ends within its asking. A call
 * that waits is one with a callback that wakes the caller. */
#include "core/client/call.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/base/check.h"

#define SLOT_BITS 20 /* the core's handles have a slot below; ours have slot 0 */

/* --- building --- */

void call_begin(struct call *call, tl_client *c, enum method method)
{
    const bool write = method == METHOD_CREATE || method == METHOD_SET ||
                       method == METHOD_DELETE || method == METHOD_MULTI ||
                       method == METHOD_CALL || method == METHOD_TOUCH ||
                       method == METHOD_DELETE_TREE || method == METHOD_COPY ||
                       method == METHOD_QUOTA_SET;

    *call = (struct call){ .client = c, .request = { .method = method, .write = write } };
}

struct buf *call_arg(struct call *call)
{
    call->request.args_count++;
    return &call->params;
}

struct buf *call_option(struct call *call, const char *name)
{
    call->request.options_count++;
    pack_cstr(&call->options, name);
    return &call->options;
}

void call_reads(struct call *call)
{
    const tl_client *c = call->client;

    switch (c->reads) {
    case TL_READS_STRONG:
        break;
    case TL_READS_ANY:
        pack_cstr(call_option(call, "consistency"), "any");
        break;
    case TL_READS_SESSION:
        pack_cstr(call_option(call, "consistency"), "session");
        pack_uint(call_option(call, "at_least"),
                  atomic_load_explicit(&c->zxid_newest, memory_order_relaxed));
        break;
    case TL_READS_BOUNDED:
        pack_cstr(call_option(call, "consistency"), "bounded");
        pack_uint(call_option(call, "max_lag_ms"), c->max_lag_ms);
        break;
    }
}

void call_fail(struct call *call, int code, const char *why)
{
    if (call->code != 0) return;
    call->code = code;
    call->why = why;
}

void call_put_path(struct call *call, struct buf *b, const char *path)
{
    struct buf full = { 0 };

    if (path == NULL || path[0] != '/') {
        call_fail(call, ERR_BAD_PATH, "a path begins with a slash");
    }
    if (path != NULL) prefix_put(call->client, &full, path);
    pack_str(b, buf_bytes(&full));
    buf_fini(&full);
}

void call_path(struct call *call, const char *path)
{
    call_put_path(call, call_arg(call), path);
}

void call_guard(struct call *call, const tl_guard *guard)
{
    if (guard == NULL) return;
    if (guard->path == NULL) {
        pack_uint(call_option(call, "alive"), guard->token);
        return;
    }

    struct buf *b = call_option(call, "guard");

    pack_array(b, 1);
    pack_array(b, 2);
    call_put_path(call, b, guard->path);
    pack_uint(b, guard->token);
}

void call_function(struct call *call, tl_client *c, enum method method,
                   const char *function)
{
    call_begin(call, c, method);
    if (function == NULL) call_fail(call, ERR_NO_FUNCTION, NULL);
    pack_cstr(call_arg(call), function == NULL ? "" : function);
}

void call_give_back(struct call *call, tl_client *c, const char *function,
                    const tl_guard *grant)
{
    call_function(call, c, METHOD_CALL, function);
    pack_map(call_arg(call), 2);
    pack_cstr(&call->params, "path");
    call_put_path(call, &call->params, grant->path);
    pack_cstr(&call->params, "token");
    pack_uint(&call->params, grant->token);
}

static void call_fini(struct call *call)
{
    buf_fini(&call->params);
    buf_fini(&call->options);
}

/* --- asking --- */

struct asking {
    struct list link; /* of the client's `refused`; else alone */
    tl_client *client;
    uint64_t handle;
    const char *give_back;
    tl_done_fn done; /* NULL: nobody wants to know */
    void *ctx;
    int code; /* refused */
    const char *why;
};

/* A grant that nobody wants is a lock that nobody would give back. */
static void grant_give_back(const struct asking *a, const tl_lock *lock)
{
    const tl_guard grant = { lock->path, lock->token };
    struct call call;

    call_give_back(&call, a->client, a->give_back, &grant);
    call_ask(&call, NULL, NULL);
}

/* What this client was told of, for reads that must not go back behind it. */
static void zxid_note(tl_client *c, uint64_t zxid)
{
    if (zxid > atomic_load_explicit(&c->zxid_newest, memory_order_relaxed)) {
        atomic_store_explicit(&c->zxid_newest, zxid, memory_order_relaxed);
    }
}

/* The completion of all that we ask of the core. */
static void asking_ended(void *ctx, int code, const char *message,
                         const msgpack_object *result)
{
    struct asking *a = ctx;
    struct answer answer;

    answer_init(&answer, code, message);
    answer_read(&answer, a->client, result);
    zxid_note(a->client, answer.result.zxid);
    if (a->give_back != NULL) answer_read_grant(&answer, a->client, result);
    if (a->done != NULL) {
        a->done(a->ctx, &answer.result);
    } else if (answer.result.lock != NULL) {
        grant_give_back(a, answer.result.lock);
    }
    answer_fini(&answer);
    free(a);
}

static uint64_t refuse(tl_client *c, struct asking *a)
{
    a->handle = (uint64_t) ++c->refused_serial << SLOT_BITS;
    list_push(&c->refused, &a->link);
    return a->handle;
}

void call_refused_end(tl_client *c)
{
    struct list due;

    list_init(&due);
    list_splice(&due, &c->refused);
    while (!list_empty(&due)) {
        struct asking *a = LIST_FIRST(&due, struct asking, link);

        list_remove(&a->link);
        asking_ended(a, a->code, a->why, NULL);
    }
}

static uint64_t limit_of(const struct call *call)
{
    if (call->limit_ms == CALL_LIMIT_NONE) return 0;
    return call->limit_ms == 0 ? call->client->timeout_ms : call->limit_ms;
}

static uint64_t core_ask(struct call *call, struct asking *a)
{
    struct client_request *r = &call->request;

    r->params = buf_bytes(&call->params);
    r->options = buf_bytes(&call->options);
    r->limit_ms = limit_of(call);
    r->send_limit_ms = call->persists ? 0 : call->client->timeout_ms;
    r->done = asking_ended;
    r->ctx = a;
    return client_core_request(call->client->core, client_now_ms(), r);
}

uint64_t call_ask(struct call *call, tl_done_fn done, void *ctx)
{
    tl_client *c = call->client;
    uint64_t handle = 0;

    client_lock(c);
    if (!c->freeing) {
        struct asking *a = mem_alloc(sizeof *a);

        *a = (struct asking){ .client = c, .give_back = call->give_back, .done = done,
                              .ctx = ctx, .code = call->code, .why = call->why };
        list_init(&a->link);
        handle = call->code == 0 ? core_ask(call, a) : refuse(c, a);
        turn_wake(c);
    }
    client_unlock(c);
    call_fini(call);
    return handle;
}

static struct asking *refused_find(tl_client *c, uint64_t handle)
{
    LIST_EACH(at, &c->refused) {
        struct asking *a = CONTAINER_OF(at, struct asking, link);

        if (a->handle == handle) return a;
    }
    return NULL;
}

void tl_cancel(tl_client *c, uint64_t handle)
{
    client_lock(c);
    struct asking *refused = refused_find(c, handle);
    struct asking *a = client_core_request_of(c->core, handle, asking_ended);

    if (refused != NULL) refused->done = NULL;
    if (a != NULL && a->give_back != NULL) {
        a->done = NULL;
        client_core_withdraw(c->core, client_now_ms(), handle);
    } else if (a != NULL) {
        client_core_cancel(c->core, handle);
        free(a);
    }
    turn_wake(c);
    client_unlock(c);
}

void call_withdraw(tl_client *c, uint64_t handle)
{
    client_core_withdraw(c->core, client_now_ms(), handle);
    turn_wake(c);
}

/* --- waiting --- */

struct waiting {
    const struct out *out;
    pthread_cond_t ended_signal;
    bool ended;
    int code;
    char message[256];
};

static void waiting_ended(void *ctx, const tl_result *r)
{
    struct waiting *w = ctx;

    out_copy(w->out, r);
    w->code = r->code;
    snprintf(w->message, sizeof w->message, "%s", r->message);
    w->ended = true;
    pthread_cond_signal(&w->ended_signal);
}

/* Under the lock. Nobody would ever answer: why; else NULL. */
static const char *cannot_wait(const tl_client *c)
{
    if (!c->has_thread) return "this client has no thread: use the _async calls";
    return c->in_turn ? "a callback must not block: use the _async calls" : NULL;
}

int call_wait(struct call *call, const struct out *out)
{
    struct waiting w = { .out = out, .code = ERR_CLOSED };
    tl_client *c = call->client;

    out_copy(out, &(tl_result){ .code = ERR_CLOSED, .failed = -1 });
    client_lock(c);
    const char *why = cannot_wait(c);

    if (why != NULL) {
        call_fini(call);
        client_unlock(c);
        return client_fail(ERR_CONFIG, why);
    }
    client_wait_init(&w.ended_signal);
    w.ended = call_ask(call, waiting_ended, &w) == 0;
    while (!w.ended) client_wait(c, &w.ended_signal, NEVER_MS);
    client_unlock(c);
    pthread_cond_destroy(&w.ended_signal);
    if (w.code == 0) return 0;
    return client_fail(w.code, w.message[0] == '\0' ? NULL : w.message);
}
