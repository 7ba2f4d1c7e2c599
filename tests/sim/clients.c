/* clients.c -- clients that never give up: each holds a session, asks several things at once,
 * and when an answer is late asks again, with the same seq, at another server.
 *
 *     A1  a request is answered alike however often it is asked (exactly once)
 *     A2  a client's own node has as many versions as it had sets acknowledged
 *     A3  registers are linearizable: zxids order them, so an answer or a read that began
 *         after another ended has a higher (read: no lower) zxid
 *     A4  a session expires only after its client's deadline
 *     A5  a lock's tokens rise, and a guarded write of a holder that lost it is refused
 */
#include <stdlib.h>

#include "core/base/check.h"
#include "core/base/errors.h"
#include "core/base/hash.h"
#include "core/machine/request.h"
#include "core/machine/result.h"
#include "core/session/session.h"
#include "core/tree/node.h"
#include "tests/sim/sim.h"

enum kind { OPEN = 1, SETUP, OWN_CREATE, OWN_SET, KEY_SET, KEY_GET, KEY_QUERY, LOCK, GUARDED,
            UNLOCK, ANON_SET, RENEW };
static const char *const kind_names[] = { "?",       "open",   "set-up", "own create",  "own set",
                                          "key set", "get",    "query",  "lock", "guarded set",
                                          "unlock",  "set without session", "renew" };

struct ask {
    enum kind kind; /* 0 = free */
    uint32_t key;
    uint64_t seq, began_us, floor; /* floor: the zxid that it must not go below */
    uint64_t token;
    uint64_t tag; /* of the newest sending */
};

struct client {
    struct world *world;
    uint32_t id, server;
    uint64_t session, opened_us, deadline_us; /* deadline: certainly alive until then */
    uint64_t seq, ack, generation;
    bool answered[SIM_DEPTH * 4]; /* by seq, above ack */
    struct ask asks[SIM_DEPTH + 2];
    bool stopping, own_created;
    uint64_t own_sets, own_maybe; /* acknowledged; lost with a session */
    uint64_t lock_token;          /* held, 0 = not */
};

enum { ASKS = SIM_DEPTH + 2, RENEW_AT = SIM_DEPTH, OPEN_AT = SIM_DEPTH + 1 };

struct shared { /* what all clients together have seen end */
    uint64_t key_zxid[SIM_KEYS];
    uint64_t token;
    bool ready; /* the registers are there */
    struct { uint64_t session, seq, hash; } results[1 << 14];
    /* A5: the newest grants (token, token) and guarded writes that passed (token, zxid). */
    struct marks { struct { uint64_t token, zxid; } at[256]; uint32_t next; } grants, guarded;
};

static struct shared *shared;

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
                              .timeout_ms = SIM_SESSION_MS,
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
        r.args = a->kind == LOCK ? bytes_of(lock_args, sizeof lock_args - 1)
                                 : buf_bytes(&args);
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

/* --- sending --- */

/* Tags say whose ask it is and in which sending, so that answers to older sendings are known
 * for what they are: generation << 16 | client << 8 | place. */
static uint64_t tag_of(struct client *c, const struct ask *a)
{
    return ++c->generation << 16 | (uint64_t) c->id << 8 | (uint64_t) (a - c->asks);
}

static bool is_read(enum kind kind)
{
    return kind == KEY_GET || kind == KEY_QUERY || kind == RENEW;
}

static void send(struct client *c, struct ask *a)
{
    struct world *w = c->world;
    struct server *n = &w->nodes[c->server];
    struct buf request = { 0 };

    a->tag = tag_of(c, a);
    if (!n->up) return;
    trace(w, "client %u asks node %u: %s seq %" PRIu64, c->id, n->id, kind_names[a->kind],
          a->seq);
    if (is_read(a->kind)) {
        replica_read(n->replica, node_time(n), a->tag, a->kind == RENEW ? c->session : 0);
    } else {
        encode(c, a, &request);
        replica_submit(n->replica, node_time(n), a->tag, buf_bytes(&request));
        buf_fini(&request);
    }
    node_soon(n);
}

static struct ask *place(struct client *c, enum kind kind)
{
    if (kind == RENEW) return c->asks[RENEW_AT].kind == 0 ? &c->asks[RENEW_AT] : NULL;
    if (kind == OPEN) return c->asks[OPEN_AT].kind == 0 ? &c->asks[OPEN_AT] : NULL;
    for (uint32_t i = 0; i < SIM_DEPTH; i++) {
        if (c->asks[i].kind == 0) return &c->asks[i];
    }
    return NULL;
}

