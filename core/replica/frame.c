#include "core/replica/frame.h"

#include "core/base/check.h"
#include "core/base/errors.h"

enum { FRAME_VERSION = 1 };

void frame_put_request(struct buf *out, uint64_t tag, struct bytes request)
{
    buf_put_uint(out, tag);
    buf_put_bytes(out, request);
}

void frame_put_session(struct buf *out, uint64_t session)
{
    buf_put_uint(out, session);
}

static void put_reign(struct buf *out, const struct frame *f)
{
    buf_put_uint(out, f->reign.round);
    buf_put_uint(out, f->reign.node);
    buf_put_uint(out, f->boot);
    buf_put_uint(out, f->number);
}

void frame_encode(struct buf *out, const struct frame *f)
{
    buf_put_u8(out, FRAME_VERSION);
    buf_put_u8(out, (uint8_t) f->kind);
    switch (f->kind) {
    case FRAME_PAXOS:
        paxos_message_encode(out, &f->paxos);
        return;
    case FRAME_FORWARD:
        put_reign(out, f);
        buf_put_uint(out, f->count);
        return;
    case FRAME_FORWARD_NEXT:
        put_reign(out, f);
        return;
    case FRAME_READ_ASK:
        buf_put_uint(out, f->boot);
        buf_put_uint(out, f->id);
        buf_put_uint(out, f->count);
        return;
    case FRAME_READ_OK:
        buf_put_uint(out, f->boot);
        buf_put_uint(out, f->id);
        buf_put_uint(out, f->index);
        return;
    }
    CHECK(false);
}

void frame_next_request(struct reader *items, uint64_t *tag, struct bytes *request)
{
    *tag = read_uint(items);
    *request = read_bytes(items, BATCH_BYTES_MAX);
    if (request->ptr == NULL) items->bad = true;
}

uint64_t frame_next_session(struct reader *items)
{
    uint64_t session = read_uint(items);

    if (session == 0) items->bad = true;
    return session;
}

static void read_reign(struct reader *r, struct frame *f)
{
    uint64_t node;

    f->reign.round = read_uint(r);
    node = read_uint(r);
    if (f->reign.round == 0 || node == 0 || node > NODES_MAX) r->bad = true;
    f->reign.node = (uint32_t) node;
    f->boot = read_uint(r);
    f->number = read_uint(r);
    if (f->boot == 0 || f->number == 0) r->bad = true;
}

/* Takes the rest of `r` as items and walks them once, so that whoever reads them later need
 * not look for errors. */
static void read_items(struct reader *r, struct frame *f)
{
    uint64_t count = read_uint(r), tag;
    struct bytes request;

    if (count > reader_left(r)) r->bad = true;
    if (r->bad) return;
    f->count = (uint32_t) count;
    f->items = bytes_of(r->at, reader_left(r));
    for (uint32_t i = 0; i < f->count && !r->bad; i++) {
        if (f->kind == FRAME_FORWARD) {
            frame_next_request(r, &tag, &request);
        } else {
            frame_next_session(r);
        }
    }
}

int frame_decode(struct bytes bytes, struct frame *f)
{
    struct reader r = reader_of(bytes);

    *f = (struct frame){ 0 };
    if (read_u8(&r) != FRAME_VERSION) return ERR_BAD_MESSAGE;
    f->kind = (enum frame_kind) read_u8(&r);
    if (r.bad) return ERR_BAD_MESSAGE;
    switch (f->kind) {
    case FRAME_PAXOS:
        return paxos_message_decode(bytes_of(r.at, reader_left(&r)), &f->paxos);
    case FRAME_FORWARD:
        read_reign(&r, f);
        read_items(&r, f);
        break;
    case FRAME_FORWARD_NEXT:
        read_reign(&r, f);
        break;
    case FRAME_READ_ASK:
        f->boot = read_uint(&r);
        f->id = read_uint(&r);
        read_items(&r, f);
        break;
    case FRAME_READ_OK:
        f->boot = read_uint(&r);
        f->id = read_uint(&r);
        f->index = read_uint(&r);
        break;
    default: /* a byte from the network may be anything */
        return ERR_BAD_MESSAGE;
    }
    return reader_done(&r) ? 0 : ERR_BAD_MESSAGE;
}

const char *frame_name(const struct frame *f)
{
    switch (f->kind) {
    case FRAME_PAXOS:
        return paxos_message_name(f->paxos.kind);
    case FRAME_FORWARD:
        return "forward";
    case FRAME_FORWARD_NEXT:
        return "forward_next";
    case FRAME_READ_ASK:
        return "read_ask";
    case FRAME_READ_OK:
        return "read_ok";
    }
    return "unknown";
}
