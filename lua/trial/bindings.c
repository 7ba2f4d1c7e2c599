#include "lua/trial/bindings.h"

#include <lauxlib.h>

#include "core/base/errors.h"
#include "core/base/limits.h"
#include "lua/tx.h"
#include "lua/value.h"

#define BINDINGS "tidelock.trial"

static struct trial_bindings *bindings_of(lua_State *L)
{
    struct trial_bindings *b;

    lua_getfield(L, LUA_REGISTRYINDEX, BINDINGS);
    b = lua_touserdata(L, -1);
    lua_pop(L, 1);
    return b;
}

static struct trial *trial_of(lua_State *L)
{
    return bindings_of(L)->trial;
}

static struct bytes text_at(lua_State *L, int index)
{
    size_t len;
    const char *text = luaL_checklstring(L, index, &len);

    return bytes_of(text, len);
}

static struct bytes data_at(lua_State *L, int index)
{
    return lua_isnoneornil(L, index) ? (struct bytes){ 0 } : text_at(L, index);
}

/* --- answers --- */

static void push_text(lua_State *L, struct bytes text)
{
    lua_pushlstring(L, (const char *) text.ptr, text.len);
}

/* "waits"; "done", value; "failed", name, message, details. */
static int push_result(lua_State *L, const struct result *r)
{
    if (r->code == 0) {
        lua_pushliteral(L, "done");
        if (r->value.ptr != NULL) value_push(L, r->value);
        return lua_gettop(L) - 1;
    }
    lua_pushliteral(L, "failed");
    lua_pushstring(L, error_name(r->code));
    push_text(L, r->message);
    if (r->value.ptr == NULL || r->value.len == 0) return 3;
    value_push(L, r->value);
    return 4;
}

/* A create is answered with the path that it created. */
static void push_created(lua_State *L, const struct result *r)
{
    struct result_parts parts = result_parts_of(r);
    struct result_part part;

    for (uint32_t i = 0; i < r->parts_count && result_part_next(&parts, &part) == 0; i++) {
        if (part.kind != WANT_CREATE) continue;
        push_text(L, part.path);
        return;
    }
    lua_pushnil(L);
}

static int state(lua_State *L)
{
    struct result result;

    if (!trial_answer(trial_of(L), (size_t) luaL_checkinteger(L, 1), &result)) {
        lua_pushliteral(L, "waits");
        return 1;
    }
    lua_settop(L, 1);
    if (result.code != 0 || result.value.ptr != NULL) return push_result(L, &result);
    lua_pushliteral(L, "done");
    push_created(L, &result);
    return 2;
}

/* --- requests --- */

/* "lock.acquire" in two. */
static struct bytes split_name(lua_State *L, int index, struct bytes *function)
{
    const struct bytes name = text_at(L, index);
    const uint8_t *dot = memchr(name.ptr, '.', name.len);

    if (dot == NULL) luaL_error(L, "a function is named RECIPE.FUNCTION, not %s", name.ptr);
    *function = bytes_of(dot + 1, (size_t) (name.ptr + name.len - dot - 1));
    return bytes_of(name.ptr, (size_t) (dot - name.ptr));
}

static struct bytes encode_args(lua_State *L, int index)
{
    struct buf *args = &bindings_of(L)->args;

    buf_clear(args);
    value_encode(L, index, args);
    return buf_bytes(args);
}

static int call(lua_State *L)
{
    struct request q = { .kind = REQUEST_CALL,
                         .timeout_ms = (uint64_t) luaL_checkinteger(L, 4) };
    const uint64_t session = (uint64_t) luaL_checkinteger(L, 1);

    q.recipe = split_name(L, 2, &q.function);
    q.args = encode_args(L, 3);
    lua_pushinteger(L, (lua_Integer) trial_send(trial_of(L), session, &q));
    return 1;
}

static int query(lua_State *L)
{
    struct query q;
    struct result result;

    q.recipe = split_name(L, 1, &q.function);
    q.args = encode_args(L, 2);
    trial_query(trial_of(L), &q, &result);
    lua_settop(L, 1);
    return push_result(L, &result);
}

