/* t_replica_life.c -- what a replica refuses, how it meets links that come up, catches up,
 * restarts and stops, one rule a test.
 *
 * Method: the rig of tests/lib/replica_rig.h. Server 1 leads. */
#include <stdlib.h>

#include "core/base/check.h"
#include "core/base/errors.h"
#include "tests/lib/replica_rig.h"
#include "tests/lib/tap.h"

static struct trio *t;

enum {
    LEARN = TRIO_PAXOS + PAXOS_LEARN,
    ACCEPT = TRIO_PAXOS + PAXOS_ACCEPT,
    TAKE_OVER = TRIO_PAXOS + PAXOS_TAKE_OVER,
};

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

/* --- refusals --- */

static void without_a_leader_for_long_only_what_was_sent_stays_pending(void)
{
    uint64_t sent, fresh, read;

    begin(3);
    t->cut = node_bit(3);
    sent = trio_mark(t, 3);
    trio_settle(t);
    while (trio_status(t, 3).leader != 0) trio_pass(t, TICK_MS);
    fresh = trio_mark(t, 3);
    read = trio_read(t, 3, 0);
    trio_pass(t, HOPELESS_MS);
    IS(count(fresh), 0);
    IS(count(read), 0);
    trio_pass(t, TICK_MS);
    IS(code(fresh), ERR_NO_QUORUM);
    IS(code(read), ERR_NO_QUORUM);
    IS(count(sent), 0);
    trio_mark(t, 3);
    IS(t->code, ERR_NO_QUORUM);
    trio_read(t, 3, 0);
    IS(t->code, ERR_NO_QUORUM);
    release();
    trio_pass(t, 500);
    IS(code(sent), 0);
    IS(trio_marks(t, 1), 1);
    end();
}

/* C5 */
static void requests_are_bounded_by_count(void)
{
    uint64_t first;

    begin(3);
    first = t->tag + 1;
    for (uint32_t i = 0; i < PENDING_COUNT_MAX; i++) trio_submit_raw(t, 2, BYTES_LIT("x"));
    IS(t->code, 0);
    trio_mark(t, 2);
    IS(t->code, ERR_BUSY);
    trio_settle(t);
    IS(code(first), ERR_BAD_MESSAGE);
    IS(code(first + PENDING_COUNT_MAX - 1), ERR_BAD_MESSAGE);
    trio_mark(t, 2);
    IS(t->code, 0);
    end();
}

static void requests_are_bounded_by_bytes(void)
{
    enum { SIZE = 1 << 20 };
    uint8_t *big = mem_zalloc(SIZE);

    begin(3);
    for (uint32_t i = 0; i < PENDING_BYTES_MAX / SIZE; i++) {
        trio_submit_raw(t, 2, bytes_of(big, SIZE));
        IS(t->code, 0);
    }
    trio_mark(t, 2);
    IS(t->code, ERR_BUSY);
    free(big);
    end();
}

static void reads_are_bounded_by_count(void)
{
    begin(3);
    for (uint32_t i = 0; i < PENDING_COUNT_MAX; i++) trio_read(t, 2, 0);
    IS(t->code, 0);
    trio_read(t, 2, 0);
    IS(t->code, ERR_BUSY);
    trio_settle(t);
    IS(trio_status(t, 2).pending_reads, 0);
    trio_read(t, 2, 0);
    IS(t->code, 0);
    end();
}

static void what_one_origin_asks_leaves_room_for_the_others(void)
{
    uint64_t tag;

    begin(3);
    for (uint32_t i = 0; i < PENDING_COUNT_MAX; i++) trio_submit_raw(t, 2, BYTES_LIT("x"));
    trio_turn(t, 2);
    tag = trio_mark(t, 3);
    trio_turn(t, 3);
    OK(trio_deliver(t, 2, 1, FRAME_FORWARD) && trio_deliver(t, 3, 1, FRAME_FORWARD));
    trio_settle(t);
    IS(code(tag), 0);
    IS(trio_marks(t, 1), 1);
    end();
}

/* More than the leader's queue takes of one origin. No time has to pass: the leader says when
 * it has room again. */
static void what_finds_no_room_at_the_leader_is_sent_again(void)
{
    enum { SIZE = 1 << 20, COUNT = 4 * PENDING_BYTES_MAX / NODES_MAX / SIZE };
    uint8_t *big = mem_zalloc(SIZE);
    uint64_t first;

    begin(3);
    first = t->tag + 1;
    for (uint32_t i = 0; i < COUNT; i++) trio_submit_raw(t, 2, bytes_of(big, SIZE));
    trio_turn(t, 2);
    while (trio_deliver(t, 2, 1, FRAME_FORWARD)) continue;
    trio_settle(t);
    for (uint32_t i = 0; i < COUNT; i++) IS(code(first + i), ERR_OTHER_VERSION);
    free(big);
    end();
}

