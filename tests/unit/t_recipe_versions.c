/* t_recipe_versions.c -- a call goes on with the version of the recipe that it began with,
 * also under another leader; what is replaced is kept.
 *
 * Method: lua/trial/trial.h, a whole server in memory. The recipe's function `v` waits for
 * the node /go and answers the number of its version; so does `cancel`, into /cancelled. */
#include <stdio.h>

#include "core/base/errors.h"
#include "core/session/session.h"
#include "lua/trial/trial.h"
#include "tests/lib/tap.h"

static struct trial t;
static struct buf wants;
static uint64_t session;

static const struct result *answer(size_t call)
{
    static struct result result;

    if (!trial_answer(&t, call, &result)) result = (struct result){ .code = 1 };
    return &result;
}

static size_t write_want(const struct want *w)
{
    struct request q = { .kind = REQUEST_WRITE, .single = true, .wants_count = 1 };

    buf_clear(&wants);
    want_encode(&wants, w);
    q.wants = buf_bytes(&wants);
    return trial_send(&t, 0, &q);
}

static int write_node(enum want_kind kind, const char *path, const char *data)
{
    struct want w = { .kind = kind, .path = bytes_str(path), .version = -1 };

    if (data != NULL) w.data = bytes_str(data);
    if (kind == WANT_CREATE) w.flags = TX_PARENTS;
    return answer(write_want(&w))->code;
}

static int put(const char *name, int version)
{
    char path[80], source[600];
    int code;

    snprintf(path, sizeof path, "/tidelock/recipes/%s", name);
    snprintf(source, sizeof source,
             "return { v = function(tx, go) if tx:exists(go) then return %d end "
             "return tx:wait(go) end, "
             "nested = function(tx, go) return tx:call('r.v', go) end, "
             "cancel = function(tx) tx:create('/cancelled', '%d') end }",
             version, version);
    code = write_node(WANT_SET, path, source);
    return code == ERR_NO_NODE ? write_node(WANT_CREATE, path, source) : code;
}

static size_t call(const char *recipe, const char *function, uint64_t timeout_ms)
{
    struct request q = { .kind = REQUEST_CALL,
                         .recipe = bytes_str(recipe),
                         .function = bytes_str(function),
                         .args = BYTES_LIT("\xa3/go"),
                         .timeout_ms = timeout_ms };

    return trial_send(&t, session, &q);
}

/* The number that the call answered; -1 while it waits, or a code. */
static int number(size_t handle)
{
    const struct result *r = answer(handle);

    if (r->code != 0) return r->code == 1 ? -1 : r->code;
    return r->value.len == 1 ? r->value.ptr[0] : -100;
}

static bool node_is(const char *path, const char *data)
{
    struct node n;

    return node_read(trial_view(&t), bytes_str(path), &n) &&
           bytes_equal(n.data, bytes_str(data));
}

static uint64_t kept_count(void)
{
    struct node n;

    return node_read(trial_view(&t), BYTES_LIT("/tidelock/history/r"), &n) ? n.children : 0;
}

static void begin(void)
{
    trial_init(&t);
    session = trial_open(&t, 10000);
}

static void end(void)
{
    machine_check(&t.machine);
    trial_fini(&t);
}

static void a_waiting_call_ends_on_its_version(void)
{
    begin();
    IS(put("r", 1), 0);
    size_t first = call("r", "v", 0);
    IS(put("r", 2), 0);
    size_t second = call("r", "v", 0);
    IS(put("r", 3), 0);
    IS(write_node(WANT_CREATE, "/go", ""), 0);
    IS(number(first), 1);
    IS(number(second), 2);
    IS(number(call("r", "v", 0)), 3);
    IS(kept_count(), 2);
    end();
}

static void another_leader_goes_on_with_that_version(void)
{
    begin();
    IS(put("r", 1), 0);
    size_t first = call("r", "v", 0);
    trial_new_leader(&t);
    IS(put("r", 2), 0);
    size_t second = call("r", "v", 0);
    IS(put("r", 3), 0);
    trial_new_leader(&t);
    IS(number(first), -1);
    IS(write_node(WANT_CREATE, "/go", ""), 0);
    IS(number(first), 1);
    IS(number(second), 2);
    end();
}

