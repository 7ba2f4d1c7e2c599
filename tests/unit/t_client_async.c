/* t_client_async.c -- the client that does not wait, one rule a test.
 *
 * Method: a server in a thread answers each method in one fixed way, notes which paths it
 * heard, and says nothing while it is `mute`, and all of it later while it is `held`. The
 * program of each test is a loop that polls tl_fd() and nothing else, so what has to happen
 * by itself must come out of it. A session lives for 800 ms only. */
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "core/client/tidelock.h"
#include "tests/lib/fake_server.h"
#include "tests/lib/tap.h"

enum { SESSION_MS = 800, LIMIT_MS = 5000, HEARD_MAX = 64 };

static char address[64], dead_address[64];
static atomic_bool mute, held, grants_late;
static atomic_int releases_heard;
static char heard[HEARD_MAX][64]; /* by the server; read when it is idle */
static atomic_int heard_count;
static uint32_t acquire_msgid;

static void note_path(const msgpack_object *o)
{
    const struct bytes path = rpc_bytes(o);

    if (path.ptr == NULL || heard_count == HEARD_MAX) return;
    snprintf(heard[heard_count], sizeof heard[0], "%.*s", (int) path.len, path.ptr);
    heard_count++;
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
    if (bytes_equal(function, bytes_str("lock.release"))) releases_heard++;
    rpc_response_begin(b, m->msgid);
    put_value(b);
    pack_object(b, args);
}

