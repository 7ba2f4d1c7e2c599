#include "tests/lib/objects_rig.h"

#include <poll.h>
#include <stdlib.h>
#include <time.h>

char objects_address[64];
atomic_int objects_newest, objects_oldest; /* versions */
atomic_int objects_page; /* how many an answer */
atomic_int objects_calls_heard, objects_queries_heard;
atomic_int objects_resigns_heard, objects_campaigns_heard;
atomic_bool objects_reads_only, objects_campaign_waits;
atomic_bool objects_nobody_leads, objects_refuses, objects_forgets;
atomic_ullong objects_zxid, objects_session_ms;
atomic_ullong objects_token_seen, objects_node_zxid;
atomic_bool objects_late; /* the next query is answered behind the next event */
static uint32_t late_msgid;
char objects_watch_path[64];
uint64_t objects_watch_number;
static uint32_t campaign_msgid;

static void put_version(struct buf *b, int number)
{
    char data[16];

    snprintf(data, sizeof data, "v%d", number);
    pack_map(b, 3);
    pack_cstr(b, "version");
    pack_int(b, number);
    pack_cstr(b, "data");
    pack_cstr(b, data);
    pack_cstr(b, "zxid");
    pack_int(b, 100 + number);
}

static void put_value(struct buf *b, uint32_t msgid)
{
    rpc_response_begin(b, msgid);
    pack_map(b, 1);
    pack_cstr(b, "value");
}

static void answer_history(struct buf *b, int after)
{
    const int first = after + 1 > objects_oldest ? after + 1 : objects_oldest;
    const int all = objects_newest - first + 1;
    const int last = all > objects_page ? first + objects_page - 1 : objects_newest;

    pack_map(b, 3);
    pack_cstr(b, "versions");
    pack_array(b, last >= first ? (uint32_t) (last - first + 1) : 0);
    for (int i = first; i <= last; i++) put_version(b, i);
    pack_cstr(b, "skipped");
    pack_bool(b, first > after + 1 && last >= first);
    pack_cstr(b, "more");
    pack_bool(b, last < objects_newest);
}

static void put_grant(struct buf *b)
{
    pack_map(b, 2);
    pack_cstr(b, "path");
    pack_cstr(b, "/e/leader");
    pack_cstr(b, "token");
    pack_uint(b, TOKEN);
}

static void answer_function(const struct rpc_message *m, struct buf *b)
{
    const struct bytes function = rpc_bytes(&m->params->via.array.ptr[0]);
    const msgpack_object *args = &m->params->via.array.ptr[1];
    const bool is_config = function.len > 6 && memcmp(function.ptr, "config", 6) == 0;

    if (is_config && objects_late) {
        objects_late = false;
        late_msgid = m->msgid;
    } else if (is_config && objects_refuses) {
        rpc_error(b, m->msgid, ERR_REFUSED, "it must be deleted");
    } else if (is_config && m->method == METHOD_QUERY && objects_reads_only) {
        rpc_error(b, m->msgid, ERR_READ_ONLY, NULL);
    } else if (bytes_equal(function, bytes_str("config.get"))) {
        put_value(b, m->msgid);
        if (objects_newest == 0) pack_nil(b);
        if (objects_newest > 0) put_version(b, objects_newest);
    } else if (is_config) {
        put_value(b, m->msgid);
        answer_history(b, (int) rpc_int(rpc_member(args, "after"), 0));
    } else if (bytes_equal(function, bytes_str("election.campaign"))) {
        objects_campaigns_heard++;
        campaign_msgid = m->msgid;
        if (objects_campaign_waits) return;
        put_value(b, m->msgid);
        put_grant(b);
    } else {
        objects_resigns_heard++;
        put_value(b, m->msgid);
        pack_map(b, 0);
    }
}

/* Of the leader's node. */
static void answer_node(const struct rpc_message *m, struct buf *b)
{
    if (objects_nobody_leads) {
        rpc_error(b, m->msgid, ERR_NO_NODE, NULL);
        return;
    }
    rpc_response_begin(b, m->msgid);
    pack_map(b, 2);
    pack_cstr(b, "data");
    pack_cstr(b, "ann");
    pack_cstr(b, "stat");
    pack_map(b, 2);
    pack_cstr(b, "czxid");
    pack_uint(b, objects_token_seen);
    pack_cstr(b, "mzxid");
    pack_uint(b, objects_node_zxid);
}

