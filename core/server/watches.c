#include "core/server/watches.h"

#include <stdlib.h>
#include <sys/random.h>

#include "core/base/check.h"
#include "core/server/answers.h"
#include "core/server/conn.h"
#include "core/server/dispatch.h"
#include "core/server/requests.h"
#include "core/tree/path.h"

/* Watches of one connection on their way through the log. */
struct replay {
    struct list all;     /* of watches->replays */
    struct list of_conn; /* of conn->replays */
    struct conn *conn;
    struct watch_table table;
    struct buf tags; /* u64: their jobs, some of which may be gone */
    uint64_t slot;   /* the next to be looked at */
    bool failed;
};

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

void watches_init(struct watches *w)
{
    *w = (struct watches){ 0 };
    watch_table_init(&w->armed, random_seed());
    history_init(&w->history, WATCH_HISTORY_SLOTS);
    list_init(&w->replays);
}

void watches_fini(struct watches *w)
{
    CHECK(list_empty(&w->replays));
    CHECK(watch_count(&w->armed) == 0);
    watch_table_fini(&w->armed);
    history_fini(&w->history);
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

/* False, and nothing is sent: the connection has too many events unread. */
static bool events_send(struct conn *c, uint64_t zxid, const struct watch_firing *f,
                        size_t count)
{
    size_t size = events_size(f, count), queued = out_queued(&c->out);

    if (c->event_bytes > queued) c->event_bytes = queued; /* the rest was written */
    if (c->event_bytes + size > CONN_EVENT_BYTES_MAX) return false;
    struct buf *out = conn_out(c);
    size_t before = out->len;
    put_events(out, zxid, f, count);
    c->event_bytes += out->len - before;
    return true;
}

/* --- firing --- */

static void fire_live(void *ctx, uint64_t owner, uint64_t zxid,
                      const struct watch_firing *firings, size_t count)
{
    struct watches *w = ctx;
    struct conn *c = conn_of(owner);

    if (c->doomed || events_send(c, zxid, firings, count)) return;
    watch_drop(&w->armed, owner);
    struct buf *out = conn_out(c);
    rpc_notification_begin(out, "lagged");
    pack_array(out, 1);
    pack_uint(out, zxid - 1);
}

static void fire_replay(void *ctx, uint64_t owner, uint64_t zxid,
                        const struct watch_firing *firings, size_t count)
{
    struct replay *r = ctx;

    if (!events_send(conn_of(owner), zxid, firings, count)) r->failed = true;
}

struct matching {
    struct watch_table *table;
    uint64_t zxid;
};

static void match(void *ctx, const struct event *e)
{
    const struct matching *m = ctx;

    watch_match(m->table, e, m->zxid);
}

static void txn_fire(struct watch_table *table, const struct txn *t, uint64_t zxid,
                     watch_deliver_fn fire, void *ctx)
{
    struct matching m = { table, zxid };

    if (watch_count(table) == 0 || t->ops.len == 0) return;
    events_each(t->ops, match, &m);
    watch_deliver(table, zxid, fire, ctx);
}

void watches_txn(struct watches *w, const struct txn *t, uint64_t zxid)
{
    if (w->zxid_first == 0) w->zxid_first = zxid;
    w->zxid_last = zxid;
    txn_fire(&w->armed, t, zxid, fire_live, w);
}

void watches_applied(struct watches *w, uint64_t slot)
{
    history_add(&w->history, slot, w->zxid_first, w->zxid_last);
    w->zxid_first = w->zxid_last = 0;
}

void watches_jump(struct watches *w)
{
    CHECK(watch_count(&w->armed) == 0 && list_empty(&w->replays));
    history_reset(&w->history);
    w->zxid_first = w->zxid_last = 0;
}

/* --- arming --- */

static void answer_refused(struct job *j, int code)
{
    const struct result none = { .code = code,
                                 .zxid = driver_zxid(j->conn->service->driver),
                                 .index = -1 };

    answer_result(conn_out(j->conn), j, &none);
}

static void answer_armed(struct job *j)
{
    struct driver *d = j->conn->service->driver;

    answer_watch(conn_out(j->conn), j, driver_view(d), driver_zxid(d));
}

static bool id_is_free(const struct conn *c, uint64_t id)
{
    LIST_EACH(at, &c->replays)
    {
        const struct replay *r = CONTAINER_OF(at, struct replay, of_conn);
        if (watch_armed(&r->table, owner_of(c), id)) return false;
    }
    return !watch_armed(&c->service->watches.armed, owner_of(c), id);
}

static int arm_refusal(const struct conn *c, const struct watch_args *args)
{
    const struct watch_table *armed = &c->service->watches.armed;
    size_t count = watch_count_of(armed, owner_of(c)), all = watch_count(armed);

    LIST_EACH(at, &c->replays)
    {
        count += watch_count(&CONTAINER_OF(at, struct replay, of_conn)->table);
    }
    int code = path_check(args->path);
    if (code != 0) return code;
    if (!id_is_free(c, args->id)) return ERR_BAD_PARAMS;
    if (count >= CONN_WATCHES_MAX) return ERR_TOO_LARGE;
    return all >= WATCHES_MAX ? ERR_BUSY : 0;
}

static struct watch_spec spec_of_args(const struct conn *c, const struct watch_args *a)
{
    return (struct watch_spec){ .owner = owner_of(c),
                                .id = a->id,
                                .path = a->path,
                                .what = (a->data ? WATCH_DATA : 0u) |
                                        (a->children ? WATCH_CHILDREN : 0u),
                                .once = a->once,
                                .value = a->value,
                                .since = a->since };
}

static struct replay *replay_new(struct conn *c, uint64_t slot)
{
    struct watches *w = &c->service->watches;
    struct replay *r = mem_zalloc(sizeof *r);

    r->conn = c;
    r->slot = slot;
    watch_table_init(&r->table, w->armed.seed);
    list_push(&w->replays, &r->all);
    list_push(&c->replays, &r->of_conn);
    return r;
}

static void replay_free(struct replay *r)
{
    list_remove(&r->all);
    list_remove(&r->of_conn);
    watch_table_fini(&r->table);
    buf_fini(&r->tags);
    free(r);
}

/* Joins watches of the connection that have not passed that slot. */
static void replay_join(struct job *j, const struct watch_args *args, uint64_t slot)
{
    const struct watch_spec spec = spec_of_args(j->conn, args);
    struct replay *r = NULL;

    LIST_EACH(at, &j->conn->replays)
    {
        struct replay *other = CONTAINER_OF(at, struct replay, of_conn);
        if (other->slot <= slot && !other->failed) r = other;
    }
    if (r == NULL) r = replay_new(j->conn, slot);
    CHECK(watch_add(&r->table, &spec));
    buf_put_u64(&r->tags, j->tag);
}

bool watches_arm(struct job *j)
{
    struct watches *w = &j->conn->service->watches;
    const struct watch_args args = watch_args_of(j);
    const struct watch_spec spec = spec_of_args(j->conn, &args);
    uint64_t zxid = driver_zxid(j->conn->service->driver), slot = 0;

    int code = arm_refusal(j->conn, &args);
    if (code == 0 && args.resumes && args.since != zxid) {
        bool kept = args.since < zxid && history_find(&w->history, args.since, &slot);
        if (!kept) code = ERR_LAGGED;
    }
    if (code != 0) {
        answer_refused(j, code);
    } else if (slot != 0) {
        replay_join(j, &args, slot);
        return false;
    } else {
        CHECK(watch_add(&w->armed, &spec));
        answer_armed(j);
    }
    return true;
}

void watches_unarm(struct conn *c, uint64_t id)
{
    watch_remove(&c->service->watches.armed, owner_of(c), id);
}

void watches_forget(struct conn *c)
{
    watch_drop(&c->service->watches.armed, owner_of(c));
    while (!list_empty(&c->replays)) {
        replay_free(LIST_FIRST(&c->replays, struct replay, of_conn));
    }
}

/* --- catching up --- */

/* Its watches are armed, or not to be armed; all are answered. */
static void replay_end(struct replay *r)
{
    struct conn *c = r->conn;
    struct service *s = c->service;
    struct reader tags = reader_of(buf_bytes(&r->tags));

    if (!r->failed) watch_move(&r->table, &s->watches.armed, owner_of(c));
    while (reader_left(&tags) > 0) {
        struct job *j = job_find(&s->jobs, read_u64(&tags));
        if (j == NULL) continue;
        if (r->failed) {
            answer_refused(j, ERR_LAGGED);
        } else {
            answer_armed(j);
        }
        dispatch_done(j);
    }
    replay_free(r);
}

static bool replay_waits(const struct replay *r)
{
    return out_queued(&r->conn->out) >= CONN_OUT_AIM; /* until it has read some */
}

/* The one that is furthest behind of those that may go on. */
static struct replay *replay_next(const struct watches *w)
{
    struct replay *next = NULL;

    LIST_EACH(at, &w->replays)
    {
        struct replay *r = CONTAINER_OF(at, struct replay, all);
        if (!replay_waits(r) && (next == NULL || r->slot < next->slot)) next = r;
    }
    return next;
}

/* Those that wait stay where they are. */
static void slot_fire(struct watches *w, uint64_t slot, const struct txn *t, uint64_t zxid)
{
    LIST_EACH(at, &w->replays)
    {
        struct replay *r = CONTAINER_OF(at, struct replay, all);
        if (r->slot == slot && !r->failed) txn_fire(&r->table, t, zxid, fire_replay, r);
    }
}

/* False: the slot is not there any more. */
static bool slot_replay(struct service *s, uint64_t slot)
{
    struct watches *w = &s->watches;
    struct proposal p;
    struct batch b;
    struct txn t;

    if (slot < w->history.slot_first) return false;
    if (!history_counted(&w->history, slot)) return true;
    if (driver_read_log(s->driver, slot, &p) != 0) return false;
    CHECK(batch_decode(blob_bytes(p.batch), &b) == 0); /* it was applied */
    for (uint64_t zxid = b.zxid_first; zxid < b.zxid_first + b.count; zxid++) {
        CHECK(txn_next(&b, &t) == 0);
        slot_fire(w, slot, &t, zxid);
    }
    blob_unref(p.batch);
    return true;
}

static void slot_passed(struct watches *w, uint64_t slot, bool kept)
{
    LIST_EACH_SAFE(at, after, &w->replays)
    {
        struct replay *r = CONTAINER_OF(at, struct replay, all);
        if (r->slot != slot) continue;
        r->failed |= !kept;
        r->slot++;
        if (r->failed || r->slot > w->history.slot_last) replay_end(r);
    }
}

void watches_turn(struct service *s)
{
    for (int i = 0; i < WATCH_SLOTS_A_TURN; i++) {
        const struct replay *next = replay_next(&s->watches);
        if (next == NULL) return;
        uint64_t slot = next->slot;
        slot_passed(&s->watches, slot, slot_replay(s, slot));
    }
}

bool watches_again(const struct service *s)
{
    return replay_next(&s->watches) != NULL;
}
