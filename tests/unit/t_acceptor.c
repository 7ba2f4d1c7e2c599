/* t_acceptor.c -- what an acceptor may and may not do, one rule a test.
 *
 * Method: hand-made messages for each rule, then a seeded storm of random ones in which the
 * CHECKs of acceptor_check() are the judge.  Replay with:  SEED=<n> ./t_acceptor  */
#include <stdlib.h>

#include "core/base/rng.h"
#include "core/paxos/acceptor.h"
#include "core/paxos/output.h"
#include "tests/lib/tap.h"

static struct acceptor a;
static struct paxos_output out;
static struct blob *batches[8];

static void begin(void)
{
    acceptor_release(&a);
    output_begin(&out);
}

static void started(struct ballot promised, uint64_t chosen)
{
    acceptor_init(&a, promised, &(struct run){ .slot = chosen },
                  &(struct members){ .number = 1, .voters = 7 });
}

static void fresh(void)
{
    acceptor_fini(&a);
    started((struct ballot){ 0 }, 0);
    begin();
}

static void prepare(uint64_t round, uint32_t node, uint64_t slot)
{
    begin();
    acceptor_prepare(&a,
                     &(struct paxos_message){
                         .kind = PAXOS_PREPARE,
                         .from = node,
                         .ballot = { round, node },
                         .slot = slot,
                     },
                     &out);
    acceptor_check(&a);
}

static void accept_at(uint64_t round, uint32_t node, uint64_t slot, int value)
{
    begin();
    acceptor_accept(&a,
                    &(struct paxos_message){
                        .kind = PAXOS_ACCEPT,
                        .from = node,
                        .ballot = { round, node },
                        .slot = slot,
                        .vote.proposal = { .reign = { round, node },
                                           .reign_first = slot,
                                           .batch = batches[value] },
                    },
                    &out);
    acceptor_check(&a);
}

static struct proposal first_with(struct blob *batch)
{
    return (struct proposal){ .reign = { 1, 1 }, .reign_first = 1, .batch = batch };
}

static void learn(int value)
{
    begin();
    const struct proposal p = first_with(batches[value]);

    acceptor_learn(&a, &p, &out);
    acceptor_check(&a);
}

static enum paxos_message_kind answer(void)
{
    return out.sends_count == 0 ? 0 : out.sends[0].message.kind;
}

static void a_promise_waits_for_its_own_write(void)
{
    fresh();
    prepare(1, 7, 1);
    IS(out.writes_count, 1);
    IS(out.writes[0].kind, PAXOS_WRITE_PROMISE);
    IS(answer(), PAXOS_PROMISE);
    IS(out.sends[0].after, out.writes[0].seq);
    IS(out.sends[0].to, node_bit(7));
}

static void a_repeated_prepare_waits_for_the_first_write(void)
{
    fresh();
    prepare(1, 7, 1);
    const uint64_t seq = out.writes[0].seq;
    prepare(1, 7, 1);
    IS(out.writes_count, 0);
    IS(answer(), PAXOS_PROMISE);
    IS(out.sends[0].after, seq);
}

static void an_older_ballot_is_refused_and_told_the_newer_one(void)
{
    fresh();
    prepare(5, 2, 1);
    accept_at(4, 9, 1, 0);
    IS(out.writes_count, 0);
    IS(answer(), PAXOS_NACK);
    IS(out.sends[0].message.promised.round, 5);
    IS(out.sends[0].after, 0);
    prepare(5, 1, 1);
    IS(answer(), PAXOS_NACK);
}

static void nodes_break_the_tie_of_equal_rounds(void)
{
    fresh();
    prepare(5, 2, 1);
    prepare(5, 3, 1);
    IS(answer(), PAXOS_PROMISE);
    IS(a.promised.node, 3);
}

static void a_promise_reports_every_open_vote_one_a_message(void)
{
    fresh();
    accept_at(1, 1, 1, 1);
    accept_at(1, 1, 3, 3);
    prepare(2, 2, 1);
    IS(out.sends_count, 2);
    for (uint32_t i = 0; i < 2; i++) {
        const struct paxos_message *m = &out.sends[i].message;

        IS(m->count, 2);
        IS(m->index, i);
        IS(m->vote.slot, i == 0 ? 1 : 3);
        OK(m->vote.proposal.batch == batches[i == 0 ? 1 : 3]);
        IS(m->vote.ballot.round, 1);
    }
}

