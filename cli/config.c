/* config.c -- `tidelock config`: values with versions, by the recipe config.lua, whose head
 * comment says what each answer holds. */
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "cli/ask.h"
#include "cli/commands.h"
#include "cli/input.h"
#include "cli/json.h"
#include "cli/report.h"
#include "cli/version.h"

struct printer {
    const struct options *o;
    struct buf *text;
    bool missing; /* nothing was ever stored there */
};

/* Asks, prints with `fn`, and frees the question. */
static int finish(struct ask *a, remote_result_fn fn)
{
    struct buf text = { 0 };
    struct printer p = { .o = a->o, .text = &text };
    int status = ask_run(a, fn, &p, &text);

    if (p.missing) status = report_error(a->o->command, ERR_NO_NODE, a->o->words[0]);
    buf_fini(&text);
    ask_fini(a);
    return status;
}

static void begin(struct ask *a, const struct options *o, const char *function,
                  uint32_t count)
{
    ask_init_call(a, o, function, count);
    pack_cstr(&a->params, "path");
    pack_cstr(&a->params, o->words[0]);
}

static void begin_read(struct ask *a, const struct options *o, const char *function,
                       uint32_t count)
{
    ask_init_query(a, o, function, count);
    pack_cstr(&a->params, "path");
    pack_cstr(&a->params, o->words[0]);
}

static void pack_number(struct ask *a, const char *name, uint64_t number)
{
    pack_cstr(&a->params, name);
    pack_uint(&a->params, number);
}

/* --- put, rollback --- */

static void print_stored(void *ctx, const msgpack_object *result)
{
    const struct printer *p = ctx;
    const msgpack_object *value = rpc_member(result, "value");

    if (p->o->json) {
        json_from_msgpack(p->text, value);
    } else {
        report_printf(p->text, "%llu",
                      (unsigned long long) rpc_uint(rpc_member(value, "version"), 0));
    }
    buf_put_u8(p->text, '\n');
}

/* VALUE, - or @FILE. Returns 0, or the exit status of a mistake that was told. */
static int pack_value(struct ask *a)
{
    const char *word = a->o->words[1];
    struct buf data = { 0 };
    int status = 0;

    pack_cstr(&a->params, "data");
    if (word[0] == '@' || strcmp(word, "-") == 0) {
        status = input_read(a->o, word[0] == '@' ? word + 1 : word, &data);
        pack_bin(&a->params, buf_bytes(&data));
    } else {
        pack_bin(&a->params, bytes_str(word));
    }
    buf_fini(&data);
    return status;
}

int command_config_put(const struct options *o)
{
    const bool newest = options_given(o, FLAG_NEWEST), keep = options_given(o, FLAG_KEEP);
    struct ask a;

    begin(&a, o, "config.put", 2u + newest + keep);
    if (newest) pack_number(&a, "version", o->number[FLAG_NEWEST]);
    if (keep) pack_number(&a, "keep", o->number[FLAG_KEEP]);
    a.mistake = pack_value(&a);
    return finish(&a, print_stored);
}

int command_config_rollback(const struct options *o)
{
    uint64_t version;
    struct ask a;

    if (!options_read_number(o->words[1], 1, UINT32_MAX, &version)) {
        return report_usage(o->command, "N must be the number of a version, not '%s'",
                            o->words[1]);
    }
    begin(&a, o, "config.rollback", 2);
    pack_number(&a, "version", version);
    return finish(&a, print_stored);
}

/* --- get --- */

static void print_version(void *ctx, const msgpack_object *result)
{
    struct printer *p = ctx;
    const msgpack_object *value = rpc_member(result, "value");

    p->missing = rpc_member(value, "version") == NULL;
    if (p->missing) return;
    if (p->o->json) {
        version_put_json(p->text, bytes_str(p->o->words[0]), value);
        return;
    }
    buf_put_bytes_raw(p->text, rpc_bytes(rpc_member(value, "data")));
    if (isatty(STDOUT_FILENO)) buf_put_u8(p->text, '\n');
}

int command_config_get(const struct options *o)
{
    const bool given = options_given(o, FLAG_KEPT);
    struct ask a;

    begin_read(&a, o, "config.get", given ? 2 : 1);
    if (given) pack_number(&a, "version", o->number[FLAG_KEPT]);
    return finish(&a, print_version);
}

/* --- versions --- */

static void put_time(struct buf *text, uint64_t time_ms)
{
    const time_t seconds = (time_t) (time_ms / 1000);
    char form[40] = "-";
    struct tm utc;

    if (gmtime_r(&seconds, &utc) != NULL) {
        (void) strftime(form, sizeof form, "%Y-%m-%dT%H:%M:%SZ", &utc);
    }
    report_printf(text, "%-20s", form);
}

static void put_row(struct buf *text, const msgpack_object *version)
{
    const uint64_t session = rpc_uint(rpc_member(version, "session"), 0);
    char author[24] = "-";

    if (session != 0) snprintf(author, sizeof author, "%llu", (unsigned long long) session);
    report_printf(text, "%8llu ",
                  (unsigned long long) rpc_uint(rpc_member(version, "version"), 0));
    put_time(text, rpc_uint(rpc_member(version, "time"), 0));
    report_printf(text, " %8llu %s\n",
                  (unsigned long long) rpc_uint(rpc_member(version, "size"), 0), author);
}

static void print_versions(void *ctx, const msgpack_object *result)
{
    const struct printer *p = ctx;
    const msgpack_object *value = rpc_member(result, "value");

    if (value == NULL || value->type != MSGPACK_OBJECT_ARRAY) return;
    if (p->o->json) {
        buf_put_bytes_raw(p->text, BYTES_LIT("{\"path\":"));
        json_put_string(p->text, bytes_str(p->o->words[0]));
        buf_put_bytes_raw(p->text, BYTES_LIT(",\"versions\":"));
        json_from_msgpack(p->text, value);
        buf_put_bytes_raw(p->text, BYTES_LIT("}\n"));
        return;
    }
    report_printf(p->text, "%8s %-20s %8s %s\n", "version", "time", "bytes", "session");
    for (uint32_t i = 0; i < value->via.array.size; i++) {
        put_row(p->text, &value->via.array.ptr[i]);
    }
}

int command_config_versions(const struct options *o)
{
    struct ask a;

    begin_read(&a, o, "config.versions", 1);
    return finish(&a, print_versions);
}
