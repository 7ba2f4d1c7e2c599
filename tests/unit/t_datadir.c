/* t_datadir.c -- who may use a data directory, and for which server.
 *
 * Method: real directories below a fresh temporary one. flock() belongs to an open file, so
 * a second datadir_open() in this process stands for another process. */
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/errors.h"
#include "core/server/datadir.h"
#include "tests/lib/tap.h"

static char top[] = "/tmp/t_datadir.XXXXXX";
static char why[CONFIG_WHY_MAX];
static struct config config;
static struct datadir dir;

static void configure(const char *name, const char *cluster, uint32_t id,
                      const char *members)
{
    config = (struct config){ .id = id };
    snprintf(config.data, sizeof config.data, "%.100s/%.100s", top, name);
    snprintf(config.cluster, sizeof config.cluster, "%s", cluster);
    OK(config_members_adopt(&config, members));
}

static int open_dir(void)
{
    why[0] = '\0';
    return datadir_open(&dir, &config, why);
}

static void fill(const char *name, const char *cluster, uint32_t id, const char *members)
{
    configure(name, cluster, id, members);
    IS(open_dir(), 0);
    datadir_close(&dir);
}

static void write_identity(const char *name, const char *text)
{
    char path[300];

    snprintf(path, sizeof path, "%s/%s", top, name);
    mkdir(path, 0700);
    snprintf(path, sizeof path, "%s/%s/identity", top, name);
    FILE *f = fopen(path, "w");
    fputs(text, f);
    fclose(f);
}

static void the_first_start_founds_it_and_the_next_finds_it(void)
{
    fill("a", "blue", 1, "1=h:1,2=h:2");
    fill("a", "blue", 1, "1=h:1,2=h:2");
    OK(strstr(dir.log, "/a/log") != NULL);
}

static void a_second_server_is_told_the_pid_of_the_first(void)
{
    struct datadir first;
    char pid[40];

    configure("b", "blue", 1, "1=h:1");
    IS(datadir_open(&first, &config, why), 0);
    IS(open_dir(), ERR_IN_USE);
    snprintf(pid, sizeof pid, "pid %ld", (long)getpid());
    OK(strstr(why, pid) != NULL);
    datadir_close(&first);
    IS(open_dir(), 0);
    datadir_close(&dir);
}

static void another_cluster_or_id_is_refused_with_both_names(void)
{
    fill("c", "blue", 1, "1=h:1,2=h:2");
    configure("c", "red", 1, "1=h:1,2=h:2");
    IS(open_dir(), ERR_CONFIG);
    OK(strstr(why, "cluster blue") != NULL && strstr(why, "cluster red") != NULL);
    configure("c", "blue", 2, "1=h:1,2=h:2");
    IS(open_dir(), ERR_CONFIG);
    OK(strstr(why, "id 1") != NULL && strstr(why, "id 2") != NULL);
}

static void other_members_are_refused(void)
{
    fill("d", "blue", 1, "1=h:1,2=h:2");
    configure("d", "blue", 1, "1=h:1,2=h:3");
    IS(open_dir(), ERR_CONFIG);
    OK(strstr(why, "members are those of the first start") != NULL);
    OK(strstr(why, "1=h:1,2=h:3") != NULL);
}

static void members_that_are_not_given_are_taken_from_the_identity(void)
{
    fill("e", "blue", 1, "1=h:1,2=h:2,3=h:3");
    configure("e", "blue", 1, "1=x:9");
    config.members_given = false;
    IS(open_dir(), 0);
    IS(config.members_count, 3);
    STR(config.members[0].host, "h");
    datadir_close(&dir);
}

