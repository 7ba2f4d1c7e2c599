#include "cli/follow.h"

#include "cli/ask.h"
#include "core/base/limits.h"

struct taker {
    remote_result_fn fn;
    void *ctx;
};

static void on_result(void *ctx, const msgpack_object *result)
{
    const struct taker *t = ctx;

    t->fn(t->ctx, rpc_member(result, "value"));
}

/* The session may be over before the call or during it: the next one asks the same. */
static int ask_until_answered(struct follow *f, struct ask *a, struct taker *t)
{
    for (;;) {
        if (!f->open) {
            const int code = remote_open(&f->remote, f->o, SESSION_TIMEOUT_DEFAULT_MS);
            if (code != 0) return code;
            f->open = true;
        }
        const int code = ask_send(a, &f->remote, on_result, t);
        if (code != ERR_SESSION_EXPIRED) return code;
        follow_end(f);
    }
}

int follow_ask(struct follow *f, const char *function, const uint64_t *after,
               remote_result_fn fn, void *ctx)
{
    struct taker t = { fn, ctx };
    struct ask a;
    int code;

    ask_init_call(&a, f->o, function, after == NULL ? 1 : 2);
    pack_cstr(&a.params, "path");
    pack_cstr(&a.params, f->o->words[0]);
    if (after != NULL) {
        pack_cstr(&a.params, "after");
        pack_uint(&a.params, *after);
    }
    a.limit_ms = 0;
    code = ask_until_answered(f, &a, &t);
    ask_fini(&a);
    return code;
}

void follow_end(struct follow *f)
{
    if (f->open) remote_close(&f->remote);
    f->open = false;
}
