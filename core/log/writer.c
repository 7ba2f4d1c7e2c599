#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/base/errors.h"
#include "core/base/log.h"
#include "core/log/inside.h"

/* Not CHECK: the disk is the world, not our bug, and a core dump says nothing about it. Not
 * an error to be handled either: after a failed sync the kernel may hold pages as clean
 * that never reached the disk, so a retry proves nothing, and a server that votes from
 * memory can let two values be chosen. Exit 70 is EX_SOFTWARE; nothing at exit may run or
 * write. */
static _Noreturn void stop_process(const struct log *l, const char *what, int err)
{
    log_line(LOG_ERROR, "log",
             "msg=\"%s; the process stops, since what is on disk is not known\" dir=\"%s\" "
             "error=%s system=\"%s\"",
             what, l->files.dir, error_name(err), strerror(errno));
    _exit(70);
}

static struct timespec after_ms(long ms)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_sec += ms / 1000;
    t.tv_nsec += ms % 1000 * 1000000;
    if (t.tv_nsec >= 1000000000) {
        t.tv_sec++;
        t.tv_nsec -= 1000000000;
    }
    return t;
}

static bool is_due(const struct timespec *t)
{
    struct timespec now = after_ms(0);

    return now.tv_sec > t->tv_sec || (now.tv_sec == t->tv_sec && now.tv_nsec >= t->tv_nsec);
}

static void set_full(struct log *l, bool full)
{
    if (full) l->chore_due = after_ms(LOG_FULL_RETRY_MS);
    if (atomic_exchange(&l->full, full) == full) return;
    if (full) {
        log_line(LOG_ERROR, "log",
                 "msg=\"no space for the next segment; writes are refused until there is\" "
                 "dir=\"%s\" bytes=%llu",
                 l->files.dir, (unsigned long long)l->config.segment_bytes);
    } else {
        log_line(LOG_INFO, "log", "msg=\"space for the next segment again\" dir=\"%s\"",
                 l->files.dir);
    }
}

/* Under `lock`. Beside a ready spare the last trimmed segment waits as it is: it becomes
 * the spare after that one, so a log in steady use seldom fills files or removes any. A damaged
 * one goes at once, and is not met again. */
static bool wants_recycling(const struct log *l)
{
    const struct log_segment *s = l->retired;

    return s != NULL && (!l->spare.ready || s->next != NULL || s->damaged);
}

/* Recycles the oldest trimmed segment, the one that waits too when it is the `end`; false
 * when there is none to be. Oldest first and each one durably, so what is left is always
 * one unbroken chain. */
static bool recycle_one(struct log *l, bool end)
{
    struct log_segment *s = NULL;

    pthread_mutex_lock(&l->lock);
    if (end ? l->retired != NULL : wants_recycling(l)) {
        s = l->retired;
        l->retired = s->next;
    }
    pthread_mutex_unlock(&l->lock);
    if (s == NULL) return false;

    uint64_t bytes_before = s->bytes + (l->spare.fd >= 0 ? l->spare.bytes : 0);
    int err = log_segment_retire(s, &l->files, &l->spare, l->config.segment_bytes);
    if (err != 0) stop_process(l, "a segment could not be recycled", err);
    l->bytes -= bytes_before - l->spare.bytes;
    free(s);
    if (l->spare.fd >= 0) set_full(l, false);
    return true;
}

static void prepare_spare(struct log *l)
{
    int err = 0;

    if (l->spare.fd < 0) {
        err = log_spare_begin(&l->spare, &l->files, l->config.segment_bytes);
        if (err == ERR_DISK_FULL) {
            set_full(l, true);
            return;
        }
        if (err == 0) l->bytes += l->spare.bytes;
    }
    if (err == 0) err = log_spare_fill(&l->spare, &l->files, LOG_SLICE_BYTES);
    if (err != 0) stop_process(l, "the next segment could not be prepared", err);
    set_full(l, false);
}

static void do_chore(struct log *l)
{
    if (!recycle_one(l, false) && !l->spare.ready) prepare_spare(l);
}

/* Room for a group, however long it takes. False when the log is closed meanwhile: then the
 * group is dropped, and nobody was ever told that it is durable. */
