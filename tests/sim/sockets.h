/* sockets.h -- connections of clients to servers, without any network: the few functions of
 * libuv that the service of core/server calls, over links of the simulator.
 *
 * A wire is a TCP connection: bytes arrive late and in order, in pieces, or never, and a side
 * that does not read holds up the other. The client's end is here; the server's end is the
 * uv_tcp_t that the service accepted. A server that is paused neither accepts nor reads; one
 * that crashes ends its wires, and its clients hear so, or do not. */
#ifndef TESTS_SIM_SOCKETS_H
#define TESTS_SIM_SOCKETS_H

#include "core/base/bytes.h"
#include "tests/sim/base.h"

struct wire;

struct wire_owner { /* the client; not called from within the functions below */
    void *ctx;
    void (*came)(void *ctx, struct bytes bytes);
    void (*ended)(void *ctx); /* the wire is closed by its owner then */
    bool (*reads)(void *ctx); /* false: it sleeps, and what comes waits */
};

struct wire *wire_open(struct world *w, uint32_t server, const struct wire_owner *owner);
void wire_send(struct wire *c, struct bytes bytes);
void wire_read(struct wire *c);  /* its owner is awake again */
void wire_close(struct wire *c); /* the owner's reference ends */
void wire_stall(struct wire *c, uint64_t ms); /* nothing arrives at either end before */

#endif
