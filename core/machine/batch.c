#include "core/machine/batch.h"

#include <inttypes.h>
#include <stdio.h>

#include "core/base/errors.h"
#include "core/base/limits.h"
#include "core/machine/result.h"
#include "core/machine/roster.h"
#include "core/tree/op.h"

enum { BATCH_VERSION = 2, BATCH_VERSION_FIRST = 1 };

static const unsigned known_flags = TXN_FINAL | TXN_REPEATED;

void batch_begin(struct buf *out, const struct batch *b)
{
    buf_put_u8(out, BATCH_VERSION);
    buf_put_uint(out, b->zxid_first);
    buf_put_uint(out, (uint64_t)b->time_ms);
    buf_put_uint(out, b->clock_ms);
    buf_put_uint(out, b->digest_slot);
    buf_put_u64(out, b->digest);
}

void txn_encode(struct buf *out, const struct txn *t)
{
    buf_put_u8(out, (uint8_t)t->flags);
    buf_put_uint(out, t->origin);
    buf_put_uint(out, t->tag);
    buf_put_uint(out, t->session);
    buf_put_uint(out, t->seq);
    buf_put_uint(out, t->ack);
    buf_put_bytes(out, t->ops);
    buf_put_bytes(out, t->result);
}

static void read_txn(struct reader *r, struct txn *t)
{
    uint64_t origin;

    *t = (struct txn){ .flags = read_u8(r) };
    origin = read_uint(r);
    t->tag = read_uint(r);
    t->session = read_uint(r);
    t->seq = read_uint(r);
    t->ack = read_uint(r);
    t->ops = read_bytes(r, BATCH_BYTES_MAX);
    t->result = read_bytes(r, BATCH_BYTES_MAX);
    if ((t->flags & ~known_flags) != 0 || origin > NODES_MAX) r->bad = true;
    t->origin = (uint32_t)origin;
}

int txn_next(struct batch *b, struct txn *t)
{
    read_txn(&b->txns, t);
    return b->txns.bad ? ERR_BAD_MESSAGE : 0;
}

/* The ops decode, and so nothing can stop half way when they are applied. */
static bool ops_fit(struct bytes ops, uint32_t *rosters)
{
    struct reader r = reader_of(ops);
    struct op op;

    while (reader_left(&r) > 0) {
        if (op_decode(&r, &op) != 0) return false;
        *rosters += op.kind == OP_MEMBERS;
    }
    return !r.bad;
}

static bool txns_fit(struct batch *b)
{
    struct batch walk = *b;
    struct txn t;

    for (uint32_t i = 0; i < b->count; i++) {
        if (txn_next(&walk, &t) != 0 || !ops_fit(t.ops, &b->rosters)) return false;
    }
    return reader_done(&walk.txns);
}

int batch_decode(struct bytes bytes, struct batch *b)
{
    struct reader r = reader_of(bytes);
    uint8_t version = read_u8(&r);
    uint64_t time_ms, count;

    if (r.bad) return ERR_BAD_MESSAGE;
    if (version < BATCH_VERSION_FIRST || version > BATCH_VERSION) return ERR_OTHER_VERSION;
    *b = (struct batch){ .zxid_first = read_uint(&r) };
    time_ms = read_uint(&r);
    if (version > BATCH_VERSION_FIRST) b->clock_ms = read_uint(&r);
    b->digest_slot = read_uint(&r);
    b->digest = read_u64(&r);
    count = read_uint(&r);
    if (r.bad || time_ms > INT64_MAX || count > BATCH_BYTES_MAX) return ERR_BAD_MESSAGE;
    b->time_ms = (int64_t)time_ms;
    b->count = (uint32_t)count;
    b->txns = r;
    return txns_fit(b) ? 0 : ERR_BAD_MESSAGE;
}

/* A line is text for a person: what does not fit is cut, what does not print is a dot. */
struct text {
    char line[1024];
    size_t len;
};

static void text_put(struct text *t, const char *str)
{
    while (*str != '\0' && t->len < sizeof t->line - 1)
        t->line[t->len++] = *str++;
    t->line[t->len] = '\0';
}

static void text_number(struct text *t, const char *name, uint64_t v)
{
    char number[64];

    snprintf(number, sizeof number, "%s%" PRIu64, name, v);
    text_put(t, number);
}

