#include "cli/children.h"

#include "cli/ask.h"

struct page {
    struct buf *names;
    struct buf last; /* the last name of the page */
    bool more;
};

static void on_page(void *ctx, const msgpack_object *result)
{
    struct page *p = ctx;
    const msgpack_object *names = rpc_member(result, "children");
    const msgpack_object *more = rpc_member(result, "more");

    p->more = false; /* an empty page ends a listing, whatever it says */
    buf_clear(&p->last);
    if (names == NULL || names->type != MSGPACK_OBJECT_ARRAY) return;
    for (uint32_t i = 0; i < names->via.array.size; i++) {
        const struct bytes name = rpc_bytes(&names->via.array.ptr[i]);

        buf_put_bytes(p->names, name);
        p->more = more != NULL && more->type == MSGPACK_OBJECT_BOOLEAN && more->via.boolean;
        buf_clear(&p->last);
        buf_put_bytes_raw(&p->last, name);
    }
}

static int ask_page(const struct options *o, struct remote *remote, struct bytes path,
                    struct page *p)
{
    struct ask a;
    int code;

    ask_init(&a, o, METHOD_CHILDREN, false);
    pack_str(&a.params, path);
    a.args_count = 1;
    if (p->last.len > 0) {
        ask_option(&a, "after");
        pack_str(&a.options, buf_bytes(&p->last));
    }
    code = ask_send(&a, remote, on_page, p);
    ask_fini(&a);
    return code;
}

int children_ask(const struct options *o, struct remote *remote, struct bytes path,
                 struct buf *names)
{
    struct page p = { .names = names };
    int code;

    do {
        code = ask_page(o, remote, path, &p);
    } while (code == 0 && p.more);
    buf_fini(&p.last);
    return code;
}
