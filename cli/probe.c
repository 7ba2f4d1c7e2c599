#include "cli/probe.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include "cli/clock.h"
#include "cli/options.h"
#include "core/base/errors.h"
#include "core/rpc/rpc.h"

enum { MSGID_HELLO = 1, MSGID_STATUS = 2, ANSWER_MS = 2000, LOOK_US = 50000 };

struct exchange {
    struct probe *probe;
    int fd;
    uint64_t until_ms;
    struct buf in, out;
    struct rpc_scan scan;
    bool answered;
};

static bool failed(struct probe *p, const char *why)
{
    snprintf(p->why, sizeof p->why, "%s", why);
    return false;
}

/* --- the answer --- */

static void copy_text(char *to, size_t size, const msgpack_object *from)
{
    const struct bytes s = rpc_bytes(from);

    snprintf(to, size, "%.*s", (int) (s.len < size ? s.len : size - 1),
             s.ptr == NULL ? "" : (const char *) s.ptr);
}

/* A member's id is an integer, or text that holds one. */
static uint32_t member_id(const msgpack_object *key)
{
    char text[16];
    uint64_t id = rpc_uint(key, 0);

    copy_text(text, sizeof text, key);
    if (text[0] != '\0' && !options_read_number(text, 1, UINT32_MAX, &id)) return 0;
    return (uint32_t) id;
}

static void take_members(struct probe *p, const msgpack_object *members)
{
    if (members == NULL || members->type != MSGPACK_OBJECT_MAP) return;
    for (uint32_t i = 0; i < members->via.map.size && p->members_count < NODES_MAX; i++) {
        const msgpack_object_kv *kv = &members->via.map.ptr[i];
        struct probe_member *m = &p->members[p->members_count++];

        m->node = member_id(&kv->key);
        copy_text(m->client, sizeof m->client, rpc_member(&kv->val, "client"));
        copy_text(m->peer, sizeof m->peer, rpc_member(&kv->val, "peer"));
    }
}

static void take_status(struct probe *p, const msgpack_object *result)
{
    p->node = (uint32_t) rpc_uint(rpc_member(result, "node"), 0);
    p->leader = (uint32_t) rpc_uint(rpc_member(result, "leader"), 0);
    p->applied = rpc_uint(rpc_member(result, "applied"), 0);
    p->zxid = rpc_uint(rpc_member(result, "zxid"), 0);
    p->round = rpc_uint(rpc_member(result, "round"), 0);
    copy_text(p->role, sizeof p->role, rpc_member(result, "role"));
    copy_text(p->version, sizeof p->version, rpc_member(result, "version"));
    take_members(p, rpc_member(result, "members"));
}

/* False: the answer is none that we know, and waiting on is useless. */
static bool take_message(struct exchange *e, struct bytes bytes)
{
    msgpack_zone zone;
    struct rpc_message m;
    bool good;

    if (!msgpack_zone_init(&zone, 4096)) return failed(e->probe, "out of memory");
    good = rpc_decode(bytes, &zone, &m) == 0;
    if (!good) {
        failed(e->probe, "it does not speak the protocol");
    } else if (m.type == 1 && m.error != NULL && m.error->type != MSGPACK_OBJECT_NIL) {
        copy_text(e->probe->why, sizeof e->probe->why, rpc_member(m.error, "message"));
        good = false;
    } else if (m.type == 1 && m.msgid == MSGID_STATUS) {
        take_status(e->probe, m.result);
        e->answered = true;
    }
    msgpack_zone_destroy(&zone);
    return good;
}

static bool take_input(struct exchange *e)
{
    size_t len;

    buf_reserve(&e->in, 65536);
    const ssize_t n = read(e->fd, e->in.ptr + e->in.len, 65536);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR || failed(e->probe, strerror(errno));
    if (n == 0) return failed(e->probe, "it closed the connection");
    e->in.len += (size_t) n;
    while (!e->answered) {
        switch (rpc_scan(&e->scan, buf_bytes(&e->in), RPC_BYTES_MAX, &len)) {
        case RPC_SCAN_MORE:
            return true;
        case RPC_SCAN_BAD:
            return failed(e->probe, "it does not speak the protocol");
        case RPC_SCAN_WHOLE:
            if (!take_message(e, bytes_of(e->in.ptr, len))) return false;
            buf_drop(&e->in, len);
        }
    }
    return true;
}

/* --- the exchange --- */

