#include "core/server/conn.h"

#include <stdlib.h>

#include "core/base/check.h"
#include "core/base/log.h"
#include "core/server/dispatch.h"

enum { REFUSED_LINE_MS = 10000 }; /* between two lines about refused connections */

/* --- the end --- */

static void on_closed(uv_handle_t *handle)
{
    struct conn *c = handle->data;

    list_remove(&c->member);
    list_remove(&c->wake);
    c->service->conns_count--;
    c->service->in_bytes -= c->in_counted;
    c->service->out_bytes -= c->out_counted;
    out_fini(&c->out);
    buf_fini(&c->in);
    free(c);
}

void conn_close(struct conn *c)
{
    if (c->closing) return;
    c->closing = true;
    c->service->in_bytes -= c->in_counted;
    c->in_counted = 0;
    dispatch_abandon(c);
    watches_forget(c);
    attached_forget(c);
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
    const struct jobs *all = &c->service->jobs;

    if (c->jobs >= CONN_JOBS_MAX || out_queued(&c->out) >= CONN_OUT_AIM) return false;
    return c->jobs < share_of(PENDING_COUNT_MAX, all->count, SHARE_JOBS_MIN) &&
           c->job_bytes <= share_of(PENDING_BYTES_MAX, all->bytes, 0);
}

bool conn_is_tired(struct conn *c, bool last)
{
    const struct shares *all = &c->service->shares;

    if (!share_is_over(all, &c->share) && !shares_are_over(all, last)) return false;
    conn_wake(c);
    return true;
}

