#include "core/kv/gaps.h"

#include <stdlib.h>

#include "core/base/check.h"

enum { FAMILIES_MAX = 4096, FRONT = 0, BACK, RECENT, GAPS_COUNT };

struct family {
    uint64_t generation; /* not the current one: nobody's place */
    struct buf name, end;
    struct kv_gap gaps[GAPS_COUNT];
};

struct kv_gaps {
    uint64_t seed;
    uint64_t generation;
    size_t count;            /* of families; while it is 0 nothing is looked up */
    struct family *families; /* FAMILIES_MAX of them; what nobody touched costs no memory */
};

struct kv_gaps *gaps_new(uint64_t seed)
{
    struct kv_gaps *g = mem_zalloc(sizeof *g);

    g->seed = seed;
    g->generation = 1;
    g->families = mem_zalloc(FAMILIES_MAX * sizeof *g->families);
    return g;
}

static void family_fini(struct family *f)
{
    buf_fini(&f->name);
    buf_fini(&f->end);
    for (size_t i = 0; i < GAPS_COUNT; i++) {
        buf_fini(&f->gaps[i].low.key);
        buf_fini(&f->gaps[i].high.key);
    }
}

void gaps_free(struct kv_gaps *g)
{
    if (g == NULL) return;
    for (size_t i = 0; i < FAMILIES_MAX; i++)
        family_fini(&g->families[i]);
    free(g->families);
    free(g);
}

void gaps_clear(struct kv_gaps *g)
{
    g->generation++;
    g->count = 0;
}

size_t gaps_family(struct bytes key)
{
    const uint8_t *end;

    if (key.len == 0 || key.ptr[0] != 'n') return key.len == 0 ? 0 : 1;
    end = memchr(key.ptr, 0, key.len);
    return end == NULL ? 0 : (size_t)(end - key.ptr) + 1;
}

/* Where the family with this name has its place, whoever is there now; NULL: no name. */
static struct family *place_of(const struct kv_gaps *g, struct bytes name)
{
    if (name.len == 0) return NULL;
    return &g->families[hash_bytes(name, g->seed) % FAMILIES_MAX];
}

static struct bytes name_of(struct bytes key)
{
    return bytes_of(key.ptr, gaps_family(key));
}

/* What is known where the family of this key has its place, or NULL. It may be of another
 * family, which does no harm: its gaps are true, and the key does not lie in them. */
static struct family *family_of(const struct kv_gaps *g, struct bytes key)
{
    struct family *f = g->count == 0 ? NULL : place_of(g, name_of(key));

    return f != NULL && f->generation == g->generation ? f : NULL;
}

/* Both directions begin strictly beyond `from`, so that may be the end that they leave. */
static bool begins_in(const struct kv_gap *gap, struct bytes from,
                      enum kv_direction direction)
{
    if (!gap->known) return false;
    int low = bytes_cmp(buf_bytes(&gap->low.key), from);
    int high = bytes_cmp(from, buf_bytes(&gap->high.key));
    return direction == KV_FORWARD ? low <= 0 && high < 0 : low < 0 && high <= 0;
}

struct kv_gap *gaps_find(struct kv_gaps *g, struct bytes prefix, struct bytes from,
                         enum kv_direction direction)
{
    struct family *f = family_of(g, prefix);

    for (size_t i = 0; f != NULL && i < GAPS_COUNT; i++) {
        if (begins_in(&f->gaps[i], from, direction)) return &f->gaps[i];
    }
    return NULL;
}

static void end_set(struct kv_end *end, struct bytes key, enum kv_end_kind kind)
{
    end->kind = kind;
    if (bytes_equal(buf_bytes(&end->key), key)) return;
    buf_clear(&end->key);
    buf_put_bytes_raw(&end->key, key);
}

/* The place of the family, displacing who is there. */
static struct family *settle(struct kv_gaps *g, struct bytes name)
{
    struct family *f = place_of(g, name);

    CHECK(f != NULL);
    if (f->generation != g->generation)
        g->count++;
    else if (bytes_equal(buf_bytes(&f->name), name))
        return f;
    f->generation = g->generation;
    buf_clear(&f->name);
    buf_put_bytes_raw(&f->name, name);
    for (size_t i = 0; i < GAPS_COUNT; i++)
        f->gaps[i].known = false;
    kv_prefix_end(name, &f->end);
    return f;
}

void gaps_learn(struct kv_gaps *g, struct bytes prefix, const struct kv_gap_range *range)
{
    struct family *f = settle(g, name_of(prefix));
    struct kv_gap *gap = &f->gaps[RECENT];

    CHECK(bytes_cmp(range->low, range->high) < 0);
    if (bytes_equal(range->high, buf_bytes(&f->end))) gap = &f->gaps[BACK];
    if (bytes_equal(range->low, buf_bytes(&f->name))) gap = &f->gaps[FRONT];
    end_set(&gap->low, range->low, range->low_kind);
    end_set(&gap->high, range->high, range->high_kind);
    gap->known = true;
}

/* At the back the gap behind the key is left, elsewhere the one before it. */
static void gap_put(struct kv_gap *gap, bool back, struct bytes key)
{
    int low = bytes_cmp(key, buf_bytes(&gap->low.key));
    int high = low <= 0 ? -1 : bytes_cmp(key, buf_bytes(&gap->high.key));

    if (low == 0) gap->low.kind = KV_END_KEY;
    if (high == 0) gap->high.kind = KV_END_KEY;
    if (low <= 0 || high >= 0) return;
    end_set(back ? &gap->low : &gap->high, key, KV_END_KEY); /* G1 */
}

void gaps_put(struct kv_gaps *g, struct bytes key)
{
    struct family *f = family_of(g, key);

    for (size_t i = 0; f != NULL && i < GAPS_COUNT; i++) {
        if (f->gaps[i].known) gap_put(&f->gaps[i], i == BACK, key);
    }
}

static void end_deleted(struct kv_end *end, struct bytes key)
{
    if (bytes_equal(buf_bytes(&end->key), key)) end->kind = KV_END_FREE; /* G2 */
}

void gaps_deleted(struct kv_gaps *g, struct bytes key)
{
    struct family *f = family_of(g, key);

    for (size_t i = 0; f != NULL && i < GAPS_COUNT; i++) {
        if (!f->gaps[i].known) continue;
        end_deleted(&f->gaps[i].low, key);
        end_deleted(&f->gaps[i].high, key);
    }
}

void gaps_each(const struct kv_gaps *g, gaps_each_fn each, void *ctx)
{
    for (size_t i = 0; i < FAMILIES_MAX; i++) {
        const struct family *f = &g->families[i];

        for (size_t k = 0; f->generation == g->generation && k < GAPS_COUNT; k++) {
            if (f->gaps[k].known) each(ctx, &f->gaps[k]);
        }
    }
}
