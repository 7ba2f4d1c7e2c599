#include "tests/sim/front.h"

#include <stdlib.h>
#include <sys/random.h>

#include "core/base/check.h"
#include "core/base/errors.h"
#include "tests/sim/sim.h"

enum { ROUNDS_MAX = 4, OUR_MARK = 63 };

/* Tags of the service are told from those of other clients by their highest bit. */
static uint64_t tag_ours(uint64_t tag)
{
    CHECK(tag >> OUR_MARK == 0);
    return tag | (uint64_t)1 << OUR_MARK;
}

bool front_owns(uint64_t tag)
{
    return tag >> OUR_MARK != 0;
}

static uint64_t tag_theirs(uint64_t tag)
{
    return tag & ~((uint64_t)1 << OUR_MARK);
}

/* --- life --- */

/* Secrets and seeds: one seed of a world gives one history. */
static struct rng *entropy;

ssize_t getrandom(void *out, size_t size, unsigned flags)
{
    uint8_t *at = out;

    (void)flags;
    for (size_t i = 0; i < size; i++) at[i] = (uint8_t)rng_next(entropy);
    return (ssize_t)size;
}

void front_start(struct server *n)
{
    struct driver *d = mem_zalloc(sizeof *d);

    if (n->world->options.guests == 0) {
        free(d);
        return;
    }
    entropy = &n->world->rng;
    n->front = d;
    d->server = n;
    d->port = (struct port){ .server = n, .life = n->life };
    d->port.loop.data = &d->port;
    d->config.id = n->id;
    d->config.lease_ms = n->world->options.lease_ms;
    snprintf(d->config.cluster, sizeof d->config.cluster, "sim");
    service_init(&d->service, &d->port.loop, &d->config);
    service_start(&d->service, d);
    d->hooks = service_clients(&d->service);
    CHECK(service_listen(&d->service, NULL, NULL, 0) == 0);
}

void front_end(struct server *n)
{
    struct driver *d = n->front;

    if (d == NULL) return;
    service_close(&d->service);
    port_end(&d->port);
    service_fini(&d->service);
    n->front = NULL;
    free(d);
}

/* --- what the replica tells --- */

void front_txn(struct server *n, const struct txn *t, uint64_t zxid)
{
    if (n->front != NULL) n->front->hooks.txn(n->front->hooks.ctx, t, zxid);
}

void front_applied(struct server *n, uint64_t slot)
{
    if (n->front != NULL) n->front->hooks.applied(n->front->hooks.ctx, slot);
}

void front_attached(struct server *n, uint64_t session, uint64_t zxid)
{
    if (n->front != NULL) n->front->hooks.attached(n->front->hooks.ctx, session, zxid);
}

void front_recalled(struct server *n, uint64_t slot, uint64_t zxid_first, uint64_t zxid_last)
{
    const struct driver_clients *c = n->front == NULL ? NULL : &n->front->hooks;

    if (c != NULL) c->recalled(c->ctx, slot, zxid_first, zxid_last);
}

void front_answer(struct server *n, uint64_t tag, int code, struct bytes result)
{
    n->front->hooks.answer(n->front->hooks.ctx, tag_theirs(tag), code, result);
}

void front_ready(struct server *n, uint64_t tag, int code)
{
    n->front->hooks.ready(n->front->hooks.ctx, tag_theirs(tag), code);
}

void front_installed(struct server *n)
{
    if (n->front != NULL) n->front->hooks.installed(n->front->hooks.ctx);
}

/* --- a turn --- */

static void follow_snapshots(struct driver *d)
{
    bool installing = replica_status(d->server->replica).installing;

    if (installing == d->installing) return;
    d->installing = installing;
    d->hooks.installing(d->hooks.ctx, installing);
}

static void turn_with_clients(struct server *n)
{
    const struct driver_clients *c = &n->front->hooks;

    queries_turn(replica_queries(n->replica));
    for (int i = 0; i < ROUNDS_MAX; i++) {
        c->turn(c->ctx);
        replica_turn(n->replica, node_time(n));
        if (n->dying || !c->again(c->ctx)) break;
    }
    if (n->dying) return;
    c->flush(c->ctx);
    follow_snapshots(n->front);
    if (c->again(c->ctx)) node_soon(n);
}

void front_turn(struct server *n)
{
    if (n->front == NULL) {
        replica_turn(n->replica, node_time(n));
    } else {
        turn_with_clients(n);
    }
}

/* --- the driver --- */

int driver_submit(struct driver *d, uint64_t tag, uint64_t flow, struct bytes request)
{
    struct server *n = d->server;

    if (disk_is_full(n)) return ERR_DISK_FULL;
    return replica_submit(n->replica, node_time(n), tag_ours(tag), flow, request);
}

int driver_read(struct driver *d, uint64_t tag, uint64_t session)
{
    struct server *n = d->server;

    return replica_read(n->replica, node_time(n), tag_ours(tag), session);
}

void driver_attached(struct driver *d, uint64_t session, uint64_t zxid)
{
    replica_attached(d->server->replica, node_time(d->server), session, zxid);
}

int driver_transfer(struct driver *d, uint32_t node)
{
    return replica_transfer(d->server->replica, node_time(d->server), node);
}

struct kv_view *driver_view(struct driver *d)
{
    return &replica_machine(d->server->replica)->applied->view;
}

struct replica_status driver_status(const struct driver *d)
{
    return replica_status(d->server->replica);
}

uint64_t driver_zxid(const struct driver *d)
{
    return replica_machine(d->server->replica)->zxid;
}

struct driver_age driver_age(const struct driver *d)
{
    const struct replica_time now = node_time(d->server);
    const uint64_t fresh_ms = replica_fresh_ms(d->server->replica);

    return (struct driver_age){
        .lag_ms = fresh_ms == 0 || now.now_ms < fresh_ms ? UINT64_MAX : now.now_ms - fresh_ms,
        .leaderless_ms = replica_leaderless_ms(d->server->replica, now),
    };
}

const struct tree_tally *driver_tally(const struct driver *d)
{
    return &replica_machine(d->server->replica)->tally;
}

int driver_read_log(struct driver *d, uint64_t slot, struct proposal *p)
{
    return node_read_log(d->server, slot, p);
}

struct queries *driver_queries(struct driver *d)
{
    return replica_queries(d->server->replica);
}

const struct lua_host *driver_host(const struct driver *d)
{
    (void)d;
    return NULL; /* no client asks for recipe.stats here */
}

uint64_t driver_boot(const struct driver *d)
{
    return d->server->life + 1;
}

struct peers *driver_peers(struct driver *d)
{
    return (struct peers *)d;
}

uint64_t driver_founding(const struct driver *d)
{
    (void)d;
    return 1;
}

const struct roster *driver_roster(const struct driver *d)
{
    return replica_roster(d->server->replica);
}

uint64_t driver_member_chosen(const struct driver *d, uint32_t id)
{
    return replica_member_chosen(d->server->replica, id);
}

const char *peers_client_address(const struct peers *p, uint32_t node)
{
    static const char *const names[] = { "a:1", "b:1", "c:1", "d:1", "e:1" };

    (void)p;
    return node <= SIM_NODES_MAX ? names[node - 1] : "";
}

uint64_t peers_client_version(const struct peers *p)
{
    return driver_roster((const struct driver *)p)->number;
}
