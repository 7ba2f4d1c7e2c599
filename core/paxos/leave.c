#include "core/paxos/leave.h"

#include "core/base/check.h"
#include "core/paxos/nodes.h"
#include "core/paxos/output.h"

void leave_init(struct leave *l, const struct paxos_config *config)
{
    *l = (struct leave){ .self = config->self, .heartbeat_ms = config->heartbeat_ms };
}

void leave_begin(struct leave *l, const struct acceptor *a, uint64_t now_ms)
{
    CHECK(l->slot == 0 && a->chosen > 0);
    l->on = true;
    l->slot = a->chosen;
    l->know = 0;
    l->resend_ms = now_ms;
    l->deadline_ms = now_ms + LEAVE_MS_MAX;
}

void leave_hear(struct leave *l, uint32_t node, uint64_t chosen)
{
    if (l->on && chosen >= l->slot) l->know |= node_bit(node);
}

void leave_turn(struct leave *l, const struct acceptor *a, uint64_t now_ms,
                struct paxos_output *out)
{
    const nodes_set voters = a->members.voters;

    if (!l->on) return;
    if (nodes_quorum(l->know, voters) || now_ms >= l->deadline_ms) {
        l->on = false;
        return;
    }
    if (now_ms < l->resend_ms) return;
    l->resend_ms = now_ms + l->heartbeat_ms;
    /* Its own id may mean its successor.  It asks for nothing: the answers to a round that
     * nobody began are not counted. */
    output_send(out, voters & ~l->know & ~node_bit(l->self), 0,
                &(struct paxos_message){
                    .kind = PAXOS_WOULD_YOU,
                    .ballot = a->promised,
                    .round = 1,
                    .slot = a->chosen,
                });
}
