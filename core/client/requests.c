/* The callers' requests. What is to end is collected first, by handle, and ended then: a
 * completion may make or cancel any request. */
#include <stdlib.h>

#include "core/base/check.h"
#include "core/client/inside.h"

#define SLOT_BITS 20

static_assert(CLIENT_REQUESTS_MAX + CONTROL_COUNT < 1u << SLOT_BITS,
              "a slot fits a handle");

/* --- slots: a request by its handle or msgid --- */

static uint32_t slot_of(uint64_t handle)
{
    return (uint32_t) (handle & ((1u << SLOT_BITS) - 1));
}

static void slots_grow(struct client_core *c)
{
    const uint32_t from = c->slots_count == 0 ? CONTROL_COUNT : c->slots_count;
    const uint32_t to = from * 2;

    c->slots = mem_grow(c->slots, to * sizeof(struct request *));
    c->slots_free = mem_grow(c->slots_free, to * sizeof(uint32_t));
    for (uint32_t i = to; i > from; i--) {
        c->slots[i - 1] = NULL;
        c->slots_free[c->slots_free_count++] = i - 1;
    }
    c->slots_count = to;
}

static void slot_take(struct client_core *c, struct request *r)
{
    if (c->slots_free_count == 0) slots_grow(c);

    const uint32_t slot = c->slots_free[--c->slots_free_count];

    CHECK(slot >= CONTROL_COUNT);
    CHECK(slot < 1u << SLOT_BITS);
    r->handle = (uint64_t) ++c->serial << SLOT_BITS | slot;
    c->slots[slot] = r;
}

struct request *request_find(struct client_core *c, uint64_t handle)
{
    const uint32_t slot = slot_of(handle);

    if (slot < CONTROL_COUNT || slot >= c->slots_count) return NULL;

    struct request *r = c->slots[slot];

    return r != NULL && r->handle == handle ? r : NULL;
}

struct request *request_of_msgid(struct client_core *c, uint32_t msgid)
{
    const uint32_t slot = slot_of(msgid);

    if (slot < CONTROL_COUNT || slot >= c->slots_count) return NULL;

    struct request *r = c->slots[slot];

    return r != NULL && r->sent && (uint32_t) r->handle == msgid ? r : NULL;
}

/* --- one request --- */

static bool is_of_session(const struct client_core *c, const struct request *r)
{
    return r->write && c->timeout_wanted_ms != 0;
}

static size_t request_size(const struct request *r)
{
    return sizeof *r + r->args_len + r->options_len;
}

static void request_free(struct client_core *c, struct request *r)
{
    list_remove(&r->link);
    if (r->sent) c->asked--;
    c->slots[slot_of(r->handle)] = NULL;
    c->slots_free[c->slots_free_count++] = slot_of(r->handle);
    c->count--;
    c->kept_bytes -= request_size(r);
    free(r);
}

void request_end(struct client_core *c, struct request *r, int code, const char *message,
                 const msgpack_object *result)
{
    const client_done_fn done = r->done;
    void *const ctx = r->ctx;

    request_free(c, r);
    if (done != NULL) done(ctx, code, message, result);
}

static uint64_t ack_now(const struct client_core *c)
{
    if (list_empty(&c->writes)) return c->seq_next - 1;

    const struct request *first = LIST_FIRST(&c->writes, struct request, link);

    return (first->seq == 0 ? c->seq_next : first->seq) - 1;
}

static void put_member(struct buf *b, const char *name, uint64_t v)
{
    pack_cstr(b, name);
    pack_uint(b, v);
}

