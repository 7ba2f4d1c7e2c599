#include "core/paxos/disk.h"

#include "core/paxos/nodes.h"

void disk_init(struct disk *d)
{
    *d = (struct disk){ 0 };
}

void disk_lead(struct disk *d)
{
    d->bad_ms = 0;
}

void disk_writes(struct disk *d, uint64_t seq, uint64_t now_ms)
{
    if (d->seq != 0) return; /* one write at a time is watched: a sync covers many */
    d->seq = seq;
    d->since_ms = now_ms;
}

static uint32_t us_since(uint64_t since_ms, uint64_t now_ms)
{
    const uint64_t ms = now_ms - since_ms;

    return ms > UINT32_MAX / 1000 ? UINT32_MAX : (uint32_t)ms * 1000;
}

void disk_durable(struct disk *d, uint64_t seq, uint64_t now_ms)
{
    if (d->seq == 0 || seq < d->seq) return;
    const uint64_t us = us_since(d->since_ms, now_ms);
    const uint64_t before = d->smooth_us == 0 ? us : d->smooth_us;

    d->smooth_us = (uint32_t)((7 * before + us) / 8);
    if (d->smooth_us == 0) d->smooth_us = 1; /* less than the clock shows, and known */
    d->seq = 0;
}

uint32_t disk_us(const struct disk *d, uint64_t now_ms)
{
    const uint32_t hanging = d->seq == 0 ? 0 : us_since(d->since_ms, now_ms);

    return hanging > d->smooth_us ? hanging : d->smooth_us;
}

/* Of those who told their figure; 0 = nobody did. */
static uint32_t fastest(const struct peers *peers, nodes_set among)
{
    uint32_t best = 0;

    for (uint32_t id = 1; id <= NODES_MAX; id++) {
        const uint32_t us = peers->of[id - 1].disk_us;

        if (!nodes_has(among, id) || us == 0) continue;
        if (best == 0 || us < peers->of[best - 1].disk_us) best = id;
    }
    return best;
}

uint32_t disk_step_aside(struct disk *d, const struct peers *peers, nodes_set voters,
                         uint64_t now_ms)
{
    const uint64_t own = disk_us(d, now_ms);
    const uint32_t best = fastest(peers, voters);

    if (best == 0 || own <= DISK_SLOW_US ||
        own <= (uint64_t)DISK_TIMES * peers->of[best - 1].disk_us) {
        d->bad_ms = 0;
        return 0;
    }
    if (d->bad_ms == 0) d->bad_ms = now_ms;
    if (now_ms - d->bad_ms < DISK_BAD_MS || now_ms < d->rest_ms) return 0;
    d->bad_ms = 0;
    d->rest_ms = now_ms + DISK_REST_MS;
    return best;
}
