/* listener.h -- opening a TCP port, with errors that a person understands. */
#ifndef CORE_SERVER_LISTENER_H
#define CORE_SERVER_LISTENER_H

#include "core/server/address.h"

/* Binds and listens; `tcp` is initialised in any case and must be closed. Port 0 is filled
 * into `a` as the one chosen. 0; ERR_IN_USE, ERR_NOT_PERMITTED, ERR_CONFIG or ERR_IO with
 * one line in `why`. */
int listener_open(uv_loop_t *loop, uv_tcp_t *tcp, struct address *a,
                  uv_connection_cb on_connection, char *why, size_t why_size);

#endif
