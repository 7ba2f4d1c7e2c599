/* replica.c -- inputs, the turn, what follows from a Paxos step. */
#include <stdio.h>
#include <stdlib.h>

#include "core/base/check.h"
#include "core/base/errors.h"
#include "core/paxos/members.h"
#include "core/replica/internal.h"

static bool ballot_is(struct ballot a, struct ballot b)
{
    return ballot_cmp(a, b) == 0;
}

static struct resolver_time resolver_now(const struct replica *r)
{
    return (struct resolver_time){ r->time.now_ms, r->time.wall_ms };
}

/* --- applying --- */

static void txn_applied(void *ctx, const struct txn *t, uint64_t zxid, struct bytes result)
{
    struct replica *r = ctx;

    r->io.txn(r->io.ctx, t, zxid);
    if (t->origin == r->self && (t->flags & TXN_FINAL) != 0) writes_applied(r, t, result);
}

void replica_stop(struct replica *r, uint64_t slot, const char *why)
{
    if (r->stopped) return;
    r->stopped = true;
    r->io.stop(r->io.ctx, slot, why);
}

static void apply(struct replica *r, uint64_t slot, const struct proposal *p)
{
    bool counted = false;

    if (r->stopped) return;
    CHECK(slot == machine_slot(&r->machine) + 1); /* M1 */
    if (machine_apply(&r->machine, p, txn_applied, r, &counted) != 0) {
        replica_stop(r, slot, "the batch is no batch, or does not go on from the state here");
        return;
    }
    if (resolver_started(r->resolver)) resolver_applied(r->resolver, r->machine.zxid);
    r->io.applied(r->io.ctx, slot, p, counted);
    digests_applied(r, p);
    membership_applied(r, p, counted);
}

/* --- catch-up: a peer asked for chosen slots --- */

static void send_learn(struct replica *r, uint32_t to, uint64_t slot,
                       const struct proposal *p, bool last)
{
    struct ballot ballot = paxos_promised(r->paxos);
    struct frame f = { .kind = FRAME_PAXOS };

    /* A message needs a ballot; what is chosen is so whatever the ballot. */
    if (ballot.round == 0) ballot = (struct ballot){ 1, r->self };
    f.paxos = (struct paxos_message){ .kind = PAXOS_LEARN,
                                      .ballot = ballot,
                                      .slot = slot,
                                      .chosen = paxos_chosen(r->paxos),
                                      .yes = last,
                                      .vote = { .proposal = *p } };
    buf_clear(&r->frame);
    frame_encode(&r->frame, &f);
    replica_send(r, node_bit(to), 0);
}

/* One answer is bounded in slots and bytes; its last LEARN says so, and the peer asks on. */
static void serve(struct replica *r, uint32_t to, uint64_t slot_first)
{
    uint64_t chosen = paxos_chosen(r->paxos), bytes = 0;
    uint64_t slot_last = slot_first + WINDOW_MAX - 1;
    struct proposal p;

    if (slot_last > chosen) slot_last = chosen;
    for (uint64_t slot = slot_first; slot <= slot_last; slot++) {
        if (r->io.read_log(r->io.ctx, slot, &p) != 0) {
            if (slot == slot_first) install_offer(r, to, slot_first);
            return;
        }
        bytes += blob_bytes(p.batch).len;
        if (bytes >= LEARN_BYTES_MAX) slot_last = slot;
        send_learn(r, to, slot, &p, slot == slot_last);
        blob_unref(p.batch);
    }
}

/* --- roles --- */

static void leadership_lost(struct replica *r)
{
    resolver_stop(r->resolver);
    r->reign = (struct ballot){ 0 };
    membership_reign_ended(r);
    writes_leader_lost(r);
    reads_leader_lost(r);
}

/* The very first reign also says who founded the cluster. */
static void take_opening(struct replica *r)
{
    uint32_t origins;

    if (r->membership.stated) {
        resolver_take_opening(r->resolver, resolver_now(r), &r->batch);
        return;
    }
    resolver_found(r->resolver, &r->config.founders, resolver_now(r));
    CHECK(resolver_take(r->resolver, &r->batch, &origins));
}

