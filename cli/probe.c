#include "cli/probe.h"

#include <stdio.h>
#include <unistd.h>

#include "cli/clock.h"
#include "cli/remote.h"
#include "core/base/errors.h"

enum { ANSWER_MS = 2000, LOOK_US = 50000 };

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

static void take_status(void *ctx, const msgpack_object *result)
{
    struct probe *p = ctx;

    p->node = (uint32_t) rpc_uint(rpc_member(result, "node"), 0);
    p->leader = (uint32_t) rpc_uint(rpc_member(result, "leader"), 0);
    p->applied = rpc_uint(rpc_member(result, "applied"), 0);
    p->zxid = rpc_uint(rpc_member(result, "zxid"), 0);
    p->round = rpc_uint(rpc_member(result, "round"), 0);
    copy_text(p->role, sizeof p->role, rpc_member(result, "role"));
    copy_text(p->version, sizeof p->version, rpc_member(result, "version"));
    take_members(p, rpc_member(result, "members"));
}

/* --- one server --- */

/* What it says of the server need not name it once more. */
static void take_failure(struct probe *p, const char *name, const char *message)
{
    const size_t len = strlen(name);
    const bool named = strncmp(message, name, len) == 0 && message[len] == ':';

    snprintf(p->why, sizeof p->why, "%.159s", named ? message + len + 2 : message);
}

int probe_ask(struct probe *p, const struct server *server, uint64_t limit_ms)
{
    char name[SERVER_TEXT_MAX];
    const struct options o = { .servers = server_text(server, name),
                               .timeout_ms = (uint32_t) limit_ms };
    struct client_request request = { .method = METHOD_STATUS };
    struct remote remote;

    *p = (struct probe){ 0 };
    int code = remote_open(&remote, &o, 0);
    if (code == 0) {
        remote.channel.alone = true;
        code = remote_ask(&remote, &request, limit_ms, take_status, p);
        remote_close(&remote);
    }
    if (code == 0) return 0;
    take_failure(p, name, remote.message[0] != '\0' ? remote.message : error_text(code));
    return ERR_UNREACHABLE;
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

static void add_server(struct servers *servers, const char *text)
{
    struct server s;

    if (servers->count == SERVERS_MAX || !server_parse(bytes_str(text), &s)) return;
    if (servers_find(servers, &s) == servers->count) servers->at[servers->count++] = s;
}

static void add_members(const struct probe *p, struct servers *servers)
{
    for (size_t i = 0; i < p->members_count; i++) {
        const char *client = p->members[i].client;
        if (p->members[i].node != p->node) add_server(servers, client);
    }
}

size_t probe_all(struct probe *probes, struct servers *servers, uint64_t limit_ms)
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

int probe_await_leader(struct probe *probes, struct servers *servers, uint64_t limit_ms,
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
