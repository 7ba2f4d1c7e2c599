/* The blocking client: a thread that moves bytes between the core and a socket, and callers
 * that wait on their own conditions. One lock: it guards the core and `stopping`; the link
 * belongs to the thread. Time is CLOCK_BOOTTIME, since a session does not stop on the
 * servers while this machine sleeps. */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "core/base/check.h"
#include "core/client/call.h"
#include "core/client/link.h"

enum {
    TIMEOUT_MS_DEFAULT = 10000,
    READ_BYTES = 64 << 10,
    LOOK_MS = 500, /* waiting callers look at the time themselves so often: the thread may
                    * be held up by the look-up of a name */
};

#define SAME(name) static_assert((int) TL_##name == (int) ERR_##name, "one table of codes")
SAME(NO_NODE);
SAME(NODE_EXISTS);
SAME(BAD_VERSION);
SAME(NOT_EMPTY);
SAME(EPHEMERAL_PARENT);
SAME(GUARD_FAILED);
SAME(BAD_PATH);
SAME(TOO_LARGE);
SAME(SESSION_EXPIRED);
SAME(BAD_SECRET);
SAME(SEQ_ACKNOWLEDGED);
SAME(NO_RECIPE);
SAME(NO_FUNCTION);
SAME(SCRIPT_FAILED);
SAME(OVER_BUDGET);
SAME(TIMEOUT);
SAME(CANCELLED);
SAME(NO_CALL);
SAME(REFUSED);
SAME(RESERVED);
SAME(LAGGED);
SAME(NO_QUORUM);
SAME(BUSY);
SAME(PENDING);
SAME(STOPPING);
SAME(UNKNOWN_METHOD);
SAME(BAD_PARAMS);
SAME(BAD_OPTION);
SAME(WRONG_CLUSTER);
SAME(BAD_PROTOCOL);
SAME(BAD_MESSAGE);
SAME(IO);
SAME(CONFIG);
SAME(UNREACHABLE);
SAME(CLOSED);

struct tl_client {
    uint32_t timeout_ms;
    bool has_session;

    pthread_t thread;
    struct link link;
    int wake_fd;

    pthread_mutex_t lock;
    pthread_cond_t turned; /* the thread has made a turn */
    struct client_core *core;
    bool stopping;
};

static _Thread_local char last_message[256];

int client_fail(int code, const char *message)
{
    snprintf(last_message, sizeof last_message, "%s",
             message == NULL ? error_text(code) : message);
    return code;
}

const char *tl_message(void)
{
    return last_message;
}

const char *tl_error_name(int code)
{
    return error_name(code);
}

const char *tl_error_text(int code)
{
    return error_text(code);
}

void tl_free(void *ptr)
{
    free(ptr);
}

static uint64_t now_ms_of(clockid_t clock)
{
    struct timespec t;

    CHECK(clock_gettime(clock, &t) == 0);
    return (uint64_t) t.tv_sec * 1000 + (uint64_t) t.tv_nsec / 1000000;
}

static uint64_t now_ms(void)
{
    return now_ms_of(CLOCK_BOOTTIME);
}

/* --- the thread --- */

static void wake(tl_client *c)
{
    const uint64_t one = 1;

    /* A full counter wakes as well. */
    (void) !write(c->wake_fd, &one, sizeof one);
}

static void wake_take(tl_client *c)
{
    uint64_t count;

    (void) !read(c->wake_fd, &count, sizeof count);
}

static void connection_lost(tl_client *c)
{
    client_core_disconnected(c->core, now_ms());
    link_drop(&c->link, now_ms());
}

static void send_some(tl_client *c)
{
    struct buf *out = client_core_output(c->core);

    while (c->link.state == LINK_UP && out->len > 0) {
        const ssize_t n = send(c->link.fd, out->ptr, out->len, MSG_NOSIGNAL);

        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && errno == EAGAIN) return;
        if (n < 0) {
            connection_lost(c);
            return;
        }
        buf_drop(out, (size_t) n);
    }
}

/* Under the lock: what time and the core ask for. The time of the next turn. */
static uint64_t turn(tl_client *c)
{
    const uint64_t next = client_core_tick(c->core, now_ms());

    if (c->link.state == LINK_UP && client_core_wants_other(c->core)) connection_lost(c);
    send_some(c);
    pthread_cond_broadcast(&c->turned);
    return next;
}

static void link_turn(tl_client *c, uint64_t *next)
{
    const enum link_state before = c->link.state;

    if (client_core_ready(c->core) < 0) return; /* it ended: no server will do */

    pthread_mutex_unlock(&c->lock); /* a look-up may take its time */
    const uint64_t at = link_tick(&c->link, now_ms());
    pthread_mutex_lock(&c->lock);
    if (at < *next) *next = at;
    if (before != LINK_UP && c->link.state == LINK_UP) {
        client_core_connected(c->core, now_ms());
        *next = 0;
    }
}

