#include <stdlib.h>

#include "core/base/check.h"
#include "core/base/errors.h"
#include "core/machine/inside.h"
#include "core/session/session.h"

static struct call *call_new(const struct asker *a, struct bytes request)
{
    struct call *c = mem_zalloc(sizeof *c + request.len);

    memcpy(c + 1, request.ptr, request.len);
    c->asker = *a;
    c->request = bytes_of(c + 1, request.len);
    list_init(&c->by_lane);
    list_init(&c->by_ready);
    list_init(&c->watches);
    list_init(&c->also);
    return c;
}

static struct also *also_of(struct list *link)
{
    return CONTAINER_OF(link, struct also, link);
}

static void also_drop(struct also *one)
{
    list_remove(&one->link);
    free(one);
}

/* The call leaves its lane, which may be empty then. */
static void leave_lane(struct resolver *r, struct call *c)
{
    list_remove(&c->by_lane);
    lane_find(r, c->asker.session)->calls_count--;
    r->calls_count--;
    r->kept_bytes -= c->request.len;
}

void call_drop(struct resolver *r, struct call *c)
{
    watches_drop(r, c);
    deadline_remove(r, c);
    list_remove(&c->by_ready);
    if (c->waits) leave_lane(r, c);
    LIST_EACH_SAFE(at, after, &c->also) also_drop(also_of(at));
    free(c);
}

/* The call has its answer, and its result is stored. */
static void call_finish(struct resolver *r, struct call *c)
{
    struct lane *lane = c->waits ? lane_find(r, c->asker.session) : NULL;

    LIST_EACH_SAFE(at, after, &c->also) txn_repeat(r, &also_of(at)->asker);
    call_drop(r, c);
    if (lane != NULL) lane_release(r, lane);
}

static struct call *call_find(const struct resolver *r, uint64_t session, uint64_t seq)
{
    struct lane *lane = lane_find(r, session);

    if (lane == NULL) return NULL;
    LIST_EACH(at, &lane->calls)
    {
        struct call *c = CONTAINER_OF(at, struct call, by_lane);

        if (c->asker.seq == seq) return c;
    }
    return NULL;
}

static void call_register(struct resolver *r, struct call *c, uint64_t timeout_ms)
{
    struct lane *lane = lane_make(r, c->asker.session);

    c->waits = true;
    c->order = ++r->calls_begun;
    list_push(&lane->calls, &c->by_lane);
    lane->calls_count++;
    r->calls_count++;
    r->kept_bytes += c->request.len;
    if (timeout_ms == 0) return;
    c->deadline_ms =
        timeout_ms > UINT64_MAX - r->now_ms ? UINT64_MAX : r->now_ms + timeout_ms;
    deadline_add(r, c);
}

/* One session is bounded too, however much it acknowledges: see ENDINGS_BYTES_MAX. */
static bool call_has_room(const struct resolver *r, const struct call *c)
{
    const struct lane *lane = lane_find(r, c->asker.session);

    if (c->waits) return true;
    if (lane != NULL && lane->calls_count >= SESSION_RESULTS_MAX) return false;
    return r->calls_count < WAITING_CALLS_MAX && kept_has_room(r, c->request);
}

/* What the function asked to wait for, else what it read. */
static struct bytes paths_of_run(const struct resolver *r)
{
    return buf_bytes(r->out.paths.len > 0 ? &r->out.paths : &r->tx.reads);
}

static bool paths_are_few(struct bytes paths)
{
    struct reader reader = reader_of(paths);
    size_t count = 0;

    while (reader_left(&reader) > 0 && count <= CALL_PATHS_MAX) {
        (void)read_bytes(&reader, paths.len);
        count++;
    }
    CHECK(!reader.bad);
    return count <= CALL_PATHS_MAX;
}

/* Ends the run of a call that goes on waiting. Its writes are committed before it watches
 * anything, and a call that runs again watches nothing: so they cannot wake it (V3). A run
 * that wrote nothing leaves no trace in the log, except the first of a reign, which marks
 * the seq as seen. */
static int call_wait(struct resolver *r, struct call *c, const struct request *q)
{
    const struct asker *a = &c->asker;
    const char *no_session = "a call that waits needs a session";

    tx_finish(&r->tx);
    if (a->session == 0) {
        txn_refuse(r, a, ERR_BAD_MESSAGE, bytes_str(no_session), -1);
    } else if (!call_has_room(r, c)) {
        return ERR_BUSY;
    } else if (!paths_are_few(paths_of_run(r))) {
        txn_refuse(r, a, ERR_OVER_BUDGET, BYTES_LIT("paths to wait for"), -1);
    } else if (!txn_fits(r, 0)) {
        txn_refuse(r, a, ERR_TOO_LARGE, BYTES_LIT("what it would write"), -1);
    } else {
        if (r->tx.ops.len > 0 || !c->recorded) txn_commit(r, a, 0, (struct bytes){ 0 });
        c->recorded = true;
        if (c->asker.began == 0) c->asker.began = r->zxid;
        if (!c->waits) call_register(r, c, q->timeout_ms);
        watches_set(r, c, paths_of_run(r));
        return ERR_PENDING;
    }
    return 0;
}

static void run_script(struct resolver *r, const struct call *c, const struct request *q,
                       bool cancel)
{
    struct script_call call = { .recipe = q->recipe,
                                .function = q->function,
                                .args = q->args,
                                .session = c->asker.session,
                                .seq = c->asker.seq,
                                .began = c->asker.began,
                                .cancel = cancel };

    script_result_clear(&r->out);
    r->scripts->run(r->scripts, &call, &r->tx, &r->out);
    r->fuel += r->out.fuel;
    r->runs++;
}

