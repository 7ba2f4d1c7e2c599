/* library.h -- everything that a recipe can name, apart from `tx` and `args`.
 *
 *     array assert error ipairs null pairs pcall select tonumber tostring type
 *     math    all but random and randomseed
 *     string  byte char find format len lower rep reverse sub upper
 *     table   concat insert pack remove sort unpack
 *     utf8    char codepoint len offset
 *
 * string.find looks for plain text: there are no patterns in this version, because
 * matching one can take exponential time inside a single instruction. There are no
 * coroutines, no metatables, no raw access, no loading of code, no clock, no randomness.
 * `pairs` goes in the order of keys.h and only over integer and string keys; what is added
 * while it runs is not visited. `tostring` and %s show no addresses. */
#ifndef LUA_LIBRARY_H
#define LUA_LIBRARY_H

#include <lua.h>

/* Pushes the table of all names, and gives strings their methods. Once a state. */
void library_push(lua_State *L);

#endif
