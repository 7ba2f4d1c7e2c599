/* channel.h -- one client_core and the socket that it speaks through: the I/O that the pure
 * client protocol leaves out, without a thread and without waiting.
 *
 * The caller waits (poll or epoll) for channel_events() on channel->fd and for the time
 * that channel_tick() names, then calls channel_turn() and channel_tick(). A connection
 * that fails is made again to the next server, after a pause when all of them failed in a
 * row, or when a server could not serve that had not served for a while either. The socket
 * changes with every connection: ask for fd again after each call.
 *
 * Used by every command that talks to the service: `lock` needs signals, a child and
 * renewals in one thread, `bench` many connections in one. */
#ifndef CLI_CHANNEL_H
#define CLI_CHANNEL_H

#include "cli/endpoint.h"
#include "core/client/core.h"

enum channel_state { CHANNEL_DOWN, CHANNEL_CONNECTING, CHANNEL_UP };

struct channel {
    const struct endpoints *servers; /* outlives the channel */
    struct client_core *core;
    enum channel_state state;
    int fd;               /* -1 when down */
    size_t server;        /* the one of the last attempt */
    uint64_t retry_at_ms; /* DOWN: when to connect next. CONNECTING: when to give up */
    uint64_t up_ms;       /* UP: since when */
    unsigned failures;    /* attempts in a row that reached no server */
    unsigned connections; /* ever made: tells the caller that fd is another one */
    int fatal;            /* a code after which no server is worth trying, else 0 */
    char why[200];        /* of the last failure */
};

/* The first attempt goes to `server` (an index). */
void channel_init(struct channel *c, const struct endpoints *servers, size_t server,
                  const struct client_core_config *config);
void channel_fini(struct channel *c);

short channel_events(const struct channel *c); /* POLLIN | POLLOUT to wait for */
void channel_turn(struct channel *c, uint64_t now_ms, short events); /* what poll() said */
uint64_t channel_tick(struct channel *c, uint64_t now_ms); /* connects, sends, renews */

#endif
