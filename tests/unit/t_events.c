/* t_events.c -- what ops mean to those who watch. Method: ops are encoded as in the log,
 * and the events are written down as one line of text. */
#include "core/tree/op.h"
#include "core/watch/events.h"
#include "tests/lib/tap.h"

static char told[1024];

static void note(void *ctx, const struct event *e)
{
    size_t at = strlen(told);

    (void) ctx;
    snprintf(told + at, sizeof told - at, "%s %.*s", event_name(e->kind), (int) e->path.len,
             (const char *) e->path.ptr);
    at = strlen(told);
    if (e->data.ptr != NULL) {
        snprintf(told + at, sizeof told - at, "=%.*s", (int) e->data.len,
                 (const char *) e->data.ptr);
    }
    snprintf(told + strlen(told), sizeof told - strlen(told), ", ");
}

static void tell(const struct op *ops, size_t count)
{
    struct buf b = { 0 };

    for (size_t i = 0; i < count; i++) op_encode(&b, &ops[i]);
    told[0] = '\0';
    events_each(buf_bytes(&b), note, NULL);
    buf_fini(&b);
}

static void a_create_is_told_to_the_node_then_to_its_parent(void)
{
    const struct op op = { .kind = OP_CREATE,
                           .path = BYTES_LIT("/a/b"),
                           .data = BYTES_LIT("x") };

    tell(&op, 1);
    STR(told, "created /a/b=x, children /a, ");
}

static void the_parent_of_a_top_node_is_the_root(void)
{
    tell(&(struct op){ .kind = OP_DELETE, .path = BYTES_LIT("/a") }, 1);
    STR(told, "deleted /a, children /, ");
}

static void a_set_is_told_to_the_node_alone(void)
{
    tell(&(struct op){ .kind = OP_SET, .path = BYTES_LIT("/a"), .data = { NULL, 0 } }, 1);
    STR(told, "changed /a, ");
}

static void events_come_in_the_order_of_ops_and_sessions_give_none(void)
{
    const struct op ops[] = {
        { .kind = OP_SESSION_OPEN, .data = BYTES_LIT("0123456789abcdef"), .owner = 1,
          .timeout_ms = 1000 },
        { .kind = OP_DELETE, .path = BYTES_LIT("/e/1") },
        { .kind = OP_DELETE, .path = BYTES_LIT("/e/2") },
        { .kind = OP_SESSION_CLOSE, .owner = 1 },
    };

    tell(ops, sizeof ops / sizeof ops[0]);
    STR(told, "deleted /e/1, children /e, deleted /e/2, children /e, ");
}

static void no_ops_are_no_events(void)
{
    tell(NULL, 0);
    STR(told, "");
}

int main(void)
{
    TEST(a_create_is_told_to_the_node_then_to_its_parent);
    TEST(the_parent_of_a_top_node_is_the_root);
    TEST(a_set_is_told_to_the_node_alone);
    TEST(events_come_in_the_order_of_ops_and_sessions_give_none);
    TEST(no_ops_are_no_events);
    return tap_done();
}
