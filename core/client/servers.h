/* servers.h -- the servers that a client may try: those that it was given, and those that
 * the servers themselves name.
 *
 * Given: "host:port,[::1]:7400". They are the fall-back for ever. Learnt: what a server
 * says of its cluster's members, each list in place of the one before it; but an address
 * that nobody can connect to (unknown as yet, or 0.0.0.0, which only a listener knows what
 * to do with) takes none away that was there before. */
#ifndef CORE_CLIENT_SERVERS_H
#define CORE_CLIENT_SERVERS_H

#include <stdbool.h>
#include <stddef.h>

#include "core/base/bytes.h"
#include "core/base/limits.h"
#include "core/base/rng.h"

enum { SERVERS_MAX = 64, SERVER_TEXT_MAX = 272 };

struct server {
    char host[256]; /* a name or an address, without brackets */
    char port[6];
};

struct servers {
    struct server at[SERVERS_MAX];
    size_t count; /* at least 1 */
};

/* One "host:port"; false when it is none. */
bool server_parse(struct bytes text, struct server *s);
bool server_equal(const struct server *a, const struct server *b);
/* The same as text again: host:port, [::1]:7400. Returns `text`. */
const char *server_text(const struct server *s, char text[SERVER_TEXT_MAX]);

/* ERR_CONFIG: empty, malformed, or too many. */
int servers_parse(const char *text, struct servers *s);
/* Clients that start together should not all ask the same server. */
void servers_shuffle(struct servers *s, struct rng *r);
/* Where in the list; `count` when it is not there. */
size_t servers_find(const struct servers *s, const struct server *wanted);

struct member {
    uint64_t id;
    struct server server; /* host "": nobody can connect to what was named */
};

struct members {
    struct member at[NODES_MAX];
    size_t count;
};

/* As a server named it; more than NODES_MAX are left out. */
void members_add(struct members *m, uint64_t id, struct bytes address);
/* What is known after `named` was heard: its members, those without an address as they were
 * known before. A list without any address changes nothing. False: nothing changed. */
bool members_merge(struct members *known, const struct members *named);
/* Appends the addresses that the list does not have; what is too much is left out. */
void servers_add_members(struct servers *s, const struct members *m);

#endif
