/* t_client.c -- the blocking client over real sockets, one rule a test.
 *
 * Method: a server in a thread listens on a port of the loopback and answers each
 * method in one fixed way; `drop_sets` of the first sets it answers by closing the
 * connection. No rule depends on how long anything takes, apart from a limit of a second. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/client/servers.h"
#include "core/client/tidelock.h"
#include "tests/lib/fake_server.h"
#include "tests/lib/tap.h"

static char address[64], dead_address[64];
static atomic_int drop_sets, sets_heard, attaches_heard, closes_heard, refuse_opens;
static atomic_ullong seq_heard;
static atomic_int weak_reads_heard, calls_heard;

static void put_children(struct buf *b)
{
    pack_map(b, 2);
    pack_cstr(b, "children");
    pack_array(b, 2);
    pack_cstr(b, "one");
    pack_cstr(b, "two");
    pack_cstr(b, "more");
    pack_bool(b, true);
}

static void put_node(struct buf *b, const struct rpc_message *m, const char *key)
{
    pack_map(b, 3);
    pack_cstr(b, key);
    pack_object(b, &m->params->via.array.ptr[0]);
    pack_cstr(b, "zxid");
    pack_uint(b, 9);
    fake_put_stat(b);
}

/* Every call is a grant of a lock, but the lock /held is somebody else's. */
static void put_grant(struct buf *b, const struct rpc_message *m)
{
    const msgpack_object *path = rpc_member(&m->params->via.array.ptr[1], "path");

    pack_map(b, 1);
    pack_cstr(b, "value");
    if (bytes_equal(rpc_bytes(path), bytes_str("/held"))) {
        pack_nil(b);
        return;
    }
    pack_map(b, 2);
    pack_cstr(b, "path");
    pack_cstr(b, "/lock/holder");
    pack_cstr(b, "token");
    pack_uint(b, 123);
}

/* The values of recipe "config": one stands at /config, and nothing at /none. */
static void put_version(struct buf *b, const struct rpc_message *m)
{
    const msgpack_object *path = rpc_member(&m->params->via.array.ptr[1], "path");

    pack_map(b, 1);
    pack_cstr(b, "value");
    if (bytes_equal(rpc_bytes(path), BYTES_LIT("/none"))) {
        pack_nil(b);
        return;
    }
    pack_map(b, 2);
    pack_cstr(b, "version");
    pack_uint(b, 7);
    pack_cstr(b, "data");
    pack_bin(b, BYTES_LIT("seven"));
}

/* A multi of one op has created /seq-1, and then set it. */
static void put_results(struct buf *b)
{
    pack_map(b, 1);
    pack_cstr(b, "results");
    pack_array(b, 2);
    pack_map(b, 2);
    pack_cstr(b, "kind");
    pack_cstr(b, "create");
    pack_cstr(b, "path");
    pack_cstr(b, "/seq-1");
    pack_map(b, 1);
    pack_cstr(b, "kind");
    pack_cstr(b, "set");
}

static bool is_weak(const struct rpc_message *m, const struct rpc_values *values)
{
    if (m->method != METHOD_GET && m->method != METHOD_STAT &&
        m->method != METHOD_CHILDREN && m->method != METHOD_QUERY) {
        return false;
    }
    const unsigned index = rpc_value_index(m->method, "consistency");

    return bytes_equal(values->at[index].bytes, BYTES_LIT("any"));
}

/* What the path /plain holds is no version yet: the recipe would have to write. */
static int refusal_of(const struct rpc_message *m)
{
    const msgpack_object *args = m->params->via.array.ptr;

    if (m->method == METHOD_DELETE) return ERR_NO_NODE;
    if (m->method == METHOD_MULTI && args[0].via.array.size > 1) return ERR_NO_NODE;
    if (m->method == METHOD_SESSION_OPEN && refuse_opens) return ERR_NO_QUORUM;
    if (m->method != METHOD_QUERY) return 0;
    return bytes_equal(rpc_bytes(rpc_member(&args[1], "path")), BYTES_LIT("/plain"))
               ? ERR_READ_ONLY
               : 0;
}

