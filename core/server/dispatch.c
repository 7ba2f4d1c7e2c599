#include "core/server/dispatch.h"

#include <stdio.h>

#include "core/base/check.h"
#include "core/server/answers.h"
#include "core/server/greet.h"
#include "core/server/handover.h"
#include "core/server/query_queue.h"

/* --- the end of a job --- */

static void uncount(struct job *j)
{
    if (j->class == JOB_READ) j->conn->reads--;
    if (j->class == JOB_WRITE) j->conn->writes--;
}

static void job_end(struct job *j)
{
    struct conn *c = j->conn;

    c->jobs--;
    c->job_bytes -= j->held;
    job_free(&c->service->jobs, j);
    if (!c->reading || !list_empty(&c->queued)) conn_wake(c);
}

/* For a job that is not counted as started. */
static void job_refuse(struct job *j, int code, const char *why)
{
    rpc_error(conn_out(j->conn), j->msgid, code, why);
    job_end(j);
}

/* --- starting --- */

static bool job_may_start(const struct job *j)
{
    /* An unwatch undoes the watches before it, which are reads. */
    if (j->method == METHOD_UNWATCH) return j->conn->reads == 0;
    if (j->class == JOB_LOCAL) return true;
    return j->class == JOB_READ ? j->conn->writes == 0 : j->conn->reads == 0;
}

static void unwatch_now(struct job *j)
{
    watches_unarm(j->conn, unwatch_id_of(j));
    rpc_response_begin(conn_out(j->conn), j->msgid);
    pack_nil(conn_out(j->conn));
}

/* Puts the client addresses that this server heard of in place of those of the roster. */
static void put_addresses(struct driver *d, struct roster *roster)
{
    for (uint32_t i = 0; i < roster->count; i++) {
        struct member *m = &roster->at[i];
        const char *heard = peers_client_address(driver_peers(d), m->id);

        if (heard[0] != '\0') snprintf(m->client, sizeof m->client, "%s", heard);
    }
}

static void members_now(struct job *j)
{
    struct driver *d = j->conn->service->driver;
    struct roster roster = *driver_roster(d);

    put_addresses(d, &roster);
    answer_member_list(conn_out(j->conn), j, &roster, driver_zxid(d));
}

/* Whoever had it has lost it, and the other servers hear of it in the next turn. */
static void attach(struct conn *c, uint64_t session)
{
    struct service *s = c->service;
    const uint64_t zxid = driver_zxid(s->driver);

    if (!attached_add(c, session, zxid)) return;
    buf_put_u64(&s->announced, session);
    buf_put_u64(&s->announced, zxid);
}

/* What this server has will do, as it is. */
static bool is_new_enough(const struct job *j)
{
    const struct driver *d = j->conn->service->driver;

    switch (j->level) {
    case JOB_LEVEL_STRONG:
        return false;
    case JOB_LEVEL_SESSION:
        return driver_zxid(d) >= j->at_least;
    case JOB_LEVEL_BOUNDED:
        return driver_age(d).lag_ms <= j->lag_ms_max;
    }
    return false;
}

/* Confirmed, it shows all that anybody was told of: a zxid that it does not show is none. */
static bool is_too_old(const struct job *j)
{
    return j->level == JOB_LEVEL_SESSION && !is_new_enough(j);
}

/* Why a read could not be confirmed, as its level says it. */
static int level_code(const struct job *j, int code)
{
    return j->level == JOB_LEVEL_BOUNDED && code == ERR_NO_QUORUM ? ERR_STALE : code;
}

/* Answers from the applied state, now. False: a watch that has to catch up first. */
static bool read_now(struct job *j)
{
    struct conn *c = j->conn;
    struct driver *d = c->service->driver;

    if (j->method == METHOD_WATCH) return watches_arm(j);
    if (j->method == METHOD_WATCH_MANY) return watches_arm_many(j);
    if (j->method == METHOD_UNWATCH) {
        unwatch_now(j);
        return true;
    }
    if (j->method == METHOD_MEMBER_LIST) {
        members_now(j);
        return true;
    }
    if (j->method == METHOD_QUOTA_LIST) {
        answer_quotas(conn_out(c), j, driver_view(d), driver_tally(d), driver_zxid(d));
        return true;
    }

    struct buf *out = conn_out(c);
    const size_t before = out->len;
    int code = answer_read(out, j, driver_view(d), driver_zxid(d), &c->service->scratch);
    conn_spend(c, out->len - before);
    if (code == 0 && j->method == METHOD_SESSION_ATTACH) attach(c, j->renew);
    return true;
}

/* A wrong secret that shows already must not renew the session of somebody else. */
static bool secret_is_wrong(struct job *j)
{
    struct session s;

    if (j->method != METHOD_SESSION_ATTACH) return false;
    if (!session_read(driver_view(j->conn->service->driver), j->renew, &s)) return false;
    return !bytes_equal_secret(bytes_of(s.secret, sizeof s.secret),
                               bytes_of(j->secret, sizeof j->secret));
}

