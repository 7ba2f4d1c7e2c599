/* datadir.h -- a server's data directory: who uses it, and whose it is.
 *
 *     lock       held by flock while a server runs; holds its pid
 *     identity   identity.h
 *     log/       core/log
 *     state/     core/state
 *
 * The identity guards against a directory that is given to another server: votes made under
 * one name must never be counted under another. Membership is fixed at the first start, so
 * other members are refused too. */
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

/* Creates what is missing, takes the lock, and compares or writes the identity. When the
 * configuration names no members, the ones of the identity are filled into it. `d` and `c`
 * must stay where they are until datadir_close(). Returns 0;
 * ERR_IN_USE, ERR_CONFIG, ERR_OTHER_VERSION, ERR_DAMAGED, ERR_NOT_PERMITTED, ERR_DISK_FULL,
 * ERR_IO with one line in `why`, and nothing to close. */
int datadir_open(struct datadir *d, struct config *c, char why[CONFIG_WHY_MAX]);
void datadir_close(struct datadir *d);

#endif
