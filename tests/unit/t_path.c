/* t_path.c -- what is a path and what is not, one rule a test. Method: hand-made paths. */
#include "core/base/errors.h"
#include "core/base/limits.h"
#include "core/tree/path.h"
#include "tests/lib/tap.h"

static int check(const char *path)
{
    return path_check(bytes_str(path));
}

static const char *text(struct bytes s)
{
    static char room[64];

    snprintf(room, sizeof room, "%.*s", (int) s.len, (const char *) s.ptr);
    return room;
}

static void the_root_and_plain_paths_are_legal(void)
{
    IS(check("/"), 0);
    IS(check("/a"), 0);
    IS(check("/a/b-1/c_2"), 0);
    IS(check("/.a/..b/c./..."), 0);
}

static void a_path_starts_with_a_slash(void)
{
    IS(check(""), ERR_BAD_PATH);
    IS(check("a"), ERR_BAD_PATH);
    IS(path_check((struct bytes){ 0 }), ERR_BAD_PATH);
}

static void a_path_has_no_empty_part(void)
{
    IS(check("//"), ERR_BAD_PATH);
    IS(check("//a"), ERR_BAD_PATH);
    IS(check("/a//b"), ERR_BAD_PATH);
    IS(check("/a/"), ERR_BAD_PATH);
}

static void a_path_has_no_dot_parts(void)
{
    IS(check("/."), ERR_BAD_PATH);
    IS(check("/.."), ERR_BAD_PATH);
    IS(check("/a/./b"), ERR_BAD_PATH);
    IS(check("/a/../b"), ERR_BAD_PATH);
}

static void a_path_is_bounded(void)
{
    char path[PATH_BYTES_MAX + 1];

    memset(path, 'a', sizeof path);
    path[0] = '/';
    IS(path_check(bytes_of(path, PATH_BYTES_MAX)), 0);
    IS(path_check(bytes_of(path, PATH_BYTES_MAX + 1)), ERR_TOO_LARGE);
}

static void the_characters_that_zookeeper_forbids_are_refused(void)
{
    IS(path_check(BYTES_LIT("/a\0b")), ERR_BAD_PATH);
    IS(check("/\x1f"), ERR_BAD_PATH);
    IS(check("/ "), 0);
    IS(check("/~"), 0);
    IS(check("/\x7f"), ERR_BAD_PATH);
    IS(check("/\xc2\x9f"), ERR_BAD_PATH);     /* U+009F */
    IS(check("/\xc2\xa0"), 0);                /* U+00A0 */
    IS(check("/\xed\x9f\xbf"), 0);            /* U+D7FF */
    IS(check("/\xee\x80\x80"), ERR_BAD_PATH); /* U+E000 */
    IS(check("/\xef\xa3\xbf"), ERR_BAD_PATH); /* U+F8FF */
    IS(check("/\xef\xa4\x80"), 0);            /* U+F900 */
    IS(check("/\xef\xbf\xaf"), 0);            /* U+FFEF */
    IS(check("/\xef\xbf\xb0"), ERR_BAD_PATH); /* U+FFF0 */
    IS(check("/\xef\xbf\xbf"), ERR_BAD_PATH); /* U+FFFF */
}

/* Wherever it stands: several bytes are looked at at a time. Those of a character that is
 * more than one byte are none by themselves. */
static void a_byte_is_legal_or_not_wherever_it_stands(void)
{
    char path[27];

    for (size_t len = 2; len <= sizeof path; len++) {
        for (size_t at = 1; at < len; at++) {
            for (int byte = 0; byte < 256; byte++) {
                const bool plain = byte >= 0x20 && byte < 0x7f;

                memset(path, 'a', sizeof path);
                path[0] = '/';
                path[at] = (char) byte;
                if (byte == '/' || (byte == '.' && len == 2)) continue;
                if ((path_check(bytes_of(path, len)) == 0) == plain) continue;
                IS(byte, -1);
            }
        }
    }
    OK(path_check(BYTES_LIT("/aaaaaaa\xc3\xa9")) == 0);
    OK(path_check(BYTES_LIT("/\xc3\xa9" "aaaaaaaaaaaaaaaaaaaaa")) == 0);
}

static void a_path_is_valid_utf8(void)
{
    IS(check("/\xc3\xa9t\xc3\xa9"), 0);
    IS(check("/\xf0\x9f\x94\x92"), 0); /* U+1F512 */
    IS(check("/\x80"), ERR_BAD_PATH);
    IS(check("/\xc3"), ERR_BAD_PATH);             /* cut off */
    IS(check("/\xc3/a"), ERR_BAD_PATH);           /* cut off by a slash */
    IS(check("/\xc0\xaf"), ERR_BAD_PATH);         /* overlong */
    IS(check("/\xe0\x80\xaf"), ERR_BAD_PATH);     /* overlong */
    IS(check("/\xed\xa0\x80"), ERR_BAD_PATH);     /* a surrogate */
    IS(check("/\xf4\x90\x80\x80"), ERR_BAD_PATH); /* above U+10FFFF */
    IS(check("/\xff"), ERR_BAD_PATH);
}

static void parent_and_name_are_the_two_sides_of_the_last_slash(void)
{
    STR(text(path_parent(BYTES_LIT("/a/b"))), "/a");
    STR(text(path_name(BYTES_LIT("/a/b"))), "b");
    STR(text(path_parent(BYTES_LIT("/a"))), "/");
    STR(text(path_name(BYTES_LIT("/a"))), "a");
}

static void join_undoes_parent_and_name(void)
{
    struct buf path = { 0 };

    path_join(&path, BYTES_LIT("/"), BYTES_LIT("a"));
    STR(text(buf_bytes(&path)), "/a");
    path_join(&path, BYTES_LIT("/a"), BYTES_LIT("b"));
    STR(text(buf_bytes(&path)), "/a/b");
    buf_fini(&path);
}

static void within_goes_by_parts_and_not_by_letters(void)
{
    OK(path_is_within(BYTES_LIT("/a/b"), BYTES_LIT("/a")));
    OK(path_is_within(BYTES_LIT("/a"), BYTES_LIT("/a")));
    OK(!path_is_within(BYTES_LIT("/ab"), BYTES_LIT("/a")));
    OK(!path_is_within(BYTES_LIT("/"), BYTES_LIT("/a")));
    OK(path_is_within(BYTES_LIT("/a"), BYTES_LIT("/")));
}

static void the_servers_own_paths_are_those_within_tidelock(void)
{
    OK(path_is_reserved(BYTES_LIT("/tidelock")));
    OK(path_is_reserved(BYTES_LIT("/tidelock/recipes/lock")));
    OK(!path_is_reserved(BYTES_LIT("/tidelocks")));
    OK(!path_is_reserved(BYTES_LIT("/")));
}

int main(void)
{
    TEST(the_root_and_plain_paths_are_legal);
    TEST(a_path_starts_with_a_slash);
    TEST(a_path_has_no_empty_part);
    TEST(a_path_has_no_dot_parts);
    TEST(a_path_is_bounded);
    TEST(the_characters_that_zookeeper_forbids_are_refused);
    TEST(a_byte_is_legal_or_not_wherever_it_stands);
    TEST(a_path_is_valid_utf8);
    TEST(parent_and_name_are_the_two_sides_of_the_last_slash);
    TEST(join_undoes_parent_and_name);
    TEST(within_goes_by_parts_and_not_by_letters);
    TEST(the_servers_own_paths_are_those_within_tidelock);
    return tap_done();
}
