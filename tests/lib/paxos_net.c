#include "tests/lib/paxos_net.h"

#include <stdlib.h>

#include "tests/lib/paxos_net_inside.h"

static bool chance(struct net *n, uint32_t permille)
{
    return permille > 0 && rng_below(&n->rng, 1000) < permille;
}

static uint64_t delay(struct net *n, uint32_t max_ms)
{
    return 1 + rng_below(&n->rng, max_ms);
}

/* The network. */

static void put_packet(struct net_packet **list, uint32_t *count, uint32_t *cap,
                       const struct net_packet *packet)
{
    if (*count == *cap) {
        *cap = *cap == 0 ? 64 : *cap * 2;
        *list = mem_grow(*list, *cap * sizeof **list);
    }
    (*list)[*count] = *packet;
    (*list)[(*count)++].body = blob_ref(packet->body);
}

static void leave(struct net *n, struct net_packet packet)
{
    net_judge_told(n, &packet);
    const uint8_t kind = packet.body->data[0];

    if (((n->cut[packet.from - 1] | n->deaf[kind]) & node_bit(packet.to)) != 0) return;
    for (int copies = chance(n, n->double_permille) ? 2 : 1; copies > 0; copies--) {
        if (chance(n, n->loss_permille)) continue;
        packet.due_ms = n->now_ms + delay(n, n->delay_ms_max);
        put_packet(&n->packets, &n->packets_count, &n->packets_cap, &packet);
    }
}

/* To each of `to`: at once, or when record `after` of this start is on disk. */
static void send_message(struct net *n, uint32_t from, nodes_set to, uint64_t after,
                         const struct paxos_message *m)
{
    struct net_server *s = server(n, from);
    struct buf bytes = { 0 };

    paxos_message_encode(&bytes, m);
    struct net_packet packet = {
        .from = from,
        .seq = s->log_boot + after,
        .body = blob_new(buf_bytes(&bytes)),
    };
    for (packet.to = 1; packet.to <= n->nodes; packet.to++) {
        if ((to & node_bit(packet.to)) == 0) continue;
        if (after == 0 || packet.seq <= s->log_durable) {
            leave(n, packet);
        } else {
            put_packet(&s->held, &s->held_count, &s->held_cap, &packet);
        }
    }
    blob_unref(packet.body);
    buf_fini(&bytes);
}

/* The log: the last record of a slot says what the slot holds. */

static void put_record(struct net_server *s, const struct paxos_write *w)
{
    if (s->log_count == s->log_cap) {
        s->log_cap = s->log_cap == 0 ? 256 : s->log_cap * 2;
        s->log = mem_grow(s->log, s->log_cap * sizeof *s->log);
    }
    s->log[s->log_count++] = *w;
    blob_ref(w->vote.proposal.batch);
}

/* One step and what follows from it. */

static void serve(struct net *n, uint32_t id, uint32_t to, uint64_t slot_first)
{
    const struct net_server *s = server(n, id);
    const uint64_t chosen = paxos_chosen(s->paxos);
    uint64_t last = slot_first + NET_SERVE_MAX - 1;

    if (last > chosen) last = chosen;
    for (uint64_t slot = slot_first; slot <= last; slot++) {
        const struct paxos_write *w = net_record(s, slot);

        CHECK(w != NULL);
        if (!net_same(&w->vote.proposal, &n->canon[slot])) {
            net_breach(n, id, "the log holds another proposal than the chosen one", slot);
        }
        send_message(n, id, node_bit(to), 0,
                     &(struct paxos_message){
                         .kind = PAXOS_LEARN,
                         .ballot = paxos_promised(s->paxos),
                         .slot = slot,
                         .chosen = chosen,
                         .yes = slot == last,
                         .vote.proposal = w->vote.proposal,
                     });
    }
}

static void step(struct net *n, uint32_t id, struct paxos_input in)
{
    struct net_server *s = server(n, id);
    struct paxos_output *out = &n->out;

    in.now_ms = net_clock(n, id);
    paxos_step(s->paxos, &in, out);
    for (uint32_t i = 0; i < out->writes_count; i++) {
        put_record(s, &out->writes[i]);
        if (s->log_boot + out->writes[i].seq != s->log_count) {
            net_breach(n, id, "a write is numbered out of order", out->writes[i].seq);
        }
    }
    for (uint32_t i = 0; i < out->sends_count; i++) {
        const struct paxos_send *send = &out->sends[i];

        net_judge_sent(n, id, send);
        send_message(n, id, send->to, send->after, &send->message);
    }
    if (out->role_changed) s->changing = false;
    for (uint32_t i = 0; i < out->chosen_count; i++) {
        net_judge_chosen(n, id, out->chosen[i].slot, &out->chosen[i].proposal);
    }
    net_judge_members(n, id);
    if (out->round_confirmed > 0) net_judge_reads(n, id, out->round_confirmed);
    if (out->role_changed) s->reads_count = 0;
    if (out->serve.to != 0) serve(n, id, out->serve.to, out->serve.slot_first);
}

