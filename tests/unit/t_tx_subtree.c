/* t_tx_subtree.c -- changes of whole subtrees, and walks over them. Method: hand-made trees. */
#include "core/base/errors.h"
#include "core/tree/path.h"
#include "core/tree/walk.h"
#include "tests/lib/tx_rig.h"

static void fresh(void)
{
    end();
    begin();
    t.ops_max = UINT32_MAX;
}

static int create(const char *path, unsigned flags)
{
    return tx_create(&t, bytes_str(path), BYTES_LIT("data"), flags, &created);
}

static bool exists(const char *path)
{
    struct node n;

    return tx_read(&t, bytes_str(path), &n);
}

/* /a with two levels below it, and neighbours whose names sort near. */
static void small_tree(void)
{
    static const char *const paths[] = { "/a", "/a!", "/a/x", "/a/x/1", "/a/x/2",
                                         "/a/y", "/b" };

    fresh();
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) IS(create(paths[i], 0), 0);
    keep_tx();
}

/* `count` children of /big. */
static void big_tree(uint32_t count)
{
    char path[32];

    fresh();
    IS(create("/big", 0), 0);
    for (uint32_t i = 0; i < count; i++) {
        snprintf(path, sizeof path, "/big/%u", i);
        if (create(path, 0) != 0) OK(false);
    }
    keep_tx();
}

static void append_path(struct buf *out, const struct tree_walk *w)
{
    buf_put_bytes_raw(out, buf_bytes(&w->path));
    buf_put_u8(out, ' ');
}

static void a_walk_down_meets_parents_first_and_in_order(void)
{
    struct buf seen = { 0 };
    struct tree_walk w;
    struct node n;

    small_tree();
    tree_walk_init(&w, &state.view, BYTES_LIT("/a"), BYTES_LIT(""));
    while (tree_walk_down(&w, true, &n)) append_path(&seen, &w);
    OK(bytes_equal(buf_bytes(&seen), BYTES_LIT("/a /a/x /a/x/1 /a/x/2 /a/y ")));
    tree_walk_fini(&w);
    buf_fini(&seen);
}

static void a_walk_up_meets_children_first(void)
{
    struct buf seen = { 0 };
    struct tree_walk w;

    small_tree();
    tree_walk_init(&w, &state.view, BYTES_LIT("/a"), BYTES_LIT(""));
    while (tree_walk_up(&w)) append_path(&seen, &w);
    OK(bytes_equal(buf_bytes(&seen), BYTES_LIT("/a/x/1 /a/x/2 /a/x /a/y /a ")));
    tree_walk_fini(&w);
    buf_fini(&seen);
}

static void a_walk_goes_on_behind_any_path_also_one_that_is_gone(void)
{
    struct tree_walk w;
    struct node n;

    small_tree();
    tree_walk_init(&w, &state.view, BYTES_LIT("/"), BYTES_LIT("/a/x/1"));
    OK(tree_walk_down(&w, true, &n));
    OK(bytes_equal(buf_bytes(&w.path), BYTES_LIT("/a/x/2")));
    tree_walk_fini(&w);
    tree_walk_init(&w, &state.view, BYTES_LIT("/"), BYTES_LIT("/a/w/gone/long ago"));
    OK(tree_walk_down(&w, true, &n));
    OK(bytes_equal(buf_bytes(&w.path), BYTES_LIT("/a/x")));
    OK(tree_walk_down(&w, false, &n)); /* not into it */
    OK(bytes_equal(buf_bytes(&w.path), BYTES_LIT("/a/y")));
    tree_walk_fini(&w);
}

/* -- Delete --------------------------------------------------------------------------- */

