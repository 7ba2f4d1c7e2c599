/* disk.c -- a node's log in memory, in the very bytes of core/log/record.h.
 *
 * Group commit as the real one: while a group is being synced the next gathers. A crash
 * keeps what was synced, and of the group in flight any prefix, with a torn end. */
#include <stdlib.h>

#include "core/base/check.h"
#include "tests/sim/sim.h"

static void header_put(struct disk *d, uint32_t node, const struct log_base *base)
{
    struct log_segment_header h = { .generation = ++d->generation,
                                    .cluster = 1,
                                    .group_first = 1,
                                    .node = node,
                                    .base = *base };
    uint8_t bytes[LOG_SEGMENT_HEADER];

    log_segment_header_encode(bytes, &h);
    buf_clear(&d->segment);
    buf_put(&d->segment, bytes, sizeof bytes);
    d->durable = d->segment.len;
    d->number = 0;
    d->sum = 0;
}

void disk_format(struct disk *d, uint32_t node)
{
    *d = (struct disk){ 0 };
    list_init(&d->queue);
    header_put(d, node, &(struct log_base){ 0 });
}

static void queue_drop(struct disk *d)
{
    LIST_EACH_SAFE(at, after, &d->queue)
    {
        struct disk_write *q = CONTAINER_OF(at, struct disk_write, link);

        list_remove(at);
        blob_unref(q->record.vote.proposal.batch);
        free(q);
    }
}

void disk_fini(struct disk *d)
{
    queue_drop(d);
    buf_fini(&d->segment);
}

/* --- writing --- */

struct sync_done {
    struct server *node;
    uint64_t life;
    size_t end;
    uint64_t seq;
};

static void begin_group(struct server *n);

static void judge_durable(struct server *n, size_t from, size_t end)
{
    struct disk *d = &n->disk;
    struct log_scan s;
    struct log_record r;
    struct bytes batch;

    if (log_scan_init(&s, bytes_of(d->segment.ptr, end)) != 0) return;
    s.at = from; /* the chain up to here was judged when it became durable */
    s.number = d->number - 1;
    s.sum = get_u64(d->segment.ptr + from + 16);
    while (log_scan_next(&s, &r, &batch) == LOG_GOOD) {
        struct blob *b = batch.ptr == NULL ? NULL : blob_new(batch);

        if (ballot_cmp(r.promised, d->promised_durable) > 0) d->promised_durable = r.promised;
        if (r.chosen > d->chosen_durable) d->chosen_durable = r.chosen;
        r.vote.proposal.batch = b;
        checks_vote_durable(n->world, n->id, &r);
        blob_unref(b);
    }
}

static void sync_good(struct server *n, const struct sync_done *s)
{
    struct disk *d = &n->disk;
    size_t from = d->durable;

    d->durable = s->end;
    d->seq_durable = s->seq;
    d->writing = false;
    judge_durable(n, from, s->end);
    if (d->crash_when_synced) {
        node_crash(n);
        return;
    }
    node_durable(n);
    if (!n->dying) begin_group(n);
}

static void sync_done(struct world *w, void *ctx)
{
    struct sync_done *s = ctx;
    struct server *n = s->node;
    struct disk *d = &n->disk;

    (void) w;
    if (node_defers(n, sync_done, s)) return;
    if (!n->up || n->life != s->life) {
        free(s);
        return;
    }
    if (d->sync_fails) {
        node_crash(n);
    } else {
        sync_good(n, s);
    }
    free(s);
}

static void begin_group(struct server *n)
{
    struct disk *d = &n->disk;
    struct world *w = n->world;

    if (d->writing || list_empty(&d->queue)) return;
    if (disk_is_full(n) && d->room == 0) return;

    struct log_group g = { .generation = d->generation,
                           .number = d->number + 1,
                           .sum_before = d->sum };

    const size_t before = d->segment.len;

    log_group_begin(&g, &d->segment);
    while (!list_empty(&d->queue)) {
        struct disk_write *q = LIST_FIRST(&d->queue, struct disk_write, link);

        log_group_put(&g, &q->record);
        d->seq_writing = q->seq;
        list_remove(&q->link);
        blob_unref(q->record.vote.proposal.batch);
        free(q);
    }
    d->sum = log_group_end(&g);
    d->number++;
    d->writing = true;
    d->room -= d->room < d->segment.len - before ? d->room : d->segment.len - before;

    struct sync_done *s = mem_alloc(sizeof *s);

    *s = (struct sync_done){ n, n->life, d->segment.len, d->seq_writing };
    world_at(w, 100 + rng_below(&w->rng, w->options.sync_us + n->slow_disk_us), sync_done,
             s);
}

void disk_append(struct server *n, const struct paxos_write *write)
{
    struct disk_write *q = mem_zalloc(sizeof *q);
    static const enum log_record_kind kinds[] = {
        [PAXOS_WRITE_PROMISE] = LOG_PROMISE,
        [PAXOS_WRITE_VOTE] = LOG_VOTE,
        [PAXOS_WRITE_CHOSEN] = LOG_CHOSEN,
        [PAXOS_WRITE_INSTALLED] = LOG_INSTALLED,
    };

    q->seq = write->seq;
    q->record = (struct log_record){ .kind = kinds[write->kind],
                                     .promised = write->promised,
                                     .chosen = write->chosen,
                                     .vote = write->vote };
    if (write->vote.slot == 0) q->record.vote = (struct vote){ 0 };
    blob_ref(q->record.vote.proposal.batch);
    list_push(&n->disk.queue, &q->link);
    begin_group(n);
}

/* --- no space --- */

bool disk_is_full(const struct server *n)
{
    return n->world->now_us < n->disk.full_until_us;
}

