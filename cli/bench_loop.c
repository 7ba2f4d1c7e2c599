#include "cli/bench_loop.h"

#include <stdio.h>
#include <stdlib.h>

#include "cli/bench_inside.h"
#include "cli/clock.h"
#include "cli/report.h"
#include "core/base/check.h"
#include "core/base/errors.h"

enum { ROUND_MS = 50, SECOND_US = 1000000 };

static bool is_open_loop(const struct bench *b)
{
    return b->config->rate > 0;
}

static bool is_counting(const struct bench *b)
{
    return b->phase == BENCH_MEASURE || b->phase == BENCH_DRAIN;
}

/* --- slots --- */

static void slot_put(struct bench *b, struct bench_slot *s)
{
    struct bench_client *c = s->client;

    if (!is_open_loop(b) || b->phase < BENCH_WARMUP) {
        c->idle[c->idle_count++] = s;
        return;
    }
    CHECK(b->free_count < b->free_room);
    b->free[(b->free_first + b->free_count++) % b->free_room] = s;
}

static struct bench_slot *slot_take(struct bench *b)
{
    struct bench_slot *s = b->free[b->free_first];

    CHECK(b->free_count > 0);
    b->free_first = (b->free_first + 1) % b->free_room;
    b->free_count--;
    return s;
}

/* PREPARE may have used more slots than --depth; nothing is under way now. In an open loop
 * each client has its turn. */
static void slots_settle(struct bench *b)
{
    const uint32_t depth = b->config->depth;

    b->free_room = (uint64_t)b->clients_count * depth;
    if (is_open_loop(b)) b->free = mem_zalloc(b->free_room * sizeof(struct bench_slot *));
    for (uint32_t i = 0; i < b->clients_count; i++) {
        struct bench_client *c = &b->clients[i];

        if (bench_client_works(b, c)) {
            CHECK(c->idle_count == c->slots_count);
            c->idle_count = is_open_loop(b) ? 0 : depth;
        }
    }
    for (uint32_t k = 0; k < depth && is_open_loop(b); k++) {
        for (uint32_t i = 0; i < b->clients_count; i++) {
            struct bench_client *c = &b->clients[i];

            if (bench_client_works(b, c)) b->free[b->free_count++] = &c->slots[k];
        }
    }
}

/* --- operations --- */

static void on_answer(void *ctx, int code, const char *message,
                      const msgpack_object *value);

static void request_send(struct bench *b, struct bench_slot *s, struct client_request *r)
{
    r->params = buf_bytes(&b->params);
    r->options = buf_bytes(&b->options);
    r->done = on_answer;
    r->ctx = s;
    s->asked_us = b->now_us;
    client_core_request(s->client->channel.core, b->now_us / 1000, r);
    bench_client_touch(s->client);
}

static void op_ask(struct bench *b, struct bench_slot *s)
{
    struct client_request r = { .limit_ms = b->config->timeout_ms };

    buf_clear(&b->params);
    buf_clear(&b->options);
    b->kind->ask(b, s, &r);
    request_send(b, s, &r);
}

static void op_begin(struct bench *b, struct bench_slot *s, uint64_t begun_us)
{
    s->begun_us = begun_us;
    s->phase = is_counting(b) ? BENCH_MEASURE : b->phase;
    s->step = 0;
    if (s->phase == BENCH_MEASURE) b->counted_under_way++;
    op_ask(b, s);
}

static void op_count(struct bench *b, const struct bench_slot *s, int code,
                     const char *message)
{
    if (s->phase != BENCH_MEASURE) return;
    CHECK(b->counted_under_way > 0);
    b->counted_under_way--;
    if (!is_counting(b)) return;
    if (code != 0) {
        bench_count_failures(b->result, 1, code, message);
        return;
    }
    histogram_add(&b->result->latency_us, b->now_us - s->begun_us);
    histogram_add(&b->second, b->now_us - s->begun_us);
}

void bench_op_end(struct bench *b, struct bench_slot *s, int code, const char *message)
{
    op_count(b, s, code, message);
    slot_put(b, s);
    bench_client_touch(s->client);
}

static void op_told(struct bench *b, struct bench_slot *s, const msgpack_object *value)
{
    switch (b->kind->told == NULL ? BENCH_DONE : b->kind->told(b, s, value)) {
    case BENCH_DONE:
        bench_op_end(b, s, 0, NULL);
        return;
    case BENCH_NEXT:
        s->step++;
        op_ask(b, s);
        return;
    case BENCH_LATER:
        return;
    case BENCH_FAILED:
        bench_op_end(b, s, BENCH_BROKEN, b->broken);
        return;
    }
}

/* What was prepared by an earlier run is there already. */
static void unit_told(struct bench *b, struct bench_slot *s, int code, const char *message)
{
    b->units_done++;
    b->moved_us = b->now_us;
    slot_put(b, s);
    if (code == 0 || code == ERR_NODE_EXISTS) return;
    b->fatal = code;
    snprintf(b->result->why, sizeof b->result->why, "%s", message == NULL ? "" : message);
}

