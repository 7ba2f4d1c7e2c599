#include "lua/host.h"

#include <lauxlib.h>
#include <stdlib.h>

#include "core/base/check.h"
#include "core/base/errors.h"
#include "core/base/limits.h"
#include "lua/fault.h"
#include "lua/shipped.h"
#include "lua/tx.h"
#include "lua/value.h"

#define CHUNK "tidelock.chunk" /* the registry's name for the compiled recipe */

enum {
    HOST_ERROR_FUEL = 20000, /* to turn an error into its text and details */
    HOST_MESSAGE_BYTES_MAX = 4096,
};

struct recipe_state {
    struct sandbox sandbox; /* sandbox.lua == NULL: this place is free */
    char name[HOST_NAME_BYTES_MAX + 1];
    struct buf source;   /* H3 */
    uint64_t used;       /* host->uses when last used */
};

struct lua_host {
    struct scripts scripts;
    struct sandbox_budget budget;
    struct recipe_state states[HOST_STATES_MAX];
    uint64_t uses;
    struct tx_run run;
};

/* One call on its way through the protected functions. */
struct host_call {
    struct tx_run *run;
    const struct script_call *call;
    struct script_result *out;
};

/* --- results --- */

static void end_with(struct script_result *out, int code, struct bytes message)
{
    out->outcome = SCRIPT_ERROR;
    out->code = code;
    buf_clear(&out->value);
    buf_clear(&out->paths);
    buf_clear(&out->message);
    buf_put_bytes_raw(&out->message, message);
}

static void end_with_name(struct script_result *out, int code, struct bytes name)
{
    end_with(out, code, bytes_str(error_text(code)));
    buf_put_bytes_raw(&out->message, BYTES_LIT(": "));
    value_put_text(&out->message, name, HOST_NAME_BYTES_MAX);
}

/* --- errors --- */

/* Arguments: the result to fill, the error value. */
static int read_error(lua_State *L)
{
    struct script_result *out = lua_touserdata(L, 1);
    size_t len;
    const char *text;

    out->code = fault_code(L, 2);
    fault_push_text(L, 2);
    text = lua_tolstring(L, -1, &len);
    value_put_text(&out->message, bytes_of(text, len), HOST_MESSAGE_BYTES_MAX);
    fault_push_details(L, 2);
    if (!lua_isnil(L, -1)) value_encode(L, -1, &out->value);
    return 0;
}

/* After a call that failed; its error value is on the stack. */
static void end_with_error_value(struct recipe_state *s, struct script_result *out)
{
    end_with(out, ERR_OVER_BUDGET, BYTES_LIT(""));
    if (s->sandbox.over == SANDBOX_WITHIN) {
        s->sandbox.fuel += HOST_ERROR_FUEL;
        if (sandbox_call(&s->sandbox, read_error, out) != LUA_OK) {
            end_with(out, ERR_SCRIPT_FAILED, BYTES_LIT("its details cannot be sent"));
        }
    }
    if (s->sandbox.over != SANDBOX_WITHIN) {
        end_with(out, ERR_OVER_BUDGET, BYTES_LIT(""));
        sandbox_describe_over(&s->sandbox, &out->message);
    }
    lua_settop(s->sandbox.lua, 0);
}

/* --- names and sources --- */

