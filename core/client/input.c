#include <stdio.h>

#include "core/client/inside.h"

/* The server's message as a C string; it is cut, not trusted. */
static const char *message_of(const msgpack_object *error, char *room, size_t size)
{
    const struct bytes text = rpc_bytes(rpc_member(error, "message"));

    if (text.ptr == NULL) return NULL;
    snprintf(room, size, "%.*s", text.len < size ? (int) text.len : (int) size - 1,
             (const char *) text.ptr);
    return room;
}

/* Events stand before any answer that shows their change: what an answer names is told. */
void zxid_see(struct client_core *c, uint64_t zxid)
{
    if (zxid > c->zxid_seen) c->zxid_seen = zxid;
}

static int response_take(struct client_core *c, uint64_t now_ms,
                         const struct rpc_message *m)
{
    const bool failed = m->error->type != MSGPACK_OBJECT_NIL;
    const int64_t code = failed ? rpc_int(rpc_member(m->error, "code"), 0) : 0;
    char message[256];

    if (failed && (code >= 0 || code < INT16_MIN)) return ERR_BAD_MESSAGE;
    if (!failed) zxid_see(c, rpc_uint(rpc_member(m->result, "zxid"), 0));
    if (m->msgid < CONTROL_COUNT) {
        return control_answered(c, now_ms, (enum control) m->msgid, (int) code, m->result);
    }

    struct request *r = request_of_msgid(c, m->msgid);

    if (r == NULL) return 0; /* cancelled meanwhile */
    if (failed) {
        request_answered(c, now_ms, r, (int) code,
                         message_of(m->error, message, sizeof message),
                         rpc_member(m->error, "details"));
    } else {
        request_answered(c, now_ms, r, 0, NULL, m->result);
    }
    return 0;
}

void members_came(struct client_core *c, const msgpack_object *map)
{
    struct members members = { .count = 0 };

    if (c->members == NULL || map == NULL || map->type != MSGPACK_OBJECT_MAP) return;
    for (uint32_t i = 0; i < map->via.map.size; i++) {
        const msgpack_object_kv *at = &map->via.map.ptr[i];

        members_add(&members, rpc_uint(&at->key, 0), rpc_bytes(&at->val));
    }
    c->members(c->members_ctx, &members);
}

/* Those that are not known are for a later version. */
static int notification_take(struct client_core *c, uint64_t now_ms,
                             const struct rpc_message *m)
{
    if (bytes_equal(m->method_name, BYTES_LIT("events"))) {
        return events_came(c, m->params);
    }
    if (bytes_equal(m->method_name, BYTES_LIT("nodes"))) {
        return events_nodes_came(c, m->params);
    }
    if (bytes_equal(m->method_name, BYTES_LIT("lagged"))) {
        return events_lagged_came(c, now_ms, m->params);
    }
    if (bytes_equal(m->method_name, BYTES_LIT("progress"))) {
        return events_progress_came(c, m->params);
    }
    if (bytes_equal(m->method_name, BYTES_LIT("members"))) {
        if (m->params->via.array.size > 0) members_came(c, &m->params->via.array.ptr[0]);
    }
    return 0;
}

static int message_take(struct client_core *c, uint64_t now_ms, struct bytes bytes)
{
    struct rpc_message m;

    msgpack_zone_clear(c->zone);
    int rc = rpc_decode(bytes, c->zone, &m);
    if (rc != 0) return rc;
    if (m.type == 2) return notification_take(c, now_ms, &m);
    return m.type == 1 ? response_take(c, now_ms, &m) : ERR_BAD_MESSAGE;
}

int client_core_input(struct client_core *c, uint64_t now_ms, struct bytes bytes)
{
    size_t done = 0, len = 0;
    int rc = 0;

    if (now_ms >= session_deadline_ms(c)) session_end(c); /* a late answer saves nothing */
    c->quiet_since_ms = now_ms;
    buf_put_bytes_raw(&c->in, bytes);
    while (rc == 0) {
        const struct bytes left = bytes_of(c->in.ptr + done, c->in.len - done);
        const enum rpc_scan_verdict verdict =
            rpc_scan(&c->scan, left, CLIENT_ANSWER_BYTES_MAX, &len);

        if (verdict == RPC_SCAN_MORE) break;
        if (verdict == RPC_SCAN_BAD) return ERR_BAD_MESSAGE;
        rc = message_take(c, now_ms, bytes_of(left.ptr, len));
        done += len;
    }
    buf_drop(&c->in, done);
    if (rc == 0) watches_flush(c, now_ms);
    return rc;
}
