/* A candidate, on top of recipe "election".
 *
 *     IDLE -> STANDING [election_stand]      the campaign is asked for
 *     STANDING -> LEADING [on_campaign]      elected: the leader's node is watched
 *     STANDING -> IDLE [on_campaign]         refused, withdrawn, or the session is over
 *     LEADING -> RESIGNING [tl_election_resign]
 *     LEADING, RESIGNING -> IDLE [election_over]   resigned, ended by others, or expired
 *
 * What the program is told comes last in each function: it may close the election. */
#include <stdlib.h>

#include "core/base/check.h"
#include "core/client/call.h"

enum election_state { ELECTION_IDLE, ELECTION_STANDING, ELECTION_LEADING,
                      ELECTION_RESIGNING };

struct tl_election {
    struct object object;
    char *path, *value; /* value: NULL = none */
    tl_election_fn fn;
    void *ctx;

    enum election_state state;
    tl_lock term;     /* LEADING, RESIGNING */
    uint64_t asked;   /* STANDING: the campaign; RESIGNING: the resignation */
    uint64_t watch;   /* LEADING: of the leader's node */
    uint64_t looked;  /* LEADING: a look at it */
    bool withdrawn;   /* STANDING: the program wants no more of it */
};

static void ask_nothing(tl_election *e)
{
    tl_cancel(e->object.client, e->asked);
    tl_cancel(e->object.client, e->looked);
    tl_unwatch(e->object.client, e->watch);
    e->asked = e->looked = e->watch = 0;
}

static void election_over(tl_election *e, int code, const char *message)
{
    ask_nothing(e);
    e->state = ELECTION_IDLE;
    if (e->object.closed) return;
    e->fn(e->ctx, &(tl_term){ .leads = false, .code = code, .message = message });
}

/* --- the term --- */

static void on_look(void *ctx, const tl_result *r)
{
    tl_election *e = ctx;

    e->looked = 0;
    if (r->code == ERR_NO_NODE || (r->code == 0 && r->stat->czxid != e->term.token)) {
        election_over(e, ERR_NO_NODE, "the term was ended by somebody else");
    }
}

/* Whether the node is still ours when the watch stands must be looked at; from then on its
 * first deletion is the end. */
static void on_leader_node(void *ctx, const tl_event *event)
{
    tl_election *e = ctx;
    struct call call;

    switch (event->kind) {
    case TL_EVENT_ARMED:
    case TL_EVENT_LAGGED:
        call_begin(&call, e->object.client, METHOD_STAT);
        call_path(&call, e->term.path);
        call.limit_ms = CALL_LIMIT_NONE;
        call.persists = true;
        tl_cancel(e->object.client, e->looked);
        e->looked = call_ask(&call, on_look, e);
        break;
    case TL_EVENT_CREATED:
    case TL_EVENT_DELETED:
        if (e->state == ELECTION_LEADING) {
            election_over(e, ERR_NO_NODE, "the term was ended by somebody else");
        }
        break;
    case TL_EVENT_ENDED:
        e->watch = 0;
        election_over(e, event->code, tl_error_text(event->code));
        break;
    case TL_EVENT_CHANGED:
    case TL_EVENT_CHILDREN:
    case TL_EVENT_NODE:
    case TL_EVENT_READY:
        break;
    }
}

static void on_resigned(void *ctx, const tl_result *r)
{
    tl_election *e = ctx;

    e->asked = 0;
    election_over(e, r->code, r->message);
}

static void ask_resign(tl_election *e, tl_done_fn done)
{
    const tl_guard term = { e->term.path, e->term.token };
    struct call call;

    call_give_back(&call, e->object.client, "election.resign", &term);
    call.limit_ms = CALL_LIMIT_NONE;
    call.persists = true;
    e->asked = call_ask(&call, done, e);
}

/* --- the candidacy --- */

