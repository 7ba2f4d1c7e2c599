#include "tests/lib/resolver_rig.h"

#include <stdlib.h>

#include "core/base/check.h"
#include "core/machine/inside.h"
#include "core/tree/node.h"

static void reign_begin(struct rig *g)
{
    struct proposal *p;
    struct buf batch = { 0 };

    g->round++;
    g->reign_first = g->taken + 1;
    resolver_start(g->resolver, g->now.now_ms);
    resolver_take_opening(g->resolver, g->now, &batch);
    g->taken++;
    p = &g->slots[g->taken % RIG_SLOTS_MAX];
    *p = (struct proposal){ .reign = { g->round, 1 },
                             .reign_first = g->reign_first,
                             .batch = blob_new(buf_bytes(&batch)) };
    buf_fini(&batch);
    rig_apply(g);
}

void rig_init(struct rig *g, uint64_t seed)
{
    struct resolver_config config = { .scripts = &g->scripts, .seed = seed };

    memset(g, 0, sizeof *g);
    g->origin = 1;
    g->scripts.run = rig_run_script;
    g->now = (struct resolver_time){ 1000, 1700000000000 };
    kv_overlay_init(&g->store, NULL, seed);
    kv_overlay_init(&g->twin_store, NULL, seed + 1);
    CHECK(machine_init(&g->machine, &g->store) == 0);
    CHECK(machine_init(&g->twin, &g->twin_store) == 0);
    g->resolver = resolver_new(&config, &g->machine);
    reign_begin(g);
}

void rig_fini(struct rig *g)
{
    resolver_free(g->resolver);
    for (uint64_t s = machine_slot(&g->machine) + 1; s <= g->taken; s++) {
        blob_unref(g->slots[s % RIG_SLOTS_MAX].batch);
    }
    machine_fini(&g->machine);
    machine_fini(&g->twin);
    kv_overlay_fini(&g->store);
    kv_overlay_fini(&g->twin_store);
    for (uint64_t tag = 0; tag <= g->tag; tag++)
        buf_fini(&g->answers[tag].bytes);
    buf_fini(&g->request);
}

static void keep_answer(void *ctx, const struct txn *t, uint64_t zxid, struct bytes result)
{
    struct rig *g = ctx;
    struct rig_answer *a = &g->answers[t->tag];

    if (t->origin == 0 || (t->flags & TXN_FINAL) == 0) return;
    a->count++;
    a->zxid = zxid;
    buf_clear(&a->bytes);
    buf_put_bytes_raw(&a->bytes, result);
    CHECK(result_decode(buf_bytes(&a->bytes), &a->result) == 0);
    CHECK(a->result.zxid <= zxid); /* C2 */
}

/* V1: what the leader foresaw of every cell up to here is what was applied. */
static void check_foreseen(void *ctx, struct bytes key, struct bytes value, uint64_t stamp)
{
    struct rig *g = ctx;
    struct bytes applied;

    if (stamp > g->machine.zxid) return;
    CHECK(kv_get(&g->store.view, key, &applied) == (value.ptr != NULL));
    CHECK(value.ptr == NULL || bytes_equal(applied, value));
}

void rig_apply(struct rig *g)
{
    struct proposal *p = &g->slots[(machine_slot(&g->machine) + 1) % RIG_SLOTS_MAX];
    bool counted, counted_twin;

    CHECK(machine_apply(&g->machine, p, keep_answer, g, &counted) == 0);
    CHECK(machine_apply(&g->twin, p, NULL, NULL, &counted_twin) == 0);
    CHECK(counted == counted_twin);
    CHECK(g->store.digest == g->twin_store.digest); /* M3 */
    kv_overlay_each(&g->resolver->pending, check_foreseen, g);
    resolver_applied(g->resolver, g->machine.zxid);
    blob_unref(p->batch);
    p->batch = NULL;
}

void rig_new_reign(struct rig *g, uint64_t slots_kept)
{
    resolver_stop(g->resolver);
    while (machine_slot(&g->machine) < g->taken && slots_kept-- > 0)
        rig_apply(g);
    for (uint64_t s = machine_slot(&g->machine) + 1; s <= g->taken; s++) {
        blob_unref(g->slots[s % RIG_SLOTS_MAX].batch);
    }
    g->taken = machine_slot(&g->machine);
    reign_begin(g);
}

uint64_t rig_submit(struct rig *g, const struct request *q)
{
    struct resolver_request request = { .origin = g->origin, .tag = ++g->tag };

    CHECK(g->tag < RIG_TAGS_MAX);
    if (!resolver_room(g->resolver)) rig_take(g);
    buf_clear(&g->request);
    request_encode(&g->request, q);
    request.request = buf_bytes(&g->request);
    g->code = resolver_submit(g->resolver, &request, g->now);
    return g->tag;
}

