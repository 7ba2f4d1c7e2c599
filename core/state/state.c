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
#include "core/state/rocks.h"

enum {
    /* A flush is due when so much was written behind since the last. It bounds what a
     * restart must take from the log again. */
    FLUSH_BYTES = 16 << 20,
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
    uint64_t slot;          /* the last that a turn named */
    size_t bytes_unflushed; /* frozen since a flush was last asked for */
    bool flush_wanted;      /* by state_flush() */
    uint64_t refreshed;     /* flushes_done when the iterator was last let go */
};

static bool clean_get(struct kv_view *v, struct bytes key, struct bytes *value)
{
    struct state *s = CONTAINER_OF(v, struct state, clean);

    if (!cache_get(&s->cache, key, value)) {
        /* Absence is kept too: resolving asks for many keys that are not there yet. */
        rocksdb_pinnableslice_t *slice = rocks_get(&s->rocks, key, value);
        *value = cache_put(&s->cache, key, *value);
        if (slice != NULL) rocksdb_pinnableslice_destroy(slice);
    }
    return value->ptr != NULL;
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

int state_open(const struct state_config *config, struct state **state, char *why,
               size_t why_size)
{
    struct state *s = mem_zalloc(sizeof *s);

    *state = NULL;
    s->config = *config;
    int err = make_dir(config->dir, why, why_size);
    if (err == 0) err = rocks_open(&s->rocks, config->dir, why, why_size);
    if (err != 0) {
        free(s);
        return err;
    }
    s->config.dir = NULL; /* borrowed for the call only */
    s->clean = (struct kv_view){ .get = clean_get, .seek = clean_seek };
    cache_init(&s->cache, config->cache_bytes, config->seed);
    behind_init(&s->behind, &s->rocks, &s->clean, config->seed);
    s->behind.on_flushed = config->on_flushed;
    s->behind.ctx = config->ctx;
    kv_overlay_init(&s->dirty, &s->behind.frozen.view, config->seed);
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
    s->bytes_unflushed += s->dirty.bytes;
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

static void ask_for_flush(struct state *s)
{
    s->bytes_unflushed = 0;
    s->flush_wanted = false;
    behind_flush(&s->behind);
}

static void write_behind_when_due(struct state *s)
{
    if (s->dirty.bytes >= DIRTY_GROWTH_MAX * s->config.dirty_bytes) empty_behind(s);
    if (s->dirty.bytes >= s->config.dirty_bytes || s->flush_wanted) {
        if (freeze(s) && s->flush_wanted) ask_for_flush(s);
    }
    if (s->bytes_unflushed >= FLUSH_BYTES) ask_for_flush(s);
}

void state_turn(struct state *s, uint64_t slot)
{
    CHECK(slot >= s->slot);
    s->slot = slot;
    behind_settle(&s->behind, &s->cache,
                  (s->config.dirty_bytes + s->dirty.bytes) / SETTLE_TURNS);
    write_behind_when_due(s);

    /* An iterator keeps alive what it saw: buffers that are on disk by now. */
    uint64_t done = atomic_load(&s->behind.flushes_done);
    if (done != s->refreshed) rocks_refresh(&s->rocks);
    s->refreshed = done;
    cache_trim(&s->cache);
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

/* What is dirty at the end was applied with slots that no turn has named yet, perhaps, so
 * the end flushes whatever the slots say. */
void state_close(struct state *s)
{
    empty_behind(s);
    freeze(s);
    behind_flush(&s->behind);
    behind_fini(&s->behind);
    rocks_close(&s->rocks);
    kv_overlay_fini(&s->dirty);
    cache_fini(&s->cache);
    free(s);
}
