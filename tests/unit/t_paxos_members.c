/* t_paxos_members.c -- changes of who belongs and who votes, one rule a test.
 *
 * Method: a single instance, server 1, is stepped with hand-made messages, and its output
 * looked at (tests/lib/paxos_one.h).  Clusters that change are next door, in
 * t_paxos_change.c and t_paxos_storm.c. */
#include "core/paxos/members.h"
#include "tests/lib/paxos_one.h"

static const struct members TWO_AND_A_LEARNER = { .number = 4, .voters = 3, .learners = 4 };

static void among(struct members members)
{
    restarted_among(members, (struct ballot){ 0 }, 0);
}

static struct vote changing(uint64_t slot, uint64_t round, struct members members)
{
    struct vote v = vote_of(slot, round, 2, 1);

    v.proposal.reign_first = slot;
    v.proposal.members = members;
    return v;
}

static void learn(uint32_t from, struct vote v)
{
    receive(from, (struct paxos_message){ .kind = PAXOS_LEARN,
                                          .slot = v.slot,
                                          .chosen = v.slot,
                                          .yes = true,
                                          .vote.proposal = v.proposal });
}

/* What follows on what. */

static void one_voter_changes_at_a_time_and_one_stays(void)
{
    const struct members three = { 5, 7, 8 };

    OK(members_follow(&three, &(struct members){ 6, 15, 0 }));
    OK(members_follow(&three, &(struct members){ 6, 3, 0 }));
    OK(members_follow(&three, &(struct members){ 6, 7, 0x30 })); /* learners as one likes */
    OK(!members_follow(&three, &(struct members){ 6, 31, 0 }));
    OK(!members_follow(&three, &(struct members){ 6, 11, 0 })); /* one for another: two */
    OK(!members_follow(&three, &(struct members){ 7, 3, 0 }));
    OK(!members_follow(&three, &(struct members){ 5, 3, 0 }));
    OK(!members_follow(&three, &(struct members){ 6, 7, 4 }));
    OK(!members_follow(&(struct members){ 5, 1, 0 }, &(struct members){ 6, 0, 1 }));
}

static void a_change_takes_force_when_its_batch_counts(void)
{
    fresh(THREE);
    struct vote v = changing(1, 1, (struct members){ 2, 15, 0 });
    learn(2, v);
    OK(out.members_changed);
    IS(paxos_members(p)->voters, 15);

    fresh(THREE);
    v.proposal.reign_first = 1;
    v.slot = 2;
    learn(2, (struct vote){ .slot = 1 }); /* a no-op broke the run of that reign */
    learn(2, v);
    IS(out.chosen_count, 1);
    OK(!out.members_changed);
    IS(paxos_members(p)->voters, THREE);
}

static void a_change_that_does_not_follow_is_void(void)
{
    fresh(THREE);
    learn(2, changing(1, 1, (struct members){ 3, 15, 0 }));
    IS(out.chosen_count, 1);
    IS(paxos_members(p)->number, 1);
}

static void who_knows_no_configuration_takes_the_first_change_as_a_whole(void)
{
    among((struct members){ 0 });
    learn(2, vote_of(1, 1, 2, 1));
    OK(!out.members_changed);
    learn(2, changing(2, 2, (struct members){ 9, 14, 1 }));
    OK(out.members_changed);
    IS(paxos_members(p)->number, 9);
    IS(paxos_members(p)->learners, 1);
}

static void a_state_from_a_peer_brings_its_configuration(void)
{
    among((struct members){ 0 });
    step((struct paxos_input){ .kind = PAXOS_IN_INSTALLED,
                               .run = &(struct run){ .slot = 40 },
                               .members = { 7, 3, 0 } });
    OK(out.members_changed);
    IS(paxos_chosen(p), 40);
    IS(paxos_members(p)->number, 7);
}

/* A leader that changes them. */