/* A reign opens with an empty batch: once that is applied here, all that went before it is
 * decided, and no slot of an older reign can count any more. */
static void reign_open(struct replica *r)
{
    r->reign = paxos_ballot(r->paxos);
    membership_reign_begun(r);
    resolver_start(r->resolver, r->time.now_ms);
    take_opening(r);

    struct blob *batch = blob_new(buf_bytes(&r->batch));

    replica_step(r, &(struct paxos_input){ .kind = PAXOS_IN_PROPOSE,
                                           .batch = batch,
                                           .urgent = members_all(paxos_members(r->paxos)) });
    blob_unref(batch);
}

static void role_follow(struct replica *r)
{
    bool leading = paxos_role(r->paxos) == PAXOS_LEADING;

    if (paxos_leader(r->paxos) != 0) {
        r->leaderless_ms = 0;
    } else if (r->leaderless_ms == 0) {
        r->leaderless_ms = r->time.now_ms;
    }
    if (r->reign.round != 0 &&
        (!leading || !ballot_is(r->reign, paxos_ballot(r->paxos)))) {
        leadership_lost(r);
    }
}

/* --- steps --- */

void replica_send(struct replica *r, nodes_set to, uint64_t after)
{
    CHECK((to & node_bit(r->self)) == 0);
    if (to != 0) r->io.send(r->io.ctx, to, after, buf_bytes(&r->frame));
}

static void send_all(struct replica *r)
{
    struct frame f = { .kind = FRAME_PAXOS };

    for (uint32_t i = 0; i < r->out.sends_count; i++) {
        const struct paxos_send *s = &r->out.sends[i];

        f.paxos = s->message;
        buf_clear(&r->frame);
        frame_encode(&r->frame, &f);
        replica_send(r, s->to, s->after);
    }
}

void replica_step(struct replica *r, const struct paxos_input *in)
{
    struct paxos_input timed = *in;

    timed.now_ms = r->time.now_ms;
    paxos_step(r->paxos, &timed, &r->out);
    for (uint32_t i = 0; i < r->out.writes_count; i++) {
        r->io.write(r->io.ctx, &r->out.writes[i]);
    }
    send_all(r);
    for (uint32_t i = 0; i < r->out.chosen_count; i++) {
        apply(r, r->out.chosen[i].slot, &r->out.chosen[i].proposal);
    }
    if (r->out.role_changed) {
        role_follow(r);
        r->io.role(r->io.ctx);
    }
    if (r->out.round_confirmed != 0) reads_confirmed(r, r->out.round_confirmed);
    if (r->out.serve.to != 0) serve(r, r->out.serve.to, r->out.serve.slot_first);
}

uint32_t replica_serving(const struct replica *r)
{
    const struct run *run = &r->machine.run;
    uint32_t leader = paxos_leader(r->paxos);

    if (leader == 0 || !run->valid) return 0;
    return ballot_is(run->reign, paxos_ballot(r->paxos)) ? leader : 0;
}

uint64_t replica_fresh_ms(const struct replica *r)
{
    return r->reads.fresh_ms;
}

uint64_t replica_leaderless_ms(const struct replica *r, struct replica_time time)
{
    return r->leaderless_ms == 0 || time.now_ms < r->leaderless_ms
               ? 0
               : time.now_ms - r->leaderless_ms;
}

bool replica_hopeless(const struct replica *r)
{
    if (r->membership.removed) return true;
    return r->leaderless_ms != 0 && r->time.now_ms - r->leaderless_ms > HOPELESS_MS;
}

/* --- inputs --- */

static bool enter(struct replica *r, struct replica_time time)
{
    CHECK(time.now_ms >= r->time.now_ms);
    r->time = time;
    return !r->stopped;
}

static bool has_quorum(const struct replica *r)
{
    int heard = __builtin_popcount(paxos_quorum_heard(r->paxos));

    return heard > __builtin_popcount(paxos_members(r->paxos)->voters) / 2;
}

