#include "core/server/conn.h"

#include <stdlib.h>

#include "core/base/check.h"
#include "core/base/log.h"
#include "core/server/dispatch.h"

/* --- the end --- */

static void on_closed(uv_handle_t *handle)
{
    struct conn *c = handle->data;

    list_remove(&c->member);
    list_remove(&c->wake);
    c->service->conns_count--;
    out_fini(&c->out);
    buf_fini(&c->in);
    free(c->sessions);
    free(c);
}

void conn_close(struct conn *c)
{
    if (c->closing) return;
    c->closing = true;
    dispatch_abandon(c);
    watches_forget(c);
    handover_forget(c);
    uv_close((uv_handle_t *)&c->tcp, on_closed);
}

void conn_doom(struct conn *c)
{
    c->doomed = true;
    conn_wake(c);
}

static void refuse(struct conn *c, const char *why)
{
    log_line(LOG_DEBUG, "clients", "msg=\"connection closed\" why=\"%s\"", why);
    conn_close(c);
}

/* The rest that comes in is read and dropped: closing on unread bytes would make the kernel
 * throw away what was said last. */
void conn_part(struct conn *c)
{
    if (c->closing || c->parting_ms != 0) return;
    c->parting_ms = uv_now(c->service->loop);
    if (out_flush(&c->out) != 0 ||
        uv_shutdown(&c->parting, (uv_stream_t *)&c->tcp, NULL) != 0) {
        conn_close(c);
    }
}

/* --- room --- */

bool conn_has_room(const struct conn *c)
{
    return c->jobs < CONN_JOBS_MAX && out_queued(&c->out) < CONN_OUT_AIM;
}

struct buf *conn_out(struct conn *c)
{
    if (out_queued(&c->out) > CONN_OUT_MAX) conn_doom(c);
    return out_buf(&c->out);
}

void conn_wake(struct conn *c)
{
    if (!c->closing && list_empty(&c->wake)) list_push(&c->service->wakes, &c->wake);
}

/* --- bytes in --- */

/* The msgid of a request, of which only the front has come. */
static bool msgid_peek(struct bytes in, uint32_t *msgid)
{
    static const uint8_t request[] = { 0x94, 0x00 }; /* an array of 4, type 0 */
    msgpack_unpacked id;
    size_t at = 0;

    if (in.len < 8 || memcmp(in.ptr, request, sizeof request) != 0) return false;
    struct bytes rest = bytes_of(in.ptr + sizeof request, in.len - sizeof request);
    if (rest.ptr[0] > 0x7f && (rest.ptr[0] < 0xcc || rest.ptr[0] > 0xce)) return false;
    msgpack_unpacked_init(&id);
    bool found = msgpack_unpack_next(&id, (const char *)rest.ptr, rest.len, &at) ==
                 MSGPACK_UNPACK_SUCCESS;
    if (found) *msgid = (uint32_t)id.data.via.u64;
    msgpack_unpacked_destroy(&id);
    return found;
}

static bool only_too_large(struct bytes in)
{
    struct rpc_scan scan;
    size_t len;

    rpc_scan_init(&scan);
    return rpc_scan(&scan, in, SIZE_MAX, &len) != RPC_SCAN_BAD;
}

/* Bytes that are no message end the connection. Whose request is only too large hears so
 * first. */
static void scan_refuse(struct conn *c, struct bytes in)
{
    uint32_t msgid;

    if (!c->greeted || !only_too_large(in) || !msgid_peek(in, &msgid)) {
        refuse(c, c->scan.why);
        return;
    }
    rpc_error(conn_out(c), msgid, ERR_TOO_LARGE, NULL);
    conn_part(c);
}

/* Cuts messages off the front; returns how much was used. Stops where room ends. */
static size_t messages_take(struct conn *c, struct bytes in)
{
    size_t used = 0, len = 0;

    while (!c->closing && conn_has_room(c) && used < in.len) {
        if (c->parting_ms != 0) return in.len;
        const struct bytes rest = bytes_of(in.ptr + used, in.len - used);
        size_t max = c->greeted ? RPC_BYTES_MAX : RPC_HELLO_BYTES_MAX;
        enum rpc_scan_verdict verdict = rpc_scan(&c->scan, rest, max, &len);
        if (verdict == RPC_SCAN_MORE) break;
        if (verdict == RPC_SCAN_BAD) {
            scan_refuse(c, rest);
            return in.len;
        }
        if (!dispatch_message(c, bytes_of(rest.ptr, len))) {
            refuse(c, "not a message of the protocol");
        }
        used += len;
    }
    return used;
}

