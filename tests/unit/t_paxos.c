/* t_paxos.c -- one server's part in elections and recovery, one rule a test.
 *
 * Method: a single instance, server 1 of three, is stepped with hand-made messages, and its
 * output looked at (tests/lib/paxos_one.h). */
#include "tests/lib/paxos_one.h"

/* The worked example that Paxos is mostly taught with: acceptors A, B, C are servers 1, 2,
 * 3; the proposers 4 and 5 are played by hand. */

static void to_each(struct paxos *acceptors[3], struct paxos_message m,
                    enum paxos_message_kind want, uint32_t how_many)
{
    for (uint32_t i = 0; i < how_many; i++) {
        m.from = m.ballot.node;
        paxos_step(acceptors[i],
                   &(struct paxos_input){
                       .kind = PAXOS_IN_MESSAGE,
                       .now_ms = 1,
                       .message = &m,
                   },
                   &out);
        if (want == 0) continue;
        IS(out.sends_count, 1);
        IS(out.sends[0].message.kind, want);
        IS(out.sends[0].to, node_bit(m.from));
    }
}

static struct paxos_message message_of(enum paxos_message_kind kind, struct ballot b,
                                       struct blob *value)
{
    return (struct paxos_message){
        .kind = kind,
        .ballot = b,
        .slot = 1,
        .vote.proposal = { .reign = value == NULL ? (struct ballot){ 0 } : b,
                           .reign_first = value != NULL,
                           .batch = value },
    };
}

static void the_classic_example_of_two_proposers_agrees_on_seven(void)
{
    const struct ballot one = { 1, 4 }, five = { 5, 5 };
    struct paxos *acceptors[3];

    for (uint32_t i = 0; i < 3; i++) {
        acceptors[i] = server_new(i + 1);
        paxos_init(acceptors[i], (struct ballot){ 0 }, &(struct run){ 0 },
                   &(struct members){ .number = 1, .voters = 31 }, 0);
    }
    to_each(acceptors, message_of(PAXOS_PREPARE, one, NULL), PAXOS_PROMISE, 2); /* A, B */
    to_each(acceptors, message_of(PAXOS_PREPARE, five, NULL), PAXOS_PROMISE, 3);
    to_each(acceptors, message_of(PAXOS_ACCEPT, one, batches[3]), PAXOS_NACK, 3);
    to_each(acceptors, message_of(PAXOS_ACCEPT, five, batches[7]), PAXOS_ACCEPTED, 3);

    struct paxos_message chosen = message_of(PAXOS_HEARTBEAT, five, NULL);
    chosen.slot = 0;
    chosen.chosen = 1;
    for (uint32_t i = 0; i < 3; i++) {
        to_each(&acceptors[i], chosen, 0, 1);
        IS(out.chosen_count, 1);
        IS(out.chosen[0].slot, 1);
        IS(out.chosen[0].proposal.batch->data[0], '7');
        paxos_free(acceptors[i]);
    }
}

/* Elections. */

static void a_single_server_leads_at_once_and_chooses_when_its_vote_is_on_disk(void)
{
    fresh(1);
    tick(0);
    IS(paxos_role(p), PAXOS_PREPARING);
    durable();
    IS(paxos_role(p), PAXOS_LEADING);
    OK(out.role_changed);
    IS(paxos_leader(p), 1);
    propose(1, 0);
    IS(out.chosen_count, 0);
    durable();
    IS(out.chosen_count, 1);
    OK(out.chosen[0].proposal.batch == batches[1]);
    IS(out.chosen[0].proposal.reign_first, 1);
}

static void silence_makes_a_follower_ask_before_it_prepares(void)
{
    fresh(THREE);
    tick(ELECTION_MIN_MS - TICK_MS);
    IS(paxos_role(p), PAXOS_FOLLOWER);
    become_asking();
    IS(sent(PAXOS_WOULD_YOU)->to, 6);
    IS(out.writes_count, 0);
    say_yes(2, sent(PAXOS_WOULD_YOU)->message.round + 1); /* of another round: stale */
    IS(paxos_role(p), PAXOS_ASKING);
}

static void a_prepare_waits_for_the_candidates_own_promise(void)
{
    fresh(THREE);
    become_preparing();
    IS(out.writes_count, 1);
    IS(out.writes[0].kind, PAXOS_WRITE_PROMISE);
    IS(sent(PAXOS_PREPARE)->after, out.writes[0].seq);
    IS(sent(PAXOS_PREPARE)->message.slot, 1);
}

static void a_prepare_is_above_every_round_ever_seen(void)
{
    fresh(THREE);
    receive(3,
            (struct paxos_message){ .kind = PAXOS_WOULD, .ballot = { 41, 3 }, .round = 1 });
    become_preparing();
    IS(sent(PAXOS_PREPARE)->message.ballot.round, 42);
    restarted(THREE, (struct ballot){ 42, 1 }, 0);
    become_preparing();
    IS(sent(PAXOS_PREPARE)->message.ballot.round, 43);
}

