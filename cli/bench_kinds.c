/* The kinds of operations, and those that are one request. */
#include <stdarg.h>
#include <stdio.h>

#include "cli/bench_inside.h"
#include "core/base/check.h"
#include "core/base/errors.h"

enum { PATH_TEXT_MAX = 128, GATHER_MAX = 1000 };

/* --- packing --- */

void bench_pack_path(struct bench *b, const char *format, ...)
{
    char path[PATH_TEXT_MAX];
    va_list args;

    va_start(args, format);
    const int len = vsnprintf(path, sizeof path, format, args);
    va_end(args);
    CHECK(len > 0);
    CHECK((size_t)len < sizeof path);
    pack_str(&b->params, bytes_of(path, (size_t)len));
}

void bench_pack_option(struct bench *b, struct client_request *r, const char *name)
{
    pack_cstr(&b->options, name);
    r->options_count++;
}

void bench_pack_function(struct bench *b, struct client_request *r, const char *function)
{
    r->method = METHOD_CALL;
    r->args_count = 2;
    r->write = true;
    pack_cstr(&b->params, function);
}

void bench_pack_call(struct bench *b, struct client_request *r, const char *function,
                     uint32_t members)
{
    bench_pack_function(b, r, function);
    pack_map(&b->params, members + 1);
    pack_cstr(&b->params, "path");
}

const msgpack_object *bench_value_of(const msgpack_object *result)
{
    return rpc_member(result, "value");
}

/* --- requests on nodes --- */

static void put_value(struct bench *b, struct client_request *r)
{
    buf_put_bytes_raw(&b->params, buf_bytes(&b->value));
    r->args_count = 2;
    r->write = true;
}

static void put_parents(struct bench *b, struct client_request *r)
{
    bench_pack_option(b, r, "parents");
    pack_bool(&b->options, true);
}

static void put_key(struct bench *b, uint64_t key)
{
    bench_pack_path(b, "/bench/k-%llu", (unsigned long long)key);
}

static uint64_t any_key(struct bench *b)
{
    return rng_below(&b->rng, b->config->keys);
}

/* A name of this run alone. */
static void put_name(struct bench *b, uint64_t name)
{
    bench_pack_path(b, "/bench/%016llx/%llu", (unsigned long long)b->config->seed,
                    (unsigned long long)name);
}

static void ask_create(struct bench *b, struct bench_slot *s, struct client_request *r)
{
    (void)s;
    r->method = METHOD_CREATE;
    put_name(b, b->names++);
    put_value(b, r);
    put_parents(b, r);
}

static void ask_set(struct bench *b, struct bench_slot *s, struct client_request *r)
{
    (void)s;
    r->method = METHOD_SET;
    put_key(b, any_key(b));
    put_value(b, r);
}

static void ask_get(struct bench *b, struct bench_slot *s, struct client_request *r)
{
    (void)s;
    r->method = METHOD_GET;
    r->args_count = 1;
    put_key(b, any_key(b));
}

static void ask_delete(struct bench *b, struct bench_slot *s, struct client_request *r)
{
    (void)s;
    r->method = METHOD_DELETE;
    r->args_count = 1;
    r->write = true;
    put_name(b, b->names++);
}

static void ask_mix(struct bench *b, struct bench_slot *s, struct client_request *r)
{
    if (rng_below(&b->rng, 100) < b->config->read_share) {
        ask_get(b, s, r);
    } else {
        ask_set(b, s, r);
    }
}

static void ask_multi(struct bench *b, struct bench_slot *s, struct client_request *r)
{
    (void)s;
    r->method = METHOD_MULTI;
    r->args_count = 1;
    r->write = true;
    pack_array(&b->params, b->config->batch);
    for (uint32_t i = 0; i < b->config->batch; i++) {
        pack_array(&b->params, 3);
        pack_cstr(&b->params, "set");
        put_key(b, any_key(b));
        buf_put_bytes_raw(&b->params, buf_bytes(&b->value));
    }
}

/* --- what is made before --- */

static uint64_t units_keys(const struct bench *b, unsigned round)
{
    (void)round;
    return b->config->prepared ? 0 : b->config->keys;
}

/* First round: every key is created; that it is there already is fine. Second round, where
 * it matters what is read: every key is set to a value of the size. */
static void prepare_keys(struct bench *b, uint64_t unit, struct client_request *r)
{
    r->method = b->round == 0 ? METHOD_CREATE : METHOD_SET;
    put_key(b, unit);
    put_value(b, r);
    if (b->round == 0) put_parents(b, r);
}

static uint64_t units_names(const struct bench *b, unsigned round)
{
    (void)round;
    return b->config->keys;
}

static void prepare_names(struct bench *b, uint64_t unit, struct client_request *r)
{
    r->method = METHOD_CREATE;
    put_name(b, unit);
    put_value(b, r);
    put_parents(b, r);
}

