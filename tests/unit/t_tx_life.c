/* t_tx_life.c -- what ends a node beside a delete: containers, TTLs, nodes that linger; and
 * what counts: quotas. Method: hand-made changes for each rule. */
#include "core/base/errors.h"
#include "core/session/session.h"
#include "core/tree/quota.h"
#include "tests/lib/tx_rig.h"

static void fresh(void)
{
    end();
    begin();
}

static int create_as(const char *path, unsigned flags, uint64_t ttl_ms, uint64_t linger_ms)
{
    const struct tx_creation how = { flags, ttl_ms, linger_ms };

    return tx_create_as(&t, bytes_str(path), BYTES_LIT("data"), &how, &created);
}

static int create(const char *path, unsigned flags)
{
    return create_as(path, flags, 0, 0);
}

static int del(const char *path)
{
    return tx_delete(&t, bytes_str(path), -1);
}

static bool exists(const char *path)
{
    struct node n;

    return tx_read(&t, bytes_str(path), &n);
}

static uint64_t expires(const char *path)
{
    struct node n = { 0 };

    OK(tx_read(&t, bytes_str(path), &n));
    return n.expires;
}

/* -- Containers ----------------------------------------------------------------------- */

static void a_container_goes_with_its_last_child(void)
{
    fresh();
    IS(create("/c", TX_CONTAINER), 0);
    IS(create("/c/a", 0), 0);
    IS(create("/c/b", 0), 0);
    keep_tx();
    IS(del("/c/a"), 0);
    keep_tx();
    OK(exists("/c"));
    IS(del("/c/b"), 0);
    keep_tx();
    OK(!exists("/c"));
    OK(exists("/"));
}

static void a_container_that_never_had_a_child_stays(void)
{
    fresh();
    IS(create("/d", TX_CONTAINER), 0);
    IS(create("/d/c", TX_CONTAINER), 0);
    IS(create("/e", 0), 0);
    keep_tx();
    IS(del("/e"), 0);
    keep_tx();
    OK(exists("/d/c"));
}

static void containers_go_upwards_as_far_as_they_are_left_empty(void)
{
    fresh();
    IS(create("/p", 0), 0);
    IS(create("/p/c", TX_CONTAINER), 0);
    IS(create("/p/c/d", TX_CONTAINER), 0);
    IS(create("/p/c/d/e", TX_CONTAINER), 0);
    IS(create("/p/c/d/e/f", 0), 0);
    keep_tx();
    IS(del("/p/c/d/e/f"), 0);
    keep_tx();
    OK(!exists("/p/c"));
    OK(exists("/p")); /* no container */
}

static void a_transaction_may_take_the_last_child_and_put_another(void)
{
    fresh();
    IS(create("/c", TX_CONTAINER), 0);
    IS(create("/c/a", 0), 0);
    keep_tx();
    IS(del("/c/a"), 0);
    IS(create("/c/b", 0), 0);
    keep_tx();
    OK(exists("/c/b"));
}

static void a_container_made_anew_in_the_transaction_stays(void)
{
    fresh();
    IS(create("/c", TX_CONTAINER), 0);
    IS(create("/c/a", 0), 0);
    keep_tx();
    IS(del("/c/a"), 0);
    IS(del("/c"), 0);
    IS(create("/c", TX_CONTAINER), 0);
    keep_tx();
    OK(exists("/c"));
}

/* -- TTL ------------------------------------------------------------------------------ */

static void a_ttl_counts_from_the_newest_change(void)
{
    fresh();
    IS(create_as("/t", 0, 500, 0), 0);
    IS(expires("/t"), 1500);
    keep_tx();
    IS(tally.expires_first, 1500);
    clock_ms = 1200;
    begin_tx(ZXID + 2);
    IS(tx_set(&t, BYTES_LIT("/t"), BYTES_LIT("new"), -1), 0);
    IS(expires("/t"), 1700);
    keep_tx();
    clock_ms = 1300;
    begin_tx(ZXID + 4);
    IS(tx_touch(&t, BYTES_LIT("/t")), 0);
    IS(expires("/t"), 1800);
    keep_tx();
}