/* An earlier run of this call was committed, here or under another leader. */
static bool call_has_waited(struct resolver *r, const struct call *c)
{
    struct session s;

    if (c->waits) return true;
    return c->asker.session != 0 && session_read(&r->pending.view, c->asker.session, &s) &&
           s.last >= c->asker.seq;
}

/* What the run wrote is judged by event functions, beside which its own result is kept.
 * False: one refused it, and r->out says why. */
static bool call_passes(struct resolver *r, const struct call *c)
{
    struct script_result own = r->out;
    int code;

    if (own.outcome == SCRIPT_ERROR) return false;
    if (r->bindings_count == 0 || r->tx.ops.len == 0) return true;
    r->out = r->spare;
    code = events_run(r, &c->asker);
    r->spare = code == 0 ? r->out : own;
    if (code == 0) r->out = own;
    return code == 0;
}

/* What the earlier runs of a call left must not stay when a later one is refused: its module
 * cleans up, in a transaction of its own behind the refusal. */
static void call_clean_up(struct resolver *r, const struct call *c, const struct request *q)
{
    const struct asker nobody = { 0 };

    txn_begin(r, c->asker.session, CALL_OPS_MAX);
    run_script(r, c, q, true);
    if (!call_passes(r, c) || r->tx.ops.len == 0 || !txn_fits(r, 0)) return;
    txn_commit(r, &nobody, 0, (struct bytes){ 0 });
}

static int run_once(struct resolver *r, struct call *c, const struct request *q, bool *good)
{
    struct result result = { .index = -1 };

    *good = false;
    if (r->events_changed) events_load(r);
    txn_begin(r, c->asker.session, CALL_OPS_MAX);
    r->tx.track_reads = true;
    if (!guards_pass(r, &c->asker, q)) return 0;
    run_script(r, c, q, false);
    (void) call_passes(r, c);
    switch (r->out.outcome) {
    case SCRIPT_DONE:
        *good = true;
        if (r->out.value.len > 0) result.value = buf_bytes(&r->out.value);
        txn_answer(r, &c->asker, &result);
        return 0;
    case SCRIPT_WAIT:
        return call_wait(r, c, q);
    case SCRIPT_ERROR:
        CHECK(r->out.code < 0);
        txn_refuse_script(r, &c->asker);
        return 0;
    }
    CHECK(false);
    return 0;
}

/* One run. Returns 0 when the call has its answer, ERR_PENDING when it waits, another code
 * when it was not taken at all. */
static int call_run(struct resolver *r, struct call *c)
{
    const bool has_waited = call_has_waited(r, c);
    struct request q;
    bool good;
    int code;

    CHECK(request_decode(c->request, &q) == 0);
    code = run_once(r, c, &q, &good);
    if (code == 0 && !good && has_waited) call_clean_up(r, c, &q);
    return code;
}

int call_start(struct resolver *r, const struct asker *a, struct bytes request)
{
    struct call *c;
    int code;

    if (r->scripts == NULL) {
        txn_refuse(r, a, ERR_NO_RECIPE, BYTES_LIT("this server runs no recipes"), -1);
        return 0;
    }
    c = call_new(a, request);
    code = call_run(r, c);
    if (code == ERR_PENDING) return 0;
    call_finish(r, c);
    return code;
}

void call_run_first(struct resolver *r)
{
    struct call *c = LIST_FIRST(&r->ready, struct call, by_ready);

    list_remove(&c->by_ready);
    if (call_run(r, c) == ERR_PENDING) return;
    call_finish(r, c);
}

bool call_attach(struct resolver *r, const struct asker *a)
{
    struct call *c = call_find(r, a->session, a->seq);
    struct also *one;

    if (c == NULL) return false;
    if (c->also_count == CALL_ASKERS_MAX) {
        also_drop(also_of(c->also.next));
        c->also_count--;
    }
    one = mem_zalloc(sizeof *one);
    one->asker = *a;
    list_push(&c->also, &one->link);
    c->also_count++;
    return true;
}

void call_refuse_all(struct resolver *r, const struct call *c, int code)
{
    txn_refuse_unstored(r, &c->asker, code, (struct bytes){ 0 });
    LIST_EACH(at, &c->also)
    {
        txn_refuse_unstored(r, &also_of(at)->asker, code, (struct bytes){ 0 });
    }
}

/* The call ends without its answer: its module cleans up, and `code` is its one result.
 * When the clean-up fails, nothing but the result is written. */
static void call_withdraw(struct resolver *r, struct call *c, int code)
{
    struct result result = { .code = code, .index = -1 };
    struct request q;

    CHECK(request_decode(c->request, &q) == 0);
    result.message = bytes_str(error_name(code));
    watches_drop(r, c);
    txn_begin(r, c->asker.session, CALL_OPS_MAX);
    run_script(r, c, &q, true);
    if (!call_passes(r, c)) txn_begin(r, c->asker.session, 0);
    txn_answer(r, &c->asker, &result);
    call_finish(r, c);
}

void call_cancel(struct resolver *r, const struct asker *a, uint64_t target_seq)
{
    struct asker unstored = asker_unstored(a);
    struct call *c = call_find(r, a->session, target_seq);
    struct result done = { .index = -1 };

    if (c == NULL) {
        txn_refuse(r, &unstored, ERR_NO_CALL, (struct bytes){ 0 }, -1);
        return;
    }
    call_withdraw(r, c, ERR_CANCELLED);
    txn_begin(r, 0, 0);
    txn_answer(r, &unstored, &done);
}

void calls_time_out(struct resolver *r)
{
    while (resolver_room(r)) {
        struct call *c = deadline_due(r, r->now_ms);

        if (c == NULL) return;
        call_withdraw(r, c, ERR_TIMEOUT);
    }
}
