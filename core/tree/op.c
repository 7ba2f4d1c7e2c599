#include "core/tree/op.h"

#include "core/base/check.h"
#include "core/base/errors.h"
#include "core/base/limits.h"
#include "core/tree/path.h"

/* On the wire only: a create that says more. */
enum { CODE_CREATE_WITH_LIFE = 32 };
static_assert((int) OP_SESSION_END < (int) CODE_CREATE_WITH_LIFE, "no op has this code");

bool op_is_of_tree(enum op_kind kind)
{
    return kind <= OP_DELETE || kind == OP_TOUCH || kind == OP_QUOTA;
}

static void put_create(struct buf *out, const struct op *op)
{
    buf_put_bytes(out, op->path);
    buf_put_bytes(out, op->data);
    buf_put_uint(out, op->owner);
    if (op->life == NODE_STAYS) return;
    buf_put_u8(out, (uint8_t) op->life);
    buf_put_uint(out, op->life_ms);
}

static void put_quota(struct buf *out, const struct op *op)
{
    buf_put_bytes(out, op->path);
    buf_put_uint(out, op->nodes_max);
    buf_put_uint(out, op->bytes_max);
    buf_put_uint(out, op->nodes);
    buf_put_uint(out, op->bytes);
}

void op_encode(struct buf *out, const struct op *op)
{
    const bool with_life = op->kind == OP_CREATE && op->life != NODE_STAYS;

    CHECK(op->kind >= OP_CREATE);
    CHECK(op->kind <= OP_SESSION_END);
    buf_put_u8(out, with_life ? CODE_CREATE_WITH_LIFE : (uint8_t) op->kind);
    switch (op->kind) {
    case OP_CREATE:
        put_create(out, op);
        return;
    case OP_SET:
        buf_put_bytes(out, op->path);
        buf_put_bytes(out, op->data);
        return;
    case OP_DELETE:
    case OP_TOUCH:
        buf_put_bytes(out, op->path);
        return;
    case OP_SESSION_OPEN:
        buf_put_uint(out, op->owner);
        buf_put_uint(out, op->timeout_ms);
        buf_put_bytes(out, op->data);
        return;
    case OP_SESSION_CLOSE:
    case OP_SESSION_END:
        buf_put_uint(out, op->owner);
        return;
    case OP_MEMBERS:
        buf_put_bytes(out, op->data);
        return;
    case OP_QUOTA:
        put_quota(out, op);
        return;
    }
}

static void read_life(struct reader *r, struct op *op)
{
    uint8_t life = read_u8(r);

    op->life_ms = read_uint(r);
    if (life == NODE_STAYS || life > NODE_LINGERS) r->bad = true;
    if ((life == NODE_LINGERS) != (op->owner != 0)) r->bad = true;
    if ((life == NODE_CONTAINER) != (op->life_ms == 0)) r->bad = true;
    op->life = (enum node_life) life;
}

static void read_fields(struct reader *r, struct op *op, bool with_life)
{
    switch (op->kind) {
    case OP_CREATE:
        op->data = read_bytes(r, REQUEST_BYTES_MAX);
        op->owner = read_uint(r);
        if (with_life) read_life(r, op);
        return;
    case OP_SET:
    case OP_MEMBERS:
        op->data = read_bytes(r, REQUEST_BYTES_MAX);
        return;
    case OP_SESSION_OPEN:
        op->owner = read_uint(r);
        op->timeout_ms = read_uint(r);
        op->data = read_bytes(r, SESSION_SECRET_BYTES);
        if (op->data.len != SESSION_SECRET_BYTES) r->bad = true;
        return;
    case OP_SESSION_CLOSE:
    case OP_SESSION_END:
        op->owner = read_uint(r);
        return;
    case OP_QUOTA:
        op->nodes_max = read_uint(r);
        op->bytes_max = read_uint(r);
        op->nodes = read_uint(r);
        op->bytes = read_uint(r);
        return;
    case OP_DELETE:
    case OP_TOUCH:
        return;
    }
}

int op_decode(struct reader *r, struct op *op)
{
    uint8_t code = read_u8(r);
    const bool with_life = code == CODE_CREATE_WITH_LIFE;

    *op = (struct op){ 0 };
    if (with_life) code = OP_CREATE;
    if (code < OP_CREATE || code > OP_SESSION_END) return ERR_BAD_MESSAGE;
    op->kind = (enum op_kind) code;
    if (op_is_of_tree(op->kind)) {
        op->path = read_bytes(r, PATH_BYTES_MAX);
        if (path_check(op->path) != 0) r->bad = true;
    }
    read_fields(r, op, with_life);
    return r->bad ? ERR_BAD_MESSAGE : 0;
}

const char *op_name(enum op_kind kind)
{
    switch (kind) {
    case OP_CREATE:
        return "create";
    case OP_SET:
        return "set";
    case OP_DELETE:
        return "delete";
    case OP_SESSION_OPEN:
        return "session_open";
    case OP_SESSION_CLOSE:
        return "session_close";
    case OP_MEMBERS:
        return "members";
    case OP_TOUCH:
        return "touch";
    case OP_QUOTA:
        return "quota";
    case OP_SESSION_END:
        return "session_end";
    }
    return "unknown";
}