static void request_send(struct client_core *c, uint64_t now_ms, struct request *r)
{
    const bool of_session = is_of_session(c, r);
    const uint32_t options = r->options_count + (of_session ? 3 : 0);

    core_asked(c, now_ms);
    if (of_session && r->seq == 0) r->seq = c->seq_next++;
    rpc_request_begin(&c->out, (uint32_t) r->handle, r->method);
    pack_array(&c->out, r->args_count + (options > 0));
    buf_put(&c->out, r->packed, r->args_len);
    if (options > 0) pack_map(&c->out, options);
    buf_put(&c->out, r->packed + r->args_len, r->options_len);
    if (of_session) {
        CHECK(ack_now(c) < r->seq); /* B3 */
        put_member(&c->out, "session", c->session);
        put_member(&c->out, "seq", r->seq);
        put_member(&c->out, "ack", ack_now(c));
    }
    r->sent = true;
    r->sent_ms = now_ms;
    r->sends++;
    c->asked++;
    if (r->withdrawn) control_cancel(c, now_ms, r);
}

static bool may_send(const struct client_core *c, uint64_t now_ms, const struct request *r)
{
    if (c->stage != CLIENT_READY || r->sent || r->verdict != 0) return false;
    return is_of_session(c, r) ? c->writes_retry_ms == NEVER : now_ms >= r->retry_ms;
}

static void due_set(struct client_core *c, uint64_t at_ms)
{
    if (at_ms < c->due_ms) c->due_ms = at_ms;
}

/* When something has to be done about the request, if no answer comes. */
static uint64_t request_due_ms(const struct client_core *c, const struct request *r)
{
    const bool waits = c->stage == CLIENT_READY && !r->sent && r->retry_ms != 0;

    uint64_t due = r->due_ms;

    if (r->verdict != 0) return 0;
    if (r->sends == 0 && r->due_unsent_ms < due) due = r->due_unsent_ms;
    if (waits && r->retry_ms < due) due = r->retry_ms;
    return due;
}

/* --- asking --- */

/* What no server would take for a message would cost the connection, again and again. */
static bool is_sound(const struct request *r)
{
    struct buf b = { 0 };
    struct rpc_scan scan;
    size_t len = 0;

    pack_array(&b, 3);
    pack_nil(&b);
    pack_nil(&b);
    pack_array(&b, r->args_count + 1);
    buf_put(&b, r->packed, r->args_len);
    pack_map(&b, r->options_count);
    buf_put(&b, r->packed + r->args_len, r->options_len);
    rpc_scan_init(&scan);
    const bool sound =
        rpc_scan(&scan, buf_bytes(&b), b.len, &len) == RPC_SCAN_WHOLE && len == b.len;
    buf_fini(&b);
    return sound;
}

static int refusal_at_once(const struct client_core *c, const struct request *r)
{
    if (c->ended != 0) return c->ended;
    if (is_of_session(c, r) && c->session_over) return ERR_SESSION_EXPIRED;
    if (r->args_len + (uint64_t) r->options_len > REQUEST_BYTES_MAX) return ERR_TOO_LARGE;
    if (!is_sound(r)) return ERR_BAD_PARAMS;
    if (c->count > CLIENT_REQUESTS_MAX || c->kept_bytes > CLIENT_KEPT_BYTES_MAX) {
        return ERR_BUSY;
    }
    return 0;
}

static uint64_t limit_at(uint64_t now_ms, uint64_t limit_ms)
{
    return limit_ms == 0 || limit_ms > NEVER - now_ms ? NEVER : now_ms + limit_ms;
}

static struct request *request_new(uint64_t now_ms, const struct client_request *wanted)
{
    struct request *r =
        mem_alloc(sizeof *r + wanted->params.len + wanted->options.len);

    CHECK(wanted->params.len <= UINT32_MAX);
    CHECK(wanted->options.len <= UINT32_MAX);
    *r = (struct request){ .method = wanted->method,
                           .write = wanted->write,
                           .due_ms = limit_at(now_ms, wanted->limit_ms),
                           .due_unsent_ms = limit_at(now_ms, wanted->send_limit_ms),
                           .args_count = wanted->args_count,
                           .options_count = wanted->options_count,
                           .args_len = (uint32_t) wanted->params.len,
                           .options_len = (uint32_t) wanted->options.len,
                           .done = wanted->done,
                           .ctx = wanted->ctx };
    list_init(&r->link);
    if (r->args_len > 0) memcpy(r->packed, wanted->params.ptr, r->args_len);
    if (r->options_len > 0) {
        memcpy(r->packed + r->args_len, wanted->options.ptr, r->options_len);
    }
    return r;
}

