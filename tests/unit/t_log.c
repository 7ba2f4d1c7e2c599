/* t_log.c -- the Paxos log on a real disk: what was reported durable comes back, segments
 * follow each other and are recycled, and what is needed no more goes.
 *
 * Method: small segments in a scratch directory (log_rig.h), closed and opened again. A
 * seeded run of random lives is checked against a model: SEED=<n> ./t_log replays it. See
 * t_log_damage.c and t_log_faults.c for bad bytes and bad disks. */
#include <stdatomic.h>
#include <unistd.h>

#include "core/base/errors.h"
#include "tests/lib/log_rig.h"
#include "tests/lib/tap.h"

static void a_new_log_is_empty_and_counts_its_starts(void)
{
    log_rig_fresh();
    IS(rig.got.boot, 1);
    IS(rig.got.promised.round, 0);
    IS(rig.got.chosen, 0);
    IS(rig.got.slot_first, 0);
    IS(rig.got.votes_count, 0);
    IS(log_slot_first(rig.log), 0);
    for (uint64_t boot = 2; boot < 6; boot++) {
        log_close(rig.log);
        log_rig_reopen();
        IS(rig.got.boot, boot);
        IS(rig.got.torn_bytes, 0);
    }
    log_close(rig.log);
}

/* The log knows slot 1 as chosen and has a vote for slot 2; the state stands at `slot`. True
 * when slot 2 can be read once the log, too, knows more as chosen. */
static bool reads_old_vote(uint64_t slot, uint64_t round, bool valid)
{
    const struct run at_rest = { .slot = slot, .reign = { round, 1 }, .valid = valid };
    struct log_record next = log_rig_record(LOG_PROMISE, 0, 9, NULL);

    log_rig_fresh();
    log_rig_vote(1, 10);
    log_rig_vote(2, 20);
    log_rig_settle();
    log_close(rig.log);
    log_rig_reopen();
    IS(rig.got.chosen, 1);
    log_forget_doubtful(rig.log, &rig.got, &at_rest);
    next.chosen = slot;
    rig.seq = log_append(rig.log, &next);
    log_rig_settle();
    const bool reads = log_slot_first(rig.log) == 1 && log_rig_reads_as(2, 20);
    log_close(rig.log);
    return reads;
}

static void votes_below_a_newer_state_are_read_only_if_of_its_reign(void)
{
    OK(reads_old_vote(2, 1, true));
    OK(!reads_old_vote(2, 2, true));  /* another reign got that slot */
    OK(!reads_old_vote(2, 1, false)); /* its batch did not count: nothing follows from it */
    OK(!reads_old_vote(3, 1, true));  /* one vote is missing */
}

static void what_is_durable_comes_back(void)
{
    log_rig_fresh();
    log_rig_promise(7, 0);
    log_rig_vote(1, 10);
    log_rig_vote(2, 20);
    struct log_record noop = log_rig_record(LOG_CHOSEN, 3, 9, NULL);
    noop.vote.proposal.reign = (struct ballot){ 0 };
    rig.seq = log_append(rig.log, &noop);
    log_rig_vote(4, 40);
    log_rig_vote(5, 0);
    IS(rig.seq, 6);
    log_rig_settle();
    log_close(rig.log);
    log_rig_reopen();
    IS(rig.got.promised.round, 9);
    IS(rig.got.chosen, 4);
    IS(rig.got.slot_first, 1);
    IS(rig.got.votes_count, 1);
    IS(rig.got.votes[0].slot, 5);
    IS(rig.got.votes[0].ballot.round, 1);
    OK(rig.got.votes[0].proposal.batch != NULL);
    OK(log_rig_reads_as(1, 10) && log_rig_reads_as(2, 20) && log_rig_reads_as(3, 0) &&
       log_rig_reads_as(4, 40));
    log_close(rig.log);
}

