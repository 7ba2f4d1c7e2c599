/* t_tx.c -- what a transaction may do to the tree and what it leaves in the log, one rule a
 * test. Method: hand-made changes for each rule; t_tx_storm.c has random ones. */
#include "core/base/errors.h"
#include "core/base/limits.h"
#include "core/tree/op.h"
#include "core/tree/path.h"
#include "tests/lib/tx_rig.h"

static void fresh(void)
{
    end();
    begin();
}

/* What was built becomes the state that the next transaction stands on. */
static void commit(void)
{
    uint64_t zxid = t.zxid;

    kv_overlay_move(&t.over, &state, zxid);
    tree_check(&state.view);
    begin_tx(zxid + 1);
}

static int create(const char *path, unsigned flags)
{
    return tx_create(&t, bytes_str(path), BYTES_LIT("data"), flags, &created);
}

static int set(const char *path, int64_t version)
{
    return tx_set(&t, bytes_str(path), BYTES_LIT("new"), version);
}

static int del(const char *path, int64_t version)
{
    return tx_delete(&t, bytes_str(path), version);
}

static struct node node(const char *path)
{
    struct node n = { .version = -99 };

    OK(tx_read(&t, bytes_str(path), &n));
    return n;
}

static bool exists(const char *path)
{
    struct node n;

    return tx_read(&t, bytes_str(path), &n);
}

static const char *created_text(void)
{
    buf_put_u8(&created, 0);
    return (const char *) created.ptr;
}

/* -- Create --------------------------------------------------------------------------- */

static void a_new_node_bears_its_transaction_and_time(void)
{
    struct node n;

    fresh();
    IS(create("/a", 0), 0);
    STR(created_text(), "/a");
    n = node("/a");
    IS(n.czxid, ZXID);
    IS(n.mzxid, ZXID);
    IS(n.pzxid, ZXID);
    IS(n.ctime, TIME + ZXID);
    IS(n.mtime, TIME + ZXID);
    IS(n.version, 0);
    IS(n.owner, 0);
    IS(n.children, 0);
    OK(bytes_equal(n.data, BYTES_LIT("data")));
}

static void null_data_stays_null_and_empty_data_empty(void)
{
    fresh();
    IS(tx_create(&t, BYTES_LIT("/null"), (struct bytes){ 0 }, 0, &created), 0);
    IS(tx_create(&t, BYTES_LIT("/empty"), BYTES_LIT(""), 0, &created), 0);
    OK(node("/null").data.ptr == NULL);
    OK(node("/empty").data.ptr != NULL);
}

static void a_create_counts_at_its_parent_and_moves_its_pzxid(void)
{
    fresh();
    IS(create("/a", 0), 0);
    commit();
    IS(create("/a/b", 0), 0);
    IS(node("/a").children, 1);
    IS(node("/a").created, 1);
    IS(node("/a").pzxid, ZXID + 1);
    IS(node("/a").mzxid, ZXID);
    IS(node("/a").version, 0);
    IS(node("/").children, 1);
    IS(node("/").pzxid, ZXID);
}

static void a_create_needs_its_parent(void)
{
    fresh();
    IS(create("/a/b", 0), ERR_NO_NODE);
    IS(create("/a/b", TX_SEQUENTIAL), ERR_NO_NODE);
    IS(created.len, 0);
}

static void a_create_refuses_a_path_that_is_taken(void)
{
    fresh();
    IS(create("/a", 0), 0);
    IS(create("/a", 0), ERR_NODE_EXISTS);
    IS(create("/a", TX_PARENTS), ERR_NODE_EXISTS);
    IS(create("/", 0), ERR_NODE_EXISTS);
}

static void a_create_refuses_what_is_no_path(void)
{
    char path[PATH_BYTES_MAX + 2];

    fresh();
    IS(create("a", 0), ERR_BAD_PATH);
    IS(create("", TX_SEQUENTIAL), ERR_BAD_PATH);
    IS(create("/a//b", TX_PARENTS), ERR_BAD_PATH);
    IS(create("/a/../b", TX_SEQUENTIAL), ERR_BAD_PATH);
    memset(path, 'a', sizeof path);
    path[0] = '/';
    path[PATH_BYTES_MAX + 1] = 0;
    IS(create(path, 0), ERR_TOO_LARGE);
    path[PATH_BYTES_MAX - 1] = 0; /* legal, but not with ten digits more */
    IS(create(path, TX_SEQUENTIAL), ERR_TOO_LARGE);
    IS(create(path, 0), 0);
}