uint64_t client_core_request(struct client_core *c, uint64_t now_ms,
                             const struct client_request *wanted)
{
    struct request *r = request_new(now_ms, wanted);

    slot_take(c, r);
    c->count++;
    c->kept_bytes += request_size(r);
    list_push(is_of_session(c, r) ? &c->writes : &c->others, &r->link);
    r->verdict = refusal_at_once(c, r);
    if (may_send(c, now_ms, r)) request_send(c, now_ms, r);
    due_set(c, request_due_ms(c, r));
    return r->handle;
}

/* The server is told, now and on every connection to come. */
static void withdraw(struct client_core *c, struct request *r)
{
    if (r->withdrawn) return;
    r->withdrawn = true;
    if (r->sent) c->cancel_retry_ms = 0;
}

void client_core_cancel(struct client_core *c, uint64_t handle)
{
    struct request *r = request_find(c, handle);

    if (r == NULL) return;
    if (r->seq == 0) { /* a read, or never sent, or without a promise */
        request_free(c, r);
        return;
    }
    r->done = NULL;
    r->due_ms = NEVER;
    if (r->method == METHOD_CALL) withdraw(c, r);
}

void client_core_withdraw(struct client_core *c, uint64_t now_ms, uint64_t handle)
{
    struct request *r = request_find(c, handle);

    if (r == NULL) return;
    if (r->seq != 0) {
        withdraw(c, r);
    } else if (r->verdict == 0) {
        r->verdict = ERR_CANCELLED;
        due_set(c, now_ms);
    }
}

void *client_core_request_of(struct client_core *c, uint64_t handle, client_done_fn done)
{
    const struct request *r = request_find(c, handle);

    return r != NULL && r->done == done ? r->ctx : NULL;
}

void requests_cancel_again(struct client_core *c, uint64_t now_ms)
{
    LIST_EACH(at, &c->writes) {
        struct request *r = CONTAINER_OF(at, struct request, link);

        if (r->withdrawn && r->sent) control_cancel(c, now_ms, r);
    }
}

/* --- ending --- */

static void due_add(struct buf *due, struct request *r, int code)
{
    r->verdict = code;
    buf_put_u64(due, r->handle);
}

static const char *verdict_message(const struct request *r)
{
    if (r->verdict == ERR_PENDING && r->answer_last != 0) return error_text(r->answer_last);
    if (r->verdict == ERR_UNREACHABLE && r->sends > 0 && r->write) {
        return "it was sent, but no answer came: its outcome is unknown";
    }
    return NULL;
}

/* A pending write goes on without its caller: its seq was sent and has to be resolved. */
static void verdict_run(struct client_core *c, struct request *r)
{
    const client_done_fn done = r->done;

    if (r->verdict != ERR_PENDING || r->seq == 0) {
        request_end(c, r, r->verdict, verdict_message(r), NULL);
        return;
    }
    const char *message = verdict_message(r);
    r->verdict = 0;
    r->done = NULL;
    r->due_ms = NEVER;
    if (done != NULL) done(r->ctx, ERR_PENDING, message, NULL);
}

static void due_run(struct client_core *c, struct buf *due)
{
    for (size_t at = 0; at < due->len; at += 8) {
        struct request *r = request_find(c, get_u64(due->ptr + at));

        if (r != NULL) verdict_run(c, r);
    }
    buf_fini(due);
}

void requests_end_all(struct client_core *c, struct list *list, int code)
{
    struct buf due = { 0 };

    LIST_EACH(at, list) due_add(&due, CONTAINER_OF(at, struct request, link), code);
    due_run(c, &due);
}

