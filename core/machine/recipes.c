/* What a write of a recipe's source brings with it: it is checked before, and what it
 * replaces is kept, for calls that began with it and for those who want it back. */
#include <stdio.h>

#include "core/base/check.h"
#include "core/base/errors.h"
#include "core/machine/inside.h"

/* The name of the recipe whose node this is; null bytes: of none. */
static struct bytes recipe_of(struct bytes path)
{
    const struct bytes directory = BYTES_LIT(SCRIPT_DIRECTORY "/");
    const struct bytes none = { 0 };
    struct bytes name;

    if (path.len <= directory.len) return none;
    if (!bytes_equal(bytes_of(path.ptr, directory.len), directory)) return none;
    name = bytes_of(path.ptr + directory.len, path.len - directory.len);
    return memchr(name.ptr, '/', name.len) == NULL ? name : none;
}

/* --- the check --- */

static bool stores_source(const struct want *w)
{
    return w->data.ptr != NULL && (w->kind == WANT_CREATE || w->kind == WANT_CREATE_AS ||
                                   w->kind == WANT_SET);
}

int recipe_check(struct resolver *r, const struct want *w, uint64_t fuel_first)
{
    const struct bytes name = recipe_of(w->path);

    if (name.ptr == NULL) return 0;
    script_result_clear(&r->out);
    if (r->scripts == NULL || r->scripts->check == NULL) return 0;
    if (!stores_source(w)) return 0;
    if (r->fuel - fuel_first >= SCRIPT_FUEL_MAX) {
        buf_put_bytes_raw(&r->out.message, BYTES_LIT("recipes of one request"));
        return ERR_OVER_BUDGET;
    }
    r->scripts->check(r->scripts, name, w->data, &r->out);
    r->fuel += r->out.fuel;
    return r->out.outcome == SCRIPT_ERROR ? r->out.code : 0;
}

/* --- what is replaced --- */

static void version_path(struct resolver *r, struct bytes name, uint64_t zxid)
{
    char number[24];

    snprintf(number, sizeof number, "/%020llu", (unsigned long long)zxid);
    buf_clear(&r->kept);
    buf_put_bytes_raw(&r->kept, BYTES_LIT(SCRIPT_HISTORY "/"));
    buf_put_bytes_raw(&r->kept, name);
    buf_put_bytes_raw(&r->kept, bytes_str(number));
}

/* One that is there already was kept by an earlier want of this transaction. */
static int version_put(struct resolver *r, struct bytes name, uint64_t zxid,
                       struct bytes source)
{
    int code;

    version_path(r, name, zxid);
    code = tx_create(&r->tx, buf_bytes(&r->kept), source, TX_PARENTS, &r->created);
    return code == ERR_NODE_EXISTS ? 0 : code;
}

static int versions_prune(struct resolver *r, struct bytes name)
{
    struct buf parent = { 0 }, first = { 0 };
    struct node n;
    int code = 0;

    buf_put_bytes_raw(&parent, BYTES_LIT(SCRIPT_HISTORY "/"));
    buf_put_bytes_raw(&parent, name);
    while (code == 0 && tx_read(&r->tx, buf_bytes(&parent), &n) &&
           n.children > SCRIPT_HISTORY_MAX) {
        CHECK(tx_child_next(&r->tx, buf_bytes(&parent), (struct bytes){ 0 }, KV_FORWARD,
                            &first));
        buf_clear(&r->kept);
        buf_put_bytes_raw(&r->kept, buf_bytes(&parent));
        buf_put_u8(&r->kept, '/');
        buf_put_bytes_raw(&r->kept, buf_bytes(&first));
        code = tx_delete(&r->tx, buf_bytes(&r->kept), -1);
    }
    buf_fini(&parent);
    buf_fini(&first);
    return code;
}

static bool changes_source_of(const struct want *w)
{
    return w->kind == WANT_SET || w->kind == WANT_DELETE;
}

/* The refusal that a want deserves is the want's own: then nothing is kept either. */
static bool changes_source(struct resolver *r, const struct want *w, struct node *n)
{
    if (!changes_source_of(w)) return false;
    if (!tx_read(&r->tx, w->path, n) || n->data.ptr == NULL) return false;
    return w->version == -1 || w->version == n->version;
}

static int keep_source(struct resolver *r, struct bytes name, const struct want *w)
{
    struct node n;
    int code;

    if (!changes_source(r, w, &n)) return 0;
    buf_clear(&r->kept_source); /* the node's cell may move while nodes are created */
    buf_put_bytes_raw(&r->kept_source, n.data);
    code = version_put(r, name, n.mzxid, buf_bytes(&r->kept_source));
    if (code == 0 && w->kind == WANT_DELETE) {
        code = version_put(r, name, r->tx.zxid, (struct bytes){ 0 });
    }
    return code == 0 ? versions_prune(r, name) : code;
}

/* Whole subtrees come and go without any history. */
static bool moves_subtree(const struct want *w)
{
    return w->kind == WANT_DELETE_TREE || w->kind == WANT_COPY;
}

/* recipe_check() came before and left what the source is bound to in r->out. */
int recipe_keep(struct resolver *r, const struct want *w)
{
    const struct bytes none = { 0 };
    struct bytes name;
    int code;

    if (w->path.len == 0) return 0;
    if (moves_subtree(w)) r->events_changed = true;
    name = recipe_of(w->path);
    if (name.ptr == NULL || (!stores_source(w) && !changes_source_of(w))) return 0;
    code = keep_source(r, name, w);
    if (code != 0) return code;
    return recipe_bind(r, name, stores_source(w) ? buf_bytes(&r->out.value) : none);
}
