/* The recipes of resolver_rig.h. */
#include <stdio.h>

#include "core/base/errors.h"
#include "tests/lib/resolver_rig.h"

struct names {
    struct buf holder, queue, mine, ahead, scratch;
    uint8_t id[16];
};

static void join(struct buf *out, struct bytes path, const char *more)
{
    buf_clear(out);
    buf_put_bytes_raw(out, path);
    buf_put_bytes_raw(out, bytes_str(more));
}

static void names_fini(struct names *n)
{
    buf_fini(&n->holder);
    buf_fini(&n->queue);
    buf_fini(&n->mine);
    buf_fini(&n->ahead);
    buf_fini(&n->scratch);
}

/* Finds the call's own place, and the one before it, or the last one if it has none. */
static void find_place(struct tx *tx, struct names *n)
{
    struct buf name = { 0 }, next = { 0 };
    struct node node;

    buf_clear(&n->mine);
    buf_clear(&n->ahead);
    while (tx_child_next(tx, buf_bytes(&n->queue), buf_bytes(&name), KV_FORWARD, &next)) {
        struct buf used = name;

        name = next;
        next = used;
        join(&n->scratch, buf_bytes(&n->queue), "/");
        buf_put_bytes_raw(&n->scratch, buf_bytes(&name));
        if (!tx_read(tx, buf_bytes(&n->scratch), &node)) break;
        if (bytes_equal(node.data, bytes_of(n->id, sizeof n->id))) {
            buf_put_bytes_raw(&n->mine, buf_bytes(&n->scratch));
            break;
        }
        buf_clear(&n->ahead);
        buf_put_bytes_raw(&n->ahead, buf_bytes(&n->scratch));
    }
    buf_fini(&name);
    buf_fini(&next);
}

static void fail(struct script_result *out, int code)
{
    out->outcome = SCRIPT_ERROR;
    out->code = code;
    buf_put_bytes_raw(&out->message, bytes_str(error_name(code)));
}

static int take_lock(struct tx *tx, struct names *n)
{
    const struct bytes id = bytes_of(n->id, sizeof n->id);
    int code = n->mine.len > 0 ? tx_delete(tx, buf_bytes(&n->mine), -1) : 0;

    if (code != 0) return code;
    return tx_create(tx, buf_bytes(&n->holder), id, TX_EPHEMERAL | TX_PARENTS, &n->scratch);
}

static void lock_acquire(const struct script_call *call, struct tx *tx, struct names *n,
                         struct script_result *out)
{
    const unsigned flags = TX_EPHEMERAL | TX_SEQUENTIAL | TX_PARENTS;
    struct buf place = { 0 };
    struct node node;
    int code = 0;

    find_place(tx, n);
    if (n->ahead.len == 0 && !tx_read(tx, buf_bytes(&n->holder), &node)) {
        code = take_lock(tx, n);
        out->outcome = SCRIPT_DONE;
        buf_put_u8(&out->value, 1);
    } else {
        join(&place, buf_bytes(&n->queue), "/w-");
        if (n->mine.len == 0) {
            code =
                tx_create(tx, buf_bytes(&place), bytes_of(n->id, 16), flags, &n->scratch);
        }
        out->outcome = SCRIPT_WAIT;
        buf_put_bytes(&out->paths, buf_bytes(n->ahead.len > 0 ? &n->ahead : &n->holder));
        buf_fini(&place);
    }
    (void)call;
    if (code != 0) fail(out, code);
}

static void run_lock(const struct script_call *call, struct tx *tx,
                     struct script_result *out)
{
    struct names n = { 0 };
    int code = 0;

    put_u64(n.id, call->session);
    put_u64(n.id + 8, call->seq);
    join(&n.holder, call->args, "/holder");
    join(&n.queue, call->args, "/queue");
    out->outcome = SCRIPT_DONE;
    if (call->cancel) {
        find_place(tx, &n);
        if (n.mine.len > 0) code = tx_delete(tx, buf_bytes(&n.mine), -1);
    } else if (bytes_equal(call->function, BYTES_LIT("acquire"))) {
        lock_acquire(call, tx, &n, out);
    } else {
        code = tx_delete(tx, buf_bytes(&n.holder), -1);
    }
    if (code != 0) fail(out, code);
    names_fini(&n);
}

static void any_read(const struct script_call *call, struct tx *tx,
                     struct script_result *out)
{
    struct node node;

    out->outcome = tx_read(tx, call->args, &node) ? SCRIPT_DONE : SCRIPT_WAIT;
    if (out->outcome == SCRIPT_DONE) buf_put_bytes_raw(&out->value, node.data);
}

static void any_touch(const struct script_call *call, struct tx *tx,
                      struct script_result *out)
{
    struct buf path = { 0 }, created = { 0 };
    char name[32];
    int code;

    snprintf(name, sizeof name, "/%u-", (unsigned)call->seq);
    join(&path, call->args, name);
    code = tx_create(tx, buf_bytes(&path), (struct bytes){ 0 }, TX_SEQUENTIAL, &created);
    out->outcome = SCRIPT_WAIT;
    buf_put_bytes(&out->paths, call->args);
    if (code != 0) fail(out, code);
    buf_fini(&path);
    buf_fini(&created);
}

static void any_big(const struct script_call *call, struct tx *tx,
                    struct script_result *out)
{
    struct buf big = { 0 }, created = { 0 };

    buf_reserve(&big, REQUEST_BYTES_MAX);
    memset(big.ptr, 'x', REQUEST_BYTES_MAX);
    big.len = REQUEST_BYTES_MAX;
    out->outcome = SCRIPT_DONE;
    buf_put_bytes_raw(&out->value, buf_bytes(&big));
    buf_put_bytes_raw(&out->value, buf_bytes(&big));
    if (tx_create(tx, call->args, buf_bytes(&big), 0, &created) != 0)
        fail(out, ERR_REFUSED);
    buf_fini(&big);
    buf_fini(&created);
}

static void run_any(const struct script_call *call, struct tx *tx,
                    struct script_result *out)
{
    struct buf created = { 0 };

    if (!call->cancel && bytes_equal(call->function, BYTES_LIT("read"))) {
        any_read(call, tx, out);
    } else if (!call->cancel && bytes_equal(call->function, BYTES_LIT("touch"))) {
        any_touch(call, tx, out);
    } else if (bytes_equal(call->function, BYTES_LIT("dear"))) {
        out->outcome = SCRIPT_DONE;
        out->fuel = SCRIPT_FUEL_MAX;
    } else if (bytes_equal(call->function, BYTES_LIT("echo"))) {
        out->outcome = SCRIPT_DONE;
        buf_put_bytes_raw(&out->value, call->args);
    } else if (bytes_equal(call->function, BYTES_LIT("big"))) {
        any_big(call, tx, out);
    } else { /* also how these clean up: not at all */
        (void)tx_create(tx, BYTES_LIT("/boom"), (struct bytes){ 0 }, 0, &created);
        fail(out, ERR_SCRIPT_FAILED);
    }
    buf_fini(&created);
}

void rig_run_script(struct scripts *s, const struct script_call *call, struct tx *tx,
                    struct script_result *out)
{
    (void)s;
    if (bytes_equal(call->recipe, BYTES_LIT("lock")))
        run_lock(call, tx, out);
    else
        run_any(call, tx, out);
}