static void input_take(struct conn *c, struct bytes got)
{
    if (c->in.len == 0) {
        size_t used = messages_take(c, got);
        if (used < got.len && !c->closing) buf_put(&c->in, got.ptr + used, got.len - used);
    } else {
        buf_put_bytes_raw(&c->in, got);
        buf_drop(&c->in, messages_take(c, buf_bytes(&c->in)));
    }
    if (c->in.len == 0) buf_fini(&c->in); /* thousands of idle connections keep nothing */
}

static void read_on(struct conn *c);

static void on_buffer(uv_handle_t *handle, size_t size, uv_buf_t *buf)
{
    struct conn *c = handle->data;

    (void)size;
    *buf = uv_buf_init((char *)c->service->read_buffer, SERVICE_READ_BYTES);
}

static void on_read(uv_stream_t *stream, ssize_t got, const uv_buf_t *buf)
{
    struct conn *c = stream->data;

    if (got == 0) return;
    if (got < 0) {
        conn_close(c);
        return;
    }
    c->heard_ms = uv_now(c->service->loop);
    input_take(c, bytes_of(buf->base, (size_t)got));
    read_on(c);
}

/* Reads while there is room. */
static void read_on(struct conn *c)
{
    if (c->closing) return;
    bool room = conn_has_room(c);
    if (room && !c->reading) {
        c->reading = uv_read_start((uv_stream_t *)&c->tcp, on_buffer, on_read) == 0;
        c->heard_ms = uv_now(c->service->loop);
        if (!c->reading) conn_close(c);
    } else if (!room && c->reading) {
        c->reading = false;
        (void)uv_read_stop((uv_stream_t *)&c->tcp); /* cannot fail */
    }
}

void conn_resume(struct conn *c)
{
    if (c->doomed) {
        refuse(c, "it does not read what it asked for");
        return;
    }
    dispatch_resume(c);
    if (c->in.len > 0 && conn_has_room(c)) {
        buf_drop(&c->in, messages_take(c, buf_bytes(&c->in)));
    }
    read_on(c);
}

/* --- start --- */

void conn_accept(struct service *s, uv_stream_t *listener)
{
    struct conn *c = mem_zalloc(sizeof *c);

    c->service = s;
    s->conns_count++;
    c->opened_ms = uv_now(s->loop);
    rpc_scan_init(&c->scan);
    list_init(&c->member);
    list_init(&c->wake);
    list_init(&c->queued);
    list_init(&c->started);
    list_init(&c->confirmed);
    list_push(&s->conns, &c->member);
    CHECK(uv_tcp_init(s->loop, &c->tcp) == 0);
    c->tcp.data = c;
    out_init(&c->out, (uv_stream_t *)&c->tcp, &s->dirties);
    if (uv_accept(listener, (uv_stream_t *)&c->tcp) != 0 || s->conns_count > CONNS_MAX) {
        conn_close(c);
        return;
    }
    (void)uv_tcp_nodelay(&c->tcp, 1); /* without it all works, only slower */
    read_on(c);
}

void conn_sweep(struct conn *c, uint64_t now_ms)
{
    if (!c->greeted && now_ms - c->opened_ms > CONN_HELLO_MS) {
        refuse(c, "it did not say hello");
    } else if (c->parting_ms != 0 && now_ms - c->parting_ms > CONN_PARTING_MS) {
        conn_close(c);
    } else if (c->reading && c->in.len > 0 && now_ms - c->heard_ms > CONN_SILENT_MS) {
        refuse(c, "it fell silent within a message");
    }
}

/* --- sessions --- */

static uint32_t session_find(const struct conn *c, uint64_t session)
{
    uint32_t i = 0;

    while (i < c->sessions_count && c->sessions[i] != session)
        i++;
    return i;
}

bool conn_attached(const struct conn *c, uint64_t session)
{
    return session_find(c, session) < c->sessions_count;
}

bool conn_attach(struct conn *c, uint64_t session)
{
    if (conn_attached(c, session)) return true;
    if (c->sessions_count == CONN_SESSIONS_MAX) return false;
    c->sessions = mem_grow(c->sessions, (c->sessions_count + 1) * sizeof c->sessions[0]);
    c->sessions[c->sessions_count++] = session;
    return true;
}

void conn_detach(struct conn *c, uint64_t session)
{
    uint32_t i = session_find(c, session);

    if (i < c->sessions_count) c->sessions[i] = c->sessions[--c->sessions_count];
}
