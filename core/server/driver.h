/* driver.h -- gives the pure replica what it needs of the world: the log, the state at
 * rest, the clock, the peers, and one turn of the loop after another.
 *
 * A TURN (uv_prepare, so it sees what timers, sockets and wake-ups of this turn brought,
 * and runs right before the loop may sleep): what became durable or flushed is told ->
 * clients' requests start -> replica_turn()
 *     -> log_submit() -> peers' and clients' output leaves, one write a connection
 *     -> state_turn()
 * The log's thread and the state's wake the loop when they are done; the turn then looks.
 *
 * A replica that must not go on, a server that lost its memory, or a state that cannot be
 * read, ends the process. */
#ifndef CORE_SERVER_DRIVER_H
#define CORE_SERVER_DRIVER_H

#include "core/replica/replica.h"
#include "core/server/config.h"
#include "core/server/datadir.h"
#include "core/server/peers.h"

struct driver;

struct driver_clients { /* who asks; answers come within driver calls and turns */
    void *ctx;
    void (*answer)(void *ctx, uint64_t tag, int code, struct bytes result);
    void (*ready)(void *ctx, uint64_t tag, int code);
    /* As replica_io has them, from driver_open() on. Nothing may be asked within. */
    void (*txn)(void *ctx, const struct txn *t, uint64_t zxid);
    void (*applied)(void *ctx, uint64_t slot);
    void (*recalled)(void *ctx, uint64_t slot, uint64_t zxid_first, uint64_t zxid_last);
    /* That session was attached at another server when that stood at this zxid. */
    void (*attached)(void *ctx, uint64_t session, uint64_t zxid);
    /* The state is about to be replaced by a peer's, or is not any more: clients are to go
     * elsewhere meanwhile. */
    void (*installing)(void *ctx, bool installing);
    /* It is replaced: connections end, what they asked has no answer here. */
    void (*installed)(void *ctx);
    /* Starts what may start now. */
    void (*turn)(void *ctx);
    /* True when something became startable since: another round is due. */
    bool (*again)(void *ctx);
    void (*flush)(void *ctx);
};

struct driver_config {
    uv_loop_t *loop;
    const struct config *config; /* borrowed */
    struct datadir *datadir;     /* borrowed */
    const struct address *advertise;
    struct driver_clients clients;
    /* This server is no member any more: it is to stop, and need not hurry. */
    void (*ended)(void *ctx);
    void *ctx;
};

/* Opens log and state, and begins to take part: at once when this server has joined
 * (identity.h), else when it has; until then requests get ERR_NO_QUORUM. 0, or a code and
 * one line in `why`; then driver_close() all the same, if *driver is not NULL. */
int driver_open(const struct driver_config *config, struct driver **driver, char *why,
                size_t why_size);
/* Two steps, as the loop must run out between them: nothing is asked any more, everything
 * is flushed and synced; then the memory goes. */
void driver_close(struct driver *d);
void driver_free(struct driver *d);

/* As replica.h; ERR_DISK_FULL too. */
int driver_submit(struct driver *d, uint64_t tag, uint64_t flow, struct bytes request);
int driver_read(struct driver *d, uint64_t tag, uint64_t session);
/* Tells the other servers; it may be lost. */
void driver_attached(struct driver *d, uint64_t session, uint64_t zxid);
int driver_transfer(struct driver *d, uint32_t node);

/* The applied state; what it returns stays until the turn ends. */
struct kv_view *driver_view(struct driver *d);
struct replica_status driver_status(const struct driver *d);
uint64_t driver_zxid(const struct driver *d); /* the newest applied */
/* How old what is applied here may be. */
struct driver_age {
    uint64_t lag_ms;        /* at most; UINT64_MAX: not known, until a strong read was answered */
    uint64_t leaderless_ms; /* how long no leader that serves was heard of; 0: one is */
};
struct driver_age driver_age(const struct driver *d);
const struct tree_tally *driver_tally(const struct driver *d); /* of the applied tree */
/* A chosen slot, as log_read() gives it. */
int driver_read_log(struct driver *d, uint64_t slot, struct proposal *p);
/* Refilled at the start of each turn. */
struct queries *driver_queries(struct driver *d);
uint64_t driver_boot(const struct driver *d);
const struct lua_host *driver_host(const struct driver *d);
struct peers *driver_peers(struct driver *d);
uint64_t driver_founding(const struct driver *d); /* of identity.h; 0 = not joined */
/* As replica.h: who belongs, and how far they are. */
const struct roster *driver_roster(const struct driver *d);
uint64_t driver_member_chosen(const struct driver *d, uint32_t id);

#endif
