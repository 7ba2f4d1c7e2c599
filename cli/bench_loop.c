#include "cli/bench_loop.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "cli/channel.h"
#include "cli/clock.h"
#include "core/base/check.h"
#include "core/base/errors.h"
#include "core/base/limits.h"
#include "core/base/rng.h"

enum { EVENTS_MAX = 256, ROUND_MS = 50, CLOSE_MS_MAX = 2000, KEY_TEXT_MAX = 64 };

enum phase { PHASE_CREATE, PHASE_FILL, PHASE_WARMUP, PHASE_MEASURE, PHASE_END };

struct client;

/* One outstanding request. */
struct slot {
    struct client *client;
    uint64_t sent_us;
    enum phase phase; /* when it was sent: only what MEASURE sent is counted */
};

struct client {
    struct bench *bench;
    struct channel channel;
    int fd;              /* that epoll knows; -1: none */
    uint64_t fd_serial;  /* of the link, when it was told */
    short events;        /* that epoll waits for */
    struct slot *slots;
    struct slot **idle; /* those of no request; a stack */
    uint32_t idle_count;
};

struct bench {
    const struct bench_config *config;
    struct bench_result *result;
    struct client_core_config core;
    struct client *clients;
    int epoll;
    enum phase phase;
    uint64_t phase_started_us;
    uint64_t keys_asked, keys_done; /* of CREATE and FILL */
    uint64_t names;                 /* of create: made so far */
    uint64_t now_us;
    int fatal;
    struct rng rng;
    struct buf params, parents; /* of the next request; the option of creates */
    struct buf value;           /* packed */
};

/* --- requests --- */

static bool is_preparing(const struct bench *b)
{
    return b->phase == PHASE_CREATE || b->phase == PHASE_FILL;
}

static void count_answer(struct bench *b, const struct slot *s, int code,
                         const char *message)
{
    if (s->phase != PHASE_MEASURE || b->phase != PHASE_MEASURE) return;
    if (code == 0) {
        histogram_add(&b->result->latency_us, b->now_us - s->sent_us);
        return;
    }
    b->result->errors++;
    b->result->last_error = code;
    snprintf(b->result->why, sizeof b->result->why, "%s", message == NULL ? "" : message);
}

static void on_answer(void *ctx, int code, const char *message, const msgpack_object *value)
{
    struct slot *s = ctx;
    struct bench *b = s->client->bench;

    (void) value;
    s->client->idle[s->client->idle_count++] = s;
    if (b->phase == PHASE_END) return;
    if (!is_preparing(b)) {
        count_answer(b, s, code, message);
        return;
    }
    b->keys_done++;
    if (code == 0 || code == ERR_NODE_EXISTS) return;
    b->fatal = code;
    snprintf(b->result->why, sizeof b->result->why, "%s", message == NULL ? "" : message);
}

static void pack_path(struct bench *b)
{
    char path[KEY_TEXT_MAX];
    int len;

    if (b->config->op == BENCH_CREATE) {
        len =
            snprintf(path, sizeof path, "/bench/%016llx/%llu",
                     (unsigned long long) b->config->seed, (unsigned long long) b->names++);
    } else {
        const uint64_t key =
            is_preparing(b) ? b->keys_asked++ : rng_below(&b->rng, b->config->keys);
        len = snprintf(path, sizeof path, "/bench/k-%llu", (unsigned long long) key);
    }
    pack_str(&b->params, bytes_of(path, (size_t) len));
}

static enum method method_of(const struct bench *b)
{
    if (b->phase == PHASE_CREATE || b->config->op == BENCH_CREATE) return METHOD_CREATE;
    if (b->phase == PHASE_FILL || b->config->op == BENCH_SET) return METHOD_SET;
    return METHOD_GET;
}

static void send_one(struct bench *b, struct client *c)
{
    const enum method method = method_of(b);
    struct slot *s = c->idle[--c->idle_count];
    struct client_request r = {
        .method = method, .args_count = 1, .done = on_answer, .ctx = s
    };

    buf_clear(&b->params);
    pack_path(b);
    if (method != METHOD_GET) {
        buf_put_bytes_raw(&b->params, buf_bytes(&b->value));
        r.args_count = 2;
        r.write = true;
    }
    if (method == METHOD_CREATE) {
        r.options = buf_bytes(&b->parents);
        r.options_count = 1;
    }
    r.params = buf_bytes(&b->params);
    r.limit_ms = b->config->timeout_ms;
    s->sent_us = b->now_us;
    s->phase = b->phase;
    client_core_request(c->channel.core, b->now_us / 1000, &r);
}

