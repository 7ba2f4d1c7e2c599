/* sim.h -- a whole cluster in one process, from one seed: the same replicas as in
 * production, on a network and on disks that fail as the seed says, in virtual time.
 *
 *     main.c        options, one seed, replay; jobs.c: many seeds, in several processes
 *     options.c     what this seed's world is like, and what may go wrong in it
 *     life.c        the parts of a seed: faults, progress of a quorum, peace
 *     world.c       time, events, nodes: start, crash, ticks, turns
 *     base.h        what every room knows of its world
 *     network.c     loss, duplication, reordering, delay, clogged links, old frames again
 *     disk.c        the log as bytes (core/log/record.h): group commit, torn writes,
 *                   no space
 *     damage.c      bits that flip at rest, writes lost or gone astray
 *     faults.c      every kind of fault by name; partitions.c: the shapes of cut links
 *     clients.c     clients with sessions; asks.c, answers.c: what they ask and are told
 *     values.c      what recipes answer; queries
 *     front.c       the service of core/server, on sockets.c in libuv's place
 *     guests.c      clients that are the client library: watches, ephemerals, sessions
 *     hearing.c     what watches must tell; tenure.c: how sessions must live and end
 *     snapshots.c   logs that are cut, and states that go from one server to another
 *     admin.c       who belongs, and changes of that
 *     checks.c      what must hold after every event
 *     scenarios/    bugs that others had, acted out
 *
 * A broken rule prints the seed and how to replay it, and aborts that seed. */
#ifndef TESTS_SIM_SIM_H
#define TESTS_SIM_SIM_H

#include <stdio.h>

#include "core/base/list.h"
#include "core/log/record.h"
#include "core/machine/roster.h"
#include "core/replica/replica.h"
#include "lua/host.h"
#include "tests/lib/memory_store.h"
#include "tests/sim/base.h"

enum {
    SIM_CLIENTS_MAX = 6,
    SIM_KEYS = 4,       /* registers that all clients write and read */
    SIM_SLOTS_MAX = 1 << 13,
    SIM_DEPTH = 3,      /* unanswered requests of one client */
    OLD_FRAMES = 16,    /* kept to arrive once more, late */
};

struct server;

/* --- time --- */

struct happening {
    uint64_t at_us, order; /* order: ties go by when they were scheduled */
    happen_fn run;
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
    bool crash_when_synced, sync_fails; /* the next sync: see faults.c */
    bool damaged;            /* at rest: recovery must notice */
    uint64_t full_until_us;  /* no more space than `room` bytes until then */
    size_t room;
    struct ballot promised_durable; /* for the checks */
    uint64_t chosen_durable;        /* known as chosen after a crash, too */
};

struct disk_restored {
    struct ballot promised;
    uint64_t chosen, boot;
    uint32_t votes_count;
    struct vote votes[WINDOW_MAX];
};

void disk_format(struct disk *d, uint32_t node);
void disk_fini(struct disk *d);
void disk_crash(struct server *n); /* loses and tears what was not synced */
/* False: its log is damaged, and says so; the server must stay away. */
bool disk_recover(struct world *w, uint32_t node, struct disk_restored *restored);

/* No space is left but `room` bytes in files that are there already. Replica and clients
 * hear so at once; once the room is used, what is written waits for space. */
void disk_fill(struct server *n, size_t room, uint64_t ms);
void disk_free(struct server *n); /* there is space again */
bool disk_is_full(const struct server *n);

/* damage.c; false: nothing there to harm. */
bool disk_rot(struct world *w, struct disk *d);
bool disk_lose_write(struct world *w, struct disk *d);
bool disk_misdirect_write(struct world *w, struct disk *d);

/* --- nodes --- */

struct held { /* a frame that waits for a write */
    struct list link;
    uint64_t after;
    nodes_set to;
    struct buf frame;
};

struct deferred { /* an event that waits until its node runs again */
    happen_fn run;
    void *ctx;
};

struct slot_memory { /* what read_log() answers from */
    uint64_t slot;
    struct proposal proposal;
};

