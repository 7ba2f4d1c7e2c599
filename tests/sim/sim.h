/* sim.h -- a whole cluster in one process, from one seed: the same replicas as in production,
 * on a network and on disks that fail as the seed says, in virtual time.
 *
 *     world.c     time, events, nodes: start, crash, ticks, turns
 *     network.c   loss, duplication, reordering, delay, partitions
 *     disk.c      the log as bytes (core/log/record.h): group commit, lost and torn writes
 *     clients.c   sessions that write, read, renew, take locks, and ask again elsewhere
 *     values.c    what recipes answer; queries
 *     checks.c    what must hold after every event
 *     faults.c    what goes wrong, and when
 *     main.c      seeds, jobs, replay
 *
 * A broken rule prints the seed and how to replay it, and aborts that seed. */
#ifndef TESTS_SIM_SIM_H
#define TESTS_SIM_SIM_H

#include <inttypes.h>
#include <stdio.h>

#include "core/base/list.h"
#include "core/log/record.h"
#include "core/replica/replica.h"
#include "lua/host.h"

enum {
    SIM_NODES_MAX = 5,
    SIM_CLIENTS_MAX = 6,
    SIM_KEYS = 4,       /* registers that all clients write and read */
    SIM_SLOTS_MAX = 1 << 16,
    SIM_DEPTH = 3,      /* unanswered requests of one client */
    SIM_SESSION_MS = 4000,
};

struct world;

/* --- time --- */

typedef void (*event_fn)(struct world *w, void *ctx);
struct event {
    uint64_t at_us, order; /* order: ties go by when they were scheduled */
    event_fn run;
    void *ctx;
};

/* --- disk --- */

struct disk_write { /* queued: not handed to the disk yet */
    struct list link;
    struct log_record record;
    uint64_t seq;
};

struct disk {
    struct buf segment;      /* header and groups; behind `durable` it may vanish */
    size_t durable;          /* bytes on the platter */
    uint64_t generation, number, sum;
    struct list queue;
    uint64_t seq_writing, seq_durable;
    bool writing;
    struct ballot promised_durable; /* for the checks */
};

struct disk_restored {
    struct ballot promised;
    uint64_t chosen, boot;
    uint32_t votes_count;
    struct vote votes[WINDOW_MAX];
};

void disk_init(struct disk *d, uint32_t node);
void disk_fini(struct disk *d);
void disk_crash(struct world *w, struct disk *d); /* loses and tears what was not synced */
void disk_recover(struct world *w, uint32_t node, struct disk_restored *restored);

/* --- nodes --- */

struct held { /* a frame that waits for a write */
    struct list link;
    uint64_t after;
    nodes_set to;
    struct buf frame;
};

struct slot_memory { /* what read_log() answers from */
    uint64_t slot;
    struct proposal proposal;
};

struct server {
    struct world *world;
    uint32_t id;
    bool up, turning;
    uint64_t life; /* rises with every crash: events of an earlier life are void */
    struct replica *replica;
    struct lua_host *host;
    struct disk disk;
    struct slot_memory *slots; /* by slot, as in the log */
    struct kv_overlay flushed; /* on disk */
    struct kv_overlay applied; /* above it */
    struct list held;
    uint64_t slow_disk_us;
    int64_t wall_offset_ms;
    uint64_t zxid_told; /* of the last transaction told of in this life; 0 = none yet */
    uint64_t history; /* hash of the valid batches applied, in order */
    uint64_t expected; /* as leader: the history that the next batch is computed on */
    struct ballot expected_reign;
};

/* --- options of one seed --- */

struct options {
    uint64_t seed;
    bool trace;
    uint32_t nodes, clients;
    uint32_t ops_min, faults_min;
    uint32_t loss_permille, double_permille, slow_permille; /* of frames */
};

struct stats {
    uint64_t events, frames, ops, faults, crashes, transfers, leaders, slots, voids, expiries, grants;
};

struct client;
struct checks;

struct world {
    struct options options;
    struct rng rng;
    uint64_t now_us, order;
    struct event *heap;
    size_t heap_count, heap_cap;
    struct server nodes[SIM_NODES_MAX];
    bool cut[SIM_NODES_MAX][SIM_NODES_MAX]; /* from, to */
    bool healed;
    struct client *clients;
    struct checks *checks;
    struct stats stats;
    struct paxos_output scratch;
};

/* world.c */
void world_init(struct world *w, const struct options *o);
void world_fini(struct world *w);
void world_at(struct world *w, uint64_t delay_us, event_fn run, void *ctx);
bool world_step(struct world *w); /* runs the next event and all checks */
void node_start(struct server *n);
void node_crash(struct server *n);
void node_soon(struct server *n);   /* a turn, soon */
void node_durable(struct server *n);
struct replica_time node_time(const struct server *n);
uint32_t world_leader(const struct world *w); /* 0 = none serves */
bool chance(struct world *w, uint32_t permille);
void trace(struct world *w, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
_Noreturn void broken(struct world *w, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* disk.c */
void disk_append(struct server *n, const struct paxos_write *write);

/* network.c */
void network_send(struct server *from, nodes_set to, uint64_t after, struct bytes frame);
void network_release(struct server *from); /* what waited for writes that are durable now */
void network_drop_held(struct server *n);

/* clients.c */
void clients_start(struct world *w);
void clients_fini(struct world *w);
void clients_answer(struct server *n, uint64_t tag, int code, struct bytes result);
void clients_ready(struct server *n, uint64_t tag, int code);
void clients_stop(struct world *w); /* no new requests; finish what is open */
bool clients_idle(const struct world *w);
/* A session ended by expiry at this zxid: never before its client's deadline. */
void clients_expired(struct world *w, uint64_t session);
void clients_check_end(struct world *w);

/* values.c */
extern const char values_recipe[]; /* of "sim", whose function values_query() runs */
uint64_t values_token(struct bytes value); /* of a lock's grant; 0: it is none */
uint64_t values_query(struct server *n, const char *path); /* the node's mzxid there, now */

/* faults.c */
void faults_start(struct world *w);
void faults_heal(struct world *w);

/* checks.c */
void checks_init(struct world *w);
void checks_fini(struct world *w);
void checks_vote_durable(struct world *w, uint32_t node, const struct log_record *r);
void checks_created(struct world *w, struct server *n, const struct vote *v);
void checks_leaves(struct world *w, struct server *from, struct bytes frame);
void checks_applied(struct world *w, struct server *n, uint64_t slot, const struct proposal *p,
                    bool counted);
void checks_recalled(struct world *w, struct server *n, uint64_t slot, uint64_t zxid_first,
                     uint64_t zxid_last);
void checks_restored(struct world *w, uint32_t node, const struct disk_restored *r);
uint64_t checks_history(struct world *w, uint64_t slot);
void checks_acknowledged(struct world *w, uint64_t zxid, uint64_t session, uint64_t seq);
void checks_end(struct world *w);

#endif
