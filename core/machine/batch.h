/* batch.h -- the value of one Paxos slot: the resolved transactions of many requests.
 *
 *     version u8 (2) | zxid_first | time_ms | clock_ms | digest_slot | digest u64 | count |
 *     count txns                                                (version 1 had no clock_ms)
 *     txn: flags u8 | origin | tag | session | seq | ack | ops bytes | result bytes
 *
 * Transaction i has zxid zxid_first + i. `digest` is the state's digest after digest_slot,
 * the newest slot that the leader had applied: a replica whose own differs must stop. `origin`
 * and `tag` say which server's pending request this answers. Pure. */
#ifndef CORE_MACHINE_BATCH_H
#define CORE_MACHINE_BATCH_H

#include "core/base/bytes.h"

enum txn_flags {
    TXN_FINAL = 1,    /* the request's answer; unset: a call that goes on waiting */
    TXN_REPEATED = 2, /* no effect: answer what is stored under (session, seq) */
};

struct txn {
    unsigned flags;
    uint32_t origin; /* 0: nobody waits (an expiry) */
    uint64_t tag;
    uint64_t session, seq, ack;
    struct bytes ops;    /* op.h */
    struct bytes result; /* result.h; null for REPEATED and for calls that wait */
};

struct batch {
    uint64_t zxid_first;
    int64_t time_ms;
    uint64_t clock_ms; /* the service's clock: machine.h */
    uint64_t digest_slot, digest;
    uint32_t count;
    uint32_t rosters; /* how many of the ops are OP_MEMBERS */
    struct reader txns; /* see txn_next() */
};

/* The header of `b`; `count` and the txns are appended by the builder; see resolver.c. */
void batch_begin(struct buf *out, const struct batch *b);
void txn_encode(struct buf *out, const struct txn *t); /* appends */

int batch_decode(struct bytes bytes, struct batch *b); /* borrowed; ERR_BAD_MESSAGE, ... */
int txn_next(struct batch *b, struct txn *t);

/* One line a transaction, for `tidelockd log dump`; data is shown by its length only. */
void batch_print(struct bytes bytes, void (*line)(void *ctx, const char *text), void *ctx);

#endif
