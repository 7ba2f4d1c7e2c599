/* sandbox.h -- one Lua state in which code that nobody trusts may run.
 *
 * What it is: a state with a byte-counting allocator, a budget of fuel, and an environment
 * made from an allow-list (library.c), never by removing from the full one.
 *
 * Fuel is counted, not timed, so that a run costs the same everywhere: one unit an
 * instruction (asked every 1,000), some for each block of memory and its bytes, and what the
 * library's C functions charge for their loops. Processor time is the last resort, for the
 * few instructions that cost more than they seem (comparing two long strings).
 *
 * Invariants
 *   B1  `memory` is the bytes that the state holds, never above memory_limit.
 *   B2  Once `over` is set, no recipe code runs on: pcall raises again, the hook fires at
 *       every instruction. The state is good only for sandbox_close().
 *   B3  Nothing that a run changed can be seen by the next: the environment is fresh, the
 *       library's tables cannot be written, and there is no way to a metatable.
 *
 * The caller's duty: every Lua call stands inside sandbox_call(), conversions included. */
#ifndef LUA_SANDBOX_H
#define LUA_SANDBOX_H

#include <lua.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/base/bytes.h"

enum {
    SANDBOX_HOOK_COUNT = 1000,
    SANDBOX_FUEL_BYTES = 32,
    SANDBOX_FUEL_BLOCK = 8, /* any block of memory, and collecting it */
};

enum sandbox_over { SANDBOX_WITHIN = 0, SANDBOX_FUEL, SANDBOX_MEMORY, SANDBOX_TIME };

struct sandbox_budget {
    size_t memory_max;
    uint64_t fuel_max;   /* of one run */
    uint64_t cpu_ms_max; /* of one run; 0 = not asked, for runs that must repeat exactly */
};

struct sandbox {
    struct sandbox_budget budget;
    lua_State *lua; /* NULL: not open */
    size_t memory;
    size_t memory_limit; /* of this run: the budget's, or what a run around it has left */
    uint64_t fuel;             /* left */
    uint64_t cpu_first_ns;     /* when the hook first asked in this run; 0 = not yet */
    enum sandbox_over refused; /* why memory was last not given */
    enum sandbox_over over;
};

/* The sandbox must not move while open: its state points to it. ERR_OVER_BUDGET when the
 * budget is too small for an empty state. */
int sandbox_open(struct sandbox *s, struct sandbox_budget budget);
void sandbox_close(struct sandbox *s); /* also when not open */

/* Gives a full budget; before each run. */
void sandbox_refill(struct sandbox *s);

/* Less fuel for this run; 0: no less. */
void sandbox_limit(struct sandbox *s, uint64_t fuel_max);

/* For a run inside of another state's run: both live on what the outer one has left. What
 * the inner one used is taken from the outer one after it; when it went over, so has the
 * outer one. */
void sandbox_share(struct sandbox *inner, const struct sandbox *outer);
void sandbox_settle(const struct sandbox *inner, lua_State *outer);

/* Calls `function` with `ctx` as a light userdata, protected. Returns LUA_OK and leaves
 * nothing on the stack, or another status and leaves the error value, which the next call
 * takes as its second argument. Sets `over`. */
int sandbox_call(struct sandbox *s, lua_CFunction function, void *ctx);

/* --- inside sandbox_call() only --- */

struct sandbox *sandbox_of(lua_State *L);

/* Pays for work done in C; raises when the fuel does not last. */
void sandbox_charge(lua_State *L, uint64_t fuel);

/* After a lua_pcall() of somebody else's code: sets `over` by its status, and raises again
 * if it is set, so that nobody catches the end of the budget. */
void sandbox_after_pcall(lua_State *L, int status);

/* Compiles text (never bytecode) and pushes the function, or raises. */
void sandbox_push_compiled(lua_State *L, const char *name, struct bytes source);

/* Pushes an environment as empty as the first. */
void sandbox_push_environment(lua_State *L);

/* Which budget, and how much it is; appends. `over` is set. */
void sandbox_describe_over(const struct sandbox *s, struct buf *out);

#endif
