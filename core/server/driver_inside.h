/* driver_inside.h -- what driver.c and driver_io.c share; nobody else includes it. */
#ifndef CORE_SERVER_DRIVER_INSIDE_H
#define CORE_SERVER_DRIVER_INSIDE_H

#include "core/log/log.h"
#include "core/server/driver.h"
#include "core/server/store.h"
#include "core/state/state.h"

struct driver {
    struct driver_config config;
    struct log *log;
    struct state *state;
    struct store store; /* of snapshots; on `state` */
    struct lua_host *host;
    struct peers *peers;
    struct replica *replica;
    uv_timer_t tick;
    uv_async_t wake; /* from the log's and the state's threads */
    uv_prepare_t prepare;
    uint64_t boot;
    uint64_t durable, trimmed; /* what the replica or the log was told last */
    uint64_t sending;                   /* the slot of the snapshot that is being sent */
    bool installing;                    /* as the clients were told last */
    uint64_t flush_due_ms;
    bool members_changed;
    bool appended;     /* records since the last log_submit() */
    bool role_changed; /* since the last line about it */
    bool founded;      /* the replica knows who the founders are */
    uint64_t begins_ms; /* takes no part before: FOUND_ALONE_MS */
    bool begun;
    bool removed;      /* this server was, and has not left yet */
    bool parts;        /* ... and clients are being told to go elsewhere */
};

/* driver_io.c: what the replica wants done. */
struct replica_io driver_io(struct driver *d);

#endif
