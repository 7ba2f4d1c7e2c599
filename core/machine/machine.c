#include "core/machine/machine.h"

#include "core/base/check.h"
#include "core/base/errors.h"
#include "core/machine/result.h"
#include "core/machine/roster.h"
#include "core/session/session.h"
#include "core/tree/tree.h"

enum { APPLIED_VERSION = 2, APPLIED_VERSION_FIRST = 1 };

static const struct bytes applied_key = BYTES_LIT("mapplied");

static void put_place(struct machine *m)
{
    struct buf *out = &m->scratch;

    buf_clear(out);
    buf_put_u8(out, APPLIED_VERSION);
    buf_put_uint(out, m->run.slot);
    buf_put_uint(out, m->run.reign.round);
    buf_put_uint(out, m->run.reign.node);
    buf_put_u8(out, m->run.valid);
    buf_put_uint(out, m->zxid);
    buf_put_uint(out, (uint64_t)m->time_ms);
    buf_put_u64(out, m->applied->digest);
    buf_put_uint(out, m->clock_ms);
    buf_put_uint(out, m->tally.nodes);
    buf_put_uint(out, m->tally.bytes);
    buf_put_uint(out, m->tally.quotas);
    kv_put(m->applied, applied_key, buf_bytes(out), m->zxid);
    m->digests[m->run.slot % MACHINE_DIGESTS] = m->applied->digest;
}

static bool version_is_known(uint8_t version)
{
    return version >= APPLIED_VERSION_FIRST && version <= APPLIED_VERSION;
}

static int read_place(struct machine *m, struct bytes cell)
{
    struct reader r = reader_of(cell);
    uint64_t node, time_ms;
    uint8_t version = read_u8(&r), valid;

    if (r.bad) return ERR_DAMAGED;
    if (!version_is_known(version)) return ERR_OTHER_VERSION;
    m->run.slot = read_uint(&r);
    m->run.reign.round = read_uint(&r);
    node = read_uint(&r);
    valid = read_u8(&r);
    m->zxid = read_uint(&r);
    time_ms = read_uint(&r);
    m->applied->digest = read_u64(&r);
    if (version == APPLIED_VERSION) {
        m->clock_ms = read_uint(&r);
        m->tally.nodes = read_uint(&r);
        m->tally.bytes = read_uint(&r);
        m->tally.quotas = read_uint(&r);
    } else {
        m->tally = tree_tally_count(&m->applied->view);
    }
    if (!reader_done(&r) || node > NODES_MAX || valid > 1 || time_ms > INT64_MAX) {
        return ERR_DAMAGED;
    }
    m->run.reign.node = (uint32_t)node;
    m->run.valid = valid == 1;
    m->time_ms = (int64_t)time_ms;
    m->digests_first = m->run.slot;
    m->digests[m->run.slot % MACHINE_DIGESTS] = m->applied->digest;
    return 0;
}

int machine_init(struct machine *m, struct kv_overlay *applied)
{
    struct bytes cell;

    *m = (struct machine){ .applied = applied };
    applied->settled = true; /* nobody but apply changes it, or what it is written to */
    kv_overlay_remember(applied);
    if (kv_get(&applied->view, applied_key, &cell)) return read_place(m, cell);

    applied->digest = 0;
    applied->digesting = true;
    tree_found(applied);
    applied->digesting = false;
    m->tally.nodes = 1;
    put_place(m);
    return 0;
}

void machine_fini(struct machine *m)
{
    buf_fini(&m->scratch);
}

uint64_t machine_slot(const struct machine *m)
{
    return m->run.slot;
}

int machine_roster(const struct machine *m, struct roster *roster)
{
    return roster_read(&m->applied->view, roster);
}

void machine_refound(struct machine *m, const struct roster *roster, uint64_t zxid)
{
    struct buf bytes = { 0 };

    CHECK(zxid > m->zxid);
    CHECK(roster_is_sound(roster));
    m->zxid = zxid;
    roster_encode(&bytes, roster);
    m->applied->digesting = true;
    roster_apply(m->applied, zxid, buf_bytes(&bytes));
    m->applied->digesting = false;
    buf_fini(&bytes);
    put_place(m);
}

struct bytes machine_place_key(void)
{
    return applied_key;
}

bool machine_place_peek(struct bytes key, struct bytes value, uint64_t *slot)
{
    struct reader r = reader_of(value);

    if (!bytes_equal(key, applied_key)) return false;
    if (!version_is_known(read_u8(&r))) r.bad = true;
    *slot = read_uint(&r);
    if (r.bad) *slot = 0;
    return true;
}

void machine_record(struct kv_overlay *o, const struct txn *t, uint64_t zxid)
{
    if (t->session == 0 || t->seq == 0) return;
    session_record(o, zxid, t->session, t->seq, t->ack, t->result);
}

static void apply_ops(struct machine *m, const struct tree_context *c, struct bytes ops)
{
    struct reader r = reader_of(ops);
    struct op op;

    while (reader_left(&r) > 0) {
        CHECK(op_decode(&r, &op) == 0); /* batch_decode() has seen them all */
        switch (op.kind) {
        case OP_CREATE:
        case OP_SET:
        case OP_DELETE:
        case OP_TOUCH:
        case OP_QUOTA:
            tree_apply(m->applied, c, &op);
            break;
        case OP_SESSION_OPEN:
        case OP_SESSION_CLOSE:
        case OP_SESSION_END:
            session_apply(m->applied, c, &op);
            break;
        case OP_MEMBERS:
            roster_apply(m->applied, c->zxid, op.data);
            break;
        }
    }
}

