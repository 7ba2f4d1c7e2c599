/* t_log_damage.c -- bad bytes in the Paxos log: a tear is cut, damage that can have cost
 * nothing is skipped, all else is refused with what to do, and nothing is changed by that.
 *
 * Method: damage is done to the files of a closed log (log_rig.h). Every bit of a log is
 * flipped in t_log_flips.c. */
#include <unistd.h>

#include "core/base/errors.h"
#include "tests/lib/log_rig.h"
#include "tests/lib/tap.h"

static void no_line(void *ctx, const char *text)
{
    (void)ctx;
    (void)text;
}

static void bytes_that_rotted_are_not_handed_out(void)
{
    struct proposal p;

    log_rig_fresh();
    log_rig_vote(1, 300);
    log_rig_settle();
    struct rig_groups g;
    log_rig_groups_of(0, &g);
    for (int i = 0; i < g.count; i++) {
        if (g.kind[i] == LOG_VOTE) log_rig_flip(0, (off_t)g.at[i] + 200);
    }
    IS(log_read(rig.log, 1, &p), ERR_DAMAGED);
    log_close(rig.log);
}

/* START; vote 1..6, a group each; a mark. Closed. */
static void build_small(void)
{
    log_rig_fresh();
    for (uint64_t slot = 1; slot <= 6; slot++) {
        log_rig_vote(slot, 100);
        log_rig_settle();
    }
    log_close(rig.log);
}

static void damage_in_the_middle_is_refused_by_file_and_offset(void)
{
    char names[RIG_SEGMENTS_MAX][32], at_text[64];
    struct rig_groups g;

    build_small();
    log_rig_groups_of(0, &g);
    for (int i = 0; i < g.count - 1; i++) {
        log_rig_flip(0, (off_t)g.at[i] + LOG_GROUP_HEADER);
        IS(log_rig_try_open(), ERR_DAMAGED);
        log_rig_segments(names);
        snprintf(at_text, sizeof at_text, "offset %zu;", g.at[i]);
        OK(strstr(rig.why, names[0]) != NULL);
        OK(strstr(rig.why, at_text) != NULL);
        log_rig_flip(0, (off_t)g.at[i] + LOG_GROUP_HEADER);
    }
    log_rig_flip(0, 20); /* the header */
    IS(log_rig_try_open(), ERR_DAMAGED);
    log_rig_flip(0, 20);
    log_rig_reopen(); /* refusing changed nothing */
    IS(rig.got.chosen, 5);
    log_close(rig.log);
}

/* What is left is a sound chain, so only the size tells. */
static void a_file_that_was_cut_off_is_damage(void)
{
    struct rig_groups g;

    build_small();
    log_rig_groups_of(0, &g);
    int fd = log_rig_open_segment(0);
    IS(ftruncate(fd, (off_t)g.at[g.count / 2]), 0);
    close(fd);
    IS(log_rig_try_open(), ERR_DAMAGED);
    OK(strstr(rig.why, "the file was cut off") != NULL);
}

/* L1: the mark says that the group before it was on disk, so it cannot be a tear. */
static void a_marked_group_is_never_cut_and_an_unmarked_one_is(void)
{
    struct rig_groups g;

    build_small();
    log_rig_groups_of(0, &g);
    IS(g.kind[g.count - 1], LOG_MARK);
    IS(g.kind[g.count - 2], LOG_VOTE);
    log_rig_flip(0, (off_t)g.at[g.count - 2] + 40);
    IS(log_rig_try_open(), ERR_DAMAGED);

    /* The same without the mark: as a crash before it leaves it. */
    uint8_t zeros[LOG_GROUP_HEADER + LOG_ALIGN] = { 0 };
    int fd = log_rig_open_segment(0);
    IS(pwrite(fd, zeros, sizeof zeros, (off_t)g.at[g.count - 1]), sizeof zeros);
    close(fd);
    log_rig_reopen();
    OK(rig.got.torn_bytes > 100);
    IS(rig.got.chosen, 4);
    IS(rig.got.votes_count, 1);
    log_rig_vote(6, 50);
    log_rig_settle();
    log_close(rig.log);
    log_rig_reopen(); /* the log went on where the tear was, and nothing of it is met again
                       */
    IS(rig.got.torn_bytes, 0);
    IS(rig.got.chosen, 5);
    IS(rig.got.votes_count, 1);
    IS(blob_bytes(rig.got.votes[0].proposal.batch).len, 50);
    log_close(rig.log);
}

