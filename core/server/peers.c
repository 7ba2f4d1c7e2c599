#include "core/server/peers.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/base/check.h"
#include "core/base/errors.h"
#include "core/base/log.h"
#include "core/server/inlet.h"
#include "core/server/link.h"
#include "core/server/listener.h"

enum {
    HELD_BYTES_MAX = 64 << 20, /* waiting for our own disk; more is lost, which is legal */
    GREETING_LIMIT_MS = 2000,
    SWEEP_MS = 1000,
    WAITING_LINE_SWEEPS = 10, /* between two lines about members that are waited for */
    INLETS_MAX = 4 * NODES_MAX,
};

struct held { /* a frame that waits for the log */
    struct list member;
    uint64_t after;
    nodes_set to;
    size_t len;
    uint8_t body[];
};

struct peers {
    struct peers_config config;
    struct peer_context context;
    struct address listen;
    uv_tcp_t listener;
    uv_timer_t sweep; /* closes strangers that say nothing */
    bool started;
    unsigned sweeps;
    bool listening;
    nodes_set agreed; /* others whose founding is ours; in use before joining only */
    struct roster roster; /* the newest that we know */
    struct link *links[NODES_MAX]; /* by id - 1; NULL: nobody to dial */
    struct list inlets;
    struct list held; /* by `after`, the lowest first */
    size_t held_bytes;
    uint64_t durable;
    char clients[NODES_MAX][ADDRESS_TEXT_MAX];
    uint64_t clients_version;
};

/* --- frames out --- */

static void deliver(struct peers *p, nodes_set to, struct bytes frame)
{
    for (uint32_t id = 1; to != 0; id++, to >>= 1) {
        if ((to & 1) != 0 && p->links[id - 1] != NULL) link_send(p->links[id - 1], frame);
    }
}

static void hold(struct peers *p, nodes_set to, uint64_t after, struct bytes frame)
{
    if (p->held_bytes + frame.len > HELD_BYTES_MAX) return;
    struct held *h = mem_alloc(sizeof *h + frame.len);
    h->after = after;
    h->to = to;
    h->len = frame.len;
    memcpy(h->body, frame.ptr, frame.len);
    p->held_bytes += frame.len;
    struct list *before = p->held.prev; /* nearly always the last one */
    while (before != &p->held && CONTAINER_OF(before, struct held, member)->after > after) {
        before = before->prev;
    }
    list_init(&h->member);
    list_push(before->next, &h->member);
}

void peers_send(struct peers *p, nodes_set to, uint64_t after, struct bytes frame)
{
    CHECK(frame.len > 0 && frame.len <= FRAME_BYTES_MAX);
    if (after <= p->durable) {
        deliver(p, to, frame);
    } else {
        hold(p, to, after, frame);
    }
}

static void release(struct peers *p, struct held *h, bool send)
{
    if (send) deliver(p, h->to, bytes_of(h->body, h->len));
    p->held_bytes -= h->len;
    list_remove(&h->member);
    free(h);
}

void peers_durable(struct peers *p, uint64_t seq)
{
    CHECK(seq >= p->durable);
    p->durable = seq;
    while (!list_empty(&p->held)) {
        struct held *h = LIST_FIRST(&p->held, struct held, member);
        if (h->after > seq) return;
        release(p, h, true);
    }
}

/* A failed write is followed by the end of the stream, which closes the connection. */
static void on_flushed(struct out *o, int code)
{
    if (code != 0) out_drop(o);
}

void peers_flush(struct peers *p)
{
    out_flush_all(&p->context.dirties, on_flushed);
}

/* --- what links and inlets tell --- */

static void know_client(struct peers *p, uint32_t node, struct bytes client)
{
    char *at = p->clients[node - 1];
    size_t len = client.len < ADDRESS_TEXT_MAX ? client.len : 0;

    if (bytes_equal(bytes_of(client.ptr, len), bytes_str(at))) return;
    if (len > 0) memcpy(at, client.ptr, len);
    at[len] = '\0';
    p->clients_version++;
}

/* Founders get to know each other. */
static int judge_founder(struct peers *p, const struct wire_hello *theirs)
{
    char why[CONFIG_WHY_MAX];

    if (roster_find(&p->roster, theirs->from) == NULL) return ERR_CONFIG;
    int code = identity_meet(p->config.identity, theirs->from, theirs->incarnation, why);
    if (code != 0 && code != ERR_OTHER_DATA) {
        log_line(LOG_ERROR, "peers", "msg=\"a peer cannot be noted\" why=\"%s\"", why);
    }
    return code;
}

/* Whoever knows no newer roster than ours, and is not in ours, was removed, lost its memory,
 * or was never a member. */
static int judge_member(const struct peers *p, struct peer_id peer, uint32_t number)
{
    if (roster_knows(&p->roster, peer.node, peer.incarnation)) return 0;
    if (number > p->roster.number) return 0;
    return roster_find(&p->roster, peer.node) != NULL ? ERR_OTHER_DATA : ERR_NO_MEMBER;
}

