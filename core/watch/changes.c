#include "core/watch/changes.h"

#include "core/base/hash.h"

/* A few events are compared one by one; of more the places tell where to look. */
enum { FEW = 8, PLACES_FIRST = 64 };

void changes_init(struct changes *c, uint64_t seed)
{
    *c = (struct changes){ .seed = seed };
}

void changes_fini(struct changes *c)
{
    buf_fini(&c->events);
    buf_fini(&c->places);
}

static uint32_t *places(const struct changes *c)
{
    return (uint32_t *) (void *) c->places.ptr;
}

/* Events of the node and of its children are two things. */
static bool is_like(const struct event *a, const struct event *b)
{
    return (a->kind == EVENT_CHILDREN) == (b->kind == EVENT_CHILDREN) &&
           bytes_equal(a->path, b->path);
}

/* The place of what is like `e`, or the free one where it would stand. */
static uint32_t *place_find(const struct changes *c, const struct event *e)
{
    const size_t mask = c->places.len / sizeof(uint32_t) - 1;
    size_t at = hash_bytes(e->path, c->seed + (e->kind == EVENT_CHILDREN)) & mask;

    while (places(c)[at] != 0 && !is_like(changes_at(c, places(c)[at] - 1), e)) {
        at = (at + 1) & mask;
    }
    return &places(c)[at];
}

/* Twice as many places as events at least; later events of a path replace earlier ones. */
static void places_grow(struct changes *c)
{
    const size_t size = c->places.len == 0 ? PLACES_FIRST * sizeof(uint32_t)
                                           : 2 * c->places.len;

    buf_clear(&c->places);
    buf_reserve(&c->places, size);
    c->places.len = size;
    memset(c->places.ptr, 0, size);
    for (size_t i = 0; i < changes_count(c); i++) {
        *place_find(c, changes_at(c, i)) = (uint32_t) i + 1;
    }
}

/* The newest event like `e`, or NULL. */
static struct event *find(struct changes *c, const struct event *e)
{
    const size_t count = changes_count(c);

    if (count > FEW) {
        if (c->places.len / sizeof(uint32_t) < 2 * (count + 1)) places_grow(c);
        const uint32_t place = *place_find(c, e);

        return place == 0 ? NULL : changes_at(c, place - 1);
    }
    for (size_t i = count; i > 0; i--) {
        if (is_like(changes_at(c, i - 1), e)) return changes_at(c, i - 1);
    }
    return NULL;
}

void changes_clear(struct changes *c)
{
    buf_clear(&c->events);
    buf_clear(&c->places);
}

void changes_add(struct changes *c, const struct event *e)
{
    struct event *before = find(c, e);

    if (before != NULL && e->kind == EVENT_CHILDREN) return;
    if (before != NULL && e->kind == EVENT_CHANGED) {
        before->data = e->data; /* not DELETED: a CREATE would stand between */
        return;
    }
    buf_put(&c->events, e, sizeof *e);
    if (c->places.len > 0) *place_find(c, e) = (uint32_t) changes_count(c);
}

static void add(void *ctx, const struct event *e)
{
    changes_add(ctx, e);
}

void changes_gather(struct changes *c, struct bytes ops)
{
    changes_clear(c);
    events_each(ops, add, c);
}
