/* t_gaps.c -- what an overlay remembers of its seeks: each deletion is passed once, and an
 * answer is always the one that a walk over all keys gives.
 *
 * Method: a view below that counts how often it is asked; then a seeded storm on the three
 * layers of a server's state (applied, being written, written) beside an array that holds
 * the same keys. Replay a failing storm with: SEED=<n> ./t_gaps */
#include <stdlib.h>

#include "core/base/rng.h"
#include "core/kv/gaps.h"
#include "tests/lib/tap.h"

static uint64_t seed;

/* -- A view that counts -- */

static struct kv_overlay written, top;
static unsigned asked;

static bool counting_get(struct kv_view *v, struct bytes key, uint64_t hash,
                         struct bytes *value)
{
    (void)v;
    return written.view.get(&written.view, key, hash, value);
}

static bool counting_seek(struct kv_view *v, struct bytes prefix, struct bytes from,
                          enum kv_direction direction, struct buf *key)
{
    (void)v;
    asked++;
    return kv_seek(&written.view, prefix, from, direction, key);
}

static struct kv_view counting;

static void begin(void)
{
    kv_overlay_init(&written, NULL, seed);
    counting = (struct kv_view){ seed, counting_get, counting_seek };
    kv_overlay_init(&top, &counting, seed);
    top.settled = true;
    kv_overlay_remember(&top);
}

static void end(void)
{
    kv_overlay_fini(&top);
    kv_overlay_fini(&written);
}

#define CHILDREN "n/queue\0"

static struct bytes child(int number)
{
    static char room[2][32];
    static int turn;
    char *key = room[turn ^= 1];

    memcpy(key, CHILDREN, sizeof CHILDREN - 1);
    snprintf(key + sizeof CHILDREN - 1, sizeof room[0] - sizeof CHILDREN, "%04d", number);
    return bytes_of(key, sizeof CHILDREN - 1 + 4);
}

static void put(struct kv_overlay *o, int number)
{
    kv_put(o, child(number), BYTES_LIT("v"), 0);
}

/* The number of the child found, -1: none. */
static int number_of(bool found, const struct buf *key)
{
    const size_t at = sizeof CHILDREN - 1;

    return found ? ((key->ptr[at] - '0') * 10 + key->ptr[at + 1] - '0') * 100 +
                       (key->ptr[at + 2] - '0') * 10 + key->ptr[at + 3] - '0'
                 : -1;
}

static int first(void)
{
    struct buf key = { 0 };
    bool found =
        kv_seek(&top.view, BYTES_LIT(CHILDREN), BYTES_LIT(CHILDREN), KV_FORWARD, &key);
    int number = number_of(found, &key);

    buf_fini(&key);
    return number;
}

static int last(void)
{
    struct buf key = { 0 };
    bool found = kv_last(&top.view, BYTES_LIT(CHILDREN), &key);
    int number = number_of(found, &key);

    buf_fini(&key);
    return number;
}

static int before(int number)
{
    struct buf key = { 0 };
    bool found = kv_seek(&top.view, BYTES_LIT(CHILDREN), child(number), KV_BACKWARD, &key);
    int got = number_of(found, &key);

    buf_fini(&key);
    return got;
}

static void a_queue_passes_what_was_taken_once(void)
{
    enum { COUNT = 1000 };

    begin();
    for (int i = 0; i < COUNT; i++)
        put(&written, i);
    asked = 0;
    for (int i = 0; i < COUNT; i++) {
        if (first() != i) OK(false);
        kv_delete(&top, child(i), 0);
    }
    IS(first(), -1);
    OK(asked <= 3 * COUNT);
    end();
}

static void an_answer_that_did_not_change_asks_nobody(void)
{
    begin();
    put(&written, 5);
    IS(first(), 5);
    IS(last(), 5);
    asked = 0;
    IS(first(), 5);
    IS(last(), 5);
    IS(before(5), -1);
    IS(asked, 0);
    end();
}

static void an_empty_directory_is_asked_for_once(void)
{
    begin();
    IS(first(), -1);
    asked = 0;
    IS(first(), -1);
    IS(last(), -1);
    IS(before(7), -1);
    IS(asked, 0);
    end();
}

static void what_is_put_into_a_gap_is_found(void)
{
    begin();
    IS(first(), -1);
    put(&top, 5);
    IS(first(), 5);
    IS(last(), 5);
    put(&top, 3);
    IS(first(), 3);
    put(&top, 7);
    IS(last(), 7);
    IS(before(7), 5);
    put(&top, 6);
    IS(before(7), 6);
    end();
}

