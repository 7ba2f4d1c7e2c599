/* t_client_snapshot.c -- the client's watches of trees, their snapshots, and many at once.
 *
 * Method: as t_client_watch.c: the rig's server says what it says, the core's requests and
 * what it tells are compared. */
#include <stdlib.h>

#include "tests/lib/watch_rig.h"

static uint64_t tree(const char *name)
{
    return client_core_watch(rig_core, rig_now,
                             &(struct client_watch){ .path = BYTES_LIT("/a"),
                                                     .recursive = true,
                                                     .value = true,
                                                     .snapshot = true,
                                                     .fn = rig_note,
                                                     .ctx = (void *) (uintptr_t) name });
}

static void say_nodes(uint64_t watch_handle, uint64_t zxid, uint32_t count, bool more)
{
    struct buf b = { 0 };

    rpc_notification_begin(&b, "nodes");
    pack_array(&b, 4);
    pack_uint(&b, zxid);
    pack_uint(&b, watch_handle);
    pack_array(&b, count);
    for (uint32_t i = 1; i <= count; i++) {
        pack_array(&b, 3);
        pack_cstr(&b, "/a/n");
        pack_uint(&b, i);
        pack_bin(&b, BYTES_LIT("v"));
    }
    pack_bool(&b, more);
    IS(rig_say(&b), 0);
}

static void a_snapshot_is_told_then_ready_then_changes(void)
{
    rig_open_core();
    const uint64_t w = tree("t");
    OK(rig_newest(METHOD_WATCH)->snapshot);
    rig_say_zxid(rig_newest(METHOD_WATCH)->msgid, 10);
    say_nodes(w, 10, 2, true);
    rig_say_event(w, 11);
    say_nodes(w, 12, 1, false);
    rig_say_event(w, 13);
    STR(rig_taken(), "t armed 10; t node 1=v; t node 2=v; t changed 11=v; t node 1=v; t ready 12; "
                "t changed 13=v; ");
    client_core_free(rig_core);
}

static void one_that_is_ready_goes_on_where_it_was(void)
{
    rig_open_core();
    const uint64_t w = tree("t");
    rig_say_zxid(rig_newest(METHOD_WATCH)->msgid, 10);
    say_nodes(w, 12, 1, false);
    rig_taken();
    rig_reconnect();
    OK(!rig_newest(METHOD_WATCH)->snapshot);
    IS(rig_newest(METHOD_WATCH)->since, 12);
    rig_say_event(w, 13);
    rig_say_zxid(rig_newest(METHOD_WATCH)->msgid, 20);
    STR(rig_taken(), "t changed 13=v; ");
    client_core_free(rig_core);
}

static void one_that_was_cut_off_is_told_anew(void)
{
    rig_open_core();
    const uint64_t w = tree("t");
    rig_say_zxid(rig_newest(METHOD_WATCH)->msgid, 10);
    say_nodes(w, 12, 1, true);
    rig_taken();
    rig_reconnect();
    OK(rig_newest(METHOD_WATCH)->snapshot);
    OK(!rig_newest(METHOD_WATCH)->resumes);
    rig_say_zxid(rig_newest(METHOD_WATCH)->msgid, 20);
    say_nodes(w, 20, 1, false);
    STR(rig_taken(), "t lagged 20; t node 1=v; t ready 20; ");
    client_core_free(rig_core);
}

static void what_servers_forgot_is_told_anew(void)
{
    rig_open_core();
    const uint64_t w = tree("t");
    rig_say_zxid(rig_newest(METHOD_WATCH)->msgid, 10);
    say_nodes(w, 12, 1, false);
    rig_taken();
    rig_reconnect();
    rig_say_error(rig_newest(METHOD_WATCH)->msgid, ERR_LAGGED);
    OK(rig_newest(METHOD_WATCH)->snapshot);
    rig_say_zxid(rig_newest(METHOD_WATCH)->msgid, 90);
    say_nodes(w, 91, 0, false);
    STR(rig_taken(), "t lagged 90; t ready 91; ");
    client_core_free(rig_core);
}

static void one_that_lagged_asks_for_the_rest_or_if_it_was_not_ready_for_all(void)
{
    rig_open_core();
    const uint64_t w = tree("t");
    rig_say_zxid(rig_newest(METHOD_WATCH)->msgid, 10);
    rig_say_lagged(11, w);
    OK(rig_newest(METHOD_WATCH)->snapshot);
    rig_say_zxid(rig_newest(METHOD_WATCH)->msgid, 20);
    say_nodes(w, 20, 0, false);
    rig_say_lagged(30, w);
    OK(!rig_newest(METHOD_WATCH)->snapshot);
    IS(rig_newest(METHOD_WATCH)->since, 30);
    STR(rig_taken(), "t armed 10; t lagged 20; t ready 20; ");
    client_core_free(rig_core);
}

static void a_page_of_what_was_unwatched_is_nothing(void)
{
    rig_open_core();
    const uint64_t w = tree("t");
    rig_say_zxid(rig_newest(METHOD_WATCH)->msgid, 10);
    (void) client_core_unwatch(rig_core, rig_now, w);
    say_nodes(w, 12, 2, false);
    STR(rig_taken(), "t armed 10; ");
    client_core_free(rig_core);
}

