#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/check.h"
#include "tests/bench/load/load.h"

enum { READ_BYTES = 1 << 17, PENDING_MIN = 16, NAMES_MIN = 64 };

void conn_init(struct conn *c, const struct wire *wire, const char *where, uint32_t depth)
{
    uint32_t size = PENDING_MIN;

    /* Answers may come in another order: twice the room, so that one late answer does not
     * hold up the request that would stand in its place. */
    while (size < 2 * depth)
        size *= 2;
    *c = (struct conn){ .wire = wire, .where = where, .fd = -1, .pending_mask = size - 1 };
    c->pending = mem_zalloc(size * sizeof *c->pending);
    c->names_room = NAMES_MIN;
    c->names = mem_alloc(NAMES_MIN * sizeof *c->names);
    c->state = mem_zalloc(wire->state_size + 1);
}

void conn_fini(struct conn *c)
{
    conn_close(c);
    buf_fini(&c->in);
    buf_fini(&c->out);
    free(c->pending);
    free(c->names);
    free(c->state);
    free(c->work);
}

void conn_close(struct conn *c)
{
    if (c->fd >= 0) close(c->fd);
    c->fd = -1;
    c->ready = false;
    if (c->wire->forget != NULL) c->wire->forget(c);
    memset(c->state, 0, c->wire->state_size);
}

static bool address_of(const char *where, struct sockaddr_in *address)
{
    const char *colon = strrchr(where, ':');
    char host[64] = "";

    if (colon == NULL || (size_t)(colon - where) >= sizeof host) return false;
    memcpy(host, where, (size_t)(colon - where));
    *address = (struct sockaddr_in){ .sin_family = AF_INET,
                                     .sin_port = htons((uint16_t)atoi(colon + 1)) };
    return inet_pton(AF_INET, host, &address->sin_addr) == 1;
}

bool conn_open(struct conn *c, uint64_t now_us)
{
    struct sockaddr_in address;
    const int on = 1;

    conn_close(c);
    if (!address_of(c->where, &address)) load_fail("%s is no address", c->where);
    c->tried_us = now_us;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(c->fd >= 0);
    /* To loopback this is done or refused at once. */
    if (connect(c->fd, (const struct sockaddr *)&address, sizeof address) != 0) {
        conn_close(c);
        return false;
    }
    CHECK(setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0);
    CHECK(fcntl(c->fd, F_SETFL, O_NONBLOCK) == 0);
    buf_clear(&c->in);
    buf_clear(&c->out);
    c->out_sent = 0;
    c->id_last = c->outstanding = 0;
    c->waits_write = false;
    memset(c->pending, 0, (c->pending_mask + 1) * sizeof *c->pending);
    c->wire->greet(c);
    return true;
}

struct pending *conn_pending(struct conn *c, uint32_t id)
{
    return &c->pending[(id / c->wire->id_step) & c->pending_mask];
}

bool conn_ask(struct conn *c, const struct load_request *r, uint64_t now_us)
{
    const uint32_t id = c->id_last == 0 ? 1 : c->id_last + c->wire->id_step;
    struct pending *p = conn_pending(c, id);

    if (p->id != 0 || !c->wire->ask(c, id, r)) return false;
    *p = (struct pending){ .sent_us = now_us, .id = id, .op = r->op };
    c->id_last = id;
    c->outstanding++;
    return true;
}

struct bytes *conn_name(struct conn *c, struct load_answer *a)
{
    if (a->names_count == c->names_room) {
        c->names_room *= 2;
        c->names = mem_grow(c->names, c->names_room * sizeof *c->names);
    }
    a->names = c->names;
    return &c->names[a->names_count++];
}

bool conn_flush(struct conn *c)
{
    while (c->out_sent < c->out.len) {
        const ssize_t n =
            send(c->fd, c->out.ptr + c->out_sent, c->out.len - c->out_sent, MSG_NOSIGNAL);

        if (n < 0) return errno == EAGAIN || errno == EINTR;
        c->out_sent += (size_t)n;
    }
    buf_clear(&c->out);
    c->out_sent = 0;
    return true;
}

bool conn_fill(struct conn *c)
{
    ssize_t n;

    buf_reserve(&c->in, READ_BYTES);
    n = read(c->fd, c->in.ptr + c->in.len, READ_BYTES);
    if (n < 0) return errno == EAGAIN || errno == EINTR;
    c->in.len += (size_t)n;
    return n > 0;
}

enum wire_verdict conn_next(struct conn *c, size_t *at, struct load_answer *a)
{
    for (;;) {
        size_t used = 0;
        enum wire_verdict verdict;

        *a = (struct load_answer){ 0 };
        verdict = c->wire->take(c, bytes_of(c->in.ptr + *at, c->in.len - *at), &used, a);
        *at += used;
        if (verdict == WIRE_NOTHING) continue;
        if (verdict == WIRE_READY) c->ready = true;
        if (verdict == WIRE_ANSWER && a->id != 0) {
            if (conn_pending(c, a->id)->id != a->id) return WIRE_BROKEN;
            c->outstanding--;
        }
        return verdict;
    }
}