static void parents_are_created_by_ops_of_their_own(void)
{
    struct reader r;
    struct op op;

    fresh();
    IS(create("/a", 0), 0);
    commit();
    IS(create("/a/b/c/d", TX_PARENTS), 0);
    IS(t.ops_count, 3);
    OK(node("/a/b").data.ptr == NULL);
    IS(node("/a/b/c").children, 1);
    OK(bytes_equal(node("/a/b/c/d").data, BYTES_LIT("data")));
    r = reader_of(buf_bytes(&t.ops));
    IS(op_decode(&r, &op), 0);
    OK(bytes_equal(op.path, BYTES_LIT("/a/b")));
    IS(op_decode(&r, &op), 0);
    OK(bytes_equal(op.path, BYTES_LIT("/a/b/c")));
    IS(op_decode(&r, &op), 0);
    OK(bytes_equal(op.path, BYTES_LIT("/a/b/c/d")));
    OK(reader_done(&r));
}

static void a_sequence_number_is_the_count_of_children_ever_created(void)
{
    fresh();
    IS(create("/q", 0), 0);
    IS(create("/q/w-", TX_SEQUENTIAL), 0);
    STR(created_text(), "/q/w-0000000000");
    IS(create("/q/plain", 0), 0);
    IS(del("/q/plain", -1), 0);
    IS(create("/q/w-", TX_SEQUENTIAL), 0);
    STR(created_text(), "/q/w-0000000002");
    IS(create("/q/", TX_SEQUENTIAL), 0);
    STR(created_text(), "/q/0000000003");
    IS(create("/new/w-", TX_SEQUENTIAL | TX_PARENTS), 0);
    STR(created_text(), "/new/w-0000000000");
}

static void a_sequence_number_grows_beyond_ten_digits(void)
{
    struct buf key = { 0 }, cell = { 0 };
    struct node q;

    fresh();
    IS(create("/q", 0), 0);
    q = node("/q");
    q.created = 12345678901;
    node_key(&key, BYTES_LIT("/q"));
    node_encode(&cell, &q);
    kv_put(&t.over, buf_bytes(&key), buf_bytes(&cell), ZXID);
    IS(create("/q/w-", TX_SEQUENTIAL), 0);
    STR(created_text(), "/q/w-12345678901");
    buf_fini(&key);
    buf_fini(&cell);
}

static void a_sequence_number_beside_a_taken_name_is_refused(void)
{
    fresh();
    IS(create("/w-0000000001", 0), 0);
    IS(create("/w-", TX_SEQUENTIAL), ERR_NODE_EXISTS);
}

/* -- Ephemerals ----------------------------------------------------------------------- */

static void an_ephemeral_belongs_to_the_session_that_created_it(void)
{
    struct buf key = { 0 };
    struct bytes value;

    fresh();
    IS(create("/e", TX_EPHEMERAL), 0);
    IS(node("/e").owner, SESSION);
    node_owner_key(&key, SESSION, BYTES_LIT("/e"));
    OK(kv_get(&t.over.view, buf_bytes(&key), &value));
    IS(del("/e", -1), 0);
    OK(!kv_get(&t.over.view, buf_bytes(&key), &value));
    buf_fini(&key);
}

static void an_ephemeral_needs_a_live_session(void)
{
    fresh();
    t.session = 0;
    IS(create("/e", TX_EPHEMERAL), ERR_SESSION_EXPIRED);
    t.session = SESSION + 1;
    IS(create("/e", TX_EPHEMERAL), ERR_SESSION_EXPIRED);
    IS(create("/p", 0), 0);
    IS(t.ops_count, 1);
}

static void an_ephemeral_has_no_children(void)
{
    fresh();
    IS(create("/e", TX_EPHEMERAL), 0);
    IS(create("/e/a", 0), ERR_EPHEMERAL_PARENT);
    IS(create("/e/a/b", TX_PARENTS), ERR_EPHEMERAL_PARENT);
    IS(create("/e/w-", TX_SEQUENTIAL), ERR_EPHEMERAL_PARENT);
}

