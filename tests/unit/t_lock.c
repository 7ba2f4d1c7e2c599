/* t_lock.c -- recipes/lock.lua: each of its invariants, then a seeded storm.
 *
 * Method: the shipped recipe runs in the real host on a tree in memory
 * (tests/lib/recipe_bench.h); once also under the real resolver. The storm acquires,
 * releases, withdraws and kills at random, runs woken calls in any order, and asks after
 * every step whether the first who came holds the lock and nothing is left over.
 * Replay it with SEED=<n>. */
#include <stdlib.h>

#include "core/base/limits.h"
#include "core/base/rng.h"
#include "core/tree/tree.h"
#include "tests/lib/recipe_bench.h"
#include "tests/lib/resolver_rig.h"
#include "tests/lib/tap.h"

static struct recipe_bench b;

static void fresh(void)
{
    bench_init(&b, (struct sandbox_budget){ .memory_max = SCRIPT_MEMORY_MAX,
                                            .fuel_max = SCRIPT_FUEL_MAX });
    for (uint64_t id = 1; id <= 9; id++) bench_session_open(&b, id);
}

static size_t acquire(uint64_t session)
{
    return bench_call(&b, session, "lock.acquire", "{ path = '/l' }");
}

static uint64_t token(void)
{
    struct node n;

    return bench_node_read(&b, "/l/holder", &n) ? n.czxid : 0;
}

static uint64_t holder(void)
{
    struct node n;

    return bench_node_read(&b, "/l/holder", &n) ? n.owner : 0;
}

static const char *release(uint64_t session, uint64_t number)
{
    char args[80];

    snprintf(args, sizeof(args), "{ path = '/l/holder', token = %llu }",
             (unsigned long long) number);
    return bench_text(&b, bench_call(&b, session, "lock.release", args));
}

static const char *granted(void)
{
    static char text[80];

    snprintf(text, sizeof(text), "{\"path\"=>\"/l/holder\", \"token\"=>%llu}",
             (unsigned long long) token());
    return text;
}

static void a_free_lock_is_granted_at_once(void)
{
    fresh();
    size_t a = acquire(1);
    STR(bench_text(&b, a), granted());
    IS(holder(), 1);
    IS(token(), b.zxid);
    bench_fini(&b);
}

static void waiters_are_served_in_the_order_in_which_they_came(void)
{
    fresh();
    acquire(1);
    size_t second = acquire(2), third = acquire(3);
    OK(bench_waits(&b, second) && bench_waits(&b, third));
    STR(release(1, token()), "{\"released\"=>true}");
    IS(holder(), 2);
    STR(bench_text(&b, second), granted());
    OK(bench_waits(&b, third));
    release(2, token());
    STR(bench_text(&b, third), granted());
    bench_fini(&b);
}

static void a_token_rises_with_each_grant(void)
{
    uint64_t before;

    fresh();
    acquire(1);
    before = token();
    acquire(2);
    release(1, before);
    OK(token() > before);
    bench_fini(&b);
}

static void an_old_token_releases_nothing(void)
{
    uint64_t before;

    fresh();
    acquire(1);
    before = token();
    acquire(2);
    release(1, before);
    STR(release(1, before), "{\"released\"=>false}");
    IS(holder(), 2);
    bench_fini(&b);
}

static void the_lock_may_be_named_by_its_own_path_too(void)
{
    char args[80];

    fresh();
    acquire(1);
    snprintf(args, sizeof(args), "{ path = '/l', token = %d }", (int) token());
    size_t call = bench_call(&b, 1, "lock.release", args);
    STR(bench_text(&b, call), "{\"released\"=>true}");
    IS(holder(), 0);
    /* The directory has the first grant's czxid, and must not be taken for a holder. */
    call = bench_call(&b, 1, "lock.release", args);
    STR(bench_text(&b, call), "{\"released\"=>false}");
    bench_fini(&b);
}

static void a_dead_holder_makes_way_for_the_first_waiter(void)
{
    fresh();
    acquire(1);
    size_t second = acquire(2);
    bench_session_close(&b, 1);
    STR(bench_text(&b, second), granted());
    IS(holder(), 2);
    bench_fini(&b);
}

static void a_dead_waiter_holds_nobody_up(void)
{
    fresh();
    acquire(1);
    acquire(2);
    size_t third = acquire(3);
    bench_session_close(&b, 2);
    OK(bench_waits(&b, third));
    release(1, token());
    STR(bench_text(&b, third), granted());
    bench_fini(&b);
}

static void a_withdrawn_call_leaves_the_queue(void)
{
    struct node n;

    fresh();
    acquire(1);
    size_t second = acquire(2), third = acquire(3);
    bench_cancel(&b, second);
    OK(bench_node_read(&b, "/l/queue", &n) && n.children == 1);
    OK(bench_node_read(&b, "/l/calls", &n) && n.children == 1);
    release(1, token());
    STR(bench_text(&b, third), granted());
    bench_fini(&b);
}