static bool has_seq(enum kind kind)
{
    return kind != OPEN && kind != ANON_SET && !is_read(kind);
}

static void ask(struct client *c, enum kind kind)
{
    struct ask *a = place(c, kind);
    struct world *w = c->world;

    if (a == NULL) return;
    *a = (struct ask){ .kind = kind, .began_us = w->now_us };
    a->key = (uint32_t) rng_below(&w->rng, SIM_KEYS);
    a->floor = shared->key_zxid[a->key];
    a->token = c->lock_token;
    if (kind == LOCK) a->floor = shared->token;
    if (has_seq(kind)) a->seq = ++c->seq;
    if (kind == UNLOCK) c->lock_token = 0;
    w->stats.ops++;
    send(c, a);
}

/* Another server; what is open is asked again there, in the order of seq. A write without a
 * session is not: the client will never know. */
static void move(struct client *c)
{
    for (uint32_t i = 0; i < ASKS; i++) {
        if (c->asks[i].kind == ANON_SET) c->asks[i].kind = 0;
    }
    c->server = (uint32_t) rng_below(&c->world->rng, c->world->options.nodes);
    for (uint64_t seq = c->ack; seq <= c->seq; seq++) {
        for (uint32_t i = 0; i < ASKS; i++) {
            if (c->asks[i].kind != 0 && c->asks[i].seq == (seq == c->ack ? 0 : seq)) {
                send(c, &c->asks[i]);
            }
        }
    }
}

/* --- answers --- */

static void session_lost(struct client *c)
{
    trace(c->world, "client %u lost session %" PRIu64, c->id, c->session);
    for (uint32_t i = 0; i < ASKS; i++) {
        c->own_maybe += c->asks[i].kind == OWN_SET;
        c->asks[i].kind = 0;
    }
    c->session = c->seq = c->ack = c->lock_token = 0;
    c->deadline_us = 0;
    memset(c->answered, 0, sizeof c->answered);
    ask(c, OPEN);
}

static void extend(struct client *c, uint64_t sent_us)
{
    uint64_t deadline = sent_us + 1000 * SIM_SESSION_MS;

    if (deadline > c->deadline_us) c->deadline_us = deadline;
}

static void acknowledge(struct client *c, uint64_t seq)
{
    enum { WINDOW = SIM_DEPTH * 4 };

    c->answered[seq % WINDOW] = true;
    while (c->answered[(c->ack + 1) % WINDOW]) c->answered[++c->ack % WINDOW] = false;
}

/* A1 */
static void same_as_before(struct client *c, const struct ask *a, struct bytes result)
{
    uint64_t hash = hash_bytes(result, 1), at = hash_u64(c->session, a->seq) % (1 << 14);

    if (shared->results[at].session == c->session && shared->results[at].seq == a->seq &&
        shared->results[at].hash != hash) {
        broken(c->world, "client %u seq %" PRIu64 " was answered differently before", c->id,
               a->seq);
    }
    shared->results[at].session = c->session;
    shared->results[at].seq = a->seq;
    shared->results[at].hash = hash;
}

/* A5: between a grant and a write under it, nobody else was granted the lock. */
static void fenced(struct world *w, struct marks *marks, uint64_t token, uint64_t zxid)
{
    marks->at[marks->next].token = token;
    marks->at[marks->next++ % 256].zxid = zxid;
    marks->next %= 256;
    for (uint32_t i = 0; i < 256; i++) {
        uint64_t write_token = shared->guarded.at[i].token, write = shared->guarded.at[i].zxid;

        for (uint32_t k = 0; k < 256; k++) {
            uint64_t grant = shared->grants.at[k].token;

            if (grant > write_token && grant < write) {
                broken(w, "a write under token %" PRIu64 " passed after token %" PRIu64
                          " was granted", write_token, grant);
            }
        }
    }
}

static void locked(struct client *c, const struct ask *a, const struct result *r)
{
    uint64_t token = values_token(r->value);

    if (r->code != 0) broken(c->world, "the lock was refused: %s", error_name(r->code));
    if (token <= a->floor) broken(c->world, "token %" PRIu64 " did not rise", token);
    if (token > shared->token) shared->token = token;
    fenced(c->world, &shared->grants, token, token);
    c->lock_token = token;
    c->world->stats.grants++;
}

