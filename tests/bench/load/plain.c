/* get, set, create: each connection keeps `depth` requests outstanding. */
#include <stdio.h>

#include "tests/bench/load/load.h"

enum { PATH_MAX_HERE = 64 };

static void prepare_keys(struct load *l, bool values)
{
    char path[PATH_MAX_HERE];

    load_create(l, "/bench");
    for (uint32_t i = 0; i < l->config.keys; i++) {
        snprintf(path, sizeof path, "/bench/k-%u", i);
        load_create(l, path);
        if (!values) continue;
        load_ask(l, &(struct load_request){
                        .op = LOAD_SET, .path = path, .value = l->value, .version = -1 });
    }
}

static void prepare_set(struct load *l)
{
    prepare_keys(l, false);
}

static void prepare_get(struct load *l)
{
    prepare_keys(l, true);
}

static void prepare_create(struct load *l)
{
    char path[PATH_MAX_HERE];

    load_create(l, "/bench");
    snprintf(path, sizeof path, "/bench/%016llx", (unsigned long long)l->seed);
    load_create(l, path);
}

static void next_path(struct load *l, char path[PATH_MAX_HERE])
{
    if (l->config.job == &JOB_CREATE) {
        snprintf(path, PATH_MAX_HERE, "/bench/%016llx/%llu", (unsigned long long)l->seed,
                 (unsigned long long)l->names);
    } else {
        snprintf(path, PATH_MAX_HERE, "/bench/k-%llu",
                 (unsigned long long)rng_below(&l->rng, l->config.keys));
    }
}

static bool is_over(const struct load *l)
{
    return l->config.count > 0 && l->names >= l->config.count;
}

static void fill(struct load *l, struct conn *c)
{
    char path[PATH_MAX_HERE];
    struct load_request r = { .path = path, .value = l->value, .version = -1 };

    r.op = l->config.job == &JOB_GET   ? LOAD_GET
           : l->config.job == &JOB_SET ? LOAD_SET
                                       : LOAD_CREATE;
    while (c->outstanding < l->config.depth && !is_over(l)) {
        next_path(l, path);
        if (!conn_ask(c, &r, l->now_us)) return;
        l->names++;
    }
}

static void answer(struct load *l, struct conn *c, const struct pending *request,
                   const struct load_answer *a)
{
    (void)c;
    if (request == NULL) return;
    if (a->outcome == LOAD_DONE) {
        load_count(l, request->sent_us);
    } else if (l->measuring) {
        l->result.errors++;
    }
}

const struct job JOB_GET = {
    .name = "get", .prepare = prepare_get, .fill = fill, .answer = answer
};
const struct job JOB_SET = {
    .name = "set", .prepare = prepare_set, .fill = fill, .answer = answer
};
const struct job JOB_CREATE = {
    .name = "create", .prepare = prepare_create, .fill = fill, .answer = answer
};