static int start_read(struct job *j)
{
    struct conn *c = j->conn;

    if (secret_is_wrong(j)) return ERR_BAD_SECRET;
    if (j->method == METHOD_SESSION_ATTACH && c->sessions_count == CONN_SESSIONS_MAX) {
        return ERR_TOO_LARGE;
    }
    int code = driver_read(c->service->driver, j->tag, j->renew);
    if (code == 0) c->reads++;
    return code;
}

static int start_write(struct job *j)
{
    struct conn *c = j->conn;

    if (j->method == METHOD_SESSION_OPEN && c->sessions_count == CONN_SESSIONS_MAX) {
        return ERR_TOO_LARGE;
    }
    int code = driver_submit(c->service->driver, j->tag, c->number, buf_bytes(&j->body));
    if (code != 0) return code;
    if (j->class == JOB_WRITE) c->writes++;
    job_drop_body(j); /* the replica has its own copy */
    return 0;
}

static bool is_local(const struct job *j)
{
    return j->class == JOB_LOCAL || j->class == JOB_LOCAL_LEVEL;
}

/* The job leaves the queue, if it stood there. */
static void job_start(struct job *j)
{
    struct conn *c = j->conn;
    int code = 0;

    list_remove(&j->member);
    if (c->service->installing) {
        job_refuse(j, ERR_STOPPING, "the server is getting a copy of the state");
        return;
    }
    if (j->class == JOB_READ && is_new_enough(j)) j->class = JOB_LOCAL_LEVEL;
    if (j->class == JOB_LOCAL) j->age_ms = driver_age(c->service->driver).leaderless_ms;
    if (is_local(j) && j->method == METHOD_QUERY) {
        query_queue_due(j);
        return;
    }
    if (is_local(j)) {
        CHECK(read_now(j)); /* no watch of this server's state alone catches up */
        job_end(j);
        return;
    }
    if (c->service->stopping) {
        code = ERR_STOPPING;
    } else if (j->session != 0 && !attached_has(c, j->session)) {
        code = ERR_NOT_ATTACHED;
    } else {
        code = j->class == JOB_READ ? start_read(j) : start_write(j);
    }
    if (code != 0) {
        job_refuse(j, level_code(j, code), NULL);
    } else {
        list_push(&c->started, &j->member);
    }
}

void dispatch_done(struct job *j)
{
    uncount(j);
    job_end(j);
}

/* The job is in no list. */
static void confirmed_end(struct job *j)
{
    if (is_too_old(j)) {
        uncount(j);
        job_refuse(j, ERR_STALE, "no server has this zxid yet");
    } else if (j->method == METHOD_QUERY) {
        query_queue_due(j);
    } else if (read_now(j)) {
        dispatch_done(j);
    } else {
        list_push(&j->conn->started, &j->member);
    }
}

static bool is_member_change(enum method method)
{
    return method == METHOD_MEMBER_ADD || method == METHOD_MEMBER_PROMOTE ||
           method == METHOD_MEMBER_DEMOTE || method == METHOD_MEMBER_REMOVE ||
           method == METHOD_MEMBER_JOIN;
}

/* What waits for no turn: it keeps sessions alive, or administers the service. */
static bool is_express(const struct job *j)
{
    return j->renew != 0 || j->method == METHOD_SESSION_OPEN ||
           j->method == METHOD_SESSION_CLOSE || j->method == METHOD_MEMBER_LIST ||
           is_member_change(j->method);
}

/* True: not now, but in the next turn. */
static bool is_put_off(struct job *j)
{
    return !is_express(j) && conn_is_tired(j->conn, j->class == JOB_LOCAL);
}

void dispatch_resume(struct conn *c)
{
    while (!list_empty(&c->confirmed) && out_queued(&c->out) < CONN_OUT_AIM) {
        if (conn_is_tired(c, false)) return;
        struct job *j = LIST_FIRST(&c->confirmed, struct job, member);
        list_remove(&j->member);
        confirmed_end(j);
    }
    while (!list_empty(&c->queued) && out_queued(&c->out) < CONN_OUT_AIM) {
        struct job *j = LIST_FIRST(&c->queued, struct job, member);
        if (!job_may_start(j) || is_put_off(j)) return;
        job_start(j);
    }
}

/* --- a message comes --- */

/* Answered where they come in (a transfer: later), without any order: they touch no state.
 */
static bool answered_at_once(struct conn *c, const struct rpc_message *m)
{
    struct buf *out = conn_out(c);

    if (m->method == METHOD_HELLO) {
        greet_hello(c, m->msgid, &c->service->values, out);
    } else if (!c->greeted) {
        rpc_error(out, m->msgid, ERR_NO_HELLO, NULL);
    } else if (m->method == METHOD_PING) {
        rpc_response_begin(out, m->msgid);
        pack_nil(out);
    } else if (m->method == METHOD_STATUS) {
        greet_status(c->service, m->msgid, out);
    } else if (m->method == METHOD_RECIPE_STATS) {
        greet_recipe_stats(c->service, m->msgid, out);
    } else if (m->method == METHOD_TRANSFER) {
        handover_come(c, m->msgid, &c->service->values);
    } else {
        return false;
    }
    return true;
}

