/* For how long nobody can write while a leader dies.
 *
 * One connection to each server sends a write every few milliseconds, whether the ones
 * before it were answered or not: a request that is lost with the leader, or that a server
 * holds back, must not hold up the next. A connection that is lost is begun anew at once.
 * What is measured is the longest time between two writes that succeeded, whoever made
 * them: how long the service was away, without what a certain client library adds. */
#include <stdio.h>
#include <stdlib.h>

#include "tests/bench/load/load.h"

enum { INTERVAL_US = 4000 };

struct writer {
    char path[32];
    uint64_t asked_us;
};

static void prepare(struct load *l)
{
    load_create(l, "/bench");
    for (uint32_t i = 0; i < l->config.clients; i++) {
        struct writer *w = mem_zalloc(sizeof *w);

        snprintf(w->path, sizeof w->path, "/bench/outage-%u", i);
        load_create(l, w->path);
        l->conns[i].work = w;
    }
    l->last_write_us = l->now_us;
}

static void fill(struct load *l, struct conn *c)
{
    struct writer *w = c->work;
    const struct load_request r = {
        .op = LOAD_SET, .path = w->path, .value = l->value, .version = -1
    };

    if (l->now_us - w->asked_us < INTERVAL_US) return;
    if (conn_ask(c, &r, l->now_us)) w->asked_us = l->now_us;
}

static void answer(struct load *l, struct conn *c, const struct pending *request,
                   const struct load_answer *a)
{
    const uint64_t gap_us = l->now_us - l->last_write_us;

    (void)c;
    if (request == NULL) return;
    if (a->outcome != LOAD_DONE) {
        if (l->measuring) l->result.errors++;
        return;
    }
    load_count(l, request->sent_us);
    if (l->measuring && gap_us > l->result.gap_us) l->result.gap_us = gap_us;
    l->last_write_us = l->now_us;
}

const struct job JOB_OUTAGE = {
    .name = "outage", .survives = true, .prepare = prepare, .fill = fill, .answer = answer
};
