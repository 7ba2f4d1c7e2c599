#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

#include "core/base/check.h"
#include "core/base/errors.h"
#include "core/base/log.h"
#include "core/server/clock.h"
#include "core/server/driver_inside.h"
#include "core/server/membership.h"
#include "core/server/peer_context.h"
#include "core/server/say.h"
#include "lua/host.h"

enum {
    FLUSH_EVERY_MS = 10000, /* bounds what a restart must apply again */
    DIRTY_BYTES = 4 << 20,  /* applied changes in memory before they are written behind */
    ROUNDS_MAX = 4,         /* of starting requests in one turn */
    /* For a peer that gets a snapshot the log behind it is kept to so many times its usual
     * size. If that is not enough, the peer gets another snapshot. */
    LOG_KEEP_FACTOR = 8,
    SCRIPT_CPU_MAX_MS = 50, /* of one run: less than a heartbeat may be late */
    /* Whoever dials this address does so again in less, and would know of a cluster that was
     * founded here before: the clients of that one must not meet an empty tree. */
    FOUND_ALONE_MS = 600,
};

/* A server alone needs no quorum but its own, so haste disturbs nobody. */
enum { ALONE_HEARTBEAT_MS = 10, ALONE_ELECTION_MIN_MS = 30, ALONE_ELECTION_MAX_MS = 40 };

static uint64_t random_seed(void)
{
    uint64_t seed;

    CHECK(getrandom(&seed, sizeof seed, 0) == (ssize_t)sizeof seed);
    return seed;
}

/* --- snapshots --- */

static void on_installed(void *ctx)
{
    struct driver *d = ctx;

    d->config.clients.installed(d->config.clients.ctx);
}

/* What began or ended within this turn. */
static void follow_snapshots(struct driver *d)
{
    bool installing = replica_status(d->replica).installing;
    uint64_t sending = replica_sending(d->replica);

    if (sending != d->sending && sending != 0) {
        log_line(LOG_INFO, "state", "msg=\"a peer lags too far: sending the state\" slot=%llu",
                 (unsigned long long)sending);
    }
    d->sending = sending;
    if (installing == d->installing) return;
    d->installing = installing;
    log_line(LOG_INFO, "state", "msg=\"%s\"",
             installing ? "lags too far: a copy of a peer's state begins"
                        : "the copy of a peer's state has ended");
    d->config.clients.installing(d->config.clients.ctx, installing);
}

/* --- what peers tell --- */

/* Before, the replica promises nothing, votes for nothing and asks for no leadership: it is
 * not driven at all. */
static bool takes_part(const struct driver *d)
{
    return d->begun && d->config.datadir->identity.joined;
}

/* One that never took part has nothing to tidy, and lingering would only mislead. */
static void on_refused(void *ctx, uint32_t node, int code)
{
    struct driver *d = ctx;
    bool joined = d->config.datadir->identity.joined;

    if (d->removed) {
        replica_let_go(d->replica, node);
        return;
    }
    membership_end(&d->config.datadir->identity, node, code);
    if (!joined) _exit(EXIT_FAILURE);
    d->config.ended(d->config.ctx);
}

static void follow_members(struct driver *d)
{
    const struct roster *roster = replica_roster(d->replica);

    d->members_changed = false;
    if (roster->number == 0) return;
    say_members(roster);
    peers_follow(d->peers, roster);
}

/* Only who has left is noted as gone: one that ends before tells the others when it is
 * started again. */
static void follow_removal(struct driver *d)
{
    if (!d->parts) d->config.ended(d->config.ctx);
    d->parts = true;
    if (replica_status(d->replica).leaving) return;
    d->removed = false;
    membership_end(&d->config.datadir->identity, 0, ERR_NO_MEMBER);
}

/* Who the others are is known once this server has joined. */
static void found_when_joined(struct driver *d)
{
    if (d->founded || !takes_part(d)) return;
    const struct roster founders =
        membership_founders(&d->config.datadir->identity, d->config.advertise);
    if (founders.number != 0) replica_found(d->replica, &founders);
    d->founded = true;
}

static bool on_frame(void *ctx, struct peer_id from, struct bytes frame)
{
    struct driver *d = ctx;
    const struct replica_peer sender = { from.node, from.incarnation };

    found_when_joined(d);
    return replica_receive(d->replica, clock_now(), sender, frame);
}

