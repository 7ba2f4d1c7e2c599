#include "core/paxos/output.h"

#include "core/base/check.h"

void output_begin(struct paxos_output *out)
{
    out->writes_count = out->sends_count = out->chosen_count = 0;
    out->round = out->round_confirmed = 0;
    out->serve.to = 0;
    out->serve.slot_first = 0;
    out->role_changed = out->members_changed = false;
}

void output_write(struct paxos_output *out, const struct paxos_write *w)
{
    CHECK(out->writes_count < PAXOS_WRITES_MAX);
    out->writes[out->writes_count++] = *w;
}

void output_send(struct paxos_output *out, nodes_set to, uint64_t after,
                 const struct paxos_message *m)
{
    if (to == 0) return;
    CHECK(out->sends_count < PAXOS_SENDS_MAX);
    out->sends[out->sends_count++] = (struct paxos_send){
        .to = to,
        .after = after,
        .message = *m,
    };
}

void output_chosen(struct paxos_output *out, uint64_t slot, const struct proposal *p)
{
    const uint32_t count = out->chosen_count;

    CHECK(count < WINDOW_MAX);
    CHECK(IMPLIES(count > 0, out->chosen[count - 1].slot + 1 == slot)); /* P6 */
    out->chosen[count].slot = slot;
    out->chosen[count].proposal = *p;
    out->chosen_count = count + 1;
}
