/* bench_inside.h -- what the files of the load generator share; not for anybody else.
 *
 *     bench_loop.c    phases, and when the next operation begins
 *     bench_client.c  connections and sessions, one epoll for all
 *     bench_kinds.c   the table of operations; those of one request
 *     bench_pairs.c   operations of two requests: lock, queue, barrier, session, delete
 *     bench_watch.c   one change and all its watchers
 *     bench_count.c   figures
 *
 * An operation is one or more requests, one after the other, in one slot. Its kind packs
 * each request (ask) and judges each answer (told); the loop does all else. */
#ifndef CLI_BENCH_INSIDE_H
#define CLI_BENCH_INSIDE_H

#include "cli/bench_loop.h"
#include "cli/channel.h"
#include "core/base/rng.h"

enum bench_phase {
    BENCH_CONNECT,
    BENCH_PREPARE,
    BENCH_WARMUP,
    BENCH_MEASURE,
    BENCH_DRAIN,
    BENCH_END
};

/* What an answer means for its operation. */
enum bench_verdict {
    BENCH_DONE = 1, /* it has succeeded */
    BENCH_NEXT,     /* its next request is due: ask again */
    BENCH_LATER,    /* bench_op_end() will be called when it is over */
    BENCH_FAILED,   /* the answer breaks a promise; bench->broken says which */
};

/* An operation under way, or room for one. */
struct bench_slot {
    struct bench_client *client;
    uint64_t begun_us;       /* in an open loop: when it should have begun */
    enum bench_phase phase;  /* when it began: only what MEASURE began is counted */
    unsigned step;           /* of its requests, from 0 */
    uint64_t asked_us;       /* the last of them */
    uint64_t subject, token; /* the kind's own: which lock, session, ... */
};

struct bench_client {
    struct bench *bench;
    struct channel channel;
    bool was_ready;
    bool queued;        /* in bench->touched */
    int fd;             /* that epoll knows; -1: none */
    uint64_t fd_serial; /* of the link, when it was told */
    short events;       /* that epoll waits for */
    struct bench_slot *slots;
    struct bench_slot **idle; /* slots of no operation; a stack. Not in an open loop */
    uint32_t slots_count, idle_count;
};

struct bench {
    const struct bench_config *config;
    const struct bench_kind *kind;
    struct bench_hosts *hosts;
    struct bench_result *result;
    struct histogram second; /* of `progress`: the last second's latencies */
    uint64_t second_us, second_errors;
    struct bench_client *clients;
    uint32_t clients_count, ready_count;
    struct bench_client **touched; /* have something to send */
    uint32_t touched_count;
    const struct bench_client *turning; /* sends in a moment anyway */
    int epoll;
    enum bench_phase phase;
    uint64_t phase_started_us, measured_since_us;
    uint64_t moved_us;                /* when CONNECT or PREPARE last got on */
    unsigned round;                   /* of PREPARE */
    uint64_t units_asked, units_done; /* of the round */
    uint64_t counted_under_way;       /* operations that MEASURE began */
    struct bench_pace pace;
    struct bench_slot **free; /* open loop: slots of no operation, longest unused first */
    uint64_t free_first, free_count, free_room;
    uint64_t names; /* of create, delete: used so far */
    uint64_t now_us;
    int fatal;
    char broken[160];
    struct rng rng;
    struct buf params, options; /* of the next request */
    struct buf value;           /* packed, of the size asked for */
    void *state;                /* the kind's own */
};

/* `ask` and `prepare` append to bench->params and bench->options, and set method, write and
 * the counts of r. Members that a kind does not need are NULL or 0. */
struct bench_kind {
    const char *name;
    bool sessionless; /* its clients open no session of their own */
    bool shallow;     /* an operation of a client at a time: no --depth */
    bool gathers;     /* all clients must take part at once: no --rate */
    bool consumes;    /* works on each key once: no WARMUP, ends when none is left */
    uint32_t keys;    /* the default of --keys; 0: it takes none */
    bool one_works;   /* --clients look on; one client more begins the operations */
    unsigned rounds;  /* of PREPARE: all of one is done before the next begins */
    uint64_t (*units)(const struct bench *b, unsigned round);
    void (*prepare)(struct bench *b, uint64_t unit, struct client_request *r);
    void (*start)(struct bench *b);    /* before the clients connect */
    bool (*is_armed)(struct bench *b); /* after PREPARE: false = not yet, asked again */
    void (*ask)(struct bench *b, struct bench_slot *s, struct client_request *r);
    enum bench_verdict (*told)(struct bench *b, struct bench_slot *s,
                               const msgpack_object *result);
    void (*tick)(struct bench *b); /* now and then, after PREPARE */
    void (*stop)(struct bench *b); /* releases `state` */
};

/* --- bench_loop.c --- */
/* An operation whose verdict was LATER is over; code 0 or a failure. */
void bench_op_end(struct bench *b, struct bench_slot *s, int code, const char *message);
/* A client is ready and may begin what it has room for. */
void bench_feed(struct bench *b, struct bench_client *c);

/* --- bench_client.c --- */
void bench_clients_open(struct bench *b);
void bench_clients_close(struct bench *b); /* ends all sessions, waits a little for that */
/* One wait for input, until then at most, and what came of it. */
void bench_clients_wait(struct bench *b, uint64_t until_us);
void bench_clients_turn(struct bench *b);        /* all of them, now and then */
void bench_client_touch(struct bench_client *c); /* it has something to send */
bool bench_client_works(const struct bench *b, const struct bench_client *c);

/* --- packing, bench_kinds.c --- */
void bench_pack_path(struct bench *b, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void bench_pack_option(struct bench *b, struct client_request *r, const char *name);
/* A recipe's call: its argument follows, from the caller. */
void bench_pack_function(struct bench *b, struct client_request *r, const char *function);
/* The same, and its argument's beginning: {path = ...} follows with `more` further members,
 * for the caller. */
void bench_pack_call(struct bench *b, struct client_request *r, const char *function,
                     uint32_t members);
/* The value of a recipe's answer; NULL: none. */
const msgpack_object *bench_value_of(const msgpack_object *result);

/* --- kinds of more than one request --- */
extern const struct bench_kind BENCH_LOCK, BENCH_QUEUE, BENCH_BARRIER, BENCH_SESSION,
    BENCH_WATCH;

#endif
