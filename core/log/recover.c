#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/base/errors.h"
#include "core/log/inside.h"
#include "core/log/walk.h"

/* The newest vote of each slot. Only places are kept while walking: most votes turn out to
 * be chosen, and their batches need not be copied. */
struct recovery {
    struct log *log;
    struct log_base base;
    struct log_segment_header header; /* of the segment being walked */
    struct {
        uint64_t slot;
        struct log_place place;
    } votes[WINDOW_MAX];
};

static void base_merge(struct log_base *base, const struct log_base *more)
{
    if (ballot_cmp(more->promised, base->promised) > 0) base->promised = more->promised;
    if (more->chosen > base->chosen) base->chosen = more->chosen;
    if (more->boot > base->boot) base->boot = more->boot;
}

static int on_segment(void *ctx, const struct log_segment_header *h, uint64_t bytes)
{
    struct recovery *rec = ctx;
    struct log *l = rec->log;
    struct log_segment *s = mem_alloc(sizeof *s);

    int err = log_segment_open(&l->files, h->generation, s);
    if (err != 0) {
        free(s);
        return err;
    }
    if (l->segments_count == 0) log_index_init(&l->index, h->base.chosen);
    log_segments_add(l, s);
    l->bytes += bytes;
    rec->header = *h;
    base_merge(&rec->base, &h->base);
    if (h->cluster != l->config.cluster || h->node != l->config.node)
        return ERR_WRONG_CLUSTER;
    return 0;
}

static void on_damage(void *ctx, const char *text)
{
    struct log *l = ((struct recovery *)ctx)->log;

    (void)text;
    if (l->segments_count == 0) return; /* a header, and that file goes at once */
    l->serial_damaged = l->serial_first + (uint32_t)l->segments_count - 1;
}

/* Nothing in it is needed if this log is opened at all, so it is recycled then. */
static void on_lost(void *ctx, uint64_t generation)
{
    struct log *l = ((struct recovery *)ctx)->log;
    struct log_segment *s = mem_alloc(sizeof *s), **last = &l->retired;

    if (log_segment_open(&l->files, generation, s) != 0) {
        free(s); /* of no use and no harm; the next start tries again */
        return;
    }
    s->damaged = true;
    l->bytes += s->bytes;
    while (*last != NULL)
        last = &(*last)->next;
    *last = s;
}

static const char *on_record(void *ctx, const struct log_scan *scan,
                             const struct log_record *r, struct bytes batch)
{
    struct recovery *rec = ctx;
    struct log *l = rec->log;
    struct log_segment *s = l->segments[l->segments_count - 1];
    size_t len = (size_t)(scan->records.at - scan->segment.ptr) - scan->record;
    struct log_entry e = {
        .place =
            log_place_of(bytes_of(scan->segment.ptr + scan->record, len),
                         l->serial_first + (uint32_t)l->segments_count - 1, scan->record),
    };

    (void)batch;
    base_merge(&rec->base, &(struct log_base){ r->promised, r->chosen, r->boot });
    if (!log_index_note(&l->index, r, e)) return "a vote outside the window";
    if (r->vote.slot > s->slot_max) s->slot_max = r->vote.slot;
    if (r->kind == LOG_VOTE && r->vote.slot > l->index.chosen) {
        rec->votes[r->vote.slot % WINDOW_MAX].slot = r->vote.slot;
        rec->votes[r->vote.slot % WINDOW_MAX].place = e.place;
    }
    return NULL;
}

static int read_votes(struct recovery *rec, struct log_recovered *recovered)
{
    struct log *l = rec->log;

    for (uint64_t ahead = 1; ahead <= WINDOW_MAX; ahead++) {
        uint64_t slot = l->index.chosen + ahead;
        const struct log_place *place = &rec->votes[slot % WINDOW_MAX].place;
        if (rec->votes[slot % WINDOW_MAX].slot != slot) continue;

        struct vote *v = &recovered->votes[recovered->votes_count];
        int fd = l->segments[place->segment - l->serial_first]->fd;
        int err = log_place_read(fd, place, &l->scratch, v);
        if (err != 0) return err;
        recovered->votes_count++;
    }
    return 0;
}

/* Zeroes what a tear left, so that no byte of it can ever be met again. The START record
 * that follows takes the place of its header; this is for the bytes behind it. */
static int cut_tear(const struct log *l, const struct log_walked *end)
{
    int fd = l->segments[l->segments_count - 1]->fd;
    uint8_t *zeros = mem_zalloc(end->torn_bytes);

    int err = log_fd_write(fd, bytes_of(zeros, end->torn_bytes), end->at);
    if (err == 0 && fdatasync(fd) != 0) err = log_files_error(errno);
    free(zeros);
    return err;
}

