/* install.c -- a peer's state in place of this replica's own, and its own for a peer. */
#include "core/base/check.h"
#include "core/paxos/members.h"
#include "core/replica/internal.h"

static void send(void *ctx, nodes_set to, const struct frame *f, struct bytes cells)
{
    struct replica *r = ctx;

    buf_clear(&r->frame);
    frame_encode(&r->frame, f);
    buf_put_bytes_raw(&r->frame, cells);
    replica_send(r, to, 0);
}

void install_init(struct replica *r)
{
    snapshots_init(&r->snapshots, &r->config.store, send, r);
}

/* A snapshot is of use only to one who can go on from it by the log. */
static bool log_goes_on_from(struct replica *r, uint64_t slot)
{
    struct proposal p;

    if (slot >= paxos_chosen(r->paxos)) return true;
    if (r->io.read_log(r->io.ctx, slot + 1, &p) != 0) return false;
    blob_unref(p.batch);
    return true;
}

void install_offer(struct replica *r, uint32_t to, uint64_t slot_first)
{
    uint64_t sending = snapshots_sending(&r->snapshots);

    if (sending != 0 && !log_goes_on_from(r, sending)) snapshots_close(&r->snapshots);
    snapshots_offer(&r->snapshots, r->time.now_ms, to, slot_first);
}

void install_frame_came(struct replica *r, uint32_t from, const struct frame *f)
{
    uint64_t now_ms = r->time.now_ms;

    if (f->kind == FRAME_SNAPSHOT_ASK) {
        snapshots_asked(&r->snapshots, now_ms, from, f);
    } else if (f->kind == FRAME_SNAPSHOT_OFFER) {
        snapshots_offered(&r->snapshots, now_ms, paxos_chosen(r->paxos), from, f);
    } else {
        CHECK(f->kind == FRAME_SNAPSHOT_CHUNK);
        snapshots_came(&r->snapshots, now_ms, from, f);
    }
}

/* What was asked here before may be among what the snapshot holds, unseen: so none of it may
 * be sent again, and its clients ask elsewhere (README.md). */
static void install(struct replica *r, uint64_t slot)
{
    const struct snapshot_store *store = &r->config.store;
    int code;

    snapshots_installed(&r->snapshots);
    code = store->install(store->ctx, slot);
    if (code == 0) {
        replica_unload(r);
        code = replica_load(r);
    }
    if (code != 0 || machine_slot(&r->machine) != slot) {
        replica_stop(r, slot, "a state that came from a peer could not be taken up");
        return;
    }
    writes_abandon(r);
    reads_abandon(r);
    membership_follow(r);
    if (r->stopped) return;
    replica_step(r, &(struct paxos_input){ .kind = PAXOS_IN_INSTALLED,
                                           .run = &r->machine.run,
                                           .members = roster_sets(replica_roster(r)) });
}

/* While this replica reigns nothing is installed: either it gets its slots chosen and needs
 * no snapshot, or it is deposed soon. */
void install_turn(struct replica *r)
{
    const nodes_set others = members_all(paxos_members(r->paxos)) & ~node_bit(r->self);
    uint64_t slot;

    snapshots_turn(&r->snapshots, r->time.now_ms, paxos_chosen(r->paxos), others);
    slot = snapshots_ready(&r->snapshots);
    if (slot != 0 && r->reign.round == 0) install(r, slot);
}
