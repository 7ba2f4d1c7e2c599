#include <string.h>

#include "lua/host_inside.h"
#include "lua/shipped.h"

static bool find_shipped(struct bytes name, struct bytes *source)
{
    for (const struct recipe_shipped *r = RECIPES_SHIPPED; r->name != NULL; r++) {
        if (!bytes_equal(bytes_str(r->name), name)) continue;
        *source = bytes_of(r->source, r->len);
        return true;
    }
    return false;
}

/* The recipe's own node does not count as read: a waiting call is not woken by a new
 * version of its recipe. */
bool source_find(struct tx *t, struct bytes name, uint64_t began, struct buf *scratch,
                 struct source *source)
{
    bool track_reads = t->track_reads, found;
    struct node n;

    (void)began;
    buf_clear(scratch);
    buf_put_bytes_raw(scratch, BYTES_LIT(SCRIPT_DIRECTORY "/"));
    buf_put_bytes_raw(scratch, name);
    t->track_reads = false;
    found = tx_read(t, buf_bytes(scratch), &n) && n.data.ptr != NULL;
    t->track_reads = track_reads;
    source->shipped = !found;
    if (found) source->text = n.data;
    return found || find_shipped(name, &source->text);
}
