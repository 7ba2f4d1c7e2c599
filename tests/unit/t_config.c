/* t_config.c -- what configuration is understood, and how each slip is refused.
 *
 * Method: command lines and small files, as an operator would write them. */
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/base/errors.h"
#include "core/server/config.h"
#include "tests/lib/tap.h"

static struct config c;
static char why[CONFIG_WHY_MAX];
static char file[] = "/tmp/t_config.XXXXXX";

static int read_flags(const char *first, ...)
{
    char *argv[32] = { (char *)"tidelockd" };
    int argc = 1;
    va_list args;

    va_start(args, first);
    for (const char *arg = first; arg != NULL; arg = va_arg(args, const char *)) {
        argv[argc++] = (char *)arg;
    }
    va_end(args);
    why[0] = '\0';
    return config_read(&c, argc, argv, why);
}

static int read_text(const char *text)
{
    FILE *f = fopen(file, "w");

    fputs(text, f);
    fclose(f);
    return read_flags("--config", file, NULL);
}

/* The refusal names the place and says what is expected. */
static void refused_at(unsigned line, const char *rest)
{
    char want[CONFIG_WHY_MAX];

    snprintf(want, sizeof want, "%s:%u: %s", file, line, rest);
    STR(why, want);
}

static void dev_needs_nothing_else(void)
{
    IS(read_flags("--dev", NULL), 0);
    IS(c.id, 1);
    STR(c.cluster, "dev");
    STR(c.data, "");
    STR(c.client.host, "127.0.0.1");
    IS(c.client.port, 7400);
    IS(c.members_count, 1);
}

static void flags_take_their_value_after_a_blank_or_an_equals_sign(void)
{
    IS(read_flags("--id", "2", "--data=/d", "--members", "1=a:1,2=[::1]:2,3=c:3", NULL), 0);
    IS(c.id, 2);
    STR(c.data, "/d");
    IS(c.members_count, 3);
    STR(c.members[1].host, "::1");
    IS(config_peer_listen(&c)->port, 2);
}

static void a_file_is_read_and_flags_win(void)
{
    FILE *f = fopen(file, "w");

    fputs("# a comment\n\nid = 3\n  data =  /x y  \nclient=[::]:7500\nlog-level = debug\n"
          "members = 1=a:1, 2=b:2, 3=c:3\n",
          f);
    fclose(f);
    IS(read_flags("--id", "1", "--config", file, "--cluster", "blue", NULL), 0);
    IS(c.id, 1);
    STR(c.data, "/x y");
    STR(c.client.host, "::");
    STR(c.cluster, "blue");
    IS(c.log_level, LOG_DEBUG);
    IS(c.members_count, 3);
}

static void an_unknown_key_is_refused_with_its_line(void)
{
    IS(read_text("id = 1\ncolour = blue\n"), ERR_CONFIG);
    refused_at(2, "colour is not a known key");
}

static void a_malformed_value_is_refused_with_what_is_expected(void)
{
    IS(read_text("id = 17\n"), ERR_CONFIG);
    refused_at(1, "id must be a number from 1 to 16");
    IS(read_text("\nclient = 7400\n"), ERR_CONFIG);
    refused_at(2, "client must be host:port or [v6]:port");
    IS(read_text("cache-bytes = many\n"), ERR_CONFIG);
    refused_at(1, "cache-bytes must be a number from 1048576 on");
}

static void a_line_without_an_equals_sign_is_refused(void)
{
    IS(read_text("id 1\n"), ERR_CONFIG);
    refused_at(1, "id 1 is not of the form key = value");
}

static void a_key_given_twice_is_refused(void)
{
    IS(read_text("id = 1\nid = 2\n"), ERR_CONFIG);
    refused_at(2, "id is given twice");
    IS(read_flags("--id", "1", "--id", "2", NULL), ERR_CONFIG);
    STR(why, "--id is given twice");
}

static void an_overlong_line_is_refused(void)
{
    char text[12000];

    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    IS(read_text(text), ERR_CONFIG);
    refused_at(1, "this line is too long");
}

static void a_missing_file_is_refused_by_name(void)
{
    IS(read_flags("--config", "/nowhere/at.all", NULL), ERR_IO);
    STR(why, "--config /nowhere/at.all: No such file or directory");
}

static void an_unknown_or_incomplete_flag_is_refused(void)
{
    IS(read_flags("--colour", "blue", NULL), ERR_CONFIG);
    STR(why, "--colour is not a known flag");
    IS(read_flags("--id", NULL), ERR_CONFIG);
    STR(why, "--id needs a value");
    IS(read_flags("serve", NULL), ERR_CONFIG);
    STR(why, "\"serve\" is not a flag; see --help");
}

static void what_is_missing_is_named(void)
{
    IS(read_flags("--data", "/d", NULL), ERR_CONFIG);
    STR(why, "id is missing: say which member this is (--id 1)");
    IS(read_flags("--id", "1", NULL), ERR_CONFIG);
    STR(why, "data is missing: say where to keep log and state (--data DIR)");
    IS(read_flags("--id", "4", "--data", "/d", "--members", "1=a:1,2=b:2", NULL),
       ERR_CONFIG);
    STR(why, "members does not name this server's id 4");
}

static void members_name_each_id_and_each_address_once(void)
{
    const char *bad[] = { "1=a:1,1=b:2", "1=a:1,2=a:1", "1=a:1,",    "a:1",
                          "1=a",         "0=a:1",       "17=a:1",    "1=a:0",
                          "1=:1",        "1=::1:1",     "1=a:99999", "" };

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        IS(read_flags("--id", "1", "--data", "/d", "--members", bad[i], NULL), ERR_CONFIG);
        STR(why,
            "--members must be \"1=host:port,2=host:port,...\", each id and address once");
    }
}

