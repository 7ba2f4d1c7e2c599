/* Nodes that expire: the 't' cells are their order, and expires_first of the tally says when to
 * look, so that a leader keeps nothing of them in memory and looks for none in vain. */
#include "core/base/check.h"
#include "core/machine/inside.h"

static const struct asker nobody = { 0 };

/* The one that expires first. What expired up to expires_first is gone: to begin behind it
 * spares a walk over what was deleted. */
static bool first_expiring(struct resolver *r, struct buf *key, uint64_t *expires)
{
    uint8_t room[KV_ID_KEY_BYTES];
    const struct bytes from = kv_id_key(room, 't', r->tally.expires_first);

    if (!kv_seek(&r->pending.view, BYTES_LIT("t"), from, KV_FORWARD, key)) return false;
    *expires = get_u64_be(key->ptr + 1);
    return true;
}

/* One transaction of its own, so that each is found in the log by its zxid. */
static void node_expire(struct resolver *r, struct bytes path)
{
    txn_begin(r, 0, UINT32_MAX);
    tx_append_delete(&r->tx, path);
    tx_finish(&r->tx);
    txn_commit(r, &nobody, TXN_FINAL, (struct bytes){ 0 });
}

void nodes_expire_due(struct resolver *r)
{
    struct buf key = { 0 };
    uint64_t expires = 0;

    if (r->txns_count == 0) batch_times_set(r);
    while (resolver_room(r) && r->tally.expires_first <= r->clock_ms) {
        if (!first_expiring(r, &key, &expires)) {
            r->tally.expires_first = UINT64_MAX;
        } else {
            r->tally.expires_first = expires;
            if (expires > r->clock_ms) break;
            node_expire(r, node_expiry_key_path(buf_bytes(&key)));
        }
    }
    buf_fini(&key);
}
