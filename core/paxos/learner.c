#include "core/paxos/learner.h"

#include "core/base/check.h"
#include "core/paxos/output.h"

void learner_init(struct learner *l)
{
    *l = (struct learner){ .wait_ms = LEARN_WAIT_MS };
}

static struct learned *place_of(struct learner *l, uint64_t slot)
{
    return &l->ahead[slot % WINDOW_MAX];
}

static void drop(struct learner *l, struct learned *kept)
{
    if (kept->slot == 0) return;
    blob_unref(kept->proposal.batch);
    *kept = (struct learned){ 0 };
    l->ahead_count--;
}

void learner_fini(struct learner *l)
{
    for (uint32_t i = 0; i < WINDOW_MAX; i++)
        drop(l, &l->ahead[i]);
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

/* P8 */
static bool leader_says_chosen(const struct learner *l, const struct acceptor *a)
{
    const struct vote *v = acceptor_vote_at(a, a->chosen + 1);

    if (a->chosen >= l->leader_chosen || v == NULL) return false;
    return ballot_cmp(v->ballot, l->leader) == 0;
}

/* What others told of slots that the prefix has passed since. */
static void forget_old(struct learner *l, uint64_t chosen)
{
    for (uint32_t i = 0; i < WINDOW_MAX && l->ahead_count > 0; i++) {
        if (l->ahead[i].slot <= chosen) drop(l, &l->ahead[i]);
    }
}

void learner_advance(struct learner *l, struct acceptor *a, struct paxos_output *out)
{
    while (out->chosen_count < WINDOW_MAX) {
        const struct learned *kept = place_of(l, a->chosen + 1);

        if (leader_says_chosen(l, a)) {
            acceptor_advance(a, out);
        } else if (kept->slot == a->chosen + 1) {
            acceptor_learn(a, &kept->proposal, out);
        } else {
            break;
        }
    }
    forget_old(l, a->chosen);
}

static void keep(struct learner *l, uint64_t slot, const struct proposal *proposal)
{
    struct learned *place = place_of(l, slot);

    drop(l, place);
    *place = (struct learned){ slot, *proposal };
    blob_ref(proposal->batch);
    l->ahead_count++;
}

/* The end of a series may overtake the rest of it. */
void learner_take(struct learner *l, struct acceptor *a, const struct paxos_message *m,
                  uint64_t now_ms, struct paxos_output *out)
{
    if (m->slot <= a->chosen || m->slot - a->chosen > WINDOW_MAX) return;
    if (place_of(l, m->slot)->slot == m->slot) return; /* told before */
    keep(l, m->slot, &m->vote.proposal);
    if (m->yes && m->slot > l->series_end) l->series_end = m->slot;
    learner_advance(l, a, out);

    const bool whole = l->series_end != 0 && l->series_end <= a->chosen;

    l->wait_ms = LEARN_WAIT_MS;
    l->due_ms = whole ? now_ms : now_ms + LEARN_WAIT_MS;
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
    l->series_end = 0;
    l->due_ms = now_ms + l->wait_ms;
    l->wait_ms *= 2;
}

void learner_peer_down(struct learner *l, uint32_t node)
{
    if (node == l->source) give_up(l);
}

void learner_check(const struct learner *l)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < WINDOW_MAX; i++) {
        const struct learned *kept = &l->ahead[i];

        count += kept->slot != 0;
        CHECK(IMPLIES(kept->slot != 0, kept->slot % WINDOW_MAX == i));
        CHECK(IMPLIES(kept->slot == 0, kept->proposal.batch == NULL));
    }
    CHECK(count == l->ahead_count);
}
