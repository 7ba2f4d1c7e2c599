#include "core/tree/op.h"

#include "core/base/check.h"
#include "core/base/errors.h"
#include "core/base/limits.h"
#include "core/tree/path.h"

void op_encode(struct buf *out, const struct op *op)
{
    CHECK(op->kind >= OP_CREATE);
    CHECK(op->kind <= OP_MEMBERS);
    buf_put_u8(out, (uint8_t) op->kind);
    switch (op->kind) {
    case OP_CREATE:
        buf_put_bytes(out, op->path);
        buf_put_bytes(out, op->data);
        buf_put_uint(out, op->owner);
        return;
    case OP_SET:
        buf_put_bytes(out, op->path);
        buf_put_bytes(out, op->data);
        return;
    case OP_DELETE:
        buf_put_bytes(out, op->path);
        return;
    case OP_SESSION_OPEN:
        buf_put_uint(out, op->owner);
        buf_put_uint(out, op->timeout_ms);
        buf_put_bytes(out, op->data);
        return;
    case OP_SESSION_CLOSE:
        buf_put_uint(out, op->owner);
        return;
    case OP_MEMBERS:
        buf_put_bytes(out, op->data);
        return;
    }
}

static void read_fields(struct reader *r, struct op *op)
{
    bool has_path = op->kind <= OP_DELETE;

    if (has_path) op->path = read_bytes(r, PATH_BYTES_MAX);
    if (op->kind == OP_CREATE || op->kind == OP_SET || op->kind == OP_MEMBERS) {
        op->data = read_bytes(r, REQUEST_BYTES_MAX);
    }
    if (op->kind == OP_CREATE || op->kind == OP_SESSION_OPEN ||
        op->kind == OP_SESSION_CLOSE) {
        op->owner = read_uint(r);
    }
    if (op->kind == OP_SESSION_OPEN) {
        op->timeout_ms = read_uint(r);
        op->data = read_bytes(r, SESSION_SECRET_BYTES);
        if (op->data.len != SESSION_SECRET_BYTES) r->bad = true;
    }
    if (has_path && path_check(op->path) != 0) r->bad = true;
}

int op_decode(struct reader *r, struct op *op)
{
    uint8_t kind = read_u8(r);

    *op = (struct op){ 0 };
    if (kind < OP_CREATE || kind > OP_MEMBERS) return ERR_BAD_MESSAGE;
    op->kind = (enum op_kind) kind;
    read_fields(r, op);
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
    }
    return "unknown";
}
