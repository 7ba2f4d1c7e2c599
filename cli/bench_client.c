/* The clients of the load generator: a connection each, and one epoll for all. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "cli/bench_inside.h"
#include "cli/clock.h"
#include "core/base/check.h"
#include "core/base/errors.h"
#include "core/base/limits.h"

enum { EVENTS_MAX = 256, CLOSE_MS_MAX = 2000, ROUND_US = 50000 };

/* Requests under way in PREPARE, over all clients: one client alone would take long. */
enum { PREPARE_DEPTH = 256 };

/* --- opening --- */

static uint32_t index_of(const struct bench *b, const struct bench_client *c)
{
    return (uint32_t)(c - b->clients);
}

bool bench_client_works(const struct bench *b, const struct bench_client *c)
{
    return !b->kind->one_works || index_of(b, c) == b->clients_count - 1;
}

static void channel_open(struct bench_client *c)
{
    const struct bench *b = c->bench;
    const struct bench_config *config = b->config;
    const size_t at =
        (config->first + index_of(b, c) * config->step) % config->servers->count;
    const bool session = !b->kind->sessionless && bench_client_works(b, c);
    const struct client_core_config core = {
        .session_timeout_ms = session ? SESSION_TIMEOUT_DEFAULT_MS : 0,
        .seed = config->seed + index_of(b, c),
    };

    channel_init(&c->channel, config->servers, &core);
    link_begin_with(&c->channel.link, &config->servers->at[at]);
    c->fd = -1;
    c->fd_serial = 0;
}

static void slots_open(struct bench *b, struct bench_client *c)
{
    const uint32_t share = PREPARE_DEPTH / b->clients_count + 1;

    c->slots_count = b->config->depth > share ? b->config->depth : share;
    c->slots = mem_zalloc(c->slots_count * sizeof *c->slots);
    c->idle = mem_zalloc(c->slots_count * sizeof(struct bench_slot *));
    for (uint32_t i = 0; i < c->slots_count; i++) {
        c->slots[i].client = c;
        c->idle[c->idle_count++] = &c->slots[i];
    }
}

void bench_clients_open(struct bench *b)
{
    b->clients_count = b->config->clients + (b->kind->one_works ? 1 : 0);
    b->clients = mem_zalloc(b->clients_count * sizeof *b->clients);
    b->touched = mem_zalloc(b->clients_count * sizeof(struct bench_client *));
    b->epoll = epoll_create1(EPOLL_CLOEXEC);
    CHECK(b->epoll >= 0);
    for (uint32_t i = 0; i < b->clients_count; i++) {
        struct bench_client *c = &b->clients[i];

        c->bench = b;
        if (bench_client_works(b, c)) slots_open(b, c);
        channel_open(c);
    }
}

/* --- one client --- */

/* A client whose session is over starts anew: what it had under way has failed. */
static void revive(struct bench_client *c)
{
    struct bench *b = c->bench;
    const int code = client_core_ready(c->channel.core);

    if (code >= 0 && !client_core_session_over(c->channel.core)) return;
    if (b->phase < BENCH_WARMUP || c->channel.fatal != 0) {
        b->fatal = c->channel.fatal != 0 ? c->channel.fatal
                   : code < 0            ? code
                                         : ERR_SESSION_EXPIRED;
        return;
    }
    channel_fini(&c->channel);
    channel_open(c);
}

/* Tells epoll of a new connection, or of a change in what is waited for. */
static void watch(struct bench_client *c)
{
    const struct link *l = &c->channel.link;
    const short events = channel_events(&c->channel);
    struct epoll_event e = { .events = (uint32_t)events, .data.ptr = c };
    const bool fresh = c->fd_serial != l->fd_serial;

    if (!fresh && (l->fd < 0 || events == c->events)) return;
    if (fresh && c->fd >= 0) {
        /* It may be closed already. */
        (void)epoll_ctl(c->bench->epoll, EPOLL_CTL_DEL, c->fd, NULL);
    }
    c->fd = l->fd;
    c->fd_serial = l->fd_serial;
    c->events = events;
    if (l->fd < 0) return;
    CHECK(epoll_ctl(c->bench->epoll, fresh ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, l->fd, &e) ==
          0);
}

