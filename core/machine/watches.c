#include <stdlib.h>

#include "core/base/check.h"
#include "core/base/hash.h"
#include "core/machine/inside.h"
#include "core/tree/op.h"
#include "core/tree/path.h"

/* A path that somebody waits for; it goes with its last waiter. */
struct watch_path {
    struct table_link link;
    struct list waiters; /* in the order in which they came */
    struct bytes path;   /* the bytes that follow this struct */
};

struct watch {
    struct list by_path, by_call;
    struct watch_path *at;
    struct call *call;
};

static struct watch *watch_of_path(struct list *l)
{
    return CONTAINER_OF(l, struct watch, by_path);
}

static struct watch_path *path_find(const struct resolver *r, struct bytes path)
{
    uint64_t hash = hash_bytes(path, r->seed);

    for (struct table_link *l = table_chain(&r->watch_paths, hash); l != NULL;
         l = l->next) {
        struct watch_path *at = CONTAINER_OF(l, struct watch_path, link);

        if (l->hash == hash && bytes_equal(at->path, path)) return at;
    }
    return NULL;
}

static struct watch_path *path_make(struct resolver *r, struct bytes path)
{
    struct watch_path *at = path_find(r, path);

    if (at != NULL) return at;
    at = mem_alloc(sizeof *at + path.len);
    memcpy(at + 1, path.ptr, path.len);
    at->path = bytes_of(at + 1, path.len);
    list_init(&at->waiters);
    table_add(&r->watch_paths, &at->link, hash_bytes(path, r->seed));
    return at;
}

static void watch_add(struct resolver *r, struct call *c, struct bytes path)
{
    struct watch_path *at = path_make(r, path);
    struct watch *w;

    /* A call's watches are made in one go, so a path named twice is found at the end. */
    if (!list_empty(&at->waiters) && watch_of_path(at->waiters.prev)->call == c) return;
    w = mem_alloc(sizeof *w);
    w->at = at;
    w->call = c;
    list_push(&at->waiters, &w->by_path);
    list_push(&c->watches, &w->by_call);
}

void watches_set(struct resolver *r, struct call *c, struct bytes paths)
{
    struct reader reader = reader_of(paths);

    CHECK(list_empty(&c->watches));
    while (reader_left(&reader) > 0) {
        struct bytes path = read_bytes(&reader, paths.len);

        CHECK(!reader.bad);
        watch_add(r, c, path);
    }
}

void watches_drop(struct resolver *r, struct call *c)
{
    while (!list_empty(&c->watches)) {
        struct watch *w = LIST_FIRST(&c->watches, struct watch, by_call);

        list_remove(&w->by_call);
        list_remove(&w->by_path);
        if (list_empty(&w->at->waiters)) {
            table_remove(&r->watch_paths, &w->at->link);
            free(w->at);
        }
        free(w);
    }
}

static void woken_push(struct resolver *r, struct call *c)
{
    if (c->woken) return;
    c->woken = true;
    if (r->woken_count == r->woken_cap) {
        r->woken_cap = r->woken_cap == 0 ? 64 : 2 * r->woken_cap;
        r->woken = mem_grow(r->woken, r->woken_cap * sizeof *r->woken);
    }
    r->woken[r->woken_count++] = c;
}

static void path_wake(struct resolver *r, struct bytes path)
{
    struct watch_path *at = path_find(r, path);

    if (at == NULL) return;
    LIST_EACH(l, &at->waiters) woken_push(r, watch_of_path(l)->call);
}

static void op_wake(struct resolver *r, const struct op *op)
{
    switch (op->kind) {
    case OP_CREATE:
    case OP_DELETE:
        path_wake(r, op->path);
        path_wake(r, path_parent(op->path));
        break;
    case OP_SET:
        path_wake(r, op->path);
        break;
    case OP_SESSION_OPEN:
    case OP_SESSION_CLOSE:
    case OP_SESSION_END:
    case OP_MEMBERS:
    case OP_TOUCH:
    case OP_QUOTA:
        break;
    }
}

static int compare_order(const void *a, const void *b)
{
    const struct call *first = *(struct call *const *)a;
    const struct call *second = *(struct call *const *)b;

    return (first->order > second->order) - (first->order < second->order);
}

/* A woken call watches nothing until it has run: what changes in between, the run sees. */
static void woken_to_ready(struct resolver *r)
{
    if (r->woken_count == 0) return;
    qsort(r->woken, r->woken_count, sizeof *r->woken, compare_order);
    for (size_t i = 0; i < r->woken_count; i++) {
        struct call *c = r->woken[i];

        c->woken = false;
        watches_drop(r, c);
        list_push(&r->ready, &c->by_ready);
    }
    r->woken_count = 0;
}

void watches_wake(struct resolver *r, struct bytes ops)
{
    struct reader reader = reader_of(ops);
    struct op op;

    while (r->watch_paths.count > 0 && reader_left(&reader) > 0) {
        CHECK(op_decode(&reader, &op) == 0); /* the tx has just written it */
        op_wake(r, &op);
    }
    woken_to_ready(r);
}
