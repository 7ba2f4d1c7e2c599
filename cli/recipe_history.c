/* recipe_history.c -- `tidelock recipe history` and `rollback`: the versions that the
 * servers keep of a recipe, by the zxid of the transaction that put them. */
#include <stdio.h>

#include "cli/ask.h"
#include "cli/children.h"
#include "cli/commands.h"
#include "cli/json.h"
#include "cli/recipe.h"
#include "cli/report.h"
#include "core/base/limits.h"
#include "core/machine/script.h"

struct version {
    uint64_t zxid;
    int64_t since_ms; /* when it was put, or, of a kept one, when it was replaced */
    bool found, gone; /* gone: from here on there was none in the tree */
    struct buf source;
};

static void on_version(void *ctx, const msgpack_object *result)
{
    struct version *v = ctx;
    const msgpack_object *stat = rpc_member(result, "stat");
    const struct bytes data = rpc_bytes(rpc_member(result, "data"));

    v->found = true;
    v->gone = data.ptr == NULL;
    if (v->zxid == 0) v->zxid = rpc_uint(rpc_member(stat, "mzxid"), 0);
    v->since_ms = (int64_t) rpc_uint(rpc_member(stat, "mtime"), 0);
    buf_clear(&v->source);
    buf_put_bytes_raw(&v->source, data);
}

/* ERR_NO_NODE: there is none; v->found is false then. */
static int read_version(const struct options *o, struct remote *remote, const char *path,
                        struct version *v)
{
    struct ask a;
    int code;

    v->found = false;
    ask_init(&a, o, METHOD_GET, false);
    pack_cstr(&a.params, path);
    a.args_count = 1;
    code = ask_send(&a, remote, on_version, v);
    ask_fini(&a);
    return code;
}

struct kept_path {
    char text[sizeof SCRIPT_HISTORY + RECIPE_NAME_BYTES_MAX + 32];
};

static struct kept_path path_of_kept(const char *name, uint64_t zxid)
{
    struct kept_path path;

    snprintf(path.text, sizeof path.text, SCRIPT_HISTORY "/%s/%020llu", name,
             (unsigned long long) zxid);
    return path;
}

/* --- history --- */

static void put_line(const struct options *o, struct buf *text, const struct version *v,
                     bool newest)
{
    const unsigned long long zxid = v->zxid, bytes = v->source.len;

    if (o->json) {
        if (text->ptr[text->len - 1] == '}') buf_put_u8(text, ',');
        report_printf(text, "{\"zxid\":%llu,\"bytes\":", zxid);
        if (v->gone) report_printf(text, "null,");
        else report_printf(text, "%llu,", bytes);
        report_printf(text, "\"newest\":%s,\"%s\":%lld}", newest ? "true" : "false",
                      newest ? "put_ms" : "replaced_ms", (long long) v->since_ms);
    } else if (v->gone) {
        report_printf(text, "%llu removed\n", zxid);
    } else {
        report_printf(text, "%llu %llu bytes%s\n", zxid, bytes, newest ? ", the newest" : "");
    }
}

static int put_kept(const struct options *o, struct remote *remote, struct buf *text)
{
    struct kept_path directory = path_of_kept(o->words[0], 0);
    struct version v = { 0 };
    struct buf names = { 0 };
    int code;

    *strrchr(directory.text, '/') = '\0';
    code = children_ask(o, remote, bytes_str(directory.text), &names);
    struct reader r = reader_of(buf_bytes(&names));
    if (code == ERR_NO_NODE) code = 0;
    while (code == 0 && reader_left(&r) > 0) {
        char name[32];
        struct bytes one = read_bytes(&r, names.len);

        snprintf(name, sizeof name, "%.*s", (int) one.len, (const char *) one.ptr);
        v.zxid = strtoull(name, NULL, 10);
        code = read_version(o, remote, path_of_kept(o->words[0], v.zxid).text, &v);
        if (code == 0) put_line(o, text, &v, false);
        if (code == ERR_NO_NODE) code = 0; /* it made room meanwhile */
    }
    buf_fini(&names);
    buf_fini(&v.source);
    return code;
}

static int history(const struct options *o, struct remote *remote, const char *path)
{
    struct version newest = { 0 };
    struct buf text = { 0 };
    int code, status;

    if (o->json) report_printf(&text, "{\"versions\":[");
    code = put_kept(o, remote, &text);
    const size_t kept = text.len;
    if (code == 0) code = read_version(o, remote, path, &newest);
    if (code == 0 && !newest.gone) put_line(o, &text, &newest, true);
    if (o->json) report_printf(&text, "]}\n");
    if (code == ERR_NO_NODE && kept > (o->json ? strlen("{\"versions\":[") : 0)) code = 0;
    status = code == ERR_NO_NODE ? recipe_fail_missing(o, remote)
             : code != 0         ? ask_fail(o, code, remote->message)
                                 : report_write(o->command, buf_bytes(&text));
    buf_fini(&text);
    buf_fini(&newest.source);
    return status;
}

int command_recipe_history(const struct options *o)
{
    return recipe_with(o, 0, history);
}

/* --- rollback --- */

/* The newest version that is kept; 0: there is none. */
static int find_newest(const struct options *o, struct remote *remote, uint64_t *zxid)
{
    struct kept_path directory = path_of_kept(o->words[0], 0);
    struct buf names = { 0 };
    struct version v = { 0 };
    int code;

    *zxid = 0;
    *strrchr(directory.text, '/') = '\0';
    code = children_ask(o, remote, bytes_str(directory.text), &names);
    struct reader r = reader_of(buf_bytes(&names));
    while (code == 0 && reader_left(&r) > 0) {
        char name[32];
        struct bytes one = read_bytes(&r, names.len);
        uint64_t number;

        snprintf(name, sizeof name, "%.*s", (int) one.len, (const char *) one.ptr);
        number = strtoull(name, NULL, 10);
        code = read_version(o, remote, path_of_kept(o->words[0], number).text, &v);
        if (code == 0 && !v.gone) *zxid = number;
    }
    buf_fini(&names);
    buf_fini(&v.source);
    return code;
}

static int rollback(const struct options *o, struct remote *remote, const char *path)
{
    struct version v = { 0 };
    uint64_t zxid = 0;
    int code = 0, status;

    if (o->words_count > 1 && !options_read_number(o->words[1], 1, UINT64_MAX, &zxid)) {
        return report_usage(o->command, "a version is named by its zxid, not '%s'",
                            o->words[1]);
    }
    if (zxid == 0) code = find_newest(o, remote, &zxid);
    if (code == 0 && zxid == 0) code = ERR_NO_NODE;
    v.zxid = zxid;
    if (code == 0) code = read_version(o, remote, path_of_kept(o->words[0], zxid).text, &v);
    if (code == ERR_NO_NODE || v.gone) {
        report_note(o->command, "%s: no such version is kept; see `tidelock recipe history`",
                    o->words[0]);
        status = CLI_NOT_FOUND;
    } else if (code != 0) {
        status = ask_fail(o, code, remote->message);
    } else {
        status = recipe_store(o, remote, path, buf_bytes(&v.source));
    }
    buf_fini(&v.source);
    return status;
}

int command_recipe_rollback(const struct options *o)
{
    return recipe_with(o, SESSION_TIMEOUT_DEFAULT_MS, rollback);
}
