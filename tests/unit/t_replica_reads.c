/* t_replica_reads.c -- strong reads and renewals, one rule a test.
 *
 * Method: the rig of tests/lib/replica_rig.h. Server 1 leads at first; a round is held
 * still by holding its HEARTBEATs or their answers. */
#include <stdlib.h>

#include "core/base/check.h"
#include "core/base/errors.h"
#include "tests/lib/replica_rig.h"
#include "tests/lib/tap.h"

static struct trio *t;

enum { ACCEPT = TRIO_PAXOS + PAXOS_ACCEPT,
       ACCEPTED = TRIO_PAXOS + PAXOS_ACCEPTED,
       HEARTBEAT = TRIO_PAXOS + PAXOS_HEARTBEAT,
       HEARTBEAT_OK = TRIO_PAXOS + PAXOS_HEARTBEAT_OK,
       LEARN = TRIO_PAXOS + PAXOS_LEARN };

static void begin(uint32_t nodes)
{
    t = trio_new(nodes);
    trio_lead(t, 1);
}

static void end(void)
{
    trio_free(t);
}

static void hold(uint32_t from, unsigned kind)
{
    t->hold[kind] |= node_bit(from);
}

static void hold_all(unsigned kind)
{
    t->hold[kind] = ~(nodes_set) 0;
}

static void release(void)
{
    memset(t->hold, 0, sizeof t->hold);
    t->cut = 0;
    trio_settle(t);
}

static int count(uint64_t tag)
{
    return t->answers[tag].count;
}

static int code(uint64_t tag)
{
    return t->answers[tag].code;
}

/* --- rounds --- */

static void a_lone_server_reads_at_once(void)
{
    uint64_t tag;

    begin(1);
    tag = trio_read(t, 1, 0);
    IS(count(tag), 0);
    trio_turn(t, 1);
    IS(code(tag), 0);
    end();
}

static void a_read_waits_for_its_round(void)
{
    uint64_t tag;

    begin(3);
    hold_all(HEARTBEAT_OK);
    tag = trio_read(t, 1, 0);
    trio_settle(t);
    IS(count(tag), 0);
    IS(trio_status(t, 1).pending_reads, 1);
    OK(trio_deliver(t, 2, 1, HEARTBEAT_OK)); /* with itself, a quorum */
    trio_turn(t, 1);
    IS(code(tag), 0);
    IS(trio_status(t, 1).pending_reads, 0);
    end();
}

/* C4: the answers left before it arrived. */
static void a_read_is_not_released_by_a_round_that_began_before_it(void)
{
    uint64_t early, late;

    begin(3);
    hold_all(HEARTBEAT_OK);
    early = trio_read(t, 1, 0);
    trio_settle(t);
    late = trio_read(t, 1, 0);
    while (trio_deliver(t, 0, 1, HEARTBEAT_OK)) continue;
    trio_turn(t, 1);
    IS(count(early), 1);
    IS(count(late), 0);
    release();
    IS(count(late), 1);
    end();
}

/* C4 */
static void a_read_at_a_follower_sees_what_was_chosen_before_it_began(void)
{
    uint64_t made, read;

    begin(3);
    hold(1, ACCEPT);
    hold(1, LEARN);
    made = trio_create(t, 1, "/a");
    trio_settle(t);
    OK(trio_deliver(t, 1, 2, ACCEPT) && trio_drop(t, 1, 3, ACCEPT));
    trio_settle(t);
    IS(count(made), 1);
    OK(!trio_exists(t, 3, "/a"));
    read = trio_read(t, 3, 0);
    trio_settle(t);
    IS(t->sent[FRAME_READ_OK], 1);
    IS(count(read), 0);
    release();
    IS(code(read), 0);
    IS(t->answers[read].slot, trio_status(t, 1).chosen);
    OK(trio_exists(t, 3, "/a"));
    end();
}

