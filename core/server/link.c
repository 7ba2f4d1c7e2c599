#include "core/server/link.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/base/check.h"
#include "core/base/errors.h"
#include "core/base/log.h"

enum {
    DELAY_MIN_MS = 20,
    DELAY_MAX_MS = 200,
    GREETING_LIMIT_MS = 500,     /* from dialling to their hello */
    QUEUED_BYTES_MAX = 32 << 20, /* to a peer that does not read */
};

static void dial_later(struct link *l);

/* --- the end of a connection --- */

static void on_timer_closed(uv_handle_t *handle)
{
    free(handle->data);
}

/* Nothing but the timer is left. */
static void end(struct link *l)
{
    CHECK(l->stopping && l->state == LINK_IDLE);
    uv_close((uv_handle_t *)&l->timer, on_timer_closed);
}

static void on_closed(uv_handle_t *handle)
{
    struct link *l = handle->data;

    out_fini(&l->out);
    buf_fini(&l->in);
    l->state = LINK_IDLE;
    if (l->stopping) {
        end(l);
    } else {
        dial_later(l);
    }
}

void link_close(struct link *l)
{
    bool was_up = l->state == LINK_UP;

    if (l->state != LINK_DIALLING && l->state != LINK_GREETING && !was_up) return;
    l->state = LINK_CLOSING;
    uv_timer_stop(&l->timer);
    uv_close((uv_handle_t *)&l->tcp, on_closed);
    if (!was_up) return;
    if (!l->stopping) log_line(LOG_INFO, "peers", "msg=\"peer lost\" node=%u", l->peer.node);
    l->context->down(l->context->peers, l->peer);
}

/* --- greeting --- */

static void refuse(struct link *l, int code)
{
    char text[ADDRESS_TEXT_MAX];

    address_format(&l->address, text);
    if (code == ERR_OTHER_DATA || code == ERR_NO_MEMBER) {
        peer_complain_stranger(l->context, l->peer.node, code);
    } else {
        peer_complain(l->context, text, code);
    }
    link_close(l);
}

static void up(struct link *l)
{
    l->state = LINK_UP;
    l->delay_ms = DELAY_MIN_MS;
    uv_timer_stop(&l->timer);
    log_line(LOG_INFO, "peers", "msg=\"peer connected\" node=%u", l->peer.node);
    l->context->up(l->context->peers, l->peer.node);
}

static bool on_refusal(struct link *l, int code, uint32_t number)
{
    l->context->refused(l->context->peers, l->peer.node, code, number);
    link_close(l);
    return false;
}

static bool on_hello(void *ctx, struct bytes body)
{
    struct link *l = ctx;
    const struct wire_hello ours = { .cluster = l->context->cluster,
                                     .founding = l->context->identity->founding,
                                     .joined = l->context->identity->joined,
                                     .from = l->context->self,
                                     .to = l->peer.node };
    struct wire_hello theirs;
    uint32_t number;

    int code = l->state == LINK_GREETING ? wire_refusal_read(body, &number) : 0;
    if (code != 0) return on_refusal(l, code, number);
    code = l->state == LINK_GREETING ? wire_hello_read(body, &theirs) : ERR_BAD_MESSAGE;
    if (code == 0) code = wire_hello_judge(&theirs, &ours);
    if (code == 0) code = l->context->greeted(l->context->peers, &theirs);
    if (code != 0) {
        refuse(l, code);
        return false;
    }
    if (!l->context->agreed(l->context->peers, &theirs)) {
        link_close(l);
        return false;
    }
    l->peer.incarnation = theirs.incarnation;
    up(l);
    return true;
}

static void on_read_buffer(uv_handle_t *handle, size_t size, uv_buf_t *buf)
{
    struct link *l = handle->data;

    (void)size;
    peer_read_buffer(l->context, buf);
}

static void on_read(uv_stream_t *stream, ssize_t got, const uv_buf_t *buf)
{
    static const size_t body_max = WIRE_HELLO_BYTES_MAX;
    struct link *l = stream->data;

    if (got < 0) {
        link_close(l);
        return;
    }
    struct bytes bytes = bytes_of(buf->base, (size_t)got);
    if (!wire_feed(&l->in, bytes, &body_max, on_hello, l)) refuse(l, ERR_BAD_MESSAGE);
}

