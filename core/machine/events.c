/* Event functions: recipes' functions that are bound to paths, and judge or follow what is
 * written there in the same transaction.
 *
 * What a recipe's check found in its field `on` stands in SCRIPT_EVENTS/<name>, put with
 * the source, so that a leader runs nothing to know it. The leader keeps the bindings by
 * the first part of their pattern; without any a write costs one comparison. */
#include <stdlib.h>

#include "core/base/check.h"
#include "core/base/errors.h"
#include "core/base/hash.h"
#include "core/machine/inside.h"
#include "core/tree/path.h"

struct binding {
    struct binding *next; /* of the same bucket, by recipe, then as the recipe has them */
    struct script_binding b;
    struct bytes recipe; /* all three borrow from the bytes behind this struct */
};

/* --- patterns --- */

/* The part that begins at `at`, and moves on behind its slash. */
static struct bytes part_next(struct bytes text, size_t *at)
{
    const uint8_t *start = text.ptr + *at;
    const uint8_t *slash = memchr(start, '/', text.len - *at);
    const size_t len = slash == NULL ? text.len - *at : (size_t)(slash - start);

    *at += len + (slash == NULL ? 0 : 1);
    return bytes_of(start, len);
}

/* "*" is any one part, "**" at the end all that is below. */
static bool pattern_fits(struct bytes pattern, struct bytes path)
{
    size_t i = 1, k = 1;

    while (i < pattern.len && k < path.len) {
        const struct bytes want = part_next(pattern, &i);
        const struct bytes part =
            bytes_equal(want, BYTES_LIT("**")) ? (struct bytes){ 0 } : part_next(path, &k);

        if (part.ptr == NULL) return true;
        if (!bytes_equal(want, BYTES_LIT("*")) && !bytes_equal(want, part)) return false;
    }
    return i >= pattern.len && k >= path.len && path.len > 1;
}

/* Patterns whose first part may be anything share a bucket. */
static struct binding **bucket_of(struct resolver *r, struct bytes first)
{
    const bool any = first.len > 0 && first.ptr[0] == '*';

    if (any) return &r->bindings[EVENT_BUCKETS];
    return &r->bindings[hash_bytes(first, r->seed) % EVENT_BUCKETS];
}

static struct binding **bucket_of_path(struct resolver *r, struct bytes path)
{
    size_t at = 1;

    return bucket_of(r, path.len > 1 ? part_next(path, &at) : BYTES_LIT(""));
}

/* --- the table --- */

void events_clear(struct resolver *r)
{
    for (size_t i = 0; r->bindings_count > 0 && i <= EVENT_BUCKETS; i++) {
        while (r->bindings[i] != NULL) {
            struct binding *b = r->bindings[i];

            r->bindings[i] = b->next;
            free(b);
            r->bindings_count--;
        }
    }
    r->events_changed = false;
}

static struct bytes copy(uint8_t **room, struct bytes from)
{
    struct bytes to = bytes_of(*room, from.len);

    memcpy(*room, from.ptr, from.len);
    *room += from.len;
    return to;
}

static void binding_add(struct resolver *r, struct bytes recipe,
                        const struct script_binding *from)
{
    struct binding **at = bucket_of_path(r, from->pattern);
    struct binding *b =
        mem_alloc(sizeof *b + recipe.len + from->pattern.len + from->function.len);
    uint8_t *room = (uint8_t *)(b + 1);

    b->next = NULL;
    b->b.validates = from->validates;
    b->recipe = copy(&room, recipe);
    b->b.pattern = copy(&room, from->pattern);
    b->b.function = copy(&room, from->function);
    while (*at != NULL)
        at = &(*at)->next;
    *at = b;
    r->bindings_count++;
}

/* Whole subtrees may go: then the index has one that is no recipe any more. */
static bool recipe_is_there(struct resolver *r, struct bytes recipe)
{
    struct buf path = { 0 };
    struct node n;
    bool there;

    path_join(&path, BYTES_LIT(SCRIPT_DIRECTORY), recipe);
    there = node_read(&r->pending.view, buf_bytes(&path), &n) && n.data.ptr != NULL;
    buf_fini(&path);
    return there;
}

/* What stands there was made by recipe_bind(); a client may have written over it. */
static void bindings_load(struct resolver *r, struct bytes recipe, struct bytes data)
{
    struct reader reader = reader_of(data);
    struct script_binding b;

    while (r->bindings_count < EVENT_BINDINGS_MAX && script_binding_next(&reader, &b)) {
        binding_add(r, recipe, &b);
    }
}

void events_load(struct resolver *r)
{
    const struct bytes directory = BYTES_LIT(SCRIPT_EVENTS);
    struct buf name = { 0 }, next = { 0 }, path = { 0 };
    struct node n;

    events_clear(r);
    while (
        node_child_next(&r->pending.view, directory, buf_bytes(&name), KV_FORWARD, &next)) {
        const struct buf used = name;

        name = next;
        next = used;
        path_join(&path, directory, buf_bytes(&name));
        if (!node_read(&r->pending.view, buf_bytes(&path), &n)) continue;
        if (n.data.ptr == NULL || !recipe_is_there(r, buf_bytes(&name))) continue;
        bindings_load(r, buf_bytes(&name), n.data);
    }
    buf_fini(&name);
    buf_fini(&next);
    buf_fini(&path);
}

