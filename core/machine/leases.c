#include "core/base/check.h"
#include "core/base/errors.h"
#include "core/machine/inside.h"
#include "core/session/session.h"

static const struct asker nobody = { 0 };

static uint64_t clamp_timeout(uint64_t timeout_ms)
{
    if (timeout_ms == 0) return SESSION_TIMEOUT_DEFAULT_MS;
    if (timeout_ms < SESSION_TIMEOUT_MIN_MS) return SESSION_TIMEOUT_MIN_MS;
    if (timeout_ms > SESSION_TIMEOUT_MAX_MS) return SESSION_TIMEOUT_MAX_MS;
    return timeout_ms;
}

void lease_open(struct resolver *r, const struct asker *a, const struct request *q)
{
    uint64_t timeout_ms = clamp_timeout(q->timeout_ms);
    struct result result = { .index = -1, .parts_count = 1 };
    struct result_part part = { 0 };
    int code;

    txn_begin(r, 0, 1);
    part.id = r->tx.zxid;
    code = session_open(&r->tx, timeout_ms, q->secret);
    if (code != 0) {
        txn_refuse(r, a, code, (struct bytes){ 0 }, -1);
        return;
    }
    buf_clear(&r->parts);
    result_part_encode(&r->parts, &part);
    result.parts = buf_bytes(&r->parts);
    txn_answer(r, a, &result);
    expiry_add(r->expiry, part.id, timeout_ms, r->now_ms);
}

/* A session that owns more than a batch can hold, or once did: from the first part on it is
 * over for all who ask, so that nobody is told that it lives while a part of it is gone. The
 * rest is due again at once, here or at the next leader. */
static void lease_end_partly(struct resolver *r, uint64_t id, bool expired)
{
    bool whole;

    txn_begin(r, 0, UINT32_MAX);
    whole = session_close_partly(&r->tx, id, expired, BATCH_BYTES_AIM);
    tx_finish(&r->tx);
    txn_commit(r, &nobody, TXN_FINAL, (struct bytes){ 0 });
    if (!whole) expiry_add(r->expiry, id, 0, r->now_ms);
}

/* The end of a session that lives, for whoever asks. Only a giant ends in more than one
 * transaction: it is ERR_BUSY then, and whoever asks again hears that it is over. */
static int lease_end(struct resolver *r, const struct asker *a, bool expired)
{
    struct result result = { .index = -1 };

    lane_end(r, a->session);
    expiry_remove(r->expiry, a->session);
    txn_begin(r, 0, UINT32_MAX);
    CHECK(session_close(&r->tx, a->session, expired) == 0);
    tx_finish(&r->tx);
    if (txn_fits(r, ENDING_BYTES_MAX)) {
        txn_answer(r, a, &result);
        return 0;
    }
    lease_end_partly(r, a->session, expired);
    return ERR_BUSY;
}

int lease_close(struct resolver *r, const struct asker *a)
{
    struct session s;

    if (session_read(&r->pending.view, a->session, &s)) return lease_end(r, a, false);
    txn_refuse_unstored(r, a, ERR_SESSION_EXPIRED, (struct bytes){ 0 });
    return 0;
}

void leases_load(struct resolver *r)
{
    uint64_t id = 0;
    struct session s;

    while (session_next(&r->pending.view, &id)) {
        const bool lives = session_read(&r->pending.view, id, &s);

        expiry_add(r->expiry, id, lives ? s.timeout_ms : 0, r->now_ms);
    }
}

void leases_expire_due(struct resolver *r)
{
    struct session s;

    while (resolver_room(r)) {
        struct asker a = { .session = expiry_take_due(r->expiry, r->now_ms) };

        if (a.session == 0) return;
        if (!session_read(&r->pending.view, a.session, &s)) { /* its end has begun */
            lease_end_partly(r, a.session, true);
        } else if (lease_end(r, &a, true) == 0) {
            r->expiries++;
        }
    }
}
