/* A million watches stand here, so a watch is 64 bytes, and its links are numbers of places
 * rather than pointers; a path is kept once for all its watches. */
#include "core/watch/watch.h"

#include <assert.h>
#include <stdlib.h>

#include "core/base/check.h"
#include "core/base/hash.h"

enum { CHUNK = 1024, IDS_FIRST = 64 };

enum list_of { OF_PATH = 0, OF_OWNER = 1 };

struct watch_path { /* goes with its last watch */
    struct table_link link;
    struct watch_place watches; /* in the order of arming */
    uint16_t len;
    bool tree; /* watches of the tree below it: apart from those of the node */
    uint8_t bytes[];
};

struct watch_owner { /* goes with its last watch */
    struct table_link link;
    uint64_t handle;
    struct watch_place watches; /* in the order of arming */
    size_t count;
    uint32_t group; /* its group of the transaction at hand + 1; 0 = not concerned yet */
    uint8_t reading; /* changes whenever the owner has read all */
};

struct watch {
    struct watch_path *path; /* NULL: the place is free */
    struct watch_owner *owner;
    struct watch_run *run;
    uint64_t id, since;
    uint32_t next[2], before[2]; /* by enum list_of */
    uint32_t chain;              /* the next of its chain of ids, or the next free place */
    uint16_t unread;             /* units told in the owner's reading that is named here: */
    uint8_t reading;             /* of another one nothing counts any more */
    unsigned what : 3;
    unsigned once : 1, value : 1;
    unsigned fired : 1; /* by the transaction at hand */
};

static_assert(WATCH_UNREAD_MAX / WATCH_UNREAD_UNIT <= UINT16_MAX, "units fit");

static_assert(sizeof(struct watch) == 64, "what a million of them take");

struct watch_found {
    uint32_t watch;
    size_t group;
    struct watch_firing firing;
};

struct watch_group {
    uint64_t owner;
    size_t count, placed;
};

void watch_table_init(struct watch_table *t, uint64_t seed)
{
    *t = (struct watch_table){ .seed = seed };
}

/* --- places --- */

static struct watch *at_place(const struct watch_table *t, uint32_t place)
{
    return &t->chunks[(place - 1) / CHUNK][(place - 1) % CHUNK];
}

static void places_grow(struct watch_table *t)
{
    const uint32_t chunks = t->places / CHUNK;

    t->chunks = mem_grow(t->chunks, (chunks + 1) * sizeof t->chunks[0]);
    t->chunks[chunks] = mem_zalloc(CHUNK * sizeof(struct watch));
    for (uint32_t i = 0; i < CHUNK; i++) {
        at_place(t, ++t->places)->chain = t->free;
        t->free = t->places;
    }
}

static uint32_t place_take(struct watch_table *t)
{
    if (t->free == 0) places_grow(t);
    const uint32_t place = t->free;

    t->free = at_place(t, place)->chain;
    return place;
}

static void place_give(struct watch_table *t, uint32_t place)
{
    *at_place(t, place) = (struct watch){ .chain = t->free };
    t->free = place;
}

static void list_add(struct watch_table *t, struct watch_place *list, uint32_t place,
                     enum list_of which)
{
    at_place(t, place)->before[which] = list->last;
    if (list->last == 0) list->first = place;
    else at_place(t, list->last)->next[which] = place;
    list->last = place;
}

static void list_take(struct watch_table *t, struct watch_place *list, uint32_t place,
                      enum list_of which)
{
    const struct watch *w = at_place(t, place);
    const uint32_t next = w->next[which], before = w->before[which];

    if (before == 0) list->first = next;
    else at_place(t, before)->next[which] = next;
    if (next == 0) list->last = before;
    else at_place(t, next)->before[which] = before;
}

/* --- ids --- */

static uint32_t *id_chain(const struct watch_table *t, uint64_t owner, uint64_t id)
{
    const uint64_t hash = hash_u64(id, hash_u64(owner, t->seed));

    return &t->ids[hash & (t->ids_size - 1)];
}

static uint32_t watch_find(const struct watch_table *t, uint64_t owner, uint64_t id)
{
    uint32_t place = t->count == 0 ? 0 : *id_chain(t, owner, id);

    while (place != 0) {
        const struct watch *w = at_place(t, place);

        if (w->id == id && w->owner->handle == owner) break;
        place = w->chain;
    }
    return place;
}

static void id_add(struct watch_table *t, uint32_t place)
{
    struct watch *w = at_place(t, place);
    uint32_t *chain = id_chain(t, w->owner->handle, w->id);

    w->chain = *chain;
    *chain = place;
}

static void ids_grow(struct watch_table *t)
{
    const size_t size = t->ids_size == 0 ? IDS_FIRST : 2 * t->ids_size;

    free(t->ids);
    t->ids = mem_zalloc(size * sizeof *t->ids);
    t->ids_size = size;
    for (uint32_t place = 1; place <= t->places; place++) {
        if (at_place(t, place)->path != NULL) id_add(t, place);
    }
}

