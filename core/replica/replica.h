/* replica.h -- one complete server without its I/O: Paxos, machine and resolver, and between
 * them forwarding, read index, renewal of sessions, catch-up and shutdown.
 *
 * The server (core/server) and the simulator (tests/sim) drive this same code. Pure: what
 * happens comes in as calls with the time, effects go out through `struct replica_io`.
 * Messages between replicas are bodies of frames (frame.h), encoded once for all receivers.
 *
 * THE DRIVER'S DUTY
 *   - replica_tick() every TICK_MS; replica_turn() once after handling all that was at hand:
 *     that is where batches are proposed, forwards leave and read rounds begin.
 *   - Log records are written in the order given; replica_durable() when they are on disk.
 *   - A frame leaves only when its `after` is durable. Order between frames to one peer may
 *     change, frames may be lost or doubled: the protocol stands it.
 *   - replica_peer_down() when the connection to a peer closes; replica_peer_up() when frames
 *     can reach it (again): what was asked of a leader before goes once more, at once.
 *   - The applied overlay is written behind and flushed by the driver, and the log is cut
 *     by it, below what is flushed.
 *
 * REQUESTS of clients have a tag, unique on this server while it runs: the driver's handle.
 * A driver whose client has gone just ignores the answer.
 *   - A write is answered exactly once by io.answer: its result, or a code when it is in no
 *     batch (ERR_NO_QUORUM), or ERR_CLOSED when this replica took up a peer's state and cannot
 *     know. It is submitted again by itself across
 *     leader changes until then: the origin sends a request to a reign once, in order and
 *     numbered, and to the next reign only after it has applied that reign's first slot
 *     without meeting the answer, so that nothing is applied twice (see README.md).
 *   - A read is confirmed exactly once by io.ready: the state now applied here may be read,
 *     or ERR_NO_QUORUM.
 *
 * MEMBERS. A request of kind MEMBER (request.h) is a write like any other, and may be asked
 * anywhere. The leader lets what is under way be decided, proposes the change alone, and goes
 * on in a new reign; nothing that is asked meanwhile fails by it. A leader that is to go, or
 * to vote no more, hands over first. A joining member is seated by the leader when it has
 * caught up. STRANGERS, who are not the server that the roster applied here means by their
 * id, are heard only as far as learning goes (README.md says why): so each frame comes with
 * the incarnation of the server that sent it.
 *
 * Invariants: C1 each tag is answered once. C2 no answer names a zxid that is not applied.
 * C3 a request is resolved at most once a reign, and in the order of submission. C4 strong
 * reads: what io.ready releases was applied here after the read arrived and confirmed by a
 * quorum after it arrived. C5 nothing queues without bound. */
#ifndef CORE_REPLICA_REPLICA_H
#define CORE_REPLICA_REPLICA_H

#include "core/machine/machine.h"
#include "core/machine/query.h"
#include "core/machine/resolver.h"
#include "core/paxos/paxos.h"
#include "core/replica/snapshot.h"

struct replica;

struct replica_time {
    uint64_t now_ms; /* monotonic, never 0; with leases see the driver's duty in paxos.h */
    int64_t wall_ms; /* UTC */
};

/* Effects. None may call back into the replica. */
struct replica_io {
    void *ctx;
    /* `frame` is borrowed; bit id - 1 of `to` is set for each receiver, never self. */
    void (*send)(void *ctx, nodes_set to, uint64_t after, struct bytes frame);
    /* Append to the log; the blob is borrowed, the log takes its own reference. */
    void (*write)(void *ctx, const struct paxos_write *w);
    /* A chosen proposal from the log, a reference for the caller; 0 or an error. */
    int (*read_log)(void *ctx, uint64_t slot, struct proposal *p);
    /* A transaction was applied, whoever asked for it; on every replica, in order, and
     * before its answer. Borrowed. What its batch changes later is not applied yet. */
    void (*txn)(void *ctx, const struct txn *t, uint64_t zxid);
    /* A write's answer: `result` (result.h) when code is 0, borrowed; else null. */
    void (*answer)(void *ctx, uint64_t tag, int code, struct bytes result);
    /* A read may go on now (0), or why not. */
    void (*ready)(void *ctx, uint64_t tag, int code);
    /* Role, leader or ballot changed: for logs and status. */
    void (*role)(void *ctx);
    /* A slot was applied; for tests and counters. */
    void (*applied)(void *ctx, uint64_t slot, const struct proposal *p, bool counted);
    /* Within replica_new() only, in order and before anything is applied: a slot that an
     * earlier life applied, the last of them being where the state stands, and the first and
     * last transaction that it gave; 0: none. As far back as the log lets us know. */
    void (*recalled)(void *ctx, uint64_t slot, uint64_t zxid_first, uint64_t zxid_last);
    /* As replica_attached() was called at another server. */
    void (*attached)(void *ctx, uint64_t session, uint64_t zxid);
    /* The roster that this replica goes by has changed: see replica_roster(). */
    void (*members)(void *ctx);
    /* This server is no member any more: clients are to go elsewhere.  It takes no part from
     * now on, but is driven on while status.leaving: others may still have to learn from it
     * that they can go on without it. */
    void (*removed)(void *ctx);
    /* This replica's state differs from the leader's, or cannot go on: stop the server. */
    void (*stop)(void *ctx, uint64_t slot, const char *why);
};

struct replica_config {
    struct paxos_config paxos;
    struct roster founders; /* what the cluster was founded with, number 1; number 0 for a
                               server that joined later and learns it. See replica_found() */
    uint64_t incarnation;   /* of this server */
    struct replica_io io;
    struct snapshot_store store;
    struct scripts *scripts;      /* may be NULL */
    struct tx_limits limits;      /* of the whole tree, when it leads; 0 = none */
    struct kv_overlay *applied;   /* the state, borrowed */
    uint64_t boot;                /* this start's number: the log counts them */
    uint64_t seed;
};

