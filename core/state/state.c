#include "core/state/state.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/check.h"
#include "core/base/errors.h"
#include "core/state/cache.h"
#include "core/state/rocks.h"

/* A flush is due when so much was written behind since the last. It bounds what a restart
 * must take from the log again. */
enum { FLUSH_BYTES = 16 << 20 };

struct state {
    struct state_config config;
    struct kv_view clean;   /* the cache, and RocksDB below it */
    struct kv_overlay dirty; /* applied and not yet written behind */
    struct cache cache;
    struct rocks rocks;
    uint64_t slot;          /* the last that a turn named */
    uint64_t slot_written;  /* written behind up to here */
    uint64_t writes;        /* how often something was written behind */
    size_t bytes_unflushed; /* written behind since a flush was last asked for */
    uint64_t refreshed;     /* flushes_done when the iterator was last let go */

    pthread_t thread; /* flushes */
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct {
        uint64_t writes, slot; /* as they were when the flush was asked for */
    } wanted;      /* under `lock` */
    bool stopping; /* under `lock` */
    _Atomic uint64_t flushed; /* a slot */
    _Atomic uint64_t flushes_done;
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

static void *flush_run(void *arg)
{
    struct state *s = arg;
    uint64_t writes_done = 0;

    pthread_mutex_lock(&s->lock);
    for (;;) {
        uint64_t slot = s->wanted.slot;
        if (s->wanted.writes == writes_done) {
            if (s->stopping) break;
            pthread_cond_wait(&s->wake, &s->lock);
            continue;
        }
        writes_done = s->wanted.writes;
        pthread_mutex_unlock(&s->lock);
        rocks_flush(&s->rocks);
        atomic_store(&s->flushed, slot);
        atomic_fetch_add(&s->flushes_done, 1);
        if (s->config.on_flushed != NULL) s->config.on_flushed(s->config.ctx);
        pthread_mutex_lock(&s->lock);
    }
    pthread_mutex_unlock(&s->lock);
    return NULL;
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
    kv_overlay_init(&s->dirty, &s->clean, config->seed);
    CHECK(pthread_mutex_init(&s->lock, NULL) == 0);
    CHECK(pthread_cond_init(&s->wake, NULL) == 0);
    CHECK(pthread_create(&s->thread, NULL, flush_run, s) == 0);
    *state = s;
    return 0;
}

struct kv_overlay *state_applied(struct state *s)
{
    return &s->dirty;
}

static void write_cell(void *ctx, struct bytes key, struct bytes value, uint64_t stamp)
{
    struct state *s = ctx;

    (void) stamp;
    rocks_gather(&s->rocks, key, value);
    cache_put(&s->cache, key, value);
}

/* R1: all that is dirty in one atomic write. The cells go on as clean ones. */
static void write_behind(struct state *s, uint64_t slot)
{
    if (s->dirty.count == 0) return;
    kv_overlay_each(&s->dirty, write_cell, s);
    rocks_write(&s->rocks);
    s->bytes_unflushed += s->dirty.bytes;
    s->slot_written = slot;
    s->writes++;
    kv_overlay_clear(&s->dirty);
}

static void ask_for_flush(struct state *s)
{
    s->bytes_unflushed = 0;
    pthread_mutex_lock(&s->lock);
    s->wanted.writes = s->writes;
    s->wanted.slot = s->slot_written;
    pthread_cond_signal(&s->wake);
    pthread_mutex_unlock(&s->lock);
}

void state_turn(struct state *s, uint64_t slot)
{
    CHECK(slot >= s->slot);
    s->slot = slot;
    if (s->dirty.bytes >= s->config.dirty_bytes) write_behind(s, slot);
    if (s->bytes_unflushed >= FLUSH_BYTES) ask_for_flush(s);

    /* An iterator keeps alive what it saw: buffers that are on disk by now. */
    uint64_t done = atomic_load(&s->flushes_done);
    if (done != s->refreshed) rocks_refresh(&s->rocks);
    s->refreshed = done;
    cache_trim(&s->cache);
}

uint64_t state_flushed(const struct state *s)
{
    return atomic_load(&s->flushed);
}

void state_flush(struct state *s, uint64_t slot)
{
    CHECK(slot >= s->slot);
    s->slot = slot;
    write_behind(s, slot);
    ask_for_flush(s);
    cache_trim(&s->cache);
}

/* What is dirty at the end was applied with slots that no turn has named yet, perhaps, so
 * the end flushes whatever the slots say. */
void state_close(struct state *s)
{
    write_behind(s, s->slot);
    pthread_mutex_lock(&s->lock);
    s->stopping = true;
    pthread_cond_signal(&s->wake);
    pthread_mutex_unlock(&s->lock);
    CHECK(pthread_join(s->thread, NULL) == 0);
    rocks_flush(&s->rocks);
    rocks_close(&s->rocks);
    kv_overlay_fini(&s->dirty);
    cache_fini(&s->cache);
    pthread_cond_destroy(&s->wake);
    pthread_mutex_destroy(&s->lock);
    free(s);
}
