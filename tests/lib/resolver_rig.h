/* resolver_rig.h -- a leader's machine and resolver with a follower's machine beside it,
 * for the tests of the resolver.
 *
 * Batches are taken into slots and applied later, on both machines, which must agree, with
 * each other and with what the leader foresaw (V1). Every answer is kept by tag. Time
 * stands still unless the test moves it. The rig's scripts are written in C; their args are
 * plain bytes, mostly a path:
 *
 *     lock.acquire, lock.release, lock.cancel   a fair queue of one waiter each, as the
 * recipe any.read      value = the data of the node, waits until it exists any.touch
 * creates args/<seq>, then waits for args itself any.boom      writes, then fails, as any's
 * cancel does; any.big writes too much any.echo      value = args any.dear      costs a
 * whole budget of fuel */
#ifndef TESTS_LIB_RESOLVER_RIG_H
#define TESTS_LIB_RESOLVER_RIG_H

#include "core/machine/resolver.h"
#include "core/machine/request.h"
#include "core/machine/result.h"

enum { RIG_TAGS_MAX = 20000, RIG_SLOTS_MAX = 4096 };

struct rig_answer {
    int count;            /* how often it was given */
    uint64_t zxid;        /* of the transaction that gave it */
    struct result result; /* of `bytes` */
    struct buf bytes;
};

struct rig {
    struct scripts scripts; /* first: the scripts find the rig by it */
    struct kv_overlay store, twin_store;
    struct machine machine, twin;
    struct resolver *resolver;
    struct resolver_time now;
    uint64_t round, reign_first;
    struct proposal slots[RIG_SLOTS_MAX]; /* taken, at slot % RIG_SLOTS_MAX */
    uint64_t taken;                       /* the last slot that holds something */
    uint64_t tag;                         /* the last one used */
    uint64_t ack;                         /* what requests with a seq bring */
    uint32_t origin;                      /* that asks; 1 at first */
    struct rig_answer answers[RIG_TAGS_MAX];
    struct buf request;
    int code; /* of the last submit */
};

void rig_init(struct rig *g, uint64_t seed);
void rig_fini(struct rig *g);

/* A reign ends, and what is taken but not applied above `slots_kept` more slots is lost;
 * the next reign begins with everything before it applied. */
void rig_new_reign(struct rig *g, uint64_t slots_kept);

/* Returns the tag; g->code is what the resolver said at once. */
uint64_t rig_submit(struct rig *g, const struct request *q);
bool rig_take(struct rig *g);   /* false: nothing stood in the batch */
void rig_apply(struct rig *g);  /* one slot, on both machines */
void rig_settle(struct rig *g); /* takes and applies until nothing is left, or 100 times */
void rig_pass(struct rig *g, uint64_t ms); /* time passes, a tick */

/* The answer to a tag; code 1 in its result while there is none. */
const struct result *rig_answer(struct rig *g, uint64_t tag);

/* Requests. `seq` 0: without a session. */
struct rig_id {
    uint64_t session, seq;
};
uint64_t rig_open(struct rig *g); /* settles; the session's id */
uint64_t rig_create(struct rig *g, struct rig_id id, const char *path, unsigned flags);
uint64_t rig_set(struct rig *g, struct rig_id id, const char *path, const char *data);
uint64_t rig_delete(struct rig *g, struct rig_id id, const char *path);
uint64_t rig_want(struct rig *g, struct rig_id id, const struct want *want);
uint64_t rig_multi(struct rig *g, struct rig_id id, const struct want *wants, uint32_t count);
/* A numbered node below /marks that holds the id: a request done twice would leave two. */
uint64_t rig_mark(struct rig *g, struct rig_id id);
uint64_t rig_call(struct rig *g, struct rig_id id, const char *function, const char *args);
uint64_t rig_cancel(struct rig *g, struct rig_id id); /* of the waiting call */
uint64_t rig_close(struct rig *g, uint64_t session);

/* The rig's scripts.run. */
void rig_run_script(struct scripts *s, const struct script_call *call, struct tx *tx,
                    struct script_result *out);

bool rig_exists(struct rig *g, const char *path); /* in what is applied */

#endif
