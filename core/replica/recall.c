/* recall.c -- what was applied before this start: the newest slots at or below the one at
 * which the state stands are looked up in the log, and which of them gave which transactions
 * is told. They are not applied again.
 *
 * Which batches counted is the run rule's word, so the walk forward must begin where that is
 * known: in the first slot of a reign; or in the middle of a reign all of whose batches
 * counted. They did when the newest slot is of that reign too, and counted; or when more
 * than a window of them stand in a row: a leader proposes no further than a window above what
 * it knows as chosen, and it leads no more when something else than its own was chosen. */
#include <stdlib.h>

#include "core/base/limits.h"
#include "core/replica/internal.h"

enum {
    RECALL_SLOTS_MAX = LIMIT(4096, 16),
    RECALL_BYTES_MAX = 16 << 20, /* of batches: some milliseconds of a start */
};

struct past {
    struct proposal proposal; /* a reference */
    uint64_t zxid_first, zxid_last; /* 0: it gave no transaction */
};

static uint64_t slot_of(const struct replica *r, uint32_t index)
{
    return machine_slot(&r->machine) - index;
}

/* Above what the log knows as chosen it has our vote, which may be for something else. But a
 * slot and a reign have one proposal, and the state tells the reign of the newest slot: if
 * that one counted, the slots of its reign below it hold its reign's proposals. */
static bool is_chosen(const struct replica *r, uint64_t chosen, uint64_t slot,
                      const struct proposal *p)
{
    const struct run *run = &r->machine.run;

    return slot <= chosen || (run->valid && ballot_cmp(p->reign, run->reign) == 0);
}

/* The newest first. Returns how many. */
static uint32_t read_back(struct replica *r, uint64_t chosen, struct past *past)
{
    uint32_t count = 0;
    size_t bytes = 0;

    while (count < RECALL_SLOTS_MAX && bytes < RECALL_BYTES_MAX && slot_of(r, count) > 0) {
        struct proposal *p = &past[count].proposal;

        if (r->io.read_log(r->io.ctx, slot_of(r, count), p) != 0) break;
        if (!is_chosen(r, chosen, slot_of(r, count), p)) {
            blob_unref(p->batch);
            break;
        }
        if (p->batch != NULL) bytes += blob_bytes(p->batch).len;
        count++;
    }
    return count;
}

/* The oldest slots that are all of one reign: how many. */
static uint32_t oldest_run(const struct past *past, uint32_t count)
{
    const struct ballot reign = past[count - 1].proposal.reign;
    uint32_t run = 1;

    while (run < count && ballot_cmp(past[count - 1 - run].proposal.reign, reign) == 0) run++;
    return run;
}

/* How many of `past` can be judged, and what stood before the oldest of them. */
static uint32_t find_start(const struct replica *r, const struct past *past, uint32_t count,
                           struct run *before)
{
    const uint32_t run = count == 0 ? 0 : oldest_run(past, count);

    if (run > WINDOW_MAX || (run > 0 && run == count && r->machine.run.valid)) {
        *before = (struct run){ slot_of(r, count), past[count - 1].proposal.reign, true };
        return count;
    }
    for (uint32_t i = count; i > 0; i--) {
        *before = (struct run){ .slot = slot_of(r, i) };
        if (past[i - 1].proposal.reign_first == slot_of(r, i - 1)) return i;
    }
    return 0;
}

/* False: it does not come out at what the state says of itself. */
static bool judge(const struct replica *r, struct past *past, uint32_t count, struct run run)
{
    uint64_t zxid = 0;

    for (uint32_t i = count; i > 0; i--) {
        struct past *at = &past[i - 1];
        struct batch b;

        if (at->proposal.reign_first > run.slot + 1) return false;
        if (!run_step(&run, &at->proposal)) continue;
        if (batch_decode(blob_bytes(at->proposal.batch), &b) != 0) return false;
        if (zxid != 0 && b.zxid_first != zxid + 1) return false;
        zxid = b.zxid_first + b.count - 1;
        if (b.count == 0) continue;
        at->zxid_first = b.zxid_first;
        at->zxid_last = zxid;
    }
    return zxid == r->machine.zxid && run.valid == r->machine.run.valid &&
           ballot_cmp(run.reign, r->machine.run.reign) == 0;
}

void replica_recall(struct replica *r, uint64_t chosen)
{
    struct past *past = mem_zalloc(RECALL_SLOTS_MAX * sizeof *past);
    const uint32_t count = read_back(r, chosen, past);
    struct run before;
    uint32_t known = find_start(r, past, count, &before);

    if (known > 0 && !judge(r, past, known, before)) known = 0;
    for (uint32_t i = known; i > 0; i--) {
        r->io.recalled(r->io.ctx, slot_of(r, i - 1), past[i - 1].zxid_first,
                       past[i - 1].zxid_last);
    }
    for (uint32_t i = 0; i < count; i++) blob_unref(past[i].proposal.batch);
    free(past);
}
