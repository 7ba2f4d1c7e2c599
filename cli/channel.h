/* channel.h -- one client_core and the connection that it speaks through: the I/O that the
 * pure client protocol leaves out, without a thread of its own and without waiting.
 *
 * The caller waits (poll or epoll) for channel_events() on channel->link.fd and for the
 * time that channel_tick() names, then calls channel_turn() and channel_tick(). Which server
 * is tried, and when, is the business of core/client/link.h. The descriptor changes with
 * every connection and every look-up of a name: look at link.fd and link.fd_serial again
 * after each call.
 *
 * Used by every command that talks to the service: `lock` needs signals, a child and
 * renewals in one thread, `bench` many connections in one. */
#ifndef CLI_CHANNEL_H
#define CLI_CHANNEL_H

#include "core/client/core.h"
#include "core/client/link.h"

struct channel {
    struct link link;
    struct client_core *core;
    bool alone; /* asks none but the servers that it was given */
    int fatal;  /* a code after which no server is worth trying, else 0; why: link.why */
};

/* It stays where it is until channel_fini(). */
void channel_init(struct channel *c, const struct servers *servers,
                  const struct client_core_config *config);
void channel_fini(struct channel *c);

short channel_events(const struct channel *c); /* POLLIN | POLLOUT to wait for */
void channel_turn(struct channel *c, uint64_t now_ms, short events); /* what poll() said */
uint64_t channel_tick(struct channel *c, uint64_t now_ms); /* connects, sends, renews */

#endif
