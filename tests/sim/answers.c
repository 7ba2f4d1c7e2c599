/* answers.c -- what clients are told, and whether it may be so.
 *
 *     A1  a request is answered alike however often it is asked (exactly once)
 *     A2  a client's own node has as many versions as it had sets acknowledged
 *     A3  registers are linearizable: zxids order them, so an answer or a read that began
 *         after another ended has a higher (read: no lower) zxid
 *     A4  a session expires only after its client's deadline
 *     A5  a lock's tokens rise, and a guarded write of a holder that lost it is refused */
#include "core/base/check.h"
#include "core/base/errors.h"
#include "core/base/hash.h"
#include "core/machine/result.h"
#include "core/session/session.h"
#include "core/tree/node.h"
#include "tests/sim/clients.h"

void client_session_lost(struct client *c)
{
    trace(c->world, "client %u lost session %" PRIu64, c->id, c->session);
    for (uint32_t i = 0; i < ASKS; i++) {
        c->own_maybe += c->asks[i].kind == OWN_SET;
        c->asks[i].kind = 0;
    }
    if (c->lock_token != 0) c->token_gone = c->lock_token;
    c->session = c->seq = c->ack = c->lock_token = 0;
    c->deadline_us = 0;
    memset(c->answered, 0, sizeof c->answered);
    ask_new(c, OPEN);
}

static void extend(struct client *c, uint64_t sent_us)
{
    const struct options *o = &c->world->options;
    /* Clocks differ in their rate: who relies on a session allows for it. */
    uint64_t deadline = sent_us + (1000 - 2 * o->drift_permille) * o->session_ms;

    if (deadline > c->deadline_us) c->deadline_us = deadline;
}

static void acknowledge(struct client *c, uint64_t seq)
{
    enum { WINDOW = SIM_DEPTH * 4 };

    c->answered[seq % WINDOW] = true;
    while (c->answered[(c->ack + 1) % WINDOW])
        c->answered[++c->ack % WINDOW] = false;
}

/* A1 */
static void same_as_before(struct client *c, const struct ask *a, struct bytes result)
{
    enum {
        PLACES = sizeof c->world->shared->results / sizeof c->world->shared->results[0]
    };
    struct told_result *told =
        &c->world->shared->results[hash_u64(c->session, a->seq) % PLACES];
    uint64_t hash = hash_bytes(result, 1);

    if (told->session == c->session && told->seq == a->seq && told->hash != hash) {
        broken(c->world, "client %u seq %" PRIu64 " was answered differently before", c->id,
               a->seq);
    }
    *told = (struct told_result){ c->session, a->seq, hash };
}

/* A5: between a grant and a write under it, nobody else was granted the lock. */
static void not_between(struct world *w, uint64_t grant, uint64_t write_token,
                        uint64_t write)
{
    if (grant <= write_token || grant >= write) return;
    broken(w, "a write under token %" PRIu64 " passed after token %" PRIu64 " was granted",
           write_token, grant);
}

static void mark(struct marks *marks, uint64_t token, uint64_t zxid)
{
    marks->at[marks->next].token = token;
    marks->at[marks->next].zxid = zxid;
    marks->next = (marks->next + 1) % 256;
}

static void granted(struct world *w, uint64_t token)
{
    const struct marks *writes = &w->shared->guarded;

    mark(&w->shared->grants, token, token);
    for (uint32_t i = 0; i < 256; i++) {
        not_between(w, token, writes->at[i].token, writes->at[i].zxid);
    }
    w->stats.grants++;
}

static void wrote_guarded(struct world *w, const struct ask *a, const struct result *r)
{
    const struct marks *grants = &w->shared->grants;

    w->stats.guarded++;
    w->stats.guards_refused += r->code != 0;
    if (r->code != 0) return;
    mark(&w->shared->guarded, a->token, r->zxid);
    for (uint32_t i = 0; i < 256; i++)
        not_between(w, grants->at[i].token, a->token, r->zxid);
}

static void locked(struct client *c, const struct ask *a, const struct result *r)
{
    uint64_t token = values_token(r->value);

    if (r->code != 0) broken(c->world, "the lock was refused: %s", error_name(r->code));
    if (token <= a->floor) broken(c->world, "token %" PRIu64 " did not rise", token);
    if (token > c->world->shared->token) c->world->shared->token = token;
    granted(c->world, token);
    c->lock_token = token;
}

