/* clients.c -- clients that never give up: each holds a session, asks several things at
 * once, and when an answer is late asks again, with the same seq, at another server. */
#include <stdlib.h>

#include "core/base/check.h"
#include "tests/sim/clients.h"

/* Another server; what is open is asked again there. A write without a session is not: the
 * client will never know. */
static void move(struct client *c, uint32_t server)
{
    for (uint32_t i = 0; i < ASKS; i++) {
        if (c->asks[i].kind == ANON_SET) c->asks[i].kind = 0;
    }
    c->server = server;
    c->cut_off = false;
    asks_send_all(c, server, true);
}

uint32_t world_some_server(struct world *w)
{
    uint32_t at;

    do {
        at = (uint32_t)rng_below(&w->rng, w->options.nodes);
    } while (world_left_out(&w->nodes[at]));
    return at;
}

/* One at a time: a second call of this session would get the lock anew. */
static void ask_lock(struct client *c)
{
    for (uint32_t i = 0; i < SIM_DEPTH; i++) {
        if (c->asks[i].kind == LOCK || c->asks[i].kind == UNLOCK) return;
    }
    ask_new(c, LOCK);
}

/* False while the nodes that all work on are not there yet. */
static bool prepared(struct client *c)
{
    if (!c->world->shared->ready) {
        if (c->id == 1) ask_new(c, SETUP);
        return false;
    }
    if (!c->own_created) ask_new(c, OWN_CREATE);
    return c->own_created;
}

static void next_ask(struct client *c)
{
    static const enum ask_kind often[] = { OWN_SET, OWN_SET, OWN_SET,  KEY_SET, KEY_SET,
                                           LOCK,    KEY_GET, KEY_QUERY, ANON_SET, GUARDED };
    struct rng *rng = &c->world->rng;

    if (!prepared(c)) return;
    if (c->lock_token != 0) {
        ask_new(c, rng_below(rng, 1000) < 600 ? GUARDED : UNLOCK);
        return;
    }

    enum ask_kind kind = often[rng_below(rng, sizeof often / sizeof often[0])];

    if (kind == LOCK) {
        ask_lock(c);
    } else {
        ask_new(c, kind);
    }
}

/* The write that the healed servers must let through. */
static void ask_proof(struct client *c)
{
    for (uint32_t i = 0; i < SIM_DEPTH; i++) {
        if (c->asks[i].proof && c->asks[i].kind != 0) return;
    }
    if (!prepared(c)) return;
    ask_new(c, OWN_SET);
    for (uint32_t i = 0; i < SIM_DEPTH; i++) {
        if (c->asks[i].seq == c->seq && c->asks[i].kind == OWN_SET) c->asks[i].proof = true;
    }
}

static bool has_late(const struct client *c)
{
    for (uint32_t i = 0; i < ASKS; i++) {
        const struct ask *a = &c->asks[i];

        if (a->kind != 0 && a->kind != LOCK && c->world->now_us - a->began_us > 700000) {
            return true;
        }
    }
    return false;
}

static void live_awake(struct client *c)
{
    struct world *w = c->world;

    if (!w->nodes[c->server].up || c->cut_off || (has_late(c) && chance(w, 60)) ||
        chance(w, 3)) {
        move(c, world_some_server(w));
    }
    if (c->session == 0) {
        ask_new(c, OPEN);
        return;
    }
    if (c->deadline_us < w->now_us + 700 * w->options.session_ms)
        ask_new(c, RENEW); /* past: we shall be told */
    if (c->seq - c->ack >= SIM_DEPTH * 3) return;
    if (c->owed) {
        ask_proof(c);
    } else if (!c->stopping && !world_is_full(w)) {
        next_ask(c);
    } else if (c->lock_token != 0) {
        ask_new(c, UNLOCK);
    }
}

static void live(struct world *w, void *ctx)
{
    struct client *c = ctx;

    world_at(w, 1000 + rng_below(&w->rng, w->options.client_gap_us), live, c);
    if (w->now_us >= c->paused_until_us) live_awake(c);
}

void clients_start(struct world *w)
{
    w->clients = mem_zalloc(SIM_CLIENTS_MAX * sizeof *w->clients);
    w->shared = mem_zalloc(sizeof *w->shared);
    for (uint32_t i = 0; i < w->options.clients; i++) {
        struct client *c = &w->clients[i];

        c->world = w;
        c->id = i + 1;
        c->server = (uint32_t)rng_below(&w->rng, w->options.nodes);
        world_at(w, rng_below(&w->rng, 100000), live, c);
    }
}

void clients_fini(struct world *w)
{
    free(w->clients);
    free(w->shared);
}

/* --- what faults do to them --- */

void clients_pause(struct world *w, uint64_t ms)
{
    struct client *c = &w->clients[rng_below(&w->rng, w->options.clients)];

    c->paused_until_us = w->now_us + 1000 * ms;
    trace(w, "client %u sleeps for %" PRIu64 " ms", c->id, ms);
}

void clients_server_ends(struct world *w, uint32_t id)
{
    if (w->clients == NULL) return;
    for (uint32_t i = 0; i < w->options.clients; i++) {
        if (w->clients[i].server == id - 1) w->clients[i].cut_off = true;
    }
}

void clients_ask_twice(struct world *w)
{
    for (uint32_t i = 0; i < w->options.clients; i++) {
        asks_send_all(&w->clients[i], world_some_server(w), false);
    }
}

/* --- the end --- */

void clients_heal(struct world *w)
{
    for (uint32_t i = 0; i < w->options.clients; i++) {
        w->clients[i].paused_until_us = 0;
        move(&w->clients[i], world_some_server(w));
    }
}

void clients_move(struct world *w, uint32_t id)
{
    for (uint32_t i = 0; i < w->options.clients; i++)
        move(&w->clients[i], id - 1);
}

bool clients_proved(const struct world *w)
{
    for (uint32_t i = 0; i < w->options.clients; i++) {
        if (w->clients[i].owed) return false;
    }
    return true;
}

void clients_prove(struct world *w)
{
    for (uint32_t i = 0; i < w->options.clients; i++)
        w->clients[i].owed = true;
}

void clients_stop(struct world *w)
{
    for (uint32_t i = 0; i < w->options.clients; i++)
        w->clients[i].stopping = true;
}

static bool idle(const struct client *c)
{
    if (c->session == 0 || c->lock_token != 0 || c->owed) return false;
    for (uint32_t k = 0; k < SIM_DEPTH; k++) {
        if (c->asks[k].kind != 0) return false;
    }
    return true;
}

bool clients_idle(const struct world *w)
{
    for (uint32_t i = 0; i < w->options.clients; i++) {
        if (!idle(&w->clients[i])) return false;
    }
    return true;
}

void clients_print(const struct world *w)
{
    for (uint32_t i = 0; i < w->options.clients; i++) {
        const struct client *c = &w->clients[i];

        if (idle(c)) continue;
        printf("client %u at node %u, session %" PRIu64 ", lock %" PRIu64 "%s:", c->id,
               c->server + 1, c->session, c->lock_token, c->owed ? ", owed a write" : "");
        for (uint32_t k = 0; k < ASKS; k++) {
            if (c->asks[k].kind == 0) continue;
            printf(" [%s seq %" PRIu64 " since %.0f ms]", ask_name(c->asks[k].kind),
                   c->asks[k].seq, (double)(w->now_us - c->asks[k].began_us) / 1000);
        }
        printf("\n");
    }
}
