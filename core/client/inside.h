/* inside.h -- what the files of the client's core share; not for anybody else.
 *
 *     core.c      the connection's life, time, and what may be asked of the core
 *     control.c   hello, the session's life, renewals, ping: the core's own requests
 *     takeover.c  the end of a forerunner's session, before ours is opened
 *     requests.c  the callers' requests: sending, retrying, ending
 *     watches.c   watches: their life, arming, arming again
 *     events.c    what a server tells of them
 *     input.c     bytes from the server: which request they answer
 *
 * A connection goes through these stages:
 *
 *     DOWN -> HELLO [client_core_connected]     hello is sent
 *     HELLO -> SESSION [stage_session]          a forerunner's session is ended;
 *                                               session.open or session.attach is sent
 *     HELLO, SESSION -> READY [stage_ready]     requests are sent
 *     any -> DOWN [client_core_disconnected] */
#ifndef CORE_CLIENT_INSIDE_H
#define CORE_CLIENT_INSIDE_H

#include "core/base/list.h"
#include "core/base/rng.h"
#include "core/client/core.h"

enum client_stage {
    CLIENT_DOWN = 0,
    CLIENT_HELLO,
    CLIENT_SESSION,
    CLIENT_READY,
};

/* The core's own requests: their number is their msgid, one of each is asked at a time. The
 * msgids of callers' requests begin above. */
enum control {
    CONTROL_NONE = 0,
    CONTROL_HELLO,
    CONTROL_OPEN,
    CONTROL_ATTACH,
    CONTROL_RENEW,
    CONTROL_CLOSE,
    CONTROL_TAKE,  /* attaches a forerunner's session, */
    CONTROL_CLEAR, /* and closes it */
    CONTROL_PING,
    CONTROL_LOOK, /* a strong read, for watches without a session */
    CONTROL_CANCEL, /* many at a time: each withdraws a call */
    CONTROL_COUNT
};

enum {
    RETRY_MS_MIN = 20,
    RETRY_MS_MAX = 200,
    QUIET_MS_MIN = 500,     /* a server may be silent for so long, */
    QUIET_MS_DEFAULT = 2000, /* or so long without a session */
    STAY_MS = 500, /* on a server without a quorum: elections last about as long */
};

enum {
    WATCHES_ASKED_MAX = LIMIT(1000, 16),
    CHUNK_WATCHES_MAX = LIMIT(500, 8), /* of one request */
    CHUNK_BYTES_MAX = REQUEST_BYTES_MAX / 4,
    LOOK_AFTER_MS = 2000,
};

enum watch_state {
    WATCH_WANTED = 1, /* to be asked for */
    WATCH_ASKED,
    WATCH_ARMED, /* on this connection */
};

struct watch {
    struct list link; /* of `wanted` or `watches` */
    uint64_t handle;  /* serial << 20 | slot: its number on the wire */
    enum watch_state state;
    uint64_t complete; /* everything up to this zxid was told */
    bool resumes;      /* `complete` means something */
    bool announced;    /* ARMED was told, or LAGGED */
    bool lagged;       /* to be told: the servers did not remember as far as `complete` */
    bool whole;        /* of a snapshot: READY was told */
    struct chunk *chunk; /* ASKED: with which others */
    struct client_core *core;
    struct client_watch wish; /* the path is in `text` */
    uint8_t text[];
};

struct chunk { /* watches that are asked for in one request */
    struct list link; /* of core->chunks */
    struct client_core *core;
    uint64_t request; /* its handle */
    uint32_t count;
    uint64_t handles[]; /* some of them may be gone */
};

#define NEVER UINT64_MAX

struct request {
    struct list link;   /* in `writes`, `others`, or a list of those to be ended */
    uint64_t handle;    /* serial << 20 | slot; its lower half is the msgid */
    uint64_t seq;       /* 0 = none yet: given when first sent */
    uint64_t sent_ms;   /* last */
    uint64_t due_ms;    /* limit; NEVER = none */
    uint64_t due_unsent_ms; /* limit of the first sending */
    uint64_t retry_ms;  /* others: not before */
    enum method method;
    uint32_t sends;     /* on all connections */
    uint32_t args_count, options_count;
    bool write;
    bool sent;          /* on this connection, and not answered there */
    bool withdrawn;     /* a waiting call whose caller has gone */
    int verdict;        /* ends with this code at the next tick; 0 = none */
    int answer_last;    /* ERR_BUSY and the like, 0 = none */
    client_done_fn done; /* NULL: nobody waits any more */
    void *ctx;
    uint32_t args_len, options_len;
    uint8_t packed[]; /* arguments, then options */
};

struct client_core {
    char *cluster; /* NULL: any, until a server has told */
    uint32_t timeout_wanted_ms; /* of the session; 0 = none */

    struct rng rng;
    enum client_stage stage;
    bool wants_other;
    bool served;              /* a request was answered on this connection */
    int ended;                /* the code that ended it for good; 0 = none */
    bool opened;              /* was ready once */
    bool greeted;             /* a server of the cluster has answered */
    int trouble;

