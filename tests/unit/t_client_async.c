/* t_client_async.c -- the client that does not wait: its calls, one rule a test.
 *
 * Method: async_rig.h. The program of each test is a loop, so what has to happen by itself
 * must come out of it. */
#include <stdlib.h>
#include <unistd.h>

#include "tests/lib/async_rig.h"

static void a_call_ends_in_its_callback_and_not_before_the_loop_runs(void)
{
    tl_client *c = async_open_client(NULL);

    async_forget();
    OK(tl_get_async(c, "/path", async_note, NULL) != 0);
    IS(async_told.times, 0);
    RUN_UNTIL(c, async_told.times == 1);
    STR(async_told.data, "/path");
    IS(async_told.len, 5);
    IS(async_told.czxid, 41);
    IS(async_told.zxid, 9);
    tl_close(c);
    IS(async_told.times, 1);
}

static void each_kind_of_result_is_told(void)
{
    const tl_op ops[] = { { .kind = TL_OP_SET, .path = "/a", .version = -1 } };
    tl_client *c = async_open_client(NULL);
    const char *text = NULL;
    size_t len = 0;

    async_forget();
    tl_create_async(c, "/a", "x", 1, TL_PARENTS, NULL, async_note, NULL);
    RUN_UNTIL(c, async_told.times == 1);
    STR(async_told.path, "/a");
    tl_children_async(c, "/", NULL, 0, async_note, NULL);
    RUN_UNTIL(c, async_told.times == 2);
    IS(async_told.count, 2);
    OK(async_told.more && memcmp(async_told.names, "one\0two", 8) == 0);
    tl_multi_async(c, ops, 1, async_note, NULL);
    RUN_UNTIL(c, async_told.times == 3);
    IS(async_told.code, TL_NO_NODE);
    IS(async_told.failed, 1);
    STR(async_told.message, "no such thing");
    tl_call_async(c, "a.b", "\x81\xa1k\xa1v", 5, 0, NULL, async_note, NULL);
    RUN_UNTIL(c, async_told.times == 4);
    IS(async_told.code, 0);
    OK(tl_value_text(async_told.value, async_told.value_len, "k", &text, &len));
    OK(len == 1 && *text == 'v');
    tl_query_async(c, "a.b", "\x07", 1, async_note, NULL);
    RUN_UNTIL(c, async_told.times == 5);
    OK(async_told.value_len == 1 && async_told.value[0] == 7);
    tl_close(c);
}

static void the_details_of_a_refusal_are_not_lost(void)
{
    const tl_options o = { .servers = async_address };
    tl_client *c = async_open_client(NULL);
    void *value = NULL;
    size_t len = 0;
    int64_t index = 0;

    async_forget();
    tl_call_async(c, "no.way", NULL, 0, 0, NULL, async_note, NULL);
    RUN_UNTIL(c, async_told.times == 1);
    IS(async_told.code, TL_REFUSED);
    OK(tl_value_number(async_told.value, async_told.value_len, "index", &index));
    IS(index, 1);
    tl_close(c);
    IS(tl_connect(&o, &c), TL_OK);
    IS(tl_call(c, "no.way", NULL, 0, 0, NULL, &value, &len), TL_REFUSED);
    OK(tl_value_number(value, len, "index", &index));
    tl_free(value);
    tl_close(c);
}

static void what_no_server_would_take_is_told_in_the_callback_too(void)
{
    tl_client *c = async_open_client(NULL);

    async_forget();
    tl_get_async(c, NULL, async_note, NULL);
    tl_get_async(c, "no/slash", async_note, NULL);
    IS(async_told.times, 0);
    RUN_UNTIL(c, async_told.times == 2);
    IS(async_told.code, TL_BAD_PATH);
    tl_lock_try_async(c, "/lock", async_note, NULL);
    RUN_UNTIL(c, async_told.times == 3);
    IS(async_told.code, TL_CONFIG);
    IS(async_heard_count, 0);
    tl_close(c);
}

static tl_client *chain_client;

static void get_again(void *ctx, const tl_result *r)
{
    async_note(ctx, r);
    if (async_told.times < 100) tl_get_async(chain_client, "/next", get_again, NULL);
}

static void a_callback_starts_the_next_call(void)
{
    chain_client = async_open_client(NULL);
    async_forget();
    tl_get_async(chain_client, "/first", get_again, NULL);
    RUN_UNTIL(chain_client, async_told.times == 100);
    tl_close(chain_client);
    IS(async_told.times, 100);
}

static void start_for_ever(void *ctx, const tl_result *r)
{
    async_note(ctx, r);
    tl_get_async(chain_client, "/again", start_for_ever, NULL);
}

static void a_callback_that_always_starts_another_does_not_prevent_closing(void)
{
    chain_client = async_open_client(&(tl_options){ .servers = async_dead_address });
    async_forget();
    tl_get_async(chain_client, "/first", start_for_ever, NULL);
    tl_close(chain_client);
    IS(async_told.times, 1);
    IS(async_told.code, TL_CLOSED);
}

