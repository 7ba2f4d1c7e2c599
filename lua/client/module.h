/* module.h -- what the files of the Lua module `tidelock` share: arguments, failures, and
 * memory that no Lua error can leak.
 *
 * The module stands on tidelock.h and runs in any Lua 5.4. tidelock.lua, which is compiled
 * in, is its upper half and tells users what there is.
 *
 * M1  Whatever is allocated in C belongs to a userdata on the stack (struct scratch),
 *     which frees it if an error unwinds this function. So any Lua function may raise.
 * M2  A finalizer may run wherever Lua allocates, and may close the client. So the client
 *     is asked for (client_open) when all arguments are read, right before its call. */
#ifndef LUA_CLIENT_MODULE_H
#define LUA_CLIENT_MODULE_H

#include <lua.h>
#include <msgpack.h>
#include <stdbool.h>

#include "core/base/bytes.h"
#include "core/client/tidelock.h"

/* --- one call's memory --- */

struct scratch {
    struct buf packed;   /* what is sent */
    void *got;           /* what came: from tidelock.h */
    msgpack_zone *zone;  /* what it is unpacked into */
};

struct scratch *scratch_push(lua_State *L); /* empty; stays on the stack */
void scratch_drop(struct scratch *s);       /* frees what it has by now */

/* --- failures --- */

/* Pushes nil and an error {code = "no_node", message = "..."}, and returns 2. The message
 * is that of the thread's last failure, unless the client was closed before. */
int fail(lua_State *L, int code);
int fail_plainly(lua_State *L, int code); /* with the code's own text */

/* --- arguments: each raises an error that names the argument --- */

/* One with a zero byte inside reads as "", which no call accepts: C would see its start. */
const char *argument_text(lua_State *L, int arg, const char *name);
/* Data: a string, or tidelock.null (ptr NULL). */
struct bytes argument_data(lua_State *L, int arg, const char *name);

/* The table of options at `arg`, or nothing there; `names` ends with NULL. Refuses any
 * other name: a misspelt `version` would overwrite what it was to protect. */
void options_check(lua_State *L, int arg, const char *const *names);
bool option_flag(lua_State *L, int arg, const char *name);
lua_Integer option_integer(lua_State *L, int arg, const char *name, lua_Integer otherwise,
                           lua_Integer max); /* 0 .. max */
const char *option_text(lua_State *L, int arg, const char *name); /* NULL: not given */
/* A table or an object with path and token, such as a lock; leaves its path on the stack.
 * NULL: not given. */
const tl_guard *option_guard(lua_State *L, int arg, tl_guard *guard);

/* --- values, see codec.c --- */

void codec_push_null(lua_State *L);
bool codec_is_null(lua_State *L, int index);
void codec_setup(lua_State *L, int module); /* module.null, module.array */
void codec_encode(lua_State *L, int index, struct buf *out);
/* Pushes the value in `packed`; false: there is none. */
bool codec_push(lua_State *L, struct scratch *s, struct bytes packed);

/* --- clients and watches --- */

/* The client at `index`; NULL after close(). Borrowed until Lua runs again. */
tl_client *client_open(lua_State *L, int index);
void client_setup(lua_State *L, int module); /* module.connect, module.methods */
void watch_setup(lua_State *L);
int watch_new(lua_State *L); /* client:watch(path, options) */

#endif