static void answer_cancel(const struct rpc_message *m, struct buf *b)
{
    msgpack_object path = { .type = MSGPACK_OBJECT_STR };

    path.via.str.ptr = "/late";
    path.via.str.size = 5;
    if (grants_late) {
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
    while (held) usleep(1000);
    if (mute) return true;
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

static int64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* One round of the event loop. */
static int turn(tl_client *c)
{
    struct pollfd fd = { .fd = tl_fd(c), .events = POLLIN };

    return poll(&fd, 1, LIMIT_MS) == 1 ? tl_process(c) : TL_TIMEOUT;
}

#define RUN_UNTIL(c, fact)                                                                 \
    do {                                                                                   \
        const int64_t until_ = now_ms() + LIMIT_MS;                                        \
        while (!(fact) && now_ms() < until_ && turn(c) == 0) continue;                     \
        OK(fact);                                                                          \
    } while (0)

static tl_client *open_client(const tl_options *more)
{
    tl_options o = more == NULL ? (tl_options){ 0 } : *more;
    tl_client *c = NULL;

    if (o.servers == NULL) o.servers = address;
    IS(tl_open(&o, &c), TL_OK);
    return c;
}

/* What the last done told. */
static struct {
    int times, code, failed;
    uint64_t zxid, czxid;
    size_t len, count, value_len;
    bool more;
    char path[128], data[64], names[16], message[64];
    tl_lock lock;
    unsigned char value[64];
} told;

static void note(void *ctx, const tl_result *r)
{
    (void) ctx;
    told.times++;
    told.code = r->code;
    told.failed = r->failed;
    told.zxid = r->zxid;
    told.len = r->len;
    told.count = r->count;
    told.more = r->more;
    told.czxid = r->stat == NULL ? 0 : r->stat->czxid;
    told.value_len = r->value_len;
    snprintf(told.path, sizeof told.path, "%s", r->path == NULL ? "" : r->path);
    snprintf(told.data, sizeof told.data, "%s", r->data == NULL ? "" : r->data);
    snprintf(told.message, sizeof told.message, "%s", r->message);
    if (r->lock != NULL) told.lock = *r->lock;
    if (r->names != NULL) memcpy(told.names, r->names, 8);
    if (r->value_len <= sizeof told.value && r->value_len > 0) {
        memcpy(told.value, r->value, r->value_len);
    }
}

static void forget(void)
{
    memset(&told, 0, sizeof told);
    heard_count = releases_heard = 0;
    mute = held = grants_late = false;
}

static void a_call_ends_in_its_callback_and_not_before_the_loop_runs(void)
{
    tl_client *c = open_client(NULL);

    forget();
    OK(tl_get_async(c, "/path", note, NULL) != 0);
    IS(told.times, 0);
    RUN_UNTIL(c, told.times == 1);
    STR(told.data, "/path");
    IS(told.len, 5);
    IS(told.czxid, 41);
    IS(told.zxid, 9);
    tl_close(c);
    IS(told.times, 1);
}

static void each_kind_of_result_is_told(void)
{
    const tl_op ops[] = { { .kind = TL_OP_SET, .path = "/a", .version = -1 } };
    tl_client *c = open_client(NULL);
    const char *text = NULL;
    size_t len = 0;

    forget();
    tl_create_async(c, "/a", "x", 1, TL_PARENTS, NULL, note, NULL);
    RUN_UNTIL(c, told.times == 1);
    STR(told.path, "/a");
    tl_children_async(c, "/", NULL, 0, note, NULL);
    RUN_UNTIL(c, told.times == 2);
    IS(told.count, 2);
    OK(told.more && memcmp(told.names, "one\0two", 8) == 0);
    tl_multi_async(c, ops, 1, note, NULL);
    RUN_UNTIL(c, told.times == 3);
    IS(told.code, TL_NO_NODE);
    IS(told.failed, 1);
    STR(told.message, "no such thing");
    tl_call_async(c, "a.b", "\x81\xa1k\xa1v", 5, 0, NULL, note, NULL);
    RUN_UNTIL(c, told.times == 4);
    IS(told.code, 0);
    OK(tl_value_text(told.value, told.value_len, "k", &text, &len));
    OK(len == 1 && *text == 'v');
    tl_query_async(c, "a.b", "\x07", 1, note, NULL);
    RUN_UNTIL(c, told.times == 5);
    OK(told.value_len == 1 && told.value[0] == 7);
    tl_close(c);
}

static void the_details_of_a_refusal_are_not_lost(void)
{
    const tl_options o = { .servers = address };
    tl_client *c = open_client(NULL);
    void *value = NULL;
    size_t len = 0;
    int64_t index = 0;

    forget();
    tl_call_async(c, "no.way", NULL, 0, 0, NULL, note, NULL);
    RUN_UNTIL(c, told.times == 1);
    IS(told.code, TL_REFUSED);
    OK(tl_value_number(told.value, told.value_len, "index", &index));
    IS(index, 1);
    tl_close(c);
    IS(tl_connect(&o, &c), TL_OK);
    IS(tl_call(c, "no.way", NULL, 0, 0, NULL, &value, &len), TL_REFUSED);
    OK(tl_value_number(value, len, "index", &index));
    tl_free(value);
    tl_close(c);
}

static void what_no_server_would_take_is_told_in_the_callback_too(void)
{
    tl_client *c = open_client(NULL);

    forget();
    tl_get_async(c, NULL, note, NULL);
    tl_get_async(c, "no/slash", note, NULL);
    IS(told.times, 0);
    RUN_UNTIL(c, told.times == 2);
    IS(told.code, TL_BAD_PATH);
    tl_lock_try_async(c, "/lock", note, NULL);
    RUN_UNTIL(c, told.times == 3);
    IS(told.code, TL_CONFIG);
    IS(heard_count, 0);
    tl_close(c);
}

static tl_client *chain_client;

static void get_again(void *ctx, const tl_result *r)
{
    note(ctx, r);
    if (told.times < 100) tl_get_async(chain_client, "/next", get_again, NULL);
}

static void a_callback_starts_the_next_call(void)
{
    chain_client = open_client(NULL);
    forget();
    tl_get_async(chain_client, "/first", get_again, NULL);
    RUN_UNTIL(chain_client, told.times == 100);
    tl_close(chain_client);
    IS(told.times, 100);
}

static void start_for_ever(void *ctx, const tl_result *r)
{
    note(ctx, r);
    tl_get_async(chain_client, "/again", start_for_ever, NULL);
}

static void a_callback_that_always_starts_another_does_not_prevent_closing(void)
{
    chain_client = open_client(&(tl_options){ .servers = dead_address });
    forget();
    tl_get_async(chain_client, "/first", start_for_ever, NULL);
    tl_close(chain_client);
    IS(told.times, 1);
    IS(told.code, TL_CLOSED);
}

static void a_cancelled_call_is_not_told_of(void)
{
    tl_client *c = open_client(NULL);

    forget();
    const uint64_t handle = tl_get_async(c, "/a", note, NULL);
    const uint64_t refused = tl_get_async(c, "b", note, NULL);

    tl_cancel(c, handle);
    tl_cancel(c, refused);
    tl_cancel(c, handle);
    tl_cancel(c, 4711);
    OK(tl_get_async(c, "/c", note, NULL) != handle);
    RUN_UNTIL(c, told.times == 1);
    STR(told.data, "/c");
    tl_close(c);
}

static void a_call_that_cannot_be_sent_ends_in_time(void)
{
    tl_client *c =
        open_client(&(tl_options){ .servers = dead_address, .timeout_ms = 60 });
    const int64_t before = now_ms();

    forget();
    tl_get_async(c, "/a", note, NULL);
    RUN_UNTIL(c, told.times == 1);
    IS(told.code, TL_UNREACHABLE);
    OK(now_ms() - before < 1000);
    tl_close(c);
}

static void processing_never_waits(void)
{
    tl_client *c = open_client(&(tl_options){ .servers = dead_address });
    const int64_t before = now_ms();

    for (int i = 0; i < 1000; i++) IS(tl_process(c), TL_OK);
    OK(now_ms() - before < 2000);
    tl_close(c);
}

/* --- blocking calls --- */

static void a_blocking_call_without_a_thread_is_refused(void)
{
    tl_client *c = open_client(NULL);

    IS(tl_get(c, "/a", NULL, NULL, NULL), TL_CONFIG);
    OK(strstr(tl_message(), "_async") != NULL);
    tl_close(c);
}

static atomic_int code_within;

static void block(void *ctx, const tl_result *r)
{
    (void) r;
    code_within = tl_set(ctx, "/a", "", 0, -1, NULL, NULL);
}

static void a_blocking_call_from_a_callback_is_refused(void)
{
    const tl_options o = { .servers = address };
    tl_client *c = NULL;

    forget();
    code_within = 0;
    IS(tl_connect(&o, &c), TL_OK);
    IS(tl_process(c), TL_CONFIG);
    tl_get_async(c, "/a", block, c);
    for (int i = 0; i < 500 && code_within == 0; i++) usleep(10000);
    IS(code_within, TL_CONFIG);
    IS(tl_get(c, "/a", NULL, NULL, NULL), TL_OK);
    tl_close(c);
}

/* --- closing --- */

static void close_it(void *ctx, const tl_result *r)
{
    (void) r;
    told.times++;
    tl_close(ctx);
}

static void a_callback_may_close_its_client(void)
{
    tl_client *c = open_client(&(tl_options){ .session_timeout_ms = 5000 });
    int code = 0;

    forget();
    tl_get_async(c, "/a", close_it, c);
    while (code == 0) code = turn(c);
    IS(code, TL_CLOSED);
    IS(told.times, 1);
}

static atomic_bool thread_closed;

static void note_over(void *ctx, tl_session_state state)
{
    (void) ctx;
    if (state == TL_SESSION_OVER) thread_closed = true;
}

static void a_callback_may_close_its_client_on_a_thread_too(void)
{
    const tl_options o = { .servers = address,
                           .session_timeout_ms = 5000,
                           .on_session = note_over };
    tl_client *c = NULL;

    forget();
    thread_closed = false;
    IS(tl_connect(&o, &c), TL_OK);
    tl_get_async(c, "/a", close_it, c);
    for (int i = 0; i < 500 && !thread_closed; i++) usleep(10000);
    OK(thread_closed);
    usleep(20000); /* the thread ends by itself */
}

/* --- the session --- */

static tl_session_state states[16];
static int states_count;
static int64_t left_when_told[16];
static tl_client *session_client;

static void note_state(void *ctx, tl_session_state state)
{
    (void) ctx;
    if (states_count == 16) return;
    left_when_told[states_count] = tl_session_left_ms(session_client);
    states[states_count++] = state;
}

static void open_session(void)
{
    states_count = 0;
    session_client = open_client(&(tl_options){ .session_timeout_ms = 1000,
                                                .on_session = note_state });
    IS(tl_session(session_client), TL_SESSION_OPENING);
    RUN_UNTIL(session_client, states_count == 1);
    IS(states[0], TL_SESSION_OK);
}

static void a_session_is_kept_alive_by_the_loop(void)
{
    forget();
    open_session();
    const int64_t until = now_ms() + 2 * SESSION_MS;

    while (now_ms() < until) IS(turn(session_client), TL_OK);
    IS(states_count, 1);
    IS(tl_session(session_client), TL_SESSION_OK);
    tl_close(session_client);
    IS(states[states_count - 1], TL_SESSION_OVER);
}

static void a_session_in_jeopardy_is_told_before_its_end_and_again_when_safe(void)
{
    forget();
    open_session();
    held = true;
    RUN_UNTIL(session_client, states_count == 2);
    IS(states[1], TL_SESSION_JEOPARDY);
    OK(left_when_told[1] > SESSION_MS * 3 / 8);
    IS(tl_session(session_client), TL_SESSION_JEOPARDY);
    held = false;
    RUN_UNTIL(session_client, states_count == 3);
    IS(states[2], TL_SESSION_SAFE);
    IS(tl_session(session_client), TL_SESSION_OK);
    tl_close(session_client);
}

static void a_session_ends_by_the_local_clock_when_no_server_answers(void)
{
    forget();
    open_session();
    mute = true;
    tl_lock_acquire_async(session_client, "/late", 0, note, NULL);
    const int64_t before = now_ms();

    RUN_UNTIL(session_client, states_count == 3);
    IS(states[1], TL_SESSION_JEOPARDY);
    IS(states[2], TL_SESSION_OVER);
    IS(left_when_told[2], 0);
    OK(now_ms() - before <= SESSION_MS + 300);
    IS(told.times, 1);
    IS(told.code, TL_SESSION_EXPIRED);
    mute = false;
    tl_get_async(session_client, "/a", note, NULL);
    RUN_UNTIL(session_client, told.times == 2);
    IS(told.code, TL_OK);
    tl_abandon(session_client);
}

static void a_session_is_over_in_time_though_nobody_looked(void)
{
    forget();
    open_session();
    mute = true;
    usleep((SESSION_MS + 20) * 1000);
    IS(tl_session(session_client), TL_SESSION_OVER);
    IS(tl_session_left_ms(session_client), 0);
    tl_abandon(session_client);
}

static void ending_the_session_does_not_wait(void)
{
    forget();
    open_session();
    tl_end_session(session_client);
    IS(states_count, 1);
    RUN_UNTIL(session_client, states_count == 2);
    IS(states[1], TL_SESSION_OVER);
    tl_close(session_client);
}

/* --- locks --- */

static void a_lock_is_taken_and_given_back(void)
{
    tl_client *c = open_client(&(tl_options){ .session_timeout_ms = 1000 });

    forget();
    tl_lock_acquire_async(c, "/lock", 0, note, NULL);
    RUN_UNTIL(c, told.times == 1);
    STR(told.lock.path, "/lock/holder");
    IS(told.lock.token, 123);
    tl_lock_release_async(c, &(tl_lock){ "/lock/holder", 123 }, note, NULL);
    RUN_UNTIL(c, told.times == 2);
    IS(told.code, TL_OK);
    IS(releases_heard, 1);
    tl_close(c);
}

static void wait_for_a_late_lock_and_cancel(tl_client *c)
{
    const uint64_t handle = tl_lock_acquire_async(c, "/late", 0, note, NULL);

    RUN_UNTIL(c, heard_count == 1);
    tl_cancel(c, handle);
}

static void a_lock_granted_to_who_cancelled_is_given_back(void)
{
    tl_client *c = open_client(&(tl_options){ .session_timeout_ms = 1000 });

    forget();
    grants_late = true;
    wait_for_a_late_lock_and_cancel(c);
    RUN_UNTIL(c, releases_heard == 1);
    IS(told.times, 0);
    tl_close(c);
    forget();
    c = open_client(&(tl_options){ .session_timeout_ms = 1000 });
    wait_for_a_late_lock_and_cancel(c);
    tl_get_async(c, "/then", note, NULL);
    RUN_UNTIL(c, told.times == 1);
    tl_close(c);
    IS(releases_heard, 0);
    IS(told.times, 1);
}

/* --- the prefix --- */

static char event_path[64];
static int event_count;

static void note_event(void *ctx, const tl_event *e)
{
    (void) ctx;
    event_count++;
    if (e->kind == TL_EVENT_CHANGED) snprintf(event_path, sizeof event_path, "%s", e->path);
}

static void a_prefix_stands_before_every_path_and_is_taken_off_again(void)
{
    const tl_guard guard = { "/lock/holder", 1 };
    const tl_op ops[] = { { .kind = TL_OP_SET, .path = "/m", .version = -1 } };
    tl_client *c = open_client(&(tl_options){ .prefix = "/apps/a",
                                              .session_timeout_ms = 1000 });
    uint64_t handle = 0;
    char *path = tl_path(c, "/x");

    forget();
    event_count = 0;
    tl_create_async(c, "/n", "", 0, 0, NULL, note, NULL);
    RUN_UNTIL(c, told.times == 1);
    STR(told.path, "/n");
    tl_set_async(c, "/n", "", 0, -1, &guard, note, NULL);
    tl_multi_async(c, ops, 1, note, NULL);
    tl_lock_try_async(c, "/lock", note, NULL);
    RUN_UNTIL(c, told.times == 4);
    STR(told.lock.path, "/lock/holder");
    IS(tl_watch(c, "/w", 0, note_event, NULL, &handle), TL_OK);
    RUN_UNTIL(c, event_count == 2);
    STR(event_path, "/w");
    STR(heard[0], "/apps/a/n");
    STR(heard[1], "/apps/a/n");
    STR(heard[2], "/apps/a/lock/holder");
    STR(heard[3], "/apps/a/m");
    STR(heard[4], "/apps/a/lock");
    STR(heard[5], "/apps/a/w");
    STR(path, "/apps/a/x");
    tl_free(path);
    tl_close(c);
}

static void the_prefix_cannot_be_left(void)
{
    tl_client *c = open_client(&(tl_options){ .prefix = "/apps/a" });

    forget();
    tl_get_async(c, "/", note, NULL);
    tl_create_async(c, "/", "", 0, TL_SEQUENTIAL, NULL, note, NULL);
    tl_get_async(c, "b", note, NULL);
    tl_get_async(c, "", note, NULL);
    RUN_UNTIL(c, told.times == 4);
    IS(heard_count, 2);
    STR(heard[0], "/apps/a");
    STR(heard[1], "/apps/a/");
    event_count = 0;
    IS(tl_watch(c, "/", 0, note_event, NULL, &(uint64_t){ 0 }), TL_OK);
    RUN_UNTIL(c, event_count == 2);
    STR(event_path, "/");
    tl_close(c);
}

static void a_malformed_prefix_is_refused(void)
{
    static const char *const bad[] = { "a", "/", "/a/", "//a", "/a//b", "/./a", "/a/.." };
    static const char *const good[] = { "", "/a", "/a/b.c", "/...", "/..a" };
    tl_options o = { .servers = address };
    tl_client *c = NULL;

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        o.prefix = bad[i];
        IS(tl_open(&o, &c), TL_CONFIG);
        OK(c == NULL && strstr(tl_message(), "prefix") != NULL);
    }
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        o.prefix = good[i];
        IS(tl_open(&o, &c), TL_OK);
        tl_close(c);
    }
}