static void a_change_waits_until_nothing_is_open(void)
{
    fresh(THREE);
    OK(!paxos_can_change(p));
    become_leading();
    OK(paxos_can_change(p));
    propose(1, 0);
    OK(!paxos_can_change(p));
    durable();
    accepted(2, 1);
    OK(paxos_can_change(p));
    step((struct paxos_input){ .kind = PAXOS_IN_TRANSFER });
    OK(!paxos_can_change(p));
}

static void nothing_is_proposed_behind_a_change(void)
{
    fresh(THREE);
    become_leading();
    change((struct members){ 2, THREE, 8 });
    IS(sent(PAXOS_ACCEPT)->message.vote.proposal.members.learners, 8);
    IS(sent(PAXOS_ACCEPT)->to, 6); /* whom it adds belongs when it is chosen */
    OK(!paxos_can_propose(p));
    OK(!paxos_can_change(p));
}

static void change_and_choose(struct members members)
{
    change(members);
    durable();
    accepted(2, paxos_chosen(p) + 1);
    CHECK(out.members_changed);
}

static void a_chosen_change_begins_phase_1_anew_among_who_belongs_now(void)
{
    fresh(THREE);
    become_leading();
    const struct ballot before = own();

    change_and_choose((struct members){ 2, 15, 16 });
    IS(paxos_role(p), PAXOS_PREPARING);
    OK(out.role_changed);
    OK(ballot_cmp(own(), before) > 0);
    IS(sent(PAXOS_PREPARE)->to, 30);
    IS(sent(PAXOS_PREPARE)->message.slot, 2);
    IS(sent(PAXOS_PREPARE)->after, seq_last);
    OK(!paxos_can_propose(p));
}

static void the_others_hear_of_a_chosen_change_at_the_ballot_they_voted_at(void)
{
    fresh(THREE);
    become_leading();
    const struct ballot before = own();

    change_and_choose((struct members){ 2, 3, 0 });
    IS(sent(PAXOS_HEARTBEAT)->to, 6); /* who goes, too */
    IS(ballot_cmp(sent(PAXOS_HEARTBEAT)->message.ballot, before), 0);
    IS(sent(PAXOS_HEARTBEAT)->message.chosen, 1);
}

static void the_new_ballot_needs_a_quorum_of_the_new_voters(void)
{
    fresh(THREE);
    become_leading();
    change_and_choose((struct members){ 2, 15, 0 });
    durable();
    promise(2, 0, 0, (struct vote){ 0 });
    IS(paxos_role(p), PAXOS_PREPARING); /* two of four */
    promise(4, 0, 0, (struct vote){ 0 });
    IS(paxos_role(p), PAXOS_LEADING);
    IS(paxos_slot_next(p), 2);
}

static void a_single_voter_makes_another(void)
{
    fresh(1);
    tick(0);
    durable();
    change((struct members){ 2, 3, 0 });
    durable();
    IS(out.chosen_count, 1); /* under the old ones */
    IS(paxos_role(p), PAXOS_PREPARING);
    durable();
    promise(2, 0, 0, (struct vote){ 0 });
    IS(paxos_role(p), PAXOS_LEADING);
    propose(1, 0);
    durable();
    IS(out.chosen_count, 0);
    accepted(2, 2);
    IS(out.chosen_count, 1);
}

static void what_a_peer_knows_as_chosen_is_known(void)
{
    among(TWO_AND_A_LEARNER);
    become_leading();
    IS(paxos_peer_chosen(p, 3), 0);
    receive(3, (struct paxos_message){
                   .kind = PAXOS_HEARTBEAT_OK, .ballot = own(), .chosen = 17 });
    IS(paxos_peer_chosen(p, 3), 17);
}

/* Recovery. */