static void deliver(struct net *n, const struct net_packet *packet)
{
    struct paxos_message m;

    if (server(n, packet->to)->paxos == NULL) return;
    if (paxos_message_decode(blob_bytes(packet->body), &m) != 0) return;
    m.from = packet->from;
    step(n, packet->to, (struct paxos_input){ .kind = PAXOS_IN_MESSAGE, .message = &m });
    blob_unref(m.vote.proposal.batch);
}

/* What arrives now, in the order it was sent.  Nothing sent meanwhile arrives yet. */
static void run_packets(struct net *n)
{
    const uint32_t count = n->packets_count;
    uint32_t kept = 0;

    for (uint32_t i = 0; i < count; i++) {
        const struct net_packet packet = n->packets[i];

        if (packet.due_ms <= n->now_ms) {
            deliver(n, &packet);
            blob_unref(packet.body);
        } else {
            n->packets[kept++] = packet;
        }
    }
    for (uint32_t i = count; i < n->packets_count; i++)
        n->packets[kept++] = n->packets[i];
    n->packets_count = kept;
}

/* Group commit: a sync covers what is in the log when it starts. */
static void run_disk(struct net *n, uint32_t id)
{
    struct net_server *s = server(n, id);
    uint32_t kept = 0;

    if (s->log_syncing > 0 && s->sync_due_ms <= n->now_ms) {
        s->log_durable = s->log_syncing;
        s->log_syncing = 0;
        for (uint32_t i = 0; i < s->held_count; i++) {
            if (s->held[i].seq <= s->log_durable) {
                leave(n, s->held[i]);
                blob_unref(s->held[i].body);
            } else {
                s->held[kept++] = s->held[i];
            }
        }
        s->held_count = kept;
        step(n, id,
             (struct paxos_input){
                 .kind = PAXOS_IN_DURABLE,
                 .seq = s->log_durable - s->log_boot,
             });
    }
    if (s->log_syncing == 0 && s->log_durable < s->log_count) {
        s->log_syncing = s->log_count;
        s->sync_due_ms = n->now_ms + s->disk_ms + delay(n, n->disk_ms_max);
    }
}

static void propose(struct net *n, uint32_t id, struct members members)
{
    struct net_server *s = server(n, id);
    uint8_t bytes[16];

    if (ballot_cmp(s->reign, paxos_ballot(s->paxos)) != 0) {
        s->reign = paxos_ballot(s->paxos);
        s->speculative_id = s->last_id;
    }
    put_u64(bytes, ++n->batches);
    put_u64(bytes + 8, s->speculative_id);
    s->speculative_id = n->batches;

    struct blob *batch = blob_new(bytes_of(bytes, sizeof bytes));
    step(n, id,
         (struct paxos_input){
             .kind = PAXOS_IN_PROPOSE,
             .batch = batch,
             .members = members,
             .urgent = n->urgent,
         });
    blob_unref(batch);
}

bool net_propose(struct net *n, uint32_t id)
{
    struct net_server *s = server(n, id);

    if (s->paxos == NULL || s->changing || !paxos_can_propose(s->paxos)) return false;
    propose(n, id, (struct members){ 0 });
    return true;
}

bool net_change(struct net *n, uint32_t id, nodes_set voters, nodes_set learners)
{
    struct net_server *s = server(n, id);

    if (s->paxos == NULL || !paxos_can_change(s->paxos)) return false;
    const uint32_t number = paxos_members(s->paxos)->number + 1;

    propose(n, id, (struct members){ number, voters, learners });
    return true;
}

void net_transfer(struct net *n, uint32_t id, uint32_t to)
{
    if (server(n, id)->paxos == NULL) return;
    step(n, id, (struct paxos_input){ .kind = PAXOS_IN_TRANSFER, .node = to });
}

/* Any server may come, go, or be given or lose its vote.  The leader goes by way of another
 * one, who may then think of something else. */
static void change_at_random(struct net *n, uint32_t id)
{
    const struct members *m = paxos_members(server(n, id)->paxos);
    const uint32_t node = 1 + (uint32_t)rng_below(&n->rng, n->nodes);
    const nodes_set bit = node_bit(node);
    const uint64_t what = rng_below(&n->rng, 3); /* 0 = goes */
    const bool votes = what == 1 + (uint64_t)((m->learners & bit) == 0);

    server(n, id)->changing = false;
    if (node == id) {
        n->transfers++;
        net_transfer(n, id, 0);
    } else {
        net_change(n, id, (m->voters & ~bit) | (votes ? bit : 0),
                   (m->learners & ~bit) | (!votes && what > 0 ? bit : 0));
    }
}

