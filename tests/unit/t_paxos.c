/* t_paxos.c -- one server's part in Paxos, one rule a test.
 *
 * Method: a single instance, server 1 of three, is stepped with hand-made messages, and its
 * output looked at.  Replay the random part with:  SEED=<n> ./t_paxos  */
#include <stdlib.h>

#include "core/base/check.h"
#include "core/paxos/paxos.h"
#include "tests/lib/tap.h"

static struct paxos *p;
static struct paxos_output out;
static uint64_t now_ms;
static uint64_t seq_last; /* of the newest write handed out */
static uint64_t seed;
static struct blob *batches[10];

/* The instance under test. */

static void step(struct paxos_input in)
{
    in.now_ms = now_ms;
    paxos_step(p, &in, &out);
    seq_last += out.writes_count;
}

static struct paxos *server_new(uint32_t self, nodes_set voters)
{
    return paxos_new(&(struct paxos_config){
        .self = self,
        .voters = voters,
        .heartbeat_ms = HEARTBEAT_MS,
        .election_min_ms = ELECTION_MIN_MS,
        .election_max_ms = ELECTION_MAX_MS,
        .seed = 1,
    });
}

static void restarted(nodes_set voters, struct ballot promised, uint64_t chosen)
{
    paxos_free(p);
    p = server_new(1, voters);
    now_ms = 1000;
    seq_last = 0;
    paxos_init(p, promised, chosen, now_ms);
}

static void fresh(nodes_set voters)
{
    restarted(voters, (struct ballot){ 0 }, 0);
}

static void tick(uint64_t ms)
{
    now_ms += ms;
    step((struct paxos_input){ .kind = PAXOS_IN_TICK });
}

static void receive(uint32_t from, struct paxos_message m)
{
    m.from = from;
    step((struct paxos_input){ .kind = PAXOS_IN_MESSAGE, .message = &m });
}

static void durable(void)
{
    step((struct paxos_input){ .kind = PAXOS_IN_DURABLE, .seq = seq_last });
}

static void propose(int value, nodes_set urgent)
{
    step((struct paxos_input){
        .kind = PAXOS_IN_PROPOSE,
        .batch = batches[value],
        .urgent = urgent,
    });
}

static uint64_t read_round(void)
{
    step((struct paxos_input){ .kind = PAXOS_IN_READ });
    return out.round;
}

/* The n-th message of a kind in the last output, or NULL. */
static const struct paxos_send *sent_nth(enum paxos_message_kind kind, uint32_t nth)
{
    for (uint32_t i = 0; i < out.sends_count; i++) {
        if (out.sends[i].message.kind == kind && nth-- == 0) return &out.sends[i];
    }
    return NULL;
}

static const struct paxos_send *sent(enum paxos_message_kind kind)
{
    return sent_nth(kind, 0);
}

/* Ways to where a rule begins. */

static const nodes_set THREE = 7;

static struct ballot own(void)
{
    return paxos_ballot(p);
}

static void become_asking(void)
{
    tick(ELECTION_MAX_MS);
    CHECK(paxos_role(p) == PAXOS_ASKING);
}

static void say_yes(uint32_t from, uint64_t nonce)
{
    receive(from,
            (struct paxos_message){ .kind = PAXOS_WOULD, .round = nonce, .yes = true });
}

static void become_preparing(void)
{
    become_asking();
    say_yes(2, sent(PAXOS_WOULD_YOU)->message.round);
    CHECK(paxos_role(p) == PAXOS_PREPARING);
}

static void promise(uint32_t from, uint32_t count, uint32_t index, struct vote vote)
{
    receive(from, (struct paxos_message){
                      .kind = PAXOS_PROMISE,
                      .ballot = own(),
                      .slot = paxos_chosen(p) + 1,
                      .count = count,
                      .index = index,
                      .vote = vote,
                  });
}

static void become_leading(void)
{
    become_preparing();
    durable();
    promise(2, 0, 0, (struct vote){ 0 });
    CHECK(paxos_role(p) == PAXOS_LEADING);
}