static void a_damaged_identity_is_refused(void)
{
#define HEAD "tidelock 3\ncluster = blue\nid = 1\nmembers = 1=h:1,2=h:2\nnumber = 1\n"
#define GOOD HEAD "incarnation = 0123456789abcdef\n"
#define NONE "founding = 0000000000000000\n"
    const char *bad[] = {
        "", "tidelock 3\n", "tidelock 3\ncluster = blue\nid = 1\nmembers = 1",
        "something else\n",
        HEAD "incarnation = 0000000000000000\npeers = \njoined = no\n" NONE,
        HEAD "incarnation = 12\npeers = \njoined = no\n" NONE,
        GOOD "peers = 2\njoined = no\n" NONE,
        GOOD "peers = 2=0123\njoined = no\n" NONE,
        GOOD "peers = 99=0123456789abcdef\njoined = no\n" NONE,
        GOOD "peers = \njoined = perhaps\n" NONE,
        GOOD "peers = \njoined = no\n",
        GOOD "peers = 2=0123456789abcdef\njoined = yes\n" NONE,
        GOOD "peers = \njoined = yes\nfounding = 0123456789abcdef\n",
        GOOD "peers = \njoined = no\nfounding = 0123456789abcdef\n",
        "tidelock 3\ncluster = blue\nid = 1\nmembers = 1=h:1,2=h:2\nnumber = 0\n"
        "incarnation = 0123456789abcdef\npeers = \njoined = no\n" NONE,
    };
#undef NONE
#undef GOOD
#undef HEAD

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        write_identity("f", bad[i]);
        configure("f", "blue", 1, "1=h:1,2=h:2");
        IS(open_dir(), ERR_DAMAGED);
    }
}

static void the_identity_of_another_format_is_refused(void)
{
    const char *others[] = { "tidelock 1\ncluster = blue\nid = 1\nmembers = 1=h:1\n",
                             "tidelock 2\nwhatever\n", "tidelock 4\n" };

    for (size_t i = 0; i < 3; i++) {
        write_identity("g", others[i]);
        configure("g", "blue", 1, "1=h:1");
        IS(open_dir(), ERR_OTHER_VERSION);
    }
}

static void an_incarnation_names_one_directory_for_good(void)
{
    configure("i", "blue", 1, "1=h:1,2=h:2");
    IS(open_dir(), 0);
    uint64_t first = dir.identity.incarnation;
    datadir_close(&dir);
    OK(first != 0);
    IS(open_dir(), 0);
    OK(dir.identity.incarnation == first);
    datadir_close(&dir);
    configure("j", "blue", 1, "1=h:1,2=h:2");
    IS(open_dir(), 0);
    OK(dir.identity.incarnation != first);
    datadir_close(&dir);
}

static void a_known_incarnation_is_kept_and_never_changes(void)
{
    configure("k", "blue", 2, "1=h:1,2=h:2,3=h:3");
    IS(open_dir(), 0);
    IS(identity_unknown(&dir.identity), node_bit(1) | node_bit(3));
    IS(identity_meet(&dir.identity, 3, 0xf00d, why), 0);
    datadir_close(&dir);
    IS(open_dir(), 0);
    IS(identity_unknown(&dir.identity), node_bit(1));
    IS(identity_meet(&dir.identity, 3, 0xf00d, why), 0);
    IS(identity_meet(&dir.identity, 3, 0xbad, why), ERR_OTHER_DATA);
    IS(dir.identity.known[2], 0xf00d);
    datadir_close(&dir);
}

/* What server `id` of three says when it knows the others by these incarnations. */
static uint64_t founding_of(struct identity *i, uint32_t id, const uint64_t *incarnations)
{
    uint64_t ours = incarnations[id - 1];

    *i = (struct identity){ .config = &config, .incarnation = ours };
    for (uint32_t at = 1; at <= 3; at++) {
        if (at != id) i->known[at - 1] = incarnations[at - 1];
    }
    config.id = id;
    return identity_founding(i);
}

static void all_members_compute_one_founding_and_none_before_all_are_met(void)
{
    const uint64_t all[] = { 11, 22, 33 }, wiped[] = { 11, 23, 33 }, some[] = { 11, 22, 0 };
    struct identity i;

    configure("l", "blue", 1, "1=h:1,2=h:2,3=h:3");
    uint64_t founding = founding_of(&i, 1, all);
    OK(founding != 0);
    OK(founding_of(&i, 2, all) == founding);
    OK(founding_of(&i, 3, all) == founding);
    OK(founding_of(&i, 1, wiped) != founding);
    OK(founding_of(&i, 1, some) == 0);
}

