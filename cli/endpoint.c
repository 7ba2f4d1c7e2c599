#include "cli/endpoint.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/options.h"
#include "core/base/errors.h"

/* Cuts "host:port" or "[host]:port" into two strings inside `copy`. */
static bool split(char *copy, const char **host, const char **port)
{
    char *colon = strrchr(copy, ':');
    uint64_t number;

    if (colon == NULL || colon == copy) return false;
    *colon = '\0';
    *port = colon + 1;
    *host = copy;
    if (copy[0] == '[') {
        if (colon[-1] != ']' || colon - copy < 3) return false;
        colon[-1] = '\0';
        *host = copy + 1;
    } else if (strchr(copy, ':') != NULL) {
        return false; /* an IPv6 address needs its brackets */
    }
    return options_read_number(*port, 1, 65535, &number);
}

bool endpoint_parse(struct endpoint *a, struct bytes text)
{
    const struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
    char copy[ENDPOINT_TEXT_MAX];
    const char *host, *port;
    struct addrinfo *found;

    *a = (struct endpoint){ 0 };
    if (text.len == 0 || text.len >= sizeof copy || memchr(text.ptr, 0, text.len))
        return false;
    memcpy(a->text, text.ptr, text.len);
    memcpy(copy, a->text, sizeof copy);
    if (!split(copy, &host, &port)) return false;
    if (getaddrinfo(host, port, &hints, &found) != 0) return true;
    memcpy(&a->name, found->ai_addr, found->ai_addrlen);
    a->name_len = found->ai_addrlen;
    freeaddrinfo(found);
    return true;
}

bool endpoints_add(struct endpoints *list, struct bytes text)
{
    for (size_t i = 0; i < list->count; i++) {
        if (bytes_equal(bytes_str(list->at[i].text), text)) return true;
    }
    if (list->count == ENDPOINTS_MAX) return false;
    if (!endpoint_parse(&list->at[list->count], text)) return false;
    list->count++;
    return true;
}

int endpoints_parse(struct endpoints *list, const char *text, char *why, size_t why_size)
{
    list->count = 0;
    for (;;) {
        const size_t len = strcspn(text, ",");

        if (!endpoints_add(list, bytes_of(text, len))) {
            snprintf(why, why_size, "'%.*s' is not host:port",
                     (int) (len < 200 ? len : 200), text);
            return ERR_CONFIG;
        }
        if (text[len] == '\0') return 0;
        text += len + 1;
    }
}

int endpoint_connect(const struct endpoint *a)
{
    const int on = 1;
    int fd;

    if (a->name_len == 0) {
        errno = EHOSTUNREACH;
        return -1;
    }
    fd = socket(a->name.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return -1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (connect(fd, (const struct sockaddr *) &a->name, a->name_len) == 0) return fd;
    if (errno == EINPROGRESS) return fd;
    close(fd);
    return -1;
}