struct server {
    struct world *world;
    uint32_t id;
    bool up, turning;
    bool lost;   /* for good: its disk is gone or damaged */
    bool differs; /* its state was changed behind its back: it must stop, and never return */
    bool state_damaged; /* its state at rest: it cannot start from it */
    bool frozen; /* paused: what happens to it happens when it wakes */
    struct deferred *deferred;
    size_t deferred_count, deferred_cap;
    uint32_t effects_left; /* it crashes at this effect, counted down; 0 = not */
    bool dying;            /* it did, within a step: it has no effects any more */
    uint32_t crashes_due;  /* soon after each of its next starts */
    uint64_t incarnation; /* of its disk */
    bool joins;           /* it founded nothing */
    bool away;            /* not a member yet, or no more: nobody starts it */
    uint64_t life; /* rises with every crash: events of an earlier life are void */
    struct replica *replica;
    struct driver *front; /* NULL: there are no guests */
    struct lua_host *host;
    struct disk disk;
    struct slot_memory *slots; /* by slot, as in the log */
    uint64_t trimmed;          /* up to here it holds nothing any more */
    struct memory_store store; /* snapshots */
    struct kv_overlay flushed; /* on disk */
    struct kv_overlay applied; /* above it */
    struct list held;
    uint64_t slow_disk_us;
    bool told_full; /* its replica was told that the disk is */
    uint64_t flush_from_us; /* nothing is written behind before */
    int64_t wall_offset_ms;
    uint64_t clock_us, clock_set_us; /* its own clock, when it was last set */
    uint32_t clock_permille;         /* its rate */
    uint64_t zxid_told; /* of the last transaction told of in this life; 0 = none yet */
    uint64_t history; /* hash of the valid batches applied, in order */
    uint64_t expected; /* as leader: the history that the next batch is computed on */
    struct ballot expected_reign;
};

/* --- the whole --- */

struct client;
struct shared;
struct checks;
struct flight;
struct admin;
struct guests;
struct hearing;
struct tenure;

struct world {
    struct options options;
    struct rng rng;
    uint64_t now_us, order;
    struct happening *heap;
    size_t heap_count, heap_cap;
    struct server nodes[SIM_NODES_MAX];
    bool cut[SIM_NODES_MAX][SIM_NODES_MAX]; /* from, to */
    uint64_t clogged_until_us[SIM_NODES_MAX][SIM_NODES_MAX];
    uint64_t newest_us[SIM_NODES_MAX][SIM_NODES_MAX]; /* when the newest frame arrives */
    struct flight *old_frames[OLD_FRAMES];
    nodes_set healed; /* 0 while faults strike; then those that must get on */
    bool some_dying;
    struct client *clients;
    struct shared *shared; /* by all clients */
    struct checks *checks;
    struct admin *admin;
    struct guests *guests;
    struct hearing *hearing;
    struct tenure *tenure;
    struct stats stats;
    struct paxos_output scratch;
};

/* world.c */
void world_init(struct world *w, const struct options *o);
void world_fini(struct world *w);
bool world_step(struct world *w); /* runs the next event and all checks */
void node_start(struct server *n);
void node_crash(struct server *n);
void node_wipe(struct server *n);   /* down, and its memory is gone */
void node_soon(struct server *n);   /* a turn, soon */
void node_durable(struct server *n);
struct replica_time node_time(const struct server *n);
void node_peer_down(struct server *n, uint32_t peer);
void node_peer_up(struct server *n, uint32_t peer);
void node_freeze(struct server *n);
void node_thaw(struct server *n);
bool node_defers(struct server *n, happen_fn run, void *ctx); /* true: kept until it wakes */
void node_crash_at_effect(struct server *n, uint32_t effect); /* 1 = the next; 0 = do not */
bool node_dies_here(struct server *n); /* asked before each effect */
void node_clock_rate(struct server *n, uint32_t permille);
uint32_t world_leader(const struct world *w); /* 0 = none serves */
bool world_left_out(const struct server *n);  /* of the servers that must get on */
void world_print(const struct world *w);      /* where each server stands */

/* disk.c */
void disk_append(struct server *n, const struct paxos_write *write);

int node_read_log(const struct server *n, uint64_t slot, struct proposal *p);

/* front.c */
void front_start(struct server *n); /* before its replica: it hears what that recalls */
void front_end(struct server *n);
void front_txn(struct server *n, const struct txn *t, uint64_t zxid);
void front_applied(struct server *n, uint64_t slot);
void front_attached(struct server *n, uint64_t session, uint64_t zxid);
void front_recalled(struct server *n, uint64_t slot, uint64_t zxid_first,
                    uint64_t zxid_last);
bool front_owns(uint64_t tag);
void front_answer(struct server *n, uint64_t tag, int code, struct bytes result);
void front_ready(struct server *n, uint64_t tag, int code);
void front_installed(struct server *n);
void front_turn(struct server *n); /* the replica's, with what its guests ask */

/* snapshots.c */
void sim_store_init(struct server *n);
struct snapshot_store sim_store(struct server *n);
void sim_trim(struct server *n, uint64_t flushed); /* cuts the log */

/* network.c */
void network_send(struct server *from, nodes_set to, uint64_t after, struct bytes frame);
void network_release(struct server *from); /* what waited for writes that are durable now */
void network_drop_held(struct server *n);
bool network_replay(struct world *w); /* old frames arrive again; false: there are none */
void network_fini(struct world *w);

