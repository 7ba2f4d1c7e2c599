#include "lua/tx_inside.h"

#include <inttypes.h>
#include <lauxlib.h>
#include <stdio.h>

#include "core/base/errors.h"
#include "core/base/limits.h"
#include "core/tree/path.h"
#include "lua/fault.h"
#include "lua/sandbox.h"

#define TX_OBJECT "tidelock.tx"

static char the_wait; /* its address is what tx:wait() returns */

/* --- arguments --- */

struct tx_run *tx_run_of(lua_State *L)
{
    struct tx_run **object = luaL_checkudata(L, 1, TX_OBJECT);

    if ((*object)->tx == NULL) luaL_error(L, "this tx is over");
    return *object;
}

struct bytes tx_text_at(lua_State *L, int index)
{
    size_t len;
    const char *text;

    luaL_checktype(L, index, LUA_TSTRING);
    text = lua_tolstring(L, index, &len);
    return bytes_of(text, len);
}

struct bytes tx_path_at(lua_State *L, int index)
{
    struct bytes path = tx_text_at(L, index);
    int err = path_check(path);

    if (err == ERR_TOO_LARGE) fault_raise(L, err, "a path is longer than %d bytes",
                                          (int) PATH_BYTES_MAX);
    if (err != 0) fault_raise(L, err, "%s: %s", path.ptr, error_text(err));
    return path;
}

struct bytes tx_child_at(lua_State *L, int index)
{
    struct bytes path = tx_path_at(L, index);

    if (path_is_root(path)) fault_raise(L, ERR_BAD_PATH, "the root has no siblings");
    return path;
}

struct bytes tx_data_at(lua_State *L, int index)
{
    return lua_isnoneornil(L, index) ? (struct bytes){ 0 } : tx_text_at(L, index);
}

/* An option that does not exist must not be overlooked. */
static void check_options(lua_State *L, int index, const char *const names[])
{
    if (lua_isnoneornil(L, index)) return;
    luaL_checktype(L, index, LUA_TTABLE);
    for (lua_pushnil(L); lua_next(L, index) != 0; lua_pop(L, 1)) {
        const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "?";
        size_t i = 0;

        while (names[i] != NULL && strcmp(names[i], name) != 0) i++;
        if (names[i] == NULL) fault_raise(L, ERR_BAD_OPTION, "no such option: %s", name);
    }
}

static unsigned flag_at(lua_State *L, int index, const char *name, unsigned flag)
{
    bool set;

    if (lua_isnoneornil(L, index)) return 0;
    lua_getfield(L, index, name);
    set = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return set ? flag : 0;
}

static int64_t version_at(lua_State *L, int index)
{
    static const char *const names[] = { "version", NULL };
    int64_t version = -1;

    check_options(L, index, names);
    if (lua_isnoneornil(L, index)) return version;
    if (lua_getfield(L, index, "version") != LUA_TNIL) {
        if (!lua_isinteger(L, -1)) fault_raise(L, ERR_BAD_OPTION, "version is no integer");
        version = lua_tointeger(L, -1);
    }
    lua_pop(L, 1);
    return version;
}

void tx_raise_if(lua_State *L, int err, int path_index)
{
    if (err == 0) return;
    fault_raise(L, err, "%s: %s", lua_tostring(L, path_index), error_text(err));
}

/* For the one without a session this says more than its code does. */
void tx_raise_no_session(lua_State *L, int path_index)
{
    if (tx_run_of(L)->tx->session != 0) return;
    fault_raise(L, ERR_SESSION_EXPIRED, "%s: an ephemeral node needs a session",
                lua_tostring(L, path_index));
}

static void raise_read_only(lua_State *L, const char *what)
{
    fault_raise(L, ERR_READ_ONLY, "%s: %s", what, error_text(ERR_READ_ONLY));
}

static void push_bytes(lua_State *L, struct bytes s)
{
    lua_pushlstring(L, (const char *) s.ptr, s.len);
}

/* --- reading --- */

static int tx_object_now(lua_State *L)
{
    lua_pushinteger(L, tx_run_of(L)->tx->time_ms);
    return 1;
}

static bool read_node(lua_State *L, struct node *n)
{
    struct tx_run *run = tx_run_of(L);
    struct bytes path = tx_path_at(L, 2);

    sandbox_charge(L, TX_READ_FUEL);
    return tx_read(run->tx, path, n);
}

static int tx_object_exists(lua_State *L)
{
    struct node n;

    lua_pushboolean(L, read_node(L, &n));
    return 1;
}

static int tx_object_get(lua_State *L)
{
    struct node n;

    if (read_node(L, &n) && n.data.ptr != NULL) {
        push_bytes(L, n.data);
    } else {
        lua_pushnil(L);
    }
    return 1;
}

