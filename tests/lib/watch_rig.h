/* watch_rig.h -- a client's core, and the server that a test plays for its watches.
 *
 * What the core asks is kept as `rig_asked`, what it tells as one line of text. */
#ifndef TESTS_LIB_WATCH_RIG_H
#define TESTS_LIB_WATCH_RIG_H

#include "core/base/check.h"
#include "core/client/core.h"
#include "tests/lib/tap.h"

enum { ASKED_MAX = 8192 };

struct asked {
    uint32_t msgid;
    enum method method;
    uint64_t watch, since; /* of WATCH_MANY: the first one */
    uint32_t count;        /* of watches */
    bool resumes, snapshot;
};

extern struct client_core *rig_core;
extern uint64_t rig_now;
extern struct asked rig_asked[ASKED_MAX];
extern size_t rig_asked_count;

/* What was told since: "name kind zxid=data; ..." */
const char *rig_taken(void);
void rig_note(void *ctx, const struct client_event *e); /* for watches; ctx: the name */

void rig_hear(void); /* takes what the core has to say into `rig_asked` */
const struct asked *rig_newest(enum method method); /* of what was rig_asked; never NULL */
size_t rig_count_of(enum method method);
size_t rig_watches_asked(void); /* in all requests */

int rig_say(struct buf *b); /* gives the bytes to the rig_core, and frees them */
void rig_say_zxid(uint32_t msgid, uint64_t zxid);
void rig_say_error(uint32_t msgid, int code);
void rig_begin_events(struct buf *b, uint64_t zxid, uint32_t count);
void rig_put_event(struct buf *b, uint64_t watch, const char *kind);
void rig_say_event(uint64_t watch, uint64_t zxid);
void rig_say_lagged(uint64_t zxid, uint64_t watch);

void rig_open_core(void); /* connected, without a session */
void rig_connect_again(void);
void rig_reconnect(void);
uint64_t rig_watch(const char *name, bool once);
uint64_t rig_armed_watch(const char *name, uint64_t zxid);

#endif
