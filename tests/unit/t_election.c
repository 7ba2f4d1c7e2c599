/* t_election.c -- recipes/election.lua: each of its rules. The storm is next door, in
 * t_election_storm.c.
 *
 * Method: the shipped recipe runs in the real host on a tree in memory
 * (tests/lib/recipe_bench.h); the end of a term by expiry also under the real resolver. */
#include <stdarg.h>

#include "core/base/limits.h"
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

/* `format` is a Lua table. Returns what the call stands at. */
static const char *ask(uint64_t session, const char *function, const char *format, ...)
{
    char args[300];
    va_list values;

    va_start(values, format);
    vsnprintf(args, sizeof(args), format, values);
    va_end(values);
    return bench_text(&b, bench_call(&b, session, function, args));
}

static size_t campaign(uint64_t session)
{
    char args[80];

    snprintf(args, sizeof(args), "{ path = '/e', value = 'host-%d' }", (int) session);
    return bench_call(&b, session, "election.campaign", args);
}

static size_t observe(uint64_t after)
{
    char args[80];

    snprintf(args, sizeof(args), "{ path = '/e', after = %d }", (int) after);
    return bench_call(&b, 9, "election.observe", args);
}

static struct node leader_node(void)
{
    struct node n;

    return bench_node_read(&b, "/e/leader", &n) ? n : (struct node){ 0 };
}

static uint64_t token(void)
{
    return leader_node().czxid;
}

static uint64_t leader(void)
{
    return leader_node().owner;
}

static uint64_t children(const char *path)
{
    struct node n;

    return bench_node_read(&b, path, &n) ? n.children : 0;
}

static const char *resign(void)
{
    return ask(1, "election.resign", "{ path = '/e', token = %d }", (int) token());
}

/* What the campaign of the present leader is answered. */
static const char *elected(void)
{
    static char text[120];

    snprintf(text, sizeof(text),
             "{\"path\"=>\"/e/leader\", \"token\"=>%d, \"value\"=>\"host-%d\"}",
             (int) token(), (int) leader());
    return text;
}

/* What observe says of the present leader. */
static const char *seen(const char *value)
{
    static char text[200];
    struct node n = leader_node();

    snprintf(text, sizeof(text),
             "{\"after\"=>%d, \"path\"=>\"/e/leader\", \"session\"=>%d, \"since\"=>%lld, "
             "\"token\"=>%d, \"value\"=>\"%s\"}",
             (int) n.mzxid, (int) n.owner, (long long) n.ctime, (int) n.czxid, value);
    return text;
}

/* --- campaign, resign, cancel --- */

static void the_first_candidate_leads_at_once(void)
{
    fresh();
    size_t call = campaign(1);
    STR(bench_text(&b, call), elected());
    IS(leader(), 1);
    IS(token(), b.zxid);
    bench_fini(&b);
}

static void candidates_lead_in_the_order_in_which_they_came(void)
{
    uint64_t before;

    fresh();
    campaign(1);
    before = token();
    size_t second = campaign(2), third = campaign(3);
    OK(bench_waits(&b, second) && bench_waits(&b, third));
    STR(resign(), "{\"resigned\"=>true}");
    STR(bench_text(&b, second), elected());
    IS(leader(), 2);
    OK(token() > before);
    OK(bench_waits(&b, third));
    resign();
    STR(bench_text(&b, third), elected());
    IS(children("/e/queue"), 0);
    IS(children("/e/calls"), 0);
    bench_fini(&b);
}

static void an_old_token_ends_no_term(void)
{
    uint64_t before;

    fresh();
    campaign(1);
    before = token();
    campaign(2);
    resign();
    STR(ask(1, "election.resign", "{ path = '/e', token = %d }", (int) before),
        "{\"resigned\"=>false}");
    IS(leader(), 2);
    bench_fini(&b);
}

static void a_term_may_be_named_by_the_leaders_path(void)
{
    fresh();
    campaign(1);
    STR(ask(1, "election.proclaim", "{ path = '/e/leader', token = %d, value = 'x' }",
            (int) token()),
        ask(1, "election.proclaim", "{ path = '/e', token = %d, value = 'x' }",
            (int) token()));
    STR(ask(1, "election.resign", "{ path = '/e/leader', token = %d }", (int) token()),
        "{\"resigned\"=>true}");
    STR(ask(1, "election.resign", "{ path = '/e/leader', token = 101 }"),
        "{\"resigned\"=>false}");
    bench_fini(&b);
}