static int send_want(lua_State *L, const struct want *want)
{
    struct trial_bindings *b = bindings_of(L);
    struct request q = { .kind = REQUEST_WRITE, .single = true, .wants_count = 1 };

    buf_clear(&b->wants);
    want_encode(&b->wants, want);
    q.wants = buf_bytes(&b->wants);
    lua_pushinteger(L, (lua_Integer) trial_send(b->trial,
                                                (uint64_t) luaL_checkinteger(L, 1), &q));
    return 1;
}

static int create(lua_State *L)
{
    return send_want(L, &(struct want){ .kind = WANT_CREATE,
                                        .path = text_at(L, 2),
                                        .data = data_at(L, 3),
                                        .flags = tx_create_flags_at(L, 4) });
}

static int set(lua_State *L)
{
    return send_want(L, &(struct want){ .kind = WANT_SET,
                                        .path = text_at(L, 2),
                                        .data = data_at(L, 3),
                                        .version = -1 });
}

static int delete(lua_State *L)
{
    return send_want(
        L, &(struct want){ .kind = WANT_DELETE, .path = text_at(L, 2), .version = -1 });
}

static int cancel(lua_State *L)
{
    trial_cancel(trial_of(L), (size_t) luaL_checkinteger(L, 1));
    return 0;
}

/* --- the world --- */

static int open_session(lua_State *L)
{
    const lua_Integer timeout_ms = luaL_checkinteger(L, 1);

    luaL_argcheck(L, timeout_ms > 0, 1, "a timeout in milliseconds");
    lua_pushinteger(L, (lua_Integer) trial_open(trial_of(L), (uint64_t) timeout_ms));
    return 1;
}

static int close_session(lua_State *L)
{
    trial_end(trial_of(L), (uint64_t) luaL_checkinteger(L, 1));
    return 0;
}

static int vanish(lua_State *L)
{
    trial_vanish(trial_of(L), (uint64_t) luaL_checkinteger(L, 1));
    return 0;
}

static int advance(lua_State *L)
{
    const lua_Integer ms = luaL_checkinteger(L, 1);

    luaL_argcheck(L, ms >= 0, 1, "time goes forward only");
    trial_advance(trial_of(L), (uint64_t) ms);
    return 0;
}

static int new_leader(lua_State *L)
{
    trial_new_leader(trial_of(L));
    return 0;
}

static int now(lua_State *L)
{
    lua_pushinteger(L, trial_of(L)->now.wall_ms);
    return 1;
}

static int runs(lua_State *L)
{
    lua_pushinteger(L, (lua_Integer) trial_runs(trial_of(L)));
    return 1;
}

static int read_node(lua_State *L)
{
    struct stat_view stat;
    struct node n;

    if (!node_read(trial_view(trial_of(L)), text_at(L, 1), &n)) return 0;
    if (n.data.ptr != NULL) {
        push_text(L, n.data);
    } else {
        lua_pushnil(L);
    }
    stat = node_stat(&n);
    tx_stat_push(L, &stat);
    return 2;
}

static int children(lua_State *L)
{
    struct trial_bindings *b = bindings_of(L);
    lua_Integer count = 0;

    lua_newtable(L);
    buf_clear(&b->name);
    while (node_child_next(trial_view(b->trial), text_at(L, 1), buf_bytes(&b->name),
                           KV_FORWARD, &b->next)) {
        const struct buf reached = b->next;

        b->next = b->name;
        b->name = reached;
        push_text(L, buf_bytes(&b->name));
        lua_rawseti(L, -2, ++count);
    }
    return 1;
}

static const luaL_Reg FUNCTIONS[] = {
    { "state", state },           { "call", call },       { "query", query },
    { "create", create },         { "set", set },         { "delete", delete },
    { "cancel", cancel },         { "open", open_session }, { "close", close_session },
    { "vanish", vanish },         { "advance", advance }, { "new_leader", new_leader },
    { "now", now },               { "runs", runs },       { "read", read_node },
    { "children", children },     { NULL, NULL },
};

void trial_bindings_push(lua_State *L, struct trial_bindings *b)
{
    lua_pushlightuserdata(L, b);
    lua_setfield(L, LUA_REGISTRYINDEX, BINDINGS);
    lua_newtable(L);
    luaL_setfuncs(L, FUNCTIONS, 0);
}
