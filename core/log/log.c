#include "core/log/log.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/base/check.h"
#include "core/base/errors.h"
#include "core/base/hash.h"
#include "core/log/inside.h"

enum { SEGMENT_BYTES_MIN = 64 << 10, SEGMENT_BYTES_MAX = 1 << 30 };

struct log_place log_place_of(struct bytes record, uint32_t segment, size_t at)
{
    CHECK(at + record.len <= UINT32_MAX);
    return (struct log_place){ .segment = segment,
                               .at = (uint32_t)at,
                               .len = (uint32_t)record.len,
                               .sum = (uint32_t)hash_bytes(record, 0) };
}

int log_place_read(int fd, const struct log_place *place, struct buf *scratch,
                   struct vote *vote)
{
    struct log_record r;
    struct bytes batch;

    buf_clear(scratch);
    buf_reserve(scratch, place->len);
    int err = log_fd_read(fd, scratch->ptr, place->len, place->at);
    if (err != 0) return err;
    scratch->len = place->len;
    if ((uint32_t)hash_bytes(buf_bytes(scratch), 0) != place->sum) return ERR_DAMAGED;

    struct reader from = reader_of(buf_bytes(scratch));
    if (!log_record_read(&from, &r, &batch) || !reader_done(&from)) return ERR_DAMAGED;
    *vote = r.vote;
    vote->proposal.batch = batch.ptr == NULL ? NULL : blob_new(batch);
    return 0;
}

static void sync_objects_init(struct log *l)
{
    pthread_condattr_t attr;

    CHECK(pthread_mutex_init(&l->lock, NULL) == 0);
    CHECK(pthread_condattr_init(&attr) == 0);
    CHECK(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) == 0);
    CHECK(pthread_cond_init(&l->wake, &attr) == 0);
    pthread_condattr_destroy(&attr);
}

static struct log *log_new(const struct log_config *config)
{
    struct log *l = mem_zalloc(sizeof *l);

    l->config = *config;
    l->config.dir = NULL; /* log_files holds a copy */
    l->files.dir_fd = -1;
    l->spare.fd = -1;
    l->serial_first = 1;
    sync_objects_init(l);
    return l;
}

static void segment_free(struct log_segment *s)
{
    close(s->fd);
    free(s);
}

static void log_free(struct log *l)
{
    log_queue_free(&l->gathering);
    log_queue_free(&l->submitted);
    log_queue_free(&l->done);
    for (size_t i = 0; i < l->segments_count; i++)
        segment_free(l->segments[i]);
    free(l->segments);
    for (struct log_segment *s = l->retired, *next; s != NULL; s = next) {
        next = s->next;
        segment_free(s);
    }
    if (l->spare.fd >= 0) close(l->spare.fd);
    log_files_close(&l->files);
    log_index_fini(&l->index);
    buf_fini(&l->scratch);
    buf_fini(&l->tail.group);
    pthread_cond_destroy(&l->wake);
    pthread_mutex_destroy(&l->lock);
    free(l);
}

static int open_dir(struct log *l, const char *dir, char *why, size_t why_size)
{
    int err = log_files_open(&l->files, dir, true);

    if (err == 0) err = log_spare_open(&l->spare, &l->files, l->config.segment_bytes);
    if (err == ERR_IN_USE) {
        return log_why(why, why_size, err, "%s: another process uses this log", dir);
    }
    if (err != 0) {
        return log_why(why, why_size, err, "%s: the log's directory cannot be used: %s",
                       dir, strerror(errno));
    }
    if (l->spare.fd >= 0) l->bytes += l->spare.bytes;
    return 0;
}

int log_open(const struct log_config *config, struct log **log,
             struct log_recovered *recovered, char *why, size_t why_size)
{
    CHECK(config->segment_bytes >= SEGMENT_BYTES_MIN);
    CHECK(config->segment_bytes <= SEGMENT_BYTES_MAX);
    CHECK(config->segment_bytes % LOG_ALIGN == 0);

    struct log *l = log_new(config);
    *log = NULL;
    *recovered = (struct log_recovered){ 0 };
    int err = open_dir(l, config->dir, why, why_size);
    if (err == 0) err = log_recover(l, recovered, why, why_size);
    if (err != 0) {
        for (uint32_t i = 0; i < recovered->votes_count; i++) {
            blob_unref(recovered->votes[i].proposal.batch);
        }
        *recovered = (struct log_recovered){ 0 };
        log_free(l);
        return err;
    }
    l->chosen_settled = recovered->chosen;
    CHECK(pthread_create(&l->thread, NULL, log_writer_run, l) == 0);
    *log = l;
    return 0;
}

void log_close(struct log *l)
{
    log_submit(l);
    pthread_mutex_lock(&l->lock);
    l->stopping = true;
    pthread_cond_signal(&l->wake);
    pthread_mutex_unlock(&l->lock);
    CHECK(pthread_join(l->thread, NULL) == 0);
    log_free(l);
}

uint64_t log_append(struct log *l, const struct log_record *r)
{
    CHECK(r->kind == LOG_PROMISE || r->kind == LOG_VOTE || r->kind == LOG_CHOSEN ||
          r->kind == LOG_INSTALLED);

    struct log_item *item = log_item_new(r, ++l->seq);
    bool in_window = log_index_note(&l->index, r, (struct log_entry){ .item = item });
    CHECK(in_window);
    log_queue_push(&l->gathering, item);
    return item->seq;
}