static void votes_below_the_slot_asked_for_are_not_reported(void)
{
    fresh();
    accept_at(1, 1, 1, 1);
    accept_at(1, 1, 2, 2);
    prepare(2, 2, 2);
    IS(out.sends_count, 1);
    IS(out.sends[0].message.count, 1);
    IS(out.sends[0].message.vote.slot, 2);
}

static void a_vote_waits_for_its_write_also_when_heard_again(void)
{
    fresh();
    accept_at(1, 1, 1, 1);
    IS(out.writes[0].kind, PAXOS_WRITE_VOTE);
    IS(out.writes[0].vote.slot, 1);
    IS(out.writes[0].promised.round, 1);
    IS(answer(), PAXOS_ACCEPTED);
    IS(out.sends[0].after, out.writes[0].seq);
    accept_at(1, 1, 1, 1);
    IS(out.writes_count, 0);
    IS(answer(), PAXOS_ACCEPTED);
    IS(out.sends[0].after, a.write_seq);
}

static void a_vote_carries_the_promise_of_its_ballot(void)
{
    fresh();
    accept_at(3, 1, 1, 1);
    IS(a.promised.round, 3);
    prepare(2, 2, 1);
    IS(answer(), PAXOS_NACK);
}

static void a_second_proposal_at_one_ballot_gets_no_vote(void)
{
    fresh();
    accept_at(1, 1, 1, 1);
    accept_at(1, 1, 1, 2);
    IS(out.sends_count, 0);
    IS(out.writes_count, 0);
    OK(acceptor_vote_at(&a, 1)->proposal.batch == batches[1]);
}

static void a_higher_ballot_replaces_the_vote(void)
{
    fresh();
    accept_at(1, 1, 1, 1);
    accept_at(2, 2, 1, 2);
    OK(acceptor_vote_at(&a, 1)->proposal.batch == batches[2]);
    IS(acceptor_vote_at(&a, 1)->ballot.round, 2);
}

static void a_slot_beyond_the_window_changes_nothing(void)
{
    fresh();
    accept_at(9, 1, WINDOW_MAX + 1, 1);
    IS(out.sends_count, 0);
    IS(a.promised.round, 0);
    accept_at(9, 1, WINDOW_MAX, 1);
    IS(answer(), PAXOS_ACCEPTED);
}

/* A candidate that hears only of votes given up would take their slots for empty and put a
 * second value where one is already chosen. */
static void a_prepare_for_chosen_slots_is_refused_and_promises_nothing(void)
{
    fresh();
    learn(1);
    learn(2);
    prepare(7, 2, 2);
    IS(answer(), PAXOS_TOO_OLD);
    IS(out.sends[0].message.slot, 2);
    IS(out.writes_count, 0);
    IS(a.promised.round, 0);
    prepare(7, 2, 3);
    IS(answer(), PAXOS_PROMISE);
}

static void a_chosen_slot_is_voted_for_without_being_stored(void)
{
    fresh();
    learn(1);
    accept_at(4, 2, 1, 1);
    IS(answer(), PAXOS_ACCEPTED);
    IS(out.writes_count, 1);
    IS(out.writes[0].kind, PAXOS_WRITE_PROMISE);
    IS(out.sends[0].after, out.writes[0].seq);
    IS(a.promised.round, 4);
    OK(acceptor_vote_at(&a, 1) == NULL);
}

static void a_learned_slot_replaces_the_vote_and_is_written_as_chosen(void)
{
    fresh();
    accept_at(1, 1, 1, 1);
    learn(2);
    IS(out.writes[0].kind, PAXOS_WRITE_CHOSEN);
    IS(out.writes[0].chosen, 1);
    IS(out.writes[0].vote.slot, 1);
    IS(out.chosen_count, 1);
    IS(out.chosen[0].slot, 1);
    OK(out.chosen[0].proposal.batch == batches[2]);
    IS(a.chosen, 1);
}

