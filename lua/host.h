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
 *            `value`), ERR_SCRIPT_FAILED (message: recipe:line: why), or the code of a tx
 *            function that the recipe did not catch
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

#include "core/machine/script.h"
#include "lua/sandbox.h"

enum {
    HOST_STATES_MAX = 32,    /* recipes kept compiled; the one longest unused makes room */
    HOST_NAME_BYTES_MAX = 64, /* of a recipe and of a function */
};

struct lua_host;

/* SCRIPT_MEMORY_MAX and SCRIPT_FUEL_MAX are the normal budget of a run. */
struct lua_host *host_new(struct sandbox_budget budget);
void host_free(struct lua_host *h);

/* Borrowed; as long as the host lives. */
struct scripts *host_scripts(struct lua_host *h);

#endif
