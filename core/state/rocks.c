#include "core/state/rocks.h"

#include <stdio.h>
#include <unistd.h>

#include "core/base/check.h"
#include "core/base/errors.h"
#include "core/base/log.h"

enum {
    BLOCK_CACHE_BYTES = 4 << 20, /* small: the cells in use are in our own cache */
    WRITE_BUFFER_BYTES = 8 << 20,
    WRITE_BUFFERS_MAX = 3,
    OPEN_FILES_MAX = 128,
    BLOOM_BITS = 10, /* of a key; 1 % of the questions for absent keys read a block */
    INFO_LOG_WARN = 2,
    INFO_LOG_BYTES = 1 << 20,
    INFO_LOGS_MAX = 2,
    L0_FILES_COMPACT = 8,
    /* A write that RocksDB holds up lets the changes in memory grow, so that is the last
     * resort; long before it, reads have become slow. */
    L0_FILES_SLOW = 40,
    L0_FILES_STOP = 80,
};

/* Not CHECK: the disk is the world. Going on is no choice: a server that cannot read or
 * write its state must not answer, and the log gives all of it back at the next start. */
static void stop_if_failed(const char *what, const char *error)
{
    if (error == NULL) return;
    log_line(
        LOG_ERROR, "state",
        "msg=\"%s; the process stops, the log holds what is not on disk\" error=\"%s\"",
        what, error);
    _exit(70);
}

/* Most keys that RocksDB is asked for are of nodes about to be created: this share of each
 * write buffer says at once that it does not hold them. */
#define BUFFER_BLOOM_SHARE 0.05

static void set_options(struct rocks *r)
{
    rocksdb_options_t *o = r->options = rocksdb_options_create();
    rocksdb_block_based_table_options_t *t = r->table =
        rocksdb_block_based_options_create();

    r->blocks = rocksdb_cache_create_lru(BLOCK_CACHE_BYTES);
    rocksdb_block_based_options_set_block_cache(t, r->blocks);
    rocksdb_block_based_options_set_filter_policy(
        t, rocksdb_filterpolicy_create_bloom_full(BLOOM_BITS)); /* now owned by `t` */
    rocksdb_options_set_block_based_table_factory(o, t);
    rocksdb_options_set_create_if_missing(o, 1);
    rocksdb_options_set_paranoid_checks(o, 1);
    rocksdb_options_set_compression(o, rocksdb_no_compression);
    rocksdb_options_set_write_buffer_size(o, WRITE_BUFFER_BYTES);
    rocksdb_options_set_max_write_buffer_number(o, WRITE_BUFFERS_MAX);
    rocksdb_options_set_max_open_files(o, OPEN_FILES_MAX);
    rocksdb_options_set_max_background_jobs(o, 2);
    rocksdb_options_set_memtable_prefix_bloom_size_ratio(o, BUFFER_BLOOM_SHARE);
    rocksdb_options_set_memtable_whole_key_filtering(o, 1);
    rocksdb_options_set_level0_file_num_compaction_trigger(o, L0_FILES_COMPACT);
    rocksdb_options_set_level0_slowdown_writes_trigger(o, L0_FILES_SLOW);
    rocksdb_options_set_level0_stop_writes_trigger(o, L0_FILES_STOP);
    rocksdb_options_set_bytes_per_sync(o, 1 << 20);
    rocksdb_options_set_info_log_level(o, INFO_LOG_WARN);
    rocksdb_options_set_max_log_file_size(o, INFO_LOG_BYTES);
    rocksdb_options_set_keep_log_file_num(o, INFO_LOGS_MAX);
    rocksdb_options_set_stats_dump_period_sec(o, 0);
    rocksdb_options_set_skip_stats_update_on_db_open(o, 1);
}

/* RocksDB tells errors as text only; these words are what its code prints. */
static int code_of(const char *error)
{
    if (strstr(error, "LOCK") != NULL || strstr(error, "lock ") != NULL) return ERR_IN_USE;
    if (strncmp(error, "Corruption", 10) == 0) return ERR_DAMAGED;
    if (strstr(error, "No space left") != NULL) return ERR_DISK_FULL;
    if (strstr(error, "Permission denied") != NULL) return ERR_NOT_PERMITTED;
    if (strstr(error, "Read-only file system") != NULL) return ERR_NOT_PERMITTED;
    return ERR_IO;
}

static const char *advice(int code)
{
    switch (code) {
    case ERR_IN_USE:
        return "another process uses this state";
    case ERR_DAMAGED:
        return "this state is damaged; keep this server off, the others go on without it, "
               "or restore the directory";
    case ERR_DISK_FULL:
        return "no space is left on the disk";
    case ERR_NOT_PERMITTED:
        return "this directory may not be used; check its owner and rights";
    default:
        return "this state cannot be opened";
    }
}

static void destroy_options(struct rocks *r)
{
    if (r->reading != NULL) rocksdb_readoptions_destroy(r->reading);
    if (r->listing != NULL) rocksdb_readoptions_destroy(r->listing);
    if (r->writing != NULL) rocksdb_writeoptions_destroy(r->writing);
    if (r->flushing != NULL) rocksdb_flushoptions_destroy(r->flushing);
    rocksdb_block_based_options_destroy(r->table);
    rocksdb_options_destroy(r->options);
    rocksdb_cache_destroy(r->blocks);
    buf_fini(&r->prefix);
    buf_fini(&r->prefix_end);
    *r = (struct rocks){ 0 };
}

