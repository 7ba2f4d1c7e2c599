/* t_paxos_lease.c -- reads without a round, one rule a test.
 *
 * Method: a single instance, server 1 of three, with leases on, is stepped with hand-made
 * messages (tests/lib/paxos_one.h).  Clusters with leases, whose clocks run apart, are in
 * t_paxos_storm.c. */
#include "core/paxos/lease.h"
#include "tests/lib/paxos_one.h"

static const uint64_t SAFE_MS =
    LEASE_MS_MAX * (1000 - LEASE_DRIFT_PERMILLE) / 1000 - LEASE_ROUNDING_MS;

static void leading(void)
{
    lease_ms = LEASE_MS_MAX;
    fresh(THREE);
    become_leading();
}

static uint64_t round_sent(void)
{
    return sent(PAXOS_HEARTBEAT)->message.round;
}

/* A heartbeat of server 2's reign at round 5, that asks for a lease, or does not. */
static void follow(uint32_t lease)
{
    receive(2, (struct paxos_message){ .kind = PAXOS_HEARTBEAT,
                                       .ballot = { 5, 2 },
                                       .yes = true,
                                       .lease = lease });
}

static void prepare(uint32_t from, uint64_t round, struct ballot released)
{
    receive(from, (struct paxos_message){ .kind = PAXOS_PREPARE,
                                          .ballot = { round, from },
                                          .slot = 1,
                                          .promised = released });
}

/* The holder. */

static void there_is_no_lease_unless_asked_for(void)
{
    lease_ms = 0;
    fresh(THREE);
    become_leading();
    IS(sent(PAXOS_HEARTBEAT)->message.lease, 0);
    heartbeat_ok(2, round_sent());
    IS(paxos_lease_until_ms(p), 0);
}

static void a_lease_counts_from_when_the_heartbeat_was_sent_less_the_drift(void)
{
    leading();
    IS(sent(PAXOS_HEARTBEAT)->message.lease, LEASE_MS_MAX);
    const uint64_t sent_ms = now_ms, round = round_sent();
    IS(paxos_lease_until_ms(p), 0);
    now_ms += 40;
    heartbeat_ok(3, round);
    IS(paxos_lease_until_ms(p), sent_ms + SAFE_MS);
    /* the fastest clock of a holder, the slowest of a grantor */
    OK((SAFE_MS + LEASE_ROUNDING_MS) * 1010 <= LEASE_MS_MAX * 990 + 20);
}

static void an_answer_to_an_earlier_round_gives_no_lease(void)
{
    leading();
    heartbeat_ok(2, round_sent() - 1);
    IS(paxos_lease_until_ms(p), 0);
}

static void a_lease_is_renewed_with_the_heartbeats(void)
{
    leading();
    heartbeat_ok(2, round_sent());
    const uint64_t before = paxos_lease_until_ms(p);
    tick(HEARTBEAT_MS);
    heartbeat_ok(2, round_sent());
    IS(paxos_lease_until_ms(p), before + HEARTBEAT_MS);
}

static void learners_give_no_lease(void)
{
    lease_ms = LEASE_MS_MAX;
    restarted_among((struct members){ 1, 3, 4 }, (struct ballot){ 0 }, 0);
    become_leading();
    const uint64_t round = round_sent();
    heartbeat_ok(3, round);
    IS(paxos_lease_until_ms(p), 0);
    heartbeat_ok(2, round);
    OK(paxos_lease_until_ms(p) > 0);
}

static void a_leader_that_is_deposed_holds_no_lease(void)
{
    leading();
    heartbeat_ok(2, round_sent());
    heartbeat(3, own().round + 1, 0);
    IS(paxos_lease_until_ms(p), 0);
}

static void the_word_to_take_over_ends_the_lease_for_the_reign(void)
{
    leading();
    heartbeat_ok(2, round_sent());
    OK(paxos_lease_until_ms(p) > 0);
    step((struct paxos_input){ .kind = PAXOS_IN_TRANSFER });
    OK(sent(PAXOS_TAKE_OVER) != NULL);
    IS(paxos_lease_until_ms(p), 0);
    for (int i = 0; i < 20; i++) { /* it comes to nothing */
        tick(HEARTBEAT_MS);
        IS(sent(PAXOS_HEARTBEAT)->message.lease, 0);
        heartbeat_ok(2, round_sent());
    }
    OK(!paxos_transferring(p));
    IS(paxos_lease_until_ms(p), 0);
}

static void a_change_of_the_members_begins_without_a_lease(void)
{
    leading();
    heartbeat_ok(2, round_sent());
    change((struct members){ 2, 15, 0 });
    durable();
    accepted(2, 1);
    IS(paxos_role(p), PAXOS_PREPARING);
    durable();
    promise(2, 0, 0, (struct vote){ 0 });
    promise(3, 0, 0, (struct vote){ 0 });
    IS(paxos_role(p), PAXOS_LEADING);
    IS(paxos_lease_until_ms(p), 0);
}

/* The grantor. */

