#include "core/server/listener.h"

#include <netinet/in.h>
#include <stdio.h>

#include "core/base/check.h"
#include "core/base/errors.h"

enum { BACKLOG = 1024 };

static int refuse(int error, const struct address *a, char *why, size_t why_size)
{
    char text[ADDRESS_TEXT_MAX];

    address_format(a, text);
    snprintf(why, why_size, "cannot listen on %s: %s", text, uv_strerror(error));
    if (error == UV_EADDRINUSE) return ERR_IN_USE;
    if (error == UV_EACCES || error == UV_EPERM) return ERR_NOT_PERMITTED;
    return error == UV_EADDRNOTAVAIL || error == UV_EAI_NONAME ? ERR_CONFIG : ERR_IO;
}

static void port_fill(const uv_tcp_t *tcp, struct address *a)
{
    struct sockaddr_storage name;
    int len = sizeof name;

    CHECK(uv_tcp_getsockname(tcp, (struct sockaddr *)&name, &len) == 0);
    a->port = ntohs(name.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&name)->sin6_port
                                               : ((struct sockaddr_in *)&name)->sin_port);
}

int listener_open(uv_loop_t *loop, uv_tcp_t *tcp, struct address *a,
                  uv_connection_cb on_connection, char *why, size_t why_size)
{
    struct sockaddr_storage name;

    CHECK(uv_tcp_init(loop, tcp) == 0);
    if (address_resolve(loop, a, &name) != 0)
        return refuse(UV_EAI_NONAME, a, why, why_size);
    int error = uv_tcp_bind(tcp, (const struct sockaddr *)&name, 0);
    if (error == 0) error = uv_listen((uv_stream_t *)tcp, BACKLOG, on_connection);
    if (error != 0) return refuse(error, a, why, why_size);
    port_fill(tcp, a);
    return 0;
}
