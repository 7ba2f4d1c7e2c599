/* t_link.c -- to which server a client connects, and when, one rule a test.
 *
 * Method: real sockets of the loopback, that somebody listens on or nobody; the time is the
 * test's. getaddrinfo() is this file's: it knows the names below, and `held` makes it hang
 * until the test lets it go. */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/check.h"
#include "core/client/link.h"
#include "tests/lib/tap.h"

static struct servers alive;
static struct servers dead; /* their ports are free */
static struct link link_;

/* --- the resolver --- */

enum { HOSTS_MAX = 4 };

static atomic_int asked; /* look-ups of names */
static atomic_int under_way;
static atomic_bool held;
static sem_t let_go;
static const char *hosts[HOSTS_MAX]; /* the addresses of "name"; NULL: the end */

static bool address_fill(const char *host, const char *port, struct sockaddr_storage *at)
{
    struct sockaddr_in *four = (struct sockaddr_in *)at;
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)at;

    at->ss_family = strchr(host, ':') == NULL ? AF_INET : AF_INET6;
    four->sin_port = htons((uint16_t)atoi(port)); /* stands where sin6_port does */
    if (at->ss_family == AF_INET) return inet_pton(AF_INET, host, &four->sin_addr) == 1;
    return inet_pton(AF_INET6, host, &six->sin6_addr) == 1;
}

static bool entry_push(struct addrinfo **list, const char *host, const char *port)
{
    struct sockaddr_storage *at = mem_zalloc(sizeof *at);
    struct addrinfo *entry = mem_zalloc(sizeof *entry);

    if (!address_fill(host, port, at)) {
        free(at);
        free(entry);
        return false;
    }
    *entry = (struct addrinfo){ .ai_family = at->ss_family,
                                .ai_addr = (struct sockaddr *)at,
                                .ai_addrlen = sockaddr_len(at),
                                .ai_next = *list };
    *list = entry;
    return true;
}

/* In place of libc's. */
int getaddrinfo(const char *host, const char *port, const struct addrinfo *hints,
                struct addrinfo **found)
{
    *found = NULL;
    if (entry_push(found, host, port)) return 0;
    if ((hints->ai_flags & AI_NUMERICHOST) != 0) return EAI_NONAME;
    atomic_fetch_add(&under_way, 1);
    atomic_fetch_add(&asked, 1);
    if (atomic_load(&held)) sem_wait(&let_go);
    for (int i = 0; strcmp(host, "name") == 0 && i < HOSTS_MAX && hosts[i] != NULL; i++) {
        CHECK(entry_push(found, hosts[i], port));
    }
    atomic_fetch_sub(&under_way, 1);
    return *found != NULL ? 0 : EAI_NONAME;
}

void freeaddrinfo(struct addrinfo *list)
{
    while (list != NULL) {
        struct addrinfo *next = list->ai_next;

        free(list->ai_addr);
        free(list);
        list = next;
    }
}

static void name_is(const char *one, const char *two)
{
    hosts[0] = one;
    hosts[1] = two;
    hosts[2] = NULL;
    atomic_store(&asked, 0);
}

static void hold(void)
{
    name_is("127.0.0.1", NULL);
    atomic_store(&held, true);
}

/* All `count` look-ups that were started hang by then, and go on to their end. */
static void release(int count)
{
    while (atomic_load(&asked) < count) poll(NULL, 0, 1);
    IS(atomic_load(&asked), count);
    atomic_store(&held, false);
    while (count-- > 0) sem_post(&let_go);
    while (atomic_load(&under_way) > 0) poll(NULL, 0, 1);
}

/* --- servers --- */

static uint16_t alive_port; /* of the first of `alive`, at 127.0.0.1 only */
static uint16_t every_port; /* somebody listens there at all of 127.0.0.0/8 */

