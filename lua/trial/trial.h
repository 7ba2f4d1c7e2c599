/* trial.h -- a cluster of one server in memory, on which recipes are tried.
 *
 * The machine, the resolver and the recipe host of a real server, without Paxos, disk and
 * network: what is submitted is resolved, chosen and applied, with all that it wakes, before
 * the function returns. Time stands still unless trial_advance() moves it. A session is
 * renewed all the time until its client vanishes.
 *
 * Nothing is drawn at random, so that a run can be repeated. */
#ifndef LUA_TRIAL_TRIAL_H
#define LUA_TRIAL_TRIAL_H

#include "core/machine/query.h"
#include "core/machine/request.h"
#include "core/machine/resolver.h"
#include "lua/host.h"

struct trial_call {
    uint64_t session, seq;
    bool answered;
    struct buf request;   /* as it was sent: a new leader gets it again */
    struct buf answer;    /* a result, when answered */
};

struct trial_session {
    uint64_t id;
    uint64_t seq; /* of its newest request */
    bool vanished;
};

struct trial {
    struct kv_overlay store;
    struct machine machine;
    struct resolver *resolver;
    struct queries queries;
    struct lua_host *host;
    struct resolver_time now;
    uint64_t round, slot, reign_first;
    struct buf calls;    /* struct trial_call; a call's tag is its place + 1 */
    struct buf sessions; /* struct trial_session */
};

void trial_init(struct trial *t);
void trial_fini(struct trial *t);

/* The session's id. It is open, and ends by trial_end(), or by time once it vanished. */
uint64_t trial_open(struct trial *t, uint64_t timeout_ms);
void trial_end(struct trial *t, uint64_t session);
void trial_vanish(struct trial *t, uint64_t session);

/* Sends a request of kind WRITE or CALL for `session` (0: none), whose numbers are filled in
 * here. Returns the handle of its answer. */
size_t trial_send(struct trial *t, uint64_t session, struct request *request);
/* False: it waits. The result is borrowed until the next call of this module. */
bool trial_answer(struct trial *t, size_t call, struct result *result);
void trial_cancel(struct trial *t, size_t call);
void trial_query(struct trial *t, const struct query *query, struct result *result);

/* In steps, so that what is due in between happens in its order. */
void trial_advance(struct trial *t, uint64_t ms);

/* The leader dies: calls that wait are sent again to its successor. */
void trial_new_leader(struct trial *t);

struct kv_view *trial_view(struct trial *t); /* the applied state */
uint64_t trial_runs(const struct trial *t);  /* of recipe functions, until now */

#endif