static void recover_a_change_in_slot_two(struct members members)
{
    become_preparing();
    durable();
    promise(2, 3, 0, vote_of(1, 1, 2, 1));
    promise(2, 3, 1, changing(2, 2, members));
    promise(2, 3, 2, vote_of(3, 3, 2, 1));
    CHECK(paxos_role(p) == PAXOS_RECOVERING);
}

static void recovery_proposes_nothing_above_a_change(void)
{
    fresh(THREE);
    recover_a_change_in_slot_two((struct members){ 2, 15, 0 });
    IS(sent_nth(PAXOS_ACCEPT, 1)->message.slot, 2);
    IS(sent_nth(PAXOS_ACCEPT, 1)->message.vote.proposal.members.number, 2);
    OK(sent_nth(PAXOS_ACCEPT, 2) == NULL);
    durable();
    accepted(3, 1);
    accepted(3, 2);
    IS(paxos_role(p), PAXOS_PREPARING);
    IS(sent(PAXOS_PREPARE)->to, 14);
    IS(sent(PAXOS_PREPARE)->message.slot, 3);
}

static void a_recovered_change_that_is_void_ends_the_ballot_too(void)
{
    fresh(THREE);
    recover_a_change_in_slot_two((struct members){ 9, 15, 0 });
    const struct ballot before = own();
    durable();
    accepted(3, 1);
    accepted(3, 2);
    IS(paxos_role(p), PAXOS_PREPARING);
    OK(ballot_cmp(own(), before) > 0);
    IS(paxos_members(p)->number, 1);
    IS(sent(PAXOS_PREPARE)->to, 6);
}

static void who_recovers_its_own_removal_tells_so_and_goes(void)
{
    fresh(THREE);
    recover_a_change_in_slot_two((struct members){ 2, 6, 0 });
    durable();
    accepted(3, 1);
    accepted(3, 2);
    IS(paxos_role(p), PAXOS_FOLLOWER);
    IS(sent(PAXOS_HEARTBEAT)->message.chosen, 2);
    IS(sent(PAXOS_PREPARE), NULL);
}

/* Learners. */

static void learners_are_sent_everything_and_counted_nowhere(void)
{
    among(TWO_AND_A_LEARNER);
    become_asking();
    const uint64_t nonce = sent(PAXOS_WOULD_YOU)->message.round;
    IS(sent(PAXOS_WOULD_YOU)->to, node_bit(2));
    say_yes(3, nonce);
    IS(paxos_role(p), PAXOS_ASKING);
    say_yes(2, nonce);
    IS(sent(PAXOS_PREPARE)->to, 6);
    durable();
    promise(3, 0, 0, (struct vote){ 0 });
    IS(paxos_role(p), PAXOS_PREPARING);
    promise(2, 0, 0, (struct vote){ 0 });
    IS(sent(PAXOS_HEARTBEAT)->to, 6);
    propose(1, 0);
    IS(sent(PAXOS_ACCEPT)->to, 6);
    durable();
    accepted(3, 1);
    IS(out.chosen_count, 0);
    const uint64_t round = read_round();
    heartbeat_ok(3, round);
    IS(out.round_confirmed, 0);
    IS(paxos_quorum_heard(p), 3);
}

static void a_leader_that_hears_learners_only_steps_down(void)
{
    among(TWO_AND_A_LEARNER);
    become_leading();
    tick(ELECTION_MAX_MS - 1);
    heartbeat_ok(3, 0);
    tick(1);
    IS(paxos_role(p), PAXOS_FOLLOWER);
}

static void a_hand_over_goes_to_voters_only(void)
{
    among((struct members){ 1, 5, 2 });
    become_asking();
    say_yes(3, sent(PAXOS_WOULD_YOU)->message.round);
    durable();
    promise(3, 0, 0, (struct vote){ 0 });
    promise(2, 0, 0, (struct vote){ 0 });
    step((struct paxos_input){ .kind = PAXOS_IN_TRANSFER, .node = 2 });
    OK(!paxos_transferring(p));
    step((struct paxos_input){ .kind = PAXOS_IN_TRANSFER });
    IS(sent(PAXOS_TAKE_OVER)->to, node_bit(3));
}

