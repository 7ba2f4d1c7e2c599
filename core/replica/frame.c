#include "core/replica/frame.h"

#include "core/base/check.h"
#include "core/base/errors.h"

enum { FRAME_VERSION = 3 };

/* No state has so many; above it sums of numbers could overflow. */
#define SNAPSHOT_CHUNKS_MAX (UINT64_C(1) << 48)

void frame_put_request(struct buf *out, uint64_t tag, uint64_t flow, struct bytes request)
{
    buf_put_uint(out, tag);
    buf_put_uint(out, flow);
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

static void put_ask(struct buf *out, const struct frame *f)
{
    buf_put_uint(out, f->slot);
    buf_put_uint(out, f->number);
    buf_put_uint(out, f->limit);
    buf_put_u8(out, f->again);
    buf_put_u64(out, f->sum);
    buf_put_bytes(out, f->cursor);
}

static void put_chunk(struct buf *out, const struct frame *f)
{
    buf_put_uint(out, f->slot);
    buf_put_uint(out, f->number);
    buf_put_u8(out, f->last);
    buf_put_u64(out, f->sum_before);
    buf_put_u64(out, f->sum);
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
        buf_put_u8(out, f->again);
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
    case FRAME_SNAPSHOT_OFFER:
        buf_put_uint(out, f->slot);
        return;
    case FRAME_SNAPSHOT_ASK:
        put_ask(out, f);
        return;
    case FRAME_SNAPSHOT_CHUNK:
        put_chunk(out, f);
        return;
    case FRAME_FULL:
        buf_put_u8(out, f->again);
        return;
    case FRAME_ATTACHED:
        buf_put_uint(out, f->id);
        buf_put_uint(out, f->index);
        return;
    case FRAME_DIGEST:
        buf_put_uint(out, f->slot);
        buf_put_u8(out, f->again);
        buf_put_u64(out, f->sum);
        return;
    }
    CHECK(false);
}

void frame_next_request(struct reader *items, uint64_t *tag, uint64_t *flow,
                        struct bytes *request)
{
    *tag = read_uint(items);
    *flow = read_uint(items);
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
    uint64_t count = read_uint(r), tag, flow;
    struct bytes request;

    if (count > reader_left(r)) r->bad = true;
    if (r->bad) return;
    f->count = (uint32_t) count;
    f->items = bytes_of(r->at, reader_left(r));
    for (uint32_t i = 0; i < f->count && !r->bad; i++) {
        if (f->kind == FRAME_FORWARD) {
            frame_next_request(r, &tag, &flow, &request);
        } else {
            frame_next_session(r);
        }
    }
}

static bool read_bool(struct reader *r)
{
    uint8_t value = read_u8(r);

    if (value > 1) r->bad = true;
    return value == 1;
}

static void read_ask(struct reader *r, struct frame *f)
{
    f->slot = read_uint(r);
    f->number = read_uint(r);
    f->limit = read_uint(r);
    f->again = read_bool(r);
    f->sum = read_u64(r);
    f->cursor = read_bytes(r, FRAME_CELL_KEY_MAX);
    if (f->limit < f->number || f->number > SNAPSHOT_CHUNKS_MAX) r->bad = true;
}

static void read_chunk(struct reader *r, struct frame *f)
{
    f->slot = read_uint(r);
    f->number = read_uint(r);
    f->last = read_bool(r);
    f->sum_before = read_u64(r);
    f->sum = read_u64(r);
    f->items = read_raw(r, reader_left(r));
    if (f->slot == 0 || f->number == 0) r->bad = true;
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
        f->again = read_bool(&r);
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
    case FRAME_SNAPSHOT_OFFER:
        f->slot = read_uint(&r);
        if (f->slot == 0) r.bad = true;
        break;
    case FRAME_SNAPSHOT_ASK:
        read_ask(&r, f);
        break;
    case FRAME_SNAPSHOT_CHUNK:
        read_chunk(&r, f);
        break;
    case FRAME_FULL:
        f->again = read_bool(&r);
        break;
    case FRAME_ATTACHED:
        f->id = read_uint(&r);
        f->index = read_uint(&r);
        break;
    case FRAME_DIGEST:
        f->slot = read_uint(&r);
        f->again = read_bool(&r);
        f->sum = read_u64(&r);
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
    case FRAME_SNAPSHOT_OFFER:
        return "snapshot_offer";
    case FRAME_SNAPSHOT_ASK:
        return "snapshot_ask";
    case FRAME_SNAPSHOT_CHUNK:
        return "snapshot_chunk";
    case FRAME_DIGEST:
        return "digest";
    case FRAME_FULL:
        return "full";
    case FRAME_ATTACHED:
        return "attached";
    }
    return "unknown";
}