static void make_log(const char *name)
{
    char path[300];

    snprintf(path, sizeof path, "%s/%s/log", top, name);
    IS(mkdir(path, 0700), 0);
    snprintf(path, sizeof path, "%s/%s/log/1.seg", top, name);
    fclose(fopen(path, "w"));
}

static void whoever_joined_is_refused_without_its_log(void)
{
    char path[300];

    configure("p", "blue", 1, "1=h:1,2=h:2");
    IS(open_dir(), 0);
    IS(identity_meet(&dir.identity, 2, 5, why), 0);
    IS(identity_join(&dir.identity, why), 0);
    datadir_close(&dir);
    IS(open_dir(), ERR_DAMAGED);
    OK(strstr(why, "must not vote from lost memory") != NULL);
    make_log("p");
    IS(open_dir(), 0);
    datadir_close(&dir);
    snprintf(path, sizeof path, "%s/p/log/1.seg", top);
    unlink(path);
    IS(open_dir(), ERR_DAMAGED);
}

static void joining_is_kept_and_a_server_alone_has_joined(void)
{
    configure("m", "blue", 1, "1=h:1,2=h:2");
    IS(open_dir(), 0);
    OK(!dir.identity.joined);
    IS(identity_meet(&dir.identity, 2, 5, why), 0);
    IS(identity_join(&dir.identity, why), 0);
    datadir_close(&dir);
    make_log("m");
    IS(open_dir(), 0);
    OK(dir.identity.joined);
    datadir_close(&dir);
    configure("n", "blue", 1, "1=h:1");
    IS(open_dir(), 0);
    OK(dir.identity.joined && dir.identity.is_new);
    datadir_close(&dir);
    IS(open_dir(), 0); /* no log is missed before there was one */
    IS(identity_settle(&dir.identity, why), 0);
    datadir_close(&dir);
    IS(open_dir(), ERR_DAMAGED);
    make_log("n");
    IS(open_dir(), 0);
    OK(dir.identity.joined && !dir.identity.is_new);
    datadir_close(&dir);
}

/* What a cluster answered that takes server 3 in. */
static void admit(const char *name)
{
    const struct identity_place place = {
        .number = 4, .incarnation = 77, .founding = 99, .known = { 11, 22, 77 }
    };
    char path[300];

    configure(name, "blue", 3, "1=h:1,2=h:2,3=h:3");
    snprintf(path, sizeof path, "%s/%s", top, name);
    mkdir(path, 0700);
    IS(identity_admit(&dir.identity, path, &config, &place, why), 0);
    make_log(name);
}

/* As who joined is started again: with --join, or with its id alone. */
static void start_again(const char *name, uint32_t id, const char *join)
{
    config = (struct config){ .id = id };
    snprintf(config.data, sizeof config.data, "%.100s/%.100s", top, name);
    strcpy(config.cluster, "tidelock");
    strcpy(config.join, join);
}

static void who_joined_takes_its_place_from_its_identity_and_join_counts_no_more(void)
{
    struct roster roster;

    admit("q");
    start_again("q", 0, "nowhere:1");
    IS(open_dir(), 0);
    IS(config.id, 3);
    STR(config.cluster, "blue");
    IS(config.members_count, 3);
    OK(dir.identity.joined);
    IS(dir.identity.founding, 99);
    identity_roster(&dir.identity, &roster);
    IS(roster.number, 4);
    OK(roster_knows(&roster, 2, 22) && roster_knows(&roster, 3, 77));
    datadir_close(&dir);
    start_again("q", 3, "");
    IS(open_dir(), 0);
    datadir_close(&dir);
    start_again("q", 2, "");
    IS(open_dir(), ERR_CONFIG);
}

static void members_of_the_first_start_count_no_more_for_who_joined(void)
{
    admit("r");
    configure("r", "blue", 3, "1=h:1,3=other:3");
    IS(open_dir(), 0);
    IS(config.members_count, 3);
    datadir_close(&dir);
}

