#include "core/server/inlet.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/base/check.h"
#include "core/base/errors.h"
#include "core/base/limits.h"

static void on_closed(uv_handle_t *handle)
{
    struct inlet *i = handle->data;

    list_remove(&i->member);
    out_fini(&i->out);
    buf_fini(&i->in);
    free(i);
}

void inlet_close(struct inlet *i)
{
    if (i->closing) return;
    i->closing = true;
    uv_close((uv_handle_t *)&i->tcp, on_closed);
    if (i->peer.node != 0) i->context->down(i->context->peers, i->peer);
}

static void refuse(struct inlet *i, int code)
{
    char who[32];

    snprintf(who, sizeof who, "node-%u", (unsigned)i->peer.node);
    peer_complain(i->context, i->peer.node != 0 ? who : "unknown", code);
    inlet_close(i);
}

/* The sender has nothing under way to us, so the end does not overtake the refusal. */
static void refuse_stranger(struct inlet *i, uint32_t node, int code)
{
    peer_complain_stranger(i->context, node, code);
    wire_refusal_put(out_buf(&i->out), code, i->context->number);
    (void)out_flush(&i->out); /* if it is lost, the sender asks again */
    inlet_close(i);
}

/* A server that comes again has lost its old connection, whether we noticed or not. */
static void replace_others(struct inlet *i)
{
    LIST_EACH_SAFE(at, after, i->all)
    {
        struct inlet *other = CONTAINER_OF(at, struct inlet, member);
        if (other == i || other->peer.node != i->peer.node) continue;
        if (other->peer.incarnation == i->peer.incarnation) inlet_close(other);
    }
}

static bool on_hello(struct inlet *i, struct bytes body)
{
    const struct wire_hello ours = { .cluster = i->context->cluster,
                                     .founding = i->context->identity->founding,
                                     .joined = i->context->identity->joined,
                                     .from = i->context->self };
    struct wire_hello theirs;

    int code = wire_hello_read(body, &theirs);
    if (code == 0) code = wire_hello_judge(&theirs, &ours);
    if (code == 0) code = i->context->greeted(i->context->peers, &theirs);
    if (code == ERR_WRONG_CLUSTER && theirs.to == i->context->self) {
        i->context->foreign(i->context->peers, &theirs);
    }
    if (code != 0) {
        if (code == ERR_OTHER_DATA || code == ERR_NO_MEMBER) {
            refuse_stranger(i, theirs.from, code);
        } else {
            refuse(i, code);
        }
        return false;
    }
    i->peer = (struct peer_id){ theirs.from, theirs.incarnation };
    i->number = theirs.number;
    i->body_max = FRAME_BYTES_MAX;
    replace_others(i);
    peer_hello_put(i->context, i->peer.node, out_buf(&i->out));
    return true;
}

static bool on_frame(void *ctx, struct bytes body)
{
    struct inlet *i = ctx;

    if (i->peer.node == 0) return on_hello(i, body);
    if (i->context->frame(i->context->peers, i->peer, body)) return true;
    refuse(i, ERR_BAD_MESSAGE);
    return false;
}

static void on_read_buffer(uv_handle_t *handle, size_t size, uv_buf_t *buf)
{
    struct inlet *i = handle->data;

    (void)size;
    peer_read_buffer(i->context, buf);
}

static void on_read(uv_stream_t *stream, ssize_t got, const uv_buf_t *buf)
{
    struct inlet *i = stream->data;

    if (got < 0) {
        inlet_close(i);
        return;
    }
    struct bytes bytes = bytes_of(buf->base, (size_t)got);
    if (!wire_feed(&i->in, bytes, &i->body_max, on_frame, i)) refuse(i, ERR_BAD_MESSAGE);
}

void inlet_accept(uv_stream_t *listener, struct peer_context *context, struct list *all)
{
    struct inlet *i = mem_zalloc(sizeof *i);

    i->context = context;
    i->all = all;
    i->body_max = WIRE_HELLO_BYTES_MAX;
    i->opened_ms = uv_now(context->loop);
    list_init(&i->member);
    list_push(all, &i->member);
    CHECK(uv_tcp_init(context->loop, &i->tcp) == 0);
    i->tcp.data = i;
    out_init(&i->out, (uv_stream_t *)&i->tcp, &context->dirties);
    if (uv_accept(listener, (uv_stream_t *)&i->tcp) != 0 ||
        uv_read_start((uv_stream_t *)&i->tcp, on_read_buffer, on_read) != 0) {
        inlet_close(i);
        return;
    }
    peer_tcp_tune(&i->tcp);
}
