/* tidelock.h -- libtidelock, the C client of Tidelock.
 *
 * Blocking calls on one client object, safe from any thread. A client holds one connection
 * to one of the servers, and, if asked, a session. A thread of its own reconnects to
 * another server when the connection fails, reattaches the session, keeps it alive, and
 * sends again what was in flight: every write of a session is done once, whatever fails
 * meanwhile. So a caller sees done, refused (an error of the request), or
 * TL_SESSION_EXPIRED (which may hide an outcome), and never "connection lost, maybe".
 *
 * With a session, a write that was sent but is not answered within its time limit returns
 * TL_PENDING: it goes on in the background, is done at most once, and its result is
 * dropped. TL_UNREACHABLE means that it was never sent. Without a session a write that was
 * sent on a lost connection is TL_UNREACHABLE too: its outcome is unknown, and
 * tl_message() says so.
 *
 * Returns: 0 or a negative code (tl_error_name). tl_message() tells more about the last
 * failure of the calling thread. Strings and data returned are the caller's: tl_free(). */
#ifndef TIDELOCK_H
#define TIDELOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum tl_error {
    TL_OK = 0,
    TL_NO_NODE = -1,
    TL_NODE_EXISTS = -2,
    TL_BAD_VERSION = -3,
    TL_NOT_EMPTY = -4,
    TL_EPHEMERAL_PARENT = -5,
    TL_GUARD_FAILED = -6,
    TL_BAD_PATH = -7,
    TL_TOO_LARGE = -8,
    TL_SESSION_EXPIRED = -9,
    TL_BAD_SECRET = -10,
    TL_SEQ_ACKNOWLEDGED = -11,
    TL_NO_RECIPE = -12,
    TL_NO_FUNCTION = -13,
    TL_SCRIPT_FAILED = -14,
    TL_OVER_BUDGET = -15,
    TL_TIMEOUT = -16,
    TL_CANCELLED = -17,
    TL_NO_CALL = -18,
    TL_REFUSED = -19,
    TL_RESERVED = -20,
    TL_LAGGED = -21,
    TL_NO_QUORUM = -30,
    TL_BUSY = -31,
    TL_PENDING = -32,
    TL_STOPPING = -33,
    TL_UNKNOWN_METHOD = -40,
    TL_BAD_PARAMS = -41,
    TL_BAD_OPTION = -42,
    TL_WRONG_CLUSTER = -44,
    TL_BAD_PROTOCOL = -45,
    TL_BAD_MESSAGE = -47,
    TL_IO = -60,
    TL_CONFIG = -64,
    TL_UNREACHABLE = -65,
    TL_CLOSED = -66,
};

const char *tl_error_name(int code); /* "no_node" */
const char *tl_error_text(int code); /* a sentence */
const char *tl_message(void); /* of the calling thread's last failure; never NULL */
void tl_free(void *ptr);      /* NULL is fine */

typedef struct tl_client tl_client;

typedef struct tl_options {
    const char *servers;         /* "host:port,host:port"; IPv6 as "[::1]:7400" */
    const char *cluster;         /* NULL: any */
    uint32_t timeout_ms;         /* of one call; 0 = 10,000 */
    uint32_t session_timeout_ms; /* 0 = no session; else 1,000 .. 600,000 */
} tl_options;

/* Connects, and opens the session if one is asked for. TL_CONFIG: an address is malformed.
 * TL_UNREACHABLE, TL_WRONG_CLUSTER, TL_NO_QUORUM (a session needs one). */
int tl_connect(const tl_options *options, tl_client **client);
/* Closes the session (its ephemeral nodes go at once) if the service can be reached within
 * the time limit, and frees the client. NULL is fine. */
void tl_close(tl_client *c);
/* Frees the client but leaves the session to expire: as if the process had died. */
void tl_abandon(tl_client *c);

typedef enum tl_session_state {
    TL_SESSION_NONE,     /* the client was opened without one */
    TL_SESSION_OK,       /* renewed lately */
    TL_SESSION_JEOPARDY, /* not renewed for half of its time: it may still be saved */
    TL_SESSION_OVER,     /* its local deadline passed, or a server said so. Final */
} tl_session_state;

tl_session_state tl_session(tl_client *c);
/* Milliseconds for which the session certainly lives on the servers, counted from the
 * sending of the last renewal that was answered; 0 = it may be over. Any time. */
int64_t tl_session_left_ms(tl_client *c);
uint64_t tl_session_id(tl_client *c); /* 0 = none */

typedef struct tl_stat {
    uint64_t czxid, mzxid, pzxid;
    int64_t ctime, mtime; /* ms since 1970 UTC */
    int32_t version, cversion, aversion;
    uint64_t ephemeral_owner;
    uint64_t data_length, num_children;
} tl_stat;

typedef struct tl_guard {
    const char *path; /* of the grant: "<lock>/holder" */
    uint64_t token;
} tl_guard;

