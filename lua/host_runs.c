#include <lauxlib.h>

#include "core/base/check.h"
#include "core/base/errors.h"
#include "core/base/limits.h"
#include "core/tree/op.h"
#include "lua/fault.h"
#include "lua/host_inside.h"
#include "lua/value.h"

/* One call on its way through the protected functions. */
struct host_call {
    struct tx_run *run;
    const struct script_call *call;
    struct script_result *out;
};

/* --- results --- */

void end_with(struct script_result *out, int code, struct bytes message)
{
    out->outcome = SCRIPT_ERROR;
    out->code = code;
    buf_clear(&out->value);
    buf_clear(&out->paths);
    buf_clear(&out->message);
    buf_put_bytes_raw(&out->message, message);
}

void end_with_name(struct script_result *out, int code, struct bytes name)
{
    end_with(out, code, bytes_str(error_text(code)));
    buf_put_bytes_raw(&out->message, BYTES_LIT(": "));
    value_put_text(&out->message, name, HOST_NAME_BYTES_MAX);
}

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

/* What the conversion does not use of its fuel is nobody's: a run around this one would
 * gain by each failure. */
static void tell_error_value(struct sandbox *b, struct script_result *out)
{
    uint64_t fuel = b->fuel;

    b->fuel += HOST_ERROR_FUEL;
    if (sandbox_call(b, read_error, out) != LUA_OK) {
        end_with(out, ERR_SCRIPT_FAILED, BYTES_LIT("its details cannot be sent"));
    }
    if (b->fuel > fuel) b->fuel = fuel;
}

void end_with_error_value(struct recipe_state *s, struct script_result *out)
{
    end_with(out, ERR_OVER_BUDGET, BYTES_LIT(""));
    if (s->sandbox.over == SANDBOX_WITHIN) tell_error_value(&s->sandbox, out);
    if (s->sandbox.over != SANDBOX_WITHIN) {
        end_with(out, ERR_OVER_BUDGET, BYTES_LIT(""));
        sandbox_describe_over(&s->sandbox, &out->message);
    }
    lua_settop(s->sandbox.lua, 0);
}

/* --- one run --- */

