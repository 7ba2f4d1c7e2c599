#include "tests/sim/sockets.h"

#include <stdlib.h>

#include "core/base/check.h"
#include "core/base/errors.h"
#include "tests/sim/front.h"
#include "tests/sim/sim.h"

enum { PIECE_MAX = 4096 };

struct wire {
    struct world *world;
    struct server *server;
    uint64_t life; /* of the server: in a later one nothing arrives any more */
    struct wire_owner owner;
    bool owned;
    uint32_t events; /* on their way */
    uv_stream_t *stream; /* the server's end; NULL: not accepted yet, or closed */
    bool reading;
    struct buf up, down; /* has come to the server, to the client, and is not read */
    bool up_ended, down_ended;
    size_t flying, window; /* bytes on their way down; how many may be unread */
    struct buf rest;       /* a write of the server that had no room */
    uv_write_t *write;
    uv_write_cb written;
    uint64_t up_us, down_us, stalled_us; /* when the newest piece arrives; none before */
};

struct piece {
    struct wire *wire;
    size_t len; /* 0: the end */
    uint8_t bytes[];
};

static void release(struct wire *c)
{
    if (c->owned || c->events > 0 || c->stream != NULL) return;
    buf_fini(&c->up);
    buf_fini(&c->down);
    buf_fini(&c->rest);
    free(c);
}

static uint64_t *newest(struct wire *c, bool up)
{
    return up ? &c->up_us : &c->down_us;
}

/* Pieces of one direction do not overtake each other. */
static void fly(struct wire *c, bool up, struct bytes bytes, happen_fn arrive)
{
    struct piece *p = mem_alloc(sizeof *p + bytes.len);
    uint64_t at_us = c->world->now_us + 50 + draw(c->world, c->world->options.flight_us);

    *p = (struct piece){ .wire = c, .len = bytes.len };
    if (bytes.len > 0) memcpy(p->bytes, bytes.ptr, bytes.len);
    if (at_us < c->stalled_us) at_us = c->stalled_us;
    if (at_us < *newest(c, up)) at_us = *newest(c, up);
    *newest(c, up) = at_us;
    c->events++;
    world_at(c->world, at_us - c->world->now_us, arrive, p);
}

static void piece_done(struct piece *p)
{
    struct wire *c = p->wire;

    c->events--;
    free(p);
    release(c);
}

static bool lives(const struct wire *c)
{
    return c->server->up && !c->server->dying && c->server->life == c->life;
}

/* --- down: to the client --- */

static void pump(struct world *w, void *ctx);

static void consume(struct wire *c)
{
    if (!c->owned || !c->owner.reads(c->owner.ctx)) return;
    while (c->owned && c->down.len > 0) {
        struct buf taken = c->down;

        c->down = (struct buf){ 0 };
        c->owner.came(c->owner.ctx, buf_bytes(&taken));
        buf_fini(&taken);
    }
    if (c->owned && c->down_ended) c->owner.ended(c->owner.ctx);
    if (c->write != NULL) fly(c, true, (struct bytes){ 0 }, pump);
}

static void down_came(struct world *w, void *ctx)
{
    struct piece *p = ctx;
    struct wire *c = p->wire;

    (void)w;
    c->flying -= p->len;
    if (p->len == 0) c->down_ended = true;
    if (c->owned) buf_put(&c->down, p->bytes, p->len);
    consume(c);
    piece_done(p);
}

static size_t room(const struct wire *c)
{
    size_t unread = c->flying + c->down.len;

    return unread < c->window ? c->window - unread : 0;
}

static size_t send_down(struct wire *c, struct bytes bytes)
{
    size_t left = bytes.len < room(c) ? bytes.len : room(c), sent = 0;

    while (left > 0) {
        size_t len = 1 + draw(c->world, left < PIECE_MAX ? left : PIECE_MAX);

        c->flying += len;
        fly(c, false, bytes_of(bytes.ptr + sent, len), down_came);
        sent += len;
        left -= len;
    }
    return sent;
}

static void write_ends(struct wire *c, int status)
{
    uv_write_t *request = c->write;

    c->write = NULL;
    buf_clear(&c->rest);
    if (request != NULL) c->written(request, status);
}

/* The client has read: what waited at the server may follow. */
static void pump(struct world *w, void *ctx)
{
    struct piece *p = ctx;
    struct wire *c = p->wire;

    (void)w;
    if (lives(c) && node_defers(c->server, pump, p)) return;
    if (lives(c) && c->stream != NULL && c->write != NULL) {
        buf_drop(&c->rest, send_down(c, buf_bytes(&c->rest)));
        if (c->rest.len == 0) write_ends(c, 0);
        node_soon(c->server);
    }
    piece_done(p);
}

/* --- up: to the server --- */

