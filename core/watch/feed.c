#include "core/watch/feed.h"

#include <stdlib.h>

#include "core/base/check.h"
#include "core/base/errors.h"
#include "core/tree/node.h"
#include "core/tree/path.h"

/* Watches of one owner on their way through the log. */
struct replay {
    struct list all; /* of feed->replays */
    uint64_t owner;
    struct watch_run *run;
    struct buf tags; /* u64 each */
    uint64_t tag;    /* the last of them */
    uint64_t slot;   /* the next to be looked at */
    bool failed;
};

struct snapshot {
    struct list all; /* of feed->snapshots */
    uint64_t owner, id;
    bool value;
    struct watch_run *run; /* of its watch */
    struct walk walk;
};

void feed_init(struct feed *f, const struct feed_io *io, uint64_t seed)
{
    *f = (struct feed){ .io = *io };
    watch_table_init(&f->watches, seed);
    changes_init(&f->changes, seed);
    history_init(&f->history, FEED_HISTORY_SLOTS);
    list_init(&f->replays);
    list_init(&f->snapshots);
}

static bool is_idle(const struct feed *f)
{
    return watch_count(&f->watches) == 0 && list_empty(&f->replays) &&
           list_empty(&f->snapshots);
}

void feed_fini(struct feed *f)
{
    CHECK(is_idle(f));
    watch_table_fini(&f->watches);
    changes_fini(&f->changes);
    history_fini(&f->history);
    buf_fini(&f->ids);
    buf_fini(&f->kept);
}

/* --- firing --- */

/* They are gone, or were armed once and have gone already. */
static void lag(struct feed *f, uint64_t owner, uint64_t zxid,
                const struct watch_firing *firings, size_t count)
{
    buf_clear(&f->ids);
    for (size_t i = 0; i < count; i++) {
        const uint64_t id = firings[i].id;

        if (!firings[i].once && !watch_armed(&f->watches, owner, id)) continue;
        if (!firings[i].once) watch_remove(&f->watches, owner, id);
        buf_put(&f->ids, &id, sizeof id);
    }
    f->io.lagged(f->io.ctx, owner, zxid, (const uint64_t *) (const void *) f->ids.ptr,
                 f->ids.len / sizeof(uint64_t));
}

static const struct watch_firing *kept(const struct feed *f)
{
    return (const struct watch_firing *) (const void *) f->kept.ptr;
}

/* Ends the watches that have too much unread, and keeps the others' firings: a watch is told
 * of a whole transaction or not at all. */
static size_t too_much_lag(struct feed *f, uint64_t owner, uint64_t zxid,
                           const struct watch_firing *firings, size_t count)
{
    struct buf much = { 0 };

    for (size_t i = 0; i < count; i++) {
        if (firings[i].too_much) buf_put(&much, &firings[i], sizeof firings[i]);
    }
    lag(f, owner, zxid, (const struct watch_firing *) (const void *) much.ptr,
        much.len / sizeof *firings);
    buf_fini(&much);
    buf_clear(&f->kept);
    for (size_t i = 0; i < count; i++) {
        const bool gone = firings[i].too_much ||
                          (!firings[i].once &&
                           !watch_armed(&f->watches, owner, firings[i].id));

        if (!gone) buf_put(&f->kept, &firings[i], sizeof firings[i]);
    }
    return f->kept.len / sizeof *firings;
}

static bool any_too_much(const struct watch_firing *firings, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (firings[i].too_much) return true;
    }
    return false;
}

static void fire_live(void *ctx, uint64_t owner, uint64_t zxid,
                      const struct changes *changes, const struct watch_firing *firings,
                      size_t count)
{
    struct feed *f = ctx;

    if (any_too_much(firings, count)) {
        count = too_much_lag(f, owner, zxid - 1, firings, count);
        firings = kept(f);
    }
    if (count == 0) return;
    if (f->io.events(f->io.ctx, owner, zxid, changes, firings, count)) return;
    lag(f, owner, zxid - 1, firings, count);
}

static void fire_replay(void *ctx, uint64_t owner, uint64_t zxid,
                        const struct changes *changes, const struct watch_firing *firings,
                        size_t count)
{
    struct feed *f = ctx;

    if (f->io.events(f->io.ctx, owner, zxid, changes, firings, count)) return;
    LIST_EACH(at, &f->replays) {
        struct replay *r = CONTAINER_OF(at, struct replay, all);

        if (r->owner != owner || !r->run->now) continue;
        r->failed = true;
        r->run->now = false; /* nothing may be told behind a gap */
    }
}