static void judge(struct client *c, const struct ask *a, const struct result *r)
{
    struct world *w = c->world;

    switch (a->kind) {
    case SETUP:
        if (r->code != 0 && r->code != ERR_NODE_EXISTS) goto refused;
        shared->ready = true;
        return;
    case OWN_CREATE:
        if (r->code != 0 && r->code != ERR_NODE_EXISTS) goto refused;
        c->own_created = true;
        return;
    case OWN_SET:
        if (r->code != 0) goto refused;
        c->own_sets++;
        return;
    case KEY_SET:
        if (r->code != 0) goto refused;
        if (r->zxid <= a->floor) broken(w, "a write went before one that had ended");
        if (r->zxid > shared->key_zxid[a->key]) shared->key_zxid[a->key] = r->zxid;
        return;
    case LOCK:
        locked(c, a, r);
        return;
    case GUARDED: /* the session may be lost in all but name: then the guard refuses */
        if (r->code != 0 && r->code != ERR_GUARD_FAILED) goto refused;
        if (r->code == 0) fenced(w, &shared->guarded, a->token, r->zxid);
        return;
    case UNLOCK:
        if (r->code != 0) goto refused;
        return;
    case OPEN:
    case KEY_GET:
    case KEY_QUERY:
    case ANON_SET:
    case RENEW:
        return;
    }
refused:
    broken(w, "client %u: %s was refused: %s", c->id, kind_names[a->kind],
           error_name(r->code));
}

static void opened(struct client *c, struct ask *a, const struct result *r)
{
    struct reader parts = reader_of(r->parts);
    struct result_part part;

    if (r->code != 0 || result_part_next(&parts, &part) != 0) {
        broken(c->world, "client %u cannot open a session", c->id);
    }
    c->session = part.id;
    extend(c, a->began_us);
    a->kind = 0;
    trace(c->world, "client %u has session %" PRIu64, c->id, c->session);
}

static struct client *client_of(struct world *w, uint64_t tag)
{
    return &w->clients[(tag >> 8 & 0xff) - 1];
}

void clients_answer(struct server *n, uint64_t tag, int code, struct bytes bytes)
{
    struct world *w = n->world;
    struct client *c = client_of(w, tag);
    struct ask *a = &c->asks[tag & 0xff];
    struct result r;

    if (a->kind == 0 || a->tag != tag || code != 0) return; /* asked again elsewhere */
    if (result_decode(bytes, &r) != 0) broken(w, "an answer that is no result");
    trace(w, "client %u is answered: %s seq %" PRIu64 " %s zxid %" PRIu64, c->id,
          kind_names[a->kind], a->seq, error_name(r.code), r.zxid);
    if (r.code == ERR_BUSY) return;
    if (a->kind == OPEN) {
        opened(c, a, &r);
        return;
    }
    if (r.code == ERR_SESSION_EXPIRED) {
        session_lost(c);
        return;
    }
    if (a->kind == ANON_SET) {
        a->kind = 0;
        return;
    }
    same_as_before(c, a, bytes);
    checks_acknowledged(w, r.zxid, c->session, a->seq);
    extend(c, a->began_us);
    judge(c, a, &r);
    acknowledge(c, a->seq);
    a->kind = 0;
}

/* A3, for reads, whichever way the register is read. */
static void got(struct server *n, struct client *c, const struct ask *a)
{
    char path[32];
    struct node node = { 0 };

    snprintf(path, sizeof path, "/key/k%u", a->key);
    node_read(&replica_machine(n->replica)->applied->view, bytes_str(path), &node);

    uint64_t zxid = a->kind == KEY_GET ? node.mzxid : values_query(n, path);

    if (zxid < a->floor) {
        broken(c->world, "a %s at node %u shows zxid %" PRIu64 " after %" PRIu64 " had ended",
               kind_names[a->kind], n->id, zxid, a->floor);
    }
    if (zxid > shared->key_zxid[a->key]) shared->key_zxid[a->key] = zxid;
}

void clients_ready(struct server *n, uint64_t tag, int code)
{
    struct client *c = client_of(n->world, tag);
    struct ask *a = &c->asks[tag & 0xff];

    if (a->kind == 0 || a->tag != tag) return;
    if (code == ERR_SESSION_EXPIRED) {
        session_lost(c);
        return;
    }
    if (code != 0) return;
    if (a->kind == KEY_GET || a->kind == KEY_QUERY) got(n, c, a);
    if (a->kind == RENEW) extend(c, a->began_us);
    a->kind = 0;
}

