/* objects_rig.h -- what plays the recipes of one election and one value, as far as a client
 * can see them, and the client.
 *
 * A server in a thread. Setting the node /tell makes it tell of an event: "deleted" tells
 * the newest watch of that, at the next zxid. The program is a loop that polls tl_fd(). */
#ifndef TESTS_LIB_OBJECTS_RIG_H
#define TESTS_LIB_OBJECTS_RIG_H

#include <stdatomic.h>

#include "core/client/tidelock.h"
#include "tests/lib/fake_server.h"
#include "tests/lib/tap.h"

enum { LIMIT_MS = 5000, TOKEN = 41, TOLD_MAX = 32 };

extern char objects_address[64];
extern atomic_int objects_newest, objects_oldest; /* versions */
extern atomic_int objects_page; /* how many an answer */
extern atomic_int objects_calls_heard, objects_queries_heard;
extern atomic_int objects_resigns_heard, objects_campaigns_heard;
extern atomic_bool objects_reads_only, objects_campaign_waits;
extern atomic_bool objects_nobody_leads, objects_refuses, objects_forgets;
extern atomic_ullong objects_zxid, objects_session_ms;
extern atomic_ullong objects_token_seen, objects_node_zxid;
extern atomic_bool objects_late; /* the next query is answered behind the next event */
extern char objects_watch_path[64];
extern uint64_t objects_watch_number;
extern tl_client *objects_client;
extern char objects_told[TOLD_MAX][64];
extern int objects_told_count;

void objects_serve(void); /* the server; first of all */
void objects_serve_end(void);
void objects_begin(void); /* a client, and a server that knows nothing of before */
void objects_end(void);
/* The newest watch is told of an event of that kind. */
void objects_tell(const char *kind);

int64_t objects_now_ms(void);
int objects_turn(void); /* one round of the event loop */

#define RUN_UNTIL(fact)                                                                    \
    do {                                                                                   \
        const int64_t until_ = objects_now_ms() + LIMIT_MS;                                \
        while (!(fact) && objects_now_ms() < until_ && objects_turn() == 0) continue;      \
        OK(fact);                                                                          \
    } while (0)

#define NOTE(...)                                                                          \
    do {                                                                                   \
        if (objects_told_count < TOLD_MAX) {                                               \
            snprintf(objects_told[objects_told_count++], sizeof objects_told[0],           \
                     __VA_ARGS__);                                                         \
        }                                                                                  \
    } while (0)

#endif