static void a_learner_promises_and_votes_but_never_asks_or_leads(void)
{
    among((struct members){ 1, 6, 1 });
    tick(10 * ELECTION_MAX_MS);
    IS(paxos_role(p), PAXOS_FOLLOWER);
    IS(out.sends_count, 0);
    accept_from(2, 5, 1, 1);
    IS(sent(PAXOS_ACCEPTED)->after, seq_last);
    receive(2, (struct paxos_message){ .kind = PAXOS_TAKE_OVER, .ballot = { 5, 2 } });
    IS(paxos_role(p), PAXOS_FOLLOWER);
    receive(3,
            (struct paxos_message){ .kind = PAXOS_PREPARE, .ballot = { 6, 3 }, .slot = 1 });
    IS(sent(PAXOS_PROMISE)->message.count, 1);
    IS(paxos_leader(p), 0);
}

/* Who does not belong. */

static void who_belongs_no_more_says_no_and_what_it_knows_as_chosen(void)
{
    restarted_among((struct members){ 9, 2, 0 }, (struct ballot){ 4, 1 }, 6);
    receive(2, (struct paxos_message){ .kind = PAXOS_WOULD_YOU, .round = 9, .slot = 5 });
    IS(sent(PAXOS_WOULD)->to, node_bit(2));
    IS(sent(PAXOS_WOULD)->message.slot, 6);
    OK(!sent(PAXOS_WOULD)->message.yes);
    receive(3, (struct paxos_message){ .kind = PAXOS_WOULD_YOU, .round = 9, .slot = 5 });
    IS(sent(PAXOS_WOULD)->to, node_bit(3));
}

static void who_does_not_belong_promises_nothing_and_learns(void)
{
    among((struct members){ 1, 6, 0 });
    tick(10 * ELECTION_MAX_MS);
    IS(out.sends_count, 0);
    receive(2,
            (struct paxos_message){ .kind = PAXOS_PREPARE, .ballot = { 6, 2 }, .slot = 1 });
    IS(out.sends_count + out.writes_count, 0);
    accept_from(2, 6, 1, 1);
    IS(out.sends_count + out.writes_count, 0);
    heartbeat(2, 6, 1);
    IS(out.sends_count, 1);
    IS(sent(PAXOS_LEARN_REQUEST)->to, node_bit(2));
    learn(2, vote_of(1, 6, 2, 1));
    IS(out.chosen_count, 1);
}

static void a_stranger_is_heard_only_as_one_who_knows_more(void)
{
    fresh(THREE);
    heartbeat(9, 6, 0);
    IS(out.sends_count + out.writes_count, 0);
    IS(paxos_leader(p), 0);
    heartbeat(9, 6, 3);
    IS(out.sends_count, 1);
    IS(sent(PAXOS_LEARN_REQUEST)->to, node_bit(9));
    IS(paxos_promised(p).round, 0);
}

static void a_stranger_is_taught(void)
{
    restarted(THREE, (struct ballot){ 1, 2 }, 5);
    receive(9, (struct paxos_message){ .kind = PAXOS_LEARN_REQUEST, .slot = 1 });
    IS(out.serve.to, 9);
    IS(out.serve.slot_first, 1);
}

static void whoever_asks_for_a_vote_with_more_known_is_learned_from(void)
{
    among((struct members){ 1, 6, 1 });
    receive(2, (struct paxos_message){ .kind = PAXOS_WOULD_YOU, .round = 9, .slot = 3 });
    IS(sent(PAXOS_LEARN_REQUEST)->to, node_bit(2));
    OK(sent(PAXOS_WOULD)->message.yes); /* the asker knows whether this one votes */
}

