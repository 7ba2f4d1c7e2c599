#include "core/client/lookup.h"

#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "core/base/check.h"

/* Held by the thread and by whoever started it; the last to let go frees it. */
struct lookup {
    struct server server;
    int fd;
    atomic_int holders;
    atomic_bool done; /* then `found` does not change any more */
    struct addrinfo *found;
};

/* --- addresses --- */

static void addresses_copy(const struct addrinfo *from, struct addresses *to)
{
    to->count = 0;
    for (; from != NULL && to->count < ADDRESSES_MAX; from = from->ai_next) {
        if (from->ai_family != AF_INET && from->ai_family != AF_INET6) continue;
        memset(&to->at[to->count], 0, sizeof to->at[0]);
        memcpy(&to->at[to->count], from->ai_addr, from->ai_addrlen);
        to->count++;
    }
}

static struct addrinfo *look_up(const struct server *s, int flags)
{
    const struct addrinfo hints = { .ai_family = AF_UNSPEC,
                                    .ai_socktype = SOCK_STREAM,
                                    .ai_flags = AI_NUMERICSERV | flags };
    struct addrinfo *found = NULL;

    return getaddrinfo(s->host, s->port, &hints, &found) == 0 ? found : NULL;
}

bool addresses_of_number(const struct server *s, struct addresses *a)
{
    struct addrinfo *found = look_up(s, AI_NUMERICHOST);

    addresses_copy(found, a);
    if (found != NULL) freeaddrinfo(found);
    return a->count > 0;
}

socklen_t sockaddr_len(const struct sockaddr_storage *a)
{
    return a->ss_family == AF_INET ? sizeof(struct sockaddr_in)
                                   : sizeof(struct sockaddr_in6);
}

bool sockaddr_equal(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
    return a->ss_family == b->ss_family && memcmp(a, b, sockaddr_len(a)) == 0;
}

/* --- the thread --- */

static void let_go(struct lookup *l)
{
    if (atomic_fetch_sub(&l->holders, 1) > 1) return;
    if (l->found != NULL) freeaddrinfo(l->found);
    close(l->fd);
    free(l);
}

static void *lookup_thread(void *arg)
{
    struct lookup *l = arg;
    const uint64_t one = 1;

    l->found = look_up(&l->server, 0);
    atomic_store(&l->done, true);
    (void) !write(l->fd, &one, sizeof one); /* the counter is 0: there is room */
    let_go(l);
    return NULL;
}

/* It takes no signals: they are the program's. */
static bool thread_start(struct lookup *l)
{
    pthread_attr_t attributes;
    sigset_t all, before;
    pthread_t thread;

    CHECK(pthread_attr_init(&attributes) == 0);
    CHECK(pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED) == 0);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const int failed = pthread_create(&thread, &attributes, lookup_thread, l);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return failed == 0;
}

struct lookup *lookup_start(const struct server *s)
{
    const int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);

    if (fd < 0) return NULL;

    struct lookup *l = mem_zalloc(sizeof *l);

    l->server = *s;
    l->fd = fd;
    atomic_init(&l->holders, 2);
    atomic_init(&l->done, false);
    if (thread_start(l)) return l;
    close(fd);
    free(l);
    return NULL;
}

/* --- what the starter asks --- */

const struct server *lookup_server(const struct lookup *l)
{
    return &l->server;
}

int lookup_fd(const struct lookup *l)
{
    return l->fd;
}

bool lookup_done(const struct lookup *l)
{
    return atomic_load(&l->done);
}

void lookup_addresses(const struct lookup *l, struct addresses *a)
{
    CHECK(lookup_done(l));
    addresses_copy(l->found, a);
}

void lookup_drop(struct lookup *l)
{
    if (l != NULL) let_go(l);
}
