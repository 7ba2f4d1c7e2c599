/* t_resolver_tree.c -- what the leader does with nodes that expire, with sessions that own more
 * than a batch holds, and with multis that read. Method: a leader and a follower in
 * resolver_rig.h, which compares the two and what the leader foresaw at every slot. */
#include "core/base/errors.h"
#include "core/session/session.h"
#include "tests/lib/resolver_rig.h"
#include "tests/lib/tap.h"

static struct rig g;
static const struct rig_id nobody = { 0 };

static void fresh(void)
{
    rig_fini(&g);
    rig_init(&g, 7);
}

static int code(uint64_t tag)
{
    rig_settle(&g);
    return rig_answer(&g, tag)->code;
}

static int create_ttl(const char *path, uint64_t ttl_ms)
{
    return code(rig_want(&g, nobody, &(struct want){ .kind = WANT_CREATE_AS,
                                                     .path = bytes_str(path),
                                                     .ttl_ms = ttl_ms }));
}

static void pass(uint64_t ms)
{
    rig_pass(&g, ms);
    rig_settle(&g);
}

/* -- Nodes that expire ---------------------------------------------------------------- */

static void a_node_goes_when_its_time_is_over_and_not_before(void)
{
    fresh();
    IS(create_ttl("/t", 1000), 0);
    pass(999);
    OK(rig_exists(&g, "/t"));
    pass(1);
    OK(!rig_exists(&g, "/t"));
}

static void many_nodes_go_each_in_its_turn(void)
{
    char path[16];

    fresh();
    for (int i = 1; i <= 20; i++) {
        snprintf(path, sizeof path, "/t%d", i);
        IS(create_ttl(path, (uint64_t)(2100 - 100 * i)), 0);
    }
    for (int i = 20; i >= 1; i--) {
        pass(100);
        snprintf(path, sizeof path, "/t%d", i);
        OK(!rig_exists(&g, path));
        snprintf(path, sizeof path, "/t%d", i - 1);
        OK(i == 1 || rig_exists(&g, path));
    }
}

static void a_touch_keeps_a_node(void)
{
    fresh();
    IS(create_ttl("/t", 1000), 0);
    for (int i = 0; i < 5; i++) {
        pass(600);
        IS(code(rig_want(&g, nobody, &(struct want){ .kind = WANT_TOUCH,
                                                     .path = BYTES_LIT("/t") })),
           0);
    }
    pass(600);
    OK(rig_exists(&g, "/t"));
    pass(400);
    OK(!rig_exists(&g, "/t"));
}

static void a_wall_clock_that_jumps_ends_no_node(void)
{
    fresh();
    IS(create_ttl("/t", 1000), 0);
    g.now.wall_ms += 365ll * 86400 * 1000;
    pass(500);
    OK(rig_exists(&g, "/t"));
    IS(code(rig_create(&g, nobody, "/now", 0)), 0); /* tells the log what time it is */
    rig_new_reign(&g, 0); /* a new leader, whose clock is another year ahead */
    g.now.wall_ms += 365ll * 86400 * 1000;
    pass(499);
    OK(rig_exists(&g, "/t"));
    pass(1);
    OK(!rig_exists(&g, "/t"));
}

static void time_without_a_leader_does_not_count(void)
{
    fresh();
    IS(create_ttl("/t", 1000), 0);
    g.now.now_ms += 50000; /* nobody ticks */
    rig_new_reign(&g, 0);
    pass(999);
    OK(rig_exists(&g, "/t"));
    pass(1);
    OK(!rig_exists(&g, "/t"));
}

static void a_stall_of_the_leader_does_not_count(void)
{
    fresh();
    IS(create_ttl("/t", 1000), 0);
    resolver_stalled(g.resolver, 700);
    pass(1000);
    OK(rig_exists(&g, "/t"));
    pass(700);
    OK(!rig_exists(&g, "/t"));
}

static void a_node_that_expires_wakes_who_waits_for_it(void)
{
    uint64_t session, tag;

    fresh();
    session = rig_open(&g);
    IS(create_ttl("/l/holder", 1000), ERR_NO_NODE);
    IS(code(rig_create(&g, nobody, "/l", 0)), 0);
    IS(create_ttl("/l/holder", 1000), 0);
    tag = rig_call(&g, (struct rig_id){ session, 1 }, "lock.acquire", "/l");
    rig_settle(&g);
    IS(g.answers[tag].count, 0);
    pass(1000);
    IS(g.answers[tag].count, 1);
    IS(rig_answer(&g, tag)->code, 0);
}

static void the_container_of_an_expired_node_goes_with_it(void)
{
    fresh();
    IS(code(rig_want(&g, nobody, &(struct want){ .kind = WANT_CREATE_AS,
                                                 .path = BYTES_LIT("/c"),
                                                 .flags = TX_CONTAINER })),
       0);
    IS(create_ttl("/c/t", 1000), 0);
    pass(1000);
    OK(!rig_exists(&g, "/c"));
}

/* -- Sessions ------------------------------------------------------------------------- */

static void a_lock_of_an_expired_session_lingers(void)
{
    uint64_t session;

    fresh();
    session = rig_open(&g);
    IS(code(rig_want(&g, (struct rig_id){ session, 1 },
                     &(struct want){ .kind = WANT_CREATE_AS,
                                     .path = BYTES_LIT("/h"),
                                     .flags = TX_EPHEMERAL,
                                     .linger_ms = 2000 })),
       0);
    pass(5000); /* the session's timeout */
    OK(rig_exists(&g, "/h"));
    pass(1999);
    OK(rig_exists(&g, "/h"));
    pass(1);
    OK(!rig_exists(&g, "/h"));
}