static void nobody_is_its_predecessor(void)
{
    restarted(1, (struct ballot){ 0 }, 1); /* it learns of a time when its id voted alone */
    paxos_alien(p, true);
    tick(10 * ELECTION_MAX_MS);
    IS(paxos_role(p), PAXOS_FOLLOWER);
    IS(out.sends_count + out.writes_count, 0);
    receive(2, (struct paxos_message){ .kind = PAXOS_WOULD_YOU, .round = 9, .slot = 1 });
    OK(!sent(PAXOS_WOULD)->message.yes);
    receive(2,
            (struct paxos_message){ .kind = PAXOS_PREPARE, .ballot = { 6, 2 }, .slot = 2 });
    IS(out.sends_count + out.writes_count, 0);
    learn(2, changing(2, 1, (struct members){ 2, 3, 0 }));
    OK(out.members_changed);
    paxos_alien(p, false); /* now its id means itself */
    tick(10 * ELECTION_MAX_MS);
    IS(paxos_role(p), PAXOS_ASKING);
}

/* Who was removed. */

static const struct members OTHERS = { .number = 9, .voters = 14 };

static void removed(void)
{
    restarted_among(OTHERS, (struct ballot){ 4, 1 }, 6);
    paxos_leave(p);
    tick(0);
}

static void knows(uint32_t from, uint64_t chosen)
{
    receive(from, (struct paxos_message){ .kind = PAXOS_WOULD, .round = 1, .slot = chosen });
}

static void who_was_removed_stays_until_a_quorum_of_those_left_knows(void)
{
    removed();
    IS(sent(PAXOS_WOULD_YOU)->to, 14);
    IS(sent(PAXOS_WOULD_YOU)->message.slot, 6);
    knows(2, 6);
    knows(3, 5);
    OK(paxos_leaving(p));
    tick(HEARTBEAT_MS);
    IS(sent(PAXOS_WOULD_YOU)->to, 12);
    knows(3, 7);
    OK(!paxos_leaving(p));
    tick(HEARTBEAT_MS);
    IS(out.sends_count, 0);
}

static void who_was_removed_teaches_and_learns_no_more(void)
{
    removed();
    receive(2, (struct paxos_message){ .kind = PAXOS_LEARN_REQUEST, .slot = 6 });
    IS(out.serve.to, 2);
    knows(3, 9);
    IS(sent(PAXOS_LEARN_REQUEST), NULL);
    learn(3, vote_of(7, 5, 2, 1));
    IS(out.chosen_count + out.writes_count, 0);
    receive(2,
            (struct paxos_message){ .kind = PAXOS_PREPARE, .ballot = { 6, 2 }, .slot = 7 });
    IS(out.sends_count + out.writes_count, 0);
}

static void who_was_removed_waits_no_longer_than_is_of_use(void)
{
    removed();
    tick(LEAVE_MS_MAX - 1);
    OK(paxos_leaving(p));
    tick(1);
    OK(!paxos_leaving(p));
}

static void who_refuses_a_removed_server_knows(void)
{
    removed();
    paxos_let_go(p, 4);
    knows(2, 6);
    OK(!paxos_leaving(p));
}

/* What it says to who goes must outlive a crash. */
static void a_change_on_a_leaders_word_is_written_before_a_stranger_hears_of_it(void)
{
    fresh(THREE);
    heartbeat(3, 5, 0);
    struct vote v = changing(1, 5, (struct members){ 2, 3, 0 });
    receive(3, (struct paxos_message){ .kind = PAXOS_ACCEPT,
                                       .ballot = { 5, 3 },
                                       .slot = 1,
                                       .vote.proposal = v.proposal });
    heartbeat(3, 5, 1);
    OK(out.members_changed);
    IS(out.writes_count, 1);
    IS(out.writes[0].chosen, 1);
    receive(3, (struct paxos_message){ .kind = PAXOS_WOULD_YOU, .round = 1, .slot = 1 });
    IS(sent(PAXOS_WOULD)->message.slot, 1);
    IS(sent(PAXOS_WOULD)->after, seq_last);
}

