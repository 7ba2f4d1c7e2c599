/* t_election_storm.c -- recipes/election.lua in a seeded storm.
 *
 * Method: the shipped recipe runs in the real host on a tree in memory
 * (tests/lib/recipe_bench.h). The storm campaigns, resigns, transfers, withdraws and kills
 * at random, runs woken calls in any order, and asks after every step whether the right one
 * leads and nothing is left over. Replay it with SEED=<n>. */
#include <stdarg.h>
#include <stdlib.h>

#include "core/base/limits.h"
#include "core/base/rng.h"
#include "core/tree/tree.h"
#include "tests/lib/recipe_bench.h"
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

static const char *transfer(const char *place)
{
    return ask(1, "election.transfer", "{ path = '/e', token = %d, to = '%s' }",
               (int) token(), place);
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

static bool is_campaign(size_t call)
{
    return strcmp(b.calls[call].function, "election.campaign") == 0;
}

static void check_storm(void)
{
    uint64_t waiting = 0;

    for (size_t i = 0; i < b.calls_count; i++) {
        waiting += is_campaign(i) && bench_waits(&b, i) ? 1 : 0;
    }
    IS(children("/e/queue"), waiting);
    IS(children("/e/calls"), waiting);
    OK(waiting == 0 || leader() != 0); /* nobody waits for an office that is free */
    tree_check(&b.state.view);
}

/* The n-th of the waiting campaigns, or its place; the oldest is the first. */
static bool waiting_campaign(uint64_t n, size_t *call, char place[40])
{
    for (size_t i = 0; i < b.calls_count; i++) {
        struct node note;
        char path[80];

        if (!is_campaign(i) || !bench_waits(&b, i) || n-- > 0) continue;
        snprintf(path, sizeof(path), "/e/calls/s%d-%d", (int) b.calls[i].session,
                 (int) b.calls[i].seq);
        OK(bench_node_read(&b, path, &note));
        snprintf(place, 40, "%.*s", (int) note.data.len - 9, (char *) note.data.ptr + 9);
        *call = i;
        return true;
    }
    return false;
}

/* Whoever leads next is the first in the queue, or whom the leader named. */
static void end_a_term(struct rng *rng, bool by_transfer)
{
    char place[40];
    size_t next;
    uint64_t n = by_transfer ? rng_below(rng, 5) : 0;
    bool found = waiting_campaign(n, &next, place);

    if (leader() == 0 || (by_transfer && !found)) return;
    if (by_transfer) {
        transfer(place);
    } else {
        resign();
    }
    if (!found) return;
    STR(bench_text(&b, next), elected());
    IS(leader(), b.calls[next].session);
}

static void storm_step(struct rng *rng)
{
    uint64_t session = 1 + rng_below(rng, 8);
    char place[40];
    size_t call;

    b.newest_first = rng_below(rng, 2) == 1;
    switch (rng_below(rng, 8)) {
    case 0: case 1: case 2: campaign(session); break;
    case 3: end_a_term(rng, false); break;
    case 4: case 5: end_a_term(rng, true); break;
    case 6:
        if (waiting_campaign(rng_below(rng, 5), &call, place)) bench_cancel(&b, call);
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
        OK(token() == 0 || token() >= newest); /* E2 */
        if (token() != 0) newest = token();
    }
    bench_fini(&b);
}

int main(void)
{
    TEST(the_invariants_hold_in_a_random_storm);
    return tap_done();
}
