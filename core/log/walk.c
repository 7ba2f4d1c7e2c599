#include "core/log/walk.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "core/base/errors.h"

#define ADVICE                                                                             \
    "; nothing was changed: keep this server off, the others go on without it (with "      \
    "an empty data directory it would be refused), or restore the file"

struct walk {
    const struct log_files *files;
    const struct log_visitor *visitor;
    struct log_walked *end;
    char *why;
    size_t why_size;
};

static int damaged(struct walk *w, uint64_t generation, uint64_t at, const char *what)
{
    char name[32];

    log_files_name(generation, name);
    return log_why(w->why, w->why_size, ERR_DAMAGED, "%s/%s: %s at offset %" PRIu64 ADVICE,
                   w->files->dir, name, what, at);
}

static int header_refused(struct walk *w, uint64_t generation, int err)
{
    char name[32];

    if (err != ERR_OTHER_VERSION) return damaged(w, generation, 0, "a damaged header");
    log_files_name(generation, name);
    return log_why(w->why, w->why_size, err,
                   "%s/%s: written by another version of Tidelock, which this one cannot "
                   "read; use that version",
                   w->files->dir, name);
}

/* Whether segment `s` goes on where the one before it ended. */
static int judge_chain(struct walk *w, uint64_t generation, const struct log_scan *s)
{
    const struct log_walked *before = w->end;

    if (s->header.generation != generation) {
        return damaged(w, generation, 8, "the header of another segment");
    }
    if (before->generation == 0) return 0;
    if (before->torn_bytes > 0) {
        return damaged(w, before->generation, before->at, "a damaged group");
    }
    if (s->header.group_first == before->number + 1 &&
        s->header.sum_before == before->sum) {
        return 0;
    }
    return damaged(w, before->generation, before->at,
                   "groups that the next segment goes on from are missing or damaged");
}

static int walk_records(struct walk *w, struct log_scan *s)
{
    const struct log_visitor *v = w->visitor;
    enum log_verdict verdict;
    struct log_record r;
    struct bytes batch;

    while ((verdict = log_scan_next(s, &r, &batch)) == LOG_GOOD) {
        const char *what = v->record(v->ctx, s, &r, batch);
        if (what != NULL) return damaged(w, s->header.generation, s->record, what);
    }
    if (verdict == LOG_BAD) {
        return damaged(w, s->header.generation, s->at, "a damaged group");
    }
    *w->end = (struct log_walked){ .generation = s->header.generation,
                                   .at = s->at,
                                   .number = s->number,
                                   .sum = s->sum };
    if (verdict == LOG_TEAR) w->end->torn_bytes = log_scan_torn(s);
    return 0;
}

static int unreadable(struct walk *w, uint64_t generation, int err)
{
    char name[32];

    log_files_name(generation, name);
    return log_why(w->why, w->why_size, err, "%s/%s: cannot be read: %s", w->files->dir,
                   name, strerror(errno));
}

static int walk_segment(struct walk *w, uint64_t generation, struct buf *bytes)
{
    struct log_scan s;

    buf_clear(bytes);
    int err = log_files_load(w->files, generation, bytes);
    if (err != 0) return unreadable(w, generation, err);
    err = log_scan_init(&s, buf_bytes(bytes));
    if (err == ERR_CLOSED && w->end->generation == 0) {
        w->visitor->retired(w->visitor->ctx, generation);
        return 0;
    }
    if (err != 0) return header_refused(w, generation, err);
    err = judge_chain(w, generation, &s);
    if (err != 0) return err;
    if (bytes->len < (uint64_t) s.header.size_kib << 10) { /* no crash makes it shorter */
        return damaged(w, generation, bytes->len, "the file was cut off");
    }
    err = w->visitor->segment(w->visitor->ctx, &s.header, bytes->len);
    return err != 0 ? unreadable(w, generation, err) : walk_records(w, &s);
}

int log_walk(const struct log_files *f, const struct log_visitor *visitor,
             struct log_walked *end, char *why, size_t why_size)
{
    struct walk w = { .files = f,
                      .visitor = visitor,
                      .end = end,
                      .why = why,
                      .why_size = why_size };
    struct buf bytes = { 0 };
    uint64_t *generations;
    size_t count;

    *end = (struct log_walked){ 0 };
    int err = log_files_list(f, &generations, &count);
    if (err != 0) {
        log_why(why, why_size, err, "%s: cannot be read: %s", f->dir, strerror(errno));
    }
    for (size_t i = 0; i < count && err == 0; i++) {
        err = walk_segment(&w, generations[i], &bytes);
    }
    free(generations);
    buf_fini(&bytes);
    return err;
}
