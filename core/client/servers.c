#include "core/client/servers.h"

#include <stdbool.h>
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

/* One "host:port" or "[address]:port" of `len` bytes. */
static bool server_parse(const char *text, size_t len, struct server *s)
{
    const char *host = text, *colon = memrchr(text, ':', len);

    if (colon == NULL) return false;

    size_t host_len = (size_t) (colon - text);
    const size_t port_len = len - host_len - 1;
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

int servers_parse(const char *text, struct servers *s)
{
    s->count = 0;
    while (text != NULL) {
        text += strspn(text, " ");

        const size_t len = strcspn(text, ", ");
        const char *after = text + len + strspn(text + len, " ");

        if (s->count == SERVERS_MAX) return ERR_CONFIG;
        if (!server_parse(text, len, &s->at[s->count])) return ERR_CONFIG;
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