/* What the rig's script, as a query at this server, says of the node at `path`. */
static int query(uint32_t id, const char *path)
{
    const struct query q = { .args = bytes_str(path) };
    struct result r;

    queries_run(replica_queries(trio_replica(t, id)), &q, &r);
    IS(r.zxid, trio_status(t, id).zxid);
    return r.code;
}

/* C4, for a query: it runs on what is applied there, so it waits as a read does. */
static void a_query_at_a_follower_waits_for_its_round_and_for_the_slot(void)
{
    uint64_t read;

    begin(3);
    hold(1, ACCEPT);
    hold(1, LEARN);
    trio_create(t, 1, "/a");
    trio_settle(t);
    IS(query(1, "/a"), ERR_READ_ONLY); /* resolved at the leader, chosen nowhere */
    OK(trio_deliver(t, 1, 2, ACCEPT) && trio_drop(t, 1, 3, ACCEPT));
    trio_settle(t);
    IS(query(1, "/a"), 0);
    read = trio_read(t, 3, 0);
    trio_settle(t);
    IS(count(read), 0);
    IS(query(3, "/a"), ERR_READ_ONLY); /* the script would wait: there is no node */
    release();
    IS(code(read), 0);
    IS(query(3, "/a"), 0);
    IS(trio_status(t, 3).waiting_calls + trio_status(t, 1).waiting_calls, 0);
    end();
}

static void reads_at_hand_share_one_round(void)
{
    uint64_t first, beats;

    begin(3);
    first = t->tag + 1;
    beats = t->sent[HEARTBEAT];
    for (uint32_t i = 0; i < 150; i++) trio_read(t, 1 + i % 3, 0);
    trio_turn(t, 2);
    trio_turn(t, 3);
    IS(trio_lying(t, 2, 1, FRAME_READ_ASK), 1);
    OK(trio_deliver(t, 2, 1, FRAME_READ_ASK) && trio_deliver(t, 3, 1, FRAME_READ_ASK));
    trio_settle(t);
    IS(t->sent[HEARTBEAT] - beats, 2); /* one to each of the others */
    for (uint64_t tag = first; tag < first + 150; tag++) IS(code(tag), 0);
    end();
}

static void a_lost_ask_or_answer_is_asked_again_after_a_while(void)
{
    uint64_t tag;

    begin(3);
    tag = trio_read(t, 2, 0);
    trio_turn(t, 2);
    OK(trio_drop(t, 2, 1, FRAME_READ_ASK));
    trio_pass(t, RESEND_MS - TICK_MS);
    IS(t->sent[FRAME_READ_ASK], 1);
    hold(1, FRAME_READ_OK);
    trio_pass(t, TICK_MS);
    IS(t->sent[FRAME_READ_ASK], 2);
    OK(trio_drop(t, 1, 2, FRAME_READ_OK));
    memset(t->hold, 0, sizeof t->hold);
    trio_pass(t, RESEND_MS);
    IS(t->sent[FRAME_READ_ASK], 3);
    IS(code(tag), 0);
    end();
}

static void a_link_that_comes_up_asks_again_at_once(void)
{
    uint64_t tag;

    begin(3);
    tag = trio_read(t, 2, 0);
    trio_turn(t, 2);
    OK(trio_drop(t, 2, 1, FRAME_READ_ASK));
    trio_peer_up(t, 2, 1);
    trio_settle(t);
    IS(t->sent[FRAME_READ_ASK], 2);
    IS(code(tag), 0);
    end();
}

static void a_doubled_answer_releases_once(void)
{
    uint64_t first, second;

    begin(3);
    hold(1, FRAME_READ_OK);
    first = trio_read(t, 2, 0);
    trio_settle(t);
    OK(trio_repeat(t, 1, 2, FRAME_READ_OK));
    trio_turn(t, 2);
    IS(count(first), 1);
    second = trio_read(t, 2, 0);
    trio_turn(t, 2);
    OK(trio_deliver(t, 1, 2, FRAME_READ_OK));
    trio_turn(t, 2);
    IS(count(second), 0);
    release();
    IS(count(second), 1);
    end();
}