static void a_tear_in_an_older_segment_is_damage(void)
{
    char names[RIG_SEGMENTS_MAX][32];
    struct rig_groups g;

    log_rig_fresh();
    for (uint64_t slot = 1; slot <= 40; slot++) {
        log_rig_vote(slot, 3000);
        log_rig_settle();
    }
    log_close(rig.log);
    OK(log_rig_segments(names) >= 2);
    log_rig_groups_of(0, &g);
    log_rig_flip(0, (off_t)g.at[g.count - 1] + 60);
    IS(log_rig_try_open(), ERR_DAMAGED);
    OK(strstr(rig.why, names[0]) != NULL);
    log_rig_flip(0, (off_t)g.at[g.count - 1] + 60);
    log_rig_flip(0, (off_t)g.at[g.count - 1]); /* not even a group's magic is left */
    IS(log_rig_try_open(), ERR_DAMAGED);
    log_rig_flip(0, (off_t)g.at[g.count - 1]);
    log_rig_reopen();
    log_close(rig.log);
}

static void a_missing_segment_is_damage(void)
{
    char names[RIG_SEGMENTS_MAX][32], path[400];

    log_rig_fresh();
    for (uint64_t slot = 1; slot <= 200; slot++) {
        log_rig_vote(slot, 3000);
        log_rig_settle();
    }
    log_close(rig.log);
    OK(log_rig_segments(names) >= 4);
    snprintf(path, sizeof path, "%s/%s", rig.dir, names[1]);
    IS(unlink(path), 0);
    IS(log_rig_try_open(), ERR_DAMAGED);
    OK(strstr(rig.why, names[0]) != NULL);
}

static void count_line(void *ctx, const char *text)
{
    int *counts = ctx;

    counts[0]++;
    if (strstr(text, "kind=vote slot=3 ballot=1.1") != NULL) counts[1]++;
    if (strstr(text, "bytes=100") != NULL) counts[2]++;
    if (strstr(text, "    a batch of 100") != NULL) counts[3]++;
    if (strstr(text, "damage: ") != NULL) counts[4]++;
}

static void tell_batch(struct bytes batch, void (*line)(void *ctx, const char *text),
                       void *ctx)
{
    char text[64];

    snprintf(text, sizeof text, "a batch of %zu", batch.len);
    line(ctx, text);
}

static void a_dump_shows_each_record_and_batch_and_changes_nothing(void)
{
    int counts[5] = { 0 };
    struct log_printer to = { .ctx = counts, .line = count_line, .batch = tell_batch };

    build_small();
    IS(log_dump(rig.dir, &to, rig.why, sizeof rig.why), 0);
    counts[0] -= counts[3];
    IS(counts[0], 1 + 1 + 6 + 2 - (counts[0] == 9)); /* perhaps a mark behind the start */
    IS(counts[1], 1);
    IS(counts[2], 6);
    IS(counts[3], 6);
    IS(counts[4], 0);
    IS(log_dump("/nowhere", &to, rig.why, sizeof rig.why), ERR_IO);
}

