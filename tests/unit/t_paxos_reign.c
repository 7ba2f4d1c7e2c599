/* t_paxos_reign.c -- leading, following and read rounds, one rule a test.
 *
 * Method: a single instance, server 1 of three, is stepped with hand-made messages, and its
 * output looked at (tests/lib/paxos_one.h). */
#include "tests/lib/paxos_one.h"

/* Leading. */

static void own_vote_counts_only_when_it_is_on_disk(void)
{
    fresh(THREE);
    become_leading();
    propose(1, 0);
    IS(sent(PAXOS_ACCEPT)->after, 0);
    IS(sent(PAXOS_ACCEPT)->to, 6);
    accepted(2, 1);
    IS(out.chosen_count, 0);
    durable();
    IS(out.chosen_count, 1);
}

static void others_may_choose_before_the_leaders_own_disk(void)
{
    fresh(THREE);
    become_leading();
    propose(1, 0);
    accepted(2, 1);
    accepted(3, 1);
    IS(out.chosen_count, 1);
}

static void slots_chosen_out_of_order_come_out_in_order(void)
{
    fresh(THREE);
    become_leading();
    propose(1, 0);
    propose(2, 0);
    durable();
    accepted(2, 2);
    IS(out.chosen_count, 0);
    accepted(3, 1);
    IS(out.chosen_count, 2);
    IS(out.chosen[0].slot, 1);
    IS(out.chosen[1].slot, 2);
}

static void who_waits_for_a_slot_hears_at_once_and_others_later(void)
{
    fresh(THREE);
    become_leading();
    propose(1, node_bit(3) | node_bit(1));
    durable();
    accepted(2, 1);
    IS(out.sends_count, 1);
    IS(sent(PAXOS_HEARTBEAT)->to, node_bit(3));
    IS(sent(PAXOS_HEARTBEAT)->message.chosen, 1);
    OK(!sent(PAXOS_HEARTBEAT)->message.yes);
}

static void what_is_chosen_is_told_at_the_next_tick_if_no_proposal_does(void)
{
    fresh(THREE);
    become_leading();
    propose(1, 0);
    durable();
    accepted(2, 1);
    IS(out.sends_count, 0);
    propose(2, 0);
    IS(sent(PAXOS_ACCEPT)->message.chosen, 1);
    tick(1);
    OK(sent(PAXOS_HEARTBEAT) == NULL); /* they know it */
    durable();
    accepted(2, 2);
    tick(1);
    IS(sent(PAXOS_HEARTBEAT)->to, 6);
    IS(sent(PAXOS_HEARTBEAT)->message.chosen, 2);
    OK(!sent(PAXOS_HEARTBEAT)->message.yes);
    tick(1);
    OK(sent(PAXOS_HEARTBEAT) == NULL);
}

static void open_slots_are_sent_again_to_who_has_not_accepted(void)
{
    fresh(31);
    become_asking();
    const uint64_t nonce = sent(PAXOS_WOULD_YOU)->message.round;
    say_yes(2, nonce);
    say_yes(3, nonce);
    durable();
    promise(2, 0, 0, (struct vote){ 0 });
    promise(3, 0, 0, (struct vote){ 0 });
    IS(paxos_role(p), PAXOS_LEADING);
    propose(1, 0);
    accepted(2, 1);
    step((struct paxos_input){ .kind = PAXOS_IN_PEER_DOWN, .node = 5 });
    tick(HEARTBEAT_MS - 1);
    OK(sent(PAXOS_ACCEPT) == NULL);
    tick(1);
    IS(sent(PAXOS_ACCEPT)->to, node_bit(3) | node_bit(4));
    OK(sent(PAXOS_ACCEPT)->message.vote.proposal.batch == batches[1]);
}

static void the_window_bounds_what_is_in_flight(void)
{
    fresh(THREE);
    become_leading();
    for (uint32_t i = 0; i < WINDOW_MAX; i++) {
        OK(paxos_can_propose(p));
        propose(1, 0);
    }
    OK(!paxos_can_propose(p));
    durable();
    for (uint64_t s = WINDOW_MAX; s >= 1; s--)
        accepted(2, s);
    IS(out.chosen_count, WINDOW_MAX);
    OK(paxos_can_propose(p));
}