static void the_window_moves_up_with_the_chosen_prefix(void)
{
    fresh();
    accept_at(1, 1, 1, 1);
    begin();
    acceptor_advance(&a, &out);
    accept_at(1, 1, WINDOW_MAX + 1, 2); /* the place of slot 1 */
    IS(answer(), PAXOS_ACCEPTED);
    IS(out.writes[0].chosen, 1);
    prepare(2, 2, 2);
    IS(out.sends_count, 1);
    IS(out.sends[0].message.vote.slot, WINDOW_MAX + 1);
}

static void a_batch_lives_until_the_step_after_it_was_given_up(void)
{
    struct blob *b = blob_new(bytes_of("shortlived", 10));

    fresh();
    begin();
    const struct proposal p = first_with(b);

    acceptor_learn(&a, &p, &out);
    blob_unref(b);
    OK(bytes_equal(blob_bytes(out.chosen[0].proposal.batch), bytes_of("shortlived", 10)));
    IS(a.grave_count, 1);
    begin();
    IS(a.grave_count, 0);
}

static void restored_votes_are_reported_as_before(void)
{
    const struct vote kept = {
        .slot = 12,
        .ballot = { 5, 1 },
        .proposal = { .reign = { 5, 1 }, .reign_first = 12, .batch = batches[1] },
    };

    fresh();
    started((struct ballot){ 6, 2 }, 10);
    acceptor_restore(&a, &kept);
    prepare(6, 2, 11);
    IS(answer(), PAXOS_PROMISE);
    IS(out.sends[0].message.vote.slot, 12);
    prepare(6, 1, 11);
    IS(answer(), PAXOS_NACK);
}

static void the_invariants_hold_in_a_random_storm(void)
{
    const char *env = getenv("SEED");
    const uint64_t seed = env == NULL ? 20240601 : strtoull(env, NULL, 10);
    struct rng rng;

    printf("# SEED=%" PRIu64 "\n", seed);
    rng_init(&rng, seed);
    fresh();
    for (int i = 0; i < 50000; i++) {
        const struct ballot promised = a.promised;
        const uint64_t round = 1 + rng_below(&rng, 50) + promised.round * 9 / 10;
        const uint32_t node = 1 + (uint32_t)rng_below(&rng, 3);
        const uint64_t slot = 1 + rng_below(&rng, a.chosen + WINDOW_MAX + 2);
        const uint64_t dice = rng_below(&rng, 20);

        if (dice == 0) {
            learn((int)rng_below(&rng, 8));
        } else if (dice == 1 && acceptor_vote_at(&a, a.chosen + 1) != NULL) {
            begin();
            acceptor_advance(&a, &out);
        } else if (dice < 6) {
            prepare(round, node, slot);
        } else {
            accept_at(round, node, slot, (int)((round + node + slot) % 8));
        }
        OK(ballot_cmp(a.promised, promised) >= 0);
    }
}

int main(void)
{
    for (uint8_t i = 0; i < 8; i++)
        batches[i] = blob_new(bytes_of(&i, 1));
    TEST(a_promise_waits_for_its_own_write);
    TEST(a_repeated_prepare_waits_for_the_first_write);
    TEST(an_older_ballot_is_refused_and_told_the_newer_one);
    TEST(nodes_break_the_tie_of_equal_rounds);
    TEST(a_promise_reports_every_open_vote_one_a_message);
    TEST(votes_below_the_slot_asked_for_are_not_reported);
    TEST(a_vote_waits_for_its_write_also_when_heard_again);
    TEST(a_vote_carries_the_promise_of_its_ballot);
    TEST(a_second_proposal_at_one_ballot_gets_no_vote);
    TEST(a_higher_ballot_replaces_the_vote);
    TEST(a_slot_beyond_the_window_changes_nothing);
    TEST(a_prepare_for_chosen_slots_is_refused_and_promises_nothing);
    TEST(a_chosen_slot_is_voted_for_without_being_stored);
    TEST(a_learned_slot_replaces_the_vote_and_is_written_as_chosen);
    TEST(the_window_moves_up_with_the_chosen_prefix);
    TEST(a_batch_lives_until_the_step_after_it_was_given_up);
    TEST(restored_votes_are_reported_as_before);
    TEST(the_invariants_hold_in_a_random_storm);
    acceptor_fini(&a);
    for (int i = 0; i < 8; i++)
        blob_unref(batches[i]);
    return tap_done();
}