/* Who hands over leaves all that is new to its successor. */
static bool resolves(const struct replica *r)
{
    return replica_serving(r) == r->self && !paxos_transferring(r->paxos);
}

void replica_tick(struct replica *r, struct replica_time time)
{
    uint64_t lost;

    if (!enter(r, time)) return;
    lost = time.now_ms - r->ticked_ms;
    r->ticked_ms = time.now_ms;
    /* E2: a leader that did not run heard nobody; that must not cost anybody the session. */
    if (r->reign.round != 0 && lost > STALL_MS) resolver_stalled(r->resolver, lost);
    replica_step(r, &(struct paxos_input){ .kind = PAXOS_IN_TICK });
    if (resolves(r) && has_quorum(r) && !r->full.self && resolver_room(r->resolver)) {
        resolver_tick(r->resolver, resolver_now(r));
        membership_tick(r);
    }
    if (replica_hopeless(r)) {
        writes_refuse(r);
        reads_refuse(r);
    }
    digests_tick(r);
    full_tick(r);
}

/* What serves learning is for everybody whom the connection let in. */
static bool is_for_members(enum frame_kind kind)
{
    return kind != FRAME_PAXOS && kind != FRAME_SNAPSHOT_OFFER &&
           kind != FRAME_SNAPSHOT_ASK && kind != FRAME_SNAPSHOT_CHUNK;
}

bool replica_receive(struct replica *r, struct replica_time time, struct replica_peer peer,
                     struct bytes bytes)
{
    const bool strange = membership_is_stranger(r, peer);
    const uint32_t from = peer.id;
    struct frame f;

    CHECK(from >= 1 && from <= NODES_MAX);
    if (!enter(r, time)) return true;
    if (frame_decode(bytes, &f) != 0) return false;
    if (strange && is_for_members(f.kind)) return true;
    switch (f.kind) {
    case FRAME_PAXOS:
        f.paxos.from = from;
        if (!full_drops(r, &f)) {
            replica_step(r, &(struct paxos_input){ .kind = PAXOS_IN_MESSAGE,
                                                   .message = &f.paxos,
                                                   .strange = strange });
        }
        blob_unref(f.paxos.vote.proposal.batch);
        break;
    case FRAME_FORWARD:
        if (!full_drops(r, &f)) writes_forward_came(r, from, &f);
        break;
    case FRAME_FORWARD_NEXT:
        writes_next_came(r, from, &f);
        break;
    case FRAME_READ_ASK:
        reads_ask_came(r, from, &f);
        break;
    case FRAME_READ_OK:
        reads_ok_came(r, &f);
        break;
    case FRAME_SNAPSHOT_OFFER:
    case FRAME_SNAPSHOT_ASK:
    case FRAME_SNAPSHOT_CHUNK:
        if (!full_drops(r, &f)) install_frame_came(r, from, &f);
        break;
    case FRAME_DIGEST:
        digests_frame_came(r, from, &f);
        break;
    case FRAME_FULL:
        full_frame_came(r, from, &f);
        break;
    case FRAME_ATTACHED:
        r->io.attached(r->io.ctx, f.id, f.index);
        break;
    }
    return true;
}

void replica_attached(struct replica *r, struct replica_time time, uint64_t session,
                      uint64_t zxid)
{
    const struct frame f = { .kind = FRAME_ATTACHED, .id = session, .index = zxid };
    const struct members *m = paxos_members(r->paxos);

    if (!enter(r, time)) return;
    buf_clear(&r->frame);
    frame_encode(&r->frame, &f);
    replica_send(r, (m->voters | m->learners) & ~node_bit(r->self), 0);
}

void replica_durable(struct replica *r, struct replica_time time, uint64_t seq)
{
    if (!enter(r, time)) return;
    replica_step(r, &(struct paxos_input){ .kind = PAXOS_IN_DURABLE, .seq = seq });
}

void replica_peer_down(struct replica *r, struct replica_time time, uint32_t node)
{
    if (!enter(r, time)) return;
    replica_step(r, &(struct paxos_input){ .kind = PAXOS_IN_PEER_DOWN, .node = node });
}

