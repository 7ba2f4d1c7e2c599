/* bindings.h -- what trial.lua is made of: the functions of trial.h for Lua. */
#ifndef LUA_TRIAL_BINDINGS_H
#define LUA_TRIAL_BINDINGS_H

#include <lua.h>

#include "lua/trial/trial.h"

/* Work space that outlives a Lua error; the trial changes from test to test. */
struct trial_bindings {
    struct trial *trial;
    struct buf args, wants, name, next, message;
};

/* Pushes the table of functions; `b` must outlive the state. */
void trial_bindings_push(lua_State *L, struct trial_bindings *b);

#endif