static void a_cancelled_call_is_not_told_of(void)
{
    tl_client *c = async_open_client(NULL);

    async_forget();
    const uint64_t handle = tl_get_async(c, "/a", async_note, NULL);
    const uint64_t refused = tl_get_async(c, "b", async_note, NULL);

    tl_cancel(c, handle);
    tl_cancel(c, refused);
    tl_cancel(c, handle);
    tl_cancel(c, 4711);
    OK(tl_get_async(c, "/c", async_note, NULL) != handle);
    RUN_UNTIL(c, async_told.times == 1);
    STR(async_told.data, "/c");
    tl_close(c);
}

static void a_call_that_cannot_be_sent_ends_in_time(void)
{
    tl_client *c =
        async_open_client(&(tl_options){ .servers = async_dead_address, .timeout_ms = 60 });
    const int64_t before = async_now_ms();

    async_forget();
    tl_get_async(c, "/a", async_note, NULL);
    RUN_UNTIL(c, async_told.times == 1);
    IS(async_told.code, TL_UNREACHABLE);
    OK(async_now_ms() - before < 1000);
    tl_close(c);
}

static void processing_never_waits(void)
{
    tl_client *c = async_open_client(&(tl_options){ .servers = async_dead_address });
    const int64_t before = async_now_ms();

    for (int i = 0; i < 1000; i++) IS(tl_process(c), TL_OK);
    OK(async_now_ms() - before < 2000);
    tl_close(c);
}

/* --- blocking calls --- */

static void a_blocking_call_without_a_thread_is_refused(void)
{
    tl_client *c = async_open_client(NULL);

    IS(tl_get(c, "/a", NULL, NULL, NULL), TL_CONFIG);
    OK(strstr(tl_message(), "_async") != NULL);
    tl_close(c);
}

static atomic_int code_within;

static void block(void *ctx, const tl_result *r)
{
    (void) r;
    code_within = tl_set(ctx, "/a", "", 0, -1, NULL, NULL);
}

static void a_blocking_call_from_a_callback_is_refused(void)
{
    const tl_options o = { .servers = async_address };
    tl_client *c = NULL;

    async_forget();
    code_within = 0;
    IS(tl_connect(&o, &c), TL_OK);
    IS(tl_process(c), TL_CONFIG);
    tl_get_async(c, "/a", block, c);
    for (int i = 0; i < 500 && code_within == 0; i++) usleep(10000);
    IS(code_within, TL_CONFIG);
    IS(tl_get(c, "/a", NULL, NULL, NULL), TL_OK);
    tl_close(c);
}

/* --- closing --- */

static void close_it(void *ctx, const tl_result *r)
{
    (void) r;
    async_told.times++;
    tl_close(ctx);
}

static void a_callback_may_close_its_client(void)
{
    tl_client *c = async_open_client(&(tl_options){ .session_timeout_ms = 5000 });
    int code = 0;

    async_forget();
    tl_get_async(c, "/a", close_it, c);
    while (code == 0) code = async_turn(c);
    IS(code, TL_CLOSED);
    IS(async_told.times, 1);
}

static atomic_bool thread_closed;

static void note_over(void *ctx, tl_session_state state)
{
    (void) ctx;
    if (state == TL_SESSION_OVER) thread_closed = true;
}

static void a_callback_may_close_its_client_on_a_thread_too(void)
{
    const tl_options o = { .servers = async_address,
                           .session_timeout_ms = 5000,
                           .on_session = note_over };
    tl_client *c = NULL;

    async_forget();
    thread_closed = false;
    IS(tl_connect(&o, &c), TL_OK);
    tl_get_async(c, "/a", close_it, c);
    for (int i = 0; i < 500 && !thread_closed; i++) usleep(10000);
    OK(thread_closed);
    usleep(20000); /* the thread ends by itself */
}

int main(void)
{
    async_begin();
    TEST(a_call_ends_in_its_callback_and_not_before_the_loop_runs);
    TEST(each_kind_of_result_is_told);
    TEST(the_details_of_a_refusal_are_not_lost);
    TEST(what_no_server_would_take_is_told_in_the_callback_too);
    TEST(a_callback_starts_the_next_call);
    TEST(a_callback_that_always_starts_another_does_not_prevent_closing);
    TEST(a_cancelled_call_is_not_told_of);
    TEST(a_call_that_cannot_be_sent_ends_in_time);
    TEST(processing_never_waits);
    TEST(a_blocking_call_without_a_thread_is_refused);
    TEST(a_blocking_call_from_a_callback_is_refused);
    TEST(a_callback_may_close_its_client);
    TEST(a_callback_may_close_its_client_on_a_thread_too);
    async_end();
    return tap_done();
}
