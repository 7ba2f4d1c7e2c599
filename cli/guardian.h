/* guardian.h -- a process of its own that stops a command before the lock that it runs
 * under may be another's.
 *
 * A lease ends at the servers whether or not its holder knows. So the process that renews
 * it cannot be the one that acts on its end: it may be stopped, killed or swapped out. The
 * guardian knows one number, the lease's local deadline, told through a pipe as it moves,
 * and needs nothing else to act.
 *
 *     WATCHING -> STOPPING  [group_stop]  the deadline is near, the pipe was closed (its
 *                                         writer died), or a deadline of 0 was told:
 * SIGTERM STOPPING -> gone      [guard]       the group is empty, or its time is up:
 * SIGKILL WATCHING -> gone      [guard]       the command ended by itself
 *
 * Invariants: G1 a command does not start before its guardian knows it (the guardian holds
 * the pipe that the child waits on). G2 SIGKILL is sent a tenth of the lease before the
 * deadline at the latest. G3 the guardian never outlives what it guards by more than G2
 * says. A process that leaves the command's process group by itself is out of its reach. */
#ifndef CLI_GUARDIAN_H
#define CLI_GUARDIAN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct guardian {
    pid_t pid;
    int control;      /* its pipe */
    int go;           /* the child reads one byte from here before it execs */
    uint64_t told_ms; /* the deadline that it knows */
};

/* Forks it. Before any other descriptor is opened: the guardian inherits all. `command` is
 * ours, for its messages. 0 or ERR_IO. */
int guardian_start(struct guardian *g, const char *command, uint32_t lease_ms);

/* From now on it guards this process group, and lets the child start. */
void guardian_watch(struct guardian *g, pid_t group, uint64_t deadline_ms);

/* Tells a deadline (of CLOCK_BOOTTIME); 0 = stop the group now. Cheap when nothing
 * moved. */
void guardian_deadline(struct guardian *g, uint64_t deadline_ms);

/* In the child, after fork: returns when the guardian knows the group; false: it is
 * gone. */
bool guardian_wait_go(struct guardian *g);

/* True when the guardian process has ended while it should be there. */
bool guardian_is_gone(struct guardian *g);

/* Ends it. True when it had begun to stop the group. The group's leader must not be reaped
 * before this: its number might be another's. */
bool guardian_finish(struct guardian *g);

/* How long before the deadline nothing of the group may run any more. */
uint64_t guardian_kill_margin_ms(uint32_t lease_ms);

#endif