static void many_that_know_the_same_come_back_in_one_request(void)
{
    rig_open_core();
    for (uint64_t i = 0; i < 4; i++) (void) rig_armed_watch("w", 10 + i);
    rig_reconnect();
    IS(rig_newest(METHOD_WATCH_MANY)->count, 4); /* the last answer was of all */
    IS(rig_newest(METHOD_WATCH_MANY)->since, 13);
    rig_say_zxid(rig_newest(METHOD_WATCH_MANY)->msgid, 20);
    STR(rig_taken(), "");
    client_core_free(rig_core);
}

static void of_many_those_refused_end_and_the_others_are_armed(void)
{
    struct buf b = { 0 };

    rig_open_core();
    (void) rig_armed_watch("a", 10);
    const uint64_t w = rig_armed_watch("b", 10);
    (void) rig_armed_watch("c", 10);
    rig_reconnect();
    const uint32_t msgid = rig_newest(METHOD_WATCH_MANY)->msgid;
    rpc_response_begin(&b, msgid);
    pack_map(&b, 2);
    pack_cstr(&b, "zxid");
    pack_uint(&b, 20);
    pack_cstr(&b, "refused");
    pack_array(&b, 1);
    pack_array(&b, 2);
    pack_uint(&b, w);
    pack_int(&b, ERR_BAD_PATH);
    IS(rig_say(&b), 0);
    STR(rig_taken(), "b ended -7; ");
    client_core_free(rig_core);
    STR(rig_taken(), "a ended -66; c ended -66; ");
}

static void of_many_all_are_asked_again_when_they_lag(void)
{
    rig_open_core();
    (void) rig_armed_watch("a", 10);
    (void) rig_armed_watch("b", 10);
    rig_reconnect();
    rig_say_error(rig_newest(METHOD_WATCH_MANY)->msgid, ERR_LAGGED);
    OK(!rig_newest(METHOD_WATCH_MANY)->resumes);
    rig_say_zxid(rig_newest(METHOD_WATCH_MANY)->msgid, 50);
    STR(rig_taken(), "a lagged 50; b lagged 50; ");
    client_core_free(rig_core);
}

static void an_event_may_be_of_several_watches(void)
{
    struct buf b = { 0 };

    rig_open_core();
    const uint64_t one = rig_armed_watch("a", 10), two = rig_armed_watch("b", 10);
    rig_begin_events(&b, 11, 1);
    pack_array(&b, 3);
    pack_array(&b, 2);
    pack_uint(&b, one);
    pack_uint(&b, two);
    pack_cstr(&b, "deleted");
    pack_cstr(&b, "/a");
    IS(rig_say(&b), 0);
    STR(rig_taken(), "a deleted 11; b deleted 11; ");
    client_core_free(rig_core);
}

static void progress_says_how_far_armed_watches_are_complete(void)
{
    struct buf b = { 0 };

    rig_open_core();
    const uint64_t w = rig_armed_watch("a", 10);
    IS(client_core_watch_zxid(rig_core, w), 10);
    rpc_notification_begin(&b, "progress");
    pack_array(&b, 1);
    pack_uint(&b, 700);
    IS(rig_say(&b), 0);
    IS(client_core_watch_zxid(rig_core, w), 700);
    rig_reconnect();
    IS(rig_newest(METHOD_WATCH)->since, 700);
    client_core_free(rig_core);
}

static void one_of_an_earlier_life_begins_there(void)
{
    rig_open_core();
    const uint64_t w = client_core_watch(rig_core, rig_now,
                                         &(struct client_watch){ .path = BYTES_LIT("/a"),
                                                                 .data = true,
                                                                 .since = 77,
                                                                 .fn = rig_note,
                                                                 .ctx = "a" });
    IS(rig_newest(METHOD_WATCH)->since, 77);
    rig_say_event(w, 78);
    rig_say_zxid(rig_newest(METHOD_WATCH)->msgid, 90);
    STR(rig_taken(), "a changed 78=v; a armed 90; ");
    client_core_free(rig_core);
}

int main(void)
{
    TEST(a_snapshot_is_told_then_ready_then_changes);
    TEST(one_that_is_ready_goes_on_where_it_was);
    TEST(one_that_was_cut_off_is_told_anew);
    TEST(what_servers_forgot_is_told_anew);
    TEST(one_that_lagged_asks_for_the_rest_or_if_it_was_not_ready_for_all);
    TEST(a_page_of_what_was_unwatched_is_nothing);
    TEST(many_that_know_the_same_come_back_in_one_request);
    TEST(of_many_those_refused_end_and_the_others_are_armed);
    TEST(of_many_all_are_asked_again_when_they_lag);
    TEST(an_event_may_be_of_several_watches);
    TEST(progress_says_how_far_armed_watches_are_complete);
    TEST(one_of_an_earlier_life_begins_there);
    return tap_done();
}