/* --- watches and values --- */

static uint64_t watch_handle;

static void unwatch_at_once(void *ctx, const tl_event *e)
{
    (void) e;
    event_count++;
    tl_unwatch(ctx, watch_handle);
}

static void a_watch_may_be_ended_by_its_own_callback(void)
{
    tl_client *c = open_client(NULL);

    forget();
    event_count = 0;
    IS(tl_watch(c, "/w", 0, unwatch_at_once, c, &watch_handle), TL_OK);
    RUN_UNTIL(c, event_count == 1);
    tl_get_async(c, "/then", note, NULL);
    RUN_UNTIL(c, told.times == 1);
    tl_close(c);
    IS(event_count, 1);
}

static void a_map_is_made_and_read(void)
{
    const tl_pair pairs[] = { { .name = "path", .text = "/a" },
                              { .name = "count", .number = -3 } };
    const char *text = NULL;
    int64_t number = 0;
    size_t len = 0, text_len = 0;
    void *map = tl_map(pairs, 2, &len);

    OK(tl_value_text(map, len, "path", &text, &text_len));
    OK(text_len == 2 && memcmp(text, "/a", 2) == 0);
    OK(tl_value_number(map, len, "count", &number));
    IS(number, -3);
    OK(!tl_value_text(map, len, "count", &text, &text_len));
    OK(!tl_value_number(map, len, "other", &number));
    OK(!tl_value_number(map, len - 1, "count", &number));
    OK(!tl_value_number(NULL, 0, "count", &number));
    OK(!tl_value_number("\xcf\xff\xff\xff\xff\xff\xff\xff\xff", 9, NULL, &number));
    OK(tl_value_number("\x07", 1, NULL, &number));
    IS(number, 7);
    tl_free(map);
}