static void a_touch_changes_mtime_and_nothing_else(void)
{
    struct node before, after;

    fresh();
    IS(create("/a", 0), 0);
    keep_tx();
    OK(tx_read(&t, BYTES_LIT("/a"), &before));
    t.time_ms += 5;
    IS(tx_touch(&t, BYTES_LIT("/a")), 0);
    OK(tx_read(&t, BYTES_LIT("/a"), &after));
    OK(after.mtime == t.time_ms && before.mtime < after.mtime);
    IS(after.version, before.version);
    OK(after.mzxid == before.mzxid);
    OK(bytes_equal(after.data, BYTES_LIT("data")));
    IS(tx_touch(&t, BYTES_LIT("/none")), ERR_NO_NODE);
}

static void a_ttl_node_does_not_expire_while_it_has_children(void)
{
    fresh();
    IS(create_as("/t", 0, 500, 0), 0);
    IS(create("/t/a", 0), 0);
    IS(create("/t/b", 0), 0);
    IS(expires("/t"), 0);
    keep_tx();
    clock_ms = 9000;
    begin_tx(ZXID + 2);
    IS(del("/t/a"), 0);
    IS(expires("/t"), 0);
    IS(tx_set(&t, BYTES_LIT("/t"), BYTES_LIT("new"), -1), 0);
    IS(expires("/t"), 0);
    IS(del("/t/b"), 0);
    IS(expires("/t"), 9500); /* from when its last child went: it is no surprise */
    keep_tx();
}

static void what_ends_a_node_is_one_thing(void)
{
    fresh();
    IS(create_as("/a", TX_CONTAINER, 5, 0), ERR_BAD_OPTION);
    IS(create_as("/a", TX_EPHEMERAL, 5, 0), ERR_BAD_OPTION);
    IS(create("/a", TX_EPHEMERAL | TX_CONTAINER), ERR_BAD_OPTION);
    IS(create_as("/a", 0, 0, 5), ERR_BAD_OPTION);
    IS(create_as("/a", 0, TTL_MS_MAX + 1, 0), ERR_BAD_OPTION);
    IS(create_as("/a", TX_EPHEMERAL, 0, LINGER_MS_MAX + 1), ERR_BAD_OPTION);
    IS(create_as("/a", TX_EPHEMERAL, 0, LINGER_MS_MAX), 0);
    keep_tx();
}

/* -- Lingering ------------------------------------------------------------------------ */

enum { OWNER = 90 };

static void with_owner(void)
{
    fresh();
    t.zxid = OWNER;
    IS(session_open(&t, 5000, BYTES_LIT("0123456789abcdef")), 0);
    keep_tx();
    begin_tx(ZXID);
    t.session = OWNER;
    IS(create("/l", 0), 0);
    IS(create_as("/l/holder", TX_EPHEMERAL, 0, 700), 0);
    IS(create("/l/plain", TX_EPHEMERAL), 0);
    keep_tx();
}

static void a_name_lingers_when_its_owner_expires(void)
{
    struct node n;

    with_owner();
    IS(session_close(&t, OWNER, true), 0);
    keep_tx();
    OK(!exists("/l/plain"));
    OK(tx_read(&t, BYTES_LIT("/l/holder"), &n));
    OK(n.czxid == ZXID + 1); /* another node: the old grant is none any more */
    OK(n.owner == 0 && n.data.ptr == NULL);
    IS(n.life, NODE_TTL);
    IS(n.expires, 1700);
    IS(tx_guard(&t, BYTES_LIT("/l/holder"), ZXID), ERR_GUARD_FAILED);
}

static void a_name_is_free_at_once_when_its_owner_closes(void)
{
    with_owner();
    IS(session_close(&t, OWNER, false), 0);
    keep_tx();
    OK(!exists("/l/holder"));
}

static void a_session_that_ends_in_parts_is_over_from_the_first(void)
{
    struct session s;
    char path[32];

    with_owner();
    t.session = OWNER;
    for (int i = 0; i < 50; i++) {
        snprintf(path, sizeof path, "/l/e%d", i);
        IS(create(path, TX_EPHEMERAL), 0);
    }
    keep_tx();
    OK(!session_close_partly(&t, OWNER, true, 100));
    keep_tx();
    OK(!session_read(&state.view, OWNER, &s));
    IS(session_judge(&state.view, OWNER, 1, 0), SESSION_OVER);
    OK(!session_close_partly(&t, OWNER, true, 100));
    keep_tx();
    OK(session_close_partly(&t, OWNER, true, 100000));
    keep_tx();
    OK(!exists("/l/e49"));
    OK(exists("/l/holder"));
}

/* -- Quotas --------------------------------------------------------------------------- */

static int quota(const char *path, uint64_t nodes, uint64_t bytes)
{
    return tx_quota(&t, bytes_str(path), nodes, bytes);
}