/* --- links --- */

/* Two more lie behind the lost one: the leader takes none of them before it. */
static void a_link_that_comes_up_sends_what_was_lost_again_at_once(void)
{
    uint64_t first;

    begin(3);
    first = trio_mark(t, 2);
    for (int i = 0; i < 3; i++) {
        if (i > 0) trio_mark(t, 2);
        trio_turn(t, 2);
        OK(trio_drop(t, 2, 1, FRAME_FORWARD));
    }
    trio_peer_up(t, 2, 3); /* a follower: nothing was asked of it */
    trio_settle(t);
    IS(t->sent[FRAME_FORWARD], 3);
    trio_peer_up(t, 2, 1);
    trio_settle(t);
    IS(t->sent[FRAME_FORWARD], 4);
    for (uint64_t tag = first; tag < first + 3; tag++) IS(code(tag), 0);
    IS(trio_marks(t, 1), 3);
    end();
}

static void a_link_that_comes_up_doubles_nothing(void)
{
    uint64_t tag;

    begin(3);
    hold(1, FRAME_FORWARD_NEXT);
    tag = trio_mark(t, 2);
    trio_turn(t, 2);
    trio_peer_up(t, 2, 1);
    trio_settle(t);
    trio_peer_up(t, 2, 1);
    release();
    IS(t->sent[FRAME_FORWARD], 2);
    IS(count(tag), 1);
    IS(trio_marks(t, 1), 1);
    end();
}

/* --- catch-up --- */

static void write_at(uint32_t id, const char *path, struct bytes data)
{
    struct buf wants = { 0 };

    want_encode(&wants, &(struct want){
                            .kind = WANT_CREATE, .path = bytes_str(path), .data = data });
    trio_submit(t, id, &(struct request){ .kind = REQUEST_WRITE,
                                          .single = true,
                                          .wants_count = 1,
                                          .wants = buf_bytes(&wants) });
    buf_fini(&wants);
    trio_settle(t);
}

/* The LEARNs that lie there: so many, and only the last one says that it is the last. */
static void one_answer_lies_there(uint32_t learns)
{
    uint32_t seen = 0;

    for (uint32_t i = 0; i < t->frames_count; i++) {
        struct frame f;

        if (t->frames[i].kind != LEARN) continue;
        CHECK(frame_decode(buf_bytes(&t->frames[i].bytes), &f) == 0);
        IS(f.paxos.yes, ++seen == learns);
        blob_unref(f.paxos.vote.proposal.batch);
    }
    IS(seen, learns);
}

static void a_catch_up_answer_is_bounded_in_slots_and_says_its_end(void)
{
    begin(3);
    t->cut = node_bit(3);
    for (uint32_t i = 0; i < 2 * WINDOW_MAX + 5; i++) {
        trio_mark(t, 1);
        trio_settle(t);
    }
    hold(1, LEARN);
    t->cut = 0;
    trio_pass(t, TICK_MS); /* it hears what is chosen */
    one_answer_lies_there(WINDOW_MAX);
    release(); /* the end of one answer asks for the next: no time has to pass */
    IS(trio_marks(t, 3), 2 * WINDOW_MAX + 5);
    all_agree();
    end();
}

static void a_catch_up_answer_is_bounded_in_bytes(void)
{
    enum { SIZE = LEARN_BYTES_MAX / 2 };
    uint8_t *big = mem_zalloc(SIZE);

    begin(3);
    t->cut = node_bit(3);
    write_at(1, "/a", bytes_of(big, SIZE));
    write_at(1, "/b", bytes_of(big, SIZE));
    write_at(1, "/c", bytes_of(big, SIZE));
    hold(1, LEARN);
    t->cut = 0;
    trio_pass(t, TICK_MS); /* it hears what is chosen */
    one_answer_lies_there(2);
    release();
    OK(trio_exists(t, 3, "/c"));
    free(big);
    end();
}

/* --- snapshots --- */

/* The third replica lacks slots that no log has any more. */
static void leave_behind(void)
{
    t->cut = node_bit(3);
    write_at(1, "/a", BYTES_LIT("a"));
    write_at(1, "/b", BYTES_LIT("b"));
    t->nodes[0].trimmed = t->nodes[1].trimmed = trio_status(t, 1).chosen;
    t->cut = 0;
}