static void read_some(struct wire *c)
{
    uv_buf_t room_for;

    while (c->stream != NULL && c->reading && c->up.len > 0) {
        c->stream->alloc_cb((uv_handle_t *)c->stream, PIECE_MAX, &room_for);
        size_t len = c->up.len < room_for.len ? c->up.len : room_for.len;
        memcpy(room_for.base, c->up.ptr, len);
        buf_drop(&c->up, len);
        c->stream->read_cb(c->stream, (ssize_t)len, &room_for);
    }
    if (c->stream != NULL && c->reading && c->up_ended) {
        write_ends(c, UV_ECONNRESET);
        c->stream->read_cb(c->stream, UV_EOF, &room_for);
    }
}

static void up_came(struct world *w, void *ctx)
{
    struct piece *p = ctx;
    struct wire *c = p->wire;

    (void)w;
    if (lives(c) && node_defers(c->server, up_came, p)) return;
    if (lives(c) && c->stream != NULL) {
        if (p->len == 0) c->up_ended = true;
        buf_put(&c->up, p->bytes, p->len);
        read_some(c);
        node_soon(c->server);
    }
    piece_done(p);
}

static void read_later(struct world *w, void *ctx)
{
    struct piece *p = ctx;
    struct wire *c = p->wire;

    (void)w;
    if (lives(c) && node_defers(c->server, read_later, p)) return;
    if (lives(c)) {
        read_some(c);
        node_soon(c->server);
    }
    piece_done(p);
}

static void call_came(struct world *w, void *ctx)
{
    struct piece *p = ctx;
    struct wire *c = p->wire;
    struct server *n = c->server;

    (void)w;
    if (n->up && node_defers(n, call_came, p)) return;
    c->life = n->life;
    if (lives(c) && c->owned) {
        struct port *port = &n->front->port;

        port->calling = c;
        port->on_connection(port->listener, 0);
        node_soon(n);
    }
    if (c->stream == NULL) fly(c, false, (struct bytes){ 0 }, down_came); /* refused */
    piece_done(p);
}

/* --- the client's end --- */

struct wire *wire_open(struct world *w, uint32_t server, const struct wire_owner *owner)
{
    struct wire *c = mem_zalloc(sizeof *c);

    c->world = w;
    c->server = &w->nodes[server];
    c->owner = *owner;
    c->owned = true;
    c->window = 1000 + draw(w, 60000);
    fly(c, true, (struct bytes){ 0 }, call_came);
    return c;
}

void wire_send(struct wire *c, struct bytes bytes)
{
    if (bytes.len > 0) fly(c, true, bytes, up_came);
}

void wire_read(struct wire *c)
{
    if (c->down.len > 0 || c->down_ended) consume(c);
}

void wire_close(struct wire *c)
{
    c->owned = false;
    buf_clear(&c->down);
    fly(c, true, (struct bytes){ 0 }, up_came);
    release(c);
}

void wire_stall(struct wire *c, uint64_t ms)
{
    c->stalled_us = c->world->now_us + 1000 * ms;
}

/* --- the server's end: libuv --- */

struct port *port_of_loop(const uv_loop_t *loop)
{
    return loop->data;
}

static struct wire *wire_of(const uv_stream_t *stream)
{
    return stream->u.reserved[0];
}

int uv_tcp_init(uv_loop_t *loop, uv_tcp_t *tcp)
{
    tcp->loop = loop;
    tcp->type = UV_TCP;
    tcp->u.reserved[0] = NULL;
    return 0;
}

int uv_accept(uv_stream_t *listener, uv_stream_t *stream)
{
    struct wire *c = port_of_loop(listener->loop)->calling;

    c->stream = stream;
    stream->u.reserved[0] = c;
    return 0;
}

int uv_tcp_nodelay(uv_tcp_t *tcp, int on)
{
    (void)tcp;
    (void)on;
    return 0;
}

/* All clients come from one machine. */
int uv_tcp_getpeername(const uv_tcp_t *tcp, struct sockaddr *name, int *len)
{
    (void)tcp;
    (void)name;
    (void)len;
    return UV_ENOTCONN;
}

size_t uv_stream_get_write_queue_size(const uv_stream_t *stream)
{
    return wire_of(stream)->rest.len;
}

int uv_read_start(uv_stream_t *stream, uv_alloc_cb alloc, uv_read_cb read)
{
    struct wire *c = wire_of(stream);

    stream->alloc_cb = alloc;
    stream->read_cb = read;
    c->reading = true;
    if (c->up.len > 0 || c->up_ended) fly(c, true, (struct bytes){ 0 }, read_later);
    return 0;
}

int uv_read_stop(uv_stream_t *stream)
{
    wire_of(stream)->reading = false;
    return 0;
}

uv_buf_t uv_buf_init(char *base, unsigned len)
{
    return (uv_buf_t){ .base = base, .len = len };
}