static void on_up(void *ctx, uint32_t node)
{
    struct driver *d = ctx;

    if (d->replica != NULL) replica_peer_up(d->replica, clock_now(), node);
}

static void on_down(void *ctx, uint32_t node)
{
    struct driver *d = ctx;

    if (d->replica != NULL) replica_peer_down(d->replica, clock_now(), node);
}

/* --- a turn --- */

static void tell_durable(struct driver *d)
{
    uint64_t durable = log_durable(d->log);

    if (durable == d->durable) return;
    d->durable = durable;
    peers_durable(d->peers, durable);
    replica_durable(d->replica, clock_now(), durable);
}

static void log_role(struct driver *d)
{
    const struct replica_status s = replica_status(d->replica);

    d->role_changed = false;
    say_role(&s);
}

/* Answers may allow further requests to start, which belong to this turn still. */
static void rounds(struct driver *d)
{
    const struct driver_clients *c = &d->config.clients;

    for (int i = 0; i < ROUNDS_MAX; i++) {
        c->turn(c->ctx);
        if (takes_part(d)) replica_turn(d->replica, clock_now());
        if (!c->again(c->ctx)) return;
    }
}

static void on_prepare(uv_prepare_t *prepare)
{
    struct driver *d = prepare->data;
    const struct driver_clients *c = &d->config.clients;

    tell_durable(d);
    queries_turn(driver_queries(d));
    rounds(d);
    peers_flush(d->peers); /* first: what a peer has to do takes longest */
    if (d->appended) log_submit(d->log);
    d->appended = false;
    c->flush(c->ctx);
    state_turn(d->state, machine_slot(replica_machine(d->replica)));
    if (d->members_changed) follow_members(d);
    if (d->removed) follow_removal(d);
    if (d->role_changed) log_role(d);
    follow_snapshots(d);
    /* What is left, or got room by the flush, is the next turn's: do not sleep before it.
     */
    if (c->again(c->ctx) || replica_again(d->replica)) uv_async_send(&d->wake);
}

static void on_wake(uv_async_t *wake)
{
    (void)wake; /* the turn looks what there is */
}

static void wake_loop(void *ctx)
{
    struct driver *d = ctx;

    uv_async_send(&d->wake);
}

static bool disk_is_full(const struct driver *d)
{
    return log_full(d->log) || state_full(d->state);
}

static void flush_when_due(struct driver *d, uint64_t now_ms)
{
    uint64_t applied = machine_slot(replica_machine(d->replica));

    if (now_ms < d->flush_due_ms) return;
    d->flush_due_ms = now_ms + FLUSH_EVERY_MS;
    if (applied > state_flushed(d->state)) state_flush(d->state, applied);
}

/* What is on disk as state is needed as log by watches and peers that come back, and by a
 * peer that is sent a snapshot. */
static void trim_log(struct driver *d)
{
    uint64_t keep_bytes = d->config.config->log_keep_bytes;
    uint64_t slot = log_slot_within(d->log, keep_bytes), flushed = state_flushed(d->state);
    uint64_t sending = replica_sending(d->replica);

    if (sending != 0 && slot > sending + 1) {
        slot = log_slot_within(d->log, LOG_KEEP_FACTOR * keep_bytes);
        if (slot < sending + 1) slot = sending + 1;
    }
    if (slot > flushed) slot = flushed;
    if (slot > d->trimmed) log_trim(d->log, slot);
    if (slot > d->trimmed) d->trimmed = slot;
}

/* Whatever else is kept. */
static void trim_damaged(struct driver *d)
{
    uint64_t slot = log_slot_damaged(d->log);

    if (slot != 0 && slot <= state_flushed(d->state) + 1) log_trim(d->log, slot);
}

static void on_tick(uv_timer_t *timer)
{
    struct driver *d = timer->data;
    const struct replica_time time = clock_now();

    replica_full(d->replica, disk_is_full(d));
    d->begun = d->begun || time.now_ms >= d->begins_ms;
    found_when_joined(d);
    if (takes_part(d)) replica_tick(d->replica, time);
    flush_when_due(d, time.now_ms);
    trim_log(d);
    trim_damaged(d);
}

/* --- start --- */