/* --- dialling --- */

static void on_connected(uv_connect_t *request, int status)
{
    struct link *l = request->data;

    if (l->state != LINK_DIALLING) return; /* closed meanwhile */
    if (status != 0 ||
        uv_read_start((uv_stream_t *)&l->tcp, on_read_buffer, on_read) != 0) {
        link_close(l);
        return;
    }
    peer_tcp_tune(&l->tcp);
    l->state = LINK_GREETING;
    peer_hello_put(l->context, l->peer.node, out_buf(&l->out));
}

static void on_time_limit(uv_timer_t *timer)
{
    link_close(timer->data);
}

static void connect_to(struct link *l, const struct sockaddr *name)
{
    CHECK(uv_tcp_init(l->context->loop, &l->tcp) == 0);
    l->tcp.data = l->connect.data = l;
    out_init(&l->out, (uv_stream_t *)&l->tcp, &l->context->dirties);
    l->state = LINK_DIALLING;
    uv_timer_start(&l->timer, on_time_limit, GREETING_LIMIT_MS, 0);
    if (uv_tcp_connect(&l->connect, &l->tcp, name, on_connected) != 0) link_close(l);
}

static void on_resolved(uv_getaddrinfo_t *request, int status, struct addrinfo *found)
{
    struct link *l = request->data;

    l->state = LINK_IDLE;
    if (l->stopping) {
        end(l);
    } else if (status == 0) {
        connect_to(l, found->ai_addr);
    } else {
        dial_later(l);
    }
    uv_freeaddrinfo(found);
}

static void resolve(struct link *l)
{
    const struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
    char port[8];

    snprintf(port, sizeof port, "%u", (unsigned)l->address.port);
    l->resolve.data = l;
    l->state = LINK_RESOLVING;
    if (uv_getaddrinfo(l->context->loop, &l->resolve, on_resolved, l->address.host, port,
                       &hints) == 0) {
        return;
    }
    l->state = LINK_IDLE;
    dial_later(l);
}

static void dial(uv_timer_t *timer)
{
    struct link *l = timer->data;
    struct sockaddr_storage name;

    if (address_number(&l->address, &name)) {
        connect_to(l, (const struct sockaddr *)&name);
    } else {
        resolve(l);
    }
}

static void dial_later(struct link *l)
{
    CHECK(l->state == LINK_IDLE);
    uint64_t jitter = rng_below(&l->context->rng, DELAY_MIN_MS);
    uv_timer_start(&l->timer, dial, l->delay_ms + jitter, 0);
    l->delay_ms = l->delay_ms * 2 > DELAY_MAX_MS ? DELAY_MAX_MS : l->delay_ms * 2;
}

/* --- what peers.c uses --- */

struct link *link_new(struct peer_context *context, uint32_t node,
                      const struct address *address)
{
    struct link *l = mem_zalloc(sizeof *l);

    l->context = context;
    l->peer.node = node;
    l->address = *address;
    l->state = LINK_IDLE;
    l->delay_ms = DELAY_MIN_MS;
    CHECK(uv_timer_init(context->loop, &l->timer) == 0);
    l->timer.data = l;
    uv_timer_start(&l->timer, dial, 0, 0);
    return l;
}

void link_send(struct link *l, struct bytes body)
{
    if (l->state != LINK_UP) return;
    if (out_queued(&l->out) > QUEUED_BYTES_MAX) {
        out_drop(&l->out);
        return;
    }
    wire_frame_put(out_buf(&l->out), body);
}

void link_stop(struct link *l)
{
    l->stopping = true;
    uv_timer_stop(&l->timer);
    if (l->state == LINK_IDLE) {
        end(l);
    } else if (l->state == LINK_RESOLVING) {
        (void)uv_cancel((uv_req_t *)&l->resolve); /* its callback comes in any case */
    } else {
        link_close(l);
    }
}