static void the_parents_of_an_ephemeral_are_not_ephemeral(void)
{
    fresh();
    IS(create("/a/e", TX_EPHEMERAL | TX_PARENTS), 0);
    IS(node("/a").owner, 0);
    IS(node("/a/e").owner, SESSION);
}

/* -- Set ------------------------------------------------------------------------------ */

static void a_set_replaces_the_data_and_counts_the_version(void)
{
    fresh();
    IS(create("/a", 0), 0);
    commit();
    IS(set("/a", 0), 0);
    OK(bytes_equal(node("/a").data, BYTES_LIT("new")));
    IS(node("/a").version, 1);
    IS(node("/a").mzxid, ZXID + 1);
    IS(node("/a").mtime, TIME + ZXID + 1);
    IS(node("/a").czxid, ZXID);
    IS(node("/a").ctime, TIME + ZXID);
    IS(node("/a").pzxid, ZXID);
    IS(node("/").pzxid, ZXID);
}

static void a_set_needs_the_node_at_its_version(void)
{
    fresh();
    IS(create("/a", 0), 0);
    IS(set("/b", -1), ERR_NO_NODE);
    IS(set("/a", 1), ERR_BAD_VERSION);
    IS(set("/a", (int64_t) UINT32_MAX + 1), ERR_BAD_VERSION);
    IS(set("/a", -1), 0);
    IS(set("/a", 1), 0);
    IS(set("a", -1), ERR_BAD_PATH);
}

static void the_root_can_be_set(void)
{
    fresh();
    IS(set("/", 0), 0);
    IS(node("/").version, 1);
}

static void give_version(const char *path, int32_t version)
{
    struct buf key = { 0 }, cell = { 0 };
    struct node n = node(path);

    n.version = version;
    node_key(&key, bytes_str(path));
    node_encode(&cell, &n);
    kv_put(&t.over, buf_bytes(&key), buf_bytes(&cell), t.zxid);
    buf_fini(&key);
    buf_fini(&cell);
}

static void a_version_wraps_and_is_never_the_one_that_means_any(void)
{
    fresh();
    IS(create("/a", 0), 0);
    give_version("/a", INT32_MAX);
    IS(set("/a", INT32_MAX), 0);
    IS(node("/a").version, INT32_MIN);
    give_version("/a", -2);
    IS(set("/a", -2), 0);
    IS(node("/a").version, 0);
}

static void a_set_may_take_its_data_from_the_node_itself(void)
{
    struct node n;

    fresh();
    IS(create("/a", 0), 0);
    n = node("/a");
    IS(tx_set(&t, BYTES_LIT("/a"), bytes_of(n.data.ptr + 1, 3), -1), 0);
    OK(bytes_equal(node("/a").data, BYTES_LIT("ata")));
}

/* -- Delete --------------------------------------------------------------------------- */

static void a_delete_takes_the_node_and_moves_the_parents_pzxid(void)
{
    fresh();
    IS(create("/a/b", TX_PARENTS), 0);
    commit();
    IS(del("/a/b", 0), 0);
    OK(!exists("/a/b"));
    IS(node("/a").children, 0);
    IS(node("/a").created, 1);
    IS(node("/a").pzxid, ZXID + 1);
    IS(node("/a").mzxid, ZXID);
    IS(node_stat(&(struct node){ .created = 1 }).cversion, 2);
}

static void a_delete_needs_the_node_at_its_version_without_children(void)
{
    fresh();
    IS(create("/a/b", TX_PARENTS), 0);
    IS(del("/c", -1), ERR_NO_NODE);
    IS(del("/a/b", 3), ERR_BAD_VERSION);
    IS(del("/a", -1), ERR_NOT_EMPTY);
    IS(del("/a/b", -1), 0);
    IS(del("/a", -1), 0);
}

static void the_root_cannot_be_deleted(void)
{
    fresh();
    IS(del("/", -1), ERR_BAD_PATH);
    IS(del("", -1), ERR_BAD_PATH);
}

static void a_node_made_anew_has_a_new_czxid(void)
{
    fresh();
    IS(create("/a", 0), 0);
    commit();
    IS(del("/a", -1), 0);
    IS(create("/a", 0), 0);
    IS(node("/a").czxid, ZXID + 1);
}

/* -- Conditions ----------------------------------------------------------------------- */

