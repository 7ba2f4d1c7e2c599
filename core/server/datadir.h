/* datadir.h -- a server's data directory: who uses it, and whose it is.
 *
 *     lock       held by flock while a server runs; holds its pid
 *     identity   identity.h
 *     log/       core/log
 *     state/     core/state; beside it, for a time, state.tmp, state.new, state.old
 *
 *     aside-DATE-TIME/   what --rejoin found here and moved out of the way
 *
 * The identity guards against a directory that is given to another server: votes made under
 * one name must never be counted under another. A directory without one gets it here: as a
 * founder of the cluster that the configuration names, or, with `join`, from the cluster
 * that is asked (join.h). */
#ifndef CORE_SERVER_DATADIR_H
#define CORE_SERVER_DATADIR_H

#include "core/server/identity.h"

struct datadir {
    char path[CONFIG_PATH_MAX];
    char log[CONFIG_PATH_MAX + 8], state[CONFIG_PATH_MAX + 8];
    struct identity identity;
    int lock;       /* descriptor */
    bool temporary; /* made for --dev, removed by datadir_close() */
};

/* Creates what is missing, takes the lock, and compares or writes the identity. What the
 * configuration does not say is filled into it, as identity_open() does. May take a minute
 * when a cluster is asked to let it join. `d` and `c` must stay where they are until
 * datadir_close(). Returns 0; ERR_IN_USE, ERR_CONFIG, ERR_OTHER_VERSION, ERR_DAMAGED,
 * ERR_NOT_PERMITTED, ERR_DISK_FULL, ERR_IO, ERR_NO_MEMBER (removed), or what the cluster
 * answered, with one line in `why`, and nothing to close. */
int datadir_open(struct datadir *d, struct config *c, char why[CONFIG_WHY_MAX]);
/* Whatever directory it is, by its lock and identity alone: for tools, while no server runs. */
int datadir_open_any(struct datadir *d, struct config *c, char why[CONFIG_WHY_MAX]);
void datadir_close(struct datadir *d);

#endif
