/* A counter, a lock and a queue as clients build them where the server does not: the
 * recipes that ZooKeeper's documentation gives. Each connection is one client with a
 * session of its own and one step under way; an operation is done when its last step is.
 *
 *     counter  read it; set it one higher if nobody else did meanwhile, else again
 *     lock     create an ephemeral node in line; who stands first holds the lock; the
 * others await the end of the one before; delete it queue    add an element; take the first
 * that nobody else took */
#include <stdio.h>
#include <stdlib.h>

#include "core/base/check.h"
#include "tests/bench/load/load.h"

enum { PATH_ROOM = 128, NAME_MAX_HERE = 40 };

enum step {
    STEP_NONE = 0,
    STEP_COUNTER_GET,
    STEP_COUNTER_SET,
    STEP_LOCK_LINE,  /* creating its node */
    STEP_LOCK_LIST,  /* who else stands there? */
    STEP_LOCK_AWAIT, /* asking to hear of the one before */
    STEP_LOCK_WAIT,  /* until that one is gone */
    STEP_LOCK_LEAVE, /* it held the lock, and gives it back */
    STEP_QUEUE_ADD,
    STEP_QUEUE_LIST,
    STEP_QUEUE_TAKE,
};

/* One client's operation. */
struct work {
    enum step step;
    uint64_t begun_us;
    uint32_t lock;                  /* which one; 0 if there is one of a kind */
    char base[PATH_ROOM];           /* of the counter, the lock, the queue */
    char mine[PATH_ROOM];           /* its own node in the line */
    char names[256][NAME_MAX_HERE]; /* queue: those to try, in order */
    unsigned names_count, names_at;
};

/* When each lock was last given up, to see how long handing over takes. */
static uint64_t *released_us;

static void base_of(const struct load *l, uint32_t lock, char base[PATH_ROOM])
{
    snprintf(base, PATH_ROOM, "/bench/%s-%016llx-%u", l->config.job->name,
             (unsigned long long)l->seed, lock);
}

static void send_request(struct load *l, struct conn *c, enum step step,
                         const struct load_request *r)
{
    struct work *w = c->work;

    w->step = step;
    if (!conn_ask(c, r, l->now_us)) load_fail("%s: not taken", r->path);
}

static void create_in_line(struct load *l, struct conn *c, enum step step, bool ephemeral)
{
    struct work *w = c->work;
    char path[PATH_ROOM + 8];
    const struct load_request r = { .op = LOAD_CREATE,
                                    .path = path,
                                    .value = l->value,
                                    .version = -1,
                                    .ephemeral = ephemeral,
                                    .sequential = true };

    snprintf(path, sizeof path, "%s/n-", w->base);
    send_request(l, c, step, &r);
}

static void ask_about(struct load *l, struct conn *c, enum step step, enum load_op op,
                      const char *path)
{
    send_request(l, c, step,
                 &(struct load_request){ .op = op, .path = path, .version = -1 });
}

static int name_order(const void *a, const void *b)
{
    return bytes_cmp(*(const struct bytes *)a, *(const struct bytes *)b);
}

/* "/bench/lock-0/n-0000000007" -> "n-0000000007" */
static struct bytes last_part(const char *path)
{
    return bytes_str(strrchr(path, '/') + 1);
}

static void child_path(char path[2 * PATH_ROOM], const char *base, struct bytes name)
{
    snprintf(path, 2 * PATH_ROOM, "%s/%.*s", base, (int)name.len, (const char *)name.ptr);
}

static void begin(struct load *l, struct conn *c)
{
    struct work *w = c->work;

    w->begun_us = l->now_us;
    if (l->config.job == &JOB_LOCK && l->config.locks > 1) {
        w->lock = (uint32_t)rng_below(&l->rng, l->config.locks);
        base_of(l, w->lock, w->base);
    }
    if (l->config.job == &JOB_COUNTER) {
        ask_about(l, c, STEP_COUNTER_GET, LOAD_GET, w->base);
    } else if (l->config.job == &JOB_LOCK) {
        create_in_line(l, c, STEP_LOCK_LINE, true);
    } else {
        create_in_line(l, c, STEP_QUEUE_ADD, false);
    }
}

static void end(struct load *l, struct conn *c)
{
    struct work *w = c->work;

    load_count(l, w->begun_us);
    begin(l, c);
}

/* --- lock --- */

static void lock_held(struct load *l, struct conn *c)
{
    struct work *w = c->work;
    uint64_t *released = &released_us[w->lock];

    /* Handed over: it was asked for before the last holder gave it up. */
    if (l->measuring && *released > w->begun_us) {
        histogram_add(&l->result.handover_us, l->now_us - *released);
    }
    *released = l->now_us;
    ask_about(l, c, STEP_LOCK_LEAVE, LOAD_DELETE, w->mine);
}

static void lock_listed(struct load *l, struct conn *c, const struct load_answer *a)
{
    struct work *w = c->work;
    char path[2 * PATH_ROOM];
    uint32_t at = 0;

    qsort(a->names, a->names_count, sizeof *a->names, name_order);
    while (at < a->names_count && !bytes_equal(a->names[at], last_part(w->mine)))
        at++;
    if (at == a->names_count) load_fail("%s is gone: its session is over", w->mine);
    if (at == 0) {
        lock_held(l, c);
        return;
    }
    child_path(path, w->base, a->names[at - 1]);
    ask_about(l, c, STEP_LOCK_AWAIT, LOAD_AWAIT, path);
}

