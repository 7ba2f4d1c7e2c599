/* tidelock.h -- libtidelock, the C client of Tidelock.
 *
 * A client holds one connection to one of the servers, and, if asked, a session. It
 * reconnects to another server when the connection fails, reattaches the session, keeps it
 * alive, and sends again what was in flight: every write of a session is done once,
 * whatever fails meanwhile. So a caller sees done, refused (an error of the request), or
 * TL_SESSION_EXPIRED (which may hide an outcome), and never "connection lost, maybe".
 *
 * With a session, a write that was sent but is not answered within its time limit ends with
 * TL_PENDING: it goes on in the background, is done at most once, and its result is
 * dropped. TL_UNREACHABLE means that it was never sent. Without a session a write that was
 * sent on a lost connection is TL_UNREACHABLE too: its outcome is unknown, and the message
 * says so.
 *
 * Two kinds of client, with the same calls inside:
 *
 *     tl_connect()  has a thread of its own. Every call may be made from any thread; those
 *                   that end in _async do not wait, the others do
 *     tl_open()     has none: it lives in your event loop, by tl_fd() and tl_process().
 *                   _async calls, watches and objects only; these from any thread too
 *
 * Callbacks run within tl_process(), or on the client's thread, or within tl_close(); never
 * within the call that asked for them, and one at a time. They may make _async calls,
 * watch, unwatch, cancel, open and close objects, and close the client (which is put off
 * until they have returned). They must not block: a blocking call from one is refused. They
 * run while other threads wait to use the client, so they must not wait for those either.
 * What a callback is given is borrowed until it returns.
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

/* --- errors --- */

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
    TL_READ_ONLY = -22,
    TL_NO_MEMBER = -23,
    TL_MEMBER_EXISTS = -24,
    TL_MEMBERS_FULL = -25,
    TL_LAST_VOTER = -26,
    TL_UNSAFE_CHANGE = -27,
    TL_RESTING = -28,
    TL_OVER_QUOTA = -29,
    TL_NO_QUORUM = -30,
    TL_BUSY = -31,
    TL_PENDING = -32,
    TL_STOPPING = -33,
    TL_STALE = -35,
    TL_UNKNOWN_METHOD = -40,
    TL_BAD_PARAMS = -41,
    TL_BAD_OPTION = -42,
    TL_WRONG_CLUSTER = -44,
    TL_BAD_PROTOCOL = -45,
    TL_BAD_MESSAGE = -47,
    TL_IO = -60,
    TL_IN_USE = -63,
    TL_CONFIG = -64,
    TL_UNREACHABLE = -65,
    TL_CLOSED = -66,
};

const char *tl_error_name(int code); /* "no_node" */
const char *tl_error_text(int code); /* a sentence */
const char *tl_message(void); /* of the calling thread's last failure; never NULL */
void tl_free(void *ptr);      /* NULL is fine */

/* --- a client --- */

typedef struct tl_client tl_client;

typedef enum tl_session_state {
    TL_SESSION_NONE,     /* the client was opened without one */
    TL_SESSION_OPENING,  /* no server has opened it yet */
    TL_SESSION_OK,       /* renewed lately */
    TL_SESSION_JEOPARDY, /* not renewed for half of its time: it may still be saved */
    TL_SESSION_SAFE,     /* only told, never a state: it was in jeopardy, and now is OK */
    TL_SESSION_OVER,     /* expired: its local deadline passed, or a server
                          * said so. Final */
} tl_session_state;

/* Told as the state changes, OPENING left out. OVER comes at the local deadline at the
 * latest, whether a server can be reached or not, and also when the session was closed, or
 * could not be opened for good. Locks and leaderships go with the session: to stop their
 * work in JEOPARDY is safe, in OVER it is high time. */
typedef void (*tl_session_fn)(void *ctx, tl_session_state state);

typedef enum tl_reads {
    TL_READS_STRONG, /* as new as the service is when it is asked; needs a majority */
    TL_READS_ANY,    /* what the server at hand has, at once: it may be old, or older than
                      * what another server told. Without a session also from a server that
                      * is cut off from the others */
    TL_READS_SESSION, /* by any server that has everything this client was told of: it reads
                       * its own writes, and never goes back. Mostly without a majority */
    TL_READS_BOUNDED, /* by any server that is certainly no more than options.max_lag_ms
                       * behind; else TL_STALE */
} tl_reads;

