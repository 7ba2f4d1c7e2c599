#include "core/server/join.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "core/base/errors.h"
#include "core/base/log.h"
#include "core/rpc/rpc.h"

enum {
    MSGID_HELLO = 1,
    MSGID_JOIN = 2,
    LIMIT_MS = 60000,  /* all of it */
    ANSWER_MS = 5000,  /* one server */
    PAUSE_MS = 200,    /* between rounds through all servers */
};

struct exchange { /* with one server */
    struct config *config;
    struct identity_place *place;
    int fd;
    uint64_t until_ms;
    struct buf in, out;
    struct rpc_scan scan;
    int code; /* 0: answered, once `over` */
    bool over;
    char *why;
};

static uint64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void end(struct exchange *e, int code, const char *text)
{
    e->code = code;
    e->over = true;
    snprintf(e->why, CONFIG_WHY_MAX, "%s", text);
}

/* --- the answer --- */

static bool text_of(const msgpack_object *o, char *out, size_t size)
{
    const struct bytes s = o != NULL ? rpc_bytes(o) : (struct bytes){ 0 };

    if (s.ptr == NULL || s.len == 0 || s.len >= size) return false;
    memcpy(out, s.ptr, s.len);
    out[s.len] = '\0';
    return true;
}

/* One member, as "id=host:port" behind `members`. */
static bool take_member(struct exchange *e, const msgpack_object *m, struct buf *members)
{
    const uint64_t id = rpc_uint(rpc_member(m, "id"), 0);
    char peer[ADDRESS_TEXT_MAX], entry[ADDRESS_TEXT_MAX + 8];

    if (id == 0 || id > NODES_MAX) return false;
    if (!text_of(rpc_member(m, "peer"), peer, sizeof peer)) return false;
    e->place->known[id - 1] = rpc_uint(rpc_member(m, "incarnation"), 0);
    snprintf(entry, sizeof entry, "%s%u=%s", members->len > 0 ? "," : "", (unsigned)id, peer);
    buf_put_bytes_raw(members, bytes_str(entry));
    return true;
}

static bool take_members(struct exchange *e, const msgpack_object *list)
{
    struct buf members = { 0 };
    bool good = list != NULL && list->type == MSGPACK_OBJECT_ARRAY;

    for (uint32_t i = 0; good && i < list->via.array.size; i++) {
        good = take_member(e, &list->via.array.ptr[i], &members);
    }
    buf_put_u8(&members, 0);
    good = good && config_members_adopt(e->config, (const char *)members.ptr);
    buf_fini(&members);
    return good;
}

static bool take_place(struct exchange *e, const msgpack_object *result)
{
    struct config *c = e->config;
    const uint64_t id = rpc_uint(rpc_member(result, "id"), 0);
    const uint64_t number = rpc_uint(rpc_member(result, "number"), 0);

    if (id == 0 || id > NODES_MAX || number == 0 || number > UINT32_MAX) return false;
    e->place->number = (uint32_t)number;
    e->place->founding = rpc_uint(rpc_member(result, "founding"), 0);
    if (e->place->founding == 0) return false;
    c->id = (uint32_t)id;
    return text_of(rpc_member(result, "cluster"), c->cluster, sizeof c->cluster) &&
           take_members(e, rpc_member(result, "members"));
}

static void take_error(struct exchange *e, const msgpack_object *error)
{
    char name[40] = "", message[300] = "";

    (void)text_of(rpc_member(error, "name"), name, sizeof name);
    (void)text_of(rpc_member(error, "message"), message, sizeof message);
    int code = error_code(name);
    end(e, code != 0 ? code : ERR_BAD_MESSAGE, message);
}

static void take_message(struct exchange *e, struct bytes bytes)
{
    struct rpc_message m;
    msgpack_zone zone;

    if (!msgpack_zone_init(&zone, 4096)) abort();
    if (rpc_decode(bytes, &zone, &m) != 0) {
        end(e, ERR_BAD_MESSAGE, "it does not speak the clients' protocol");
    } else if (m.type == 1 && m.error != NULL && m.error->type != MSGPACK_OBJECT_NIL) {
        take_error(e, m.error);
    } else if (m.type == 1 && m.msgid == MSGID_JOIN) {
        bool good = take_place(e, m.result);
        end(e, good ? 0 : ERR_BAD_MESSAGE, "its answer is none to a request to join");
    }
    msgpack_zone_destroy(&zone);
}

/* --- the exchange --- */

static void take_input(struct exchange *e)
{
    size_t len;

    buf_reserve(&e->in, 65536);
    const ssize_t n = read(e->fd, e->in.ptr + e->in.len, 65536);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n <= 0) {
        end(e, ERR_UNREACHABLE, n == 0 ? "it closed the connection" : strerror(errno));
        return;
    }
    e->in.len += (size_t)n;
    while (!e->over) {
        enum rpc_scan_verdict verdict =
            rpc_scan(&e->scan, buf_bytes(&e->in), RPC_BYTES_MAX, &len);
        if (verdict == RPC_SCAN_MORE) return;
        if (verdict == RPC_SCAN_BAD) {
            end(e, ERR_BAD_MESSAGE, "it does not speak the clients' protocol");
            return;
        }
        take_message(e, bytes_of(e->in.ptr, len));
        buf_drop(&e->in, len);
    }
}