static void the_newest_vote_of_a_slot_counts(void)
{
    log_rig_fresh();
    for (uint64_t round = 1; round < 9; round++) {
        for (uint64_t ahead = 0; ahead < WINDOW_MAX; ahead++) {
            struct log_record r = log_rig_record(LOG_VOTE, 1 + ahead, round, NULL);
            r.chosen = 0;
            r.vote.proposal.reign_first = round * 100 + ahead;
            rig.seq = log_append(rig.log, &r);
        }
    }
    log_rig_settle();
    log_close(rig.log);
    log_rig_reopen();
    IS(rig.got.votes_count, WINDOW_MAX);
    for (uint32_t i = 0; i < rig.got.votes_count; i++) {
        IS(rig.got.votes[i].slot, 1 + i);
        IS(rig.got.votes[i].ballot.round, 8);
        IS(rig.got.votes[i].proposal.reign_first, 800 + i);
    }
    log_close(rig.log);
}

static void a_slot_can_be_read_before_and_after_it_is_written(void)
{
    log_rig_fresh();
    log_rig_vote(1, 300);
    OK(log_rig_reads_as(1, 300)); /* queued */
    log_submit(rig.log);
    OK(log_rig_reads_as(1, 300)); /* on its way */
    log_rig_settle();
    OK(log_rig_reads_as(1, 300)); /* from disk */
    IS(log_slot_first(rig.log), 1);
    log_close(rig.log);
}

static void woken(void *ctx)
{
    atomic_int *count = ctx;
    (*count)++;
}

static void the_loop_is_woken_after_each_sync(void)
{
    static atomic_int count;

    log_rig_fresh();
    log_close(rig.log);
    rig.config.on_durable = woken;
    rig.config.ctx = &count;
    log_rig_reopen();
    log_rig_vote(1, 10);
    log_rig_settle();
    log_close(rig.log); /* joins: the call has been made */
    IS(count, 1);
}

static void segments_follow_each_other_and_are_recycled(void)
{
    char names[RIG_SEGMENTS_MAX][32];
    uint64_t bytes_max = 0;

    log_rig_fresh();
    for (uint64_t slot = 1; slot <= 600; slot++) {
        log_rig_vote(slot, 3000);
        log_rig_settle();
        if (slot % 50 == 0) log_trim(rig.log, slot - 25);
        if (log_bytes(rig.log) > bytes_max) bytes_max = log_bytes(rig.log);
        OK(log_slot_first(rig.log) <= slot);
    }
    uint64_t first = log_slot_first(rig.log);
    OK(first > 500 && first <= 575);
    for (uint64_t slot = first; slot <= 600; slot++)
        OK(log_rig_reads_as(slot, 3000));
    OK(bytes_max <= 9 * RIG_SEGMENT); /* 75 slots of 3000 bytes, the newest, and spares */
    log_close(rig.log);
    OK(log_rig_segments(names) < 8);
    log_rig_reopen();
    IS(rig.got.chosen, 599);
    IS(rig.got.slot_first, first);
    IS(rig.got.votes_count, 1);
    IS(rig.got.boot, 2);
    for (uint64_t slot = first; slot <= 600; slot++)
        OK(log_rig_reads_as(slot, 3000));
    log_close(rig.log);
}

static void trimming_keeps_promise_and_prefix_and_what_is_open(void)
{
    char names[RIG_SEGMENTS_MAX][32];

    log_rig_fresh();
    log_rig_promise(77, 0);
    for (uint64_t slot = 1; slot <= 100; slot++)
        log_rig_vote(slot, 3000);
    log_rig_settle();
    log_trim(rig.log, UINT64_MAX); /* asks for too much: open votes stay */
    log_rig_vote(101, 10);
    log_rig_settle();
    log_close(rig.log);
    OK(log_rig_segments(names) < 4);
    log_rig_reopen();
    IS(rig.got.promised.round, 77);
    IS(rig.got.chosen, 100);
    IS(rig.got.votes_count, 1);
    IS(rig.got.boot, 2);
    log_close(rig.log);
}

