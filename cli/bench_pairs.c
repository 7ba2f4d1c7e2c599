/* Kinds of operations that are two requests, the second made by the answer to the first. */
#include <stdio.h>
#include <stdlib.h>

#include "cli/bench_inside.h"
#include "core/base/check.h"

/* The server withdraws a call that waits for too long. Were it given up here, nobody would
 * know whether it got what it waits for. */
static void put_wait(struct bench *b, struct client_request *r)
{
    bench_pack_option(b, r, "timeout_ms");
    pack_uint(&b->options, b->config->timeout_ms);
    r->limit_ms = 0;
}

/* --- lock: acquire and release --- */

struct lock {
    uint64_t token;       /* the newest that was granted */
    uint64_t released_us; /* when it was last given back; 0: it is held, or was never */
};

static void lock_start(struct bench *b)
{
    b->state = mem_zalloc(b->config->locks * sizeof(struct lock));
}

static void state_stop(struct bench *b)
{
    free(b->state);
}

static struct lock *lock_of(struct bench *b, const struct bench_slot *s)
{
    return (struct lock *)b->state + s->subject;
}

static void lock_ask(struct bench *b, struct bench_slot *s, struct client_request *r)
{
    const bool acquire = s->step == 0;

    if (acquire) s->subject = rng_below(&b->rng, b->config->locks);
    bench_pack_call(b, r, acquire ? "lock.acquire" : "lock.release", acquire ? 0 : 1);
    bench_pack_path(b, "/bench/%016llx/lock-%llu", (unsigned long long)b->config->seed,
                    (unsigned long long)s->subject);
    if (acquire) {
        put_wait(b, r);
        return;
    }
    lock_of(b, s)->released_us = b->now_us;
    pack_cstr(&b->params, "token");
    pack_uint(&b->params, s->token);
}

/* Whoever gets it was asked for it before the last holder gave it back: it was handed over.
 * A grant follows the release before it, so the answers come in the order of tokens. */
static enum bench_verdict lock_granted(struct bench *b, struct bench_slot *s,
                                       const msgpack_object *value)
{
    struct lock *lock = lock_of(b, s);

    s->token = rpc_uint(rpc_member(value, "token"), 0);
    if (s->token <= lock->token) {
        snprintf(b->broken, sizeof b->broken,
                 "a lock was granted with token %llu after token %llu",
                 (unsigned long long)s->token, (unsigned long long)lock->token);
        return BENCH_FAILED;
    }
    lock->token = s->token;
    if (lock->released_us > s->asked_us && b->phase == BENCH_MEASURE) {
        histogram_add(&b->result->handover_us, b->now_us - lock->released_us);
    }
    lock->released_us = 0;
    return BENCH_NEXT;
}

static enum bench_verdict lock_told(struct bench *b, struct bench_slot *s,
                                    const msgpack_object *result)
{
    const msgpack_object *value = bench_value_of(result), *released;

    if (s->step == 0) return lock_granted(b, s, value);
    released = rpc_member(value, "released");
    if (released != NULL && released->type == MSGPACK_OBJECT_BOOLEAN &&
        released->via.boolean) {
        return BENCH_DONE;
    }
    snprintf(b->broken, sizeof b->broken, "a lock that was held could not be released");
    return BENCH_FAILED;
}

const struct bench_kind BENCH_LOCK = {
    .name = "lock",
    .start = lock_start,
    .ask = lock_ask,
    .told = lock_told,
    .stop = state_stop,
};

/* --- queue: add and take --- */

static void queue_ask(struct bench *b, struct bench_slot *s, struct client_request *r)
{
    const bool add = s->step == 0;

    bench_pack_call(b, r, add ? "queue.add" : "queue.take", add ? 1 : 0);
    bench_pack_path(b, "/bench/%016llx/queue", (unsigned long long)b->config->seed);
    if (!add) {
        put_wait(b, r);
        return;
    }
    pack_cstr(&b->params, "value");
    buf_put_bytes_raw(&b->params, buf_bytes(&b->value));
}

/* Each takes after it has added, so there is always something to take. */
static enum bench_verdict queue_told(struct bench *b, struct bench_slot *s,
                                     const msgpack_object *result)
{
    const msgpack_object *value = bench_value_of(result);

    if (s->step == 0) return BENCH_NEXT;
    if (value != NULL && value->type != MSGPACK_OBJECT_NIL) return BENCH_DONE;
    snprintf(b->broken, sizeof b->broken, "the queue was empty, though more was added");
    return BENCH_FAILED;
}

const struct bench_kind BENCH_QUEUE = { .name = "queue",
                                        .ask = queue_ask,
                                        .told = queue_told };

/* --- barrier: enter and leave, all clients together --- */

/* What `enter` answered each client, to be handed to `leave` as it is. */
static void barrier_start(struct bench *b)
{
    b->state = mem_zalloc(b->config->clients * sizeof(struct buf));
}

static void barrier_stop(struct bench *b)
{
    struct buf *answers = b->state;

    for (uint32_t i = 0; i < b->config->clients; i++) buf_fini(&answers[i]);
    free(answers);
}

static struct buf *barrier_answer(struct bench *b, const struct bench_slot *s)
{
    return (struct buf *)b->state + (s->client - b->clients);
}

static void barrier_ask(struct bench *b, struct bench_slot *s, struct client_request *r)
{
    put_wait(b, r);
    if (s->step > 0) {
        bench_pack_function(b, r, "barrier.leave");
        buf_put_bytes_raw(&b->params, buf_bytes(barrier_answer(b, s)));
        return;
    }
    bench_pack_call(b, r, "barrier.enter", 1);
    bench_pack_path(b, "/bench/%016llx/barrier", (unsigned long long)b->config->seed);
    pack_cstr(&b->params, "count");
    pack_uint(&b->params, b->config->clients);
}

static enum bench_verdict barrier_told(struct bench *b, struct bench_slot *s,
                                       const msgpack_object *result)
{
    const msgpack_object *value = bench_value_of(result);
    struct buf *answer = barrier_answer(b, s);

    if (s->step > 0) return BENCH_DONE;
    if (value == NULL) {
        snprintf(b->broken, sizeof b->broken, "barrier.enter answered nothing");
        return BENCH_FAILED;
    }
    buf_clear(answer);
    pack_object(answer, value);
    return BENCH_NEXT;
}

const struct bench_kind BENCH_BARRIER = {
    .name = "barrier",
    .shallow = true,
    .gathers = true,
    .start = barrier_start,
    .ask = barrier_ask,
    .told = barrier_told,
    .stop = barrier_stop,
};

/* --- session: open and close --- */

static void session_ask(struct bench *b, struct bench_slot *s, struct client_request *r)
{
    if (s->step == 0) {
        r->method = METHOD_SESSION_OPEN;
        return;
    }
    r->method = METHOD_SESSION_CLOSE;
    r->args_count = 1;
    pack_uint(&b->params, s->subject);
}

static enum bench_verdict session_told(struct bench *b, struct bench_slot *s,
                                       const msgpack_object *result)
{
    (void)b;
    if (s->step > 0) return BENCH_DONE;
    s->subject = rpc_uint(rpc_member(result, "id"), 0);
    return BENCH_NEXT;
}

const struct bench_kind BENCH_SESSION = {
    .name = "session", .sessionless = true, .ask = session_ask, .told = session_told
};
