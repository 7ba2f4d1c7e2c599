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

/* Deletes as many of the session's ephemerals as a batch takes at its ease. */
static void delete_some(struct resolver *r, uint64_t id)
{
    struct buf prefix = { 0 }, key = { 0 }, path = { 0 };

    txn_begin(r, 0, UINT32_MAX);
    r->tx.reserved_allowed = true;
    node_owner_prefix(&prefix, id);
    while (r->tx.ops.len < BATCH_BYTES_AIM &&
           kv_first(&r->tx.over.view, buf_bytes(&prefix), &key)) {
        buf_clear(&path);
        buf_put_bytes_raw(&path, node_owner_key_path(buf_bytes(&key)));
        CHECK(tx_delete(&r->tx, buf_bytes(&path), -1) == 0); /* T2: it has no children */
    }
    txn_commit(r, &nobody, TXN_FINAL, (struct bytes){ 0 });
    buf_fini(&prefix);
    buf_fini(&key);
    buf_fini(&path);
}

/* The end of a session that lives, for whoever asks. When it owns more than a batch can
 * hold, a part of it goes now, and the session is due again at once: with a timeout of 0 no
 * renewal can save it. Only such a giant ends in more than one transaction. */
static int lease_end(struct resolver *r, const struct asker *a)
{
    struct result result = { .index = -1 };

    lane_end(r, a->session);
    expiry_remove(r->expiry, a->session);
    txn_begin(r, 0, UINT32_MAX);
    r->tx.reserved_allowed = true;
    CHECK(session_close(&r->tx, a->session) == 0);
    if (txn_fits(r, ENDING_BYTES_MAX)) {
        txn_answer(r, a, &result);
        return 0;
    }
    delete_some(r, a->session);
    expiry_add(r->expiry, a->session, 0, r->now_ms);
    return ERR_BUSY;
}

int lease_close(struct resolver *r, const struct asker *a)
{
    struct session s;

    if (session_read(&r->pending.view, a->session, &s)) return lease_end(r, a);
    txn_refuse_unstored(r, a, ERR_SESSION_EXPIRED, (struct bytes){ 0 });
    return 0;
}

void leases_load(struct resolver *r)
{
    const struct bytes prefix = BYTES_LIT("s");
    struct buf at = { 0 }, next = { 0 };
    struct session s;

    buf_put_bytes_raw(&at, prefix);
    while (kv_seek(&r->pending.view, prefix, buf_bytes(&at), KV_FORWARD, &next)) {
        struct buf taken = at;

        CHECK(next.len == 9);
        CHECK(session_read(&r->pending.view, get_u64_be(next.ptr + 1), &s));
        expiry_add(r->expiry, s.id, s.timeout_ms, r->now_ms);
        at = next;
        next = taken;
    }
    buf_fini(&at);
    buf_fini(&next);
}

void leases_expire_due(struct resolver *r)
{
    struct session s;

    while (resolver_room(r)) {
        struct asker a = { .session = expiry_take_due(r->expiry, r->now_ms) };

        if (a.session == 0) return;
        CHECK(session_read(&r->pending.view, a.session, &s)); /* V5 */
        if (lease_end(r, &a) == 0) r->expiries++;
    }
}
