/* t_load_wires.c -- how the load generator of tests/bench speaks to ZooKeeper and etcd.
 *
 * Method: bytes made by hand after the protocols' descriptions, so that it holds without
 * the servers. That the servers agree, tests/bench/compare.sh shows wherever it runs. */
#include <stdlib.h>

#include "tests/bench/load/load.h"
#include "tests/lib/tap.h"

static struct conn c;
static struct load_answer a;
static size_t taken; /* of what was received */

static void begin(const struct wire *wire)
{
    conn_fini(&c);
    conn_init(&c, wire, "127.0.0.1:1", 4);
    wire->greet(&c);
    buf_clear(&c.out);
    taken = 0;
}

static void receive(const char *bytes, size_t len)
{
    buf_put(&c.in, bytes, len);
}
#define RECEIVE(literal) receive(literal, sizeof(literal) - 1)

/* The next thing that was received. */
static enum wire_verdict next(void)
{
    return conn_next(&c, &taken, &a);
}

static bool ask(enum load_op op, const char *path)
{
    return conn_ask(&c,
                    &(struct load_request){
                        .op = op, .path = path, .value = BYTES_LIT("xyz"), .version = 7 },
                    1);
}

static bool sent(const char *bytes, size_t len)
{
    return bytes_equal(buf_bytes(&c.out), bytes_of(bytes, len));
}
#define SENT(literal) sent(literal, sizeof(literal) - 1)

/* --- ZooKeeper --- */

static void zookeeper_greeted(void)
{
    begin(&WIRE_ZOOKEEPER);
    RECEIVE("\0\0\0\x25"
            "\0\0\0\0"
            "\0\0\x75\x30"
            "\1\2\3\4\5\6\7\x8"
            "\0\0\0\x10"
            "0123456789abcdef"
            "\0");
    IS(next(), WIRE_READY);
}

static void a_zookeeper_session_that_is_refused_breaks_the_connection(void)
{
    begin(&WIRE_ZOOKEEPER);
    RECEIVE("\0\0\0\x25"
            "\0\0\0\0"
            "\0\0\0\0"
            "\0\0\0\0\0\0\0\0"
            "\0\0\0\x10"
            "0123456789abcdef"
            "\0");
    IS(next(), WIRE_BROKEN);
}

static void a_zookeeper_set_names_path_value_and_version(void)
{
    zookeeper_greeted();
    OK(ask(LOAD_SET, "/a"));
    OK(SENT("\0\0\0\x19"
            "\0\0\0\1"
            "\0\0\0\5"
            "\0\0\0\2/a"
            "\0\0\0\3xyz"
            "\0\0\0\7"));
}

static void a_zookeeper_get_tells_the_version(void)
{
    zookeeper_greeted();
    OK(ask(LOAD_GET, "/a"));
    RECEIVE("\0\0\0\x5b"
            "\0\0\0\1"
            "\0\0\0\0\0\0\0\x9"
            "\0\0\0\0"
            "\0\0\0\3xyz"
            "........"
            "........"
            "........"
            "........"
            "\0\0\0\x2a"
            "...."
            "...."
            "........"
            "...."
            "...."
            "........");
    IS(next(), WIRE_ANSWER);
    IS(a.id, 1);
    IS(a.outcome, LOAD_DONE);
    IS(a.version, 42);
}

static void a_zookeeper_refusal_is_none_of_the_wire(void)
{
    zookeeper_greeted();
    OK(ask(LOAD_SET, "/a"));
    RECEIVE("\0\0\0\x10"
            "\0\0\0\1"
            "\0\0\0\0\0\0\0\x9"
            "\xff\xff\xff\x99"); /* -103 */
    IS(next(), WIRE_ANSWER);
    IS(a.outcome, LOAD_REFUSED);
}

static void a_zookeeper_event_belongs_to_no_request(void)
{
    zookeeper_greeted();
    RECEIVE("\0\0\0\x10"
            "\xff\xff\xff\xff"
            "\xff\xff\xff\xff\xff\xff\xff\xff"
            "\0\0\0\0");
    IS(next(), WIRE_ANSWER);
    IS(a.id, 0);
}

static void a_zookeeper_listing_gives_every_name(void)
{
    zookeeper_greeted();
    OK(ask(LOAD_CHILDREN, "/a"));
    RECEIVE("\0\0\0\x20"
            "\0\0\0\1"
            "\0\0\0\0\0\0\0\x9"
            "\0\0\0\0"
            "\0\0\0\2"
            "\0\0\0\1b"
            "\0\0\0\3cde");
    IS(next(), WIRE_ANSWER);
    IS(a.names_count, 2);
    OK(bytes_equal(a.names[0], BYTES_LIT("b")));
    OK(bytes_equal(a.names[1], BYTES_LIT("cde")));
}

static void an_answer_in_two_parts_is_waited_for(void)
{
    zookeeper_greeted();
    OK(ask(LOAD_SET, "/a"));
    RECEIVE("\0\0\0\x10"
            "\0\0\0\1"
            "\0\0\0\0");
    IS(next(), WIRE_MORE);
    RECEIVE("\0\0\0\x9"
            "\0\0\0\0");
    IS(next(), WIRE_ANSWER);
    IS(a.id, 1);
}