static void txn_fire(struct feed *f, const struct txn *t, uint64_t zxid, bool replay)
{
    if (watch_count(&f->watches) == 0 || t->ops.len == 0) return;
    changes_gather(&f->changes, t->ops);
    watch_fire(&f->watches, &f->changes, zxid, replay, replay ? fire_replay : fire_live, f);
}

void feed_txn(struct feed *f, const struct txn *t, uint64_t zxid)
{
    if (f->zxid_first == 0) f->zxid_first = zxid;
    f->zxid_last = zxid;
    txn_fire(f, t, zxid, false);
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
    CHECK(is_idle(f));
    history_reset(&f->history);
    f->zxid_first = f->zxid_last = 0;
}

/* --- arming --- */

static int arm_refusal(const struct feed *f, const struct watch_spec *spec)
{
    const int code = path_check(spec->path);

    if (code != 0) return code;
    if (watch_armed(&f->watches, spec->owner, spec->id)) return ERR_BAD_PARAMS;
    if (watch_count_of(&f->watches, spec->owner) >= CONN_WATCHES_MAX) return ERR_TOO_LARGE;
    return watch_count(&f->watches) >= WATCHES_MAX ? ERR_BUSY : 0;
}

static struct replay *replay_new(struct feed *f, uint64_t owner, uint64_t slot)
{
    struct replay *r = mem_zalloc(sizeof *r);

    r->owner = owner;
    r->slot = slot;
    r->run = watch_run_new();
    list_push(&f->replays, &r->all);
    return r;
}

static void replay_free(struct replay *r)
{
    list_remove(&r->all);
    watch_run_let_go(r->run);
    buf_fini(&r->tags);
    free(r);
}

/* Joins watches of the owner that have not passed that slot, those with its tag first. */
static void replay_join(struct feed *f, struct watch_spec spec, uint64_t slot, uint64_t tag)
{
    struct replay *r = NULL;

    LIST_EACH(at, &f->replays) {
        struct replay *other = CONTAINER_OF(at, struct replay, all);

        if (other->owner != spec.owner || other->slot > slot || other->failed) continue;
        r = other;
        if (r->tag == tag) break;
    }
    if (r == NULL) r = replay_new(f, spec.owner, slot);
    spec.run = r->run;
    CHECK(watch_add(&f->watches, &spec));
    if (r->tag == tag && r->tags.len > 0) return;
    buf_put_u64(&r->tags, tag);
    r->tag = tag;
}

static void snapshot_begin(struct feed *f, struct watch_spec spec)
{
    struct snapshot *s = mem_zalloc(sizeof *s);

    s->owner = spec.owner;
    s->id = spec.id;
    s->value = spec.value;
    walk_init(&s->walk, spec.path, spec.what == WATCH_TREE);
    s->run = spec.run = watch_run_new();
    s->run->live = true;
    s->run->walk = &s->walk;
    CHECK(watch_add(&f->watches, &spec));
    list_push(&f->snapshots, &s->all);
}

static void snapshot_free(struct snapshot *s)
{
    list_remove(&s->all);
    watch_run_let_go(s->run);
    walk_fini(&s->walk);
    free(s);
}

int feed_arm(struct feed *f, const struct feed_wish *wish, uint64_t zxid)
{
    const struct watch_spec *spec = &wish->spec;
    const int code = arm_refusal(f, spec);
    uint64_t slot = 0;

    if (code != 0) return code;
    if (wish->resumes && spec->since != zxid) {
        if (spec->since > zxid) return ERR_LAGGED;
        if (!history_find(&f->history, spec->since, &slot)) return ERR_LAGGED;
    }
    if (wish->snapshot) {
        CHECK(!wish->resumes && !spec->once && (spec->what & WATCH_CHILDREN) == 0);
        snapshot_begin(f, *spec);
    } else if (slot != 0) {
        replay_join(f, *spec, slot, wish->tag);
        return FEED_LATER;
    } else {
        CHECK(watch_add(&f->watches, spec));
    }
    return 0;
}

bool feed_armed(const struct feed *f, uint64_t owner, uint64_t id)
{
    return watch_armed(&f->watches, owner, id);
}

