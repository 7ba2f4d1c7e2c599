/* histogram.h -- counts of durations in log-linear buckets: 64 to each power of two, so
 * that a percentile is wrong by 1.6 % at most, whatever its size. Fixed memory, no
 * allocation. */
#ifndef CLI_HISTOGRAM_H
#define CLI_HISTOGRAM_H

#include <stdint.h>

enum { HISTOGRAM_SUB = 64, HISTOGRAM_BUCKETS = HISTOGRAM_SUB * 36 };

struct histogram {
    uint64_t count;
    uint64_t max;
    uint64_t buckets[HISTOGRAM_BUCKETS];
};

void histogram_clear(struct histogram *h);
void histogram_add(struct histogram *h,
                   uint64_t value); /* above 2^41 counts in the last bucket */

/* The smallest value that at least `per_mille` thousandths of all are not above, rounded up
 * to its bucket's end and never above max; 0 when nothing was counted. */
uint64_t histogram_at(const struct histogram *h, unsigned per_mille);

#endif
