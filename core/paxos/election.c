#include "core/paxos/election.h"

#include "core/base/check.h"
#include "core/paxos/nodes.h"
#include "core/paxos/output.h"

void election_init(struct election *e, const struct paxos_config *config,
                   const struct acceptor *a, uint64_t now_ms)
{
    *e = (struct election){
        .self = config->self,
        .heartbeat_ms = config->heartbeat_ms,
        .min_ms = config->election_min_ms,
        .max_ms = config->election_max_ms,
    };
    /* One seed for all servers would make them ask and fail in step for ever. */
    rng_init(&e->rng, config->seed ^ (uint64_t)config->self << 56);
    election_wait(e, now_ms);
    if (a->members.voters == node_bit(e->self)) {
        e->deadline_ms = now_ms; /* nobody to wait for */
    }
}

static uint64_t patience(struct election *e)
{
    return e->min_ms + rng_below(&e->rng, e->max_ms - e->min_ms + 1);
}

void election_wait(struct election *e, uint64_t now_ms)
{
    e->deadline_ms = now_ms + patience(e);
}

void election_leader_spoke(struct election *e, const struct paxos_message *m,
                           uint64_t now_ms)
{
    e->leader = m->from;
    e->leader_ballot = m->ballot;
    e->leader_ms = now_ms;
    election_wait(e, now_ms);
}

void election_forget_leader(struct election *e)
{
    e->leader = 0;
    e->leader_ballot = (struct ballot){ 0 };
}

void election_leader_down(struct election *e, uint64_t now_ms)
{
    election_forget_leader(e);
    e->deadline_ms = now_ms + rng_below(&e->rng, PEER_DOWN_JITTER_MS);
}

static void see_round(struct election *e, uint64_t round)
{
    if (round > e->round_seen) e->round_seen = round;
}

void election_see(struct election *e, const struct paxos_message *m)
{
    see_round(e, m->ballot.round);
    see_round(e, m->promised.round);
    see_round(e, m->vote.ballot.round);
}

uint64_t election_round_next(const struct election *e, const struct acceptor *a)
{
    const uint64_t promised = a->promised.round;

    return (promised > e->round_seen ? promised : e->round_seen) + 1;
}

static void send_would_you(struct election *e, const struct acceptor *a, uint64_t now_ms,
                           struct paxos_output *out)
{
    output_send(out, a->members.voters & ~node_bit(e->self) & ~e->yes, 0,
                &(struct paxos_message){
                    .kind = PAXOS_WOULD_YOU,
                    .ballot = a->promised,
                    .round = e->nonce,
                    .slot = a->chosen,
                });
    e->resend_ms = now_ms + e->heartbeat_ms;
}

void election_ask(struct election *e, const struct acceptor *a, uint64_t now_ms,
                  struct paxos_output *out)
{
    e->nonce = rng_next(&e->rng) >> 2 | 1;
    e->yes = node_bit(e->self);
    election_wait(e, now_ms);
    send_would_you(e, a, now_ms, out);
}

void election_ask_again(struct election *e, const struct acceptor *a, uint64_t now_ms,
                        struct paxos_output *out)
{
    /* Who said no may say yes by now: he noticed only later that the leader is gone. */
    if (now_ms >= e->resend_ms) send_would_you(e, a, now_ms, out);
}

void election_take_would(struct election *e, const struct paxos_message *m)
{
    if (m->round == e->nonce && m->yes) e->yes |= node_bit(m->from);
}

bool election_has_quorum(const struct election *e, const struct acceptor *a)
{
    return nodes_quorum(e->yes, a->members.voters); /* P12 */
}

/* Whether a leader was heard lately.  He does not count when he is the one who asks: then
 * he leads no more. */
static bool leader_lives(const struct election *e, uint32_t asker, uint64_t now_ms)
{
    return e->leader != 0 && e->leader != asker && now_ms - e->leader_ms < e->min_ms;
}

void election_answer(const struct election *e, const struct acceptor *a,
                     const struct paxos_message *m, uint64_t now_ms, bool engaged,
                     struct paxos_output *out)
{
    output_send(
        out, node_bit(m->from), 0,
        &(struct paxos_message){
            .kind = PAXOS_WOULD,
            .ballot = a->promised,
            .round = m->round,
            .slot = a->chosen,
            .yes = !engaged && !leader_lives(e, m->from, now_ms) && m->slot >= a->chosen,
        });
}
