/* t_node.c -- cells and keys of nodes, and the ops of the log, one rule a test. Method:
 * hand-made nodes and bytes. */
#include <stdlib.h>

#include "core/base/errors.h"
#include "core/base/limits.h"
#include "core/tree/node.h"
#include "core/tree/op.h"
#include "core/tree/path.h"
#include "tests/lib/tap.h"

static struct buf cell, key, other;

static const struct node sample = {
    .version = 7,
    .aversion = 2,
    .czxid = 1,
    .mzxid = UINT64_MAX,
    .pzxid = 3,
    .ctime = -4,
    .mtime = 5,
    .owner = 6,
    .children = 8,
    .created = 9,
    .data = { (const uint8_t *) "data", 4 },
};

static void a_cell_gives_back_the_node(void)
{
    struct node n = { 0 };

    node_encode(&cell, &sample);
    IS(cell.len, 84);
    IS(node_decode(buf_bytes(&cell), &n), 0);
    IS(n.version, 7);
    IS(n.aversion, 2);
    IS(n.czxid, 1);
    OK(n.mzxid == UINT64_MAX);
    IS(n.pzxid, 3);
    IS(n.ctime, -4);
    IS(n.mtime, 5);
    IS(n.owner, 6);
    IS(n.children, 8);
    IS(n.created, 9);
    OK(bytes_equal(n.data, BYTES_LIT("data")));
}

static void null_data_is_not_empty_data(void)
{
    struct node n = { 0 };

    node_encode(&cell, &(struct node){ .data = BYTES_LIT("") });
    IS(node_decode(buf_bytes(&cell), &n), 0);
    OK(n.data.ptr != NULL);
    node_encode(&cell, &(struct node){ 0 });
    IS(node_decode(buf_bytes(&cell), &n), 0);
    OK(n.data.ptr == NULL);
}

static void a_cell_cut_short_is_damaged(void)
{
    struct node n;

    node_encode(&cell, &sample);
    for (size_t len = 0; len < 80; len++) {
        uint8_t *cut = malloc(len + 1); /* so that a read past the end is seen */

        memcpy(cut, cell.ptr, len);
        IS(node_decode(bytes_of(cut, len), &n), ERR_DAMAGED);
        free(cut);
    }
}

static void a_cell_of_another_format_is_named_so(void)
{
    struct node n;

    node_encode(&cell, &sample);
    cell.ptr[0] = 3;
    IS(node_decode(buf_bytes(&cell), &n), ERR_OTHER_VERSION);
}

static void a_cell_with_unknown_flags_is_damaged(void)
{
    static const size_t zeros[] = { 2, 3, 12, 15 };
    struct node n;

    for (size_t i = 0; i < sizeof zeros / sizeof *zeros; i++) {
        node_encode(&cell, &sample);
        cell.ptr[zeros[i]] = 1;
        IS(node_decode(buf_bytes(&cell), &n), ERR_DAMAGED);
    }
    node_encode(&cell, &sample);
    cell.ptr[1] = 2;
    IS(node_decode(buf_bytes(&cell), &n), ERR_DAMAGED);
    cell.ptr[1] = 1; /* null data of four bytes */
    IS(node_decode(buf_bytes(&cell), &n), ERR_DAMAGED);
}

static void a_life_comes_back_and_a_plain_node_keeps_its_first_format(void)
{
    struct node n = { .life = NODE_TTL, .life_ms = 1ull << 40, .expires = 77 }, got;

    node_encode(&cell, &n);
    IS(cell.ptr[0], 2);
    IS(cell.len, 96);
    IS(node_decode(buf_bytes(&cell), &got), 0);
    IS(got.life, NODE_TTL);
    IS(got.life_ms, 1ll << 40);
    IS(got.expires, 77);
    IS(node_stat(&got).ttl, 1ll << 40);
    IS(node_stat(&got).container, 0);
    node_encode(&cell, &(struct node){ .life = NODE_CONTAINER, .data = BYTES_LIT("x") });
    IS(node_decode(buf_bytes(&cell), &got), 0);
    IS(node_stat(&got).container, 1);
    IS(got.data.len, 1);
    node_encode(&cell, &sample);
    IS(cell.ptr[0], 1);
}

static void a_life_that_does_not_fit_its_node_is_damaged(void)
{
    const struct node lives[] = {
        { .life = NODE_TTL },                                  /* without a time */
        { .life = NODE_TTL, .life_ms = 5 },                    /* no child, no end */
        { .life = NODE_TTL, .life_ms = 5, .children = 1, .expires = 9 },
        { .life = NODE_TTL, .life_ms = 5, .owner = 1, .expires = 9 },
        { .life = NODE_CONTAINER, .owner = 1 },
        { .life = NODE_CONTAINER, .life_ms = 1 },
        { .life = NODE_LINGERS, .life_ms = 5 }, /* of nobody */
    };
    struct node got;

    for (size_t i = 0; i < sizeof lives / sizeof *lives; i++) {
        node_encode(&cell, &lives[i]);
        IS(node_decode(buf_bytes(&cell), &got), ERR_DAMAGED);
    }
    node_encode(&cell, &(struct node){ .life = NODE_CONTAINER });
    cell.ptr[2] = 4;
    IS(node_decode(buf_bytes(&cell), &got), ERR_DAMAGED);
    IS(node_decode(bytes_of(cell.ptr, 95), &got), ERR_DAMAGED);
}

