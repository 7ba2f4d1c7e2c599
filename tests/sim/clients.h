/* clients.h -- the clients' own business, shared by three files and by nobody else:
 *
 *     asks.c      requests as bytes, sent to a server, and again to another
 *     answers.c   what came back, and whether it may be so (A1 to A5)
 *     clients.c   the life of a client: what it asks next, when it moves, pauses, ends */
#ifndef TESTS_SIM_CLIENTS_H
#define TESTS_SIM_CLIENTS_H

#include "tests/sim/sim.h"

enum ask_kind {
    OPEN = 1,
    SETUP,
    OWN_CREATE,
    OWN_SET,
    KEY_SET,
    KEY_GET,
    KEY_QUERY,
    LOCK,
    GUARDED,
    UNLOCK,
    ANON_SET,
    RENEW,
};

struct ask {
    enum ask_kind kind; /* 0 = free */
    uint32_t key;
    uint64_t seq, began_us, floor; /* floor: the zxid that it must not go below */
    uint64_t token;
    uint64_t tag; /* of the newest sending */
    bool proof;   /* asked after the heal: see clients_prove() */
};

enum { ASKS = SIM_DEPTH + 2, RENEW_AT = SIM_DEPTH, OPEN_AT = SIM_DEPTH + 1 };

struct client {
    struct world *world;
    uint32_t id, server;
    uint64_t session, deadline_us; /* deadline: certainly alive until then */
    uint64_t seq, ack, generation;
    bool answered[SIM_DEPTH * 4]; /* by seq, above ack */
    struct ask asks[ASKS];
    bool stopping, own_created;
    bool cut_off; /* its server ended the connection */
    bool owed; /* a write that it asks after the heal */
    uint64_t paused_until_us;
    uint64_t own_sets, own_maybe; /* acknowledged; lost with a session */
    uint64_t lock_token;          /* held, 0 = not */
    uint64_t token_gone;          /* held once: a write under it must be refused */
};

struct marks { /* newest places: (token, zxid) */
    struct {
        uint64_t token, zxid;
    } at[256];
    uint32_t next;
};

struct shared { /* what all clients together have seen end */
    uint64_t key_zxid[SIM_KEYS];
    uint64_t token;
    bool ready; /* the registers are there */
    struct told_result {
        uint64_t session, seq, hash;
    } results[1 << 12];
    struct marks grants, guarded; /* A5: grants, and guarded writes that passed */
};

/* asks.c */
const char *ask_name(enum ask_kind kind);
void ask_new(struct client *c, enum ask_kind kind);
void ask_send(struct client *c, struct ask *a, uint32_t server);
void asks_send_all(struct client *c, uint32_t server,
                   bool reads_too); /* in the order of seq */

/* answers.c */
void client_session_lost(struct client *c);

#endif
