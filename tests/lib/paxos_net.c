#include "tests/lib/paxos_net.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/base/check.h"

static void breach(struct net *n, uint32_t id, const char *what, uint64_t number)
{
    if (n->breaches++ < 10) {
        printf("# at %" PRIu64 " ms, server %u: %s (%" PRIu64 ")\n", n->now_ms, id, what,
               number);
    }
}

static struct net_server *server(struct net *n, uint32_t id)
{
    CHECK(id >= 1 && id <= n->nodes);
    return &n->servers[id - 1];
}

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

/* P3 and P4: whoever hears this message may rely on what stands on the sender's disk, so it
 * must stand there: the promise, and the vote unless the slot is known as chosen. */
static void judge_told(struct net *n, const struct net_packet *packet)
{
    struct net_server *s = server(n, packet->from);
    struct paxos_message m;

    if (paxos_message_decode(blob_bytes(packet->body), &m) != 0) {
        breach(n, packet->from, "a message that does not decode", packet->body->data[0]);
        return;
    }
    blob_unref(m.vote.proposal.batch);
    if (m.kind != PAXOS_PREPARE && m.kind != PAXOS_PROMISE && m.kind != PAXOS_ACCEPTED)
        return;
    if (s->log_durable == 0 ||
        ballot_cmp(s->log[s->log_durable - 1].promised, m.ballot) < 0) {
        breach(n, packet->from, "told of a promise that is not on disk", m.ballot.round);
    }
    if (ballot_cmp(m.ballot, s->promise_told) > 0) s->promise_told = m.ballot;
    if (m.kind != PAXOS_ACCEPTED || m.slot <= paxos_chosen(s->paxos)) return;
    for (uint32_t i = s->log_durable; i > 0; i--) {
        const struct vote *v = &s->log[i - 1].vote;

        if (v->slot == m.slot && ballot_cmp(v->ballot, m.ballot) == 0) return;
    }
    breach(n, packet->from, "told of a vote that is not on disk", m.slot);
}

static void leave(struct net *n, struct net_packet packet)
{
    judge_told(n, &packet);
    if ((n->cut[packet.from - 1] & node_bit(packet.to)) != 0) return;
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

static const struct paxos_write *record_of(const struct net_server *s, uint64_t slot)
{
    for (uint32_t i = s->log_count; i > 0; i--) {
        if (s->log[i - 1].vote.slot == slot) return &s->log[i - 1];
    }
    return NULL;
}

/* Judging. */

static bool same(const struct proposal *a, const struct proposal *b)
{
    return ballot_cmp(a->reign, b->reign) == 0 && a->reign_first == b->reign_first &&
           bytes_equal(blob_bytes(a->batch), blob_bytes(b->batch));
}

static void judge_run(struct net *n, uint32_t id, const struct proposal *p)
{
    struct net_server *s = server(n, id);

    if (!run_step(&s->run, p)) return;
    if (get_u64(p->batch->data + 8) != s->last_id) {
        breach(n, id, "a batch counts on another ground than it was computed on",
               s->applied);
    }
    s->last_id = get_u64(p->batch->data);
}

static void judge_chosen(struct net *n, uint32_t id, uint64_t slot,
                         const struct proposal *p)
{
    struct net_server *s = server(n, id);

    CHECK(slot < NET_SLOTS_MAX);
    if (slot != s->applied + 1) breach(n, id, "a chosen slot out of order", slot);
    if (slot > n->canon_last) {
        CHECK(slot == n->canon_last + 1);
        n->canon_last = slot;
        n->canon[slot] = *p;
        blob_ref(p->batch);
    } else if (!same(&n->canon[slot], p)) {
        breach(n, id, "two proposals chosen for one slot", slot);
    }
    s->applied = slot;
    judge_run(n, id, p);
    if (s->run.valid && slot == n->canon_last) n->counted++;
}

static void judge_reads(struct net *n, uint32_t id, uint64_t confirmed)
{
    struct net_server *s = server(n, id);
    uint32_t kept = 0;

    for (uint32_t i = 0; i < s->reads_count; i++) {
        if (s->reads[i].round > confirmed) {
            s->reads[kept++] = s->reads[i];
        } else {
            n->reads_confirmed++;
            if (s->reads[i].have < s->reads[i].need) {
                breach(n, id, "a confirmed read missed a chosen slot", s->reads[i].need);
            }
        }
    }
    s->reads_count = kept;
}

/* One step and what follows from it. */

static void serve(struct net *n, uint32_t id, uint32_t to, uint64_t slot_first)
{
    const struct net_server *s = server(n, id);
    const uint64_t chosen = paxos_chosen(s->paxos);
    uint64_t last = slot_first + NET_SERVE_MAX - 1;

    if (last > chosen) last = chosen;
    for (uint64_t slot = slot_first; slot <= last; slot++) {
        const struct paxos_write *w = record_of(s, slot);

        CHECK(w != NULL);
        if (!same(&w->vote.proposal, &n->canon[slot])) {
            breach(n, id, "the log holds another proposal than the chosen one", slot);
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

    in.now_ms = n->now_ms;
    paxos_step(s->paxos, &in, out);
    for (uint32_t i = 0; i < out->writes_count; i++) {
        put_record(s, &out->writes[i]);
        if (s->log_boot + out->writes[i].seq != s->log_count) {
            breach(n, id, "a write is numbered out of order", out->writes[i].seq);
        }
    }
    for (uint32_t i = 0; i < out->sends_count; i++) {
        const struct paxos_send *send = &out->sends[i];

        if ((send->to & node_bit(id)) != 0) breach(n, id, "a message to itself", id);
        send_message(n, id, send->to, send->after, &send->message);
    }
    for (uint32_t i = 0; i < out->chosen_count; i++) {
        judge_chosen(n, id, out->chosen[i].slot, &out->chosen[i].proposal);
    }
    if (out->round_confirmed > 0) judge_reads(n, id, out->round_confirmed);
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
        s->sync_due_ms = n->now_ms + delay(n, n->disk_ms_max);
    }
}

bool net_propose(struct net *n, uint32_t id)
{
    struct net_server *s = server(n, id);
    uint8_t bytes[16];

    if (s->paxos == NULL || !paxos_can_propose(s->paxos)) return false;
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
             .urgent = n->urgent,
         });
    blob_unref(batch);
    return true;
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
    judge_reads(n, id, n->out.round_confirmed);
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
}

