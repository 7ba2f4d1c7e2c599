#include "core/watch/feed.h"

#include <stdlib.h>

#include "core/base/check.h"
#include "core/base/errors.h"
#include "core/tree/path.h"

/* Watches of one owner on their way through the log. */
struct replay {
    struct list all; /* of feed->replays */
    struct feed *feed;
    uint64_t owner;
    struct watch_table table;
    struct buf tags; /* u64 each */
    uint64_t slot;   /* the next to be looked at */
    bool failed;
};

void feed_init(struct feed *f, const struct feed_io *io, uint64_t seed)
{
    *f = (struct feed){ .io = *io };
    watch_table_init(&f->armed, seed);
    history_init(&f->history, FEED_HISTORY_SLOTS);
    list_init(&f->replays);
}

void feed_fini(struct feed *f)
{
    CHECK(list_empty(&f->replays));
    CHECK(watch_count(&f->armed) == 0);
    watch_table_fini(&f->armed);
    history_fini(&f->history);
}

/* --- firing --- */

static void fire_live(void *ctx, uint64_t owner, uint64_t zxid,
                      const struct watch_firing *firings, size_t count)
{
    struct feed *f = ctx;

    if (f->io.events(f->io.ctx, owner, zxid, firings, count)) return;
    watch_drop(&f->armed, owner);
    f->io.lagged(f->io.ctx, owner, zxid - 1);
}