/* clients.c */
void clients_start(struct world *w);
void clients_fini(struct world *w);
void clients_answer(struct server *n, uint64_t tag, int code, struct bytes result);
void clients_ready(struct server *n, uint64_t tag, int code);
void clients_server_ends(struct world *w, uint32_t id); /* and with it their connections */
void clients_pause(struct world *w, uint64_t ms); /* one of them */
void clients_ask_twice(struct world *w); /* what is open, at other servers too */
void clients_heal(struct world *w);  /* all wake, and go to servers that must get on */
void clients_move(struct world *w, uint32_t id); /* all to this server */
void clients_prove(struct world *w); /* each does one more write, to be answered */
bool clients_proved(const struct world *w);
void clients_stop(struct world *w);  /* no new requests; finish what is open */
bool clients_idle(const struct world *w);
void clients_print(const struct world *w); /* those that are not idle */
/* A session ended by expiry at this zxid: never before its client's deadline. */
void clients_expired(struct world *w, uint64_t session);
void clients_check_end(struct world *w);

/* values.c */
extern const char values_recipe[]; /* of "sim", whose function values_query() runs */
uint64_t values_token(struct bytes value); /* of a lock's grant; 0: it is none */
uint64_t values_query(struct server *n, const char *path); /* the node's mzxid there, now */

/* main.c: if the process hangs or dies, it says in which world. */
void watch_over(struct world *w, const struct options *o);

/* jobs.c: why the seed that this process runs is broken. */
void jobs_broken(const char *why);

/* admin.c */
void admin_init(struct world *w);
void admin_fini(struct world *w);
void admin_start(struct world *w);
struct roster admin_founders(const struct server *n); /* as that server believes */
const struct roster *admin_roster(const struct world *w); /* the newest anybody knows */
bool admin_counts(const struct server *n);       /* it is a member, and has its memory */
void admin_members(struct server *n);            /* it goes by another roster */
/* Damage may cost this server its memory, and nothing else. */
bool admin_may_lose(const struct world *w, const struct server *n);
void admin_lost(struct server *n); /* it did: it is another one from now on, and joins */
void admin_tick(struct server *n);               /* its process ends when it has left */
bool admin_was_removed(const struct server *n);  /* by what it knows itself */
/* A ballot proposes, under the configuration that its server goes by now. */
void admin_ballot_acts(struct server *n, struct ballot ballot);
nodes_set admin_voters(const struct world *w, struct ballot ballot);
/* Asks for a change, until he is told how it ended; who joins is started then. */
void admin_begin(struct world *w, enum member_action action, const struct server *n);
bool admin_busy(struct world *w); /* he still waits, and asks once more if that is due */
void admin_wipe(struct server *n); /* it loses its memory, and is another from now on */
void admin_start_as_founder(struct server *n);
bool admin_owns(uint64_t tag);
void admin_answer(struct world *w, uint64_t tag, int code, struct bytes result);

/* life.c */
void life_run(struct world *w);
void life_end(struct world *w); /* parts 2 and 3: heals, and demands rest and agreement */

/* scenarios/: one by its name, "all", or "list"; the exit status of main() */
int scenarios_run(const char *name, uint64_t first, uint64_t seeds, bool traced);

/* faults.c, partitions.c */
#define X(constant, name) bool fault_##name(struct world *w);
FAULTS(X)
#undef X
const char *fault_name(uint32_t kind);
struct server *some_node(struct world *w);
struct server *leader_or_some(struct world *w);
void faults_start(struct world *w);
void faults_restart_later(struct server *n);
/* The servers of `whole` run, with nothing in their way; the others freeze as they are. */
void faults_heal(struct world *w, nodes_set whole);
void partitions_mend(struct world *w);

/* checks.c */
void checks_init(struct world *w);
void checks_fini(struct world *w);
void checks_vote_durable(struct world *w, uint32_t node, const struct log_record *r);
void checks_created(struct world *w, struct server *n, const struct vote *v);
void checks_takes(struct world *w, const struct server *n, const struct paxos_write *write);
void checks_leaves(struct world *w, struct server *from, struct bytes frame);
void checks_applied(struct world *w, struct server *n, uint64_t slot, const struct proposal *p,
                    bool counted);
void checks_wiped(struct world *w, uint32_t node);
void checks_recalled(struct world *w, struct server *n, uint64_t slot, uint64_t zxid_first,
                     uint64_t zxid_last);
void checks_restored(struct world *w, uint32_t node, const struct disk_restored *r);
/* All cells of a server's state at a slot, as a hash. */
void checks_state(struct world *w, uint32_t node, uint64_t slot, uint64_t hash);
uint64_t checks_history(struct world *w, uint64_t slot);
void checks_acknowledged(struct world *w, uint64_t zxid, uint64_t session, uint64_t seq);
void checks_end(struct world *w);

#endif