static void who_granted_a_lease_promises_nobody_else_until_it_is_over(void)
{
    lease_ms = 0; /* whatever the option says here */
    fresh(THREE);
    follow(LEASE_MS_MAX);
    now_ms += LEASE_MS_MAX - 1;
    prepare(3, 6, (struct ballot){ 0 });
    IS(out.sends_count + out.writes_count, 0);
    IS(paxos_leader(p), 2);
    now_ms++;
    prepare(3, 6, (struct ballot){ 0 });
    OK(sent(PAXOS_PROMISE) != NULL);
}

static void a_heartbeat_that_asks_for_no_lease_binds_nobody(void)
{
    fresh(THREE);
    follow(0);
    prepare(3, 6, (struct ballot){ 0 });
    OK(sent(PAXOS_PROMISE) != NULL);
}

static void who_holds_the_lease_may_prepare_anew(void)
{
    fresh(THREE);
    follow(LEASE_MS_MAX);
    prepare(2, 6, (struct ballot){ 0 });
    OK(sent(PAXOS_PROMISE) != NULL);
}

static void whom_the_holder_released_is_promised_at_once(void)
{
    fresh(THREE);
    follow(LEASE_MS_MAX);
    prepare(3, 6, (struct ballot){ 4, 2 }); /* of another reign */
    OK(sent(PAXOS_PROMISE) == NULL);
    prepare(3, 6, (struct ballot){ 5, 2 });
    OK(sent(PAXOS_PROMISE) != NULL);
}

static void who_takes_over_says_who_released_it(void)
{
    fresh(THREE);
    follow(LEASE_MS_MAX);
    receive(2, (struct paxos_message){ .kind = PAXOS_TAKE_OVER, .ballot = { 5, 2 } });
    IS(sent(PAXOS_PREPARE)->message.promised.round, 5);
    IS(sent(PAXOS_PREPARE)->message.promised.node, 2);
}

/* The connection to the leader closed: it may be there all the same. */
static void who_granted_a_lease_neither_prepares_nor_says_yes_until_it_is_over(void)
{
    fresh(THREE);
    follow(LEASE_MS_MAX);
    const uint64_t end_ms = now_ms + LEASE_MS_MAX;
    step((struct paxos_input){ .kind = PAXOS_IN_PEER_DOWN, .node = 2 });
    receive(3, (struct paxos_message){ .kind = PAXOS_WOULD_YOU, .round = 9 });
    OK(!sent(PAXOS_WOULD)->message.yes);
    tick(16);
    IS(paxos_role(p), PAXOS_ASKING);
    say_yes(3, sent(PAXOS_WOULD_YOU)->message.round);
    IS(paxos_role(p), PAXOS_ASKING);
    tick(end_ms - now_ms - 1);
    IS(paxos_role(p), PAXOS_ASKING);
    tick(1);
    IS(paxos_role(p), PAXOS_PREPARING);
}

static void a_restarted_server_promises_nobody_for_the_longest_lease(void)
{
    lease_ms = 0;
    restarted(THREE, (struct ballot){ 4, 2 }, 0);
    now_ms += LEASE_MS_MAX - 1;
    prepare(3, 6, (struct ballot){ 4, 2 });
    prepare(2, 6, (struct ballot){ 0 });
    IS(out.sends_count + out.writes_count, 0);
    now_ms++;
    prepare(3, 6, (struct ballot){ 0 });
    OK(sent(PAXOS_PROMISE) != NULL);
}

static void a_new_server_and_a_single_one_have_granted_nothing(void)
{
    fresh(THREE);
    prepare(3, 6, (struct ballot){ 0 });
    OK(sent(PAXOS_PROMISE) != NULL);
    restarted(1, (struct ballot){ 4, 1 }, 0);
    tick(0);
    IS(paxos_role(p), PAXOS_PREPARING);
}

int main(void)
{
    rig_begin();
    TEST(there_is_no_lease_unless_asked_for);
    TEST(a_lease_counts_from_when_the_heartbeat_was_sent_less_the_drift);
    TEST(an_answer_to_an_earlier_round_gives_no_lease);
    TEST(a_lease_is_renewed_with_the_heartbeats);
    TEST(learners_give_no_lease);
    TEST(a_leader_that_is_deposed_holds_no_lease);
    TEST(the_word_to_take_over_ends_the_lease_for_the_reign);
    TEST(a_change_of_the_members_begins_without_a_lease);
    TEST(who_granted_a_lease_promises_nobody_else_until_it_is_over);
    TEST(a_heartbeat_that_asks_for_no_lease_binds_nobody);
    TEST(who_holds_the_lease_may_prepare_anew);
    TEST(whom_the_holder_released_is_promised_at_once);
    TEST(who_takes_over_says_who_released_it);
    TEST(who_granted_a_lease_neither_prepares_nor_says_yes_until_it_is_over);
    TEST(a_restarted_server_promises_nobody_for_the_longest_lease);
    TEST(a_new_server_and_a_single_one_have_granted_nothing);
    return rig_end();
}
