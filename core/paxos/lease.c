#include "core/paxos/lease.h"

#include "core/base/check.h"

void lease_init(struct lease *l, const struct paxos_config *config, bool restarted,
                uint64_t now_ms)
{
    *l = (struct lease){ .lease_ms = config->lease_ms };
    /* Whatever the option says here now: another server leads by its own, and this one may
     * have been started with another. */
    if (restarted) l->bound_ms = now_ms + LEASE_MS_MAX;
}

void lease_begin(struct lease *l)
{
    l->given_up = false;
    l->round = l->until_ms = 0;
}

void lease_give_up(struct lease *l)
{
    l->given_up = true;
    l->round = l->until_ms = 0;
}

uint32_t lease_asked(const struct lease *l)
{
    return l->given_up ? 0 : l->lease_ms;
}

bool lease_wants_round(const struct lease *l, uint64_t now_ms)
{
    if (lease_asked(l) == 0) return false;
    return l->round == 0 || now_ms - l->sent_ms >= l->lease_ms;
}

void lease_sent(struct lease *l, uint64_t round, uint64_t now_ms)
{
    CHECK(round > 0);
    l->round = round;
    l->sent_ms = now_ms;
}

/* Who answered a later round got that heartbeat later still, so counting from the earlier
 * one is on the safe side (L1). */
void lease_confirmed(struct lease *l, uint64_t round)
{
    const uint64_t safe_ms = (uint64_t)l->lease_ms * (1000 - LEASE_DRIFT_PERMILLE) / 1000;

    if (l->round == 0 || round < l->round) return;
    if (safe_ms > LEASE_ROUNDING_MS) l->until_ms = l->sent_ms + safe_ms - LEASE_ROUNDING_MS;
    l->round = 0;
}

/* A leader at a higher ballot than that of the grant in force had a quorum's promises: the
 * grant was over, or released, where it mattered. */
void lease_grant(struct lease *l, const struct paxos_message *heartbeat, uint64_t now_ms)
{
    const uint64_t until_ms = now_ms + heartbeat->lease;

    if (heartbeat->lease == 0) return;
    l->to = heartbeat->from;
    l->ballot = heartbeat->ballot;
    if (until_ms > l->bound_ms) l->bound_ms = until_ms;
}

bool lease_forbids(const struct lease *l, uint32_t node, struct ballot released,
                   uint64_t now_ms)
{
    if (now_ms >= l->bound_ms) return false;
    if (l->to == 0) return true;
    return node != l->to && ballot_cmp(released, l->ballot) != 0; /* L2 */
}