/* Armed at 9, and told of one change at 10. */
static void put_watch(struct buf *b, const struct rpc_message *m)
{
    const msgpack_object *at = m->params->via.array.ptr;

    pack_map(b, 1);
    pack_cstr(b, "zxid");
    pack_uint(b, 9);
    rpc_notification_begin(b, "events");
    pack_array(b, 2);
    pack_uint(b, 10);
    pack_array(b, 1);
    pack_array(b, 4);
    pack_object(b, &at[1]);
    pack_cstr(b, "changed");
    pack_object(b, &at[0]);
    pack_bin(b, BYTES_LIT("new"));
}

static bool is_of_config(const struct rpc_message *m)
{
    return m->method == METHOD_CALL &&
           bytes_equal(rpc_bytes(&m->params->via.array.ptr[0]), BYTES_LIT("config.get"));
}

/* False: close the connection. */
static bool answer(const struct rpc_message *m, struct buf *b)
{
    struct rpc_values values;

    if (rpc_check(m, &values) != 0) return false;
    if (m->method == METHOD_SET) {
        sets_heard++;
        seq_heard = values.at[rpc_value_index(METHOD_SET, "seq")].number;
        if (drop_sets > 0 && drop_sets-- > 0) return false;
    }
    if (m->method == METHOD_SESSION_ATTACH) attaches_heard++;
    if (m->method == METHOD_SESSION_CLOSE) closes_heard++;
    weak_reads_heard += is_weak(m, &values);
    calls_heard += m->method == METHOD_CALL;
    if (refusal_of(m) != 0) {
        fake_put_refusal(b, m->msgid, refusal_of(m));
        return true;
    }
    rpc_response_begin(b, m->msgid);
    if (m->method == METHOD_HELLO) {
        fake_put_hello(b);
    } else if (m->method == METHOD_SESSION_OPEN) {
        fake_put_session(b, 5000);
    } else if (m->method == METHOD_CHILDREN) {
        put_children(b);
    } else if (m->method == METHOD_WATCH) {
        put_watch(b, m);
    } else if (m->method == METHOD_MULTI) {
        put_results(b);
    } else if (m->method == METHOD_QUERY || is_of_config(m)) {
        put_version(b, m);
    } else if (m->method == METHOD_CALL) {
        put_grant(b, m);
    } else if (m->method == METHOD_GET || m->method == METHOD_CREATE) {
        put_node(b, m, m->method == METHOD_GET ? "data" : "path");
    } else {
        pack_map(b, 0);
    }
    return true;
}

static tl_client *open_client(uint32_t session_ms)
{
    const tl_options o = { .servers = address, .session_timeout_ms = session_ms };
    tl_client *c = NULL;

    IS(tl_connect(&o, &c), TL_OK);
    return c;
}

static void a_node_is_read_with_its_stat(void)
{
    tl_client *c = open_client(0);
    char *data = NULL;
    size_t len = 0;
    tl_stat stat = { 0 };

    IS(tl_get(c, "/path", &data, &len, &stat), TL_OK);
    STR(data, "/path");
    IS(len, 5);
    IS(stat.czxid, 41);
    IS(stat.num_children, 51);
    IS(tl_session(c), TL_SESSION_NONE);
    tl_free(data);
    tl_close(c);
}

static void a_created_node_is_told_by_name(void)
{
    tl_client *c = open_client(0);
    char *created = NULL;

    IS(tl_create(c, "/a", "x", 1, TL_PARENTS | TL_SEQUENTIAL, NULL, &created, NULL), TL_OK);
    STR(created, "/a");
    tl_free(created);
    tl_close(c);
}

static void a_page_of_children_is_read(void)
{
    tl_client *c = open_client(0);
    char *names = NULL;
    size_t count = 0;
    bool more = false;

    IS(tl_children(c, "/", NULL, 0, &names, &count, &more), TL_OK);
    IS(count, 2);
    OK(more);
    STR(names, "one");
    STR(names + 4, "two");
    tl_free(names);
    tl_close(c);
}