static int open_log(struct driver *d, struct log_recovered *recovered, char *why,
                    size_t why_size)
{
    const struct config *c = d->config.config;
    const struct log_config config = { .dir = d->config.datadir->log,
                                       .segment_bytes = c->log_segment_bytes,
                                       .cluster = config_cluster_hash(c),
                                       .node = c->id,
                                       .slot_at_rest = store_slot(&d->store),
                                       .on_durable = wake_loop,
                                       .ctx = d };

    int code = log_open(&config, &d->log, recovered, why, why_size);
    if (code != 0) return code;
    d->boot = recovered->boot;
    say_recovered(recovered);
    return identity_settle(&d->config.datadir->identity, why);
}

static int open_state(struct driver *d, char *why, size_t why_size)
{
    const struct state_config config = { .dir = d->config.datadir->state,
                                         .cache_bytes = d->config.config->cache_bytes,
                                         .dirty_bytes = DIRTY_BYTES,
                                         .seed = random_seed(),
                                         .on_flushed = wake_loop,
                                         .ctx = d };

    int code = state_open(&config, &d->state, why, why_size);
    d->store = (struct store){ d->state, on_installed, d };
    return code;
}

static void open_peers(struct driver *d)
{
    const struct peers_config config = { .loop = d->config.loop,
                                         .config = d->config.config,
                                         .identity = &d->config.datadir->identity,
                                         .advertise = d->config.advertise,
                                         .cluster = config_cluster_hash(d->config.config),
                                         .boot = d->boot,
                                         .seed = random_seed(),
                                         .events = { d, on_frame, on_up, on_down,
                                                     on_refused } };

    d->peers = peers_new(&config);
}

static struct paxos_config paxos_config_of(const struct config *c)
{
    struct paxos_config p = { .self = c->id,
                              .heartbeat_ms = c->heartbeat_ms,
                              .election_min_ms = c->election_min_ms,
                              .election_max_ms = c->election_max_ms,
                              .lease_ms = c->lease_ms,
                              .seed = random_seed() };

    if (config_is_alone(c)) {
        p.heartbeat_ms = ALONE_HEARTBEAT_MS;
        p.election_min_ms = ALONE_ELECTION_MIN_MS;
        p.election_max_ms = ALONE_ELECTION_MAX_MS;
        p.lease_ms = 0; /* there is nobody to ask anyway */
    }
    return p;
}

static int open_replica(struct driver *d, const struct log_recovered *recovered, char *why,
                        size_t why_size)
{
    const struct replica_config config = {
        .paxos = paxos_config_of(d->config.config),
        .founders = membership_founders(&d->config.datadir->identity, d->config.advertise),
        .incarnation = d->config.datadir->identity.incarnation,
        .io = driver_io(d),
        .store = store_hooks(&d->store),
        .limits = { d->config.config->tree_nodes_max, d->config.config->tree_bytes_max },
        .scripts = host_scripts(d->host),
        .applied = state_applied(d->state),
        .boot = d->boot,
        .seed = random_seed(),
    };
    const struct replica_restored restored = { .promised = recovered->promised,
                                               .chosen = recovered->chosen,
                                               .votes_count = recovered->votes_count,
                                               .votes = recovered->votes };

    d->replica = replica_new(&config, &restored, clock_now(), why, why_size);
    if (d->replica == NULL) return ERR_DAMAGED;
    log_forget_doubtful(d->log, recovered, &replica_machine(d->replica)->run);
    d->members_changed = true;
    d->removed = !membership_is_mine(&d->config.datadir->identity, replica_roster(d->replica));
    if (d->removed) replica_leave(d->replica);
    return 0;
}

/* One that has decided something is known by its directory. */
static bool founds_alone(const struct driver *d, const struct log_recovered *recovered)
{
    const struct identity *i = &d->config.datadir->identity;

    return i->number == IDENTITY_NUMBER_FOUNDED && i->config->members_count == 1 &&
           !config_is_alone(i->config) && recovered->chosen == 0;
}

static void start_handles(struct driver *d)
{
    uv_loop_t *loop = d->config.loop;

    CHECK(uv_timer_init(loop, &d->tick) == 0);
    CHECK(uv_prepare_init(loop, &d->prepare) == 0);
    d->tick.data = d->prepare.data = d;
    uv_timer_start(&d->tick, on_tick, TICK_MS, TICK_MS);
    uv_prepare_start(&d->prepare, on_prepare);
}

static void votes_release(struct log_recovered *recovered)
{
    for (uint32_t i = 0; i < recovered->votes_count; i++) {
        blob_unref(recovered->votes[i].proposal.batch);
    }
}