/* Offline nobody knows what the state holds, so the dump names the slot. */
static void a_dump_walks_over_damage_and_says_when_it_is_harmless(void)
{
    int counts[5] = { 0 };
    struct log_printer to = { .ctx = counts, .line = count_line };
    struct rig_groups g;

    build_small();
    log_rig_groups_of(0, &g);
    log_rig_flip(0, (off_t)g.at[g.count - 4] + 60);
    IS(log_dump(rig.dir, &to, rig.why, sizeof rig.why), ERR_DAMAGED);
    IS(counts[4], 1);
    IS(counts[2], 5);
    OK(strstr(rig.why, "harmless for a server whose state holds slot") != NULL);
    log_rig_flip(0, (off_t)g.at[g.count - 2] + 60);
    IS(log_dump(rig.dir, &to, rig.why, sizeof rig.why), ERR_DAMAGED);
    OK(strstr(rig.why, "no server may vote with this log") != NULL);
    OK(strstr(rig.why, "harmless") == NULL);
}

/* --- damage that cost nothing --- */

/* Damages the group that votes for `slot`; the byte that was flipped. */
static off_t lose_vote(uint64_t slot)
{
    struct rig_groups g;
    uint64_t votes = 0;
    int i = 0;

    log_rig_groups_of(0, &g);
    while (i < g.count - 1 && (g.kind[i] != LOG_VOTE || ++votes != slot))
        i++;
    IS(votes, slot);
    log_rig_flip(0, (off_t)g.at[i] + 60);
    return (off_t)g.at[i] + 60;
}

/* The vote for slot 3 is lost; the one for 4 proves that 3 was chosen, and so that nothing
 * lost was above 3 + WINDOW_MAX. */
static void damage_is_skipped_iff_the_state_holds_all_that_it_can_have_cost(void)
{
    build_small();
    lose_vote(3);
    rig.config.slot_at_rest = 3 + WINDOW_MAX - 1;
    IS(log_rig_try_open(), ERR_DAMAGED);
    OK(strstr(rig.why, "a promise or a vote may be lost") != NULL);
    OK(strstr(rig.why, "keep this server off") != NULL);
    rig.config.slot_at_rest = 3 + WINDOW_MAX;
    log_rig_reopen();
    OK(strstr(rig.got.skipped, "a damaged group at offset") != NULL);
    OK(strchr(rig.got.skipped, '\n') == NULL);
    IS(rig.got.chosen, 3 + WINDOW_MAX);
    IS(rig.got.slot_first, 0);
    IS(rig.got.votes_count, 0);
    OK(rig.got.boot > 2); /* what was lost may have been a start */
    log_rig_promise(9, 3 + WINDOW_MAX);
    log_rig_vote(4 + WINDOW_MAX, 10);
    log_rig_settle();
    log_close(rig.log);
    log_rig_reopen(); /* it goes on, and is judged anew each time */
    IS(rig.got.promised.round, 9);
    IS(rig.got.votes_count, 1);
    OK(rig.got.skipped[0] != '\0');
    log_close(rig.log);
}

static void what_was_found_damaged_goes_with_the_slots_that_are_in_it(void)
{
    char names[RIG_SEGMENTS_MAX][32];

    build_small();
    lose_vote(3);
    rig.config.slot_at_rest = 3 + WINDOW_MAX;
    log_rig_reopen();
    OK(rig.got.skipped[0] != '\0');
    IS(log_rig_segments(names), 2); /* what comes now is written to another file */
    IS(log_slot_damaged(rig.log), 7);
    log_rig_vote(4 + WINDOW_MAX, 10);
    log_rig_promise(9, 4 + WINDOW_MAX);
    log_rig_settle();
    log_trim(rig.log, log_slot_damaged(rig.log));
    IS(log_slot_damaged(rig.log), 0);
    log_close(rig.log);
    log_rig_reopen();
    OK(rig.got.skipped[0] == '\0');
    IS(rig.got.promised.round, 9);
    IS(rig.got.chosen, 4 + WINDOW_MAX);
    OK(log_rig_reads_as(4 + WINDOW_MAX, 10));
    log_close(rig.log);
}

