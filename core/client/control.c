/* The core's own requests. The session's rule: what a server acknowledged of a request that
 * was sent at T holds until T + timeout, by our own clock (B4). */
#include <stdlib.h>

#include "core/base/check.h"
#include "core/client/inside.h"

static bool is_asked(const struct client_core *c)
{
    bool asked = c->asked > 0;

    for (int i = 0; i < CONTROL_COUNT; i++) asked |= c->control_asked[i];
    return asked;
}

void core_asked(struct client_core *c, uint64_t now_ms)
{
    if (!is_asked(c)) c->quiet_since_ms = now_ms;
}

static void control_begin(struct client_core *c, uint64_t now_ms, enum control control,
                          enum method method)
{
    core_asked(c, now_ms);
    c->control_asked[control] = control != CONTROL_CANCEL;
    c->control_sent_ms[control] = now_ms;
    rpc_request_begin(&c->out, control, method);
}

void control_hello(struct client_core *c, uint64_t now_ms)
{
    const uint32_t options = 0u + (c->cluster != NULL) + (c->members != NULL);

    control_begin(c, now_ms, CONTROL_HELLO, METHOD_HELLO);
    pack_array(&c->out, 1u + (options > 0));
    pack_uint(&c->out, RPC_PROTO);
    if (options > 0) pack_map(&c->out, options);
    if (c->cluster != NULL) {
        pack_cstr(&c->out, "cluster");
        pack_cstr(&c->out, c->cluster);
    }
    if (c->members != NULL) {
        pack_cstr(&c->out, "members");
        pack_bool(&c->out, true);
    }
}

static void control_open(struct client_core *c, uint64_t now_ms)
{
    control_begin(c, now_ms, CONTROL_OPEN, METHOD_SESSION_OPEN);
    pack_array(&c->out, 1);
    pack_map(&c->out, 1);
    pack_cstr(&c->out, "timeout_ms");
    pack_uint(&c->out, c->timeout_wanted_ms);
}

void control_attach(struct client_core *c, uint64_t now_ms, enum control control,
                    uint64_t session, struct bytes secret)
{
    control_begin(c, now_ms, control, METHOD_SESSION_ATTACH);
    pack_array(&c->out, 2);
    pack_uint(&c->out, session);
    pack_bin(&c->out, secret);
}

static void control_renew(struct client_core *c, uint64_t now_ms)
{
    control_begin(c, now_ms, CONTROL_RENEW, METHOD_SESSION_RENEW);
    pack_array(&c->out, 1);
    pack_uint(&c->out, c->session);
}

void control_close(struct client_core *c, uint64_t now_ms, enum control control,
                   uint64_t session)
{
    control_begin(c, now_ms, control, METHOD_SESSION_CLOSE);
    pack_array(&c->out, 1);
    pack_uint(&c->out, session);
}

static void control_ping(struct client_core *c, uint64_t now_ms)
{
    control_begin(c, now_ms, CONTROL_PING, METHOD_PING);
    pack_array(&c->out, 0);
}

static void control_look(struct client_core *c, uint64_t now_ms)
{
    control_begin(c, now_ms, CONTROL_LOOK, METHOD_STAT);
    c->look_ms = now_ms;
    pack_array(&c->out, 1);
    pack_cstr(&c->out, "/");
}

void control_cancel(struct client_core *c, uint64_t now_ms, const struct request *r)
{
    control_begin(c, now_ms, CONTROL_CANCEL, METHOD_CALL_CANCEL);
    pack_array(&c->out, 2);
    pack_uint(&c->out, c->session);
    pack_uint(&c->out, r->seq);
}

bool session_lives(const struct client_core *c)
{
    return c->session != 0 && !c->session_over;
}

uint64_t session_deadline_ms(const struct client_core *c)
{
    return session_lives(c) ? c->renewed_ms + c->timeout_ms : NEVER;
}

void session_renewed(struct client_core *c, uint64_t sent_ms)
{
    if (sent_ms > c->renewed_ms) c->renewed_ms = sent_ms;
}

void session_end(struct client_core *c)
{
    if (c->session_over) return;
    c->session_over = true;
    c->writes_retry_ms = NEVER;
    requests_end_all(c, &c->writes, ERR_SESSION_EXPIRED);
}

void session_end_known(struct client_core *c)
{
    c->session_gone = true;
    session_end(c);
}

static void stage_ready(struct client_core *c, uint64_t now_ms)
{
    c->stage = CLIENT_READY;
    c->opened = true;
    c->trouble = 0;
    c->look_ms = now_ms;
    requests_flush(c, now_ms);
    watches_flush(c, now_ms);
    if (c->closing && session_lives(c)) {
        control_close(c, now_ms, CONTROL_CLOSE, c->session);
    }
}

