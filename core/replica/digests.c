/* digests.c -- whose state is wrong when two differ at one slot: a majority judges.
 *
 * Each batch names the leader's digest at a slot. A replica that had another one there
 * opens a CASE about that slot: it tells every member its digest and asks for theirs.
 * Whoever differs from so many voters that no majority can agree with it stops, the leader
 * included. One case at a time: a digest is of all changes so far, so whoever differs at
 * one slot differs at all that follow, and one slot is as good as any. */
#include "core/base/check.h"
#include "core/replica/internal.h"

enum {
    /* Who differs from its leader and hears no majority for so long stops too: it cannot
     * know that its answers are right. */
    DOUBT_MS = 2000,
};

static void say(struct replica *r, nodes_set to, uint64_t slot, uint64_t digest, bool again)
{
    const struct frame f = {
        .kind = FRAME_DIGEST, .slot = slot, .sum = digest, .again = again
    };

    buf_clear(&r->frame);
    frame_encode(&r->frame, &f);
    replica_send(r, to & ~node_bit(r->self), 0);
}

static nodes_set everybody(const struct replica *r)
{
    const struct members *m = paxos_members(r->paxos);

    return m->voters | m->learners;
}

static void ask_all(struct replica *r)
{
    struct digests *d = &r->digests;
    uint64_t own = 0;

    if (!machine_digest(&r->machine, d->slot, &own)) return;
    d->asked_ms = r->time.now_ms;
    say(r, everybody(r), d->slot, own, true);
}

/* A case ends when it is judged, or when another one is newer. */
static void judge(struct replica *r)
{
    struct digests *d = &r->digests;
    const nodes_set voters = paxos_members(r->paxos)->voters;
    int total = __builtin_popcount(voters), majority = total / 2 + 1;
    int agree = __builtin_popcount(voters & (d->agree | node_bit(r->self)));
    int differ = __builtin_popcount(voters & d->differ);

    if (differ > total - majority) {
        replica_stop(r, d->slot, "the state here differs from that of the other voters");
    }
    if (agree >= majority) *d = (struct digests){ 0 };
}

/* A case stays while answers to it may be on their way, however many slots differ since. */
static void case_open(struct replica *r, uint64_t slot)
{
    struct digests *d = &r->digests;
    const struct digests before = *d;

    if (slot <= d->slot) return;
    if (d->slot != 0 && r->time.now_ms - d->asked_ms < RESEND_MS) return;
    *d = (struct digests){ .slot = slot, .since_ms = r->time.now_ms };
    if (before.slot != 0) {
        d->since_ms = before.since_ms;
        d->doubts = before.doubts;
    }
    ask_all(r);
}

/* Whether `node` had the same digest at `slot`. */
static void note(struct replica *r, uint32_t node, uint64_t slot, bool same)
{
    struct digests *d = &r->digests;

    if (!same) case_open(r, slot);
    if (slot != d->slot || node == r->self) return;
    d->agree &= ~node_bit(node);
    d->differ &= ~node_bit(node);
    if (same) d->agree |= node_bit(node);
    if (!same) d->differ |= node_bit(node);
    judge(r);
}

void digests_applied(struct replica *r, const struct proposal *p)
{
    struct digests *d = &r->digests;

    if (r->machine.differs_slot == 0) return;
    CHECK(p->reign.node != 0); /* its batch was valid */
    note(r, p->reign.node, r->machine.differs_slot, false);
    if (d->slot != 0) d->doubts = true;
}

void digests_frame_came(struct replica *r, uint32_t from, const struct frame *f)
{
    uint64_t own;

    /* Not applied yet, or too long ago: then others judge, or it asks again. */
    if (!machine_digest(&r->machine, f->slot, &own)) return;
    if (f->again) say(r, node_bit(from), f->slot, own, false);
    note(r, from, f->slot, own == f->sum);
}

void digests_tick(struct replica *r)
{
    struct digests *d = &r->digests;

    if (d->slot == 0) return;
    if (r->time.now_ms - d->since_ms > DOUBT_MS) {
        if (d->doubts) {
            replica_stop(r, d->slot,
                         "the state here differs from the leader's, and no "
                         "majority could be asked which one is right");
        }
        *d = (struct digests){ 0 };
    } else if (r->time.now_ms - d->asked_ms >= RESEND_MS) {
        ask_all(r);
    }
}