static void an_answer_to_an_earlier_boot_is_ignored(void)
{
    uint64_t lost, tag;

    begin(3);
    hold(1, FRAME_READ_OK);
    lost = trio_read(t, 3, 0);
    trio_settle(t);
    IS(trio_lying(t, 1, 3, FRAME_READ_OK), 1);
    trio_crash(t, 3);
    OK(trio_restart(t, 3));
    hold(3, FRAME_READ_ASK);
    tag = trio_read(t, 3, 0);
    trio_pass(t, 2 * HEARTBEAT_MS);
    OK(trio_deliver(t, 1, 3, FRAME_READ_OK)); /* its id is the new one's as well */
    trio_turn(t, 3);
    IS(count(tag), 0);
    release();
    IS(code(tag), 0);
    IS(count(lost), 0);
    end();
}

/* --- leases --- */

static void begin_leased(void)
{
    t = trio_new(3);
    t->lease_ms = LEASE_MS_MAX;
    for (uint32_t id = 1; id <= 3; id++) {
        trio_crash(t, id);
        OK(trio_restart(t, id));
    }
    trio_lead(t, 1);
}

static uint64_t lease_until_ms(uint32_t id)
{
    return paxos_lease_until_ms(trio_replica(t, id)->paxos);
}

static void within_a_lease_reads_need_no_round(void)
{
    uint64_t own, forwarded, beats;

    begin_leased();
    OK(lease_until_ms(1) > t->now_ms);
    beats = t->sent[HEARTBEAT];
    own = trio_read(t, 1, 0);
    trio_turn(t, 1);
    IS(code(own), 0);
    forwarded = trio_read(t, 3, 0);
    trio_settle(t);
    IS(code(forwarded), 0);
    IS(t->sent[HEARTBEAT], beats);
    end();
}

static void when_the_lease_is_over_a_read_begins_a_round(void)
{
    uint64_t early, late, beats;

    begin_leased();
    hold_all(HEARTBEAT_OK);
    beats = t->sent[HEARTBEAT];
    t->now_ms = lease_until_ms(1) - 1;
    early = trio_read(t, 1, 0);
    trio_turn(t, 1);
    IS(code(early), 0);
    IS(t->sent[HEARTBEAT], beats);
    t->now_ms++;
    late = trio_read(t, 1, 0);
    trio_settle(t);
    IS(count(late), 0);
    IS(t->sent[HEARTBEAT], beats + 2);
    release();
    IS(code(late), 0);
    end();
}

/* A lease that comes late is worth as much to reads that began a round meanwhile. */
static void a_lease_confirms_the_rounds_before_it(void)
{
    uint64_t first, second;

    begin_leased();
    hold_all(HEARTBEAT_OK);
    trio_tick(t, 1, LEASE_MS_MAX); /* a heartbeat, from which a lease will count */
    trio_settle(t);
    OK(lease_until_ms(1) <= t->now_ms);
    first = trio_read(t, 1, 0);
    trio_settle(t);
    OK(trio_deliver(t, 2, 1, HEARTBEAT_OK));
    trio_turn(t, 1);
    OK(lease_until_ms(1) > t->now_ms);
    IS(count(first), 0);
    second = trio_read(t, 1, 0);
    trio_turn(t, 1);
    IS(code(first), 0);
    IS(code(second), 0);
    end();
}

/* C4 */
static void a_leader_that_was_deposed_behind_its_lease_releases_nothing(void)
{
    uint64_t own, forwarded;

    begin_leased();
    hold(3, FRAME_READ_ASK);
    forwarded = trio_read(t, 3, 0);
    trio_turn(t, 3);
    t->cut = node_bit(1);
    trio_lead(t, 2);
    trio_create(t, 2, "/a");
    trio_settle(t);
    OK(trio_status(t, 1).serving); /* so it believes */
    own = trio_read(t, 1, 0);
    OK(trio_deliver(t, 3, 1, FRAME_READ_ASK));
    trio_settle(t);
    IS(count(own), 0);
    IS(trio_lying(t, 1, 3, FRAME_READ_OK), 0);
    release();
    trio_pass(t, 200);
    IS(code(own), 0);
    IS(code(forwarded), 0);
    OK(trio_exists(t, 1, "/a"));
    end();
}

