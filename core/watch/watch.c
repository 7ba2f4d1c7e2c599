#include "core/watch/watch.h"

#include <stdlib.h>

#include "core/base/check.h"
#include "core/base/hash.h"
#include "core/base/list.h"

struct watch_path { /* goes with its last watch */
    struct table_link link;
    struct list watches; /* in the order of arming */
    size_t len;
    uint8_t bytes[];
};

struct watch_owner { /* goes with its last watch */
    struct table_link link;
    uint64_t handle;
    struct list watches; /* in the order of arming */
    size_t count;
    size_t group; /* its group of the transaction at hand + 1; 0 = not concerned yet */
};

struct watch {
    struct table_link link;
    struct list of_path, of_owner;
    struct watch_path *path;
    struct watch_owner *owner;
    uint64_t id, since;
    /* Firings of the transaction at hand + 1, 0 = none: the last one about the node, and
     * the one about its children. */
    uint32_t found_node, found_children;
    uint8_t what;
    bool once, value;
};

struct watch_found {
    struct watch *watch;
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

/* --- finding --- */

static struct watch_path *path_find(const struct watch_table *t, struct bytes path,
                                    uint64_t hash)
{
    for (struct table_link *at = table_chain(&t->paths, hash); at != NULL; at = at->next) {
        struct watch_path *p = CONTAINER_OF(at, struct watch_path, link);

        if (at->hash == hash && bytes_equal(bytes_of(p->bytes, p->len), path)) return p;
    }
    return NULL;
}

static struct watch_owner *owner_find(const struct watch_table *t, uint64_t handle)
{
    const uint64_t hash = hash_u64(handle, t->seed);

    for (struct table_link *at = table_chain(&t->owners, hash); at != NULL; at = at->next) {
        struct watch_owner *o = CONTAINER_OF(at, struct watch_owner, link);

        if (o->handle == handle) return o;
    }
    return NULL;
}

static uint64_t id_hash(const struct watch_table *t, uint64_t owner, uint64_t id)
{
    return hash_u64(id, hash_u64(owner, t->seed));
}

static struct watch *watch_find(const struct watch_table *t, uint64_t owner, uint64_t id)
{
    const uint64_t hash = id_hash(t, owner, id);

    for (struct table_link *at = table_chain(&t->ids, hash); at != NULL; at = at->next) {
        struct watch *w = CONTAINER_OF(at, struct watch, link);

        if (w->id == id && w->owner->handle == owner) return w;
    }
    return NULL;
}

/* --- arming --- */

static struct watch_path *path_take(struct watch_table *t, struct bytes path)
{
    const uint64_t hash = hash_bytes(path, t->seed);
    struct watch_path *p = path_find(t, path, hash);

    if (p != NULL) return p;
    p = mem_alloc(sizeof *p + path.len);
    p->len = path.len;
    memcpy(p->bytes, path.ptr, path.len);
    list_init(&p->watches);
    table_add(&t->paths, &p->link, hash);
    return p;
}

static struct watch_owner *owner_take(struct watch_table *t, uint64_t handle)
{
    struct watch_owner *o = owner_find(t, handle);

    if (o != NULL) return o;
    o = mem_zalloc(sizeof *o);
    o->handle = handle;
    list_init(&o->watches);
    table_add(&t->owners, &o->link, hash_u64(handle, t->seed));
    return o;
}

bool watch_add(struct watch_table *t, const struct watch_spec *spec)
{
    struct watch *w;

    CHECK(spec->what != 0 && spec->what <= (WATCH_DATA | WATCH_CHILDREN));
    if (watch_armed(t, spec->owner, spec->id)) return false; /* W1 */
    w = mem_alloc(sizeof *w);
    *w = (struct watch){ .path = path_take(t, spec->path),
                         .owner = owner_take(t, spec->owner),
                         .id = spec->id,
                         .since = spec->since,
                         .what = (uint8_t) spec->what,
                         .once = spec->once,
                         .value = spec->value };
    w->owner->count++;
    list_push(&w->path->watches, &w->of_path);
    list_push(&w->owner->watches, &w->of_owner);
    table_add(&t->ids, &w->link, id_hash(t, spec->owner, spec->id));
    return true;
}

bool watch_armed(const struct watch_table *t, uint64_t owner, uint64_t id)
{
    return watch_find(t, owner, id) != NULL;
}

/* --- the end of a watch --- */

static void watch_free(struct watch_table *t, struct watch *w)
{
    table_remove(&t->ids, &w->link);
    list_remove(&w->of_path);
    list_remove(&w->of_owner);
    if (list_empty(&w->path->watches)) {
        table_remove(&t->paths, &w->path->link);
        free(w->path);
    }
    if (--w->owner->count == 0) {
        table_remove(&t->owners, &w->owner->link);
        free(w->owner);
    }
    free(w);
}

void watch_remove(struct watch_table *t, uint64_t owner, uint64_t id)
{
    struct watch *w = watch_find(t, owner, id);

    if (w != NULL) watch_free(t, w);
}

static void owner_drop(struct watch_table *t, struct watch_owner *o)
{
    for (size_t left = o->count; left > 0; left--) {
        watch_free(t, LIST_FIRST(&o->watches, struct watch, of_owner));
    }
}

void watch_drop(struct watch_table *t, uint64_t owner)
{
    struct watch_owner *o = owner_find(t, owner);

    if (o != NULL) owner_drop(t, o);
}

void watch_move(struct watch_table *from, struct watch_table *to, uint64_t owner)
{
    struct watch_owner *o = owner_find(from, owner);

    if (o == NULL) return;
    LIST_EACH(at, &o->watches) {
        const struct watch *w = CONTAINER_OF(at, struct watch, of_owner);
        const struct watch_spec spec = { .owner = owner,
                                         .id = w->id,
                                         .path = bytes_of(w->path->bytes, w->path->len),
                                         .what = w->what,
                                         .once = w->once,
                                         .value = w->value,
                                         .since = w->since };

        CHECK(watch_add(to, &spec));
    }
    owner_drop(from, o);
}

void watch_table_fini(struct watch_table *t)
{
    for (size_t i = 0; i < t->owners.size; i++) {
        while (t->owners.chains[i] != NULL) {
            owner_drop(t, CONTAINER_OF(t->owners.chains[i], struct watch_owner, link));
        }
    }
    table_fini(&t->owners);
    table_fini(&t->paths);
    table_fini(&t->ids);
    buf_fini(&t->found);
    buf_fini(&t->groups);
    buf_fini(&t->firings);
}

size_t watch_count(const struct watch_table *t)
{
    return t->ids.count;
}

size_t watch_count_of(const struct watch_table *t, uint64_t owner)
{
    const struct watch_owner *o = owner_find(t, owner);

    return o == NULL ? 0 : o->count;
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
        o->group = groups_count(t);
    }
    return o->group - 1;
}

