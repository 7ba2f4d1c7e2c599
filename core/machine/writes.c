#include "core/base/check.h"
#include "core/base/errors.h"
#include "core/machine/inside.h"

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

    *parts_count = 0;
    buf_clear(&r->parts);
    for (uint32_t i = 0; i < q->wants_count; i++) {
        int code = want_next(&wants, &w);

        CHECK(code == 0); /* request_decode() has seen them all */
        code = want_resolve(r, &w, &stat_of);
        if (code != 0) {
            txn_refuse(r, a, code, w.path, i);
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