void replica_peer_up(struct replica *r, struct replica_time time, uint32_t node)
{
    if (!enter(r, time) || node != replica_serving(r)) return;
    writes_peer_up(r);
    reads_peer_up(r);
}

int replica_transfer(struct replica *r, struct replica_time time, uint32_t node)
{
    const nodes_set others = paxos_members(r->paxos)->voters & ~node_bit(r->self);

    if (!enter(r, time) || replica_serving(r) != r->self) return ERR_NOT_LEADER;
    if (paxos_transferring(r->paxos)) return ERR_BUSY;
    if (node > NODES_MAX || (node == 0 ? others : others & node_bit(node)) == 0) {
        return ERR_BAD_PARAMS;
    }
    replica_step(r, &(struct paxos_input){ .kind = PAXOS_IN_TRANSFER, .node = node });
    return 0;
}

/* One slot for all that is at hand. False: nothing was proposed. */
bool replica_propose(struct replica *r, const struct members *members)
{
    uint32_t origins = 0;

    if (!paxos_can_propose(r->paxos)) return false;
    if (!resolver_take(r->resolver, &r->batch, &origins)) return false;

    struct blob *batch = blob_new(buf_bytes(&r->batch));

    replica_step(r, &(struct paxos_input){ .kind = PAXOS_IN_PROPOSE,
                                           .batch = batch,
                                           .members = *members,
                                           .urgent = origins });
    blob_unref(batch);
    return true;
}

void replica_turn(struct replica *r, struct replica_time time)
{
    if (!enter(r, time)) return;
    if (r->reign.round == 0 && paxos_role(r->paxos) == PAXOS_LEADING) reign_open(r);
    writes_turn_begin(r);
    writes_turn(r);
    if (resolves(r)) {
        resolver_turn(r->resolver);
        do {
            do {
                writes_resolve(r);
            } while (replica_propose(r, &(struct members){ 0 }));
        } while (resolves(r) && membership_turn(r));
    }
    reads_turn(r);
    reads_release(r);
    install_turn(r);
}

bool replica_again(const struct replica *r)
{
    if (r->stopped) return false;
    if (snapshots_again(&r->snapshots)) return true;
    return resolves(r) && (resolver_is_tired(r->resolver) || writes_again(r));
}

/* --- life --- */

/* Applies what the log knows as chosen above the state at rest. */
static int replay(struct replica *r, uint64_t chosen, char *why, size_t why_size)
{
    while (machine_slot(&r->machine) < chosen) {
        uint64_t slot = machine_slot(&r->machine) + 1;
        struct proposal p;
        bool counted;
        int code = r->io.read_log(r->io.ctx, slot, &p);

        if (code == 0) {
            code = machine_apply(&r->machine, &p, txn_applied, r, &counted);
            /* Of its own digest a replica need not ask others; those of other leaders are
             * judged by a majority when it meets them again. */
            if (r->machine.differs_slot != 0 && p.reign.node == r->self) code = ERR_DAMAGED;
            if (code == 0) r->io.applied(r->io.ctx, slot, &p, counted);
            blob_unref(p.batch);
        }
        if (code != 0) {
            snprintf(why, why_size,
                     "slot %llu of the log cannot be applied to the stored state (%s): they "
                     "do not belong together, or one of them is damaged",
                     (unsigned long long) slot, error_text(code));
            return code;
        }
    }
    return 0;
}

int replica_load(struct replica *r)
{
    const struct resolver_config resolver = { r->config.scripts, r->config.seed,
                                              r->config.limits };
    int code = machine_init(&r->machine, r->config.applied);

    r->resolver = resolver_new(&resolver, &r->machine); /* on what machine_init() loaded */
    queries_init(&r->queries, r->config.scripts, &r->machine, r->config.seed);
    return code;
}

void replica_unload(struct replica *r)
{
    if (r->resolver != NULL) {
        resolver_free(r->resolver);
        queries_fini(&r->queries);
    }
    r->resolver = NULL;
    machine_fini(&r->machine);
}