static void own_promise_counts_only_when_it_is_on_disk(void)
{
    fresh(THREE);
    become_preparing();
    promise(2, 0, 0, (struct vote){ 0 });
    IS(paxos_role(p), PAXOS_PREPARING);
    durable();
    IS(paxos_role(p), PAXOS_LEADING);
    IS(sent(PAXOS_HEARTBEAT)->to, 6);
}

static void questions_are_repeated_to_who_has_not_answered(void)
{
    fresh(31); /* five servers */
    become_asking();
    const uint64_t nonce = sent(PAXOS_WOULD_YOU)->message.round;
    say_yes(2, nonce);
    tick(HEARTBEAT_MS);
    IS(sent(PAXOS_WOULD_YOU)->to, 28);
    IS(sent(PAXOS_WOULD_YOU)->message.round, nonce);
    say_yes(3, nonce);
    durable();
    promise(2, 0, 0, (struct vote){ 0 });
    tick(HEARTBEAT_MS);
    IS(sent(PAXOS_PREPARE)->to, 28);
}

static void would(uint64_t slot)
{
    receive(3, (struct paxos_message){ .kind = PAXOS_WOULD_YOU, .round = 9, .slot = slot });
}

static void who_hears_a_leader_says_no(void)
{
    fresh(THREE);
    would(0);
    OK(sent(PAXOS_WOULD)->message.yes);
    IS(sent(PAXOS_WOULD)->message.round, 9);
    heartbeat(2, 1, 0);
    would(0);
    OK(!sent(PAXOS_WOULD)->message.yes);
    step((struct paxos_input){ .kind = PAXOS_IN_PEER_DOWN, .node = 2 });
    would(0);
    OK(sent(PAXOS_WOULD)->message.yes);
}

static void who_leads_a_live_quorum_says_no(void)
{
    fresh(THREE);
    become_leading();
    would(0);
    OK(!sent(PAXOS_WOULD)->message.yes);
}

static void an_asker_that_lags_is_told_no_and_where_to_learn(void)
{
    restarted(THREE, (struct ballot){ 1, 2 }, 5);
    would(4);
    OK(!sent(PAXOS_WOULD)->message.yes);
    IS(sent(PAXOS_WOULD)->message.slot, 5);

    fresh(THREE);
    become_asking();
    receive(2, (struct paxos_message){ .kind = PAXOS_WOULD, .round = 1, .slot = 5 });
    IS(sent(PAXOS_LEARN_REQUEST)->to, node_bit(2));
    IS(sent(PAXOS_LEARN_REQUEST)->message.slot, 1);
}

static void a_closed_connection_to_the_leader_starts_an_election_at_once(void)
{
    fresh(THREE);
    heartbeat(2, 1, 0);
    IS(paxos_leader(p), 2);
    step((struct paxos_input){ .kind = PAXOS_IN_PEER_DOWN, .node = 3 });
    IS(paxos_leader(p), 2);
    step((struct paxos_input){ .kind = PAXOS_IN_PEER_DOWN, .node = 2 });
    IS(paxos_leader(p), 0);
    OK(out.role_changed);
    tick(15);
    IS(paxos_role(p), PAXOS_ASKING);
}

static void a_candidate_that_knows_too_little_steps_down_and_learns(void)
{
    fresh(THREE);
    become_preparing();
    receive(3, (struct paxos_message){ .kind = PAXOS_TOO_OLD, .ballot = own(), .slot = 8 });
    IS(paxos_role(p), PAXOS_FOLLOWER);
    IS(sent(PAXOS_LEARN_REQUEST)->to, node_bit(3));
    IS(sent(PAXOS_LEARN_REQUEST)->message.slot, 1);
}

static void a_refusal_by_a_higher_ballot_ends_a_reign(void)
{
    fresh(THREE);
    become_leading();
    const struct ballot mine = own();
    receive(2, (struct paxos_message){
                   .kind = PAXOS_NACK,
                   .ballot = mine,
                   .promised = { mine.round + 1, 2 },
               });
    IS(paxos_role(p), PAXOS_FOLLOWER);
    IS(paxos_leader(p), 0);
}

static void a_leader_that_hears_no_quorum_steps_down(void)
{
    fresh(THREE);
    become_leading();
    tick(ELECTION_MAX_MS - TICK_MS);
    IS(paxos_role(p), PAXOS_LEADING);
    IS(paxos_quorum_heard(p), 3);
    step((struct paxos_input){ .kind = PAXOS_IN_PEER_DOWN, .node = 2 });
    IS(paxos_quorum_heard(p), 1);
    tick(TICK_MS);
    IS(paxos_role(p), PAXOS_FOLLOWER);
    IS(out.sends_count, 0);
}

