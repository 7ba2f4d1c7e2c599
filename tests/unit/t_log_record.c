/* t_log_record.c -- the bytes of the Paxos log, and the judgement of bad ones.
 *
 * Method: a small segment is built in memory; then each byte of it is flipped, it is cut at
 * each length, and stale or random bytes are put behind it. What a scan gives must always
 * be a start of what was written, and only the last group may be cut. Replay a failing
 * storm with:  SEED=<n> ./t_log_record */
#include <stdlib.h>

#include "core/base/errors.h"
#include "core/base/rng.h"
#include "core/log/record.h"
#include "tests/lib/tap.h"

enum { GROUPS = 5, SEGMENT = 2048 };

static struct buf segment;
static struct bytes whole; /* the segment with its tail */
static size_t group_at[GROUPS + 1];
static struct rng rng;

static void header_put(uint64_t generation, uint64_t group_first, uint64_t sum_before)
{
    uint8_t header[LOG_SEGMENT_HEADER];
    struct log_segment_header h = { .generation = generation,
                                    .cluster = 77,
                                    .group_first = group_first,
                                    .sum_before = sum_before,
                                    .node = 2,
                                    .base = { { 9, 3 }, 40, 6 } };

    log_segment_header_encode(header, &h);
    buf_clear(&segment);
    buf_put(&segment, header, sizeof header);
}

static struct log_record vote_of(uint64_t slot, struct blob *batch)
{
    return (struct log_record){
        .kind = LOG_VOTE,
        .promised = { 12, 3 },
        .chosen = slot - 1,
        .vote = { .slot = slot,
                  .ballot = { 11, 2 },
                  .proposal = { .reign = { 10, 1 }, .reign_first = 5, .batch = batch } },
    };
}

static uint64_t group_put(uint64_t generation, uint64_t number, uint64_t sum_before)
{
    struct log_group g = { .generation = generation,
                           .number = number,
                           .sum_before = sum_before };
    struct log_record promise = { .kind = LOG_PROMISE, .promised = { 8, 1 }, .chosen = 4 };
    struct log_record start = { .kind = LOG_START, .boot = 300 };
    struct log_record mark = { .kind = LOG_MARK };
    struct blob *batch = blob_new(BYTES_LIT("a batch of some length"));
    struct log_record vote = vote_of(40 + number, batch), chosen = vote;

    chosen.kind = LOG_CHOSEN;
    chosen.vote.ballot = (struct ballot){ 0 };
    chosen.vote.proposal.batch = NULL;
    log_group_begin(&g, &segment);
    if (number % 3 == 0) log_group_put(&g, &mark);
    if (number % 3 == 1) log_group_put(&g, &start);
    if (number % 3 == 1) log_group_put(&g, &promise);
    log_group_put(&g, &vote);
    if (number % 3 == 2) log_group_put(&g, &chosen);
    blob_unref(batch);
    return log_group_end(&g);
}

static void build(uint64_t generation)
{
    uint64_t sum = 555;

    header_put(generation, 21, sum);
    for (uint64_t i = 0; i < GROUPS; i++) {
        group_at[i] = segment.len;
        sum = group_put(generation, 21 + i, sum);
    }
    group_at[GROUPS] = segment.len;
    buf_reserve(&segment, SEGMENT);
    memset(segment.ptr + segment.len, 0, SEGMENT - segment.len);
    whole = bytes_of(segment.ptr, SEGMENT);
}

/* Scans to the end. `groups` = how many good groups came first. */
static enum log_verdict scan_all(struct bytes from, uint64_t *groups)
{
    struct log_scan s;
    struct log_record r;
    struct bytes batch;
    enum log_verdict verdict;

    *groups = 0;
    if (log_scan_init(&s, from) != 0) return LOG_BAD;
    while ((verdict = log_scan_next(&s, &r, &batch)) == LOG_GOOD) {
        if (r.kind == LOG_VOTE) OK(batch.len == 22 && r.vote.slot == 40 + s.number);
    }
    *groups = s.number - (s.header.group_first - 1);
    return verdict;
}

