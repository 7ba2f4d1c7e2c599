#include "core/state/rocks.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "core/base/check.h"
#include "core/base/errors.h"
#include "core/base/log.h"

enum {
    BLOCK_CACHE_BYTES = 4 << 20, /* small: the cells in use are in our own cache */
    WRITE_BUFFER_BYTES = 8 << 20, /* of a new state; else nothing goes through it */
    WRITE_BUFFERS_MAX = 3,
    OPEN_FILES_MAX = 512, /* an open file takes some 50 kB of memory */
    BLOOM_BITS = 14, /* of a key; 0.1 % of the questions for absent keys read a block */
    INFO_LOG_WARN = 2,
    INFO_LOG_BYTES = 1 << 20,
    INFO_LOGS_MAX = 2,
    SPACE_LOOK_MS = 200,
    SPACE_BYTES_MIN = 2 << 20, /* to open it, and beside each write */
    SPACE_COMPACT_BYTES = 256 << 20, /* kept free for it to compact in, at most */
    /* Every write leaves some small files there, which few questions have to look into; to
     * compact at each of them would cost more than all else. */
    L0_FILES_COMPACT = 32,
    /* A write that RocksDB holds up lets the changes in memory grow, so that is the last
     * resort; long before it, reads have become slow. */
    L0_FILES_SLOW = 100,
    L0_FILES_STOP = 200,
    ADVICE_BYTES = 128 << 10, /* what the system reads ahead at once, by default */
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
    if (r->files != NULL) rocksdb_envoptions_destroy(r->files);
    if (r->taking_in != NULL) rocksdb_ingestexternalfileoptions_destroy(r->taking_in);
    rocksdb_block_based_options_destroy(r->table);
    rocksdb_options_destroy(r->options);
    rocksdb_cache_destroy(r->blocks);
    buf_fini(&r->prefix);
    buf_fini(&r->prefix_end);
    sorted_fini(&r->gathered);
    free(r->dir);
    *r = (struct rocks){ 0 };
}

enum { PART_NAME_MAX = 4300 };

static void part_name(const struct rocks *r, size_t part, char name[PART_NAME_MAX])
{
    snprintf(name, PART_NAME_MAX, "%s/behind-%zu.tmp", r->dir, part);
}

/* What a crash left of a write. */
static void remove_parts(const struct rocks *r)
{
    char name[PART_NAME_MAX];

    for (size_t i = 0; i < SORTED_PARTS_MAX; i++) {
        part_name(r, i, name);
        unlink(name);
    }
}

/* RocksDB takes files by another name for them, and syncs that too. */
static void make_tools(struct rocks *r)
{
    r->reading = rocksdb_readoptions_create(); /* verifies the blocks' checksums */
    r->listing = rocksdb_readoptions_create();
    r->writing = rocksdb_writeoptions_create();
    rocksdb_writeoptions_disable_WAL(r->writing, 1); /* the Paxos log is the truth */
    r->flushing = rocksdb_flushoptions_create();
    rocksdb_flushoptions_set_wait(r->flushing, 1);
    r->files = rocksdb_envoptions_create();
    r->taking_in = rocksdb_ingestexternalfileoptions_create();
    rocksdb_ingestexternalfileoptions_set_move_files(r->taking_in, 1);
}

static void set_full(struct rocks *r, bool full)
{
    if (atomic_exchange(&r->full, full) == full) return;
    log_line(full ? LOG_ERROR : LOG_INFO, "state", "msg=\"%s\"",
             full ? "no space left on the disk; writes are refused until there is"
                  : "space on the disk again");
}

static uint64_t space_of(const struct rocks *r)
{
    struct statvfs disk;

    if (fstatvfs(r->dir_fd, &disk) != 0) return UINT64_MAX; /* a write will tell */
    return (uint64_t) disk.f_bavail * disk.f_frsize;
}

