#include "core/state/state.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/check.h"
#include "core/base/errors.h"
#include "core/state/behind.h"
#include "core/state/dirs.h"
#include "core/state/rocks.h"
#include "core/state/stage.h"

enum {
    /* A written layer renews the cache in so many turns or somewhat more; in fewer when the
     * next one is large already. One turn's share takes 1 ms at most, mostly. */
    SETTLE_TURNS = 8,
    /* A layer grows to so many times its due size while the one below it is being written.
     * Memory is the bound that holds always, so then the turn waits: the disk has been
     * slower than the log's for seconds. */
    DIRTY_GROWTH_MAX = 16,
};

struct state {
    struct state_config config;
    struct kv_view clean;    /* the cache, and RocksDB below it */
    struct behind behind;    /* on top of that, what is being written behind */
    struct kv_overlay dirty; /* on top of all: applied since */
    struct cache cache;
    struct rocks rocks;
    struct rocks_copy copy; /* for a peer; moment NULL: none is open */
    struct stage stage;     /* from a peer */
    struct state_dirs dirs;
    uint64_t slot;          /* the last that a turn named */
    bool flush_wanted;      /* by state_flush() */
};

static bool clean_get(struct kv_view *v, struct bytes key, uint64_t hash,
                      struct bytes *value)
{
    struct state *s = CONTAINER_OF(v, struct state, clean);

    if (cache_get(&s->cache, key, hash, value)) return true;

    rocksdb_pinnableslice_t *slice = rocks_get(&s->rocks, key, value);
    if (slice == NULL) return false;
    *value = cache_put(&s->cache, key, hash, *value);
    rocksdb_pinnableslice_destroy(slice);
    return true;
}

/* The cache holds nothing that RocksDB does not hold, so only the latter is asked. */
static bool clean_seek(struct kv_view *v, struct bytes prefix, struct bytes from,
                       enum kv_direction direction, struct buf *key)
{
    struct state *s = CONTAINER_OF(v, struct state, clean);

    return rocks_seek(&s->rocks, prefix, from, direction, key);
}

static int code_of_errno(void)
{
    if (errno == ENOSPC || errno == EDQUOT) return ERR_DISK_FULL;
    return errno == EACCES || errno == EPERM || errno == EROFS ? ERR_NOT_PERMITTED : ERR_IO;
}

static int make_dir(const char *dir, char *why, size_t why_size)
{
    struct stat st;
    bool there = mkdir(dir, 0700) == 0 || errno == EEXIST;

    if (there && stat(dir, &st) == 0 && !S_ISDIR(st.st_mode)) {
        errno = ENOTDIR;
        there = false;
    }
    if (there && access(dir, R_OK | W_OK | X_OK) == 0) return 0;
    int code = code_of_errno();
    snprintf(why, why_size, "%s: the state's directory cannot be used: %s", dir,
             strerror(errno));
    return code;
}

/* What a crash left of a change of directories is ended first. */
static int settle_dirs(struct state *s, const char *dir, char *why, size_t why_size)
{
    int err = state_dirs_init(&s->dirs, dir);

    if (err == 0) err = state_dirs_settle(&s->dirs);
    if (err != 0) {
        snprintf(why, why_size, "%s: what is left of an earlier state beside it cannot be "
                                "removed or moved: %s",
                 dir, strerror(errno));
    }
    return err;
}

/* RocksDB, and what lies on it. */
static int open_layers(struct state *s, char *why, size_t why_size)
{
    int err = rocks_open(&s->rocks, s->dirs.now, why, why_size);

    if (err != 0) return err;
    cache_init(&s->cache, s->config.cache_bytes);
    behind_init(&s->behind, &s->rocks, &s->clean, s->config.seed);
    s->behind.on_flushed = s->config.on_flushed;
    s->behind.ctx = s->config.ctx;
    s->slot = 0;
    s->flush_wanted = false;
    return 0;
}

static void close_layers(struct state *s)
{
    state_copy_close(s);
    behind_fini(&s->behind);
    rocks_close(&s->rocks);
    cache_fini(&s->cache);
}

int state_open(const struct state_config *config, struct state **state, char *why,
               size_t why_size)
{
    struct state *s = mem_zalloc(sizeof *s);

    *state = NULL;
    s->config = *config;
    s->config.dir = NULL; /* borrowed for the call only */
    s->clean = (struct kv_view){ config->seed, clean_get, clean_seek };
    int err = settle_dirs(s, config->dir, why, why_size);
    if (err == 0) err = make_dir(config->dir, why, why_size);
    if (err == 0) err = open_layers(s, why, why_size);
    if (err != 0) {
        free(s);
        return err;
    }
    kv_overlay_init(&s->dirty, &s->behind.frozen.view, config->seed);
    stage_init(&s->stage, &s->dirs);
    s->stage.on_done = config->on_flushed;
    s->stage.ctx = config->ctx;
    *state = s;
    return 0;
}

