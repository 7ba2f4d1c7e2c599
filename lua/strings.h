/* strings.h -- the functions of `string` that are our own: find, match, gmatch, gsub, on
 * lua/pattern.h, and rep and format, which Lua's own would do without a bound or with
 * addresses. */
#ifndef LUA_STRINGS_H
#define LUA_STRINGS_H

#include <lua.h>

/* Lua's table `string` is on top; puts our functions into the table below it. */
void strings_put(lua_State *L);

#endif