int main(void)
{
    close(fake_listen(dead_address, sizeof dead_address));
    fake_server_start(address, sizeof address, answer);
    TEST(a_call_ends_in_its_callback_and_not_before_the_loop_runs);
    TEST(each_kind_of_result_is_told);
    TEST(the_details_of_a_refusal_are_not_lost);
    TEST(what_no_server_would_take_is_told_in_the_callback_too);
    TEST(a_callback_starts_the_next_call);
    TEST(a_callback_that_always_starts_another_does_not_prevent_closing);
    TEST(a_cancelled_call_is_not_told_of);
    TEST(a_call_that_cannot_be_sent_ends_in_time);
    TEST(processing_never_waits);
    TEST(a_blocking_call_without_a_thread_is_refused);
    TEST(a_blocking_call_from_a_callback_is_refused);
    TEST(a_callback_may_close_its_client);
    TEST(a_callback_may_close_its_client_on_a_thread_too);
    TEST(a_session_is_kept_alive_by_the_loop);
    TEST(a_session_in_jeopardy_is_told_before_its_end_and_again_when_safe);
    TEST(a_session_ends_by_the_local_clock_when_no_server_answers);
    TEST(a_session_is_over_in_time_though_nobody_looked);
    TEST(ending_the_session_does_not_wait);
    TEST(a_lock_is_taken_and_given_back);
    TEST(a_lock_granted_to_who_cancelled_is_given_back);
    TEST(a_prefix_stands_before_every_path_and_is_taken_off_again);
    TEST(the_prefix_cannot_be_left);
    TEST(a_malformed_prefix_is_refused);
    TEST(a_watch_may_be_ended_by_its_own_callback);
    TEST(a_map_is_made_and_read);
    fake_server_stop();
    return tap_done();
}
