#include "core/client/servers.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "core/base/errors.h"

static bool port_is_good(const char *port, size_t len)
{
    unsigned number = 0;

    if (len == 0 || len > 5) return false;
    for (size_t i = 0; i < len; i++) {
        if (port[i] < '0' || port[i] > '9') return false;
        number = number * 10 + (unsigned) (port[i] - '0');
    }
    return number > 0 && number <= 65535;
}

bool server_parse(struct bytes text, struct server *s)
{
    const char *host = (const char *) text.ptr;
    const char *colon = text.len == 0 ? NULL : memrchr(host, ':', text.len);

    if (colon == NULL || memchr(host, '\0', text.len) != NULL) return false;

    size_t host_len = (size_t) (colon - host);
    const size_t port_len = text.len - host_len - 1;
    const bool bracketed = host_len > 2 && host[0] == '[' && host[host_len - 1] == ']';

    if (bracketed) {
        host++;
        host_len -= 2;
    }
    if (host_len == 0 || host_len >= sizeof s->host) return false;
    if (!bracketed && memchr(host, ':', host_len) != NULL) return false;
    if (memchr(host, '[', host_len) != NULL || memchr(host, ']', host_len) != NULL) {
        return false;
    }
    if (!port_is_good(colon + 1, port_len)) return false;
    *s = (struct server){ 0 };
    memcpy(s->host, host, host_len);
    memcpy(s->port, colon + 1, port_len);
    return true;
}

bool server_equal(const struct server *a, const struct server *b)
{
    return strcmp(a->host, b->host) == 0 && strcmp(a->port, b->port) == 0;
}

const char *server_text(const struct server *s, char text[SERVER_TEXT_MAX])
{
    const bool is_ipv6 = strchr(s->host, ':') != NULL;

    snprintf(text, SERVER_TEXT_MAX, is_ipv6 ? "[%s]:%s" : "%s:%s", s->host, s->port);
    return text;
}

int servers_parse(const char *text, struct servers *s)
{
    s->count = 0;
    while (text != NULL) {
        text += strspn(text, " ");

        const size_t len = strcspn(text, ", ");
        const char *after = text + len + strspn(text + len, " ");

        if (s->count == SERVERS_MAX) return ERR_CONFIG;
        if (!server_parse(bytes_of(text, len), &s->at[s->count])) return ERR_CONFIG;
        s->count++;
        if (*after != '\0' && *after != ',') return ERR_CONFIG;
        text = *after == ',' ? after + 1 : NULL;
    }
    return s->count == 0 ? ERR_CONFIG : 0;
}

void servers_shuffle(struct servers *s, struct rng *r)
{
    for (size_t i = s->count; i > 1; i--) {
        const size_t other = rng_below(r, i);
        const struct server kept = s->at[i - 1];

        s->at[i - 1] = s->at[other];
        s->at[other] = kept;
    }
}

size_t servers_find(const struct servers *s, const struct server *wanted)
{
    size_t i = 0;

    while (i < s->count && !server_equal(&s->at[i], wanted)) i++;
    return i;
}

/* --- members --- */

/* The address "any" tells a server where to listen, and a client nothing. */
static bool is_wildcard(const char *host)
{
    struct in_addr four;
    struct in6_addr six;

    if (inet_pton(AF_INET, host, &four) == 1) return four.s_addr == INADDR_ANY;
    return inet_pton(AF_INET6, host, &six) == 1 && IN6_IS_ADDR_UNSPECIFIED(&six);
}

static bool has_address(const struct member *m)
{
    return m->server.host[0] != '\0';
}

void members_add(struct members *m, uint64_t id, struct bytes address)
{
    struct member *new = &m->at[m->count];

    if (m->count == NODES_MAX) return;
    m->count++;
    *new = (struct member){ .id = id };
    if (!server_parse(address, &new->server) || is_wildcard(new->server.host)) {
        new->server = (struct server){ 0 };
    }
}

static const struct member *member_of_id(const struct members *m, uint64_t id)
{
    for (size_t i = 0; i < m->count; i++) {
        if (m->at[i].id == id) return &m->at[i];
    }
    return NULL;
}

static bool members_have_address(const struct members *m)
{
    bool any = false;

    for (size_t i = 0; i < m->count; i++) any |= has_address(&m->at[i]);
    return any;
}

/* By id: the order in which a map comes means nothing. */
static bool members_equal(const struct members *a, const struct members *b)
{
    for (size_t i = 0; i < a->count; i++) {
        const struct member *other = member_of_id(b, a->at[i].id);

        if (other == NULL || !server_equal(&a->at[i].server, &other->server)) return false;
    }
    return a->count == b->count;
}

bool members_merge(struct members *known, const struct members *named)
{
    struct members after = *named;

    if (!members_have_address(named)) return false;
    for (size_t i = 0; i < after.count; i++) {
        const struct member *before = member_of_id(known, after.at[i].id);

        if (!has_address(&after.at[i]) && before != NULL) after.at[i] = *before;
    }
    if (members_equal(known, &after)) return false;
    *known = after;
    return true;
}

void servers_add_members(struct servers *s, const struct members *m)
{
    for (size_t i = 0; i < m->count && s->count < SERVERS_MAX; i++) {
        const struct server *server = &m->at[i].server;

        if (!has_address(&m->at[i])) continue;
        if (servers_find(s, server) == s->count) s->at[s->count++] = *server;
    }
}