enum { TL_EPHEMERAL = 1, TL_SEQUENTIAL = 2, TL_PARENTS = 4 };

/* `data` NULL with len 0 is null data. `created` (may be NULL) gets the path. `guard` may
 * be NULL everywhere: with one, the write happens only while that lock is held. */
int tl_create(tl_client *c, const char *path, const void *data, size_t len, unsigned flags,
              const tl_guard *guard, char **created, tl_stat *stat);
int tl_set(tl_client *c, const char *path, const void *data, size_t len, int64_t version,
           const tl_guard *guard, tl_stat *stat); /* version -1 = any */
int tl_delete(tl_client *c, const char *path, int64_t version, const tl_guard *guard);

/* Linearizable. `data` is NULL for null data; it ends with a zero byte beyond len. */
int tl_get(tl_client *c, const char *path, char **data, size_t *len, tl_stat *stat);
int tl_get_stat(tl_client *c, const char *path, tl_stat *stat);
/* Up to `limit` names (0 = 1,000) after the name `after` (NULL = from the start), each
 * ended by a zero byte, one behind the other in *names; *more tells whether there are
 * others. */
int tl_children(tl_client *c, const char *path, const char *after, unsigned limit,
                char **names, size_t *count, bool *more);

typedef struct tl_op {
    enum { TL_OP_CREATE = 1, TL_OP_SET, TL_OP_DELETE, TL_OP_CHECK, TL_OP_ABSENT,
           TL_OP_GUARD } kind;
    const char *path;
    const void *data;
    size_t len;
    int64_t version; /* SET, DELETE, CHECK; -1 = any */
    unsigned flags;  /* CREATE */
    uint64_t token;  /* GUARD */
} tl_op;

/* All or nothing. On a refusal *failed is the index of the op, else -1. May be NULL. */
int tl_multi(tl_client *c, const tl_op *ops, size_t count, uint64_t *zxid, int *failed);

/* Watches. A watch tells of every change of what it stands on, in order, each once, also
 * over lost connections and killed servers; needs no session. */
typedef enum tl_event_kind {
    TL_EVENT_CREATED = 1,
    TL_EVENT_CHANGED,
    TL_EVENT_DELETED,
    TL_EVENT_CHILDREN, /* a child of the node was created or deleted */
    TL_EVENT_ARMED,    /* changes after `zxid` will be told: read now, and nothing is missed */
    TL_EVENT_LAGGED,   /* changes up to `zxid` may be missing: read again. It goes on */
    TL_EVENT_ENDED,    /* the last one: refused with `code`, or the client is closed */
} tl_event_kind;

typedef struct tl_event {
    tl_event_kind kind;
    const char *path; /* borrowed for the call, and so is data */
    uint64_t zxid;
    const void *data; /* TL_WATCH_VALUE: of CREATED and CHANGED; NULL: null data */
    size_t len;
    int code; /* ENDED */
} tl_event;

/* DATA: the node created, changed, deleted; it need not be there. CHILDREN: children
 * created or deleted. ONCE: it ends with its first event. VALUE: events carry the data. */
enum { TL_WATCH_DATA = 1, TL_WATCH_CHILDREN = 2, TL_WATCH_ONCE = 4, TL_WATCH_VALUE = 8 };

/* Called on the client's thread, or within tl_close(): it must not block, nor call any
 * function that takes the client. */
typedef void (*tl_watch_fn)(void *ctx, const tl_event *event);

/* Returns at once; ARMED comes when a server has it. flags 0: DATA. TL_BUSY: too many. */
int tl_watch(tl_client *c, const char *path, unsigned flags, tl_watch_fn fn, void *ctx,
             uint64_t *handle);
/* When it has returned, fn is not called any more. An unknown handle is fine. */
void tl_unwatch(tl_client *c, uint64_t handle);

/* Runs a recipe's function. args and *value are one MessagePack value each (args NULL:
 * nil). wait_ms: how long a waiting call may wait on the server, 0 = without limit; the
 * caller's own limit is then extended to it. Blocks until answered. */
int tl_call(tl_client *c, const char *function, const void *args, size_t args_len,
            uint32_t wait_ms, const tl_guard *guard, void **value, size_t *value_len);

/* A lock: recipe "lock". Needs a session. */
typedef struct tl_lock {
    char path[1100]; /* of the grant; with token: a tl_guard */
    uint64_t token;  /* rises with every grant of this lock */
} tl_lock;
/* wait_ms: 0 = without limit; TL_TIMEOUT when it passed. Never TL_PENDING: once it was
 * sent it blocks until a server has answered or the session is over, so that no grant is
 * lost. */
int tl_lock_acquire(tl_client *c, const char *path, uint32_t wait_ms, tl_lock *lock);
/* TL_REFUSED at once when somebody holds it. */
int tl_lock_try(tl_client *c, const char *path, tl_lock *lock);
int tl_lock_release(tl_client *c, const tl_lock *lock);

#ifdef __cplusplus
}
#endif
#endif