typedef struct tl_options {
    const char *servers;         /* "host:port,host:port"; IPv6 as "[::1]:7400" */
    const char *cluster;         /* NULL: any */
    uint32_t timeout_ms;         /* of one call; 0 = 10,000 */
    uint32_t session_timeout_ms; /* 0 = no session; else 1,000 .. 600,000 */
    const char *session_file;    /* NULL: none; see below */
    const char *prefix;          /* "/apps/a": stands before every path; NULL: none */
    uint32_t max_lag_ms;         /* with TL_READS_BOUNDED, from 1 on */
    tl_reads reads;              /* of all gets and queries; who needs both opens two */
    tl_session_fn on_session;    /* NULL: nobody */
    void *session_ctx;
} tl_options;

/* A server that a name stands for is looked up whenever it is connected to, and may have
 * several addresses. One server of a cluster is enough to know: it names the others.
 *
 * With a session file, a program that died and is started again need not wait until its old
 * session has expired: the session is noted there (mode 0600: it holds the secret), and a
 * client opened later that finds one closes it first, so that its locks and ephemeral
 * nodes are free, and what it had under way can have no effect any more. tl_close() removes
 * the file. One client at a time may use it, in any process of this machine: TL_IN_USE for
 * a second one. The lock is kept in "<file>.lock", which stays. */

/* Connects, and opens the session if one is asked for. TL_CONFIG: an option is malformed,
 * or the session file is another file. TL_UNREACHABLE, TL_WRONG_CLUSTER, TL_NO_QUORUM (a
 * session needs one), TL_IN_USE, TL_IO (the session file cannot be read or written).
 * on_session may be called before it returns. */
int tl_connect(const tl_options *options, tl_client **client);
/* Returns at once; whether a server can be reached shows later. TL_CONFIG, TL_IN_USE,
 * TL_IO. The session file is read here, and written by tl_process(). */
int tl_open(const tl_options *options, tl_client **client);
/* Readable when tl_process() has something to do; wait for that in poll, epoll, libuv, and
 * do nothing else with it. It stays the same until the client is closed. */
int tl_fd(tl_client *c);
/* Does all that is due without waiting, and runs callbacks. 0; TL_CLOSED: a callback closed
 * the client, which is gone; else the code that ended the client for good, such as
 * TL_WRONG_CLUSTER (every call will end with it), or TL_IO, when the session file could not
 * be written: what is left is to close it. */
int tl_process(tl_client *c);
/* Closes the session (its ephemeral nodes go at once) if the service can be reached within
 * the time limit, and frees the client and its objects: what is still asked ends with
 * TL_CLOSED. Nobody may use any of them any more. It waits for a server's answer; if you
 * must not wait, tl_end_session() first, and close when OVER was told. NULL is fine. */
void tl_close(tl_client *c);
/* Frees the client but leaves the session to expire: as if the process had died. */
void tl_abandon(tl_client *c);
/* Begins to close the session, and returns at once. */
void tl_end_session(tl_client *c);

tl_session_state tl_session(tl_client *c);
/* Milliseconds for which the session certainly lives on the servers, counted from the
 * sending of the last renewal that was answered; 0 = it may be over. Any time. */
int64_t tl_session_left_ms(tl_client *c);
uint64_t tl_session_id(tl_client *c); /* 0 = none */

/* With options.prefix "/apps/a" the program sees only what is below it, as "/": the prefix
 * is put before every path given, in guards, ops, locks and objects too, and taken off each
 * path told. The node /apps/a is made by whoever needs it (TL_PARENTS). Arguments of
 * tl_call() are the recipe's matter: for those tl_path() gives the full path. */
char *tl_path(tl_client *c, const char *path);

/* --- nodes --- */

typedef struct tl_stat {
    uint64_t czxid, mzxid, pzxid;
    int64_t ctime, mtime; /* ms since 1970 UTC */
    int32_t version, cversion, aversion;
    uint64_t ephemeral_owner;
    uint64_t data_length, num_children;
    uint64_t ttl, container; /* milliseconds, 0 = none; 1 = it is one */
} tl_stat;

typedef struct tl_guard {
    const char *path; /* of the grant: "<lock>/holder"; NULL: token is a session, of anybody,
                       * and the write happens only while it lives */
    uint64_t token;
} tl_guard;

/* TL_CONTAINER: it goes with its last child, in the same transaction. */
enum { TL_EPHEMERAL = 1, TL_SEQUENTIAL = 2, TL_PARENTS = 4, TL_CONTAINER = 8 };

