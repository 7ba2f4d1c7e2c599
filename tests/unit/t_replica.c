/* t_replica.c -- the way of writes, one rule a test.
 *
 * Method: the rig of tests/lib/replica_rig.h. Server 1 leads at first; frames are held,
 * dropped, doubled and turned round by hand. A "mark" is a numbered node, so a request that
 * took effect twice shows in their count. Reads are in t_replica_reads.c, bounds, catch-up and
 * restarts in t_replica_life.c. Replay the random part with:  SEED=<n> ./t_replica  */
#include <stdlib.h>

#include "core/base/check.h"
#include "core/base/errors.h"
#include "core/base/rng.h"
#include "tests/lib/replica_rig.h"
#include "tests/lib/tap.h"

static struct trio *t;
static uint64_t seed;

enum { ACCEPT = TRIO_PAXOS + PAXOS_ACCEPT,
       ACCEPTED = TRIO_PAXOS + PAXOS_ACCEPTED,
       HEARTBEAT = TRIO_PAXOS + PAXOS_HEARTBEAT };

static void begin(uint32_t nodes)
{
    t = trio_new(nodes);
    trio_lead(t, 1);
}

static void end(void)
{
    for (uint32_t id = 1; id <= t->nodes_count; id++) {
        struct replica *r = trio_replica(t, id);

        if (r != NULL) machine_check(replica_machine(r));
    }
    trio_free(t);
}

static void hold(uint32_t from, unsigned kind)
{
    t->hold[kind] |= node_bit(from);
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
    return t->answers[tag].code != 0 ? t->answers[tag].code : t->answers[tag].result.code;
}

static void all_agree(void)
{
    for (uint32_t id = 2; id <= t->nodes_count; id++) {
        IS(trio_status(t, id).applied, trio_status(t, 1).applied);
        OK(trio_status(t, id).digest == trio_status(t, 1).digest);
    }
}

/* Server 1 is gone for now, and its frames with it; 2 seeks to lead until it does. */
static void depose(void)
{
    t->cut = node_bit(1);
    for (int i = 0; i < 200 && trio_status(t, 2).role != PAXOS_LEADING; i++) {
        trio_tick(t, 2, TICK_MS);
        trio_settle(t);
    }
    IS(trio_status(t, 2).role, PAXOS_LEADING);
    IS(trio_status(t, 3).leader, 2);
}

/* --- a write's way --- */

static void a_lone_server_leads_once_its_promise_is_durable(void)
{
    t = trio_new(1);
    t->nodes[0].slow = true;
    trio_pass(t, 100);
    OK(!trio_status(t, 1).serving);
    t->nodes[0].slow = false;
    trio_pass(t, TICK_MS);
    OK(trio_status(t, 1).serving);
    end();
}

static void a_lone_server_answers_once_its_log_is_durable(void)
{
    uint64_t tag;

    begin(1);
    t->nodes[0].slow = true;
    tag = trio_mark(t, 1);
    trio_settle(t);
    IS(count(tag), 0);
    IS(trio_status(t, 1).pending_writes, 1);
    trio_durable(t, 1);
    IS(count(tag), 1);
    IS(code(tag), 0);
    IS(trio_marks(t, 1), 1);
    IS(trio_status(t, 1).pending_writes, 0);
    end();
}

static void a_follower_forwards_and_answers_what_the_leader_resolved(void)
{
    uint64_t made, refused;

    begin(3);
    made = trio_create(t, 2, "/a");
    refused = trio_create(t, 2, "/a");
    trio_turn(t, 2);
    IS(trio_lying(t, 2, 1, FRAME_FORWARD), 1);
    IS(t->frames_count, 1);
    trio_settle(t);
    IS(code(made), 0);
    IS(code(refused), ERR_NODE_EXISTS);
    IS(t->answers[made].result.zxid + 1, t->answers[refused].result.zxid);
    IS(trio_status(t, 2).zxid, t->answers[refused].result.zxid);
    end();
}