/* A vote is a promise to others until its slot is chosen, whoever says that it may go. */
static void trimming_never_takes_an_open_vote(void)
{
    log_rig_fresh();
    for (uint64_t slot = 1; slot <= WINDOW_MAX; slot++) {
        struct blob *batch = blob_new(bytes_of(rig.scratch, sizeof rig.scratch));
        for (uint64_t round = 1; round < 40; round++) {
            struct log_record r = log_rig_record(LOG_VOTE, slot, round, batch);
            r.chosen = 0;
            rig.seq = log_append(rig.log, &r);
        }
        blob_unref(batch);
        log_rig_settle();
        log_trim(rig.log, UINT64_MAX);
    }
    log_close(rig.log);
    log_rig_reopen();
    IS(rig.got.votes_count, WINDOW_MAX);
    log_close(rig.log);
}

static void a_group_larger_than_a_segment_gets_its_own(void)
{
    log_rig_fresh();
    log_rig_vote(1, 10);
    log_rig_settle();
    log_rig_vote(2, 5 * RIG_SEGMENT);
    log_rig_settle();
    log_rig_vote(3, 10);
    log_rig_settle();
    OK(log_rig_reads_as(2, 5 * RIG_SEGMENT));
    log_close(rig.log);
    log_rig_reopen();
    IS(rig.got.chosen, 2);
    OK(log_rig_reads_as(1, 10) && log_rig_reads_as(2, 5 * RIG_SEGMENT));
    for (uint64_t slot = 3; slot < 100; slot++)
        log_rig_vote(slot, 3000);
    log_rig_settle();
    log_trim(rig.log, 90); /* its size is not the usual one, so it is not recycled */
    log_close(rig.log);
    log_rig_reopen();
    OK(rig.got.slot_first > 2);
    OK(log_bytes(rig.log) <= 12 * RIG_SEGMENT);
    log_close(rig.log);
}

/* A snapshot moved the prefix over slots that the log never held. */
static void a_gap_ends_what_can_be_read(void)
{
    log_rig_fresh();
    for (uint64_t slot = 1; slot <= 10; slot++)
        log_rig_vote(slot, 10);
    log_rig_promise(3, UINT64_C(5000000000));
    IS(log_slot_first(rig.log), 0);
    log_rig_vote(UINT64_C(5000000001), 10);
    log_rig_vote(UINT64_C(5000000002), 10);
    IS(log_slot_first(rig.log), 5000000001);
    log_rig_settle();
    log_close(rig.log);
    log_rig_reopen();
    IS(rig.got.chosen, 5000000001);
    IS(rig.got.slot_first, 5000000001);
    IS(rig.got.votes_count, 1);
    OK(log_rig_reads_as(UINT64_C(5000000001), 10));
    log_close(rig.log);
}

static void a_log_of_another_cluster_or_node_is_refused(void)
{
    log_rig_fresh();
    log_close(rig.log);
    rig.config.cluster = 6;
    IS(log_rig_try_open(), ERR_WRONG_CLUSTER);
    OK(strstr(rig.why, "node 1 of cluster 0000000000000005") != NULL);
    rig.config.cluster = 5;
    rig.config.node = 2;
    IS(log_rig_try_open(), ERR_WRONG_CLUSTER);
    rig.config.node = 1;
    log_rig_reopen();
    log_close(rig.log);
}

static void a_directory_that_cannot_be_used_is_told_plainly(void)
{
    log_rig_fresh();
    struct log *first = rig.log;
    IS(log_rig_try_open(), ERR_IN_USE);
    OK(strstr(rig.why, "another process") != NULL);
    log_close(first);
    rig.config.dir = "/proc/none/log";
    OK(log_rig_try_open() < 0);
    OK(strstr(rig.why, "/proc/none/log") != NULL);
}

/* The model: per slot the mark of its newest record; 0 = none. */
enum { SLOTS = 4000 };
static uint64_t model[SLOTS];
static uint64_t model_chosen, model_promised;

