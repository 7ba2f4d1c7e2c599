/* t_kv.c -- what views and overlays answer, one rule a test.
 *
 * Method: hand-made changes for each rule, then a seeded storm of random changes on three
 * stacked overlays, beside naive sorted arrays that hold the same. Replay a failing storm
 * with: SEED=<n> ./t_kv */
#include <stdlib.h>

#include "core/base/rng.h"
#include "core/kv/kv.h"
#include "tests/lib/tap.h"

static uint64_t seed;
static struct kv_overlay low, high;
static struct buf found;

static void begin(void)
{
    kv_overlay_init(&low, NULL, seed);
    kv_overlay_init(&high, &low.view, seed + 1);
}

static void end(void)
{
    kv_overlay_fini(&high);
    kv_overlay_fini(&low);
}

static void fresh(void)
{
    end();
    begin();
}

static void put(struct kv_overlay *o, const char *key, const char *value)
{
    kv_put(o, bytes_str(key), bytes_str(value), 1);
}

static void put_stamped(const char *key, uint64_t stamp)
{
    kv_put(&high, bytes_str(key), BYTES_LIT("v"), stamp);
}

static void put_new(struct kv_overlay *o, const char *key, const char *value)
{
    kv_put_new(o, bytes_str(key), bytes_str(value), 1);
}

static void drop(struct kv_overlay *o, const char *key)
{
    kv_delete(o, bytes_str(key), 1);
}

/* The value as text, "-" when there is none. */
static const char *get(struct kv_overlay *o, const char *key)
{
    static char text[64];
    struct bytes value;

    if (!kv_get(&o->view, bytes_str(key), &value)) return "-";
    snprintf(text, sizeof text, "%.*s", (int) value.len, (const char *) value.ptr);
    return text;
}

static const char *found_text(bool any)
{
    if (!any) return "-";
    buf_put_u8(&found, 0);
    return (const char *) found.ptr;
}

static const char *after(const char *prefix, const char *from)
{
    return found_text(kv_seek(&high.view, bytes_str(prefix), bytes_str(from), KV_FORWARD,
                              &found));
}

static const char *before(const char *prefix, const char *from)
{
    return found_text(kv_seek(&high.view, bytes_str(prefix), bytes_str(from), KV_BACKWARD,
                              &found));
}

static void what_was_put_is_read_back(void)
{
    fresh();
    put(&low, "a", "1");
    STR(get(&low, "a"), "1");
    STR(get(&low, "b"), "-");
}

static void an_empty_value_is_a_value(void)
{
    struct bytes value = { 0 };

    fresh();
    kv_put(&low, BYTES_LIT("a"), (struct bytes){ 0 }, 1);
    OK(kv_get(&low.view, BYTES_LIT("a"), &value));
    OK(value.ptr != NULL);
    IS(value.len, 0);
}

static void a_later_put_replaces_whatever_its_size(void)
{
    const char *const values[] = { "short", "longer than it was", "same size as befor",
                                   "s" };

    fresh();
    put(&low, "b", "beside");
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        put(&low, "a", values[i]);
        STR(get(&low, "a"), values[i]);
        kv_overlay_check(&low);
    }
    IS(low.count, 2);
    STR(get(&low, "b"), "beside");
}

static void a_value_may_be_put_from_where_it_lies(void)
{
    struct bytes value;

    fresh();
    put(&low, "a", "0123456789");
    OK(kv_get(&low.view, BYTES_LIT("a"), &value));
    kv_put(&low, BYTES_LIT("a"), bytes_of(value.ptr + 4, 6), 1);
    STR(get(&low, "a"), "456789");
}

static void what_is_below_shows_through(void)
{
    fresh();
    put(&low, "a", "1");
    STR(get(&high, "a"), "1");
}

static void a_change_hides_what_is_below(void)
{
    fresh();
    put(&low, "a", "1");
    put(&high, "a", "2");
    STR(get(&high, "a"), "2");
    STR(get(&low, "a"), "1");
}

static void a_deletion_hides_what_is_below(void)
{
    fresh();
    put(&low, "a", "1");
    drop(&high, "a");
    STR(get(&high, "a"), "-");
    STR(get(&low, "a"), "1");
}

