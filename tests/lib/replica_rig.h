/* replica_rig.h -- one to five replicas on a table: every frame lies there until the test
 * delivers it, drops it or delivers it twice; a log is durable when the test lets it be.
 *
 * Time stands still unless the test moves it, and only ticked replicas seek to lead, so a
 * test chooses its leader. What is judged always: an answer names nothing that is not
 * applied (C2), a tag is answered once (C1), replica_check() after every turn.
 *
 * Kinds of frames: enum frame_kind, and TRIO_PAXOS + enum paxos_message_kind. The scripts
 * are one function: it waits until the node at the path `args` exists. */
#ifndef TESTS_LIB_REPLICA_RIG_H
#define TESTS_LIB_REPLICA_RIG_H

#include "core/machine/request.h"
#include "core/machine/result.h"
#include "core/replica/internal.h"
#include "tests/lib/memory_store.h"

enum {
    TRIO_NODES = 5,
    TRIO_FRAMES_MAX = 8192,
    TRIO_SLOTS_MAX = 1024,
    TRIO_TAGS_MAX = 2 * PENDING_COUNT_MAX + 1000,
    TRIO_CHUNK_BYTES = 200, /* of a snapshot */
    TRIO_PAXOS = 16,
    TRIO_KINDS = TRIO_PAXOS + PAXOS_MESSAGE_KINDS_END,
};

struct trio_frame {
    uint32_t from, to;
    unsigned kind;
    uint64_t incarnation; /* of the sender */
    uint64_t after; /* leaves when the sender's log is durable up to here */
    struct buf bytes;
};

struct trio_answer { /* of a write or a read */
    int count;
    int code;            /* of the whole; while there is none: 1 */
    struct result result; /* without what it borrows */
    uint64_t id;         /* of the session that was opened */
    uint64_t slot;       /* applied when a read was released */
};

struct trio_node {
    struct trio *trio;
    uint32_t id;
    struct replica *replica; /* NULL: down */
    struct kv_overlay applied;
    struct memory_store store; /* snapshots: of what is applied */
    uint64_t incarnation; /* of its data */
    bool joins;           /* it founded nothing */
    uint64_t boot;
    uint64_t seq, seq_durable;
    bool slow; /* its log is not durable until trio_durable() */
    struct ballot promised;
    uint64_t chosen;
    struct vote slots[TRIO_SLOTS_MAX]; /* the log, at slot % TRIO_SLOTS_MAX */
    uint64_t trimmed;                  /* the log has nothing up to here */
    uint64_t recalled, recalled_last, recalled_zxid; /* slots, told of at the last start */
    uint64_t attached_session, attached_zxid;        /* as another told it last */
    uint64_t zxid_told; /* of the last transaction told of; 0 = none yet */
    int stops;
    uint64_t stop_slot; /* that the last one named */
    uint32_t rosters; /* how often it was told of another roster */
    bool removed;
};

struct trio {
    struct scripts scripts; /* first: a run finds the rig by it */
    uint32_t nodes_count, founders_count;
    uint32_t lease_ms; /* of replicas that start from now on */
    uint64_t now_ms;
    uint64_t zxid_most; /* applied anywhere, ever */
    struct trio_node nodes[TRIO_NODES];
    struct trio_frame frames[TRIO_FRAMES_MAX];
    uint32_t frames_count;
    nodes_set hold[TRIO_KINDS]; /* trio_settle() leaves these senders' frames lying */
    nodes_set cut;              /* nodes whose frames vanish, both ways, unless held */
    uint64_t sent[TRIO_KINDS];  /* how many, a receiver each */
    uint64_t runs;              /* of the script */
    uint64_t tag;               /* the last one used */
    int code;                   /* of the last submit or read */
    struct trio_answer answers[TRIO_TAGS_MAX];
};

struct trio *trio_new(uint32_t nodes);
struct trio *trio_found(uint32_t nodes, uint32_t founders); /* the others are down */
void trio_free(struct trio *t);

struct replica *trio_replica(struct trio *t, uint32_t id);
struct replica_status trio_status(struct trio *t, uint32_t id);

/* Time and leadership. */
void trio_tick(struct trio *t, uint32_t id, uint64_t ms); /* time passes; only `id` ticks */
void trio_turn(struct trio *t, uint32_t id);
void trio_peer_up(struct trio *t, uint32_t id, uint32_t peer); /* `id` can reach it (again) */
void trio_durable(struct trio *t, uint32_t id);
/* Everything that can happen happens at once, except what is held, cut or slow. */
void trio_settle(struct trio *t);
void trio_pass(struct trio *t, uint64_t ms); /* ticks of all, settled */
void trio_lead(struct trio *t, uint32_t id); /* only it seeks to lead, until it serves */
void trio_crash(struct trio *t, uint32_t id);   /* what its log was given is durable */
bool trio_restart(struct trio *t, uint32_t id); /* false: log and state do not fit */

/* Down, without memory, as another server; then it joins as if it had asked to. */
void trio_wipe(struct trio *t, uint32_t id);

/* Frames. `from` 0: of anybody. All return false when there is no such frame. */
bool trio_deliver(struct trio *t, uint32_t from, uint32_t to, unsigned kind);
bool trio_deliver_last(struct trio *t, uint32_t from, uint32_t to, unsigned kind);
bool trio_repeat(struct trio *t, uint32_t from, uint32_t to, unsigned kind); /* and keep */
bool trio_drop(struct trio *t, uint32_t from, uint32_t to, unsigned kind);
void trio_drop_all(struct trio *t);
uint32_t trio_lying(const struct trio *t, uint32_t from, uint32_t to, unsigned kind);
bool trio_give(struct trio *t, uint32_t from, uint32_t to, const struct buf *frame);

/* Requests; each returns its tag. Session 0: without one. */
uint64_t trio_submit(struct trio *t, uint32_t id, const struct request *q);
uint64_t trio_submit_raw(struct trio *t, uint32_t id, struct bytes request);
uint64_t trio_create(struct trio *t, uint32_t id, const char *path);
/* A numbered node below /marks: a request done twice would leave two. */
uint64_t trio_mark(struct trio *t, uint32_t id);
uint64_t trio_call(struct trio *t, uint32_t id, uint64_t session, uint64_t seq,
                   const char *path);
uint64_t trio_close(struct trio *t, uint32_t id, uint64_t session);
/* Of members; the peer's address and the incarnation are those of `who`, where they belong. */
uint64_t trio_member(struct trio *t, uint32_t at, enum member_action action, uint32_t who);
uint64_t trio_open(struct trio *t, uint32_t id, uint64_t timeout_ms); /* the session */
uint64_t trio_read(struct trio *t, uint32_t id, uint64_t session);

/* What is applied there. */
bool trio_exists(struct trio *t, uint32_t id, const char *path);
uint64_t trio_marks(struct trio *t, uint32_t id);

#endif