static void set_integer(lua_State *L, const char *name, uint64_t v)
{
    lua_pushinteger(L, (lua_Integer) v);
    lua_setfield(L, -2, name);
}

void tx_stat_push(lua_State *L, const struct stat_view *s)
{
    lua_createtable(L, 0, 13);
    set_integer(L, "czxid", s->czxid);
    set_integer(L, "mzxid", s->mzxid);
    set_integer(L, "pzxid", s->pzxid);
    set_integer(L, "ctime", (uint64_t) s->ctime);
    set_integer(L, "mtime", (uint64_t) s->mtime);
    set_integer(L, "version", (uint64_t) s->version);
    set_integer(L, "cversion", (uint64_t) s->cversion);
    set_integer(L, "aversion", (uint64_t) s->aversion);
    set_integer(L, "ephemeralOwner", s->ephemeral_owner);
    set_integer(L, "dataLength", s->data_length);
    set_integer(L, "numChildren", s->num_children);
    set_integer(L, "ttl", s->ttl);
    set_integer(L, "container", s->container);
}

static int tx_object_stat(lua_State *L)
{
    struct stat_view stat;
    struct node n;

    if (!read_node(L, &n)) {
        lua_pushnil(L);
        return 1;
    }
    stat = node_stat(&n);
    tx_stat_push(L, &stat);
    return 1;
}

/* Steps run->name to the child of `parent` after (before) it. */
static bool step(lua_State *L, struct tx_run *run, struct bytes parent,
                 enum kv_direction direction)
{
    struct buf reached;

    sandbox_charge(L, TX_READ_FUEL);
    if (!tx_child_next(run->tx, parent, buf_bytes(&run->name), direction, &run->other)) {
        return false;
    }
    reached = run->other;
    run->other = run->name;
    run->name = reached;
    return true;
}

static int tx_object_children(lua_State *L)
{
    struct tx_run *run = tx_run_of(L);
    struct bytes path = tx_path_at(L, 2), after = tx_data_at(L, 3);
    lua_Integer limit = luaL_optinteger(L, 4, LIST_COUNT_MAX), count = 0;

    if (limit < 0 || limit > (lua_Integer) LIST_COUNT_MAX) {
        fault_raise(L, ERR_BAD_PARAMS, "children: the limit is 0 to %d",
                    (int) LIST_COUNT_MAX);
    }
    lua_newtable(L);
    buf_clear(&run->name);
    buf_put_bytes_raw(&run->name, after);
    while (count < limit && step(L, run, path, KV_FORWARD)) {
        push_bytes(L, buf_bytes(&run->name));
        lua_rawseti(L, -2, ++count);
    }
    return 1;
}

int tx_push_neighbour(lua_State *L, struct tx_run *run, struct bytes parent,
                      enum kv_direction direction)
{
    if (step(L, run, parent, direction)) {
        path_join(&run->other, parent, buf_bytes(&run->name));
        push_bytes(L, buf_bytes(&run->other));
    } else {
        lua_pushnil(L);
    }
    return 1;
}

static int push_end(lua_State *L, enum kv_direction direction)
{
    struct tx_run *run = tx_run_of(L);

    buf_clear(&run->name);
    return tx_push_neighbour(L, run, tx_path_at(L, 2), direction);
}

static int push_sibling(lua_State *L, enum kv_direction direction)
{
    struct tx_run *run = tx_run_of(L);
    struct bytes path = tx_child_at(L, 2);

    buf_clear(&run->name);
    buf_put_bytes_raw(&run->name, path_name(path));
    return tx_push_neighbour(L, run, path_parent(path), direction);
}

static int tx_object_first(lua_State *L)
{
    return push_end(L, KV_FORWARD);
}

static int tx_object_last(lua_State *L)
{
    return push_end(L, KV_BACKWARD);
}

static int tx_object_next(lua_State *L)
{
    return push_sibling(L, KV_FORWARD);
}

static int tx_object_previous(lua_State *L)
{
    return push_sibling(L, KV_BACKWARD);
}

/* The first child whose name begins so: the name itself, else the one behind it. */
static int tx_object_find(lua_State *L)
{
    struct tx_run *run = tx_run_of(L);
    struct bytes path = tx_path_at(L, 2), prefix = tx_text_at(L, 3);
    struct node n;

    buf_clear(&run->name);
    buf_put_bytes_raw(&run->name, prefix);
    path_join(&run->other, path, prefix);
    sandbox_charge(L, TX_READ_FUEL);
    if (path_check(buf_bytes(&run->other)) == 0 &&
        tx_read(run->tx, buf_bytes(&run->other), &n)) {
        push_bytes(L, buf_bytes(&run->other));
        return 1;
    }
    if (step(L, run, path, KV_FORWARD) && run->name.len >= prefix.len &&
        memcmp(run->name.ptr, prefix.ptr, prefix.len) == 0) {
        path_join(&run->other, path, buf_bytes(&run->name));
        push_bytes(L, buf_bytes(&run->other));
        return 1;
    }
    lua_pushnil(L);
    return 1;
}