/* An older vote for the slot is still there, and would be handed out as what was chosen. */
static void what_damage_may_have_replaced_is_not_handed_out(void)
{
    struct proposal p;

    build_small();
    log_rig_reopen();
    for (uint64_t slot = 7; slot <= 7 + WINDOW_MAX; slot++) {
        log_rig_vote(slot, 100);
        log_rig_settle();
    }
    log_close(rig.log);
    lose_vote(3);
    rig.config.slot_at_rest = 3 + WINDOW_MAX;
    log_rig_reopen();
    IS(rig.got.slot_first, 4 + WINDOW_MAX);
    IS(log_read(rig.log, 2, &p), ERR_NO_NODE);
    IS(log_read(rig.log, 3 + WINDOW_MAX, &p), ERR_NO_NODE);
    OK(log_rig_reads_as(4 + WINDOW_MAX, 100));
    log_close(rig.log);
}

/* Marks and starts say nothing of what was promised before them. */
static void damage_is_not_harmless_when_nothing_behind_it_tells_the_promise(void)
{
    build_small();
    rig.config.slot_at_rest = 1000;
    off_t at = lose_vote(6); /* a mark follows */
    IS(log_rig_try_open(), ERR_DAMAGED);
    log_rig_flip(0, at);
    lose_vote(2);
    log_rig_reopen();
    log_close(rig.log);
}

static void fill_segments(void)
{
    log_rig_fresh();
    for (uint64_t slot = 1; slot <= 200; slot++) {
        log_rig_vote(slot, 3000);
        log_rig_settle();
    }
    log_close(rig.log);
}

/* The header of the next segment tells the standing after all that was before it. */
static void an_older_segment_may_be_lost_as_a_whole(void)
{
    char names[RIG_SEGMENTS_MAX][32], path[400];

    for (int i = 0; i < 3; i++) {
        fill_segments();
        if (i == 0) log_rig_flip(1, 20); /* its header */
        if (i == 1) log_rig_flip(0, 90);
        if (i == 2) {
            log_rig_segments(names);
            snprintf(path, sizeof path, "%s/%s", rig.dir, names[1]);
            IS(unlink(path), 0);
        }
        IS(log_rig_try_open(), ERR_DAMAGED);
        rig.config.slot_at_rest = 199;
        log_rig_reopen();
        IS(rig.got.chosen, 199);
        IS(rig.got.votes_count, 1);
        OK(log_rig_reads_as(199, 3000));
        log_close(rig.log);
    }
}

/* Zeros written over a header look as if the file had never been used. */
static void a_header_of_zeros_is_damage_and_not_an_empty_log(void)
{
    uint8_t zeros[LOG_SEGMENT_HEADER] = { 0 };

    build_small();
    int fd = log_rig_open_segment(0);
    IS(pwrite(fd, zeros, sizeof zeros, 0), sizeof zeros);
    close(fd);
    rig.config.slot_at_rest = 1000;
    IS(log_rig_try_open(), ERR_DAMAGED);
}

/* A crash in the middle of recycling leaves a spare that has its old header. */
static void a_half_recycled_segment_is_a_spare(void)
{
    char names[RIG_SEGMENTS_MAX][32], from[400], to[400];

    fill_segments();
    IS(log_rig_segments(names) > 2, 1);
    snprintf(from, sizeof from, "%s/%s", rig.dir, names[0]);
    snprintf(to, sizeof to, "%s/spare.seg", rig.dir);
    IS(rename(from, to), 0);
    log_rig_reopen();
    OK(rig.got.slot_first > 1);
    IS(rig.got.chosen, 199);
    log_close(rig.log);
}

/* --- a log that is given up --- */

