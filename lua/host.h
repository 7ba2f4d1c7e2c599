/* host.h -- runs recipes: the Lua side of core/machine/script.h.
 *
 * A recipe is the data of /tidelock/recipes/<name> as the transaction sees it, else the
 * shipped one. It is a Lua chunk that returns a table of functions; function(tx, args) is
 * what a call runs. Names that begin with "_", and `cancel`, cannot be called from outside;
 * cancel(tx, args, function_name) runs when a waiting call is withdrawn.
 *
 * Each recipe has a Lua state of its own with the compiled chunk; the chunk runs anew for
 * each call, in a fresh environment, so calls share no data.
 *
 * What a run ends with (struct script_result):
 *     DONE   value
 *     WAIT   paths, as given to tx:wait(); none: what tx read
 *     ERROR  ERR_NO_RECIPE, ERR_NO_FUNCTION, ERR_BAD_PARAMS (args), ERR_OVER_BUDGET
 *            (message: which and how much), ERR_REFUSED (tx:fail; its details, if any, in
 *            `value`), ERR_SCRIPT_FAILED (message: recipe:line: why), ERR_RESTING (the
 *            function went over its budget too often; when to come again in `value`), or
 *            the code of a tx function that the recipe did not catch
 *
 * tx:call() runs another recipe's function in that recipe's own state, on a transaction of its
 * own on top of the caller's, and on what the caller has left of its budget. What it writes
 * is the caller's once it has ended well; it waits for both of them.
 *
 * The module's field `on` binds functions to paths:
 *     recipe.on = { { path = "/config/?", validate = "check" } }    with a star for the ?
 * A write of a path that fits runs the function in the same transaction, with what was
 * written in place of args: {kind = "create", "set" or "delete", path, data, before}. One
 * that validates may only read, and refuses the write by an error; one that reacts may
 * write, too. In a pattern a star is one part of a path, two at the end are all below. All
 * that a transaction runs so lives on one budget of fuel, and is bounded in number, so
 * functions that wake each other end. The end of a session is no such write.
 *
 * Before a source is stored it is checked: it must compile, run within the budget and return
 * a table with a function in it. The check has a state of its own.
 *
 * Invariants: H1 no Lua error leaves host_run. H2 a state that went over a budget, or holds
 * more than a quarter of its memory after a run, is closed. H3 a cached chunk is used only
 * for the very bytes it was compiled from: a zxid would not do, since one that was never
 * chosen can be given out again. */
#ifndef LUA_HOST_H
#define LUA_HOST_H

#include <stdbool.h>

#include "core/machine/script.h"
#include "lua/sandbox.h"

enum {
    HOST_STATES_MAX = 32,    /* recipes kept compiled; the one longest unused makes room */
    HOST_NAME_BYTES_MAX = 64, /* of a recipe and of a function */
    HOST_DEPTH_MAX = 8,      /* recipes that call each other */
    HOST_RUN_FUEL = 200,     /* what any run costs a turn beside its own fuel: near 2 us */
    HOST_BINDINGS_MAX = 16,  /* of one recipe */
    HOST_RECORDS_MAX = 1024, /* functions with statistics; what comes later has none */

    /* A function that goes over its budget so often in so long rests; each rest is twice as
     * long as the one before, until it has done well for that long. */
    HOST_STRIKES_MAX = 5,
    HOST_STRIKES_MS = 10000,
    HOST_REST_MIN_MS = 1000,
    HOST_REST_MAX_MS = 64000,
};

/* What one function did at this server since it started. */
struct host_stats {
    struct bytes name;    /* "lock.acquire"; borrowed, as long as the host lives */
    uint64_t calls, runs; /* a call that waits runs more than once */
    uint64_t waits;       /* runs that ended with a wait */
    uint64_t errors, over_budget;
    uint64_t fuel, fuel_max; /* of all runs; of the dearest */
    uint64_t time_ns;
    uint64_t rests;         /* how often it had to rest */
    int64_t rests_until_ms; /* the newest rest's end, UTC; 0: never */
};

struct lua_host;

/* SCRIPT_MEMORY_MAX and SCRIPT_FUEL_MAX are the normal budget of a run. */
struct lua_host *host_new(struct sandbox_budget budget);
void host_free(struct lua_host *h);

/* Of the function at `index`, from 0 on; false when there are no more. */
bool host_stats(const struct lua_host *h, size_t index, struct host_stats *out);

/* Borrowed; as long as the host lives. */
struct scripts *host_scripts(struct lua_host *h);

#endif