static void accepted(uint32_t from, uint64_t slot)
{
    receive(from, (struct paxos_message){
                      .kind = PAXOS_ACCEPTED, .ballot = own(), .slot = slot });
}

static void heartbeat_ok(uint32_t from, uint64_t round, uint64_t flushed)
{
    receive(from, (struct paxos_message){
                      .kind = PAXOS_HEARTBEAT_OK,
                      .ballot = own(),
                      .round = round,
                      .flushed = flushed,
                  });
}

static void heartbeat(uint32_t from, uint64_t round, uint64_t chosen)
{
    receive(from, (struct paxos_message){
                      .kind = PAXOS_HEARTBEAT,
                      .ballot = { round, from },
                      .chosen = chosen,
                      .yes = true,
                  });
}

static void accept_from(uint32_t from, uint64_t round, uint64_t slot, int value)
{
    receive(from, (struct paxos_message){
                      .kind = PAXOS_ACCEPT,
                      .ballot = { round, from },
                      .slot = slot,
                      .vote.proposal = { { round, from }, 1, batches[value] },
                  });
}

static struct vote vote_of(uint64_t slot, uint64_t round, uint32_t node, int value)
{
    return (struct vote){ slot, { round, node }, { { round, node }, 1, batches[value] } };
}

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
        .vote.proposal = { value == NULL ? (struct ballot){ 0 } : b, value != NULL, value },
    };
}