static uint16_t listen_at(in_addr_t address, int *fd)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(address) };
    socklen_t len = sizeof at;

    *fd = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(bind(*fd, (struct sockaddr *)&at, sizeof at) == 0);
    CHECK(listen(*fd, 1024) == 0);
    CHECK(getsockname(*fd, (struct sockaddr *)&at, &len) == 0);
    return ntohs(at.sin_port);
}

static uint16_t make_servers(struct servers *s, bool listening)
{
    char text[64];
    int fds[2];
    const uint16_t first = listen_at(INADDR_LOOPBACK, &fds[0]);
    const uint16_t second = listen_at(INADDR_LOOPBACK, &fds[1]);

    snprintf(text, sizeof text, "127.0.0.1:%d,127.0.0.1:%d", first, second);
    CHECK(servers_parse(text, s) == 0);
    for (int i = 0; i < 2 && !listening; i++)
        close(fds[i]);
    return first;
}

static void open_link(const char *host, uint16_t port, uint64_t seed)
{
    struct servers s;
    char text[64];

    snprintf(text, sizeof text, "%s:%d", host, port);
    CHECK(servers_parse(text, &s) == 0);
    link_init(&link_, &s, seed);
}

static void wait_event(uint64_t now_ms)
{
    struct pollfd fd = { .fd = link_.fd,
                         .events = link_.state == LINK_LOOKING ? POLLIN : POLLOUT };

    CHECK(poll(&fd, 1, 5000) == 1);
    link_event(&link_, now_ms);
}

/* Ticks until the attempt that is due now has come to something. */
static void attempt(uint64_t now_ms)
{
    (void)link_tick(&link_, now_ms);
    while (link_.state == LINK_LOOKING || link_.state == LINK_CONNECTING)
        wait_event(now_ms);
}

/* Attempts that are due one at once after the other. */
static void attempts(uint64_t now_ms)
{
    do {
        attempt(now_ms);
    } while (link_.state == LINK_DOWN && link_.at_ms <= now_ms);
}

/* Who is at the other end, as one number. */
static uint64_t peer(void)
{
    struct sockaddr_in at;
    socklen_t len = sizeof at;

    CHECK(link_.state == LINK_UP);
    CHECK(getpeername(link_.fd, (struct sockaddr *)&at, &len) == 0);
    return (uint64_t)ntohl(at.sin_addr.s_addr) << 16 | ntohs(at.sin_port);
}

static void connected(uint64_t now_ms)
{
    link_init(&link_, &alive, 1);
    attempt(now_ms);
    CHECK(link_.state == LINK_UP);
}

/* --- pauses --- */

static void is_followed_by_the_next_at_once(uint64_t lost_ms, bool served)
{
    connected(1000);
    const uint64_t before = peer();

    link_drop(&link_, lost_ms, served, "lost");
    attempt(lost_ms);
    IS(link_.state, LINK_UP);
    OK(peer() != before);
    link_fini(&link_);
}

static void a_connection_that_lasted_is_followed_by_the_next_server_at_once(void)
{
    is_followed_by_the_next_at_once(5000, false);
}

static void a_server_that_served_us_is_followed_by_the_next_at_once(void)
{
    is_followed_by_the_next_at_once(1010, true);
}

static void pauses_are_short_again_after_a_server_that_served_us(void)
{
    uint64_t now = 1000;

    link_init(&link_, &dead, 1);
    for (int i = 0; i < 20; i++, now = link_.at_ms) attempt(now);
    link_.servers = alive; /* they are back */
    attempt(now);
    link_drop(&link_, now + 5, true, "lost");
    link_.servers = dead;
    attempt(now + 5);
    IS(link_.state, LINK_DOWN);
    OK(link_.at_ms <= now + 25);
    link_fini(&link_);
}

static void servers_that_only_accept_are_left_alone_for_longer_and_longer(void)
{
    uint64_t now = 1000, pause = 0;

    link_init(&link_, &alive, 1);
    for (int i = 0; i < 20; i++, now += pause) {
        attempt(now);
        IS(link_.state, LINK_UP);
        link_drop(&link_, now, false, "lost");
        pause = link_.at_ms - now;
    }
    OK(pause >= 250);
    link_fini(&link_);
}