static void another_ephemeral_node_names_no_term(void)
{
    struct node n;

    fresh();
    campaign(1);
    bench_call(&b, 1, "lock.acquire", "{ path = '/e' }");
    OK(bench_node_read(&b, "/e/holder", &n));
    STR(ask(1, "election.resign", "{ path = '/e/holder', token = %d }", (int) token()),
        "{\"resigned\"=>false}");
    STR(ask(1, "election.resign", "{ path = '/e/holder', token = %d }", (int) n.czxid),
        "{\"resigned\"=>false}");
    IS(leader(), 1);
    bench_fini(&b);
}

static void an_election_may_be_called_leader_itself(void)
{
    struct node n;

    fresh();
    ask(1, "election.campaign", "{ path = '/e/leader' }");
    OK(bench_node_read(&b, "/e/leader/leader", &n));
    STR(ask(1, "election.resign", "{ path = '/e/leader', token = %d }", (int) n.czxid),
        "{\"resigned\"=>true}");
    bench_fini(&b);
}

static void a_withdrawn_campaign_leaves_the_queue(void)
{
    fresh();
    campaign(1);
    size_t second = campaign(2), third = campaign(3);
    bench_cancel(&b, second);
    IS(children("/e/queue"), 1);
    IS(children("/e/calls"), 1);
    resign();
    STR(bench_text(&b, third), elected());
    bench_fini(&b);
}

static void who_only_tries_is_told_nil_and_does_not_wait(void)
{
    static const char args[] = "{ path = '/e', value = 'v', try = true }";

    fresh();
    OK(strstr(ask(1, "election.campaign", args), "token") != NULL);
    STR(ask(2, "election.campaign", args), "nil");
    IS(children("/e/queue"), 0);
    campaign(3);
    STR(ask(2, "election.campaign", args), "nil");
    IS(children("/e/queue"), 1);
    IS(leader(), 1);
    bench_fini(&b);
}

static void who_leads_and_who_waits_can_be_queried(void)
{
    fresh();
    STR(bench_query(&b, "election.observe", "{ path = '/e' }"), "nil");
    campaign(1);
    campaign(2);
    OK(strstr(bench_query(&b, "election.observe", "{ path = '/e' }"), "\"session\"=>1") !=
       NULL);
    OK(strstr(bench_query(&b, "election.candidates", "{ path = '/e' }"),
              "\"session\"=>2") != NULL);
    OK(strstr(bench_query(&b, "election.observe", "{ path = '/none', after = 0 }"),
              "read_only: ") != NULL);
    OK(strstr(bench_query(&b, "election.campaign", "{ path = '/e' }"), "read_only: ") != NULL);
    IS(leader(), 1);
    bench_fini(&b);
}

static void a_dead_candidate_holds_nobody_up(void)
{
    fresh();
    campaign(1);
    campaign(2);
    size_t third = campaign(3);
    bench_session_close(&b, 2);
    OK(bench_waits(&b, third));
    bench_session_close(&b, 1);
    STR(bench_text(&b, third), elected());
    IS(leader(), 3);
    bench_fini(&b);
}

static void a_candidate_may_have_no_value(void)
{
    fresh();
    OK(strstr(ask(1, "election.campaign", "{ path = '/e' }"), "token") != NULL);
    ask(2, "election.campaign", "{ path = '/e' }");
    STR(ask(1, "election.transfer", "{ path = '/e', token = %d, to = '0000000000' }",
            (int) token()),
        "{\"to\"=>\"0000000000\"}");
    IS(leader(), 2);
    OK(leader_node().data.ptr == NULL);
    bench_fini(&b);
}