static void lock_step(struct load *l, struct conn *c, const struct load_answer *a)
{
    struct work *w = c->work;

    if (w->step == STEP_LOCK_LINE) {
        snprintf(w->mine, sizeof w->mine, "%.*s", (int)a->path.len,
                 (const char *)a->path.ptr);
        ask_about(l, c, STEP_LOCK_LIST, LOAD_CHILDREN, w->base);
    } else if (w->step == STEP_LOCK_LIST) {
        lock_listed(l, c, a);
    } else if (w->step == STEP_LOCK_LEAVE) {
        end(l, c);
    } else if (a->outcome == LOAD_REFUSED) { /* AWAIT: the one before is gone already */
        ask_about(l, c, STEP_LOCK_LIST, LOAD_CHILDREN, w->base);
    } else {
        w->step = STEP_LOCK_WAIT;
    }
}

/* --- queue --- */

/* Tries the next of those listed; none left: lists anew. */
static void queue_try(struct load *l, struct conn *c)
{
    struct work *w = c->work;
    char path[2 * PATH_ROOM];

    if (w->names_at == w->names_count) {
        ask_about(l, c, STEP_QUEUE_LIST, LOAD_CHILDREN, w->base);
        return;
    }
    child_path(path, w->base, bytes_str(w->names[w->names_at++]));
    ask_about(l, c, STEP_QUEUE_TAKE, LOAD_DELETE, path);
}

static void queue_listed(struct load *l, struct conn *c, const struct load_answer *a)
{
    struct work *w = c->work;
    const uint32_t room = sizeof w->names / sizeof w->names[0];

    qsort(a->names, a->names_count, sizeof *a->names, name_order);
    w->names_at = 0;
    w->names_count = a->names_count < room ? a->names_count : room;
    for (unsigned i = 0; i < w->names_count; i++) {
        snprintf(w->names[i], NAME_MAX_HERE, "%.*s", (int)a->names[i].len,
                 (const char *)a->names[i].ptr);
    }
    queue_try(l, c);
}

/* --- the steps --- */

static void set_counter(struct load *l, struct conn *c, int64_t version)
{
    const struct work *w = c->work;

    send_request(l, c, STEP_COUNTER_SET,
                 &(struct load_request){ .op = LOAD_SET,
                                         .path = w->base,
                                         .value = BYTES_LIT("12345678"),
                                         .version = version });
}

static void answer(struct load *l, struct conn *c, const struct pending *request,
                   const struct load_answer *a)
{
    struct work *w = c->work;

    if (request == NULL) { /* the one before has changed */
        if (w->step == STEP_LOCK_WAIT) {
            ask_about(l, c, STEP_LOCK_LIST, LOAD_CHILDREN, w->base);
        }
        return;
    }
    if (a->outcome == LOAD_FAILED) load_fail("%s: a request failed", w->base);
    switch (w->step) {
    case STEP_COUNTER_GET:
        set_counter(l, c, a->version);
        return;
    case STEP_QUEUE_ADD:
        ask_about(l, c, STEP_QUEUE_LIST, LOAD_CHILDREN, w->base);
        return;
    case STEP_QUEUE_LIST:
        queue_listed(l, c, a);
        return;
    case STEP_COUNTER_SET:
    case STEP_QUEUE_TAKE:
        if (a->outcome == LOAD_DONE) {
            end(l, c);
            return;
        }
        l->result.retries++;
        if (w->step == STEP_QUEUE_TAKE) {
            queue_try(l, c);
        } else {
            ask_about(l, c, STEP_COUNTER_GET, LOAD_GET, w->base);
        }
        return;
    case STEP_LOCK_LINE:
    case STEP_LOCK_LIST:
    case STEP_LOCK_AWAIT:
    case STEP_LOCK_LEAVE:
        lock_step(l, c, a);
        return;
    case STEP_NONE:
    case STEP_LOCK_WAIT:
        load_fail("%s: an answer to nothing", w->base);
    }
}

static void fill(struct load *l, struct conn *c)
{
    const struct work *w = c->work;

    if (w->step == STEP_NONE) begin(l, c);
}

static void prepare(struct load *l)
{
    const uint32_t bases = l->config.job == &JOB_LOCK ? l->config.locks : 1;
    char base[PATH_ROOM];

    load_create(l, "/bench");
    released_us = mem_zalloc(bases * sizeof *released_us);
    for (uint32_t i = 0; i < bases; i++) {
        base_of(l, i, base);
        load_create(l, base);
    }
    for (uint32_t i = 0; i < l->config.clients; i++) {
        struct work *w = mem_zalloc(sizeof *w);

        base_of(l, 0, w->base);
        l->conns[i].work = w;
    }
}

const struct job JOB_COUNTER = {
    .name = "counter", .recipe = true, .prepare = prepare, .fill = fill, .answer = answer
};
const struct job JOB_LOCK = {
    .name = "lock", .recipe = true, .prepare = prepare, .fill = fill, .answer = answer
};
const struct job JOB_QUEUE = {
    .name = "queue", .recipe = true, .prepare = prepare, .fill = fill, .answer = answer
};
