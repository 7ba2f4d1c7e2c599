/* tx.h -- the object `tx` through which a recipe reads and writes the tree.
 *
 * In a query, tx.session is 0, tx.zxid and tx:now() are those of the newest transaction that
 * is applied, and all that a query cannot do raises read_only: tx.id, create, set, delete,
 * wait. A recipe may catch that like any fault.
 *
 *     tx.id                this call's own name, the same in every run of it:
 *                          "s<session>-<seq>"; without a session "z<zxid>", other each run
 *     tx.session  tx.zxid  the caller's session (0 = none); what this transaction will be
 *     tx:now()             the batch's time, milliseconds of UTC
 *
 *     tx:exists(path)      boolean
 *     tx:get(path)         the data; nil when there is no node, or its data is null
 *     tx:stat(path)        {czxid, mzxid, pzxid, ctime, mtime, version, cversion, aversion,
 *                          ephemeralOwner, dataLength, numChildren}, or nil
 *     tx:children(path [, after [, limit]])   names in byte order; {} without a node
 *     tx:first(path)  tx:last(path)           path of the first, last child, or nil
 *     tx:next(path)   tx:previous(path)       path of the sibling after, before, or nil;
 *                                             `path` itself need not exist
 *     tx:find(path, prefix)  path of the first child whose name begins so, or nil
 *     tx:owned(path [, after])  path of the first ephemeral node below `path` that the
 *                          caller's session owns, behind `after` if given; or nil
 *
 *     tx:place(path)       this call's place in the queue at `path`, nil if it has none, and
 *                          the place just before it (without one: the last), or nil
 *     tx:enter(path [, data])  takes a place, with this data, unless it has one; the place
 *     tx:leave(path)       gives the place up, if it has one. The queue's tree: line.c
 *
 *     tx:create(path, data [, {ephemeral, sequential, parents, container, ttl, linger}])
 *                          the path created. container: it goes with its last child; ttl:
 *                          when not changed for so many ms; linger: an ephemeral one stays
 *                          so many ms when its session expires
 *     tx:set(path, data [, {version}])
 *     tx:touch(path)       its ttl begins anew; nothing else changes
 *     tx:delete(path [, {version}])
 *     tx:delete_tree(path) it and all below, ephemeral nodes too; returns how many
 *     tx:check(args, {name = kind, ...})      refuses the call unless the arguments are these
 *                          and no others. A kind is path (not the root), string, integer,
 *                          natural (0 or more), number, boolean, table or any; with a ?
 *                          behind it the argument may be left out
 *     tx:fail([code,] message [, details])   ends the call: refused. A code is a word of
 *                          a-z, 0-9 and _; the caller finds it in the details
 *     tx:call(name, args)  runs "recipe.function" as a part of this call; returns its value
 *     tx:wait(path, ...)   `return tx:wait(...)`: commit, and run me again when one of
 *                          these changes; without a path, when anything that I read does
 *
 * Data is a string, or nil for null. A refusal of the tree (no_node, node_exists, ...) is
 * raised as a fault (fault.h) and the transaction stays as it was before that operation. */
#ifndef LUA_TX_H
#define LUA_TX_H

#include <assert.h>
#include <lua.h>
#include <stdbool.h>

#include "core/machine/script.h"
#include "lua/sandbox.h"

enum {
    TX_READ_FUEL = 150,
    TX_WRITE_FUEL = 250,
    TX_CALL_FUEL = 1000, /* no less than what runs before the hook asks */
    TX_WAIT_PATHS_MAX = 128,
    TX_CODE_BYTES_MAX = 64,
};
static_assert((int) TX_CALL_FUEL >= (int) SANDBOX_HOOK_COUNT,
              "small functions are no free work");

struct lua_host;

/* One run. The bufs are work space that outlives it: a Lua error may end any call. */
struct tx_run {
    struct tx *tx; /* NULL: the run is over, and `tx` with it */
    const struct script_call *call;
    struct buf *wait_paths; /* each as buf_put_bytes() */
    struct buf name, other;
    /* The other recipe's function by its name at 2, with the argument at 3: pushes its
     * value, or raises. */
    void (*call_other)(lua_State *L, struct tx_run *run);
    struct lua_host *host;
};

void tx_object_setup(lua_State *L); /* once a state */

/* Pushes a new table of all functions of `tx`, by name. */
void tx_object_push_methods(lua_State *L);

/* Pushes the object; the run must outlive it or say tx = NULL. */
void tx_object_push(lua_State *L, struct tx_run *run);

int tx_object_check(lua_State *L); /* tx:check(), in check.c */

/* For the bench of recipes (lua/trial), which speaks of nodes in the same words: the flags
 * of the options of tx:create() at `index`, if any; the table that tx:stat() gives. */
unsigned tx_create_flags_at(lua_State *L, int index);
void tx_stat_push(lua_State *L, const struct stat_view *s);

/* What tx:wait() returns. Raised as an error it ends the run as a wait, past every pcall:
 * so a function waits from inside of tx:call(). */
void tx_object_push_wait(lua_State *L);

/* Is this what tx:wait() returned? */
bool tx_object_is_wait(lua_State *L, int index);

#endif
