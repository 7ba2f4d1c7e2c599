/* damage.c -- what a disk does to a log that was synced long ago: bits flip, a write never
 * reached the platter, a write went to another's place. Only groups that a good one follows
 * are harmed: the very last one cannot be told from a tear (core/log/record.h). */
#include "core/base/check.h"
#include "tests/sim/sim.h"

enum { GROUPS_MAX = 512 };

struct group_place {
    size_t start, len;
};

/* The synced groups, the last one left out; how many. */
static uint32_t groups_of(const struct disk *d, struct group_place places[GROUPS_MAX])
{
    struct log_scan s;
    struct log_record r;
    struct bytes batch;
    uint32_t count = 0;
    size_t start = LOG_SEGMENT_HEADER;

    if (log_scan_init(&s, bytes_of(d->segment.ptr, d->durable)) != 0) return 0;
    while (log_scan_next(&s, &r, &batch) == LOG_GOOD && count < GROUPS_MAX) {
        if (s.at == start) continue;
        places[count++] = (struct group_place){ start, s.at - start };
        start = s.at;
    }
    return count == 0 ? 0 : count - 1;
}

bool disk_rot(struct world *w, struct disk *d)
{
    struct group_place places[GROUPS_MAX];
    uint32_t count = groups_of(d, places);
    size_t end =
        count == 0 ? LOG_SEGMENT_HEADER : places[count - 1].start + places[count - 1].len;

    d->segment.ptr[rng_below(&w->rng, end)] ^= (uint8_t)(1u << rng_below(&w->rng, 8));
    return true;
}

bool disk_lose_write(struct world *w, struct disk *d)
{
    struct group_place places[GROUPS_MAX];
    uint32_t count = groups_of(d, places);

    if (count == 0) return false;

    const struct group_place *g = &places[rng_below(&w->rng, count)];

    memset(d->segment.ptr + g->start, 0, g->len);
    return true;
}

bool disk_misdirect_write(struct world *w, struct disk *d)
{
    struct group_place places[GROUPS_MAX];
    uint32_t count = groups_of(d, places);

    if (count < 2) return false;

    uint32_t one = (uint32_t)rng_below(&w->rng, count - 1);
    const struct group_place *from = &places[one], *to = &places[one + 1];

    memcpy(d->segment.ptr + to->start, d->segment.ptr + from->start,
           from->len < to->len ? from->len : to->len);
    return true;
}