static void take_input(tl_client *c, uint8_t *room)
{
    const ssize_t n = recv(c->link.fd, room, READ_BYTES, 0);

    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n <= 0 || client_core_input(c->core, now_ms(), bytes_of(room, (size_t) n)) != 0) {
        connection_lost(c);
    }
}

static void socket_event(tl_client *c, short events, uint8_t *room)
{
    if (c->link.state == LINK_CONNECTING) {
        link_event(&c->link, now_ms());
        if (c->link.state == LINK_UP) client_core_connected(c->core, now_ms());
    } else if ((events & ~POLLOUT) != 0) {
        take_input(c, room);
    }
}

/* Waits without the lock until something comes or it is `until`. */
static void wait_and_take(tl_client *c, uint64_t until, uint8_t *room)
{
    const bool writes = c->link.state == LINK_CONNECTING ||
                        client_core_output(c->core)->len > 0;
    struct pollfd fds[2] = {
        { .fd = c->wake_fd, .events = POLLIN },
        { .fd = c->link.fd, .events = writes ? POLLIN | POLLOUT : POLLIN },
    };
    const uint64_t now = now_ms();
    const uint64_t left = until > now ? until - now : 0;

    pthread_mutex_unlock(&c->lock);
    const int ready = poll(fds, 2, left > INT_MAX ? -1 : (int) left);
    pthread_mutex_lock(&c->lock);
    if (ready <= 0) return;
    if (fds[0].revents != 0) wake_take(c);
    if (fds[1].revents != 0) socket_event(c, fds[1].revents, room);
}

static void *client_thread(void *arg)
{
    tl_client *c = arg;
    uint8_t *room = mem_alloc(READ_BYTES);

    pthread_mutex_lock(&c->lock);
    while (!c->stopping) {
        uint64_t next = turn(c);

        link_turn(c, &next);
        if (!c->stopping) wait_and_take(c, next, room);
    }
    pthread_mutex_unlock(&c->lock);
    free(room);
    return NULL;
}

/* --- waiting --- */

static void wait_init(pthread_cond_t *cond)
{
    pthread_condattr_t attributes;

    CHECK(pthread_condattr_init(&attributes) == 0);
    CHECK(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0);
    CHECK(pthread_cond_init(cond, &attributes) == 0);
    pthread_condattr_destroy(&attributes);
}

/* Waits for LOOK_MS at most, then lets the core see the time. */
static void wait_look(tl_client *c, pthread_cond_t *cond)
{
    const uint64_t until = now_ms_of(CLOCK_MONOTONIC) + LOOK_MS;
    const struct timespec at = { .tv_sec = (time_t) (until / 1000),
                                 .tv_nsec = (long) (until % 1000) * 1000000 };

    if (pthread_cond_timedwait(cond, &c->lock, &at) != ETIMEDOUT) return;
    (void) client_core_tick(c->core, now_ms());
    wake(c);
}

static uint64_t limit_of(const tl_client *c, uint64_t limit_ms)
{
    if (limit_ms == CALL_LIMIT_NONE) return 0;
    return limit_ms == 0 ? c->timeout_ms : limit_ms;
}

uint64_t client_limit_ms(const tl_client *c, uint32_t wait_ms)
{
    return (uint64_t) c->timeout_ms + wait_ms;
}

void client_ask(tl_client *c, struct call *call)
{
    wait_init(&call->ended_signal);
    call->request.limit_ms = limit_of(c, call->request.limit_ms);
    call->request.send_limit_ms = c->timeout_ms;
    pthread_mutex_lock(&c->lock);
    client_core_request(c->core, now_ms(), &call->request);
    wake(c);
    while (!call->ended) wait_look(c, &call->ended_signal);
    pthread_mutex_unlock(&c->lock);
    pthread_cond_destroy(&call->ended_signal);
}

/* --- watching --- */

uint64_t client_watch(tl_client *c, const struct client_watch *w)
{
    pthread_mutex_lock(&c->lock);
    const uint64_t handle = client_core_watch(c->core, now_ms(), w);
    pthread_mutex_unlock(&c->lock);
    wake(c);
    return handle;
}

void *client_unwatch(tl_client *c, uint64_t handle)
{
    pthread_mutex_lock(&c->lock);
    void *const ctx = client_core_unwatch(c->core, now_ms(), handle);
    pthread_mutex_unlock(&c->lock);
    wake(c);
    return ctx;
}

/* --- opening and closing --- */

static uint64_t seed_new(void)
{
    uint64_t seed = 0;

    if (getrandom(&seed, sizeof seed, GRND_NONBLOCK) != sizeof seed) seed = now_ms();
    return seed;
}

