/* t_query.c -- a recipe's function as a query: what it sees, and that it changes nothing.
 *
 * Method: the leader's machine and a follower's of tests/lib/resolver_rig.h, and the real
 * host of recipes. Whatever a query does, both states keep their digests. */
#include "core/base/errors.h"
#include "core/base/limits.h"
#include "core/machine/query.h"
#include "core/rpc/rpc.h"
#include "lua/host.h"
#include "tests/lib/resolver_rig.h"
#include "tests/lib/tap.h"

static struct rig rig;
static struct lua_host *host;
static struct queries queries, twins; /* at the leader, at the follower */
static struct buf args;
static struct result result;

static void begin(void)
{
    rig_init(&rig, 1);
    host = host_new((struct sandbox_budget){ .memory_max = SCRIPT_MEMORY_MAX,
                                             .fuel_max = SCRIPT_FUEL_MAX });
    queries_init(&queries, host_scripts(host), &rig.machine, 1);
    queries_init(&twins, host_scripts(host), &rig.twin, 2);
    rig_create(&rig, (struct rig_id){ 0 }, "/tidelock/recipes/r", TX_PARENTS);
    rig_create(&rig, (struct rig_id){ 0 }, "/a", 0);
    rig_set(&rig, (struct rig_id){ 0 }, "/a", "old");
    rig_settle(&rig);
}

static void end(void)
{
    queries_fini(&queries);
    queries_fini(&twins);
    host_free(host);
    rig_fini(&rig);
}

/* Runs r.f(tx, "/a") at one of the two; the value or the error as text. */
static const char *ask(struct queries *at)
{
    static char text[400];
    const struct query query = { .recipe = BYTES_LIT("r"),
                                 .function = BYTES_LIT("f"),
                                 .args = buf_bytes(&args) };
    msgpack_unpacked u;
    size_t used = 0;

    queries_run(at, &query, &result);
    if (result.code != 0) {
        snprintf(text, sizeof text, "%.*s", (int) result.message.len,
                 (const char *) result.message.ptr);
        return text;
    }
    msgpack_unpacked_init(&u);
    OK(msgpack_unpack_next(&u, (const char *) result.value.ptr, result.value.len, &used) ==
       MSGPACK_UNPACK_SUCCESS);
    msgpack_object_print_buffer(text, sizeof text, u.data);
    msgpack_unpacked_destroy(&u);
    return text;
}

/* Makes this the body of r.f. */
static void put(const char *body)
{
    char source[600];

    snprintf(source, sizeof source, "return { f = function(tx, path) %s end }", body);
    rig_set(&rig, (struct rig_id){ 0 }, "/tidelock/recipes/r", source);
    rig_settle(&rig);
    buf_clear(&args);
    pack_cstr(&args, "/a");
}

/* Q2 */
static void it_sees_the_applied_state_and_nothing_that_is_only_resolved(void)
{
    begin();
    put("return tx:get(path)");
    rig_set(&rig, (struct rig_id){ 0 }, "/a", "new");
    STR(ask(&queries), "\"old\"");
    rig_take(&rig);
    STR(ask(&queries), "\"old\"");
    IS(result.zxid, rig.machine.zxid);
    rig_apply(&rig);
    STR(ask(&queries), "\"new\"");
    IS(result.zxid, rig.machine.zxid);
    end();
}

static void a_recipe_that_is_only_resolved_is_not_run_yet(void)
{
    begin();
    put("return 1");
    rig_set(&rig, (struct rig_id){ 0 }, "/tidelock/recipes/r",
            "return { f = function() return 2 end }");
    STR(ask(&queries), "1");
    rig_settle(&rig);
    STR(ask(&queries), "2");
    end();
}

static void it_runs_on_a_follower_too(void)
{
    begin();
    put("return tx:get(path)");
    STR(ask(&twins), "\"old\"");
    STR(ask(&queries), "\"old\"");
    end();
}

/* Q1 */
static void every_attempt_to_write_or_to_wait_fails_and_changes_nothing(void)
{
    static const char *const attempts[] = {
        "tx:create('/b', 'x')",
        "tx:create('/b-', 'x', { sequential = true })",
        "tx:create('/b', 'x', { ephemeral = true })",
        "tx:create('/b/c', 'x', { parents = true })",
        "tx:create('/a')", /* not node_exists */
        "tx:set(path, 'x')",
        "tx:set(path, 'x', { version = 1 })",
        "tx:set('/none', 'x')",
        "tx:delete(path)",
        "tx:delete('/none')",
        "return tx:wait()",
        "return tx:wait(path)",
        "return tx.id",
    };

    begin();
    for (size_t i = 0; i < sizeof attempts / sizeof attempts[0]; i++) {
        put(attempts[i]);
        uint64_t digest = rig.store.digest, zxid = rig.machine.zxid;

        OK(strstr(ask(&queries), "read_only: r:1: ") != NULL);
        IS(result.code, ERR_READ_ONLY);
        OK(strstr(ask(&twins), "read_only: r:1: ") != NULL);
        IS(rig.store.digest, digest);
        IS(rig.twin_store.digest, digest);
        IS(rig.machine.zxid, zxid);
        OK(!rig_take(&rig)); /* nor does anything stand in the leader's batch */
    }
    end();
}

