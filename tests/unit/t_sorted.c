/* t_sorted.c -- how cells are parted into files on their way into RocksDB.
 *
 * Method: hand-made cells, given in a seeded random order. Replay: SEED=<n> ./t_sorted */
#include <inttypes.h>
#include <stdlib.h>

#include "core/base/rng.h"
#include "core/state/sorted.h"
#include "tests/lib/tap.h"

enum { CELLS_MAX = 20000, KEY_MAX = 48 };

static struct rng rng;
static struct sorted sorted;
static size_t first[SORTED_PARTS_MAX + 1];
static char keys[CELLS_MAX][KEY_MAX];
static struct kv_change cells[CELLS_MAX];
static size_t count;

static void fresh(void)
{
    sorted_fini(&sorted);
    count = 0;
}

/* '|' in `key` stands for the zero byte between a parent and a name. */
static void cell(const char *key, bool is_new)
{
    size_t len = strlen(key);

    snprintf(keys[count], KEY_MAX, "%s", key);
    for (size_t i = 0; i < len; i++) {
        if (keys[count][i] == '|') keys[count][i] = '\0';
    }
    cells[count] = (struct kv_change){ .key = bytes_of(keys[count], len),
                                       .value = BYTES_LIT("v"),
                                       .is_new = is_new };
    count++;
}

static void nodes(const char *parent, int from, int to)
{
    char key[KEY_MAX];

    for (int i = from; i < to; i++) {
        snprintf(key, sizeof key, "n%.30s|%05d", parent, i);
        cell(key, true);
    }
}

/* Adds all cells in a random order; how many parts there are. */
static size_t part(void)
{
    size_t parts;

    for (size_t i = count; i > 1; i--) {
        size_t j = rng_below(&rng, i);
        struct kv_change other = cells[j];
        cells[j] = cells[i - 1];
        cells[i - 1] = other;
    }
    for (size_t i = 0; i < count; i++) sorted_add(&sorted, &cells[i]);
    parts = sorted_part(&sorted, first);
    first[parts] = sorted.count;
    return parts;
}

static bool is_whole(size_t parts) /* F1 */
{
    if (sorted.count != count || parts > SORTED_PARTS_MAX) return false;
    if (count > 0 && (parts == 0 || first[0] != 0)) return false;
    for (size_t i = 0; i < parts; i++) {
        if (first[i] >= first[i + 1]) return false;
    }
    for (size_t i = 1; i < count; i++) {
        if (bytes_cmp(sorted.cells[i - 1].key, sorted.cells[i].key) >= 0) return false;
    }
    return true;
}

static void nothing_has_no_parts(void)
{
    fresh();
    IS(part(), 0);
}

static void few_cells_are_one_part(void)
{
    fresh();
    cell("m", false);
    nodes("/a", 0, SORTED_STRETCH_MIN - 1);
    cell("s", false);
    IS(part(), 1);
    OK(is_whole(1));
}

static void many_new_children_of_one_parent_are_a_part(void)
{
    fresh();
    cell("m", false);
    cell("n/|a", false);
    nodes("/a", 0, SORTED_STRETCH_MIN);
    cell("r1", true);
    cell("s1", false);
    IS(part(), 3);
    OK(is_whole(3));
    IS(first[1], 2);
    IS(first[2], 2 + SORTED_STRETCH_MIN);
}

static void one_changed_cell_parts_a_stretch(void)
{
    fresh();
    nodes("/a", 0, 1000);
    cell("n/a|01000", false);
    nodes("/a", 1001, 2001);
    IS(part(), 3);
    OK(is_whole(3));
    IS(first[1], 1000);
    IS(first[2], 1001);
}

static void children_of_two_parents_are_two_parts(void)
{
    fresh();
    nodes("/a", 0, 700);
    nodes("/a/b", 0, 800);
    nodes("/b", 0, 900);
    IS(part(), 3);
    OK(is_whole(3));
    IS(first[1], 700);
    IS(first[2], 1500);
}

static void new_results_are_no_stretch(void)
{
    char key[KEY_MAX];

    fresh();
    for (int i = 0; i < 5000; i++) {
        snprintf(key, sizeof key, "r%05d", i);
        cell(key, true);
    }
    IS(part(), 1);
}

static void there_are_never_too_many_parts(void)
{
    char parent[KEY_MAX];

    fresh();
    for (int i = 0; i < 30; i++) {
        snprintf(parent, sizeof parent, "/p%02d", i);
        nodes(parent, 0, 600);
        snprintf(parent, sizeof parent, "n/p%02d|changed", i);
        cell(parent, false);
    }
    size_t parts = part();
    OK(is_whole(parts));
    OK(parts > SORTED_PARTS_MAX / 2);
}

int main(void)
{
    const char *given = getenv("SEED");
    uint64_t seed = given != NULL ? strtoull(given, NULL, 10) : 1;

    printf("# SEED=%" PRIu64 "\n", seed);
    rng_init(&rng, seed);
    TEST(nothing_has_no_parts);
    TEST(few_cells_are_one_part);
    TEST(many_new_children_of_one_parent_are_a_part);
    TEST(one_changed_cell_parts_a_stretch);
    TEST(children_of_two_parents_are_two_parts);
    TEST(new_results_are_no_stretch);
    TEST(there_are_never_too_many_parts);
    sorted_fini(&sorted);
    return tap_done();
}
