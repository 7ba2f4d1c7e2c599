/* client.h -- what the files of libtidelock share around one client; the protocol itself is
 * core.h, the public contract tidelock.h.
 *
 *     client.c    opening, closing, the thread of a client that has one
 *     turn.c      one turn: bytes in and out, what is due, callbacks
 *     session.c   the session's state, told as it changes
 *     failure.c   codes and the last message of each thread
 *     call.c      building a request; asking it, with a callback or waiting
 *     answer.c    a completion's result, as the program gets it
 *     nodes.c many.c recipes.c   the calls, each blocking and not
 *     watch.c election.c observer.c config.c   what lives on a client and tells of changes
 *     prefix.c value.c          paths as the program sees them; MessagePack made easy
 *
 * One lock, recursive, guards all of it: whoever runs a turn holds it except while waiting,
 * and callbacks run within. Time is CLOCK_BOOTTIME, since a session does not stop on the
 * servers while this machine sleeps. */
#ifndef CORE_CLIENT_CLIENT_H
#define CORE_CLIENT_CLIENT_H

#include <pthread.h>
#include <stdatomic.h>

#include "core/base/list.h"
#include "core/client/core.h"
#include "core/client/link.h"
#include "core/client/session_file.h"
#include "core/client/tidelock.h"

#define NEVER_MS UINT64_MAX

struct tl_client {
    uint32_t timeout_ms;
    bool has_session, has_thread;
    tl_reads reads;
    uint32_t max_lag_ms;
    _Atomic uint64_t zxid_newest; /* of all answers; written under the lock */
    char *prefix; /* "" = none; else "/a/b" */
    tl_session_fn on_session; /* may be NULL */
    void *session_ctx;

    struct session_file session_file;
    int file_code; /* why the session could not be noted there; 0 = it could */

    pthread_t thread;
    struct link link; /* of whoever runs the turns */
    int fd, wake_fd, timer_fd; /* fd: epoll, over the other two and the link's */
    uint8_t *room;             /* for what is read */

    pthread_mutex_t lock;
    pthread_cond_t turned; /* a turn was made */
    struct client_core *core;
    uint64_t timer_ms;      /* timer_fd fires then; NEVER_MS = not */
    int socket_fd;          /* the link's that epoll knows; -1 = none */
    uint64_t socket_serial; /* the link's for it */
    uint32_t socket_events; /* what it waits for there */
    bool woken;             /* wake_fd is readable */
    bool in_turn;           /* callbacks may be running: the holder of the lock is in one */
    bool stopping;          /* no more turns */
    bool freeing;           /* nothing can be started any more */
    bool end_wanted;        /* a callback closed or abandoned it: at the end of the turn */
    bool close_wanted;      /* closed, then */
    tl_session_state told;
    struct list refused; /* asked, but no server will be: struct asking */
    uint32_t refused_serial;
    struct list objects; /* struct object */
};

/* --- an object that lives on a client: an election, an observer, a follower --- */

struct object;

struct object_kind {
    void (*session_over)(struct object *o); /* may be NULL */
    void (*end)(struct object *o); /* closed: its requests and watches are to be ended */
    void (*free)(struct object *o);
};

struct object {
    struct list link;
    tl_client *client;
    const struct object_kind *kind;
    bool closed; /* its callbacks are not called any more; freed at the end of the turn */
};

void object_add(struct object *o, tl_client *c, const struct object_kind *kind);
void object_close(struct object *o); /* NULL is fine */
void objects_sweep(tl_client *c);
void objects_session_over(tl_client *c);

/* --- client.c --- */
uint64_t client_now_ms(void);
char *text_dup(const char *text);
void client_lock(tl_client *c);
void client_unlock(tl_client *c);
void client_wait_init(pthread_cond_t *cond);
/* Waits for `cond`, until `until_ms` at most. */
void client_wait(tl_client *c, pthread_cond_t *cond, uint64_t until_ms);

/* --- turn.c --- */
int turn_init(tl_client *c); /* ERR_IO */
void turn_fini(tl_client *c);
/* Under the lock: what has come and what is due, after waiting for it for up to `wait_ms`
 * (-1: without limit) without the lock. */
void turn_run(tl_client *c, int wait_ms);
/* Something new is to be sent or done: there shall be a turn. */
void turn_wake(tl_client *c);

/* --- call.c --- */
void call_refused_end(tl_client *c); /* tells the callers of what could not be asked */

/* --- session.c --- */
/* Tells what is new; the time at which there may be something, if nothing comes. */
uint64_t session_tell(tl_client *c);

/* --- failure.c --- */
int client_fail(int code, const char *message); /* returns code; message NULL: its text */

/* --- prefix.c --- */
bool prefix_is_good(const char *prefix);
void prefix_put(const tl_client *c, struct buf *out, const char *path); /* appends */
struct bytes prefix_strip(const tl_client *c, struct bytes path);

#endif
