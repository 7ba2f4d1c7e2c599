/* What a transaction fires: found event by event, told owner by owner. */
#include "core/base/check.h"
#include "core/watch/watch_inside.h"

struct watch_found {
    uint32_t watch;
    size_t group;
    struct watch_firing firing;
};

struct watch_group {
    uint64_t owner;
    size_t count, placed;
};

static struct watch_found *found_at(const struct watch_table *t, size_t i)
{
    return (struct watch_found *) (void *) t->found.ptr + i;
}

static size_t found_count(const struct watch_table *t)
{
    return t->found.len / sizeof(struct watch_found);
}

static struct watch_group *group_at(const struct watch_table *t, size_t i)
{
    return (struct watch_group *) (void *) t->groups.ptr + i;
}

static size_t groups_count(const struct watch_table *t)
{
    return t->groups.len / sizeof(struct watch_group);
}

static size_t group_of(struct watch_table *t, struct watch_owner *o)
{
    if (o->group == 0) {
        const struct watch_group g = { .owner = o->handle };

        buf_put(&t->groups, &g, sizeof g);
        o->group = (uint32_t) groups_count(t);
    }
    return o->group - 1;
}

struct matching { /* one event of the transaction at hand */
    struct watch_table *t;
    const struct event *event;
    uint32_t index;
    uint64_t zxid;
    bool replay;
};

static bool concerns(const struct watch *w, const struct event *e)
{
    switch (e->kind) {
    case EVENT_CREATED:
    case EVENT_CHANGED:
        return (w->what & (WATCH_DATA | WATCH_TREE)) != 0;
    case EVENT_CHILDREN:
        return (w->what & WATCH_CHILDREN) != 0;
    case EVENT_DELETED:
        break;
    }
    return true; /* without the node there is nothing of it to watch for */
}

/* Whether it is the watch's turn to hear of this transaction, and of this path. */
static bool listens(const struct watch *w, const struct matching *m)
{
    const struct watch_run *run = w->run;

    if (m->zxid <= w->since || (w->once && w->fired)) return false;
    if (run == NULL) return !m->replay;
    if (!run->live) return m->replay && run->now;
    return !m->replay && (run->walk == NULL || walk_has_passed(run->walk, m->event->path));
}

/* Counts the event as unread; false, and it is not counted: that would be too much. */
static bool unread_add(struct watch *w, const struct event *e)
{
    const size_t bytes = e->path.len + (w->value ? e->data.len : 0);
    const size_t units = 1 + bytes / WATCH_UNREAD_UNIT;
    const size_t max = WATCH_UNREAD_MAX / WATCH_UNREAD_UNIT;

    if (w->reading != w->owner->reading) w->unread = 0;
    w->reading = w->owner->reading;
    if (w->unread > 0 && w->unread + units > max) return false;
    w->unread = (uint16_t) (units < max ? w->unread + units : max);
    return true;
}

static void path_fire(const struct matching *m, const struct watch_path *p)
{
    for (uint32_t place = p->watches.first; place != 0;) {
        struct watch *w = watch_at(m->t, place);

        if (listens(w, m) && concerns(w, m->event)) {
            const bool too_much = !m->replay && !unread_add(w, m->event);
            const struct watch_firing firing = { w->id, m->index, w->value, w->once,
                                                 too_much };
            const struct watch_found f = { place, group_of(m->t, w->owner), firing };

            w->fired = true;
            buf_put(&m->t->found, &f, sizeof f);
            group_at(m->t, f.group)->count++;
        }
        place = w->next[OF_PATH];
    }
}

/* The root, then each path on the way down to that of the event, which is the last. */
static void trees_fire(const struct matching *m)
{
    const struct bytes path = m->event->path;
    uint64_t hash = m->t->seed;
    const struct watch_path *p = watch_path_find(m->t, bytes_of(path.ptr, 1), hash, true);

    if (p != NULL) path_fire(m, p);
    for (size_t at = 1; at < path.len; at++) {
        hash = watch_hash_part(path, &at, hash);
        p = watch_path_find(m->t, bytes_of(path.ptr, at), hash, true);
        if (p != NULL) path_fire(m, p);
    }
}

static void event_fire(const struct matching *m)
{
    const struct bytes path = m->event->path;
    const uint64_t hash = watch_hash_path(m->t, path);
    const struct watch_path *p = watch_path_find(m->t, path, hash, false);

    if (p != NULL) path_fire(m, p);
    if (m->t->trees > 0 && m->event->kind != EVENT_CHILDREN) trees_fire(m);
}

/* Forgets the marks, and the watches that were armed once; afterwards no firing needs its
 * watch. */
static void marks_clear(struct watch_table *t)
{
    for (size_t i = 0; i < found_count(t); i++) {
        const uint32_t place = found_at(t, i)->watch;
        struct watch *w = watch_at(t, place);

        w->fired = false;
        w->owner->group = 0;
        if (w->once) watch_release(t, place); /* W3; it stands here once */
    }
}

/* The firings of each group beside each other, in their order. */
static struct watch_firing *firings_sort(struct watch_table *t)
{
    struct watch_firing *firings;
    size_t first = 0;

    buf_clear(&t->firings);
    buf_reserve(&t->firings, found_count(t) * sizeof(struct watch_firing));
    firings = (struct watch_firing *) (void *) t->firings.ptr;
    for (size_t g = 0; g < groups_count(t); g++) {
        group_at(t, g)->placed = first;
        first += group_at(t, g)->count;
    }
    for (size_t i = 0; i < found_count(t); i++) {
        firings[group_at(t, found_at(t, i)->group)->placed++] = found_at(t, i)->firing;
    }
    return firings;
}

void watch_fire(struct watch_table *t, const struct changes *changes, uint64_t zxid,
                bool replay, watch_fire_fn each, void *ctx)
{
    const struct watch_firing *firings;

    if (t->count == 0) return;
    for (size_t i = 0; i < changes_count(changes); i++) {
        const struct matching m = { t, changes_at(changes, i), (uint32_t) i, zxid, replay };

        event_fire(&m);
    }
    if (t->found.len == 0) return;
    firings = firings_sort(t);
    marks_clear(t);
    for (size_t g = 0; g < groups_count(t); g++) {
        const struct watch_group *group = group_at(t, g);

        each(ctx, group->owner, zxid, changes, firings, group->count);
        firings += group->count;
    }
    buf_clear(&t->found);
    buf_clear(&t->groups);
}
