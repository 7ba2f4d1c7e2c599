#include "core/log/walk.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "core/base/errors.h"

struct walk {
    const struct log_files *files;
    const struct log_visitor *visitor;
    struct log_walked *end;
    bool header_lost; /* the header of the file before */
    char *why;
    size_t why_size;
};

static int damaged(struct walk *w, uint64_t generation, uint64_t at, const char *what)
{
    char name[32];

    log_files_name(generation, name);
    return log_why(w->why, w->why_size, ERR_DAMAGED,
                   "%s/%s: %s at offset %" PRIu64 LOG_DAMAGE_ADVICE, w->files->dir, name,
                   what, at);
}

/* --- damage that is walked over --- */

bool log_damage_is_harmless(const struct log_damage *d, uint64_t slot)
{
    return d->places == 0 || (d->proven && d->slot_max <= slot);
}

static void note_damage(struct walk *w, uint64_t generation, uint64_t at, const char *what)
{
    struct log_damage *d = &w->end->damage;
    char name[32];

    log_files_name(generation, name);
    d->places++;
    d->proven = false;
    log_why(d->last, sizeof d->last, 0, "%.200s/%s: %s at offset %" PRIu64, w->files->dir,
            name, what, at);
    if (w->visitor->damage != NULL) w->visitor->damage(w->visitor->ctx, d->last);
}

static void note_lost(struct walk *w, uint64_t number)
{
    if (number > w->end->number + 1) w->end->damage.groups += number - w->end->number - 1;
}

/* The prefix that some record or header names, when it is the first behind damage. */
static void note_standing(struct walk *w, uint64_t chosen)
{
    struct log_damage *d = &w->end->damage;

    if (d->proven || d->places == 0) return;
    d->proven = true;
    d->slot_max = chosen + WINDOW_MAX;
}

static void header_lost(struct walk *w, uint64_t generation)
{
    note_damage(w, generation, 0, "a damaged header");
    w->header_lost = true;
    if (w->visitor->lost != NULL) w->visitor->lost(w->visitor->ctx, generation);
}

/* --- segments --- */

static int other_version(struct walk *w, uint64_t generation)
{
    char name[32];

    log_files_name(generation, name);
    return log_why(w->why, w->why_size, ERR_OTHER_VERSION,
                   "%s/%s: written by another version of Tidelock, which this one cannot "
                   "read; use that version",
                   w->files->dir, name);
}

/* Whether segment `s` goes on where the one before it ended. What is missing between them
 * is noted as damage; a segment that does not come later in the chain fits nowhere. */
static int judge_chain(struct walk *w, uint64_t generation, const struct log_scan *s)
{
    const struct log_walked *before = w->end;
    const struct log_segment_header *h = &s->header;

    if (before->generation == 0) return 0;
    if (h->group_first <= before->number) {
        return damaged(w, generation, 0,
                       "a segment that does not follow the one before it");
    }
    if (before->torn_bytes > 0) {
        note_damage(w, before->generation, before->at, "a damaged group");
    } else if (h->group_first > before->number + 1) {
        if (!w->header_lost) {
            note_damage(w, before->generation, before->at,
                        "groups that the next segment goes on from are missing or damaged");
        }
    } else if (h->sum_before != before->sum) {
        return damaged(w, generation, 40, "a segment that goes on from another group");
    }
    note_lost(w, h->group_first);
    return 0;
}

static bool tells_standing(const struct log_record *r)
{
    return r->kind != LOG_START && r->kind != LOG_MARK;
}

static void end_at(struct walk *w, const struct log_scan *s)
{
    struct log_walked *end = w->end;

    end->generation = s->header.generation;
    end->at = s->at;
    end->number = s->number;
    end->sum = s->sum;
}

/* Walks on behind a bad group; false when nothing sound stands behind it. */
static bool walk_over(struct walk *w, struct log_scan *s)
{
    end_at(w, s);
    note_damage(w, s->header.generation, s->at, "a damaged group");
    if (!log_scan_skip(s)) return false;
    note_lost(w, s->number + 1);
    return true;
}

static int walk_records(struct walk *w, struct log_scan *s)
{
    const struct log_visitor *v = w->visitor;
    enum log_verdict verdict;
    struct log_record r;
    struct bytes batch;

    for (;;) {
        verdict = log_scan_next(s, &r, &batch);
        if (verdict == LOG_BAD && s->records.bad) {
            return damaged(w, s->header.generation, s->record, "no record");
        }
        if (verdict == LOG_BAD && walk_over(w, s)) continue;
        if (verdict != LOG_GOOD) break;
        const char *what = v->record(v->ctx, s, &r, batch);
        if (what != NULL) return damaged(w, s->header.generation, s->record, what);
        if (tells_standing(&r)) note_standing(w, r.chosen);
    }
    end_at(w, s);
    w->end->torn_bytes = verdict == LOG_TEAR ? log_scan_torn(s) : 0;
    return 0;
}

static int unreadable(struct walk *w, uint64_t generation, int err)
{
    char name[32];

    log_files_name(generation, name);
    return log_why(w->why, w->why_size, err, "%s/%s: cannot be read: %s" LOG_DAMAGE_ADVICE,
                   w->files->dir, name, strerror(errno));
}

static int walk_segment(struct walk *w, uint64_t generation, struct buf *bytes)
{
    struct log_scan s;

    buf_clear(bytes);
    int err = log_files_load(w->files, generation, bytes);
    if (err != 0) return unreadable(w, generation, err);
    err = log_scan_init(&s, buf_bytes(bytes));
    if (err == ERR_OTHER_VERSION) return other_version(w, generation);
    if (err != 0 || s.header.generation != generation) {
        header_lost(w, generation);
        return 0;
    }
    err = judge_chain(w, generation, &s);
    if (err != 0) return err;
    if (bytes->len < (uint64_t)s.header.size_kib << 10) { /* no crash makes it shorter */
        return damaged(w, generation, bytes->len, "the file was cut off");
    }
    w->header_lost = false;
    note_standing(w, s.header.base.chosen);
    err = w->visitor->segment(w->visitor->ctx, &s.header, bytes->len);
    return err != 0 ? unreadable(w, generation, err) : walk_records(w, &s);
}

int log_walk(const struct log_files *f, const struct log_visitor *visitor,
             struct log_walked *end, char *why, size_t why_size)
{
    struct walk w = {
        .files = f, .visitor = visitor, .end = end, .why = why, .why_size = why_size
    };
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