static void an_answer_to_no_request_breaks_the_connection(void)
{
    zookeeper_greeted();
    RECEIVE("\0\0\0\x10"
            "\0\0\0\5"
            "\0\0\0\0\0\0\0\x9"
            "\0\0\0\0");
    IS(next(), WIRE_BROKEN);
}

/* --- etcd --- */

static void etcd_greeted(void)
{
    begin(&WIRE_ETCD);
    RECEIVE("\0\0\0\4\0"
            "\0\0\0\0");
    IS(next(), WIRE_READY);
    OK(SENT("\0\0\0\4\1"
            "\0\0\0\0")); /* acknowledged */
    buf_clear(&c.out);
}

#define PUT_A(stream)                                                                      \
    "\0\0\x0e\0\1"                                                                         \
    "\0\0\0" stream "\0"                                                                   \
    "\0\0\0\x9"                                                                            \
    "\x0a\2/a"                                                                             \
    "\x12\3xyz"

static void an_etcd_put_is_headers_and_a_body(void)
{
    etcd_greeted();
    OK(ask(LOAD_SET, "/a"));
    OK(SENT("\0\0\x44\1\4"
            "\0\0\0\1"
            "\x83"
            "\x86"
            "\x44\x14/etcdserverpb.KV/Put"
            "\x41\x0b"
            "127.0.0.1:1"
            "\x5f\x10"
            "application/grpc"
            "\x40\2te\x8trailers" PUT_A("\1")));
}

static void etcd_headers_are_sent_as_text_only_once(void)
{
    etcd_greeted();
    OK(ask(LOAD_SET, "/a"));
    buf_clear(&c.out);
    OK(ask(LOAD_SET, "/a"));
    OK(SENT("\0\0\6\1\4"
            "\0\0\0\3"
            "\x83\x86"
            "\xc1\xc0\xbf\xbe" PUT_A("\3")));
}

static void an_etcd_answer_is_its_body(void)
{
    etcd_greeted();
    OK(ask(LOAD_SET, "/a"));
    RECEIVE("\0\0\1\1\4"
            "\0\0\0\1"
            "\x88" /* headers */
            "\0\0\5\0\0"
            "\0\0\0\1"
            "\0\0\0\0\0" /* body */
            "\0\0\1\1\5"
            "\0\0\0\1"
            "\x88"); /* the end */
    IS(next(), WIRE_ANSWER);
    IS(a.id, 1);
    IS(a.outcome, LOAD_DONE);
}

static void an_etcd_stream_that_ends_without_a_body_has_failed(void)
{
    etcd_greeted();
    OK(ask(LOAD_SET, "/a"));
    RECEIVE("\0\0\1\1\5"
            "\0\0\0\1"
            "\x88");
    IS(next(), WIRE_ANSWER);
    IS(a.outcome, LOAD_FAILED);
}

static void etcd_is_sent_no_more_than_it_takes(void)
{
    unsigned count = 0;

    etcd_greeted();
    while (ask(LOAD_SET, "/a") && count < 10000) {
        conn_pending(&c, c.id_last)->id = 0;
        count++;
    }
    IS(count, 65535 / 14);
    buf_clear(&c.out);
    RECEIVE("\0\0\4\x8\0"
            "\0\0\0\0"
            "\0\0\0\x0e");
    IS(next(), WIRE_MORE);
    OK(ask(LOAD_SET, "/a"));
    conn_pending(&c, c.id_last)->id = 0;
    OK(!ask(LOAD_SET, "/a"));
}

static void an_etcd_ping_is_answered_with_its_content(void)
{
    etcd_greeted();
    RECEIVE("\0\0\x8\6\0"
            "\0\0\0\0"
            "abcdefgh");
    IS(next(), WIRE_MORE);
    OK(SENT("\0\0\x8\6\1"
            "\0\0\0\0"
            "abcdefgh"));
}

int main(void)
{
    conn_init(&c, &WIRE_ZOOKEEPER, "127.0.0.1:1", 4);
    TEST(a_zookeeper_session_that_is_refused_breaks_the_connection);
    TEST(a_zookeeper_set_names_path_value_and_version);
    TEST(a_zookeeper_get_tells_the_version);
    TEST(a_zookeeper_refusal_is_none_of_the_wire);
    TEST(a_zookeeper_event_belongs_to_no_request);
    TEST(a_zookeeper_listing_gives_every_name);
    TEST(an_answer_in_two_parts_is_waited_for);
    TEST(an_answer_to_no_request_breaks_the_connection);
    TEST(an_etcd_put_is_headers_and_a_body);
    TEST(etcd_headers_are_sent_as_text_only_once);
    TEST(an_etcd_answer_is_its_body);
    TEST(an_etcd_stream_that_ends_without_a_body_has_failed);
    TEST(etcd_is_sent_no_more_than_it_takes);
    TEST(an_etcd_ping_is_answered_with_its_content);
    conn_fini(&c);
    return tap_done();
}