static void nothing_is_left_behind_by_those_who_were_served(void)
{
    struct node n;

    fresh();
    acquire(1);
    acquire(2);
    release(1, token());
    release(2, token());
    OK(bench_node_read(&b, "/l", &n) && n.children == 2);
    OK(bench_node_read(&b, "/l/queue", &n) && n.children == 0);
    OK(bench_node_read(&b, "/l/calls", &n) && n.children == 0);
    bench_fini(&b);
}

static void try_does_not_wait(void)
{
    fresh();
    acquire(1);
    size_t call = bench_call(&b, 2, "lock.acquire", "{ path = '/l', try = true }");
    STR(bench_text(&b, call), "nil");
    release(1, token());
    call = bench_call(&b, 2, "lock.acquire", "{ path = '/l', try = true }");
    STR(bench_text(&b, call), granted());
    bench_fini(&b);
}

static void the_same_session_waits_like_anybody(void)
{
    fresh();
    acquire(1);
    OK(bench_waits(&b, acquire(1)));
    bench_fini(&b);
}

static void a_reentrant_hold_is_given_back_as_often_as_it_was_taken(void)
{
    uint64_t number;

    fresh();
    acquire(1);
    number = token();
    size_t call = bench_call(&b, 1, "lock.acquire", "{ path = '/l', reentrant = true }");
    STR(bench_text(&b, call), granted());
    IS(token(), number);
    release(1, number);
    IS(holder(), 1);
    release(1, number);
    IS(holder(), 0);
    bench_fini(&b);
}

static void a_reentrant_call_that_waited_leaves_the_queue_when_its_session_holds(void)
{
    struct node n;

    fresh();
    acquire(1);
    size_t mine = acquire(2);
    size_t again = bench_call(&b, 2, "lock.acquire", "{ path = '/l', reentrant = true }");
    release(1, token());
    STR(bench_text(&b, mine), granted());
    STR(bench_text(&b, again), granted());
    OK(bench_node_read(&b, "/l/queue", &n) && n.children == 0);
    bench_fini(&b);
}

static void the_holder_can_be_asked_for(void)
{
    char text[200];
    struct node n;

    fresh();
    size_t call = bench_call(&b, 0, "lock.holder", "{ path = '/l' }");
    STR(bench_text(&b, call), "nil");
    acquire(4);
    OK(bench_node_read(&b, "/l/holder", &n));
    snprintf(text, sizeof(text),
             "{\"path\"=>\"/l/holder\", \"session\"=>4, \"since\"=>%lld, \"token\"=>%llu}",
             (long long) n.ctime, (unsigned long long) n.czxid);
    call = bench_call(&b, 0, "lock.holder", "{ path = '/l' }");
    STR(bench_text(&b, call), text);
    OK(strstr(bench_query(&b, "lock.holder", "{ path = '/l' }"), "token") != NULL);
    OK(strstr(bench_query(&b, "lock.acquire", "{ path = '/l' }"), "read_only: ") != NULL);
    bench_fini(&b);
}

static void wrong_arguments_are_refused_with_a_reason(void)
{
    fresh();
    size_t call = bench_call(&b, 1, "lock.acquire", "nil");
    STR(bench_text(&b, call), "refused: path is missing");
    call = bench_call(&b, 1, "lock.acquire", "{ path = 'l' }");
    OK(strncmp(bench_text(&b, call), "bad_path: lock:", 15) == 0);
    call = bench_call(&b, 0, "lock.acquire", "{ path = '/l' }");
    OK(strncmp(bench_text(&b, call), "session_expired: lock:", 22) == 0);
    OK(strstr(bench_text(&b, call), "an ephemeral node needs a session") != NULL);
    bench_fini(&b);
}

/* The cost of a hand-over must not grow with the queue. */
static void a_release_runs_two_calls_however_many_wait(void)
{
    uint64_t runs, ops;

    fresh();
    acquire(1);
    for (int i = 0; i < 500; i++) acquire(2 + (uint64_t) i % 7);
    runs = b.runs;
    ops = b.ops;
    release(1, token());
    IS(b.runs - runs, 3); /* the release, the one granted, the one behind it */
    IS(b.ops - ops, 4);   /* holder away; place and note away, holder there */
    bench_fini(&b);
}

/* --- under the resolver --- */

static struct rig rig;
static struct lua_host *host;

static void run_recipe(struct scripts *s, const struct script_call *call, struct tx *tx,
                       struct script_result *out)
{
    (void) s; /* the rig's own; ours is the shipped recipe */
    host_scripts(host)->run(host_scripts(host), call, tx, out);
}

#define PATH_ARGS    "\x81\xa4path\xa2/l"                     /* {path: "/l"} */
#define RELEASE_ARGS "\x82\xa4path\xa9/l/holder\xa5token%c" /* and a token below 128 */