static void a_deletion_with_nothing_below_leaves_nothing(void)
{
    fresh();
    put(&low, "a", "1");
    drop(&low, "a");
    IS(low.count, 0);
    IS(low.bytes, 0);
}

static void a_deletion_of_its_own_entry_is_kept_for_what_is_below(void)
{
    fresh();
    put(&high, "a", "1");
    drop(&high, "a");
    IS(high.count, 1);
    put(&low, "a", "2");
    STR(get(&high, "a"), "-");
}

static void a_deleted_key_can_be_put_again(void)
{
    fresh();
    put(&low, "a", "1");
    drop(&high, "a");
    put(&high, "a", "2");
    STR(get(&high, "a"), "2");
}

static void seek_goes_in_byte_order_over_both_layers(void)
{
    fresh();
    put(&low, "pa", "");
    put(&high, "pb", "");
    put(&low, "pc", "");
    STR(after("p", "p"), "pa");
    STR(after("p", "pa"), "pb");
    STR(after("p", "pb"), "pc");
    STR(after("p", "pc"), "-");
    STR(before("p", "q"), "pc");
    STR(before("p", "pc"), "pb");
    STR(before("p", "pb"), "pa");
    STR(before("p", "pa"), "-");
}

static void seek_names_a_key_of_both_layers_once(void)
{
    fresh();
    put(&low, "pa", "");
    put(&high, "pa", "");
    STR(after("p", "p"), "pa");
    STR(after("p", "pa"), "-");
    STR(before("p", "q"), "pa");
    STR(before("p", "pa"), "-");
}

static void seek_skips_what_was_deleted(void)
{
    fresh();
    put(&low, "pa", "");
    put(&low, "pb", "");
    put(&low, "pc", "");
    drop(&high, "pa");
    drop(&high, "pab"); /* of nothing */
    drop(&high, "pb");
    STR(after("p", "p"), "pc");
    STR(before("p", "pc"), "-");
}

static void seek_stays_within_its_prefix(void)
{
    fresh();
    put(&low, "o", "");
    put(&high, "q", "");
    STR(after("p", "p"), "-");
    STR(before("p", "q"), "-");
    put(&high, "p", "");
    STR(after("p", "p"), "-"); /* strictly after */
    STR(before("p", "q"), "p");
}

static void first_and_last_include_the_prefix_itself(void)
{
    fresh();
    put(&low, "p", "");
    OK(kv_first(&high.view, BYTES_LIT("p"), &found));
    STR(found_text(true), "p");
    OK(kv_last(&high.view, BYTES_LIT("p"), &found));
    STR(found_text(true), "p");
    OK(!kv_first(&high.view, BYTES_LIT("o"), &found));
    OK(!kv_last(&high.view, BYTES_LIT("o"), &found));
}

static void first_and_last_of_the_empty_prefix_are_of_all(void)
{
    fresh();
    put(&low, "m", "");
    put(&high, "s", "");
    OK(kv_first(&high.view, BYTES_LIT(""), &found));
    STR(found_text(true), "m");
    OK(kv_last(&high.view, BYTES_LIT(""), &found));
    STR(found_text(true), "s");
}

static void the_end_of_a_prefix_is_above_all_that_start_with_it(void)
{
    kv_prefix_end(BYTES_LIT("ab"), &found);
    OK(bytes_equal(buf_bytes(&found), BYTES_LIT("ac")));
    kv_prefix_end(BYTES_LIT("a\xff\xff"), &found);
    OK(bytes_equal(buf_bytes(&found), BYTES_LIT("b")));
    kv_prefix_end(BYTES_LIT(""), &found);
    OK(bytes_equal(buf_bytes(&found), BYTES_LIT("\xff")));
}

static void a_walk_may_delete_what_it_has_passed(void)
{
    struct buf key = { 0 };
    int steps = 0;

    fresh();
    put(&low, "pa", "");
    put(&high, "pb", "");
    put(&low, "pc", "");
    for (; kv_next(&high.view, BYTES_LIT("p"), &key); steps++) {
        kv_delete(&high, buf_bytes(&key), 1);
    }
    IS(steps, 3);
    IS(key.len, 0);
    OK(!kv_next(&high.view, BYTES_LIT("p"), &key));
}

