#include "cli/histogram.h"

#include <string.h>

#include "core/base/check.h"

/* Values below 64 have a bucket each; above, the top seven bits choose it. */
static unsigned bucket_of(uint64_t value)
{
    if (value < HISTOGRAM_SUB) return (unsigned) value;
    const unsigned shift = 57u - (unsigned) __builtin_clzll(value);
    const unsigned bucket =
        (shift + 1) * HISTOGRAM_SUB + (unsigned) (value >> shift) - HISTOGRAM_SUB;
    return bucket < HISTOGRAM_BUCKETS ? bucket : HISTOGRAM_BUCKETS - 1;
}

static uint64_t bucket_last(unsigned bucket)
{
    if (bucket < HISTOGRAM_SUB) return bucket;
    const unsigned shift = bucket / HISTOGRAM_SUB - 1;
    return ((uint64_t) (bucket % HISTOGRAM_SUB + HISTOGRAM_SUB + 1) << shift) - 1;
}

void histogram_clear(struct histogram *h)
{
    memset(h, 0, sizeof *h);
}

void histogram_add(struct histogram *h, uint64_t value)
{
    h->buckets[bucket_of(value)]++;
    h->count++;
    if (value > h->max) h->max = value;
}

uint64_t histogram_at(const struct histogram *h, unsigned per_mille)
{
    const uint64_t wanted = (h->count * per_mille + 999) / 1000;
    uint64_t seen = 0;

    CHECK(per_mille > 0 && per_mille <= 1000);
    if (h->count == 0) return 0;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += h->buckets[i];
        if (seen >= wanted) return bucket_last(i) < h->max ? bucket_last(i) : h->max;
    }
    return h->max;
}