static void a_recipe_that_it_calls_stays_too(void)
{
    begin();
    IS(put("r", 1), 0);
    IS(put("outer", 7), 0);
    size_t nested = call("outer", "nested", 0);
    IS(put("r", 2), 0);
    IS(write_node(WANT_CREATE, "/go", ""), 0);
    IS(number(nested), 1);
    end();
}

static void a_deleted_recipe_still_serves_who_waits(void)
{
    begin();
    IS(put("r", 1), 0);
    size_t first = call("r", "v", 0);
    IS(write_node(WANT_DELETE, "/tidelock/recipes/r", NULL), 0);
    IS(number(call("r", "v", 0)), ERR_NO_RECIPE);
    IS(put("r", 2), 0);
    size_t second = call("r", "v", 0);
    trial_new_leader(&t);
    IS(write_node(WANT_CREATE, "/go", ""), 0);
    IS(number(first), 1);
    IS(number(second), 2);
    end();
}

static void one_that_began_with_a_shipped_recipe_stays_with_it(void)
{
    begin();
    struct request q = { .kind = REQUEST_CALL,
                         .recipe = BYTES_LIT("lock"),
                         .function = BYTES_LIT("acquire"),
                         .args = BYTES_LIT("\x81\xa4path\xa2/l") };
    size_t first = trial_send(&t, session, &q), second = trial_send(&t, session, &q);
    IS(answer(first)->code, 0);
    IS(answer(second)->code, 1);
    IS(put("lock", 9), 0);
    trial_new_leader(&t);
    IS(write_node(WANT_DELETE, "/l/holder", NULL), 0);
    IS(answer(second)->code, 0);
    OK(answer(second)->value.len > 1);
    end();
}

static void a_time_limit_runs_cancel_of_that_version(void)
{
    begin();
    IS(put("r", 1), 0);
    size_t first = call("r", "v", 500);
    IS(put("r", 2), 0);
    trial_advance(&t, 1000);
    IS(answer(first)->code, ERR_TIMEOUT);
    OK(node_is("/cancelled", "1"));
    end();
}

/* Who waits longer than that goes on with the newest. */
static void the_history_is_bounded(void)
{
    begin();
    IS(put("r", 0), 0);
    size_t old = call("r", "v", 0);
    for (int i = 1; i < 20; i++) IS(put("r", i), 0);
    IS(kept_count(), 19);
    size_t young = call("r", "v", 0);
    for (int i = 20; i < 25; i++) IS(put("r", i), 0);
    IS(kept_count(), SCRIPT_HISTORY_MAX);
    IS(write_node(WANT_CREATE, "/go", ""), 0);
    IS(number(old), 24);
    IS(number(young), 19);
    end();
}

static void a_refused_write_keeps_nothing(void)
{
    struct want w = { .kind = WANT_SET,
                      .path = BYTES_LIT("/tidelock/recipes/r"),
                      .data = BYTES_LIT("return { f = function() end }"),
                      .version = 5 };

    begin();
    IS(put("r", 1), 0);
    IS(answer(write_want(&w))->code, ERR_BAD_VERSION);
    IS(write_node(WANT_SET, "/tidelock/recipes/r", "return {"), ERR_SCRIPT_FAILED);
    IS(kept_count(), 0);
    end();
}

static void a_result_takes_the_place_of_the_mark(void)
{
    struct bytes stored;

    begin();
    IS(put("r", 1), 0);
    uint64_t before = t.machine.zxid;
    size_t first = call("r", "v", 0);
    OK(session_began(trial_view(&t), session, 1) > before);
    OK(!session_result(trial_view(&t), session, 1, &stored));
    IS(write_node(WANT_CREATE, "/go", ""), 0);
    IS(number(first), 1);
    IS(session_began(trial_view(&t), session, 1), 0);
    OK(session_result(trial_view(&t), session, 1, &stored));
    end();
}

int main(void)
{
    TEST(a_waiting_call_ends_on_its_version);
    TEST(another_leader_goes_on_with_that_version);
    TEST(a_recipe_that_it_calls_stays_too);
    TEST(a_deleted_recipe_still_serves_who_waits);
    TEST(one_that_began_with_a_shipped_recipe_stays_with_it);
    TEST(a_time_limit_runs_cancel_of_that_version);
    TEST(the_history_is_bounded);
    TEST(a_refused_write_keeps_nothing);
    TEST(a_result_takes_the_place_of_the_mark);
    buf_fini(&wants);
    return tap_done();
}