static void a_refusal_is_told_by_code_and_message(void)
{
    tl_client *c = open_client(0);

    IS(tl_delete(c, "/a", -1, NULL), TL_NO_NODE);
    STR(tl_message(), "no such thing");
    STR(tl_error_name(TL_NO_NODE), "no_node");
    IS(tl_set(c, NULL, "", 0, -1, NULL, NULL), TL_BAD_PATH);
    tl_close(c);
}

static void a_refused_multi_tells_which_op(void)
{
    const tl_op ops[] = { { .kind = TL_OP_SET, .path = "/a", .version = -1 },
                          { .kind = TL_OP_CHECK, .path = "/b", .version = 3 } };
    tl_client *c = open_client(0);
    int failed = 0;

    IS(tl_multi(c, ops, 2, NULL, NULL, &failed), TL_NO_NODE);
    IS(failed, 1);
    tl_close(c);
}

static void a_multi_tells_the_paths_that_it_created(void)
{
    const tl_op op = { .kind = TL_OP_ABSENT, .path = "/a" };
    tl_client *c = open_client(0);
    char *paths = NULL;

    IS(tl_multi(c, &op, 1, &paths, NULL, NULL), TL_OK);
    STR(paths, "/seq-1");
    STR(paths + 7, "");
    tl_free(paths);
    tl_close(c);
}

static void reads_are_as_weak_as_the_client(tl_reads reads, int weak)
{
    const tl_options o = { .servers = address, .reads = reads };
    tl_client *c = NULL;
    char *text = NULL;
    void *value = NULL;
    size_t len = 0;
    bool more;

    weak_reads_heard = 0;
    IS(tl_connect(&o, &c), TL_OK);
    IS(tl_get(c, "/a", &text, &len, NULL), TL_OK);
    tl_free(text);
    IS(tl_get_stat(c, "/a", NULL), TL_OK);
    IS(tl_children(c, "/a", NULL, 0, &text, &len, &more), TL_OK);
    tl_free(text);
    IS(tl_query(c, "a.b", NULL, 0, &value, &len), TL_OK);
    tl_free(value);
    IS(tl_set(c, "/a", "x", 1, -1, NULL, NULL), TL_OK);
    IS(weak_reads_heard, weak);
    tl_close(c);
}

static void reads_are_strong_unless_the_options_say_any(void)
{
    tl_client *c = NULL;

    reads_are_as_weak_as_the_client(TL_READS_STRONG, 0);
    reads_are_as_weak_as_the_client(TL_READS_ANY, 4);
    IS(tl_connect(&(tl_options){ .servers = address, .reads = (tl_reads) 9 }, &c),
       TL_CONFIG);
}

static void a_version_is_read_by_a_query_and_called_for_if_need_be(void)
{
    tl_client *c = open_client(0);
    char *data = NULL;
    size_t len = 0;
    uint64_t number = 0;

    calls_heard = 0;
    IS(tl_config_get(c, "/config", 0, &data, &len, &number), TL_OK);
    STR(data, "seven");
    IS(len, 5);
    IS(number, 7);
    IS(calls_heard, 0);
    tl_free(data);
    IS(tl_config_get(c, "/plain", 3, &data, &len, NULL), TL_OK);
    IS(calls_heard, 1);
    tl_free(data);
    IS(tl_config_get(c, "/none", 0, &data, &len, NULL), TL_NO_NODE);
    OK(data == NULL);
    tl_close(c);
}

/* {"n": 5, "a": [[[...1...]]]} */
static struct buf nested(size_t depth)
{
    struct buf b = { 0 };

    pack_map(&b, 2);
    pack_cstr(&b, "n");
    pack_uint(&b, 5);
    pack_cstr(&b, "a");
    while (depth-- > 0) pack_array(&b, 1);
    pack_uint(&b, 1);
    return b;
}

/* As deep as a message may be, whose own two levels it does not have, and deeper. */
static void a_value_that_is_nested_too_deep_has_no_members(void)
{
    const size_t depths[] = { RPC_DEPTH_MAX - 3, RPC_DEPTH_MAX, 1000000 };

    for (int i = 0; i < 3; i++) {
        struct buf b = nested(depths[i]);
        int64_t number = 0;

        IS(tl_value_number(b.ptr, b.len, "n", &number), i == 0);
        IS(number, i == 0 ? 5 : 0);
        OK(!tl_value_number(b.ptr, b.len - 1, "n", &number)); /* the end is missing */
        buf_fini(&b);
    }
}

