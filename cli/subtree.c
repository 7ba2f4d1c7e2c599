/* subtree.c -- commands on whole subtrees: delete --recursive, copy, quota. */
#include "cli/subtree.h"

#include <inttypes.h>

#include "cli/ask.h"
#include "cli/commands.h"
#include "cli/json.h"
#include "cli/report.h"
#include "core/base/limits.h"

/* --- delete --- */

struct step {
    uint64_t deleted; /* in all steps */
    bool more;
};

static void on_step(void *ctx, const msgpack_object *result)
{
    const msgpack_object *more = rpc_member(result, "more");
    struct step *s = ctx;

    s->deleted += rpc_uint(rpc_member(result, "deleted"), 0);
    s->more = more != NULL && more->type == MSGPACK_OBJECT_BOOLEAN && more->via.boolean;
}

static int ask_step(const struct options *o, struct remote *remote, bool partly,
                    struct step *s)
{
    struct ask a;
    int code;

    ask_init(&a, o, METHOD_DELETE_TREE, true);
    pack_cstr(&a.params, o->words[0]);
    a.args_count = 1;
    ask_guard(&a);
    if (partly) {
        ask_option(&a, "partly");
        pack_bool(&a.options, true);
    }
    s->more = false;
    code = a.mistake != 0 ? a.mistake : ask_send(&a, remote, on_step, s);
    ask_fini(&a);
    return code;
}

int subtree_delete(const struct options *o)
{
    struct options_guard guard;
    struct step s = { 0 };
    struct remote remote;
    struct buf text = { 0 };
    int code, status;

    if (options_given(o, FLAG_VERSION)) {
        return report_usage(o->command, "--version is of one node: it goes not with "
                                        "--recursive");
    }
    if (!options_guard(o, &guard)) {
        return report_usage(o->command, "--guard must be PATH:TOKEN, not '%s'",
                            o->text[FLAG_GUARD]);
    }
    code = remote_open(&remote, o, SESSION_TIMEOUT_DEFAULT_MS);
    if (code != 0) return ask_fail(o, code, remote.message);
    code = ask_step(o, &remote, false, &s);
    if (code == ERR_TOO_LARGE) {
        do code = ask_step(o, &remote, true, &s);
        while (code == 0 && s.more);
    }
    if (o->json) report_printf(&text, "{\"deleted\":%" PRIu64 "}\n", s.deleted);
    status = code != 0 ? ask_fail(o, code, remote.message)
                       : report_write(o->command, buf_bytes(&text));
    remote_close(&remote);
    buf_fini(&text);
    return status;
}

/* --- copy and quota --- */

struct printer {
    const struct options *o;
    struct buf *text;
};

static void print_json(void *ctx, const msgpack_object *result)
{
    const struct printer *p = ctx;

    if (!p->o->json) return;
    json_from_msgpack(p->text, result);
    buf_put_u8(p->text, '\n');
}

static int finish(struct ask *a, remote_result_fn fn)
{
    struct buf text = { 0 };
    struct printer p = { .o = a->o, .text = &text };
    const int status = ask_run(a, fn, &p, &text);

    buf_fini(&text);
    ask_fini(a);
    return status;
}

int command_copy(const struct options *o)
{
    struct ask a;

    ask_init(&a, o, METHOD_COPY, true);
    pack_cstr(&a.params, o->words[0]);
    pack_cstr(&a.params, o->words[1]);
    a.args_count = 2;
    ask_guard(&a);
    return finish(&a, print_json);
}

static uint64_t member(const msgpack_object *map, const char *name)
{
    return rpc_uint(rpc_member(map, name), 0);
}

static void put_limit(struct buf *text, uint64_t used, uint64_t max, const char *what)
{
    report_printf(text, "  %" PRIu64, used);
    if (max > 0) report_printf(text, " of %" PRIu64, max);
    report_printf(text, " %s", what);
}

static void print_quotas(void *ctx, const msgpack_object *result)
{
    const struct printer *p = ctx;
    const msgpack_object *quotas = rpc_member(result, "quotas");

    if (p->o->json) {
        print_json(ctx, result);
        return;
    }
    report_printf(p->text, "the whole tree");
    put_limit(p->text, member(result, "nodes"), 0, "nodes");
    put_limit(p->text, member(result, "bytes"), 0, "bytes\n");
    for (uint32_t i = 0; quotas != NULL && i < quotas->via.array.size; i++) {
        const msgpack_object *q = &quotas->via.array.ptr[i];

        buf_put_bytes_raw(p->text, rpc_bytes(rpc_member(q, "path")));
        put_limit(p->text, member(q, "nodes_used"), member(q, "nodes"), "nodes");
        put_limit(p->text, member(q, "bytes_used"), member(q, "bytes"), "bytes\n");
    }
}

static void pack_limit(struct ask *a, enum flag flag, const char *name)
{
    if (!options_given(a->o, flag)) return;
    ask_option(a, name);
    pack_uint(&a->options, a->o->number[flag]);
}

int command_quota(const struct options *o)
{
    const bool sets = o->words_count > 0;
    struct ask a;

    if (sets != (options_given(o, FLAG_QUOTA_NODES) || options_given(o, FLAG_QUOTA_BYTES))) {
        return report_usage(o->command, "a path goes with --nodes, --bytes or both; without "
                                        "any of them all quotas are listed");
    }
    ask_init(&a, o, sets ? METHOD_QUOTA_SET : METHOD_QUOTA_LIST, sets);
    if (sets) {
        pack_cstr(&a.params, o->words[0]);
        a.args_count = 1;
        pack_limit(&a, FLAG_QUOTA_NODES, "nodes");
        pack_limit(&a, FLAG_QUOTA_BYTES, "bytes");
    }
    return finish(&a, sets ? print_json : print_quotas);
}