/* To open it RocksDB writes some files, and does not survive that there is no room for them:
 * a process that dies of it comes back here, and loses nothing. NULL: *error says why. */
static rocksdb_t *open_somehow(struct rocks *r, char **error)
{
    bool room = space_of(r) >= SPACE_BYTES_MIN;

    atomic_store(&r->phase, room ? ROCKS_SOUND : ROCKS_BROKEN);
    if (room) return rocksdb_open(r->options, r->dir, error);
    set_full(r, true);
    return rocksdb_open_for_read_only(r->options, r->dir, 0, error);
}

static int refuse_open(struct rocks *r, char *error, char *why, size_t why_size)
{
    int code = atomic_load(&r->full) ? ERR_DISK_FULL : code_of(error);

    snprintf(why, why_size, "%s: %s (%s)", r->dir, advice(code), error);
    rocksdb_free(error);
    close(r->dir_fd);
    destroy_options(r);
    return code;
}

int rocks_open(struct rocks *r, const char *dir, char *why, size_t why_size)
{
    char *error = NULL;

    *r = (struct rocks){ .dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC) };
    set_options(r);
    r->dir = mem_alloc(strlen(dir) + 1);
    memcpy(r->dir, dir, strlen(dir) + 1);
    remove_parts(r); /* before: they take room */
    r->db = open_somehow(r, &error);
    if (r->db == NULL) return refuse_open(r, error, why, why_size);
    make_tools(r);
    return 0;
}

bool rocks_asks(const struct rocks *r)
{
    return atomic_load(&r->phase) == ROCKS_ASKS;
}

void rocks_mend(struct rocks *r)
{
    char *error = NULL;

    CHECK(rocks_asks(r));
    rocks_refresh(r);
    rocksdb_close(r->db);
    r->db = open_somehow(r, &error);
    stop_if_failed("the state could not be opened anew", error);
}

