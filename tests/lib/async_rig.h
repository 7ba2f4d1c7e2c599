/* async_rig.h -- a client that does not wait, on a loop that polls tl_fd() and nothing
 * else, and the server that it talks to.
 *
 * A server in a thread answers each method in one fixed way, notes which paths it heard,
 * and says nothing while it is `async_mute`, and all of it later while it is `async_held`.
 * A session lives for 800 ms only. */
#ifndef TESTS_LIB_ASYNC_RIG_H
#define TESTS_LIB_ASYNC_RIG_H

#include <stdatomic.h>

#include "core/client/tidelock.h"
#include "tests/lib/fake_server.h"
#include "tests/lib/tap.h"

enum { SESSION_MS = 800, LIMIT_MS = 5000, HEARD_MAX = 64 };

extern char async_address[64], async_dead_address[64];
extern atomic_bool async_mute, async_held, async_grants_late;
extern atomic_int async_releases_heard;
extern char async_heard[HEARD_MAX][64]; /* by the server; read when it is idle */
extern atomic_int async_heard_count;

void async_begin(void); /* the server; first of all */
void async_end(void);
void async_forget(void); /* what was told and heard */

int64_t async_now_ms(void);
int async_turn(tl_client *c); /* one round of the event loop */

#define RUN_UNTIL(c, fact)                                                                 \
    do {                                                                                   \
        const int64_t until_ = async_now_ms() + LIMIT_MS;                                  \
        while (!(fact) && async_now_ms() < until_ && async_turn(c) == 0) continue;         \
        OK(fact);                                                                          \
    } while (0)

tl_client *async_open_client(const tl_options *more); /* NULL: none but the server */

/* What the last done told. */
struct async_told {
    int times, code, failed;
    uint64_t zxid, czxid;
    size_t len, count, value_len;
    bool more;
    char path[128], data[64], names[16], message[64];
    tl_lock lock;
    unsigned char value[64];
};
extern struct async_told async_told;
void async_note(void *ctx, const tl_result *r); /* a tl_done_fn */

#endif
