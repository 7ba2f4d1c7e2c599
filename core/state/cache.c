#include "core/state/cache.h"

#include <stdlib.h>

#include "core/base/check.h"

enum {
    TABLE_SIZE_MIN = 256,
    CELL_COST = 24,   /* malloc's own bytes and the table's share, near enough */
    CELL_USUAL = 128, /* bytes; so chains stay short until cells are far smaller */
};

struct cache_cell {
    struct cache_cell *chain; /* next in the same bucket */
    struct list clock;
    uint64_t hash;
    uint32_t key_len, value_len;
    bool asked_for; /* since the clock came by */
    uint8_t data[]; /* the key, then the value */
};

/* The table never grows: to move hundreds of thousands of cells at once is a stall. Of
 * a large table that is not used yet the system gives us no memory. */
void cache_init(struct cache *c, size_t bytes_max)
{
    *c = (struct cache){ .bytes_max = bytes_max, .table_size = TABLE_SIZE_MIN };
    while (c->table_size < bytes_max / CELL_USUAL) c->table_size *= 2;
    c->table = mem_zalloc(c->table_size * sizeof *c->table);
    list_init(&c->clock);
}

void cache_fini(struct cache *c)
{
    LIST_EACH_SAFE(at, after, &c->clock) free(CONTAINER_OF(at, struct cache_cell, clock));
    free(c->table);
    *c = (struct cache){ 0 };
}

static struct bytes cell_value(const struct cache_cell *cell)
{
    return bytes_of(cell->data + cell->key_len, cell->value_len);
}

static size_t cell_bytes(const struct cache_cell *cell)
{
    return sizeof *cell + CELL_COST + cell->key_len + cell->value_len;
}

/* The pointer that holds the key's cell, or the NULL at the end of its bucket. */
static struct cache_cell **link_of(const struct cache *c, struct bytes key, uint64_t hash)
{
    struct cache_cell **link = &c->table[hash & (c->table_size - 1)];

    for (; *link != NULL; link = &(*link)->chain) {
        const struct cache_cell *cell = *link;
        if (cell->hash == hash && bytes_equal(bytes_of(cell->data, cell->key_len), key))
            break;
    }
    return link;
}

bool cache_get(struct cache *c, struct bytes key, uint64_t hash, struct bytes *value)
{
    struct cache_cell *cell = *link_of(c, key, hash);

    if (cell == NULL) return false;
    cell->asked_for = true;
    *value = cell_value(cell);
    return true;
}

/* Takes the cell that `link` holds out of everything. */
static void remove_at(struct cache *c, struct cache_cell **link)
{
    struct cache_cell *cell = *link;

    *link = cell->chain;
    list_remove(&cell->clock);
    c->bytes -= cell_bytes(cell);
    c->count--;
    free(cell);
}

struct bytes cache_put(struct cache *c, struct bytes key, uint64_t hash,
                       struct bytes value)
{
    CHECK(key.len <= UINT32_MAX);
    CHECK(value.len <= UINT32_MAX);

    struct cache_cell *cell = mem_alloc(sizeof *cell + key.len + value.len);
    *cell = (struct cache_cell){ .hash = hash,
                                 .key_len = (uint32_t) key.len,
                                 .value_len = (uint32_t) value.len };
    if (key.len > 0) memcpy(cell->data, key.ptr, key.len);
    if (value.len > 0) memcpy(cell->data + key.len, value.ptr, value.len);

    struct cache_cell **link = link_of(c, key, hash);
    if (*link != NULL) remove_at(c, link);
    link = &c->table[hash & (c->table_size - 1)];
    cell->chain = *link;
    *link = cell;
    list_push(&c->clock, &cell->clock);
    c->bytes += cell_bytes(cell);
    c->count++;
    return cell_value(cell);
}

void cache_renew(struct cache *c, struct bytes key, uint64_t hash, struct bytes value)
{
    struct cache_cell **link = link_of(c, key, hash);

    if (*link == NULL) return;
    if (value.ptr != NULL) {
        cache_put(c, key, hash, value);
    } else {
        remove_at(c, link);
    }
}

void cache_trim(struct cache *c)
{
    while (c->bytes > c->bytes_max) {
        struct cache_cell *cell = LIST_FIRST(&c->clock, struct cache_cell, clock);
        if (cell->asked_for) {
            cell->asked_for = false;
            list_remove(&cell->clock);
            list_push(&c->clock, &cell->clock);
            continue;
        }
        remove_at(c, link_of(c, bytes_of(cell->data, cell->key_len), cell->hash));
    }
}
