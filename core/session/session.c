#include "core/session/session.h"

#include "core/base/check.h"
#include "core/base/errors.h"
#include "core/tree/node.h"

enum {
    FORMAT = 1,
    CELL_BYTES = 1 + 8 + SESSION_SECRET_BYTES + 8 + 8,
    RESULT_KEY_BYTES = KV_ID_KEY_BYTES + 8,
    WAITS = 0, /* in place of a result, with the zxid of the first commit behind it */
    WAITS_BYTES = 1 + 8,
};

/* -- Cells ---------------------------------------------------------------------------- */

static void session_put(struct kv_overlay *o, const struct session *s, uint64_t stamp)
{
    uint8_t cell[CELL_BYTES] = { FORMAT }, room[KV_ID_KEY_BYTES];

    CHECK(s->ack <= s->last); /* S1 */
    put_u64(cell + 1, s->timeout_ms);
    memcpy(cell + 9, s->secret, SESSION_SECRET_BYTES);
    put_u64(cell + 9 + SESSION_SECRET_BYTES, s->last);
    put_u64(cell + 17 + SESSION_SECRET_BYTES, s->ack);
    kv_put(o, kv_id_key(room, 's', s->id), bytes_of(cell, sizeof cell), stamp);
}

/* Those included that are over, but have nodes still. */
static bool cell_read(struct kv_view *v, uint64_t id, struct session *s)
{
    uint8_t room[KV_ID_KEY_BYTES];
    struct bytes cell;

    if (!kv_get(v, kv_id_key(room, 's', id), &cell)) return false;
    CHECK(cell.len == CELL_BYTES);
    CHECK(cell.ptr[0] == FORMAT);
    s->id = id;
    s->timeout_ms = get_u64(cell.ptr + 1);
    memcpy(s->secret, cell.ptr + 9, SESSION_SECRET_BYTES);
    s->last = get_u64(cell.ptr + 9 + SESSION_SECRET_BYTES);
    s->ack = get_u64(cell.ptr + 17 + SESSION_SECRET_BYTES);
    return true;
}

bool session_read(struct kv_view *v, uint64_t id, struct session *s)
{
    return cell_read(v, id, s) && s->timeout_ms > 0;
}

bool session_next(struct kv_view *v, uint64_t *id)
{
    uint8_t room[KV_ID_KEY_BYTES];
    struct buf key = { 0 };
    bool found = kv_seek(v, BYTES_LIT("s"), kv_id_key(room, 's', *id), KV_FORWARD, &key);

    if (found) {
        CHECK(key.len == KV_ID_KEY_BYTES);
        *id = get_u64_be(key.ptr + 1);
    }
    buf_fini(&key);
    return found;
}

static struct bytes result_key(uint8_t room[RESULT_KEY_BYTES], uint64_t id, uint64_t seq)
{
    kv_id_key(room, 'r', id);
    put_u64_be(room + KV_ID_KEY_BYTES, seq);
    return bytes_of(room, RESULT_KEY_BYTES);
}

static bool is_waiting(struct bytes cell)
{
    return cell.len == WAITS_BYTES && cell.ptr[0] == WAITS;
}

bool session_result(struct kv_view *v, uint64_t id, uint64_t seq, struct bytes *result)
{
    uint8_t room[RESULT_KEY_BYTES];

    return kv_get(v, result_key(room, id, seq), result) && !is_waiting(*result);
}

uint64_t session_began(struct kv_view *v, uint64_t id, uint64_t seq)
{
    uint8_t room[RESULT_KEY_BYTES];
    struct bytes cell;

    if (!kv_get(v, result_key(room, id, seq), &cell) || !is_waiting(cell)) return 0;
    return get_u64(cell.ptr + 1);
}

/* -- Open and close ------------------------------------------------------------------- */

static void apply_open(struct kv_overlay *o, uint64_t zxid, const struct op *op)
{
    struct session s = { .id = op->owner, .timeout_ms = op->timeout_ms };
    struct session taken;

    CHECK(op->data.len == SESSION_SECRET_BYTES);
    CHECK(op->timeout_ms > 0);
    CHECK(!cell_read(&o->view, op->owner, &taken));
    memcpy(s.secret, op->data.ptr, SESSION_SECRET_BYTES);
    session_put(o, &s, zxid);
}

