/* nodes.c -- the commands on one node: create, get, set, delete, touch, stat.
 *
 * Plain output is what a script wants to read: get prints the raw data, create the path that
 * it made, set, delete and touch nothing. JSON output holds all that the
 * service answered. */
#include <errno.h>
#include <unistd.h>

#include "cli/ask.h"
#include "cli/commands.h"
#include "cli/input.h"
#include "cli/json.h"
#include "cli/report.h"
#include "cli/subtree.h"
#include "core/base/limits.h"

/* What a result's printer needs beside the result. */
struct printer {
    const struct options *o;
    struct buf *text;
};

/* --- input --- */

/* Packs the data that word 1 names: a value, "-" for stdin, null when there is none. */
static void pack_data(struct ask *a)
{
    const struct options *o = a->o;
    struct buf data = { 0 };

    if (o->words_count < 2) {
        pack_nil(&a->params);
    } else if (strcmp(o->words[1], "-") != 0) {
        pack_bin(&a->params, bytes_str(o->words[1]));
    } else {
        a->mistake = input_read(o, "-", &data); /* its buffer is there even when it is empty */
        pack_bin(&a->params, buf_bytes(&data));
    }
    a->args_count++;
    buf_fini(&data);
}

static void ask_begin(struct ask *a, const struct options *o, enum method method,
                      bool write)
{
    ask_init(a, o, method, write);
    pack_cstr(&a->params, o->words[0]);
    a->args_count = 1;
}

static void pack_switch(struct ask *a, enum flag flag, const char *name)
{
    if (!options_given(a->o, flag)) return;
    ask_option(a, name);
    pack_bool(&a->options, true);
}

static void pack_number(struct ask *a, enum flag flag, const char *name)
{
    if (!options_given(a->o, flag)) return;
    ask_option(a, name);
    pack_uint(&a->options, a->o->number[flag]);
}

/* --- output --- */

static void put_key(struct buf *text, const char *key)
{
    if (text->ptr[text->len - 1] != '{') buf_put_u8(text, ',');
    json_put_string(text, bytes_str(key));
    buf_put_u8(text, ':');
}

static void put_member(struct buf *text, const msgpack_object *result, const char *key)
{
    const msgpack_object *value = rpc_member(result, key);

    if (value == NULL) return;
    put_key(text, key);
    json_from_msgpack(text, value);
}

/* {"path": ..., "stat": ..., "zxid": ...}: the result of create names its path itself. */
static void print_write(void *ctx, const msgpack_object *result)
{
    const struct printer *p = ctx;
    const msgpack_object *path = rpc_member(result, "path");

    if (!p->o->json) {
        if (path == NULL) return;
        buf_put_bytes_raw(p->text, rpc_bytes(path));
        buf_put_u8(p->text, '\n');
        return;
    }
    buf_put_u8(p->text, '{');
    put_key(p->text, "path");
    json_put_string(p->text, path != NULL ? rpc_bytes(path) : bytes_str(p->o->words[0]));
    put_member(p->text, result, "stat");
    put_member(p->text, result, "zxid");
    buf_put_bytes_raw(p->text, BYTES_LIT("}\n"));
}

static void print_data(struct buf *text, struct bytes data)
{
    const bool readable = json_is_utf8(data);

    put_key(text, readable ? "data" : "data_base64");
    if (data.ptr == NULL) {
        buf_put_bytes_raw(text, BYTES_LIT("null"));
    } else if (readable) {
        json_put_string(text, data);
    } else {
        json_put_base64(text, data);
    }
}

static void print_get(void *ctx, const msgpack_object *result)
{
    const struct printer *p = ctx;
    const msgpack_object *object = rpc_member(result, "data");
    const struct bytes data = object == NULL ? bytes_of(NULL, 0) : rpc_bytes(object);

    if (!p->o->json) {
        buf_put_bytes_raw(p->text, data);
        if (isatty(STDOUT_FILENO)) buf_put_u8(p->text, '\n');
        return;
    }
    buf_put_u8(p->text, '{');
    put_key(p->text, "path");
    json_put_string(p->text, bytes_str(p->o->words[0]));
    print_data(p->text, data);
    put_member(p->text, result, "stat");
    put_member(p->text, result, "zxid");
    buf_put_bytes_raw(p->text, BYTES_LIT("}\n"));
}

static void print_stat(void *ctx, const msgpack_object *result)
{
    const struct printer *p = ctx;
    const msgpack_object *stat = rpc_member(result, "stat");

    if (p->o->json) {
        print_write(ctx, result);
        return;
    }
    if (stat == NULL || stat->type != MSGPACK_OBJECT_MAP) return;
    for (uint32_t i = 0; i < stat->via.map.size; i++) {
        const struct bytes name = rpc_bytes(&stat->via.map.ptr[i].key);
        report_printf(p->text, "%-16.*s ", (int) name.len, (const char *) name.ptr);
        json_from_msgpack(p->text, &stat->via.map.ptr[i].val);
        buf_put_u8(p->text, '\n');
    }
}

/* --- commands --- */

/* Asks, prints with `fn`, and frees the question. */
static int finish(struct ask *a, remote_result_fn fn)
{
    struct buf text = { 0 };
    struct printer p = { .o = a->o, .text = &text };
    const int status = ask_run(a, fn, &p, &text);

    buf_fini(&text);
    ask_fini(a);
    return status;
}

int command_create(const struct options *o)
{
    struct ask a;

    if (options_given(o, FLAG_EPHEMERAL)) {
        return report_usage(o->command,
                            "an ephemeral node lives as long as its session, and "
                            "this command's session ends with it; use `tidelock "
                            "lock`, or the library");
    }
    ask_begin(&a, o, METHOD_CREATE, true);
    pack_data(&a);
    ask_guard(&a);
    pack_switch(&a, FLAG_SEQUENTIAL, "sequential");
    pack_switch(&a, FLAG_PARENTS, "parents");
    pack_switch(&a, FLAG_CONTAINER, "container");
    pack_number(&a, FLAG_TTL, "ttl_ms");
    return finish(&a, print_write);
}

int command_set(const struct options *o)
{
    struct ask a;

    ask_begin(&a, o, METHOD_SET, true);
    pack_data(&a);
    ask_guard(&a);
    pack_number(&a, FLAG_VERSION, "version");
    return finish(&a, print_write);
}

int command_delete(const struct options *o)
{
    struct ask a;

    if (options_given(o, FLAG_SUBTREE)) return subtree_delete(o);
    ask_begin(&a, o, METHOD_DELETE, true);
    ask_guard(&a);
    pack_number(&a, FLAG_VERSION, "version");
    return finish(&a, print_write);
}

int command_touch(const struct options *o)
{
    struct ask a;

    ask_begin(&a, o, METHOD_TOUCH, true);
    ask_guard(&a);
    return finish(&a, print_write);
}

int command_get(const struct options *o)
{
    struct ask a;

    ask_begin(&a, o, METHOD_GET, false);
    ask_level(&a);
    return finish(&a, print_get);
}

int command_stat(const struct options *o)
{
    struct ask a;

    ask_begin(&a, o, METHOD_STAT, false);
    ask_level(&a);
    return finish(&a, print_stat);
}
