/* t_histogram.c -- percentiles of the bench's histogram against exact ones.
 *
 * Method: small cases by hand, then seeded random values beside a sorted copy. */
#include <stdlib.h>

#include "cli/histogram.h"
#include "core/base/rng.h"
#include "tests/lib/tap.h"

enum { VALUES = 20000 };

static struct histogram h;

static void an_empty_histogram_answers_zero(void)
{
    histogram_clear(&h);
    IS(histogram_at(&h, 500), 0);
    IS(h.max, 0);
}

static void one_value_is_every_percentile(void)
{
    histogram_clear(&h);
    histogram_add(&h, 123456);
    IS(histogram_at(&h, 1), 123456);
    IS(histogram_at(&h, 500), 123456);
    IS(histogram_at(&h, 1000), 123456);
}

static void small_values_are_exact(void)
{
    histogram_clear(&h);
    for (uint64_t v = 1; v <= 60; v++) histogram_add(&h, v);
    IS(histogram_at(&h, 500), 30);
    IS(histogram_at(&h, 1000), 60);
}

static void the_largest_value_fits(void)
{
    histogram_clear(&h);
    histogram_add(&h, UINT64_MAX);
    histogram_add(&h, 1);
    IS(h.count, 2);
    IS(histogram_at(&h, 500), 1);
    OK(h.max == UINT64_MAX);
    OK(histogram_at(&h, 1000) >= UINT64_C(1) << 40);
}

static int compare(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *) a, y = *(const uint64_t *) b;
    return (x > y) - (x < y);
}

static void percentiles_are_never_low_and_at_most_a_bucket_high(void)
{
    static uint64_t values[VALUES];
    const char *env = getenv("SEED");
    const uint64_t seed = env != NULL ? strtoull(env, NULL, 10) : 7;
    struct rng rng;

    printf("# SEED=%" PRIu64 "\n", seed);
    rng_init(&rng, seed);
    histogram_clear(&h);
    for (int i = 0; i < VALUES; i++) {
        values[i] = rng_below(&rng, UINT64_C(1) << (1 + rng_below(&rng, 39)));
        histogram_add(&h, values[i]);
    }
    qsort(values, VALUES, sizeof values[0], compare);
    for (unsigned at = 1; at <= 1000; at++) {
        const uint64_t exact = values[(VALUES * (uint64_t) at + 999) / 1000 - 1];
        const uint64_t got = histogram_at(&h, at);
        if (got < exact || got > exact + exact / 64) IS(got, exact);
    }
    IS(histogram_at(&h, 1000), values[VALUES - 1]);
}

int main(void)
{
    TEST(an_empty_histogram_answers_zero);
    TEST(one_value_is_every_percentile);
    TEST(small_values_are_exact);
    TEST(the_largest_value_fits);
    TEST(percentiles_are_never_low_and_at_most_a_bucket_high);
    return tap_done();
}