    struct buf in, out;
    struct rpc_scan scan;
    msgpack_zone *zone;
    uint64_t connected_ms;
    uint64_t quiet_since_ms; /* nothing has come since, though something was asked */
    unsigned asked;          /* callers' requests sent here and not answered */
    bool control_asked[CONTROL_COUNT];
    uint64_t control_sent_ms[CONTROL_COUNT];
    uint64_t control_retry_ms; /* the stage's control is asked again then; NEVER = not */
    uint64_t cancel_retry_ms;  /* cancels are sent again then; NEVER = not */

    uint64_t session; /* 0 = not open */
    struct buf secret;
    uint64_t timeout_ms;  /* as granted */
    uint64_t renewed_ms;  /* when the last answered renewal was sent */
    bool session_over, session_gone, closing;
    uint64_t seq_next;

    uint64_t former; /* a forerunner's session that is to be closed; 0 = none */
    struct buf former_secret;
    client_members_fn members;
    void *members_ctx;

    /* Callers' requests: the session's writes by seq, those without one last; the rest. */
    struct list writes, others;
    uint64_t writes_retry_ms; /* no write is sent before; NEVER = no refusal to wait for */
    uint64_t due_ms;          /* the earliest of all that wait for a time; may be early */
    size_t count, kept_bytes;
    struct request **slots;
    uint32_t slots_count, serial;
    uint32_t *slots_free;
    uint32_t slots_free_count;

    struct list wanted, watches; /* those to be asked for; those asked for and armed */
    struct list chunks;
    struct watch **watch_slots;
    uint32_t watch_slots_count, watches_count, watches_asked, watch_serial;
    uint64_t watches_retry_ms; /* none is asked for before; 0 = at once */
    uint32_t watch_slot_hint;  /* where to look for a free one */
    uint64_t zxid_seen;        /* the newest that an answer of this connection named */
    uint64_t look_ms;          /* when the last look was sent, or the connection ready */
};

/* --- control.c --- */
void core_asked(struct client_core *c, uint64_t now_ms); /* before each message sent */
void control_attach(struct client_core *c, uint64_t now_ms, enum control control,
                    uint64_t session, struct bytes secret);
void control_close(struct client_core *c, uint64_t now_ms, enum control control,
                   uint64_t session);
void control_again(struct client_core *c, uint64_t now_ms, int code); /* after a pause */
void stage_session(struct client_core *c, uint64_t now_ms);
void control_hello(struct client_core *c, uint64_t now_ms);
int control_answered(struct client_core *c, uint64_t now_ms, enum control control, int code,
                     const msgpack_object *result);
void control_cancel(struct client_core *c, uint64_t now_ms, const struct request *r);
void control_tick(struct client_core *c, uint64_t now_ms);
uint64_t control_next_ms(const struct client_core *c);
bool session_lives(const struct client_core *c);
void session_renewed(struct client_core *c, uint64_t sent_ms);
void session_end(struct client_core *c);
void session_end_known(struct client_core *c); /* a server said so */
uint64_t session_deadline_ms(const struct client_core *c); /* NEVER = no session */

/* --- takeover.c --- */
bool takeover_is_due(const struct client_core *c);
void takeover_begin(struct client_core *c, uint64_t now_ms);
void takeover_answered(struct client_core *c, uint64_t now_ms, enum control control,
                       int code);

/* --- requests.c --- */
struct request *request_find(struct client_core *c, uint64_t handle);
struct request *request_of_msgid(struct client_core *c, uint32_t msgid);
void request_answered(struct client_core *c, uint64_t now_ms, struct request *r, int code,
                      const char *message, const msgpack_object *result);
void request_end(struct client_core *c, struct request *r, int code, const char *message,
                 const msgpack_object *result);
void requests_end_all(struct client_core *c, struct list *list, int code);
void requests_flush(struct client_core *c, uint64_t now_ms);
void requests_lost(struct client_core *c, uint64_t now_ms);
void requests_tick(struct client_core *c, uint64_t now_ms);
void requests_cancel_again(struct client_core *c, uint64_t now_ms);

/* --- input.c --- */
void zxid_see(struct client_core *c, uint64_t zxid); /* all events up to it have come */
void members_came(struct client_core *c, const msgpack_object *map);

/* --- watches.c --- */
struct watch *watch_find(const struct client_core *c, uint64_t handle);
void watch_free(struct client_core *c, struct watch *w);
void watch_complete(struct watch *w, uint64_t zxid); /* everything up to it was told */
void watch_again(struct client_core *c, struct watch *w); /* it is armed no more */
void watches_flush(struct client_core *c, uint64_t now_ms);
uint64_t watches_next_ms(const struct client_core *c); /* NEVER = nothing waits */
void watches_lost(struct client_core *c); /* the connection: armed no more */
void watches_end_all(struct client_core *c, int code);

/* --- events.c: notifications. ERR_BAD_MESSAGE when one is malformed --- */
int events_came(struct client_core *c, const msgpack_object *params);
int events_nodes_came(struct client_core *c, const msgpack_object *params);
int events_lagged_came(struct client_core *c, uint64_t now_ms, const msgpack_object *params);
int events_progress_came(struct client_core *c, const msgpack_object *params);

/* --- core.c --- */
void core_end(struct client_core *c, int code);
uint64_t core_retry_ms(struct client_core *c, uint64_t now_ms);
void core_refused(struct client_core *c, uint64_t now_ms, int code); /* stay or leave */
bool code_is_for_now(int code); /* the request is in no batch and may be asked again */

#endif
