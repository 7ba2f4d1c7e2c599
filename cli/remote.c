#include "cli/remote.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <sys/random.h>

#include "cli/clock.h"
#include "cli/json.h"
#include "core/base/errors.h"

enum { ROUNDS_MAX = 2, CLOSE_MS_MAX = 1000, GRACE_MS = 1000 };

static uint64_t random_seed(void)
{
    uint64_t seed = 0;

    if (getrandom(&seed, sizeof seed, GRND_NONBLOCK) != (ssize_t) sizeof seed) {
        seed = clock_now_us();
    }
    return seed;
}

int remote_servers(const char *text, struct servers *servers, char *why, size_t why_size)
{
    const int code = servers_parse(text, servers);

    if (code != 0) snprintf(why, why_size, "'%.200s' is not host:port,host:port", text);
    return code;
}

int remote_open(struct remote *r, const struct options *o, uint32_t session_timeout_ms)
{
    const struct client_core_config config = { .session_timeout_ms = session_timeout_ms,
                                               .seed = random_seed() };
    struct servers servers;
    int code;

    r->timeout_ms = o->timeout_ms;
    r->next_ms = 0;
    r->message[0] = '\0';
    code = remote_servers(o->servers, &servers, r->message, sizeof r->message);
    if (code == 0) channel_init(&r->channel, &servers, &config);
    return code;
}

/* The tick comes last: what it completes is seen by the caller before the next wait. */
void remote_poll(struct remote *r, struct pollfd *fds, unsigned count, uint64_t until_ms)
{
    const uint64_t now = clock_now_ms(),
                   next = until_ms < r->next_ms ? until_ms : r->next_ms;
    const uint64_t wait = next > now ? next - now : 0;

    fds[0] = (struct pollfd){ .fd = r->channel.link.fd,
                              .events = channel_events(&r->channel) };
    for (unsigned i = 0; i < count; i++) fds[i].revents = 0;
    if (poll(fds, count, wait > INT_MAX ? INT_MAX : (int) wait) > 0 &&
        fds[0].revents != 0) {
        channel_turn(&r->channel, clock_now_ms(), fds[0].revents);
    }
    r->next_ms = channel_tick(&r->channel, clock_now_ms());
}

static int fail(struct remote *r, int code, const char *why)
{
    snprintf(r->message, sizeof r->message, "%s", why);
    return code;
}

int remote_hopeless(struct remote *r)
{
    const int ready = client_core_ready(r->channel.core);
    const struct link *link = &r->channel.link;

    if (r->channel.fatal != 0) return fail(r, r->channel.fatal, link->why);
    if (ready < 0) return fail(r, ready, "");
    if (link->failures >= ROUNDS_MAX * link->servers.count && ready == 0) {
        return fail(r, ERR_UNREACHABLE, link->why);
    }
    return 0;
}

/* A recipe that refuses a call may say more than a text. What is too long for a line is
 * cut, between two characters. */
static void append_details(struct remote *r, const msgpack_object *details)
{
    const msgpack_object *value = rpc_member(details, "value");
    const size_t len = strlen(r->message);
    const size_t room = sizeof r->message - len > 3 ? sizeof r->message - len - 3 : 0;
    struct buf text = { 0 };

    if (value == NULL) return;
    json_from_msgpack(&text, value);
    if (text.len > room) {
        text.len = room;
        while (text.len > 0 && (text.ptr[text.len] & 0xc0) == 0x80) text.len--;
    }
    snprintf(r->message + len, sizeof r->message - len, ": %.*s", (int) text.len,
             (const char *) text.ptr);
    buf_fini(&text);
}

static void on_answer(void *ctx, int code, const char *message,
                      const msgpack_object *result)
{
    struct remote_question *q = ctx;

    q->answered = true;
    q->code = code;
    if (code != 0) {
        fail(q->remote, code, message == NULL ? "" : message);
        append_details(q->remote, result);
    } else if (q->fn != NULL) {
        q->fn(q->ctx, result);
    }
}

void remote_begin(struct remote *r, struct remote_question *q,
                  struct client_request *request, uint64_t limit_ms)
{
    const uint64_t now = clock_now_ms();

    q->remote = r;
    q->until_ms = limit_ms == 0 ? UINT64_MAX : now + limit_ms + GRACE_MS;
    q->ready_by_ms = now + r->timeout_ms;
    q->write = request->write;
    q->answered = false;
    request->limit_ms = limit_ms;
    request->done = on_answer;
    request->ctx = q;
    r->next_ms = now; /* it is sent at once */
    q->handle = client_core_request(r->channel.core, now, request);
}

/* The request was not answered in time, or the core says so. What was never sent has no
 * unknown outcome; a server that was reached but could not open the session said why. */
static int explain(struct remote *r, bool write)
{
    const int trouble = client_core_trouble(r->channel.core);

    if (client_core_ready(r->channel.core) == 0 && trouble != 0) {
        return fail(r, trouble, "the session could not be opened in time");
    }
    if (r->channel.link.state != LINK_UP) {
        return fail(r, ERR_UNREACHABLE, r->channel.link.why);
    }
    if (write && client_core_ready(r->channel.core) > 0) return fail(r, ERR_PENDING, "");
    return fail(r, ERR_UNREACHABLE, "no answer in time");
}

bool remote_done(struct remote_question *q)
{
    const uint64_t now = clock_now_ms();
    struct remote *r = q->remote;
    const bool ready = client_core_ready(r->channel.core) != 0;

    if (q->answered) {
        if (q->code == ERR_UNREACHABLE) q->code = explain(r, false);
        return true;
    }
    q->code = remote_hopeless(r);
    if (q->code == 0 && (now >= q->until_ms || (now >= q->ready_by_ms && !ready))) {
        q->code = explain(r, q->write);
    }
    if (q->code == 0) return false;
    remote_withdraw(q);
    return true;
}

void remote_withdraw(struct remote_question *q)
{
    if (!q->answered) client_core_cancel(q->remote->channel.core, q->handle);
}

int remote_ask(struct remote *r, struct client_request *request, uint64_t limit_ms,
               remote_result_fn fn, void *ctx)
{
    struct remote_question q = { .fn = fn, .ctx = ctx };
    struct pollfd fd;

    remote_begin(r, &q, request, limit_ms);
    while (!remote_done(&q)) {
        remote_poll(r, &fd, 1, q.ready_by_ms > clock_now_ms() ? q.ready_by_ms : q.until_ms);
    }
    return q.code;
}

void remote_close(struct remote *r)
{
    const uint64_t now = clock_now_ms(), until = now + CLOSE_MS_MAX;
    struct pollfd fd;

    if (client_core_session(r->channel.core) != 0 &&
        !client_core_session_over(r->channel.core)) {
        client_core_close_session(r->channel.core, now);
        r->next_ms = now;
        while (!client_core_session_over(r->channel.core) && remote_hopeless(r) == 0 &&
               clock_now_ms() < until) {
            remote_poll(r, &fd, 1, until);
        }
    }
    channel_fini(&r->channel);
}
