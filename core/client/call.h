/* call.h -- one call: building its request, asking it, reading its answer.
 *
 *     struct call call;
 *     call_begin(&call, c, METHOD_GET);
 *     call_path(&call, path);
 *     handle = call_ask(&call, done, ctx);                       with a callback, or
 *     code = call_wait(&call, &(struct out){ .data = data });    waiting for it
 *
 * Arguments in the order of the method's row, options in any order. Both ends of it free
 * the call; what is wrong with it shows when it ends. */
#ifndef CORE_CLIENT_CALL_H
#define CORE_CLIENT_CALL_H

#include "core/client/client.h"

/* A limit of none: the call takes as long as it takes. */
#define CALL_LIMIT_NONE UINT64_MAX

struct call {
    tl_client *client;
    struct client_request request;
    struct buf params, options;
    uint64_t limit_ms;     /* 0: the client's; or CALL_LIMIT_NONE */
    bool persists;         /* also before it is first sent */
    const char *give_back; /* answers with a grant; the function to return it; else NULL */
    int code;              /* it will not be asked, but end with this; 0 = none */
    const char *why;       /* constant; NULL: the code's text */
};

void call_begin(struct call *call, tl_client *c, enum method method);
void call_path(struct call *call, const char *path); /* NULL: ends with ERR_BAD_PATH */
void call_put_path(struct call *call, struct buf *b, const char *path); /* within a value */
struct buf *call_arg(struct call *call); /* pack exactly one value into it */
struct buf *call_option(struct call *call, const char *name); /* and into this one */
void call_guard(struct call *call, const tl_guard *guard);    /* NULL: none */
void call_reads(struct call *call); /* a read, at the consistency of the client's */
void call_fail(struct call *call, int code, const char *why); /* the first one counts */
/* A recipe's function, by METHOD_CALL or METHOD_QUERY, its args still to be packed. */
void call_function(struct call *call, tl_client *c, enum method method,
                   const char *function);
/* lock.release and election.resign: {path, token}. */
void call_give_back(struct call *call, tl_client *c, const char *function,
                    const tl_guard *grant);

uint64_t call_ask(struct call *call, tl_done_fn done, void *ctx);
/* A call that waits shall end: with ERR_CANCELLED, or its answer if that came first. */
void call_withdraw(tl_client *c, uint64_t handle);

/* Where the parts of a result go that the caller wants: copies, his to free. */
struct out {
    char **path, **data, **names;
    void **value;
    size_t *len, *count, *value_len;
    tl_stat *stat;
    bool *more;
    uint64_t *zxid;
    int *failed;
    tl_lock *lock;
    tl_nodes **nodes;
    uint64_t *nodes_count;
};
/* Returns the code; it and the message are this thread's last failure. */
int call_wait(struct call *call, const struct out *out);

/* --- answer.c --- */

struct answer {
    tl_result result; /* into what follows */
    struct buf path, data, names, value, texts;
    tl_node *nodes;
    tl_stat stat;
    tl_lock lock;
};

void answer_init(struct answer *a, int code, const char *message);
/* `object`: the result, or the details of the failure; may be NULL. */
void answer_read(struct answer *a, const tl_client *c, const msgpack_object *object);
void answer_read_grant(struct answer *a, const tl_client *c, const msgpack_object *object);
void answer_fini(struct answer *a);
void out_copy(const struct out *out, const tl_result *r);

#endif
