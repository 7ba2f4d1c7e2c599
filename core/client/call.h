/* call.h -- one blocking call: building its request, waiting for it, reading its result.
 *
 *     struct call call;
 *     call_begin(&call, METHOD_GET);
 *     call_path(&call, path);
 *     code = call_run(c, &call);          the result is call.result
 *     call_fini(&call);
 *
 * Arguments in the order of the method's row, options in any order. */
#ifndef CORE_CLIENT_CALL_H
#define CORE_CLIENT_CALL_H

#include <pthread.h>

#include "core/client/core.h"
#include "core/client/tidelock.h"

struct call {
    struct client_request request;
    struct buf params, options;
    msgpack_zone *zone;
    msgpack_object result; /* nil when there is none; of a refusal: its details */

    /* Written by the completion, under the client's lock. */
    pthread_cond_t ended_signal;
    bool ended;
    int code;
    char message[256];
    struct buf packed; /* the result, copied */
};

void call_begin(struct call *call, enum method method);
void call_path(struct call *call, const char *path); /* NULL: refused by call_run() */
struct buf *call_arg(struct call *call); /* pack exactly one value into it */
struct buf *call_option(struct call *call, const char *name); /* and into this one */
void call_guard(struct call *call, const tl_guard *guard);    /* NULL: none */
/* The limits that were not set before are the client's. Returns the code; it and the
 * message are this thread's last failure. */
int call_run(tl_client *c, struct call *call);
void call_fini(struct call *call);

/* The limit of a call that has none of its own. */
#define CALL_LIMIT_NONE UINT64_MAX

/* --- client.c --- */
int client_fail(int code, const char *message); /* returns code; message NULL: its text */
/* The limit of a call that may wait for so long on the server. */
uint64_t client_limit_ms(const tl_client *c, uint32_t wait_ms);
void client_ask(tl_client *c, struct call *call); /* returns when it has ended */
uint64_t client_watch(tl_client *c, const struct client_watch *w);
void *client_unwatch(tl_client *c, uint64_t handle);

#endif