static void the_stat_counts_creates_twice_less_the_children(void)
{
    struct stat_view s = node_stat(&sample);

    IS(s.cversion, 10);
    IS(s.num_children, 8);
    IS(s.data_length, 4);
    IS(s.ephemeral_owner, 6);
    s = node_stat(&(struct node){ .created = 1u << 31 });
    IS(s.cversion, 0); /* wrapped */
}

static void children_have_neighbouring_keys(void)
{
    node_key(&key, BYTES_LIT("/a/b"));
    OK(bytes_equal(buf_bytes(&key), BYTES_LIT("n/a\0b")));
    OK(bytes_equal(node_key_name(buf_bytes(&key)), BYTES_LIT("b")));
    node_key(&key, BYTES_LIT("/a"));
    OK(bytes_equal(buf_bytes(&key), BYTES_LIT("n/\0a")));
    node_key(&key, BYTES_LIT("/"));
    OK(bytes_equal(buf_bytes(&key), BYTES_LIT("n\0")));
    node_children_prefix(&key, BYTES_LIT("/a"));
    OK(bytes_equal(buf_bytes(&key), BYTES_LIT("n/a\0")));
}

static void an_owner_key_sorts_by_owner_and_holds_the_path(void)
{
    node_owner_key(&key, 0x0102, BYTES_LIT("/a"));
    OK(bytes_equal(buf_bytes(&key), BYTES_LIT("e\0\0\0\0\0\0\1\2/a")));
    OK(bytes_equal(node_owner_key_path(buf_bytes(&key)), BYTES_LIT("/a")));
    node_owner_prefix(&other, 0x0102);
    OK(memcmp(key.ptr, other.ptr, other.len) == 0);
}

static void put_node(struct kv_overlay *o, const char *path)
{
    node_key(&key, bytes_str(path));
    node_encode(&cell, &(struct node){ 0 });
    kv_put(o, buf_bytes(&key), buf_bytes(&cell), 0);
}

static void children_are_walked_in_byte_order_both_ways(void)
{
    struct kv_overlay o;

    kv_overlay_init(&o, NULL, 1);
    put_node(&o, "/a");
    put_node(&o, "/a/y");
    put_node(&o, "/a/x");
    put_node(&o, "/a/x/below");
    put_node(&o, "/ab");
    buf_clear(&other);
    OK(node_child_next(&o.view, BYTES_LIT("/a"), buf_bytes(&other), KV_FORWARD, &other));
    OK(bytes_equal(buf_bytes(&other), BYTES_LIT("x")));
    OK(node_child_next(&o.view, BYTES_LIT("/a"), buf_bytes(&other), KV_FORWARD, &other));
    OK(bytes_equal(buf_bytes(&other), BYTES_LIT("y")));
    OK(!node_child_next(&o.view, BYTES_LIT("/a"), BYTES_LIT("y"), KV_FORWARD, &other));
    OK(node_child_next(&o.view, BYTES_LIT("/a"), BYTES_LIT(""), KV_BACKWARD, &other));
    OK(bytes_equal(buf_bytes(&other), BYTES_LIT("y")));
    OK(!node_child_next(&o.view, BYTES_LIT("/a"), BYTES_LIT("x"), KV_BACKWARD, &other));
    kv_overlay_fini(&o);
}

static void a_node_is_not_found_by_what_is_no_path(void)
{
    struct kv_overlay o;
    struct node n;

    kv_overlay_init(&o, NULL, 1);
    put_node(&o, "/");
    put_node(&o, "/a");
    OK(node_read(&o.view, BYTES_LIT("/a"), &n));
    OK(!node_read(&o.view, BYTES_LIT("//a"), &n));
    OK(!node_read(&o.view, BYTES_LIT("a"), &n));
    OK(!node_read(&o.view, BYTES_LIT(""), &n));
    OK(!node_child_next(&o.view, BYTES_LIT(""), BYTES_LIT(""), KV_FORWARD, &other));
    kv_overlay_fini(&o);
}

