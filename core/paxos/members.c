#include "core/paxos/members.h"

#include "core/base/check.h"
#include "core/paxos/nodes.h"

bool members_are_sound(const struct members *m)
{
    const nodes_set possible = node_bit(NODES_MAX) | (node_bit(NODES_MAX) - 1);

    if (m->number == 0) return members_all(m) == 0;
    return m->voters != 0 && (m->voters & m->learners) == 0 &&
           (members_all(m) & ~possible) == 0;
}

bool members_follow(const struct members *before, const struct members *after)
{
    if (after->number == 0 || !members_are_sound(after)) return false;
    if (before->number == 0) return true;
    return after->number == before->number + 1 &&
           nodes_count(before->voters ^ after->voters) <= 1;
}

bool members_take(struct members *m, const struct proposal *p, bool counted)
{
    if (!counted || !members_follow(m, &p->members)) return false;
    *m = p->members;
    CHECK(members_are_sound(m));
    return true;
}
