/* value.h -- between MessagePack and Lua values. Called inside sandbox_call() only.
 *
 * In:  nil and booleans; integers of 64 bits, floats; str and bin both to a string; arrays
 *      and maps to tables. A nil inside an array is `null` (so that places stay), a member
 *      that is nil is left out. An empty array and a map with integer keys are marked as
 *      what they are, so that they go out as they came. Refused: ext, integers above
 *      2^63 - 1, map keys other than strings and integers.
 * Out: a string that is UTF-8 to str, any other to bin; a table with the keys 1..n to an
 *      array, any other to a map with sorted keys, {} to an empty map; array{...} to an
 *      array, map{...} to a map, binary(string) to bin whatever they hold; `null` to nil.
 *      Refused: NaN, infinities, functions, userdata, other keys.
 *
 * The bytes are not trusted, whoever scanned them before: sizes, depth and counts are
 * checked here too, before anything is allocated for them. */
#ifndef LUA_VALUE_H
#define LUA_VALUE_H

#include <lua.h>
#include <stdbool.h>

#include "core/base/bytes.h"

enum {
    VALUE_DEPTH_MAX = 12,          /* nesting, both ways; a cycle ends here */
    VALUE_INTEGER_KEYS_MAX = 1024, /* of one value: chosen ones all collide in a table */
};

/* The metatables that mark a table: what array{...}, map{...} and binary(s) gave. */
#define VALUE_ARRAY  "tidelock.array"
#define VALUE_MAP    "tidelock.map"
#define VALUE_BINARY "tidelock.binary"

void value_setup(lua_State *L); /* once a state */

/* Pushes the one value that `msgpack` holds, or raises ERR_BAD_PARAMS. */
void value_push(lua_State *L, struct bytes msgpack);

/* Appends the value at `index`; raises ERR_SCRIPT_FAILED, or ERR_TOO_LARGE when `out` would
 * become longer than REQUEST_BYTES_MAX. `out` is the caller's, whatever happens. */
void value_encode(lua_State *L, int index, struct buf *out);

/* Is that a table with this mark? */
bool value_has_mark(lua_State *L, int index, const char *mark);

/* Appends text for a person, at most `len_max` bytes, a '?' for each byte that is not
 * UTF-8: messages travel as str, which some clients refuse to read otherwise. */
void value_put_text(struct buf *out, struct bytes text, size_t len_max);

/* Pushes `null`; it is a light userdata, equal to itself only. */
void value_push_null(lua_State *L);

#endif