void requests_lost(struct client_core *c, uint64_t now_ms)
{
    struct buf due = { 0 };

    c->asked = 0;
    c->writes_retry_ms = c->cancel_retry_ms = NEVER;
    LIST_EACH(at, &c->writes) CONTAINER_OF(at, struct request, link)->sent = false;
    LIST_EACH(at, &c->others) {
        struct request *r = CONTAINER_OF(at, struct request, link);

        if (r->sent && r->write) due_add(&due, r, ERR_UNREACHABLE);
        r->sent = false;
        r->retry_ms = 0; /* another server has not refused it yet */
    }
    due_set(c, now_ms);
    due_run(c, &due);
}

/* The code with which a request ends whose time limit has come; 0 = it has not. */
static int verdict_at(const struct request *r, uint64_t now_ms)
{
    const bool unsent_due = r->sends == 0 && now_ms >= r->due_unsent_ms;

    if (r->verdict != 0) return r->verdict;
    if (now_ms < r->due_ms && !unsent_due) return 0;
    if (r->seq != 0) return ERR_PENDING;
    return r->answer_last != 0 ? r->answer_last : ERR_UNREACHABLE;
}

static void expired_collect(struct list *list, uint64_t now_ms, struct buf *due)
{
    LIST_EACH(at, list) {
        struct request *r = CONTAINER_OF(at, struct request, link);
        const int code = verdict_at(r, now_ms);

        if (code != 0) due_add(due, r, code);
    }
}

void requests_flush(struct client_core *c, uint64_t now_ms)
{
    struct list *const lists[] = { &c->writes, &c->others };

    for (int i = 0; i < 2; i++) {
        LIST_EACH(at, lists[i]) {
            struct request *r = CONTAINER_OF(at, struct request, link);

            if (may_send(c, now_ms, r)) request_send(c, now_ms, r);
        }
    }
}

static void due_find(struct client_core *c)
{
    struct list *const lists[] = { &c->writes, &c->others };

    c->due_ms = c->writes_retry_ms;
    for (int i = 0; i < 2; i++) {
        LIST_EACH(at, lists[i]) {
            due_set(c, request_due_ms(c, CONTAINER_OF(at, struct request, link)));
        }
    }
}

void requests_tick(struct client_core *c, uint64_t now_ms)
{
    struct buf due = { 0 };

    if (now_ms < c->due_ms) return;
    if (now_ms >= c->writes_retry_ms) c->writes_retry_ms = NEVER;
    expired_collect(&c->writes, now_ms, &due);
    expired_collect(&c->others, now_ms, &due);
    due_run(c, &due);
    requests_flush(c, now_ms);
    due_find(c);
}

/* --- answers --- */

/* It is in no batch: asked again a little later, here or on another server. */
static void request_retry(struct client_core *c, uint64_t now_ms, struct request *r,
                          int code)
{
    r->answer_last = code;
    core_refused(c, now_ms, code);
    if (!is_of_session(c, r)) {
        r->retry_ms = core_retry_ms(c, now_ms);
    } else if (c->writes_retry_ms == NEVER) {
        c->writes_retry_ms = core_retry_ms(c, now_ms);
    }
    due_set(c, is_of_session(c, r) ? c->writes_retry_ms : r->retry_ms);
}

void request_answered(struct client_core *c, uint64_t now_ms, struct request *r, int code,
                      const char *message, const msgpack_object *result)
{
    const bool of_session = is_of_session(c, r);

    CHECK(r->sent);
    r->sent = false;
    c->asked--;
    if (of_session && code == ERR_SESSION_EXPIRED) {
        session_end_known(c); /* ends this one too */
        return;
    }
    if ((of_session && code == ERR_NOT_ATTACHED) ||
        ((of_session || !r->write) && code_is_for_now(code))) {
        request_retry(c, now_ms, r, code);
        return;
    }
    c->served = true;
    /* A repeated answer says nothing about now: the first sending only renews. */
    if (of_session && code == 0 && r->sends == 1) session_renewed(c, r->sent_ms);
    request_end(c, r, code, message, result);
}
