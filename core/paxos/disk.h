/* disk.h -- how long this server's log writes take, and when a leader steps aside for it.
 *
 * Every slot waits for the leader's disk or for all the others', so the server whose disk
 * is the slowest should not lead.  The figure is smoothed, and grows while a write hangs.
 * A leader hands over when its own was more than four times the best voter's, and bad as
 * such, all through DISK_BAD_MS; and then not again for DISK_REST_MS, whatever comes of
 * it. */
#ifndef CORE_PAXOS_DISK_H
#define CORE_PAXOS_DISK_H

#include "core/paxos/peers.h"

enum {
    DISK_SLOW_US = 20000, /* what is faster than this is no reason to go */
    DISK_TIMES = 4,
    DISK_BAD_MS = 3000,
    DISK_REST_MS = 60000,
};

struct disk {
    uint64_t seq;       /* this write is being watched, */
    uint64_t since_ms;  /* handed out here; seq 0 = none is */
    uint32_t smooth_us; /* 0 = not known yet */
    uint64_t bad_ms;    /* as leader: the slowest since here; 0 = it is not */
    uint64_t rest_ms;   /* no hand-over before */
};

void disk_init(struct disk *d);
void disk_lead(struct disk *d); /* a reign begins */

/* Writes up to `seq` were handed out; those up to `seq` are on disk. */
void disk_writes(struct disk *d, uint64_t seq, uint64_t now_ms);
void disk_durable(struct disk *d, uint64_t seq, uint64_t now_ms);

uint32_t disk_us(const struct disk *d, uint64_t now_ms); /* 0 = not known */

/* As leader, regularly, with the voters that are up: to whom to hand over; 0 = nobody. */
uint32_t disk_step_aside(struct disk *d, const struct peers *peers, nodes_set voters,
                         uint64_t now_ms);

#endif