static struct replica *alloc(const struct replica_config *config, struct replica_time time)
{
    struct replica *r = mem_zalloc(sizeof *r);

    CHECK(time.now_ms > 0);
    CHECK(config->boot > 0); /* 0 is no boot on the wire */
    r->config = *config;
    r->io = config->io;
    r->self = config->paxos.self;
    r->time = time;
    r->ticked_ms = time.now_ms;
    r->leaderless_ms = time.now_ms;
    writes_init(&r->writes, config->boot);
    reads_init(&r->reads);
    install_init(r);
    membership_init(r);
    return r;
}

struct replica *replica_new(const struct replica_config *config,
                            const struct replica_restored *restored, struct replica_time time,
                            char *why, size_t why_size)
{
    struct replica *r = alloc(config, time);
    struct members members;
    uint64_t chosen;

    r->paxos = paxos_new(&config->paxos);
    if (replica_load(r) != 0) {
        snprintf(why, why_size, "the stored state does not say at which slot it stands: it "
                                "is damaged or of another version");
        goto fail;
    }
    replica_recall(r, restored->chosen);
    if (replay(r, restored->chosen, why, why_size) != 0) goto fail;

    /* The state at rest may be ahead of the log: what was applied is chosen. */
    chosen = machine_slot(&r->machine);
    if (membership_load(r) != 0) {
        snprintf(why, why_size, "the roster in the stored state is damaged");
        goto fail;
    }
    members = roster_sets(&r->membership.roster);
    paxos_init(r->paxos, restored->promised, &r->machine.run, &members, time.now_ms);
    membership_tell_paxos(r);
    for (uint32_t i = 0; i < restored->votes_count; i++) {
        if (restored->votes[i].slot > chosen) paxos_restore(r->paxos, &restored->votes[i]);
    }
    return r;
fail:
    replica_free(r);
    return NULL;
}

void replica_free(struct replica *r)
{
    if (r == NULL) return;
    snapshots_fini(&r->snapshots);
    writes_fini(r);
    reads_fini(&r->reads);
    replica_unload(r);
    paxos_free(r->paxos);
    buf_fini(&r->frame);
    buf_fini(&r->batch);
    free(r);
}

struct replica_status replica_status(const struct replica *r)
{
    struct resolver_stats stats = resolver_stats(r->resolver);

    return (struct replica_status){
        .role = paxos_role(r->paxos),
        .leader = paxos_leader(r->paxos),
        .ballot = paxos_ballot(r->paxos),
        .chosen = paxos_chosen(r->paxos),
        .applied = machine_slot(&r->machine),
        .zxid = r->machine.zxid,
        .digest = r->machine.applied->digest,
        .serving = replica_serving(r) == r->self,
        .transferring = paxos_transferring(r->paxos),
        .disk_us = paxos_disk_us(r->paxos),
        .changing = r->reign.round != 0 && membership_is_next(r),
        .removed = r->membership.removed,
        .leaving = paxos_leaving(r->paxos),
        .pending_writes = r->writes.count,
        .pending_reads = r->reads.count,
        .sessions_leased = stats.leased,
        .rounds_spared = r->reads.leased,
        .waiting_calls = stats.waiting,
        .installing = snapshots_receiving(&r->snapshots),
    };
}

struct machine *replica_machine(struct replica *r)
{
    return &r->machine;
}

struct queries *replica_queries(struct replica *r)
{
    return &r->queries;
}

uint64_t replica_sending(const struct replica *r)
{
    return snapshots_sending(&r->snapshots);
}

void replica_check(struct replica *r)
{
    paxos_check(r->paxos);
    CHECK(r->stopped || machine_slot(&r->machine) == paxos_chosen(r->paxos));
    CHECK(IMPLIES(r->reign.round != 0, paxos_role(r->paxos) == PAXOS_LEADING));
    CHECK((r->reign.round != 0) == resolver_started(r->resolver));
    writes_check(r);
    membership_check(r);
    snapshots_check(&r->snapshots);
}