static void a_slot_that_the_log_no_longer_has_comes_as_a_snapshot(void)
{
    begin(3);
    leave_behind();
    trio_pass(t, 2000);
    IS(t->sent[LEARN], 0);
    IS(t->nodes[2].store.installs, 1);
    OK(trio_exists(t, 3, "/a"));
    all_agree();
    write_at(3, "/c", BYTES_LIT("c"));
    trio_pass(t, HEARTBEAT_MS);
    all_agree();
    end();
}

/* Both may be in what the snapshot holds, where nobody meets the answer: sent once more, they
 * could take effect twice. */
static void what_was_asked_before_a_snapshot_is_never_sent_again(void)
{
    uint64_t write, read, marks;

    begin(3);
    trio_mark(t, 3);
    trio_settle(t);
    write = trio_mark(t, 3);
    read = trio_read(t, 3, 0);
    trio_turn(t, 3);
    trio_deliver(t, 3, 1, FRAME_FORWARD); /* the leader takes it; its answer is cut off */
    trio_deliver(t, 3, 1, FRAME_READ_ASK);
    leave_behind();
    trio_pass(t, 2000);
    IS(t->nodes[2].store.installs, 1);
    IS(t->answers[write].code, ERR_CLOSED);
    IS(t->answers[read].code, ERR_CLOSED);
    marks = trio_marks(t, 1);
    trio_lead(t, 2); /* in another reign requests are sent afresh */
    trio_pass(t, 2000);
    IS(trio_marks(t, 1), marks);
    all_agree();
    end();
}

/* The leader never got the first one, and must not wait for its number. */
static void what_is_asked_after_a_snapshot_goes_to_the_same_reign(void)
{
    uint64_t lost, next;
    struct ballot reign;

    begin(3);
    trio_mark(t, 3);
    trio_settle(t);
    reign = trio_status(t, 1).ballot;
    lost = trio_mark(t, 3);
    trio_turn(t, 3);
    leave_behind(); /* with what was on its way */
    trio_pass(t, 2000);
    IS(t->nodes[2].store.installs, 1);
    IS(t->answers[lost].code, ERR_CLOSED);
    next = trio_mark(t, 3);
    trio_pass(t, 2000);
    IS(t->answers[next].count, 1);
    IS(ballot_cmp(trio_status(t, 1).ballot, reign), 0);
    end();
}

static void a_replica_that_restarts_after_a_snapshot_goes_on_from_there(void)
{
    begin(3);
    leave_behind();
    trio_pass(t, 2000);
    IS(t->nodes[2].store.installs, 1);
    trio_crash(t, 3);
    OK(trio_restart(t, 3));
    write_at(2, "/c", BYTES_LIT("c"));
    trio_pass(t, 1000);
    OK(trio_exists(t, 3, "/c"));
    IS(t->nodes[2].store.installs, 1);
    end();
}

/* The state is there first, the record second. */
static void a_crash_between_the_state_and_its_record_costs_nothing(void)
{
    uint64_t chosen;

    begin(3);
    chosen = trio_status(t, 3).chosen;
    leave_behind();
    trio_pass(t, 2000);
    trio_crash(t, 3);
    t->nodes[2].chosen = chosen; /* as the log had it before */
    OK(trio_restart(t, 3));
    IS(trio_status(t, 3).chosen, trio_status(t, 1).chosen);
    write_at(2, "/c", BYTES_LIT("c"));
    trio_pass(t, 1000);
    OK(trio_exists(t, 3, "/c"));
    end();
}

static void a_promise_is_kept_over_a_snapshot(void)
{
    struct ballot promised;

    begin(3);
    leave_behind();
    promised = paxos_promised(trio_replica(t, 3)->paxos);
    trio_pass(t, 2000);
    IS(t->nodes[2].store.installs, 1);
    OK(ballot_cmp(paxos_promised(trio_replica(t, 3)->paxos), promised) >= 0);
    OK(ballot_cmp(t->nodes[2].promised, promised) >= 0);
    end();
}

/* --- life --- */

static void a_restarted_replica_replays_its_log(void)
{
    begin(3);
    write_at(2, "/a", BYTES_LIT("a"));
    trio_pass(t, HEARTBEAT_MS);
    trio_crash(t, 3);
    kv_overlay_clear(&t->nodes[2].applied); /* nothing was written behind */
    OK(trio_restart(t, 3));
    trio_pass(t, 2 * HEARTBEAT_MS);
    OK(trio_exists(t, 3, "/a"));
    all_agree();
    end();
}