/* --- the life of a client --- */

static void next_ask(struct client *c)
{
    struct world *w = c->world;

    if (!shared->ready) {
        if (c->id == 1) ask(c, SETUP);
        return;
    }
    if (!c->own_created) {
        ask(c, OWN_CREATE);
        return;
    }
    if (c->lock_token != 0) {
        ask(c, chance(w, 600) ? GUARDED : UNLOCK);
        return;
    }
    switch (rng_below(&w->rng, 9)) {
    case 8:
        ask(c, ANON_SET);
        return;
    case 0:
    case 1:
    case 2:
        ask(c, OWN_SET);
        return;
    case 3:
    case 4:
        ask(c, KEY_SET);
        return;
    case 5:
        /* One at a time: a second call of this session would get the lock anew. */
        for (uint32_t i = 0; i < SIM_DEPTH; i++) {
            if (c->asks[i].kind == LOCK || c->asks[i].kind == UNLOCK) return;
        }
        ask(c, LOCK);
        return;
    default:
        ask(c, chance(w, 500) ? KEY_GET : KEY_QUERY);
        return;
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

static void live(struct world *w, void *ctx)
{
    struct client *c = ctx;

    world_at(w, 2000 + rng_below(&w->rng, 20000), live, c);
    if (!w->nodes[c->server].up || (has_late(c) && chance(w, 60)) || chance(w, 3)) move(c);
    if (c->session == 0) {
        ask(c, OPEN);
        return;
    }
    if (c->deadline_us - w->now_us > 1ull << 62 || /* past: somebody will tell us */
        c->deadline_us < w->now_us + 2500000) {
        ask(c, RENEW);
    }
    if (c->seq - c->ack >= SIM_DEPTH * 3) return;
    if (!c->stopping) {
        next_ask(c);
    } else if (c->lock_token != 0) {
        ask(c, UNLOCK);
    }
}

void clients_start(struct world *w)
{
    w->clients = mem_zalloc(SIM_CLIENTS_MAX * sizeof *w->clients);
    shared = mem_zalloc(sizeof *shared);
    for (uint32_t i = 0; i < w->options.clients; i++) {
        struct client *c = &w->clients[i];

        c->world = w;
        c->id = i + 1;
        c->server = (uint32_t) rng_below(&w->rng, w->options.nodes);
        world_at(w, rng_below(&w->rng, 100000), live, c);
    }
}

void clients_fini(struct world *w)
{
    free(w->clients);
    free(shared);
}

void clients_stop(struct world *w)
{
    for (uint32_t i = 0; i < w->options.clients; i++) w->clients[i].stopping = true;
}

bool clients_idle(const struct world *w)
{
    for (uint32_t i = 0; i < w->options.clients; i++) {
        const struct client *c = &w->clients[i];

        if (c->session == 0 || c->lock_token != 0) return false;
        for (uint32_t k = 0; k < SIM_DEPTH; k++) {
            if (c->asks[k].kind != 0) return false;
        }
    }
    return true;
}

/* A4. Virtual time is one for all, so the client's own reckoning is the judge. */
void clients_expired(struct world *w, uint64_t session)
{
    w->stats.expiries++;
    for (uint32_t i = 0; i < w->options.clients; i++) {
        struct client *c = &w->clients[i];

        if (c->session == session && w->now_us < c->deadline_us) {
            broken(w, "session %" PRIu64 " of client %u expired %.0f ms early", session,
                   c->id, (double) (c->deadline_us - w->now_us) / 1000);
        }
    }
}

/* A2 */
void clients_check_end(struct world *w)
{
    uint32_t leader = world_leader(w);

    CHECK(leader != 0);

    struct kv_view *view = &replica_machine(w->nodes[leader - 1].replica)->applied->view;

    for (uint32_t i = 0; i < w->options.clients; i++) {
        const struct client *c = &w->clients[i];
        char path[32];

        struct node own;

        if (!c->own_created) continue;
        snprintf(path, sizeof path, "/own/c%u", c->id);
        if (!node_read(view, bytes_str(path), &own)) broken(w, "%s is gone", path);

        uint64_t sets = (uint64_t) own.version;

        if (sets < c->own_sets || sets > c->own_sets + c->own_maybe) {
            broken(w, "client %u had %" PRIu64 " sets acknowledged (and %" PRIu64
                      " lost with sessions), its node has version %" PRIu64,
                   c->id, c->own_sets, c->own_maybe, sets);
        }
    }
}
