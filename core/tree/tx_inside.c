/* A transaction on top of another one, which it joins when it has ended well. */
#include "core/base/check.h"
#include "core/base/errors.h"
#include "core/base/limits.h"
#include "core/tree/tx.h"

uint32_t tx_ops_left(const struct tx *t)
{
    return (t->ops_max == 0 ? MULTI_OPS_MAX : t->ops_max) - (t->ops_count - t->subtree_ops);
}

void tx_begin_inside(struct tx *t, struct tx *around)
{
    CHECK(tx_ops_left(around) > 0);
    tx_init(t, &around->over.view, around->over.view.seed);
    t->ops_max = tx_ops_left(around);
    t->ops_count = t->subtree_ops = around->subtree_ops; /* these have a bound of their own */
    t->zxid = around->zxid;
    t->time_ms = around->time_ms;
    t->clock_ms = around->clock_ms;
    t->tally = around->tally;
    t->limits = around->limits;
    t->session = around->session;
    t->reserved_allowed = around->reserved_allowed;
    t->read_only = around->read_only;
    t->track_reads = around->track_reads;
}

int tx_join(struct tx *around, struct tx *t)
{
    if (around->ops.len + t->ops.len > TX_BYTES_MAX) return ERR_TOO_LARGE;
    buf_put_bytes_raw(&around->ops, buf_bytes(&t->ops));
    buf_put_bytes_raw(&around->reads, buf_bytes(&t->reads));
    buf_put_bytes_raw(&around->emptied, buf_bytes(&t->emptied));
    around->ops_count += t->ops_count - around->subtree_ops;
    around->subtree_ops = t->subtree_ops;
    around->tally = t->tally;
    kv_overlay_move(&t->over, &around->over, around->zxid);
    return 0;
}