static void what_was_applied_before_a_restart_is_recalled_up_to_the_state(void)
{
    begin(3);
    const struct trio_node *n = &t->nodes[2];

    for (int i = 0; i < 5; i++) {
        trio_mark(t, 2);
        trio_settle(t);
    }
    trio_pass(t, HEARTBEAT_MS);
    const uint64_t applied = trio_status(t, 3).applied, zxid = trio_status(t, 3).zxid;

    trio_crash(t, 3);
    OK(trio_restart(t, 3));
    OK(n->recalled >= 5);
    IS(n->recalled_last, applied);
    IS(n->recalled_zxid, zxid);
    end();
}

/* Where no reign begins in what is left, the newest slot tells that all of it counted. */
static void a_log_that_was_cut_is_recalled_as_far_as_it_goes(void)
{
    begin(3);
    for (int i = 0; i < 5; i++) {
        trio_mark(t, 2);
        trio_settle(t);
    }
    trio_pass(t, HEARTBEAT_MS);
    t->nodes[2].trimmed = trio_status(t, 3).applied - 2;
    trio_crash(t, 3);
    OK(trio_restart(t, 3));
    IS(t->nodes[2].recalled, 2);
    trio_crash(t, 3);
    t->nodes[2].trimmed += 2;
    OK(trio_restart(t, 3));
    IS(t->nodes[2].recalled, 0);
    end();
}

static void more_than_a_window_of_an_older_reign_is_recalled_from_its_middle(void)
{
    begin(3);
    for (uint32_t i = 0; i < WINDOW_MAX + 10; i++) {
        trio_mark(t, 1);
        trio_settle(t);
    }
    const uint64_t last = trio_status(t, 1).applied;

    trio_lead(t, 2);
    trio_mark(t, 2);
    trio_settle(t);
    trio_pass(t, HEARTBEAT_MS);
    const uint64_t applied = trio_status(t, 3).applied;

    t->nodes[2].trimmed = last - WINDOW_MAX - 1;
    trio_crash(t, 3);
    OK(trio_restart(t, 3));
    IS(t->nodes[2].recalled, applied - last + WINDOW_MAX + 1);
    t->nodes[2].trimmed++; /* all that is left of it might be void */
    trio_crash(t, 3);
    OK(trio_restart(t, 3));
    IS(t->nodes[2].recalled, applied - last);
    end();
}

static void a_log_that_does_not_reach_down_to_the_state_is_refused(void)
{
    begin(3);
    write_at(2, "/a", BYTES_LIT("a"));
    trio_pass(t, HEARTBEAT_MS);
    trio_crash(t, 3);
    kv_overlay_clear(&t->nodes[2].applied);
    t->nodes[2].trimmed = 1;
    OK(!trio_restart(t, 3));
    end();
}

static void bytes_that_are_no_frame_cost_the_connection(void)
{
    struct buf bytes = { 0 };

    begin(3);
    buf_put(&bytes, "?!", 2);
    OK(!trio_give(t, 1, 2, &bytes));
    buf_fini(&bytes);
    end();
}

static void a_replica_whose_state_differs_stops_and_names_the_slot(void)
{
    uint64_t applied, changed;

    begin(3);
    changed = trio_status(t, 3).applied;
    t->nodes[2].applied.digest ^= 1;
    for (int i = 0; i < 5 && t->nodes[2].stops == 0; i++) {
        trio_mark(t, 1);
        trio_settle(t);
        trio_pass(t, HEARTBEAT_MS);
    }
    IS(t->nodes[2].stops, 1);
    applied = trio_status(t, 3).applied;
    OK(t->nodes[2].stop_slot > changed && t->nodes[2].stop_slot <= applied);
    trio_mark(t, 3);
    IS(t->code, ERR_NO_QUORUM);
    trio_read(t, 3, 0);
    IS(t->code, ERR_NO_QUORUM);
    t->cut = node_bit(3);
    trio_settle(t);
    trio_tick(t, 3, 1000); /* no election, no frame, no second stop */
    trio_turn(t, 3);
    trio_durable(t, 3);
    IS(t->frames_count, 0);
    IS(t->nodes[2].stops, 1);
    IS(trio_status(t, 3).applied, applied);
    trio_free(t);
}

/* --- handing over --- */