static void a_log_is_set_aside_whole_and_one_is_kept(void)
{
    char aside[400], names[RIG_SEGMENTS_MAX][32];

    snprintf(aside, sizeof aside, "%s.damaged", rig.dir);
    for (int i = 0; i < 2; i++) {
        build_small();
        log_rig_reopen();
        IS(log_set_aside(rig.dir, rig.why, sizeof rig.why), ERR_IN_USE);
        OK(strstr(rig.why, rig.dir) != NULL);
        log_close(rig.log);
        IS(log_set_aside(rig.dir, rig.why, sizeof rig.why), 0);
        OK(access(rig.dir, F_OK) != 0);
        IS(log_dump(aside, &(struct log_printer){ .line = no_line }, rig.why,
                    sizeof rig.why),
           0);
    }
    log_rig_reopen();
    IS(rig.got.boot, 1);
    IS(log_rig_segments(names), 1);
    log_close(rig.log);
    log_rig_wipe(aside);
}

/* What a power cut leaves of the last group: any of its sectors, in any order. */
static void a_group_of_which_some_sectors_are_missing_is_cut_whole(void)
{
    static uint8_t image[RIG_SEGMENT], torn[RIG_SEGMENT];
    struct rig_groups g;
    size_t start;

    build_small();
    log_rig_reopen();
    log_rig_vote(7, 5000);
    log_rig_settle();
    log_close(rig.log);
    log_rig_groups_of(0, &g);
    IS(g.kind[g.count - 1], LOG_MARK);
    IS(g.kind[g.count - 2], LOG_VOTE);
    start = g.at[g.count - 2];
    int fd = log_rig_open_segment(0);
    IS(pread(fd, image, RIG_SEGMENT, 0), RIG_SEGMENT);
    memset(image + g.at[g.count - 1], 0, RIG_SEGMENT - g.at[g.count - 1]);
    for (int round = 0; round < 60; round++) {
        bool whole = true;
        memcpy(torn, image, RIG_SEGMENT);
        for (size_t i = start; i < g.at[g.count - 1]; i = (i / 512 + 1) * 512) {
            if (rng_below(&rig.rng, 8) >= 2) continue;
            memset(torn + i, round % 2 == 0 ? 0 : 0xee, (i / 512 + 1) * 512 - i);
            whole = false;
        }
        IS(pwrite(fd, torn, RIG_SEGMENT, 0), RIG_SEGMENT);
        log_rig_reopen();
        IS(rig.got.chosen, whole ? 6 : 5);
        IS(rig.got.votes_count, 1);
        log_rig_vote(7, 60);
        log_rig_settle();
        log_close(rig.log);
        log_rig_reopen();
        IS(rig.got.torn_bytes, 0);
        IS(rig.got.chosen, 6);
        IS(blob_bytes(rig.got.votes[0].proposal.batch).len, 60);
        log_close(rig.log);
    }
    close(fd);
}

int main(void)
{
    if (!log_rig_begin(20260304)) return 1;
    TEST(bytes_that_rotted_are_not_handed_out);
    TEST(damage_in_the_middle_is_refused_by_file_and_offset);
    TEST(a_file_that_was_cut_off_is_damage);
    TEST(a_marked_group_is_never_cut_and_an_unmarked_one_is);
    TEST(a_tear_in_an_older_segment_is_damage);
    TEST(a_missing_segment_is_damage);
    TEST(a_group_of_which_some_sectors_are_missing_is_cut_whole);
    TEST(a_dump_shows_each_record_and_batch_and_changes_nothing);
    TEST(a_dump_walks_over_damage_and_says_when_it_is_harmless);
    TEST(damage_is_skipped_iff_the_state_holds_all_that_it_can_have_cost);
    TEST(what_was_found_damaged_goes_with_the_slots_that_are_in_it);
    TEST(what_damage_may_have_replaced_is_not_handed_out);
    TEST(damage_is_not_harmless_when_nothing_behind_it_tells_the_promise);
    TEST(an_older_segment_may_be_lost_as_a_whole);
    TEST(a_header_of_zeros_is_damage_and_not_an_empty_log);
    TEST(a_half_recycled_segment_is_a_spare);
    TEST(a_log_is_set_aside_whole_and_one_is_kept);
    log_rig_end();
    return tap_done();
}