/* Its own proposal for slot 1 is not what was chosen there; were it to move on, followers
 * would take their votes at its ballot for chosen. */
static void a_leader_learns_by_counting_only(void)
{
    fresh(THREE);
    become_leading();
    propose(1, 0);
    receive(3, (struct paxos_message){
                   .kind = PAXOS_LEARN,
                   .slot = 1,
                   .chosen = 1,
                   .vote.proposal = vote_of(1, 90, 3, 2).proposal,
               });
    IS(out.chosen_count, 0);
    IS(out.sends_count, 0);
}

/* Following. */

static void a_follower_moves_on_with_votes_of_the_leaders_very_ballot(void)
{
    fresh(THREE);
    accept_from(2, 1, 1, 1);
    accept_from(3, 2, 2, 2);
    heartbeat(3, 2, 2);
    IS(out.chosen_count, 0); /* its vote in slot 1 is of an older ballot */
    IS(sent(PAXOS_LEARN_REQUEST)->message.slot, 1);
    IS(sent(PAXOS_LEARN_REQUEST)->to, node_bit(3));
    accept_from(3, 2, 1, 3);
    IS(out.chosen_count, 2);
    OK(out.chosen[0].proposal.batch == batches[3]);
}

static void learn_from(uint32_t from, uint64_t slot, uint64_t chosen, bool last)
{
    receive(from, (struct paxos_message){
                      .kind = PAXOS_LEARN,
                      .slot = slot,
                      .chosen = chosen,
                      .yes = last,
                      .vote.proposal = vote_of(slot, 1, 2, 1).proposal,
                  });
}

static void missing_slots_are_asked_for_at_a_pace(void)
{
    fresh(THREE);
    heartbeat(2, 1, 4);
    OK(sent(PAXOS_LEARN_REQUEST) != NULL);
    heartbeat(2, 1, 5);
    OK(sent(PAXOS_LEARN_REQUEST) == NULL); /* asked just now */
    learn_from(2, 1, 5, false);
    IS(out.chosen_count, 1);
    IS(out.writes[0].kind, PAXOS_WRITE_CHOSEN);
    OK(sent(PAXOS_LEARN_REQUEST) == NULL); /* more is on its way */
    learn_from(2, 3, 5, false);
    IS(out.chosen_count, 0); /* not the next */
    learn_from(2, 2, 5, true);
    IS(out.chosen_count, 2);
    IS(sent(PAXOS_LEARN_REQUEST)->message.slot, 4); /* that was the last: ask on */
    tick(20);
    IS(sent(PAXOS_LEARN_REQUEST)->message.slot, 4); /* lost: ask again */
    tick(20);
    OK(sent(PAXOS_LEARN_REQUEST) == NULL); /* but ever more seldom */
}

static void learned_slots_may_come_in_any_order(void)
{
    fresh(THREE);
    heartbeat(2, 1, 9);
    learn_from(2, 4, 9, true);
    learn_from(2, 2, 9, false);
    learn_from(2, 3, 9, false);
    learn_from(2, 2, 9, false);
    IS(out.chosen_count + out.sends_count, 0); /* the end came, the rest is on its way */
    learn_from(2, 1, 9, false);
    IS(out.chosen_count, 4);
    IS(out.writes_count, 4);
    IS(out.writes[3].vote.slot, 4);
    IS(out.writes[3].chosen, 4);
    IS(sent(PAXOS_LEARN_REQUEST)->message.slot, 5);
}

static void slots_beyond_the_window_are_not_kept(void)
{
    fresh(THREE);
    learn_from(2, WINDOW_MAX + 1, 99, true);
    learn_from(2, 2, 99, false);
    for (uint32_t slot = 3; slot <= WINDOW_MAX; slot++)
        learn_from(2, slot, 99, false);
    learn_from(2, 1, 99, false);
    IS(out.chosen_count, WINDOW_MAX);
    learn_from(2, WINDOW_MAX + 2, 99, false);
    learn_from(2, WINDOW_MAX + 1, 99, false);
    IS(out.chosen_count, 2);
}