static void a_release_and_the_next_grant_stand_in_one_batch(void)
{
    char args[64];
    uint64_t a, c, first, second, freed;

    host = host_new((struct sandbox_budget){ .memory_max = SCRIPT_MEMORY_MAX,
                                             .fuel_max = SCRIPT_FUEL_MAX });
    rig_init(&rig, 1);
    rig.scripts.run = run_recipe;
    a = rig_open(&rig);
    c = rig_open(&rig);
    first = rig_call(&rig, (struct rig_id){ a, 1 }, "lock.acquire", PATH_ARGS);
    second = rig_call(&rig, (struct rig_id){ c, 1 }, "lock.acquire", PATH_ARGS);
    rig_settle(&rig);
    IS(rig_answer(&rig, first)->code, 0);
    IS(rig_answer(&rig, second)->code, 1); /* none yet */
    OK(rig_answer(&rig, first)->zxid < 128);

    snprintf(args, sizeof(args), RELEASE_ARGS, (char) rig_answer(&rig, first)->zxid);
    freed = rig_call(&rig, (struct rig_id){ a, 2 }, "lock.release", args);
    OK(rig_take(&rig));
    OK(!rig_take(&rig));
    rig_apply(&rig);
    IS(rig_answer(&rig, freed)->code, 0);
    IS(rig_answer(&rig, second)->code, 0);
    OK(rig_answer(&rig, second)->zxid > rig_answer(&rig, freed)->zxid);
    machine_check(&rig.machine);
    rig_fini(&rig);
    host_free(host);
}

/* --- the storm --- */

static void check_storm(void)
{
    struct node n;
    uint64_t waiting = 0;
    bool held = false;

    /* From the newest call to the oldest: who waits came after the one that holds (L4). */
    for (size_t i = b.calls_count; i-- > 0;) {
        OK(!(held && bench_waits(&b, i)));
        waiting += bench_waits(&b, i) ? 1 : 0;
        if (token() != 0 && strcmp(bench_text(&b, i), granted()) == 0) held = true;
    }
    if (bench_node_read(&b, "/l/queue", &n)) IS(n.children, waiting);
    if (bench_node_read(&b, "/l/calls", &n)) IS(n.children, waiting);
    OK(waiting == 0 || holder() != 0); /* nobody waits for a free lock */
    tree_check(&b.state.view);
}

static void storm_step(struct rng *rng)
{
    uint64_t session = 1 + rng_below(rng, 9);
    size_t call;

    b.newest_first = rng_below(rng, 2) == 1;
    switch (rng_below(rng, 8)) {
    case 0: case 1: case 2: acquire(session); break;
    case 3: case 4: case 5: release(session, token()); break;
    case 6:
        call = (size_t) rng_below(rng, b.calls_count + 1);
        if (call < b.calls_count && bench_waits(&b, call)) bench_cancel(&b, call);
        break;
    case 7:
        if (rng_below(rng, 4) != 0) break;
        bench_session_close(&b, session);
        bench_session_open(&b, session);
        break;
    }
}

static void the_invariants_hold_in_a_random_storm(void)
{
    const char *env = getenv("SEED");
    uint64_t seed = env != NULL ? strtoull(env, NULL, 10) : 20240601, newest = 0;
    struct rng rng;

    printf("# SEED=%" PRIu64 "\n", seed);
    rng_init(&rng, seed);
    fresh();
    for (int i = 0; i < 1500; i++) {
        storm_step(&rng);
        check_storm();
        OK(token() == 0 || token() >= newest); /* L2 */
        if (token() != 0) newest = token();
    }
    bench_fini(&b);
}

int main(void)
{
    TEST(a_free_lock_is_granted_at_once);
    TEST(waiters_are_served_in_the_order_in_which_they_came);
    TEST(a_token_rises_with_each_grant);
    TEST(an_old_token_releases_nothing);
    TEST(the_lock_may_be_named_by_its_own_path_too);
    TEST(a_dead_holder_makes_way_for_the_first_waiter);
    TEST(a_dead_waiter_holds_nobody_up);
    TEST(a_withdrawn_call_leaves_the_queue);
    TEST(nothing_is_left_behind_by_those_who_were_served);
    TEST(try_does_not_wait);
    TEST(the_same_session_waits_like_anybody);
    TEST(a_reentrant_hold_is_given_back_as_often_as_it_was_taken);
    TEST(a_reentrant_call_that_waited_leaves_the_queue_when_its_session_holds);
    TEST(the_holder_can_be_asked_for);
    TEST(wrong_arguments_are_refused_with_a_reason);
    TEST(a_release_runs_two_calls_however_many_wait);
    TEST(a_release_and_the_next_grant_stand_in_one_batch);
    TEST(the_invariants_hold_in_a_random_storm);
    return tap_done();
}