void stage_session(struct client_core *c, uint64_t now_ms)
{
    c->control_retry_ms = NEVER;
    c->stage = CLIENT_SESSION;
    if (takeover_is_due(c)) {
        takeover_begin(c, now_ms);
        return;
    }
    if (c->closing && c->session == 0) session_end(c); /* none was opened */
    if (c->timeout_wanted_ms == 0 || c->session_over) {
        stage_ready(c, now_ms);
    } else if (c->session == 0) {
        control_open(c, now_ms);
    } else {
        control_attach(c, now_ms, CONTROL_ATTACH, c->session, buf_bytes(&c->secret));
    }
}

/* Once our cluster was met, it is the other server that is wrong: then it is only left. */
static int hello_refused(struct client_core *c, int code)
{
    const bool fits = code != ERR_WRONG_CLUSTER && code != ERR_BAD_PROTOCOL;

    if (fits || c->greeted) {
        c->wants_other = true;
        return 0;
    }
    core_end(c, code);
    return code;
}

static int hello_done(struct client_core *c, uint64_t now_ms, const msgpack_object *result)
{
    const struct bytes cluster = rpc_bytes(rpc_member(result, "cluster"));

    if (rpc_uint(rpc_member(result, "proto"), 0) != RPC_PROTO) {
        return hello_refused(c, ERR_BAD_PROTOCOL);
    }
    c->greeted = true;
    members_came(c, rpc_member(result, "members"));
    /* From now on this cluster and no other: a session means nothing elsewhere. */
    if (c->cluster == NULL && cluster.len > 0) {
        c->cluster = mem_zalloc(cluster.len + 1);
        memcpy(c->cluster, cluster.ptr, cluster.len);
    }
    stage_session(c, now_ms);
    return 0;
}

static int open_done(struct client_core *c, uint64_t now_ms, const msgpack_object *result)
{
    const struct bytes secret = rpc_bytes(rpc_member(result, "secret"));
    const uint64_t id = rpc_uint(rpc_member(result, "id"), 0);
    const uint64_t timeout_ms = rpc_uint(rpc_member(result, "timeout_ms"), 0);

    if (id == 0 || secret.len == 0 || timeout_ms == 0 || timeout_ms > UINT32_MAX) {
        return ERR_BAD_MESSAGE;
    }
    c->session = id;
    c->timeout_ms = timeout_ms;
    buf_clear(&c->secret);
    buf_put_bytes_raw(&c->secret, secret);
    session_renewed(c, c->control_sent_ms[CONTROL_OPEN]);
    stage_ready(c, now_ms);
    return 0;
}

void control_again(struct client_core *c, uint64_t now_ms, int code)
{
    c->trouble = code;
    core_refused(c, now_ms, code);
    c->control_retry_ms = core_retry_ms(c, now_ms);
}

static int session_refused(struct client_core *c, uint64_t now_ms, enum control control,
                           int code)
{
    if (code_is_for_now(code)) {
        control_again(c, now_ms, code);
    } else if (control == CONTROL_OPEN) {
        core_end(c, code);
    } else if (code == ERR_SESSION_EXPIRED || code == ERR_BAD_SECRET) {
        session_end_known(c);
        if (c->stage != CLIENT_READY) stage_ready(c, now_ms);
    } else {
        c->wants_other = true; /* ERR_NOT_ATTACHED: attach anew */
    }
    return 0;
}

static int control_done(struct client_core *c, uint64_t now_ms, enum control control,
                        const msgpack_object *result)
{
    c->trouble = 0;
    switch (control) {
    case CONTROL_HELLO:
        return hello_done(c, now_ms, result);
    case CONTROL_OPEN:
        return open_done(c, now_ms, result);
    case CONTROL_ATTACH:
        session_renewed(c, c->control_sent_ms[CONTROL_ATTACH]);
        stage_ready(c, now_ms);
        return 0;
    case CONTROL_RENEW:
        c->served = true;
        session_renewed(c, c->control_sent_ms[CONTROL_RENEW]);
        return 0;
    case CONTROL_CLOSE:
        session_end_known(c);
        return 0;
    case CONTROL_TAKE:
    case CONTROL_CLEAR:
    case CONTROL_NONE:
    case CONTROL_PING:
    case CONTROL_LOOK:
    case CONTROL_CANCEL:
    case CONTROL_COUNT:
        break;
    }
    return 0;
}