/* The answer of a repeated request is what is stored for the first one. The leader saw it,
 * so it is here; were it not, the client must hear something all the same. */
static struct bytes stored_result(struct machine *m, const struct txn *t, uint64_t zxid)
{
    struct result none = { .code = ERR_SEQ_ACKNOWLEDGED, .zxid = zxid, .index = -1 };
    struct bytes result;

    if (session_result(&m->applied->view, t->session, t->seq, &result)) return result;
    buf_clear(&m->scratch);
    result_encode(&m->scratch, &none);
    return buf_bytes(&m->scratch);
}

static void apply_txn(struct machine *m, const struct tree_context *c, const struct txn *t,
                      machine_txn_fn each, void *ctx)
{
    struct bytes result = t->result;

    apply_ops(m, c, t->ops);
    machine_record(m->applied, t, c->zxid);
    if ((t->flags & TXN_REPEATED) != 0) result = stored_result(m, t, c->zxid);
    if (each != NULL) each(ctx, t, c->zxid, result);
}

static void apply_batch(struct machine *m, struct batch *b, machine_txn_fn each, void *ctx)
{
    struct tree_context c = { .zxid = b->zxid_first,
                              .time_ms = b->time_ms,
                              .clock_ms = b->clock_ms,
                              .tally = &m->tally };
    struct txn t;

    m->applied->digesting = true;
    for (uint32_t i = 0; i < b->count; i++, c.zxid++) {
        CHECK(txn_next(b, &t) == 0);
        apply_txn(m, &c, &t, each, ctx);
    }
    m->applied->digesting = false;
    m->zxid += b->count;
    m->time_ms = b->time_ms;
    m->clock_ms = b->clock_ms;
}

bool machine_digest(const struct machine *m, uint64_t slot, uint64_t *digest)
{
    if (slot > m->run.slot || slot < m->digests_first) return false;
    if (m->run.slot - slot >= MACHINE_DIGESTS) return false;
    *digest = m->digests[slot % MACHINE_DIGESTS];
    return true;
}

/* A digest too old to be kept says nothing. */
static void compare_digest(struct machine *m, const struct batch *b)
{
    uint64_t own;

    if (!machine_digest(m, b->digest_slot, &own) || own == b->digest) return;
    m->differs_slot = b->digest_slot;
}

/* The roster that the batch puts. */
static int roster_in(struct batch b, struct roster *roster)
{
    struct txn t;
    struct op op;

    for (uint32_t i = 0; i < b.count && txn_next(&b, &t) == 0; i++) {
        struct reader r = reader_of(t.ops);

        while (reader_left(&r) > 0 && op_decode(&r, &op) == 0) {
            if (op.kind == OP_MEMBERS) return roster_decode(op.data, roster);
        }
    }
    return ERR_BAD_MESSAGE;
}

static bool same_members(const struct members *a, const struct members *b)
{
    return a->number == b->number && a->voters == b->voters && a->learners == b->learners;
}

/* What Paxos takes for the members and what the state will say of them is the same, and only
 * the founding is told by the state alone. */
static bool members_fit(const struct machine *m, const struct proposal *p,
                        const struct batch *b)
{
    struct roster before, after;
    struct members sets;

    if (b->rosters == 0) return p->members.number == 0;
    if (b->rosters > 1 || roster_in(*b, &after) != 0) return false;
    if (machine_roster(m, &before) != 0) return false;
    sets = roster_sets(&after);
    if (p->members.number == 0) return before.number == 0;
    return b->count == 1 && after.number == before.number + 1 &&
           same_members(&sets, &p->members);
}

/* The leader had applied the slot of its digest before it made this batch. */
static bool batch_fits(const struct machine *m, const struct batch *b)
{
    return b->zxid_first == m->zxid + 1 && b->time_ms >= m->time_ms &&
           b->clock_ms >= m->clock_ms && b->digest_slot <= m->run.slot;
}

int machine_apply(struct machine *m, const struct proposal *p, machine_txn_fn each,
                  void *ctx, bool *counted)
{
    struct run run = m->run;
    bool valid = run_step(&run, p);
    struct batch b;

    m->differs_slot = 0;
    CHECK(run.slot == m->run.slot + 1); /* M1 */
    if (valid && p->batch != NULL) {
        if (batch_decode(blob_bytes(p->batch), &b) != 0) return ERR_DAMAGED;
        if (!batch_fits(m, &b) || !members_fit(m, p, &b)) return ERR_DAMAGED;
        compare_digest(m, &b);
        apply_batch(m, &b, each, ctx);
    }
    m->run = run;
    put_place(m);
    *counted = valid;
    return 0;
}

void machine_check(struct machine *m)
{
    const struct tree_tally tally = tree_tally_count(&m->applied->view);

    CHECK(!m->applied->digesting);
    CHECK(m->digests[m->run.slot % MACHINE_DIGESTS] == m->applied->digest);
    CHECK(m->tally.nodes == tally.nodes); /* T6 */
    CHECK(m->tally.bytes == tally.bytes);
    CHECK(m->tally.quotas == tally.quotas);
    tree_check(&m->applied->view);
    session_check(&m->applied->view);
}
