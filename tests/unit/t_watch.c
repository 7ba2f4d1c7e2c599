/* t_watch.c -- the table of watches: W1..W4.
 *
 * Method: events are given as one would read them, and what is fired is written down as
 * text, "owner: id kind path". The storm compares a busy table with a plain list.
 * Replay: SEED=<n> ./t_watch */
#include <stdarg.h>
#include <stdlib.h>

#include "core/base/rng.h"
#include "core/watch/watch.h"
#include "tests/lib/tap.h"

static struct watch_table table;
static struct changes changes; /* of the transaction at hand */
static char told[4096];
static uint64_t zxid = 100;

static void put(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void put(const char *format, ...)
{
    const size_t at = strlen(told);
    va_list args;

    va_start(args, format);
    vsnprintf(told + at, sizeof told - at, format, args);
    va_end(args);
}

static void note(void *ctx, uint64_t owner, uint64_t z, const struct changes *c,
                 const struct watch_firing *f, size_t count)
{
    (void) ctx;
    IS(z, zxid);
    put("%" PRIu64 ":", owner);
    for (size_t i = 0; i < count; i++) {
        const struct event *e = changes_at(c, f[i].event);

        put(" %" PRIu64 " %s %.*s", f[i].id, event_name(e->kind), (int) e->path.len,
            (const char *) e->path.ptr);
        if (!f[i].value || e->data.ptr == NULL) continue;
        put("=%.*s", (int) e->data.len, (const char *) e->data.ptr);
    }
    put("; ");
}

static void event(enum event_kind kind, const char *path, const char *data)
{
    changes_add(&changes,
                &(struct event){ kind, bytes_str(path),
                                 data == NULL ? (struct bytes){ 0 } : bytes_str(data) });
}

static const char *fire(bool replay)
{
    told[0] = '\0';
    watch_fire(&table, &changes, zxid, replay, note, NULL);
    watch_table_check(&table);
    changes_clear(&changes);
    zxid++;
    return told;
}

static const char *deliver(void)
{
    return fire(false);
}

static bool add(uint64_t owner, uint64_t id, const char *path, unsigned what, bool once)
{
    return watch_add(&table, &(struct watch_spec){ .owner = owner,
                                                   .id = id,
                                                   .path = bytes_str(path),
                                                   .what = what,
                                                   .once = once,
                                                   .value = true });
}

static void begin(void)
{
    watch_table_init(&table, 7);
    changes_init(&changes, 7);
}

static void end(void)
{
    watch_table_fini(&table);
    changes_fini(&changes);
}

static void a_watch_hears_of_its_path_alone(void)
{
    begin();
    OK(add(1, 10, "/a", WATCH_DATA, false));
    event(EVENT_CHANGED, "/a/b", "x");
    event(EVENT_CHANGED, "/", "x");
    event(EVENT_CHILDREN, "/a", NULL);
    STR(deliver(), "");
    event(EVENT_CREATED, "/a", "x");
    STR(deliver(), "1: 10 created /a=x; ");
    event(EVENT_CHANGED, "/a", "y");
    STR(deliver(), "1: 10 changed /a=y; ");
    event(EVENT_DELETED, "/a", NULL);
    STR(deliver(), "1: 10 deleted /a; ");
    end();
}

static void a_watch_of_children_hears_of_them_and_of_the_nodes_end(void)
{
    begin();
    OK(add(1, 10, "/a", WATCH_CHILDREN, false));
    event(EVENT_CREATED, "/a", "x");
    event(EVENT_CHANGED, "/a", "y");
    STR(deliver(), "");
    event(EVENT_CHILDREN, "/a", NULL);
    event(EVENT_CHILDREN, "/a", NULL);
    STR(deliver(), "1: 10 children /a; ");
    event(EVENT_DELETED, "/a", NULL);
    STR(deliver(), "1: 10 deleted /a; ");
    end();
}

static void a_tree_hears_of_its_path_and_of_all_below_it(void)
{
    begin();
    OK(add(1, 1, "/a", WATCH_TREE, false));
    OK(add(2, 2, "/", WATCH_TREE, false));
    OK(add(3, 3, "/a/b/c", WATCH_TREE, false));
    OK(add(4, 4, "/a", WATCH_DATA, false));
    event(EVENT_CREATED, "/a/b/c", "x");
    event(EVENT_CHILDREN, "/a/b", NULL);
    STR(deliver(), "2: 2 created /a/b/c=x; 1: 1 created /a/b/c=x; 3: 3 created /a/b/c=x; ");
    event(EVENT_CHANGED, "/a", "y");
    STR(deliver(), "4: 4 changed /a=y; 2: 2 changed /a=y; 1: 1 changed /a=y; ");
    event(EVENT_DELETED, "/ab", NULL); /* not below /a */
    STR(deliver(), "2: 2 deleted /ab; ");
    event(EVENT_CHANGED, "/", "z");
    STR(deliver(), "2: 2 changed /=z; ");
    watch_remove(&table, 2, 2);
    event(EVENT_CHANGED, "/", "z");
    STR(deliver(), "");
    end();
}

static void a_tree_armed_once_hears_of_one_event(void)
{
    begin();
    OK(add(1, 1, "/a", WATCH_TREE, true));
    event(EVENT_CREATED, "/a/b", "x");
    event(EVENT_CREATED, "/a/c", "y");
    STR(deliver(), "1: 1 created /a/b=x; ");
    IS(watch_count(&table), 0);
    end();
}

static bool add_to(struct watch_run *run, uint64_t owner, uint64_t id)
{
    return watch_add(&table, &(struct watch_spec){ .owner = owner,
                                                   .id = id,
                                                   .path = BYTES_LIT("/a"),
                                                   .what = WATCH_TREE,
                                                   .run = run });
}

static void a_run_hears_of_the_log_when_it_is_at_hand_and_lives_when_let_go(void)
{
    struct watch_run *run = watch_run_new();

    begin();
    OK(add_to(run, 1, 1));
    OK(add_to(NULL, 1, 2));
    event(EVENT_CHANGED, "/a", NULL);
    STR(fire(false), "1: 2 changed /a; ");
    event(EVENT_CHANGED, "/a", NULL);
    STR(fire(true), "");
    run->now = true;
    event(EVENT_CHANGED, "/a", NULL);
    STR(fire(true), "1: 1 changed /a; ");
    watch_run_let_go(run); /* it goes with its last watch */
    event(EVENT_CHANGED, "/a", NULL);
    STR(fire(false), "1: 1 changed /a 2 changed /a; ");
    event(EVENT_CHANGED, "/a", NULL);
    STR(fire(true), "");
    end();
}

static void a_dropped_run_takes_its_watches_and_no_others(void)
{
    struct watch_run *run = watch_run_new();

    begin();
    OK(add_to(NULL, 1, 1));
    OK(add_to(run, 1, 2));
    OK(add_to(NULL, 1, 3));
    OK(add_to(run, 1, 4));
    watch_run_drop(&table, 1, run);
    watch_run_let_go(run);
    event(EVENT_CHANGED, "/a", NULL);
    STR(deliver(), "1: 1 changed /a 3 changed /a; ");
    end();
}

static void a_walk_hears_of_what_it_has_passed(void)
{
    struct watch_run *run = watch_run_new();
    struct walk walk;

    begin();
    walk_init(&walk, BYTES_LIT("/a"), true);
    run->live = true;
    run->walk = &walk;
    OK(add_to(run, 1, 1));
    event(EVENT_CHANGED, "/a", NULL);
    STR(deliver(), "");
    buf_put_bytes_raw(&walk.passed, BYTES_LIT("/a/m"));
    event(EVENT_CHANGED, "/a", NULL);
    event(EVENT_CREATED, "/a/c", NULL);
    event(EVENT_DELETED, "/a/m", NULL);
    event(EVENT_CREATED, "/a/m/x", NULL);
    event(EVENT_CREATED, "/a/n", NULL);
    STR(deliver(), "1: 1 changed /a 1 created /a/c 1 deleted /a/m; ");
    watch_run_let_go(run);
    walk_fini(&walk);
    event(EVENT_CREATED, "/a/o", NULL);
    STR(deliver(), "1: 1 created /a/o; ");
    end();
}

static void armed_once_it_fires_for_one_transaction_and_has_gone(void)
{
    begin();
    OK(add(1, 10, "/a", WATCH_DATA | WATCH_CHILDREN, true));
    event(EVENT_CHANGED, "/a", "1");
    event(EVENT_CHILDREN, "/a", NULL);
    event(EVENT_DELETED, "/a", NULL);
    STR(deliver(), "1: 10 changed /a=1; ");
    event(EVENT_CREATED, "/a", "3");
    STR(deliver(), "");
    IS(watch_count(&table), 0);
    OK(add(1, 10, "/a", WATCH_DATA, true)); /* its id is free */
    end();
}

static void owners_come_by_their_first_event_watches_by_arming(void)
{
    begin();
    OK(add(2, 1, "/a", WATCH_DATA, false));
    OK(add(1, 1, "/b", WATCH_DATA, false));
    OK(add(1, 2, "/a", WATCH_DATA, true));
    OK(add(2, 9, "/a", WATCH_DATA, false));
    event(EVENT_CHANGED, "/b", "x");
    event(EVENT_CHANGED, "/a", "y");
    STR(deliver(), "1: 1 changed /b=x 2 changed /a=y; 2: 1 changed /a=y 9 changed /a=y; ");
    end();
}

static void an_id_is_armed_once_per_owner(void)
{
    begin();
    OK(add(1, 10, "/a", WATCH_DATA, false));
    OK(!add(1, 10, "/b", WATCH_DATA, false));
    OK(add(2, 10, "/b", WATCH_DATA, false));
    IS(watch_count_of(&table, 1), 1);
    watch_remove(&table, 1, 10);
    watch_remove(&table, 1, 10);
    OK(!watch_armed(&table, 1, 10));
    OK(watch_armed(&table, 2, 10));
    event(EVENT_CHANGED, "/a", "x");
    STR(deliver(), "");
    end();
}

static void a_dropped_owner_hears_nothing(void)
{
    begin();
    for (uint64_t id = 1; id <= 100; id++) OK(add(1 + id % 2, id, "/a", WATCH_DATA, false));
    watch_drop(&table, 1);
    watch_drop(&table, 5);
    IS(watch_count(&table), 50);
    watch_drop(&table, 2);
    event(EVENT_CHANGED, "/a", "x");
    STR(deliver(), "");
    end();
}

static void what_the_owner_has_seen_is_not_fired(void)
{
    begin();
    OK(watch_add(&table, &(struct watch_spec){ .owner = 1, .id = 1, .path = BYTES_LIT("/a"),
                                               .what = WATCH_DATA, .since = zxid }));
    event(EVENT_CHANGED, "/a", "x");
    STR(deliver(), "");
    event(EVENT_CHANGED, "/a", "x");
    STR(deliver(), "1: 1 changed /a; ");
    end();
}

static void drop_others(void *ctx, uint64_t owner, uint64_t z, const struct changes *c,
                        const struct watch_firing *f, size_t count)
{
    watch_drop(&table, 3 - owner); /* also one whose turn comes next */
    note(ctx, owner, z, c, f, count);
}

static void watches_may_be_dropped_while_others_are_told(void)
{
    begin();
    OK(add(1, 1, "/a", WATCH_DATA, true));
    OK(add(2, 2, "/a", WATCH_DATA, false));
    event(EVENT_CHANGED, "/a", NULL);
    told[0] = '\0';
    watch_fire(&table, &changes, zxid, false, drop_others, NULL);
    STR(told, "1: 1 changed /a; 2: 2 changed /a; ");
    IS(watch_count(&table), 0);
    end();
}

/* --- the storm --- */

enum { OWNERS = 4, IDS = 30, PATHS = 12, STEPS = 20000 };

struct model {
    bool armed, once;
    unsigned what;
    int path;
};

static struct model model[OWNERS][IDS];
static int fired[OWNERS][IDS], wrong;

static void model_note(void *ctx, uint64_t owner, uint64_t z, const struct changes *c,
                       const struct watch_firing *f, size_t count)
{
    (void) ctx, (void) z, (void) c;
    for (size_t i = 0; i < count; i++) fired[owner][f[i].id]++;
}

/* Path 0 is /0, path 10 and above are below /1. */
static void path_text(char text[12], int path)
{
    snprintf(text, 12, path < 10 ? "/%d" : "/1/%d", path);
}

static bool model_concerns(const struct model *m, enum event_kind kind, int path)
{
    if (m->what == WATCH_TREE && kind != EVENT_CHILDREN) {
        return m->path == path || (m->path == 1 && path >= 10);
    }
    return m->path == path &&
           (m->what & (kind == EVENT_CHILDREN ? WATCH_CHILDREN : WATCH_DATA)) != 0;
}

static void model_event(enum event_kind kind, int path)
{
    char text[12];

    path_text(text, path);
    memset(fired, 0, sizeof fired);
    changes_clear(&changes);
    event(kind, text, NULL);
    watch_fire(&table, &changes, zxid++, false, model_note, NULL);
    for (int o = 0; o < OWNERS; o++) {
        for (int i = 0; i < IDS; i++) {
            struct model *m = &model[o][i];
            const bool want = m->armed && model_concerns(m, kind, path);

            wrong += fired[o][i] != want;
            if (want && m->once) m->armed = false;
        }
    }
}

static void model_arm(struct rng *rng, uint64_t owner, uint64_t id)
{
    struct model *m = &model[owner][id];
    const struct model wish = { true, rng_below(rng, 2) == 1,
                                1 + (unsigned) rng_below(rng, 4),
                                (int) rng_below(rng, PATHS) };
    char text[12];

    path_text(text, wish.path);
    wrong += add(owner, id, text, wish.what, wish.once) == m->armed;
    if (!m->armed) *m = wish;
}

static void a_busy_table_fires_as_a_plain_list_would(void)
{
    const char *seed = getenv("SEED");
    struct rng rng;

    printf("# SEED=%s\n", seed == NULL ? "1" : seed);
    rng_init(&rng, seed == NULL ? 1 : strtoull(seed, NULL, 10));
    begin();
    for (int step = 0; step < STEPS; step++) {
        const uint64_t owner = rng_below(&rng, OWNERS), id = rng_below(&rng, IDS);
        const uint64_t dice = rng_below(&rng, 100);

        if (dice < 50) {
            model_arm(&rng, owner, id);
        } else if (dice < 60) {
            watch_remove(&table, owner, id);
            model[owner][id].armed = false;
        } else if (dice < 61) {
            watch_drop(&table, owner);
            memset(model[owner], 0, sizeof model[owner]);
        } else {
            model_event(dice < 80 ? EVENT_CHANGED : EVENT_CHILDREN,
                        (int) rng_below(&rng, PATHS));
        }
        if (step % 100 == 0) watch_table_check(&table);
    }
    IS(wrong, 0);
    end();
}

int main(void)
{
    TEST(a_watch_hears_of_its_path_alone);
    TEST(a_watch_of_children_hears_of_them_and_of_the_nodes_end);
    TEST(a_tree_hears_of_its_path_and_of_all_below_it);
    TEST(a_tree_armed_once_hears_of_one_event);
    TEST(a_run_hears_of_the_log_when_it_is_at_hand_and_lives_when_let_go);
    TEST(a_dropped_run_takes_its_watches_and_no_others);
    TEST(a_walk_hears_of_what_it_has_passed);
    TEST(armed_once_it_fires_for_one_transaction_and_has_gone);
    TEST(owners_come_by_their_first_event_watches_by_arming);
    TEST(an_id_is_armed_once_per_owner);
    TEST(a_dropped_owner_hears_nothing);
    TEST(what_the_owner_has_seen_is_not_fired);
    TEST(watches_may_be_dropped_while_others_are_told);
    TEST(a_busy_table_fires_as_a_plain_list_would);
    return tap_done();
}
