/* link.h -- the client's one TCP connection: to which server, when to try again.
 *
 * Driven by one thread with poll(2); nothing here blocks but the look-up of a host name.
 *
 *     DOWN -> CONNECTING [link_tick]        the pause is over
 *     CONNECTING -> UP [link_event]         the socket is connected
 *     CONNECTING -> DOWN [link_event, link_tick]  refused, or no answer in time
 *     UP -> DOWN [link_drop]                lost, or of no use
 *
 * Each DOWN goes on to the next address of the server, then to the next server. The pause
 * doubles until a connection has lasted for a while; the end of one that has is followed by
 * no pause at all, since that server may just have stopped, and the others are well. */
#ifndef CORE_CLIENT_LINK_H
#define CORE_CLIENT_LINK_H

#include <stdint.h>

#include "core/client/servers.h"

struct addrinfo;

enum link_state { LINK_DOWN = 0, LINK_CONNECTING, LINK_UP };

struct link {
    struct servers servers;
    struct rng rng;

    enum link_state state;
    int fd;                         /* -1 when DOWN */
    size_t next;                    /* server to be tried next */
    struct addrinfo *found, *trying; /* addresses of the server tried now */
    uint64_t at_ms; /* DOWN: try then. CONNECTING: give up then. UP: since */
    uint32_t pause_ms;
};

void link_init(struct link *l, const struct servers *servers, uint64_t seed);
void link_fini(struct link *l);
/* Starts to connect when it is time; the time at which it wants to be called again. */
uint64_t link_tick(struct link *l, uint64_t now_ms);
/* The connecting socket became writable, or failed. */
void link_event(struct link *l, uint64_t now_ms);
void link_drop(struct link *l, uint64_t now_ms);

#endif