static bool wait_for_room(struct log *l, uint64_t bytes)
{
    for (;;) {
        int err = log_tail_make_room(l, bytes);
        if (err == 0) return true;
        if (err != ERR_DISK_FULL) stop_process(l, "no segment could be made", err);
        set_full(l, true);
        if (recycle_one(l, false)) continue;

        pthread_mutex_lock(&l->lock);
        bool stopping = l->stopping;
        if (!stopping) pthread_cond_timedwait(&l->wake, &l->lock, &l->chore_due);
        pthread_mutex_unlock(&l->lock);
        if (stopping) return false;
    }
}

static void write_group(struct log *l, struct log_queue *group)
{
    uint64_t seq = group->last->seq, bytes = LOG_GROUP_HEADER + LOG_ALIGN;

    for (const struct log_item *item = group->first; item != NULL; item = item->next) {
        bytes += log_item_bytes_max(item);
    }
    if (!wait_for_room(l, bytes)) {
        log_queue_free(group);
        return;
    }
    int err = log_tail_write(l, group);
    if (err != 0) stop_process(l, "a write or sync failed", err);
    l->mark_due = after_ms(LOG_MARK_MS);

    pthread_mutex_lock(&l->lock);
    log_queue_splice(&l->done, group);
    pthread_mutex_unlock(&l->lock);
    atomic_store(&l->durable, seq);
    if (l->config.on_durable != NULL) l->config.on_durable(l->config.ctx);

    if (++l->groups_since_chore < LOG_GROUPS_PER_CHORE) return;
    l->groups_since_chore = 0;
    if (!atomic_load(&l->full) || is_due(&l->chore_due)) do_chore(l);
}

/* A mark that finds no room is left out: it only makes recovery's judgement sharper. */
static void write_mark(struct log *l)
{
    int err = log_tail_mark(l);

    if (err == ERR_DISK_FULL) {
        set_full(l, true);
        l->tail.marked = true;
    } else if (err != 0) {
        stop_process(l, "a mark could not be written", err);
    }
}

enum work { WORK_GROUP = 1, WORK_MARK, WORK_CHORE, WORK_STOP };

static void take_group(struct log *l, struct log_queue *group)
{
    size_t bytes = 0;

    while (l->submitted.first != NULL && bytes < LOG_GROUP_BYTES_AIM) {
        struct log_item *item = l->submitted.first;
        l->submitted.first = item->next;
        if (item->next == NULL) l->submitted.last = NULL;
        bytes += log_item_bytes_max(item);
        log_queue_push(group, item);
    }
}

/* Under `lock`. What to do next, in the order of urgency; waits while there is nothing. */
static enum work next_work(struct log *l, struct log_queue *group)
{
    for (;;) {
        bool wants_spare = !l->spare.ready;
        bool full = atomic_load(&l->full);

        if (l->submitted.first != NULL) {
            take_group(l, group);
            return WORK_GROUP;
        }
        if (l->stopping) return WORK_STOP;
        if (!l->tail.marked && is_due(&l->mark_due)) return WORK_MARK;
        if (wants_recycling(l)) return WORK_CHORE;
        if (wants_spare && (!full || is_due(&l->chore_due))) return WORK_CHORE;
        if (!l->tail.marked) {
            pthread_cond_timedwait(&l->wake, &l->lock, &l->mark_due);
        } else if (wants_spare) {
            pthread_cond_timedwait(&l->wake, &l->lock, &l->chore_due);
        } else {
            pthread_cond_wait(&l->wake, &l->lock);
        }
    }
}

void *log_writer_run(void *arg)
{
    struct log *l = arg;

    l->mark_due = after_ms(LOG_MARK_MS);
    for (;;) {
        struct log_queue group = { 0 };
        pthread_mutex_lock(&l->lock);
        enum work work = next_work(l, &group);
        pthread_mutex_unlock(&l->lock);

        switch (work) {
        case WORK_GROUP:
            write_group(l, &group);
            break;
        case WORK_MARK:
            write_mark(l);
            break;
        case WORK_CHORE:
            do_chore(l);
            break;
        case WORK_STOP:
            if (!l->tail.marked) write_mark(l);
            while (recycle_one(l, true))
                continue;
            return NULL;
        }
    }
}
