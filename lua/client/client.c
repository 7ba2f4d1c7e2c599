/* The client's calls, one for one as in tidelock.h. Locks, elections and configuration
 * stand on these in tidelock.lua. */
#include <lauxlib.h>
#include <limits.h>
#include <stdlib.h>

#include "core/rpc/methods.h"
#include "lua/client/module.h"

#define CLIENT "tidelock.client"

enum { SESSION_MS_DEFAULT = 10000 };

struct client {
    tl_client *tl; /* NULL: closed */
};

tl_client *client_open(lua_State *L, int index)
{
    const struct client *c = luaL_checkudata(L, index, CLIENT);

    return c->tl;
}

static void push_stat(lua_State *L, const tl_stat *stat)
{
    lua_createtable(L, 0, STAT_FIELDS_COUNT);
#define F(member, name)                                                                    \
    lua_pushinteger(L, (lua_Integer) stat->member);                                        \
    lua_setfield(L, -2, name);
    STAT_FIELDS(F)
#undef F
}

/* --- the tree --- */

static int client_get(lua_State *L)
{
    const char *path = argument_text(L, 2, "path");
    struct scratch *s = scratch_push(L);
    tl_client *tl = client_open(L, 1);
    char *data = NULL;
    size_t len = 0;
    tl_stat stat;
    const int code = tl == NULL ? TL_CLOSED : tl_get(tl, path, &data, &len, &stat);

    s->got = data;
    if (code != 0) return fail(L, code);
    if (data == NULL) {
        codec_push_null(L);
    } else {
        lua_pushlstring(L, data, len);
    }
    scratch_drop(s);
    push_stat(L, &stat);
    return 2;
}

static int client_stat(lua_State *L)
{
    const char *path = argument_text(L, 2, "path");
    tl_client *tl = client_open(L, 1);
    tl_stat stat;
    const int code = tl == NULL ? TL_CLOSED : tl_get_stat(tl, path, &stat);

    if (code != 0) return fail(L, code);
    push_stat(L, &stat);
    return 1;
}

static int client_set(lua_State *L)
{
    static const char *const names[] = { "version", "guard", NULL };
    const char *path = argument_text(L, 2, "path");
    const struct bytes data = argument_data(L, 3, "data");
    tl_guard guard;
    tl_stat stat;

    options_check(L, 4, names);
    const lua_Integer version = option_integer(L, 4, "version", -1, INT32_MAX);
    const tl_guard *guarded = option_guard(L, 4, &guard);
    tl_client *tl = client_open(L, 1);
    const int code = tl == NULL ? TL_CLOSED
                                : tl_set(tl, path, data.ptr, data.len, version, guarded,
                                         &stat);

    if (code != 0) return fail(L, code);
    push_stat(L, &stat);
    return 1;
}

static unsigned create_flags(lua_State *L, int arg)
{
    return (option_flag(L, arg, "ephemeral") ? TL_EPHEMERAL : 0u) |
           (option_flag(L, arg, "sequential") ? TL_SEQUENTIAL : 0u) |
           (option_flag(L, arg, "parents") ? TL_PARENTS : 0u) |
           (option_flag(L, arg, "container") ? TL_CONTAINER : 0u);
}

static tl_creation create_options(lua_State *L, int arg)
{
    const lua_Integer ttl_ms = option_integer(L, arg, "ttl_ms", 0, INT64_MAX);
    const lua_Integer linger_ms = option_integer(L, arg, "linger_ms", 0, INT64_MAX);

    return (tl_creation){ create_flags(L, arg), (uint64_t) ttl_ms, (uint64_t) linger_ms };
}

static int client_create(lua_State *L)
{
    static const char *const names[] = { "ephemeral", "sequential", "parents", "container",
                                         "ttl_ms",    "linger_ms",  "guard",   NULL };
    const char *path = argument_text(L, 2, "path");
    struct bytes data = { 0 };
    char *created = NULL;
    tl_guard guard;
    tl_stat stat;

    if (!lua_isnoneornil(L, 3)) data = argument_data(L, 3, "data");
    options_check(L, 4, names);
    const tl_creation how = create_options(L, 4);
    const tl_guard *guarded = option_guard(L, 4, &guard);
    struct scratch *s = scratch_push(L);
    tl_client *tl = client_open(L, 1);
    const int code = tl == NULL ? TL_CLOSED
                                : tl_create_as(tl, path, data.ptr, data.len, &how, guarded,
                                               &created, &stat);

    s->got = created;
    if (code != 0) return fail(L, code);
    lua_pushstring(L, created);
    scratch_drop(s);
    push_stat(L, &stat);
    return 2;
}