int rocks_open(struct rocks *r, const char *dir, char *why, size_t why_size)
{
    char *error = NULL;

    *r = (struct rocks){ 0 };
    set_options(r);
    r->db = rocksdb_open(r->options, dir, &error);
    if (error != NULL) {
        int code = code_of(error);
        snprintf(why, why_size, "%s: %s (%s)", dir, advice(code), error);
        rocksdb_free(error);
        destroy_options(r);
        return code;
    }
    r->reading = rocksdb_readoptions_create(); /* verifies the blocks' checksums */
    r->listing = rocksdb_readoptions_create();
    r->writing = rocksdb_writeoptions_create();
    rocksdb_writeoptions_disable_WAL(r->writing, 1); /* the Paxos log is the truth */
    r->flushing = rocksdb_flushoptions_create();
    rocksdb_flushoptions_set_wait(r->flushing, 1);
    return 0;
}

void rocks_close(struct rocks *r)
{
    CHECK(r->batch == NULL);
    rocks_refresh(r);
    rocksdb_close(r->db);
    destroy_options(r);
}

rocksdb_pinnableslice_t *rocks_get(struct rocks *r, struct bytes key, struct bytes *value)
{
    char *error = NULL;
    rocksdb_pinnableslice_t *slice =
        rocksdb_get_pinned(r->db, r->reading, (const char *) key.ptr, key.len, &error);

    stop_if_failed("the state could not be read", error);
    *value = (struct bytes){ 0 };
    if (slice != NULL) {
        value->ptr = (const uint8_t *) rocksdb_pinnableslice_value(slice, &value->len);
    }
    return slice;
}

static bool iterator_key(const struct rocks *r, struct bytes *key)
{
    if (!rocksdb_iter_valid(r->iterator)) {
        char *error = NULL;
        rocksdb_iter_get_error(r->iterator, &error);
        stop_if_failed("the state could not be listed", error);
        return false;
    }
    key->ptr = (const uint8_t *) rocksdb_iter_key(r->iterator, &key->len);
    return true;
}

/* Moves to the nearest key beyond `from`. A listing asks on from the key it was given last,
 * and there the iterator still stands: one step is far cheaper than a seek. */
static bool iterator_move(struct rocks *r, struct bytes from, enum kv_direction direction,
                          struct bytes *key)
{
    rocksdb_iterator_t *it = r->iterator;

    if (!rocksdb_iter_valid(it) || !iterator_key(r, key) || !bytes_equal(*key, from)) {
        if (direction == KV_FORWARD) {
            rocksdb_iter_seek(it, (const char *) from.ptr, from.len);
        } else {
            rocksdb_iter_seek_for_prev(it, (const char *) from.ptr, from.len);
        }
        if (!iterator_key(r, key)) return false;
        if (!bytes_equal(*key, from)) return true;
    }
    if (direction == KV_FORWARD) {
        rocksdb_iter_next(it);
    } else {
        rocksdb_iter_prev(it);
    }
    return iterator_key(r, key);
}

/* Bounded by its prefix: without that, a seek behind the last key of a prefix would walk
 * over the marks of everything that was deleted in the prefixes after it. */
static void iterator_make(struct rocks *r, struct bytes prefix)
{
    rocks_refresh(r);
    buf_clear(&r->prefix);
    buf_put_bytes_raw(&r->prefix, prefix);
    kv_prefix_end(prefix, &r->prefix_end);
    rocksdb_readoptions_set_iterate_lower_bound(r->listing, (const char *) r->prefix.ptr,
                                                r->prefix.len);
    rocksdb_readoptions_set_iterate_upper_bound(
        r->listing, (const char *) r->prefix_end.ptr, r->prefix_end.len);
    r->iterator = rocksdb_create_iterator(r->db, r->listing);
}

bool rocks_seek(struct rocks *r, struct bytes prefix, struct bytes from,
                enum kv_direction direction, struct buf *key)
{
    struct bytes at;

    if (r->iterator == NULL || !bytes_equal(buf_bytes(&r->prefix), prefix)) {
        iterator_make(r, prefix);
    }
    buf_clear(key);
    if (!iterator_move(r, from, direction, &at)) return false;
    buf_put_bytes_raw(key, at);
    return true;
}

void rocks_refresh(struct rocks *r)
{
    if (r->iterator == NULL) return;
    rocksdb_iter_destroy(r->iterator);
    r->iterator = NULL;
}

void rocks_gather(struct rocks *r, struct bytes key, struct bytes value)
{
    if (r->batch == NULL) r->batch = rocksdb_writebatch_create();
    if (value.ptr != NULL) {
        rocksdb_writebatch_put(r->batch, (const char *) key.ptr, key.len,
                               (const char *) value.ptr, value.len);
    } else {
        rocksdb_writebatch_delete(r->batch, (const char *) key.ptr, key.len);
    }
}

void rocks_write(struct rocks *r)
{
    char *error = NULL;

    if (r->batch == NULL) return;
    rocksdb_write(r->db, r->writing, r->batch, &error);
    stop_if_failed("the state could not be written", error);
    rocksdb_writebatch_destroy(r->batch);
    r->batch = NULL;
}

void rocks_flush(struct rocks *r)
{
    char *error = NULL;

    rocksdb_flush(r->db, r->flushing, &error);
    stop_if_failed("the state could not be flushed", error);
}