static void failures_are_counted_until_a_server_says_something(void)
{
    char name[SERVER_TEXT_MAX];

    link_init(&link_, &dead, 1);
    link_begin_with(&link_, &dead.at[1]);
    attempt(1000);
    OK(strstr(link_.why, server_text(&dead.at[1], name)) == link_.why);
    OK(strstr(link_.why, "refused") != NULL);
    attempt(link_.at_ms);
    IS(link_.failures, 2);
    link_.servers = alive;
    attempt(link_.at_ms);
    IS(link_.failures, 2);
    link_heard(&link_);
    IS(link_.failures, 0);
    link_fini(&link_);
}

static void the_first_attempt_goes_where_it_is_told_to(void)
{
    for (uint64_t seed = 1; seed <= 8; seed++, link_fini(&link_)) {
        link_init(&link_, &alive, seed);
        link_begin_with(&link_, &alive.at[0]);
        attempt(1000);
        IS(peer() & 0xffff, alive_port);
    }
}

static void a_lone_server_is_not_asked_again_at_once(void)
{
    struct servers lone = alive;

    lone.count = 1;
    link_init(&link_, &lone, 1);
    attempt(1000);
    CHECK(link_.state == LINK_UP);
    link_drop(&link_, 5000, false, "lost");
    const uint64_t at = link_tick(&link_, 5000);
    OK(at > 5000);
    attempt(at);
    IS(link_.state, LINK_UP);
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

/* --- names --- */

static void a_name_is_looked_up_again_for_every_connection(void)
{
    name_is("127.0.0.1", NULL);
    open_link("name", every_port, 1);
    attempt(1000);
    IS(atomic_load(&asked), 1);
    const uint64_t before = peer();
    name_is("127.0.0.9", NULL);
    link_drop(&link_, 5000, false, "lost");
    attempt(link_.at_ms);
    IS(atomic_load(&asked), 1);
    OK(peer() != before);
    link_fini(&link_);
}

static void a_look_up_does_not_hold_up_the_tick(void)
{
    name_is("127.0.0.1", NULL);
    open_link("name", every_port, 1);
    const uint64_t before = link_.fd_serial;
    OK(link_tick(&link_, 1000) > 1000);
    IS(link_.state, LINK_LOOKING);
    OK(link_.fd_serial > before);
    wait_event(1000);
    OK(link_.state != LINK_LOOKING);
    link_fini(&link_);
}

static void an_address_that_fails_is_followed_by_the_next_of_the_name_at_once(void)
{
    for (uint64_t seed = 1; seed <= 8; seed++) {
        name_is("127.0.0.1", "127.0.0.9");
        open_link("name", alive_port, seed);
        attempts(1000);
        IS(link_.state, LINK_UP);
        IS(atomic_load(&asked), 1);
        link_fini(&link_);
    }
}

static void the_first_address_tried_is_any_of_the_name(void)
{
    int first = 0;

    for (uint64_t seed = 1; seed <= 32; seed++) {
        name_is("127.0.0.1", "127.0.0.9");
        open_link("name", every_port, seed);
        attempt(1000);
        first += peer() >> 16 == INADDR_LOOPBACK;
        link_fini(&link_);
    }
    OK(first > 0);
    OK(first < 32);
}

static void an_address_that_was_left_is_not_the_next_one(void)
{
    for (uint64_t seed = 1; seed <= 8; seed++) {
        name_is("127.0.0.1", "127.0.0.9");
        open_link("name", every_port, seed);
        attempt(1000);
        const uint64_t before = peer();
        link_drop(&link_, 5000, false, "lost");
        attempt(5000);
        OK(peer() != before);
        link_fini(&link_);
    }
}

static void an_address_that_was_left_is_tried_when_the_others_fail(void)
{
    for (uint64_t seed = 1; seed <= 8; seed++) {
        name_is("127.0.0.1", "127.0.0.9");
        open_link("name", alive_port, seed);
        attempts(1000);
        CHECK(link_.state == LINK_UP);
        link_drop(&link_, 5000, false, "lost");
        attempts(5000);
        IS(link_.state, LINK_UP);
        link_fini(&link_);
    }
}

static void a_name_without_an_address_is_followed_by_the_next_server(void)
{
    open_link("nowhere", 1, 1);
    attempts(1000);
    IS(link_.state, LINK_DOWN);
    OK(link_.at_ms > 1000);
    link_fini(&link_);
}

static void a_look_up_that_hangs_hangs_nobody(void)
{
    struct servers s = alive;
    int started = 0;

    s.at[1] = (struct server){ .host = "name", .port = "1" };
    hold();
    for (uint64_t seed = 1; seed <= 8; seed++) {
        uint64_t now = 1000;

        link_init(&link_, &s, seed);
        for (int i = 0; i < 3 && link_.state != LINK_UP; i++) {
            now = link_tick(&link_, now);
            started += link_.state == LINK_LOOKING;
            if (link_.state == LINK_CONNECTING) wait_event(now);
        }
        IS(link_.state, LINK_UP);
        link_fini(&link_); /* does not wait for it */
    }
    OK(started > 0);
    release(started);
}

static void a_slow_look_up_is_come_back_to(void)
{
    hold();
    open_link("name", every_port, 1);
    uint64_t now = link_tick(&link_, 1000);
    (void)link_tick(&link_, now);
    IS(link_.state, LINK_DOWN);
    now = link_.at_ms;
    (void)link_tick(&link_, now);
    IS(link_.state, LINK_LOOKING);
    release(1);
    attempt(now);
    IS(link_.state, LINK_UP);
    IS(atomic_load(&asked), 1);
    link_fini(&link_);
}

static void what_a_look_up_found_for_an_earlier_connection_is_not_used(void)
{
    struct servers s;
    char text[64];
    uint64_t now = 1000;

    snprintf(text, sizeof text, "name:%d,127.0.0.1:%d", every_port, alive_port);
    CHECK(servers_parse(text, &s) == 0);
    hold();
    do { /* the order is random: until the name's turn comes first */
        link_init(&link_, &s, now++);
        (void)link_tick(&link_, now);
        if (link_.state != LINK_LOOKING) link_fini(&link_);
    } while (link_.state != LINK_LOOKING);
    (void)link_tick(&link_, link_.at_ms);
    attempt(link_.at_ms);
    CHECK(link_.state == LINK_UP);
    release(1);
    poll(NULL, 0, 50); /* for the thread to be done: nothing is told of that */
    link_drop(&link_, now + 10000, false, "lost");
    attempt(now + 10000);
    IS(link_.state, LINK_UP);
    IS(atomic_load(&asked), 2);
    link_fini(&link_);
}

static void only_so_many_look_ups_hang_at_once(void)
{
    struct servers s;
    uint64_t now = 1000;

    CHECK(servers_parse("a:1,b:1,c:1,d:1,e:1,f:1", &s) == 0);
    hold();
    link_init(&link_, &s, 1);
    for (int i = 0; i < 40; i++) now = link_tick(&link_, now);
    link_fini(&link_);
    release(LOOKUPS_MAX);
}

static void a_server_may_have_an_ipv6_address(void)
{
    struct sockaddr_in6 at = { .sin6_family = AF_INET6,
                               .sin6_addr = IN6ADDR_LOOPBACK_INIT };
    const int fd = socket(AF_INET6, SOCK_STREAM, 0);
    socklen_t len = sizeof at;

    if (fd < 0 || bind(fd, (struct sockaddr *)&at, len) != 0) {
        OK(errno != 0); /* this machine has no IPv6 */
        if (fd >= 0) close(fd);
        return;
    }
    CHECK(listen(fd, 8) == 0);
    CHECK(getsockname(fd, (struct sockaddr *)&at, &len) == 0);
    open_link("[::1]", ntohs(at.sin6_port), 1);
    attempt(1000);
    IS(link_.state, LINK_UP);
    link_fini(&link_);
    close(fd);
}

/* --- servers that were learnt --- */

static void learn_alive(void)
{
    struct members m = { .count = 2 };

    for (uint64_t id = 1; id <= 2; id++) {
        m.at[id - 1] = (struct member){ .id = id, .server = alive.at[id - 1] };
    }
    link_learn(&link_, &m);
}

static void goes_on_to_another(const char *host)
{
    for (uint64_t seed = 1; seed <= 8; seed++) {
        name_is("127.0.0.1", NULL);
        open_link(host, alive_port, seed);
        attempt(1000);
        const uint64_t before = peer();
        learn_alive();
        link_drop(&link_, 5000, false, "lost");
        attempts(5000);
        OK(peer() != before);
        link_fini(&link_);
    }
}

static void a_client_that_was_given_one_server_goes_on_to_another(void)
{
    goes_on_to_another("127.0.0.1");
}

static void a_server_that_was_left_is_known_by_its_other_name(void)
{
    goes_on_to_another("name");
}

static void what_was_given_is_tried_for_ever(void)
{
    struct members m = { .count = 2 };
    uint64_t now = 5000;

    for (uint64_t id = 1; id <= 2; id++) {
        m.at[id - 1] = (struct member){ .id = id, .server = dead.at[id - 1] };
    }
    open_link("127.0.0.1", alive_port, 1);
    attempt(1000);
    link_learn(&link_, &m);
    link_drop(&link_, now, false, "lost");
    for (int i = 0; i < 3 && link_.state != LINK_UP; i++) {
        attempt(now);
        if (link_.state == LINK_DOWN) now = link_.at_ms;
    }
    IS(link_.state, LINK_UP);
    link_fini(&link_);
}

int main(void)
{
    int fd;

    alive_port = make_servers(&alive, true);
    (void)make_servers(&dead, false);
    every_port = listen_at(INADDR_ANY, &fd);
    CHECK(sem_init(&let_go, 0, 0) == 0);
    TEST(a_connection_that_lasted_is_followed_by_the_next_server_at_once);
    TEST(a_server_that_served_us_is_followed_by_the_next_at_once);
    TEST(pauses_are_short_again_after_a_server_that_served_us);
    TEST(servers_that_only_accept_are_left_alone_for_longer_and_longer);
    TEST(failures_are_counted_until_a_server_says_something);
    TEST(the_first_attempt_goes_where_it_is_told_to);
    TEST(a_lone_server_is_not_asked_again_at_once);
    TEST(pauses_grow_while_no_server_answers);
    TEST(a_name_is_looked_up_again_for_every_connection);
    TEST(a_look_up_does_not_hold_up_the_tick);
    TEST(an_address_that_fails_is_followed_by_the_next_of_the_name_at_once);
    TEST(the_first_address_tried_is_any_of_the_name);
    TEST(an_address_that_was_left_is_not_the_next_one);
    TEST(an_address_that_was_left_is_tried_when_the_others_fail);
    TEST(a_name_without_an_address_is_followed_by_the_next_server);
    TEST(a_look_up_that_hangs_hangs_nobody);
    TEST(a_slow_look_up_is_come_back_to);
    TEST(what_a_look_up_found_for_an_earlier_connection_is_not_used);
    TEST(only_so_many_look_ups_hang_at_once);
    TEST(a_server_may_have_an_ipv6_address);
    TEST(a_client_that_was_given_one_server_goes_on_to_another);
    TEST(a_server_that_was_left_is_known_by_its_other_name);
    TEST(what_was_given_is_tried_for_ever);
    return tap_done();
}