static int client_delete(lua_State *L)
{
    static const char *const names[] = { "version", "guard", NULL };
    const char *path = argument_text(L, 2, "path");
    tl_guard guard;

    options_check(L, 3, names);
    const lua_Integer version = option_integer(L, 3, "version", -1, INT32_MAX);
    const tl_guard *guarded = option_guard(L, 3, &guard);
    tl_client *tl = client_open(L, 1);
    const int code = tl == NULL ? TL_CLOSED : tl_delete(tl, path, version, guarded);

    if (code != 0) return fail(L, code);
    lua_pushboolean(L, 1);
    return 1;
}

static void push_names(lua_State *L, const char *at, size_t count)
{
    lua_createtable(L, (int) count, 0);
    for (size_t i = 1; i <= count; i++) {
        lua_pushstring(L, at);
        lua_rawseti(L, -2, (lua_Integer) i);
        at += strlen(at) + 1;
    }
}

static int client_children(lua_State *L)
{
    static const char *const names[] = { "after", "limit", NULL };
    const char *path = argument_text(L, 2, "path");
    char *list = NULL;
    size_t count = 0;
    bool more = false;

    options_check(L, 3, names);
    const unsigned limit = (unsigned) option_integer(L, 3, "limit", 0, UINT32_MAX);
    const char *after = option_text(L, 3, "after");
    struct scratch *s = scratch_push(L);
    tl_client *tl = client_open(L, 1);
    const int code = tl == NULL
                         ? TL_CLOSED
                         : tl_children(tl, path, after, limit, &list, &count, &more);

    s->got = list;
    if (code != 0) return fail(L, code);
    push_names(L, list, count);
    scratch_drop(s);
    lua_pushboolean(L, more);
    return 2;
}

/* --- many nodes --- */

static int client_touch(lua_State *L)
{
    static const char *const names[] = { "guard", NULL };
    const char *path = argument_text(L, 2, "path");
    tl_guard guard;
    tl_stat stat;

    options_check(L, 3, names);
    const tl_guard *guarded = option_guard(L, 3, &guard);
    tl_client *tl = client_open(L, 1);
    const int code = tl == NULL ? TL_CLOSED : tl_touch(tl, path, guarded, &stat);

    if (code != 0) return fail(L, code);
    push_stat(L, &stat);
    return 1;
}

static int client_delete_tree(lua_State *L)
{
    static const char *const names[] = { "guard", NULL };
    const char *path = argument_text(L, 2, "path");
    uint64_t deleted = 0;
    tl_guard guard;

    options_check(L, 3, names);
    const tl_guard *guarded = option_guard(L, 3, &guard);
    tl_client *tl = client_open(L, 1);
    const int code = tl == NULL ? TL_CLOSED : tl_delete_tree(tl, path, guarded, &deleted);

    if (code != 0) return fail(L, code);
    lua_pushinteger(L, (lua_Integer) deleted);
    return 1;
}

static int client_copy(lua_State *L)
{
    static const char *const names[] = { "guard", NULL };
    const char *from = argument_text(L, 2, "from"), *to = argument_text(L, 3, "to");
    uint64_t copied = 0;
    tl_guard guard;

    options_check(L, 4, names);
    const tl_guard *guarded = option_guard(L, 4, &guard);
    tl_client *tl = client_open(L, 1);
    const int code = tl == NULL ? TL_CLOSED : tl_copy(tl, from, to, guarded, &copied);

    if (code != 0) return fail(L, code);
    lua_pushinteger(L, (lua_Integer) copied);
    return 1;
}

static void push_node(lua_State *L, const tl_node *n, bool data)
{
    lua_createtable(L, 0, 3);
    lua_pushstring(L, n->path);
    lua_setfield(L, -2, "path");
    push_stat(L, &n->stat);
    lua_setfield(L, -2, "stat");
    if (!data) return;
    if (n->data == NULL) {
        codec_push_null(L);
    } else {
        lua_pushlstring(L, n->data, n->len);
    }
    lua_setfield(L, -2, "data");
}