static bool name_is_legal(struct bytes name)
{
    if (name.len == 0 || name.len > HOST_NAME_BYTES_MAX) return false;
    for (size_t i = 0; i < name.len; i++) {
        uint8_t c = name.ptr[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        bool digit = c >= '0' && c <= '9';

        if (!letter && c != '_' && (i == 0 || (!digit && c != '-'))) return false;
    }
    return true;
}

static bool function_is_open(struct bytes function)
{
    return name_is_legal(function) && function.ptr[0] != '_' &&
           !bytes_equal(function, BYTES_LIT("cancel"));
}

static bool find_shipped(struct bytes name, struct bytes *source)
{
    for (const struct recipe_shipped *r = RECIPES_SHIPPED; r->name != NULL; r++) {
        if (!bytes_equal(bytes_str(r->name), name)) continue;
        *source = bytes_of(r->source, r->len);
        return true;
    }
    return false;
}

/* The recipe's own node does not count as read: a waiting call is not woken by a new
 * version of its recipe. */
static bool find_source(struct tx_run *run, struct bytes name, struct bytes *source)
{
    struct tx *t = run->tx;
    bool track_reads = t->track_reads, found;
    struct node n;

    buf_clear(&run->name);
    buf_put_bytes_raw(&run->name, BYTES_LIT(SCRIPT_DIRECTORY "/"));
    buf_put_bytes_raw(&run->name, name);
    t->track_reads = false;
    found = tx_read(t, buf_bytes(&run->name), &n) && n.data.ptr != NULL;
    t->track_reads = track_reads;
    if (found) *source = n.data;
    return found || find_shipped(name, source);
}

/* --- states --- */

static void state_close(struct recipe_state *s)
{
    sandbox_close(&s->sandbox);
    buf_fini(&s->source);
    s->used = 0;
}

/* The state of that name, else a free one, else the one longest unused. */
static struct recipe_state *state_choose(struct lua_host *h, struct bytes name)
{
    struct recipe_state *oldest = &h->states[0];

    for (int i = 0; i < HOST_STATES_MAX; i++) {
        struct recipe_state *s = &h->states[i];

        if (s->sandbox.lua != NULL && bytes_equal(bytes_str(s->name), name)) return s;
        if (s->used < oldest->used) oldest = s;
    }
    return oldest;
}

static int compile(lua_State *L)
{
    struct recipe_state *s = lua_touserdata(L, 1);

    tx_object_setup(L);
    sandbox_push_compiled(L, s->name, buf_bytes(&s->source));
    lua_setfield(L, LUA_REGISTRYINDEX, CHUNK);
    return 0;
}

/* False: `out` says why. */
static bool state_open(struct lua_host *h, struct recipe_state *s, struct bytes name,
                       struct bytes source, struct script_result *out)
{
    state_close(s);
    memcpy(s->name, name.ptr, name.len);
    s->name[name.len] = '\0';
    buf_put_bytes_raw(&s->source, source);
    if (sandbox_open(&s->sandbox, h->budget) != 0) {
        end_with(out, ERR_OVER_BUDGET, BYTES_LIT("the budget is too small for any recipe"));
        return false;
    }
    sandbox_refill(&s->sandbox);
    if (sandbox_call(&s->sandbox, compile, s) == LUA_OK) return true;
    out->fuel = h->budget.fuel_max; /* the compiler pays none, and may have done much */
    end_with_error_value(s, out);
    state_close(s);
    return false;
}

static struct recipe_state *state_for(struct lua_host *h, struct bytes name,
                                      struct bytes source, struct script_result *out)
{
    struct recipe_state *s = state_choose(h, name);
    bool ready = s->sandbox.lua != NULL && bytes_equal(bytes_str(s->name), name) &&
                 bytes_equal(buf_bytes(&s->source), source); /* H3 */

    if (!ready && !state_open(h, s, name, source, out)) return NULL;
    s->used = ++h->uses;
    return s;
}

/* --- a run --- */

static void push_bytes(lua_State *L, struct bytes s)
{
    lua_pushlstring(L, (const char *) s.ptr, s.len);
}

/* Pushes the recipe's table of functions, made anew. */
static void push_module(lua_State *L)
{
    lua_getfield(L, LUA_REGISTRYINDEX, CHUNK);
    sandbox_push_environment(L);
    lua_setupvalue(L, -2, 1);
    lua_call(L, 0, 1);
    if (lua_type(L, -1) == LUA_TTABLE) return;
    fault_raise(L, ERR_SCRIPT_FAILED, "a recipe must return a table of functions, not %s",
                lua_typename(L, lua_type(L, -1)));
}

/* Replaces the module on top by its function; false when there is none. */
static bool take_function(lua_State *L, struct bytes name)
{
    push_bytes(L, name);
    lua_rawget(L, -2);
    lua_remove(L, -2);
    return lua_type(L, -1) == LUA_TFUNCTION;
}

static void take_result(lua_State *L, const struct host_call *c)
{
    if (tx_object_is_wait(L, -1)) {
        if (c->call->cancel) fault_raise(L, ERR_SCRIPT_FAILED, "cancel cannot wait");
        c->out->outcome = SCRIPT_WAIT;
        return;
    }
    buf_clear(&c->out->paths);
    value_encode(L, -1, &c->out->value);
    c->out->outcome = SCRIPT_DONE;
}

static int run_protected(lua_State *L)
{
    const struct host_call *c = lua_touserdata(L, 1);
    const struct script_call *call = c->call;

    push_module(L);
    if (!take_function(L, call->cancel ? BYTES_LIT("cancel") : call->function)) {
        if (!call->cancel) fault_raise(L, ERR_NO_FUNCTION, "there is no such function");
        lua_pushnil(L);
        take_result(L, c);
        return 0;
    }
    tx_object_push(L, c->run);
    value_push(L, call->args);
    push_bytes(L, call->function);
    lua_call(L, 3, 1);
    take_result(L, c);
    return 0;
}

/* H2 */
static void state_settle(struct recipe_state *s)
{
    const struct sandbox *b = &s->sandbox;

    if (b->over != SANDBOX_WITHIN || b->memory > b->budget.memory_max / 4) state_close(s);
}

/* What ends over budget counts in full: memory and time cost as much as fuel does. */
static uint64_t fuel_spent(const struct sandbox *b)
{
    if (b->over != SANDBOX_WITHIN || b->fuel == 0) return b->budget.fuel_max;
    return b->fuel < b->budget.fuel_max ? b->budget.fuel_max - b->fuel : 0;
}

static void run_in_state(struct lua_host *h, struct recipe_state *s,
                         const struct script_call *call, struct script_result *out)
{
    struct host_call c = { .run = &h->run, .call = call, .out = out };

    sandbox_refill(&s->sandbox);
    if (sandbox_call(&s->sandbox, run_protected, &c) != LUA_OK) {
        end_with_error_value(s, out);
    }
    out->fuel = fuel_spent(&s->sandbox);
    state_settle(s);
}

static void host_run(struct scripts *scripts, const struct script_call *call, struct tx *tx,
                     struct script_result *out)
{
    struct lua_host *h = CONTAINER_OF(scripts, struct lua_host, scripts);
    struct recipe_state *s;
    struct bytes source;

    h->run.tx = tx;
    h->run.call = call;
    h->run.wait_paths = &out->paths;
    if (!name_is_legal(call->recipe) || !find_source(&h->run, call->recipe, &source)) {
        end_with_name(out, ERR_NO_RECIPE, call->recipe);
    } else if (!function_is_open(call->function)) {
        end_with_name(out, ERR_NO_FUNCTION, call->function);
    } else {
        s = state_for(h, call->recipe, source, out);
        if (s != NULL) run_in_state(h, s, call, out);
    }
    h->run.tx = NULL;
    CHECK(out->outcome != 0);
}

/* --- before a recipe is stored --- */

static int check_protected(lua_State *L)
{
    push_module(L);
    for (lua_pushnil(L); lua_next(L, -2) != 0; lua_pop(L, 1)) {
        if (lua_type(L, -1) == LUA_TFUNCTION) return 0;
    }
    fault_raise(L, ERR_SCRIPT_FAILED,
                "a recipe must return a table of functions; this one has no function");
}

/* In a state of its own, so that a recipe in use stays as it is. The compiler pays no fuel;
 * here each byte costs one, so that a turn does not compile without end. */
static void host_check(struct scripts *scripts, struct bytes name, struct bytes source,
                       struct script_result *out)
{
    struct lua_host *h = CONTAINER_OF(scripts, struct lua_host, scripts);
    struct recipe_state s = { 0 };

    if (!name_is_legal(name)) {
        end_with(out, ERR_BAD_PATH,
                 BYTES_LIT("a recipe's name is a letter or _, then letters, digits, _ and "
                           "-, 64 at most"));
        return;
    }
    if (!state_open(h, &s, name, source, out)) return;
    sandbox_refill(&s.sandbox);
    out->outcome = SCRIPT_DONE;
    if (sandbox_call(&s.sandbox, check_protected, NULL) != LUA_OK) {
        end_with_error_value(&s, out);
    }
    out->fuel = fuel_spent(&s.sandbox) + source.len;
    state_close(&s);
}

/* --- the host --- */

struct lua_host *host_new(struct sandbox_budget budget)
{
    struct lua_host *h = mem_zalloc(sizeof(*h));

    h->scripts.run = host_run;
    h->scripts.check = host_check;
    h->budget = budget;
    return h;
}

void host_free(struct lua_host *h)
{
    for (int i = 0; i < HOST_STATES_MAX; i++) state_close(&h->states[i]);
    buf_fini(&h->run.name);
    buf_fini(&h->run.other);
    free(h);
}

struct scripts *host_scripts(struct lua_host *h)
{
    return &h->scripts;
}
