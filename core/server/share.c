#include "core/server/share.h"

void shares_next_turn(struct shares *all)
{
    all->turn++;
    all->spent = 0;
}

void share_spend(struct shares *all, struct share *one, size_t bytes)
{
    const uint32_t cost = 1 + (uint32_t)(bytes / SHARE_UNIT_BYTES);

    if (one->turn != all->turn) *one = (struct share){ .turn = all->turn };
    one->spent += cost;
    all->spent += cost;
}

bool share_is_over(const struct shares *all, const struct share *one)
{
    return one->turn == all->turn && one->spent >= SHARE_SLICE_COST;
}

bool shares_are_over(const struct shares *all, bool last)
{
    return all->spent >= (last ? SHARE_TURN_COST / 2 : SHARE_TURN_COST);
}

uint64_t share_of(uint64_t max, uint64_t used, uint64_t min)
{
    const uint64_t part = used < max ? (max - used) / SHARE_PART : 0;

    return part > min ? part : min;
}