static int on_greeted(void *ctx, const struct wire_hello *theirs)
{
    struct peers *p = ctx;
    const struct peer_id peer = { theirs->from, theirs->incarnation };

    int code = p->config.identity->joined ? judge_member(p, peer, theirs->number)
                                          : judge_founder(p, theirs);
    if (code == 0) know_client(p, theirs->from, theirs->client);
    return code;
}

/* The members as the identity has them. */
static void know(struct peers *p)
{
    identity_roster(p->config.identity, &p->roster);
    p->context.number = p->config.identity->joined ? p->roster.number : 0;
}

static nodes_set others_of(const struct peers *p)
{
    const struct members m = roster_sets(&p->roster);

    return (m.voters | m.learners) & ~node_bit(p->context.self);
}

static bool join(struct peers *p)
{
    char why[CONFIG_WHY_MAX];

    if (identity_join(p->config.identity, why) != 0) {
        log_line(LOG_ERROR, "peers", "msg=\"joining cannot be noted\" why=\"%s\"", why);
        return false;
    }
    know(p);
    log_line(LOG_INFO, "peers", "msg=\"all members know each other\"");
    return true;
}

/* It answers, so it has noted our incarnation; and it knows all the others as we do. One
 * that has joined has heard the same of all: so it need not be heard again. */
static bool on_agreed(void *ctx, const struct wire_hello *theirs)
{
    struct peers *p = ctx;
    uint64_t founding = identity_founding(p->config.identity);

    if (p->config.identity->joined) return true;
    if (founding == 0 || theirs->founding != founding) return false;
    p->agreed |= theirs->joined ? others_of(p) : node_bit(theirs->from);
    return p->agreed != others_of(p) || join(p);
}

/* Of two that do not know each other the one with the newer roster is right; and a founder
 * that has not joined yet was never heard of by those who refuse it, or by another data
 * directory. */
static void on_refused(void *ctx, uint32_t node, int code, uint32_t number)
{
    struct peers *p = ctx;
    bool unknown = code == ERR_OTHER_DATA || code == ERR_NO_MEMBER;
    char who[32];

    snprintf(who, sizeof who, "node-%u", (unsigned)node);
    if (unknown && (!p->config.identity->joined || number >= p->roster.number)) {
        p->config.events.refused(p->config.events.ctx, node, code);
    } else {
        peer_complain(&p->context, who, code);
    }
}

/* A server that founded a cluster by itself, a moment ago, was started with the flags of its
 * predecessor, which had grown that one: clients must not find an empty tree here. */
static void on_foreign(void *ctx, const struct wire_hello *theirs)
{
    struct peers *p = ctx;
    const struct identity *i = p->config.identity;
    bool lone = i->number == IDENTITY_NUMBER_FOUNDED && p->roster.count == 1;

    if (lone && p->roster.number == i->number && theirs->joined) {
        p->config.events.refused(p->config.events.ctx, theirs->from, ERR_WRONG_CLUSTER);
    }
}

static bool on_frame(void *ctx, struct peer_id from, struct bytes body)
{
    struct peers *p = ctx;

    if (!p->config.identity->joined) return true; /* as if it were lost on the way */
    return p->config.events.frame(p->config.events.ctx, from, body);
}

static void on_up(void *ctx, uint32_t node)
{
    struct peers *p = ctx;

    if (p->config.identity->joined) p->config.events.up(p->config.events.ctx, node);
}

static void on_down(void *ctx, struct peer_id peer)
{
    struct peers *p = ctx;

    if (!p->started || !p->config.identity->joined) return;
    if (!roster_knows(&p->roster, peer.node, peer.incarnation)) return;
    p->config.events.down(p->config.events.ctx, peer.node);
}

static void on_connection(uv_stream_t *listener, int status)
{
    struct peers *p = listener->data;

    if (status == 0) inlet_accept(listener, &p->context, &p->inlets);
}

/* Members that were never met; when all were, those that do not know all of them yet. */
static void say_waiting(const struct peers *p)
{
    nodes_set missing = identity_unknown(p->config.identity);
    char list[NODES_MAX * 4] = "";
    size_t len = 0;

    if (missing == 0) missing = others_of(p) & ~p->agreed;
    for (uint32_t id = 1; id <= NODES_MAX; id++) {
        if ((missing & node_bit(id)) == 0) continue;
        len += (size_t)snprintf(list + len, sizeof list - len, "%s%u", len > 0 ? ", " : "",
                                (unsigned)id);
    }
    log_line(LOG_INFO, "peers", "msg=\"waiting for the first contact with members %s\"",
             list);
}

static void on_sweep(uv_timer_t *timer)
{
    struct peers *p = timer->data;
    uint64_t now_ms = uv_now(p->config.loop);
    unsigned count = 0;

    LIST_EACH_SAFE(at, after, &p->inlets)
    {
        struct inlet *i = CONTAINER_OF(at, struct inlet, member);
        bool silent = i->peer.node == 0 && now_ms - i->opened_ms > GREETING_LIMIT_MS;
        if (silent || ++count > INLETS_MAX) inlet_close(i);
    }
    if (!p->config.identity->joined && ++p->sweeps % WAITING_LINE_SWEEPS == 0)
        say_waiting(p);
}