/* --- runs --- */

struct events {
    struct resolver *r;
    const struct asker *asker;
    uint64_t fuel; /* left for all of this transaction */
    unsigned runs;
};

static int fail(struct resolver *r, int code, const char *message)
{
    r->out.outcome = SCRIPT_ERROR;
    r->out.code = code;
    buf_clear(&r->out.value);
    buf_clear(&r->out.message);
    buf_put_bytes_raw(&r->out.message, bytes_str(message));
    return code;
}

static int run(struct events *e, const struct binding *b, const struct script_event *event)
{
    struct resolver *r = e->r;
    struct tx *t = &r->tx;
    const bool reserved_allowed = t->reserved_allowed, track_reads = t->track_reads;
    const struct script_call call = { .recipe = b->recipe,
                                      .function = b->b.function,
                                      .session = e->asker->session,
                                      .seq = e->asker->seq,
                                      .event = event,
                                      .fuel_max = e->fuel };

    if (e->runs++ == EVENT_RUNS_MAX || e->fuel == 0) {
        return fail(r, ERR_OVER_BUDGET, "event functions: too many runs of one write");
    }
    t->reserved_allowed = t->track_reads = false;
    t->read_only = b->b.validates;
    script_result_clear(&r->out);
    r->scripts->run(r->scripts, &call, t, &r->out);
    t->read_only = false;
    t->reserved_allowed = reserved_allowed;
    t->track_reads = track_reads;
    r->fuel += r->out.fuel;
    r->runs++;
    e->fuel -= r->out.fuel < e->fuel ? r->out.fuel : e->fuel;
    if (r->out.outcome == SCRIPT_WAIT) {
        return fail(r, ERR_SCRIPT_FAILED, "an event function cannot wait");
    }
    return r->out.outcome == SCRIPT_ERROR ? r->out.code : 0;
}

static int run_bucket(struct events *e, const struct binding *b,
                      const struct script_event *event)
{
    int code = 0;

    for (; b != NULL && code == 0; b = b->next) {
        if (pattern_fits(b->b.pattern, event->path)) code = run(e, b, event);
    }
    return code;
}

/* The op's bytes move when a function writes: what it is told of is a copy. */
static int run_op(struct events *e, const struct op *op)
{
    struct resolver *r = e->r;
    struct script_event event = { .kind = op->kind };
    struct node before;
    int code;

    if (path_is_reserved(op->path)) return 0;
    buf_clear(&r->event);
    buf_put_bytes(&r->event, op->path);
    buf_put_bytes(&r->event, op->kind == OP_DELETE ? (struct bytes){ 0 } : op->data);
    if (node_read(&r->pending.view, op->path, &before)) event.before = before.data;
    struct reader reader = reader_of(buf_bytes(&r->event));
    event.path = read_bytes(&reader, SIZE_MAX);
    event.data = read_bytes(&reader, SIZE_MAX);
    code = run_bucket(e, *bucket_of_path(r, event.path), &event);
    return code != 0 ? code : run_bucket(e, r->bindings[EVENT_BUCKETS], &event);
}

/* What a function writes is an event too, further on in the same ops. */
int events_run(struct resolver *r, const struct asker *a)
{
    struct events e = { .r = r, .asker = a, .fuel = SCRIPT_FUEL_MAX };
    size_t at = 0;
    int code = 0;

    if (r->bindings_count == 0) return 0;
    while (code == 0 && at < r->tx.ops.len) {
        struct reader reader = reader_of(bytes_of(r->tx.ops.ptr + at, r->tx.ops.len - at));
        struct op op;

        CHECK(op_decode(&reader, &op) == 0); /* the tx has just written it */
        at = (size_t)(reader.at - r->tx.ops.ptr);
        if (op.kind == OP_CREATE || op.kind == OP_SET || op.kind == OP_DELETE) {
            code = run_op(&e, &op);
        }
    }
    return code;
}

/* --- the index in the tree --- */

int recipe_bind(struct resolver *r, struct bytes name, struct bytes bindings)
{
    struct buf *path = &r->kept;
    struct node n;
    int code = 0;

    buf_clear(path);
    buf_put_bytes_raw(path, BYTES_LIT(SCRIPT_EVENTS "/"));
    buf_put_bytes_raw(path, name);
    if (tx_read(&r->tx, buf_bytes(path), &n)) {
        r->events_changed = true;
        code = tx_delete(&r->tx, buf_bytes(path), -1);
    }
    if (code != 0 || bindings.len == 0) return code;
    r->events_changed = true;
    return tx_create(&r->tx, buf_bytes(path), bindings, TX_PARENTS, &r->created);
}
