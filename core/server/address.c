#include "core/server/address.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/errors.h"

static bool port_parse(const char *text, uint16_t *port)
{
    char *end;

    if (*text < '0' || *text > '9' || strlen(text) > 5) return false;
    unsigned long v = strtoul(text, &end, 10);
    if (*end != '\0' || v > UINT16_MAX) return false;
    *port = (uint16_t)v;
    return true;
}

static bool host_is_sound(const char *host, size_t len)
{
    if (len == 0 || len >= ADDRESS_HOST_MAX) return false;
    for (size_t i = 0; i < len; i++) {
        if (host[i] <= ' ' || host[i] > '~' || host[i] == ',' || host[i] == '=')
            return false;
    }
    return true;
}

int address_parse(const char *text, struct address *a)
{
    struct address parsed = { 0 };
    const char *colon = strrchr(text, ':'), *host = text;

    if (colon == NULL || !port_parse(colon + 1, &parsed.port)) return ERR_CONFIG;
    size_t len = (size_t)(colon - text);
    if (text[0] == '[') {
        if (len < 3 || colon[-1] != ']') return ERR_CONFIG;
        host = text + 1;
        len -= 2;
    } else if (memchr(text, ':', len) != NULL) {
        return ERR_CONFIG; /* an IPv6 number without brackets: which part is the port? */
    }
    if (!host_is_sound(host, len)) return ERR_CONFIG;
    memcpy(parsed.host, host, len);
    *a = parsed;
    return 0;
}

void address_format(const struct address *a, char out[ADDRESS_TEXT_MAX])
{
    const char *format = strchr(a->host, ':') != NULL ? "[%s]:%u" : "%s:%u";

    snprintf(out, ADDRESS_TEXT_MAX, format, a->host, (unsigned)a->port);
}

bool address_given(const struct address *a)
{
    return a->host[0] != '\0';
}

bool address_equal(const struct address *a, const struct address *b)
{
    return a->port == b->port && strcmp(a->host, b->host) == 0;
}

bool address_number(const struct address *a, struct sockaddr_storage *out)
{
    memset(out, 0, sizeof *out);
    return uv_ip4_addr(a->host, a->port, (struct sockaddr_in *)out) == 0 ||
           uv_ip6_addr(a->host, a->port, (struct sockaddr_in6 *)out) == 0;
}

int address_resolve(uv_loop_t *loop, const struct address *a, struct sockaddr_storage *out)
{
    const struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
    uv_getaddrinfo_t request;
    char port[8];

    if (address_number(a, out)) return 0;
    snprintf(port, sizeof port, "%u", (unsigned)a->port);
    if (uv_getaddrinfo(loop, &request, NULL, a->host, port, &hints) != 0) return ERR_CONFIG;
    memcpy(out, request.addrinfo->ai_addr, request.addrinfo->ai_addrlen);
    uv_freeaddrinfo(request.addrinfo);
    return 0;
}