/* Written items: from now on their slots are read from disk. */
static void settle(struct log *l, struct log_queue *done)
{
    for (const struct log_item *item = done->first; item != NULL; item = item->next) {
        const struct log_record *r = &item->record;
        struct log_entry *e = log_index_at(&l->index, r->vote.slot);
        if (e != NULL && e->item == item) *e = (struct log_entry){ .place = item->place };
        if (r->chosen > l->chosen_settled) l->chosen_settled = r->chosen;
        CHECK(item->seq == l->seq_settled + 1); /* L4 */
        l->seq_settled = item->seq;
    }
    log_queue_free(done);
}

void log_submit(struct log *l)
{
    struct log_queue done = { 0 };

    if (l->gathering.first == NULL && log_durable(l) == l->seq_settled) return;
    pthread_mutex_lock(&l->lock);
    if (l->gathering.first != NULL && l->submitted.first == NULL) {
        pthread_cond_signal(&l->wake);
    }
    log_queue_splice(&l->submitted, &l->gathering);
    log_queue_splice(&done, &l->done);
    pthread_mutex_unlock(&l->lock);
    settle(l, &done);
}

uint64_t log_durable(const struct log *l)
{
    return atomic_load(&l->durable);
}

int log_read(struct log *l, uint64_t slot, struct proposal *p)
{
    const struct log_entry *e = log_index_at(&l->index, slot);
    struct vote vote;

    if (e == NULL)
        return ERR_NO_NODE; /* trimmed, or not there yet: the peer asks another */
    if (e->item != NULL) {
        *p = e->item->record.vote.proposal;
        blob_ref(p->batch);
        return 0;
    }
    pthread_mutex_lock(&l->lock);
    int fd = l->segments[e->place.segment - l->serial_first]->fd;
    pthread_mutex_unlock(&l->lock);
    int err = log_place_read(fd, &e->place, &l->scratch, &vote);
    if (err == 0) *p = vote.proposal;
    return err;
}

uint64_t log_slot_first(const struct log *l)
{
    return log_index_first(&l->index);
}

static void retire_oldest(struct log *l)
{
    struct log_segment *s = l->segments[0], **last = &l->retired;

    s->damaged = l->serial_first <= l->serial_damaged;
    l->segments_count--;
    memmove(l->segments, l->segments + 1, l->segments_count * sizeof *l->segments);
    l->serial_first++;
    while (*last != NULL)
        last = &(*last)->next;
    s->next = NULL;
    *last = s;
}

void log_trim(struct log *l, uint64_t slot)
{
    struct log_queue done = { 0 };
    uint32_t serial_before = l->serial_first;

    pthread_mutex_lock(&l->lock);
    log_queue_splice(&done, &l->done);
    pthread_mutex_unlock(&l->lock);
    settle(l, &done);

    /* Above what is durably chosen a vote is a promise to others, whatever the caller
     * needs. What the records below say of the promise, the prefix and the boot stands in
     * the header of the segment that is the oldest then. */
    if (slot > l->chosen_settled + 1) slot = l->chosen_settled + 1;
    pthread_mutex_lock(&l->lock);
    while (l->segments_count > 1 && l->segments[0]->slot_max < slot)
        retire_oldest(l);
    if (l->retired != NULL) pthread_cond_signal(&l->wake);
    pthread_mutex_unlock(&l->lock);
    if (l->serial_first != serial_before) log_index_drop(&l->index, l->serial_first);
}

void log_forget_doubtful(struct log *l, const struct log_recovered *recovered,
                         const struct run *at_rest)
{
    uint64_t certain = 0;

    if (at_rest->slot <= recovered->chosen) return;
    for (uint32_t i = 0; i < recovered->votes_count; i++) {
        const struct vote *v = &recovered->votes[i];

        certain += v->slot <= at_rest->slot && at_rest->valid &&
                   ballot_cmp(v->proposal.reign, at_rest->reign) == 0;
    }
    if (certain < at_rest->slot - recovered->chosen) {
        log_index_forget(&l->index, at_rest->slot);
    }
}

uint64_t log_slot_within(struct log *l, uint64_t bytes)
{
    uint64_t sum = 0, slot = 0;
    size_t i = l->segments_count;

    pthread_mutex_lock(&l->lock);
    for (i = l->segments_count; i > 0 && sum < bytes; i--) sum += l->segments[i - 1]->bytes;
    for (; i > 0; i--) {
        if (l->segments[i - 1]->slot_max >= slot) slot = l->segments[i - 1]->slot_max + 1;
    }
    pthread_mutex_unlock(&l->lock);
    return slot;
}

uint64_t log_slot_damaged(struct log *l)
{
    uint64_t slot = 0;

    if (l->serial_damaged < l->serial_first) return 0;
    pthread_mutex_lock(&l->lock);
    for (size_t i = 0; i + l->serial_first <= l->serial_damaged; i++) {
        if (l->segments[i]->slot_max >= slot) slot = l->segments[i]->slot_max + 1;
    }
    pthread_mutex_unlock(&l->lock);
    return slot;
}

bool log_full(const struct log *l)
{
    return atomic_load(&l->full);
}

uint64_t log_bytes(const struct log *l)
{
    return atomic_load(&l->bytes);
}