static void space_comes(struct world *w, void *ctx)
{
    struct server *n = ctx;

    (void)w;
    if (n->up && !n->dying && !disk_is_full(n)) begin_group(n);
}

void disk_fill(struct server *n, size_t room, uint64_t ms)
{
    n->disk.full_until_us = n->world->now_us + 1000 * ms;
    n->disk.room = room;
    world_at(n->world, 1000 * ms, space_comes, n);
}

void disk_free(struct server *n)
{
    n->disk.full_until_us = 0;
    space_comes(n->world, n);
}

/* --- crash and recovery --- */

enum { SECTOR = 512 };

/* What was being written when the power went: all, nothing, a start of it, or any of its
 * sectors, with what stood there before in between. */
static void tear(struct world *w, struct disk *d)
{
    uint8_t before = chance(w, 500) ? 0 : (uint8_t) rng_next(&w->rng);

    w->stats.torn++;
    switch (rng_below(&w->rng, 4)) {
    case 0:
        return;
    case 1:
        d->segment.len = d->durable;
        return;
    case 2:
        d->segment.len = d->durable + rng_below(&w->rng, d->segment.len - d->durable);
        return;
    default:
        for (size_t at = d->durable; at < d->segment.len; at = (at / SECTOR + 1) * SECTOR) {
            size_t end = (at / SECTOR + 1) * SECTOR;

            if (end > d->segment.len) end = d->segment.len;
            if (chance(w, 500)) memset(d->segment.ptr + at, before, end - at);
        }
    }
}

void disk_crash(struct server *n)
{
    struct disk *d = &n->disk;

    queue_drop(d);
    if (d->segment.len > d->durable) tear(n->world, d);
    for (size_t i = 0; i < SIM_SLOTS_MAX; i++) { /* what is on disk is read at start */
        blob_unref(n->slots[i].proposal.batch);
        n->slots[i] = (struct slot_memory){ 0 };
    }
    d->crash_when_synced = d->sync_fails = false;
    d->writing = false;
    d->seq_writing = d->seq_durable = 0;
}

static void take(struct server *n, struct disk_restored *out, const struct log_record *r,
                 struct bytes batch)
{
    struct slot_memory *m = &n->slots[r->vote.slot % SIM_SLOTS_MAX];

    if (ballot_cmp(r->promised, out->promised) > 0) out->promised = r->promised;
    if (r->chosen > out->chosen) out->chosen = r->chosen;
    if (r->kind == LOG_START) out->boot = r->boot;
    if (r->kind == LOG_INSTALLED && r->chosen > n->trimmed) n->trimmed = r->chosen;
    if (r->kind != LOG_VOTE && r->kind != LOG_CHOSEN) return;
    blob_unref(m->proposal.batch);
    m->slot = r->vote.slot;
    m->proposal = r->vote.proposal;
    m->proposal.batch = batch.ptr == NULL ? NULL : blob_new(batch);
}

/* The newest vote of every slot above `chosen`. */
static void collect_votes(struct server *n, struct disk_restored *out, const struct vote *votes)
{
    for (uint64_t slot = out->chosen + 1; slot <= out->chosen + WINDOW_MAX; slot++) {
        if (votes[slot % SIM_SLOTS_MAX].slot != slot) continue;
        out->votes[out->votes_count] = votes[slot % SIM_SLOTS_MAX];
        out->votes[out->votes_count].proposal = n->slots[slot % SIM_SLOTS_MAX].proposal;
        blob_ref(out->votes[out->votes_count++].proposal.batch);
    }
}

static void put_start(struct server *n, uint64_t boot)
{
    struct disk *d = &n->disk;
    struct log_group g = { .generation = d->generation,
                           .number = d->number + 1,
                           .sum_before = d->sum };

    log_group_begin(&g, &d->segment);
    log_group_put(&g, &(struct log_record){ .kind = LOG_START, .boot = boot });
    d->sum = log_group_end(&g);
    d->number++;
    d->durable = d->segment.len;
}

/* Damage must be noticed, and what is no damage must not be taken for it. */
static bool found_damage(struct world *w, uint32_t node, bool found)
{
    struct disk *d = &w->nodes[node - 1].disk;

    if (found && !d->damaged) broken(w, "node %u: a tear is taken for damage", node);
    if (!found && d->damaged) broken(w, "node %u: damage in its log went unnoticed", node);
    return found;
}

bool disk_recover(struct world *w, uint32_t node, struct disk_restored *out)
{
    struct server *n = &w->nodes[node - 1];
    struct disk *d = &n->disk;
    struct vote *votes = mem_zalloc(SIM_SLOTS_MAX * sizeof *votes);
    struct log_scan s;
    struct log_record r;
    struct bytes batch;
    enum log_verdict verdict;

    *out = (struct disk_restored){ 0 };
    buf_reserve(&d->segment, 4096); /* a segment ends in zeros */
    memset(d->segment.ptr + d->segment.len, 0, 4096);
    if (log_scan_init(&s, bytes_of(d->segment.ptr, d->segment.len + 4096)) != 0) {
        free(votes);
        return !found_damage(w, node, true);
    }
    while ((verdict = log_scan_next(&s, &r, &batch)) == LOG_GOOD) {
        take(n, out, &r, batch);
        if (r.kind == LOG_VOTE) votes[r.vote.slot % SIM_SLOTS_MAX] = r.vote;
    }
    if (found_damage(w, node, verdict == LOG_BAD)) {
        free(votes);
        return false;
    }
    if (s.at < d->durable) broken(w, "node %u: recovery cut what was synced", node);
    d->segment.len = d->durable = s.at;
    d->number = s.number;
    d->sum = s.sum;
    d->promised_durable = out->promised;
    d->chosen_durable = out->chosen;
    collect_votes(n, out, votes);
    put_start(n, ++out->boot);
    free(votes);
    return true;
}