/* `data` NULL with len 0 is null data. `created` (may be NULL) gets the path. `guard` may
 * be NULL everywhere: with one, the write happens only while that lock is held. */
int tl_create(tl_client *c, const char *path, const void *data, size_t len, unsigned flags,
              const tl_guard *guard, char **created, tl_stat *stat);
/* With all that can be asked of a node. ttl_ms: it goes when it was not changed or touched for
 * so long and has no children. linger_ms, of an ephemeral one: when the session expires (not
 * when it is closed) a node without data keeps the name for so long, up to 60,000. */
typedef struct tl_creation {
    unsigned flags;
    uint64_t ttl_ms, linger_ms; /* 0 = not */
} tl_creation;
int tl_create_as(tl_client *c, const char *path, const void *data, size_t len,
                 const tl_creation *how, const tl_guard *guard, char **created,
                 tl_stat *stat);
int tl_touch(tl_client *c, const char *path, const tl_guard *guard, tl_stat *stat);
int tl_set(tl_client *c, const char *path, const void *data, size_t len, int64_t version,
           const tl_guard *guard, tl_stat *stat); /* version -1 = any */
int tl_delete(tl_client *c, const char *path, int64_t version, const tl_guard *guard);

/* Linearizable, unless options.reads say otherwise. `data` is NULL for null data; it ends
 * with a zero byte beyond len. */
int tl_get(tl_client *c, const char *path, char **data, size_t *len, tl_stat *stat);
int tl_get_stat(tl_client *c, const char *path, tl_stat *stat);
/* Up to `limit` names (0 = 1,000) after the name `after` (NULL = from the start), each
 * ended by a zero byte, one behind the other in *names; *more tells whether there are
 * others. */
int tl_children(tl_client *c, const char *path, const char *after, unsigned limit,
                char **names, size_t *count, bool *more);

/* One node of many. */
typedef struct tl_node {
    const char *path;
    const char *data; /* NULL: null data, or not asked for; ends with a zero byte beyond len */
    size_t len;
    bool exists; /* a read of a multi: there is a node, and stat is its */
    tl_stat stat;
    uint64_t count; /* of a multi's delete-tree or copy: how many nodes */
} tl_node;

typedef struct tl_nodes {
    size_t count;
    tl_node at[];
} tl_nodes;
void tl_nodes_free(tl_nodes *nodes); /* NULL is fine */

/* A node and all below it, depth first, parents before their children: up to `limit` nodes
 * (0 = 1,000, the most) behind the path `after` (NULL = from the start). A page is of one
 * moment, two pages are not. */
int tl_tree(tl_client *c, const char *path, const char *after, unsigned limit, bool data,
            tl_nodes **page, bool *more);
/* Deletes a node and all below it: in one transaction if there are up to 10,000, else in
 * steps, leaves first; when it fails in between, what is left is a tree, and to ask again
 * goes on with it. *deleted: how many went; may be NULL. */
int tl_delete_tree(tl_client *c, const char *path, const tl_guard *guard,
                   uint64_t *deleted);
/* Copies up to 10,000 nodes, all or none, without ephemeral ones; no node may be at `to`. */
int tl_copy(tl_client *c, const char *from, const char *to, const tl_guard *guard,
            uint64_t *copied);
/* Bounds the nodes at and below a path, and the bytes of their data; 0 = no bound. */
int tl_quota_set(tl_client *c, const char *path, uint64_t nodes, uint64_t bytes);

typedef struct tl_op {
    enum { TL_OP_CREATE = 1, TL_OP_SET, TL_OP_DELETE, TL_OP_CHECK, TL_OP_ABSENT,
           TL_OP_GUARD, TL_OP_ALIVE, TL_OP_GET, TL_OP_STAT, TL_OP_TOUCH,
           TL_OP_DELETE_TREE, TL_OP_COPY } kind;
    const char *path;
    const void *data;
    size_t len;
    int64_t version; /* SET, DELETE, CHECK; -1 = any */
    unsigned flags;  /* CREATE */
    uint64_t token;  /* GUARD; ALIVE: a session, and no path */
    uint64_t ttl_ms, linger_ms; /* CREATE */
    const char *to;  /* COPY */
} tl_op;

/* All or nothing. *paths: of each op, in order and each ended by a zero byte, the path
 * that it created, "" when it is no CREATE. On a refusal *failed is the index of the op,
 * else -1. All three may be NULL. */
