/* address.h -- "host:port" and "[v6]:port", as configuration names them.
 *
 * A host is a number or a name. Names are looked up when they are needed: blocking for
 * what we listen on, by libuv's pool for peers (link.c). */
#ifndef CORE_SERVER_ADDRESS_H
#define CORE_SERVER_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

enum {
    ADDRESS_HOST_MAX = 254,
    ADDRESS_TEXT_MAX = ADDRESS_HOST_MAX + 10, /* brackets, colon, port, zero */
};

struct address {
    char host[ADDRESS_HOST_MAX]; /* without brackets; empty: not given */
    uint16_t port;
};

/* ERR_CONFIG when it is no address; `a` is then unchanged. */
int address_parse(const char *text, struct address *a);
void address_format(const struct address *a, char out[ADDRESS_TEXT_MAX]);
bool address_given(const struct address *a);
bool address_equal(const struct address *a, const struct address *b);

/* True when the host is a number: no look-up is needed. */
bool address_number(const struct address *a, struct sockaddr_storage *out);
/* Blocks for a name. 0, or ERR_CONFIG when the name cannot be resolved. */
int address_resolve(uv_loop_t *loop, const struct address *a, struct sockaddr_storage *out);

#endif
