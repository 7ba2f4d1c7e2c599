/* recipe.c -- `tidelock recipe`: recipes in the tree, beside those compiled into the
 * servers. A recipe with data in the tree stands in for a shipped one of its name. */
#include <stdio.h>

#include "cli/ask.h"
#include "cli/commands.h"
#include "cli/input.h"
#include "cli/json.h"
#include "cli/recipe.h"
#include "cli/report.h"
#include "cli/shipped.h"
#include "core/base/limits.h"

/* --- names --- */

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

bool recipe_name_is_legal(struct bytes name)
{
    if (name.len == 0 || name.len > RECIPE_NAME_BYTES_MAX || !is_letter((char) name.ptr[0])) {
        return false;
    }
    for (size_t i = 0; i < name.len; i++) {
        const char c = (char) name.ptr[i];
        if (!is_letter(c) && (c < '0' || c > '9') && c != '-') return false;
    }
    return true;
}

struct bytes recipe_name_of_file(const char *file)
{
    const char *slash = strrchr(file, '/');
    struct bytes name = bytes_str(slash == NULL ? file : slash + 1);

    if (name.len > 4 && memcmp(name.ptr + name.len - 4, ".lua", 4) == 0) name.len -= 4;
    return name;
}

struct recipe_path {
    char text[sizeof RECIPES_DIRECTORY + 1 + RECIPE_NAME_BYTES_MAX];
};

/* Returns 0, or the exit status of a mistake that was told. */
static int make_path(const struct options *o, struct bytes name, struct recipe_path *path)
{
    if (!recipe_name_is_legal(name)) {
        return report_usage(o->command,
                            "a recipe's name is a letter or _, then letters, digits, _ and "
                            "-, %d at most; not '%.*s'",
                            RECIPE_NAME_BYTES_MAX, (int) name.len, (const char *) name.ptr);
    }
    snprintf(path->text, sizeof path->text, RECIPES_DIRECTORY "/%.*s", (int) name.len,
             (const char *) name.ptr);
    return 0;
}

/* --- put --- */

struct stored {
    uint64_t version, zxid;
};

static void on_stored(void *ctx, const msgpack_object *result)
{
    struct stored *s = ctx;

    s->version = rpc_uint(rpc_member(rpc_member(result, "stat"), "version"), 0);
    s->zxid = rpc_uint(rpc_member(result, "zxid"), 0);
}

static int write_source(const struct options *o, struct remote *remote, enum method method,
                        const char *path, struct bytes source, struct stored *s)
{
    struct ask a;
    int code;

    ask_init(&a, o, method, true);
    pack_cstr(&a.params, path);
    pack_bin(&a.params, source);
    a.args_count = 2;
    if (method == METHOD_CREATE) {
        ask_option(&a, "parents");
        pack_bool(&a.options, true);
    } else if (options_given(o, FLAG_VERSION)) {
        ask_option(&a, "version");
        pack_uint(&a.options, o->number[FLAG_VERSION]);
    }
    code = ask_send(&a, remote, on_stored, s);
    ask_fini(&a);
    return code;
}

/* Somebody may create it between our two attempts, and then we replace theirs. */
static int store(const struct options *o, struct remote *remote, const char *path,
                 struct bytes source, struct stored *s)
{
    int code = write_source(o, remote, METHOD_SET, path, source, s);

    if (code != ERR_NO_NODE || options_given(o, FLAG_VERSION)) return code;
    code = write_source(o, remote, METHOD_CREATE, path, source, s);
    if (code != ERR_NODE_EXISTS) return code;
    return write_source(o, remote, METHOD_SET, path, source, s);
}

static int print_stored(const struct options *o, struct bytes name, const struct stored *s)
{
    struct buf text = { 0 };
    int status;

    if (o->json) {
        buf_put_bytes_raw(&text, BYTES_LIT("{\"name\":"));
        json_put_string(&text, name);
        report_printf(&text, ",\"version\":%llu,\"zxid\":%llu}\n",
                      (unsigned long long) s->version, (unsigned long long) s->zxid);
    } else {
        report_printf(&text, "%.*s %llu\n", (int) name.len, (const char *) name.ptr,
                      (unsigned long long) s->version);
    }
    status = report_write(o->command, buf_bytes(&text));
    buf_fini(&text);
    return status;
}

int recipe_store(const struct options *o, struct remote *remote, const char *path,
                 struct bytes source)
{
    struct stored s = { 0 };
    const int code = store(o, remote, path, source, &s);

    if (code != 0) return ask_fail(o, code, remote->message);
    return print_stored(o, bytes_str(o->words[0]), &s);
}

static int put_source(const struct options *o, struct bytes name, const char *path,
                      struct bytes source)
{
    struct remote remote;
    struct stored s = { 0 };
    int code = remote_open(&remote, o, SESSION_TIMEOUT_DEFAULT_MS), status;

