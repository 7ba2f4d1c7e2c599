/* host_inside.h -- what the files of the host share; nobody else includes it.
 *
 *     host.c          the public functions; names
 *     host_sources.c  which source a call runs: the newest, or the one that it began with
 *     host_states.c   compiled recipes, each in a Lua state
 *     host_runs.c     one run, its outcome, and runs inside of runs
 *     host_check.c    before a source is stored: it loads, and what it is bound to
 *     host_records.c  what every function did; who goes over the budget too often rests */
#ifndef LUA_HOST_INSIDE_H
#define LUA_HOST_INSIDE_H

#include "lua/host.h"
#include "lua/tx.h"

enum {
    HOST_MESSAGE_BYTES_MAX = 4096,
    HOST_PLACES = 4 * HOST_RECORDS_MAX,
    HOST_ERROR_FUEL = 20000, /* to turn an error into its text and details */
};
static_assert(HOST_DEPTH_MAX < HOST_STATES_MAX, "the states of one call all have a place");

struct recipe_state {
    struct sandbox sandbox; /* sandbox.lua == NULL: this place is free */
    char name[HOST_NAME_BYTES_MAX + 1];
    struct buf source; /* H3 */
    uint64_t used;     /* host->uses when last used */
    bool running;      /* a run of it is under way, maybe another one inside of it */
};

/* What a run of one recipe needs. The first frame's transaction and result are the
 * resolver's; those of a run inside of another are here. A Lua error may leave any frame,
 * so all that owns memory is kept from call to call. */
struct frame {
    struct tx_run run;
    struct recipe_state *state;
    struct script_call call;
    struct tx tx;
    bool tx_open;
    struct script_result out;
    struct buf args, name;
};

struct host_record; /* host_records.c */

struct lua_host {
    struct scripts scripts;
    struct sandbox_budget budget;
    struct recipe_state states[HOST_STATES_MAX];
    uint64_t uses;
    struct frame frames[HOST_DEPTH_MAX];
    int depth;                   /* frames in use */
    struct host_record *records; /* NULL until there is one */
    size_t records_count;
    uint16_t records_at[HOST_PLACES]; /* by the hash of the name: index + 1 */
};

/* host.c */
bool host_name_is_legal(struct bytes name);
bool host_split(struct bytes name, struct bytes *recipe, struct bytes *function);

/* host_sources.c */
struct source {
    struct bytes text; /* borrowed: until the transaction changes */
    bool shipped;
};
/* The source of `name` for a call whose first commit was `began` (0: it begins now). */
bool source_find(struct tx *t, struct bytes name, uint64_t began, struct buf *scratch,
                 struct source *source);

/* host_states.c */
/* The state with exactly that source compiled, or NULL, and `out` says why. */
struct recipe_state *recipe_state_for(struct lua_host *h, struct bytes name,
                                      struct bytes source, struct script_result *out);
bool recipe_state_open(struct lua_host *h, struct recipe_state *s, struct bytes name,
                       struct bytes source, struct script_result *out);
void recipe_state_close(struct recipe_state *s);
void recipe_state_settle(struct recipe_state *s); /* H2 */
bool recipe_state_is_ready(const struct lua_host *h, struct bytes name,
                           struct bytes source);
/* Pushes the recipe's table of functions, made anew. */
void recipe_state_push_module(lua_State *L);

/* host_runs.c */
void run_frame(struct frame *f, struct script_result *out,
               const struct sandbox *around);
/* The tx object's `call_other`. */
void run_other(lua_State *L, struct tx_run *run);
void end_with(struct script_result *out, int code, struct bytes message);
void end_with_name(struct script_result *out, int code, struct bytes name);
/* After a call that failed; its error value is on the stack. */
void end_with_error_value(struct recipe_state *s, struct script_result *out);
uint64_t fuel_spent(const struct sandbox *b, uint64_t fuel_first);

/* host_check.c: the `check` of core/machine/script.h */
void host_check(struct scripts *scripts, struct bytes name, struct bytes source,
                struct script_result *out);

/* host_records.c */
/* NULL: it has none. */
struct host_record *record_find(struct lua_host *h, const struct script_call *call);
struct run_facts {
    struct bytes source;
    bool may_rest; /* the shipped ones may not: their users share them; nor may queries */
    int64_t time_ms;
    uint64_t took_ns;
};
/* True: the function rests, and `out` says until when. */
bool record_rests(const struct host_record *r, const struct script_call *call,
                  const struct run_facts *facts, struct script_result *out);
void record_run(struct lua_host *h, const struct script_call *call,
                const struct script_result *out, const struct run_facts *facts);
void records_free(struct lua_host *h);

#endif
