/* resolver.h -- the leader's half of the machine: requests in, batches of resolved ops out.
 *
 * It resolves each request against the newest state, its own unchosen changes included, and
 * appends the outcome to the open batch: an effect, or a refusal without effect (which rests
 * on unchosen state, and so must be chosen before anybody hears of it). Recipes run here.
 * Calls that wait live here, in memory, and nowhere else: after a change of leader their
 * servers send them again and they run from the start.
 *
 * Pure: time comes in. Exists on every server, does nothing unless started.
 *
 * Invariants: V1 what a batch contains was computed on the applied state plus every batch
 * taken before it, in that order. V2 a session's requests are resolved in seq order, each
 * once. V3 a call's own writes never wake it. V4 after resolver_stop() nothing of the reign
 * is left. V5 an expiry is resolved once, and nothing of that session after it. */
#ifndef CORE_MACHINE_RESOLVER_H
#define CORE_MACHINE_RESOLVER_H

#include "core/machine/machine.h"
#include "core/machine/roster.h"
#include "core/machine/script.h"

struct resolver;

struct resolver_config {
    struct scripts *scripts; /* borrowed; NULL: every call is refused with ERR_NO_RECIPE */
    uint64_t seed;           /* of hash tables */
    struct tx_limits limits; /* of the whole tree; 0 = none */
};

struct resolver *resolver_new(const struct resolver_config *config, struct machine *m);
void resolver_free(struct resolver *r);

/* The reign begins: everything before it is applied. Gives every session its full timeout. */
void resolver_start(struct resolver *r, uint64_t now_ms);
void resolver_stop(struct resolver *r);
bool resolver_started(const struct resolver *r);

struct resolver_time {
    uint64_t now_ms; /* monotonic: deadlines */
    int64_t wall_ms; /* UTC: a batch's time is max(wall_ms, the newest time before) */
};

struct resolver_request {
    uint32_t origin;
    uint64_t tag;
    struct bytes request; /* encoded, request.h */
};

/* Resolves, holds (a gap before it) or parks (a call that waits) one request. Returns 0, or a
 * code when it was not taken (ERR_BUSY, ERR_BAD_MESSAGE): then see resolver_refuse().
 * resolver_room() must be true. */
int resolver_submit(struct resolver *r, const struct resolver_request *request,
                    struct resolver_time time);

/* A request of kind MEMBER. It is alone: nothing stands in the open batch and every batch
 * taken is applied (CHECK). The batch that it leaves must be the next one taken and proposed
 * with `change`; with number 0 that is none, and it is a batch like any other: the request
 * was refused, or asks for what is so already. `heard` are the members that answered lately:
 * who would leave no majority of voters among them is refused. */
void resolver_change(struct resolver *r, const struct resolver_request *request,
                     struct resolver_time time, nodes_set heard, struct members *change);
/* On a state that has no roster yet: puts the one that the cluster was founded with. */
void resolver_found(struct resolver *r, const struct roster *founders,
                    struct resolver_time time);

/* Answers a request that was not taken, through the batch like everything else, with `code`
 * and no effect, not even on its session: the same seq may be sent again. */
void resolver_refuse(struct resolver *r, const struct resolver_request *request,
                     struct resolver_time time, int code);

/* False: the open batch is big enough, take it first; or this turn has had its share of
 * scripts, and the rest is for the next one. */
bool resolver_room(const struct resolver *r);
/* A turn begins. Between turns the server hears its peers and clients, so that scripts,
 * however many are asked for, cost no leader its reign. */
void resolver_turn(struct resolver *r);
bool resolver_is_tired(const struct resolver *r); /* this turn has had its share */
uint64_t resolver_fuel(const struct resolver *r); /* what scripts cost in this turn */
/* Something stands in the open batch. */
bool resolver_has_batch(const struct resolver *r);

/* Ends what is due: expired sessions and nodes, calls past their time limit; runs calls that
 * were woken and had to be put off. */
void resolver_tick(struct resolver *r, struct resolver_time time);

/* The client of this session was heard of. False: it is over, or its end is resolved. */
bool resolver_renew(struct resolver *r, uint64_t session, uint64_t now_ms);
void resolver_stalled(struct resolver *r, uint64_t lost_ms);

/* Takes the open batch into `out` (cleared first), and the origins it answers into
 * `origins` (bit id - 1). False when there is nothing. */
bool resolver_take(struct resolver *r, struct buf *out, uint32_t *origins);
/* An empty batch, to open a reign. */
void resolver_take_opening(struct resolver *r, struct resolver_time time, struct buf *out);

/* The machine has applied everything up to this zxid: forget the pending copies. */
void resolver_applied(struct resolver *r, uint64_t zxid);

struct resolver_stats {
    uint64_t waiting, held, pending_cells, script_runs, expiries;
    uint64_t leased; /* sessions that have a deadline here */
};
struct resolver_stats resolver_stats(const struct resolver *r);

#endif