static void leaders_messages_count_only_from_the_leader_himself(void)
{
    fresh(THREE);
    receive(3, (struct paxos_message){ .kind = PAXOS_HEARTBEAT, .ballot = { 4, 2 } });
    IS(paxos_leader(p), 0);
    receive(9, (struct paxos_message){ .kind = PAXOS_HEARTBEAT, .ballot = { 4, 9 } });
    IS(paxos_leader(p), 0);
    receive(1, (struct paxos_message){ .kind = PAXOS_HEARTBEAT, .ballot = { 4, 1 } });
    IS(paxos_leader(p), 0);
    IS(out.sends_count, 0);
}

static void a_past_leader_is_told_so(void)
{
    fresh(THREE);
    heartbeat(3, 5, 0);
    heartbeat(2, 4, 0);
    IS(sent(PAXOS_NACK)->to, node_bit(2));
    IS(sent(PAXOS_NACK)->message.promised.round, 5);
    OK(sent(PAXOS_HEARTBEAT_OK) == NULL);
    IS(paxos_leader(p), 3);
}

/* Recovery. */

static void a_recovering_leader_takes_the_highest_ballot_and_fills_holes(void)
{
    restarted(31, (struct ballot){ 3, 2 }, 0); /* five servers */
    const struct vote mine = vote_of(1, 3, 2, 1);
    paxos_restore(p, &mine);
    become_asking();
    const uint64_t nonce = sent(PAXOS_WOULD_YOU)->message.round;
    say_yes(2, nonce);
    say_yes(3, nonce);
    durable();
    promise(2, 2, 1, vote_of(4, 1, 4, 4));
    promise(2, 2, 0, vote_of(2, 2, 3, 2));
    promise(3, 2, 0, vote_of(2, 3, 3, 5));
    promise(3, 2, 1, vote_of(1, 2, 3, 6));

    IS(paxos_role(p), PAXOS_RECOVERING);
    OK(!paxos_can_propose(p));
    IS(out.writes_count, 4);
    const int want[] = { 1, 5, -1, 4 };
    for (uint32_t i = 0; i < 4; i++) {
        const struct paxos_message *m = &sent_nth(PAXOS_ACCEPT, i)->message;

        IS(m->slot, i + 1);
        IS(ballot_cmp(m->ballot, own()), 0);
        OK(m->vote.proposal.batch == (want[i] < 0 ? NULL : batches[want[i]]));
    }
    IS(sent_nth(PAXOS_ACCEPT, 1)->message.vote.proposal.reign.round, 3);
}

static void a_report_counts_when_all_of_it_came(void)
{
    fresh(THREE);
    become_preparing();
    durable();
    promise(2, 2, 0, vote_of(1, 1, 2, 1));
    promise(2, 2, 0, vote_of(1, 1, 2, 1));
    IS(paxos_role(p), PAXOS_PREPARING);
    promise(2, 2, 1, vote_of(2, 1, 2, 2));
    IS(paxos_role(p), PAXOS_RECOVERING);
}

static void a_leader_leads_when_all_it_recovered_is_chosen(void)
{
    fresh(THREE);
    become_preparing();
    durable();
    promise(2, 2, 0, vote_of(1, 1, 2, 1));
    promise(2, 2, 1, vote_of(2, 1, 2, 2));
    durable();
    accepted(3, 2);
    IS(out.chosen_count, 0);
    accepted(3, 1);
    IS(out.chosen_count, 2);
    IS(paxos_role(p), PAXOS_LEADING);
    IS(paxos_slot_next(p), 3);
    propose(3, 0);
    IS(sent(PAXOS_ACCEPT)->message.vote.proposal.reign_first, 3);
}

int main(void)
{
    rig_begin();
    TEST(the_classic_example_of_two_proposers_agrees_on_seven);
    TEST(a_single_server_leads_at_once_and_chooses_when_its_vote_is_on_disk);
    TEST(silence_makes_a_follower_ask_before_it_prepares);
    TEST(a_prepare_waits_for_the_candidates_own_promise);
    TEST(a_prepare_is_above_every_round_ever_seen);
    TEST(own_promise_counts_only_when_it_is_on_disk);
    TEST(questions_are_repeated_to_who_has_not_answered);
    TEST(who_hears_a_leader_says_no);
    TEST(who_leads_a_live_quorum_says_no);
    TEST(an_asker_that_lags_is_told_no_and_where_to_learn);
    TEST(a_closed_connection_to_the_leader_starts_an_election_at_once);
    TEST(a_candidate_that_knows_too_little_steps_down_and_learns);
    TEST(a_refusal_by_a_higher_ballot_ends_a_reign);
    TEST(a_leader_that_hears_no_quorum_steps_down);
    TEST(leaders_messages_count_only_from_the_leader_himself);
    TEST(a_past_leader_is_told_so);
    TEST(a_recovering_leader_takes_the_highest_ballot_and_fills_holes);
    TEST(a_report_counts_when_all_of_it_came);
    TEST(a_leader_leads_when_all_it_recovered_is_chosen);
    return rig_end();
}
