/* link.h -- the client's one TCP connection: to which server, when to try again.
 *
 * Driven by one thread, that waits for `fd` (POLLIN; CONNECTING: POLLOUT too) and for the
 * time that link_tick() names, with poll(2) or epoll. Nothing here blocks.
 *
 *     DOWN -> LOOKING [link_tick]           the pause is over, and the host is a name
 *     DOWN -> CONNECTING [link_tick]        the pause is over, and an address is known
 *     LOOKING -> CONNECTING [link_event]    the name has an address
 *     LOOKING -> DOWN [link_event, link_tick]     it has none, or none in time
 *     CONNECTING -> UP [link_event, link_tick]    the socket is connected
 *     CONNECTING -> DOWN [link_event, link_tick]  refused, or no answer in time
 *     UP -> DOWN [link_drop]                lost, or of no use
 *
 * A name is looked up whenever its turn comes, and may have several addresses, which count
 * as so many servers: they are tried in random order, one at once when another fails. Then
 * comes the next server of those that were given and those that were learnt. An address
 * that was left is not gone back to while another has not been tried.
 *
 * The pause between servers doubles until a connection was of use: it served, or lasted for
 * a while. The end of such a one is followed by no pause at all, since that server may just
 * have stopped, and the others are well. */
#ifndef CORE_CLIENT_LINK_H
#define CORE_CLIENT_LINK_H

#include "core/client/lookup.h"

enum link_state { LINK_DOWN = 0, LINK_LOOKING, LINK_CONNECTING, LINK_UP };

enum { LOOKUPS_MAX = 4 }; /* under way at once: those that are slow are come back to */

struct link {
    struct servers given;
    struct rng rng;

    struct members learnt;
    struct servers servers; /* both, in the order in which they are tried */
    enum link_state state;
    int fd;             /* to wait for; -1 when DOWN */
    uint64_t fd_serial; /* rises whenever fd is another one, even of the same number */
    size_t next;        /* server to be tried next */
    struct lookup *lookups[LOOKUPS_MAX];
    struct addresses found; /* of the server tried now */
    size_t found_next;      /* the one of them to be tried next */
    struct sockaddr_storage left; /* the last one that was UP; no family: none */
    uint64_t at_ms; /* DOWN: try then. LOOKING, CONNECTING: give up then. UP: since */
    uint32_t pause_ms;
    unsigned failures; /* in a row, of servers that said nothing */
    char why[400];     /* of the last failure: the server and the reason */
};

void link_init(struct link *l, const struct servers *servers, uint64_t seed);
/* The first attempt goes to this one of the servers, not to any. */
void link_begin_with(struct link *l, const struct server *s);
void link_fini(struct link *l); /* does not wait for a look-up that hangs */
/* Starts to connect when it is time; the time at which it wants to be called again. */
uint64_t link_tick(struct link *l, uint64_t now_ms);
/* Something came from fd. Not when UP: then it is the connection, and the caller's. */
void link_event(struct link *l, uint64_t now_ms);
/* The server said something. */
void link_heard(struct link *l);
/* `served`: over this connection it did some work for us. */
void link_drop(struct link *l, uint64_t now_ms, bool served, const char *why);
/* What the server that it is connected to says of its cluster's members. */
void link_learn(struct link *l, const struct members *named);

#endif
