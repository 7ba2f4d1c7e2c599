#include "core/paxos/transfer.h"

#include "core/base/check.h"
#include "core/paxos/nodes.h"
#include "core/paxos/output.h"

void transfer_init(struct transfer *t, const struct paxos_config *config)
{
    *t = (struct transfer){ .patience_ms = config->election_max_ms,
                            .heartbeat_ms = config->heartbeat_ms };
}

void transfer_begin(struct transfer *t, uint32_t wanted, uint64_t now_ms)
{
    CHECK(!t->on);
    t->on = true;
    t->wanted = wanted;
    t->told = 0;
    t->resend_ms = now_ms;
    t->deadline_ms = now_ms + t->patience_ms;
}

void transfer_stop(struct transfer *t)
{
    t->on = false;
}

/* 0 = nobody is ready. */
static uint32_t choose(const struct transfer *t, nodes_set ready)
{
    uint32_t id = 1;

    if (t->wanted != 0) return nodes_has(ready, t->wanted) ? t->wanted : 0;
    if (nodes_has(ready, t->told)) return t->told;
    while (id <= NODES_MAX && !nodes_has(ready, id))
        id++;
    return id <= NODES_MAX ? id : 0;
}

void transfer_offer(struct transfer *t, nodes_set ready, struct ballot ballot,
                    uint64_t chosen, uint64_t now_ms, struct paxos_output *out)
{
    const uint32_t to = choose(t, ready);

    if (to == 0 || (to == t->told && now_ms < t->resend_ms)) return;
    t->told = to;
    t->resend_ms = now_ms + t->heartbeat_ms;
    output_send(out, node_bit(to), 0,
                &(struct paxos_message){
                    .kind = PAXOS_TAKE_OVER,
                    .ballot = ballot,
                    .slot = chosen,
                });
}
