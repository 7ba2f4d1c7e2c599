/* paxos_net.h -- a cluster of bare paxos instances in one process: virtual time, a network
 * that loses, doubles, delays and reorders, disks that forget what was not synced.
 *
 * It is the driver of paxos.h and nothing more: no sessions, no tree.  A batch is 16 bytes:
 * an id and the id of the batch that its leader computed it on.  What it judges, always:
 *
 *   - a slot is chosen with one proposal, on every server that says so;
 *   - chosen slots come out in order, without gaps;
 *   - a promise or vote that a message tells of is on the teller's disk when it leaves, and
 *     survives his crash;
 *   - by the run rule, each batch that counts was computed on the last that counted before;
 *   - a confirmed read round saw every slot that anybody knew as chosen when it began;
 *   - a slot is chosen by votes on the disks of a majority of those who vote behind the
 *     slot before it, and phase 1 was answered from as many disks;
 *   - all servers know the same configuration behind the same slot, and a ballot proposes
 *     under the one alone that it asked;
 *
 *   - who holds a lease knows every slot that anybody knows as chosen.
 *
 * A breach is printed as a TAP comment and counted in `breaches`. */
#ifndef TESTS_LIB_PAXOS_NET_H
#define TESTS_LIB_PAXOS_NET_H

#include "core/base/rng.h"
#include "core/paxos/paxos.h"
#include "core/paxos/run.h"

enum { NET_SLOTS_MAX = 1 << 16, NET_READS_MAX = 64, NET_SERVE_MAX = 8 };

struct net_server {
    struct paxos *paxos; /* NULL while it is down */
    struct paxos_write *log;
    uint32_t log_count, log_cap;
    uint32_t log_durable; /* records that a crash cannot take */
    uint32_t log_boot;    /* records before this start: seq 1 is the one after */
    uint32_t log_syncing; /* the sync on its way covers so many; 0 = none */
    uint64_t sync_due_ms;
    struct net_packet *held; /* sends that wait for the disk */
    uint32_t held_count, held_cap;

    struct run run;          /* over all that is chosen here */
    bool changing;           /* leads and lets its slots run out, to change the members */
    struct ballot asked;     /* phase 1 of this ballot succeeded here, */
    uint32_t asked_number;   /* under this configuration */
    uint64_t applied;        /* slots judged */
    uint64_t last_id;        /* the last batch that counted */
    struct ballot reign;     /* own, while it proposes: */
    uint64_t speculative_id; /* own newest batch, to compute the next on */

    uint32_t rate; /* of its clock: ticks in 1000 true ones */
    uint64_t clock_from_ms;
    uint32_t disk_ms; /* its syncs take at least so long */
    struct ballot promise_told;
    struct {
        uint64_t round, need, have;
    } reads[NET_READS_MAX];
    uint32_t reads_count;
};

struct net_packet {
    uint32_t from, to;
    uint64_t due_ms; /* in the network: when it arrives */
    uint64_t seq;    /* held: the log record that must be on disk */
    struct blob *body;
};

struct net {
    uint32_t nodes; /* ids 1..nodes */
    uint32_t lease_ms; /* from the next start on; 0 = none */
    struct members founders; /* the configuration before the first slot; others join with
                                an empty state */
    struct rng rng;
    uint64_t now_ms;
    struct net_server servers[NODES_MAX]; /* by id - 1 */
    struct net_packet *packets;
    uint32_t packets_count, packets_cap;
    nodes_set cut[NODES_MAX]; /* cut[from - 1] holds those it cannot reach */
    nodes_set deaf[PAXOS_MESSAGE_KINDS_END]; /* whom no message of that kind reaches */
    struct paxos_output out;

    /* The weather. */
    uint32_t loss_permille, double_permille;
    uint32_t delay_ms_max, disk_ms_max;       /* at least 1 */
    uint32_t propose_permille, read_permille; /* chance of each, per leader and ms */
    uint32_t change_permille;                 /* of changing the members at random */
    uint32_t fall_permille; /* chance that all who are up crash soon after a change, when
                               few know yet that it is chosen */
    uint64_t fall_ms;       /* when they will; 0 = no such time */
    nodes_set urgent;

    /* History. */
    struct proposal *canon; /* by slot: what the first to know it said; holds references */
    struct members *members; /* by slot: the configuration behind it */
    struct run run;
    uint64_t canon_last;
    uint64_t batches, reads_confirmed, counted;
    uint64_t leased_ms;          /* in which some server held a lease */
    uint64_t changes, transfers; /* that took force; that were begun to change a leader */
    uint64_t breaches;
};

struct net *net_new(uint32_t nodes, uint64_t seed); /* calm weather, all servers up */
struct net *net_found(uint32_t nodes, nodes_set founders, uint64_t seed); /* ids of these */
void net_free(struct net *n);
void net_run(struct net *n, uint64_t ms);

void net_crash(struct net *n, uint32_t id);   /* its peers see the connection close */
void net_restart(struct net *n, uint32_t id); /* fine when it is up */
void net_cut(struct net *n, uint32_t from, uint32_t to); /* one direction, silently */
void net_link(struct net *n, uint32_t a, uint32_t b);    /* whole again, both ways */
void net_isolate(struct net *n, uint32_t id);
void net_hang_up(struct net *n, uint32_t id); /* isolated, and the others see it at once */
void net_heal(struct net *n); /* all links whole, calm, all servers up */

uint64_t net_clock(const struct net *n, uint32_t id);    /* as the server reads it */
uint32_t net_leader(const struct net *n);     /* of the highest ballot; 0 = none leads */
uint64_t net_chosen_min(const struct net *n); /* over the members that are up */
const struct members *net_members(const struct net *n); /* behind the last chosen slot */
bool net_propose(struct net *n, uint32_t id); /* one batch, if it leads and has room */
void net_transfer(struct net *n, uint32_t id, uint32_t to); /* to 0: whoever is ready */
/* Proposes a change, if it leads and may. */
bool net_change(struct net *n, uint32_t id, nodes_set voters, nodes_set learners);
struct paxos *net_paxos(struct net *n, uint32_t id);

#endif
