/* asks.c -- requests of clients: as bytes, on their way to a server, and again to another.
 */
#include <stdlib.h>

#include "core/base/check.h"
#include "core/base/errors.h"
#include "core/machine/request.h"
#include "tests/sim/clients.h"

static const char *const names[] = {
    "?",    "open",        "set-up", "own create",          "own set", "key set", "get",
    "query", "lock", "guarded set", "unlock", "set without session", "renew"
};

const char *ask_name(enum ask_kind kind)
{
    return names[kind];
}

/* --- requests as bytes --- */

static const uint8_t lock_args[] = "\x81\xa4path\xa5/lock";

static void put_want(struct buf *wants, enum want_kind kind, const char *path,
                     const char *data, uint64_t token)
{
    struct want want = { .kind = kind,
                         .path = bytes_str(path),
                         .data = data == NULL ? (struct bytes){ 0 } : bytes_str(data),
                         .version = -1,
                         .token = token,
                         .flags = kind == WANT_CREATE ? TX_PARENTS : 0 };

    want_encode(wants, &want);
}

static void put_unlock_args(struct buf *args, uint64_t token)
{
    static const uint8_t head[] = "\x82\xa4path\xac/lock/holder\xa5token\xcf";
    uint8_t number[8];

    put_u64_be(number, token);
    buf_put(args, head, sizeof head - 1);
    buf_put(args, number, sizeof number);
}

static void encode(struct client *c, const struct ask *a, struct buf *out)
{
    struct request r = { .session = c->session, .seq = a->seq, .ack = c->ack };
    struct buf wants = { 0 }, args = { 0 };
    char path[32], data[32];

    snprintf(data, sizeof data, "c%u-%" PRIu64, c->id, a->seq);
    snprintf(path, sizeof path, "/own/c%u", c->id);
    if (a->kind == KEY_SET) snprintf(path, sizeof path, "/key/k%u", a->key);
    r.kind = REQUEST_WRITE;
    r.single = true;
    r.wants_count = 1;
    switch (a->kind) {
    case OPEN:
        r = (struct request){ .kind = REQUEST_SESSION_OPEN,
                              .timeout_ms = c->world->options.session_ms,
                              .secret = bytes_of("0123456789abcdef", 16) };
        break;
    case SETUP:
        r.single = false;
        r.wants_count = SIM_KEYS + 3;
        put_want(&wants, WANT_CREATE, SCRIPT_DIRECTORY "/sim", values_recipe, 0);
        put_want(&wants, WANT_CREATE, "/key/ledger", data, 0);
        put_want(&wants, WANT_CREATE, "/anon", data, 0);
        for (int i = 0; i < SIM_KEYS; i++) {
            snprintf(path, sizeof path, "/key/k%d", i);
            put_want(&wants, WANT_CREATE, path, data, 0);
        }
        break;
    case OWN_CREATE:
        put_want(&wants, WANT_CREATE, path, data, 0);
        break;
    case OWN_SET:
    case KEY_SET:
        put_want(&wants, WANT_SET, path, data, 0);
        break;
    case ANON_SET:
        r.session = r.seq = r.ack = 0;
        put_want(&wants, WANT_SET, "/anon", data, 0);
        break;
    case GUARDED:
        put_want(&wants, WANT_GUARD, "/lock/holder", NULL, a->token);
        put_want(&wants, WANT_SET, "/key/ledger", data, 0);
        r.wants_count = 2;
        break;
    case LOCK:
    case UNLOCK:
        r.kind = REQUEST_CALL;
        r.wants_count = 0;
        r.recipe = BYTES_LIT("lock");
        r.function = a->kind == LOCK ? BYTES_LIT("acquire") : BYTES_LIT("release");
        if (a->kind == UNLOCK) put_unlock_args(&args, a->token);
        r.args =
            a->kind == LOCK ? bytes_of(lock_args, sizeof lock_args - 1) : buf_bytes(&args);
        break;
    case KEY_GET:
    case KEY_QUERY:
    case RENEW:
        CHECK(false); /* these do not go through the log */
    }
    if (wants.len > 0) r.wants = buf_bytes(&wants);
    request_encode(out, &r);
    buf_fini(&wants);
    buf_fini(&args);
}