static void a_lease_shows_no_session_that_is_about_to_end(void)
{
    uint64_t session, own, forwarded;

    begin_leased();
    session = trio_open(t, 3, 1000);
    hold_all(ACCEPTED);
    trio_pass(t, 1000);
    OK(lease_until_ms(1) > t->now_ms);
    own = trio_read(t, 1, session);
    forwarded = trio_read(t, 3, session);
    trio_settle(t);
    IS(t->sent[FRAME_READ_OK], 1);
    IS(count(own) + count(forwarded), 0);
    release();
    IS(code(own), ERR_SESSION_EXPIRED);
    trio_pass(t, HEARTBEAT_MS);
    IS(code(forwarded), ERR_SESSION_EXPIRED);
    end();
}

/* --- changes of leader --- */

static void a_deposed_leaders_round_never_confirms(void)
{
    uint64_t read;

    begin(3);
    hold(1, HEARTBEAT);
    read = trio_read(t, 1, 0);
    trio_settle(t);
    t->cut = node_bit(1);
    trio_lead(t, 2);
    trio_create(t, 2, "/a");
    trio_settle(t);
    t->cut = 0;
    OK(trio_status(t, 1).serving); /* so it believes */
    while (trio_deliver(t, 1, 2, HEARTBEAT)) continue;
    while (trio_deliver(t, 1, 3, HEARTBEAT)) continue;
    trio_settle(t);
    IS(count(read), 0);
    OK(!trio_status(t, 1).serving);
    memset(t->hold, 0, sizeof t->hold);
    trio_pass(t, 200);
    IS(code(read), 0);
    IS(t->answers[read].slot, trio_status(t, 2).chosen);
    OK(trio_exists(t, 1, "/a"));
    end();
}

static void a_read_goes_to_the_next_leader(void)
{
    uint64_t read;

    begin(3);
    t->cut = node_bit(1);
    read = trio_read(t, 3, 0);
    trio_settle(t);
    trio_lead(t, 2);
    trio_settle(t);
    IS(code(read), 0);
    end();
}

/* Its index counts on slots that only it proposed. */
static void an_answer_of_an_earlier_leader_is_ignored(void)
{
    uint64_t session, read;

    begin(3);
    session = trio_open(t, 1, 1000);
    hold(1, ACCEPT);
    hold(1, FRAME_READ_OK);
    trio_close(t, 1, session);
    trio_settle(t);
    for (int i = 0; i < 3; i++) {
        trio_mark(t, 1);
        trio_settle(t);
    }
    read = trio_read(t, 3, session); /* must see the end, and so all that is proposed */
    trio_settle(t);
    IS(trio_lying(t, 1, 3, FRAME_READ_OK), 1);
    t->cut = node_bit(1);
    hold(2, FRAME_READ_OK);
    trio_lead(t, 2);
    IS(trio_lying(t, 2, 3, FRAME_READ_OK), 1);
    OK(trio_deliver(t, 1, 3, FRAME_READ_OK));
    trio_turn(t, 3);
    IS(count(read), 0);
    OK(trio_deliver(t, 2, 3, FRAME_READ_OK));
    trio_turn(t, 3);
    IS(code(read), 0); /* the new leader knows nothing of that end */
    IS(count(read), 1);
    end();
}

/* --- renewals --- */

static void a_renewal_extends_a_live_session(void)
{
    uint64_t session, tag;

    begin(3);
    session = trio_open(t, 3, 1000);
    for (int i = 0; i < 4; i++) {
        trio_pass(t, 800);
        tag = trio_read(t, 3, session);
        trio_settle(t);
        IS(code(tag), 0);
    }
    IS(trio_status(t, 1).sessions_leased, 1);
    end();
}

