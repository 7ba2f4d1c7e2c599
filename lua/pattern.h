/* pattern.h -- Lua's patterns, matched at a price.
 *
 * What a pattern means is what the Lua 5.4 manual says (6.4.1). Matching one can take time
 * exponential in its length, inside a single instruction of the script: here each step
 * costs fuel, and depth is bounded, so a pattern costs its budget and nothing else.
 *
 * Called inside sandbox_call() only: it raises on a malformed pattern and when the fuel
 * does not last. Owns no memory. */
#ifndef LUA_PATTERN_H
#define LUA_PATTERN_H

#include <lua.h>
#include <stdbool.h>

#include "core/base/bytes.h"

enum {
    PATTERN_CAPTURES_MAX = 32,
    PATTERN_DEPTH_MAX = 200, /* nested choices; each is a C frame */
};

struct capture {
    const char *start;
    ptrdiff_t len; /* or CAPTURE_... of pattern.c */
};

struct pattern {
    lua_State *L;
    struct bytes text, pattern; /* without the anchor */
    bool anchored;
    int depth;
    unsigned unpaid; /* steps */
    int count;       /* of captures */
    struct capture captures[PATTERN_CAPTURES_MAX];
};

/* Both are borrowed as long as it is used. */
void pattern_init(struct pattern *p, lua_State *L, struct bytes text, struct bytes pattern);

/* Matches at the first place from `start` on (at `start` only, when anchored). False: there
 * is none. */
bool pattern_next(struct pattern *p, size_t start, size_t *from, size_t *to);

/* After a match: pushes the captures, the whole match if there is none; returns how many.
 */
int pattern_push_captures(struct pattern *p, size_t from, size_t to);

/* Pushes the capture `index` from 1 on; 0, or 1 when there is none, is the whole match. */
void pattern_push_capture(struct pattern *p, int index, size_t from, size_t to);

/* Is there anything in it but characters that mean themselves? */
bool pattern_is_plain(struct bytes pattern);

#endif