static void what_was_put_comes_back(void)
{
    struct log_scan s;
    struct log_record r;
    struct bytes batch;

    build(7);
    IS(log_scan_init(&s, whole), 0);
    IS(s.header.cluster, 77);
    IS(s.header.node, 2);
    IS(s.header.base.promised.round, 9);
    IS(s.header.base.chosen, 40);
    IS(s.header.base.boot, 6);
    IS(log_scan_next(&s, &r, &batch), LOG_GOOD); /* group 21 */
    IS(r.kind, LOG_MARK);
    IS(log_scan_next(&s, &r, &batch), LOG_GOOD);
    IS(r.kind, LOG_VOTE);
    IS(r.promised.round, 12);
    IS(r.chosen, 60);
    IS(r.vote.slot, 61);
    IS(r.vote.ballot.node, 2);
    IS(r.vote.proposal.reign.round, 10);
    IS(r.vote.proposal.reign_first, 5);
    OK(bytes_equal(batch, BYTES_LIT("a batch of some length")));
    IS(log_scan_next(&s, &r, &batch), LOG_GOOD); /* group 22 */
    IS(r.kind, LOG_START);
    IS(r.boot, 300);
    IS(log_scan_next(&s, &r, &batch), LOG_GOOD);
    IS(r.kind, LOG_PROMISE);
    IS(log_scan_next(&s, &r, &batch), LOG_GOOD);
    IS(log_scan_next(&s, &r, &batch), LOG_GOOD); /* group 23 */
    IS(log_scan_next(&s, &r, &batch), LOG_GOOD);
    IS(r.kind, LOG_CHOSEN);
    OK(batch.ptr == NULL);
}

static void a_record_can_be_read_again_from_its_place(void)
{
    struct log_scan s;
    struct log_record r, again;
    struct bytes batch, batch_again;

    build(7);
    IS(log_scan_init(&s, whole), 0);
    while (log_scan_next(&s, &r, &batch) == LOG_GOOD) {
        size_t len = (size_t) (s.records.at - s.segment.ptr) - s.record;
        struct reader from = reader_of(bytes_of(whole.ptr + s.record, len));
        OK(log_record_read(&from, &again, &batch_again));
        OK(reader_done(&from));
        IS(again.kind, r.kind);
        IS(again.vote.slot, r.vote.slot);
    }
}

static void an_empty_batch_is_not_none(void)
{
    struct log_group g = { .generation = 1, .number = 1 };
    struct blob *empty = blob_new(BYTES_LIT(""));
    struct log_record vote = vote_of(3, empty), r;
    struct log_scan s;
    struct bytes batch;

    header_put(1, 1, 0);
    log_group_begin(&g, &segment);
    log_group_put(&g, &vote);
    log_group_end(&g);
    blob_unref(empty);
    IS(log_scan_init(&s, buf_bytes(&segment)), 0);
    IS(log_scan_next(&s, &r, &batch), LOG_GOOD);
    OK(batch.ptr != NULL);
    IS(batch.len, 0);
}

static void zeros_and_a_full_segment_are_a_clean_end(void)
{
    uint64_t groups;

    build(7);
    IS(scan_all(whole, &groups), LOG_END);
    IS(groups, GROUPS);
    IS(scan_all(bytes_of(whole.ptr, group_at[GROUPS]), &groups), LOG_END);
    IS(groups, GROUPS);
}

static void the_header_tells_spare_damaged_and_other_version_apart(void)
{
    struct log_segment_header h;
    uint8_t zero[LOG_SEGMENT_HEADER] = { 0 };

    build(7);
    IS(log_segment_header_decode(bytes_of(zero, sizeof zero), &h), ERR_CLOSED);
    for (size_t i = 0; i < LOG_SEGMENT_HEADER; i++) {
        segment.ptr[i] ^= 0x10;
        IS(log_segment_header_decode(whole, &h), i == 7 ? ERR_OTHER_VERSION : ERR_DAMAGED);
        segment.ptr[i] ^= 0x10;
        IS(log_segment_header_decode(bytes_of(whole.ptr, i), &h), ERR_DAMAGED);
    }
    IS(log_segment_header_decode(whole, &h), 0);
}