static void send_output(struct exchange *e)
{
    const ssize_t n = send(e->fd, e->out.ptr, e->out.len, MSG_NOSIGNAL);

    if (n >= 0) {
        buf_drop(&e->out, (size_t)n);
    } else if (errno != EAGAIN && errno != EINTR) {
        end(e, ERR_UNREACHABLE, strerror(errno));
    }
}

static void turn(struct exchange *e)
{
    const uint64_t now = now_ms();
    struct pollfd fd = { .fd = e->fd, .events = e->out.len > 0 ? POLLOUT : POLLIN };

    if (now >= e->until_ms) {
        end(e, ERR_UNREACHABLE, "no answer in time");
    } else if (poll(&fd, 1, (int)(e->until_ms - now)) > 0) {
        if (e->out.len > 0) {
            send_output(e);
        } else {
            take_input(e);
        }
    }
}

static void put_question(struct exchange *e)
{
    const struct config *c = e->config;
    char peer[ADDRESS_TEXT_MAX], client[ADDRESS_TEXT_MAX];

    address_format(&c->peer, peer);
    address_format(address_given(&c->advertise) ? &c->advertise : &c->client, client);
    rpc_request_begin(&e->out, MSGID_HELLO, METHOD_HELLO);
    pack_array(&e->out, 1u + c->cluster_given);
    pack_uint(&e->out, RPC_PROTO);
    if (c->cluster_given) {
        pack_map(&e->out, 1);
        pack_cstr(&e->out, "cluster");
        pack_cstr(&e->out, c->cluster);
    }
    rpc_request_begin(&e->out, MSGID_JOIN, METHOD_MEMBER_JOIN);
    pack_array(&e->out, 4);
    pack_cstr(&e->out, peer);
    pack_cstr(&e->out, client);
    pack_uint(&e->out, e->place->incarnation);
    pack_map(&e->out, 1);
    pack_cstr(&e->out, "learner");
    pack_bool(&e->out, c->learner);
}

/* Connects to the first address that the name has; -1 with errno. */
static int dial(const struct address *a)
{
    const struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
    struct addrinfo *found;
    char port[8];

    snprintf(port, sizeof port, "%u", (unsigned)a->port);
    errno = EHOSTUNREACH;
    if (getaddrinfo(a->host, port, &hints, &found) != 0) return -1;
    int fd = socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, found->ai_addr, found->ai_addrlen) != 0 &&
        errno != EINPROGRESS) {
        close(fd);
        fd = -1;
    }
    freeaddrinfo(found);
    return fd;
}

static int ask_one(struct config *c, const char *server, struct identity_place *place,
                   char *why)
{
    struct exchange e = { .config = c, .place = place, .why = why };
    struct address address;

    if (address_parse(server, &address) != 0) return ERR_CONFIG;
    e.until_ms = now_ms() + ANSWER_MS;
    e.fd = dial(&address);
    if (e.fd < 0) {
        snprintf(why, CONFIG_WHY_MAX, "%s", strerror(errno));
        return ERR_UNREACHABLE;
    }
    rpc_scan_init(&e.scan);
    put_question(&e);
    while (!e.over) turn(&e);
    close(e.fd);
    buf_fini(&e.in);
    buf_fini(&e.out);
    return e.code;
}

/* --- one server after the other --- */

/* Another server, or the same one later, may do it. */
static bool is_worth_another(int code)
{
    return code == ERR_UNREACHABLE || code == ERR_NO_QUORUM || code == ERR_BUSY ||
           code == ERR_STOPPING || code == ERR_DISK_FULL || code == ERR_BAD_MESSAGE ||
           code == ERR_UNSAFE_CHANGE;
}

static int ask_all(struct config *c, struct identity_place *place, char *why)
{
    char servers[CONFIG_PATH_MAX], reason[CONFIG_WHY_MAX] = "";
    int code = 0;

    snprintf(servers, sizeof servers, "%s", c->join);
    for (char *at = servers, *comma; at != NULL; at = comma) {
        comma = strchr(at, ',');
        if (comma != NULL) *comma++ = '\0';
        code = ask_one(c, at, place, reason);
        if (code == 0) return 0;
        snprintf(why, CONFIG_WHY_MAX, "cannot join at %.300s: %s: %.600s", at,
                 error_name(code), reason);
        if (!is_worth_another(code)) return code;
    }
    return code;
}

int join_ask(struct config *c, struct identity_place *place, char *why)
{
    const uint64_t until_ms = now_ms() + LIMIT_MS;

    for (bool told = false;;) {
        int code = ask_all(c, place, why);
        if (code == 0 || !is_worth_another(code) || now_ms() >= until_ms) return code;
        if (!told) log_line(LOG_WARN, "server", "msg=\"will try again\" why=\"%s\"", why);
        told = true;
        poll(NULL, 0, PAUSE_MS);
    }
}
