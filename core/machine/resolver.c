#include "core/machine/resolver.h"

#include <stdlib.h>

#include "core/base/check.h"
#include "core/base/errors.h"
#include "core/machine/inside.h"
#include "core/session/session.h"

struct resolver *resolver_new(const struct resolver_config *config, struct machine *m)
{
    struct resolver *r = mem_zalloc(sizeof *r);

    r->scripts = config->scripts;
    r->seed = config->seed;
    r->limits = config->limits;
    r->machine = m;
    r->expiry = expiry_new();
    kv_overlay_init(&r->pending, &m->applied->view, m->applied->view.seed);
    kv_overlay_remember(&r->pending); /* what is forgotten of it was applied */
    tx_init(&r->tx, &r->pending.view, m->applied->view.seed);
    list_init(&r->lanes_all);
    list_init(&r->ready);
    list_init(&r->ripe);
    return r;
}

void resolver_free(struct resolver *r)
{
    if (r == NULL) return;
    resolver_stop(r);
    tx_fini(&r->tx);
    kv_overlay_fini(&r->pending);
    expiry_free(r->expiry);
    table_fini(&r->lanes);
    table_fini(&r->watch_paths);
    buf_fini(&r->txns);
    buf_fini(&r->out.value);
    buf_fini(&r->out.message);
    buf_fini(&r->out.paths);
    buf_fini(&r->spare.value);
    buf_fini(&r->spare.message);
    buf_fini(&r->spare.paths);
    buf_fini(&r->result);
    buf_fini(&r->parts);
    buf_fini(&r->created);
    buf_fini(&r->message);
    buf_fini(&r->kept);
    buf_fini(&r->kept_source);
    buf_fini(&r->event);
    free(r->woken);
    free(r->deadlines);
    free(r);
}

void resolver_start(struct resolver *r, uint64_t now_ms)
{
    CHECK(!r->started);
    r->started = true;
    r->now_ms = now_ms;
    r->zxid = r->machine->zxid;
    r->time_ms = r->machine->time_ms;
    r->clock_ms = r->machine->clock_ms;
    r->clock_from_ms = now_ms;
    r->clock_base_ms = r->clock_ms;
    r->tally = r->machine->tally;
    r->tally.expires_first = 0;
    leases_load(r);
    events_load(r);
}

void resolver_stop(struct resolver *r)
{
    lanes_clear(r);
    CHECK(r->calls_count == 0 && r->helds_count == 0 && r->kept_bytes == 0); /* V4 */
    CHECK(r->watch_paths.count == 0 && r->deadlines_count == 0);
    expiry_clear(r->expiry);
    tx_reset(&r->tx);
    events_clear(r);
    kv_overlay_clear(&r->pending);
    buf_clear(&r->txns);
    r->txns_count = 0;
    r->origins = 0;
    r->fuel = 0;
    r->started = false;
}

bool resolver_started(const struct resolver *r)
{
    return r->started;
}

bool resolver_room(const struct resolver *r)
{
    return r->txns.len < BATCH_BYTES_AIM && !resolver_is_tired(r);
}

void resolver_turn(struct resolver *r)
{
    r->fuel = 0;
}

bool resolver_is_tired(const struct resolver *r)
{
    return r->fuel >= SCRIPT_FUEL_MAX;
}

uint64_t resolver_fuel(const struct resolver *r)
{
    return r->fuel;
}

/* A request in turn, or without a turn. */
static int resolve_new(struct resolver *r, const struct asker *a, const struct request *q,
                       struct bytes request)
{
    struct session s;

    switch (q->kind) {
    case REQUEST_WRITE:
        write_resolve(r, a, q);
        return 0;
    case REQUEST_CALL:
        return call_start(r, a, request);
    case REQUEST_CANCEL:
        if (session_read(&r->pending.view, a->session, &s))
            call_cancel(r, a, q->target_seq);
        else
            txn_refuse_unstored(r, a, ERR_SESSION_EXPIRED, (struct bytes){ 0 });
        return 0;
    case REQUEST_SESSION_OPEN:
        lease_open(r, a, q);
        return 0;
    case REQUEST_SESSION_CLOSE:
        return lease_close(r, a);
    case REQUEST_MEMBER:
        return ERR_BAD_MESSAGE; /* resolver_change() has those */
    }
    CHECK(false);
    return 0;
}

/* A call that waited under another leader: it runs from its start, on the version of the
 * recipe that it began with. */
static int resolve_again(struct resolver *r, const struct asker *a, const struct request *q,
                         struct bytes request)
{
    struct asker again = *a;

    again.began = session_began(&r->pending.view, a->session, a->seq);
    return resolve_new(r, &again, q, request);
}