static struct quota quota_of(const char *path)
{
    struct quota q = { 0 };

    OK(quota_read(&t.over.view, bytes_str(path), &q));
    return q;
}

static void a_quota_counts_what_is_there_and_what_comes(void)
{
    fresh();
    IS(create("/a", 0), 0);
    IS(create("/a/b", 0), 0);
    keep_tx();
    IS(quota("/a", 4, 0), 0);
    IS(quota_of("/a").nodes, 2);
    IS(quota_of("/a").bytes, 8);
    IS(create("/a/c", 0), 0);
    IS(create("/a/b/d", 0), 0);
    IS(create("/a/e", 0), ERR_OVER_QUOTA);
    keep_tx();
    IS(del("/a/c"), 0);
    keep_tx();
    IS(create("/a/e", 0), 0);
    keep_tx();
    IS(quota_of("/a").nodes, 4);
}

static void a_refusal_names_the_quota(void)
{
    fresh();
    IS(create("/a", 0), 0);
    IS(quota("/a", 1, 0), 0);
    IS(create("/a/b", 0), ERR_OVER_QUOTA);
    OK(bytes_equal(buf_bytes(&t.why), BYTES_LIT("of /a: 1 of 1 nodes")));
}

static void bytes_count_data_and_shrinking_is_always_allowed(void)
{
    fresh();
    IS(quota("/a", 0, 6), 0); /* before there is a node */
    IS(create("/a", 0), 0);
    IS(create("/a/b", 0), ERR_OVER_QUOTA);
    IS(tx_set(&t, BYTES_LIT("/a"), BYTES_LIT("1234567"), -1), ERR_OVER_QUOTA);
    IS(tx_set(&t, BYTES_LIT("/a"), BYTES_LIT("123456"), -1), 0);
    IS(quota("/a", 0, 2), 0);
    IS(tx_set(&t, BYTES_LIT("/a"), BYTES_LIT("12345"), -1), 0);
    IS(tx_set(&t, BYTES_LIT("/a"), BYTES_LIT("123456"), -1), ERR_OVER_QUOTA);
    keep_tx();
    IS(quota_of("/a").bytes, 5);
}

static void every_quota_above_a_node_counts(void)
{
    fresh();
    IS(quota("/", 100, 0), 0);
    IS(quota("/a", 3, 0), 0);
    IS(create("/a/b/c", TX_PARENTS), 0);
    IS(create("/a/d", 0), ERR_OVER_QUOTA);
    IS(create("/d", 0), 0);
    keep_tx();
    IS(quota_of("/").nodes, 5);
    IS(quota_of("/a").nodes, 3);
    IS(quota("/a", 0, 0), 0);
    IS(create("/a/d", 0), 0);
    keep_tx();
    IS(t.tally.quotas, 1);
}

static void the_whole_tree_has_a_limit_of_the_configuration(void)
{
    fresh();
    t.limits = (struct tx_limits){ .nodes = 2, .bytes = 6 };
    IS(create("/a", 0), 0);
    IS(create("/b", 0), ERR_OVER_QUOTA);
    IS(tx_set(&t, BYTES_LIT("/a"), BYTES_LIT("1234567"), -1), ERR_OVER_QUOTA);
    IS(del("/a"), 0);
    IS(create("/b", 0), 0);
}

int main(void)
{
    read_seed();
    begin();
    TEST(a_container_goes_with_its_last_child);
    TEST(a_container_that_never_had_a_child_stays);
    TEST(containers_go_upwards_as_far_as_they_are_left_empty);
    TEST(a_transaction_may_take_the_last_child_and_put_another);
    TEST(a_container_made_anew_in_the_transaction_stays);
    TEST(a_ttl_counts_from_the_newest_change);
    TEST(a_touch_changes_mtime_and_nothing_else);
    TEST(a_ttl_node_does_not_expire_while_it_has_children);
    TEST(what_ends_a_node_is_one_thing);
    TEST(a_name_lingers_when_its_owner_expires);
    TEST(a_name_is_free_at_once_when_its_owner_closes);
    TEST(a_session_that_ends_in_parts_is_over_from_the_first);
    TEST(a_quota_counts_what_is_there_and_what_comes);
    TEST(a_refusal_names_the_quota);
    TEST(bytes_count_data_and_shrinking_is_always_allowed);
    TEST(every_quota_above_a_node_counts);
    TEST(the_whole_tree_has_a_limit_of_the_configuration);
    end();
    buf_fini(&created);
    return tap_done();
}
