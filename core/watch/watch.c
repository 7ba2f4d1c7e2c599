/* A million watches stand here, so a watch is 64 bytes, and its links are numbers of places
 * rather than pointers; a path is kept once for all its watches. */
#include "core/watch/watch.h"

#include <stdlib.h>

#include "core/base/check.h"
#include "core/base/hash.h"
#include "core/watch/watch_inside.h"

enum { IDS_FIRST = 64 };

void watch_table_init(struct watch_table *t, uint64_t seed)
{
    *t = (struct watch_table){ .seed = seed };
}

/* --- places --- */

static void places_grow(struct watch_table *t)
{
    const uint32_t chunks = t->places / WATCH_CHUNK;

    t->chunks = mem_grow(t->chunks, (chunks + 1) * sizeof t->chunks[0]);
    t->chunks[chunks] = mem_zalloc(WATCH_CHUNK * sizeof(struct watch));
    for (uint32_t i = 0; i < WATCH_CHUNK; i++) {
        watch_at(t, ++t->places)->chain = t->free;
        t->free = t->places;
    }
}

static uint32_t place_take(struct watch_table *t)
{
    if (t->free == 0) places_grow(t);
    const uint32_t place = t->free;

    t->free = watch_at(t, place)->chain;
    return place;
}

static void place_give(struct watch_table *t, uint32_t place)
{
    *watch_at(t, place) = (struct watch){ .chain = t->free };
    t->free = place;
}

static void list_add(struct watch_table *t, struct watch_place *list, uint32_t place,
                     enum list_of which)
{
    watch_at(t, place)->before[which] = list->last;
    if (list->last == 0) list->first = place;
    else watch_at(t, list->last)->next[which] = place;
    list->last = place;
}

static void list_take(struct watch_table *t, struct watch_place *list, uint32_t place,
                      enum list_of which)
{
    const struct watch *w = watch_at(t, place);
    const uint32_t next = w->next[which], before = w->before[which];

    if (before == 0) list->first = next;
    else watch_at(t, before)->next[which] = next;
    if (next == 0) list->last = before;
    else watch_at(t, next)->before[which] = before;
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
        const struct watch *w = watch_at(t, place);

        if (w->id == id && w->owner->handle == owner) break;
        place = w->chain;
    }
    return place;
}

static void id_add(struct watch_table *t, uint32_t place)
{
    struct watch *w = watch_at(t, place);
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
        if (watch_at(t, place)->path != NULL) id_add(t, place);
    }
}

static void id_take(struct watch_table *t, uint32_t place)
{
    const struct watch *w = watch_at(t, place);
    uint32_t *at = id_chain(t, w->owner->handle, w->id);

    while (*at != place) {
        CHECK(*at != 0);
        at = &watch_at(t, *at)->chain;
    }
    *at = w->chain;
}

/* --- paths: hashed part by part, so that those above a path are hashed on the way --- */

uint64_t watch_hash_part(struct bytes path, size_t *at, uint64_t hash)
{
    const size_t from = *at;

    while (*at < path.len && path.ptr[*at] != '/') ++*at;
    return hash_bytes(bytes_of(path.ptr + from, *at - from), hash);
}

uint64_t watch_hash_path(const struct watch_table *t, struct bytes path)
{
    uint64_t hash = t->seed;

    for (size_t at = 1; at < path.len; at++) hash = watch_hash_part(path, &at, hash);
    return hash;
}

struct watch_path *watch_path_find(const struct watch_table *t, struct bytes path,
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
    const uint64_t hash = watch_hash_path(t, path);
    struct watch_path *p = watch_path_find(t, path, hash, tree);

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
    struct watch *w = watch_at(t, place);

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

void watch_release(struct watch_table *t, uint32_t place)
{
    const struct watch w = *watch_at(t, place);

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

    if (place != 0) watch_release(t, place);
}

/* Of one run only, unless that is NULL. */
static void owner_drop(struct watch_table *t, struct watch_owner *o,
                       const struct watch_run *run)
{
    size_t left = o->count; /* the owner goes with the last one */

    for (uint32_t place = o->watches.first, next; left > 0; left--, place = next) {
        next = watch_at(t, place)->next[OF_OWNER];
        if (run == NULL || watch_at(t, place)->run == run) watch_release(t, place);
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
    for (uint32_t i = 0; i < t->places / WATCH_CHUNK; i++) free(t->chunks[i]);
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

/* --- judging --- */

static size_t list_count(const struct watch_table *t, const struct watch_place *list,
                         enum list_of which)
{
    size_t count = 0;

    for (uint32_t place = list->first; place != 0; count++) {
        place = watch_at(t, place)->next[which];
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
