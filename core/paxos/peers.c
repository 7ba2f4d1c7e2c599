#include "core/paxos/peers.h"

#include "core/base/check.h"
#include "core/paxos/nodes.h"

static struct peer *peer_of(struct peers *p, uint32_t node)
{
    CHECK(node >= 1 && node <= NODES_MAX && node != p->self);
    return &p->of[node - 1];
}

void peers_init(struct peers *p, const struct paxos_config *config)
{
    *p = (struct peers){
        .self = config->self,
        .silent_ms = config->election_max_ms,
    };
}

void peers_begin(struct peers *p, nodes_set promised, uint64_t now_ms)
{
    for (uint32_t i = 0; i < NODES_MAX; i++)
        p->of[i] = (struct peer){ 0 };
    for (uint32_t id = 1; id <= NODES_MAX; id++) {
        if (id != p->self && nodes_has(promised, id)) peers_heard(p, id, now_ms);
    }
}

void peers_heard(struct peers *p, uint32_t node, uint64_t now_ms)
{
    struct peer *peer = peer_of(p, node);

    peer->heard = true;
    peer->heard_ms = now_ms;
}

void peers_up(struct peers *p, uint32_t node)
{
    p->down &= ~node_bit(node);
}

void peers_down(struct peers *p, uint32_t node)
{
    p->down |= node_bit(node);
}

nodes_set peers_lately(const struct peers *p, uint64_t now_ms)
{
    nodes_set set = node_bit(p->self);

    for (uint32_t id = 1; id <= NODES_MAX; id++) {
        const struct peer *peer = &p->of[id - 1];

        if (peer->heard && now_ms - peer->heard_ms < p->silent_ms) set |= node_bit(id);
    }
    return set;
}

nodes_set peers_live(const struct peers *p, uint64_t now_ms)
{
    return peers_lately(p, now_ms) & ~p->down;
}

nodes_set peers_ready(const struct peers *p, uint64_t chosen, uint64_t now_ms)
{
    nodes_set ready = peers_live(p, now_ms) & ~node_bit(p->self);

    for (uint32_t id = 1; id <= NODES_MAX; id++) {
        if (p->of[id - 1].chosen < chosen) ready &= ~node_bit(id);
    }
    return ready;
}

/* The highest round that a quorum answered.  Each answer attests all rounds up to its own.
 */
static void confirm(struct peers *p, nodes_set voters)
{
    for (uint32_t at = 1; at <= NODES_MAX; at++) {
        const uint64_t round = at == p->self ? p->round : p->of[at - 1].round;
        nodes_set answered = node_bit(p->self);

        if (round <= p->round_confirmed) continue;
        for (uint32_t id = 1; id <= NODES_MAX; id++) {
            if (p->of[id - 1].round >= round) answered |= node_bit(id);
        }
        if (nodes_quorum(answered, voters)) p->round_confirmed = round;
    }
}

uint64_t peers_read(struct peers *p, nodes_set voters)
{
    p->round++;
    confirm(p, voters);
    return p->round;
}

void peers_answer(struct peers *p, const struct paxos_message *m, nodes_set voters)
{
    struct peer *peer = peer_of(p, m->from);

    if (m->chosen > peer->chosen) peer->chosen = m->chosen;
    peer->disk_us = m->disk_us;
    if (m->round <= peer->round || m->round > p->round) return;
    peer->round = m->round;
    confirm(p, voters);
}

void peers_check(const struct peers *p)
{
    CHECK(p->round_confirmed <= p->round);
    for (uint32_t i = 0; i < NODES_MAX; i++)
        CHECK(p->of[i].round <= p->round);
}