/* The cost of a hand-over must not grow with the queue. */
static void the_end_of_a_term_runs_two_campaigns_however_many_wait(void)
{
    uint64_t runs, ops;

    fresh();
    campaign(1);
    for (int i = 0; i < 1000; i++) campaign(2 + (uint64_t) i % 7);
    IS(b.runs, 1001);
    runs = b.runs;
    ops = b.ops;
    resign();
    IS(b.runs - runs, 3); /* resign, the one elected, the one behind it */
    IS(b.ops - ops, 4);   /* leader away; place and note away, leader there */
    bench_fini(&b);
}

/* --- proclaim --- */

static void the_leader_may_show_another_value(void)
{
    fresh();
    campaign(1);
    uint64_t term = token();
    ask(1, "election.proclaim", "{ path = '/e', token = %d, value = 'moved' }", (int) term);
    STR(ask(0, "election.observe", "{ path = '/e' }"), seen("moved"));
    IS(token(), term);
    bench_fini(&b);
}

static void a_leader_of_the_past_may_show_nothing(void)
{
    fresh();
    campaign(1);
    uint64_t old = token();
    campaign(2);
    resign();
    const char *text = ask(1, "election.proclaim",
                           "{ path = '/e', token = %d, value = 'old' }", (int) old);
    STR(text, "refused: token 101 does not lead (any more)");
    STR(ask(0, "election.observe", "{ path = '/e' }"), seen("host-2"));
    resign();
    STR(ask(1, "election.proclaim", "{ path = '/e', token = 101, value = 'old' }"),
        "refused: token 101 does not lead (any more)");
    bench_fini(&b);
}

/* --- observe --- */

static void whoever_asks_without_after_is_answered_at_once(void)
{
    fresh();
    STR(ask(0, "election.observe", "{ path = '/e' }"), "nil");
    campaign(4);
    STR(ask(0, "election.observe", "{ path = '/e' }"), seen("host-4"));
    bench_fini(&b);
}

static void an_observer_that_saw_nobody_waits_for_a_leader(void)
{
    fresh();
    size_t call = observe(0);
    OK(bench_waits(&b, call));
    campaign(1);
    STR(bench_text(&b, call), seen("host-1"));
    bench_fini(&b);
}

static void an_observer_hears_of_each_change(void)
{
    fresh();
    campaign(1);
    size_t call = observe(leader_node().mzxid);
    OK(bench_waits(&b, call));
    ask(1, "election.proclaim", "{ path = '/e', token = %d, value = 'b' }", (int) token());
    STR(bench_text(&b, call), seen("b")); /* another value */
    call = observe(leader_node().mzxid);
    OK(bench_waits(&b, call));
    resign();
    STR(bench_text(&b, call), "{\"after\"=>0}"); /* nobody leads */
    call = observe(0);
    OK(bench_waits(&b, call));
    campaign(2);
    STR(bench_text(&b, call), seen("host-2")); /* another leader */
    bench_fini(&b);
}

static void an_observer_that_comes_late_is_told_the_latest(void)
{
    fresh();
    campaign(1);
    uint64_t after = leader_node().mzxid;
    campaign(2);
    resign();
    STR(bench_text(&b, observe(after)), seen("host-2"));
    after = leader_node().mzxid;
    resign();
    STR(bench_text(&b, observe(after)), "{\"after\"=>0}");
    bench_fini(&b);
}

static void an_observer_may_give_up(void)
{
    fresh();
    campaign(1);
    campaign(2);
    bench_cancel(&b, observe(leader_node().mzxid));
    IS(children("/e/queue"), 1);
    IS(children("/e/calls"), 1);
    bench_fini(&b);
}

/* --- candidates and transfer --- */

static void candidates_are_listed_in_their_order_page_by_page(void)
{
    fresh();
    STR(ask(0, "election.candidates", "{ path = '/e' }"), "[]");
    for (uint64_t i = 1; i <= 4; i++) campaign(i);
    const char *text = ask(0, "election.candidates", "{ path = '/e', limit = 2 }");
    OK(strstr(text, "\"place\"=>\"0000000000\", \"session\"=>2") != NULL);
    OK(strstr(text, "\"place\"=>\"0000000001\", \"session\"=>3") != NULL);
    OK(strstr(text, "\"value\"=>\"host-3\"") != NULL);
    OK(strstr(text, "\"session\"=>4") == NULL);
    text = ask(0, "election.candidates", "{ path = '/e', after = '0000000001' }");
    OK(strstr(text, "\"session\"=>4") != NULL);
    OK(strstr(text, "\"session\"=>3") == NULL);
    bench_fini(&b);
}

