/* front.h -- a server's clients' side: the service of core/server as it is, on a driver and
 * on sockets of the simulator. */
#ifndef TESTS_SIM_FRONT_H
#define TESTS_SIM_FRONT_H

#include "core/machine/batch.h"
#include "core/server/service.h"
#include "tests/sim/base.h"

struct server;

struct closing { /* a handle whose callback is due */
    uv_handle_t *handle;
    uv_close_cb done;
};

/* One life of a server. */
struct port {
    struct server *server;
    uint64_t life;
    uv_loop_t loop;
    uv_stream_t *listener;
    uv_connection_cb on_connection;
    uv_timer_cb on_timer;
    uv_timer_t *timer;
    struct wire *calling; /* waits to be accepted */
    struct closing *closing;
    size_t closing_count, closing_cap;
};

/* What stands in the place of core/server/driver.c. */
struct driver {
    struct server *server;
    struct port port;
    struct config config;
    struct service service;
    struct driver_clients hooks;
    bool installing;
};

struct port *port_of_loop(const uv_loop_t *loop);
/* Everything that is closing is closed. */
void port_drain(struct port *p);
/* The server is gone: so are its ends of all wires. */
void port_end(struct port *p);

#endif
