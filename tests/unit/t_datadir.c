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
    OK(strstr(why, "membership is fixed at the first start in this version") != NULL);
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
    const char *bad[] = { "", "tidelock 1\n",
                          "tidelock 1\ncluster = blue\nid = 1\nmembers = 1",
                          "something else\n" };

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        write_identity("f", bad[i]);
        configure("f", "blue", 1, "1=h:1");
        IS(open_dir(), ERR_DAMAGED);
    }
}

static void the_identity_of_a_later_format_is_refused(void)
{
    write_identity("g", "tidelock 2\nwhatever\n");
    configure("g", "blue", 1, "1=h:1");
    IS(open_dir(), ERR_OTHER_VERSION);
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
    TEST(the_identity_of_a_later_format_is_refused);
    TEST(a_log_without_an_identity_is_refused);
    TEST(a_directory_that_cannot_be_made_is_refused_by_name);
    TEST(a_temporary_one_is_gone_after_use);
    snprintf(command, sizeof command, "rm -rf %s", top);
    return system(command) == 0 ? tap_done() : EXIT_FAILURE;
}