static void read_round(struct net *n, uint32_t id)
{
    struct net_server *s = server(n, id);

    if (s->reads_count == NET_READS_MAX || paxos_role(s->paxos) != PAXOS_LEADING) return;
    s->reads[s->reads_count].need = n->canon_last;
    s->reads[s->reads_count].have = paxos_chosen(s->paxos);
    s->reads[s->reads_count].round = UINT64_MAX;
    s->reads_count++;
    step(n, id, (struct paxos_input){ .kind = PAXOS_IN_READ });
    s->reads[s->reads_count - 1].round = n->out.round;
    net_judge_reads(n, id, n->out.round_confirmed);
}

static void run_server(struct net *n, uint32_t id)
{
    const struct net_server *s = server(n, id);

    if (s->paxos == NULL) return;
    run_disk(n, id);
    if ((n->now_ms + id) % TICK_MS == 0) {
        step(n, id, (struct paxos_input){ .kind = PAXOS_IN_TICK });
    }
    if (chance(n, n->propose_permille)) net_propose(n, id);
    if (chance(n, n->read_permille)) read_round(n, id);
    if (paxos_role(s->paxos) == PAXOS_LEADING && chance(n, n->change_permille)) {
        server(n, id)->changing = true;
    }
    if (s->changing && paxos_can_change(s->paxos)) change_at_random(n, id);
}

static void fall(struct net *n)
{
    n->fall_ms = 0;
    for (uint32_t id = 1; id <= n->nodes; id++)
        net_crash(n, id);
    for (uint32_t id = 1; id <= n->nodes; id++)
        net_restart(n, id);
}

void net_run(struct net *n, uint64_t ms)
{
    for (; ms > 0; ms--) {
        n->now_ms++;
        if (n->now_ms == n->fall_ms) fall(n);
        run_packets(n);
        for (uint32_t id = 1; id <= n->nodes; id++)
            run_server(n, id);
        net_judge_leases(n);
    }
}

/* Crash and restart. */

void net_crash(struct net *n, uint32_t id)
{
    struct net_server *s = server(n, id);

    if (s->paxos == NULL) return;
    paxos_free(s->paxos);
    s->paxos = NULL;
    /* Of what was not synced any prefix may have reached the disk. */
    const uint64_t lost_max = s->log_count - s->log_durable;
    for (uint64_t lost = rng_below(&n->rng, lost_max + 1); lost > 0; lost--) {
        blob_unref(s->log[--s->log_count].vote.proposal.batch);
    }
    for (uint32_t i = 0; i < s->held_count; i++)
        blob_unref(s->held[i].body);
    s->held_count = 0;
    for (uint32_t peer = 1; peer <= n->nodes; peer++) {
        if (server(n, peer)->paxos == NULL) continue;
        if ((n->cut[id - 1] & node_bit(peer)) != 0) continue;
        step(n, peer, (struct paxos_input){ .kind = PAXOS_IN_PEER_DOWN, .node = id });
    }
}

static void start(struct net *n, uint32_t id)
{
    struct net_server *s = server(n, id);
    const struct paxos_config config = {
        .self = id,
        .heartbeat_ms = HEARTBEAT_MS,
        .election_min_ms = ELECTION_MIN_MS,
        .election_max_ms = ELECTION_MAX_MS,
        .lease_ms = n->lease_ms,
        .seed = 1, /* the same on all: they must not go in step for ever */
    };
    const struct paxos_write *last = s->log_count == 0 ? NULL : &s->log[s->log_count - 1];
    const uint64_t chosen = last == NULL ? 0 : last->chosen;

    const bool founded = nodes_has(n->founders.voters, id);
    struct members members = founded ? n->founders : (struct members){ 0 };
    struct run run = { 0 };

    for (uint64_t slot = 1; slot <= chosen; slot++) {
        const struct proposal *p = &net_record(s, slot)->vote.proposal;

        members_take(&members, p, run_step(&run, p));
    }
    s->paxos = paxos_new(&config);
    s->log_durable = s->log_boot = s->log_count;
    s->log_syncing = s->reads_count = 0;
    s->reign = (struct ballot){ 0 };
    paxos_init(s->paxos, last == NULL ? s->reign : last->promised, &run, &members,
               net_clock(n, id));
    for (uint64_t slot = chosen + 1; slot <= chosen + WINDOW_MAX; slot++) {
        const struct paxos_write *w = net_record(s, slot);

        if (w != NULL) paxos_restore(s->paxos, &w->vote);
    }
}

