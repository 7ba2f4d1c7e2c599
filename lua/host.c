#include "lua/host.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <time.h>

#include "core/base/check.h"
#include "core/base/errors.h"
#include "lua/fault.h"
#include "lua/host_inside.h"

/* --- names --- */

bool host_name_is_legal(struct bytes name)
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
    return host_name_is_legal(function) && function.ptr[0] != '_' &&
           !bytes_equal(function, BYTES_LIT("cancel"));
}

bool host_split(struct bytes name, struct bytes *recipe, struct bytes *function)
{
    const uint8_t *dot = name.len > 0 ? memchr(name.ptr, '.', name.len) : NULL;

    if (dot == NULL || dot == name.ptr || dot + 1 == name.ptr + name.len) return false;
    *recipe = bytes_of(name.ptr, (size_t)(dot - name.ptr));
    *function = bytes_of(dot + 1, name.len - recipe->len - 1);
    return true;
}

/* --- a run --- */

static uint64_t now_ns(void)
{
    struct timespec now;

    CHECK(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* A query's time is that of the newest write, which may be long ago: by it no rest would
 * end. */
static bool may_rest(const struct source *source, const struct script_call *call,
                     const struct tx *tx)
{
    return !source->shipped && (!tx->read_only || call->event != NULL);
}

/* The first frame: what the resolver asked for. */
static void run_source(struct lua_host *h, const struct source *source,
                       const struct script_call *call, struct script_result *out)
{
    struct frame *f = &h->frames[0];
    struct run_facts facts = { .source = source->text,
                               .may_rest = may_rest(source, call, f->run.tx),
                               .time_ms = f->run.tx->time_ms };
    uint64_t began_ns = now_ns();

    if (record_rests(record_find(h, call), call, &facts, out)) return;
    h->depth = 1;
    f->state = recipe_state_for(h, call->recipe, source->text, out);
    if (f->state != NULL) {
        run_frame(f, out, NULL);
        recipe_state_settle(f->state);
    }
    h->depth = 0;
    facts.took_ns = now_ns() - began_ns;
    record_run(h, call, out, &facts);
}

static void host_run(struct scripts *scripts, const struct script_call *call, struct tx *tx,
                     struct script_result *out)
{
    struct lua_host *h = CONTAINER_OF(scripts, struct lua_host, scripts);
    struct tx_run *run = &h->frames[0].run;
    struct source source;

    run->tx = tx;
    run->call = call;
    run->wait_paths = &out->paths;
    if (!host_name_is_legal(call->recipe) ||
        !source_find(tx, call->recipe, call->began, &run->name, &source)) {
        end_with_name(out, ERR_NO_RECIPE, call->recipe);
    } else if (call->event == NULL && !function_is_open(call->function)) {
        end_with_name(out, ERR_NO_FUNCTION, call->function);
    } else {
        run_source(h, &source, call, out);
    }
    run->tx = NULL;
    out->fuel += HOST_RUN_FUEL;
    CHECK(out->outcome != 0);
}

/* --- the host --- */

struct lua_host *host_new(struct sandbox_budget budget)
{
    struct lua_host *h = mem_zalloc(sizeof(*h));

    h->scripts.run = host_run;
    h->scripts.check = host_check;
    h->budget = budget;
    for (int i = 0; i < HOST_DEPTH_MAX; i++) {
        struct frame *f = &h->frames[i];

        f->run.host = h;
        f->run.call = &f->call;
        f->run.wait_paths = &f->out.paths;
        f->run.call_other = run_other;
    }
    return h;
}

static void frame_fini(struct frame *f)
{
    if (f->tx_open) tx_fini(&f->tx);
    buf_fini(&f->run.name);
    buf_fini(&f->run.other);
    buf_fini(&f->out.value);
    buf_fini(&f->out.message);
    buf_fini(&f->out.paths);
    buf_fini(&f->args);
    buf_fini(&f->name);
}

void host_free(struct lua_host *h)
{
    for (int i = 0; i < HOST_STATES_MAX; i++)
        recipe_state_close(&h->states[i]);
    for (int i = 0; i < HOST_DEPTH_MAX; i++)
        frame_fini(&h->frames[i]);
    records_free(h);
    free(h);
}

struct scripts *host_scripts(struct lua_host *h)
{
    return &h->scripts;
}
