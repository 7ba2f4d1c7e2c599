/* t_link.c -- when the client's connection is tried again, one rule a test.
 *
 * Method: real sockets of the loopback, that somebody listens on or nobody; the time is the
 * test's. */
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/check.h"
#include "core/client/link.h"
#include "tests/lib/tap.h"

static struct servers alive;
static struct servers dead; /* their ports are free */
static struct link link_;

static uint16_t listen_somewhere(int *fd)
{
    struct sockaddr_in at = { .sin_family = AF_INET,
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof at;

    *fd = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(bind(*fd, (struct sockaddr *)&at, sizeof at) == 0);
    CHECK(listen(*fd, 64) == 0);
    CHECK(getsockname(*fd, (struct sockaddr *)&at, &len) == 0);
    return ntohs(at.sin_port);
}

static void make_servers(struct servers *s, bool listening)
{
    char text[64];
    int fds[2];
    const uint16_t first = listen_somewhere(&fds[0]);
    const uint16_t second = listen_somewhere(&fds[1]);

    snprintf(text, sizeof text, "127.0.0.1:%d,127.0.0.1:%d", first, second);
    CHECK(servers_parse(text, s) == 0);
    for (int i = 0; i < 2 && !listening; i++)
        close(fds[i]);
}

/* Ticks until the attempt that is due now has come to something. */
static void attempt(uint64_t now_ms)
{
    (void)link_tick(&link_, now_ms);
    if (link_.state != LINK_CONNECTING) return;
    struct pollfd fd = { .fd = link_.fd, .events = POLLOUT };
    CHECK(poll(&fd, 1, 5000) == 1);
    link_event(&link_, now_ms);
}

static void connected(uint64_t now_ms)
{
    link_init(&link_, &alive, 1);
    attempt(now_ms);
    CHECK(link_.state == LINK_UP);
}

static void a_connection_that_lasted_is_followed_by_the_next_server_at_once(void)
{
    connected(1000);
    const size_t next = link_.next;

    link_drop(&link_, 5000);
    IS(link_.state, LINK_DOWN);
    attempt(5000);
    IS(link_.state, LINK_UP);
    OK(link_.next != next);
    link_fini(&link_);
}

static void a_connection_that_did_not_last_is_followed_by_a_pause(void)
{
    connected(1000);
    link_drop(&link_, 1010);
    OK(link_tick(&link_, 1010) > 1010);
    IS(link_.state, LINK_DOWN);
    link_fini(&link_);
}

static void a_lone_server_is_not_asked_again_at_once(void)
{
    struct servers lone = alive;

    lone.count = 1;
    link_init(&link_, &lone, 1);
    attempt(1000);
    CHECK(link_.state == LINK_UP);
    link_drop(&link_, 5000);
    OK(link_tick(&link_, 5000) > 5000);
    link_fini(&link_);
}

static void pauses_grow_while_no_server_answers(void)
{
    uint64_t now = 1000, pause = 0, longest = 0;

    link_init(&link_, &dead, 1);
    for (int i = 0; i < 20; i++) {
        attempt(now);
        IS(link_.state, LINK_DOWN);
        pause = link_.at_ms - now;
        if (pause > longest) longest = pause;
        now = link_.at_ms;
    }
    OK(pause >= 250);
    OK(longest <= 500);
    link_fini(&link_);
}

int main(void)
{
    make_servers(&alive, true);
    make_servers(&dead, false);
    TEST(a_connection_that_lasted_is_followed_by_the_next_server_at_once);
    TEST(a_connection_that_did_not_last_is_followed_by_a_pause);
    TEST(a_lone_server_is_not_asked_again_at_once);
    TEST(pauses_grow_while_no_server_answers);
    return tap_done();
}