static void id_take(struct watch_table *t, uint32_t place)
{
    const struct watch *w = at_place(t, place);
    uint32_t *at = id_chain(t, w->owner->handle, w->id);

    while (*at != place) {
        CHECK(*at != 0);
        at = &at_place(t, *at)->chain;
    }
    *at = w->chain;
}

/* --- paths: hashed part by part, so that those above a path are hashed on the way --- */

static uint64_t hash_part(struct bytes path, size_t *at, uint64_t hash)
{
    const size_t from = *at;

    while (*at < path.len && path.ptr[*at] != '/') ++*at;
    return hash_bytes(bytes_of(path.ptr + from, *at - from), hash);
}

static uint64_t hash_path(const struct watch_table *t, struct bytes path)
{
    uint64_t hash = t->seed;

    for (size_t at = 1; at < path.len; at++) hash = hash_part(path, &at, hash);
    return hash;
}

static struct watch_path *path_find(const struct watch_table *t, struct bytes path,
                                    uint64_t hash, bool tree)
{
    for (struct table_link *at = table_chain(&t->paths, hash); at != NULL; at = at->next) {
        struct watch_path *p = CONTAINER_OF(at, struct watch_path, link);

        if (at->hash != hash || p->tree != tree) continue;
        if (bytes_equal(bytes_of(p->bytes, p->len), path)) return p;
    }
    return NULL;
}

static struct watch_path *path_take(struct watch_table *t, struct bytes path, bool tree)
{
    const uint64_t hash = hash_path(t, path);
    struct watch_path *p = path_find(t, path, hash, tree);

    if (p != NULL) return p;
    CHECK(path.len <= UINT16_MAX);
    p = mem_alloc(sizeof *p + path.len);
    *p = (struct watch_path){ .len = (uint16_t) path.len, .tree = tree };
    memcpy(p->bytes, path.ptr, path.len);
    table_add(&t->paths, &p->link, hash);
    t->trees += tree;
    return p;
}

/* --- owners --- */

static struct watch_owner *owner_find(const struct watch_table *t, uint64_t handle)
{
    const uint64_t hash = hash_u64(handle, t->seed);

    for (struct table_link *at = table_chain(&t->owners, hash); at != NULL; at = at->next) {
        struct watch_owner *o = CONTAINER_OF(at, struct watch_owner, link);

        if (o->handle == handle) return o;
    }
    return NULL;
}

static struct watch_owner *owner_take(struct watch_table *t, uint64_t handle)
{
    struct watch_owner *o = owner_find(t, handle);

    if (o != NULL) return o;
    o = mem_zalloc(sizeof *o);
    o->handle = handle;
    table_add(&t->owners, &o->link, hash_u64(handle, t->seed));
    return o;
}

/* --- arming --- */

static bool what_is_legal(unsigned what)
{
    return what == WATCH_TREE || (what != 0 && what <= (WATCH_DATA | WATCH_CHILDREN));
}

bool watch_add(struct watch_table *t, const struct watch_spec *spec)
{
    CHECK(what_is_legal(spec->what));
    if (watch_armed(t, spec->owner, spec->id)) return false; /* W1 */
    if (t->count >= t->ids_size) ids_grow(t);

    const uint32_t place = place_take(t);
    struct watch *w = at_place(t, place);

    *w = (struct watch){ .path = path_take(t, spec->path, spec->what == WATCH_TREE),
                         .owner = owner_take(t, spec->owner),
                         .run = spec->run,
                         .id = spec->id,
                         .since = spec->since,
                         .what = spec->what & 7u,
                         .once = spec->once,
                         .value = spec->value };
    if (w->run != NULL) w->run->watches++;
    w->owner->count++;
    t->count++;
    list_add(t, &w->path->watches, place, OF_PATH);
    list_add(t, &w->owner->watches, place, OF_OWNER);
    id_add(t, place);
    return true;
}

bool watch_armed(const struct watch_table *t, uint64_t owner, uint64_t id)
{
    return watch_find(t, owner, id) != 0;
}

void watch_owner_read(struct watch_table *t, uint64_t owner)
{
    struct watch_owner *o = owner_find(t, owner);

    if (o != NULL) o->reading++;
}

size_t watch_count(const struct watch_table *t)
{
    return t->count;
}

size_t watch_count_of(const struct watch_table *t, uint64_t owner)
{
    const struct watch_owner *o = owner_find(t, owner);

    return o == NULL ? 0 : o->count;
}

/* --- the end of a watch --- */

static void path_release(struct watch_table *t, struct watch_path *p)
{
    if (p->watches.first != 0) return;
    t->trees -= p->tree;
    table_remove(&t->paths, &p->link);
    free(p);
}

static void owner_release(struct watch_table *t, struct watch_owner *o)
{
    if (--o->count != 0) return;
    table_remove(&t->owners, &o->link);
    free(o);
}

static void watch_free(struct watch_table *t, uint32_t place)
{
    const struct watch w = *at_place(t, place);

    id_take(t, place);
    list_take(t, &w.path->watches, place, OF_PATH);
    list_take(t, &w.owner->watches, place, OF_OWNER);
    place_give(t, place);
    t->count--;
    path_release(t, w.path);
    owner_release(t, w.owner);
    if (w.run != NULL && --w.run->watches == 0 && !w.run->held) free(w.run);
}

