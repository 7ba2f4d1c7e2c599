#include "core/paxos/learner.h"

#include "core/paxos/output.h"

void learner_init(struct learner *l)
{
    *l = (struct learner){ .wait_ms = LEARN_WAIT_MS };
}

static void ask_from(struct learner *l, uint32_t node, uint64_t chosen)
{
    if (node != l->source) { /* somebody new: nothing of his is on its way yet */
        l->due_ms = 0;
        l->wait_ms = LEARN_WAIT_MS;
    }
    l->known = chosen;
    l->source = node;
}

void learner_hear(struct learner *l, uint32_t node, uint64_t chosen)
{
    if (chosen > l->known) ask_from(l, node, chosen);
}

void learner_obey(struct learner *l, const struct paxos_message *m)
{
    const int newer = ballot_cmp(m->ballot, l->leader);

    /* A leader that knows as much as another is the better one to ask: he answers. */
    if (m->chosen >= l->known) ask_from(l, m->from, m->chosen);
    if (newer < 0 || (newer == 0 && m->chosen <= l->leader_chosen)) return;
    l->leader = m->ballot;
    l->leader_chosen = m->chosen;
}

void learner_advance(const struct learner *l, struct acceptor *a, struct paxos_output *out)
{
    while (a->chosen < l->leader_chosen && out->chosen_count < WINDOW_MAX) {
        const struct vote *v = acceptor_vote_at(a, a->chosen + 1);

        if (v == NULL || ballot_cmp(v->ballot, l->leader) != 0) return; /* P8 */
        acceptor_advance(a, out);
    }
}

void learner_take(struct learner *l, struct acceptor *a, const struct paxos_message *m,
                  uint64_t now_ms, struct paxos_output *out)
{
    if (m->slot != a->chosen + 1) return;
    acceptor_learn(a, &m->vote.proposal, out);
    learner_advance(l, a, out);

    l->wait_ms = LEARN_WAIT_MS;
    l->due_ms = m->yes ? now_ms : now_ms + LEARN_WAIT_MS;
}

/* The next that speaks of a chosen slot is asked instead. */
static void give_up(struct learner *l)
{
    l->source = 0;
    l->known = 0;
}

void learner_ask(struct learner *l, const struct acceptor *a, uint64_t now_ms,
                 struct paxos_output *out)
{
    if (l->known <= a->chosen || l->source == 0 || now_ms < l->due_ms) return;
    if (l->wait_ms >= LEARN_WAIT_MS_MAX) {
        give_up(l);
        return;
    }
    output_send(out, node_bit(l->source), 0,
                &(struct paxos_message){
                    .kind = PAXOS_LEARN_REQUEST,
                    .ballot = a->promised,
                    .slot = a->chosen + 1,
                });
    l->due_ms = now_ms + l->wait_ms;
    l->wait_ms *= 2;
}

void learner_peer_down(struct learner *l, uint32_t node)
{
    if (node == l->source) give_up(l);
}
