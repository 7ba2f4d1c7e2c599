/* t_log_flips.c -- whatever becomes of one place of the log, what is recovered is right, or
 * the log is refused: no promise and no vote is ever lost without a word.
 *
 * Method: a small log with promises, votes that replace each other, starts and marks is
 * built beside a model. Then every bit of it is flipped; every group is written over every
 * other one; every sector but the last in use is given back as it was before. Each time
 * the log is opened, with and without a state that holds most slots, and compared with the
 * model. Nothing is synced: no crash happens here. Replay with:  SEED=<n> ./t_log_flips */
#include <stdlib.h>
#include <unistd.h>

#include "core/base/errors.h"
#include "tests/lib/log_rig.h"
#include "tests/lib/tap.h"

enum {
    SLOTS = WINDOW_MAX + 20,
    SECTOR = 512,
    ROOM = 2 * SECTOR, /* behind the log's end: what one life adds to it */
};

/* Stand before the system's own in this program. */
int fdatasync(int fd)
{
    return fd < 0;
}

int fsync(int fd)
{
    return fd < 0;
}

/* What was written: per slot the mark of its newest vote; 0 = none. */
static struct {
    struct ballot promised;
    uint64_t chosen, boot;
    uint64_t marks[SLOTS + 1];
} model;

static uint8_t image[RIG_SEGMENT]; /* the whole log, undamaged */
static size_t used;                /* of it, to the end of the last group */
static struct rig_groups groups;
static int opened, refused;

static void vote(uint64_t slot, uint64_t round)
{
    uint64_t mark = slot * 1000 + round;
    struct blob *batch = blob_new(bytes_of((const uint8_t *)"some bytes", 10));
    struct log_record r = { .kind = LOG_VOTE,
                            .promised = model.promised,
                            .chosen = model.chosen,
                            .vote = { .slot = slot,
                                      .ballot = { round, 1 },
                                      .proposal = { .reign = { round, 1 },
                                                    .reign_first = mark,
                                                    .batch = batch } } };

    rig.seq = log_append(rig.log, &r);
    if (slot % 4 == 0 || slot > SLOTS - 5) log_rig_settle();
    blob_unref(batch);
    model.marks[slot] = mark;
}

static void promise(uint64_t round)
{
    model.promised = (struct ballot){ round, 2 };
    log_rig_promise(round, model.chosen);
    log_rig_settle();
}

static void reborn(void)
{
    log_close(rig.log);
    log_rig_reopen();
    model.boot = rig.got.boot;
}

/* Slots are voted for in round 1, many again in round 2 or 3, and chosen some slots later;
 * the last promise is repeated by no vote, and three votes stay open. */
static void build(void)
{
    log_rig_fresh();
    memset(&model, 0, sizeof model);
    model.promised = (struct ballot){ 1, 2 };
    for (uint64_t slot = 1; slot <= SLOTS; slot++) {
        if (slot == 6 || slot == SLOTS - 4) promise(slot);
        if (slot % 16 == 0) reborn();
        vote(slot, 1);
        if (slot % 3 == 0) vote(slot - 1, 2);
        if (slot > 3) model.chosen = slot - 3;
    }
    promise(1000);
    log_close(rig.log);
    log_rig_groups_of(0, &groups);
    IS(groups.kind[groups.count - 1], LOG_MARK);
    used = groups.at[groups.count - 1] + LOG_GROUP_HEADER + LOG_ALIGN;
    int fd = log_rig_open_segment(0);
    IS(pread(fd, image, RIG_SEGMENT, 0), RIG_SEGMENT);
    close(fd);
}

/* Puts a log of these bytes in the place of the one that there is. */
static void put_log(const uint8_t *bytes)
{
    static char path[400];
    char names[RIG_SEGMENTS_MAX][32];

    if (path[0] == '\0') {
        IS(log_rig_segments(names), 1);
        snprintf(path, sizeof path, "%s/%s", rig.dir, names[0]);
    }
    FILE *file = fopen(path, "r+b");
    OK(file != NULL && fwrite(bytes, used + ROOM, 1, file) == 1);
    fclose(file);
}

static bool open_votes_are_right(void)
{
    uint32_t i = 0;

    for (uint64_t slot = rig.got.chosen + 1; slot <= SLOTS; slot++, i++) {
        const struct vote *v = &rig.got.votes[i];
        if (i >= rig.got.votes_count || v->slot != slot) return false;
        if (v->proposal.reign_first != model.marks[slot]) return false;
    }
    return i == rig.got.votes_count;
}

/* Whatever can be read is what was chosen, and all that the state does not hold can be. */
static bool chosen_slots_are_right(void)
{
    uint64_t rest = rig.config.slot_at_rest;
    struct proposal p;

    for (uint64_t slot = 1; slot <= rig.got.chosen; slot++) {
        int err = log_read(rig.log, slot, &p);
        if (err == ERR_NO_NODE && slot <= rest) continue;
        if (err != 0) return false;
        blob_unref(p.batch);
        if (p.reign_first != model.marks[slot]) return false;
    }
    return rig.got.chosen <= (model.chosen > rest ? model.chosen : rest);
}