static void a_subtree_goes_and_its_neighbours_stay(void)
{
    struct tx_deleted deleted;

    small_tree();
    IS(tx_delete_tree(&t, BYTES_LIT("/a"), false, &deleted), 0);
    IS(deleted.nodes, 5);
    OK(!deleted.more);
    keep_tx();
    OK(!exists("/a"));
    OK(exists("/a!") && exists("/b"));
    IS(tally.nodes, 3);
    IS(tx_delete_tree(&t, BYTES_LIT("/a"), false, &deleted), ERR_NO_NODE);
    IS(tx_delete_tree(&t, BYTES_LIT("/"), false, &deleted), ERR_BAD_PATH);
}

static void ephemeral_nodes_of_a_subtree_go_with_it(void)
{
    struct tx_deleted deleted;

    small_tree();
    IS(create("/a/x/e", TX_EPHEMERAL), 0);
    keep_tx();
    IS(tx_delete_tree(&t, BYTES_LIT("/a/x"), false, &deleted), 0);
    keep_tx(); /* no cell of an owner is left: T2 */
    OK(!exists("/a/x/e"));
}

static void a_subtree_takes_the_container_above_it_along(void)
{
    struct tx_deleted deleted;

    fresh();
    IS(create("/c", TX_CONTAINER), 0);
    IS(create("/c/a", 0), 0);
    IS(create("/c/a/b", 0), 0);
    keep_tx();
    IS(tx_delete_tree(&t, BYTES_LIT("/c/a"), false, &deleted), 0);
    keep_tx();
    OK(!exists("/c"));
}

static void one_that_is_too_large_changes_nothing(void)
{
    struct tx_deleted deleted;

    big_tree(SUBTREE_NODES_MAX);
    IS(tx_delete_tree(&t, BYTES_LIT("/big"), false, &deleted), ERR_TOO_LARGE);
    OK(t.why.len > 0);
    IS(t.ops.len, 0);
    IS(t.over.count, 0);
    IS(tx_delete(&t, BYTES_LIT("/big/0"), -1), 0);
    IS(tx_delete_tree(&t, BYTES_LIT("/big"), false, &deleted), 0);
    IS(deleted.nodes, SUBTREE_NODES_MAX);
    keep_tx();
    IS(tally.nodes, 1);
}

static void in_steps_leaves_go_first_and_the_rest_is_a_tree(void)
{
    struct tx_deleted deleted;
    uint64_t nodes = 0;
    int steps = 0;

    big_tree(2 * SUBTREE_NODES_MAX + SUBTREE_NODES_MAX / 2);
    do {
        IS(tx_delete_tree(&t, BYTES_LIT("/big"), true, &deleted), 0);
        nodes += deleted.nodes;
        steps++;
        keep_tx(); /* T1, T3 */
    } while (deleted.more);
    IS(steps, 3);
    IS(nodes, 2 * SUBTREE_NODES_MAX + SUBTREE_NODES_MAX / 2 + 1);
    OK(!exists("/big"));
}

/* -- Copy ----------------------------------------------------------------------------- */

static void a_copy_has_the_data_and_lives_and_begins_anew(void)
{
    const struct tx_creation ttl = { .ttl_ms = 500 };
    struct node n;
    uint64_t nodes;

    small_tree();
    IS(tx_create_as(&t, BYTES_LIT("/a/t"), (struct bytes){ 0 }, &ttl, &created), 0);
    IS(tx_create(&t, BYTES_LIT("/a/0"), BYTES_LIT(""), 0, &created), 0);
    IS(create("/a/x/e", TX_EPHEMERAL), 0);
    IS(tx_set(&t, BYTES_LIT("/a"), BYTES_LIT("more"), -1), 0);
    keep_tx();
    IS(tx_copy(&t, BYTES_LIT("/a"), BYTES_LIT("/b/c"), &nodes), 0);
    IS(nodes, 7);
    keep_tx();
    OK(tx_read(&t, BYTES_LIT("/b/c"), &n));
    OK(bytes_equal(n.data, BYTES_LIT("more")));
    IS(n.version, 0);
    OK(tx_read(&t, BYTES_LIT("/b/c/t"), &n));
    IS(n.life, NODE_TTL);
    OK(n.data.ptr == NULL);
    OK(tx_read(&t, BYTES_LIT("/b/c/0"), &n));
    OK(n.data.ptr != NULL && n.data.len == 0);
    OK(exists("/b/c/x/2"));
    OK(!exists("/b/c/x/e"));
}

