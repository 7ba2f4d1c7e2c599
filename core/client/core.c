#include "core/client/core.h"

#include <stdlib.h>

#include "core/base/check.h"
#include "core/client/inside.h"

struct client_core *client_core_new(const struct client_core_config *config)
{
    struct client_core *c = mem_zalloc(sizeof *c);

    if (config->cluster != NULL) {
        c->cluster = mem_alloc(strlen(config->cluster) + 1);
        memcpy(c->cluster, config->cluster, strlen(config->cluster) + 1);
    }
    c->timeout_wanted_ms = config->session_timeout_ms;
    c->former = config->replaces.id;
    buf_put_bytes_raw(&c->former_secret, config->replaces.secret);
    c->members = config->members;
    c->members_ctx = config->members_ctx;
    rng_init(&c->rng, config->seed);
    c->zone = msgpack_zone_new(MSGPACK_ZONE_CHUNK_SIZE);
    CHECK(c->zone != NULL);
    list_init(&c->writes);
    list_init(&c->others);
    list_init(&c->wanted);
    list_init(&c->watches);
    list_init(&c->chunks);
    c->seq_next = 1;
    c->due_ms = c->writes_retry_ms = NEVER;
    c->control_retry_ms = c->cancel_retry_ms = NEVER;
    return c;
}

void client_core_free(struct client_core *c)
{
    if (c == NULL) return;
    core_end(c, ERR_CLOSED);
    CHECK(c->count == 0);
    CHECK(c->watches_count == 0);
    free(c->watch_slots);
    msgpack_zone_free(c->zone);
    buf_fini(&c->in);
    buf_fini(&c->out);
    buf_fini(&c->secret);
    buf_fini(&c->former_secret);
    free(c->slots);
    free(c->slots_free);
    free(c->cluster);
    free(c);
}

/* A completion may ask for something new, which then has its verdict already. */
void core_end(struct client_core *c, int code)
{
    if (c->ended == 0) c->ended = code;
    while (!list_empty(&c->writes) || !list_empty(&c->others)) {
        requests_end_all(c, &c->writes, c->ended);
        requests_end_all(c, &c->others, c->ended);
    }
    watches_end_all(c, c->ended);
}

bool code_is_for_now(int code)
{
    return code == ERR_BUSY || code == ERR_NO_QUORUM || code == ERR_STOPPING ||
           code == ERR_PENDING || code == ERR_DISK_FULL || code == ERR_CLOSED;
}

uint64_t core_retry_ms(struct client_core *c, uint64_t now_ms)
{
    return now_ms + RETRY_MS_MIN + rng_below(&c->rng, RETRY_MS_MAX - RETRY_MS_MIN + 1);
}

/* A busy server is asked again; one without a quorum, or without space, is left after a while,
 * since it may be the only one; one that lets its clients go (ERR_CLOSED: it does not know what
 * became of the request), one that stops, or knows no session of ours, is left at once. */
void core_refused(struct client_core *c, uint64_t now_ms, int code)
{
    const bool stay = code == ERR_BUSY || code == ERR_PENDING ||
                      ((code == ERR_NO_QUORUM || code == ERR_DISK_FULL) &&
                       now_ms - c->connected_ms < STAY_MS);

    if (!stay) c->wants_other = true;
}

void client_core_connected(struct client_core *c, uint64_t now_ms)
{
    CHECK(c->stage == CLIENT_DOWN);
    buf_clear(&c->in);
    buf_clear(&c->out);
    rpc_scan_init(&c->scan);
    c->connected_ms = now_ms;
    c->wants_other = c->ended != 0;
    c->served = false;
    c->control_retry_ms = NEVER;
    c->zxid_seen = 0;
    c->stage = CLIENT_HELLO;
    control_hello(c, now_ms);
}

void client_core_disconnected(struct client_core *c, uint64_t now_ms)
{
    c->stage = CLIENT_DOWN;
    memset(c->control_asked, 0, sizeof c->control_asked);
    buf_clear(&c->in);
    buf_clear(&c->out);
    requests_lost(c, now_ms);
    watches_lost(c);
}

struct buf *client_core_output(struct client_core *c)
{
    return &c->out;
}

uint64_t client_core_tick(struct client_core *c, uint64_t now_ms)
{
    control_tick(c, now_ms);
    requests_tick(c, now_ms);
    watches_flush(c, now_ms);

    uint64_t next = control_next_ms(c);

    if (watches_next_ms(c) < next) next = watches_next_ms(c);
    return next < c->due_ms ? next : c->due_ms;
}

bool client_core_served(const struct client_core *c)
{
    return c->served;
}

bool client_core_wants_other(const struct client_core *c)
{
    return c->wants_other;
}

int client_core_ready(const struct client_core *c)
{
    if (c->ended != 0) return c->ended;
    return c->opened ? 1 : 0;
}

int client_core_trouble(const struct client_core *c)
{
    return c->trouble;
}

uint64_t client_core_session(const struct client_core *c)
{
    return c->session;
}

struct bytes client_core_secret(const struct client_core *c)
{
    return buf_bytes(&c->secret);
}

uint64_t client_core_deadline_ms(const struct client_core *c)
{
    return session_lives(c) ? session_deadline_ms(c) : 0;
}

bool client_core_session_over(const struct client_core *c)
{
    return c->session_over;
}

bool client_core_session_gone(const struct client_core *c)
{
    return c->session_gone;
}

bool client_core_jeopardy(const struct client_core *c, uint64_t now_ms)
{
    return now_ms >= client_core_jeopardy_ms(c);
}

uint64_t client_core_jeopardy_ms(const struct client_core *c)
{
    return session_lives(c) ? c->renewed_ms + c->timeout_ms / 2 : NEVER;
}

size_t client_core_in_flight(const struct client_core *c)
{
    return c->count;
}
