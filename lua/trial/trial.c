#include "lua/trial/trial.h"

#include "core/base/check.h"
#include "core/base/limits.h"
#include "core/machine/batch.h"

enum {
    STEP_MS = 50,
    SETTLE_ROUNDS_MAX = 1000, /* calls may wake each other for ever */
};

static struct trial_call *call_at(const struct trial *t, size_t i)
{
    return (struct trial_call *) (void *) t->calls.ptr + i;
}

static size_t calls_count(const struct trial *t)
{
    return t->calls.len / sizeof(struct trial_call);
}

static struct trial_session *session_at(const struct trial *t, size_t i)
{
    return (struct trial_session *) (void *) t->sessions.ptr + i;
}

static size_t sessions_count(const struct trial *t)
{
    return t->sessions.len / sizeof(struct trial_session);
}

static struct trial_session *session_find(const struct trial *t, uint64_t id)
{
    for (size_t i = 0; i < sessions_count(t); i++) {
        if (session_at(t, i)->id == id) return session_at(t, i);
    }
    return NULL;
}

/* --- slots --- */

static void keep_answer(void *ctx, const struct txn *txn, uint64_t zxid, struct bytes result)
{
    struct trial *t = ctx;
    struct trial_call *c;

    (void) zxid;
    if (txn->origin == 0 || txn->tag == 0 || (txn->flags & TXN_FINAL) == 0) return;
    c = call_at(t, (size_t) txn->tag - 1);
    if (c->answered) return;
    c->answered = true;
    buf_put_bytes_raw(&c->answer, result);
}

static void apply(struct trial *t, struct bytes batch)
{
    struct proposal p = { .reign = { t->round, 1 },
                          .reign_first = t->reign_first,
                          .batch = blob_new(batch) };
    bool counted;

    CHECK(machine_apply(&t->machine, &p, keep_answer, t, &counted) == 0);
    CHECK(counted);
    t->slot++;
    resolver_applied(t->resolver, t->machine.zxid);
    blob_unref(p.batch);
}

static bool take(struct trial *t)
{
    struct buf batch = { 0 };
    uint32_t origins;
    const bool some = resolver_take(t->resolver, &batch, &origins);

    if (some) apply(t, buf_bytes(&batch));
    buf_fini(&batch);
    return some;
}

static void settle(struct trial *t)
{
    for (int i = 0; i < SETTLE_ROUNDS_MAX; i++) {
        resolver_turn(t->resolver);
        resolver_tick(t->resolver, t->now);
        if (!take(t)) return;
    }
}

static void reign_begin(struct trial *t)
{
    struct buf batch = { 0 };

    t->round++;
    t->reign_first = t->slot + 1;
    resolver_start(t->resolver, t->now.now_ms);
    resolver_take_opening(t->resolver, t->now, &batch);
    apply(t, buf_bytes(&batch));
    buf_fini(&batch);
}

void trial_init(struct trial *t)
{
    *t = (struct trial){ .now = { 1000, 1700000000000 } };
    kv_overlay_init(&t->store, NULL, 1);
    CHECK(machine_init(&t->machine, &t->store) == 0);
    t->host = host_new((struct sandbox_budget){ .memory_max = SCRIPT_MEMORY_MAX,
                                                .fuel_max = SCRIPT_FUEL_MAX });
    t->resolver = resolver_new(
        &(struct resolver_config){ .scripts = host_scripts(t->host), .seed = 1 }, &t->machine);
    queries_init(&t->queries, host_scripts(t->host), &t->machine, 1);
    reign_begin(t);
}

void trial_fini(struct trial *t)
{
    queries_fini(&t->queries);
    resolver_free(t->resolver);
    host_free(t->host);
    machine_fini(&t->machine);
    kv_overlay_fini(&t->store);
    for (size_t i = 0; i < calls_count(t); i++) {
        buf_fini(&call_at(t, i)->request);
        buf_fini(&call_at(t, i)->answer);
    }
    buf_fini(&t->calls);
    buf_fini(&t->sessions);
}

/* --- requests --- */

