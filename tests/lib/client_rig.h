/* client_rig.h -- a client's core, and the server that it talks to, played by the test.
 *
 * `heard` is what the core has sent on this connection, message by message, and the test
 * answers as it likes with say_*(). Time is a variable. Completions are noted by number. */
#ifndef TESTS_LIB_CLIENT_RIG_H
#define TESTS_LIB_CLIENT_RIG_H

#include "core/client/core.h"

enum { SESSION = 77, TIMEOUT_MS = 9000, HEARD_MAX = 4096 };

extern struct client_core *core;
extern uint64_t now;

/* One request as the server sees it. */
struct heard {
    uint32_t msgid;
    enum method method;
    uint64_t seq, ack;
    uint64_t session;   /* attach, close: of which */
    bool wants_members; /* hello */
};
extern struct heard heard[HEARD_MAX];
extern size_t heard_count;

/* Completions: of request number i. */
struct ended {
    int times, code;
    uint64_t zxid;
};
extern struct ended ended[HEARD_MAX];

void open_core(uint32_t timeout_ms); /* at time 1000, its session open */
void close_core(void);
void connect_again(void); /* and answers hello */
void reconnect(void);

void hear(void); /* takes all that the core wants to send */
uint64_t tick(uint64_t more_ms);
const struct heard *newest(enum method method);
size_t count_of(enum method method);

int say(struct buf *b); /* and frees it */
int say_zxid(const struct heard *h, uint64_t zxid);
int say_error(const struct heard *h, int code);
int say_hello(uint64_t proto);
void say_opened(void);

/* Request number i, of the node /a; its handle. */
uint64_t ask(size_t i, enum method method, bool write, uint64_t limit_ms);
uint64_t set(size_t i);

#endif