struct kv_overlay *state_applied(struct state *s)
{
    return &s->dirty;
}

/* All that is dirty is frozen, if it may be now; R1. */
static bool freeze(struct state *s)
{
    if (s->dirty.count == 0) return true;
    if (behind_phase(&s->behind) != BEHIND_EMPTY) return false;
    behind_freeze(&s->behind, &s->dirty, s->slot);
    return true;
}

/* Waits for the writing threads: at the end, and when memory is at its bound. */
static void empty_behind(struct state *s)
{
    behind_wait(&s->behind);
    behind_settle(&s->behind, &s->cache, SIZE_MAX);
    CHECK(behind_phase(&s->behind) == BEHIND_EMPTY);
}

static void write_behind_when_due(struct state *s)
{
    if (s->dirty.bytes >= DIRTY_GROWTH_MAX * s->config.dirty_bytes) empty_behind(s);
    if (s->dirty.bytes >= s->config.dirty_bytes || s->flush_wanted) {
        if (freeze(s)) s->flush_wanted = false;
    }
}

void state_turn(struct state *s, uint64_t slot)
{
    CHECK(slot >= s->slot);
    s->slot = slot;
    if (rocks_asks(&s->rocks) && s->copy.moment == NULL) rocks_mend(&s->rocks);
    behind_settle(&s->behind, &s->cache,
                  (s->config.dirty_bytes + s->dirty.bytes) / SETTLE_TURNS);
    write_behind_when_due(s);
    cache_trim(&s->cache);
}

bool state_full(const struct state *s)
{
    return atomic_load(&s->rocks.full);
}

uint64_t state_flushed(const struct state *s)
{
    return atomic_load(&s->behind.flushed);
}

void state_flush(struct state *s, uint64_t slot)
{
    s->flush_wanted = true;
    state_turn(s, slot);
}

void state_close(struct state *s)
{
    rocks_close_soon(&s->rocks);
    empty_behind(s);
    freeze(s);
    stage_fini(&s->stage);
    close_layers(s);
    kv_overlay_fini(&s->dirty);
    free(s);
}

/* --- for a peer --- */

void state_copy_open(struct state *s)
{
    CHECK(s->copy.moment == NULL);
    rocks_copy_open(&s->rocks, &s->copy);
}

bool state_copy_get(struct state *s, struct bytes key, struct buf *value)
{
    return rocks_copy_get(&s->rocks, &s->copy, key, value);
}

bool state_copy_read(struct state *s, struct bytes after, size_t bytes_aim,
                     struct buf *cells)
{
    struct buf last = { 0 };
    struct bytes key, value;
    size_t start = cells->len;

    buf_put_bytes_raw(&last, after);
    while (rocks_copy_next(&s->copy, buf_bytes(&last), &key, &value)) {
        if (cells->len > start && cells->len - start + key.len + value.len > bytes_aim) {
            buf_fini(&last);
            return false;
        }
        buf_put_bytes(cells, key);
        buf_put_bytes(cells, value);
        buf_clear(&last);
        buf_put_bytes_raw(&last, key);
    }
    buf_fini(&last);
    return true;
}

void state_copy_close(struct state *s)
{
    if (s->copy.moment != NULL) rocks_copy_close(&s->rocks, &s->copy);
}

/* --- from a peer --- */

void state_stage_begin(struct state *s)
{
    stage_begin(&s->stage);
}

void state_stage_put(struct state *s, struct bytes cells)
{
    stage_put(&s->stage, cells);
}

void state_stage_seal(struct state *s)
{
    stage_seal(&s->stage);
}

void state_stage_drop(struct state *s)
{
    stage_drop(&s->stage);
}

int state_staged(struct state *s, uint64_t *done, char *why, size_t why_size)
{
    return stage_done(&s->stage, done, why, why_size);
}

int state_install(struct state *s, char *why, size_t why_size)
{
    kv_overlay_clear(&s->dirty);
    close_layers(s);
    int err = state_dirs_swap(&s->dirs);
    if (err != 0) {
        snprintf(why, why_size, "%s: a state that came from a peer cannot be put there: %s",
                 s->dirs.now, strerror(errno));
        return err;
    }
    stage_sweep(&s->stage);
    return open_layers(s, why, why_size);
}
