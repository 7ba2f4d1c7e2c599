#include "cli/channel.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include "core/base/check.h"
#include "core/base/errors.h"

enum { CONNECT_MS_MAX = 2000, ROUND_PAUSE_MS = 100, LASTED_MS = 200, READ_BYTES = 65536 };

void channel_init(struct channel *c, const struct endpoints *servers, size_t server,
                  const struct client_core_config *config)
{
    CHECK(server < servers->count);
    *c = (struct channel){ .servers = servers, .server = server, .fd = -1 };
    c->core = client_core_new(config);
}

static void close_socket(struct channel *c)
{
    if (c->fd >= 0) close(c->fd);
    c->fd = -1;
    c->state = CHANNEL_DOWN;
}

void channel_fini(struct channel *c)
{
    close_socket(c);
    client_core_free(c->core);
    c->core = NULL;
}

/* The next attempt goes to the next server: at once, but with a pause after a whole round
 * of failures, so that a service that is away is not hammered. */
static void move_on(struct channel *c, uint64_t now_ms, const char *why)
{
    snprintf(c->why, sizeof c->why, "%.120s: %.70s", c->servers->at[c->server].text, why);
    close_socket(c);
    c->failures++;
    c->server = (c->server + 1) % c->servers->count;
    c->retry_at_ms = now_ms;
    if (c->failures % c->servers->count == 0) c->retry_at_ms += ROUND_PAUSE_MS;
}

static void connection_lost(struct channel *c, uint64_t now_ms, const char *why)
{
    client_core_disconnected(c->core, now_ms);
    move_on(c, now_ms, why);
}

static void try_connect(struct channel *c, uint64_t now_ms)
{
    c->fd = endpoint_connect(&c->servers->at[c->server]);
    if (c->fd < 0) {
        move_on(c, now_ms, strerror(errno));
        return;
    }
    c->state = CHANNEL_CONNECTING;
    c->retry_at_ms = now_ms + CONNECT_MS_MAX;
    c->connections++;
}

static void finish_connect(struct channel *c, uint64_t now_ms)
{
    socklen_t len = sizeof(int);
    int error = 0;

    if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0) error = errno;
    if (error != 0) {
        move_on(c, now_ms, strerror(error));
        return;
    }
    c->state = CHANNEL_UP;
    c->up_ms = now_ms;
    client_core_connected(c->core, now_ms);
}

static void take_input(struct channel *c, uint64_t now_ms)
{
    static uint8_t room[READ_BYTES]; /* one thread; the core copies what it keeps */
    const ssize_t n = read(c->fd, room, sizeof room);

    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n <= 0) {
        connection_lost(c, now_ms,
                        n == 0 ? "the server closed the connection" : strerror(errno));
        return;
    }
    const int code = client_core_input(c->core, now_ms, bytes_of(room, (size_t) n));
    if (code == 0) {
        c->failures = 0;
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
    n = send(c->fd, out->ptr, out->len, MSG_NOSIGNAL);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n < 0) {
        connection_lost(c, now_ms, strerror(errno));
        return;
    }
    buf_drop(out, (size_t) n);
}

short channel_events(const struct channel *c)
{
    if (c->state == CHANNEL_DOWN) return 0;
    if (c->state == CHANNEL_CONNECTING) return POLLOUT;
    return client_core_output(c->core)->len > 0 ? POLLIN | POLLOUT : POLLIN;
}

void channel_turn(struct channel *c, uint64_t now_ms, short events)
{
    if (c->state == CHANNEL_CONNECTING && events != 0) {
        finish_connect(c, now_ms);
    } else if (c->state == CHANNEL_UP && (events & ~POLLOUT) != 0) {
        take_input(c, now_ms);
    }
}

uint64_t channel_tick(struct channel *c, uint64_t now_ms)
{
    uint64_t next = client_core_tick(c->core, now_ms);

    if (c->fatal != 0) return next;
    if (c->state == CHANNEL_UP && client_core_wants_other(c->core)) {
        connection_lost(c, now_ms, "the server cannot serve now");
        /* The next one may not either. */
        if (now_ms - c->up_ms < LASTED_MS) c->retry_at_ms = now_ms + ROUND_PAUSE_MS;
    }
    if (c->state == CHANNEL_CONNECTING && now_ms >= c->retry_at_ms) {
        move_on(c, now_ms, "no answer to connect");
    }
    if (c->state == CHANNEL_DOWN && now_ms >= c->retry_at_ms) try_connect(c, now_ms);
    if (c->state == CHANNEL_UP) send_output(c, now_ms);
    if (c->state != CHANNEL_UP && c->retry_at_ms < next) next = c->retry_at_ms;
    return next;
}
