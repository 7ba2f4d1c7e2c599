#include "core/server/greet.h"

#include <stdio.h>
#include <unistd.h>

#include "core/base/check.h"
#include "core/server/conn.h"
#include "core/server/version.h"
#include "lua/host.h"
#include "lua/shipped.h"

enum { PROTO = 0, CLUSTER = 1, MEMBERS = 2 }; /* positions of hello's values */

static void put_str(struct buf *out, const char *name, const char *value)
{
    pack_cstr(out, name);
    pack_cstr(out, value);
}

static void put_uint(struct buf *out, const char *name, uint64_t value)
{
    pack_cstr(out, name);
    pack_uint(out, value);
}

/* --- hello --- */

static void put_client_addresses(struct service *s, struct buf *out)
{
    const struct roster *roster = driver_roster(s->driver);

    pack_map(out, roster->count);
    for (uint32_t i = 0; i < roster->count; i++) {
        pack_uint(out, roster->at[i].id);
        pack_cstr(out, peers_client_address(driver_peers(s->driver), roster->at[i].id));
    }
}

void greet_hello(struct conn *c, uint32_t msgid, const struct rpc_values *values,
                 struct buf *out)
{
    struct service *s = c->service;
    const struct rpc_value *cluster = &values->at[CLUSTER];

    if (values->at[PROTO].number != RPC_PROTO) {
        rpc_error(out, msgid, ERR_BAD_PROTOCOL, "this server speaks protocol 1");
        return;
    }
    if (cluster->given && !bytes_equal(cluster->bytes, bytes_str(s->config->cluster))) {
        rpc_error(out, msgid, ERR_WRONG_CLUSTER, NULL);
        return;
    }
    c->greeted = true;
    c->wants_members = values->at[MEMBERS].number != 0;
    rpc_response_begin(out, msgid);
    pack_map(out, 6);
    put_uint(out, "proto", RPC_PROTO);
    put_str(out, "version", TIDELOCK_VERSION);
    put_str(out, "cluster", s->config->cluster);
    put_uint(out, "node", s->config->id);
    put_uint(out, "leader", driver_status(s->driver).leader);
    pack_cstr(out, "members");
    put_client_addresses(s, out);
}

static void members_send(struct conn *c)
{
    struct buf *out = conn_out(c);

    rpc_notification_begin(out, "members");
    pack_array(out, 1);
    put_client_addresses(c->service, out);
}

void greet_turn(struct service *s)
{
    const uint64_t version = peers_client_version(driver_peers(s->driver));

    if (version == s->members_told) return;
    s->members_told = version;
    LIST_EACH(at, &s->conns)
    {
        struct conn *c = CONTAINER_OF(at, struct conn, member);
        if (c->wants_members && !c->closing && c->parting_ms == 0) members_send(c);
    }
}

/* --- status --- */

static const char *role_name(const struct service *s, const struct replica_status *r)
{
    const struct member *self = roster_find(driver_roster(s->driver), s->config->id);

    if (r->role == PAXOS_LEADING) return "leader";
    if (self == NULL || self->kind != MEMBER_VOTER) return "learner";
    return r->role == PAXOS_FOLLOWER ? "follower" : "candidate";
}

static void put_member(struct service *s, const struct member *m, struct buf *out)
{
    pack_uint(out, m->id);
    pack_map(out, 4);
    put_str(out, "kind", member_kind_name(m->kind));
    put_str(out, "peer", m->peer);
    put_str(out, "client", peers_client_address(driver_peers(s->driver), m->id));
    put_uint(out, "chosen", driver_member_chosen(s->driver, m->id));
}

static void put_members(struct service *s, struct buf *out)
{
    const struct roster *roster = driver_roster(s->driver);

    put_uint(out, "number", roster->number);
    pack_cstr(out, "members");
    pack_map(out, roster->count);
    for (uint32_t i = 0; i < roster->count; i++) put_member(s, &roster->at[i], out);
}

static void put_recipes(struct buf *out)
{
    uint32_t count = 0;

    while (RECIPES_SHIPPED[count].name != NULL) count++;
    pack_cstr(out, "shipped");
    pack_array(out, count);
    for (uint32_t i = 0; i < count; i++) pack_cstr(out, RECIPES_SHIPPED[i].name);
}

static void put_loads(struct service *s, const struct replica_status *r, struct buf *out)
{
    put_uint(out, "connections", s->conns_count);
    put_uint(out, "requests", s->jobs.count);
    put_uint(out, "sessions", r->sessions_leased);
    put_uint(out, "waiting_calls", r->waiting_calls);
}

static void put_function(const struct host_stats *f, struct buf *out)
{
    pack_map(out, 11);
    pack_cstr(out, "name");
    pack_str(out, f->name);
    put_uint(out, "calls", f->calls);
    put_uint(out, "runs", f->runs);
    put_uint(out, "waits", f->waits);
    put_uint(out, "errors", f->errors);
    put_uint(out, "over_budget", f->over_budget);
    put_uint(out, "fuel", f->fuel);
    put_uint(out, "fuel_max", f->fuel_max);
    put_uint(out, "time_us", f->time_ns / 1000);
    put_uint(out, "rests", f->rests);
    put_uint(out, "rests_until_ms", (uint64_t)f->rests_until_ms);
}

void greet_recipe_stats(struct service *s, uint32_t msgid, struct buf *out)
{
    const struct lua_host *h = driver_host(s->driver);
    struct host_stats f;
    uint32_t count = 0;

    while (host_stats(h, count, &f)) count++;
    rpc_response_begin(out, msgid);
    pack_map(out, 1);
    pack_cstr(out, "functions");
    pack_array(out, count);
    for (uint32_t i = 0; host_stats(h, i, &f); i++) put_function(&f, out);
}

void greet_status(struct service *s, uint32_t msgid, struct buf *out)
{
    const struct replica_status r = driver_status(s->driver);
    char digest[17];

    snprintf(digest, sizeof digest, "%016llx", (unsigned long long)r.digest);
    rpc_response_begin(out, msgid);
    pack_map(out, 22);
    put_uint(out, "node", s->config->id);
    put_str(out, "cluster", s->config->cluster);
    put_str(out, "role", role_name(s, &r));
    put_uint(out, "leader", r.leader);
    pack_cstr(out, "serving");
    pack_bool(out, r.serving);
    put_uint(out, "round", r.ballot.round);
    put_uint(out, "chosen", r.chosen);
    put_uint(out, "applied", r.applied);
    put_uint(out, "zxid", r.zxid);
    put_str(out, "digest", digest);
    put_uint(out, "lease_ms", s->config->lease_ms);
    put_uint(out, "disk_us", r.disk_us);
    put_uint(out, "boot", driver_boot(s->driver));
    put_str(out, "version", TIDELOCK_VERSION);
    put_uint(out, "pid", (uint64_t)getpid());
    put_loads(s, &r, out);
    put_members(s, out);
    put_recipes(out);
}
