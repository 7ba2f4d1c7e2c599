/* peers.h -- this server's connections to the others: frames out, frames in.
 *
 * Delivers or loses, never changes: see wire.h. What must wait for the log waits here, and
 * leaves in the order of what it waits for. Nothing is queued for a peer that is not
 * connected, and what is queued for one that does not read is bounded.
 *
 * WHO BELONGS. Before the first roster is applied, those that the identity names; then those
 * of the newest roster that the caller tells (peers_follow()). A server that is not among
 * them is refused, unless it knows of a newer roster than we do: then it is a stranger, and
 * what may be taken of it is the replica's to say.
 *
 * Before this server has joined (identity.h) frames of others are dropped, and the caller
 * has none to send. */
#ifndef CORE_SERVER_PEERS_H
#define CORE_SERVER_PEERS_H

#include "core/base/limits.h"
#include "core/paxos/types.h"
#include "core/server/identity.h"
#include "core/server/peer_context.h"

struct peers;

struct peers_events {
    void *ctx;
    /* A whole frame of `node`, borrowed. False: it is none, close. */
    bool (*frame)(void *ctx, struct peer_id from, struct bytes frame);
    /* Frames may leave for that member: what was sent to it before may be lost. */
    void (*up)(void *ctx, uint32_t node);
    /* A connection from or to that member has ended. May come twice for one failure. */
    void (*down)(void *ctx, uint32_t node);
    /* `node` knows this server by another data directory (ERR_OTHER_DATA, or of another
     * cluster, ERR_WRONG_CLUSTER), or not at all (ERR_NO_MEMBER), and is right: it must
     * stop. */
    void (*refused)(void *ctx, uint32_t node, int code);
};

struct peers_config {
    uv_loop_t *loop;
    const struct config *config; /* borrowed */
    struct identity *identity;   /* borrowed */
    const struct address *advertise;
    uint64_t cluster, boot, seed;
    struct peers_events events;
};

struct peers *peers_new(const struct peers_config *config);
/* Listens, if others know where, and dials. 0 or an error with `why`; then peers_stop() all
 * the same. */
int peers_start(struct peers *p, char *why, size_t why_size);
/* The roster in force has changed: dials those that came, leaves those that went. Not to be
 * called within an event. */
void peers_follow(struct peers *p, const struct roster *roster);
/* Closes all; peers_free() when the loop has run out. */
void peers_stop(struct peers *p);
void peers_free(struct peers *p);

/* `frame` is borrowed. It leaves with the turn's flush once `after` is durable. */
void peers_send(struct peers *p, nodes_set to, uint64_t after, struct bytes frame);
void peers_durable(struct peers *p, uint64_t seq);
void peers_flush(struct peers *p); /* once per turn */

/* Where that server serves clients, as text; "" when it is not known. Borrowed. */
const char *peers_client_address(const struct peers *p, uint32_t node);
/* Rises when one of them changes. */
uint64_t peers_client_version(const struct peers *p);

#endif