/* A change by others. */

static void who_votes_no_more_stops_asking(void)
{
    fresh(THREE);
    become_asking();
    learn(2, changing(1, 1, (struct members){ 2, 6, 1 }));
    IS(paxos_role(p), PAXOS_FOLLOWER);
    tick(10 * ELECTION_MAX_MS);
    IS(paxos_role(p), PAXOS_FOLLOWER);
}

static void a_candidate_that_hears_of_a_change_gives_up_its_ballot(void)
{
    fresh(THREE);
    become_preparing();
    learn(2, changing(1, 1, (struct members){ 2, 15, 0 }));
    IS(paxos_role(p), PAXOS_FOLLOWER);
    promise(2, 0, 0, (struct vote){ 0 });
    IS(paxos_role(p), PAXOS_FOLLOWER);
}

static void a_leader_that_left_is_not_waited_for(void)
{
    fresh(THREE);
    heartbeat(2, 5, 0);
    struct vote v = changing(1, 5, (struct members){ 2, 5, 0 });
    receive(2, (struct paxos_message){ .kind = PAXOS_ACCEPT,
                                       .ballot = { 5, 2 },
                                       .slot = 1,
                                       .vote.proposal = v.proposal });
    heartbeat(2, 5, 1);
    OK(out.members_changed);
    IS(paxos_leader(p), 0);
    tick(15);
    IS(paxos_role(p), PAXOS_ASKING);
}

int main(void)
{
    rig_begin();
    TEST(one_voter_changes_at_a_time_and_one_stays);
    TEST(a_change_takes_force_when_its_batch_counts);
    TEST(a_change_that_does_not_follow_is_void);
    TEST(who_knows_no_configuration_takes_the_first_change_as_a_whole);
    TEST(a_state_from_a_peer_brings_its_configuration);
    TEST(a_change_waits_until_nothing_is_open);
    TEST(nothing_is_proposed_behind_a_change);
    TEST(a_chosen_change_begins_phase_1_anew_among_who_belongs_now);
    TEST(the_others_hear_of_a_chosen_change_at_the_ballot_they_voted_at);
    TEST(the_new_ballot_needs_a_quorum_of_the_new_voters);
    TEST(a_single_voter_makes_another);
    TEST(what_a_peer_knows_as_chosen_is_known);
    TEST(recovery_proposes_nothing_above_a_change);
    TEST(a_recovered_change_that_is_void_ends_the_ballot_too);
    TEST(who_recovers_its_own_removal_tells_so_and_goes);
    TEST(learners_are_sent_everything_and_counted_nowhere);
    TEST(a_leader_that_hears_learners_only_steps_down);
    TEST(a_hand_over_goes_to_voters_only);
    TEST(a_learner_promises_and_votes_but_never_asks_or_leads);
    TEST(who_belongs_no_more_says_no_and_what_it_knows_as_chosen);
    TEST(who_does_not_belong_promises_nothing_and_learns);
    TEST(a_stranger_is_heard_only_as_one_who_knows_more);
    TEST(a_stranger_is_taught);
    TEST(whoever_asks_for_a_vote_with_more_known_is_learned_from);
    TEST(nobody_is_its_predecessor);
    TEST(who_was_removed_stays_until_a_quorum_of_those_left_knows);
    TEST(who_was_removed_teaches_and_learns_no_more);
    TEST(who_was_removed_waits_no_longer_than_is_of_use);
    TEST(who_refuses_a_removed_server_knows);
    TEST(a_change_on_a_leaders_word_is_written_before_a_stranger_hears_of_it);
    TEST(who_votes_no_more_stops_asking);
    TEST(a_candidate_that_hears_of_a_change_gives_up_its_ballot);
    TEST(a_leader_that_left_is_not_waited_for);
    return rig_end();
}
