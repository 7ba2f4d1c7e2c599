/* t_session_file.c -- the note of a session on disk, one rule a test.
 *
 * Method: a folder of the test's own; what another process would do is done by a second
 * struct session_file, since a lock belongs to who opened it. */
#include "core/client/session_file.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/check.h"
#include "tests/lib/tap.h"

static const struct client_session OURS = {
    .id = 1234567890123456789u,
    .secret = BYTES_LIT("\x00" "123456789abcde\xff"),
};

static char folder[] = "/tmp/t_session_file.XXXXXX";
static char path[64];
static struct session_file file, other;
static struct client_session former;

static void put(const char *text, size_t len)
{
    const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

    CHECK(fd >= 0);
    CHECK(write(fd, text, len) == (ssize_t) len);
    close(fd);
}

static size_t size_of_file(void)
{
    struct stat s;

    return stat(path, &s) == 0 ? (size_t) s.st_size : 0;
}

static void write_ours(void)
{
    IS(session_file_open(&file, path, &former), 0);
    IS(session_file_write(&file, &OURS), 0);
    session_file_close(&file);
}

static void what_was_written_is_read_by_the_next_one(void)
{
    write_ours();
    IS(session_file_open(&file, path, &former), 0);
    OK(former.id == OURS.id);
    OK(bytes_equal(former.secret, OURS.secret));
    session_file_close(&file);
}

static void a_removed_note_is_none(void)
{
    write_ours();
    IS(session_file_open(&file, path, &former), 0);
    session_file_remove(&file);
    session_file_close(&file);
    IS(session_file_open(&file, path, &former), 0);
    IS(former.id, 0);
    session_file_close(&file);
}

static void the_secret_is_for_its_owner_alone(void)
{
    struct stat s;

    char new[80];

    (void) unlink(path);
    snprintf(new, sizeof new, "%s.new", path);
    const int fd = open(new, O_WRONLY | O_CREAT, 0644); /* left by a crash, or by others */
    CHECK(fd >= 0);
    close(fd);
    write_ours();
    CHECK(stat(path, &s) == 0);
    IS(s.st_mode & 07777, 0600);
}

static void a_second_one_is_refused_until_the_first_is_closed(void)
{
    write_ours();
    IS(session_file_open(&file, path, &former), 0);
    IS(session_file_open(&other, path, &former), ERR_IN_USE);
    OK(strstr(other.why, path) != NULL);
    IS(session_file_write(&file, &OURS), 0); /* a new file: the lock stands beside it */
    IS(session_file_open(&other, path, &former), ERR_IN_USE);
    session_file_close(&file);
    IS(session_file_open(&other, path, &former), 0);
    session_file_close(&other);
}

static void an_empty_file_is_no_note_and_is_written(void)
{
    put("", 0);
    IS(session_file_open(&file, path, &former), 0);
    IS(former.id, 0);
    IS(session_file_write(&file, &OURS), 0);
    session_file_close(&file);
    OK(size_of_file() > 0);
}

/* Somebody may have named a file of another kind by mistake. */
static void what_is_no_note_is_refused_and_left_alone(void)
{
    static const char *const wrong[] = {
        "root:x:0:0:root:/root:/bin/sh\n",
        "tidelock-session 1 77 \n",
        "tidelock-session 1 77 00ff",
        "tidelock-session 1 77 00ff\nmore\n",
        "tidelock-session 1 0 00ff\n",
        "tidelock-session 1 077 00ff\n",
        "tidelock-session 1 77 00FF\n",
        "tidelock-session 1 77 00f\n",
        "tidelock-session 2 77 00ff\n",
        "tidelock-session 1 99999999999999999999999 00ff\n",
        "\n",
    };

    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        put(wrong[i], strlen(wrong[i]));
        IS(session_file_open(&file, path, &former), ERR_CONFIG);
        OK(strstr(file.why, path) != NULL);
        OK(file.path == NULL);
        IS(size_of_file(), strlen(wrong[i]));
    }
}

static void a_long_file_is_refused(void)
{
    char text[4096];

    memset(text, '7', sizeof text);
    memcpy(text, "tidelock-session 1 7 ", 21);
    put(text, sizeof text);
    IS(session_file_open(&file, path, &former), ERR_CONFIG);
    IS(size_of_file(), sizeof text);
}

static void a_folder_that_is_not_there_is_an_error(void)
{
    IS(session_file_open(&file, "/none/of/these", &former), ERR_IO);
    OK(strstr(file.why, "No such file") != NULL);
    OK(mkdir(path, 0700) == 0 || (unlink(path) == 0 && mkdir(path, 0700) == 0));
    IS(session_file_open(&file, path, &former), ERR_IO);
    CHECK(rmdir(path) == 0);
}

static void a_write_that_fails_leaves_the_old_note(void)
{
    char new[80];

    write_ours();
    snprintf(new, sizeof new, "%s.new", path);
    CHECK(mkdir(new, 0700) == 0); /* in the way of the new file */
    IS(session_file_open(&file, path, &former), 0);
    IS(session_file_write(&file, &(struct client_session){ 5, BYTES_LIT("x") }), ERR_IO);
    session_file_close(&file);
    CHECK(rmdir(new) == 0);
    IS(session_file_open(&file, path, &former), 0);
    OK(former.id == OURS.id);
    session_file_close(&file);
}

static void without_a_path_nothing_is_done(void)
{
    IS(session_file_open(&file, NULL, &former), 0);
    IS(former.id, 0);
    IS(session_file_write(&file, &OURS), 0);
    session_file_remove(&file);
    session_file_close(&file);
}

static void clean(void)
{
    static const char *const suffixes[] = { "", ".lock", ".new" };
    char name[80];

    for (int i = 0; i < 3; i++) {
        snprintf(name, sizeof name, "%s%s", path, suffixes[i]);
        (void) unlink(name);
    }
    (void) rmdir(folder);
}

int main(void)
{
    CHECK(mkdtemp(folder) != NULL);
    snprintf(path, sizeof path, "%s/note", folder);
    TEST(what_was_written_is_read_by_the_next_one);
    TEST(a_removed_note_is_none);
    TEST(the_secret_is_for_its_owner_alone);
    TEST(a_second_one_is_refused_until_the_first_is_closed);
    TEST(an_empty_file_is_no_note_and_is_written);
    TEST(what_is_no_note_is_refused_and_left_alone);
    TEST(a_long_file_is_refused);
    TEST(a_folder_that_is_not_there_is_an_error);
    TEST(a_write_that_fails_leaves_the_old_note);
    TEST(without_a_path_nothing_is_done);
    clean();
    return tap_done();
}
