/* One turn of a client: what came from the socket goes into the core, what is due is done,
 * what is to be sent goes out. A client without a thread makes it in tl_process(), one with
 * a thread makes one after the other. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "core/base/check.h"
#include "core/base/errors.h"
#include "core/client/client.h"

enum { READ_BYTES = 64 << 10, EVENTS_MAX = 3 };

enum source { SOURCE_WAKE = 1, SOURCE_TIMER, SOURCE_SOCKET };

static int source_add(tl_client *c, int fd, enum source source)
{
    struct epoll_event e = { .events = EPOLLIN, .data.u32 = source };

    return fd >= 0 && epoll_ctl(c->fd, EPOLL_CTL_ADD, fd, &e) == 0 ? 0 : ERR_IO;
}

int turn_init(tl_client *c)
{
    c->timer_ms = NEVER_MS;
    c->socket_fd = -1;
    c->room = mem_alloc(READ_BYTES);
    c->fd = epoll_create1(EPOLL_CLOEXEC);
    c->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    c->timer_fd = timerfd_create(CLOCK_BOOTTIME, TFD_NONBLOCK | TFD_CLOEXEC);
    if (c->fd < 0 || source_add(c, c->wake_fd, SOURCE_WAKE) != 0) return ERR_IO;
    turn_wake(c); /* the first turn connects */
    return source_add(c, c->timer_fd, SOURCE_TIMER);
}

void turn_fini(tl_client *c)
{
    const int fds[] = { c->fd, c->wake_fd, c->timer_fd };

    for (int i = 0; i < 3; i++) {
        if (fds[i] >= 0) close(fds[i]);
    }
    free(c->room);
}

void turn_wake(tl_client *c)
{
    const uint64_t one = 1;

    if (c->woken) return;
    c->woken = true;
    CHECK(write(c->wake_fd, &one, sizeof one) == (ssize_t) sizeof one);
}

/* --- the connection --- */

static void connection_made(tl_client *c)
{
    client_core_connected(c->core, client_now_ms());
    turn_wake(c); /* the core has something to say, and new times */
}

static void connection_lost(tl_client *c, const char *why)
{
    const bool served = client_core_served(c->core);

    client_core_disconnected(c->core, client_now_ms());
    link_drop(&c->link, client_now_ms(), served, why);
    turn_wake(c);
}

static void send_some(tl_client *c)
{
    struct buf *out = client_core_output(c->core);

    while (c->link.state == LINK_UP && out->len > 0) {
        const ssize_t n = send(c->link.fd, out->ptr, out->len, MSG_NOSIGNAL);

        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && errno == EAGAIN) return;
        if (n < 0) {
            connection_lost(c, strerror(errno));
            return;
        }
        buf_drop(out, (size_t) n);
    }
}

static void take_input(tl_client *c)
{
    const ssize_t n = recv(c->link.fd, c->room, READ_BYTES, 0);
    const struct bytes got = bytes_of(c->room, n > 0 ? (size_t) n : 0);

    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n <= 0) {
        connection_lost(c, n == 0 ? "the server closed the connection" : strerror(errno));
        return;
    }

    const int code = client_core_input(c->core, client_now_ms(), got);

    if (code == 0) {
        link_heard(&c->link);
    } else {
        connection_lost(c, error_text(code));
    }
}

static void socket_event(tl_client *c, uint32_t events)
{
    if (c->link.fd_serial != c->socket_serial) return; /* it was of an fd that is closed */
    if (c->link.state != LINK_UP) {
        link_event(&c->link, client_now_ms());
        if (c->link.state == LINK_UP) connection_made(c);
    } else if ((events & ~(uint32_t) EPOLLOUT) != 0) {
        take_input(c);
    }
}

/* The time at which the link wants to be called again. */
static uint64_t link_turn(tl_client *c)
{
    const enum link_state before = c->link.state;

    if (client_core_ready(c->core) < 0) return NEVER_MS; /* it ended: no server will do */

    const uint64_t next = link_tick(&c->link, client_now_ms());

    if (before != LINK_UP && c->link.state == LINK_UP) connection_made(c);
    return next;
}

/* --- what to wait for --- */

/* The link's fd may be another one under the same number, and one that it does not wait for
 * any more may still be open: a look-up that takes its time. */
static void socket_await(tl_client *c)
{
    const struct link *l = &c->link;
    const bool writes = l->state == LINK_CONNECTING ||
                        (l->state == LINK_UP && client_core_output(c->core)->len > 0);
    const bool is_known = l->fd_serial == c->socket_serial;
    struct epoll_event e = { .events = writes ? EPOLLIN | EPOLLOUT : EPOLLIN,
                             .data.u32 = SOURCE_SOCKET };

    if (is_known && (l->fd < 0 || e.events == c->socket_events)) return;
    if (!is_known && c->socket_fd >= 0) {
        (void) epoll_ctl(c->fd, EPOLL_CTL_DEL, c->socket_fd, NULL); /* it may be closed */
    }
    c->socket_fd = l->fd;
    c->socket_serial = l->fd_serial;
    c->socket_events = e.events;
    if (l->fd < 0) return;
    CHECK(epoll_ctl(c->fd, is_known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, l->fd, &e) == 0);
}

/* A timer that fires too early costs an idle turn, so it is only ever moved forward. */
static void timer_await(tl_client *c, uint64_t next_ms)
{
    const uint64_t at = next_ms == 0 ? 1 : next_ms; /* zero would stop it */
    const struct itimerspec when = { .it_value = { .tv_sec = (time_t) (at / 1000),
                                                   .tv_nsec =
                                                       (long) (at % 1000) * 1000000 } };

    if (at >= c->timer_ms) return;
    c->timer_ms = at;
    CHECK(timerfd_settime(c->timer_fd, TFD_TIMER_ABSTIME, &when, NULL) == 0);
}

/* --- the turn --- */

static void fd_empty(int fd)
{
    uint64_t count;

    (void) !read(fd, &count, sizeof count);
}

static void take_event(tl_client *c, const struct epoll_event *e)
{
    switch ((enum source) e->data.u32) {
    case SOURCE_WAKE:
        fd_empty(c->wake_fd);
        c->woken = false;
        break;
    case SOURCE_TIMER:
        fd_empty(c->timer_fd);
        c->timer_ms = NEVER_MS;
        break;
    case SOURCE_SOCKET:
        socket_event(c, e->events);
        break;
    }
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static void do_what_is_due(tl_client *c)
{
    uint64_t next;

    call_refused_end(c);
    next = client_core_tick(c->core, client_now_ms());
    if (c->link.state == LINK_UP && client_core_wants_other(c->core)) {
        connection_lost(c, "the server cannot serve now");
    }
    next = earlier(next, session_tell(c));
    send_some(c);
    next = earlier(next, link_turn(c));
    objects_sweep(c);
    socket_await(c);
    timer_await(c, next);
}

void turn_run(tl_client *c, int wait_ms)
{
    struct epoll_event events[EVENTS_MAX];

    CHECK(!c->in_turn);
    if (wait_ms != 0) client_unlock(c);
    const int count = epoll_wait(c->fd, events, EVENTS_MAX, wait_ms);
    if (wait_ms != 0) client_lock(c);
    c->in_turn = true;
    for (int i = 0; i < count; i++) take_event(c, &events[i]);
    do_what_is_due(c);
    c->in_turn = false;
    pthread_cond_broadcast(&c->turned);
}
