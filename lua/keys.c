#include "lua/keys.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#include "lua/fault.h"
#include "lua/sandbox.h"

enum { HANDFUL = 8 };

static int key_cmp(const void *left, const void *right)
{
    const struct key *a = left, *b = right;
    size_t len;
    int order;

    if (a->str == NULL || b->str == NULL) {
        if (a->str != b->str) return a->str == NULL ? -1 : 1;
        return (a->integer > b->integer) - (a->integer < b->integer);
    }
    len = a->len < b->len ? a->len : b->len;
    order = memcmp(a->str, b->str, len);
    return order != 0 ? order : (a->len > b->len) - (a->len < b->len);
}

/* Nearly all tables have a handful of keys: for these qsort() takes longer to begin. */
static void sort(struct key *at, size_t n)
{
    if (n > HANDFUL) {
        qsort(at, n, sizeof(*at), key_cmp);
        return;
    }
    for (size_t i = 1; i < n; i++) {
        const struct key key = at[i];
        size_t to = i;

        for (; to > 0 && key_cmp(&at[to - 1], &key) > 0; to--) at[to] = at[to - 1];
        at[to] = key;
    }
}

/* The key on top of the stack's second place, as lua_next() leaves it. */
static struct key key_read(lua_State *L, int index)
{
    struct key key = { 0 };

    if (lua_isinteger(L, index)) {
        key.integer = lua_tointeger(L, index);
    } else if (lua_type(L, index) == LUA_TSTRING) {
        key.str = lua_tolstring(L, index, &key.len);
    } else {
        fault_raise(L, ERR_SCRIPT_FAILED,
                    "the keys of a table must be integers or strings, not %s",
                    lua_typename(L, lua_type(L, index)));
    }
    return key;
}

static void count(lua_State *L, int table, struct keys *k)
{
    size_t border = lua_rawlen(L, table);

    k->count = 0;
    k->sequence = true;
    for (lua_pushnil(L); lua_next(L, table) != 0; lua_pop(L, 1)) {
        struct key key = key_read(L, -2);

        if (key.str != NULL || key.integer < 1 || (size_t) key.integer > border) {
            k->sequence = false;
        }
        k->count++;
    }
    if (k->count != border) k->sequence = false;
}

static void fill(lua_State *L, int table, struct key *at)
{
    size_t i = 0;

    for (lua_pushnil(L); lua_next(L, table) != 0; lua_pop(L, 1)) at[i++] = key_read(L, -2);
    sort(at, i);
}

static uint64_t price(size_t n)
{
    uint64_t bits = 1;

    while (n >> bits != 0) bits++;
    return n * bits + 1;
}

void keys_gather(lua_State *L, int table, struct keys *k)
{
    struct key *at = k->small;
    int index = lua_absindex(L, table);

    luaL_checkstack(L, 6, NULL);
    count(L, index, k);
    sandbox_charge(L, price(k->count));
    if (k->sequence || k->count <= KEYS_SMALL) {
        lua_pushnil(L);
    } else {
        at = lua_newuserdatauv(L, k->count * sizeof(*at), 0);
    }
    if (!k->sequence) fill(L, index, at);
    k->at = at;
}

void key_push(lua_State *L, const struct key *key)
{
    if (key->str == NULL) {
        lua_pushinteger(L, key->integer);
    } else {
        lua_pushlstring(L, key->str, key->len);
    }
}