static const struct op ops[] = {
    { .kind = OP_CREATE, .path = { (const uint8_t *) "/a", 2 }, .owner = UINT64_MAX },
    { .kind = OP_SET,
      .path = { (const uint8_t *) "/a", 2 },
      .data = { (const uint8_t *) "", 0 } },
    { .kind = OP_DELETE, .path = { (const uint8_t *) "/a/b", 4 } },
    { .kind = OP_SESSION_OPEN,
      .owner = 5,
      .timeout_ms = 10000,
      .data = { (const uint8_t *) "0123456789abcdef", SESSION_SECRET_BYTES } },
    { .kind = OP_SESSION_CLOSE, .owner = 300 },
    { .kind = OP_SESSION_END, .owner = 300 },
    { .kind = OP_TOUCH, .path = { (const uint8_t *) "/a/b", 4 } },
    { .kind = OP_QUOTA,
      .path = { (const uint8_t *) "/", 1 },
      .nodes_max = 1,
      .bytes_max = UINT64_MAX,
      .nodes = 3,
      .bytes = 4 },
    { .kind = OP_CREATE, .path = { (const uint8_t *) "/c", 2 }, .life = NODE_CONTAINER },
    { .kind = OP_CREATE,
      .path = { (const uint8_t *) "/t", 2 },
      .life = NODE_TTL,
      .life_ms = UINT64_MAX },
    { .kind = OP_CREATE,
      .path = { (const uint8_t *) "/l", 2 },
      .owner = 7,
      .life = NODE_LINGERS,
      .life_ms = 1 },
};

enum { OPS = sizeof ops / sizeof *ops };

static bool op_equal(const struct op *a, const struct op *b)
{
    if (a->kind != b->kind || !bytes_equal(a->path, b->path)) return false;
    if (!bytes_equal(a->data, b->data)) return false;
    if ((a->data.ptr == NULL) != (b->data.ptr == NULL)) return false;
    if (a->life != b->life || a->life_ms != b->life_ms) return false;
    if (a->nodes_max != b->nodes_max || a->bytes_max != b->bytes_max) return false;
    if (a->nodes != b->nodes || a->bytes != b->bytes) return false;
    return a->owner == b->owner && a->timeout_ms == b->timeout_ms;
}

static void ops_are_read_back_as_they_were_written(void)
{
    struct reader r;
    struct op op;

    buf_clear(&cell);
    for (int i = 0; i < OPS; i++) op_encode(&cell, &ops[i]);
    r = reader_of(buf_bytes(&cell));
    for (int i = 0; i < OPS; i++) {
        IS(op_decode(&r, &op), 0);
        OK(op_equal(&op, &ops[i]));
    }
    OK(reader_done(&r));
}

static void an_op_cut_short_is_none(void)
{
    for (int i = 0; i < OPS; i++) {
        buf_clear(&cell);
        op_encode(&cell, &ops[i]);
        for (size_t len = 0; len < cell.len; len++) {
            struct reader r = reader_of(bytes_of(cell.ptr, len));
            struct op op;

            IS(op_decode(&r, &op), ERR_BAD_MESSAGE);
        }
    }
}

static int decode(struct bytes bytes)
{
    struct reader r = reader_of(bytes);
    struct op op;

    return op_decode(&r, &op);
}

static void an_op_of_no_kind_or_no_path_is_none(void)
{
    IS(decode(BYTES_LIT("\0\2/")), ERR_BAD_MESSAGE);
    IS(decode(BYTES_LIT("\12\2/")), ERR_BAD_MESSAGE);
    IS(decode(BYTES_LIT("\7\2/")), 0);
    IS(decode(BYTES_LIT("\3\3/a")), 0);
    IS(decode(BYTES_LIT("\3\3a/")), ERR_BAD_MESSAGE);
    IS(decode(BYTES_LIT("\3\0")), ERR_BAD_MESSAGE);
    IS(decode(BYTES_LIT("\4\5\1\3ab")), ERR_BAD_MESSAGE); /* a secret of two bytes */
}

static void every_op_has_a_name(void)
{
    for (int i = 0; i < OPS; i++) OK(strcmp(op_name(ops[i].kind), "unknown") != 0);
}

int main(void)
{
    TEST(a_cell_gives_back_the_node);
    TEST(null_data_is_not_empty_data);
    TEST(a_cell_cut_short_is_damaged);
    TEST(a_cell_of_another_format_is_named_so);
    TEST(a_cell_with_unknown_flags_is_damaged);
    TEST(a_life_comes_back_and_a_plain_node_keeps_its_first_format);
    TEST(a_life_that_does_not_fit_its_node_is_damaged);
    TEST(the_stat_counts_creates_twice_less_the_children);
    TEST(children_have_neighbouring_keys);
    TEST(an_owner_key_sorts_by_owner_and_holds_the_path);
    TEST(children_are_walked_in_byte_order_both_ways);
    TEST(a_node_is_not_found_by_what_is_no_path);
    TEST(ops_are_read_back_as_they_were_written);
    TEST(an_op_cut_short_is_none);
    TEST(an_op_of_no_kind_or_no_path_is_none);
    TEST(every_op_has_a_name);
    buf_fini(&cell);
    buf_fini(&key);
    buf_fini(&other);
    return tap_done();
}
