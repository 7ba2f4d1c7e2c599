/* keys.h -- the keys of a Lua table in an order that does not depend on hashing: integers
 * first, then strings, each ascending. For `pairs` and for maps in MessagePack.
 *
 * Called inside sandbox_call() only; pays its fuel itself. */
#ifndef LUA_KEYS_H
#define LUA_KEYS_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>

struct key {
    const char *str; /* NULL: an integer */
    size_t len;
    lua_Integer integer;
};

enum { KEYS_SMALL = 32 };

struct keys {
    size_t count;
    bool sequence;         /* exactly 1 .. count: `at` is not filled */
    const struct key *at;  /* borrowed: while the table is not changed */
    struct key small[KEYS_SMALL];
};

/* Fills `k` and pushes one value, which holds what `k` needs. Raises on a key that is
 * neither an integer nor a string. */
void keys_gather(lua_State *L, int table, struct keys *k);

void key_push(lua_State *L, const struct key *key);

#endif