static void broken_requests_are_answered_too(void)
{
    uint64_t own, forwarded;

    begin(3);
    own = trio_submit_raw(t, 1, BYTES_LIT("nonsense"));
    forwarded = trio_submit_raw(t, 2, BYTES_LIT(""));
    trio_settle(t);
    IS(code(own), ERR_OTHER_VERSION);
    IS(code(forwarded), ERR_BAD_MESSAGE);
    end();
}

static void all_that_is_at_hand_shares_one_slot(void)
{
    uint64_t before;

    begin(3);
    before = trio_status(t, 1).applied;
    for (int i = 0; i < 20; i++) trio_mark(t, 1 + (uint32_t) i % 2);
    trio_turn(t, 2);
    trio_deliver(t, 2, 1, FRAME_FORWARD);
    trio_settle(t);
    IS(trio_status(t, 1).applied, before + 1);
    IS(trio_marks(t, 1), 20);
    end();
}

/* --- forwards that are doubled, lost and late --- */

static void a_doubled_forward_is_resolved_once(void)
{
    uint64_t tag;

    begin(3);
    hold(2, FRAME_FORWARD);
    tag = trio_mark(t, 2);
    trio_settle(t);
    OK(trio_repeat(t, 2, 1, FRAME_FORWARD));
    OK(trio_repeat(t, 2, 1, FRAME_FORWARD));
    trio_settle(t);
    OK(trio_deliver(t, 2, 1, FRAME_FORWARD));
    release();
    IS(count(tag), 1);
    IS(trio_marks(t, 1), 1);
    end();
}

static void a_lost_forward_is_sent_again_after_a_while(void)
{
    uint64_t tag;

    begin(3);
    tag = trio_mark(t, 2);
    trio_turn(t, 2);
    OK(trio_drop(t, 2, 1, FRAME_FORWARD));
    trio_pass(t, RESEND_MS - TICK_MS);
    IS(t->sent[FRAME_FORWARD], 1);
    IS(count(tag), 0);
    trio_pass(t, TICK_MS);
    IS(t->sent[FRAME_FORWARD], 2);
    IS(count(tag), 1);
    IS(trio_marks(t, 1), 1);
    end();
}

static void a_gap_makes_the_leader_tell_the_next_number(void)
{
    uint64_t first, second;

    begin(3);
    hold(2, FRAME_FORWARD);
    hold(1, FRAME_FORWARD_NEXT);
    first = trio_mark(t, 2);
    trio_turn(t, 2);
    second = trio_mark(t, 2);
    trio_turn(t, 2);
    IS(trio_lying(t, 2, 1, FRAME_FORWARD), 2);
    OK(trio_drop(t, 2, 1, FRAME_FORWARD));
    OK(trio_deliver(t, 2, 1, FRAME_FORWARD));
    IS(trio_lying(t, 1, 2, FRAME_FORWARD_NEXT), 1);
    trio_settle(t);
    IS(trio_marks(t, 1), 0);

    OK(trio_deliver(t, 1, 2, FRAME_FORWARD_NEXT)); /* no time has to pass */
    release();
    IS(count(first), 1);
    IS(count(second), 1);
    IS(trio_marks(t, 1), 2);
    end();
}

/* C3 */
static void forwards_take_effect_in_the_order_of_submission(void)
{
    uint64_t tags[5];

    begin(3);
    hold(2, FRAME_FORWARD);
    for (int i = 0; i < 5; i++) {
        tags[i] = trio_mark(t, 2);
        trio_turn(t, 2);
    }
    while (trio_deliver_last(t, 2, 1, FRAME_FORWARD)) continue;
    release();
    for (int i = 0; i < 5; i++) {
        IS(code(tags[i]), 0);
        OK(i == 0 || t->answers[tags[i]].result.zxid > t->answers[tags[i - 1]].result.zxid);
    }
    IS(trio_marks(t, 1), 5);
    end();
}

static void an_answer_acknowledges_all_before_it(void)
{
    uint64_t session, call;

    begin(3);
    session = trio_open(t, 2, 600000);
    call = trio_call(t, 2, session, 1, "/later");
    trio_mark(t, 2);
    trio_settle(t);
    trio_pass(t, 5 * RESEND_MS);
    IS(t->sent[FRAME_FORWARD], 2);
    IS(count(call), 0);
    trio_create(t, 1, "/later");
    trio_settle(t);
    IS(code(call), 0);
    end();
}

