/* full.c -- a disk that is full: reads go on, writes are refused wherever none could be
 * taken, and the leadership moves to a server that has room.
 *
 * A full server tells the others so until it has room again. It takes no new batches then,
 * so it lags behind and catches up later; but it takes what a new leader needs to open its
 * reign. What it promises is small and has its room (core/log). */
#include "core/base/errors.h"
#include "core/replica/internal.h"

enum {
    FULL_SAY_MS = 300,
    FULL_KEEP_MS = 4 * FULL_SAY_MS, /* what was told holds so long */
    FULL_MOVE_MS = 1000,            /* between tries to hand over */
    FULL_BATCH_MAX = 64,            /* the bytes of a batch without transactions, at most */
};

static nodes_set full_nodes(const struct replica *r)
{
    nodes_set full = r->full.self ? node_bit(r->self) : 0;

    for (uint32_t id = 1; id <= NODES_MAX; id++) {
        if (r->full.until_ms[id - 1] > r->time.now_ms) full |= node_bit(id);
    }
    return full;
}

bool full_refuses(const struct replica *r)
{
    const nodes_set full = full_nodes(r), voters = paxos_members(r->paxos)->voters;
    uint32_t leader = paxos_leader(r->paxos);
    int with_room = __builtin_popcount(voters & ~full);

    if (r->full.self || (leader != 0 && (full & node_bit(leader)) != 0)) return true;
    return voters != 0 && with_room <= __builtin_popcount(voters) / 2;
}

/* A new leader proposes again what was open, a window at most, and then an empty batch. */
static bool is_for_a_reign(const struct paxos_message *m)
{
    const struct proposal *p = &m->vote.proposal;

    return ballot_cmp(p->reign, m->ballot) != 0 ||
           blob_bytes(p->batch).len <= FULL_BATCH_MAX;
}

bool full_drops(const struct replica *r, const struct frame *f)
{
    if (!r->full.self) return false;
    if (f->kind == FRAME_FORWARD || f->kind == FRAME_SNAPSHOT_CHUNK) return true;
    if (f->kind != FRAME_PAXOS) return false;
    if (f->paxos.kind == PAXOS_ACCEPT) return !is_for_a_reign(&f->paxos);
    return f->paxos.kind == PAXOS_LEARN;
}

static void say(struct replica *r)
{
    const struct frame f = { .kind = FRAME_FULL, .again = r->full.self };
    const struct members *m = paxos_members(r->paxos);

    r->full.said_ms = r->time.now_ms;
    buf_clear(&r->frame);
    frame_encode(&r->frame, &f);
    replica_send(r, (m->voters | m->learners) & ~node_bit(r->self), 0);
}

void full_frame_came(struct replica *r, uint32_t from, const struct frame *f)
{
    r->full.until_ms[from - 1] = f->again ? r->time.now_ms + FULL_KEEP_MS : 0;
}

void replica_full(struct replica *r, bool full)
{
    if (r->full.self == full || r->stopped) return;
    r->full.self = full;
    r->full.since_ms = r->time.now_ms;
    say(r);
}

/* What this replica asked of others is not answered while it applies nothing: their clients
 * are sent to other servers, where a session's requests find their answers. */
static void let_clients_go(struct replica *r)
{
    if (replica_serving(r) == r->self) return;
    writes_refuse(r);
    if (r->time.now_ms - r->full.since_ms > FULL_KEEP_MS) writes_abandon(r);
}

static void move_leadership(struct replica *r)
{
    const nodes_set voters = paxos_members(r->paxos)->voters & ~full_nodes(r);
    const nodes_set with_room = voters & paxos_quorum_heard(r->paxos);

    if (r->time.now_ms - r->full.moved_ms < FULL_MOVE_MS || with_room == 0) return;
    r->full.moved_ms = r->time.now_ms;
    /* A legal no, when it does not lead: then there is nothing to move. */
    (void)replica_transfer(r, r->time, (uint32_t)__builtin_ctz(with_room) + 1);
}

void full_tick(struct replica *r)
{
    if (!r->full.self) return;
    if (r->time.now_ms - r->full.said_ms >= FULL_SAY_MS) say(r);
    move_leadership(r);
    let_clients_go(r);
}