static void push_bytes(lua_State *L, struct bytes s)
{
    lua_pushlstring(L, (const char *)s.ptr, s.len);
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

static void set_bytes(lua_State *L, const char *name, struct bytes s)
{
    if (s.ptr == NULL) return;
    push_bytes(L, s);
    lua_setfield(L, -2, name);
}

/* {kind, path, data, before} */
static void push_event(lua_State *L, const struct script_event *e)
{
    lua_createtable(L, 0, 4);
    lua_pushstring(L, op_name(e->kind));
    lua_setfield(L, -2, "kind");
    set_bytes(L, "path", e->path);
    set_bytes(L, "data", e->data);
    set_bytes(L, "before", e->before);
}

static void raise_no_function(lua_State *L, struct bytes name)
{
    push_bytes(L, name);
    fault_raise(L, ERR_NO_FUNCTION, "%s", lua_tostring(L, -1));
}

static int run_protected(lua_State *L)
{
    const struct host_call *c = lua_touserdata(L, 1);
    const struct script_call *call = c->call;

    recipe_state_push_module(L);
    if (!take_function(L, call->cancel ? BYTES_LIT("cancel") : call->function)) {
        if (!call->cancel) raise_no_function(L, call->function);
        lua_pushnil(L);
        take_result(L, c);
        return 0;
    }
    tx_object_push(L, c->run);
    if (call->event != NULL) push_event(L, call->event);
    else value_push(L, call->args);
    push_bytes(L, call->function);
    lua_call(L, 3, 1);
    take_result(L, c);
    return 0;
}

/* What ends over budget counts in full: memory and time cost as much as fuel does. */
uint64_t fuel_spent(const struct sandbox *b, uint64_t fuel_first)
{
    if (b->over != SANDBOX_WITHIN || b->fuel == 0) return fuel_first;
    return b->fuel < fuel_first ? fuel_first - b->fuel : 0;
}

/* A function that a recipe called waits: its error value says so. */
static bool waits_inside(lua_State *L, const struct host_call *c)
{
    return !c->call->cancel && tx_object_is_wait(L, -1);
}

void run_frame(struct frame *f, struct script_result *out,
               const struct sandbox *around)
{
    struct host_call c = { .run = &f->run, .call = f->run.call, .out = out };
    struct sandbox *b = &f->state->sandbox;
    uint64_t fuel_first;

    if (around == NULL) {
        sandbox_refill(b);
        sandbox_limit(b, c.call->fuel_max);
    } else {
        sandbox_share(b, around);
    }
    f->state->running = true;
    fuel_first = b->fuel;
    if (sandbox_call(b, run_protected, &c) != LUA_OK) {
        if (b->over == SANDBOX_WITHIN && waits_inside(b->lua, &c)) {
            out->outcome = SCRIPT_WAIT;
            lua_settop(b->lua, 0);
        } else {
            end_with_error_value(f->state, out);
        }
    }
    f->state->running = false;
    out->fuel = fuel_spent(b, fuel_first);
}

/* --- a run inside of another --- */

static struct frame *frame_around(struct lua_host *h)
{
    return &h->frames[h->depth - 1];
}

static bool is_under_way(const struct lua_host *h, struct bytes recipe)
{
    for (int i = 0; i < h->depth; i++) {
        if (bytes_equal(h->frames[i].run.call->recipe, recipe)) return true;
    }
    return false;
}

/* Its transaction stands on the one around it, so that one that fails leaves nothing. */
static void begin_inside(struct frame *f, struct tx *around)
{
    if (f->tx_open) tx_fini(&f->tx);
    tx_begin_inside(&f->tx, around);
    f->tx_open = true;
    f->run.tx = &f->tx;
}

/* Argument 2 of tx:call(); fills f->call. */
static void read_name(lua_State *L, struct lua_host *h, struct frame *f)
{
    struct bytes recipe, function, name;
    size_t len;
    const char *text = lua_tolstring(L, 2, &len);

    buf_clear(&f->name);
    buf_put(&f->name, text, len);
    name = buf_bytes(&f->name);
    if (!host_split(name, &recipe, &function)) {
        fault_raise(L, ERR_BAD_PARAMS, "call: the name must be recipe.function");
    }
    if (!host_name_is_legal(function) || function.ptr[0] == '_') {
        fault_raise(L, ERR_NO_FUNCTION, "%s: %s", text, error_text(ERR_NO_FUNCTION));
    }
    if (is_under_way(h, recipe)) {
        fault_raise(L, ERR_SCRIPT_FAILED, "%s: recipes call each other in a circle", text);
    }
    f->call = *frame_around(h)->run.call;
    f->call.recipe = recipe;
    f->call.function = function;
    f->call.cancel = false;
}

static void find_state(lua_State *L, struct lua_host *h, struct frame *f)
{
    struct source source;

    if (!source_find(f->run.tx, f->call.recipe, f->call.began, &f->run.name, &source)) {
        fault_raise(L, ERR_NO_RECIPE, "%s: %s", lua_tostring(L, 2),
                    error_text(ERR_NO_RECIPE));
    }
    if (!recipe_state_is_ready(h, f->call.recipe, source.text)) {
        sandbox_charge(L, source.text.len);
    }
    f->state = recipe_state_for(h, f->call.recipe, source.text, &f->out);
    if (f->state == NULL) {
        lua_pushnil(L);
        fault_raise_again(L, f->out.code, buf_bytes(&f->out.message));
    }
}

/* The outcome of the run inside, for the one that called it. */
static void end_inside(lua_State *L, struct frame *f, struct tx_run *run)
{
    struct script_result *out = &f->out;

    if (out->outcome == SCRIPT_ERROR) {
        if (out->value.len > 0)
            value_push(L, buf_bytes(&out->value));
        else
            lua_pushnil(L);
        fault_raise_again(L, out->code, buf_bytes(&out->message));
    }
    if (tx_join(run->tx, &f->tx) != 0) {
        fault_raise(L, ERR_TOO_LARGE, "%s: what it wrote is too much", lua_tostring(L, 2));
    }
    if (out->outcome == SCRIPT_WAIT) {
        buf_clear(run->wait_paths);
        buf_put_bytes_raw(run->wait_paths, buf_bytes(&out->paths));
        tx_object_push_wait(L);
        lua_error(L);
    }
    value_push(L, buf_bytes(&out->value));
}

void run_other(lua_State *L, struct tx_run *run)
{
    struct lua_host *h = run->host;
    struct frame *f = &h->frames[h->depth];

    if (h->depth == HOST_DEPTH_MAX) {
        fault_raise(L, ERR_SCRIPT_FAILED, "%s: recipes call each other deeper than %d",
                    lua_tostring(L, 2), HOST_DEPTH_MAX);
    }
    if (tx_ops_left(run->tx) == 0) {
        fault_raise(L, ERR_TOO_LARGE, "call: no operation is left");
    }
    read_name(L, h, f);
    buf_clear(&f->args);
    value_encode(L, 3, &f->args);
    f->call.args = buf_bytes(&f->args);
    script_result_clear(&f->out);
    begin_inside(f, run->tx);
    find_state(L, h, f);
    h->depth++;
    run_frame(f, &f->out, sandbox_of(L));
    h->depth--;
    f->run.tx = NULL;
    struct sandbox used = f->state->sandbox;
    recipe_state_settle(f->state);
    sandbox_settle(&used, L);
    end_inside(L, f, run);
}
