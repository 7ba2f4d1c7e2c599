#include "core/state/stage.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "core/base/check.h"
#include "core/base/errors.h"

enum piece_kind { PIECE_BEGIN = 1, PIECE_PUT, PIECE_SEAL, PIECE_DROP, PIECE_SWEEP };

struct piece {
    struct list link;
    enum piece_kind kind;
    struct buf cells;
};

/* --- the thread --- */

static void close_rocks(struct stage *s)
{
    if (s->open) rocks_close(&s->rocks);
    s->open = false;
}

static int failed(char *why, size_t why_size)
{
    int code = errno == ENOSPC || errno == EDQUOT ? ERR_DISK_FULL : ERR_IO;

    snprintf(why, why_size, "the directory beside the state's: %s", strerror(errno));
    return code;
}

static int drop(struct stage *s, char *why, size_t why_size)
{
    close_rocks(s);
    if (state_dirs_remove(s->dirs->stage) == 0) return 0;
    return failed(why, why_size);
}

static int begin(struct stage *s, char *why, size_t why_size)
{
    int code = drop(s, why, why_size);

    if (code != 0) return code;
    if (mkdir(s->dirs->stage, 0700) != 0) return failed(why, why_size);
    code = rocks_open(&s->rocks, s->dirs->stage, why, why_size);
    s->open = code == 0;
    return code;
}

/* RocksDB's flush syncs its files and their directory. */
static int seal(struct stage *s, char *why, size_t why_size)
{
    int code = rocks_try_flush(&s->rocks, why, why_size);

    close_rocks(s);
    return code;
}

static int run_piece(struct stage *s, struct piece *p, char *why, size_t why_size)
{
    switch (p->kind) {
    case PIECE_BEGIN:
        return begin(s, why, why_size);
    case PIECE_PUT:
        return rocks_put_cells(&s->rocks, buf_bytes(&p->cells), why, why_size);
    case PIECE_SEAL:
        return seal(s, why, why_size);
    case PIECE_DROP:
        return drop(s, why, why_size);
    case PIECE_SWEEP: /* what cannot be removed now is removed at the next start */
        (void)state_dirs_remove(s->dirs->old);
        return 0;
    }
    CHECK(false);
}

static bool is_skipped(const struct stage *s, const struct piece *p)
{
    return (p->kind == PIECE_PUT || p->kind == PIECE_SEAL) && s->code != 0;
}

static void piece_free(struct piece *p)
{
    buf_fini(&p->cells);
    free(p);
}

static void do_first(struct stage *s)
{
    struct piece *p = LIST_FIRST(&s->work, struct piece, link);
    char why[STAGE_WHY_MAX] = "";
    bool skip = is_skipped(s, p);
    int code = s->code;

    list_remove(&p->link);
    pthread_mutex_unlock(&s->lock);
    if (!skip) code = run_piece(s, p, why, sizeof why);
    piece_free(p);
    pthread_mutex_lock(&s->lock);
    s->done++;
    s->code = code;
    if (why[0] != '\0') memcpy(s->why, why, sizeof s->why);
}

static void *stage_run(void *arg)
{
    struct stage *s = arg;

    pthread_mutex_lock(&s->lock);
    for (;;) {
        if (!list_empty(&s->work)) {
            do_first(s);
            pthread_mutex_unlock(&s->lock);
            if (s->on_done != NULL) s->on_done(s->ctx);
            pthread_mutex_lock(&s->lock);
        } else if (s->stopping) {
            break;
        } else {
            pthread_cond_wait(&s->wake, &s->lock);
        }
    }
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

/* --- the loop --- */

void stage_init(struct stage *s, const struct state_dirs *dirs)
{
    *s = (struct stage){ .dirs = dirs };
    list_init(&s->work);
    CHECK(pthread_mutex_init(&s->lock, NULL) == 0);
    CHECK(pthread_cond_init(&s->wake, NULL) == 0);
}

static void add(struct stage *s, enum piece_kind kind, struct bytes cells)
{
    struct piece *p = mem_zalloc(sizeof *p);

    p->kind = kind;
    list_init(&p->link);
    buf_put_bytes_raw(&p->cells, cells);
    s->asked++;
    if (!s->started) CHECK(pthread_create(&s->thread, NULL, stage_run, s) == 0);
    s->started = true;
    pthread_mutex_lock(&s->lock);
    list_push(&s->work, &p->link);
    pthread_cond_signal(&s->wake);
    pthread_mutex_unlock(&s->lock);
}

void stage_fini(struct stage *s)
{
    if (s->started) {
        stage_drop(s);
        pthread_mutex_lock(&s->lock);
        s->stopping = true;
        pthread_cond_signal(&s->wake);
        pthread_mutex_unlock(&s->lock);
        CHECK(pthread_join(s->thread, NULL) == 0);
    }
    pthread_cond_destroy(&s->wake);
    pthread_mutex_destroy(&s->lock);
}

void stage_begin(struct stage *s)
{
    add(s, PIECE_BEGIN, (struct bytes){ 0 });
    s->begun = s->asked;
}

void stage_put(struct stage *s, struct bytes cells)
{
    add(s, PIECE_PUT, cells);
}

void stage_seal(struct stage *s)
{
    add(s, PIECE_SEAL, (struct bytes){ 0 });
}

void stage_drop(struct stage *s)
{
    add(s, PIECE_DROP, (struct bytes){ 0 });
}

void stage_sweep(struct stage *s)
{
    add(s, PIECE_SWEEP, (struct bytes){ 0 });
}

int stage_done(struct stage *s, uint64_t *done, char *why, size_t why_size)
{
    int code = 0;

    pthread_mutex_lock(&s->lock);
    *done = s->done > s->begun ? s->done - s->begun : 0;
    if (s->done >= s->begun) code = s->code;
    if (code != 0) snprintf(why, why_size, "%s", s->why);
    pthread_mutex_unlock(&s->lock);
    return code;
}