static void clear_shows_what_is_below_again(void)
{
    fresh();
    put(&low, "a", "1");
    put(&high, "a", "2");
    put(&high, "b", "2");
    kv_overlay_clear(&high);
    kv_overlay_check(&high);
    STR(get(&high, "a"), "1");
    STR(get(&high, "b"), "-");
    IS(high.count, 0);
    IS(high.bytes, 0);
}

static void forget_drops_what_is_stamped_so_or_lower(void)
{
    fresh();
    put_stamped("a", 5);
    put_stamped("b", 6);
    put_stamped("c", 7);
    kv_overlay_forget(&high, 6);
    STR(get(&high, "a"), "-");
    STR(get(&high, "b"), "-");
    STR(get(&high, "c"), "v");
    kv_overlay_check(&high);
}

static void forget_keeps_a_key_that_was_changed_again(void)
{
    fresh();
    put_stamped("a", 5);
    put_stamped("a", 7);
    kv_overlay_forget(&high, 6);
    STR(get(&high, "a"), "v");
    kv_overlay_forget(&high, 7);
    STR(get(&high, "a"), "-");
}

static void move_carries_changes_and_deletions_with_the_new_stamp(void)
{
    struct kv_overlay top;

    fresh();
    put(&low, "a", "1");
    put(&high, "b", "1");
    kv_overlay_init(&top, &high.view, seed + 2);
    put(&top, "b", "2");
    put(&top, "c", "2");
    drop(&top, "a");
    kv_overlay_move(&top, &high, 9);
    kv_overlay_check(&top);
    kv_overlay_check(&high);
    IS(top.count, 0);
    STR(get(&high, "a"), "-");
    STR(get(&high, "b"), "2");
    STR(get(&high, "c"), "2");
    kv_overlay_forget(&high, 8);
    STR(get(&high, "c"), "2");
    kv_overlay_forget(&high, 9);
    STR(get(&high, "a"), "1");
    kv_overlay_fini(&top);
}

static void a_deletion_moved_onto_nothing_leaves_nothing(void)
{
    fresh();
    put(&low, "a", "1");
    drop(&high, "a");
    drop(&high, "b");
    kv_overlay_move(&high, &low, 2);
    kv_overlay_check(&low);
    IS(low.count, 0);
}

/* K4 */
static void a_new_key_leaves_a_settled_overlay_without_a_mark(void)
{
    fresh();
    high.settled = true;
    put_new(&high, "a", "1");
    put(&high, "a", "a value that does not fit where the first one lies, so it is moved");
    drop(&high, "a");
    STR(get(&high, "a"), "-");
    IS(high.count, 0);
    kv_overlay_check(&high);
}

static void a_new_key_leaves_a_mark_where_what_is_below_may_change(void)
{
    fresh();
    put_new(&high, "a", "1");
    put(&low, "a", "1");
    drop(&high, "a");
    STR(get(&high, "a"), "-");
    kv_overlay_check(&high);
}

static void a_new_key_that_was_deleted_below_stays_hidden(void)
{
    fresh();
    high.settled = true;
    put(&low, "a", "1");
    drop(&high, "a");
    put_new(&high, "a", "2");
    drop(&high, "a");
    STR(get(&high, "a"), "-");
    kv_overlay_check(&high);
}

static void a_key_is_new_no_more_once_it_has_moved_down(void)
{
    fresh();
    high.settled = true;
    put_new(&high, "a", "1");
    kv_overlay_move(&high, &low, 2);
    put(&high, "a", "2");
    drop(&high, "a");
    STR(get(&high, "a"), "-");
    STR(get(&low, "a"), "1");
    kv_overlay_check(&high);
}

static void the_order_is_right_after_each_kind_of_change(void)
{
    fresh();
    put(&high, "b", "1");
    STR(after("", "a"), "b"); /* in order from here on */
    put(&high, "a2", "1");
    drop(&high, "b");
    put(&high, "c", "1");
    drop(&high, "c");
    put(&high, "b", "a value that does not fit where the first one lies, so it is moved");
    STR(after("", "a"), "a2");
    STR(after("", "a2"), "b");
    STR(after("", "b"), "-");
    kv_overlay_check(&high);
}

/* Far more keys than a table or a chunk of memory begins with, and most of them gone again:
 * whatever is left is found, in order, and nothing else is. */