static void a_page_of_the_largest_candidates_fits_an_answer(void)
{
    fresh();
    campaign(1);
    for (int i = 0; i < 200; i++) {
        ask(2, "election.campaign", "{ path = '/e', value = ('x'):rep(4096) }");
    }
    size_t call = bench_call(&b, 0, "election.candidates", "{ path = '/e' }");
    IS(b.calls[call].last.outcome, SCRIPT_DONE);
    OK(b.calls[call].last.value.len > 200 * 4096);
    STR(ask(2, "election.campaign", "{ path = '/e', value = ('x'):rep(4097) }"),
        "refused: value is longer than 4096 bytes");
    bench_fini(&b);
}

static const char *transfer(const char *place)
{
    return ask(1, "election.transfer", "{ path = '/e', token = %d, to = '%s' }",
               (int) token(), place);
}

static void a_leader_hands_over_to_whom_it_names(void)
{
    fresh();
    campaign(1);
    size_t second = campaign(2), third = campaign(3), fourth = campaign(4);
    STR(transfer("0000000001"), "{\"to\"=>\"0000000001\"}");
    STR(bench_text(&b, third), elected());
    IS(leader(), 3);
    OK(bench_waits(&b, second) && bench_waits(&b, fourth));
    IS(children("/e/queue"), 2);
    resign();
    IS(leader(), 2);
    resign();
    IS(leader(), 4);
    IS(children("/e"), 3); /* leader, queue, calls: no heir is left */
    bench_fini(&b);
}

static void a_transfer_costs_few_runs_however_many_wait(void)
{
    fresh();
    campaign(1);
    for (int i = 0; i < 500; i++) campaign(2 + (uint64_t) i % 7);
    uint64_t runs = b.runs;
    transfer("0000000250");
    /* The transfer, the heir, and twice each the first one and the one behind the heir. */
    OK(b.runs - runs <= 6);
    IS(b.calls[251].last.outcome, SCRIPT_DONE);
    bench_fini(&b);
}

static void a_transfer_needs_the_term_and_a_candidate(void)
{
    fresh();
    campaign(1);
    campaign(2);
    STR(transfer("0000000007"), "refused: no candidate has the place 0000000007");
    STR(transfer(""), "refused: no candidate has the place ");
    STR(ask(1, "election.transfer", "{ path = '/e', token = 5, to = '0000000000' }"),
        "refused: token 5 does not lead (any more)");
    IS(leader(), 1);
    bench_fini(&b);
}

/* A tree as a leader of the servers leaves it who died between a transfer and the heir's
 * next run: made by hand, since the bench runs woken calls at once. */
static void put_heir(const char *place)
{
    static const char source[] =
        "return { put = function(tx, place) tx:delete('/e/leader') "
        "tx:create('/e/heir', place) end }";

    bench_recipe_put(&b, "by_hand", BYTES_LIT(source));
    ask(1, "by_hand.put", "'%s'", place);
}

static void an_heir_that_dies_makes_way_for_the_first_in_the_queue(void)
{
    fresh();
    campaign(1);
    size_t second = campaign(2), third = campaign(3);
    put_heir("/e/queue/0000000001");
    IS(leader(), 0); /* E4: it is not the second one's turn */
    OK(bench_waits(&b, second) && bench_waits(&b, third));
    OK(bench_waits(&b, campaign(4)));
    bench_session_close(&b, 3);
    STR(bench_text(&b, second), elected());
    IS(leader(), 2);
    IS(children("/e"), 3); /* no heir is left */
    bench_fini(&b);
}

/* --- arguments --- */