static void the_classic_example_of_two_proposers_agrees_on_seven(void)
{
    const struct ballot one = { 1, 4 }, five = { 5, 5 };
    struct paxos *acceptors[3];

    for (uint32_t i = 0; i < 3; i++)
        acceptors[i] = server_new(i + 1, 31);
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
    IS(sent(PAXOS_LEARN_REQUEST)->message.slot, 3); /* that was the last: ask on */
    tick(20);
    IS(sent(PAXOS_LEARN_REQUEST)->message.slot, 3); /* lost: ask again */
    tick(20);
    OK(sent(PAXOS_LEARN_REQUEST) == NULL); /* but ever more seldom */
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
    heartbeat_ok(2, first - 1, 0); /* left before the first began */
    IS(out.round_confirmed, 0);
    heartbeat_ok(2, first, 0);
    IS(out.round_confirmed, first);
    heartbeat_ok(3, second, 0);
    IS(out.round_confirmed, second);
    heartbeat_ok(2, second + 1, 0); /* a round that never was */
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

static void flush(uint64_t slot)
{
    step((struct paxos_input){ .kind = PAXOS_IN_FLUSHED, .slot = slot });
}

static void the_log_may_be_cut_below_what_every_server_has_flushed(void)
{
    fresh(THREE);
    become_leading();
    flush(9);
    heartbeat_ok(2, 0, 7);
    tick(HEARTBEAT_MS);
    IS(paxos_trim(p), 0); /* of server 3 nothing is known */
    heartbeat_ok(3, 0, 8);
    tick(HEARTBEAT_MS);
    IS(paxos_trim(p), 7);
    IS(sent(PAXOS_HEARTBEAT)->message.trim, 7);
}

static void a_follower_never_trims_above_its_own_flush(void)
{
    fresh(THREE);
    flush(5);
    receive(2, (struct paxos_message){
                   .kind = PAXOS_HEARTBEAT, .ballot = { 1, 2 }, .trim = 8 });
    IS(paxos_trim(p), 5);
    receive(2, (struct paxos_message){
                   .kind = PAXOS_HEARTBEAT, .ballot = { 1, 2 }, .trim = 3 });
    IS(paxos_trim(p), 5);
}

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
    heartbeat_ok(2, round, 0);
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

/* A peer may send whatever decodes.  The CHECKs and the sanitizers are the judge. */

static struct paxos_message random_message(struct rng *r)
{
    const struct ballot promised = paxos_promised(p);
    const uint32_t from = 1 + (uint32_t)rng_below(r, 4);
    const uint64_t slot = 1 + paxos_chosen(p) + rng_below(r, 4);
    struct paxos_message m = {
        .kind = (enum paxos_message_kind)(1 + rng_below(r, 12)),
        .from = from,
        .ballot = { promised.round + rng_below(r, 100) / 99, from },
        .slot = slot - rng_below(r, slot),
        .chosen = rng_below(r, 9) == 0 ? UINT64_MAX >> 2 : slot - 1,
        .round = rng_below(r, 4),
        .promised = { promised.round + rng_below(r, 50) / 49, from },
        .flushed = rng_next(r) >> 2,
        .yes = rng_below(r, 2) == 0,
        .count = (uint32_t)rng_below(r, 3),
    };

    if (rng_below(r, 3) == 0) m.slot = slot;
    if (rng_below(r, 10) > 0) m.ballot = own();
    if (m.ballot.round == 0) m.ballot = (struct ballot){ 1, from };
    m.vote = vote_of(m.slot, 1 + rng_below(r, m.ballot.round), 1, (int)rng_below(r, 10));
    m.vote.ballot = m.vote.proposal.reign;
    return m;
}

static void random_input(struct rng *r)
{
    struct paxos_message m;

    switch (rng_below(r, 13)) {
    case 0:
        tick(rng_below(r, 60));
        if (sent(PAXOS_WOULD_YOU)) say_yes(2, sent(PAXOS_WOULD_YOU)->message.round);
        return;
    case 1:
        durable();
        return;
    case 2:
        if (paxos_can_propose(p)) propose(1, THREE);
        return;
    case 3:
        read_round();
        return;
    case 4:
        step((struct paxos_input){ .kind = PAXOS_IN_PEER_DOWN, .node = 2 });
        return;
    case 5:
        transfer((uint32_t)rng_below(r, 5));
        return;
    default:
        m = random_message(r);
        receive(m.from, m);
        return;
    }
}

static void hostile_messages_never_break_a_server(void)
{
    struct rng r;
    uint64_t steps_led = 0;

    rng_init(&r, seed);
    for (int run = 0; run < 100; run++) {
        fresh(THREE);
        if (run % 2 == 0) become_leading();
        for (int i = 0; i < 1000; i++) {
            random_input(&r);
            steps_led += paxos_role(p) == PAXOS_LEADING;
        }
    }
    OK(steps_led > 1000);
}

int main(void)
{
    const char *env = getenv("SEED");

    seed = env == NULL ? 1 : strtoull(env, NULL, 10);
    printf("# SEED=%" PRIu64 "\n", seed);
    for (uint8_t i = 0; i < 10; i++) {
        const uint8_t digit = (uint8_t)('0' + i);

        batches[i] = blob_new(bytes_of(&digit, 1));
    }
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
    TEST(own_vote_counts_only_when_it_is_on_disk);
    TEST(others_may_choose_before_the_leaders_own_disk);
    TEST(slots_chosen_out_of_order_come_out_in_order);
    TEST(who_waits_for_a_slot_hears_at_once_and_others_later);
    TEST(open_slots_are_sent_again_to_who_has_not_accepted);
    TEST(the_window_bounds_what_is_in_flight);
    TEST(a_leader_learns_by_counting_only);
    TEST(a_follower_moves_on_with_votes_of_the_leaders_very_ballot);
    TEST(missing_slots_are_asked_for_at_a_pace);
    TEST(only_known_slots_are_served);
    TEST(a_heartbeat_is_answered_when_an_answer_is_wanted);
    TEST(a_read_round_is_confirmed_by_a_quorum_that_answered_it);
    TEST(answers_to_an_earlier_reign_confirm_nothing);
    TEST(reads_need_a_leader);
    TEST(the_log_may_be_cut_below_what_every_server_has_flushed);
    TEST(a_follower_never_trims_above_its_own_flush);
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
    TEST(hostile_messages_never_break_a_server);
    paxos_free(p);
    for (int i = 0; i < 10; i++)
        blob_unref(batches[i]);
    return tap_done();
}
