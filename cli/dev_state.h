/* dev_state.h -- what `tidelock dev` remembers of a cluster on this machine: a text file,
 * DIR/cluster, replaced whole by a rename.
 *
 *     tidelock-dev 2
 *     founders <count>                                servers 1 to that began the cluster
 *     node <id> <client port> <peer port> <pid>       pid 0: never started, or stopped
 *     joined <id>                                     it came later, with --join
 *     flag <a further argument of every tidelockd>
 *
 * A pid may be stale: whether it is still that server is asked each time (dev_node.h). Two
 * commands at once on one directory take turns to change the file (dev_state_lock). */
#ifndef CLI_DEV_STATE_H
#define CLI_DEV_STATE_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum { DEV_NODES_MAX = 9, DEV_FLAGS_MAX = 32, DEV_FLAG_BYTES_MAX = 512 };

struct dev_node {
    unsigned id;
    uint16_t client_port, peer_port; /* on 127.0.0.1 */
    pid_t pid;
    bool joined;  /* started with --join; else with the members of the first start */
    bool rejoins; /* and what its directory holds is set aside, this time */
    bool learner;
};

struct dev_state {
    char dir[PATH_MAX]; /* absolute */
    struct dev_node nodes[DEV_NODES_MAX];
    unsigned nodes_count;
    unsigned founders; /* the first of the nodes: what they are started with never changes */
    char flags[DEV_FLAGS_MAX][DEV_FLAG_BYTES_MAX];
    unsigned flags_count;
};

/* ERR_NO_NODE: there is no cluster in this directory. ERR_DAMAGED, ERR_IO. */
int dev_state_load(struct dev_state *s, const char *dir);
int dev_state_save(const struct dev_state *s); /* ERR_IO, errno set */

/* A directory, made with mode 0700 if it is missing, for a new cluster; ERR_IN_USE when it
 * holds anything. Fills in s->dir. */
int dev_state_new(struct dev_state *s, const char *dir, unsigned nodes);

/* Free ports for every node that has none, below the range that the kernel gives to
 * outgoing connections: a server that is restarted finds its ports still free. ERR_IO. */
int dev_state_pick_ports(struct dev_state *s);

/* "127.0.0.1:20000,..." of the client ports of all but server `except`. */
void dev_state_servers(const struct dev_state *s, unsigned except, char *text, size_t size);

/* Keeps other commands from changing the file until dev_state_unlock(). -1: errno. */
int dev_state_lock(const char *dir);
void dev_state_unlock(int lock);

#endif
