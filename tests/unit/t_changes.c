/* t_changes.c -- what a transaction adds up to. Method: events by hand, the result as text;
 * many events are compared with a plain search. */
#include "core/watch/changes.h"
#include "tests/lib/tap.h"

static struct changes changes;

static void event(enum event_kind kind, const char *path, const char *data)
{
    changes_add(&changes,
                &(struct event){ kind, bytes_str(path),
                                 data == NULL ? (struct bytes){ 0 } : bytes_str(data) });
}

static const char *text(void)
{
    static char told[1024];

    told[0] = '\0';
    for (size_t i = 0; i < changes_count(&changes); i++) {
        const struct event *e = changes_at(&changes, i);
        const size_t at = strlen(told);

        snprintf(told + at, sizeof told - at, "%s %.*s=%.*s; ", event_name(e->kind),
                 (int) e->path.len, (const char *) e->path.ptr, (int) e->data.len,
                 (const char *) e->data.ptr);
    }
    changes_clear(&changes);
    return told;
}

static void a_change_of_what_was_told_only_replaces_the_data(void)
{
    changes_init(&changes, 7);
    event(EVENT_CREATED, "/a", "1");
    event(EVENT_CHILDREN, "/", NULL);
    event(EVENT_CHANGED, "/a", "2");
    event(EVENT_CHANGED, "/b", "3");
    event(EVENT_CHANGED, "/b", "4");
    STR(text(), "created /a=2; children /=; changed /b=4; ");
    event(EVENT_CHANGED, "/a", "5"); /* nothing is left of the one before */
    STR(text(), "changed /a=5; ");
    changes_fini(&changes);
}

static void children_stand_once(void)
{
    changes_init(&changes, 7);
    event(EVENT_CHILDREN, "/a", NULL);
    event(EVENT_CHANGED, "/a", "1");
    event(EVENT_CHILDREN, "/a", NULL);
    STR(text(), "children /a=; changed /a=1; ");
    changes_fini(&changes);
}

static void what_is_deleted_and_created_again_is_told_of_in_full(void)
{
    changes_init(&changes, 7);
    event(EVENT_CHANGED, "/a", "1");
    event(EVENT_DELETED, "/a", NULL);
    event(EVENT_CREATED, "/a", "2");
    event(EVENT_CHANGED, "/a", "3");
    STR(text(), "changed /a=1; deleted /a=; created /a=3; ");
    changes_fini(&changes);
}

static void many_events_add_up_as_few_do(void)
{
    static char paths[1000][8];
    size_t i = 0;

    changes_init(&changes, 7);
    for (; i < 1000; i++) {
        snprintf(paths[i], sizeof paths[i], "/%zu", i % 700);
        event(i < 700 ? EVENT_CREATED : EVENT_CHANGED, paths[i], i < 700 ? "x" : "y");
        event(EVENT_CHILDREN, paths[i], NULL);
    }
    IS(changes_count(&changes), 1400);
    for (i = 0; i < 1400; i += 2) {
        OK(bytes_equal(changes_at(&changes, i)->data, bytes_str(i < 600 ? "y" : "x")));
        IS(changes_at(&changes, i + 1)->kind, EVENT_CHILDREN);
    }
    changes_fini(&changes);
}

int main(void)
{
    TEST(a_change_of_what_was_told_only_replaces_the_data);
    TEST(children_stand_once);
    TEST(what_is_deleted_and_created_again_is_told_of_in_full);
    TEST(many_events_add_up_as_few_do);
    return tap_done();
}