static bool all_is_right(void)
{
    if (ballot_cmp(rig.got.promised, model.promised) != 0) return false;
    if (rig.got.boot <= model.boot) return false;
    return open_votes_are_right() && chosen_slots_are_right();
}

/* True: recovered and right, or refused. */
static bool judged_well(const uint8_t *bytes, uint64_t slot_at_rest)
{
    put_log(bytes);
    rig.config.slot_at_rest = slot_at_rest;
    int err = log_rig_try_open();
    if (err != 0) {
        refused++;
        return err == ERR_DAMAGED || err == ERR_OTHER_VERSION;
    }
    bool right = all_is_right();
    log_close(rig.log);
    opened++;
    return right;
}

static bool judged_well_always(const uint8_t *bytes)
{
    return judged_well(bytes, 0) && judged_well(bytes, SLOTS - 3);
}

static void report(void)
{
    printf("# opened %d, refused %d\n", opened, refused);
    OK(opened > 0 && refused > 0);
    opened = refused = 0;
}

static void every_flipped_bit_is_harmless_or_refused(void)
{
    static uint8_t bytes[RIG_SEGMENT];

    OK(judged_well_always(image));
    memcpy(bytes, image, sizeof bytes);
    for (size_t bit = 0; bit < (used + 64) * 8; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        if (!judged_well_always(bytes)) {
            printf("# bit %zu of byte %zu\n", bit % 8, bit / 8);
            OK(false);
        }
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    report();
}

static size_t group_len(int i)
{
    return (i + 1 < groups.count ? groups.at[i + 1] : used) - groups.at[i];
}

/* A write that goes to the place of another group; its own stays as it was before, or is
 * written too. */
static void every_misdirected_write_is_harmless_or_refused(void)
{
    static uint8_t bytes[RIG_SEGMENT];

    for (int from = 0; from < groups.count; from++) {
        for (int to = 0; to < groups.count; to++) {
            if (from == to) continue;
            memcpy(bytes, image, sizeof bytes);
            memcpy(bytes + groups.at[to], image + groups.at[from], group_len(from));
            OK(judged_well_always(bytes));
            if (from < to)
                continue; /* the later write hits the earlier: both stand there */
            memset(bytes + groups.at[from], 0, group_len(from));
            OK(judged_well_always(bytes));
        }
    }
    report();
}

/* A sector whose newest write the disk lost: it holds zeros, the bytes of an older use of
 * the file, or its own earlier ones. The one where the log ends is left out: as it was
 * before, the log ends earlier, and nothing in it can tell (README.md). */
static void every_stale_sector_is_harmless_or_refused(void)
{
    static uint8_t bytes[RIG_SEGMENT], older[RIG_SEGMENT];
    size_t last = (used - 1) / SECTOR;

    for (size_t i = 0; i < sizeof older; i++)
        older[i] = (uint8_t)rng_next(&rig.rng);
    for (size_t i = 0; i + 1000 < sizeof older; i += 360) {
        memcpy(older + i / 8 * 8, image + groups.at[1], group_len(1));
        put_u64(older + i / 8 * 8 + 8, 1); /* sound once, under another generation */
    }
    for (size_t sector = 0; sector < last; sector++) {
        size_t at = sector * SECTOR;
        for (int kind = 0; kind < 3; kind++) {
            memcpy(bytes, image, sizeof bytes);
            if (kind == 0) memset(bytes + at, 0, SECTOR);
            if (kind == 1) memcpy(bytes + at, older + at, SECTOR);
            for (int i = 0; kind == 2 && i < groups.count; i++) {
                if (groups.at[i] <= at || groups.at[i] >= at + SECTOR) continue;
                memset(bytes + groups.at[i], 0, at + SECTOR - groups.at[i]);
                break;
            }
            OK(judged_well_always(bytes));
        }
    }
    report();
}

/* Two places at once, anywhere. */
static void random_pairs_of_flips_are_harmless_or_refused(void)
{
    static uint8_t bytes[RIG_SEGMENT];
    size_t mark = groups.at[groups.count - 1];

    for (int round = 0; round < 3000; round++) {
        size_t one = rng_below(&rig.rng, mark), two = rng_below(&rig.rng, mark);
        memcpy(bytes, image, sizeof bytes);
        bytes[one] ^= (uint8_t)(1 + rng_below(&rig.rng, 255));
        bytes[two] ^= (uint8_t)(1 + rng_below(&rig.rng, 255));
        if (judged_well_always(bytes)) continue;
        printf("# bytes %zu and %zu\n", one, two);
        OK(false);
    }
    report();
}

int main(void)
{
    if (!log_rig_begin(20260305)) return 1;
    build();
    TEST(every_flipped_bit_is_harmless_or_refused);
    TEST(every_misdirected_write_is_harmless_or_refused);
    TEST(every_stale_sector_is_harmless_or_refused);
    TEST(random_pairs_of_flips_are_harmless_or_refused);
    log_rig_end();
    return tap_done();
}