static void fire(struct watch_table *t, struct watch *w, const struct event *e)
{
    const struct watch_found f = { .watch = w,
                                   .group = group_of(t, w->owner),
                                   .firing = { .id = w->id,
                                               .kind = e->kind,
                                               .path = e->path,
                                               .data = e->data,
                                               .value = w->value } };

    buf_put(&t->found, &f, sizeof f);
    group_at(t, f.group)->count++;
    if (e->kind == EVENT_CHILDREN) {
        w->found_children = (uint32_t) found_count(t);
    } else {
        w->found_node = (uint32_t) found_count(t);
    }
}

static bool concerns(const struct watch *w, const struct event *e)
{
    switch (e->kind) {
    case EVENT_CREATED:
    case EVENT_CHANGED:
        return (w->what & WATCH_DATA) != 0;
    case EVENT_CHILDREN:
        return (w->what & WATCH_CHILDREN) != 0;
    case EVENT_DELETED:
        break;
    }
    return true; /* without the node there is nothing of it to watch for */
}

/* True when what the transaction did to this path before has the event in it. */
static bool merge(struct watch_table *t, const struct watch *w, const struct event *e)
{
    struct watch_firing *before;

    if (e->kind == EVENT_CHILDREN) return w->found_children != 0;
    if (e->kind != EVENT_CHANGED || w->found_node == 0) return false;
    before = &found_at(t, w->found_node - 1)->firing;
    CHECK(before->kind != EVENT_DELETED); /* a CREATE would stand between */
    before->data = e->data;
    return true;
}

void watch_match(struct watch_table *t, const struct event *e, uint64_t zxid)
{
    struct watch_path *p;

    if (t->ids.count == 0) return;
    p = path_find(t, e->path, hash_bytes(e->path, t->seed));
    if (p == NULL) return;
    LIST_EACH(at, &p->watches) {
        struct watch *w = CONTAINER_OF(at, struct watch, of_path);
        const bool fired = w->found_node != 0 || w->found_children != 0;

        if (zxid <= w->since || !concerns(w, e) || merge(t, w, e)) continue;
        if (!w->once || !fired) fire(t, w, e);
    }
}

/* Forgets the marks, and the watches that were armed once; afterwards no firing needs its
 * watch. */
static void marks_clear(struct watch_table *t)
{
    for (size_t i = 0; i < found_count(t); i++) {
        struct watch *w = found_at(t, i)->watch;

        w->found_node = w->found_children = 0;
        w->owner->group = 0;
        if (w->once) watch_free(t, w); /* W3; it stands here once */
    }
}

/* The firings of each group beside each other, in their order. */
static struct watch_firing *firings_sort(struct watch_table *t)
{
    const size_t size = found_count(t) * sizeof(struct watch_firing);
    struct watch_firing *firings;
    size_t first = 0;

    buf_clear(&t->firings);
    buf_reserve(&t->firings, size);
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

void watch_deliver(struct watch_table *t, uint64_t zxid, watch_deliver_fn each, void *ctx)
{
    const struct watch_firing *firings;

    if (t->found.len == 0) return;
    firings = firings_sort(t);
    marks_clear(t);
    for (size_t g = 0; g < groups_count(t); g++) {
        const struct watch_group *group = group_at(t, g);

        each(ctx, group->owner, zxid, firings, group->count);
        firings += group->count;
    }
    buf_clear(&t->found);
    buf_clear(&t->groups);
}

/* --- judging --- */

void watch_table_check(const struct watch_table *t)
{
    size_t of_owners = 0, of_paths = 0;

    for (size_t i = 0; i < t->owners.size; i++) {
        for (struct table_link *at = t->owners.chains[i]; at != NULL; at = at->next) {
            of_owners += CONTAINER_OF(at, struct watch_owner, link)->count;
        }
    }
    for (size_t i = 0; i < t->paths.size; i++) {
        for (struct table_link *at = t->paths.chains[i]; at != NULL; at = at->next) {
            const struct watch_path *p = CONTAINER_OF(at, struct watch_path, link);

            LIST_EACH(w, &p->watches) of_paths++;
            CHECK(!list_empty(&p->watches));
        }
    }
    CHECK(of_owners == t->ids.count);
    CHECK(of_paths == t->ids.count);
}