void net_run(struct net *n, uint64_t ms)
{
    for (; ms > 0; ms--) {
        n->now_ms++;
        run_packets(n);
        for (uint32_t id = 1; id <= n->nodes; id++)
            run_server(n, id);
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
        .voters = (node_bit(n->nodes) - 1) | node_bit(n->nodes),
        .heartbeat_ms = HEARTBEAT_MS,
        .election_min_ms = ELECTION_MIN_MS,
        .election_max_ms = ELECTION_MAX_MS,
        .seed = 1, /* the same on all: they must not go in step for ever */
    };
    const struct paxos_write *last = s->log_count == 0 ? NULL : &s->log[s->log_count - 1];
    const uint64_t chosen = last == NULL ? 0 : last->chosen;

    s->paxos = paxos_new(&config);
    s->log_durable = s->log_boot = s->log_count;
    s->log_syncing = s->reads_count = 0;
    s->reign = (struct ballot){ 0 };
    paxos_init(s->paxos, last == NULL ? s->reign : last->promised, chosen, n->now_ms);
    for (uint64_t slot = chosen + 1; slot <= chosen + WINDOW_MAX; slot++) {
        const struct paxos_write *w = record_of(s, slot);

        if (w != NULL) paxos_restore(s->paxos, &w->vote);
    }
}

void net_restart(struct net *n, uint32_t id)
{
    struct net_server *s = server(n, id);

    if (s->paxos != NULL) return;
    start(n, id);
    if (ballot_cmp(paxos_promised(s->paxos), s->promise_told) < 0) {
        breach(n, id, "a promise did not survive the crash", s->promise_told.round);
    }
    s->run = (struct run){ 0 };
    s->applied = s->last_id = 0;
    for (uint64_t slot = 1; slot <= paxos_chosen(s->paxos); slot++) {
        judge_chosen(n, id, slot, &record_of(s, slot)->vote.proposal);
    }
}

void net_cut(struct net *n, uint32_t from, uint32_t to)
{
    n->cut[from - 1] |= node_bit(to);
}

void net_isolate(struct net *n, uint32_t id)
{
    for (uint32_t peer = 1; peer <= n->nodes; peer++) {
        net_cut(n, id, peer);
        net_cut(n, peer, id);
    }
}

void net_heal(struct net *n)
{
    for (uint32_t i = 0; i < NODES_MAX; i++)
        n->cut[i] = 0;
    n->loss_permille = n->double_permille = 0;
    n->delay_ms_max = n->disk_ms_max = 1;
    for (uint32_t id = 1; id <= n->nodes; id++)
        net_restart(n, id);
}

/* Looking at it. */

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
        if (paxos_chosen(n->servers[i].paxos) < min)
            min = paxos_chosen(n->servers[i].paxos);
    }
    return min;
}

struct paxos *net_paxos(struct net *n, uint32_t id)
{
    return server(n, id)->paxos;
}

struct net *net_new(uint32_t nodes, uint64_t seed)
{
    struct net *n = mem_zalloc(sizeof *n);

    CHECK(nodes >= 1 && nodes <= NODES_MAX);
    n->nodes = nodes;
    n->now_ms = 1000;
    n->canon = mem_zalloc(NET_SLOTS_MAX * sizeof *n->canon);
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
    free(n);
}