static void a_call_that_waits_is_sent_again_until_the_leader_says_it_has_it(void)
{
    uint64_t session;

    begin(3);
    session = trio_open(t, 2, 600000);
    hold(1, FRAME_FORWARD_NEXT);
    trio_call(t, 2, session, 1, "/later");
    trio_settle(t);
    trio_pass(t, 2 * RESEND_MS);
    IS(t->sent[FRAME_FORWARD], 2 + 2);
    release();
    trio_pass(t, 5 * RESEND_MS);
    IS(t->sent[FRAME_FORWARD], 2 + 2);
    IS(trio_status(t, 1).waiting_calls, 1);
    end();
}

/* The number that the leader names is older than what its answers say meanwhile. */
static void an_answer_between_the_next_number_and_the_turn_is_no_gap(void)
{
    uint64_t session, first, middle, last;

    begin(3);
    session = trio_open(t, 2, 600000);
    hold(2, FRAME_FORWARD);
    hold(1, FRAME_FORWARD_NEXT);
    hold(1, HEARTBEAT);
    first = trio_call(t, 2, session, 1, "/later");
    trio_turn(t, 2);
    middle = trio_mark(t, 2);
    last = trio_call(t, 2, session, 2, "/later");
    trio_turn(t, 2);
    OK(trio_deliver_last(t, 2, 1, FRAME_FORWARD)); /* a gap: next is 1 */
    OK(trio_deliver(t, 2, 1, FRAME_FORWARD));
    trio_tick(t, 2, RESEND_MS);
    trio_turn(t, 2);
    OK(trio_deliver(t, 2, 1, FRAME_FORWARD)); /* all three: next is 4 */
    trio_settle(t);
    IS(trio_lying(t, 1, 2, FRAME_FORWARD_NEXT), 2);
    OK(trio_deliver(t, 1, 2, FRAME_FORWARD_NEXT)); /* 1, late */
    IS(count(middle), 0);
    while (trio_deliver(t, 1, 2, HEARTBEAT)) continue;
    IS(count(middle), 1);
    release();
    trio_pass(t, 3 * RESEND_MS);
    IS(count(first) + count(last), 0);
    IS(trio_status(t, 1).waiting_calls, 2);
    IS(trio_marks(t, 1), 1);
    end();
}

static void a_next_number_of_another_reign_or_boot_or_out_of_range_is_ignored(void)
{
    struct frame f = { .kind = FRAME_FORWARD_NEXT, .boot = 1, .number = 1 };
    struct buf bytes = { 0 };

    begin(3);
    hold(2, FRAME_FORWARD);
    trio_mark(t, 2);
    trio_settle(t);
    f.reign = trio_status(t, 1).ballot;
    for (int i = 0; i < 4; i++) {
        struct frame wrong = f;

        if (i == 0) wrong.reign.round++;
        if (i == 1) wrong.boot++;
        if (i == 2) wrong.number = 100;
        if (i == 3) wrong.reign.round--;
        if (wrong.reign.round == 0) continue;
        buf_clear(&bytes);
        frame_encode(&bytes, &wrong);
        OK(trio_give(t, 1, 2, &bytes));
        trio_turn(t, 2);
        IS(trio_lying(t, 2, 1, FRAME_FORWARD), 1);
    }
    buf_fini(&bytes);
    OK(trio_drop(t, 2, 1, FRAME_FORWARD));
    release();
    trio_pass(t, RESEND_MS); /* nothing counts as acknowledged */
    IS(trio_marks(t, 1), 1);
    end();
}

/* --- changes of leader --- */

static void the_next_reign_is_asked_only_after_its_first_slot(void)
{
    uint64_t tag;

    begin(3);
    hold(1, ACCEPT);
    tag = trio_mark(t, 3); /* reaches the leader, and its log only */
    trio_settle(t);
    hold(2, ACCEPT);
    hold(3, FRAME_FORWARD);
    depose();
    trio_tick(t, 3, RESEND_MS);
    trio_settle(t);
    IS(trio_lying(t, 3, 2, FRAME_FORWARD), 0);
    t->hold[ACCEPT] = node_bit(1);
    trio_settle(t);
    IS(trio_lying(t, 3, 2, FRAME_FORWARD), 1);
    OK(trio_deliver(t, 3, 2, FRAME_FORWARD));
    trio_settle(t);
    IS(count(tag), 1);
    trio_drop_all(t);
    release();
    trio_pass(t, 200);
    IS(trio_marks(t, 1), 1);
    all_agree();
    end();
}