static bool send_output(struct exchange *e)
{
    const ssize_t n = send(e->fd, e->out.ptr, e->out.len, MSG_NOSIGNAL);

    if (n < 0)
        return errno == EAGAIN || errno == EINTR || failed(e->probe, strerror(errno));
    buf_drop(&e->out, (size_t) n);
    return true;
}

static bool turn(struct exchange *e)
{
    const uint64_t now = clock_now_ms();
    struct pollfd fd = { .fd = e->fd, .events = e->out.len > 0 ? POLLOUT : POLLIN };

    if (now >= e->until_ms) return failed(e->probe, "no answer in time");
    if (poll(&fd, 1, (int) (e->until_ms - now)) <= 0) return true;
    return e->out.len > 0 ? send_output(e) : take_input(e);
}

static void build(struct buf *out)
{
    rpc_request_begin(out, MSGID_HELLO, METHOD_HELLO);
    pack_array(out, 1);
    pack_uint(out, RPC_PROTO);
    rpc_request_begin(out, MSGID_STATUS, METHOD_STATUS);
    pack_array(out, 0);
}

int probe_ask(struct probe *p, const struct endpoint *server, uint64_t limit_ms)
{
    struct exchange e = { .probe = p, .until_ms = clock_now_ms() + limit_ms };

    *p = (struct probe){ 0 };
    e.fd = endpoint_connect(server);
    if (e.fd < 0) {
        failed(p, server->name_len == 0 ? "unknown host" : strerror(errno));
        return ERR_UNREACHABLE;
    }
    rpc_scan_init(&e.scan);
    build(&e.out);
    while (!e.answered && turn(&e)) continue;
    close(e.fd);
    buf_fini(&e.in);
    buf_fini(&e.out);
    return e.answered ? 0 : ERR_UNREACHABLE;
}

/* --- several --- */

/* A server's own address may be written otherwise in the list: a node that has answered
 * under one address is not asked under another. */
static bool is_known(const struct probe *probes, size_t count, uint32_t node)
{
    for (size_t i = 0; i < count; i++) {
        if (probes[i].node == node) return true;
    }
    return false;
}

static void add_members(const struct probe *p, struct endpoints *servers)
{
    for (size_t i = 0; i < p->members_count; i++) {
        const char *client = p->members[i].client;
        if (p->members[i].node != p->node && client[0] != '\0') {
            endpoints_add(servers, bytes_str(client));
        }
    }
}

size_t probe_all(struct probe *probes, struct endpoints *servers, uint64_t limit_ms)
{
    const size_t given = servers->count;
    size_t answered = 0;

    for (size_t i = 0; i < given; i++) {
        if (probe_ask(&probes[i], &servers->at[i], limit_ms) == 0) answered++;
    }
    for (size_t i = 0; i < given; i++) add_members(&probes[i], servers);
    for (size_t i = given; i < servers->count;) {
        const bool there = probe_ask(&probes[i], &servers->at[i], limit_ms) == 0;

        if (there && is_known(probes, i, probes[i].node)) {
            servers->at[i] = servers->at[--servers->count];
            continue;
        }
        if (there) answered++;
        i++;
    }
    return answered;
}

/* An old leader that has not heard of the new one yet has the lower round. */
int probe_find_leader(const struct probe *probes, size_t count)
{
    int leader = -1;

    for (size_t i = 0; i < count; i++) {
        if (probes[i].node == 0 || strcmp(probes[i].role, "leader") != 0) continue;
        if (leader < 0 || probes[i].round > probes[leader].round) leader = (int) i;
    }
    return leader;
}

int probe_await_leader(struct probe *probes, struct endpoints *servers, uint64_t limit_ms,
                       size_t *answered)
{
    const uint64_t until = clock_now_ms() + limit_ms;
    const size_t given = servers->count;

    for (;;) {
        servers->count = given;
        *answered = probe_all(probes, servers, ANSWER_MS);
        const int leader = probe_find_leader(probes, servers->count);
        if (leader >= 0 || *answered == 0 || clock_now_ms() >= until) return leader;
        usleep(LOOK_US);
    }
}

/* A candidate is a follower to those who only want to know who leads. */
const char *probe_role(const struct probe *p)
{
    if (p->node == 0) return "down";
    if (strcmp(p->role, "leader") == 0 || strcmp(p->role, "learner") == 0) return p->role;
    return "follower";
}
