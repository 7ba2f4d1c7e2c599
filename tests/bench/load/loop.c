#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "cli/clock.h"
#include "core/base/check.h"
#include "tests/bench/load/load.h"

enum {
    EVENTS_MAX = 256,
    TICK_US = 2000,
    RETRY_US = 5000,
    GREETING_US_MAX = 1000000,
    START_US_MAX = 30000000,
    PROBE_US_MAX = 900000000
};

void load_fail(const char *format, ...)
{
    va_list args;

    fputs("bench-load: ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    exit(1);
}

void load_count(struct load *l, uint64_t begun_us)
{
    if (l->measuring) histogram_add(&l->result.latency_us, l->now_us - begun_us);
}

/* --- one connection --- */

static void open_one(struct load *l, struct conn *c)
{
    struct epoll_event e = { .events = EPOLLIN, .data.ptr = c };

    if (!conn_open(c, l->now_us)) {
        if (!l->config.job->survives) load_fail("nobody listens at %s", c->where);
        return;
    }
    CHECK(epoll_ctl(l->epoll, EPOLL_CTL_ADD, c->fd, &e) == 0);
}

static void lose(struct load *l, struct conn *c)
{
    if (!l->config.job->survives) load_fail("%s closed the connection", c->where);
    conn_close(c);
}

static void answers(struct load *l, struct conn *c)
{
    struct load_answer a;
    size_t at = 0;
    enum wire_verdict verdict;

    while ((verdict = conn_next(c, &at, &a)) != WIRE_MORE) {
        struct pending request;

        if (verdict == WIRE_BROKEN) {
            lose(l, c);
            return;
        }
        if (verdict != WIRE_ANSWER) continue;
        if (a.id == 0) {
            l->config.job->answer(l, c, NULL, &a);
            continue;
        }
        request = *conn_pending(c, a.id);
        conn_pending(c, a.id)->id = 0;
        l->config.job->answer(l, c, &request, &a);
    }
    buf_drop(&c->in, at);
}

/* What the job wants to send, in one write; asks epoll for room if that was not all. */
static void send_some(struct load *l, struct conn *c, bool fill)
{
    struct epoll_event e = { .events = EPOLLIN, .data.ptr = c };
    bool waits;

    if (fill && c->ready && !l->done) l->config.job->fill(l, c);
    if (c->out.len > 0 && !conn_flush(c)) {
        lose(l, c);
        return;
    }
    waits = c->out.len > 0;
    if (waits == c->waits_write) return;
    c->waits_write = waits;
    if (waits) e.events |= EPOLLOUT;
    CHECK(epoll_ctl(l->epoll, EPOLL_CTL_MOD, c->fd, &e) == 0);
}

/* --- the loop --- */

static void wait_once(struct load *l, bool fill)
{
    struct epoll_event events[EVENTS_MAX];
    const int count = epoll_wait(l->epoll, events, EVENTS_MAX, TICK_US / 1000);

    l->now_us = clock_now_us();
    for (int i = 0; i < count; i++) {
        struct conn *c = events[i].data.ptr;

        if ((events[i].events & ~(uint32_t)EPOLLOUT) != 0) {
            if (conn_fill(c)) {
                answers(l, c);
            } else {
                lose(l, c);
            }
        }
        if (c->fd >= 0) send_some(l, c, fill);
    }
}

static void tick(struct load *l, bool fill)
{
    for (uint32_t i = 0; i < l->config.clients; i++) {
        struct conn *c = &l->conns[i];
        const uint64_t tried_us = l->now_us - c->tried_us;

        if (c->fd >= 0 && !c->ready && tried_us > GREETING_US_MAX) conn_close(c);
        if (c->fd < 0 && tried_us > RETRY_US) open_one(l, c);
        if (c->fd >= 0) send_some(l, c, fill);
    }
}

static void connect_all(struct load *l)
{
    const uint64_t until_us =
        l->now_us + (l->config.job == &JOB_PROBE ? PROBE_US_MAX : START_US_MAX);
    uint32_t ready = 0;

    for (uint32_t i = 0; i < l->config.clients; i++) {
        open_one(l, &l->conns[i]);
        if (l->conns[i].fd >= 0) send_some(l, &l->conns[i], false);
    }
    while (ready < l->config.clients) {
        wait_once(l, false);
        tick(l, false);
        ready = 0;
        for (uint32_t i = 0; i < l->config.clients; i++)
            ready += l->conns[i].ready;
        if (l->now_us > until_us) load_fail("only %u connections were greeted", ready);
    }
}

void load_ask(struct load *l, const struct load_request *r)
{
    struct conn *c = &l->conns[0];
    struct pollfd fd = { .fd = c->fd, .events = POLLIN };
    struct load_answer a;
    size_t at = 0;

    l->now_us = clock_now_us();
    if (!conn_ask(c, r, l->now_us) || !conn_flush(c)) load_fail("%s: lost", r->path);
    while (conn_next(c, &at, &a) != WIRE_ANSWER) {
        if (poll(&fd, 1, START_US_MAX / 1000) <= 0) load_fail("%s: no answer", r->path);
        if (!conn_fill(c)) load_fail("%s: lost", r->path);
    }
    conn_pending(c, a.id)->id = 0;
    buf_drop(&c->in, at);
    if (a.outcome == LOAD_FAILED) load_fail("%s: could not be prepared", r->path);
}

void load_create(struct load *l, const char *path)
{
    load_ask(l, &(struct load_request){
                    .op = LOAD_CREATE, .path = path, .value = l->value, .version = -1 });
}

/* warm-up -> measuring -> done */
static void move(struct load *l, uint64_t started_us)
{
    const uint64_t warm_us = started_us + l->config.warmup_seconds * UINT64_C(1000000);

    if (!l->measuring && l->now_us >= warm_us) {
        l->measuring = true;
        l->measured_from_us = l->now_us;
        l->result.retries = 0;
        fprintf(stderr, "measuring\n");
    }
    if (!l->measuring) return;
    l->result.measured_us = l->now_us - l->measured_from_us;
    l->done = l->config.count > 0
                  ? l->result.latency_us.count + l->result.errors >= l->config.count
                  : l->result.measured_us >= l->config.seconds * UINT64_C(1000000);
    if (l->result.found) l->done = true;
}

void load_run(struct load *l)
{
    const struct load_config *config = &l->config;
    uint8_t *value = mem_alloc(config->size + 1);
    uint64_t started_us, ticked_us;

    memset(value, 'x', config->size);
    l->value = bytes_of(value, config->size);
    l->now_us = clock_now_us();
    rng_init(&l->rng, l->seed);
    l->epoll = epoll_create1(EPOLL_CLOEXEC);
    CHECK(l->epoll >= 0);
    l->conns = mem_zalloc(config->clients * sizeof *l->conns);
    for (uint32_t i = 0; i < config->clients; i++) {
        conn_init(&l->conns[i], config->wire, config->servers[i % config->servers_count],
                  config->depth);
        l->conns[i].wants_session = config->job->recipe;
    }
    connect_all(l);
    config->job->prepare(l);
    started_us = ticked_us = l->now_us = clock_now_us();
    move(l, started_us);
    tick(l, true);
    while (!l->done) {
        wait_once(l, true);
        if (l->now_us - ticked_us >= TICK_US) {
            ticked_us = l->now_us;
            tick(l, true);
        }
        move(l, started_us);
    }
    for (uint32_t i = 0; i < config->clients; i++)
        conn_fini(&l->conns[i]);
    free(l->conns);
    free(value);
    close(l->epoll);
}
