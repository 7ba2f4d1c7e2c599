#include "core/server/store.h"

#include "core/base/errors.h"
#include "core/base/log.h"
#include "core/machine/machine.h"

/* The slot that the state's place names; 0 = none. */
static uint64_t place_slot(struct bytes cell)
{
    uint64_t slot = 0;

    (void)machine_place_peek(machine_place_key(), cell, &slot);
    return slot;
}

uint64_t store_slot(struct store *s)
{
    struct bytes cell;

    if (!kv_get(&state_applied(s->state)->view, machine_place_key(), &cell)) return 0;
    return place_slot(cell);
}

/* --- the sender's --- */

static int open_copy(void *ctx, uint64_t *slot)
{
    struct store *s = ctx;
    struct buf cell = { 0 };

    *slot = 0;
    state_copy_open(s->state);
    if (state_copy_get(s->state, machine_place_key(), &cell)) {
        *slot = place_slot(buf_bytes(&cell));
    }
    buf_fini(&cell);
    if (*slot != 0) return 0;
    state_copy_close(s->state); /* nothing was written behind yet */
    return ERR_NO_NODE;
}

static bool read_copy(void *ctx, struct bytes after, struct buf *cells)
{
    struct store *s = ctx;

    return state_copy_read(s->state, after, SNAPSHOT_CHUNK_BYTES, cells);
}

static void close_copy(void *ctx)
{
    struct store *s = ctx;

    state_copy_close(s->state);
}

/* --- the receiver's --- */

static void begin(void *ctx)
{
    struct store *s = ctx;

    state_stage_begin(s->state);
}

static void put(void *ctx, struct bytes cells)
{
    struct store *s = ctx;

    state_stage_put(s->state, cells);
}

static void seal(void *ctx)
{
    struct store *s = ctx;

    state_stage_seal(s->state);
}

static int staged(void *ctx, uint64_t *done)
{
    struct store *s = ctx;
    char why[512] = "";
    int code = state_staged(s->state, done, why, sizeof why);

    if (code != 0) {
        log_line(LOG_ERROR, "state", "msg=\"a peer's state cannot be stored\" why=\"%s\"",
                 why);
    }
    return code;
}

static void drop(void *ctx)
{
    struct store *s = ctx;

    state_stage_drop(s->state);
}

static int install(void *ctx, uint64_t slot)
{
    struct store *s = ctx;
    char why[512] = "";
    int code = state_install(s->state, why, sizeof why);

    s->on_installed(s->ctx);
    if (code == 0) {
        log_line(LOG_INFO, "state", "msg=\"took up a peer's state\" slot=%llu",
                 (unsigned long long)slot);
    } else {
        log_line(LOG_ERROR, "state", "msg=\"a peer's state cannot be used\" why=\"%s\"",
                 why);
    }
    return code;
}

struct snapshot_store store_hooks(struct store *s)
{
    return (struct snapshot_store){ .ctx = s,
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
