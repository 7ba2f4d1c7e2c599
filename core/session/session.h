/* session.h -- sessions and exactly-once, as cells.
 *
 * A session is a lease of a client on the service, apart from any TCP connection: id (the
 * zxid that opened it), secret, timeout. Each write of a session bears a number `seq`, 1, 2,
 * 3, ...; its result is stored in the same transaction as its effects, so that a repeated
 * request, on any server, after any failure, gets the first result. `ack` says that the
 * client has all results up to it: they are dropped, and the mark stays.
 *
 * Cell 's' id:  version u8 (1) | timeout_ms | secret | last (highest seq resolved) | ack,
 *               the numbers as u64, so that a session's cell never changes its size. A
 *               timeout of 0: it is over, though not all of its nodes are gone yet
 * Cell 'r' id seq:  the result's bytes (core/machine/result.h); of a call that still waits
 *                   0x00 and, as u64, the zxid of its first commit: no result begins so
 *
 * Pure. Invariants: S1 ack <= last. S2 no 'r' cell at or below ack, none above last. S3 no
 * 'r' and no 'e' cell of a session without an 's' cell. */
#ifndef CORE_SESSION_SESSION_H
#define CORE_SESSION_SESSION_H

#include "core/base/limits.h"
#include "core/kv/kv.h"
#include "core/tree/op.h"
#include "core/tree/tree.h"
#include "core/tree/tx.h"

struct session {
    uint64_t id;
    uint64_t timeout_ms;
    uint64_t last, ack;
    uint8_t secret[SESSION_SECRET_BYTES];
};

/* False when there is none, or its end has begun. A cell that does not decode stops the
 * process (CHECK), as for node_read(). */
bool session_read(struct kv_view *v, uint64_t id, struct session *s);

/* SESSION_OPEN, SESSION_END and SESSION_CLOSE: their effect on the cells. End drops the 'r'
 * cells; close the 's' cell too: the ephemerals were deleted by ops before it. */
void session_apply(struct kv_overlay *o, const struct tree_context *c, const struct op *op);

/* The leader builds an open: the session's id is t->zxid. ERR_BAD_PARAMS when the secret is
 * not of SESSION_SECRET_BYTES. */
int session_open(struct tx *t, uint64_t timeout_ms, struct bytes secret);

/* ... and a close: DELETEs of all ephemerals, then the SESSION_CLOSE. No limit of the
 * transaction holds. `expired`: nobody asked for it, so nodes with a linger leave another in
 * their place. ERR_SESSION_EXPIRED when there is no such session. */
int session_close(struct tx *t, uint64_t id, bool expired);

/* For a session whose nodes do not fit one transaction: from this on it is over for all who
 * ask, and then its nodes go, as many at a time as make `ops` about bytes_aim long. True when
 * none is left, and it is closed. */
bool session_close_partly(struct tx *t, uint64_t id, bool expired, size_t bytes_aim);

/* What to do with request (id, seq), which acknowledges up to `ack`. Consults what `v`
 * shows: on the leader that is the newest state, unchosen results included. */
enum session_verdict {
    SESSION_NEW = 1,      /* the next one: resolve it */
    SESSION_REPEATED,     /* its result is stored: answer that one */
    SESSION_WAITING,      /* resolved before, still waits: attach to the waiting call */
    SESSION_GAP,          /* one before it has not been seen: hold it */
    SESSION_ACKNOWLEDGED, /* its result was dropped: refuse */
    SESSION_OVER,         /* no such session */
    SESSION_FULL,         /* too many results kept: the client must acknowledge */
};
enum session_verdict session_judge(struct kv_view *v, uint64_t id, uint64_t seq,
                                   uint64_t ack);

/* The stored result; false when there is none. Borrowed. */
bool session_result(struct kv_view *v, uint64_t id, uint64_t seq, struct bytes *result);

/* Of a call that waits: the zxid of its first commit, which says which version of a recipe
 * it goes on with; 0 when it has a result or was never seen. */
uint64_t session_began(struct kv_view *v, uint64_t id, uint64_t seq);

/* Records that seq was resolved, with its result (ptr NULL: the call waits) and drops
 * results up to `ack`, which is cut to what is legal (never past seq - 1). A result that
 * was acknowledged before it came is not kept. Applied by leader and replicas alike. Nothing
 * when the session is over. */
void session_record(struct kv_overlay *o, uint64_t zxid, uint64_t id, uint64_t seq,
                    uint64_t ack, struct bytes result);

/* The next session behind `*id`, those included whose end has begun; 0 starts. */
bool session_next(struct kv_view *v, uint64_t *id);

/* S1..S3 over the whole state. */
void session_check(struct kv_view *v);

#endif