static int tx_object_owned(lua_State *L)
{
    struct tx_run *run = tx_run_of(L);
    struct bytes path = tx_path_at(L, 2), after = { 0 };

    if (!lua_isnoneornil(L, 3)) after = tx_path_at(L, 3);
    sandbox_charge(L, TX_READ_FUEL);
    if (run->call->session != 0 &&
        tx_owned_next(run->tx, run->call->session, path, after, &run->name)) {
        push_bytes(L, buf_bytes(&run->name));
    } else {
        lua_pushnil(L);
    }
    return 1;
}

/* --- writing --- */

unsigned tx_create_flags_at(lua_State *L, int index)
{
    static const char *const names[] = { "ephemeral", "sequential", "parents", NULL };

    check_options(L, index, names);
    return flag_at(L, index, "ephemeral", TX_EPHEMERAL) |
           flag_at(L, index, "sequential", TX_SEQUENTIAL) |
           flag_at(L, index, "parents", TX_PARENTS);
}

/* An option in milliseconds; 0 when it is not given. */
static uint64_t ms_at(lua_State *L, int index, const char *name)
{
    lua_Integer ms = 0;

    if (lua_isnoneornil(L, index)) return 0;
    if (lua_getfield(L, index, name) != LUA_TNIL) {
        ms = lua_isinteger(L, -1) ? lua_tointeger(L, -1) : 0;
        if (ms <= 0) fault_raise(L, ERR_BAD_OPTION, "%s is no number of milliseconds", name);
    }
    lua_pop(L, 1);
    return (uint64_t) ms;
}

static struct tx_creation creation_at(lua_State *L, int index)
{
    static const char *const names[] = { "ephemeral", "sequential", "parents",
                                         "container", "ttl", "linger", NULL };
    struct tx_creation how = { 0 };

    check_options(L, index, names);
    how.flags = flag_at(L, index, "ephemeral", TX_EPHEMERAL) |
                flag_at(L, index, "sequential", TX_SEQUENTIAL) |
                flag_at(L, index, "parents", TX_PARENTS) |
                flag_at(L, index, "container", TX_CONTAINER);
    how.ttl_ms = ms_at(L, index, "ttl");
    how.linger_ms = ms_at(L, index, "linger");
    return how;
}

static int tx_object_create(lua_State *L)
{
    struct tx_run *run = tx_run_of(L);
    struct bytes path = tx_text_at(L, 2), data = tx_data_at(L, 3);
    const struct tx_creation how = creation_at(L, 4);
    int err;

    sandbox_charge(L, TX_WRITE_FUEL);
    err = tx_create_as(run->tx, path, data, &how, &run->name);
    if (err == ERR_SESSION_EXPIRED) tx_raise_no_session(L, 2);
    tx_raise_if(L, err, 2);
    push_bytes(L, buf_bytes(&run->name));
    return 1;
}

static int tx_object_touch(lua_State *L)
{
    struct tx_run *run = tx_run_of(L);
    struct bytes path = tx_path_at(L, 2);

    sandbox_charge(L, TX_WRITE_FUEL);
    tx_raise_if(L, tx_touch(run->tx, path), 2);
    return 0;
}

static int tx_object_delete_tree(lua_State *L)
{
    struct tx_run *run = tx_run_of(L);
    struct bytes path = tx_path_at(L, 2);
    struct tx_deleted deleted;

    sandbox_charge(L, TX_WRITE_FUEL);
    tx_raise_if(L, tx_delete_tree(run->tx, path, false, &deleted), 2);
    sandbox_charge(L, deleted.nodes * TX_WRITE_FUEL / 2);
    lua_pushinteger(L, (lua_Integer) deleted.nodes);
    return 1;
}

static int tx_object_set(lua_State *L)
{
    struct tx_run *run = tx_run_of(L);
    struct bytes path = tx_path_at(L, 2), data = tx_data_at(L, 3);
    int64_t version = version_at(L, 4);

    sandbox_charge(L, TX_WRITE_FUEL);
    tx_raise_if(L, tx_set(run->tx, path, data, version), 2);
    return 0;
}

static int tx_object_delete(lua_State *L)
{
    struct tx_run *run = tx_run_of(L);
    struct bytes path = tx_path_at(L, 2);
    int64_t version = version_at(L, 3);

    sandbox_charge(L, TX_WRITE_FUEL);
    tx_raise_if(L, tx_delete(run->tx, path, version), 2);
    return 0;
}

/* --- ending --- */

static bool is_word(struct bytes text)
{
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.ptr[i];

        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '_') return false;
    }
    return text.len > 0 && text.len <= TX_CODE_BYTES_MAX;
}