/* --- call: a function that does nothing --- */

static void put_recipe_name(const struct bench *b, char *text, size_t size)
{
    snprintf(text, size, "bench_%016llx", (unsigned long long)b->config->seed);
}

/* Ephemeral, so that it goes with the first client, however that ends. */
static void prepare_recipe(struct bench *b, uint64_t unit, struct client_request *r)
{
    char name[PATH_TEXT_MAX];

    (void)unit;
    put_recipe_name(b, name, sizeof name);
    r->method = METHOD_CREATE;
    r->args_count = 2;
    r->write = true;
    bench_pack_path(b, "/tidelock/recipes/%s", name);
    pack_bin(&b->params, BYTES_LIT("return { nothing = function() end }"));
    put_parents(b, r);
    bench_pack_option(b, r, "ephemeral");
    pack_bool(&b->options, true);
}

static void ask_call(struct bench *b, struct bench_slot *s, struct client_request *r)
{
    char name[PATH_TEXT_MAX];

    (void)s;
    put_recipe_name(b, name, sizeof name);
    strcat(name, ".nothing");
    bench_pack_function(b, r, name);
    pack_nil(&b->params);
}

static void ask_counter(struct bench *b, struct bench_slot *s, struct client_request *r)
{
    (void)s;
    bench_pack_call(b, r, "counter.add", 1);
    bench_pack_path(b, "/bench/counter");
    pack_cstr(&b->params, "by");
    pack_uint(&b->params, 1);
}

/* --- the table --- */

static const struct bench_kind SET = {
    .name = "set",
    .keys = 1024,
    .rounds = 1,
    .units = units_keys,
    .prepare = prepare_keys,
    .ask = ask_set,
};
static const struct bench_kind GET = {
    .name = "get",
    .keys = 1024,
    .rounds = 2,
    .units = units_keys,
    .prepare = prepare_keys,
    .ask = ask_get,
};
static const struct bench_kind CREATE = { .name = "create", .ask = ask_create };
static const struct bench_kind DELETE = {
    .name = "delete",
    .keys = 100000,
    .rounds = 1,
    .consumes = true,
    .units = units_names,
    .prepare = prepare_names,
    .ask = ask_delete,
};
static const struct bench_kind MULTI = {
    .name = "multi",
    .keys = 1024,
    .rounds = 1,
    .units = units_keys,
    .prepare = prepare_keys,
    .ask = ask_multi,
};
static const struct bench_kind MIX = {
    .name = "mix",
    .keys = 1024,
    .rounds = 2,
    .units = units_keys,
    .prepare = prepare_keys,
    .ask = ask_mix,
};
static const struct bench_kind CALL = {
    .name = "call",
    .rounds = 1,
    .prepare = prepare_recipe,
    .ask = ask_call,
};
static const struct bench_kind COUNTER = { .name = "counter", .ask = ask_counter };

static const struct bench_kind *const KINDS[] = {
    &SET,           &GET,           &CREATE,      &DELETE,     &MULTI,
    &MIX,           &CALL,          &COUNTER,     &BENCH_LOCK, &BENCH_QUEUE,
    &BENCH_BARRIER, &BENCH_SESSION, &BENCH_WATCH,
};
enum { KINDS_COUNT = sizeof KINDS / sizeof KINDS[0] };

const struct bench_kind *bench_kind_find(const char *name)
{
    for (size_t i = 0; i < KINDS_COUNT; i++) {
        if (strcmp(KINDS[i]->name, name) == 0) return KINDS[i];
    }
    return NULL;
}

const char *bench_kind_name(const struct bench_kind *kind)
{
    return kind->name;
}

uint32_t bench_kind_keys(const struct bench_kind *kind)
{
    return kind->keys;
}

void bench_kind_names(char *text, size_t size)
{
    size_t len = 0;

    text[0] = '\0';
    for (size_t i = 0; i < KINDS_COUNT && len < size; i++) {
        const char *before = i == 0 ? "" : i + 1 == KINDS_COUNT ? " or " : ", ";

        len += (size_t)snprintf(text + len, size - len, "%s%s", before, KINDS[i]->name);
    }
}

const char *bench_kind_misfit(const struct bench_config *config)
{
    if (config->kind->shallow && config->depth > 1) {
        return "--depth must be 1: a client has one of these under way at a time";
    }
    if (config->kind->gathers && config->rate > 0) {
        return "--rate does not fit: all clients must take part in each of these";
    }
    if (config->kind->gathers && config->clients > GATHER_MAX) {
        return "--clients must be 1000 at most: a barrier takes no more";
    }
    if (config->prepared && config->kind->units != units_keys) {
        return "--prepared does not fit: it uses no nodes of an earlier run";
    }
    return NULL;
}