int driver_open(const struct driver_config *config, struct driver **driver, char *why,
                size_t why_size)
{
    struct driver *d = mem_zalloc(sizeof *d);
    struct log_recovered *recovered = mem_zalloc(sizeof *recovered);

    *driver = d;
    d->config = *config;
    CHECK(uv_async_init(config->loop, &d->wake, on_wake) == 0);
    d->host = host_new(
        (struct sandbox_budget){ SCRIPT_MEMORY_MAX, SCRIPT_FUEL_MAX, SCRIPT_CPU_MAX_MS });
    int code = open_state(d, why, why_size);
    if (code == 0) code = open_log(d, recovered, why, why_size);
    if (code == 0) {
        open_peers(d);
        code = open_replica(d, recovered, why, why_size);
    }
    d->begun = !founds_alone(d, recovered);
    d->begins_ms = clock_now().now_ms + FOUND_ALONE_MS;
    votes_release(recovered);
    free(recovered);
    if (code != 0) return code;
    start_handles(d);
    return peers_start(d->peers, why, why_size);
}

/* --- end --- */

void driver_close(struct driver *d)
{
    bool started = d->replica != NULL;

    if (d->peers != NULL) peers_stop(d->peers);
    if (started) replica_free(d->replica);
    d->replica = NULL;
    if (d->state != NULL) state_close(d->state);
    if (d->log != NULL) log_close(d->log);
    host_free(d->host);
    uv_close((uv_handle_t *)&d->wake, NULL); /* now that nobody wakes us any more */
    if (!started) return;
    uv_close((uv_handle_t *)&d->tick, NULL);
    uv_close((uv_handle_t *)&d->prepare, NULL);
}

void driver_free(struct driver *d)
{
    if (d->peers != NULL) peers_free(d->peers);
    free(d);
}

/* --- what clients ask --- */

int driver_submit(struct driver *d, uint64_t tag, uint64_t flow, struct bytes request)
{
    if (!takes_part(d)) return ERR_NO_QUORUM;
    if (disk_is_full(d)) return ERR_DISK_FULL; /* known before the next tick */
    return replica_submit(d->replica, clock_now(), tag, flow, request);
}

int driver_read(struct driver *d, uint64_t tag, uint64_t session)
{
    if (!takes_part(d)) return ERR_NO_QUORUM;
    return replica_read(d->replica, clock_now(), tag, session);
}

void driver_attached(struct driver *d, uint64_t session, uint64_t zxid)
{
    if (takes_part(d)) replica_attached(d->replica, clock_now(), session, zxid);
}

int driver_transfer(struct driver *d, uint32_t node)
{
    return replica_transfer(d->replica, clock_now(), node);
}

struct kv_view *driver_view(struct driver *d)
{
    return &state_applied(d->state)->view;
}

struct replica_status driver_status(const struct driver *d)
{
    return replica_status(d->replica);
}

uint64_t driver_zxid(const struct driver *d)
{
    return replica_machine(d->replica)->zxid;
}

struct driver_age driver_age(const struct driver *d)
{
    const struct replica_time now = clock_now();
    const uint64_t fresh_ms = replica_fresh_ms(d->replica);

    return (struct driver_age){
        .lag_ms = fresh_ms == 0 || now.now_ms < fresh_ms ? UINT64_MAX : now.now_ms - fresh_ms,
        .leaderless_ms = replica_leaderless_ms(d->replica, now),
    };
}

const struct tree_tally *driver_tally(const struct driver *d)
{
    return &replica_machine(d->replica)->tally;
}

struct queries *driver_queries(struct driver *d)
{
    return replica_queries(d->replica);
}

const struct lua_host *driver_host(const struct driver *d)
{
    return d->host;
}

uint64_t driver_boot(const struct driver *d)
{
    return d->boot;
}

int driver_read_log(struct driver *d, uint64_t slot, struct proposal *p)
{
    return log_read(d->log, slot, p);
}

struct peers *driver_peers(struct driver *d)
{
    return d->peers;
}

uint64_t driver_founding(const struct driver *d)
{
    return d->config.datadir->identity.founding;
}

const struct roster *driver_roster(const struct driver *d)
{
    return replica_roster(d->replica);
}

uint64_t driver_member_chosen(const struct driver *d, uint32_t id)
{
    return replica_member_chosen(d->replica, id);
}