static void drop_results(struct kv_overlay *o, uint64_t zxid, const struct session *s,
                         uint64_t ack)
{
    uint8_t room[RESULT_KEY_BYTES];

    /* A request that stored none leaves a gap. */
    for (uint64_t seq = s->ack + 1; seq <= ack; seq++) {
        MAYBE(kv_take(o, result_key(room, s->id, seq), zxid));
    }
}

/* Walking the 'r' cells would seek in the whole store; their seqs are known. */
static void apply_close(struct kv_overlay *o, uint64_t zxid, const struct op *op)
{
    uint8_t room[KV_ID_KEY_BYTES];
    struct session s;

    CHECK(cell_read(&o->view, op->owner, &s));
    kv_delete(o, kv_id_key(room, 's', op->owner), zxid);
    drop_results(o, zxid, &s, s.last); /* S2: none is elsewhere */
}

static void apply_end(struct kv_overlay *o, uint64_t zxid, const struct op *op)
{
    struct session s;

    CHECK(session_read(&o->view, op->owner, &s));
    drop_results(o, zxid, &s, s.last);
    s.ack = s.last;
    s.timeout_ms = 0;
    session_put(o, &s, zxid);
}

void session_apply(struct kv_overlay *o, const struct tree_context *c, const struct op *op)
{
    if (op->kind == OP_SESSION_OPEN) {
        apply_open(o, c->zxid, op);
    } else if (op->kind == OP_SESSION_END) {
        apply_end(o, c->zxid, op);
    } else {
        CHECK(op->kind == OP_SESSION_CLOSE);
        apply_close(o, c->zxid, op);
    }
}

static void append_session_op(struct tx *t, const struct op *op)
{
    struct tree_context c = { .zxid = t->zxid, .time_ms = t->time_ms };

    tx_append_session(t, op);
    session_apply(&t->over, &c, op);
}

int session_open(struct tx *t, uint64_t timeout_ms, struct bytes secret)
{
    if (secret.len != SESSION_SECRET_BYTES) return ERR_BAD_PARAMS;
    append_session_op(t, &(struct op){ .kind = OP_SESSION_OPEN,
                                       .owner = t->zxid,
                                       .timeout_ms = timeout_ms,
                                       .data = secret });
    return 0;
}

/* The node goes; if it is to linger, an empty one without an owner takes its place, a new
 * one: what was granted with the old one is not granted any more. */
static void end_ephemeral(struct tx *t, struct bytes path, bool expired)
{
    struct node n;

    CHECK(node_read(&t->over.view, path, &n)); /* T2 */
    tx_append_delete(t, path);
    if (!expired || n.life != NODE_LINGERS) return;
    tx_append(t, &(struct op){ .kind = OP_CREATE,
                               .path = path,
                               .life = NODE_TTL,
                               .life_ms = n.life_ms });
}

/* True when none is left. */
static bool end_ephemerals(struct tx *t, uint64_t id, bool expired, size_t bytes_max)
{
    struct buf prefix = { 0 }, key = { 0 };
    bool more;

    node_owner_prefix(&prefix, id);
    while ((more = kv_next(&t->over.view, buf_bytes(&prefix), &key)) &&
           t->ops.len < bytes_max) {
        end_ephemeral(t, node_owner_key_path(buf_bytes(&key)), expired);
    }
    buf_fini(&prefix);
    buf_fini(&key);
    return !more;
}

int session_close(struct tx *t, uint64_t id, bool expired)
{
    struct session s;

    if (!session_read(&t->over.view, id, &s)) return ERR_SESSION_EXPIRED;
    CHECK(end_ephemerals(t, id, expired, SIZE_MAX));
    append_session_op(t, &(struct op){ .kind = OP_SESSION_CLOSE, .owner = id });
    return 0;
}