int uv_try_write(uv_stream_t *stream, const uv_buf_t *bufs, unsigned count)
{
    struct wire *c = wire_of(stream);

    CHECK(count == 1);
    if (c->up_ended) return UV_EPIPE;
    size_t sent = send_down(c, bytes_of(bufs->base, bufs->len));
    return sent == 0 ? UV_EAGAIN : (int)sent;
}

int uv_write(uv_write_t *request, uv_stream_t *stream, const uv_buf_t *bufs, unsigned count,
             uv_write_cb done)
{
    struct wire *c = wire_of(stream);

    CHECK(count == 1 && c->write == NULL);
    c->write = request;
    c->written = done;
    buf_clear(&c->rest);
    buf_put(&c->rest, bufs->base, bufs->len);
    return 0;
}

/* What was written leaves first; the callback is nobody's here. */
int uv_shutdown(uv_shutdown_t *request, uv_stream_t *stream, uv_shutdown_cb done)
{
    (void)request;
    CHECK(done == NULL);
    fly(wire_of(stream), false, (struct bytes){ 0 }, down_came);
    return 0;
}

uint64_t uv_now(const uv_loop_t *loop)
{
    return node_time(port_of_loop(loop)->server).now_ms;
}

/* --- closing --- */

static void leave(struct wire *c)
{
    c->stream = NULL;
    c->reading = false;
    buf_clear(&c->up);
    release(c);
}

void port_drain(struct port *p)
{
    for (size_t i = 0; i < p->closing_count; i++) {
        uv_handle_t *handle = p->closing[i].handle;
        uv_close_cb done = p->closing[i].done;
        struct wire *c = handle->type == UV_TCP ? handle->u.reserved[0] : NULL;

        if (c != NULL) {
            write_ends(c, UV_ECANCELED);
            leave(c);
        }
        if (done != NULL) done(handle);
    }
    p->closing_count = 0;
}

struct port_event {
    struct server *server;
    uint64_t life;
};

static struct port_event *port_event(const struct port *p)
{
    struct port_event *e = mem_alloc(sizeof *e);

    *e = (struct port_event){ p->server, p->life };
    return e;
}

static bool port_lives(const struct port_event *e)
{
    return e->server->up && e->server->life == e->life;
}

static void closing_due(struct world *w, void *ctx)
{
    struct port_event *e = ctx;

    (void)w;
    if (port_lives(e)) port_drain(&e->server->front->port);
    free(e);
}

void uv_close(uv_handle_t *handle, uv_close_cb done)
{
    struct port *p = port_of_loop(handle->loop);
    struct wire *c = handle->type == UV_TCP ? handle->u.reserved[0] : NULL;

    if (c != NULL) fly(c, false, (struct bytes){ 0 }, down_came);
    if (c != NULL) c->reading = false;
    if (p->closing_count == p->closing_cap) {
        p->closing_cap = p->closing_cap == 0 ? 16 : 2 * p->closing_cap;
        p->closing = mem_grow(p->closing, p->closing_cap * sizeof *p->closing);
    }
    p->closing[p->closing_count++] = (struct closing){ handle, done };
    if (p->closing_count == 1) world_at(p->server->world, 0, closing_due, port_event(p));
}

void port_end(struct port *p)
{
    port_drain(p);
    free(p->closing);
}

/* --- the listener, and the one timer --- */

int listener_open(uv_loop_t *loop, uv_tcp_t *tcp, struct address *a,
                  uv_connection_cb on_connection, char *why, size_t why_size)
{
    struct port *p = port_of_loop(loop);

    (void)a;
    (void)why;
    (void)why_size;
    (void)uv_tcp_init(loop, tcp);
    p->listener = (uv_stream_t *)tcp;
    p->on_connection = on_connection;
    return 0;
}

/* Guests do not change who belongs: admin.c does. */
int address_parse(const char *text, struct address *a)
{
    (void)text;
    (void)a;
    return ERR_CONFIG;
}

int uv_timer_init(uv_loop_t *loop, uv_timer_t *timer)
{
    timer->loop = loop;
    timer->type = UV_TIMER;
    return 0;
}

static void timer_due(struct world *w, void *ctx)
{
    struct port_event *e = ctx;

    if (node_defers(e->server, timer_due, e)) return;
    if (!port_lives(e)) {
        free(e);
        return;
    }
    e->server->front->port.on_timer(e->server->front->port.timer);
    world_at(w, 1000 * e->server->front->port.timer->repeat, timer_due, e);
}

int uv_timer_start(uv_timer_t *timer, uv_timer_cb due, uint64_t after_ms, uint64_t repeat_ms)
{
    struct port *p = port_of_loop(timer->loop);

    p->timer = timer;
    p->on_timer = due;
    timer->repeat = repeat_ms;
    world_at(p->server->world, 1000 * after_ms, timer_due, port_event(p));
    return 0;
}
