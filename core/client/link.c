#include "core/client/link.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/check.h"

enum {
    CONNECT_MS_MAX = 1000,
    LOOK_MS_MAX = 1000, /* then the next server has its turn; the look-up goes on */
    PAUSE_MS_MIN = 10,
    PAUSE_MS_MAX = 500,
    LASTED_MS = 1000, /* a connection that lived so long was a good one */
};

void link_init(struct link *l, const struct servers *servers, uint64_t seed)
{
    *l = (struct link){ .given = *servers,
                        .servers = *servers,
                        .fd = -1,
                        .pause_ms = PAUSE_MS_MIN };
    rng_init(&l->rng, seed);
    servers_shuffle(&l->servers, &l->rng);
}

void link_begin_with(struct link *l, const struct server *s)
{
    l->next = servers_find(&l->servers, s) % l->servers.count;
}

void link_heard(struct link *l)
{
    l->failures = 0;
}

static void fd_set_to(struct link *l, int fd)
{
    l->fd = fd;
    l->fd_serial++;
}

static void link_down(struct link *l)
{
    const bool socket = l->state == LINK_CONNECTING || l->state == LINK_UP;

    if (socket) close(l->fd);
    fd_set_to(l, -1);
    l->state = LINK_DOWN;
}

static void lookup_forget(struct lookup **at)
{
    lookup_drop(*at);
    *at = NULL;
}

void link_fini(struct link *l)
{
    link_down(l);
    for (int i = 0; i < LOOKUPS_MAX; i++) lookup_forget(&l->lookups[i]);
}

/* --- whose turn it is --- */

static bool has_address_left(const struct link *l)
{
    return l->found_next < l->found.count;
}

/* The server whose turn it is, or was. */
static const struct server *server_at_hand(const struct link *l)
{
    return &l->servers.at[(l->next + l->servers.count - 1) % l->servers.count];
}

/* Another address of the same server at once, another server after the pause. */
static void link_fail(struct link *l, uint64_t now_ms, const char *why)
{
    char name[SERVER_TEXT_MAX];

    snprintf(l->why, sizeof l->why, "%s: %.80s", server_text(server_at_hand(l), name), why);
    link_down(l);
    l->at_ms = now_ms;
    if (has_address_left(l)) return;
    l->failures++;
    l->at_ms += l->pause_ms / 2 + rng_below(&l->rng, l->pause_ms / 2 + 1);
    l->pause_ms = l->pause_ms * 2 > PAUSE_MS_MAX ? PAUSE_MS_MAX : l->pause_ms * 2;
}

static void addresses_shuffle(struct addresses *a, struct rng *r)
{
    for (size_t i = a->count; i > 1; i--) {
        const size_t other = rng_below(r, i);
        const struct sockaddr_storage kept = a->at[i - 1];

        a->at[i - 1] = a->at[other];
        a->at[other] = kept;
    }
}

/* The one that was left comes last; where it is alone, other servers come first. */
static void left_put_off(struct link *l)
{
    struct addresses *a = &l->found;
    size_t i = 0;

    while (i < a->count && !sockaddr_equal(&a->at[i], &l->left)) i++;
    if (i == a->count) return;
    a->at[i] = a->at[a->count - 1];
    a->at[a->count - 1] = l->left;
    if (a->count == 1 && l->servers.count > 1) a->count = 0;
    l->left.ss_family = AF_UNSPEC;
}

void link_learn(struct link *l, const struct members *named)
{
    const struct server now = *server_at_hand(l);

    if (!members_merge(&l->learnt, named)) return;
    l->servers = l->given;
    servers_add_members(&l->servers, &l->learnt);
    servers_shuffle(&l->servers, &l->rng);
    l->next = (servers_find(&l->servers, &now) + 1) % l->servers.count;
}

/* --- connecting --- */

static void link_up(struct link *l, uint64_t now_ms)
{
    const int on = 1;

    (void) setsockopt(l->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); /* speed only */
    l->state = LINK_UP;
    l->at_ms = now_ms;
}

static void connect_failed(struct link *l, uint64_t now_ms, const char *why)
{
    l->left.ss_family = AF_UNSPEC; /* another one was tried */
    link_fail(l, now_ms, why);
}

static void link_connect(struct link *l, uint64_t now_ms)
{
    const struct sockaddr_storage *to = &l->found.at[l->found_next++];
    const int fd = socket(to->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0) {
        connect_failed(l, now_ms, strerror(errno));
        return;
    }
    fd_set_to(l, fd);
    l->state = LINK_CONNECTING;
    l->at_ms = now_ms + CONNECT_MS_MAX;
    if (connect(fd, (const struct sockaddr *) to, sockaddr_len(to)) == 0) {
        link_up(l, now_ms);
    } else if (errno != EINPROGRESS) {
        connect_failed(l, now_ms, strerror(errno));
    }
}

