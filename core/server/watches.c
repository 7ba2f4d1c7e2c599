#include "core/server/watches.h"

#include <sys/random.h>

#include "core/base/check.h"
#include "core/server/answers.h"
#include "core/server/conn.h"
#include "core/server/dispatch.h"
#include "core/server/requests.h"

static uint64_t owner_of(const struct conn *c)
{
    return (uint64_t)(uintptr_t)c;
}

static struct conn *conn_of(uint64_t owner)
{
    return (struct conn *)(uintptr_t)owner;
}

static uint64_t random_seed(void)
{
    uint64_t seed;

    CHECK(getrandom(&seed, sizeof seed, 0) == (ssize_t)sizeof seed);
    return seed;
}

/* --- notifications --- */

static size_t events_size(const struct watch_firing *f, size_t count)
{
    size_t size = 32;

    for (size_t i = 0; i < count; i++) {
        size += 32 + f[i].path.len + (f[i].value ? f[i].data.len : 0);
    }
    return size;
}

static bool carries_data(const struct watch_firing *f)
{
    return f->value && (f->kind == EVENT_CREATED || f->kind == EVENT_CHANGED);
}

static void put_events(struct buf *out, uint64_t zxid, const struct watch_firing *f,
                       size_t count)
{
    rpc_notification_begin(out, "events");
    pack_array(out, 2);
    pack_uint(out, zxid);
    pack_array(out, (uint32_t)count);
    for (size_t i = 0; i < count; i++, f++) {
        pack_array(out, 3u + carries_data(f));
        pack_uint(out, f->id);
        pack_cstr(out, event_name(f->kind));
        pack_str(out, f->path);
        if (carries_data(f)) pack_bin(out, f->data);
    }
}

static bool on_events(void *ctx, uint64_t owner, uint64_t zxid,
                      const struct watch_firing *f, size_t count)
{
    struct conn *c = conn_of(owner);
    size_t size = events_size(f, count), queued = out_queued(&c->out);

    (void)ctx;
    if (c->doomed) return true; /* it hears no more of anything */
    if (c->event_bytes > queued) c->event_bytes = queued; /* the rest was written */
    if (c->event_bytes + size > CONN_EVENT_BYTES_MAX) return false;
    struct buf *out = conn_out(c);
    size_t before = out->len;
    put_events(out, zxid, f, count);
    c->event_bytes += out->len - before;
    return true;
}

static void on_lagged(void *ctx, uint64_t owner, uint64_t zxid)
{
    struct buf *out = conn_out(conn_of(owner));

    (void)ctx;
    rpc_notification_begin(out, "lagged");
    pack_array(out, 1);
    pack_uint(out, zxid);
}

/* --- catching up --- */

static bool on_waits(void *ctx, uint64_t owner)
{
    (void)ctx;
    return out_queued(&conn_of(owner)->out) >= CONN_OUT_AIM;
}

static struct blob *on_batch(void *ctx, uint64_t slot)
{
    struct service *s = ctx;
    struct proposal p;

    return driver_read_log(s->driver, slot, &p) == 0 ? p.batch : NULL;
}

static void answer_end(struct job *j, int code)
{
    struct driver *d = j->conn->service->driver;
    const struct result refusal = { .code = code, .zxid = driver_zxid(d), .index = -1 };

    if (code != 0) {
        answer_result(conn_out(j->conn), j, &refusal);
    } else {
        answer_watch(conn_out(j->conn), j, driver_view(d), driver_zxid(d));
    }
}

static void on_ended(void *ctx, uint64_t tag, int code)
{
    struct service *s = ctx;
    struct job *j = job_find(&s->jobs, tag);

    if (j == NULL) return;
    answer_end(j, code);
    dispatch_done(j);
}

void watches_init(struct service *s)
{
    const struct feed_io io = { .ctx = s,
                                .events = on_events,
                                .lagged = on_lagged,
                                .waits = on_waits,
                                .batch = on_batch,
                                .ended = on_ended };

    feed_init(&s->feed, &io, random_seed());
}

/* --- what clients ask --- */

bool watches_arm(struct job *j)
{
    struct service *s = j->conn->service;
    const struct watch_args a = watch_args_of(j);
    const struct watch_spec spec = { .owner = owner_of(j->conn),
                                     .id = a.id,
                                     .path = a.path,
                                     .what = (a.data ? WATCH_DATA : 0u) |
                                             (a.children ? WATCH_CHILDREN : 0u),
                                     .once = a.once,
                                     .value = a.value,
                                     .since = a.since };

    int code = feed_arm(&s->feed, &spec, a.resumes, driver_zxid(s->driver), j->tag);
    if (code == FEED_LATER) return false;
    answer_end(j, code);
    return true;
}

void watches_unarm(struct conn *c, uint64_t id)
{
    feed_unarm(&c->service->feed, owner_of(c), id);
}

void watches_forget(struct conn *c)
{
    feed_forget(&c->service->feed, owner_of(c));
}