static bool has_work(const struct bench *b)
{
    return b->phase != PHASE_END && (!is_preparing(b) || b->keys_asked < b->config->keys);
}

/* --- phases --- */

static void enter(struct bench *b, enum phase phase)
{
    b->phase = phase;
    b->phase_started_us = b->now_us;
    b->keys_asked = b->keys_done = 0;
}

/* CREATE -> FILL -> WARMUP -> MEASURE -> END */
static void move_phase(struct bench *b)
{
    const uint64_t lasted_us = b->now_us - b->phase_started_us;

    switch (b->phase) {
    case PHASE_CREATE:
        if (b->keys_done < b->config->keys) return;
        enter(b, b->config->op == BENCH_GET ? PHASE_FILL : PHASE_WARMUP);
        return;
    case PHASE_FILL:
        if (b->keys_done == b->config->keys) enter(b, PHASE_WARMUP);
        return;
    case PHASE_WARMUP:
        if (lasted_us < b->config->warmup_seconds * UINT64_C(1000000)) return;
        enter(b, PHASE_MEASURE);
        return;
    case PHASE_MEASURE:
        if (lasted_us < b->config->seconds * UINT64_C(1000000)) return;
        b->result->measured_us = lasted_us;
        enter(b, PHASE_END);
        return;
    case PHASE_END:
        return;
    }
}

/* --- clients --- */

static void channel_open(struct client *c, size_t index)
{
    const struct bench_config *config = c->bench->config;
    const size_t at = (config->first + index * config->step) % config->servers->count;
    struct client_core_config core = c->bench->core;

    core.seed += index;
    channel_init(&c->channel, config->servers, &core);
    link_begin_with(&c->channel.link, &config->servers->at[at]);
    c->fd = -1;
    c->fd_serial = 0;
}

/* A client whose session is over starts anew: what it had outstanding has failed. */
static void revive(struct client *c)
{
    struct bench *b = c->bench;
    const int code = client_core_ready(c->channel.core);

    if (code >= 0 && !client_core_session_over(c->channel.core)) return;
    if (is_preparing(b) || c->channel.fatal != 0) {
        b->fatal = c->channel.fatal != 0 ? c->channel.fatal : code;
        return;
    }
    channel_fini(&c->channel);
    channel_open(c, (size_t) (c - b->clients));
}

/* Tells epoll of a new connection, or of a change in what is waited for. */
static void watch(struct client *c)
{
    const struct link *l = &c->channel.link;
    const short events = channel_events(&c->channel);
    struct epoll_event e = { .events = (uint32_t) events, .data.ptr = c };
    const bool fresh = c->fd_serial != l->fd_serial;

    if (!fresh && (l->fd < 0 || events == c->events)) return;
    if (fresh && c->fd >= 0) {
        /* It may be closed already. */
        (void) epoll_ctl(c->bench->epoll, EPOLL_CTL_DEL, c->fd, NULL);
    }
    c->fd = l->fd;
    c->fd_serial = l->fd_serial;
    c->events = events;
    if (l->fd < 0) return;
    CHECK(epoll_ctl(c->bench->epoll, fresh ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, l->fd, &e) ==
          0);
}

/* After input, or on the round: new requests, and one write for all of them. */
static void turn(struct client *c)
{
    struct bench *b = c->bench;

    if (b->phase != PHASE_END) revive(c);
    if (client_core_ready(c->channel.core) > 0) {
        while (c->idle_count > 0 && has_work(b)) send_one(b, c);
    }
    channel_tick(&c->channel, b->now_us / 1000);
    watch(c);
}

static void wait_once(struct bench *b)
{
    struct epoll_event events[EVENTS_MAX];
    const int count = epoll_wait(b->epoll, events, EVENTS_MAX, ROUND_MS);

    b->now_us = clock_now_us();
    for (int i = 0; i < count; i++) {
        struct client *c = events[i].data.ptr;
        channel_turn(&c->channel, b->now_us / 1000, (short) events[i].events);
        turn(c);
        b->now_us = clock_now_us();
    }
}