size_t feed_count_of(const struct feed *f, uint64_t owner)
{
    return watch_count_of(&f->watches, owner);
}

/* A snapshot that has lost its watch ends when its turn comes. */
void feed_unarm(struct feed *f, uint64_t owner, uint64_t id)
{
    watch_remove(&f->watches, owner, id);
}

void feed_read(struct feed *f, uint64_t owner)
{
    watch_owner_read(&f->watches, owner);
}

void feed_forget(struct feed *f, uint64_t owner)
{
    watch_drop(&f->watches, owner);
    LIST_EACH_SAFE(at, after, &f->replays) {
        struct replay *r = CONTAINER_OF(at, struct replay, all);

        if (r->owner == owner) replay_free(r);
    }
    LIST_EACH_SAFE(at, after, &f->snapshots) {
        struct snapshot *s = CONTAINER_OF(at, struct snapshot, all);

        if (s->owner == owner) snapshot_free(s);
    }
}

/* --- catching up --- */

/* Its watches are live, or gone. */
static void replay_end(struct feed *f, struct replay *r)
{
    struct reader tags = reader_of(buf_bytes(&r->tags));

    if (r->failed) watch_run_drop(&f->watches, r->owner, r->run);
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
static void slot_begin(struct feed *f, uint64_t slot)
{
    LIST_EACH(at, &f->replays) {
        struct replay *r = CONTAINER_OF(at, struct replay, all);

        r->run->now = r->slot == slot && !f->io.waits(f->io.ctx, r->owner);
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
        txn_fire(f, &t, zxid, true);
    }
    blob_unref(batch);
    return true;
}

static void slot_end(struct feed *f, bool kept)
{
    LIST_EACH_SAFE(at, after, &f->replays) {
        struct replay *r = CONTAINER_OF(at, struct replay, all);

        if (!r->run->now && !r->failed) continue;
        r->run->now = false;
        r->failed |= !kept;
        r->slot++;
        if (r->failed || r->slot > f->history.slot_last) replay_end(f, r);
    }
}

static void replays_turn(struct feed *f)
{
    for (int i = 0; i < FEED_SLOTS_A_TURN; i++) {
        const struct replay *next = replay_next(f);

        if (next == NULL) return;
        const uint64_t slot = next->slot;

        slot_begin(f, slot);
        slot_end(f, slot_replay(f, slot));
    }
}

/* --- snapshots --- */

static bool snapshot_may_go_on(const struct feed *f, const struct snapshot *s)
{
    return s->run->watches == 0 || !f->io.waits(f->io.ctx, s->owner);
}

static struct snapshot *snapshot_next(const struct feed *f)
{
    LIST_EACH(at, &f->snapshots) {
        struct snapshot *s = CONTAINER_OF(at, struct snapshot, all);

        if (snapshot_may_go_on(f, s)) return s;
    }
    return NULL;
}

/* False: it was the last one. */
static bool page_tell(struct feed *f, struct snapshot *s, struct kv_view *view,
                      uint64_t zxid)
{
    size_t bytes = 0;
    bool more = true;
    struct node n;

    for (int i = 0; i < FEED_PAGE_NODES && bytes < FEED_PAGE_BYTES; i++) {
        more = walk_next(&s->walk, view);
        if (!more) break;
        const struct bytes path = buf_bytes(&s->walk.passed);

        CHECK(node_read(view, path, &n));
        f->io.node(f->io.ctx, path, n.mzxid, s->value, n.data);
        bytes += path.len + (s->value ? n.data.len : 0);
    }
    f->io.page(f->io.ctx, s->owner, s->id, zxid, more);
    return more;
}

static void snapshots_turn(struct feed *f, struct kv_view *view, uint64_t zxid)
{
    for (int i = 0; i < FEED_PAGES_A_TURN; i++) {
        struct snapshot *s = snapshot_next(f);

        if (s == NULL) return;
        list_remove(&s->all);
        list_push(&f->snapshots, &s->all);
        if (s->run->watches == 0 || !page_tell(f, s, view, zxid)) snapshot_free(s);
    }
}

void feed_turn(struct feed *f, struct kv_view *view, uint64_t zxid)
{
    replays_turn(f);
    snapshots_turn(f, view, zxid);
}

bool feed_again(const struct feed *f)
{
    return replay_next(f) != NULL || snapshot_next(f) != NULL;
}