static void on_answer(void *ctx, int code, const char *message, const msgpack_object *value)
{
    struct bench_slot *s = ctx;
    struct bench *b = s->client->bench;

    if (b->phase == BENCH_END) return;
    if (s->phase == BENCH_PREPARE) {
        unit_told(b, s, code, message);
    } else if (code != 0) {
        bench_op_end(b, s, code, message);
    } else {
        op_told(b, s, value);
    }
}

/* --- what begins when --- */

static uint64_t units(const struct bench *b)
{
    return b->kind->units == NULL ? 1 : b->kind->units(b, b->round);
}

static void unit_begin(struct bench *b, struct bench_slot *s)
{
    struct client_request r = { .limit_ms = b->config->timeout_ms };

    s->phase = BENCH_PREPARE;
    buf_clear(&b->params);
    buf_clear(&b->options);
    b->kind->prepare(b, b->units_asked++, &r);
    request_send(b, s, &r);
}

static bool keys_are_used_up(const struct bench *b)
{
    return b->kind->consumes && b->names >= b->config->keys;
}

/* Nothing is to be used up uncounted. */
static bool is_working(const struct bench *b)
{
    if (keys_are_used_up(b)) return false;
    return is_counting(b) || (b->phase == BENCH_WARMUP && !b->kind->consumes);
}

void bench_feed(struct bench *b, struct bench_client *c)
{
    if (b->phase == BENCH_PREPARE) {
        while (c->idle_count > 0 && b->round < b->kind->rounds &&
               b->units_asked < units(b)) {
            unit_begin(b, c->idle[--c->idle_count]);
        }
        return;
    }
    while (c->idle_count > 0 && is_working(b)) {
        op_begin(b, c->idle[--c->idle_count], b->now_us);
    }
}

/* Arrivals that belong to MEASURE; one that came later is nobody's. */
static uint64_t arrivals_max(const struct bench *b)
{
    return (uint64_t)b->config->rate * b->config->seconds;
}

static bool is_arriving(const struct bench *b)
{
    if (!is_open_loop(b) || !is_working(b)) return false;
    return b->phase == BENCH_WARMUP || b->pace.taken < arrivals_max(b);
}

static void let_arrive(struct bench *b)
{
    uint64_t intended_us;

    while (is_arriving(b) && b->free_count > 0 &&
           bench_pace_take(&b->pace, b->now_us, &intended_us)) {
        op_begin(b, slot_take(b), intended_us);
    }
}

/* --- phases --- */

static void enter(struct bench *b, enum bench_phase phase)
{
    b->phase = phase;
    b->phase_started_us = b->moved_us = b->second_us = b->now_us;
    switch (phase) {
    case BENCH_CONNECT:
    case BENCH_PREPARE:
    case BENCH_DRAIN:
        break;
    case BENCH_WARMUP:
        slots_settle(b);
        b->pace = (struct bench_pace){ .rate = b->config->rate, .start_us = b->now_us };
        break;
    case BENCH_MEASURE:
        b->pace = (struct bench_pace){ .rate = b->config->rate, .start_us = b->now_us };
        b->measured_since_us = b->now_us;
        histogram_clear(&b->second);
        bench_hosts_begin(b->hosts);
        break;
    case BENCH_END:
        bench_hosts_end(b->hosts);
        break;
    }
    bench_clients_turn(b);
}

/* All of a round is done before the next begins: a node is there before it is set. */
static void move_preparing(struct bench *b)
{
    if (b->round < b->kind->rounds) {
        if (b->units_done < units(b)) return;
        b->round++;
        b->units_asked = b->units_done = 0;
        bench_clients_turn(b);
        return;
    }
    if (b->kind->is_armed == NULL || b->kind->is_armed(b)) enter(b, BENCH_WARMUP);
}

static void end_measuring(struct bench *b)
{
    if (is_open_loop(b) && !keys_are_used_up(b)) {
        bench_count_failures(
            b->result, b->counted_under_way + arrivals_max(b) - b->pace.taken, ERR_TIMEOUT,
            "it should have begun in time, and was not done when --timeout had passed");
    }
    b->result->measured_us = b->now_us - b->measured_since_us;
    enter(b, BENCH_END);
}

static void move_measuring(struct bench *b, uint64_t lasted_us)
{
    const bool over = lasted_us >= b->config->seconds * UINT64_C(1000000);

    if (keys_are_used_up(b) && b->counted_under_way == 0) {
        end_measuring(b);
    } else if (over && is_open_loop(b)) {
        enter(b, BENCH_DRAIN);
    } else if (over) {
        end_measuring(b);
    }
}