struct replica_restored { /* what the log kept */
    struct ballot promised;
    uint64_t chosen;
    uint32_t votes_count;
    const struct vote *votes; /* borrowed */
};

/* Loads the machine from `applied`, applies what the log knows as chosen above it, and starts
 * the clocks. NULL and `why` when state and log do not fit each other. */
struct replica *replica_new(const struct replica_config *config,
                            const struct replica_restored *restored, struct replica_time time,
                            char *why, size_t why_size);
void replica_free(struct replica *r);

/* The founders, known only now: before the first tick, and only on a state that knows no
 * roster of its own yet; else it is ignored. The sets of ids are those of the first start. */
void replica_found(struct replica *r, const struct roster *founders);

/* This server was a member, and what it has applied says that it is none any more, and it may
 * be the only one that knows so: as at io.removed, which is not called. Before the first tick. */
void replica_leave(struct replica *r);
/* `node` goes by a roster without this server, which was removed: it said so by other means
 * than a frame. */
void replica_let_go(struct replica *r, uint32_t node);

/* Who sent a frame, as its connection attests. */
struct replica_peer {
    uint32_t id;
    uint64_t incarnation;
};

/* Inputs. */
void replica_tick(struct replica *r, struct replica_time time);
/* False when the bytes are no frame: the driver closes that connection. */
bool replica_receive(struct replica *r, struct replica_time time, struct replica_peer from,
                     struct bytes frame);
void replica_durable(struct replica *r, struct replica_time time, uint64_t seq);
void replica_peer_down(struct replica *r, struct replica_time time, uint32_t node);
void replica_peer_up(struct replica *r, struct replica_time time, uint32_t node);
void replica_turn(struct replica *r, struct replica_time time);
/* True: the turn is used up and requests may be left, so do not sleep before the next. */
bool replica_again(const struct replica *r);

/* Requests of local clients. `request` is copied. A code at once means: not taken
 * (ERR_BUSY, ERR_NO_QUORUM, ERR_DISK_FULL), and no answer will come. Those of one flow are
 * resolved in the order in which they come, flows take turns (fair.h). */
int replica_submit(struct replica *r, struct replica_time time, uint64_t tag, uint64_t flow,
                   struct bytes request);
/* A strong read. `session` != 0 renews that session too: then ERR_SESSION_EXPIRED may be the
 * answer, and success means that a confirmed leader extended it after the call. */
int replica_read(struct replica *r, struct replica_time time, uint64_t tag,
                 uint64_t session);
/* What is applied here shows all that was chosen at this time (of struct replica_time): the
 * newest strong read that was answered was asked for then. 0: there was none. */
uint64_t replica_fresh_ms(const struct replica *r);
/* How long this replica has been without a leader that serves; 0: it has one. */
uint64_t replica_leaderless_ms(const struct replica *r, struct replica_time time);

/* A client has attached this session here, which has applied `zxid`: the other servers are
 * told, once; it may be lost. */
void replica_attached(struct replica *r, struct replica_time time, uint64_t session,
                      uint64_t zxid);

/* This server's disk is full, or is not any more; told as often as wanted. While it is, new
 * writes are refused with ERR_DISK_FULL, here and wherever none could be taken because of it,
 * nothing that needs room is taken from others, and the leadership moves to who has room. */
void replica_full(struct replica *r, bool full);

/* The leader hands over to `node`, 0 = to whoever is ready first, and resolves nothing new
 * meanwhile: what is asked goes to the successor, by the rule above. ERR_NOT_LEADER: this
 * replica does not serve as leader. ERR_BAD_PARAMS: `node` is no other voter. ERR_BUSY: it
 * hands over already. Else see status.transferring: it ends when another one leads, or when
 * the hand-over is given up. */
int replica_transfer(struct replica *r, struct replica_time time, uint32_t node);

/* What the driver may look at between calls. */
struct replica_status {
    enum paxos_role role;
    uint32_t leader;      /* 0 = not known */
    struct ballot ballot;
    uint64_t chosen, applied, zxid, digest;
    bool serving;         /* leads, and has applied a slot of its own reign */
    bool transferring;    /* leads, and hands over */
    bool changing;        /* leads, and a change of the members is next or on its way */
    bool removed;         /* is no member any more: io.removed was called */
    bool leaving;         /* removed, and the others may need it still: LEAVE_MS_MAX at most */
    bool installing;      /* gets a peer's state: clients had better go elsewhere */
    uint32_t disk_us;       /* how long own log writes take, smoothed */
    uint64_t pending_writes, pending_reads, sessions_leased, waiting_calls;
    uint64_t rounds_spared; /* read rounds whose place a lease took */
};
struct replica_status replica_status(const struct replica *r);
/* The roster in force behind what is applied here, or the founders before there is one; number
 * 0: nothing is known yet. Borrowed until the next call. */
const struct roster *replica_roster(const struct replica *r);
/* As leader: the chosen prefix that the member last told; 0 = not known. Own: as status. */
uint64_t replica_member_chosen(const struct replica *r, uint32_t id);
struct machine *replica_machine(struct replica *r);
/* Runs functions on the applied state, as a read may look at it: one that must be strong
 * only once io.ready has released it. queries_turn() is the driver's duty. */
struct queries *replica_queries(struct replica *r);
/* The slot whose state is being sent to a peer: it will ask for the log above. 0 = none. */
uint64_t replica_sending(const struct replica *r);

/* Every invariant that one replica can show; for tests and the simulator. */
void replica_check(struct replica *r);

#endif