void conn_spend(struct conn *c, size_t bytes)
{
    share_spend(&c->service->shares, &c->share, bytes);
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

/* When all have had their share one message is still looked at: it may be one that does not
 * wait (dispatch.c). What does, stands in the queue then. */
static bool may_take(struct conn *c)
{
    const struct shares *all = &c->service->shares;

    if (!conn_has_room(c)) return false;
    if (list_empty(&c->queued) && !share_is_over(all, &c->share)) return true;
    return !conn_is_tired(c, false);
}

/* Cuts messages off the front; returns how much was used. Stops where room ends. */
static size_t messages_take(struct conn *c, struct bytes in)
{
    size_t used = 0, len = 0;

    while (!c->closing && used < in.len && may_take(c)) {
        if (c->parting_ms != 0) return in.len;
        const struct bytes rest = bytes_of(in.ptr + used, in.len - used);
        size_t max = c->greeted ? RPC_BYTES_MAX : RPC_HELLO_BYTES_MAX;
        enum rpc_scan_verdict verdict = rpc_scan(&c->scan, rest, max, &len);
        if (verdict == RPC_SCAN_MORE) break;
        if (verdict == RPC_SCAN_BAD) {
            scan_refuse(c, rest);
            return in.len;
        }
        conn_spend(c, len);
        if (!dispatch_message(c, bytes_of(rest.ptr, len))) {
            refuse(c, "not a message of the protocol");
        }
        used += len;
    }
    return used;
}

/* Room is made by the one that took longest: the others may be whole soon. */
static void close_slowest(struct service *s)
{
    struct conn *slowest = NULL;

    LIST_EACH(at, &s->conns)
    {
        struct conn *c = CONTAINER_OF(at, struct conn, member);
        if (c->closing || c->in.len == 0) continue;
        if (slowest == NULL || c->message_ms < slowest->message_ms) slowest = c;
    }
    if (slowest != NULL) refuse(slowest, "too many messages are not whole");
}

/* What is left of the input; `used` of it made whole messages. */
static void input_left(struct conn *c, size_t used)
{
    struct service *s = c->service;

    if (used > 0 || c->in_counted == 0) c->message_ms = uv_now(s->loop);
    s->in_bytes += c->in.len - c->in_counted;
    c->in_counted = c->in.len;
    if (c->in.len == 0) buf_fini(&c->in); /* thousands of idle connections keep nothing */
    if (s->in_bytes > SERVICE_IN_MAX) close_slowest(s);
}

static void input_take(struct conn *c, struct bytes got)
{
    size_t used;

    if (c->in.len == 0) {
        used = messages_take(c, got);
        if (used < got.len && !c->closing) buf_put(&c->in, got.ptr + used, got.len - used);
    } else {
        buf_put_bytes_raw(&c->in, got);
        used = messages_take(c, buf_bytes(&c->in));
        buf_drop(&c->in, used);
    }
    input_left(c, used);
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
    bool room = conn_has_room(c) && (c->in.len == 0 || !conn_is_tired(c, false));
    if (room && !c->reading) {
        c->reading = uv_read_start((uv_stream_t *)&c->tcp, on_buffer, on_read) == 0;
        c->heard_ms = c->message_ms = uv_now(c->service->loop);
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
        size_t used = messages_take(c, buf_bytes(&c->in));
        buf_drop(&c->in, used);
        input_left(c, used);
    }
    read_on(c);
}

/* --- start --- */

static void address_take(struct conn *c)
{
    struct sockaddr_storage name = { 0 };
    int len = sizeof name;

    if (uv_tcp_getpeername(&c->tcp, (struct sockaddr *)&name, &len) != 0) return;
    if (name.ss_family == AF_INET6) {
        memcpy(c->address, &((struct sockaddr_in6 *)&name)->sin6_addr, sizeof c->address);
    } else {
        memcpy(c->address, &((struct sockaddr_in *)&name)->sin_addr, 4);
    }
}

static uint32_t count_of_address(const struct conn *c)
{
    uint32_t count = 0;

    LIST_EACH(at, &c->service->conns)
    {
        const struct conn *other = CONTAINER_OF(at, struct conn, member);
        count += memcmp(other->address, c->address, sizeof c->address) == 0;
    }
    return count;
}

/* Who opens connections without end finds no more, while others still do. */
static bool may_stay(struct conn *c)
{
    struct service *s = c->service;
    const uint32_t address_max = s->conns_max * CONNS_ADDRESS_PERCENT / 100;

    address_take(c);
    bool many = s->conns_count > address_max && count_of_address(c) > address_max;
    if (s->conns_count <= s->conns_max && !many) return true;
    if (s->refused_ms == 0 || uv_now(s->loop) - s->refused_ms >= REFUSED_LINE_MS) {
        s->refused_ms = uv_now(s->loop);
        log_line(LOG_WARN, "clients", "msg=\"a connection was refused: %s\" connections=%u",
                 many ? "its address has too many" : "there are too many", s->conns_count);
    }
    return false;
}

void conn_accept(struct service *s, uv_stream_t *listener)
{
    struct conn *c = mem_zalloc(sizeof *c);

    c->service = s;
    s->conns_count++;
    c->number = ++s->conns_ever;
    c->opened_ms = c->moved_ms = uv_now(s->loop);
    rpc_scan_init(&c->scan);
    list_init(&c->member);
    list_init(&c->wake);
    list_init(&c->queued);
    list_init(&c->started);
    list_init(&c->confirmed);
    list_init(&c->sessions);
    list_push(&s->conns, &c->member);
    CHECK(uv_tcp_init(s->loop, &c->tcp) == 0);
    c->tcp.data = c;
    out_init(&c->out, (uv_stream_t *)&c->tcp, &s->dirties);
    if (uv_accept(listener, (uv_stream_t *)&c->tcp) != 0 || !may_stay(c)) {
        conn_close(c);
        return;
    }
    (void)uv_tcp_nodelay(&c->tcp, 1); /* without it all works, only slower */
    read_on(c);
}

/* Nothing of what is under way was read since it was looked at last. */
static bool is_unread(struct conn *c, uint64_t now_ms)
{
    const size_t left = uv_stream_get_write_queue_size((const uv_stream_t *)&c->tcp);
    const bool stands = left > 0 && left == c->unread && c->out.written == c->written;

    c->unread = left;
    c->written = c->out.written;
    c->moved_ms = now_ms;
    return stands;
}

static void close_fullest(struct service *s)
{
    struct conn *fullest = NULL;

    LIST_EACH(at, &s->conns)
    {
        struct conn *c = CONTAINER_OF(at, struct conn, member);
        if (c->closing || c->doomed) continue;
        if (fullest == NULL || c->out_counted > fullest->out_counted) fullest = c;
    }
    if (fullest != NULL) conn_doom(fullest);
}

void conn_flushed(struct conn *c)
{
    struct service *s = c->service;
    const size_t left = out_queued(&c->out);

    s->out_bytes += left - c->out_counted;
    c->out_counted = left;
    if (s->out_bytes > SERVICE_OUT_MAX) close_fullest(s);
}

void conn_sweep(struct conn *c, uint64_t now_ms)
{
    if (!c->greeted && now_ms - c->opened_ms > CONN_HELLO_MS) {
        refuse(c, "it did not say hello");
    } else if (c->parting_ms != 0 && now_ms - c->parting_ms > CONN_PARTING_MS) {
        conn_close(c);
    } else if (c->reading && c->in.len > 0 && now_ms - c->heard_ms > CONN_SILENT_MS) {
        refuse(c, "it fell silent within a message");
    } else if (c->reading && c->in.len > 0 && now_ms - c->message_ms > CONN_MESSAGE_MS) {
        refuse(c, "it took too long over a message");
    } else if (now_ms - c->moved_ms > CONN_UNREAD_MS && is_unread(c, now_ms)) {
        refuse(c, "it reads nothing");
    }
}