static void only_dev_may_let_the_system_choose_the_port(void)
{
    IS(read_flags("--dev", "--client", "127.0.0.1:0", NULL), 0);
    IS(read_flags("--id", "1", "--data", "/d", "--client", "127.0.0.1:0", NULL),
       ERR_CONFIG);
    STR(why, "client must name a port; 0 is for --dev only");
}

static void election_times_must_leave_room_for_lost_heartbeats(void)
{
    IS(read_flags("--dev", "--heartbeat-ms", "100", NULL), ERR_CONFIG);
    STR(why, "3 * heartbeat-ms <= election-min-ms <= election-max-ms must hold");
}

static void a_lease_is_shorter_than_an_election(void)
{
    IS(read_flags("--dev", NULL), 0);
    IS(c.lease_ms, 0);
    IS(read_flags("--dev", "--lease-ms", "100", NULL), 0);
    IS(c.lease_ms, 100);
    IS(read_flags("--dev", "--lease-ms", "101", NULL), ERR_CONFIG);
    STR(why, "--lease-ms must be a number from 0 to 100");
    IS(read_flags("--dev", "--heartbeat-ms", "10", "--election-min-ms", "100", "--lease-ms",
                  "100", NULL),
       ERR_CONFIG);
    STR(why, "lease-ms must be below election-min-ms");
}

static void who_joins_says_where_it_is_found_and_the_cluster_says_the_rest(void)
{
    IS(read_flags("--join", "a:1,b:2", "--data", "/d", "--peer", "p:3", NULL), 0);
    STR(c.join, "a:1,b:2");
    IS(c.id, 0);
    IS(c.members_count, 0);
    OK(!c.learner && !c.rejoin);
    IS(read_flags("--join", "a:1", "--learner", "--rejoin", "--data", "/d", "--peer", "p:3",
                  NULL),
       0);
    OK(c.learner && c.rejoin);
    IS(read_flags("--join", "a:1", "--data", "/d", NULL), ERR_CONFIG);
    OK(strstr(why, "peer is missing") != NULL);
    IS(read_flags("--join", "a:1", "--data", "/d", "--peer", "0.0.0.0:1", NULL), ERR_CONFIG);
    OK(strstr(why, "can dial") != NULL);
    IS(read_flags("--join", "a", "--data", "/d", "--peer", "p:3", NULL), ERR_CONFIG);
    IS(read_flags("--join", "a:1", "--dev", NULL), ERR_CONFIG);
    IS(read_flags("--id", "1", "--data", "/d", "--learner", NULL), ERR_CONFIG);
    IS(read_flags("--id", "1", "--data", "/d", "--rejoin", NULL), ERR_CONFIG);
}

static void a_member_that_joins_again_keeps_its_address(void)
{
    IS(read_flags("--join", "a:1", "--id", "2", "--members", "1=a:1,2=b:2", "--data", "/d",
                  NULL),
       0);
    STR(c.peer.host, "b");
    IS(c.id, 0);
    IS(c.members_count, 0);
}

static void who_is_given_no_address_for_others_is_alone(void)
{
    IS(read_flags("--id", "1", "--data", "/d", NULL), 0);
    OK(config_is_alone(&c));
    IS(read_flags("--id", "1", "--data", "/d", "--peer", "p:3", NULL), 0);
    OK(!config_is_alone(&c));
    STR(c.members[0].host, "p");
    IS(read_flags("--id", "1", "--data", "/d", "--members", "1=a:1", NULL), 0);
    OK(!config_is_alone(&c));
}

static void the_hash_of_a_cluster_tells_names_and_members_apart(void)
{
    IS(read_flags("--id", "1", "--data", "/d", "--members", "1=a:1,2=b:2", NULL), 0);
    uint64_t first = config_cluster_hash(&c);
    IS(read_flags("--id", "2", "--data", "/e", "--members", "2=b:2,1=a:1", NULL), 0);
    OK(config_cluster_hash(&c) == first);
    IS(read_flags("--id", "1", "--data", "/d", "--members", "1=a:1,2=b:3", NULL), 0);
    OK(config_cluster_hash(&c) != first);
    IS(read_flags("--id", "1", "--data", "/d", "--members", "1=a:1,2=b:2", "--cluster", "x",
                  NULL),
       0);
    OK(config_cluster_hash(&c) != first);
}

int main(void)
{
    close(mkstemp(file));
    TEST(dev_needs_nothing_else);
    TEST(flags_take_their_value_after_a_blank_or_an_equals_sign);
    TEST(a_file_is_read_and_flags_win);
    TEST(an_unknown_key_is_refused_with_its_line);
    TEST(a_malformed_value_is_refused_with_what_is_expected);
    TEST(a_line_without_an_equals_sign_is_refused);
    TEST(a_key_given_twice_is_refused);
    TEST(an_overlong_line_is_refused);
    TEST(a_missing_file_is_refused_by_name);
    TEST(an_unknown_or_incomplete_flag_is_refused);
    TEST(what_is_missing_is_named);
    TEST(members_name_each_id_and_each_address_once);
    TEST(only_dev_may_let_the_system_choose_the_port);
    TEST(election_times_must_leave_room_for_lost_heartbeats);
    TEST(a_lease_is_shorter_than_an_election);
    TEST(who_joins_says_where_it_is_found_and_the_cluster_says_the_rest);
    TEST(a_member_that_joins_again_keeps_its_address);
    TEST(who_is_given_no_address_for_others_is_alone);
    TEST(the_hash_of_a_cluster_tells_names_and_members_apart);
    unlink(file);
    return tap_done();
}