static int transfer(uint32_t id, uint32_t node)
{
    const struct replica_time now = { t->now_ms, 1700000000000 + (int64_t)t->now_ms };

    return replica_transfer(trio_replica(t, id), now, node);
}

static void what_is_asked_during_a_hand_over_is_done_once_by_the_successor(void)
{
    uint64_t tags[5];

    begin(3);
    hold(1, ACCEPT);
    tags[0] = trio_mark(t, 1);
    trio_settle(t); /* its slot is open */
    IS(transfer(1, 0), 0);
    for (uint32_t id = 1; id <= 3; id++) tags[id] = trio_mark(t, id);
    tags[4] = trio_read(t, 3, 0);
    trio_settle(t);
    OK(trio_status(t, 1).transferring);
    IS(count(tags[3]), 0);
    IS(count(tags[4]), 1);
    release();
    OK(trio_status(t, 1).leader != 1);
    OK(!trio_status(t, 1).transferring);
    for (int i = 0; i < 5; i++) {
        IS(count(tags[i]), 1);
        IS(code(tags[i]), 0);
    }
    IS(trio_marks(t, 1), 4);
    all_agree();
    end();
}

static void a_hand_over_that_fails_costs_nothing_but_the_wait(void)
{
    uint64_t tag;

    begin(3);
    hold(1, TAKE_OVER);
    IS(transfer(1, 2), 0);
    IS(transfer(1, 3), ERR_BUSY);
    tag = trio_mark(t, 3);
    trio_settle(t);
    IS(count(tag), 0);
    trio_pass(t, ELECTION_MAX_MS);
    IS(code(tag), 0);
    IS(count(tag), 1);
    IS(trio_status(t, 1).leader, 1);
    IS(trio_marks(t, 1), 1);
    trio_drop_all(t);
    end();
}

static void a_named_server_gets_the_leadership(void)
{
    begin(3);
    IS(transfer(1, 3), 0);
    trio_settle(t);
    for (uint32_t id = 1; id <= 3; id++) IS(trio_status(t, id).leader, 3);
    OK(trio_status(t, 3).serving);
    end();
}

static void who_cannot_hand_over_says_so(void)
{
    begin(3);
    IS(transfer(2, 3), ERR_NOT_LEADER);
    IS(transfer(1, 1), ERR_BAD_PARAMS);
    IS(transfer(1, 4), ERR_BAD_PARAMS);
    IS(transfer(1, NODES_MAX + 1), ERR_BAD_PARAMS);
    end();
    begin(1);
    IS(transfer(1, 0), ERR_BAD_PARAMS);
    end();
}

int main(void)
{
    TEST(without_a_leader_for_long_only_what_was_sent_stays_pending);
    TEST(requests_are_bounded_by_count);
    TEST(requests_are_bounded_by_bytes);
    TEST(reads_are_bounded_by_count);
    TEST(what_one_origin_asks_leaves_room_for_the_others);
    TEST(what_finds_no_room_at_the_leader_is_sent_again);
    TEST(a_link_that_comes_up_sends_what_was_lost_again_at_once);
    TEST(a_link_that_comes_up_doubles_nothing);
    TEST(a_catch_up_answer_is_bounded_in_slots_and_says_its_end);
    TEST(a_catch_up_answer_is_bounded_in_bytes);
    TEST(a_slot_that_the_log_no_longer_has_comes_as_a_snapshot);
    TEST(what_was_asked_before_a_snapshot_is_never_sent_again);
    TEST(what_is_asked_after_a_snapshot_goes_to_the_same_reign);
    TEST(a_replica_that_restarts_after_a_snapshot_goes_on_from_there);
    TEST(a_crash_between_the_state_and_its_record_costs_nothing);
    TEST(a_promise_is_kept_over_a_snapshot);
    TEST(a_restarted_replica_replays_its_log);
    TEST(what_was_applied_before_a_restart_is_recalled_up_to_the_state);
    TEST(a_log_that_was_cut_is_recalled_as_far_as_it_goes);
    TEST(more_than_a_window_of_an_older_reign_is_recalled_from_its_middle);
    TEST(a_log_that_does_not_reach_down_to_the_state_is_refused);
    TEST(bytes_that_are_no_frame_cost_the_connection);
    TEST(a_replica_whose_state_differs_stops_and_names_the_slot);
    TEST(what_is_asked_during_a_hand_over_is_done_once_by_the_successor);
    TEST(a_hand_over_that_fails_costs_nothing_but_the_wait);
    TEST(a_named_server_gets_the_leadership);
    TEST(who_cannot_hand_over_says_so);
    return tap_done();
}