static void what_the_next_leader_recovers_is_answered_and_not_sent_again(void)
{
    uint64_t tag;

    begin(3);
    hold(2, ACCEPTED);
    hold(3, ACCEPTED);
    tag = trio_mark(t, 3);
    trio_settle(t);
    IS(count(tag), 0);
    trio_drop_all(t);
    memset(t->hold, 0, sizeof t->hold);
    hold(3, FRAME_FORWARD);
    depose();
    trio_settle(t);
    IS(count(tag), 1);
    IS(trio_lying(t, 3, 2, FRAME_FORWARD), 0);
    IS(trio_marks(t, 3), 1);
    release();
    trio_pass(t, 200);
    all_agree();
    end();
}

/* Run rule: what was computed on a lost batch is void, and its request is sent anew. */
static void a_batch_that_does_not_count_leaves_its_request_to_the_next_reign(void)
{
    uint64_t lost, voided;

    begin(3);
    hold(1, ACCEPT);
    lost = trio_mark(t, 3);
    trio_settle(t);
    voided = trio_mark(t, 3);
    trio_settle(t);
    OK(trio_deliver_last(t, 1, 2, ACCEPT));
    trio_drop_all(t);
    depose();
    trio_settle(t);
    IS(code(lost), 0);
    IS(code(voided), 0);
    OK(t->answers[lost].result.zxid < t->answers[voided].result.zxid);
    IS(trio_marks(t, 3), 2);
    release();
    trio_pass(t, 200);
    IS(trio_marks(t, 1), 2);
    all_agree();
    end();
}

static void a_deposed_leaders_own_requests_go_to_the_next_one(void)
{
    uint64_t tag;

    begin(3);
    hold(1, ACCEPT);
    tag = trio_mark(t, 1);
    trio_settle(t);
    trio_drop_all(t);
    depose();
    trio_settle(t);
    IS(count(tag), 0);
    release();
    trio_pass(t, 500);
    IS(code(tag), 0);
    IS(trio_marks(t, 2), 1);
    all_agree();
    end();
}

static void a_forward_of_an_earlier_reign_is_ignored(void)
{
    uint64_t tag;

    begin(3);
    trio_mark(t, 3); /* number 1 */
    trio_settle(t);
    hold(3, FRAME_FORWARD);
    tag = trio_mark(t, 3); /* number 2, and 1 in the reign that answers it */
    trio_settle(t);
    trio_lead(t, 2);
    trio_lead(t, 1);
    while (trio_lying(t, 3, 1, FRAME_FORWARD) > 1) {
        OK(trio_deliver_last(t, 3, 1, FRAME_FORWARD)); /* of the reign of now */
        trio_settle(t);
    }
    IS(count(tag), 1);
    OK(trio_deliver(t, 3, 1, FRAME_FORWARD)); /* of the first reign */
    release();
    IS(trio_marks(t, 1), 2);
    end();
}

static void a_forward_of_an_earlier_boot_is_ignored(void)
{
    uint64_t lost, tag;

    begin(3);
    trio_create(t, 3, "/"); /* number 1 */
    trio_settle(t);
    hold(3, FRAME_FORWARD);
    lost = trio_mark(t, 3); /* number 2, which the next boot comes to as well */
    trio_settle(t);
    trio_crash(t, 3);
    OK(trio_restart(t, 3));
    trio_pass(t, 2 * HEARTBEAT_MS);
    tag = trio_create(t, 3, "/a");
    trio_settle(t);
    OK(trio_deliver_last(t, 3, 1, FRAME_FORWARD));
    OK(trio_deliver(t, 3, 1, FRAME_FORWARD));
    release();
    IS(code(tag), 0);
    IS(count(lost), 0);
    IS(trio_marks(t, 1), 0);
    end();
}

