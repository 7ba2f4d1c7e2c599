#include "cli/ask.h"

#include "cli/report.h"
#include "core/base/limits.h"

void ask_init(struct ask *a, const struct options *o, enum method method, bool write)
{
    *a =
        (struct ask){ .o = o, .method = method, .write = write, .limit_ms = o->timeout_ms };
}

void ask_init_call(struct ask *a, const struct options *o, const char *function,
                   uint32_t count)
{
    ask_init(a, o, METHOD_CALL, true);
    a->args_count = 2;
    pack_cstr(&a->params, function);
    pack_map(&a->params, count);
}

void ask_init_query(struct ask *a, const struct options *o, const char *function,
                    uint32_t count)
{
    ask_init_call(a, o, function, count);
    a->method = METHOD_QUERY;
    a->write = false;
    a->calls = !options_given(o, FLAG_ANY); /* a call would wait for a majority */
    ask_level(a);
}

void ask_fini(struct ask *a)
{
    buf_fini(&a->params);
    buf_fini(&a->options);
}

void ask_option(struct ask *a, const char *name)
{
    pack_cstr(&a->options, name);
    a->options_count++;
}

void ask_level(struct ask *a)
{
    if (!options_given(a->o, FLAG_ANY)) return;
    ask_option(a, "consistency");
    pack_cstr(&a->options, "any");
}

void ask_guard(struct ask *a)
{
    struct options_guard guard;

    if (!options_guard(a->o, &guard)) {
        a->mistake = report_usage(a->o->command, "--guard must be PATH:TOKEN, not '%s'",
                                  a->o->text[FLAG_GUARD]);
        return;
    }
    if (guard.path.ptr == NULL) return;
    ask_option(a, "guard");
    pack_array(&a->options, 1);
    pack_array(&a->options, 2);
    pack_str(&a->options, guard.path);
    pack_uint(&a->options, guard.token);
}

int ask_send(struct ask *a, struct remote *remote, remote_result_fn fn, void *ctx)
{
    struct client_request request = {
        .method = a->method,
        .params = buf_bytes(&a->params),
        .options = buf_bytes(&a->options),
        .args_count = a->args_count,
        .options_count = a->options_count,
        .write = a->write,
    };

    return remote_ask(remote, &request, a->limit_ms, fn, ctx);
}

int ask_fail(const struct options *o, int code, const char *message)
{
    if (code == ERR_PENDING) {
        report_note(o->command,
                    "%s: unknown outcome: it was sent but not answered in time; "
                    "it may still take effect",
                    error_name(code));
        return CLI_UNREACHABLE;
    }
    return report_error(o->command, code, message);
}

int ask_run(struct ask *a, remote_result_fn fn, void *ctx, struct buf *text)
{
    struct remote remote;
    int code, status;

    if (a->mistake != 0) return a->mistake;
    code = remote_open(&remote, a->o, a->write ? SESSION_TIMEOUT_DEFAULT_MS : 0);
    if (code != 0) return ask_fail(a->o, code, remote.message);
    code = ask_send(a, &remote, fn, ctx);
    if (code == ERR_READ_ONLY && a->calls) {
        remote_close(&remote);
        a->method = METHOD_CALL;
        a->write = true;
        a->calls = false;
        return ask_run(a, fn, ctx, text);
    }
    status = code != 0 ? ask_fail(a->o, code, remote.message)
                       : report_write(a->o->command, buf_bytes(text));
    remote_close(&remote);
    return status;
}