static void many_keys_come_and_go(void)
{
    enum { MANY = 20000 };
    char key[16], want[16];
    long wrong = 0;

    fresh();
    for (int i = 0; i < MANY; i++) {
        snprintf(key, sizeof key, "%05d", i * 7919 % MANY);
        put(&low, key, key);
        if (i % 5000 == 0) kv_overlay_check(&low);
    }
    for (int i = 0; i < MANY; i++) {
        snprintf(key, sizeof key, "%05d", i * 104729 % MANY);
        if (i * 104729 % MANY % 100 != 0) drop(&low, key);
        if (i % 5000 == 0) kv_overlay_check(&low);
    }
    IS(low.count, MANY / 100);
    buf_clear(&found);
    for (int i = 0; i < MANY; i += 100) {
        snprintf(want, sizeof want, "%05d", i);
        if (!kv_next(&low.view, BYTES_LIT(""), &found)) wrong++;
        else if (!bytes_equal(buf_bytes(&found), bytes_str(want))) wrong++;
    }
    IS(wrong, 0);
    OK(!kv_next(&low.view, BYTES_LIT(""), &found));
    kv_overlay_check(&low);
}

static void a_large_value_moves_down_where_it_lies(void)
{
    static char large[100000];
    struct bytes before, after;

    fresh();
    memset(large, 'x', sizeof large - 1);
    put(&high, "large", large);
    put(&high, "small", "value");
    OK(kv_get(&high.view, BYTES_LIT("large"), &before));
    kv_overlay_move(&high, &low, 1);
    kv_overlay_check(&high);
    kv_overlay_check(&low);
    OK(kv_get(&low.view, BYTES_LIT("large"), &after));
    OK(after.ptr == before.ptr);
    STR(get(&low, "small"), "value");
    put(&high, "large", "small by now");
    kv_overlay_move(&high, &low, 2);
    kv_overlay_check(&low);
    STR(get(&low, "large"), "small by now");
}

static void what_is_handed_on_leaves_an_overlay_as_good_as_new(void)
{
    struct kv_overlay other;
    char key[16];

    fresh();
    kv_overlay_init(&other, NULL, seed);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 1000; i++) {
            snprintf(key, sizeof key, "%d/%d", round, i);
            put(&low, key, "value");
        }
        kv_overlay_clear(&other);
        kv_overlay_hand(&low, &other);
        kv_overlay_check(&low);
        kv_overlay_check(&other);
        IS(low.count, 0);
        IS(other.count, 1000);
        STR(get(&low, key), "-");
        STR(get(&other, key), "value");
    }
    kv_overlay_fini(&other);
}

static void a_key_is_taken_only_where_the_view_has_it(void)
{
    fresh();
    put(&low, "below", "1");
    put(&high, "own", "1");
    OK(kv_take(&high, BYTES_LIT("below"), 1));
    OK(kv_take(&high, BYTES_LIT("own"), 1));
    OK(!kv_take(&high, BYTES_LIT("below"), 1));
    OK(!kv_take(&high, BYTES_LIT("own"), 1));
    high.digesting = true;
    OK(!kv_take(&high, BYTES_LIT("never"), 1));
    IS(high.digest, 0);
    STR(get(&high, "below"), "-");
    STR(get(&low, "below"), "1");
    kv_overlay_check(&high);
}

static void a_digest_tells_changes_their_order_and_deletions_apart(void)
{
    uint64_t digests[4];

    for (int i = 0; i < 4; i++) {
        fresh();
        high.digesting = true;
        put(&high, i == 1 ? "b" : "a", "");
        if (i == 2) drop(&high, "b");
        else put(&high, i == 1 ? "a" : "b", i == 3 ? "x" : "");
        digests[i] = high.digest;
        for (int j = 0; j < i; j++) OK(digests[j] != digests[i]);
    }
}

static void a_digest_does_not_depend_on_the_seed(void)
{
    struct kv_overlay other;

    fresh();
    kv_overlay_init(&other, &low.view, seed + 77);
    high.digesting = other.digesting = true;
    for (int i = 0; i < 50; i++) {
        char key[8];

        snprintf(key, sizeof key, "%d", i % 20);
        put(&high, key, "v");
        put(&other, key, "v");
    }
    OK(high.digest == other.digest);
    low.digesting = true;
    kv_overlay_move(&high, &low, 2);
    uint64_t digest = low.digest;
    fresh();
    low.digesting = true;
    kv_overlay_move(&other, &low, 2);
    OK(low.digest == digest);
    kv_overlay_fini(&other);
}

