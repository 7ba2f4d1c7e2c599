/* tree.c -- `tidelock tree`: a node and all below it.
 *
 * Each node is asked for by itself, so the print is of one moment only when nobody writes
 * meanwhile; what is deleted while it is printed is left out. */
#include "cli/ask.h"
#include "cli/children.h"
#include "cli/commands.h"
#include "cli/json.h"
#include "cli/report.h"
#include "core/base/limits.h"

enum { FLUSH_BYTES = 65536 };

struct printing {
    const struct options *o;
    struct remote remote;
    struct buf text;
    struct buf path; /* of the node at hand */
    struct buf data; /* its data as JSON */
    uint64_t levels; /* --depth */
    uint64_t level;  /* of the node at hand; the first is 0 */
    bool first;      /* JSON: no sibling stands before it */
    int status;      /* of a failed write to stdout */
};

/* --- a node --- */

static void on_data(void *ctx, const msgpack_object *result)
{
    struct printing *p = ctx;
    const msgpack_object *data = rpc_member(result, "data");

    if (data != NULL) json_from_msgpack(&p->data, data);
}

static int ask_data(struct printing *p)
{
    struct ask a;
    int code;

    buf_clear(&p->data);
    if (!options_given(p->o, FLAG_DATA)) return 0;
    ask_init(&a, p->o, METHOD_GET, false);
    pack_str(&a.params, buf_bytes(&p->path));
    a.args_count = 1;
    code = ask_send(&a, &p->remote, on_data, p);
    ask_fini(&a);
    return code;
}

static void put_plain(struct printing *p, struct bytes name)
{
    report_printf(&p->text, "%*s%.*s", (int) (2 * p->level), "", (int) name.len,
                  (const char *) name.ptr);
    if (p->data.len > 0) buf_put_u8(&p->text, ' ');
    buf_put_bytes_raw(&p->text, buf_bytes(&p->data));
    buf_put_u8(&p->text, '\n');
    if (p->text.len < FLUSH_BYTES) return;
    p->status = report_write(p->o->command, buf_bytes(&p->text));
    buf_clear(&p->text);
}

static void put_json(struct printing *p, struct bytes name)
{
    if (!p->first) buf_put_u8(&p->text, ',');
    buf_put_bytes_raw(&p->text, bytes_str(p->level == 0 ? "{\"path\":" : "{\"name\":"));
    json_put_string(&p->text, name);
    if (p->data.len == 0) return;
    buf_put_bytes_raw(&p->text, BYTES_LIT(",\"data\":"));
    buf_put_bytes_raw(&p->text, buf_bytes(&p->data));
}

/* --- the tree --- */

static int put_node(struct printing *p, struct bytes name);

static int put_children(struct printing *p, struct bytes names)
{
    const size_t path_len = p->path.len;
    struct reader r = reader_of(names);
    int code = 0;

    p->level++;
    p->first = true;
    while (code == 0 && p->status == 0 && reader_left(&r) > 0) {
        const struct bytes name = read_bytes(&r, names.len);

        if (path_len > 1) buf_put_u8(&p->path, '/');
        buf_put_bytes_raw(&p->path, name);
        code = put_node(p, name);
        p->path.len = path_len;
    }
    p->level--;
    return code;
}

static int ask_node(struct printing *p, bool deeper, struct buf *names)
{
    const int code = ask_data(p);

    if (code != 0 || (!deeper && p->level > 0)) return code;
    return children_ask(p->o, &p->remote, buf_bytes(&p->path), names);
}

/* Prints the node at hand; one that is gone meanwhile is none, except the first. */
static int put_node(struct printing *p, struct bytes name)
{
    const bool deeper = p->level < p->levels, json = p->o->json;
    struct buf names = { 0 };
    int code = ask_node(p, deeper, &names);

    if (code == ERR_NO_NODE && p->level > 0) {
        buf_fini(&names);
        return 0;
    }
    if (code == 0) {
        if (json) put_json(p, name);
        if (!json) put_plain(p, name);
        if (deeper && json) buf_put_bytes_raw(&p->text, BYTES_LIT(",\"children\":["));
        if (deeper) code = put_children(p, buf_bytes(&names));
        if (deeper && json) buf_put_u8(&p->text, ']');
        if (json) buf_put_u8(&p->text, '}');
        p->first = false;
    }
    buf_fini(&names);
    return code;
}

int command_tree(const struct options *o)
{
    const struct bytes path = bytes_str(o->words_count > 0 ? o->words[0] : "/");
    struct printing p = { .o = o,
                          .levels = options_number(o, FLAG_LEVELS, UINT64_MAX),
                          .first = true };
    int code = remote_open(&p.remote, o, 0), status;

    if (code != 0) return ask_fail(o, code, p.remote.message);
    buf_put_bytes_raw(&p.path, path);
    code = put_node(&p, path);
    if (code == 0 && o->json) buf_put_u8(&p.text, '\n');
    status = code != 0       ? ask_fail(o, code, p.remote.message)
             : p.status != 0 ? p.status
                             : report_write(o->command, buf_bytes(&p.text));
    remote_close(&p.remote);
    buf_fini(&p.text);
    buf_fini(&p.path);
    buf_fini(&p.data);
    return status;
}
