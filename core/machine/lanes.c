#include <stdlib.h>

#include "core/base/check.h"
#include "core/base/errors.h"
#include "core/base/hash.h"
#include "core/machine/inside.h"
#include "core/session/session.h"

static struct held *held_of_lane(struct list *l)
{
    return CONTAINER_OF(l, struct held, by_lane);
}

struct lane *lane_find(const struct resolver *r, uint64_t session)
{
    uint64_t hash;

    if (r->lanes.count == 0) return NULL;
    hash = hash_u64(session, r->seed);
    for (struct table_link *l = table_chain(&r->lanes, hash); l != NULL; l = l->next) {
        struct lane *lane = CONTAINER_OF(l, struct lane, link);

        if (lane->session == session) return lane;
    }
    return NULL;
}

struct lane *lane_make(struct resolver *r, uint64_t session)
{
    struct lane *lane = lane_find(r, session);

    if (lane != NULL) return lane;
    lane = mem_zalloc(sizeof *lane);
    lane->session = session;
    list_init(&lane->calls);
    list_init(&lane->helds);
    list_push(&r->lanes_all, &lane->by_all);
    table_add(&r->lanes, &lane->link, hash_u64(session, r->seed));
    return lane;
}

void lane_release(struct resolver *r, struct lane *lane)
{
    if (!list_empty(&lane->calls) || !list_empty(&lane->helds)) return;
    list_remove(&lane->by_all);
    table_remove(&r->lanes, &lane->link);
    free(lane);
}

bool kept_has_room(const struct resolver *r, struct bytes request)
{
    return r->kept_bytes + request.len <= PENDING_BYTES_MAX;
}

/* Takes it out of everything and frees it; its lane may be empty then. */
static void held_drop(struct resolver *r, struct held *h)
{
    list_remove(&h->by_lane);
    list_remove(&h->by_ripe);
    r->helds_count--;
    r->kept_bytes -= h->request.len;
    free(h);
}

static struct held *held_new(const struct asker *a, struct bytes request)
{
    struct held *h = mem_zalloc(sizeof *h + request.len);

    memcpy(h + 1, request.ptr, request.len);
    h->asker = *a;
    h->request = bytes_of(h + 1, request.len);
    list_init(&h->by_lane);
    list_init(&h->by_ripe);
    return h;
}

/* Requests come nearly in order, so the place is looked for from the end. */
static void held_insert(struct lane *lane, struct held *h)
{
    struct list *before = lane->helds.prev;

    while (before != &lane->helds && held_of_lane(before)->asker.seq > h->asker.seq) {
        before = before->prev;
    }
    list_push(before->next, &h->by_lane); /* a ring: the end before that link */
}

int held_add(struct resolver *r, const struct asker *a, struct bytes request)
{
    struct session s;
    struct held *h;

    /* What the session could not have resolved before it acknowledges is refused: this also
     * bounds what a session that ends must answer. */
    CHECK(session_read(&r->pending.view, a->session, &s));
    if (a->seq - s.last > SESSION_RESULTS_MAX) return ERR_BUSY;
    if (r->helds_count >= PENDING_COUNT_MAX || !kept_has_room(r, request)) return ERR_BUSY;
    h = held_new(a, request);
    held_insert(lane_make(r, a->session), h);
    r->helds_count++;
    r->kept_bytes += request.len;
    return 0;
}

void held_ripen(struct resolver *r, uint64_t session, uint64_t seq)
{
    struct lane *lane = lane_find(r, session);
    struct held *h;

    if (lane == NULL || list_empty(&lane->helds)) return;
    h = held_of_lane(lane->helds.next);
    if (h->asker.seq > seq + 1 || !list_empty(&h->by_ripe)) return;
    list_push(&r->ripe, &h->by_ripe);
}

void held_run_first(struct resolver *r)
{
    struct held *h = LIST_FIRST(&r->ripe, struct held, by_ripe);
    struct lane *lane = lane_find(r, h->asker.session);
    struct request q;
    int code;

    /* Out of the lane first: resolving it may end the session, and with it the lane. It
     * still counts until it is dropped. */
    list_remove(&h->by_ripe);
    list_remove(&h->by_lane);
    lane_release(r, lane);
    CHECK(request_decode(h->request, &q) == 0);
    code = request_resolve(r, &h->asker, &q, h->request);
    if (code != 0) txn_refuse_unstored(r, &h->asker, code, (struct bytes){ 0 });
    /* One that only joined a call that waits committed nothing that would have done so. */
    if (code == 0) held_ripen(r, h->asker.session, h->asker.seq);
    held_drop(r, h);
}

/* Drops everything of the lane, answering it with `code` if that is not 0. */
static void lane_empty(struct resolver *r, struct lane *lane, int code)
{
    while (!list_empty(&lane->calls)) {
        struct call *c = LIST_FIRST(&lane->calls, struct call, by_lane);

        if (code != 0) call_refuse_all(r, c, code);
        call_drop(r, c);
    }
    while (!list_empty(&lane->helds)) {
        struct held *h = held_of_lane(lane->helds.next);

        if (code != 0) txn_refuse_unstored(r, &h->asker, code, (struct bytes){ 0 });
        held_drop(r, h);
    }
    lane_release(r, lane);
}

void lane_end(struct resolver *r, uint64_t session)
{
    struct lane *lane = lane_find(r, session);

    if (lane != NULL) lane_empty(r, lane, ERR_SESSION_EXPIRED);
}

void lanes_clear(struct resolver *r)
{
    while (!list_empty(&r->lanes_all)) {
        lane_empty(r, LIST_FIRST(&r->lanes_all, struct lane, by_all), 0);
    }
}