void rocks_close(struct rocks *r)
{
    rocks_refresh(r);
    rocksdb_close(r->db);
    if (r->dir_fd >= 0) close(r->dir_fd);
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

static void iterator_drop(struct rocks *r)
{
    if (r->iterator == NULL) return;
    rocksdb_iter_destroy(r->iterator);
    r->iterator = NULL;
}

/* Bounded by its prefix: without that, a seek behind the last key of a prefix would walk
 * over the marks of everything that was deleted in the prefixes after it. */
static void iterator_make(struct rocks *r, struct bytes prefix)
{
    iterator_drop(r);
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
    struct bytes at = { 0 };

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
    iterator_drop(r);
}

static uint64_t property(const struct rocks *r, const char *name)
{
    uint64_t value = 0;

    return rocksdb_property_int(r->db, name, &value) == 0 ? value : 0;
}

/* Whether the disk has what RocksDB may need for all that it was given and is given now: it
 * does not always survive a write that fails for lack of space, so none may be begun. */
static bool has_space(const struct rocks *r)
{
    uint64_t needs = SPACE_BYTES_MIN, files = property(r, "rocksdb.total-sst-files-size");

    needs += 2 * r->gathered.bytes;
    needs += files < SPACE_COMPACT_BYTES ? files : SPACE_COMPACT_BYTES;
    return space_of(r) >= needs;
}

/* Whether a write may be tried now. */
static bool may_write(struct rocks *r)
{
    if (rocks_asks(r) || !has_space(r)) return false;
    if (atomic_load(&r->phase) == ROCKS_SOUND) return true;
    atomic_store(&r->phase, ROCKS_ASKS);
    return false;
}

/* False: it is given up, because the server stops. */
static bool wait_for_space(struct rocks *r)
{
    const struct timespec pause = { .tv_nsec = SPACE_LOOK_MS * 1000000L };

    while (!atomic_load(&r->gave_up) && !may_write(r)) {
        set_full(r, true);
        if (atomic_load(&r->closing)) atomic_store(&r->gave_up, true);
        nanosleep(&pause, NULL);
    }
    if (atomic_load(&r->gave_up)) return false;
    set_full(r, false);
    return true;
}

void rocks_gather(struct rocks *r, const struct kv_change *change)
{
    sorted_add(&r->gathered, change);
}

static void write_cell(rocksdb_sstfilewriter_t *w, const struct kv_change *c, char **error)
{
    if (c->value.ptr != NULL) {
        rocksdb_sstfilewriter_put(w, (const char *) c->key.ptr, c->key.len,
                                  (const char *) c->value.ptr, c->value.len, error);
    } else {
        rocksdb_sstfilewriter_delete(w, (const char *) c->key.ptr, c->key.len, error);
    }
}

/* RocksDB tells the system to forget what it has written to such a file, and the C API has
 * no way to forbid it. What was just written is what is asked for next, and each such question
 * would be a read from the disk, in the loop: with a million nodes, 5,700 sets a second in
 * place of 17,700. So the system is asked to read it again, in the background; it takes only
 * so much of each such advice. Nothing rests on it. */
static void want_in_memory(const char *name)
{
    const int fd = open(name, O_RDONLY | O_CLOEXEC);
    const off_t size = fd < 0 ? 0 : lseek(fd, 0, SEEK_END);

    for (off_t at = 0; at < size; at += ADVICE_BYTES) {
        (void)posix_fadvise(fd, at, ADVICE_BYTES, POSIX_FADV_WILLNEED);
    }
    if (fd >= 0) close(fd);
}

/* The cells first..end-1 as one file, synced. */
static char *write_part(struct rocks *r, size_t first, size_t end, const char *name)
{
    rocksdb_sstfilewriter_t *w = rocksdb_sstfilewriter_create(r->files, r->options);
    char *error = NULL;

    rocksdb_sstfilewriter_open(w, name, &error);
    for (size_t i = first; i < end && error == NULL; i++) {
        write_cell(w, &r->gathered.cells[i], &error);
    }
    if (error == NULL) rocksdb_sstfilewriter_finish(w, &error);
    rocksdb_sstfilewriter_destroy(w);
    if (error == NULL) want_in_memory(name);
    return error;
}

/* True when it wrote all; false, when there was no space for it. */
static bool judge_write(struct rocks *r, char *error)
{
    if (error == NULL) return true;
    if (code_of(error) != ERR_DISK_FULL) stop_if_failed("the state could not be written", error);
    log_line(LOG_WARN, "state", "msg=\"a write found no space, and is repeated\" error=\"%s\"",
             error);
    rocksdb_free(error);
    remove_parts(r);
    atomic_store(&r->phase, ROCKS_BROKEN);
    return false;
}

static bool write_gathered(struct rocks *r)
{
    char names[SORTED_PARTS_MAX][PART_NAME_MAX];
    const char *list[SORTED_PARTS_MAX];
    size_t first[SORTED_PARTS_MAX + 1];
    size_t count = sorted_part(&r->gathered, first);
    char *error = NULL;

    first[count] = r->gathered.count;
    for (size_t i = 0; i < count && error == NULL; i++) {
        list[i] = names[i];
        part_name(r, i, names[i]);
        error = write_part(r, first[i], first[i + 1], names[i]);
    }
    if (error == NULL) rocksdb_ingest_external_file(r->db, list, count, r->taking_in, &error);
    return judge_write(r, error);
}

/* One that failed may have happened all the same: to do it again changes nothing then. */
bool rocks_write(struct rocks *r)
{
    bool written = false;

    while (!written && wait_for_space(r)) {
        written = r->gathered.count == 0 || write_gathered(r);
    }
    sorted_fini(&r->gathered);
    return written;
}

void rocks_close_soon(struct rocks *r)
{
    atomic_store(&r->closing, true);
}

/* --- a copy --- */

enum { COPY_READAHEAD_BYTES = 512 << 10 };

void rocks_copy_open(struct rocks *r, struct rocks_copy *c)
{
    c->moment = rocksdb_create_snapshot(r->db);
    c->reading = rocksdb_readoptions_create();
    rocksdb_readoptions_set_snapshot(c->reading, c->moment);
    rocksdb_readoptions_set_fill_cache(c->reading, 0); /* that is for cells in use */
    rocksdb_readoptions_set_readahead_size(c->reading, COPY_READAHEAD_BYTES);
    c->iterator = rocksdb_create_iterator(r->db, c->reading);
}

void rocks_copy_close(struct rocks *r, struct rocks_copy *c)
{
    rocksdb_iter_destroy(c->iterator);
    rocksdb_readoptions_destroy(c->reading);
    rocksdb_release_snapshot(r->db, c->moment);
    *c = (struct rocks_copy){ 0 };
}

bool rocks_copy_get(struct rocks *r, struct rocks_copy *c, struct bytes key,
                    struct buf *value)
{
    char *error = NULL;
    size_t len;
    rocksdb_pinnableslice_t *slice =
        rocksdb_get_pinned(r->db, c->reading, (const char *) key.ptr, key.len, &error);

    stop_if_failed("the state could not be read", error);
    buf_clear(value);
    if (slice == NULL) return false;
    const char *at = rocksdb_pinnableslice_value(slice, &len);
    buf_put(value, at, len);
    rocksdb_pinnableslice_destroy(slice);
    return true;
}

static bool copy_cell(struct rocks_copy *c, struct bytes *key, struct bytes *value)
{
    if (!rocksdb_iter_valid(c->iterator)) {
        char *error = NULL;
        rocksdb_iter_get_error(c->iterator, &error);
        stop_if_failed("the state could not be read for a peer", error);
        return false;
    }
    key->ptr = (const uint8_t *) rocksdb_iter_key(c->iterator, &key->len);
    value->ptr = (const uint8_t *) rocksdb_iter_value(c->iterator, &value->len);
    return true;
}

bool rocks_copy_next(struct rocks_copy *c, struct bytes after, struct bytes *key,
                     struct bytes *value)
{
    rocksdb_iterator_t *it = c->iterator;

    if (after.len == 0) {
        rocksdb_iter_seek_to_first(it);
        return copy_cell(c, key, value);
    }
    if (!rocksdb_iter_valid(it) || !copy_cell(c, key, value) || !bytes_equal(*key, after)) {
        rocksdb_iter_seek(it, (const char *) after.ptr, after.len);
        if (!copy_cell(c, key, value)) return false;
        if (!bytes_equal(*key, after)) return true;
    }
    rocksdb_iter_next(it);
    return copy_cell(c, key, value);
}

/* --- a new state --- */

static int code_and_why(char *error, char *why, size_t why_size)
{
    if (error == NULL) return 0;
    int code = code_of(error);
    snprintf(why, why_size, "%s", error);
    rocksdb_free(error);
    return code;
}

int rocks_put_cells(struct rocks *r, struct bytes cells, char *why, size_t why_size)
{
    rocksdb_writebatch_t *batch = rocksdb_writebatch_create();
    struct reader from = reader_of(cells);
    char *error = NULL;

    while (reader_left(&from) > 0) {
        struct bytes key = read_bytes(&from, SIZE_MAX);
        struct bytes value = read_bytes(&from, SIZE_MAX);
        CHECK(!from.bad); /* it was looked at when it came */
        rocksdb_writebatch_put(batch, (const char *) key.ptr, key.len,
                               (const char *) value.ptr, value.len);
    }
    rocksdb_write(r->db, r->writing, batch, &error);
    rocksdb_writebatch_destroy(batch);
    return code_and_why(error, why, why_size);
}

int rocks_try_flush(struct rocks *r, char *why, size_t why_size)
{
    char *error = NULL;

    rocksdb_flush(r->db, r->flushing, &error);
    return code_and_why(error, why, why_size);
}
