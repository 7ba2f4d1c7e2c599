/* t_paxos_hostile.c -- messages that no honest server sends.
 *
 * Method: a single instance is stepped with random inputs; the CHECKs and the sanitizers
 * are the judge.  Replay with:  SEED=<n> ./t_paxos_hostile */
#include "core/base/rng.h"
#include "tests/lib/paxos_one.h"

/* A peer may send whatever decodes.  The CHECKs and the sanitizers are the judge. */

/* That decodes, and may follow on what is in force; `voters` stay. */
static struct members random_change(struct rng *r, nodes_set voters)
{
    const struct members *now = paxos_members(p);
    const nodes_set bit = node_bit(2 + (uint32_t)rng_below(r, 4));
    struct members m = { now->number + 1, now->voters | voters, now->learners & ~bit };

    if (rng_below(r, 2) == 0) m.voters = (m.voters & ~bit) | voters;
    if (rng_below(r, 2) == 0 && (m.voters & bit) == 0) m.learners |= bit;
    return m;
}

static struct paxos_message random_message(struct rng *r)
{
    const struct ballot promised = paxos_promised(p);
    const uint32_t from = 1 + (uint32_t)rng_below(r, 4);
    const uint64_t slot = 1 + paxos_chosen(p) + rng_below(r, 4);
    struct paxos_message m = {
        .kind = (enum paxos_message_kind)(1 + rng_below(r, 13)),
        .from = from,
        .ballot = { promised.round + rng_below(r, 100) / 99, from },
        .slot = slot - rng_below(r, slot),
        .chosen = rng_below(r, 9) == 0 ? UINT64_MAX >> 2 : slot - 1,
        .round = rng_below(r, 4),
        .promised = { promised.round + rng_below(r, 50) / 49, from },
        .yes = rng_below(r, 2) == 0,
        .lease = (uint32_t)rng_below(r, LEASE_MS_MAX + 1),
        .disk_us = (uint32_t)rng_below(r, 100000),
        .count = (uint32_t)rng_below(r, 3),
    };

    if (rng_below(r, 3) == 0) m.slot = slot;
    if (rng_below(r, 10) > 0) m.ballot = own();
    if (m.ballot.round == 0) m.ballot = (struct ballot){ 1, from };
    m.vote = vote_of(m.slot, 1 + rng_below(r, m.ballot.round), 1, (int)rng_below(r, 10));
    m.vote.ballot = m.vote.proposal.reign;
    if (rng_below(r, 4) == 0) m.vote.proposal.members = random_change(r, node_bit(3));
    if (rng_below(r, 4) == 0) m.vote.proposal.reign_first = m.slot;
    return m;
}

static void random_input(struct rng *r)
{
    struct paxos_message m;

    switch (rng_below(r, 14)) {
    case 0:
        tick(rng_below(r, 60));
        if (sent(PAXOS_WOULD_YOU)) say_yes(2, sent(PAXOS_WOULD_YOU)->message.round);
        return;
    case 1:
        durable();
        return;
    case 2:
        if (paxos_can_propose(p)) propose(1, THREE);
        return;
    case 3:
        read_round();
        return;
    case 4:
        step((struct paxos_input){ .kind = PAXOS_IN_PEER_DOWN, .node = 2 });
        return;
    case 5:
        step((struct paxos_input){ .kind = PAXOS_IN_TRANSFER,
                                   .node = (uint32_t)rng_below(r, 5) });
        return;
    case 6:
        if (paxos_can_change(p)) change(random_change(r, 1));
        return;
    default:
        m = random_message(r);
        receive(m.from, m);
        return;
    }
}

static void hostile_messages_never_break_a_server(void)
{
    struct rng r;
    uint64_t steps_led = 0;

    rng_init(&r, seed);
    for (int run = 0; run < 100; run++) {
        fresh(THREE);
        if (run % 2 == 0) become_leading();
        for (int i = 0; i < 1000; i++) {
            random_input(&r);
            steps_led += paxos_role(p) == PAXOS_LEADING;
        }
    }
    OK(steps_led > 1000);
}

int main(void)
{
    rig_begin();
    TEST(hostile_messages_never_break_a_server);
    return rig_end();
}