int control_answered(struct client_core *c, uint64_t now_ms, enum control control, int code,
                     const msgpack_object *result)
{
    const bool asked = c->control_asked[control];

    if (control == CONTROL_CANCEL && code_is_for_now(code)) {
        c->cancel_retry_ms = core_retry_ms(c, now_ms);
    }
    if (!asked) return 0;
    c->control_asked[control] = false;
    if (c->session_over && control == CONTROL_ATTACH) {
        stage_ready(c, now_ms);
        return 0;
    }
    if (control == CONTROL_TAKE || control == CONTROL_CLEAR) {
        takeover_answered(c, now_ms, control, code);
        return 0;
    }
    if (code == 0) return control_done(c, now_ms, control, result);
    if (control == CONTROL_PING) return 0;
    if (control == CONTROL_LOOK) {
        if (code_is_for_now(code)) core_refused(c, now_ms, code);
        return 0;
    }
    if (control != CONTROL_HELLO) return session_refused(c, now_ms, control, code);
    return hello_refused(c, code);
}

static uint64_t renew_at_ms(const struct client_core *c)
{
    const bool due = session_lives(c) && c->stage == CLIENT_READY && !c->closing &&
                     !c->control_asked[CONTROL_RENEW];

    return due ? c->renewed_ms + c->timeout_ms / 3 : NEVER;
}

static uint64_t look_at_ms(const struct client_core *c)
{
    const bool due = c->watches_count > 0 && !session_lives(c) &&
                     c->stage == CLIENT_READY && !c->control_asked[CONTROL_LOOK];

    return due ? c->look_ms + LOOK_AFTER_MS : NEVER;
}

static uint64_t quiet_ms(const struct client_core *c)
{
    const uint64_t third = c->timeout_wanted_ms / 3;

    if (c->timeout_wanted_ms == 0) return QUIET_MS_DEFAULT;
    return third > QUIET_MS_MIN ? third : QUIET_MS_MIN;
}

/* When silence has to be acted upon: first by a ping, then by leaving. */
static uint64_t quiet_at_ms(const struct client_core *c)
{
    if (c->stage == CLIENT_DOWN || c->wants_other || !is_asked(c)) return NEVER;
    return c->quiet_since_ms + (c->control_asked[CONTROL_PING] || c->stage != CLIENT_READY
                                    ? quiet_ms(c)
                                    : quiet_ms(c) / 2);
}

static void quiet_tick(struct client_core *c, uint64_t now_ms)
{
    if (now_ms < quiet_at_ms(c)) return;
    if (c->stage == CLIENT_READY && !c->control_asked[CONTROL_PING]) {
        control_ping(c, now_ms);
    } else {
        c->wants_other = true;
    }
}

static void control_retry_tick(struct client_core *c, uint64_t now_ms)
{
    if (now_ms < c->control_retry_ms) return;
    c->control_retry_ms = NEVER;
    if (c->stage == CLIENT_SESSION) stage_session(c, now_ms);
    if (c->stage == CLIENT_READY && session_lives(c) && c->closing) {
        if (!c->control_asked[CONTROL_CLOSE]) {
            control_close(c, now_ms, CONTROL_CLOSE, c->session);
        }
    }
}

void control_tick(struct client_core *c, uint64_t now_ms)
{
    if (now_ms >= session_deadline_ms(c)) session_end(c);
    if (c->stage == CLIENT_DOWN) return;
    control_retry_tick(c, now_ms);
    if (now_ms >= renew_at_ms(c) && c->control_retry_ms == NEVER) {
        control_renew(c, now_ms);
    }
    if (now_ms >= c->cancel_retry_ms) {
        c->cancel_retry_ms = NEVER;
        requests_cancel_again(c, now_ms);
    }
    if (now_ms >= look_at_ms(c)) control_look(c, now_ms);
    quiet_tick(c, now_ms);
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

uint64_t control_next_ms(const struct client_core *c)
{
    uint64_t next = session_deadline_ms(c);

    if (c->stage == CLIENT_DOWN) return next;
    if (c->control_retry_ms == NEVER) next = earlier(next, renew_at_ms(c));
    next = earlier(next, look_at_ms(c));
    next = earlier(next, c->control_retry_ms);
    next = earlier(next, c->cancel_retry_ms);
    return earlier(next, quiet_at_ms(c));
}

void client_core_close_session(struct client_core *c, uint64_t now_ms)
{
    if (c->closing || c->session_over || c->timeout_wanted_ms == 0) return;
    c->closing = true;
    if (c->ended != 0 || (c->session == 0 && c->stage != CLIENT_SESSION)) {
        session_end(c); /* none was opened, or none can be closed */
        return;
    }
    if (c->stage == CLIENT_READY) {
        control_close(c, now_ms, CONTROL_CLOSE, c->session);
    }
}