static void what_was_deleted_and_put_again_is_found(void)
{
    begin();
    put(&written, 5);
    put(&written, 6);
    IS(first(), 5);
    kv_delete(&top, child(5), 0);
    IS(first(), 6);
    put(&top, 5);
    IS(first(), 5);
    kv_delete(&top, child(5), 0);
    kv_delete(&top, child(6), 0);
    IS(first(), -1);
    IS(last(), -1);
    put(&top, 6);
    IS(first(), 6);
    end();
}

static void what_is_moved_in_is_found(void)
{
    struct kv_overlay tx;

    begin();
    put(&written, 5);
    IS(first(), 5);
    kv_overlay_init(&tx, &top.view, seed + 1);
    put(&tx, 4);
    kv_delete(&tx, child(5), 0);
    kv_overlay_move(&tx, &top, 0);
    IS(first(), 4);
    IS(last(), 4);
    kv_overlay_fini(&tx);
    end();
}

static void a_view_that_goes_back_to_what_is_below_forgets(void)
{
    begin();
    put(&written, 5);
    kv_delete(&top, child(5), 0);
    IS(first(), -1);
    kv_overlay_clear(&top);
    IS(first(), 5);
    end();
}

static void what_is_forgotten_once_it_is_below_changes_nothing(void)
{
    begin();
    put(&written, 5);
    put(&written, 6);
    kv_delete(&top, child(5), 0);
    IS(first(), 6);
    kv_delete(&written, child(5), 0);
    kv_overlay_forget(&top, 0);
    asked = 0;
    IS(first(), 6);
    IS(asked, 0);
    end();
}

static void a_walk_of_the_whole_state_is_not_remembered(void)
{
    struct buf key = { 0 };

    begin();
    put(&written, 5);
    OK(kv_seek(&top.view, BYTES_LIT("n"), BYTES_LIT("n"), KV_FORWARD, &key));
    kv_put(&top, BYTES_LIT("n/a\0b"), BYTES_LIT("v"), 0);
    OK(kv_seek(&top.view, BYTES_LIT("n"), BYTES_LIT("n"), KV_FORWARD, &key));
    OK(bytes_equal(buf_bytes(&key), BYTES_LIT("n/a\0b")));
    buf_fini(&key);
    end();
}

/* -- The storm: pending on applied, on what is being written, on what is written -- */

enum { KEYS = 240, STEPS = 60000, OPEN_MAX = 64 };

static struct rng rng;
static struct kv_overlay pending, applied, frozen, base;
static bool there[KEYS];

/* In key order: 'e' cells, the children of four nodes, the first of each with an empty
 * name, and 't' cells. */
static struct bytes storm_key(size_t index, char room[8])
{
    size_t family = index / 40, number = index % 40;

    if (family < 1) return bytes_of(room, (size_t)snprintf(room, 8, "e%02zu", number));
    if (family > 4) return bytes_of(room, (size_t)snprintf(room, 8, "t%02zu", number));
    snprintf(room, 8, "n/%c", (char)('a' + family));
    if (number == 0) return bytes_of(room, 4);
    return bytes_of(room, 4 + (size_t)snprintf(room + 4, 4, "%02zu", number));
}

static void change(struct kv_overlay *o, size_t index, bool was, bool is, uint64_t stamp)
{
    char room[8];
    struct bytes key = storm_key(index, room);

    if (!is)
        kv_delete(o, key, stamp);
    else if (was)
        kv_put(o, key, BYTES_LIT("w"), stamp);
    else
        kv_put_new(o, key, BYTES_LIT("v"), stamp);
}

/* Changes that only `pending` has, in their order. */
static struct {
    size_t index;
    bool was, is;
} open_changes[OPEN_MAX];
static size_t opened;

static void storm_change(uint64_t stamp)
{
    size_t index = rng_below(&rng, KEYS);

    open_changes[opened].index = index;
    open_changes[opened].was = there[index];
    there[index] = rng_below(&rng, 3) == 0;
    open_changes[opened].is = there[index];
    change(&pending, index, open_changes[opened].was, there[index], stamp);
    opened++;
}

/* As core/machine does it: applied below, then forgotten. */
static void storm_apply(uint64_t stamp)
{
    for (size_t i = 0; i < opened; i++) {
        change(&applied, open_changes[i].index, open_changes[i].was, open_changes[i].is, 0);
    }
    opened = 0;
    kv_overlay_forget(&pending, stamp);
}

/* As core/state does it: frozen, written below, let go. */
static void storm_flush(void)
{
    struct kv_overlay spent;

    if (frozen.count == 0) {
        kv_overlay_hand(&applied, &frozen);
        return;
    }
    const struct list *at = NULL;
    struct kv_change c;
    while (kv_overlay_step(&frozen, &at, &c)) {
        if (c.value.ptr == NULL)
            kv_delete(&base, c.key, 0);
        else
            kv_put(&base, c.key, c.value, 0);
    }
    kv_overlay_init(&spent, NULL, seed);
    kv_overlay_hand(&frozen, &spent);
    kv_overlay_fini(&spent);
}

