/* inside.h -- what the parts of the log share: who owns which field, and on which thread.
 *
 * Internal to core/log. A record travels as a `struct log_item`: the loop queues it in
 * `gathering`, log_submit() moves it to `submitted`, the writer writes it, sets its place and
 * moves it to `done`, and the loop takes it from there, notes the place and frees it. So an
 * item has one owner at any time, and the loop may read its record (which nobody changes)
 * all along. */
#ifndef CORE_LOG_INSIDE_H
#define CORE_LOG_INSIDE_H

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "core/log/files.h"
#include "core/log/index.h"
#include "core/log/log.h"

enum {
    /* A group takes no more records at this size; the next group takes them. */
    LOG_GROUP_BYTES_AIM = 4 << 20,
    /* A mark follows an idle log's last group after this; the header promises 10. */
    LOG_MARK_MS = 5,
    LOG_FULL_RETRY_MS = 1000,
    /* While groups keep coming, so many of them go before each slice of the next spare. */
    LOG_GROUPS_PER_CHORE = 4,
    /* Any record's bytes without its batch: ten numbers and a kind at most. */
    LOG_RECORD_OVERHEAD = 112,
};

struct log_item {
    struct log_item *next;
    uint64_t seq;
    struct log_record record; /* holds a reference to its batch */
    struct log_place place;   /* set by the writer before the item is done */
};

struct log_queue {
    struct log_item *first, *last;
};

/* Where the next group goes. The writer's own, once its thread runs. */
struct log_tail {
    struct log_segment *segment;
    uint32_t serial; /* of the segment */
    uint64_t at, number, sum; /* number and sum of the last group written */
    struct log_base base;     /* after all that is written */
    bool marked;              /* nothing but a mark was written last */
    struct buf group;
};

struct log {
    struct log_config config;
    struct log_files files;

    /* The loop's. */
    struct log_index index;
    struct log_queue gathering;
    struct buf scratch;
    uint64_t seq;            /* of the last record appended */
    uint64_t chosen_settled; /* the highest that a record on disk named */
    uint64_t seq_settled;
    uint32_t serial_damaged; /* of the newest segment that was found damaged; 0 = none */

    /* Shared, under `lock`. */
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct log_queue submitted, done;
    struct log_segment **segments; /* oldest first; the last one is written to */
    size_t segments_count;
    uint32_t serial_first;         /* of segments[0]; the others count on from it */
    struct log_segment *retired;   /* trimmed, oldest first, to be recycled */
    bool stopping;

    /* The writer's. */
    struct log_tail tail;
    struct log_spare spare;
    unsigned groups_since_chore;
    struct timespec mark_due, chore_due;

    pthread_t thread;
    _Atomic uint64_t durable;
    _Atomic uint64_t bytes;
    atomic_bool full;
};

void log_queue_push(struct log_queue *q, struct log_item *item);
void log_queue_splice(struct log_queue *to, struct log_queue *from);
void log_queue_free(struct log_queue *q);
struct log_item *log_item_new(const struct log_record *r, uint64_t seq);

/* tail.c: writes the items of `q`, all of them, as one group; durable on return. */
int log_tail_write(struct log *l, struct log_queue *q);
/* An upper bound of what an item adds to a group. */
size_t log_item_bytes_max(const struct log_item *item);
int log_tail_mark(struct log *l);
/* Makes the ready spare the segment that is written to. */
int log_tail_switch(struct log *l);
/* Prepares one first, if it must. */
int log_tail_begin_segment(struct log *l);
/* Room for a group of `bytes`, in this segment or the next; prepares that if it must. */
int log_tail_make_room(struct log *l, uint64_t bytes);
/* A generation above all earlier ones whose low half nobody can foretell: a client that
 * knew it could send data that looks like a group. */
uint64_t log_generation_after(uint64_t generation);
void log_segments_add(struct log *l, struct log_segment *s); /* under `lock` or alone */

/* writer.c: the thread. */
void *log_writer_run(void *l);

/* recover.c: fills the index, the segments and the tail from what is on disk. */
int log_recover(struct log *l, struct log_recovered *recovered, char *why, size_t why_size);

/* log.c: the vote or chosen proposal at a place of the file `fd`; its batch is a reference,
 * the caller's. ERR_DAMAGED when the bytes are not those that were written. */
struct log_place log_place_of(struct bytes record, uint32_t segment, size_t at);
int log_place_read(int fd, const struct log_place *place, struct buf *scratch,
                   struct vote *vote);

#endif
