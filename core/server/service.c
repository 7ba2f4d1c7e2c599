#include "core/server/service.h"

#include <stdlib.h>
#include <sys/resource.h>

#include "core/base/check.h"
#include "core/base/log.h"
#include "core/server/conn.h"
#include "core/server/dispatch.h"
#include "core/server/greet.h"
#include "core/server/listener.h"
#include "core/server/query_queue.h"

enum { SWEEP_MS = 1000, ZONE_BYTES = 16 << 10 };

/* --- what the driver tells --- */

static void on_answer(void *ctx, uint64_t tag, int code, struct bytes result)
{
    dispatch_answer(ctx, tag, code, result);
}

static void on_ready(void *ctx, uint64_t tag, int code)
{
    dispatch_ready(ctx, tag, code);
}

static void on_txn(void *ctx, const struct txn *t, uint64_t zxid)
{
    struct service *s = ctx;

    feed_txn(&s->feed, t, zxid);
}

static void on_applied(void *ctx, uint64_t slot)
{
    struct service *s = ctx;

    feed_applied(&s->feed, slot);
}

static void on_recalled(void *ctx, uint64_t slot, uint64_t zxid_first, uint64_t zxid_last)
{
    struct service *s = ctx;

    feed_recalled(&s->feed, slot, zxid_first, zxid_last);
}

static void on_attached(void *ctx, uint64_t session, uint64_t zxid)
{
    attached_elsewhere(ctx, session, zxid);
}

static void announce(struct service *s)
{
    struct reader r = reader_of(buf_bytes(&s->announced));

    while (reader_left(&r) > 0) {
        const uint64_t session = read_u64(&r), zxid = read_u64(&r);
        driver_attached(s->driver, session, zxid);
    }
    buf_clear(&s->announced);
}

static void on_turn(void *ctx)
{
    struct service *s = ctx;
    struct list due;

    if (s->announced.len > 0) announce(s);

    query_queue_turn(s); /* the oldest first */
    list_init(&due); /* what is woken meanwhile is looked at in the next round */
    list_splice(&due, &s->wakes);
    while (!list_empty(&due) && !shares_are_over(&s->shares, false)) {
        struct conn *c = LIST_FIRST(&due, struct conn, wake);
        list_remove(&c->wake);
        if (!c->closing) conn_resume(c);
    }
    list_splice(&due, &s->wakes); /* who was not looked at comes first in the next turn */
    list_splice(&s->wakes, &due);
    feed_turn(&s->feed, driver_view(s->driver), driver_zxid(s->driver));
    handover_turn(s);
    greet_turn(s);
}

static bool on_again(void *ctx)
{
    struct service *s = ctx;

    return !list_empty(&s->wakes) || feed_again(&s->feed) || query_queue_again(s);
}

/* Written output makes room for what waited for it. */
static void on_flushed(struct out *o, int code)
{
    struct conn *c = CONTAINER_OF(o, struct conn, out);

    conn_flushed(c);
    watches_written(c);
    if (code != 0) {
        conn_close(c);
    } else if (conn_has_room(c) &&
               (!c->reading || !list_empty(&c->confirmed) || !list_empty(&c->queued))) {
        conn_wake(c);
    }
}

static void on_flush(void *ctx)
{
    struct service *s = ctx;

    out_flush_all(&s->dirties, on_flushed);
    shares_next_turn(&s->shares);
}

static void on_installing(void *ctx, bool installing)
{
    struct service *s = ctx;

    s->installing = installing;
    if (installing) service_part(s);
}

static void on_installed(void *ctx)
{
    struct service *s = ctx;

    LIST_EACH_SAFE(at, after, &s->conns)
    {
        conn_close(CONTAINER_OF(at, struct conn, member));
    }
    feed_jump(&s->feed);
}