static void wrong_arguments_are_refused_by_name(void)
{
    fresh();
    STR(ask(1, "election.campaign", "nil"),
        "refused: path is missing");
    STR(ask(1, "election.campaign", "{ value = 'x' }"), "refused: path is missing");
    STR(ask(1, "election.campaign", "{ path = 1 }"), "refused: path must be the path of a node");
    STR(ask(1, "election.campaign", "{ path = '/e', value = 1 }"),
        "refused: value must be a string");
    STR(ask(1, "election.campaign", "{ path = '/e', vlaue = 'x' }"),
        "refused: there is no argument vlaue");
    STR(ask(1, "election.resign", "{ path = '/e' }"), "refused: token is missing");
    STR(ask(1, "election.resign", "{ path = '/e', token = '7' }"),
        "refused: token must be an integer");
    STR(ask(1, "election.proclaim",
            "{ path = '/e', token = 7, value = ('x'):rep(4097) }"),
        "refused: value is longer than 4096 bytes");
    STR(ask(1, "election.observe", "{ path = '/e', after = 1.5 }"),
        "refused: after must be an integer");
    STR(ask(1, "election.candidates", "{ path = '/e', limit = 0 }"),
        "refused: limit must be 1 to 200");
    OK(strncmp(ask(1, "election.campaign", "{ path = 'e' }"), "bad_path: ", 10) == 0);
    OK(strstr(ask(0, "election.campaign", "{ path = '/e' }"),
              "an ephemeral node needs a session") != NULL);
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

#define PATH_ARGS "\x81\xa4path\xa2/e" /* {path: "/e"} */

static void an_expired_leader_and_the_next_one_stand_in_one_batch(void)
{
    uint64_t a, c, first, second;

    host = host_new((struct sandbox_budget){ .memory_max = SCRIPT_MEMORY_MAX,
                                             .fuel_max = SCRIPT_FUEL_MAX });
    rig_init(&rig, 1);
    rig.scripts.run = run_recipe;
    a = rig_open(&rig);
    c = rig_open(&rig);
    first = rig_call(&rig, (struct rig_id){ a, 1 }, "election.campaign", PATH_ARGS);
    second = rig_call(&rig, (struct rig_id){ c, 1 }, "election.campaign", PATH_ARGS);
    rig_settle(&rig);
    IS(rig_answer(&rig, first)->code, 0);
    IS(rig_answer(&rig, second)->code, 1); /* none yet */

    rig_close(&rig, a);
    OK(rig_take(&rig));
    OK(!rig_take(&rig));
    rig_apply(&rig);
    IS(rig_answer(&rig, second)->code, 0);
    OK(rig_answer(&rig, second)->zxid > rig_answer(&rig, first)->zxid);
    OK(rig_exists(&rig, "/e/leader"));
    machine_check(&rig.machine);
    rig_fini(&rig);
    host_free(host);
}

int main(void)
{
    TEST(the_first_candidate_leads_at_once);
    TEST(candidates_lead_in_the_order_in_which_they_came);
    TEST(an_old_token_ends_no_term);
    TEST(a_term_may_be_named_by_the_leaders_path);
    TEST(another_ephemeral_node_names_no_term);
    TEST(an_election_may_be_called_leader_itself);
    TEST(a_withdrawn_campaign_leaves_the_queue);
    TEST(who_only_tries_is_told_nil_and_does_not_wait);
    TEST(who_leads_and_who_waits_can_be_queried);
    TEST(a_dead_candidate_holds_nobody_up);
    TEST(a_candidate_may_have_no_value);
    TEST(the_end_of_a_term_runs_two_campaigns_however_many_wait);
    TEST(the_leader_may_show_another_value);
    TEST(a_leader_of_the_past_may_show_nothing);
    TEST(whoever_asks_without_after_is_answered_at_once);
    TEST(an_observer_that_saw_nobody_waits_for_a_leader);
    TEST(an_observer_hears_of_each_change);
    TEST(an_observer_that_comes_late_is_told_the_latest);
    TEST(an_observer_may_give_up);
    TEST(candidates_are_listed_in_their_order_page_by_page);
    TEST(a_page_of_the_largest_candidates_fits_an_answer);
    TEST(a_leader_hands_over_to_whom_it_names);
    TEST(a_transfer_costs_few_runs_however_many_wait);
    TEST(a_transfer_needs_the_term_and_a_candidate);
    TEST(an_heir_that_dies_makes_way_for_the_first_in_the_queue);
    TEST(wrong_arguments_are_refused_by_name);
    TEST(an_expired_leader_and_the_next_one_stand_in_one_batch);
    return tap_done();
}