/* What is kept may become known on the leader's word before its turn. */
static void what_was_kept_is_forgotten_when_its_slot_is_passed(void)
{
    fresh(THREE);
    learn_from(2, 2, 2, true);
    accept_from(3, 2, 1, 1);
    accept_from(3, 2, 2, 2);
    heartbeat(3, 2, 2);
    IS(out.chosen_count, 2);
    learn_from(2, WINDOW_MAX + 2, 99, true); /* in the same place */
    IS(out.chosen_count, 0);
    IS(paxos_chosen(p), 2);
}

static void only_known_slots_are_served(void)
{
    restarted(THREE, (struct ballot){ 1, 2 }, 5);
    receive(3, (struct paxos_message){ .kind = PAXOS_LEARN_REQUEST, .slot = 5 });
    IS(out.serve.to, 3);
    IS(out.serve.slot_first, 5);
    receive(3, (struct paxos_message){ .kind = PAXOS_LEARN_REQUEST, .slot = 6 });
    IS(out.serve.to, 0);
}

static void a_heartbeat_is_answered_when_an_answer_is_wanted(void)
{
    fresh(THREE);
    heartbeat(2, 1, 0);
    IS(sent(PAXOS_HEARTBEAT_OK)->to, node_bit(2));
    receive(2, (struct paxos_message){ .kind = PAXOS_HEARTBEAT, .ballot = { 1, 2 } });
    IS(out.sends_count, 0);
}

/* Reads and trimming. */

static void a_read_round_is_confirmed_by_a_quorum_that_answered_it(void)
{
    fresh(THREE);
    become_leading();
    const uint64_t first = read_round();
    OK(first > 0);
    IS(sent(PAXOS_HEARTBEAT)->to, 6);
    IS(sent(PAXOS_HEARTBEAT)->message.round, first);
    const uint64_t second = read_round();
    heartbeat_ok(2, first - 1); /* left before the first began */
    IS(out.round_confirmed, 0);
    heartbeat_ok(2, first);
    IS(out.round_confirmed, first);
    heartbeat_ok(3, second);
    IS(out.round_confirmed, second);
    heartbeat_ok(2, second + 1); /* a round that never was */
    IS(out.round_confirmed, 0);
}

static void answers_to_an_earlier_reign_confirm_nothing(void)
{
    fresh(THREE);
    become_leading();
    const uint64_t round = read_round();
    struct ballot earlier = own();
    earlier.round--;
    receive(2, (struct paxos_message){
                   .kind = PAXOS_HEARTBEAT_OK,
                   .ballot = earlier,
                   .round = round,
               });
    IS(out.round_confirmed, 0);
}

static void reads_need_a_leader(void)
{
    fresh(THREE);
    IS(read_round(), 0);
    fresh(1);
    tick(0);
    durable();
    OK(read_round() > 0);
    IS(out.round_confirmed, out.round);
}

int main(void)
{
    rig_begin();
    TEST(own_vote_counts_only_when_it_is_on_disk);
    TEST(others_may_choose_before_the_leaders_own_disk);
    TEST(slots_chosen_out_of_order_come_out_in_order);
    TEST(who_waits_for_a_slot_hears_at_once_and_others_later);
    TEST(what_is_chosen_is_told_at_the_next_tick_if_no_proposal_does);
    TEST(open_slots_are_sent_again_to_who_has_not_accepted);
    TEST(the_window_bounds_what_is_in_flight);
    TEST(a_leader_learns_by_counting_only);
    TEST(a_follower_moves_on_with_votes_of_the_leaders_very_ballot);
    TEST(missing_slots_are_asked_for_at_a_pace);
    TEST(learned_slots_may_come_in_any_order);
    TEST(slots_beyond_the_window_are_not_kept);
    TEST(what_was_kept_is_forgotten_when_its_slot_is_passed);
    TEST(only_known_slots_are_served);
    TEST(a_heartbeat_is_answered_when_an_answer_is_wanted);
    TEST(a_read_round_is_confirmed_by_a_quorum_that_answered_it);
    TEST(answers_to_an_earlier_reign_confirm_nothing);
    TEST(reads_need_a_leader);
    return rig_end();
}