struct driver_clients service_clients(struct service *s)
{
    return (struct driver_clients){ .ctx = s,
                                    .answer = on_answer,
                                    .ready = on_ready,
                                    .txn = on_txn,
                                    .applied = on_applied,
                                    .recalled = on_recalled,
                                    .attached = on_attached,
                                    .installing = on_installing,
                                    .installed = on_installed,
                                    .turn = on_turn,
                                    .again = on_again,
                                    .flush = on_flush };
}

/* --- the listener --- */

static void on_connection(uv_stream_t *listener, int status)
{
    struct service *s = listener->data;

    if (status == 0) conn_accept(s, listener);
}

static void on_sweep(uv_timer_t *timer)
{
    struct service *s = timer->data;
    uint64_t now_ms = uv_now(s->loop);

    LIST_EACH_SAFE(at, after, &s->conns)
    {
        struct conn *c = CONTAINER_OF(at, struct conn, member);
        conn_sweep(c, now_ms);
        if (!c->closing) watches_sweep(c, now_ms);
    }
}

int service_listen(struct service *s, struct address *address, char *why, size_t why_size)
{
    s->listening = true;
    int code = listener_open(s->loop, &s->listener, address, on_connection, why, why_size);
    s->listener.data = s;
    return code;
}

/* --- start and end --- */

/* Without a descriptor the log and the state could not go on. */
static uint32_t conns_that_fit(void)
{
    struct rlimit files;

    if (getrlimit(RLIMIT_NOFILE, &files) != 0) return CONNS_MAX;
    uint64_t fit = files.rlim_cur / 2;
    if (files.rlim_cur > 2 * CONNS_FILES_KEPT) fit = files.rlim_cur - CONNS_FILES_KEPT;
    return fit < CONNS_MAX ? (uint32_t)fit : CONNS_MAX;
}

void service_init(struct service *s, uv_loop_t *loop, const struct config *config)
{
    *s = (struct service){ .loop = loop, .config = config, .conns_max = conns_that_fit() };
    list_init(&s->conns);
    list_init(&s->wakes);
    list_init(&s->dirties);
    list_init(&s->queries);
    jobs_init(&s->jobs);
    requests_init(&s->requests);
    watches_init(s);
    s->read_buffer = mem_alloc(SERVICE_READ_BYTES);
    CHECK(msgpack_zone_init(&s->zone, ZONE_BYTES));
    CHECK(uv_timer_init(loop, &s->sweep) == 0);
    s->sweep.data = s;
    uv_timer_start(&s->sweep, on_sweep, SWEEP_MS, SWEEP_MS);
}

void service_start(struct service *s, struct driver *driver)
{
    s->driver = driver;
}

void service_stop(struct service *s)
{
    s->stopping = true;
    if (s->listening) uv_close((uv_handle_t *)&s->listener, NULL);
    s->listening = false;
}

bool service_idle(const struct service *s)
{
    LIST_EACH(at, &s->conns)
    {
        const struct conn *c = CONTAINER_OF(at, struct conn, member);
        if (c->reads + c->writes > 0 || out_queued(&c->out) > 0) return false;
    }
    return true;
}

void service_part(struct service *s)
{
    LIST_EACH_SAFE(at, after, &s->conns)
    {
        conn_part(CONTAINER_OF(at, struct conn, member));
    }
}

void service_close(struct service *s)
{
    service_stop(s);
    uv_close((uv_handle_t *)&s->sweep, NULL);
    LIST_EACH_SAFE(at, after, &s->conns)
    {
        conn_close(CONTAINER_OF(at, struct conn, member));
    }
}

void service_fini(struct service *s)
{
    CHECK(s->conns_count == 0);
    jobs_fini(&s->jobs);
    requests_fini(&s->requests);
    feed_fini(&s->feed);
    event_pack_fini(&s->packed);
    buf_fini(&s->page);
    msgpack_zone_destroy(&s->zone);
    buf_fini(&s->scratch);
    buf_fini(&s->announced);
    table_fini(&s->attached.sessions);
    free(s->read_buffer);
}