bool session_close_partly(struct tx *t, uint64_t id, bool expired, size_t bytes_aim)
{
    struct session s;

    CHECK(cell_read(&t->over.view, id, &s));
    if (s.timeout_ms > 0) {
        append_session_op(t, &(struct op){ .kind = OP_SESSION_END, .owner = id });
    }
    if (!end_ephemerals(t, id, expired, bytes_aim)) return false;
    append_session_op(t, &(struct op){ .kind = OP_SESSION_CLOSE, .owner = id });
    return true;
}

/* -- Exactly once --------------------------------------------------------------------- */

/* How far the results are acknowledged, once request `seq` has brought its `ack`. */
static uint64_t ack_after(const struct session *s, uint64_t seq, uint64_t ack)
{
    if (ack >= seq) ack = seq - 1;
    return ack > s->ack ? ack : s->ack;
}

enum session_verdict session_judge(struct kv_view *v, uint64_t id, uint64_t seq,
                                   uint64_t ack)
{
    struct session s;
    struct bytes result;

    if (!session_read(v, id, &s)) return SESSION_OVER;
    if (seq <= s.ack) return SESSION_ACKNOWLEDGED;
    if (seq <= s.last) {
        return session_result(v, id, seq, &result) ? SESSION_REPEATED : SESSION_WAITING;
    }
    if (seq != s.last + 1) return SESSION_GAP;
    if (s.last - ack_after(&s, seq, ack) >= SESSION_RESULTS_MAX) return SESSION_FULL;
    return SESSION_NEW;
}

/* A request that was seen before and has its result now has waited until now. */
static void put_result(struct kv_overlay *o, uint64_t zxid, struct bytes key,
                       struct bytes result, bool seen_before)
{
    uint8_t waits[WAITS_BYTES] = { WAITS };

    if (result.ptr == NULL) {
        if (seen_before) return; /* its first commit counts */
        put_u64(waits + 1, zxid);
        kv_put_new(o, key, bytes_of(waits, sizeof waits), zxid);
    } else if (seen_before) {
        kv_put(o, key, result, zxid);
    } else {
        kv_put_new(o, key, result, zxid);
    }
}

void session_record(struct kv_overlay *o, uint64_t zxid, uint64_t id, uint64_t seq,
                    uint64_t ack, struct bytes result)
{
    uint8_t room[RESULT_KEY_BYTES];
    struct session s;
    bool seen_before;

    if (!session_read(&o->view, id, &s)) return;
    seen_before = seq <= s.last;
    CHECK(seq >= 1);
    CHECK(seq <= s.last + 1);
    ack = ack_after(&s, seq, ack);
    drop_results(o, zxid, &s, ack);
    s.ack = ack;
    if (seq > s.last) s.last = seq;
    session_put(o, &s, zxid);
    if (seq <= s.ack) return; /* S2 */
    put_result(o, zxid, result_key(room, id, seq), result, seen_before);
}

/* -- Checking ------------------------------------------------------------------------- */

static void check_session(struct kv_view *v, struct bytes key)
{
    struct session s;

    CHECK(key.len == KV_ID_KEY_BYTES);
    CHECK(cell_read(v, get_u64_be(key.ptr + 1), &s));
    CHECK(s.ack <= s.last); /* S1 */
}

static void check_result(struct kv_view *v, struct bytes key)
{
    struct session s;

    CHECK(key.len == RESULT_KEY_BYTES);
    CHECK(cell_read(v, get_u64_be(key.ptr + 1), &s));    /* S3 */
    CHECK(get_u64_be(key.ptr + KV_ID_KEY_BYTES) > s.ack);   /* S2 */
    CHECK(get_u64_be(key.ptr + KV_ID_KEY_BYTES) <= s.last); /* S2 */
}

static void check_owned(struct kv_view *v, struct bytes key)
{
    struct session s;

    CHECK(cell_read(v, get_u64_be(key.ptr + 1), &s)); /* S3 */
}

void session_check(struct kv_view *v)
{
    struct buf key = { 0 };

    while (kv_next(v, BYTES_LIT("s"), &key)) check_session(v, buf_bytes(&key));
    while (kv_next(v, BYTES_LIT("r"), &key)) check_result(v, buf_bytes(&key));
    while (kv_next(v, BYTES_LIT("e"), &key)) check_owned(v, buf_bytes(&key));
}
