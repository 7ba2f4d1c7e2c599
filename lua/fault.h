/* fault.h -- errors inside a recipe that carry a code of core/base/errors.h.
 *
 * A fault is a Lua table {code, name, message} with a metatable of its own, so a recipe may
 * catch it with pcall and ask for err.name == "no_node". One that nobody catches ends the
 * call with its code. Any other error value ends it with ERR_SCRIPT_FAILED. */
#ifndef LUA_FAULT_H
#define LUA_FAULT_H

#include <lua.h>

#include "core/base/bytes.h"
#include "core/base/errors.h"

void fault_setup(lua_State *L); /* once a state, protected */

/* Raises; `format` as in lua_pushfstring(). The recipe's line is put before the text. */
_Noreturn void fault_raise(lua_State *L, int code, const char *format, ...);

/* Raises ERR_REFUSED with the text at `message` as it is, and the value at `details`. */
_Noreturn void fault_refuse(lua_State *L, int message, int details);

/* Raises what another recipe's run ended with: its message as it is, the value on top of the
 * stack as its details. */
_Noreturn void fault_raise_again(lua_State *L, int code, struct bytes message);

/* The code of the error value at `index`; ERR_SCRIPT_FAILED when it bears none. */
int fault_code(lua_State *L, int index);

/* Pushes what the recipe gave as details, or nil. */
void fault_push_details(lua_State *L, int index);

/* Pushes what `tostring` says of any value: of a fault its message, of a table "table";
 * never an address, never through a metamethod. */
void fault_push_text(lua_State *L, int index);

#endif