static void answer_watch(const struct rpc_message *m, struct buf *b)
{
    const struct bytes path = rpc_bytes(&m->params->via.array.ptr[0]);

    if (objects_forgets && rpc_member(&m->params->via.array.ptr[2], "since") != NULL) {
        objects_forgets = false;
        rpc_error(b, m->msgid, ERR_LAGGED, NULL);
        return;
    }
    snprintf(objects_watch_path, sizeof objects_watch_path, "%.*s", (int) path.len,
             path.ptr);
    objects_watch_number = m->params->via.array.ptr[1].via.u64;
    rpc_response_begin(b, m->msgid);
    pack_map(b, 1);
    pack_cstr(b, "zxid");
    pack_uint(b, objects_zxid);
}

/* "lagged": what is armed is dropped. */
static void tell_event(struct buf *b, struct bytes kind)
{
    if (bytes_equal(kind, bytes_str("lagged"))) {
        rpc_notification_begin(b, "lagged");
        pack_array(b, 2);
        pack_uint(b, ++objects_zxid);
        pack_array(b, 1);
        pack_uint(b, objects_watch_number);
        return;
    }
    rpc_notification_begin(b, "events");
    pack_array(b, 2);
    pack_uint(b, ++objects_zxid);
    pack_array(b, 1);
    pack_array(b, 4);
    pack_uint(b, objects_watch_number);
    pack_str(b, kind);
    pack_cstr(b, objects_watch_path);
    pack_bin(b, BYTES_LIT("bob"));
}

static bool answer(const struct rpc_message *m, struct buf *b)
{
    const msgpack_object *at = m->params->via.array.ptr;

    if (m->method == METHOD_CALL || m->method == METHOD_QUERY) {
        answer_function(m, b);
    } else if (m->method == METHOD_WATCH) {
        answer_watch(m, b);
    } else if (m->method == METHOD_GET || m->method == METHOD_STAT) {
        answer_node(m, b);
    } else if (m->method == METHOD_CALL_CANCEL) {
        rpc_error(b, campaign_msgid, ERR_CANCELLED, NULL);
        rpc_response_begin(b, m->msgid);
        pack_map(b, 0);
    } else if (m->method == METHOD_SESSION_RENEW && objects_session_ms < 1000) {
        return true; /* such a session is left to expire */
    } else {
        if (m->method == METHOD_SET) tell_event(b, rpc_bytes(&at[1]));
        if (m->method == METHOD_SET && late_msgid != 0) {
            put_value(b, late_msgid);
            put_version(b, 1);
            late_msgid = 0;
        }
        rpc_response_begin(b, m->msgid);
        if (m->method == METHOD_HELLO) {
            fake_put_hello(b);
        } else if (m->method == METHOD_SESSION_OPEN) {
            fake_put_session(b, objects_session_ms);
        } else {
            pack_map(b, 0);
        }
    }
    objects_calls_heard += m->method == METHOD_CALL; /* and answered */
    objects_queries_heard += m->method == METHOD_QUERY;
    return true;
}

/* --- the program --- */

tl_client *objects_client;

int64_t objects_now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int objects_turn(void)
{
    struct pollfd fd = { .fd = tl_fd(objects_client), .events = POLLIN };

    return poll(&fd, 1, LIMIT_MS) == 1 ? tl_process(objects_client) : TL_TIMEOUT;
}

/* All that an object told, one line each. */
char objects_told[TOLD_MAX][64];
int objects_told_count;

void objects_begin(void)
{
    const tl_options o = { .servers = objects_address, .session_timeout_ms = 5000 };

    objects_newest = objects_oldest = 1;
    objects_page = 100;
    objects_zxid = objects_node_zxid = 50;
    objects_token_seen = TOKEN;
    if (objects_session_ms == 0) objects_session_ms = 5000;
    objects_calls_heard = objects_queries_heard = objects_told_count = 0;
    objects_resigns_heard = objects_campaigns_heard = 0;
    objects_reads_only = objects_campaign_waits = objects_nobody_leads = false;
    objects_refuses = objects_forgets = objects_late = false;
    IS(tl_open(&o, &objects_client), TL_OK);
}

void objects_end(void)
{
    tl_close(objects_client);
    objects_session_ms = 0;
}

static void on_set(void *ctx, const tl_result *r)
{
    (void) r;
    ++*(int *) ctx;
}

/* The newest watch is told of an event of that kind. */
void objects_tell(const char *kind)
{
    int done = 0;

    tl_set_async(objects_client, "/tell", kind, strlen(kind), -1, NULL, on_set, &done);
    RUN_UNTIL(done == 1);
}

void objects_serve(void)
{
    fake_server_start(objects_address, sizeof objects_address, answer);
}

void objects_serve_end(void)
{
    fake_server_stop();
}
