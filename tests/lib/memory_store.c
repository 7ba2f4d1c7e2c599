#include "tests/lib/memory_store.h"

#include "core/base/check.h"
#include "core/base/errors.h"
#include "core/machine/machine.h"

void memory_store_init(struct memory_store *m, struct kv_overlay *rest,
                       struct kv_overlay *above, size_t chunk_bytes)
{
    *m = (struct memory_store){ .rest = rest, .above = above, .chunk_bytes = chunk_bytes };
}

void memory_store_fini(struct memory_store *m)
{
    buf_fini(&m->copy);
    buf_fini(&m->last);
    buf_fini(&m->stage);
}

void memory_store_crash(struct memory_store *m)
{
    m->open = m->staging = m->sealed = false;
    buf_clear(&m->copy);
    buf_clear(&m->stage);
    m->pieces = m->done = m->held = 0;
}

/* --- the sender's --- */

static void copy_all(struct memory_store *m)
{
    struct buf key = { 0 };
    struct bytes value;

    buf_clear(&m->copy);
    while (kv_next(&m->rest->view, (struct bytes){ 0 }, &key)) {
        CHECK(kv_get(&m->rest->view, buf_bytes(&key), &value));
        buf_put_bytes(&m->copy, buf_bytes(&key));
        buf_put_bytes(&m->copy, value);
    }
    buf_fini(&key);
}

static int open_copy(void *ctx, uint64_t *slot)
{
    struct memory_store *m = ctx;
    struct bytes place;

    CHECK(!m->open);
    *slot = 0;
    if (kv_get(&m->rest->view, machine_place_key(), &place)) {
        (void)machine_place_peek(machine_place_key(), place, slot);
    }
    if (*slot == 0) return ERR_NO_NODE;
    copy_all(m);
    m->open = true;
    m->copy_at = 0;
    buf_clear(&m->last);
    return 0;
}

static struct bytes cell_at(const struct memory_store *m, size_t *at, struct bytes *value)
{
    struct reader r =
        reader_of(bytes_of(m->copy.ptr + *at, m->copy.len - *at));
    struct bytes key = read_bytes(&r, SIZE_MAX);

    *value = read_bytes(&r, SIZE_MAX);
    CHECK(!r.bad);
    *at = (size_t)(r.at - m->copy.ptr);
    return key;
}

/* Where the cells behind the key `after` begin. */
static size_t find(const struct memory_store *m, struct bytes after)
{
    size_t at = 0, next = 0;
    struct bytes value;

    if (after.len > 0 && bytes_equal(buf_bytes(&m->last), after)) return m->copy_at;
    while (at < m->copy.len && bytes_cmp(cell_at(m, &next, &value), after) <= 0) at = next;
    return at;
}

static bool read_copy(void *ctx, struct bytes after, struct buf *cells)
{
    struct memory_store *m = ctx;
    struct bytes key, value;
    size_t start = cells->len;

    CHECK(m->open);
    m->reads++;
    m->copy_at = find(m, after);
    while (m->copy_at < m->copy.len) {
        if (cells->len - start >= m->chunk_bytes) return false;
        key = cell_at(m, &m->copy_at, &value);
        buf_put_bytes(cells, key);
        buf_put_bytes(cells, value);
        buf_clear(&m->last);
        buf_put_bytes_raw(&m->last, key);
    }
    return true;
}

static void close_copy(void *ctx)
{
    struct memory_store *m = ctx;

    CHECK(m->open);
    m->open = false;
    buf_clear(&m->copy);
}

/* --- the receiver's --- */

static void begin(void *ctx)
{
    struct memory_store *m = ctx;

    buf_clear(&m->stage);
    m->staging = true;
    m->sealed = false;
    m->pieces = m->done = m->held = 0;
    m->begins++;
}

static void put(void *ctx, struct bytes cells)
{
    struct memory_store *m = ctx;

    CHECK(m->staging && !m->sealed);
    buf_put_bytes_raw(&m->stage, cells);
    m->pieces++;
}

static void seal(void *ctx)
{
    struct memory_store *m = ctx;

    CHECK(m->staging && !m->sealed);
    m->sealed = true;
    m->pieces++;
}

static int staged(void *ctx, uint64_t *done)
{
    struct memory_store *m = ctx;

    CHECK(m->staging);
    if (m->done + m->held < m->pieces) m->done = m->pieces - m->held;
    *done = m->done;
    return m->code;
}

static void drop(void *ctx)
{
    struct memory_store *m = ctx;

    CHECK(m->staging);
    m->staging = m->sealed = false;
    buf_clear(&m->stage);
    m->drops++;
}

static int install(void *ctx, uint64_t slot)
{
    struct memory_store *m = ctx;
    struct reader r = reader_of(buf_bytes(&m->stage));

    CHECK(m->sealed && m->done == m->pieces);
    CHECK(!m->open);
    if (m->above != NULL) kv_overlay_clear(m->above);
    kv_overlay_clear(m->rest);
    while (reader_left(&r) > 0) {
        struct bytes key = read_bytes(&r, SIZE_MAX);
        struct bytes value = read_bytes(&r, SIZE_MAX);

        CHECK(!r.bad);
        kv_put(m->rest, key, value, 0);
    }
    m->staging = m->sealed = false;
    buf_clear(&m->stage);
    m->installs++;
    if (m->on_install != NULL) m->on_install(m->ctx, slot);
    return 0;
}

struct snapshot_store memory_store_hooks(struct memory_store *m)
{
    return (struct snapshot_store){ .ctx = m,
                                    .open = open_copy,
                                    .read = read_copy,
                                    .close = close_copy,
                                    .begin = begin,
                                    .put = put,
                                    .seal = seal,
                                    .staged = staged,
                                    .drop = drop,
                                    .install = install };
}