static void a_write_of_a_session_survives_its_connection(void)
{
    tl_client *c = open_client(5000);

    sets_heard = attaches_heard = 0;
    drop_sets = 2;
    IS(tl_set(c, "/a", "x", 1, -1, NULL, NULL), TL_OK);
    IS(sets_heard, 3);
    IS(attaches_heard, 2);
    IS(seq_heard, 1);
    tl_close(c);
}

static void a_write_without_a_session_has_an_unknown_outcome(void)
{
    tl_client *c = open_client(0);

    drop_sets = 1;
    IS(tl_set(c, "/a", "x", 1, -1, NULL, NULL), TL_UNREACHABLE);
    OK(strstr(tl_message(), "unknown") != NULL);
    IS(tl_set(c, "/a", "x", 1, -1, NULL, NULL), TL_OK);
    tl_close(c);
}

static void a_lock_is_taken_and_given_back(void)
{
    tl_client *c = open_client(5000);
    tl_lock lock;

    IS(tl_lock_acquire(c, "/lock", 1000, &lock), TL_OK);
    STR(lock.path, "/lock/holder");
    IS(lock.token, 123);
    IS(tl_lock_try(c, "/lock", &lock), TL_OK);
    IS(tl_lock_release(c, &lock), TL_OK);
    IS(tl_lock_try(c, "/held", &lock), TL_REFUSED);
    tl_close(c);
    c = open_client(0);
    IS(tl_lock_try(c, "/lock", &lock), TL_CONFIG);
    tl_close(c);
}

static void arguments_that_are_no_value_are_refused(void)
{
    tl_client *c = open_client(0);
    void *value = NULL;
    size_t len = 0;

    IS(tl_call(c, "a.b", "\x91", 1, 0, NULL, &value, &len), TL_BAD_PARAMS);
    IS(tl_call(c, "a.b", "\x01\x02", 2, 0, NULL, &value, &len), TL_BAD_PARAMS);
    IS(tl_call(c, "a.b", "\x91\x01", 2, 0, NULL, &value, &len), TL_OK);
    OK(len > 10);
    tl_free(value);
    tl_close(c);
}

static void closing_closes_the_session_and_abandoning_does_not(void)
{
    closes_heard = 0;
    tl_client *c = open_client(5000);
    IS(tl_session(c), TL_SESSION_OK);
    IS(tl_session_id(c), 77);
    OK(tl_session_left_ms(c) > 0);
    tl_abandon(c);
    IS(closes_heard, 0);
    tl_close(open_client(5000));
    IS(closes_heard, 1);
}

static void a_dead_server_is_passed_over(void)
{
    char both[160];
    const tl_options o = { .servers = both };
    tl_client *c = NULL;

    snprintf(both, sizeof both, "%s,%s", dead_address, address);
    for (int i = 0; i < 8; i++) {
        IS(tl_connect(&o, &c), TL_OK);
        tl_close(c);
    }
}

static void what_cannot_be_reached_is_told_in_time(void)
{
    tl_options o = { .servers = dead_address, .timeout_ms = 50 };
    tl_client *c = NULL;

    IS(tl_connect(&o, &c), TL_UNREACHABLE);
    OK(c == NULL);
    refuse_opens = 1;
    o = (tl_options){ .servers = address, .timeout_ms = 50, .session_timeout_ms = 5000 };
    IS(tl_connect(&o, &c), TL_NO_QUORUM);
    refuse_opens = 0;
}

static void a_malformed_list_of_servers_is_refused(void)
{
    static const char *const bad[] = { "", "host", "host:", ":7400", "host:0", "host:65536",
                                       "host:74x", "::1:7400", "[::1]", "a:1,", ",a:1",
                                       "a:1,,b:2", "[]:1", "a:1 b:2", "a[:1" };
    struct servers s;

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        IS(servers_parse(bad[i], &s), ERR_CONFIG);
    }
    IS(servers_parse("a:1 , [::1]:7400,b.c:65535", &s), 0);
    IS(s.count, 3);
    STR(s.at[1].host, "::1");
    STR(s.at[1].port, "7400");
}

