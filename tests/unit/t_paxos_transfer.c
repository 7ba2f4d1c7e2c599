/* t_paxos_transfer.c -- a leader that hands over, one rule a test.
 *
 * Method: a single instance, server 1 of three, is stepped with hand-made messages, and its
 * output looked at (tests/lib/paxos_one.h). */
#include "tests/lib/paxos_one.h"

/* Handing over. */

static void transfer(uint32_t node)
{
    step((struct paxos_input){ .kind = PAXOS_IN_TRANSFER, .node = node });
}

static void take_over(uint32_t from, uint64_t round, uint64_t chosen)
{
    receive(from, (struct paxos_message){
                      .kind = PAXOS_TAKE_OVER, .ballot = { round, from }, .slot = chosen });
}

static void knows(uint32_t from, uint64_t chosen)
{
    receive(from, (struct paxos_message){
                      .kind = PAXOS_HEARTBEAT_OK, .ballot = own(), .chosen = chosen });
}

static void who_is_told_to_take_over_prepares_at_once(void)
{
    fresh(THREE);
    heartbeat(2, 5, 0);
    take_over(2, 5, 0);
    IS(paxos_role(p), PAXOS_PREPARING);
    IS(sent(PAXOS_WOULD_YOU), NULL);
    OK(sent(PAXOS_PREPARE)->message.ballot.round > 5);
    IS(sent(PAXOS_PREPARE)->after, seq_last); /* P3 */
    take_over(2, 5, 0);                       /* said again: it is at it */
    IS(out.sends_count, 0);
}

static void a_laggard_takes_over_only_once_it_has_caught_up(void)
{
    fresh(THREE);
    accept_from(2, 5, 1, 1);
    take_over(2, 5, 1);
    IS(paxos_role(p), PAXOS_FOLLOWER);
    heartbeat(2, 5, 1);
    take_over(2, 5, 1);
    IS(paxos_role(p), PAXOS_PREPARING);
}

static void a_word_to_take_over_counts_from_the_leader_followed_at_its_ballot(void)
{
    fresh(THREE);
    take_over(2, 5, 0); /* follows nobody */
    IS(paxos_role(p), PAXOS_FOLLOWER);
    heartbeat(2, 5, 0);
    heartbeat(3, 6, 0);
    take_over(2, 5, 0); /* a past leader */
    IS(paxos_role(p), PAXOS_FOLLOWER);
    take_over(3, 5, 0); /* of a past reign */
    IS(paxos_role(p), PAXOS_FOLLOWER);
    take_over(3, 7, 0); /* of a reign not heard of */
    IS(paxos_role(p), PAXOS_FOLLOWER);
    receive(2, (struct paxos_message){ .kind = PAXOS_TAKE_OVER, .ballot = { 6, 3 } });
    IS(paxos_role(p), PAXOS_FOLLOWER);
    take_over(3, 6, 0);
    IS(paxos_role(p), PAXOS_PREPARING);
}

static void who_hands_over_waits_for_its_open_slots_and_for_a_server_that_knows_them(void)
{
    fresh(THREE);
    become_leading();
    propose(1, 0);
    transfer(0);
    OK(paxos_transferring(p));
    IS(sent(PAXOS_TAKE_OVER), NULL); /* slot 1 is open */
    knows(2, 0);
    IS(sent(PAXOS_TAKE_OVER), NULL);
    accepted(2, 1);
    durable();
    IS(paxos_chosen(p), 1);
    IS(sent(PAXOS_HEARTBEAT)->to, THREE & ~node_bit(1)); /* they are to know it, too */
    IS(sent(PAXOS_TAKE_OVER), NULL);
    knows(3, 1);
    IS(sent(PAXOS_TAKE_OVER)->to, node_bit(3));
    IS(sent(PAXOS_TAKE_OVER)->message.slot, 1);
    IS(paxos_role(p), PAXOS_LEADING);
}

static void who_hands_over_proposes_nothing_and_confirms_reads(void)
{
    fresh(THREE);
    become_leading();
    transfer(0);
    OK(!paxos_can_propose(p));
    const uint64_t round = read_round();
    heartbeat_ok(2, round);
    IS(out.round_confirmed, round);
    OK(!paxos_can_propose(p));
}