/* --- who belongs --- */

static bool is_dialled(const struct peers *p, const struct member *m)
{
    return m != NULL && m->id != p->context.self && m->peer[0] != '\0';
}

/* A reserved place is dialled too: its server may have joined by a roster we do not know. */
static void follow_one(struct peers *p, uint32_t id)
{
    const struct member *m = roster_find(&p->roster, id);
    struct link **link = &p->links[id - 1];
    struct address address = { 0 };

    bool wanted = is_dialled(p, m) && address_parse(m->peer, &address) == 0;
    if (*link != NULL && !(wanted && address_equal(&(*link)->address, &address))) {
        link_stop(*link);
        *link = NULL;
    }
    if (wanted && *link == NULL) *link = link_new(&p->context, id, &address);
}

/* Connections with servers that do not belong any more, or not by that directory. */
static void leave_strangers(struct peers *p)
{
    LIST_EACH_SAFE(at, after, &p->inlets)
    {
        struct inlet *i = CONTAINER_OF(at, struct inlet, member);
        if (i->peer.node != 0 && judge_member(p, i->peer, i->number) != 0) inlet_close(i);
    }
    for (uint32_t id = 1; id <= NODES_MAX; id++) {
        struct link *l = p->links[id - 1];
        bool up = l != NULL && l->state == LINK_UP;
        if (up && !roster_knows(&p->roster, id, l->peer.incarnation)) link_close(l);
        if (roster_find(&p->roster, id) == NULL) know_client(p, id, BYTES_LIT(""));
    }
}

static void dial_all(struct peers *p)
{
    for (uint32_t id = 1; id <= NODES_MAX; id++) follow_one(p, id);
}

/* What the identity names may be newer than what is applied: a server that joins has
 * everything before it still to learn. */
void peers_follow(struct peers *p, const struct roster *roster)
{
    if (!p->started || roster->number < p->roster.number) return;
    p->roster = *roster;
    p->context.number = roster->number;
    p->clients_version++;
    dial_all(p);
    leave_strangers(p);
}

/* --- start and end --- */

struct peers *peers_new(const struct peers_config *config)
{
    struct peers *p = mem_zalloc(sizeof *p);
    const struct config *c = config->config;

    p->config = *config;
    p->context = (struct peer_context){ .loop = config->loop,
                                        .self = c->id,
                                        .cluster = config->cluster,
                                        .boot = config->boot,
                                        .read_buffer = mem_alloc(PEER_READ_BYTES),
                                        .peers = p,
                                        .identity = config->identity,
                                        .greeted = on_greeted,
                                        .agreed = on_agreed,
                                        .foreign = on_foreign,
                                        .refused = on_refused,
                                        .frame = on_frame,
                                        .up = on_up,
                                        .down = on_down };
    address_format(config->advertise, p->context.client);
    strcpy(p->clients[c->id - 1], p->context.client);
    rng_init(&p->context.rng, config->seed);
    list_init(&p->context.dirties);
    list_init(&p->inlets);
    list_init(&p->held);
    know(p);
    return p;
}

static int listen_for_peers(struct peers *p, char *why, size_t why_size)
{
    p->listening = true;
    p->listen = *config_peer_listen(p->config.config);
    int code = listener_open(p->config.loop, &p->listener, &p->listen, on_connection, why,
                             why_size);
    p->listener.data = p;
    return code;
}

int peers_start(struct peers *p, char *why, size_t why_size)
{
    p->started = true;
    CHECK(uv_timer_init(p->config.loop, &p->sweep) == 0);
    p->sweep.data = p->listener.data = p;
    uv_timer_start(&p->sweep, on_sweep, SWEEP_MS, SWEEP_MS);
    dial_all(p);
    if (config_is_alone(p->config.config)) return 0; /* nobody knows where it is */
    int code = listen_for_peers(p, why, why_size);
    if (code == 0 && !p->config.identity->joined) say_waiting(p);
    return code;
}

void peers_stop(struct peers *p)
{
    if (!p->started) return;
    p->started = false;
    if (p->listening) uv_close((uv_handle_t *)&p->listener, NULL);
    uv_close((uv_handle_t *)&p->sweep, NULL);
    for (uint32_t id = 1; id <= NODES_MAX; id++) {
        if (p->links[id - 1] != NULL) link_stop(p->links[id - 1]);
        p->links[id - 1] = NULL;
    }
    LIST_EACH_SAFE(at, after, &p->inlets)
    {
        inlet_close(CONTAINER_OF(at, struct inlet, member));
    }
}

void peers_free(struct peers *p)
{
    while (!list_empty(&p->held)) {
        release(p, LIST_FIRST(&p->held, struct held, member), false);
    }
    free(p->context.read_buffer);
    free(p);
}

const char *peers_client_address(const struct peers *p, uint32_t node)
{
    const struct member *m = roster_find(&p->roster, node);

    if (p->clients[node - 1][0] != '\0' || m == NULL) return p->clients[node - 1];
    return m->client;
}

uint64_t peers_client_version(const struct peers *p)
{
    return p->clients_version;
}
