/* call.c -- `tidelock call`: a recipe's function, with JSON in and out. */
#include "cli/ask.h"
#include "cli/commands.h"
#include "cli/json.h"
#include "cli/report.h"

struct printer {
    const struct options *o;
    struct buf *text;
};

/* Plain output is the value alone; a string is printed without its quotes. */
static void print_value(void *ctx, const msgpack_object *result)
{
    const struct printer *p = ctx;
    const msgpack_object *value = rpc_member(result, "value");

    if (p->o->json) {
        buf_put_bytes_raw(p->text, BYTES_LIT("{\"value\":"));
        if (value == NULL) {
            buf_put_bytes_raw(p->text, BYTES_LIT("null"));
        } else {
            json_from_msgpack(p->text, value);
        }
        report_printf(p->text, ",\"zxid\":%llu}\n",
                      (unsigned long long) rpc_uint(rpc_member(result, "zxid"), 0));
        return;
    }
    if (value == NULL) {
        buf_put_bytes_raw(p->text, BYTES_LIT("null"));
    } else if (rpc_bytes(value).ptr != NULL) {
        buf_put_bytes_raw(p->text, rpc_bytes(value));
    } else {
        json_from_msgpack(p->text, value);
    }
    buf_put_u8(p->text, '\n');
}

static void pack_arguments(struct ask *a)
{
    const char *text = a->o->words_count > 1 ? a->o->words[1] : "null", *why;

    if (!json_to_msgpack(bytes_str(text), &a->params, &why)) {
        a->mistake = report_usage(a->o->command, "the arguments are not JSON: %s", why);
    }
}

/* The server withdraws a call that waited for too long; the answer then needs its way. */
static void pack_wait(struct ask *a)
{
    if (!options_given(a->o, FLAG_WAIT)) {
        a->limit_ms = options_given(a->o, FLAG_TIMEOUT) ? a->o->timeout_ms : 0;
        return;
    }
    ask_option(a, "timeout_ms");
    pack_uint(&a->options, a->o->number[FLAG_WAIT] == 0 ? 1 : a->o->number[FLAG_WAIT]);
    a->limit_ms = a->o->timeout_ms + a->o->number[FLAG_WAIT];
}

/* --guard and --wait have a meaning for calls only, --any for queries only. */
static void pack_options(struct ask *a)
{
    const struct options *o = a->o;
    const bool query = a->method == METHOD_QUERY;

    if (query && (options_given(o, FLAG_GUARD) || options_given(o, FLAG_WAIT))) {
        a->mistake =
            report_usage(o->command, "--read goes with neither --guard nor --wait");
    } else if (!query && options_given(o, FLAG_ANY)) {
        a->mistake = report_usage(o->command, "--any goes with --read only");
    } else if (query) {
        ask_level(a);
    } else {
        ask_guard(a);
        pack_wait(a);
    }
}

int command_call(const struct options *o)
{
    const bool query = options_given(o, FLAG_READ);
    struct buf text = { 0 };
    struct printer p = { .o = o, .text = &text };
    struct ask a;
    int status;

    ask_init(&a, o, query ? METHOD_QUERY : METHOD_CALL, !query);
    pack_cstr(&a.params, o->words[0]);
    pack_arguments(&a);
    a.args_count = 2;
    if (a.mistake == 0) pack_options(&a);
    status = ask_run(&a, print_value, &p, &text);
    buf_fini(&text);
    ask_fini(&a);
    return status;
}
