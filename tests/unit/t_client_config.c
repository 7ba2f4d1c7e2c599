/* t_client_config.c -- configurations that are followed, one rule a test. Method:
 * objects_rig.h. */
#include <stdlib.h>
#include <time.h>

#include "tests/lib/objects_rig.h"

/* --- configuration --- */

static tl_config *config;

static void on_version(void *ctx, const tl_version *v)
{
    (void) ctx;
    if (v->code != 0) {
        NOTE("end %d", v->code);
    } else {
        NOTE("%d %s%s", (int) v->number, v->data, v->skipped ? " skipped" : "");
    }
}

static void follow(void)
{
    IS(tl_config_open(objects_client, "/c", on_version, NULL, &config), TL_OK);
    IS(objects_told_count, 0);
}

static void the_newest_version_is_told_first_and_then_each_newer_one(void)
{
    objects_begin();
    objects_newest = 3;
    follow();
    RUN_UNTIL(objects_told_count == 1);
    objects_newest = 6;
    objects_tell("changed");
    RUN_UNTIL(objects_told_count == 4);
    STR(objects_told[0], "3 v3");
    STR(objects_told[1], "4 v4");
    STR(objects_told[3], "6 v6");
    objects_tell("changed"); /* of what was told already */
    IS(objects_told_count, 4);
    IS(objects_calls_heard, 0);
    objects_end();
    STR(objects_told[4], "end -66");
}

static void versions_come_page_by_page_and_gaps_are_told(void)
{
    objects_begin();
    follow();
    RUN_UNTIL(objects_told_count == 1);
    objects_page = 2;
    objects_oldest = 4;
    objects_newest = 8;
    objects_tell("changed");
    RUN_UNTIL(objects_told_count == 6);
    STR(objects_told[1], "4 v4 skipped");
    STR(objects_told[2], "5 v5");
    STR(objects_told[5], "8 v8");
    objects_end();
}

static void nothing_is_told_until_the_first_version_is_stored(void)
{
    objects_begin();
    objects_newest = 0;
    follow();
    RUN_UNTIL(objects_queries_heard == 1);
    objects_tell("created");
    RUN_UNTIL(objects_queries_heard == 2);
    IS(objects_told_count, 0);
    objects_newest = 2;
    objects_tell("changed");
    RUN_UNTIL(objects_told_count == 2);
    STR(objects_told[0], "1 v1");
    objects_end();
}

static void the_recipe_is_called_only_when_it_has_to_write(void)
{
    objects_begin();
    objects_reads_only = true;
    follow();
    RUN_UNTIL(objects_told_count == 1);
    IS(objects_calls_heard, 1);
    objects_reads_only = false;
    objects_newest = 2;
    objects_tell("changed");
    RUN_UNTIL(objects_told_count == 2);
    IS(objects_calls_heard, 1);
    objects_end();
}

static void what_changes_during_the_question_is_asked_for(void)
{
    objects_begin();
    objects_late = true;
    follow();
    RUN_UNTIL(objects_queries_heard == 1);
    objects_newest = 2;
    objects_tell("changed");
    RUN_UNTIL(objects_told_count == 2);
    STR(objects_told[0], "1 v1");
    STR(objects_told[1], "2 v2");
    objects_end();
}

static void what_cannot_be_followed_is_told_once(void)
{
    objects_begin();
    objects_refuses = true;
    follow();
    RUN_UNTIL(objects_told_count == 1);
    STR(objects_told[0], "end -19");
    objects_tell("changed");
    objects_end();
    IS(objects_told_count, 1);
}

static void close_config(void *ctx, const tl_version *v)
{
    on_version(ctx, v);
    tl_config_close(config);
}

static void a_callback_may_close_its_object(void)
{
    objects_begin();
    objects_newest = 0;
    IS(tl_config_open(objects_client, "/c", close_config, NULL, &config), TL_OK);
    RUN_UNTIL(objects_queries_heard == 1);
    objects_tell("changed");
    RUN_UNTIL(objects_queries_heard == 2);
    objects_newest = 3; /* three versions in one answer */
    objects_tell("changed");
    RUN_UNTIL(objects_told_count == 1);
    objects_tell("changed");
    objects_end();
    IS(objects_told_count, 1);
}

static void after_a_gap_a_configuration_is_asked_for_again(void)
{
    objects_begin();
    follow();
    RUN_UNTIL(objects_told_count == 1);
    objects_newest = 3;
    objects_forgets = true;
    objects_tell("lagged");
    RUN_UNTIL(objects_told_count == 3);
    STR(objects_told[2], "3 v3");
    objects_end();
}

static atomic_int versions_told;

static void count_version(void *ctx, const tl_version *v)
{
    (void) ctx, (void) v;
    versions_told++;
}

static void objects_live_on_a_client_with_a_thread_too(void)
{
    const tl_options o = { .servers = objects_address };
    const struct timespec pause = { .tv_nsec = 1000000 };

    objects_begin();
    objects_end();
    versions_told = 0;
    IS(tl_connect(&o, &objects_client), TL_OK);
    IS(tl_config_open(objects_client, "/c", count_version, NULL, &config), TL_OK);
    for (int i = 0; i < LIMIT_MS && versions_told == 0; i++) nanosleep(&pause, NULL);
    IS(versions_told, 1);
    tl_config_close(config);
    IS(tl_config_open(objects_client, "/c", count_version, NULL, &config), TL_OK);
    objects_end();
    OK(versions_told >= 2); /* the version, or the end, or both */
}

int main(void)
{
    objects_serve();
    TEST(the_newest_version_is_told_first_and_then_each_newer_one);
    TEST(versions_come_page_by_page_and_gaps_are_told);
    TEST(nothing_is_told_until_the_first_version_is_stored);
    TEST(the_recipe_is_called_only_when_it_has_to_write);
    TEST(what_changes_during_the_question_is_asked_for);
    TEST(what_cannot_be_followed_is_told_once);
    TEST(a_callback_may_close_its_object);
    TEST(after_a_gap_a_configuration_is_asked_for_again);
    TEST(objects_live_on_a_client_with_a_thread_too);
    objects_serve_end();
    return tap_done();
}
