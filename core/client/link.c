#include "core/client/link.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/check.h"

enum {
    CONNECT_MS_MAX = 1000,
    PAUSE_MS_MIN = 10,
    PAUSE_MS_MAX = 500,
    LASTED_MS = 1000, /* a connection that lived so long was a good one */
};

void link_init(struct link *l, const struct servers *servers, uint64_t seed)
{
    *l = (struct link){ .servers = *servers, .fd = -1, .pause_ms = PAUSE_MS_MIN };
    rng_init(&l->rng, seed);
    servers_shuffle(&l->servers, &l->rng);
}

static void found_forget(struct link *l)
{
    if (l->found != NULL) freeaddrinfo(l->found);
    l->found = l->trying = NULL;
}

static void socket_close(struct link *l)
{
    if (l->fd >= 0) close(l->fd);
    l->fd = -1;
    l->state = LINK_DOWN;
}

void link_fini(struct link *l)
{
    socket_close(l);
    found_forget(l);
}

/* Another address of the same server at once, another server after the pause. */
static void link_fail(struct link *l, uint64_t now_ms)
{
    socket_close(l);
    if (l->trying != NULL) l->trying = l->trying->ai_next;
    l->at_ms = now_ms;
    if (l->trying != NULL) return;
    l->at_ms += l->pause_ms / 2 + rng_below(&l->rng, l->pause_ms / 2 + 1);
    l->pause_ms = l->pause_ms * 2 > PAUSE_MS_MAX ? PAUSE_MS_MAX : l->pause_ms * 2;
}

void link_drop(struct link *l, uint64_t now_ms)
{
    CHECK(l->state == LINK_UP);
    const bool lasted = now_ms - l->at_ms >= LASTED_MS;

    if (lasted) l->pause_ms = PAUSE_MS_MIN;
    found_forget(l);
    link_fail(l, now_ms);
    if (lasted && l->servers.count > 1) l->at_ms = now_ms;
}

static void link_up(struct link *l, uint64_t now_ms)
{
    const int on = 1;

    (void) setsockopt(l->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); /* speed only */
    found_forget(l);
    l->state = LINK_UP;
    l->at_ms = now_ms;
}

/* Looks the next server up; false: it has no address now. */
static bool look_up(struct link *l)
{
    const struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
    const struct server *s = &l->servers.at[l->next];

    l->next = (l->next + 1) % l->servers.count;
    found_forget(l);
    if (getaddrinfo(s->host, s->port, &hints, &l->found) != 0) l->found = NULL;
    l->trying = l->found;
    return l->found != NULL;
}

static void link_connect(struct link *l, uint64_t now_ms)
{
    const struct addrinfo *to = l->trying;

    l->fd = socket(to->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (l->fd < 0) {
        link_fail(l, now_ms);
        return;
    }
    l->state = LINK_CONNECTING;
    l->at_ms = now_ms + CONNECT_MS_MAX;
    if (connect(l->fd, to->ai_addr, to->ai_addrlen) == 0) {
        link_up(l, now_ms);
    } else if (errno != EINPROGRESS) {
        link_fail(l, now_ms);
    }
}

uint64_t link_tick(struct link *l, uint64_t now_ms)
{
    if (l->state == LINK_CONNECTING && now_ms >= l->at_ms) link_fail(l, now_ms);
    if (l->state == LINK_DOWN && now_ms >= l->at_ms) {
        if (l->trying == NULL && !look_up(l)) {
            link_fail(l, now_ms);
        } else {
            link_connect(l, now_ms);
        }
    }
    return l->state == LINK_UP ? UINT64_MAX : l->at_ms;
}

void link_event(struct link *l, uint64_t now_ms)
{
    socklen_t len = sizeof(int);
    int error = 0;

    CHECK(l->state == LINK_CONNECTING);
    if (getsockopt(l->fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0) error = errno;
    if (error == 0) {
        link_up(l, now_ms);
    } else {
        link_fail(l, now_ms);
    }
}