static void no_digest_is_kept_unless_asked_for(void)
{
    fresh();
    put(&high, "a", "1");
    IS(high.digest, 0);
}

/* -- The storm ------------------------------------------------------------------------ */

enum { LAYERS = 3, KEYS = 64, STEPS = 20000 };

/* What one layer holds of each key: the keys are numbered in byte order. */
enum held { NOTHING, VALUE, DELETED };
struct model {
    enum held held[KEYS];
    uint64_t value[KEYS], stamp[KEYS];
};

static struct model models[LAYERS];
static struct kv_overlay layers[LAYERS];
static struct rng rng;

static struct bytes storm_key(size_t index, char room[8])
{
    /* Three prefixes of different lengths, so that seeks have borders to respect. */
    const char *prefix = index < 20 ? "a" : index < 40 ? "ab" : "b";

    return bytes_of(room, (size_t) snprintf(room, 8, "%s%02zu", prefix, index));
}

static bool model_get(int layer, size_t index, uint64_t *value)
{
    for (; layer >= 0; layer--) {
        if (models[layer].held[index] == NOTHING) continue;
        *value = models[layer].value[index];
        return models[layer].held[index] == VALUE;
    }
    return false;
}

static void storm_change(int layer, uint64_t stamp)
{
    size_t index = rng_below(&rng, KEYS);
    struct model *m = &models[layer];
    char room[8];
    uint8_t value[200] = { 0 };

    m->stamp[index] = stamp;
    if (rng_below(&rng, 3) == 0) {
        m->held[index] = layer == 0 ? NOTHING : DELETED;
        kv_delete(&layers[layer], storm_key(index, room), stamp);
    } else {
        m->held[index] = VALUE;
        m->value[index] = rng_next(&rng);
        put_u64(value, m->value[index]);
        kv_put(&layers[layer], storm_key(index, room),
               bytes_of(value, 8 + rng_below(&rng, sizeof value - 8)), stamp);
    }
}

static void storm_move(int layer, uint64_t stamp)
{
    struct model *from = &models[layer], *to = &models[layer - 1];

    for (size_t i = 0; i < KEYS; i++) {
        if (from->held[i] == NOTHING) continue;
        to->held[i] = layer == 1 && from->held[i] == DELETED ? NOTHING : from->held[i];
        to->value[i] = from->value[i];
        to->stamp[i] = stamp;
    }
    *from = (struct model){ 0 };
    kv_overlay_move(&layers[layer], &layers[layer - 1], stamp);
}

static void storm_forget(int layer, uint64_t stamp)
{
    for (size_t i = 0; i < KEYS; i++) {
        if (models[layer].stamp[i] <= stamp) models[layer].held[i] = NOTHING;
    }
    kv_overlay_forget(&layers[layer], stamp);
}

static bool same_get(int layer, size_t index)
{
    char room[8];
    struct bytes got;
    uint64_t want = 0;
    bool exists = kv_get(&layers[layer].view, storm_key(index, room), &got);

    if (exists != model_get(layer, index, &want)) return false;
    return !exists || get_u64(got.ptr) == want;
}

/* One seek from key `index` within its prefix, against a walk of the model. */
static bool same_seek(int layer, size_t index, struct bytes prefix, enum kv_direction way)
{
    char room[8], other[8];
    uint64_t value;
    size_t at = index;
    bool want = false, got;

    while (!want) {
        struct bytes key;

        if (at == (way == KV_FORWARD ? (size_t) KEYS - 1 : 0)) break;
        at = way == KV_FORWARD ? at + 1 : at - 1;
        key = storm_key(at, other);
        if (key.len < prefix.len || memcmp(key.ptr, prefix.ptr, prefix.len) != 0) break;
        want = model_get(layer, at, &value);
    }
    got = kv_seek(&layers[layer].view, prefix, storm_key(index, room), way, &found);
    if (got != want) return false;
    return !got || bytes_equal(buf_bytes(&found), storm_key(at, other));
}