static void turn_all(struct bench *b)
{
    for (uint32_t i = 0; i < b->config->clients; i++) turn(&b->clients[i]);
}

/* --- the run --- */

static void start(struct bench *b)
{
    const struct bench_config *config = b->config;
    uint8_t *zeros = mem_zalloc(config->size);

    memset(zeros, 'x', config->size);
    pack_bin(&b->value, bytes_of(zeros, config->size));
    free(zeros);
    pack_cstr(&b->parents, "parents");
    pack_bool(&b->parents, true);
    b->clients = mem_zalloc(config->clients * sizeof *b->clients);
    for (uint32_t i = 0; i < config->clients; i++) {
        struct client *c = &b->clients[i];

        c->bench = b;
        c->slots = mem_zalloc(config->depth * sizeof *c->slots);
        c->idle = mem_zalloc(config->depth * sizeof(struct slot *));
        for (uint32_t k = 0; k < config->depth; k++) {
            c->slots[k].client = c;
            c->idle[c->idle_count++] = &c->slots[k];
        }
        channel_open(c, i);
    }
}

/* Ends all sessions: thousands of them left to expire would burden the next run. */
static void finish(struct bench *b)
{
    const uint64_t until = clock_now_us() + CLOSE_MS_MAX * UINT64_C(1000);
    bool open = true;

    enter(b, PHASE_END);
    for (uint32_t i = 0; i < b->config->clients; i++) {
        struct channel *ch = &b->clients[i].channel;
        if (client_core_session(ch->core) != 0) {
            client_core_close_session(ch->core, b->now_us / 1000);
        }
    }
    while (open && clock_now_us() < until) {
        turn_all(b);
        wait_once(b);
        open = false;
        for (uint32_t i = 0; i < b->config->clients && !open; i++) {
            const struct client_core *core = b->clients[i].channel.core;
            open = client_core_session(core) != 0 && !client_core_session_over(core);
        }
    }
    for (uint32_t i = 0; i < b->config->clients; i++) {
        channel_fini(&b->clients[i].channel);
        free(b->clients[i].slots);
        free(b->clients[i].idle);
    }
    free(b->clients);
}

/* Nobody could be reached, or the keys cannot be made: there will be nothing to measure. */
static bool is_stuck(struct bench *b)
{
    const struct channel *ch = &b->clients[0].channel;

    if (!is_preparing(b) && client_core_ready(ch->core) > 0) return false;
    if (b->phase == PHASE_MEASURE || b->keys_done > 0) return false;
    if (b->now_us - b->phase_started_us < b->config->timeout_ms * UINT64_C(1000))
        return false;
    b->fatal = ch->link.state == LINK_UP ? ERR_NO_QUORUM : ERR_UNREACHABLE;
    snprintf(b->result->why, sizeof b->result->why, "%.190s", ch->link.why);
    return true;
}

int bench_run(const struct bench_config *config, struct bench_result *result)
{
    struct bench b = {
        .config = config,
        .result = result,
        .core = { .session_timeout_ms = SESSION_TIMEOUT_DEFAULT_MS, .seed = config->seed },
        .epoll = epoll_create1(EPOLL_CLOEXEC),
        .now_us = clock_now_us(),
    };
    uint64_t round_us = 0;

    CHECK(b.epoll >= 0);
    memset(result, 0, sizeof *result);
    rng_init(&b.rng, config->seed);
    enter(&b, config->op == BENCH_CREATE ? PHASE_WARMUP : PHASE_CREATE);
    start(&b);
    while (b.phase != PHASE_END && b.fatal == 0 && !is_stuck(&b)) {
        if (b.now_us - round_us >= ROUND_MS * UINT64_C(1000)) {
            round_us = b.now_us;
            turn_all(&b);
        }
        wait_once(&b);
        move_phase(&b);
    }
    finish(&b);
    close(b.epoll);
    buf_fini(&b.params);
    buf_fini(&b.parents);
    buf_fini(&b.value);
    return b.fatal;
}
