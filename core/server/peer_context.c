#include "core/server/peer_context.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "core/base/errors.h"
#include "core/base/log.h"

enum { COMPLAIN_EVERY_MS = 10000, UNANSWERED_MS = 1000 };

void peer_read_buffer(struct peer_context *c, uv_buf_t *buf)
{
    *buf = uv_buf_init((char *)c->read_buffer, PEER_READ_BYTES);
}

void peer_tcp_tune(uv_tcp_t *tcp)
{
    unsigned unanswered_ms = UNANSWERED_MS;
    uv_os_fd_t fd;

    /* None of these can fail on a connected socket in a way that harms more than delay. */
    (void)uv_tcp_nodelay(tcp, 1);
    (void)uv_tcp_keepalive(tcp, 1, 1);
    if (uv_fileno((const uv_handle_t *)tcp, &fd) != 0) return;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &unanswered_ms,
                     sizeof unanswered_ms);
}

void peer_hello_put(const struct peer_context *c, uint32_t to, struct buf *out)
{
    const struct wire_hello hello = { .cluster = c->cluster,
                                      .boot = c->boot,
                                      .incarnation = c->identity->incarnation,
                                      .founding = c->identity->joined
                                                      ? c->identity->founding
                                                      : identity_founding(c->identity),
                                      .number = c->number,
                                      .joined = c->identity->joined,
                                      .from = c->self,
                                      .to = to,
                                      .client = bytes_str(c->client) };

    wire_hello_put(out, &hello);
}

static bool is_time(const struct peer_context *c, uint64_t *last_ms)
{
    uint64_t now_ms = uv_now(c->loop);

    if (*last_ms != 0 && now_ms - *last_ms < COMPLAIN_EVERY_MS) return false;
    *last_ms = now_ms;
    return true;
}

void peer_complain(struct peer_context *c, const char *who, int code)
{
    if (!is_time(c, &c->complained_ms)) return;
    log_line(LOG_WARN, "peers", "msg=\"peer refused\" peer=%s why=%s text=\"%s\"", who,
             error_name(code), error_text(code));
}

void peer_complain_stranger(struct peer_context *c, uint32_t node, int code)
{
    bool removed = code == ERR_NO_MEMBER;

    if (!is_time(c, &c->forgetful_ms)) return;
    log_line(LOG_ERROR, "peers", "msg=\"peer refused\" node=%u why=%s text=\"server %u %s\"",
             (unsigned)node, error_name(code), (unsigned)node,
             removed ? "is no member of this cluster: keep it off, or " PEER_COMES_BACK
                     : "came back with another data directory and must not vote from lost "
                       "memory: " PEER_STRANGER_ADVICE);
}
