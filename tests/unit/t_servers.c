/* t_servers.c -- which servers a client may try, one rule a test.
 *
 * Method: lists of members as servers name them, and what is known after each. */
#include "core/base/errors.h"
#include "core/client/servers.h"
#include "tests/lib/tap.h"

static struct members known;

/* A list of members 1, 2, 3 by their addresses; NULL: that one is no member. */
static bool hear(const char *one, const char *two, const char *three)
{
    const char *const addresses[] = { one, two, three };
    struct members named = { .count = 0 };

    for (uint64_t id = 1; id <= 3; id++) {
        if (addresses[id - 1] == NULL) continue;
        members_add(&named, id, bytes_str(addresses[id - 1]));
    }
    return members_merge(&known, &named);
}

/* The whole list as text, in the order of the list. */
static const char *servers_of(const char *given)
{
    static char text[512];
    struct servers s;
    size_t len = 0;

    IS(servers_parse(given, &s), 0);
    servers_add_members(&s, &known);
    text[0] = '\0';
    for (size_t i = 0; i < s.count; i++) {
        len += (size_t) snprintf(text + len, sizeof text - len, "%s%s:%s",
                                 i == 0 ? "" : " ", s.at[i].host, s.at[i].port);
    }
    return text;
}

static void learnt_servers_stand_beside_those_that_were_given(void)
{
    known.count = 0;
    STR(servers_of("a:1,b:2"), "a:1 b:2");
    OK(hear("a:1", "10.0.0.2:7400", "[fd00::3]:7400"));
    STR(servers_of("a:1,b:2"), "a:1 b:2 10.0.0.2:7400 fd00::3:7400");
}

static void a_newer_list_replaces_the_one_before(void)
{
    known.count = 0;
    hear("a:1", "b:1", "c:1");
    OK(hear("a:1", "b:2", NULL));
    STR(servers_of("x:9"), "x:9 a:1 b:2");
}

static void the_same_list_again_changes_nothing(void)
{
    known.count = 0;
    OK(hear("a:1", "b:1", NULL));
    OK(!hear("a:1", "b:1", NULL));
    OK(!hear("a:1", "", NULL));
}

static void an_address_of_no_use_takes_away_none(void)
{
    static const char *const useless[] = { "", "0.0.0.0:7400", "[::]:7400", "a", "a:0",
                                           ":7400", "0:7400:1", "[::0]:1" };

    known.count = 0;
    hear("a:1", "b:1", "c:1");
    for (size_t i = 0; i < sizeof useless / sizeof useless[0]; i++) {
        OK(!hear("a:1", useless[i], "c:1"));
        OK(!hear(useless[i], useless[i], useless[i]));
    }
    OK(hear("a:1", "", "c:2"));
    STR(servers_of("x:9"), "x:9 a:1 b:1 c:2");
}

static void an_address_of_no_use_is_never_tried(void)
{
    known.count = 0;
    OK(hear("a:1", "0.0.0.0:7400", ""));
    STR(servers_of("x:9"), "x:9 a:1");
}

static void a_list_without_any_member_changes_nothing(void)
{
    known.count = 0;
    hear("a:1", NULL, NULL);
    OK(!hear(NULL, NULL, NULL));
    STR(servers_of("x:9"), "x:9 a:1");
}

static void what_is_too_much_is_left_out(void)
{
    struct members many = { .count = 0 };
    struct servers s = { .count = SERVERS_MAX - 1 };
    char address[32];

    for (uint64_t id = 1; id <= NODES_MAX + 1; id++) {
        snprintf(address, sizeof address, "m%d:1", (int) id);
        members_add(&many, id, bytes_str(address));
    }
    IS(many.count, NODES_MAX);
    servers_add_members(&s, &many);
    IS(s.count, SERVERS_MAX);
    STR(s.at[SERVERS_MAX - 1].host, "m1");
}

int main(void)
{
    TEST(learnt_servers_stand_beside_those_that_were_given);
    TEST(a_newer_list_replaces_the_one_before);
    TEST(the_same_list_again_changes_nothing);
    TEST(an_address_of_no_use_takes_away_none);
    TEST(an_address_of_no_use_is_never_tried);
    TEST(a_list_without_any_member_changes_nothing);
    TEST(what_is_too_much_is_left_out);
    return tap_done();
}