static void who_was_removed_is_refused_for_ever_and_told_what_to_do(void)
{
    admit("s");
    start_again("s", 0, "nowhere:1");
    IS(open_dir(), 0);
    IS(identity_remove(&dir.identity, why), 0);
    datadir_close(&dir);
    for (int i = 0; i < 2; i++) {
        start_again("s", 0, i == 0 ? "nowhere:1" : "");
        config.id = i == 0 ? 0 : 3;
        IS(open_dir(), ERR_NO_MEMBER);
        OK(strstr(why, "removed") != NULL && strstr(why, "--rejoin") != NULL);
    }
}

static int count_aside(const char *name, const char *what)
{
    char command[500];

    snprintf(command, sizeof command, "test $(ls -d %s/%s/aside-*/%s | wc -l) = 1", top, name,
             what);
    return system(command);
}

/* The cluster is out of reach for a good reason, so the directory stays without identity. */
static void rejoin_sets_all_aside_and_deletes_nothing(void)
{
    char path[300];

    admit("t");
    start_again("t", 0, "x");
    config.rejoin = true;
    OK(open_dir() != 0);
    IS(count_aside("t", "identity"), 0);
    IS(count_aside("t", "log/1.seg"), 0);
    snprintf(path, sizeof path, "%s/t/log", top);
    IS(access(path, F_OK), -1);
}

static void what_cannot_be_written_is_not_known(void)
{
    struct identity lost;

    configure("o", "blue", 1, "1=h:1,2=h:2");
    IS(open_dir(), 0);
    lost = dir.identity;
    lost.folder = "/nowhere/at/all";
    IS(identity_meet(&lost, 2, 5, why), ERR_IO);
    IS(lost.known[1], 0);
    datadir_close(&dir);
}

static void a_log_without_an_identity_is_refused(void)
{
    char path[300];

    fill("h", "blue", 1, "1=h:1");
    snprintf(path, sizeof path, "%s/h/log", top);
    mkdir(path, 0700);
    snprintf(path, sizeof path, "%s/h/identity", top);
    unlink(path);
    configure("h", "blue", 1, "1=h:1");
    IS(open_dir(), ERR_DAMAGED);
}

static void a_directory_that_cannot_be_made_is_refused_by_name(void)
{
    configure("no/such", "blue", 1, "1=h:1");
    IS(open_dir(), ERR_IO);
    OK(strstr(why, "no/such: cannot create it: No such file or directory") != NULL);
}

static void a_temporary_one_is_gone_after_use(void)
{
    configure("", "dev", 1, "1=h:1");
    config.data[0] = '\0';
    IS(open_dir(), 0);
    IS(access(dir.path, F_OK), 0);
    datadir_close(&dir);
    IS(access(dir.path, F_OK), -1);
}

int main(void)
{
    char command[100];

    if (mkdtemp(top) == NULL) return EXIT_FAILURE;
    setenv("TMPDIR", top, 1);
    TEST(the_first_start_founds_it_and_the_next_finds_it);
    TEST(a_second_server_is_told_the_pid_of_the_first);
    TEST(another_cluster_or_id_is_refused_with_both_names);
    TEST(other_members_are_refused);
    TEST(members_that_are_not_given_are_taken_from_the_identity);
    TEST(a_damaged_identity_is_refused);
    TEST(the_identity_of_another_format_is_refused);
    TEST(an_incarnation_names_one_directory_for_good);
    TEST(a_known_incarnation_is_kept_and_never_changes);
    TEST(all_members_compute_one_founding_and_none_before_all_are_met);
    TEST(joining_is_kept_and_a_server_alone_has_joined);
    TEST(whoever_joined_is_refused_without_its_log);
    TEST(who_joined_takes_its_place_from_its_identity_and_join_counts_no_more);
    TEST(members_of_the_first_start_count_no_more_for_who_joined);
    TEST(who_was_removed_is_refused_for_ever_and_told_what_to_do);
    TEST(rejoin_sets_all_aside_and_deletes_nothing);
    TEST(what_cannot_be_written_is_not_known);
    TEST(a_log_without_an_identity_is_refused);
    TEST(a_directory_that_cannot_be_made_is_refused_by_name);
    TEST(a_temporary_one_is_gone_after_use);
    snprintf(command, sizeof command, "rm -rf %s", top);
    return system(command) == 0 ? tap_done() : EXIT_FAILURE;
}
