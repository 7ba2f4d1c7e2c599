/* recipe_list.c -- `tidelock recipe list`: those in the tree, then the shipped ones. */
#include "cli/ask.h"
#include "cli/children.h"
#include "cli/commands.h"
#include "cli/json.h"
#include "cli/report.h"
#include "cli/shipped.h"

struct listing {
    const struct options *o;
    struct remote remote;
    struct buf text, shipped;
    bool any; /* JSON: something was put before */
};

/* The stat of one node. */
struct facts {
    uint64_t version, bytes;
};

static void on_stat(void *ctx, const msgpack_object *result)
{
    struct facts *f = ctx;
    const msgpack_object *stat = rpc_member(result, "stat");

    f->version = rpc_uint(rpc_member(stat, "version"), 0);
    f->bytes = rpc_uint(rpc_member(stat, "dataLength"), 0);
}

/* `f` NULL: not in the tree. */
static void put_recipe(struct listing *l, struct bytes name, const struct facts *f)
{
    const bool shipped = shipped_has(buf_bytes(&l->shipped), name);

    if (l->o->json) {
        buf_put_bytes_raw(&l->text, bytes_str(l->any ? ",{\"name\":" : "{\"name\":"));
        json_put_string(&l->text, name);
        buf_put_bytes_raw(&l->text, BYTES_LIT(",\"version\":"));
        if (f == NULL) {
            buf_put_bytes_raw(&l->text, BYTES_LIT("null"));
        } else {
            report_printf(&l->text, "%llu", (unsigned long long) f->version);
        }
        report_printf(&l->text, ",\"shipped\":%s}", shipped ? "true" : "false");
    } else if (f == NULL) {
        report_printf(&l->text, "%.*s shipped\n", (int) name.len, (const char *) name.ptr);
    } else {
        report_printf(&l->text, "%.*s %llu%s\n", (int) name.len, (const char *) name.ptr,
                      (unsigned long long) f->version,
                      shipped ? " in place of the shipped one" : "");
    }
    l->any = true;
}

/* A node without data is no recipe; one that is gone meanwhile is none either. */
static int put_stored(struct listing *l, struct bytes name, struct buf *stored)
{
    struct facts f = { 0 };
    struct buf path = { 0 };
    struct ask a;
    int code;

    buf_put_bytes_raw(&path, BYTES_LIT(RECIPES_DIRECTORY "/"));
    buf_put_bytes_raw(&path, name);
    ask_init(&a, l->o, METHOD_STAT, false);
    pack_str(&a.params, buf_bytes(&path));
    a.args_count = 1;
    code = ask_send(&a, &l->remote, on_stat, &f);
    ask_fini(&a);
    buf_fini(&path);
    if (code == ERR_NO_NODE) return 0;
    if (code != 0 || f.bytes == 0) return code;
    put_recipe(l, name, &f);
    buf_put_bytes(stored, name);
    return 0;
}

static int put_all(struct listing *l)
{
    struct buf names = { 0 }, stored = { 0 };
    int code = children_ask(l->o, &l->remote, BYTES_LIT(RECIPES_DIRECTORY), &names);
    struct reader r = reader_of(buf_bytes(&names)), shipped;

    if (code == ERR_NO_NODE) code = 0; /* none was ever put */
    while (code == 0 && reader_left(&r) > 0) {
        code = put_stored(l, read_bytes(&r, names.len), &stored);
    }
    shipped = reader_of(buf_bytes(&l->shipped));
    while (code == 0 && reader_left(&shipped) > 0) {
        const struct bytes name = read_bytes(&shipped, l->shipped.len);
        if (!shipped_has(buf_bytes(&stored), name)) put_recipe(l, name, NULL);
    }
    buf_fini(&names);
    buf_fini(&stored);
    return code;
}

int command_recipe_list(const struct options *o)
{
    struct listing l = { .o = o };
    int code = remote_open(&l.remote, o, 0), status;

    if (code != 0) return ask_fail(o, code, l.remote.message);
    if (o->json) buf_put_bytes_raw(&l.text, BYTES_LIT("{\"recipes\":["));
    code = shipped_ask(o, &l.remote, &l.shipped);
    if (code == 0) code = put_all(&l);
    if (o->json) buf_put_bytes_raw(&l.text, BYTES_LIT("]}\n"));
    status = code == 0 ? report_write(o->command, buf_bytes(&l.text))
                       : ask_fail(o, code, l.remote.message);
    remote_close(&l.remote);
    buf_fini(&l.text);
    buf_fini(&l.shipped);
    return status;
}