int tl_multi(tl_client *c, const tl_op *ops, size_t count, char **paths, uint64_t *zxid,
             int *failed);
/* The same, with what each op has to tell: the path that it created, the node that it read
 * as of its place among the ops, or how it left the node. */
int tl_multi_nodes(tl_client *c, const tl_op *ops, size_t count, tl_nodes **nodes,
                   uint64_t *zxid, int *failed);

/* --- a lock: recipe "lock". Needs a session --- */

typedef struct tl_lock {
    char path[1100]; /* of the grant; with token: a tl_guard */
    uint64_t token;  /* rises with every grant of this lock */
} tl_lock;

/* wait_ms: 0 = without limit; TL_TIMEOUT when it passed. Never TL_PENDING: once it was
 * sent it ends when a server has answered or the session is over, so that no grant is lost.
 * The lock is held until it is released, or the session is over (tl_session_fn). */
int tl_lock_acquire(tl_client *c, const char *path, uint32_t wait_ms, tl_lock *lock);
/* TL_REFUSED at once when somebody holds it. */
int tl_lock_try(tl_client *c, const char *path, tl_lock *lock);
int tl_lock_release(tl_client *c, const tl_lock *lock);

/* --- a configuration value with versions: recipe "config" --- */

/* `version` -1: any; else refused (TL_REFUSED) unless it is the newest. *stored: the new
 * one's number; may be NULL. */
int tl_config_put(tl_client *c, const char *path, const void *data, size_t len,
                  int64_t version, const tl_guard *guard, uint64_t *stored);
/* `version` 0: the newest. *number: which one it is; may be NULL. TL_NO_NODE: none was ever
 * stored; TL_REFUSED: that one is not kept. To be told of each: tl_config_open(). */
int tl_config_get(tl_client *c, const char *path, uint64_t version, char **data,
                  size_t *len, uint64_t *number);

/* --- recipes --- */

/* Runs a recipe's function. args and *value are one MessagePack value each (args NULL:
 * nil). wait_ms: how long a waiting call may wait on the server, 0 = without limit; the
 * caller's own limit is then extended to it. When it fails, *value are the details that the
 * recipe gave, NULL if none. */
int tl_call(tl_client *c, const char *function, const void *args, size_t args_len,
            uint32_t wait_ms, const tl_guard *guard, void **value, size_t *value_len);

/* The same for a function that only reads: any server runs it, so it costs what a read
 * costs. TL_READ_ONLY when it tries to write, or to wait. */
int tl_query(tl_client *c, const char *function, const void *args, size_t args_len,
             void **value, size_t *value_len);

/* MessagePack for those who do not want to know it: a map with names, and out of it. */
typedef struct tl_pair {
    const char *name;
    const char *text; /* NULL: the number */
    int64_t number;
} tl_pair;
void *tl_map(const tl_pair *pairs, size_t count, size_t *len);
/* The member `name` of a map; name NULL: the value itself. `text`, of a string or bytes, is
 * borrowed from `value`, without a zero byte behind it. False: none of that kind. */
bool tl_value_text(const void *value, size_t value_len, const char *name, const char **text,
                   size_t *len);
bool tl_value_number(const void *value, size_t value_len, const char *name,
                     int64_t *number);

/* --- the same without waiting --- */

/* How a call ended. What does not belong to the call is 0, NULL, or -1 of `failed`. */
typedef struct tl_result {
    int code;
    const char *message; /* of a failure; never NULL */
    uint64_t zxid;
    const char *path; /* create: the one it got */
    const char *data; /* get: NULL for null data; ends with a zero byte beyond len */
    size_t len;
    const tl_stat *stat;
    const char *names; /* children, paths of a multi: each ended by a zero byte */
    size_t count;         /* ... delete-tree, copy: how many nodes */
    bool more;
    const tl_node *nodes; /* tree, multi: `count` of them */
    int failed;           /* multi: index of the op that was refused */
    const tl_lock *lock;  /* lock: the grant */
    const void *value;    /* call: its value, or the details of its refusal */
    size_t value_len;
} tl_result;

typedef void (*tl_done_fn)(void *ctx, const tl_result *result);

/* Arguments as above, copied. Each returns a handle for tl_cancel(), and done is called
 * once; 0: the client is being closed, and it is not. `done` NULL: nobody wants to know. */
uint64_t tl_create_async(tl_client *c, const char *path, const void *data, size_t len,
                         unsigned flags, const tl_guard *guard, tl_done_fn done, void *ctx);