static void the_word_to_take_over_is_repeated_with_the_heartbeats(void)
{
    fresh(THREE);
    become_leading();
    transfer(0);
    IS(sent(PAXOS_TAKE_OVER)->to, node_bit(2)); /* it promised just now */
    knows(2, 0);
    IS(sent(PAXOS_TAKE_OVER), NULL);
    knows(3, 0);
    IS(sent(PAXOS_TAKE_OVER), NULL); /* one at a time */
    tick(HEARTBEAT_MS);
    IS(sent(PAXOS_TAKE_OVER)->to, node_bit(2));
}

static void a_hand_over_to_a_named_server_waits_for_that_one(void)
{
    fresh(THREE);
    become_leading();
    transfer(3);
    knows(2, 0);
    IS(sent(PAXOS_TAKE_OVER), NULL);
    knows(3, 0);
    IS(sent(PAXOS_TAKE_OVER)->to, node_bit(3));
}

static void whose_connection_closed_is_not_told_to_take_over(void)
{
    fresh(THREE);
    become_leading();
    knows(3, 0);
    step((struct paxos_input){ .kind = PAXOS_IN_PEER_DOWN, .node = 2 });
    transfer(0);
    IS(sent(PAXOS_TAKE_OVER)->to, node_bit(3));
    step((struct paxos_input){ .kind = PAXOS_IN_PEER_DOWN, .node = 3 });
    knows(2, 0); /* and so is there again */
    IS(sent(PAXOS_TAKE_OVER)->to, node_bit(2));
}

static void a_hand_over_that_comes_to_nothing_is_given_up(void)
{
    fresh(THREE);
    become_leading();
    transfer(0);
    for (uint64_t ms = TICK_MS; ms < ELECTION_MAX_MS; ms += TICK_MS) {
        tick(TICK_MS);
        knows(2, 0);
        OK(paxos_transferring(p));
    }
    tick(TICK_MS);
    OK(!paxos_transferring(p));
    IS(paxos_role(p), PAXOS_LEADING);
    OK(paxos_can_propose(p));
    transfer(0);
    OK(paxos_transferring(p));
}

static void a_higher_ballot_ends_the_hand_over(void)
{
    fresh(THREE);
    become_leading();
    transfer(0);
    receive(2, (struct paxos_message){ .kind = PAXOS_PREPARE,
                                       .ballot = { own().round + 1, 2 },
                                       .slot = 1 });
    IS(paxos_role(p), PAXOS_FOLLOWER);
    OK(!paxos_transferring(p));
    OK(sent(PAXOS_PROMISE) != NULL);
}

static void only_a_leader_hands_over_and_only_to_another_voter(void)
{
    fresh(THREE);
    transfer(0);
    OK(!paxos_transferring(p));
    become_leading();
    transfer(1);
    OK(!paxos_transferring(p));
    transfer(4);
    OK(!paxos_transferring(p));
    fresh(node_bit(1));
    tick(TICK_MS);
    durable();
    IS(paxos_role(p), PAXOS_LEADING);
    transfer(0);
    OK(!paxos_transferring(p));
}

int main(void)
{
    rig_begin();
    TEST(who_is_told_to_take_over_prepares_at_once);
    TEST(a_laggard_takes_over_only_once_it_has_caught_up);
    TEST(a_word_to_take_over_counts_from_the_leader_followed_at_its_ballot);
    TEST(who_hands_over_waits_for_its_open_slots_and_for_a_server_that_knows_them);
    TEST(who_hands_over_proposes_nothing_and_confirms_reads);
    TEST(the_word_to_take_over_is_repeated_with_the_heartbeats);
    TEST(a_hand_over_to_a_named_server_waits_for_that_one);
    TEST(whose_connection_closed_is_not_told_to_take_over);
    TEST(a_hand_over_that_comes_to_nothing_is_given_up);
    TEST(a_higher_ballot_ends_the_hand_over);
    TEST(only_a_leader_hands_over_and_only_to_another_voter);
    return rig_end();
}
