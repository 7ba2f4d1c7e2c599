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
                                      .from = c->self,
                                      .to = to,
                                      .client = bytes_str(c->client) };

    wire_hello_put(out, &hello);
}

void peer_complain(struct peer_context *c, const char *who, int code)
{
    uint64_t now_ms = uv_now(c->loop);

    if (c->complained_ms != 0 && now_ms - c->complained_ms < COMPLAIN_EVERY_MS) return;
    c->complained_ms = now_ms;
    log_line(LOG_WARN, "peers", "msg=\"peer refused\" peer=%s why=%s text=\"%s\"", who,
             error_name(code), error_text(code));
}