static void a_read_without_a_session_extends_none(void)
{
    uint64_t session, tag;

    begin(3);
    session = trio_open(t, 3, 1000);
    trio_pass(t, 800);
    trio_read(t, 3, 0);
    trio_pass(t, 800);
    tag = trio_read(t, 3, session);
    trio_settle(t);
    IS(code(tag), ERR_SESSION_EXPIRED);
    IS(trio_status(t, 1).sessions_leased, 0);
    end();
}

static void the_renewal_of_a_session_that_never_was_fails(void)
{
    uint64_t own, forwarded;

    begin(3);
    own = trio_read(t, 1, 12345);
    forwarded = trio_read(t, 2, 12345);
    trio_settle(t);
    IS(code(own), ERR_SESSION_EXPIRED);
    IS(code(forwarded), ERR_SESSION_EXPIRED);
    end();
}

/* The expiry stands in the open batch: the turn proposes it before it begins the round. */
static void a_renewal_after_an_expiry_in_the_open_batch_waits_for_it(void)
{
    uint64_t session, own, forwarded;

    begin(3);
    session = trio_open(t, 3, 1000);
    hold_all(ACCEPTED);
    trio_pass(t, 990);
    forwarded = trio_read(t, 3, session);
    trio_turn(t, 3);
    trio_tick(t, 1, TICK_MS);
    own = trio_read(t, 1, session);
    OK(trio_deliver(t, 3, 1, FRAME_READ_ASK));
    trio_settle(t);
    IS(t->sent[FRAME_READ_OK], 1); /* the round is confirmed, its slot is not chosen */
    IS(count(own) + count(forwarded), 0);
    release();
    IS(code(own), ERR_SESSION_EXPIRED);
    trio_pass(t, HEARTBEAT_MS);
    IS(code(forwarded), ERR_SESSION_EXPIRED);
    end();
}

static void a_renewal_after_a_proposed_expiry_waits_for_it(void)
{
    uint64_t session, own, forwarded;

    begin(3);
    session = trio_open(t, 3, 1000);
    hold_all(ACCEPTED);
    trio_pass(t, 1000);
    own = trio_read(t, 1, session);
    forwarded = trio_read(t, 3, session);
    trio_settle(t);
    IS(t->sent[FRAME_READ_OK], 1);
    IS(count(own) + count(forwarded), 0);
    release();
    IS(code(own), ERR_SESSION_EXPIRED);
    trio_pass(t, HEARTBEAT_MS);
    IS(code(forwarded), ERR_SESSION_EXPIRED);
    end();
}

/* With a full window the expiry has no slot yet that a read could wait for. */
static void a_renewal_begins_no_round_while_the_expiry_has_no_slot(void)
{
    uint64_t session, early, tag, beats;

    begin(3);
    session = trio_open(t, 3, 1000);
    trio_pass(t, 950);
    hold_all(ACCEPTED);
    for (uint32_t i = 0; i < WINDOW_MAX; i++) {
        trio_mark(t, 1);
        trio_settle(t);
    }
    trio_pass(t, 50);
    hold_all(HEARTBEAT_OK);
    early = trio_read(t, 1, 0);
    trio_settle(t);
    beats = t->sent[HEARTBEAT];
    tag = trio_read(t, 1, session);
    trio_settle(t);
    IS(t->sent[HEARTBEAT], beats);
    while (trio_deliver(t, 0, 1, HEARTBEAT_OK)) continue;
    trio_turn(t, 1);
    IS(count(early), 1);
    IS(count(tag), 0);
    release();
    IS(code(tag), ERR_SESSION_EXPIRED);
    end();
}

static void a_lost_expiry_is_no_expiry(void)
{
    uint64_t session, tag;

    begin(3);
    session = trio_open(t, 3, 1000);
    hold(1, ACCEPT);
    trio_pass(t, 1000);
    tag = trio_read(t, 3, session);
    trio_settle(t);
    IS(count(tag), 0);
    t->cut = node_bit(1);
    trio_lead(t, 2);
    trio_settle(t);
    IS(code(tag), 0);
    end();
}