static int client_tree(lua_State *L)
{
    static const char *const names[] = { "after", "limit", "data", NULL };
    const char *path = argument_text(L, 2, "path");
    tl_nodes *nodes = NULL;
    bool more = false;

    options_check(L, 3, names);
    const unsigned limit = (unsigned) option_integer(L, 3, "limit", 0, UINT32_MAX);
    const char *after = option_text(L, 3, "after");
    const bool data = option_flag(L, 3, "data");
    struct scratch *s = scratch_push(L);
    tl_client *tl = client_open(L, 1);
    const int code =
        tl == NULL ? TL_CLOSED : tl_tree(tl, path, after, limit, data, &nodes, &more);

    s->got = nodes;
    if (code != 0) return fail(L, code);
    lua_createtable(L, (int) nodes->count, 0);
    for (size_t i = 0; i < nodes->count; i++) {
        push_node(L, &nodes->at[i], data);
        lua_rawseti(L, -2, (lua_Integer) i + 1);
    }
    scratch_drop(s);
    lua_pushboolean(L, more);
    return 2;
}

/* --- recipes --- */

static int push_value(lua_State *L, struct scratch *s, struct bytes packed)
{
    if (packed.ptr == NULL) {
        lua_pushnil(L);
    } else if (!codec_push(L, s, packed)) {
        return fail_plainly(L, TL_BAD_MESSAGE);
    }
    scratch_drop(s);
    return 1;
}

/* In C, 0 is "without limit". Here that is leaving it out, and 0 is as short as can be. */
static uint32_t option_wait(lua_State *L, int arg)
{
    const lua_Integer wait_ms = option_integer(L, arg, "wait_ms", -1, UINT32_MAX);

    if (wait_ms < 0) return 0;
    return wait_ms == 0 ? 1 : (uint32_t) wait_ms;
}

static int client_call(lua_State *L)
{
    static const char *const names[] = { "wait_ms", "guard", NULL };
    const char *function = argument_text(L, 2, "function");
    size_t len = 0;
    tl_guard guard;

    lua_settop(L, 4);
    options_check(L, 4, names);
    const uint32_t wait_ms = option_wait(L, 4);
    const tl_guard *guarded = option_guard(L, 4, &guard);
    struct scratch *s = scratch_push(L);
    codec_encode(L, 3, &s->packed);
    tl_client *tl = client_open(L, 1);
    const int code = tl == NULL ? TL_CLOSED
                                : tl_call(tl, function, s->packed.ptr, s->packed.len,
                                          wait_ms, guarded, &s->got, &len);

    if (code != 0) return fail(L, code);
    return push_value(L, s, bytes_of(s->got, len));
}

static int client_query(lua_State *L)
{
    const char *function = argument_text(L, 2, "function");
    size_t len = 0;

    lua_settop(L, 3);
    struct scratch *s = scratch_push(L);
    codec_encode(L, 3, &s->packed);
    tl_client *tl = client_open(L, 1);
    const int code = tl == NULL ? TL_CLOSED
                                : tl_query(tl, function, s->packed.ptr, s->packed.len,
                                           &s->got, &len);

    if (code != 0) return fail(L, code);
    return push_value(L, s, bytes_of(s->got, len));
}

/* lock_acquire(path, options) -> path and token of the grant */
static int client_lock_acquire(lua_State *L)
{
    static const char *const names[] = { "wait_ms", "try", NULL };
    const char *path = argument_text(L, 2, "path");
    tl_lock lock;

    options_check(L, 3, names);
    const uint32_t wait_ms = option_wait(L, 3);
    const bool try_only = option_flag(L, 3, "try");
    tl_client *tl = client_open(L, 1);
    int code = TL_CLOSED;

    if (tl != NULL && try_only) code = tl_lock_try(tl, path, &lock);
    if (tl != NULL && !try_only) code = tl_lock_acquire(tl, path, wait_ms, &lock);
    if (code != 0) return fail(L, code);
    lua_pushstring(L, lock.path);
    lua_pushinteger(L, (lua_Integer) lock.token);
    return 2;
}

/* path(path) -> the same below the prefix */
static int client_path(lua_State *L)
{
    const char *path = argument_text(L, 2, "path");
    struct scratch *s = scratch_push(L);
    tl_client *tl = client_open(L, 1);

    if (tl == NULL) return fail_plainly(L, TL_CLOSED);
    s->got = tl_path(tl, path);
    lua_pushstring(L, s->got);
    scratch_drop(s);
    return 1;
}

/* --- the session --- */

static int client_session(lua_State *L)
{
    static const char *const states[] = { [TL_SESSION_NONE] = "none",
                                          [TL_SESSION_OK] = "ok",
                                          [TL_SESSION_JEOPARDY] = "jeopardy",
                                          [TL_SESSION_OVER] = "over" };
    tl_client *tl = client_open(L, 1);

    if (tl == NULL) return fail_plainly(L, TL_CLOSED);
    const lua_Integer left_ms = tl_session_left_ms(tl);
    const lua_Integer id = (lua_Integer) tl_session_id(tl);

    lua_pushstring(L, states[tl_session(tl)]);
    lua_pushinteger(L, left_ms);
    lua_pushinteger(L, id);
    return 3;
}