/* L1: a good group behind a bad one proves that the bad one was on disk. */
static void a_flipped_byte_is_damage_unless_it_is_in_the_last_group(void)
{
    uint64_t groups;

    build(7);
    for (size_t i = LOG_SEGMENT_HEADER; i < SEGMENT; i++) {
        uint64_t hit = 0; /* the group that holds byte i; GROUPS = the tail */
        while (hit < GROUPS && i >= group_at[hit + 1]) hit++;
        segment.ptr[i] ^= (uint8_t) (1 + rng_below(&rng, 255));

        enum log_verdict verdict = scan_all(whole, &groups);
        IS(groups, hit);
        if (hit < GROUPS - 1) IS(verdict, LOG_BAD);
        if (hit == GROUPS - 1) OK(verdict == LOG_TEAR || verdict == LOG_END);
        if (hit == GROUPS) IS(verdict, LOG_END);
        build(7);
    }
}

static void a_cut_at_any_length_keeps_the_groups_before_it(void)
{
    uint64_t groups;

    build(7);
    for (size_t len = LOG_SEGMENT_HEADER; len < group_at[GROUPS]; len++) {
        uint64_t want = 0;
        while (len >= group_at[want + 1]) want++;
        uint8_t *cut = mem_alloc(len); /* of that very size, so that ASan sees all */
        memcpy(cut, whole.ptr, len);
        enum log_verdict verdict = scan_all(bytes_of(cut, len), &groups);
        OK(verdict == LOG_END || verdict == LOG_TEAR);
        if (len >= group_at[want] + LOG_GROUP_HEADER) IS(verdict, LOG_TEAR);
        IS(groups, want);
        free(cut);
    }
}

static void a_torn_group_tells_its_claim(void)
{
    struct log_scan s;
    struct log_record r;
    struct bytes batch;
    enum log_verdict verdict;

    build(7);
    segment.ptr[group_at[GROUPS] - 20] ^= 1;
    IS(log_scan_init(&s, whole), 0);
    while ((verdict = log_scan_next(&s, &r, &batch)) == LOG_GOOD) continue;
    IS(verdict, LOG_TEAR);
    IS(s.at, group_at[GROUPS - 1]);
    IS(log_scan_torn(&s), group_at[GROUPS] - group_at[GROUPS - 1]);
    IS(log_scan_next(&s, &r, &batch), LOG_TEAR); /* and says so again */
}

/* L2: a recycled segment holds whole, sound groups of its last use behind the new ones. */
static void groups_of_an_older_use_are_never_taken(void)
{
    uint64_t groups;

    for (uint64_t fresh = 0; fresh <= GROUPS; fresh++) {
        build(7);
        struct buf old = { 0 };
        buf_put_bytes_raw(&old, whole);
        uint64_t sum = 999;
        header_put(8, 26, sum);
        for (uint64_t i = 0; i < fresh; i++) sum = group_put(8, 26 + i, sum);
        memcpy(segment.ptr + segment.len, old.ptr + segment.len, SEGMENT - segment.len);
        IS(scan_all(bytes_of(segment.ptr, SEGMENT), &groups), LOG_END);
        IS(groups, fresh);
        buf_fini(&old);
    }
}

static void a_group_astray_is_damage(void)
{
    uint64_t groups;

    /* The write of group 2 was lost: 3 stands behind a gap of zeros or of old bytes. */
    build(7);
    memset(segment.ptr + group_at[2], 0, group_at[3] - group_at[2]);
    IS(scan_all(whole, &groups), LOG_BAD);
    IS(groups, 2);
    /* The write of group 3 went to the place of 2. */
    build(7);
    memmove(segment.ptr + group_at[2], segment.ptr + group_at[3], group_at[4] - group_at[3]);
    IS(scan_all(whole, &groups), LOG_BAD);
    IS(groups, 2);
}

/* Sound by itself, but it goes on from another group than the one before it. */
static void a_group_that_breaks_the_chain_is_damage(void)
{
    uint64_t groups;

    for (int broken = 0; broken < 3; broken++) {
        header_put(7, 21, 555);
        uint64_t sum = group_put(7, 21, 555);
        group_put(7, broken == 1 ? 23 : 22, broken == 2 ? sum + 1 : sum);
        IS(scan_all(buf_bytes(&segment), &groups), broken == 0 ? LOG_END : LOG_BAD);
        IS(groups, broken == 0 ? 2 : 1);
    }
}

