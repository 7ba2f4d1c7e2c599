/* snapshot.h -- how a replica that lags behind its peers' logs gets the whole state.
 *
 * Who is asked for slots that its log does not hold any more offers its state at rest, which
 * stands at one applied slot. The receiver pulls it: all cells in key order, in chunks. Each
 * chunk has a checksum that goes on from that of the chunk before, beginning with the slot,
 * and holds the key from which its cells go on: so nothing is missed, doubled or mixed. The
 * receiver's place is the last key it has, with the number and the sum of that chunk: the
 * same sender, or another that has the state of the same slot, goes on from there.
 *
 *     receiver                                    sender
 *        LEARN_REQUEST (core/paxos)  ----->
 *                                    <-----  OFFER slot
 *        ASK slot number sum cursor limit  ->
 *                                    <-----  CHUNK number + 1 .. limit, one a turn
 *        ASK with a higher limit ...             (also says that the receiver is there)
 *                                    <-----  CHUNK, the last
 *
 * ASK slot 0 asks what the other has: the answer is an OFFER. A sender that has another
 * slot than it is asked for answers with an OFFER too.
 *
 * Not here: reading, staging and installing, which are the driver's (struct snapshot_store),
 * and what the replica does when the state is there (replica.c). Pure.
 *
 *     NONE    -> PULLING [snapshots_offered]
 *     PULLING -> PULLING [snapshots_offered]  anew: the sender has another slot by now
 *     PULLING -> SEALING [snapshots_came]     the last chunk
 *     SEALING -> READY   [snapshots_turn]     all of it is on disk
 *     READY   -> NONE    [snapshots_installed]
 *     PULLING, SEALING, READY -> NONE         not needed any more, failed, or nobody sends
 *
 * Invariants: T1 what is sealed is every cell of the state at `slot`, and that state's own
 * place names this slot. T2 at most SNAPSHOT_WINDOW chunks are under way or not yet staged.
 * T3 the sender holds its state open for SNAPSHOT_HOLD_MS after the last ask, no longer. */
#ifndef CORE_REPLICA_SNAPSHOT_H
#define CORE_REPLICA_SNAPSHOT_H

#include "core/replica/frame.h"

enum {
    SNAPSHOT_WINDOW = 4,
    SNAPSHOT_CHUNK_BYTES = 256 << 10, /* a store's chunks, one cell at least */
    SNAPSHOT_AGAIN_MS = 300,      /* nothing came: ask again */
    SNAPSHOT_SILENT_MS = 2000,    /* nothing came: ask others too */
    SNAPSHOT_GIVE_UP_MS = 10000,  /* nothing came: begin again when somebody offers */
    SNAPSHOT_HOLD_MS = 10000,
    SNAPSHOT_BAR_MS = 30000,      /* a sender of damaged chunks is not asked for so long */
    SNAPSHOT_DAMAGES_MAX = 3,     /* in one place, before the sender is held to be damaged */
    SNAPSHOT_RETRY_MS = 5000,     /* the own disk failed: begin again after this */
};

/* The driver's part. None may call back into the replica. */
struct snapshot_store {
    void *ctx;
    /* The sender's: opens the state at rest, one at a time, as it is now. 0 and its slot, or
     * a code when there is none yet. */
    int (*open)(void *ctx, uint64_t *slot);
    /* Appends the cells after the key `after` (empty: from the first) to `cells`, each as key
     * and value by buf_put_bytes(). True: there are no more. Bounded in time. */
    bool (*read)(void *ctx, struct bytes after, struct buf *cells);
    void (*close)(void *ctx);
    /* The receiver's: begin, put and seal queue work, in order, and return at once. */
    void (*begin)(void *ctx);                   /* an empty stage, whatever was there */
    void (*put)(void *ctx, struct bytes cells); /* of one chunk, borrowed */
    void (*seal)(void *ctx);                    /* brings the whole stage to disk */
    /* How many of the puts and the seal since begin are done, or a code. */
    int (*staged)(void *ctx, uint64_t *done);
    void (*drop)(void *ctx);
    /* The sealed stage, which stands at `slot`, becomes the state, durably and in one step:
     * the applied overlay is empty and lies on it. What was applied up to there is not told
     * of one by one. A code: this replica cannot go on. */
    int (*install)(void *ctx, uint64_t slot);
};

typedef void (*snapshot_send_fn)(void *ctx, nodes_set to, const struct frame *f,
                                 struct bytes cells);

enum snapshot_phase {
    SNAPSHOT_NONE = 0,
    SNAPSHOT_PULLING,
    SNAPSHOT_SEALING,
    SNAPSHOT_READY,
};

struct snapshot_pull { /* one receiver, at the sender */
    uint64_t asked_ms; /* 0: it does not pull */
    uint64_t number;   /* of the last chunk sent */
    uint64_t limit;    /* the last that it has room for */
    uint64_t sum;      /* of all up to `number` */
    struct buf cursor; /* the last key up to there */
    bool ended;        /* `number` was the last of all */
};

struct snapshots {
    struct snapshot_store store;
    snapshot_send_fn send;
    void *send_ctx;
    struct buf cells; /* work space */

    /* Sending. */
    uint64_t slot_open; /* 0: the store is not open */
    uint32_t next;      /* whose turn it is, from 0 */
    struct snapshot_pull pulls[NODES_MAX];

    /* Receiving. */
    enum snapshot_phase phase;
    uint32_t source;
    uint64_t slot, number, sum; /* what came: as in the pull */
    struct buf cursor;
    uint64_t staged;            /* how many chunks of that */
    uint64_t limit_told;
    uint64_t heard_ms, asked_ms, others_ms;
    uint64_t gap;               /* the place of the last ask because of a gap */
    uint32_t damages;
    bool place_seen;
    uint64_t retry_ms;          /* nothing begins before */
    uint64_t seek_ms;           /* until then others are asked, for the source was damaged */
    uint64_t barred_ms[NODES_MAX];
};

void snapshots_init(struct snapshots *s, const struct snapshot_store *store,
                    snapshot_send_fn send, void *send_ctx);
void snapshots_fini(struct snapshots *s);

/* --- the sender --- */

/* `node` lacks slots from `slot_first` on, and the log here does not have them. */
void snapshots_offer(struct snapshots *s, uint64_t now_ms, uint32_t node,
                     uint64_t slot_first);
void snapshots_asked(struct snapshots *s, uint64_t now_ms, uint32_t from,
                     const struct frame *f);
/* Lets go of what is open: nobody can go on from here. */
void snapshots_close(struct snapshots *s);
/* The slot whose state is being sent: the log above it will be asked for; 0 = none. */
uint64_t snapshots_sending(const struct snapshots *s);

/* --- the receiver --- */

void snapshots_offered(struct snapshots *s, uint64_t now_ms, uint64_t chosen, uint32_t from,
                       const struct frame *f);
void snapshots_came(struct snapshots *s, uint64_t now_ms, uint32_t from,
                    const struct frame *f);
/* True while this replica gets a snapshot. */
static inline bool snapshots_receiving(const struct snapshots *s)
{
    return s->phase != SNAPSHOT_NONE;
}
/* The slot of a state that waits to be installed; 0 = none. */
uint64_t snapshots_ready(const struct snapshots *s);
void snapshots_installed(struct snapshots *s); /* or must not be, for good */

/* --- both, once a turn: one chunk is sent at most; `others` may be asked. --- */

void snapshots_turn(struct snapshots *s, uint64_t now_ms, uint64_t chosen, nodes_set others);
bool snapshots_again(const struct snapshots *s); /* there is a chunk to be sent now */

void snapshots_check(const struct snapshots *s);

#endif