uint64_t tl_set_async(tl_client *c, const char *path, const void *data, size_t len,
                      int64_t version, const tl_guard *guard, tl_done_fn done, void *ctx);
uint64_t tl_delete_async(tl_client *c, const char *path, int64_t version,
                         const tl_guard *guard, tl_done_fn done, void *ctx);
uint64_t tl_create_as_async(tl_client *c, const char *path, const void *data, size_t len,
                            const tl_creation *how, const tl_guard *guard, tl_done_fn done,
                            void *ctx);
uint64_t tl_touch_async(tl_client *c, const char *path, const tl_guard *guard,
                        tl_done_fn done, void *ctx);
/* `partly`: a step of a tree of any size; ask again while result->more. */
uint64_t tl_delete_tree_async(tl_client *c, const char *path, bool partly,
                              const tl_guard *guard, tl_done_fn done, void *ctx);
uint64_t tl_copy_async(tl_client *c, const char *from, const char *to,
                       const tl_guard *guard, tl_done_fn done, void *ctx);
uint64_t tl_tree_async(tl_client *c, const char *path, const char *after, unsigned limit,
                       bool data, tl_done_fn done, void *ctx);
uint64_t tl_get_async(tl_client *c, const char *path, tl_done_fn done, void *ctx);
uint64_t tl_get_stat_async(tl_client *c, const char *path, tl_done_fn done, void *ctx);
uint64_t tl_children_async(tl_client *c, const char *path, const char *after,
                           unsigned limit, tl_done_fn done, void *ctx);
uint64_t tl_multi_async(tl_client *c, const tl_op *ops, size_t count, tl_done_fn done,
                        void *ctx);
uint64_t tl_lock_acquire_async(tl_client *c, const char *path, uint32_t wait_ms,
                               tl_done_fn done, void *ctx);
uint64_t tl_lock_try_async(tl_client *c, const char *path, tl_done_fn done, void *ctx);
uint64_t tl_lock_release_async(tl_client *c, const tl_lock *lock, tl_done_fn done,
                               void *ctx);
uint64_t tl_config_put_async(tl_client *c, const char *path, const void *data, size_t len,
                             int64_t version, const tl_guard *guard, tl_done_fn done,
                             void *ctx); /* result.value: a map with "version" */
uint64_t tl_call_async(tl_client *c, const char *function, const void *args,
                       size_t args_len, uint32_t wait_ms, const tl_guard *guard,
                       tl_done_fn done, void *ctx);
uint64_t tl_query_async(tl_client *c, const char *function, const void *args,
                        size_t args_len, tl_done_fn done, void *ctx);

/* When it has returned, done is not called any more. What was sent may happen all the same;
 * but a waiting call is withdrawn, and a lock that was granted meanwhile is given back. A
 * handle that is unknown, or done, is fine. */
void tl_cancel(tl_client *c, uint64_t handle);

/* --- watches --- */

/* A watch tells of every change of what it stands on, in order, each once, also
 * over lost connections and killed servers; needs no session. */
typedef enum tl_event_kind {
    TL_EVENT_CREATED = 1,
    TL_EVENT_CHANGED,
    TL_EVENT_DELETED,
    TL_EVENT_CHILDREN, /* a child of the node was created or deleted */
    TL_EVENT_ARMED,    /* changes after `zxid` will be told: read now, and miss nothing */
    TL_EVENT_LAGGED,   /* changes up to `zxid` may be missing: read again. It goes on */
    TL_EVENT_ENDED,    /* the last one: refused with `code`, or the client is closed */
    TL_EVENT_NODE,     /* SNAPSHOT: stands there; transaction `zxid` changed its data last */
    TL_EVENT_READY,    /* SNAPSHOT: what was told adds up to the tree at `zxid` */
} tl_event_kind;

typedef struct tl_event {
    tl_event_kind kind;
    const char *path; /* borrowed for the call, and so is data */
    uint64_t zxid;
    const void *data; /* TL_WATCH_VALUE: of CREATED, CHANGED, NODE; NULL: null data */
    size_t len;
    int code; /* ENDED */
} tl_event;

