#include "tests/lib/async_rig.h"

#include <poll.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

char async_address[64], async_dead_address[64];
atomic_bool async_mute, async_held, async_grants_late;
atomic_int async_releases_heard;
char async_heard[HEARD_MAX][64]; /* by the server; read when it is idle */
atomic_int async_heard_count;
static uint32_t acquire_msgid;

static void note_path(const msgpack_object *o)
{
    const struct bytes path = rpc_bytes(o);

    if (path.ptr == NULL || async_heard_count == HEARD_MAX) return;
    snprintf(async_heard[async_heard_count], sizeof async_heard[0], "%.*s",
             (int) path.len, path.ptr);
    async_heard_count++;
}

static void put_value(struct buf *b)
{
    pack_map(b, 1);
    pack_cstr(b, "value");
}

static void put_grant(struct buf *b, const msgpack_object *path)
{
    char grant[128];

    snprintf(grant, sizeof grant, "%.*s/holder", (int) rpc_bytes(path).len,
             (const char *) rpc_bytes(path).ptr);
    put_value(b);
    pack_map(b, 2);
    pack_cstr(b, "path");
    pack_cstr(b, grant);
    pack_cstr(b, "token");
    pack_uint(b, 123);
}

/* lock.acquire of any ".../late" waits until it is withdrawn; then it is granted if
 * `grants_late`, else cancelled. "no.way" is refused; anything else gives its args back. */
static void answer_call(const struct rpc_message *m, struct buf *b)
{
    const msgpack_object *args = &m->params->via.array.ptr[1];
    const struct bytes function = rpc_bytes(&m->params->via.array.ptr[0]);
    const msgpack_object *path = rpc_member(args, "path");

    note_path(path);
    if (bytes_equal(function, bytes_str("lock.acquire"))) {
        const struct bytes p = rpc_bytes(path);

        if (p.len >= 5 && memcmp(p.ptr + p.len - 5, "/late", 5) == 0) {
            acquire_msgid = m->msgid;
            return;
        }
        rpc_response_begin(b, m->msgid);
        put_grant(b, path);
        return;
    }
    if (bytes_equal(function, bytes_str("no.way"))) {
        fake_put_refusal(b, m->msgid, ERR_REFUSED);
        return;
    }
    if (bytes_equal(function, bytes_str("lock.release"))) async_releases_heard++;
    rpc_response_begin(b, m->msgid);
    put_value(b);
    pack_object(b, args);
}

static void answer_cancel(const struct rpc_message *m, struct buf *b)
{
    msgpack_object path = { .type = MSGPACK_OBJECT_STR };

    path.via.str.ptr = "/late";
    path.via.str.size = 5;
    if (async_grants_late) {
        rpc_response_begin(b, acquire_msgid);
        put_grant(b, &path);
    } else {
        rpc_error(b, acquire_msgid, ERR_CANCELLED, NULL);
    }
    rpc_response_begin(b, m->msgid);
    pack_map(b, 0);
}

/* Armed at 9, and told of one change at 10. */
static void answer_watch(const struct rpc_message *m, struct buf *b)
{
    const msgpack_object *at = m->params->via.array.ptr;

    rpc_response_begin(b, m->msgid);
    pack_map(b, 1);
    pack_cstr(b, "zxid");
    pack_uint(b, 9);
    rpc_notification_begin(b, "events");
    pack_array(b, 2);
    pack_uint(b, 10);
    pack_array(b, 1);
    pack_array(b, 3);
    pack_object(b, &at[1]);
    pack_cstr(b, "changed");
    pack_object(b, &at[0]);
}

static void answer_node(const struct rpc_message *m, struct buf *b, const char *key)
{
    rpc_response_begin(b, m->msgid);
    pack_map(b, 3);
    pack_cstr(b, key);
    pack_object(b, &m->params->via.array.ptr[0]);
    pack_cstr(b, "zxid");
    pack_uint(b, 9);
    fake_put_stat(b);
}

static void answer_children(const struct rpc_message *m, struct buf *b)
{
    rpc_response_begin(b, m->msgid);
    pack_map(b, 2);
    pack_cstr(b, "children");
    pack_array(b, 2);
    pack_cstr(b, "one");
    pack_cstr(b, "two");
    pack_cstr(b, "more");
    pack_bool(b, true);
}

