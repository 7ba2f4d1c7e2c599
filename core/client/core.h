/* core.h -- the client's protocol without I/O: one connection at a time, its requests, and
 * the session.
 *
 * The pure half of libtidelock: bytes and time come in, bytes and completions go out. The
 * blocking client (client.c) drives it with a thread and poll(2); `tidelock bench` drives
 * thousands of them with epoll; the simulator may drive it too. It keeps every request
 * until it is answered, and sends all of them again, in order, when a new connection is
 * made and the session is attached there. Requests without a session that are in flight
 * when their connection is lost are completed with ERR_UNREACHABLE, reads are simply sent
 * again.
 *
 * Retries by itself: BUSY, STOPPING, NO_QUORUM, DISK_FULL and CLOSED of a session's write or of a
 * read are asked again (after a short wait, elsewhere for STOPPING and CLOSED) until the request's
 * time limit.
 * Then a read ends with the last of these answers, or with ERR_UNREACHABLE when there was
 * none. A session's write that was sent has a seq, and a seq once sent is never withdrawn:
 * it ends with ERR_PENDING and goes on unseen. What was never sent ends with
 * ERR_UNREACHABLE.
 *
 * Local deadline: the session lives at least until (time at which the last answered renewal
 * was sent) + timeout. A write of the session that succeeded at its first sending renews it
 * as well. When the deadline passes, the session is over, finally, and every write of it
 * that is not answered ends with ERR_SESSION_EXPIRED; reads go on.
 *
 * A server that stays silent while something is asked of it gets a ping, and then counts as
 * lost: client_core_wants_other().
 *
 * Takeover: a session of a dead forerunner is attached and closed before our own is opened,
 * so that what it held is free and none of its writes in flight can have any effect by the
 * time we are ready.
 *
 * Watches without a session keep the connection honest by a small strong read now and then:
 * it finds a server that is cut off or silent, and tells how far events are complete.
 *
 * Invariants: B1 each request completes at most once. B2 within a session writes are sent
 * in the order of seq, on every connection; those that a server refused for now are sent
 * again in that order before any new one. B3 `ack` never passes an unanswered seq. B4 the
 * deadline never goes beyond what a server acknowledged. B5 a watch tells of
 * no zxid at or below one that it told of. */
#ifndef CORE_CLIENT_CORE_H
#define CORE_CLIENT_CORE_H

#include "core/client/servers.h"
#include "core/rpc/rpc.h"

/* What a core keeps of requests at most; beyond it they end with ERR_BUSY. */
#define CLIENT_REQUESTS_MAX LIMIT(65536u, 256u)
#define CLIENT_KEPT_BYTES_MAX (64u << 20)
/* The longest answer: a page of children with names as long as they can be, and some. */
#define CLIENT_ANSWER_BYTES_MAX (16u << 20)

static_assert(LIST_COUNT_MAX * (PATH_BYTES_MAX + 8u) < CLIENT_ANSWER_BYTES_MAX,
              "a page of children is an answer");

struct client_core;

struct client_session {
    uint64_t id; /* 0: none */
    struct bytes secret;
};

/* A server told of its cluster's members: in its hello, and when they change. Called from
 * within client_core_input(); it must not call the core. */
typedef void (*client_members_fn)(void *ctx, const struct members *members);

struct client_core_config {
    const char *cluster;            /* NULL: any */
    uint32_t session_timeout_ms;    /* 0: no session */
    struct client_session replaces; /* closed first; it may be over already */
    client_members_fn members;      /* may be NULL */
    void *members_ctx;
    uint64_t seed;                  /* jitter of retries */
};

/* A completion: code 0 and the result object, or an error and its details (may be NULL);
 * both borrowed for the call. It may make and cancel requests, but not free the core.
 * Never called from within client_core_request(). */
typedef void (*client_done_fn)(void *ctx, int code, const char *message,
                               const msgpack_object *result);

struct client_core *client_core_new(const struct client_core_config *config);
void client_core_free(struct client_core *c); /* completes what is left with ERR_CLOSED */

/* The connection came up (empty input and output), or went away. Coming up ends what
 * wants_other asked for. */
void client_core_connected(struct client_core *c, uint64_t now_ms);
void client_core_disconnected(struct client_core *c, uint64_t now_ms);
/* Bytes from the server; ERR_BAD_MESSAGE or ERR_WRONG_CLUSTER, ERR_BAD_PROTOCOL: close the
 * connection (and for the latter two do not come back). */
int client_core_input(struct client_core *c, uint64_t now_ms, struct bytes bytes);
/* What is to be sent now: take some off the front with buf_drop() after writing. */
struct buf *client_core_output(struct client_core *c);
/* Time limits, renewals, retries; returns the next time at which it wants to be called. */
uint64_t client_core_tick(struct client_core *c, uint64_t now_ms);
/* True: on this connection the server has done something that was asked for. */
bool client_core_served(const struct client_core *c);
/* True: this server cannot serve us now, connect to another. */
bool client_core_wants_other(const struct client_core *c);

/* A request: `params` are the method's packed arguments, one after the other without the
 * array's header (args_count of them); `options` are packed key-value pairs without the
 * map's header (options_count), session, seq and ack excluded: they are added here when
 * `write` is set and there is a session. Both are copied. What is no sound MessagePack, or
 * nested too deep, ends with ERR_BAD_PARAMS, what is too long with ERR_TOO_LARGE. Returns
 * the request's handle, for client_core_cancel(); never 0. limit_ms 0 = no limit. */