/* CONNECT -> PREPARE -> WARMUP -> MEASURE -> (DRAIN ->) END */
static void move_phase(struct bench *b)
{
    const uint64_t lasted_us = b->now_us - b->phase_started_us;
    const uint64_t warmup_us =
        b->kind->consumes ? 0 : b->config->warmup_seconds * UINT64_C(1000000);

    switch (b->phase) {
    case BENCH_CONNECT:
        if (b->ready_count == b->clients_count) enter(b, BENCH_PREPARE);
        return;
    case BENCH_PREPARE:
        move_preparing(b);
        return;
    case BENCH_WARMUP:
        if (lasted_us >= warmup_us) enter(b, BENCH_MEASURE);
        return;
    case BENCH_MEASURE:
        move_measuring(b, lasted_us);
        return;
    case BENCH_DRAIN:
        if (lasted_us < b->config->timeout_ms * UINT64_C(1000) &&
            (is_arriving(b) || b->counted_under_way > 0)) {
            return;
        }
        end_measuring(b);
        return;
    case BENCH_END:
        return;
    }
}

/* --- the run --- */

static void tell(struct bench *b, double seconds)
{
    const struct histogram *h = &b->second;
    const uint64_t errors = b->result->errors - b->second_errors;

    if (b->phase == BENCH_CONNECT) {
        report_note("bench", "%u of %u clients are ready", b->ready_count,
                    b->clients_count);
    } else if (b->phase == BENCH_PREPARE) {
        report_note("bench", "preparing: %llu done", (unsigned long long)b->units_done);
    } else if (is_counting(b)) {
        report_note("bench", "%.0f/s, p50 %.2f ms, p99 %.2f ms, max %.2f ms, errors %llu",
                    (double)h->count / seconds, (double)histogram_at(h, 500) / 1e3,
                    (double)histogram_at(h, 990) / 1e3, (double)h->max / 1e3,
                    (unsigned long long)errors);
    }
}

static void tell_each_second(struct bench *b)
{
    const uint64_t lasted_us = b->now_us - b->second_us;

    if (lasted_us < SECOND_US) return;
    if (b->config->progress) tell(b, (double)lasted_us / 1e6);
    b->second_us = b->now_us;
    b->second_errors = b->result->errors;
    histogram_clear(&b->second);
}

/* Nobody could be reached, or what is needed cannot be made: nothing will be measured. */
static bool is_stuck(struct bench *b)
{
    uint32_t at = 0;

    if (b->phase > BENCH_PREPARE) return false;
    if (b->now_us - b->moved_us < b->config->timeout_ms * UINT64_C(1000)) return false;
    while (at + 1 < b->clients_count && b->clients[at].was_ready)
        at++;

    const struct link *l = &b->clients[at].channel.link;

    b->fatal = l->state == LINK_UP ? ERR_NO_QUORUM : ERR_UNREACHABLE;
    snprintf(b->result->why, sizeof b->result->why, "%.190s", l->why);
    return true;
}

static uint64_t next_us(const struct bench *b)
{
    const uint64_t round_us = b->now_us + ROUND_MS * UINT64_C(1000);
    uint64_t arrival_us;

    if (!is_arriving(b) || b->free_count == 0) return round_us;
    arrival_us = bench_pace_next_us(&b->pace);
    return arrival_us < round_us ? arrival_us : round_us;
}

static void run(struct bench *b)
{
    uint64_t round_us = 0;

    while (b->phase != BENCH_END && b->fatal == 0 && !is_stuck(b)) {
        if (b->now_us - round_us >= ROUND_MS * UINT64_C(1000)) {
            round_us = b->now_us;
            bench_clients_turn(b);
            if (b->kind->tick != NULL && b->phase >= BENCH_WARMUP) b->kind->tick(b);
        }
        let_arrive(b);
        bench_clients_wait(b, next_us(b));
        move_phase(b);
        tell_each_second(b);
    }
    b->phase = BENCH_END;
}

static void value_fill(struct bench *b)
{
    uint8_t *bytes = mem_zalloc(b->config->size);

    memset(bytes, 'x', b->config->size);
    pack_bin(&b->value, bytes_of(bytes, b->config->size));
    free(bytes);
}

int bench_run(const struct bench_config *config, struct bench_hosts *hosts,
              struct bench_result *result)
{
    struct bench *b = mem_zalloc(sizeof *b);
    int code;

    b->config = config;
    b->kind = config->kind;
    b->hosts = hosts;
    b->result = result;
    b->now_us = clock_now_us();
    bench_result_clear(result);
    rng_init(&b->rng, config->seed);
    value_fill(b);
    bench_clients_open(b);
    if (b->kind->start != NULL) b->kind->start(b);
    enter(b, BENCH_CONNECT);
    run(b);
    bench_clients_close(b);
    if (b->kind->stop != NULL) b->kind->stop(b);
    code = b->fatal;
    free(b->free);
    buf_fini(&b->params);
    buf_fini(&b->options);
    buf_fini(&b->value);
    free(b);
    return code;
}