/* fail([code,] message [, details]): a code is a word, and a message stands behind it. */
static int tx_object_fail(lua_State *L)
{
    (void) tx_run_of(L);
    luaL_checktype(L, 2, LUA_TSTRING);
    lua_settop(L, 4);
    if (lua_type(L, 3) != LUA_TSTRING || !is_word(tx_text_at(L, 2))) fault_refuse(L, 2, 3);

    lua_createtable(L, 0, 2);
    lua_pushvalue(L, 2);
    lua_setfield(L, -2, "code");
    lua_pushvalue(L, 4);
    lua_setfield(L, -2, "details");
    lua_pushfstring(L, "%s: %s", lua_tostring(L, 2), lua_tostring(L, 3));
    fault_refuse(L, lua_gettop(L), lua_gettop(L) - 1);
}

static int tx_object_wait(lua_State *L)
{
    struct tx_run *run = tx_run_of(L);
    int top = lua_gettop(L);

    if (run->tx->read_only) raise_read_only(L, "wait");
    if (top - 1 > TX_WAIT_PATHS_MAX) {
        fault_raise(L, ERR_TOO_LARGE, "wait: more than %d paths", TX_WAIT_PATHS_MAX);
    }
    buf_clear(run->wait_paths);
    for (int i = 2; i <= top; i++) buf_put_bytes(run->wait_paths, tx_path_at(L, i));
    tx_object_push_wait(L);
    return 1;
}

bool tx_object_is_wait(lua_State *L, int index)
{
    if (lua_type(L, index) != LUA_TLIGHTUSERDATA) return false;
    return lua_touserdata(L, index) == &the_wait;
}

/* --- other recipes --- */

static int tx_object_call(lua_State *L)
{
    struct tx_run *run = tx_run_of(L);

    (void) tx_text_at(L, 2);
    lua_settop(L, 3);
    sandbox_charge(L, TX_CALL_FUEL);
    run->call_other(L, run);
    return 1;
}

void tx_object_push_wait(lua_State *L)
{
    lua_pushlightuserdata(L, &the_wait);
}

/* --- the object --- */

void tx_push_id(lua_State *L, const struct tx_run *run)
{
    char id[48];
    int len;

    if (run->tx->read_only) raise_read_only(L, "tx.id");
    if (run->call->session != 0) {
        len = snprintf(id, sizeof(id), "s%" PRIu64 "-%" PRIu64, run->call->session,
                       run->call->seq);
    } else {
        len = snprintf(id, sizeof(id), "z%" PRIu64, run->tx->zxid);
    }
    lua_pushlstring(L, id, (size_t) len);
}

/* Upvalue: the methods. The few values are made when they are asked for. */
static int tx_object_index(lua_State *L)
{
    struct tx_run *run = tx_run_of(L);
    const char *name = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";

    lua_settop(L, 2);
    lua_pushvalue(L, 2);
    if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL) return 1;
    if (strcmp(name, "id") == 0) {
        tx_push_id(L, run);
    } else if (strcmp(name, "session") == 0) {
        lua_pushinteger(L, (lua_Integer) run->call->session);
    } else if (strcmp(name, "zxid") == 0) {
        lua_pushinteger(L, (lua_Integer) run->tx->zxid);
    }
    return 1;
}

static const luaL_Reg METHODS[] = {
    { "now", tx_object_now },         { "exists", tx_object_exists },
    { "get", tx_object_get },         { "stat", tx_object_stat },
    { "children", tx_object_children }, { "first", tx_object_first },
    { "last", tx_object_last },       { "next", tx_object_next },
    { "previous", tx_object_previous }, { "find", tx_object_find },
    { "create", tx_object_create },   { "set", tx_object_set },
    { "delete", tx_object_delete },   { "fail", tx_object_fail },
    { "wait", tx_object_wait },       { "owned", tx_object_owned },
    { "call", tx_object_call },       { "check", tx_object_check },
    { "touch", tx_object_touch },     { "delete_tree", tx_object_delete_tree },
    { "place", tx_object_place },     { "enter", tx_object_enter },
    { "leave", tx_object_leave },
    { NULL, NULL },
};

void tx_object_push_methods(lua_State *L)
{
    luaL_newlib(L, METHODS);
}

void tx_object_setup(lua_State *L)
{
    luaL_newmetatable(L, TX_OBJECT);
    tx_object_push_methods(L);
    lua_pushcclosure(L, tx_object_index, 1);
    lua_setfield(L, -2, "__index");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 1);
}

void tx_object_push(lua_State *L, struct tx_run *run)
{
    struct tx_run **object = lua_newuserdatauv(L, sizeof(struct tx_run *), 0);

    *object = run;
    luaL_setmetatable(L, TX_OBJECT);
}