static bool is_greeting(const struct conn *c, const struct rpc_message *m)
{
    return c->greeted || m->method == METHOD_HELLO;
}

static void job_come(struct conn *c, const struct rpc_message *m)
{
    struct service *s = c->service;
    struct job *j = s->jobs.bytes < PENDING_BYTES_MAX ? job_new(&s->jobs, c) : NULL;

    if (j == NULL) {
        rpc_error(conn_out(c), m->msgid, ERR_BUSY, NULL);
        return;
    }
    c->jobs++;
    j->msgid = m->msgid;
    j->method = m->method;
    int code = request_read(&s->requests, &s->values, j);
    job_keep_body(&s->jobs, j);
    c->job_bytes += j->held;
    if (code != 0) {
        job_refuse(j, code, s->values.why);
    } else if (list_empty(&c->queued) && job_may_start(j) && !is_put_off(j)) {
        job_start(j);
    } else {
        list_push(&c->queued, &j->member);
    }
}

static void request_come(struct conn *c, const struct rpc_message *m)
{
    struct service *s = c->service;

    int code = is_greeting(c, m) ? rpc_check(m, &s->values) : 0;
    if (code != 0) {
        rpc_error(conn_out(c), m->msgid, code, s->values.why);
    } else if (!answered_at_once(c, m)) {
        job_come(c, m);
    }
}

bool dispatch_message(struct conn *c, struct bytes bytes)
{
    struct rpc_message m;
    msgpack_zone *zone = &c->service->zone;

    bool sound =
        rpc_decode(bytes, zone, &m) == 0 && m.type != 1; /* we ask clients nothing */
    if (sound && m.type == 0) request_come(c, &m);
    msgpack_zone_clear(zone); /* a notification is none of ours, and ignored */
    return sound;
}

void dispatch_abandon(struct conn *c)
{
    struct jobs *jobs = &c->service->jobs;

    list_splice(&c->started, &c->queued);
    list_splice(&c->started, &c->confirmed);
    while (!list_empty(&c->started)) {
        job_free(jobs, LIST_FIRST(&c->started, struct job, member));
    }
    query_queue_forget(c);
}

/* --- answers --- */

/* What an answer means for the connection: sessions begin and end with it. */
static void session_follow(struct conn *c, const struct job *j, const struct result *r)
{
    struct result_parts parts = result_parts_of(r);
    struct result_part part;

    if (j->method == METHOD_SESSION_CLOSE &&
        (r->code == 0 || r->code == ERR_SESSION_EXPIRED)) {
        attached_drop(c, j->session);
    }
    if (j->method != METHOD_SESSION_OPEN || r->code != 0) return;
    CHECK(result_part_next(&parts, &part) == 0);
    /* Several opens may have been under way at once: one too many is attached elsewhere. */
    (void)attached_add(c, part.id, r->zxid);
}

/* Who joins gets the roster as it was chosen; others as a list of the members tells it. */
static void member_changed(struct job *j, const struct result *result)
{
    const struct service *s = j->conn->service;
    struct roster roster;

    CHECK(roster_decode(result->value, &roster) == 0);
    if (j->method != METHOD_MEMBER_JOIN) put_addresses(s->driver, &roster);
    answer_member(conn_out(j->conn), j, result, &roster, s->config->cluster,
                  driver_founding(s->driver));
}

void dispatch_answer(struct service *s, uint64_t tag, int code, struct bytes bytes)
{
    struct job *j = job_find(&s->jobs, tag);
    struct result result;

    if (j == NULL) return; /* its client has gone */
    uncount(j);
    if (code != 0) {
        job_refuse(j, code, NULL);
        return;
    }
    CHECK(result_decode(bytes, &result) == 0);
    session_follow(j->conn, j, &result);
    if (is_member_change(j->method) && result.code == 0) {
        member_changed(j, &result);
    } else {
        answer_result(conn_out(j->conn), j, &result);
    }
    job_end(j);
}

void dispatch_ready(struct service *s, uint64_t tag, int code)
{
    struct job *j = job_find(&s->jobs, tag);

    if (j == NULL) return;
    struct conn *c = j->conn;
    bool full = out_queued(&c->out) >= CONN_OUT_AIM; /* out.c wakes us when there is room */
    if (code == 0 && (full || is_put_off(j))) {
        list_remove(&j->member);
        list_push(&c->confirmed, &j->member);
        return;
    }
    if (code != 0) {
        uncount(j);
        job_refuse(j, level_code(j, code), NULL);
    } else {
        list_remove(&j->member);
        confirmed_end(j);
    }
}