static void lead(tl_election *e, const tl_lock *term)
{
    const tl_guard guard = { e->term.path, term->token };

    e->term = *term;
    e->state = ELECTION_LEADING;
    if (e->withdrawn) { /* too late: the term has begun */
        e->state = ELECTION_RESIGNING;
        ask_resign(e, on_resigned);
        return;
    }
    const int code = tl_watch(e->object.client, e->term.path, TL_WATCH_DATA,
                              on_leader_node, e, &e->watch);

    if (code != 0) { /* it could not know when the term ends */
        ask_resign(e, NULL);
        e->asked = 0;
        election_over(e, code, tl_message());
        return;
    }
    e->fn(e->ctx, &(tl_term){ .leads = true, .guard = guard, .message = "" });
}

static void on_campaign(void *ctx, const tl_result *r)
{
    tl_election *e = ctx;
    const bool withdrawn = e->withdrawn && r->code == ERR_CANCELLED;

    e->asked = 0;
    if (r->lock != NULL) {
        lead(e, r->lock);
    } else {
        election_over(e, withdrawn ? 0 : r->code, withdrawn ? "" : r->message);
    }
}

static void election_stand(tl_election *e)
{
    tl_client *c = e->object.client;
    struct call call;

    call_function(&call, c, METHOD_CALL, "election.campaign");
    if (!c->has_session) call_fail(&call, ERR_CONFIG, "an election needs a session");
    call.give_back = "election.resign";
    call.limit_ms = CALL_LIMIT_NONE;
    call.persists = true;
    pack_map(call_arg(&call), e->value == NULL ? 1 : 2);
    pack_cstr(&call.params, "path");
    call_put_path(&call, &call.params, e->path);
    if (e->value != NULL) {
        pack_cstr(&call.params, "value");
        pack_cstr(&call.params, e->value);
    }
    e->state = ELECTION_STANDING;
    e->withdrawn = false;
    e->asked = call_ask(&call, on_campaign, e);
}

/* --- the object --- */

static void election_session_over(struct object *o)
{
    tl_election *e = CONTAINER_OF(o, tl_election, object);

    if (e->state != ELECTION_LEADING && e->state != ELECTION_RESIGNING) return;
    election_over(e, ERR_SESSION_EXPIRED, tl_error_text(ERR_SESSION_EXPIRED));
}

/* What was granted must be given back even when a resignation was cancelled unsent. */
static void election_end(struct object *o)
{
    tl_election *e = CONTAINER_OF(o, tl_election, object);
    const bool leads = e->state == ELECTION_LEADING || e->state == ELECTION_RESIGNING;

    ask_nothing(e);
    if (leads) ask_resign(e, NULL);
}

static void election_free(struct object *o)
{
    tl_election *e = CONTAINER_OF(o, tl_election, object);

    free(e->path);
    free(e->value);
    free(e);
}

static const struct object_kind election_kind = { .session_over = election_session_over,
                                                  .end = election_end,
                                                  .free = election_free };

int tl_election_open(tl_client *c, const char *path, const char *value, tl_election_fn fn,
                     void *ctx, tl_election **election)
{
    tl_election *e;

    *election = NULL;
    if (path == NULL || path[0] != '/') return client_fail(ERR_BAD_PATH, NULL);
    if (!c->has_session) return client_fail(ERR_CONFIG, "an election needs a session");
    e = mem_zalloc(sizeof *e);
    e->path = text_dup(path);
    e->value = value == NULL ? NULL : text_dup(value);
    e->fn = fn;
    e->ctx = ctx;
    client_lock(c);
    object_add(&e->object, c, &election_kind);
    election_stand(e);
    client_unlock(c);
    *election = e;
    return 0;
}

void tl_election_stand(tl_election *e)
{
    client_lock(e->object.client);
    if (e->state == ELECTION_IDLE) election_stand(e);
    client_unlock(e->object.client);
}

void tl_election_resign(tl_election *e)
{
    client_lock(e->object.client);
    if (e->state == ELECTION_STANDING) {
        e->withdrawn = true;
        call_withdraw(e->object.client, e->asked);
    } else if (e->state == ELECTION_LEADING) {
        e->state = ELECTION_RESIGNING;
        ask_resign(e, on_resigned);
    }
    client_unlock(e->object.client);
}

void tl_election_close(tl_election *e)
{
    if (e != NULL) object_close(&e->object);
}