void net_restart(struct net *n, uint32_t id)
{
    struct net_server *s = server(n, id);

    if (s->paxos != NULL) return;
    start(n, id);
    if (ballot_cmp(paxos_promised(s->paxos), s->promise_told) < 0) {
        net_breach(n, id, "a promise did not survive the crash", s->promise_told.round);
    }
    s->changing = false;
    s->run = (struct run){ 0 };
    s->applied = s->last_id = 0;
    for (uint64_t slot = 1; slot <= paxos_chosen(s->paxos); slot++) {
        net_judge_chosen(n, id, slot, &net_record(s, slot)->vote.proposal);
    }
}

void net_cut(struct net *n, uint32_t from, uint32_t to)
{
    n->cut[from - 1] |= node_bit(to);
}

void net_link(struct net *n, uint32_t a, uint32_t b)
{
    n->cut[a - 1] &= ~node_bit(b);
    n->cut[b - 1] &= ~node_bit(a);
}

void net_isolate(struct net *n, uint32_t id)
{
    for (uint32_t peer = 1; peer <= n->nodes; peer++) {
        net_cut(n, id, peer);
        net_cut(n, peer, id);
    }
}

void net_hang_up(struct net *n, uint32_t id)
{
    net_isolate(n, id);
    for (uint32_t peer = 1; peer <= n->nodes; peer++) {
        if (peer == id || server(n, peer)->paxos == NULL) continue;
        step(n, peer, (struct paxos_input){ .kind = PAXOS_IN_PEER_DOWN, .node = id });
    }
}

void net_heal(struct net *n)
{
    for (uint32_t i = 0; i < NODES_MAX; i++)
        n->cut[i] = 0;
    for (uint32_t kind = 0; kind < PAXOS_MESSAGE_KINDS_END; kind++)
        n->deaf[kind] = 0;
    n->loss_permille = n->double_permille = 0;
    n->delay_ms_max = n->disk_ms_max = 1;
    n->fall_ms = 0;
    for (uint32_t id = 1; id <= n->nodes; id++)
        net_restart(n, id);
}

/* Looking at it. */

uint64_t net_clock(const struct net *n, uint32_t id)
{
    const struct net_server *s = &n->servers[id - 1];

    return s->clock_from_ms + n->now_ms * s->rate / 1000;
}

uint32_t net_leader(const struct net *n)
{
    struct ballot highest = { 0 };

    for (uint32_t i = 0; i < n->nodes; i++) {
        const struct paxos *p = n->servers[i].paxos;

        if (p == NULL || paxos_role(p) != PAXOS_LEADING) continue;
        if (ballot_cmp(paxos_ballot(p), highest) > 0) highest = paxos_ballot(p);
    }
    return highest.node;
}

uint64_t net_chosen_min(const struct net *n)
{
    uint64_t min = UINT64_MAX;

    for (uint32_t i = 0; i < n->nodes; i++) {
        if (n->servers[i].paxos == NULL) continue;
        if (!nodes_has(members_all(net_members(n)), i + 1)) continue;
        if (paxos_chosen(n->servers[i].paxos) < min)
            min = paxos_chosen(n->servers[i].paxos);
    }
    return min;
}

const struct members *net_members(const struct net *n)
{
    return &n->members[n->canon_last];
}

struct paxos *net_paxos(struct net *n, uint32_t id)
{
    return server(n, id)->paxos;
}

struct net *net_new(uint32_t nodes, uint64_t seed)
{
    return net_found(nodes, (node_bit(nodes) - 1) | node_bit(nodes), seed);
}

struct net *net_found(uint32_t nodes, nodes_set founders, uint64_t seed)
{
    struct net *n = mem_zalloc(sizeof *n);

    CHECK(nodes >= 1 && nodes <= NODES_MAX);
    n->nodes = nodes;
    n->founders = (struct members){ .number = 1, .voters = founders };
    n->now_ms = 1000;
    for (uint32_t id = 1; id <= nodes; id++)
        n->servers[id - 1].rate = 1000;
    n->canon = mem_zalloc(NET_SLOTS_MAX * sizeof *n->canon);
    n->members = mem_zalloc(NET_SLOTS_MAX * sizeof *n->members);
    n->members[0] = n->founders;
    rng_init(&n->rng, seed);
    net_heal(n);
    return n;
}

void net_free(struct net *n)
{
    for (uint32_t id = 1; id <= n->nodes; id++) {
        struct net_server *s = server(n, id);

        net_crash(n, id);
        while (s->log_count > 0)
            blob_unref(s->log[--s->log_count].vote.proposal.batch);
        free(s->log);
        free(s->held);
    }
    for (uint32_t i = 0; i < n->packets_count; i++)
        blob_unref(n->packets[i].body);
    for (uint64_t s = 1; s <= n->canon_last; s++)
        blob_unref(n->canon[s].batch);
    free(n->packets);
    free(n->canon);
    free(n->members);
    free(n);
}
