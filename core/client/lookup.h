/* lookup.h -- the addresses of a host's name, looked up by a thread of their own.
 *
 * getaddrinfo() may take as long as it likes and cannot be broken off: so it runs on a
 * short-lived detached thread, and a descriptor tells when it has returned. One that hangs
 * is left to itself: lookup_drop() never waits, and what the thread still needs goes with
 * the thread. */
#ifndef CORE_CLIENT_LOOKUP_H
#define CORE_CLIENT_LOOKUP_H

#include <netinet/in.h>

#include "core/client/servers.h"

enum { ADDRESSES_MAX = 16 }; /* of one name; more are left out */

struct addresses {
    struct sockaddr_storage at[ADDRESSES_MAX];
    size_t count;
};

/* True when the host is a number: then no look-up is needed. */
bool addresses_of_number(const struct server *s, struct addresses *a);
bool sockaddr_equal(const struct sockaddr_storage *a, const struct sockaddr_storage *b);
socklen_t sockaddr_len(const struct sockaddr_storage *a); /* IPv4 or IPv6 */

struct lookup;

/* NULL: there is no thread or no descriptor to be had. */
struct lookup *lookup_start(const struct server *s);
const struct server *lookup_server(const struct lookup *l);
int lookup_fd(const struct lookup *l); /* becomes readable with lookup_done() */
bool lookup_done(const struct lookup *l);
/* Of one that is done; none when the name has no address now. */
void lookup_addresses(const struct lookup *l, struct addresses *a);
void lookup_drop(struct lookup *l); /* done or not; NULL is fine */

#endif