void watch_remove(struct watch_table *t, uint64_t owner, uint64_t id)
{
    const uint32_t place = watch_find(t, owner, id);

    if (place != 0) watch_free(t, place);
}

/* Of one run only, unless that is NULL. */
static void owner_drop(struct watch_table *t, struct watch_owner *o,
                       const struct watch_run *run)
{
    size_t left = o->count; /* the owner goes with the last one */

    for (uint32_t place = o->watches.first, next; left > 0; left--, place = next) {
        next = at_place(t, place)->next[OF_OWNER];
        if (run == NULL || at_place(t, place)->run == run) watch_free(t, place);
    }
}

void watch_drop(struct watch_table *t, uint64_t owner)
{
    struct watch_owner *o = owner_find(t, owner);

    if (o != NULL) owner_drop(t, o, NULL);
}

void watch_table_fini(struct watch_table *t)
{
    for (size_t i = 0; i < t->owners.size; i++) {
        while (t->owners.chains[i] != NULL) {
            owner_drop(t, CONTAINER_OF(t->owners.chains[i], struct watch_owner, link), NULL);
        }
    }
    table_fini(&t->owners);
    table_fini(&t->paths);
    for (uint32_t i = 0; i < t->places / CHUNK; i++) free(t->chunks[i]);
    free(t->chunks);
    free(t->ids);
    buf_fini(&t->found);
    buf_fini(&t->groups);
    buf_fini(&t->firings);
}

/* --- runs --- */

struct watch_run *watch_run_new(void)
{
    struct watch_run *run = mem_zalloc(sizeof *run);

    run->held = true;
    return run;
}

void watch_run_let_go(struct watch_run *run)
{
    CHECK(run->held);
    run->held = run->now = false;
    run->live = true;
    run->walk = NULL;
    if (run->watches == 0) free(run);
}

void watch_run_drop(struct watch_table *t, uint64_t owner, struct watch_run *run)
{
    struct watch_owner *o = owner_find(t, owner);

    CHECK(run->held);
    if (o != NULL) owner_drop(t, o, run);
    CHECK(run->watches == 0);
}

/* --- firing --- */

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
        struct watch *w = at_place(m->t, place);

        if (listens(w, m) && concerns(w, m->event)) {
            const bool too_much = !m->replay && !unread_add(w, m->event);
            const struct watch_found f = { place,
                                           group_of(m->t, w->owner),
                                           { w->id, m->index, w->value, w->once, too_much } };

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
    const struct watch_path *p = path_find(m->t, bytes_of(path.ptr, 1), m->t->seed, true);
    uint64_t hash = m->t->seed;

    if (p != NULL) path_fire(m, p);
    for (size_t at = 1; at < path.len; at++) {
        hash = hash_part(path, &at, hash);
        p = path_find(m->t, bytes_of(path.ptr, at), hash, true);
        if (p != NULL) path_fire(m, p);
    }
}

static void event_fire(const struct matching *m)
{
    const struct bytes path = m->event->path;
    const struct watch_path *p = path_find(m->t, path, hash_path(m->t, path), false);

    if (p != NULL) path_fire(m, p);
    if (m->t->trees > 0 && m->event->kind != EVENT_CHILDREN) trees_fire(m);
}

/* Forgets the marks, and the watches that were armed once; afterwards no firing needs its
 * watch. */
static void marks_clear(struct watch_table *t)
{
    for (size_t i = 0; i < found_count(t); i++) {
        const uint32_t place = found_at(t, i)->watch;
        struct watch *w = at_place(t, place);

        w->fired = false;
        w->owner->group = 0;
        if (w->once) watch_free(t, place); /* W3; it stands here once */
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

/* --- judging --- */

static size_t list_count(const struct watch_table *t, const struct watch_place *list,
                         enum list_of which)
{
    size_t count = 0;

    for (uint32_t place = list->first; place != 0; count++) {
        place = at_place(t, place)->next[which];
    }
    return count;
}

void watch_table_check(const struct watch_table *t)
{
    size_t of_owners = 0, of_paths = 0, trees = 0;

    for (size_t i = 0; i < t->owners.size; i++) {
        for (struct table_link *at = t->owners.chains[i]; at != NULL; at = at->next) {
            const struct watch_owner *o = CONTAINER_OF(at, struct watch_owner, link);

            of_owners += o->count;
            CHECK(list_count(t, &o->watches, OF_OWNER) == o->count);
        }
    }
    for (size_t i = 0; i < t->paths.size; i++) {
        for (struct table_link *at = t->paths.chains[i]; at != NULL; at = at->next) {
            const struct watch_path *p = CONTAINER_OF(at, struct watch_path, link);

            of_paths += list_count(t, &p->watches, OF_PATH);
            trees += p->tree;
            CHECK(p->watches.first != 0);
        }
    }
    CHECK(of_owners == t->count);
    CHECK(of_paths == t->count);
    CHECK(trees == t->trees);
}