struct client_request {
    enum method method;
    struct bytes params, options;
    uint32_t args_count, options_count;
    bool write; /* takes a seq of the session */
    uint64_t limit_ms;
    uint64_t send_limit_ms; /* until it is first sent; 0 = as limit_ms */
    client_done_fn done;
    void *ctx;
};
uint64_t client_core_request(struct client_core *c, uint64_t now_ms,
                             const struct client_request *r);
/* The caller stops waiting: a write goes on without it, a waiting call is withdrawn. `done`
 * is not called any more. */
void client_core_cancel(struct client_core *c, uint64_t handle);
/* The caller wants no more of a call that may wait, but its end: with ERR_CANCELLED, or with
 * the answer if that came first. */
void client_core_withdraw(struct client_core *c, uint64_t now_ms, uint64_t handle);
/* The ctx of a request whose `done` is this one, and which has not ended; else NULL. */
void *client_core_request_of(struct client_core *c, uint64_t handle, client_done_fn done);

/* --- watches --- */

#define CLIENT_WATCHES_MAX LIMIT(100000u, 64u)

enum client_event_kind {
    CLIENT_EVENT_CREATED = 1,
    CLIENT_EVENT_CHANGED,
    CLIENT_EVENT_DELETED,
    CLIENT_EVENT_CHILDREN,
    CLIENT_EVENT_ARMED,  /* for the first time: what comes after `zxid` will be told */
    CLIENT_EVENT_LAGGED, /* events up to `zxid` may be missing: read again. It is armed */
    CLIENT_EVENT_ENDED,  /* with `code`: the last of this watch */
    CLIENT_EVENT_NODE,   /* of a snapshot: stands there; `zxid` changed its data last */
    CLIENT_EVENT_READY,  /* what was told since ARMED or LAGGED is the tree at `zxid` */
};

struct client_event {
    enum client_event_kind kind;
    uint64_t handle;   /* of the watch */
    uint64_t zxid;
    struct bytes path; /* borrowed for the call */
    struct bytes data; /* CREATED, CHANGED, NODE of a watch with `value`; NULL: null data */
    int code;          /* ENDED */
};

/* May make and end watches and requests, this one too, but not free the core. */
typedef void (*client_watch_fn)(void *ctx, const struct client_event *e);

struct client_watch {
    struct bytes path;
    bool data, children; /* what of the node; at least one, unless it is recursive */
    bool recursive;      /* data of the node and of all below it; without children */
    bool once;           /* ends with its first event */
    bool value;          /* events carry the data */
    bool snapshot;       /* what stands there is told first; without children and once */
    uint64_t since;      /* begins behind this zxid, seen by an earlier life; 0 = now. Goes
                          * without snapshot. What was missed comes before ARMED */
    client_watch_fn fn;
    void *ctx;
};

/* A watch goes on over lost connections, on whichever server: it is armed again from the
 * zxid up to which everything is known to have been told, so that no event is missing and
 * none comes twice; LAGGED says that the servers do not remember that far. Events of a
 * watch come in the order of zxids. With `snapshot`, NODEs come first, and CREATED, CHANGED
 * and DELETED among them of what was told already, until READY; after a LAGGED, or when the
 * connection was lost before READY, all that again. ENDED comes when a server refuses the
 * watch, or the core ends or is freed; not after client_core_unwatch(). A watch that fired
 * and was armed once is gone without an ENDED. Returns the handle, 0 when there are too
 * many; fn is never called from within. */
uint64_t client_core_watch(struct client_core *c, uint64_t now_ms,
                           const struct client_watch *w);
/* fn is not called any more. Returns the watch's ctx; NULL for an unknown handle. */
void *client_core_unwatch(struct client_core *c, uint64_t now_ms, uint64_t handle);
/* Everything up to this zxid was told: what to begin behind in another life. 0: nothing is
 * known yet, or there is no such watch. */
uint64_t client_core_watch_zxid(const struct client_core *c, uint64_t handle);

/* 0 = being opened, ready = 1, or the negative code that ended it for good. */
int client_core_ready(const struct client_core *c);
/* Why the last attempt to open or attach the session failed (ERR_NO_QUORUM, ...); 0: it did
 * not, or no server was reached. */
int client_core_trouble(const struct client_core *c);
uint64_t client_core_session(const struct client_core *c);
struct bytes client_core_secret(const struct client_core *c); /* of the session; borrowed */
uint64_t client_core_deadline_ms(const struct client_core *c); /* 0 = none */
bool client_core_session_over(const struct client_core *c);
/* Over, and a server said so: what it held is free. */
bool client_core_session_gone(const struct client_core *c);
/* Not renewed for half of its time, though renewals are sent after a third. */
bool client_core_jeopardy(const struct client_core *c, uint64_t now_ms);
/* When that will be, unless it is renewed before; UINT64_MAX = there is none. */
uint64_t client_core_jeopardy_ms(const struct client_core *c);
size_t client_core_in_flight(const struct client_core *c);
/* Sends session.close; client_core_session_over() turns true when it is answered. */
void client_core_close_session(struct client_core *c, uint64_t now_ms);

#endif