static void a_check_asks_for_the_node_and_its_version(void)
{
    fresh();
    IS(create("/a", 0), 0);
    IS(tx_check(&t, BYTES_LIT("/a"), -1), 0);
    IS(tx_check(&t, BYTES_LIT("/a"), 0), 0);
    IS(tx_check(&t, BYTES_LIT("/a"), 1), ERR_BAD_VERSION);
    IS(tx_check(&t, BYTES_LIT("/b"), -1), ERR_NO_NODE);
    IS(tx_check(&t, BYTES_LIT("b"), -1), ERR_BAD_PATH);
}

static void a_check_of_absence_refuses_a_node(void)
{
    fresh();
    IS(create("/a", 0), 0);
    IS(tx_check_absent(&t, BYTES_LIT("/a")), ERR_NODE_EXISTS);
    IS(tx_check_absent(&t, BYTES_LIT("/b")), 0);
    IS(tx_check_absent(&t, BYTES_LIT("/b/")), ERR_BAD_PATH);
}

static void a_guard_passes_only_for_the_node_of_its_token(void)
{
    fresh();
    IS(create("/a", 0), 0);
    IS(tx_guard(&t, BYTES_LIT("/a"), ZXID), 0);
    IS(tx_guard(&t, BYTES_LIT("/a"), ZXID - 1), ERR_GUARD_FAILED);
    IS(tx_guard(&t, BYTES_LIT("/b"), ZXID), ERR_GUARD_FAILED);
    IS(tx_guard(&t, BYTES_LIT("/b"), 0), ERR_GUARD_FAILED);
}

/* -- Limits and bounds ---------------------------------------------------------------- */

static void the_servers_own_paths_are_refused_unless_allowed(void)
{
    fresh();
    IS(create("/tidelock", 0), ERR_RESERVED);
    IS(create("/tidelock/recipes/w-", TX_SEQUENTIAL | TX_PARENTS), ERR_RESERVED);
    IS(set("/tidelock", -1), ERR_RESERVED);
    IS(del("/tidelock", -1), ERR_RESERVED);
    IS(create("/tidelocks", 0), 0);
    IS(create("/tidelock", TX_SEQUENTIAL), 0); /* another name once it is numbered */
    t.reserved_allowed = true;
    IS(create("/tidelock/recipes/lock", TX_PARENTS), 0);
    t.reserved_allowed = false;
    IS(tx_check(&t, BYTES_LIT("/tidelock/recipes/lock"), 0), 0);
}

static void data_over_the_limit_is_refused(void)
{
    uint8_t *data = calloc(1, REQUEST_BYTES_MAX + 1);
    struct bytes over = bytes_of(data, REQUEST_BYTES_MAX + 1);
    struct bytes largest = bytes_of(data, REQUEST_BYTES_MAX);

    fresh();
    IS(tx_create(&t, BYTES_LIT("/a"), over, 0, &created), ERR_TOO_LARGE);
    IS(tx_create(&t, BYTES_LIT("/a"), largest, 0, &created), 0);
    IS(tx_set(&t, BYTES_LIT("/a"), over, -1), ERR_TOO_LARGE);
    IS(tx_set(&t, BYTES_LIT("/a"), largest, -1), 0);
    free(data);
}

static void a_transaction_has_room_for_so_many_bytes_only(void)
{
    uint8_t *data = calloc(1, REQUEST_BYTES_MAX);
    int err = 0, sets = 0;

    fresh();
    for (; err == 0 && sets < 100; sets++) {
        err = tx_set(&t, BYTES_LIT("/"), bytes_of(data, REQUEST_BYTES_MAX), -1);
    }
    IS(err, ERR_TOO_LARGE);
    OK(t.ops.len <= TX_BYTES_MAX);
    free(data);
}

static void a_transaction_has_room_for_so_many_ops_only(void)
{
    fresh();
    t.ops_max = 3;
    IS(create("/a/b/c/d", TX_PARENTS), ERR_TOO_LARGE);
    IS(t.ops_count, 0);
    IS(create("/a/b/c", TX_PARENTS), 0);
    IS(create("/x", 0), ERR_TOO_LARGE);
    IS(set("/a", -1), ERR_TOO_LARGE);
    IS(del("/a/b/c", -1), ERR_TOO_LARGE);
    fresh();
    for (unsigned i = 0; i < MULTI_OPS_MAX; i++) IS(set("/", -1), 0);
    IS(set("/", -1), ERR_TOO_LARGE);
}

/* -- The transaction itself ----------------------------------------------------------- */