/* The thread takes no signals: they are the program's. */
static int thread_start(tl_client *c)
{
    sigset_t all, before;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const int failed = pthread_create(&c->thread, NULL, client_thread, c);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failed == 0 ? 0 : ERR_IO;
}

static void client_free(tl_client *c)
{
    link_fini(&c->link);
    client_core_free(c->core);
    if (c->wake_fd >= 0) close(c->wake_fd);
    pthread_cond_destroy(&c->turned);
    pthread_mutex_destroy(&c->lock);
    free(c);
}

static int client_new(const tl_options *o, const struct servers *servers, tl_client **out)
{
    const struct client_core_config config = { .cluster = o->cluster,
                                               .session_timeout_ms = o->session_timeout_ms,
                                               .seed = seed_new() };
    tl_client *c = mem_zalloc(sizeof *c);

    c->timeout_ms = o->timeout_ms == 0 ? TIMEOUT_MS_DEFAULT : o->timeout_ms;
    c->has_session = o->session_timeout_ms != 0;
    CHECK(pthread_mutex_init(&c->lock, NULL) == 0);
    wait_init(&c->turned);
    link_init(&c->link, servers, seed_new());
    c->core = client_core_new(&config);
    c->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (c->wake_fd < 0 || thread_start(c) != 0) {
        client_free(c);
        return ERR_IO;
    }
    *out = c;
    return 0;
}

static int wait_ready(tl_client *c)
{
    const uint64_t until = now_ms() + c->timeout_ms;
    int ready;

    pthread_mutex_lock(&c->lock);
    while ((ready = client_core_ready(c->core)) == 0 && now_ms() < until) {
        wait_look(c, &c->turned);
    }
    if (ready == 0) ready = client_core_trouble(c->core);
    pthread_mutex_unlock(&c->lock);
    if (ready == 1) return 0;
    return ready == 0 ? ERR_UNREACHABLE : ready;
}

int tl_connect(const tl_options *options, tl_client **client)
{
    const uint32_t session_ms = options->session_timeout_ms;
    struct servers servers;
    int code;

    *client = NULL;
    if (servers_parse(options->servers, &servers) != 0) {
        return client_fail(ERR_CONFIG, "servers must be \"host:port,host:port\"");
    }
    if (session_ms != 0 && (session_ms < SESSION_TIMEOUT_MIN_MS ||
                            session_ms > SESSION_TIMEOUT_MAX_MS)) {
        return client_fail(ERR_CONFIG, "session_timeout_ms must be 0 or 1000 .. 600000");
    }
    code = client_new(options, &servers, client);
    if (code != 0) return client_fail(code, NULL);
    code = wait_ready(*client);
    if (code == 0) return 0;
    tl_abandon(*client);
    *client = NULL;
    return client_fail(code, NULL);
}

void tl_abandon(tl_client *c)
{
    if (c == NULL) return;
    pthread_mutex_lock(&c->lock);
    c->stopping = true;
    pthread_mutex_unlock(&c->lock);
    wake(c);
    pthread_join(c->thread, NULL);
    client_free(c);
}

void tl_close(tl_client *c)
{
    if (c == NULL) return;

    const uint64_t until = now_ms() + c->timeout_ms;

    pthread_mutex_lock(&c->lock);
    client_core_close_session(c->core, now_ms());
    wake(c);
    while (c->has_session && !client_core_session_over(c->core) && now_ms() < until) {
        wait_look(c, &c->turned);
    }
    pthread_mutex_unlock(&c->lock);
    tl_abandon(c);
}

/* --- the session --- */

/* Lets the core see the time first: what is over now stays over. */
static uint64_t session_look(tl_client *c)
{
    const uint64_t now = now_ms();

    (void) client_core_tick(c->core, now);
    wake(c);
    return now;
}

tl_session_state tl_session(tl_client *c)
{
    tl_session_state state = TL_SESSION_OK;

    if (!c->has_session) return TL_SESSION_NONE;
    pthread_mutex_lock(&c->lock);
    const uint64_t now = session_look(c);
    if (client_core_jeopardy(c->core, now)) state = TL_SESSION_JEOPARDY;
    if (client_core_session_over(c->core)) state = TL_SESSION_OVER;
    pthread_mutex_unlock(&c->lock);
    return state;
}

int64_t tl_session_left_ms(tl_client *c)
{
    pthread_mutex_lock(&c->lock);
    const uint64_t now = session_look(c);
    const uint64_t deadline = client_core_deadline_ms(c->core);
    pthread_mutex_unlock(&c->lock);
    return deadline > now ? (int64_t) (deadline - now) : 0;
}

uint64_t tl_session_id(tl_client *c)
{
    pthread_mutex_lock(&c->lock);
    const uint64_t id = client_core_session(c->core);
    pthread_mutex_unlock(&c->lock);
    return id;
}
