/* library.h -- everything that a recipe can name, apart from `tx` and `args`.
 *
 *     array assert binary error ipairs map null pairs pcall select tonumber tostring type
 *     math    all but random and randomseed
 *     string  byte char find format gmatch gsub len lower match rep reverse sub upper
 *     table   concat insert move pack remove sort unpack
 *     utf8    char codepoint len offset
 *
 * They are Lua's, but for this: patterns are matched by lua/pattern.h, which counts each step.
 * `pairs` goes in the order of keys.h and only over integer and string keys; what is added
 * while it runs is not visited. `tostring` and %s show no addresses. `array`, `map` and
 * `binary` mark what a value shall be in MessagePack (value.h). There are no coroutines, no
 * metatables, no raw access, no loading of code, no clock, no randomness. */
#ifndef LUA_LIBRARY_H
#define LUA_LIBRARY_H

#include <lua.h>

/* Pushes the table of all names, and gives strings their methods. Once a state. */
void library_push(lua_State *L);

#endif