/* What the resolver does not take, it answers so too. */
static void submit(struct trial *t, size_t call)
{
    const struct resolver_request r = { .origin = 1,
                                        .tag = call + 1,
                                        .request = buf_bytes(&call_at(t, call)->request) };
    int code;

    if (!resolver_room(t->resolver)) (void) take(t);
    resolver_turn(t->resolver);
    code = resolver_submit(t->resolver, &r, t->now);
    if (code != 0) resolver_refuse(t->resolver, &r, t->now, code);
}

static size_t send_encoded(struct trial *t, uint64_t session, uint64_t seq,
                           const struct request *request)
{
    struct trial_call c = { .session = session, .seq = seq };
    const size_t call = calls_count(t);

    request_encode(&c.request, request);
    buf_put(&t->calls, &c, sizeof c);
    submit(t, call);
    settle(t);
    return call;
}

/* All before the first that is not answered, as a client acknowledges. */
static uint64_t ack_of(const struct trial *t, const struct trial_session *s)
{
    for (size_t i = 0; i < calls_count(t); i++) {
        const struct trial_call *c = call_at(t, i);

        if (c->session == s->id && c->seq != 0 && !c->answered) return c->seq - 1;
    }
    return s->seq;
}

size_t trial_send(struct trial *t, uint64_t session, struct request *request)
{
    struct trial_session *s = session_find(t, session);

    request->session = session;
    request->ack = s == NULL ? 0 : ack_of(t, s);
    request->seq = s == NULL ? 0 : ++s->seq;
    return send_encoded(t, session, request->seq, request);
}

bool trial_answer(struct trial *t, size_t call, struct result *result)
{
    const struct trial_call *c = call_at(t, call);

    if (!c->answered) return false;
    CHECK(result_decode(buf_bytes(&c->answer), result) == 0);
    return true;
}

void trial_cancel(struct trial *t, size_t call)
{
    const struct trial_call *c = call_at(t, call);

    (void) send_encoded(t, c->session, 0,
                        &(struct request){ .kind = REQUEST_CANCEL,
                                           .session = c->session,
                                           .target_seq = c->seq });
}

void trial_query(struct trial *t, const struct query *query, struct result *result)
{
    queries_turn(&t->queries);
    queries_run(&t->queries, query, result);
}

/* --- sessions --- */

uint64_t trial_open(struct trial *t, uint64_t timeout_ms)
{
    const struct request q = { .kind = REQUEST_SESSION_OPEN,
                               .timeout_ms = timeout_ms,
                               .secret = BYTES_LIT("0123456789abcdef") };
    const size_t call = send_encoded(t, 0, 0, &q);
    struct result_part part = { 0 };
    struct trial_session s = { 0 };
    struct result result;
    struct result_parts parts;

    CHECK(trial_answer(t, call, &result) && result.code == 0);
    parts = result_parts_of(&result);
    CHECK(result_part_next(&parts, &part) == 0);
    s.id = part.id;
    buf_put(&t->sessions, &s, sizeof s);
    return s.id;
}

void trial_end(struct trial *t, uint64_t session)
{
    (void) send_encoded(t, session, 0,
                        &(struct request){ .kind = REQUEST_SESSION_CLOSE,
                                           .session = session });
}

void trial_vanish(struct trial *t, uint64_t session)
{
    struct trial_session *s = session_find(t, session);

    if (s != NULL) s->vanished = true;
}

/* --- time, leaders --- */

static void renew_all(struct trial *t)
{
    for (size_t i = 0; i < sessions_count(t); i++) {
        const struct trial_session *s = session_at(t, i);

        if (!s->vanished) (void) resolver_renew(t->resolver, s->id, t->now.now_ms);
    }
}

void trial_advance(struct trial *t, uint64_t ms)
{
    while (ms > 0) {
        const uint64_t step = ms < STEP_MS ? ms : STEP_MS;

        renew_all(t);
        t->now.now_ms += step;
        t->now.wall_ms += (int64_t) step;
        ms -= step;
        settle(t);
    }
}

void trial_new_leader(struct trial *t)
{
    resolver_stop(t->resolver);
    reign_begin(t);
    for (size_t i = 0; i < calls_count(t); i++) {
        if (!call_at(t, i)->answered) submit(t, i);
    }
    settle(t);
}

struct kv_view *trial_view(struct trial *t)
{
    return &t->store.view;
}

uint64_t trial_runs(const struct trial *t)
{
    return resolver_stats(t->resolver).script_runs;
}
