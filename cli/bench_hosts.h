/* bench_hosts.h -- what the servers cost the machine: their processes' CPU time and
 * resident memory, for those that run here and that we may look at.
 *
 * A server is found by the address on which it listens: it must be one of this machine, and
 * the process that holds the socket must show its descriptors to us (it is ours, or we are
 * root). All others are "unknown", which is no error. */
#ifndef CLI_BENCH_HOSTS_H
#define CLI_BENCH_HOSTS_H

#include <stdbool.h>
#include <sys/types.h>

#include "core/client/servers.h"

struct bench_host {
    pid_t pid; /* 0: unknown */
    uint64_t cpu_begun_us,
        cpu_us;              /* of the process since it began; between begin and end */
    uint64_t resident_bytes; /* at the end */
};

struct bench_hosts {
    struct bench_host at[SERVERS_MAX]; /* beside servers->at */
    size_t count;
    struct bench_host self; /* the load generator */
};

void bench_hosts_find(struct bench_hosts *h, const struct servers *servers);
void bench_hosts_begin(struct bench_hosts *h);
void bench_hosts_end(struct bench_hosts *h);

/* Of all servers; false when one of them is unknown. */
bool bench_hosts_sum(const struct bench_hosts *h, uint64_t *cpu_us,
                     uint64_t *resident_bytes);

/* A line of /proc/net/tcp or tcp6: true if it is a listening socket of that port, and then
 * the socket's inode. */
bool bench_hosts_parse(const char *line, unsigned *port, uint64_t *inode);

#endif
