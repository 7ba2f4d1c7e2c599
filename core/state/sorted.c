#include "core/state/sorted.h"

#include <stdlib.h>

#include "core/base/check.h"

void sorted_fini(struct sorted *s)
{
    free(s->cells);
    *s = (struct sorted){ 0 };
}

void sorted_add(struct sorted *s, const struct kv_change *cell)
{
    if (s->count == s->room) {
        s->room = s->room == 0 ? 64 : 2 * s->room;
        s->cells = mem_grow(s->cells, s->room * sizeof *s->cells);
    }
    s->cells[s->count++] = *cell;
    s->bytes += cell->key.len + cell->value.len;
}

static int by_key(const void *a, const void *b)
{
    const struct kv_change *one = a, *other = b;

    return bytes_cmp(one->key, other->key);
}

/* The start of a node's key that its siblings share (kv.h); of other keys nothing. */
static struct bytes siblings_prefix(struct bytes key)
{
    const uint8_t *zero = NULL;

    if (key.len > 0 && key.ptr[0] == 'n') zero = memchr(key.ptr, 0, key.len);
    return bytes_of(key.ptr, zero == NULL ? 0 : (size_t) (zero - key.ptr) + 1);
}

/* How many cells from `at` on are new nodes of one parent. */
static size_t stretch_length(const struct sorted *s, size_t at)
{
    struct bytes prefix = siblings_prefix(s->cells[at].key);
    size_t end = at;

    if (prefix.len == 0) return 0;
    while (end < s->count && s->cells[end].is_new && s->cells[end].key.len >= prefix.len &&
           memcmp(s->cells[end].key.ptr, prefix.ptr, prefix.len) == 0) {
        end++;
    }
    return end - at;
}

size_t sorted_part(struct sorted *s, size_t first[SORTED_PARTS_MAX])
{
    size_t count = 0, open = 0; /* from `open` on cells are in no part yet */

    if (s->count == 0) return 0;
    qsort(s->cells, s->count, sizeof *s->cells, by_key);
    for (size_t at = 0; at < s->count;) {
        size_t length = stretch_length(s, at);

        if (length >= SORTED_STRETCH_MIN && count + 2 < SORTED_PARTS_MAX) {
            if (open < at) first[count++] = open;
            first[count++] = at;
            open = at + length;
        }
        at += length > 0 ? length : 1;
    }
    if (open < s->count) first[count++] = open;
    return count;
}