static void fire_replay(void *ctx, uint64_t owner, uint64_t zxid,
                        const struct watch_firing *firings, size_t count)
{
    struct replay *r = ctx;
    const struct feed_io *io = &r->feed->io;

    if (!io->events(io->ctx, owner, zxid, firings, count)) r->failed = true;
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

void feed_txn(struct feed *f, const struct txn *t, uint64_t zxid)
{
    if (f->zxid_first == 0) f->zxid_first = zxid;
    f->zxid_last = zxid;
    txn_fire(&f->armed, t, zxid, fire_live, f);
}

void feed_applied(struct feed *f, uint64_t slot)
{
    history_add(&f->history, slot, f->zxid_first, f->zxid_last);
    f->zxid_first = f->zxid_last = 0;
}

void feed_recalled(struct feed *f, uint64_t slot, uint64_t zxid_first, uint64_t zxid_last)
{
    history_add(&f->history, slot, zxid_first, zxid_last);
}

void feed_jump(struct feed *f)
{
    CHECK(watch_count(&f->armed) == 0);
    CHECK(list_empty(&f->replays));
    history_reset(&f->history);
    f->zxid_first = f->zxid_last = 0;
}

/* --- arming --- */

static bool id_is_free(const struct feed *f, uint64_t owner, uint64_t id)
{
    LIST_EACH(at, &f->replays) {
        const struct replay *r = CONTAINER_OF(at, struct replay, all);

        if (r->owner == owner && watch_armed(&r->table, owner, id)) return false;
    }
    return !watch_armed(&f->armed, owner, id);
}

static int arm_refusal(const struct feed *f, const struct watch_spec *spec)
{
    size_t count = watch_count_of(&f->armed, spec->owner), all = watch_count(&f->armed);
    const int code = path_check(spec->path);

    LIST_EACH(at, &f->replays) {
        const struct replay *r = CONTAINER_OF(at, struct replay, all);

        if (r->owner == spec->owner) count += watch_count(&r->table);
        all += watch_count(&r->table);
    }
    if (code != 0) return code;
    if (!id_is_free(f, spec->owner, spec->id)) return ERR_BAD_PARAMS;
    if (count >= CONN_WATCHES_MAX) return ERR_TOO_LARGE;
    return all >= WATCHES_MAX ? ERR_BUSY : 0;
}

static struct replay *replay_new(struct feed *f, uint64_t owner, uint64_t slot)
{
    struct replay *r = mem_zalloc(sizeof *r);

    r->feed = f;
    r->owner = owner;
    r->slot = slot;
    watch_table_init(&r->table, f->armed.seed);
    list_push(&f->replays, &r->all);
    return r;
}

static void replay_free(struct replay *r)
{
    list_remove(&r->all);
    watch_table_fini(&r->table);
    buf_fini(&r->tags);
    free(r);
}

/* Joins watches of the owner that have not passed that slot. */
static void replay_join(struct feed *f, const struct watch_spec *spec, uint64_t slot,
                        uint64_t tag)
{
    struct replay *r = NULL;

    LIST_EACH(at, &f->replays) {
        struct replay *other = CONTAINER_OF(at, struct replay, all);

        if (other->owner == spec->owner && other->slot <= slot && !other->failed) r = other;
    }
    if (r == NULL) r = replay_new(f, spec->owner, slot);
    CHECK(watch_add(&r->table, spec));
    buf_put_u64(&r->tags, tag);
}

int feed_arm(struct feed *f, const struct watch_spec *spec, bool resumes, uint64_t zxid,
             uint64_t tag)
{
    const int code = arm_refusal(f, spec);
    uint64_t slot = 0;

    if (code != 0) return code;
    if (resumes && spec->since != zxid) {
        if (spec->since > zxid) return ERR_LAGGED;
        if (!history_find(&f->history, spec->since, &slot)) return ERR_LAGGED;
    }
    if (slot == 0) {
        CHECK(watch_add(&f->armed, spec));
        return 0;
    }
    replay_join(f, spec, slot, tag);
    return FEED_LATER;
}

void feed_unarm(struct feed *f, uint64_t owner, uint64_t id)
{
    watch_remove(&f->armed, owner, id);
}

void feed_forget(struct feed *f, uint64_t owner)
{
    watch_drop(&f->armed, owner);
    LIST_EACH_SAFE(at, after, &f->replays) {
        struct replay *r = CONTAINER_OF(at, struct replay, all);

        if (r->owner == owner) replay_free(r);
    }
}

/* --- catching up --- */

/* Its watches are armed, or not to be armed. */
static void replay_end(struct feed *f, struct replay *r)
{
    struct reader tags = reader_of(buf_bytes(&r->tags));

    if (!r->failed) watch_move(&r->table, &f->armed, r->owner);
    while (reader_left(&tags) > 0) {
        f->io.ended(f->io.ctx, read_u64(&tags), r->failed ? ERR_LAGGED : 0);
    }
    replay_free(r);
}

/* The one that is furthest behind of those that may go on. */
static struct replay *replay_next(const struct feed *f)
{
    struct replay *next = NULL;

    LIST_EACH(at, &f->replays) {
        struct replay *r = CONTAINER_OF(at, struct replay, all);

        if (f->io.waits(f->io.ctx, r->owner)) continue;
        if (next == NULL || r->slot < next->slot) next = r;
    }
    return next;
}

/* Those that wait stay where they are. */
static void slot_fire(struct feed *f, uint64_t slot, const struct txn *t, uint64_t zxid)
{
    LIST_EACH(at, &f->replays) {
        struct replay *r = CONTAINER_OF(at, struct replay, all);

        if (r->slot == slot && !r->failed) txn_fire(&r->table, t, zxid, fire_replay, r);
    }
}

/* False: the slot is not there any more. */
static bool slot_replay(struct feed *f, uint64_t slot)
{
    struct blob *batch;
    struct batch b;
    struct txn t;

    if (slot < f->history.slot_first) return false;
    if (!history_counted(&f->history, slot)) return true;
    batch = f->io.batch(f->io.ctx, slot);
    if (batch == NULL) return false;
    CHECK(batch_decode(blob_bytes(batch), &b) == 0); /* it was applied */
    for (uint64_t zxid = b.zxid_first; zxid < b.zxid_first + b.count; zxid++) {
        CHECK(txn_next(&b, &t) == 0);
        slot_fire(f, slot, &t, zxid);
    }
    blob_unref(batch);
    return true;
}

static void slot_passed(struct feed *f, uint64_t slot, bool kept)
{
    LIST_EACH_SAFE(at, after, &f->replays) {
        struct replay *r = CONTAINER_OF(at, struct replay, all);

        if (r->slot != slot) continue;
        r->failed |= !kept;
        r->slot++;
        if (r->failed || r->slot > f->history.slot_last) replay_end(f, r);
    }
}

void feed_turn(struct feed *f)
{
    for (int i = 0; i < FEED_SLOTS_A_TURN; i++) {
        const struct replay *next = replay_next(f);

        if (next == NULL) return;
        const uint64_t slot = next->slot;

        slot_passed(f, slot, slot_replay(f, slot));
    }
}

bool feed_again(const struct feed *f)
{
    return replay_next(f) != NULL;
}