static void random_record(void)
{
    uint64_t slot = model_chosen + 1 + rng_below(&rig.rng, WINDOW_MAX);
    struct log_record r = { .kind = LOG_VOTE };
    uint8_t content[900] = { 0 };

    while (model[model_chosen + 1] != 0 && rng_below(&rig.rng, 3) != 0)
        model_chosen++;
    if (rng_below(&rig.rng, 20) == 0) model_promised++;
    if (rng_below(&rig.rng, 4) != 0 || slot >= SLOTS) slot = model_chosen + 1;
    if (slot <= model_chosen) return;
    uint64_t mark = 1 + rng_below(&rig.rng, UINT32_MAX);
    struct blob *batch = blob_new(bytes_of(content, rng_below(&rig.rng, sizeof content)));
    r.promised = (struct ballot){ model_promised, 1 };
    r.chosen = model_chosen;
    r.vote = (struct vote){ .slot = slot,
                            .ballot = { model_promised, 1 },
                            .proposal = { .reign_first = mark, .batch = batch } };
    rig.seq = log_append(rig.log, &r);
    model[slot] = mark;
    blob_unref(batch);
}

static void compare_with_model(void)
{
    uint32_t open = 0;
    struct proposal p;

    IS(rig.got.chosen <= model_chosen, 1);
    for (uint64_t slot = rig.got.chosen + 1; slot <= rig.got.chosen + WINDOW_MAX; slot++) {
        if (slot >= SLOTS || model[slot] == 0) continue;
        OK(open < rig.got.votes_count);
        IS(rig.got.votes[open].slot, slot);
        IS(rig.got.votes[open].proposal.reign_first, model[slot]);
        open++;
    }
    IS(rig.got.votes_count, open);
    for (uint64_t slot = rig.got.slot_first; slot != 0 && slot <= rig.got.chosen; slot++) {
        IS(log_read(rig.log, slot, &p), 0);
        IS(p.reign_first, model[slot]);
        blob_unref(p.batch);
    }
}

static void random_lives_match_a_model(void)
{
    log_rig_fresh();
    memset(model, 0, sizeof model);
    model_chosen = 0;
    model_promised = 1;
    for (int life = 0; life < 20; life++) {
        for (int i = 0; i < 250 && model_chosen + WINDOW_MAX + 1 < SLOTS; i++) {
            random_record();
            if (rng_below(&rig.rng, 3) == 0) log_submit(rig.log);
            if (rng_below(&rig.rng, 60) == 0) log_rig_settle();
            if (rng_below(&rig.rng, 100) == 0 && model_chosen > 40)
                log_trim(rig.log, model_chosen - 40);
        }
        log_close(rig.log);
        log_rig_reopen();
        IS(rig.got.boot, life + 2);
        compare_with_model();
    }
    OK(rig.got.slot_first > 1);
    log_close(rig.log);
}

int main(void)
{
    if (!log_rig_begin(20260302)) return 1;
    TEST(a_new_log_is_empty_and_counts_its_starts);
    TEST(what_is_durable_comes_back);
    TEST(votes_below_a_newer_state_are_read_only_if_of_its_reign);
    TEST(the_newest_vote_of_a_slot_counts);
    TEST(a_slot_can_be_read_before_and_after_it_is_written);
    TEST(the_loop_is_woken_after_each_sync);
    TEST(segments_follow_each_other_and_are_recycled);
    TEST(trimming_keeps_promise_and_prefix_and_what_is_open);
    TEST(trimming_never_takes_an_open_vote);
    TEST(a_group_larger_than_a_segment_gets_its_own);
    TEST(a_gap_ends_what_can_be_read);
    TEST(a_log_of_another_cluster_or_node_is_refused);
    TEST(a_directory_that_cannot_be_used_is_told_plainly);
    TEST(random_lives_match_a_model);
    log_rig_end();
    return tap_done();
}
