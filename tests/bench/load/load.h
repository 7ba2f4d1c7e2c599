/* load.h -- the load generator of tests/bench/compare.sh: one process, one thread, one
 * epoll, many connections that keep requests outstanding, over any of several wires.
 *
 * It shares two cores with the servers that it measures, so a request costs it about a
 * microsecond whichever server answers: messages are written and read by hand, all that a
 * connection has to say goes out in one write, and latencies go into a histogram.
 *
 *     wire_*.c   how requests and answers of one system look       struct wire
 *     conn.c     a connection: its bytes, its outstanding requests  struct conn
 *     loop.c     the epoll loop: warm-up, measuring, the end        struct load
 *     plain.c    get, set, create                                   struct job
 *     recipes.c  counter, lock and queue, built by the clients      struct job
 *     outage.c   the longest time in which no write succeeds        struct job
 *     probe.c    how soon a server serves                           struct job
 *
 * Not a client library: whatever a comparison does not need ends the program with a
 * message. */
#ifndef TESTS_BENCH_LOAD_LOAD_H
#define TESTS_BENCH_LOAD_LOAD_H

#include <sys/types.h>

#include "cli/histogram.h"
#include "core/base/bytes.h"
#include "core/base/rng.h"

/* --- what is asked and answered --- */

enum load_op {
    LOAD_GET = 1,
    LOAD_SET,
    LOAD_CREATE,
    LOAD_DELETE,
    LOAD_CHILDREN,
    LOAD_AWAIT, /* is there a node? and one event when it changes */
};

struct load_request {
    enum load_op op;
    const char *path;
    struct bytes value;         /* SET, CREATE */
    int64_t version;            /* SET: only if the node has it; -1: any */
    bool ephemeral, sequential; /* CREATE */
};

enum load_outcome {
    LOAD_DONE = 1,
    LOAD_REFUSED, /* for what the state is: no such node, another version, it exists */
    LOAD_FAILED,
};

/* Borrows from the connection's input until the next one is taken. */
struct load_answer {
    uint32_t id; /* 0: the event of an AWAIT */
    enum load_outcome outcome;
    int64_t version;     /* GET */
    struct bytes path;   /* CREATE */
    struct bytes *names; /* CHILDREN, in no order */
    uint32_t names_count;
};

/* --- a connection --- */

struct pending {
    uint64_t sent_us;
    uint32_t id; /* 0: free */
    enum load_op op;
};

struct conn {
    const struct wire *wire;
    const char *where; /* "127.0.0.1:2181" */
    bool wants_session;
    int fd;            /* -1: none */
    bool ready;        /* greeted: takes requests */
    bool waits_write;  /* as epoll was told */
    uint64_t tried_us; /* when the connection was last begun */
    struct buf in, out;
    size_t out_sent;
    uint32_t id_last, outstanding;
    struct pending *pending; /* request i stands at i & pending_mask */
    uint32_t pending_mask;
    struct bytes *names; /* room for an answer's */
    uint32_t names_room;
    void *state; /* the wire's */
    void *work;  /* the job's */
};

enum wire_verdict {
    WIRE_MORE = 1, /* no whole message yet */
    WIRE_NOTHING,  /* a message that means nothing to the job */
    WIRE_READY,    /* greeted */
    WIRE_ANSWER,
    WIRE_BROKEN, /* the connection is of no use any more */
};

struct wire {
    const char *name;
    size_t state_size;
    uint32_t id_step; /* how far apart the ids of two requests are */
    bool recipes;     /* knows all of enum load_op, not GET, SET and CREATE only */
    /* Appends the first bytes of a new connection. */
    void (*greet)(struct conn *c);
    /* Appends a request; false, and nothing appended, while the server wants no more. */
    bool (*ask)(struct conn *c, uint32_t id, const struct load_request *r);
    /* Reads the message at the front of `in`; `used` is how long it was. */
    enum wire_verdict (*take)(struct conn *c, struct bytes in, size_t *used,
                              struct load_answer *a);
    void (*forget)(struct conn *c); /* frees what the state owns; may be NULL */
};

extern const struct wire WIRE_ZOOKEEPER, WIRE_ETCD, WIRE_TIDELOCK, WIRE_ECHO;

void conn_init(struct conn *c, const struct wire *wire, const char *where, uint32_t depth);
void conn_fini(struct conn *c);
/* Begins anew; false when nobody listens there. What was outstanding is forgotten. */
bool conn_open(struct conn *c, uint64_t now_us);
void conn_close(struct conn *c);
/* False: not now, the window is full. */
bool conn_ask(struct conn *c, const struct load_request *r, uint64_t now_us);
/* The request that an answer belongs to. */
struct pending *conn_pending(struct conn *c, uint32_t id);
/* Room for one more name of an answer. */
struct bytes *conn_name(struct conn *c, struct load_answer *a);
/* Both false when the connection is gone. */
bool conn_flush(struct conn *c);
bool conn_fill(struct conn *c);
/* The next answer or event; WIRE_MORE when there is none. */
enum wire_verdict conn_next(struct conn *c, size_t *at, struct load_answer *a);

/* --- the run --- */

enum { LOAD_SERVERS_MAX = 8 };

struct load_config {
    const struct wire *wire;
    const struct job *job;
    char *servers[LOAD_SERVERS_MAX]; /* connections go to them in turn */
    uint32_t servers_count;
    uint32_t clients, depth, size, keys, locks;
    uint32_t seconds, warmup_seconds;
    uint64_t count; /* create: end after so many; 0: by time */
};

struct load_result {
    struct histogram latency_us, handover_us;
    uint64_t measured_us;
    uint64_t errors, retries;
    uint64_t gap_us; /* outage */
    bool found;      /* probe: a write succeeded; the run is over */
};

struct load {
    struct load_config config;
    struct load_result result;
    struct conn *conns;
    int epoll;
    uint64_t now_us, measured_from_us, last_write_us;
    bool measuring, done;
    struct bytes value;
    uint64_t seed, names; /* in paths of this run; names given so far */
    struct rng rng;
};

struct job {
    const char *name;
    bool recipe;   /* needs the wire's recipes and a session for each client */
    bool survives; /* connections may be lost: they are begun again */
    void (*prepare)(struct load *l); /* makes the nodes; may load_ask() */
    /* Sends what the connection may send now: after input, and some times a second. */
    void (*fill)(struct load *l, struct conn *c);
    /* `request` is what was answered; NULL: this is an event. */
    void (*answer)(struct load *l, struct conn *c, const struct pending *request,
                   const struct load_answer *a);
};

extern const struct job JOB_GET, JOB_SET, JOB_CREATE, JOB_COUNTER, JOB_LOCK, JOB_QUEUE,
    JOB_OUTAGE, JOB_PROBE;

/* Runs it all. Ends the program when it cannot. */
void load_run(struct load *l);
/* On the first connection, waiting for the answer; that it is refused is fine. */
void load_ask(struct load *l, const struct load_request *r);
/* load_ask() for a node that may be there already. */
void load_create(struct load *l, const char *path);
/* One operation is done. */
void load_count(struct load *l, uint64_t begun_us);
_Noreturn void load_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