    if (code != 0) return ask_fail(o, code, remote.message);
    code = store(o, &remote, path, source, &s);
    status = code == 0 ? print_stored(o, name, &s) : ask_fail(o, code, remote.message);
    remote_close(&remote);
    return status;
}

int command_recipe_put(const struct options *o)
{
    const char *file = o->words[0];
    const struct bytes name =
        o->words_count > 1 ? bytes_str(o->words[1]) : recipe_name_of_file(file);
    struct buf source = { 0 };
    struct recipe_path path;
    int status;

    if (strcmp(file, "-") == 0 && o->words_count < 2) {
        return report_usage(o->command, "standard input has no name: give NAME");
    }
    status = make_path(o, name, &path);
    if (status == 0) status = input_read(o, file, &source);
    if (status == 0 && !options_given(o, FLAG_UNTESTED)) {
        status = recipe_own_tests(o, file, name, buf_bytes(&source));
    }
    if (status == 0) status = put_source(o, name, path.text, buf_bytes(&source));
    buf_fini(&source);
    return status;
}

/* --- show, rm --- */

int recipe_fail_missing(const struct options *o, struct remote *remote)
{
    struct buf names = { 0 };
    const int code = shipped_ask(o, remote, &names);
    int status;

    if (code != 0) {
        status = ask_fail(o, code, remote->message);
    } else if (shipped_has(buf_bytes(&names), bytes_str(o->words[0]))) {
        report_note(o->command, "%s is compiled into the servers, and not in the tree",
                    o->words[0]);
        status = CLI_NOT_FOUND;
    } else {
        status = report_error(o->command, ERR_NO_RECIPE, o->words[0]);
    }
    buf_fini(&names);
    return status;
}

struct showing {
    const struct options *o;
    struct buf text;
    bool found;
};

static void on_source(void *ctx, const msgpack_object *result)
{
    struct showing *w = ctx;
    const msgpack_object *data = rpc_member(result, "data");
    const msgpack_object *version = rpc_member(rpc_member(result, "stat"), "version");

    w->found = data != NULL && rpc_bytes(data).ptr != NULL;
    if (!w->found) return;
    if (!w->o->json) {
        buf_put_bytes_raw(&w->text, rpc_bytes(data));
        return;
    }
    buf_put_bytes_raw(&w->text, BYTES_LIT("{\"name\":"));
    json_put_string(&w->text, bytes_str(w->o->words[0]));
    report_printf(&w->text, ",\"version\":%llu,\"source\":",
                  (unsigned long long) rpc_uint(version, 0));
    json_from_msgpack(&w->text, data);
    buf_put_bytes_raw(&w->text, BYTES_LIT("}\n"));
}

static int show(const struct options *o, struct remote *remote, const char *path)
{
    struct showing w = { .o = o };
    struct ask a;
    int code, status;

    ask_init(&a, o, METHOD_GET, false);
    pack_cstr(&a.params, path);
    a.args_count = 1;
    code = ask_send(&a, remote, on_source, &w);
    ask_fini(&a);
    if (code == ERR_NO_NODE || (code == 0 && !w.found)) {
        status = recipe_fail_missing(o, remote);
    } else {
        status = code == 0 ? report_write(o->command, buf_bytes(&w.text))
                           : ask_fail(o, code, remote->message);
    }
    buf_fini(&w.text);
    return status;
}

static int rm(const struct options *o, struct remote *remote, const char *path)
{
    struct stored s = { 0 };
    struct ask a;
    int code;

    ask_init(&a, o, METHOD_DELETE, true);
    pack_cstr(&a.params, path);
    a.args_count = 1;
    if (options_given(o, FLAG_VERSION)) {
        ask_option(&a, "version");
        pack_uint(&a.options, o->number[FLAG_VERSION]);
    }
    code = ask_send(&a, remote, on_stored, &s);
    ask_fini(&a);
    if (code == ERR_NO_NODE) return recipe_fail_missing(o, remote);
    if (code != 0) return ask_fail(o, code, remote->message);
    if (!o->json) return CLI_OK;

    struct buf text = { 0 };
    report_printf(&text, "{\"name\":\"%s\",\"zxid\":%llu}\n", o->words[0],
                  (unsigned long long) s.zxid);
    const int status = report_write(o->command, buf_bytes(&text));
    buf_fini(&text);
    return status;
}

int recipe_with(const struct options *o, uint32_t session_timeout_ms,
                       int (*fn)(const struct options *o, struct remote *remote,
                                 const char *path))
{
    struct recipe_path path;
    struct remote remote;
    int status = make_path(o, bytes_str(o->words[0]), &path), code;

    if (status != 0) return status;
    code = remote_open(&remote, o, session_timeout_ms);
    if (code != 0) return ask_fail(o, code, remote.message);
    status = fn(o, &remote, path.text);
    remote_close(&remote);
    return status;
}

int command_recipe_show(const struct options *o)
{
    return recipe_with(o, 0, show);
}

int command_recipe_rm(const struct options *o)
{
    return recipe_with(o, SESSION_TIMEOUT_DEFAULT_MS, rm);
}