static void judge(struct client *c, const struct ask *a, const struct result *r)
{
    struct world *w = c->world;

    switch (a->kind) {
    case SETUP:
        if (r->code != 0 && r->code != ERR_NODE_EXISTS) goto refused;
        w->shared->ready = true;
        return;
    case OWN_CREATE:
        if (r->code != 0 && r->code != ERR_NODE_EXISTS) goto refused;
        c->own_created = true;
        return;
    case OWN_SET:
        if (r->code != 0) goto refused;
        c->own_sets++;
        if (a->proof) c->owed = false;
        return;
    case KEY_SET:
        if (r->code != 0) goto refused;
        if (r->zxid <= a->floor) broken(w, "a write went before one that had ended");
        if (r->zxid > w->shared->key_zxid[a->key]) w->shared->key_zxid[a->key] = r->zxid;
        return;
    case LOCK:
        locked(c, a, r);
        return;
    case GUARDED: /* the session may be lost in all but name: then the guard refuses */
        if (r->code != 0 && r->code != ERR_GUARD_FAILED) goto refused;
        wrote_guarded(w, a, r);
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
    broken(w, "client %u: %s was refused: %s", c->id, ask_name(a->kind),
           error_name(r->code));
}

static void opened(struct client *c, struct ask *a, const struct result *r)
{
    struct result_parts parts = result_parts_of(r);
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

    if (w->now_us < c->paused_until_us) return;
    if (a->kind == 0 || a->tag != tag) return; /* asked again elsewhere */
    /* A call that waits is never late: who is told that it does not wait asks elsewhere. */
    if (code == ERR_CLOSED || (code != 0 && a->kind == LOCK)) c->cut_off = true;
    if (code != 0) return;
    w->stats.answers++;
    if (result_decode(bytes, &r) != 0) broken(w, "an answer that is no result");
    trace(w, "client %u is answered: %s seq %" PRIu64 " %s zxid %" PRIu64, c->id,
          ask_name(a->kind), a->seq, error_name(r.code), r.zxid);
    if (r.code == ERR_BUSY) {
        c->cut_off = a->kind == LOCK;
        return;
    }
    if (a->kind == OPEN) {
        opened(c, a, &r);
        return;
    }
    if (r.code == ERR_SESSION_EXPIRED) {
        client_session_lost(c);
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
    uint64_t *newest = &c->world->shared->key_zxid[a->key];

    snprintf(path, sizeof path, "/key/k%u", a->key);
    node_read(&replica_machine(n->replica)->applied->view, bytes_str(path), &node);

    uint64_t zxid = a->kind == KEY_GET ? node.mzxid : values_query(n, path);

    if (zxid < a->floor) {
        broken(c->world,
               "a %s at node %u shows zxid %" PRIu64 " after %" PRIu64 " had ended",
               ask_name(a->kind), n->id, zxid, a->floor);
    }
    if (zxid > *newest) *newest = zxid;
}

void clients_ready(struct server *n, uint64_t tag, int code)
{
    struct client *c = client_of(n->world, tag);
    struct ask *a = &c->asks[tag & 0xff];

    if (n->world->now_us < c->paused_until_us) return;
    if (a->kind == 0 || a->tag != tag) return;
    if (code == ERR_SESSION_EXPIRED) {
        client_session_lost(c);
        return;
    }
    if (code != 0) return;
    if (a->kind == KEY_GET || a->kind == KEY_QUERY) got(n, c, a);
    n->world->stats.reads++;
    if (a->kind == RENEW) extend(c, a->began_us);
    a->kind = 0;
}

/* A4. Virtual time is one for all, so the client's own reckoning is the judge. */
void clients_expired(struct world *w, uint64_t session)
{
    w->stats.expiries++;
    for (uint32_t i = 0; i < w->options.clients; i++) {
        struct client *c = &w->clients[i];

        if (c->session == session && w->now_us < c->deadline_us) {
            broken(w, "session %" PRIu64 " of client %u expired %.0f ms early", session,
                   c->id, (double)(c->deadline_us - w->now_us) / 1000);
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

        uint64_t sets = (uint64_t)own.version;

        if (sets < c->own_sets || sets > c->own_sets + c->own_maybe) {
            broken(w,
                   "client %u had %" PRIu64 " sets acknowledged (and %" PRIu64
                   " lost with sessions), its node has version %" PRIu64,
                   c->id, c->own_sets, c->own_maybe, sets);
        }
    }
}
