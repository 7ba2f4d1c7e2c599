#include "core/base/check.h"
#include "core/base/errors.h"
#include "core/machine/inside.h"

/* See machine.h. A clock that stood still, as for a stall, is not set back. */
void batch_times_set(struct resolver *r)
{
    if (r->wall_ms > r->time_ms) r->time_ms = r->wall_ms;
    if (r->now_ms > r->clock_from_ms) {
        const uint64_t clock_ms = r->clock_base_ms + (r->now_ms - r->clock_from_ms);

        if (clock_ms > r->clock_ms) r->clock_ms = clock_ms;
    }
}

void txn_begin(struct resolver *r, uint64_t session, uint32_t ops_max)
{
    tx_reset(&r->tx);
    if (r->txns_count == 0) batch_times_set(r);
    r->tx.zxid = r->zxid + 1;
    r->tx.time_ms = r->time_ms;
    r->tx.clock_ms = r->clock_ms;
    r->tx.tally = r->tally;
    r->tx.limits = r->limits;
    r->tx.session = session;
    r->tx.ops_max = ops_max;
    r->tx.reserved_allowed = false;
    r->tx.track_reads = false;
}

bool txn_fits(const struct resolver *r, size_t result_len)
{
    return r->tx.ops.len + result_len <= TXN_BYTES_MAX;
}

static void put_into_batch(struct resolver *r, const struct txn *t)
{
    if (r->txns_count == 0) r->zxid_first = r->tx.zxid;
    txn_encode(&r->txns, t);
    r->txns_count++;
    CHECK(r->txns.len < BATCH_BYTES_MAX);
    if ((t->flags & TXN_FINAL) != 0 && t->origin != 0) r->origins |= node_bit(t->origin);
}

void txn_commit(struct resolver *r, const struct asker *a, unsigned flags,
                struct bytes result)
{
    struct txn t = { .flags = flags,
                     .origin = a->origin,
                     .tag = a->tag,
                     .session = a->session,
                     .seq = a->seq,
                     .ack = a->ack,
                     .ops = buf_bytes(&r->tx.ops),
                     .result = result };

    CHECK(txn_fits(r, result.len));
    CHECK(r->tx.zxid == r->zxid + 1); /* V1: computed on the one before */
    put_into_batch(r, &t);
    r->zxid++;
    kv_overlay_move(&r->tx.over, &r->pending, r->zxid);
    r->tally = r->tx.tally;
    machine_record(&r->pending, &t, r->zxid);
    watches_wake(r, t.ops);
    if (t.session != 0 && t.seq != 0) held_ripen(r, t.session, t.seq);
}

void txn_answer(struct resolver *r, const struct asker *a, struct result *result)
{
    tx_finish(&r->tx);
    result->zxid = r->tx.zxid;
    buf_clear(&r->result);
    result_encode(&r->result, result);
    if (txn_fits(r, r->result.len)) {
        txn_commit(r, a, TXN_FINAL, buf_bytes(&r->result));
    } else {
        txn_refuse(r, a, ERR_TOO_LARGE, BYTES_LIT("what it would write"), -1);
    }
}

static void refuse(struct resolver *r, const struct asker *a, struct result *result,
                   struct bytes detail)
{
    buf_clear(&r->message);
    result_put_message(&r->message, result->code, detail);
    result->message = buf_bytes(&r->message);
    txn_begin(r, a->session, 0);
    txn_answer(r, a, result);
}

void txn_refuse(struct resolver *r, const struct asker *a, int code, struct bytes detail,
                int64_t index)
{
    struct result result = { .code = code, .index = index };

    refuse(r, a, &result, detail);
}

void txn_refuse_script(struct resolver *r, const struct asker *a)
{
    struct result result = { .code = r->out.code, .index = -1 };

    if (r->out.value.len > 0) result.value = buf_bytes(&r->out.value);
    refuse(r, a, &result, buf_bytes(&r->out.message));
}

void txn_repeat(struct resolver *r, const struct asker *a)
{
    txn_begin(r, a->session, 0);
    txn_commit(r, a, TXN_FINAL | TXN_REPEATED, (struct bytes){ 0 });
}

struct asker asker_unstored(const struct asker *a)
{
    return (struct asker){ .origin = a->origin, .tag = a->tag };
}

void txn_refuse_unstored(struct resolver *r, const struct asker *a, int code,
                         struct bytes detail)
{
    struct asker unstored = asker_unstored(a);

    txn_refuse(r, &unstored, code, detail, -1);
}