/* DATA: the node created, changed, deleted; it need not be there. CHILDREN: children
 * created or deleted. ONCE: it ends with its first event. VALUE: events carry the data.
 * RECURSIVE: as DATA, of the node and of all below it; not with CHILDREN.
 * SNAPSHOT: what stands there is told first, however much that is, in place of reading it:
 * ARMED, a NODE for each (with RECURSIVE of all below, each behind its parent), then READY.
 * Changes between ARMED and READY are told of nodes that were told already, so a program that
 * keeps a map just goes on: at READY its map is the tree at that zxid, and then follows each
 * transaction. LAGGED: empty the map; all of it is told again, until another READY. Not with
 * CHILDREN and ONCE. */
enum {
    TL_WATCH_DATA = 1,
    TL_WATCH_CHILDREN = 2,
    TL_WATCH_ONCE = 4,
    TL_WATCH_VALUE = 8,
    TL_WATCH_RECURSIVE = 16,
    TL_WATCH_SNAPSHOT = 32,
};

typedef void (*tl_watch_fn)(void *ctx, const tl_event *event);

/* Returns at once; ARMED comes when a server has it. flags 0: DATA. TL_BUSY: too many.
 * TL_BAD_OPTION: flags that do not go together. */
int tl_watch(tl_client *c, const char *path, unsigned flags, tl_watch_fn fn, void *ctx,
             uint64_t *handle);
/* The same, going on from an earlier life that had seen everything up to `since`: what came
 * after it is told before ARMED, or LAGGED says that servers do not remember. Not with
 * SNAPSHOT. */
int tl_watch_since(tl_client *c, const char *path, unsigned flags, uint64_t since,
                   tl_watch_fn fn, void *ctx, uint64_t *handle);
/* Everything up to this zxid was told, if nothing happened too: it rises while nothing is
 * heard. What to keep for tl_watch_since(). 0: nothing is known yet. */
uint64_t tl_watch_zxid(tl_client *c, uint64_t handle);
/* When it has returned, fn is not called any more. An unknown handle is fine. */
void tl_unwatch(tl_client *c, uint64_t handle);

/* --- objects: they live on a client until they are closed, or it is --- */

/* A candidate in an election (recipe "election"). Needs a session. */
typedef struct tl_election tl_election;

typedef struct tl_term {
    bool leads;      /* true: elected. false: the term, or the candidacy, is over */
    tl_guard guard;  /* leads: what to put into writes that only the leader may do; stays
                      * until the next term is told */
    int code;        /* over: 0 = resigned, TL_SESSION_EXPIRED, TL_NO_NODE = somebody else
                      * ended the term, or why the candidacy was refused */
    const char *message; /* of the code */
} tl_term;
typedef void (*tl_election_fn)(void *ctx, const tl_term *term);

/* Stands at once, and waits for as long as it takes. `value` is what others shall see of
 * it, such as an address; NULL: nothing. */
int tl_election_open(tl_client *c, const char *path, const char *value, tl_election_fn fn,
                     void *ctx, tl_election **election);
/* Stands again after a term or a candidacy is over; else it does nothing. */
void tl_election_stand(tl_election *e);
/* Ends the term or the candidacy; fn tells when that is so. */
void tl_election_resign(tl_election *e);
/* Resigns; fn is not called any more. NULL is fine. */
void tl_election_close(tl_election *e);

/* Sees who leads: at first, and each change from then on, also over lost connections. */
typedef struct tl_observer tl_observer;

typedef struct tl_leader {
    uint64_t token; /* 0: nobody leads */
    const char *value; /* NULL: none; ends with a zero byte beyond len */
    size_t len;
    bool lagged; /* leaders between the last one told and this one may have been missed */
    int code;    /* not 0: it sees no more, and why */
} tl_leader;
typedef void (*tl_observer_fn)(void *ctx, const tl_leader *leader);

int tl_observer_open(tl_client *c, const char *path, tl_observer_fn fn, void *ctx,
                     tl_observer **observer);
void tl_observer_close(tl_observer *o);

/* Follows a configuration value: tells the newest version first (nothing as long as none
 * was stored), and then each newer one in order. */
typedef struct tl_config tl_config;

typedef struct tl_version {
    uint64_t number; /* 1, 2, 3, ... */
    uint64_t zxid;
    const char *data; /* ends with a zero byte beyond len */
    size_t len;
    bool skipped; /* versions between the last one told and this are not kept any more */
    int code;     /* not 0: it follows no more, and why */
} tl_version;
typedef void (*tl_config_fn)(void *ctx, const tl_version *version);

int tl_config_open(tl_client *c, const char *path, tl_config_fn fn, void *ctx,
                   tl_config **config);
void tl_config_close(tl_config *config);

#ifdef __cplusplus
}
#endif
#endif