static void a_batch_of_an_earlier_boot_answers_nobody(void)
{
    uint64_t lost, tag;

    begin(3);
    hold(1, ACCEPT);
    lost = trio_create(t, 3, "/");
    trio_settle(t);
    trio_crash(t, 3);
    OK(trio_restart(t, 3));
    tag = trio_mark(t, 3); /* its place among the pending ones is that of the lost one */
    release();
    trio_pass(t, 2 * HEARTBEAT_MS);
    IS(count(lost), 0);
    IS(count(tag), 1);
    IS(code(tag), 0);
    IS(trio_marks(t, 3), 1);
    end();
}

/* C1, C3: whatever is lost, doubled or late, and whoever leads. */
static void a_storm_leaves_every_request_done_once(void)
{
    enum { ROUNDS = 1500 };
    struct rng rng;
    uint64_t marks = 0;

    begin(3);
    rng_init(&rng, seed);
    for (int i = 0; i < ROUNDS; i++) {
        uint32_t id = 1 + (uint32_t) rng_below(&rng, 3);
        uint64_t dice = rng_below(&rng, 100);

        if (dice < 10 && trio_mark(t, id) != 0 && t->code == 0) marks++;
        if (dice < 40) trio_tick(t, id, rng_below(&rng, 30));
        if (dice < 60) trio_turn(t, id);
        if (t->nodes[id - 1].seq > t->nodes[id - 1].seq_durable) trio_durable(t, id);
        for (uint64_t n = rng_below(&rng, 6); n > 0 && t->frames_count > 0; n--) {
            struct trio_frame *f = &t->frames[rng_below(&rng, t->frames_count)];
            uint64_t fate = rng_below(&rng, 100);

            if (f->after > t->nodes[f->from - 1].seq_durable) continue;
            if (fate < 10) trio_drop(t, f->from, f->to, f->kind);
            else if (fate < 20) trio_repeat(t, f->from, f->to, f->kind);
            else if (fate < 40) trio_deliver_last(t, f->from, f->to, f->kind);
            else trio_deliver(t, f->from, f->to, f->kind);
        }
    }
    release();
    trio_pass(t, 5000);
    for (uint64_t tag = 1; tag <= t->tag; tag++) {
        if (code(tag) == ERR_NO_QUORUM) marks--;
        IS(count(tag), 1);
    }
    OK(marks > 10);
    IS(trio_marks(t, 1), marks);
    all_agree();
    end();
}

int main(void)
{
    const char *given = getenv("SEED");

    seed = given == NULL ? 1 : strtoull(given, NULL, 10);
    printf("# SEED=%" PRIu64 "\n", seed);
    TEST(a_lone_server_leads_once_its_promise_is_durable);
    TEST(a_lone_server_answers_once_its_log_is_durable);
    TEST(a_follower_forwards_and_answers_what_the_leader_resolved);
    TEST(broken_requests_are_answered_too);
    TEST(all_that_is_at_hand_shares_one_slot);
    TEST(a_doubled_forward_is_resolved_once);
    TEST(a_lost_forward_is_sent_again_after_a_while);
    TEST(a_gap_makes_the_leader_tell_the_next_number);
    TEST(forwards_take_effect_in_the_order_of_submission);
    TEST(an_answer_acknowledges_all_before_it);
    TEST(a_call_that_waits_is_sent_again_until_the_leader_says_it_has_it);
    TEST(an_answer_between_the_next_number_and_the_turn_is_no_gap);
    TEST(a_next_number_of_another_reign_or_boot_or_out_of_range_is_ignored);
    TEST(the_next_reign_is_asked_only_after_its_first_slot);
    TEST(what_the_next_leader_recovers_is_answered_and_not_sent_again);
    TEST(a_batch_that_does_not_count_leaves_its_request_to_the_next_reign);
    TEST(a_deposed_leaders_own_requests_go_to_the_next_one);
    TEST(a_forward_of_an_earlier_reign_is_ignored);
    TEST(a_forward_of_an_earlier_boot_is_ignored);
    TEST(a_batch_of_an_earlier_boot_answers_nobody);
    TEST(a_storm_leaves_every_request_done_once);
    return tap_done();
}
