#include "cli/channel.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#include "core/base/errors.h"

enum { READ_BYTES = 65536 };

static void on_members(void *ctx, const struct members *members)
{
    struct channel *c = ctx;

    if (!c->alone) link_learn(&c->link, members);
}

void channel_init(struct channel *c, const struct servers *servers,
                  const struct client_core_config *config)
{
    struct client_core_config core = *config;

    core.members = on_members;
    core.members_ctx = c;
    link_init(&c->link, servers, config->seed);
    c->core = client_core_new(&core);
    c->alone = false;
    c->fatal = 0;
}

void channel_fini(struct channel *c)
{
    link_fini(&c->link);
    client_core_free(c->core);
    c->core = NULL;
}

static void connection_lost(struct channel *c, uint64_t now_ms, const char *why)
{
    const bool served = client_core_served(c->core);

    client_core_disconnected(c->core, now_ms);
    link_drop(&c->link, now_ms, served, why);
}

static void take_input(struct channel *c, uint64_t now_ms)
{
    static uint8_t room[READ_BYTES]; /* one thread; the core copies what it keeps */
    const ssize_t n = recv(c->link.fd, room, sizeof room, 0);

    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n <= 0) {
        connection_lost(c, now_ms,
                        n == 0 ? "the server closed the connection" : strerror(errno));
        return;
    }
    const int code = client_core_input(c->core, now_ms, bytes_of(room, (size_t) n));
    if (code == 0) {
        link_heard(&c->link);
        return;
    }
    connection_lost(c, now_ms, error_text(code));
    if (code == ERR_WRONG_CLUSTER || code == ERR_BAD_PROTOCOL) c->fatal = code;
}

/* One write a turn: what was asked meanwhile goes out together. */
static void send_output(struct channel *c, uint64_t now_ms)
{
    struct buf *out = client_core_output(c->core);
    ssize_t n;

    if (out->len == 0) return;
    n = send(c->link.fd, out->ptr, out->len, MSG_NOSIGNAL);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n < 0) {
        connection_lost(c, now_ms, strerror(errno));
        return;
    }
    buf_drop(out, (size_t) n);
}

short channel_events(const struct channel *c)
{
    switch (c->link.state) {
    case LINK_DOWN:
        return 0;
    case LINK_LOOKING:
        return POLLIN;
    case LINK_CONNECTING:
        return POLLOUT;
    case LINK_UP:
        break;
    }
    return client_core_output(c->core)->len > 0 ? POLLIN | POLLOUT : POLLIN;
}

void channel_turn(struct channel *c, uint64_t now_ms, short events)
{
    if (events == 0 || c->link.state == LINK_DOWN) return;
    if (c->link.state == LINK_UP) {
        if ((events & ~POLLOUT) != 0) take_input(c, now_ms);
        return;
    }
    link_event(&c->link, now_ms);
    if (c->link.state == LINK_UP) client_core_connected(c->core, now_ms);
}

static uint64_t link_turn(struct channel *c, uint64_t now_ms)
{
    const bool was_up = c->link.state == LINK_UP;
    const uint64_t next = link_tick(&c->link, now_ms);

    if (!was_up && c->link.state == LINK_UP) client_core_connected(c->core, now_ms);
    return next;
}

uint64_t channel_tick(struct channel *c, uint64_t now_ms)
{
    const uint64_t next = client_core_tick(c->core, now_ms);

    if (c->fatal != 0) return next;
    if (c->link.state == LINK_UP && client_core_wants_other(c->core)) {
        connection_lost(c, now_ms, "the server cannot serve now");
    }
    uint64_t next_link = link_turn(c, now_ms);
    if (c->link.state == LINK_UP) send_output(c, now_ms);
    if (c->link.state == LINK_DOWN) next_link = c->link.at_ms; /* it was lost in sending */
    return next < next_link ? next : next_link;
}