static struct bytes storm_prefix(struct bytes key)
{
    static const size_t node = 4;

    switch (rng_below(&rng, 4)) {
    case 0:
        return bytes_of(key.ptr, rng_below(&rng, key.len + 1));
    default:
        return bytes_of(key.ptr, key.ptr[0] == 'n' ? node : 1);
    }
}

static bool same_seek(enum kv_direction way)
{
    char room[8], other[8];
    size_t at = rng_below(&rng, KEYS);
    struct bytes from = storm_key(at, room), prefix = storm_prefix(from);
    struct buf key = { 0 };
    bool want = false, end = false;

    while (!want && !end) {
        end = at == (way == KV_FORWARD ? (size_t)KEYS - 1 : 0);
        if (end) break;
        at = way == KV_FORWARD ? at + 1 : at - 1;
        struct bytes next = storm_key(at, other);
        end = next.len < prefix.len || !bytes_equal(bytes_of(next.ptr, prefix.len), prefix);
        want = !end && there[at];
    }
    bool got = kv_seek(&pending.view, prefix, from, way, &key);
    bool same = got == want && (!got || bytes_equal(buf_bytes(&key), storm_key(at, other)));
    buf_fini(&key);
    return same;
}

static bool same_edges(void)
{
    char room[8], other[8];
    struct bytes prefix = storm_prefix(storm_key(rng_below(&rng, KEYS), room));
    struct buf key = { 0 };
    size_t first_at = KEYS, last_at = KEYS;

    for (size_t i = 0; i < KEYS; i++) {
        struct bytes k = storm_key(i, other);

        if (!there[i] || k.len < prefix.len) continue;
        if (!bytes_equal(bytes_of(k.ptr, prefix.len), prefix)) continue;
        if (first_at == KEYS) first_at = i;
        last_at = i;
    }
    bool same = kv_first(&pending.view, prefix, &key) == (first_at < KEYS);
    if (first_at < KEYS) same &= bytes_equal(buf_bytes(&key), storm_key(first_at, other));
    same &= kv_last(&pending.view, prefix, &key) == (last_at < KEYS);
    if (last_at < KEYS) same &= bytes_equal(buf_bytes(&key), storm_key(last_at, other));
    buf_fini(&key);
    return same;
}

static void a_storm_agrees_with_a_walk_over_all_keys(void)
{
    long wrong = 0;

    rng_init(&rng, seed);
    kv_overlay_init(&base, NULL, seed);
    kv_overlay_init(&frozen, &base.view, seed);
    kv_overlay_init(&applied, &frozen.view, seed);
    applied.settled = true;
    kv_overlay_init(&pending, &applied.view, seed);
    kv_overlay_remember(&frozen);
    kv_overlay_remember(&applied);
    kv_overlay_remember(&pending);
    for (uint64_t step = 1; step <= STEPS; step++) {
        if (rng_below(&rng, 200) == 0)
            storm_flush();
        else if (opened == OPEN_MAX || rng_below(&rng, 40) == 0)
            storm_apply(step);
        else
            storm_change(step);
        if (!same_seek(KV_FORWARD) || !same_seek(KV_BACKWARD) || !same_edges()) wrong++;
        if (step % 16 == 0) kv_overlay_check(&pending);
        if (step % 16 == 8) kv_overlay_check(&applied);
    }
    IS(wrong, 0);
    kv_overlay_fini(&pending);
    kv_overlay_fini(&applied);
    kv_overlay_fini(&frozen);
    kv_overlay_fini(&base);
}

int main(void)
{
    const char *given = getenv("SEED");

    seed = given != NULL ? strtoull(given, NULL, 10) : 1;
    printf("# SEED=%" PRIu64 "\n", seed);
    TEST(a_queue_passes_what_was_taken_once);
    TEST(an_answer_that_did_not_change_asks_nobody);
    TEST(an_empty_directory_is_asked_for_once);
    TEST(what_is_put_into_a_gap_is_found);
    TEST(what_was_deleted_and_put_again_is_found);
    TEST(what_is_moved_in_is_found);
    TEST(a_view_that_goes_back_to_what_is_below_forgets);
    TEST(what_is_forgotten_once_it_is_below_changes_nothing);
    TEST(a_walk_of_the_whole_state_is_not_remembered);
    TEST(a_storm_agrees_with_a_walk_over_all_keys);
    return tap_done();
}