static void set_tail(struct recovery *rec, const struct log_walked *end)
{
    struct log *l = rec->log;

    l->tail.number = end->number;
    l->tail.sum = end->sum;
    l->tail.base = rec->base;
    if (l->segments_count == 0) return; /* a new log: the first group makes its segment */
    l->tail.segment = l->segments[l->segments_count - 1];
    l->tail.serial = l->serial_first + (uint32_t)l->segments_count - 1;
    l->tail.at = end->at;
}

/* So that the damaged one can be trimmed soon. Without space it stays a while. */
static int leave_damaged_segment(struct log *l)
{
    if (l->serial_damaged == 0 || l->serial_damaged != l->tail.serial) return 0;
    int err = log_tail_begin_segment(l);
    return err == ERR_DISK_FULL ? 0 : err;
}

/* The process's own start, on disk before anything else is. */
static int write_start(struct log *l, uint64_t boot)
{
    struct log_queue q = { 0 };
    struct log_item start = { .record = { .kind = LOG_START, .boot = boot } };

    log_queue_push(&q, &start);
    int err =
        log_tail_make_room(l, LOG_GROUP_HEADER + LOG_ALIGN + log_item_bytes_max(&start));
    return err != 0 ? err : log_tail_write(l, &q);
}

static int wrong_identity(const struct recovery *rec, char *why, size_t why_size)
{
    const struct log_segment_header *h = &rec->header;
    const struct log_config *c = &rec->log->config;

    return log_why(why, why_size, ERR_WRONG_CLUSTER,
                   "%s: this log belongs to node %u of cluster %016" PRIx64
                   ", and this is node %u of cluster %016" PRIx64
                   "; check the data directory and the configuration",
                   rec->log->files.dir, h->node, h->cluster, c->node, c->cluster);
}

static int must_not_vote(const struct log_damage *d, char *why, size_t why_size)
{
    char held[64] = "";

    if (d->proven) {
        snprintf(held, sizeof held, " (unless the state holds slot %" PRIu64 ")",
                 d->slot_max);
    }
    return log_why(why, why_size, ERR_DAMAGED,
                   "%s; a promise or a vote may be lost%s, so this server must not vote "
                   "with this log" LOG_DAMAGE_ADVICE,
                   d->last, held);
}

/* Of what was lost, and of what is older, nothing is handed out: an older vote for a slot
 * may stand where the chosen one was lost. The state holds all those slots. */
static void skip_damage(struct recovery *rec, const struct log_damage *d,
                        struct log_recovered *recovered)
{
    rec->base.boot += d->groups; /* each may have been a start */
    if (d->slot_max > rec->base.chosen) rec->base.chosen = d->slot_max;
    log_index_forget(&rec->log->index, d->slot_max);
    snprintf(recovered->skipped, sizeof recovered->skipped,
             "%s; harmless, since the state holds all slots up to %" PRIu64
             " that it can have cost (places: %u); the files go as soon as it holds what "
             "else is in them",
             d->last, d->slot_max, d->places);
}

int log_recover(struct log *l, struct log_recovered *recovered, char *why, size_t why_size)
{
    struct recovery rec = { .log = l };
    struct log_visitor visitor = {
        .segment = on_segment, .record = on_record, .damage = on_damage, .lost = on_lost,
        .ctx = &rec
    };
    struct log_walked end;

    int err = log_walk(&l->files, &visitor, &end, why, why_size);
    if (err == ERR_WRONG_CLUSTER) return wrong_identity(&rec, why, why_size);
    if (err != 0) return err;
    if (!log_damage_is_harmless(&end.damage, l->config.slot_at_rest)) {
        return must_not_vote(&end.damage, why, why_size);
    }
    if (l->segments_count == 0) log_index_init(&l->index, 0);
    if (end.damage.places > 0) skip_damage(&rec, &end.damage, recovered);
    set_tail(&rec, &end);
    err = read_votes(&rec, recovered);
    if (err == 0 && end.torn_bytes > 0) err = cut_tear(l, &end);
    if (err == 0) err = leave_damaged_segment(l);
    if (err == 0) err = write_start(l, rec.base.boot + 1);
    if (err != 0) {
        return log_why(why, why_size, err, "%s: the log cannot be continued: %s (%s)",
                       l->files.dir, error_text(err), strerror(errno));
    }
    recovered->promised = rec.base.promised;
    recovered->chosen = l->index.chosen;
    recovered->slot_first = log_index_first(&l->index);
    recovered->boot = rec.base.boot + 1;
    recovered->torn_bytes = end.torn_bytes;
    return 0;
}
