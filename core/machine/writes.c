#include "core/base/check.h"
#include "core/base/errors.h"
#include "core/machine/inside.h"
#include "core/session/session.h"
#include "core/tree/path.h"

/* A create may bring its missing parents, each an op of its own. */
enum { WRITE_OPS_MAX = 2 * MULTI_OPS_MAX };

/* What a want did, beside its change. */
struct done {
    struct bytes stat_of; /* the node whose stat is part of the answer; null: none */
    uint64_t nodes;
    bool more;
};

static void put_part(struct resolver *r, const struct want *w, const struct done *done)
{
    const struct bytes stat_of = done->stat_of;
    const bool reads = w->kind == WANT_GET || w->kind == WANT_STAT;
    struct result_part part = { .kind = w->kind == WANT_CREATE_AS ? WANT_CREATE : w->kind,
                                .id = done->nodes,
                                .more = done->more };
    struct node n;

    if (part.kind == WANT_CREATE) part.path = stat_of;
    if (stat_of.ptr != NULL) {
        part.has_stat = tx_read(&r->tx, stat_of, &n);
        CHECK(part.has_stat || reads); /* it was just written or checked */
        if (part.has_stat) part.stat = node_stat(&n);
        if (part.has_stat && w->kind == WANT_GET) part.data = n.data;
    }
    result_part_encode(&r->parts, &part);
}

/* --- wants --- */

/* What a refusal tells beside its code: the path; of a create, the parent that is not
 * there; and what the transaction has to say. In r->created, which a failed create left
 * empty. */
static struct bytes refusal_of(struct resolver *r, const struct want *w, int code)
{
    const bool creates = w->kind == WANT_CREATE || w->kind == WANT_CREATE_AS;
    struct buf *text = &r->created;

    buf_clear(text);
    if (creates && code == ERR_NO_NODE) {
        buf_put_bytes_raw(text, path_parent(w->path));
        buf_put_bytes_raw(text, BYTES_LIT(", the parent of "));
    }
    buf_put_bytes_raw(text, w->path);
    if (w->kind == WANT_COPY) {
        buf_put_bytes_raw(text, BYTES_LIT(" to "));
        buf_put_bytes_raw(text, w->to);
    }
    if (w->kind == WANT_ALIVE) {
        buf_put_bytes_raw(text, BYTES_LIT("the session that was to be alive is over"));
    } else if (r->tx.why.len > 0) {
        buf_put_bytes_raw(text, BYTES_LIT(": "));
        buf_put_bytes_raw(text, buf_bytes(&r->tx.why));
    }
    return buf_bytes(text);
}

static int create_resolve(struct resolver *r, const struct want *w, struct done *done)
{
    const struct tx_creation how = { w->flags, w->ttl_ms, w->linger_ms };
    int code = tx_create_as(&r->tx, w->path, w->data, &how, &r->created);

    done->stat_of = buf_bytes(&r->created);
    return code;
}

static int delete_tree_resolve(struct resolver *r, const struct want *w, struct done *done)
{
    struct tx_deleted deleted;
    int code = tx_delete_tree(&r->tx, w->path, w->partly, &deleted);

    done->nodes = deleted.nodes;
    done->more = deleted.more;
    return code;
}

static int alive_check(struct resolver *r, const struct want *w)
{
    struct session s;

    return session_read(&r->tx.over.view, w->token, &s) ? 0 : ERR_GUARD_FAILED;
}

/* Does what is wanted. */
static int want_resolve(struct resolver *r, const struct want *w, struct done *done)
{
    *done = (struct done){ 0 };
    switch (w->kind) {
    case WANT_CHECK:
        done->stat_of = w->path;
        return tx_check(&r->tx, w->path, w->version);
    case WANT_CHECK_ABSENT:
        return tx_check_absent(&r->tx, w->path);
    case WANT_GUARD:
        return tx_guard(&r->tx, w->path, w->token);
    case WANT_ALIVE:
        return alive_check(r, w);
    case WANT_GET:
    case WANT_STAT:
        done->stat_of = w->path;
        return path_check(w->path);
    case WANT_CREATE:
    case WANT_CREATE_AS:
        return create_resolve(r, w, done);
    case WANT_SET:
        done->stat_of = w->path;
        return tx_set(&r->tx, w->path, w->data, w->version);
    case WANT_TOUCH:
        done->stat_of = w->path;
        return tx_touch(&r->tx, w->path);
    case WANT_DELETE:
        return tx_delete(&r->tx, w->path, w->version);
    case WANT_DELETE_TREE:
        return delete_tree_resolve(r, w, done);
    case WANT_COPY:
        return tx_copy(&r->tx, w->path, w->to, &done->nodes);
    case WANT_QUOTA:
        return tx_quota(&r->tx, w->path, w->nodes_max, w->bytes_max);
    }
    return ERR_BAD_MESSAGE;
}

/* All wants in order; at the first that fails refuses the whole and is false. */
static bool wants_resolve(struct resolver *r, const struct asker *a,
                          const struct request *q, uint32_t *parts_count)
{
    struct reader wants = reader_of(q->wants);
    struct done done;
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
        code = recipe_keep(r, &w);
        if (code == 0) code = want_resolve(r, &w, &done);
        if (code != 0) {
            txn_refuse(r, a, code, refusal_of(r, &w, code), i);
            return false;
        }
        if (q->single && want_is_guard(w.kind)) continue;
        put_part(r, &w, &done);
        if (r->parts.len > TXN_BYTES_MAX) { /* before the data of many gets fills memory */
            txn_refuse(r, a, ERR_TOO_LARGE, BYTES_LIT("what it would answer"), i);
            return false;
        }
        *parts_count += 1;
    }
    return true;
}

void write_resolve(struct resolver *r, const struct asker *a, const struct request *q)
{
    struct result result = { .index = -1 };

    txn_begin(r, a->session, WRITE_OPS_MAX);
    r->tx.reserved_allowed = true; /* this is how recipes are put; scripts may not */
    if (r->events_changed) events_load(r);
    if (!wants_resolve(r, a, q, &result.parts_count)) return;
    if (events_run(r, a) != 0) {
        txn_refuse_script(r, a);
        return;
    }
    result.parts = buf_bytes(&r->parts);
    txn_answer(r, a, &result);
}

bool guards_pass(struct resolver *r, const struct asker *a, const struct request *q)
{
    uint32_t parts_count;

    return wants_resolve(r, a, q, &parts_count);
}
