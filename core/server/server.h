/* server.h -- a whole server, from its configuration to its exit status.
 *
 *     datadir  ->  driver (log, state, replica, peers)  ->  service (clients)
 *
 * SIGTERM and SIGINT stop it in order: nothing new is taken, what is asked is answered (for
 * a second at most), log and state are closed. A second signal ends it at once. */
#ifndef CORE_SERVER_SERVER_H
#define CORE_SERVER_SERVER_H

#include "core/server/config.h"

/* Runs until it is stopped; the exit status: 0, or 1 after one line that says why. */
int server_run(struct config *config);

#endif
