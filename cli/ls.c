/* ls.c -- `tidelock ls`: the names of a node's children, all of them, a page at a time. */
#include "cli/ask.h"
#include "cli/commands.h"
#include "cli/json.h"
#include "cli/report.h"
#include "core/base/limits.h"

/* A listing on its way. */
struct listing {
    const struct options *o;
    uint64_t wanted; /* names still to be listed */
    uint64_t count;  /* names listed */
    uint64_t zxid;   /* of the last page */
    bool more;
    struct buf text, last; /* what was listed; the last name */
};

static void take_name(struct listing *l, struct bytes name)
{
    if (l->o->json) {
        if (l->count > 0) buf_put_u8(&l->text, ',');
        json_put_string(&l->text, name);
    } else {
        buf_put_bytes_raw(&l->text, name);
        buf_put_u8(&l->text, '\n');
    }
    buf_clear(&l->last);
    buf_put_bytes_raw(&l->last, name);
    l->count++;
    l->wanted--;
}

static void on_page(void *ctx, const msgpack_object *result)
{
    struct listing *l = ctx;
    const msgpack_object *names = rpc_member(result, "children");
    const msgpack_object *more = rpc_member(result, "more");

    l->more = more != NULL && more->type == MSGPACK_OBJECT_BOOLEAN && more->via.boolean;
    l->zxid = rpc_uint(rpc_member(result, "zxid"), 0);
    if (names == NULL || names->type != MSGPACK_OBJECT_ARRAY ||
        names->via.array.size == 0) {
        l->more = false; /* an empty page ends a listing, whatever it says */
        return;
    }
    for (uint32_t i = 0; i < names->via.array.size && l->wanted > 0; i++) {
        take_name(l, rpc_bytes(&names->via.array.ptr[i]));
    }
}

static int ask_page(struct listing *l, struct remote *remote)
{
    struct ask a;
    int code;

    ask_init(&a, l->o, METHOD_CHILDREN, false);
    pack_cstr(&a.params, l->o->words[0]);
    a.args_count = 1;
    ask_level(&a);
    if (l->last.len > 0) {
        ask_option(&a, "after");
        pack_str(&a.options, buf_bytes(&l->last));
    }
    ask_option(&a, "limit");
    pack_uint(&a.options, l->wanted < LIST_COUNT_MAX ? l->wanted : LIST_COUNT_MAX);
    code = ask_send(&a, remote, on_page, l);
    ask_fini(&a);
    return code;
}

static int print_listing(struct listing *l)
{
    struct buf out = { 0 };
    int status;

    if (!l->o->json) return report_write(l->o->command, buf_bytes(&l->text));
    buf_put_bytes_raw(&out, BYTES_LIT("{\"path\":"));
    json_put_string(&out, bytes_str(l->o->words[0]));
    buf_put_bytes_raw(&out, BYTES_LIT(",\"children\":["));
    buf_put_bytes_raw(&out, buf_bytes(&l->text));
    report_printf(&out, "],\"more\":%s,\"zxid\":%llu}\n", l->more ? "true" : "false",
                  (unsigned long long) l->zxid);
    status = report_write(l->o->command, buf_bytes(&out));
    buf_fini(&out);
    return status;
}

int command_ls(const struct options *o)
{
    struct listing l = { .o = o, .wanted = options_number(o, FLAG_LIMIT, UINT64_MAX) };
    struct remote remote;
    int code = remote_open(&remote, o, 0), status;

    if (code != 0) return ask_fail(o, code, remote.message);
    buf_put_bytes_raw(&l.last, bytes_str(options_text(o, FLAG_AFTER, "")));
    do {
        code = ask_page(&l, &remote);
    } while (code == 0 && l.more && l.wanted > 0);
    status = code == 0 ? print_listing(&l) : ask_fail(o, code, remote.message);
    remote_close(&remote);
    buf_fini(&l.text);
    buf_fini(&l.last);
    return status;
}