bool rig_take(struct rig *g)
{
    struct buf batch = { 0 };
    uint32_t origins;
    bool some = resolver_take(g->resolver, &batch, &origins);

    if (some) {
        CHECK(batch.len <= BATCH_BYTES_MAX);
        g->taken++;
        CHECK(g->taken - machine_slot(&g->machine) < RIG_SLOTS_MAX);
        g->slots[g->taken % RIG_SLOTS_MAX] = (struct proposal){
            .reign = { g->round, 1 },
            .reign_first = g->reign_first,
            .batch = blob_new(buf_bytes(&batch)),
        };
    }
    buf_fini(&batch);
    return some;
}

void rig_settle(struct rig *g)
{
    /* Bounded, for calls that wake each other for ever. */
    for (int i = 0; i < 100 && resolver_has_batch(g->resolver); i++) {
        rig_take(g);
        resolver_tick(g->resolver, g->now);
    }
    while (machine_slot(&g->machine) < g->taken)
        rig_apply(g);
}

void rig_pass(struct rig *g, uint64_t ms)
{
    g->now.now_ms += ms;
    g->now.wall_ms += (int64_t)ms;
    resolver_tick(g->resolver, g->now);
}

const struct result *rig_answer(struct rig *g, uint64_t tag)
{
    static const struct result none = { .code = 1 };

    return g->answers[tag].count == 0 ? &none : &g->answers[tag].result;
}

uint64_t rig_open(struct rig *g)
{
    struct request q = { .kind = REQUEST_SESSION_OPEN,
                         .timeout_ms = 5000,
                         .secret = BYTES_LIT("0123456789abcdef") };
    uint64_t tag = rig_submit(g, &q);
    struct result_part part;
    struct result_parts parts;

    rig_settle(g);
    parts = result_parts_of(rig_answer(g, tag));
    CHECK(result_part_next(&parts, &part) == 0);
    return part.id;
}

static uint64_t submit_wants(struct rig *g, struct rig_id id, const struct want *wants,
                             uint32_t count, bool single)
{
    struct buf encoded = { 0 };
    struct request q = { .kind = REQUEST_WRITE,
                         .session = id.session,
                         .seq = id.seq,
                         .ack = id.seq == 0 ? 0 : g->ack,
                         .single = single,
                         .wants_count = count };
    uint64_t tag;

    for (uint32_t i = 0; i < count; i++) want_encode(&encoded, &wants[i]);
    q.wants = buf_bytes(&encoded);
    tag = rig_submit(g, &q);
    buf_fini(&encoded);
    return tag;
}

static uint64_t submit_want(struct rig *g, struct rig_id id, struct want want)
{
    return submit_wants(g, id, &want, 1, true);
}

uint64_t rig_want(struct rig *g, struct rig_id id, const struct want *want)
{
    return submit_wants(g, id, want, 1, true);
}

uint64_t rig_multi(struct rig *g, struct rig_id id, const struct want *wants, uint32_t count)
{
    return submit_wants(g, id, wants, count, false);
}

uint64_t rig_create(struct rig *g, struct rig_id id, const char *path, unsigned flags)
{
    return submit_want(
        g, id,
        (struct want){ .kind = WANT_CREATE, .path = bytes_str(path), .flags = flags });
}

uint64_t rig_set(struct rig *g, struct rig_id id, const char *path, const char *data)
{
    return submit_want(g, id,
                       (struct want){ .kind = WANT_SET,
                                      .path = bytes_str(path),
                                      .data = bytes_str(data),
                                      .version = -1 });
}

uint64_t rig_delete(struct rig *g, struct rig_id id, const char *path)
{
    return submit_want(
        g, id,
        (struct want){ .kind = WANT_DELETE, .path = bytes_str(path), .version = -1 });
}

uint64_t rig_mark(struct rig *g, struct rig_id id)
{
    uint8_t data[16];

    put_u64(data, id.session);
    put_u64(data + 8, id.seq);
    return submit_want(g, id,
                       (struct want){ .kind = WANT_CREATE,
                                      .path = BYTES_LIT("/marks/m-"),
                                      .data = bytes_of(data, sizeof data),
                                      .flags = TX_SEQUENTIAL | TX_PARENTS });
}

uint64_t rig_call(struct rig *g, struct rig_id id, const char *function, const char *args)
{
    const char *dot = strchr(function, '.');
    struct request q = { .kind = REQUEST_CALL,
                         .session = id.session,
                         .seq = id.seq,
                         .ack = id.seq == 0 ? 0 : g->ack,
                         .recipe = bytes_of(function, (size_t)(dot - function)),
                         .function = bytes_str(dot + 1),
                         .args = bytes_str(args),
                         .timeout_ms = 60000 };

    return rig_submit(g, &q);
}

uint64_t rig_cancel(struct rig *g, struct rig_id id)
{
    struct request q = { .kind = REQUEST_CANCEL,
                         .session = id.session,
                         .target_seq = id.seq };

    return rig_submit(g, &q);
}

uint64_t rig_close(struct rig *g, uint64_t session)
{
    struct request q = { .kind = REQUEST_SESSION_CLOSE, .session = session };

    return rig_submit(g, &q);
}

bool rig_exists(struct rig *g, const char *path)
{
    struct node n;

    return node_read(&g->store.view, bytes_str(path), &n);
}