static void reads_are_recorded_when_asked_for(void)
{
    struct reader r;
    struct buf name = { 0 };

    fresh();
    OK(!exists("/a"));
    IS(t.reads.len, 0);
    t.track_reads = true;
    OK(!exists("/a"));
    OK(!tx_child_next(&t, BYTES_LIT("/b"), BYTES_LIT(""), KV_FORWARD, &name));
    r = reader_of(buf_bytes(&t.reads));
    OK(bytes_equal(read_bytes(&r, PATH_BYTES_MAX), BYTES_LIT("/a")));
    OK(bytes_equal(read_bytes(&r, PATH_BYTES_MAX), BYTES_LIT("/b")));
    OK(reader_done(&r));
    buf_fini(&name);
}

static void children_are_walked_over_state_and_own_changes(void)
{
    struct buf name = { 0 };

    fresh();
    IS(create("/a", 0), 0);
    IS(create("/c", 0), 0);
    commit();
    IS(create("/b", 0), 0);
    IS(del("/c", -1), 0);
    OK(tx_child_next(&t, BYTES_LIT("/"), BYTES_LIT(""), KV_BACKWARD, &name));
    OK(bytes_equal(buf_bytes(&name), BYTES_LIT("b")));
    OK(tx_child_next(&t, BYTES_LIT("/"), buf_bytes(&name), KV_BACKWARD, &name));
    OK(bytes_equal(buf_bytes(&name), BYTES_LIT("a")));
    OK(!tx_child_next(&t, BYTES_LIT("/"), buf_bytes(&name), KV_BACKWARD, &name));
    buf_fini(&name);
}

static void a_reset_drops_every_change_and_every_right(void)
{
    fresh();
    t.reserved_allowed = t.track_reads = true;
    IS(create("/a", 0), 0);
    tx_reset(&t);
    OK(!exists("/a"));
    IS(t.ops.len + t.ops_count + t.reads.len, 0);
    OK(!t.reserved_allowed);
    IS(t.session, 0);
}

static void test_creates(void)
{
    TEST(a_new_node_bears_its_transaction_and_time);
    TEST(null_data_stays_null_and_empty_data_empty);
    TEST(a_create_counts_at_its_parent_and_moves_its_pzxid);
    TEST(a_create_needs_its_parent);
    TEST(a_create_refuses_a_path_that_is_taken);
    TEST(a_create_refuses_what_is_no_path);
    TEST(parents_are_created_by_ops_of_their_own);
    TEST(a_sequence_number_is_the_count_of_children_ever_created);
    TEST(a_sequence_number_grows_beyond_ten_digits);
    TEST(a_sequence_number_beside_a_taken_name_is_refused);
    TEST(an_ephemeral_belongs_to_the_session_that_created_it);
    TEST(an_ephemeral_needs_a_live_session);
    TEST(an_ephemeral_has_no_children);
    TEST(the_parents_of_an_ephemeral_are_not_ephemeral);
}

static void test_changes(void)
{
    TEST(a_set_replaces_the_data_and_counts_the_version);
    TEST(a_set_needs_the_node_at_its_version);
    TEST(the_root_can_be_set);
    TEST(a_version_wraps_and_is_never_the_one_that_means_any);
    TEST(a_set_may_take_its_data_from_the_node_itself);
    TEST(a_delete_takes_the_node_and_moves_the_parents_pzxid);
    TEST(a_delete_needs_the_node_at_its_version_without_children);
    TEST(the_root_cannot_be_deleted);
    TEST(a_node_made_anew_has_a_new_czxid);
}

int main(void)
{
    read_seed();
    begin();
    test_creates();
    test_changes();
    TEST(a_check_asks_for_the_node_and_its_version);
    TEST(a_check_of_absence_refuses_a_node);
    TEST(a_guard_passes_only_for_the_node_of_its_token);
    TEST(the_servers_own_paths_are_refused_unless_allowed);
    TEST(data_over_the_limit_is_refused);
    TEST(a_transaction_has_room_for_so_many_bytes_only);
    TEST(a_transaction_has_room_for_so_many_ops_only);
    TEST(reads_are_recorded_when_asked_for);
    TEST(children_are_walked_over_state_and_own_changes);
    TEST(a_reset_drops_every_change_and_every_right);
    end();
    buf_fini(&created);
    return tap_done();
}
