/* The kind `watch`: one node, --clients that watch it, and one client more that changes it.
 * An operation is one change, and it is over when its answer and the last watcher's event
 * have come. */
#include <stdio.h>
#include <stdlib.h>

#include "cli/bench_inside.h"
#include "core/base/check.h"
#include "core/base/errors.h"

struct watcher {
    struct bench *bench;
    bool armed;
    uint64_t zxid; /* of the newest event */
};

struct fan {
    struct watcher *watchers;
    bool begun; /* they were told to watch */
    uint32_t armed;
    struct bench_slot *slot; /* of the change under way, NULL: none */
    uint64_t zxid;           /* of that change; 0: not answered yet */
    uint32_t reached;        /* watchers that have it, once it is answered */
};

static void end_if_all_have_it(struct bench *b, struct fan *f)
{
    struct bench_slot *s = f->slot;

    if (s == NULL || f->zxid == 0 || f->reached < b->config->clients) return;
    f->slot = NULL;
    bench_op_end(b, s, 0, NULL);
}

/* Something is missing, so the change under way may never reach all. */
static void give_up(struct bench *b, struct fan *f, int code, const char *message)
{
    struct bench_slot *s = f->slot;

    if (s == NULL || f->zxid == 0) return; /* its answer will end it */
    f->slot = NULL;
    bench_op_end(b, s, code, message);
}

static void on_event(void *ctx, const struct client_event *e)
{
    struct watcher *w = ctx;
    struct bench *b = w->bench;
    struct fan *f = b->state;
    const uint64_t before = w->zxid;

    if (b->phase == BENCH_END) return;
    if (e->kind == CLIENT_EVENT_ENDED) {
        b->fatal = e->code;
        return;
    }
    if (e->kind == CLIENT_EVENT_ARMED && !w->armed) {
        w->armed = true;
        f->armed++;
        b->moved_us = b->now_us;
    }
    if (e->zxid > w->zxid) w->zxid = e->zxid;
    if (e->kind == CLIENT_EVENT_LAGGED) give_up(b, f, ERR_LAGGED, NULL);
    if (f->zxid != 0 && before < f->zxid && w->zxid >= f->zxid) f->reached++;
    end_if_all_have_it(b, f);
}

/* --- the kind --- */

static void fan_start(struct bench *b)
{
    struct fan *f = mem_zalloc(sizeof *f);

    b->state = f;
    f->watchers = mem_zalloc(b->config->clients * sizeof *f->watchers);
    for (uint32_t i = 0; i < b->config->clients; i++)
        f->watchers[i].bench = b;
}

static void fan_stop(struct bench *b)
{
    struct fan *f = b->state;

    free(f->watchers);
    free(f);
}

static void put_node(struct bench *b)
{
    bench_pack_path(b, "/bench/%016llx", (unsigned long long)b->config->seed);
    buf_put_bytes_raw(&b->params, buf_bytes(&b->value));
}

static void fan_prepare(struct bench *b, uint64_t unit, struct client_request *r)
{
    (void)unit;
    put_node(b);
    r->method = METHOD_CREATE;
    r->args_count = 2;
    r->write = true;
    bench_pack_option(b, r, "parents");
    pack_bool(&b->options, true);
}

static void watchers_begin(struct bench *b, struct fan *f)
{
    char path[64];
    const int len =
        snprintf(path, sizeof path, "/bench/%016llx", (unsigned long long)b->config->seed);

    for (uint32_t i = 0; i < b->config->clients; i++) {
        const struct client_watch w = {
            .path = bytes_of(path, (size_t)len),
            .data = true,
            .fn = on_event,
            .ctx = &f->watchers[i],
        };

        CHECK(client_core_watch(b->clients[i].channel.core, b->now_us / 1000, &w) != 0);
        bench_client_touch(&b->clients[i]);
    }
}

static bool fan_is_armed(struct bench *b)
{
    struct fan *f = b->state;

    if (!f->begun) {
        f->begun = true;
        watchers_begin(b, f);
    }
    return f->armed == b->config->clients;
}

static void fan_ask(struct bench *b, struct bench_slot *s, struct client_request *r)
{
    struct fan *f = b->state;

    f->slot = s;
    f->zxid = 0;
    r->method = METHOD_SET;
    r->args_count = 2;
    r->write = true;
    put_node(b);
}

/* Some have heard of it already. */
static enum bench_verdict fan_told(struct bench *b, struct bench_slot *s,
                                   const msgpack_object *result)
{
    struct fan *f = b->state;

    CHECK(s == f->slot);
    f->zxid = rpc_uint(rpc_member(result, "zxid"), 0);
    f->reached = 0;
    for (uint32_t i = 0; i < b->config->clients; i++) {
        if (f->watchers[i].zxid >= f->zxid) f->reached++;
    }
    if (f->reached < b->config->clients) return BENCH_LATER;
    f->slot = NULL;
    return BENCH_DONE;
}

static void fan_tick(struct bench *b)
{
    struct fan *f = b->state;

    if (f->slot == NULL) return;
    if (b->now_us - f->slot->asked_us < b->config->timeout_ms * UINT64_C(1000)) return;
    give_up(b, f, ERR_TIMEOUT, "some watchers did not hear of a change");
}

const struct bench_kind BENCH_WATCH = {
    .name = "watch",
    .shallow = true,
    .one_works = true,
    .rounds = 1,
    .prepare = fan_prepare,
    .start = fan_start,
    .is_armed = fan_is_armed,
    .ask = fan_ask,
    .told = fan_told,
    .tick = fan_tick,
    .stop = fan_stop,
};