/* After input, or on the round: new requests, and one write for all of them. */
static void turn(struct bench_client *c)
{
    struct bench *b = c->bench;

    b->turning = c;
    if (b->phase != BENCH_END) revive(c);
    if (client_core_ready(c->channel.core) > 0) {
        if (!c->was_ready) {
            c->was_ready = true;
            b->ready_count++;
            b->moved_us = b->now_us;
        }
        bench_feed(b, c);
    }
    channel_tick(&c->channel, b->now_us / 1000);
    watch(c);
    b->turning = NULL;
}

void bench_client_touch(struct bench_client *c)
{
    struct bench *b = c->bench;

    if (c->queued || c == b->turning) return;
    c->queued = true;
    b->touched[b->touched_count++] = c;
}

static void flush(struct bench *b)
{
    while (b->touched_count > 0) {
        struct bench_client *c = b->touched[--b->touched_count];

        c->queued = false;
        turn(c);
    }
}

/* --- all of them --- */

void bench_clients_turn(struct bench *b)
{
    for (uint32_t i = 0; i < b->clients_count; i++)
        turn(&b->clients[i]);
}

/* epoll_wait() counts in milliseconds, which is too coarse for arrivals. */
static int wait_for_input(struct bench *b, struct epoll_event *events, uint64_t until_us)
{
    const uint64_t us = until_us <= b->now_us ? 0 : until_us - b->now_us;
    struct pollfd fd = { .fd = b->epoll, .events = POLLIN };
    const struct timespec time = { .tv_nsec = (long)us * 1000 };

    if (us >= ROUND_US) return epoll_wait(b->epoll, events, EVENTS_MAX, ROUND_US / 1000);
    if (us > 0) (void)ppoll(&fd, 1, &time, NULL);
    return epoll_wait(b->epoll, events, EVENTS_MAX, 0);
}

void bench_clients_wait(struct bench *b, uint64_t until_us)
{
    struct epoll_event events[EVENTS_MAX];

    flush(b);
    const int count = wait_for_input(b, events, until_us);
    b->now_us = clock_now_us();
    for (int i = 0; i < count; i++) {
        struct bench_client *c = events[i].data.ptr;

        b->turning = c;
        channel_turn(&c->channel, b->now_us / 1000, (short)events[i].events);
        turn(c);
        b->now_us = clock_now_us();
    }
    flush(b);
}

/* --- closing --- */

static void close_session(struct bench *b, struct bench_client *c)
{
    if (client_core_session(c->channel.core) == 0) return;
    client_core_close_session(c->channel.core, b->now_us / 1000);
}

static bool has_session(const struct bench *b)
{
    for (uint32_t i = 0; i < b->clients_count; i++) {
        const struct client_core *core = b->clients[i].channel.core;
        if (client_core_session(core) != 0 && !client_core_session_over(core)) return true;
    }
    return false;
}

/* Thousands of sessions left to expire would burden the next run. */
void bench_clients_close(struct bench *b)
{
    const uint64_t until_us = clock_now_us() + CLOSE_MS_MAX * UINT64_C(1000);

    for (uint32_t i = 0; i < b->clients_count; i++)
        close_session(b, &b->clients[i]);
    bench_clients_turn(b);
    while (has_session(b) && clock_now_us() < until_us) {
        bench_clients_wait(b, b->now_us + ROUND_US);
    }
    for (uint32_t i = 0; i < b->clients_count; i++) {
        channel_fini(&b->clients[i].channel);
        free(b->clients[i].slots);
        free(b->clients[i].idle);
    }
    free(b->clients);
    free(b->touched);
    close(b->epoll);
}