enum { GIANT_NODES = 3000 };

/* One whose nodes do not fit a transaction. */
static uint64_t open_giant(void)
{
    char path[1100];
    uint64_t session = rig_open(&g);

    for (uint64_t i = 1; i <= GIANT_NODES; i++) {
        int len = snprintf(path, sizeof path, "/%04d", (int)i);

        memset(path + len, 'x', 1000);
        path[len + 1000] = '\0';
        g.ack = i - 1;
        if (code(rig_create(&g, (struct rig_id){ session, i }, path, TX_EPHEMERAL)) != 0) {
            OK(false);
        }
    }
    return session;
}

static void a_giant_session_is_over_with_the_first_part_of_its_end(void)
{
    uint64_t session, tag;
    struct session s;

    fresh();
    session = open_giant();
    rig_pass(&g, 5000);
    OK(rig_take(&g));
    rig_apply(&g);
    OK(g.machine.tally.nodes > 1); /* some are there still */
    OK(!session_read(&g.store.view, session, &s));
    OK(!resolver_renew(g.resolver, session, g.now.now_ms) ||
       !session_read(&g.store.view, session, &s));
    tag = rig_set(&g, (struct rig_id){ session, GIANT_NODES + 1 }, "/", "late");
    rig_new_reign(&g, 0); /* and the next leader ends what this one began */
    pass(1);
    for (int i = 0; i < 100 && g.machine.tally.nodes > 1; i++) pass(1);
    IS(g.machine.tally.nodes, 1);
    tag = rig_set(&g, (struct rig_id){ session, GIANT_NODES + 1 }, "/", "late");
    IS(code(tag), ERR_SESSION_EXPIRED);
    session_check(&g.store.view);
    g.ack = 0;
}

static void a_write_may_be_bound_to_a_live_session(void)
{
    struct want wants[] = { { .kind = WANT_ALIVE },
                            { .kind = WANT_CREATE, .path = BYTES_LIT("/a") } };
    uint64_t session;

    fresh();
    session = rig_open(&g);
    wants[0].token = session;
    IS(code(rig_multi(&g, nobody, wants, 2)), 0);
    pass(5000);
    wants[1].path = BYTES_LIT("/b");
    IS(code(rig_multi(&g, nobody, wants, 2)), ERR_GUARD_FAILED);
    OK(!rig_exists(&g, "/b"));
}

/* -- Multis --------------------------------------------------------------------------- */

static void a_multi_reads_as_of_each_place_among_its_ops(void)
{
    const struct bytes a = BYTES_LIT("/a");
    const struct want wants[] = {
        { .kind = WANT_GET, .path = a },
        { .kind = WANT_CREATE, .path = a, .data = BYTES_LIT("one") },
        { .kind = WANT_GET, .path = a },
        { .kind = WANT_SET, .path = a, .data = BYTES_LIT("second"), .version = 0 },
        { .kind = WANT_STAT, .path = a },
        { .kind = WANT_DELETE_TREE, .path = a },
        { .kind = WANT_STAT, .path = a },
    };
    struct result_parts parts;
    struct result_part p[7];
    uint64_t tag;

    fresh();
    tag = rig_multi(&g, nobody, wants, 7);
    IS(code(tag), 0);
    IS(rig_answer(&g, tag)->parts_count, 7);
    parts = result_parts_of(rig_answer(&g, tag));
    for (int i = 0; i < 7; i++) IS(result_part_next(&parts, &p[i]), 0);
    OK(!p[0].has_stat && p[0].data.ptr == NULL);
    OK(p[2].has_stat && bytes_equal(p[2].data, BYTES_LIT("one")));
    IS(p[4].stat.version, 1);
    IS(p[4].stat.data_length, 6);
    IS(p[5].id, 1);
    OK(!p[6].has_stat);
}

/* Else the answer of a small request could fill the leader's memory. */
static void what_a_multi_reads_is_bounded(void)
{
    static uint8_t data[REQUEST_BYTES_MAX - 4096];
    struct want wants[8];

    fresh();
    IS(code(rig_want(&g, nobody, &(struct want){ .kind = WANT_CREATE,
                                                 .path = BYTES_LIT("/a"),
                                                 .data = bytes_of(data, sizeof data) })),
       0);
    for (int i = 0; i < 8; i++) {
        wants[i] = (struct want){ .kind = WANT_GET, .path = BYTES_LIT("/a") };
    }
    IS(code(rig_multi(&g, nobody, wants, 2)), 0);
    IS(code(rig_multi(&g, nobody, wants, 8)), ERR_TOO_LARGE);
}

int main(void)
{
    rig_init(&g, 7);
    TEST(a_node_goes_when_its_time_is_over_and_not_before);
    TEST(many_nodes_go_each_in_its_turn);
    TEST(a_touch_keeps_a_node);
    TEST(a_wall_clock_that_jumps_ends_no_node);
    TEST(time_without_a_leader_does_not_count);
    TEST(a_stall_of_the_leader_does_not_count);
    TEST(a_node_that_expires_wakes_who_waits_for_it);
    TEST(the_container_of_an_expired_node_goes_with_it);
    TEST(a_lock_of_an_expired_session_lingers);
    TEST(a_giant_session_is_over_with_the_first_part_of_its_end);
    TEST(a_write_may_be_bound_to_a_live_session);
    TEST(a_multi_reads_as_of_each_place_among_its_ops);
    TEST(what_a_multi_reads_is_bounded);
    rig_fini(&g);
    return tap_done();
}