/* What they found is old by now: each connection is looked up anew. */
static void lookups_reap(struct link *l)
{
    for (int i = 0; i < LOOKUPS_MAX; i++) {
        struct lookup **at = &l->lookups[i];

        if (*at != NULL && lookup_done(*at)) lookup_forget(at);
    }
}

void link_drop(struct link *l, uint64_t now_ms, bool served, const char *why)
{
    CHECK(l->state == LINK_UP);
    const bool was_of_use = served || now_ms - l->at_ms >= LASTED_MS;
    const bool alone = l->servers.count == 1 && l->found.count == 1;

    if (was_of_use) l->pause_ms = PAUSE_MS_MIN;
    l->left = l->found.at[l->found_next - 1];
    l->found.count = l->found_next = 0;
    lookups_reap(l);
    link_fail(l, now_ms, why);
    if (was_of_use && !alone) l->at_ms = now_ms;
}

/* --- looking up --- */

/* The server's own, or where one may be put; NULL: too many are under way. One that is done
 * makes room: its server has not had its turn for long. */
static struct lookup **lookup_room(struct link *l, const struct server *s)
{
    struct lookup **room = NULL;

    for (int i = 0; i < LOOKUPS_MAX; i++) {
        struct lookup **at = &l->lookups[i];

        if (*at != NULL && server_equal(lookup_server(*at), s)) return at;
        if (*at == NULL || (room == NULL && lookup_done(*at))) room = at;
    }
    if (room != NULL) lookup_forget(room);
    return room;
}

static void found_take(struct link *l, uint64_t now_ms)
{
    const bool any = l->found.count > 0;

    l->found_next = 0;
    addresses_shuffle(&l->found, &l->rng);
    left_put_off(l);
    if (has_address_left(l)) {
        link_connect(l, now_ms);
    } else {
        link_fail(l, now_ms, "the name has no address");
        if (any) l->at_ms = now_ms;
    }
}

static void lookup_take(struct link *l, struct lookup **from, uint64_t now_ms)
{
    link_down(l);
    lookup_addresses(*from, &l->found);
    lookup_forget(from);
    found_take(l, now_ms);
}

static void look_up(struct link *l, uint64_t now_ms)
{
    const struct server *s = &l->servers.at[l->next];
    struct lookup **room;

    l->next = (l->next + 1) % l->servers.count;
    if (addresses_of_number(s, &l->found)) {
        found_take(l, now_ms);
        return;
    }
    l->found_next = 0;
    room = lookup_room(l, s);
    if (room != NULL && *room == NULL) *room = lookup_start(s);
    if (room == NULL || *room == NULL) {
        link_fail(l, now_ms, "too many names are being looked up");
    } else {
        l->state = LINK_LOOKING;
        fd_set_to(l, lookup_fd(*room));
        l->at_ms = now_ms + LOOK_MS_MAX;
    }
}

/* The look-up of the server at hand: fd is its descriptor. */
static void look_again(struct link *l, uint64_t now_ms)
{
    struct lookup **at = l->lookups;

    while (*at == NULL || lookup_fd(*at) != l->fd) at++;
    if (lookup_done(*at)) {
        lookup_take(l, at, now_ms);
    } else if (now_ms >= l->at_ms) {
        link_fail(l, now_ms, "looking up its address takes too long");
    }
}

/* --- what drives it --- */

uint64_t link_tick(struct link *l, uint64_t now_ms)
{
    if (l->state == LINK_LOOKING) look_again(l, now_ms);
    if (l->state == LINK_CONNECTING && now_ms >= l->at_ms) {
        connect_failed(l, now_ms, "no answer to connect");
    }
    if (l->state == LINK_DOWN && now_ms >= l->at_ms) {
        if (has_address_left(l)) {
            link_connect(l, now_ms);
        } else {
            look_up(l, now_ms);
        }
    }
    return l->state == LINK_UP ? UINT64_MAX : l->at_ms;
}

static void connecting_ended(struct link *l, uint64_t now_ms)
{
    socklen_t len = sizeof(int);
    int error = 0;

    if (getsockopt(l->fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0) error = errno;
    if (error == 0) {
        link_up(l, now_ms);
    } else {
        connect_failed(l, now_ms, strerror(error));
    }
}

void link_event(struct link *l, uint64_t now_ms)
{
    CHECK(l->state == LINK_LOOKING || l->state == LINK_CONNECTING);
    if (l->state == LINK_LOOKING) {
        look_again(l, now_ms);
    } else {
        connecting_ended(l, now_ms);
    }
}