static void text_path(struct text *t, struct bytes path)
{
    char one[2] = { 0 };

    for (size_t i = 0; i < path.len; i++) {
        one[0] = (char)path.ptr[i];
        if (path.ptr[i] < 0x20 || path.ptr[i] == 0x7f) one[0] = '.';
        text_put(t, one);
    }
}

static void text_data(struct text *t, struct bytes data)
{
    if (data.ptr == NULL)
        text_put(t, " null");
    else
        text_number(t, " bytes=", data.len);
}

/* "number=4: 1 voter 10.0.0.1:7401, 2 joining 10.0.0.2:7401" */
static void text_roster(struct text *t, struct bytes bytes)
{
    struct roster roster;

    if (roster_decode(bytes, &roster) != 0) {
        text_put(t, "(no roster)");
        return;
    }
    text_number(t, "number=", roster.number);
    for (uint32_t i = 0; i < roster.count; i++) {
        text_number(t, i == 0 ? ": " : ", ", roster.at[i].id);
        text_put(t, " ");
        text_put(t, member_kind_name(roster.at[i].kind));
        text_put(t, " ");
        text_put(t, roster.at[i].peer);
    }
}

static void text_life(struct text *t, const struct op *op)
{
    switch (op->life) {
    case NODE_STAYS:
        break;
    case NODE_CONTAINER:
        text_put(t, " container");
        break;
    case NODE_TTL:
        text_number(t, " ttl_ms=", op->life_ms);
        break;
    case NODE_LINGERS:
        text_number(t, " linger_ms=", op->life_ms);
        break;
    }
}

static void text_op(struct text *t, const struct op *op)
{
    text_put(t, " | ");
    text_put(t, op_name(op->kind));
    text_put(t, " ");
    switch (op->kind) {
    case OP_CREATE:
        text_path(t, op->path);
        text_data(t, op->data);
        if (op->owner != 0) text_number(t, " owner=", op->owner);
        text_life(t, op);
        break;
    case OP_SET:
        text_path(t, op->path);
        text_data(t, op->data);
        break;
    case OP_DELETE:
    case OP_TOUCH:
        text_path(t, op->path);
        break;
    case OP_QUOTA:
        text_path(t, op->path);
        text_number(t, " nodes=", op->nodes);
        text_number(t, "/", op->nodes_max);
        text_number(t, " bytes=", op->bytes);
        text_number(t, "/", op->bytes_max);
        break;
    case OP_SESSION_OPEN: /* its data is the secret */
        text_number(t, "id=", op->owner);
        text_number(t, " timeout_ms=", op->timeout_ms);
        break;
    case OP_SESSION_CLOSE:
    case OP_SESSION_END:
        text_number(t, "id=", op->owner);
        break;
    case OP_MEMBERS:
        text_roster(t, op->data);
        break;
    }
}

static void text_result(struct text *t, const struct txn *txn)
{
    struct result result;

    if ((txn->flags & TXN_REPEATED) != 0) {
        text_put(t, " repeated");
    } else if ((txn->flags & TXN_FINAL) == 0) {
        text_put(t, " waits");
    } else if (txn->result.ptr != NULL && result_decode(txn->result, &result) == 0) {
        text_put(t, " ");
        text_put(t, result.code == 0 ? "ok" : error_name(result.code));
    }
}

static void print_txn(struct text *t, uint64_t zxid, const struct txn *txn)
{
    struct reader ops = reader_of(txn->ops);
    struct op op;

    t->len = 0;
    text_number(t, "zxid=", zxid);
    if (txn->origin != 0) text_number(t, " origin=", txn->origin);
    if (txn->session != 0) {
        text_number(t, " session=", txn->session);
        text_number(t, " seq=", txn->seq);
    }
    text_result(t, txn);
    while (reader_left(&ops) > 0 && op_decode(&ops, &op) == 0)
        text_op(t, &op);
}

void batch_print(struct bytes bytes, void (*line)(void *ctx, const char *text), void *ctx)
{
    struct text t = { .len = 0 };
    struct batch b;
    struct txn txn;
    int code = batch_decode(bytes, &b);

    if (code != 0) {
        text_put(&t, "this is no batch: ");
        text_put(&t, error_name(code));
        line(ctx, t.line);
        return;
    }
    for (uint32_t i = 0; i < b.count && txn_next(&b, &txn) == 0; i++) {
        print_txn(&t, b.zxid_first + i, &txn);
        line(ctx, t.line);
    }
}