static void storm_step(uint64_t stamp)
{
    int layer = (int) rng_below(&rng, LAYERS);
    uint64_t dice = rng_below(&rng, 100);

    if (dice < 90) {
        storm_change(layer, stamp);
    } else if (dice < 95 && layer > 0) {
        storm_move(layer, stamp);
    } else if (dice < 98) {
        storm_forget(layer, stamp - rng_below(&rng, 200));
    } else if (layer > 0) {
        models[layer] = (struct model){ 0 };
        kv_overlay_clear(&layers[layer]);
    }
}

static bool storm_agrees(void)
{
    int layer = (int) rng_below(&rng, LAYERS);
    size_t index = rng_below(&rng, KEYS);
    char room[8];
    struct bytes key = storm_key(index, room);
    struct bytes prefix = bytes_of(key.ptr, rng_below(&rng, key.len));

    kv_overlay_check(&layers[layer]);
    return same_get(layer, index) && same_seek(layer, index, prefix, KV_FORWARD) &&
           same_seek(layer, index, prefix, KV_BACKWARD);
}

static void stacked_overlays_agree_with_a_naive_model(void)
{
    long wrong = 0;

    rng_init(&rng, seed);
    for (int i = 0; i < LAYERS; i++) {
        kv_overlay_init(&layers[i], i == 0 ? NULL : &layers[i - 1].view, rng_next(&rng));
    }
    for (uint64_t step = 1; step <= STEPS; step++) {
        storm_step(1000 + step / 10);
        if (!storm_agrees()) wrong++;
    }
    IS(wrong, 0);
    for (int i = LAYERS - 1; i >= 0; i--) kv_overlay_fini(&layers[i]);
}

int main(void)
{
    const char *given = getenv("SEED");

    seed = given != NULL ? strtoull(given, NULL, 10) : 1;
    printf("# SEED=%" PRIu64 "\n", seed);
    begin();
    TEST(what_was_put_is_read_back);
    TEST(an_empty_value_is_a_value);
    TEST(a_later_put_replaces_whatever_its_size);
    TEST(a_value_may_be_put_from_where_it_lies);
    TEST(what_is_below_shows_through);
    TEST(a_change_hides_what_is_below);
    TEST(a_deletion_hides_what_is_below);
    TEST(a_deletion_with_nothing_below_leaves_nothing);
    TEST(a_deletion_of_its_own_entry_is_kept_for_what_is_below);
    TEST(a_deleted_key_can_be_put_again);
    TEST(seek_goes_in_byte_order_over_both_layers);
    TEST(seek_names_a_key_of_both_layers_once);
    TEST(seek_skips_what_was_deleted);
    TEST(seek_stays_within_its_prefix);
    TEST(first_and_last_include_the_prefix_itself);
    TEST(first_and_last_of_the_empty_prefix_are_of_all);
    TEST(the_end_of_a_prefix_is_above_all_that_start_with_it);
    TEST(a_walk_may_delete_what_it_has_passed);
    TEST(clear_shows_what_is_below_again);
    TEST(forget_drops_what_is_stamped_so_or_lower);
    TEST(forget_keeps_a_key_that_was_changed_again);
    TEST(move_carries_changes_and_deletions_with_the_new_stamp);
    TEST(a_deletion_moved_onto_nothing_leaves_nothing);
    TEST(a_new_key_leaves_a_settled_overlay_without_a_mark);
    TEST(a_new_key_leaves_a_mark_where_what_is_below_may_change);
    TEST(a_new_key_that_was_deleted_below_stays_hidden);
    TEST(a_key_is_new_no_more_once_it_has_moved_down);
    TEST(the_order_is_right_after_each_kind_of_change);
    TEST(many_keys_come_and_go);
    TEST(a_large_value_moves_down_where_it_lies);
    TEST(what_is_handed_on_leaves_an_overlay_as_good_as_new);
    TEST(a_key_is_taken_only_where_the_view_has_it);
    TEST(a_digest_tells_changes_their_order_and_deletions_apart);
    TEST(a_digest_does_not_depend_on_the_seed);
    TEST(no_digest_is_kept_unless_asked_for);
    TEST(stacked_overlays_agree_with_a_naive_model);
    end();
    buf_fini(&found);
    return tap_done();
}
