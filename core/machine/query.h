/* query.h -- a recipe's function run only to read: on the applied state, on any server.
 *
 * What it is not: a call. It stands in no batch and in no log, takes no zxid and no seq,
 * has no session, and sees nothing of what a leader has resolved and not yet applied.
 * Whether the state is new enough to answer from is the caller's matter, as it is for a
 * plain read.
 *
 * In `struct tx`: read_only is set; zxid and time are those of the newest transaction that
 * is applied; session is 0.
 *
 * Invariants: Q1 a query changes nothing: its first attempt to write or to wait fails with
 * ERR_READ_ONLY. Q2 it sees the applied state and nothing else. */
#ifndef CORE_MACHINE_QUERY_H
#define CORE_MACHINE_QUERY_H

#include "core/machine/machine.h"
#include "core/machine/result.h"
#include "core/machine/script.h"

struct query {
    struct bytes recipe, function; /* "config", "get" */
    struct bytes args;             /* one MessagePack value */
};

struct queries {             /* work space, and what this turn has spent */
    struct scripts *scripts; /* borrowed; NULL: every query is refused */
    struct machine *machine; /* borrowed */
    struct tx tx;
    struct script_result out;
    struct buf message;
    uint64_t fuel;
};

void queries_init(struct queries *q, struct scripts *scripts, struct machine *machine,
                  uint64_t seed);
void queries_fini(struct queries *q);

/* Runs it now. `result` is as for a call (value, or code, message and details), its zxid
 * the newest that the query could see; borrowed until the next run. */
void queries_run(struct queries *q, const struct query *query, struct result *result);

/* A turn of the driver's loop begins. Queries share a budget of fuel a turn, so that many
 * of them keep no server from its heartbeats: one that is tired runs no more before the
 * next turn. This is the driver's duty; queries_run() does not refuse. */
void queries_turn(struct queries *q);
bool queries_are_tired(const struct queries *q);

#endif
