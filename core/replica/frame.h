/* frame.h -- the bodies of what replicas send each other.
 *
 *     version u8 (3) | kind u8 | by kind, numbers as LEB128:
 *     PAXOS         a message of core/paxos/message.h
 *     FORWARD       reign.round reign.node channel number count, count times: tag, flow,
 *                   request bytes (requests number, number + 1, ... of this origin in this reign)
 *     FORWARD_NEXT  reign.round reign.node channel number again u8  (the leader's next expected
 *                   number; 1: what was sent from there on is missing)
 *     READ_ASK      boot id count, count times: session to renew
 *     READ_OK       boot id index    (read when this slot is applied; answers id)
 *     DIGEST        slot again u8 sum u64  (the sender's digest after the slot; 1: and yours?)
 *     FULL          again u8    (1: the sender's disk is full; 0: it is not any more)
 *     ATTACHED      id index    (that session is on the sender's connection, since this zxid)
 *     SNAPSHOT_OFFER  slot
 *     SNAPSHOT_ASK    slot number limit again u8 sum u64 cursor bytes
 *     SNAPSHOT_CHUNK  slot number last u8 sum_before u64 sum u64, then cells to the end
 *                     (see core/replica/snapshot.h)
 *
 * Length and checksum around a body are the transport's (core/server/peers.h). Pure. */
#ifndef CORE_REPLICA_FRAME_H
#define CORE_REPLICA_FRAME_H

#include "core/paxos/message.h"

enum { FRAME_CELL_KEY_MAX = 4 * PATH_BYTES_MAX }; /* no cell's key is near that long */

enum frame_kind {
    FRAME_PAXOS = 1,
    FRAME_FORWARD,
    FRAME_FORWARD_NEXT,
    FRAME_READ_ASK,
    FRAME_READ_OK,
    FRAME_SNAPSHOT_OFFER,
    FRAME_SNAPSHOT_ASK,
    FRAME_SNAPSHOT_CHUNK,
    FRAME_DIGEST,
    FRAME_FULL,
    FRAME_ATTACHED,
};

struct frame {
    enum frame_kind kind;
    struct paxos_message paxos; /* PAXOS: see paxos_message_decode() on its blob */
    struct ballot reign;
    uint64_t boot, number, id, index; /* boot: FORWARD, FORWARD_NEXT: the channel */
    uint32_t count;
    struct bytes items; /* FORWARD, READ_ASK: encoded; see the two readers. SNAPSHOT_CHUNK:
                           the cells, which are not looked into */
    uint64_t slot, limit, sum, sum_before;
    bool again, last;
    struct bytes cursor;
};

/* Appends; items are appended by the caller behind it (see frame_put_*), cells as they are. */
void frame_encode(struct buf *out, const struct frame *f);
void frame_put_request(struct buf *out, uint64_t tag, uint64_t flow, struct bytes request);
void frame_put_session(struct buf *out, uint64_t session);

/* 0 or ERR_BAD_MESSAGE; borrowed from `bytes`. Items are checked too. */
int frame_decode(struct bytes bytes, struct frame *f);
void frame_next_request(struct reader *items, uint64_t *tag, uint64_t *flow,
                        struct bytes *request);
uint64_t frame_next_session(struct reader *items);

const char *frame_name(const struct frame *f);

#endif