static void a_copy_needs_a_free_place_outside_of_its_source(void)
{
    uint64_t nodes;

    small_tree();
    IS(create("/e", TX_EPHEMERAL), 0);
    IS(tx_copy(&t, BYTES_LIT("/a"), BYTES_LIT("/b"), &nodes), ERR_NODE_EXISTS);
    IS(tx_copy(&t, BYTES_LIT("/a"), BYTES_LIT("/n/m"), &nodes), ERR_NO_NODE);
    IS(tx_copy(&t, BYTES_LIT("/n"), BYTES_LIT("/m"), &nodes), ERR_NO_NODE);
    IS(tx_copy(&t, BYTES_LIT("/a"), BYTES_LIT("/a/z"), &nodes), ERR_BAD_PATH);
    IS(tx_copy(&t, BYTES_LIT("/a/x"), BYTES_LIT("/a"), &nodes), ERR_BAD_PATH);
    IS(tx_copy(&t, BYTES_LIT("/a"), BYTES_LIT("/e/z"), &nodes), ERR_EPHEMERAL_PARENT);
    IS(tx_copy(&t, BYTES_LIT("/e"), BYTES_LIT("/z"), &nodes), ERR_EPHEMERAL_PARENT);
    IS(tx_copy(&t, BYTES_LIT("/a"), BYTES_LIT("/tidelock"), &nodes), ERR_RESERVED);
}

static void a_copy_that_is_too_large_or_too_deep_changes_nothing(void)
{
    char deep[PATH_BYTES_MAX + 1] = "/b/";
    uint64_t nodes;

    small_tree();
    memset(deep + 3, 'd', PATH_BYTES_MAX - 5);
    IS(tx_copy(&t, BYTES_LIT("/a"), bytes_str(deep), &nodes), ERR_TOO_LARGE);
    IS(t.ops.len, 0);
    big_tree(SUBTREE_NODES_MAX);
    IS(tx_copy(&t, BYTES_LIT("/big"), BYTES_LIT("/c"), &nodes), ERR_TOO_LARGE);
    IS(t.ops.len, 0);
}

static void a_copy_respects_quotas(void)
{
    uint64_t nodes;

    small_tree();
    IS(tx_quota(&t, BYTES_LIT("/b"), 5, 0), 0);
    IS(tx_copy(&t, BYTES_LIT("/a"), BYTES_LIT("/b/c"), &nodes), ERR_OVER_QUOTA);
    IS(tx_copy(&t, BYTES_LIT("/a/x"), BYTES_LIT("/b/c"), &nodes), 0);
    keep_tx();
}

int main(void)
{
    read_seed();
    begin();
    TEST(a_walk_down_meets_parents_first_and_in_order);
    TEST(a_walk_up_meets_children_first);
    TEST(a_walk_goes_on_behind_any_path_also_one_that_is_gone);
    TEST(a_subtree_goes_and_its_neighbours_stay);
    TEST(ephemeral_nodes_of_a_subtree_go_with_it);
    TEST(a_subtree_takes_the_container_above_it_along);
    TEST(one_that_is_too_large_changes_nothing);
    TEST(in_steps_leaves_go_first_and_the_rest_is_a_tree);
    TEST(a_copy_has_the_data_and_lives_and_begins_anew);
    TEST(a_copy_needs_a_free_place_outside_of_its_source);
    TEST(a_copy_that_is_too_large_or_too_deep_changes_nothing);
    TEST(a_copy_respects_quotas);
    end();
    buf_fini(&created);
    return tap_done();
}