int request_resolve(struct resolver *r, const struct asker *a, const struct request *q,
                    struct bytes request)
{
    if (a->session != 0) (void)expiry_renew(r->expiry, a->session, r->now_ms);
    if (a->seq == 0) return resolve_new(r, a, q, request);

    switch (session_judge(&r->pending.view, a->session, a->seq, a->ack)) {
    case SESSION_NEW:
        return resolve_new(r, a, q, request);
    case SESSION_REPEATED:
        txn_repeat(r, a);
        return 0;
    case SESSION_WAITING:
        return call_attach(r, a) ? 0 : resolve_again(r, a, q, request);
    case SESSION_GAP:
        return held_add(r, a, request);
    case SESSION_ACKNOWLEDGED:
        txn_refuse_unstored(r, a, ERR_SEQ_ACKNOWLEDGED, (struct bytes){ 0 });
        return 0;
    case SESSION_OVER:
        txn_refuse_unstored(r, a, ERR_SESSION_EXPIRED, (struct bytes){ 0 });
        return 0;
    case SESSION_FULL:
        return ERR_BUSY;
    }
    CHECK(false);
    return 0;
}

/* Held requests go first: they are older than what they may wake. Each turn of the loop can
 * make more of both, so the round is bounded, and the rest is for the next one. */
static void run_put_off(struct resolver *r)
{
    for (int i = 0; i < ROUND_RUNS_MAX && resolver_room(r); i++) {
        if (!list_empty(&r->ripe))
            held_run_first(r);
        else if (!list_empty(&r->ready))
            call_run_first(r);
        else
            return;
    }
}

static void set_time(struct resolver *r, struct resolver_time time)
{
    r->now_ms = time.now_ms;
    r->wall_ms = time.wall_ms;
}

int resolver_submit(struct resolver *r, const struct resolver_request *request,
                    struct resolver_time time)
{
    struct asker a = { .origin = request->origin, .tag = request->tag };
    struct request q;
    int code = request_decode(request->request, &q);

    CHECK(r->started);
    CHECK(resolver_room(r));
    CHECK(request->origin >= 1 && request->origin <= NODES_MAX);
    if (code != 0) return code;
    set_time(r, time);
    a.session = q.session;
    a.seq = q.seq;
    a.ack = q.ack;
    code = request_resolve(r, &a, &q, request->request);
    run_put_off(r);
    return code;
}

void resolver_refuse(struct resolver *r, const struct resolver_request *request,
                     struct resolver_time time, int code)
{
    const struct asker a = { .origin = request->origin, .tag = request->tag };

    CHECK(r->started);
    set_time(r, time);
    txn_refuse(r, &a, code, (struct bytes){ 0 }, -1);
}

void resolver_tick(struct resolver *r, struct resolver_time time)
{
    if (!r->started) return;
    set_time(r, time);
    leases_expire_due(r);
    nodes_expire_due(r);
    calls_time_out(r);
    run_put_off(r);
}

bool resolver_has_batch(const struct resolver *r)
{
    return r->txns_count > 0;
}

bool resolver_renew(struct resolver *r, uint64_t session, uint64_t now_ms)
{
    return expiry_renew(r->expiry, session, now_ms);
}

void resolver_stalled(struct resolver *r, uint64_t lost_ms)
{
    expiry_stalled(r->expiry, lost_ms);
    r->clock_from_ms += lost_ms;
}

static void put_header(const struct resolver *r, struct buf *out, uint64_t zxid_first)
{
    const struct batch b = { .zxid_first = zxid_first,
                             .time_ms = r->time_ms,
                             .clock_ms = r->clock_ms,
                             .digest_slot = machine_slot(r->machine),
                             .digest = r->machine->applied->digest };

    buf_clear(out);
    batch_begin(out, &b);
    buf_put_uint(out, r->txns_count);
}

bool resolver_take(struct resolver *r, struct buf *out, uint32_t *origins)
{
    if (r->txns_count == 0) return false;
    put_header(r, out, r->zxid_first);
    buf_put_bytes_raw(out, buf_bytes(&r->txns));
    *origins = r->origins;
    buf_clear(&r->txns);
    r->txns_count = 0;
    r->origins = 0;
    return true;
}

void resolver_take_opening(struct resolver *r, struct resolver_time time, struct buf *out)
{
    CHECK(r->started);
    CHECK(r->txns_count == 0);
    set_time(r, time);
    batch_times_set(r);
    put_header(r, out, r->zxid + 1);
}

void resolver_applied(struct resolver *r, uint64_t zxid)
{
    kv_overlay_forget(&r->pending, zxid);
}

struct resolver_stats resolver_stats(const struct resolver *r)
{
    return (struct resolver_stats){ .waiting = r->calls_count,
                                    .held = r->helds_count,
                                    .pending_cells = r->pending.count,
                                    .script_runs = r->runs,
                                    .expiries = r->expiries,
                                    .leased = expiry_count(r->expiry) };
}
