/* paxos_net_inside.h -- what the driver and the judge of paxos_net.h share. */
#ifndef TESTS_LIB_PAXOS_NET_INSIDE_H
#define TESTS_LIB_PAXOS_NET_INSIDE_H

#include "core/base/check.h"
#include "core/paxos/members.h"
#include "core/paxos/nodes.h"
#include "tests/lib/paxos_net.h"

static inline struct net_server *server(struct net *n, uint32_t id)
{
    CHECK(id >= 1 && id <= n->nodes);
    return &n->servers[id - 1];
}

/* The newest record of a slot, or NULL. */
const struct paxos_write *net_record(const struct net_server *s, uint64_t slot);

void net_breach(struct net *n, uint32_t id, const char *what, uint64_t number);
void net_judge_told(struct net *n, const struct net_packet *packet); /* when it leaves */
void net_judge_sent(struct net *n, uint32_t id, const struct paxos_send *send);
void net_judge_chosen(struct net *n, uint32_t id, uint64_t slot, const struct proposal *p);
void net_judge_members(struct net *n, uint32_t id); /* after each step */
void net_judge_reads(struct net *n, uint32_t id, uint64_t confirmed);
void net_judge_leases(struct net *n);
bool net_same(const struct proposal *a, const struct proposal *b);

#endif
