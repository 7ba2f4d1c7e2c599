#include <stdio.h>
#include <string.h>

#include "lua/host_inside.h"
#include "lua/shipped.h"

static bool find_shipped(struct bytes name, struct source *source)
{
    for (const struct recipe_shipped *r = RECIPES_SHIPPED; r->name != NULL; r++) {
        if (!bytes_equal(bytes_str(r->name), name)) continue;
        *source = (struct source){ .text = bytes_of(r->source, r->len), .shipped = true };
        return true;
    }
    return false;
}

static void put_path(struct buf *out, const char *directory, struct bytes name)
{
    buf_clear(out);
    buf_put_bytes_raw(out, bytes_str(directory));
    buf_put_u8(out, '/');
    buf_put_bytes_raw(out, name);
}

/* What was in the tree when transaction `began` came: the newest version up to it. False:
 * none is kept of that time. */
static bool find_kept(struct tx *t, uint64_t began, const struct buf *directory,
                      struct node *n)
{
    struct buf name = { 0 }, path = { 0 };
    char after[24];
    bool found;

    snprintf(after, sizeof after, "%020llu", (unsigned long long)began + 1);
    found = tx_child_next(t, buf_bytes(directory), bytes_str(after), KV_BACKWARD, &name);
    if (found) {
        buf_put_bytes_raw(&path, buf_bytes(directory));
        buf_put_u8(&path, '/');
        buf_put_bytes_raw(&path, buf_bytes(&name));
        found = tx_read(t, buf_bytes(&path), n);
    }
    buf_fini(&name);
    buf_fini(&path);
    return found;
}

static bool history_is_full(struct tx *t, const struct buf *directory)
{
    struct node n;

    return tx_read(t, buf_bytes(directory), &n) && n.children >= SCRIPT_HISTORY_MAX;
}

/* A call goes on with the source that it began with; when that is not kept any more, with
 * the newest. */
static bool find_in_tree(struct tx *t, struct bytes name, uint64_t began,
                         struct buf *scratch, struct source *source)
{
    struct node newest, kept;
    bool there;

    put_path(scratch, SCRIPT_DIRECTORY, name);
    there = tx_read(t, buf_bytes(scratch), &newest) && newest.data.ptr != NULL;
    if (there) *source = (struct source){ .text = newest.data };
    if (began == 0 || (there && newest.mzxid <= began)) return there;

    put_path(scratch, SCRIPT_HISTORY, name);
    if (find_kept(t, began, scratch, &kept)) {
        if (kept.data.ptr == NULL) return false;
        *source = (struct source){ .text = kept.data };
        return true;
    }
    return there && history_is_full(t, scratch);
}

/* The recipe's own node does not count as read: a waiting call is not woken by a new
 * version of its recipe. */
bool source_find(struct tx *t, struct bytes name, uint64_t began, struct buf *scratch,
                 struct source *source)
{
    bool track_reads = t->track_reads, found;

    source->text = (struct bytes){ 0 };
    t->track_reads = false;
    found = find_in_tree(t, name, began, scratch, source);
    t->track_reads = track_reads;
    if (found || find_shipped(name, source)) return true;
    return source->text.ptr != NULL; /* the newest is better than none */
}