static void a_caught_attempt_has_changed_nothing_either(void)
{
    begin();
    put("local ok, err = pcall(tx.set, tx, path, 'x') "
        "return { ok, err.name, tx:get(path), tx:exists('/b') }");
    STR(ask(&queries), "[false, \"read_only\", \"old\", false]");
    STR(ask(&queries), "[false, \"read_only\", \"old\", false]");
    end();
}

static void a_host_that_says_wait_is_refused_as_well(void)
{
    struct query query = { BYTES_LIT("any"), BYTES_LIT("read"), BYTES_LIT("/none") };
    struct queries plain;

    begin();
    queries_init(&plain, &rig.scripts, &rig.machine, 1);
    queries_run(&plain, &query, &result);
    IS(result.code, ERR_READ_ONLY);
    query.function = BYTES_LIT("touch");
    queries_run(&plain, &query, &result);
    OK(result.code < 0);
    OK(!rig_exists(&rig, "/none"));
    queries_fini(&plain);
    end();
}

static void it_has_no_session_and_the_newest_applied_zxid_and_time(void)
{
    char want[80];

    begin();
    put("return { tx.session, tx.zxid, tx:now() }");
    snprintf(want, sizeof want, "[0, %llu, %lld]", (unsigned long long) rig.machine.zxid,
             (long long) rig.machine.time_ms);
    STR(ask(&queries), want);
    end();
}

static void a_refusal_brings_its_details(void)
{
    begin();
    put("tx:fail('no', 7)");
    STR(ask(&queries), "refused: no");
    IS(result.code, ERR_REFUSED);
    IS(result.value.len, 1);
    IS(result.value.ptr[0], 7);
    end();
}

static void what_is_not_there_is_refused_by_name(void)
{
    struct query query = { BYTES_LIT("nothing"), BYTES_LIT("f"), BYTES_LIT("\xc0") };
    struct queries none;

    begin();
    queries_run(&queries, &query, &result);
    IS(result.code, ERR_NO_RECIPE);
    query.recipe = BYTES_LIT("lock");
    queries_run(&queries, &query, &result);
    IS(result.code, ERR_NO_FUNCTION);
    queries_init(&none, NULL, &rig.machine, 1);
    queries_run(&none, &query, &result);
    IS(result.code, ERR_NO_RECIPE);
    queries_fini(&none);
    end();
}

static void a_runaway_ends_at_its_budget_and_tires_the_turn(void)
{
    begin();
    put("return 1");
    STR(ask(&queries), "1");
    OK(!queries_are_tired(&queries));
    put("while true do end");
    OK(strstr(ask(&queries), "over_budget: fuel") != NULL);
    OK(queries_are_tired(&queries));
    OK(!queries_are_tired(&twins));
    queries_turn(&queries);
    OK(!queries_are_tired(&queries));
    put("return 2");
    STR(ask(&queries), "2");
    end();
}

static void cheap_ones_add_up(void)
{
    int runs = 0;

    begin();
    put("local n = 0 for i = 1, 20000 do n = n + i end return n");
    queries_turn(&queries);
    while (!queries_are_tired(&queries) && runs < 1000) {
        ask(&queries);
        runs++;
    }
    OK(runs > 2 && runs < 100);
    end();
}

static void a_value_over_the_limit_is_refused(void)
{
    begin();
    put("return ('x'):rep(1024):rep(3073)");
    STR(ask(&queries), "too_large: the value is larger than 1048576 bytes");
    OK(result.value.ptr == NULL);
    put("return #('x'):rep(1024):rep(3073)");
    STR(ask(&queries), "3146752");
    end();
}

int main(void)
{
    TEST(it_sees_the_applied_state_and_nothing_that_is_only_resolved);
    TEST(a_recipe_that_is_only_resolved_is_not_run_yet);
    TEST(it_runs_on_a_follower_too);
    TEST(every_attempt_to_write_or_to_wait_fails_and_changes_nothing);
    TEST(a_caught_attempt_has_changed_nothing_either);
    TEST(a_host_that_says_wait_is_refused_as_well);
    TEST(it_has_no_session_and_the_newest_applied_zxid_and_time);
    TEST(a_refusal_brings_its_details);
    TEST(what_is_not_there_is_refused_by_name);
    TEST(a_runaway_ends_at_its_budget_and_tires_the_turn);
    TEST(cheap_ones_add_up);
    TEST(a_value_over_the_limit_is_refused);
    buf_fini(&args);
    return tap_done();
}
