/* endpoint.h -- "host:port,host:port": the servers to try, resolved once. */
#ifndef CLI_ENDPOINT_H
#define CLI_ENDPOINT_H

#include <stdbool.h>
#include <sys/socket.h>

#include "core/base/bytes.h"

enum { ENDPOINT_TEXT_MAX = 300, ENDPOINTS_MAX = 32 };

struct endpoint {
    char text[ENDPOINT_TEXT_MAX]; /* as it was written: host:port, [::1]:7400 */
    struct sockaddr_storage name;
    socklen_t name_len; /* 0: the host could not be resolved */
};

struct endpoints {
    struct endpoint at[ENDPOINTS_MAX];
    size_t count;
};

/* One address; false when it is malformed. A host that does not resolve is not
 * malformed. */
bool endpoint_parse(struct endpoint *a, struct bytes text);

/* ERR_CONFIG: malformed, or too many; `why` then names the part at fault. */
int endpoints_parse(struct endpoints *list, const char *text, char *why, size_t why_size);

/* Adds the address unless its text is there already; false when it is malformed. */
bool endpoints_add(struct endpoints *list, struct bytes text);

/* Starts connecting a new non-blocking socket; -1 with errno set. */
int endpoint_connect(const struct endpoint *a);

#endif