/* --- on the way --- */

/* Tags say whose ask it is and in which sending, so that answers to older sendings are
 * known for what they are: generation << 16 | client << 8 | place. */
static uint64_t tag_of(struct client *c, const struct ask *a)
{
    return ++c->generation << 16 | (uint64_t)c->id << 8 | (uint64_t)(a - c->asks);
}

static bool is_read(enum ask_kind kind)
{
    return kind == KEY_GET || kind == KEY_QUERY || kind == RENEW;
}

struct call { /* on its way to a server, which may be paused, or gone when it gets there */
    struct server *node;
    uint64_t tag, renewed;
    size_t len; /* 0: a read */
    uint8_t request[];
};

static bool taken(struct server *n, const struct call *k)
{
    const struct bytes request = bytes_of(k->request, k->len);

    if (!n->up || disk_is_full(n)) return false;
    return replica_submit(n->replica, node_time(n), k->tag, k->tag % 5, request) == 0;
}

static void call_arrives(struct world *w, void *ctx)
{
    struct call *k = ctx;
    struct server *n = k->node;

    (void)w;
    if (node_defers(n, call_arrives, k)) return;
    if (n->up && k->len == 0) replica_read(n->replica, node_time(n), k->tag, k->renewed);
    if (k->len > 0 && !taken(n, k)) {
        clients_answer(n, k->tag, ERR_NO_QUORUM, (struct bytes){ 0 });
    }
    if (n->up) node_soon(n);
    free(k);
}

void ask_send(struct client *c, struct ask *a, uint32_t server)
{
    struct world *w = c->world;
    struct server *n = &w->nodes[server];
    struct buf request = { 0 };

    a->tag = tag_of(c, a);
    trace(w, "client %u asks node %u: %s seq %" PRIu64, c->id, n->id, ask_name(a->kind),
          a->seq);
    if (!is_read(a->kind)) encode(c, a, &request);

    struct call *k = mem_alloc(sizeof *k + request.len);

    *k = (struct call){ .node = n, .tag = a->tag, .len = request.len };
    k->renewed = a->kind == RENEW ? c->session : 0;
    if (request.len > 0) memcpy(k->request, request.ptr, request.len);
    buf_fini(&request);
    world_at(w, rng_below(&w->rng, 300), call_arrives, k);
}

static struct ask *place(struct client *c, enum ask_kind kind)
{
    if (kind == RENEW) return c->asks[RENEW_AT].kind == 0 ? &c->asks[RENEW_AT] : NULL;
    if (kind == OPEN) return c->asks[OPEN_AT].kind == 0 ? &c->asks[OPEN_AT] : NULL;
    for (uint32_t i = 0; i < SIM_DEPTH; i++) {
        if (c->asks[i].kind == 0) return &c->asks[i];
    }
    return NULL;
}

static bool has_seq(enum ask_kind kind)
{
    return kind != OPEN && kind != ANON_SET && !is_read(kind);
}

void ask_new(struct client *c, enum ask_kind kind)
{
    struct ask *a = place(c, kind);
    struct world *w = c->world;

    if (a == NULL) return;
    *a = (struct ask){ .kind = kind, .began_us = w->now_us };
    a->key = (uint32_t)rng_below(&w->rng, SIM_KEYS);
    a->floor = c->world->shared->key_zxid[a->key];
    a->token = c->lock_token != 0 ? c->lock_token : c->token_gone;
    if (kind == LOCK) a->floor = c->world->shared->token;
    if (has_seq(kind)) a->seq = ++c->seq;
    if (kind == UNLOCK) c->token_gone = c->lock_token;
    if (kind == UNLOCK) c->lock_token = 0;
    w->stats.ops++;
    ask_send(c, a, c->server);
}

void asks_send_all(struct client *c, uint32_t server, bool reads_too)
{
    for (uint64_t seq = c->ack; seq <= c->seq; seq++) {
        for (uint32_t i = 0; i < ASKS; i++) {
            struct ask *a = &c->asks[i];

            if (a->kind == 0 || a->seq != (seq == c->ack ? 0 : seq)) continue;
            if (a->seq != 0 || reads_too) ask_send(c, a, server);
        }
    }
}
