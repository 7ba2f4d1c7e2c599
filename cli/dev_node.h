/* dev_node.h -- one server process of a cluster on this machine: start it, find it, end it.
 *
 * A process is ours only when its command line names this node's data directory: a number
 * from the file may be another's by now, and is never signalled unseen. */
#ifndef CLI_DEV_NODE_H
#define CLI_DEV_NODE_H

#include "cli/dev_state.h"
#include "cli/probe.h"

/* True while the process runs (also when it is stopped by a signal). */
bool dev_node_is_alive(const struct dev_state *s, const struct dev_node *n);

/* Starts tidelockd, the one beside this program or else of PATH, detached, with its output
 * appended to DIR/node-<id>.log; n->pid is set. ERR_IO, with errno. */
int dev_node_start(const struct dev_state *s, struct dev_node *n);

/* Sends a signal if it is alive. */
void dev_node_signal(const struct dev_state *s, const struct dev_node *n, int signo);
/* Waits until it is gone; false when it still runs after limit_ms. */
bool dev_node_wait_gone(const struct dev_state *s, const struct dev_node *n,
                        uint64_t limit_ms);

/* Asks it for its status; false when it is down or does not answer. */
bool dev_node_probe(const struct dev_state *s, const struct dev_node *n, struct probe *p);

void dev_node_log_path(const struct dev_state *s, const struct dev_node *n,
                       char path[PATH_MAX + 32]);

#endif