static void a_sound_group_without_sense_is_damage(void)
{
    struct log_group g = { .generation = 1, .number = 1 };
    struct log_scan s;
    struct log_record r;
    struct bytes batch;

    header_put(1, 1, 0);
    log_group_begin(&g, &segment);
    buf_put_u8(&segment, 99);
    log_group_end(&g);
    IS(log_scan_init(&s, buf_bytes(&segment)), 0);
    IS(log_scan_next(&s, &r, &batch), LOG_BAD);
    IS(log_scan_next(&s, &r, &batch), LOG_BAD);
}

/* L3, under the sanitizers. Magic bytes are strewn in, so that the search meets them. */
static void random_bytes_end_a_scan_and_harm_nothing(void)
{
    struct log_scan s;
    struct log_record r;
    struct bytes batch;
    uint8_t *bytes = mem_alloc(SEGMENT);

    for (int round = 0; round < 3000; round++) {
        build(7);
        for (size_t i = 0; i < SEGMENT; i++) bytes[i] = (uint8_t) rng_next(&rng);
        for (size_t i = 0; i < SEGMENT - 16; i += 8 * (1 + rng_below(&rng, 40))) {
            memcpy(bytes + i, "GRUP", 4);
            put_u32(bytes + i + 4, (uint32_t) rng_below(&rng, 600));
            put_u64(bytes + i + 8, 20 + rng_below(&rng, 9));
        }
        memcpy(bytes, whole.ptr, group_at[rng_below(&rng, GROUPS + 1)]);
        IS(log_scan_init(&s, bytes_of(bytes, SEGMENT)), 0);
        while (log_scan_next(&s, &r, &batch) == LOG_GOOD) continue;
        OK(s.number >= 20 && s.number <= 25);

        struct reader from = reader_of(bytes_of(bytes + 300, rng_below(&rng, 60)));
        while (log_record_read(&from, &r, &batch)) continue;
    }
    free(bytes);
}

/* The search behind a bad group is bounded, and when in doubt nothing is cut. */
static void bytes_made_up_of_headers_stop_no_start(void)
{
    enum { LARGE = 4 << 20 };
    uint64_t groups;

    build(7);
    buf_reserve(&segment, LARGE);
    segment.ptr[group_at[0] + 8] ^= 1;
    for (size_t i = group_at[1]; i < LARGE - 16; i += 16) {
        memcpy(segment.ptr + i, "GRUP", 4);
        put_u32(segment.ptr + i + 4, (uint32_t) (LARGE - i) & ~7u);
        put_u64(segment.ptr + i + 8, 22);
    }
    IS(scan_all(bytes_of(segment.ptr, LARGE), &groups), LOG_BAD);
    IS(groups, 0);
}

int main(void)
{
    const char *env = getenv("SEED");
    uint64_t seed = env != NULL ? strtoull(env, NULL, 10) : 20260301;

    printf("# SEED=%" PRIu64 "\n", seed);
    rng_init(&rng, seed);
    TEST(what_was_put_comes_back);
    TEST(a_record_can_be_read_again_from_its_place);
    TEST(an_empty_batch_is_not_none);
    TEST(zeros_and_a_full_segment_are_a_clean_end);
    TEST(the_header_tells_spare_damaged_and_other_version_apart);
    TEST(a_flipped_byte_is_damage_unless_it_is_in_the_last_group);
    TEST(a_cut_at_any_length_keeps_the_groups_before_it);
    TEST(a_torn_group_tells_its_claim);
    TEST(groups_of_an_older_use_are_never_taken);
    TEST(a_group_astray_is_damage);
    TEST(a_group_that_breaks_the_chain_is_damage);
    TEST(a_sound_group_without_sense_is_damage);
    TEST(random_bytes_end_a_scan_and_harm_nothing);
    TEST(bytes_made_up_of_headers_stop_no_start);
    buf_fini(&segment);
    return tap_done();
}
