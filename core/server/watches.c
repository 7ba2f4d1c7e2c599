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

static bool on_events(void *ctx, uint64_t owner, uint64_t zxid,
                      const struct changes *changes, const struct watch_firing *f,
                      size_t count)
{
    struct service *s = ctx;
    struct conn *c = conn_of(owner);
    size_t queued = out_queued(&c->out);

    if (c->doomed) return true; /* it hears no more of anything */
    if (c->event_bytes > queued) c->event_bytes = queued; /* the rest was written */
    size_t size = 32 + event_pack_size(&s->packed, zxid, changes, f, count);
    if (c->event_bytes + size > CONN_EVENT_BYTES_MAX) return false;
    struct buf *out = conn_out(c);
    size_t before = out->len;
    rpc_notification_begin(out, "events");
    pack_array(out, 2);
    pack_uint(out, zxid);
    event_pack_put(&s->packed, out, zxid, changes, f, count);
    c->event_bytes += out->len - before;
    return true;
}

static void on_lagged(void *ctx, uint64_t owner, uint64_t zxid, const uint64_t *ids,
                      size_t count)
{
    struct buf *out = conn_out(conn_of(owner));

    (void)ctx;
    rpc_notification_begin(out, "lagged");
    pack_array(out, 2);
    pack_uint(out, zxid);
    pack_array(out, (uint32_t)count);
    for (size_t i = 0; i < count; i++)
        pack_uint(out, ids[i]);
}

/* --- snapshots --- */

static void on_node(void *ctx, struct bytes path, uint64_t mzxid, bool value,
                    struct bytes data)
{
    struct service *s = ctx;

    pack_array(&s->page, 2u + value);
    pack_str(&s->page, path);
    pack_uint(&s->page, mzxid);
    if (value) pack_bin(&s->page, data);
    s->page_nodes++;
}

static void on_page(void *ctx, uint64_t owner, uint64_t id, uint64_t zxid, bool more)
{
    struct service *s = ctx;
    struct buf *out = conn_out(conn_of(owner));

    rpc_notification_begin(out, "nodes");
    pack_array(out, 4);
    pack_uint(out, zxid);
    pack_uint(out, id);
    pack_array(out, s->page_nodes);
    buf_put_bytes_raw(out, buf_bytes(&s->page));
    pack_bool(out, more);
    buf_clear(&s->page);
    s->page_nodes = 0;
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
    struct buf *out = conn_out(j->conn);

    if (code != 0) {
        answer_result(out, j, &refusal);
    } else if (j->method == METHOD_WATCH) {
        answer_watch(out, j, driver_view(d), driver_zxid(d));
    } else {
        answer_watch_many(out, j, buf_bytes(&j->body), driver_zxid(d));
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
                                .ended = on_ended,
                                .node = on_node,
                                .page = on_page };

    feed_init(&s->feed, &io, random_seed());
}

/* --- what clients ask --- */

static unsigned what_of(const struct watch_args *a)
{
    if (a->recursive) return WATCH_TREE;
    return (a->data ? WATCH_DATA : 0u) | (a->children ? WATCH_CHILDREN : 0u);
}

static int arm(struct job *j, const struct watch_args *a)
{
    struct service *s = j->conn->service;
    const struct feed_wish wish = { .spec = { .owner = owner_of(j->conn),
                                              .id = a->id,
                                              .path = a->path,
                                              .what = what_of(a),
                                              .once = a->once,
                                              .value = a->value,
                                              .since = a->since },
                                    .resumes = a->resumes,
                                    .snapshot = a->snapshot,
                                    .tag = j->tag };

    return feed_arm(&s->feed, &wish, driver_zxid(s->driver));
}

bool watches_arm(struct job *j)
{
    struct watch_list list = watch_list_of(j);
    struct watch_args args;

    CHECK(watch_list_next(&list, &args));
    int code = arm(j, &args);
    if (code == FEED_LATER) return false;
    answer_end(j, code);
    return true;
}

/* What is left of the job then are those refused. */
bool watches_arm_many(struct job *j)
{
    struct watch_list list = watch_list_of(j);
    struct buf refused = { 0 };
    struct watch_args args;
    bool later = false;

    while (watch_list_next(&list, &args)) {
        const struct watch_refusal r = { args.id, arm(j, &args) };
        later |= r.code == FEED_LATER;
        if (r.code < 0) buf_put(&refused, &r, sizeof r);
    }
    buf_clear(&j->body);
    buf_put_bytes_raw(&j->body, buf_bytes(&refused));
    buf_fini(&refused);
    if (later) return false;
    answer_end(j, 0);
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

/* Whoever has not read what it was told will hear of it anyway. */
void watches_sweep(struct conn *c, uint64_t now_ms)
{
    struct service *s = c->service;

    if (now_ms - c->progress_ms < WATCH_PROGRESS_MS || s->driver == NULL) return;
    if (c->parting_ms != 0 || feed_count_of(&s->feed, owner_of(c)) == 0) return;
    c->progress_ms = now_ms;
    uint64_t zxid = driver_zxid(s->driver);
    if (zxid == c->progress_zxid || out_queued(&c->out) > 0) return;
    c->progress_zxid = zxid;
    struct buf *out = conn_out(c);
    rpc_notification_begin(out, "progress");
    pack_array(out, 1);
    pack_uint(out, zxid);
}

/* What the kernel has taken is as good as read: it bounds that by itself. */
void watches_written(struct conn *c)
{
    if (c->event_bytes == 0 || out_queued(&c->out) > 0) return;
    c->event_bytes = 0;
    feed_read(&c->service->feed, owner_of(c));
}