enum { THREADS = 8, GETS = 200 };

static void *get_often(void *arg)
{
    tl_client *c = arg;
    intptr_t wrong = 0;

    for (int i = 0; i < GETS; i++) {
        char path[32], *data = NULL;

        snprintf(path, sizeof path, "/%d", i);
        if (tl_get(c, path, &data, NULL, NULL) != TL_OK || strcmp(data, path) != 0) wrong++;
        tl_free(data);
    }
    return (void *) wrong;
}

static void many_threads_share_one_client(void)
{
    tl_client *c = open_client(0);
    pthread_t threads[THREADS];

    for (int i = 0; i < THREADS; i++) pthread_create(&threads[i], NULL, get_often, c);
    for (int i = 0; i < THREADS; i++) {
        void *wrong;

        pthread_join(threads[i], &wrong);
        IS((intptr_t) wrong, 0);
    }
    tl_close(c);
}

static atomic_int events_told, events_wrong;

static void note_event(void *ctx, const tl_event *e)
{
    static const tl_event_kind kinds[] = { TL_EVENT_ARMED, TL_EVENT_CHANGED,
                                           TL_EVENT_ENDED };
    const int i = events_told++;
    const bool changed = e->kind == TL_EVENT_CHANGED;

    (void) ctx;
    events_wrong += i >= 3 || e->kind != kinds[i];
    events_wrong += changed && (e->zxid != 10 || strcmp(e->path, "/w") != 0);
    events_wrong += changed && (e->len != 3 || memcmp(e->data, "new", 3) != 0);
}

static void a_watch_tells_of_changes_and_of_its_end(void)
{
    tl_client *c = open_client(0);
    uint64_t handle = 0;

    events_told = events_wrong = 0;
    IS(tl_watch(c, "/w", TL_WATCH_DATA | TL_WATCH_VALUE, note_event, NULL, &handle), TL_OK);
    for (int i = 0; i < 500 && events_told < 2; i++) usleep(10000);
    IS(events_told, 2);
    tl_close(c);
    IS(events_told, 3);
    IS(events_wrong, 0);
}

static void after_unwatch_nothing_is_told(void)
{
    tl_client *c = open_client(0);
    uint64_t handle = 0;
    int told;

    events_told = events_wrong = 0;
    IS(tl_watch(c, "/w", 0, note_event, NULL, &handle), TL_OK);
    tl_unwatch(c, handle);
    told = events_told;
    tl_unwatch(c, handle);
    tl_close(c);
    IS(events_told, told);
    IS(tl_watch(NULL, NULL, 0, note_event, NULL, &handle), TL_BAD_PATH);
}

int main(void)
{
    close(fake_listen(dead_address, sizeof dead_address));
    fake_server_start(address, sizeof address, answer);
    TEST(a_node_is_read_with_its_stat);
    TEST(a_created_node_is_told_by_name);
    TEST(a_page_of_children_is_read);
    TEST(a_refusal_is_told_by_code_and_message);
    TEST(a_refused_multi_tells_which_op);
    TEST(a_multi_tells_the_paths_that_it_created);
    TEST(reads_are_strong_unless_the_options_say_any);
    TEST(a_version_is_read_by_a_query_and_called_for_if_need_be);
    TEST(a_value_that_is_nested_too_deep_has_no_members);
    TEST(a_write_of_a_session_survives_its_connection);
    TEST(a_write_without_a_session_has_an_unknown_outcome);
    TEST(a_lock_is_taken_and_given_back);
    TEST(arguments_that_are_no_value_are_refused);
    TEST(closing_closes_the_session_and_abandoning_does_not);
    TEST(a_watch_tells_of_changes_and_of_its_end);
    TEST(after_unwatch_nothing_is_told);
    TEST(a_dead_server_is_passed_over);
    TEST(what_cannot_be_reached_is_told_in_time);
    TEST(a_malformed_list_of_servers_is_refused);
    TEST(many_threads_share_one_client);
    fake_server_stop();
    return tap_done();
}
