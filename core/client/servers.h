/* servers.h -- the list of servers of a client, from "host:port,[::1]:7400". */
#ifndef CORE_CLIENT_SERVERS_H
#define CORE_CLIENT_SERVERS_H

#include <stddef.h>

#include "core/base/rng.h"

enum { SERVERS_MAX = 64 };

struct server {
    char host[256]; /* a name or an address, without brackets */
    char port[6];
};

struct servers {
    struct server at[SERVERS_MAX];
    size_t count; /* at least 1 */
};

/* ERR_CONFIG: empty, malformed, or too many. */
int servers_parse(const char *text, struct servers *s);

/* Clients that start together should not all ask the same server. */
void servers_shuffle(struct servers *s, struct rng *r);

#endif