static int client_close(lua_State *L)
{
    struct client *c = luaL_checkudata(L, 1, CLIENT);
    tl_client *tl = c->tl;

    c->tl = NULL;
    tl_close(tl);
    lua_pushboolean(L, 1);
    return 1;
}

static int client_describe(lua_State *L)
{
    const bool closed = client_open(L, 1) == NULL;

    lua_pushfstring(L, "tidelock client (%s)", closed ? "closed" : "open");
    return 1;
}

/* --- connecting --- */

/* session = true: of the usual length; else its length in milliseconds. */
static uint32_t option_session(lua_State *L, int arg)
{
    uint32_t session_ms = 0;

    if (lua_getfield(L, arg, "session") == LUA_TBOOLEAN) {
        session_ms = lua_toboolean(L, -1) ? SESSION_MS_DEFAULT : 0;
    } else {
        session_ms = (uint32_t) option_integer(L, arg, "session", 0, UINT32_MAX);
    }
    lua_pop(L, 1);
    return session_ms;
}

static tl_reads option_reads(lua_State *L, int arg)
{
    const char *reads = option_text(L, arg, "reads");

    if (reads == NULL || strcmp(reads, "strong") == 0) return TL_READS_STRONG;
    if (strcmp(reads, "session") == 0) return TL_READS_SESSION;
    if (strcmp(reads, "bounded") == 0) return TL_READS_BOUNDED;
    luaL_argcheck(L, strcmp(reads, "any") == 0, arg,
                  "reads must be \"strong\", \"session\", \"bounded\" or \"any\"");
    return TL_READS_ANY;
}

static tl_options connect_options(lua_State *L)
{
    static const char *const names[] = { "servers",      "cluster",    "session",
                                         "session_file", "timeout_ms", "prefix",
                                         "reads",        "max_lag_ms", NULL };
    tl_options o = { 0 };

    lua_settop(L, 1);
    if (lua_isnil(L, 1)) {
        lua_newtable(L);
        lua_replace(L, 1);
    }
    options_check(L, 1, names);
    o.session_timeout_ms = option_session(L, 1);
    o.timeout_ms = (uint32_t) option_integer(L, 1, "timeout_ms", 0, UINT32_MAX);
    o.session_file = option_text(L, 1, "session_file");
    o.cluster = option_text(L, 1, "cluster");
    o.prefix = option_text(L, 1, "prefix");
    o.reads = option_reads(L, 1);
    o.max_lag_ms = (uint32_t) option_integer(L, 1, "max_lag_ms", 0, UINT32_MAX);
    o.servers = option_text(L, 1, "servers");
    if (o.servers == NULL) o.servers = getenv("TIDELOCK_SERVERS");
    if (o.servers == NULL) {
        luaL_argerror(L, 1, "servers is missing, and TIDELOCK_SERVERS is not set");
    }
    return o;
}

static int client_connect(lua_State *L)
{
    const tl_options o = connect_options(L);
    struct client *c = lua_newuserdatauv(L, sizeof *c, 0);

    c->tl = NULL;
    luaL_setmetatable(L, CLIENT);
    const int code = tl_connect(&o, &c->tl);

    return code == 0 ? 1 : fail(L, code);
}

void client_setup(lua_State *L, int module)
{
    static const luaL_Reg methods[] = {
        { "get", client_get },         { "set", client_set },
        { "create", client_create },   { "delete", client_delete },
        { "stat", client_stat },       { "children", client_children },
        { "touch", client_touch },     { "delete_tree", client_delete_tree },
        { "copy", client_copy },       { "tree", client_tree },
        { "call", client_call },       { "query", client_query },
        { "watch", watch_new },        { "lock_acquire", client_lock_acquire },
        { "session", client_session }, { "close", client_close },
        { "path", client_path },       { NULL, NULL },
    };
    static const luaL_Reg meta[] = { { "__gc", client_close },
                                     { "__close", client_close },
                                     { "__tostring", client_describe },
                                     { NULL, NULL } };

    luaL_newmetatable(L, CLIENT);
    luaL_setfuncs(L, meta, 0);
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable"); /* finalizers are called once, by the collector */
    luaL_newlib(L, methods);
    lua_pushvalue(L, -1);
    lua_setfield(L, module, "methods");
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
    lua_pushcfunction(L, client_connect);
    lua_setfield(L, module, "connect");
}
