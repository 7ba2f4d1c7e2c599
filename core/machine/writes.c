#include "core/base/check.h"
#include "core/base/errors.h"
#include "core/machine/inside.h"
#include "core/tree/path.h"

/* A create may bring its missing parents, each an op of its own. */
enum { WRITE_OPS_MAX = 2 * MULTI_OPS_MAX };

static void put_part(struct resolver *r, const struct want *w, struct bytes stat_of)
{
    struct result_part part = { .kind = w->kind };
    struct node n;

    if (w->kind == WANT_CREATE) part.path = stat_of;
    if (stat_of.ptr != NULL) {
        CHECK(tx_read(&r->tx, stat_of, &n)); /* it was just written or checked */
        part.has_stat = true;
        part.stat = node_stat(&n);
    }
    result_part_encode(&r->parts, &part);
}

/* --- recipes --- */

/* The name of the recipe whose source this want stores; null bytes: it stores none. */
static struct bytes recipe_stored(const struct want *w)
{
    const struct bytes directory = BYTES_LIT(SCRIPT_DIRECTORY "/");
    const struct bytes none = { 0 };
    struct bytes name;

    if (w->kind != WANT_CREATE && w->kind != WANT_SET) return none;
    if (w->data.ptr == NULL || w->path.len < directory.len) return none;
    if (!bytes_equal(bytes_of(w->path.ptr, directory.len), directory)) return none;
    name = bytes_of(w->path.ptr + directory.len, w->path.len - directory.len);
    return memchr(name.ptr, '/', name.len) == NULL ? name : none;
}

/* A recipe that does not load is not stored, whoever writes it. `fuel_first` is what was
 * spent before this request: one may cost as much as a turn, and then some. */
static int recipe_check(struct resolver *r, const struct want *w, uint64_t fuel_first)
{
    const struct bytes name = recipe_stored(w);

    if (name.ptr == NULL || r->scripts == NULL || r->scripts->check == NULL) return 0;
    script_result_clear(&r->out);
    if (r->fuel - fuel_first >= SCRIPT_FUEL_MAX) {
        buf_put_bytes_raw(&r->out.message, BYTES_LIT("recipes of one request"));
        return ERR_OVER_BUDGET;
    }
    r->scripts->check(r->scripts, name, w->data, &r->out);
    r->fuel += r->out.fuel;
    return r->out.outcome == SCRIPT_ERROR ? r->out.code : 0;
}

/* --- wants --- */

/* What a refusal tells beside its code: the path; of a create, the parent that is not
 * there. In r->created, which a failed create left empty. */
static struct bytes missing_of(struct resolver *r, const struct want *w, int code)
{
    if (w->kind != WANT_CREATE || code != ERR_NO_NODE) return w->path;
    buf_put_bytes_raw(&r->created, path_parent(w->path));
    buf_put_bytes_raw(&r->created, BYTES_LIT(", the parent of "));
    buf_put_bytes_raw(&r->created, w->path);
    return buf_bytes(&r->created);
}

/* Does what is wanted; `stat_of` names the node whose stat is part of the answer. */
static int want_resolve(struct resolver *r, const struct want *w, struct bytes *stat_of)
{
    int code = 0;

    *stat_of = (struct bytes){ 0 };
    switch (w->kind) {
    case WANT_CHECK:
        *stat_of = w->path;
        return tx_check(&r->tx, w->path, w->version);
    case WANT_CHECK_ABSENT:
        return tx_check_absent(&r->tx, w->path);
    case WANT_GUARD:
        return tx_guard(&r->tx, w->path, w->token);
    case WANT_CREATE:
        code = tx_create(&r->tx, w->path, w->data, w->flags, &r->created);
        *stat_of = buf_bytes(&r->created);
        return code;
    case WANT_SET:
        *stat_of = w->path;
        return tx_set(&r->tx, w->path, w->data, w->version);
    case WANT_DELETE:
        return tx_delete(&r->tx, w->path, w->version);
    }
    return ERR_BAD_MESSAGE;
}

/* All wants in order; at the first that fails refuses the whole and is false. */
static bool wants_resolve(struct resolver *r, const struct asker *a,
                          const struct request *q, uint32_t *parts_count)
{
    struct reader wants = reader_of(q->wants);
    struct bytes stat_of;
    struct want w;
    const uint64_t fuel_first = r->fuel;

    *parts_count = 0;
    buf_clear(&r->parts);
    for (uint32_t i = 0; i < q->wants_count; i++) {
        int code = want_next(&wants, &w);

        CHECK(code == 0); /* request_decode() has seen them all */
        code = recipe_check(r, &w, fuel_first);
        if (code != 0) {
            txn_refuse(r, a, code, buf_bytes(&r->out.message), i);
            return false;
        }
        code = want_resolve(r, &w, &stat_of);
        if (code != 0) {
            txn_refuse(r, a, code, missing_of(r, &w, code), i);
            return false;
        }
        if (q->single && w.kind == WANT_GUARD) continue;
        put_part(r, &w, stat_of);
        *parts_count += 1;
    }
    return true;
}

void write_resolve(struct resolver *r, const struct asker *a, const struct request *q)
{
    struct result result = { .index = -1 };

    txn_begin(r, a->session, WRITE_OPS_MAX);
    r->tx.reserved_allowed = true; /* this is how recipes are put; scripts may not */
    if (!wants_resolve(r, a, q, &result.parts_count)) return;
    result.parts = buf_bytes(&r->parts);
    txn_answer(r, a, &result);
}

bool guards_pass(struct resolver *r, const struct asker *a, const struct request *q)
{
    uint32_t parts_count;

    return wants_resolve(r, a, q, &parts_count);
}