static void note_paths(const struct rpc_message *m)
{
    struct rpc_values values;
    const bool of_path = m->method == METHOD_CREATE || m->method == METHOD_SET ||
                         m->method == METHOD_DELETE || m->method == METHOD_GET ||
                         m->method == METHOD_WATCH;

    if (of_path) note_path(&m->params->via.array.ptr[0]);
    if (m->method == METHOD_MULTI) {
        const msgpack_object *op = &m->params->via.array.ptr[0].via.array.ptr[0];

        note_path(&op->via.array.ptr[1]);
    }
    if (m->method != METHOD_SET || rpc_check(m, &values) != 0) return;
    const struct rpc_value *guard = &values.at[rpc_value_index(METHOD_SET, "guard")];

    if (guard->given) note_path(&guard->any->via.array.ptr[0].via.array.ptr[0]);
}

static bool answer(const struct rpc_message *m, struct buf *b)
{
    while (async_held) usleep(1000);
    if (async_mute) return true;
    note_paths(m);
    if (m->method == METHOD_CALL || m->method == METHOD_QUERY) {
        answer_call(m, b);
    } else if (m->method == METHOD_CALL_CANCEL) {
        answer_cancel(m, b);
    } else if (m->method == METHOD_WATCH) {
        answer_watch(m, b);
    } else if (m->method == METHOD_CHILDREN) {
        answer_children(m, b);
    } else if (m->method == METHOD_GET || m->method == METHOD_CREATE) {
        answer_node(m, b, m->method == METHOD_GET ? "data" : "path");
    } else if (m->method == METHOD_DELETE || m->method == METHOD_MULTI) {
        fake_put_refusal(b, m->msgid, ERR_NO_NODE);
    } else {
        rpc_response_begin(b, m->msgid);
        if (m->method == METHOD_HELLO) {
            fake_put_hello(b);
        } else if (m->method == METHOD_SESSION_OPEN) {
            fake_put_session(b, SESSION_MS);
        } else {
            pack_map(b, 0);
        }
    }
    return true;
}

/* --- the program --- */

int64_t async_now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* One round of the event loop. */
int async_turn(tl_client *c)
{
    struct pollfd fd = { .fd = tl_fd(c), .events = POLLIN };

    return poll(&fd, 1, LIMIT_MS) == 1 ? tl_process(c) : TL_TIMEOUT;
}

tl_client *async_open_client(const tl_options *more)
{
    tl_options o = more == NULL ? (tl_options){ 0 } : *more;
    tl_client *c = NULL;

    if (o.servers == NULL) o.servers = async_address;
    IS(tl_open(&o, &c), TL_OK);
    return c;
}

struct async_told async_told;

void async_note(void *ctx, const tl_result *r)
{
    (void) ctx;
    async_told.times++;
    async_told.code = r->code;
    async_told.failed = r->failed;
    async_told.zxid = r->zxid;
    async_told.len = r->len;
    async_told.count = r->count;
    async_told.more = r->more;
    async_told.czxid = r->stat == NULL ? 0 : r->stat->czxid;
    async_told.value_len = r->value_len;
    snprintf(async_told.path, sizeof async_told.path, "%s", r->path == NULL ? "" : r->path);
    snprintf(async_told.data, sizeof async_told.data, "%s", r->data == NULL ? "" : r->data);
    snprintf(async_told.message, sizeof async_told.message, "%s", r->message);
    if (r->lock != NULL) async_told.lock = *r->lock;
    if (r->names != NULL) memcpy(async_told.names, r->names, 8);
    if (r->value_len <= sizeof async_told.value && r->value_len > 0) {
        memcpy(async_told.value, r->value, r->value_len);
    }
}

void async_forget(void)
{
    memset(&async_told, 0, sizeof async_told);
    async_heard_count = async_releases_heard = 0;
    async_mute = async_held = async_grants_late = false;
}

void async_begin(void)
{
    close(fake_listen(async_dead_address, sizeof async_dead_address));
    fake_server_start(async_address, sizeof async_address, answer);
}

void async_end(void)
{
    fake_server_stop();
}