/* E2 */
static void a_leader_that_stood_still_expires_nobody_for_it(void)
{
    uint64_t session, tag;

    begin(1);
    session = trio_open(t, 1, 1000);
    trio_pass(t, 500);
    trio_tick(t, 1, 60000);
    trio_pass(t, 400);
    tag = trio_read(t, 1, session);
    trio_settle(t);
    IS(code(tag), 0);
    trio_pass(t, 1000);
    tag = trio_read(t, 1, session);
    trio_settle(t);
    IS(code(tag), ERR_SESSION_EXPIRED);
    end();
}

/* --- how new a replica's state is --- */

static void the_state_is_as_new_as_the_newest_answered_read_was_asked(void)
{
    uint64_t asked_ms;

    begin(3);
    IS(replica_fresh_ms(trio_replica(t, 2)), 0);
    asked_ms = t->now_ms;
    trio_read(t, 2, 0);
    trio_settle(t);
    OK(replica_fresh_ms(trio_replica(t, 2)) == asked_ms);
    trio_pass(t, 20);
    OK(replica_fresh_ms(trio_replica(t, 2)) == asked_ms);
    end();
}

/* The answer may be to the first asking: what was chosen since then it does not show. */
static void a_read_that_is_asked_again_is_as_new_as_its_first_asking(void)
{
    uint64_t asked_ms, tag;

    begin(3);
    hold(1, FRAME_READ_OK);
    asked_ms = t->now_ms;
    tag = trio_read(t, 2, 0);
    trio_settle(t);
    for (int i = 0; i < 12; i++) trio_pass(t, 50); /* asks again meanwhile */
    IS(count(tag), 0);
    release();
    IS(code(tag), 0);
    OK(replica_fresh_ms(trio_replica(t, 2)) == asked_ms);
    end();
}

int main(void)
{
    TEST(the_state_is_as_new_as_the_newest_answered_read_was_asked);
    TEST(a_read_that_is_asked_again_is_as_new_as_its_first_asking);
    TEST(a_lone_server_reads_at_once);
    TEST(a_read_waits_for_its_round);
    TEST(a_read_is_not_released_by_a_round_that_began_before_it);
    TEST(a_read_at_a_follower_sees_what_was_chosen_before_it_began);
    TEST(a_query_at_a_follower_waits_for_its_round_and_for_the_slot);
    TEST(reads_at_hand_share_one_round);
    TEST(a_lost_ask_or_answer_is_asked_again_after_a_while);
    TEST(a_link_that_comes_up_asks_again_at_once);
    TEST(a_doubled_answer_releases_once);
    TEST(an_answer_to_an_earlier_boot_is_ignored);
    TEST(within_a_lease_reads_need_no_round);
    TEST(when_the_lease_is_over_a_read_begins_a_round);
    TEST(a_lease_confirms_the_rounds_before_it);
    TEST(a_leader_that_was_deposed_behind_its_lease_releases_nothing);
    TEST(a_lease_shows_no_session_that_is_about_to_end);
    TEST(a_deposed_leaders_round_never_confirms);
    TEST(a_read_goes_to_the_next_leader);
    TEST(an_answer_of_an_earlier_leader_is_ignored);
    TEST(a_renewal_extends_a_live_session);
    TEST(a_read_without_a_session_extends_none);
    TEST(the_renewal_of_a_session_that_never_was_fails);
    TEST(a_renewal_after_an_expiry_in_the_open_batch_waits_for_it);
    TEST(a_renewal_after_a_proposed_expiry_waits_for_it);
    TEST(a_renewal_begins_no_round_while_the_expiry_has_no_slot);
    TEST(a_lost_expiry_is_no_expiry);
    TEST(a_leader_that_stood_still_expires_nobody_for_it);
    return tap_done();
}
