/* writes.c -- requests that go through the log: kept until answered, sent to the leader of
 * each reign once and in order. */
#include <stdlib.h>

#include "core/base/check.h"
#include "core/base/errors.h"
#include "core/machine/request.h"
#include "core/replica/internal.h"

/* --- pending requests --- */

enum {
    SLOT_BITS = 16,
    CHANNEL_BITS = 24, /* numberings of one start of a server; the start stands above */
};

static_assert(PENDING_COUNT_MAX <= 1u << SLOT_BITS, "a wire tag has room for the slot");

static struct pending *pending_of(struct list *link)
{
    return CONTAINER_OF(link, struct pending, link);
}

/* A wire tag is unique over restarts, since a batch of an earlier life may still be applied:
 * boot in the top 16 bits, a generation in the middle, the slot below. */
void writes_init(struct writes *w, uint64_t boot)
{
    list_init(&w->order);
    list_init(&w->inbox);
    w->unsent = &w->order;
    w->number_next = 1;
    w->acked = 1;
    w->channel = boot << CHANNEL_BITS;
    w->generation = boot << 32;
    w->slots = mem_zalloc(PENDING_COUNT_MAX * sizeof w->slots[0]);
    w->slots_free = mem_alloc(PENDING_COUNT_MAX * sizeof w->slots_free[0]);
    for (uint32_t i = 0; i < PENDING_COUNT_MAX; i++) {
        w->slots_free[i] = PENDING_COUNT_MAX - 1 - i;
    }
    w->slots_free_count = PENDING_COUNT_MAX;
}

static void inbox_clear(struct writes *w)
{
    LIST_EACH_SAFE(at, after, &w->inbox)
    {
        list_remove(at);
        free(CONTAINER_OF(at, struct inbound, link));
    }
    w->inbox_count = w->inbox_bytes = 0;
}

void writes_fini(struct writes *w)
{
    LIST_EACH_SAFE(at, after, &w->order)
    {
        list_remove(at);
        free(pending_of(at));
    }
    inbox_clear(w);
    free(w->slots);
    free(w->slots_free);
}

static struct pending *pending_add(struct writes *w, uint64_t tag, struct bytes request)
{
    struct pending *p = mem_alloc(sizeof *p + request.len);
    uint32_t slot = w->slots_free[--w->slots_free_count];

    *p = (struct pending){ .tag = tag, .len = request.len };
    memcpy(p->request, request.ptr, request.len);
    p->wire_tag = ++w->generation << SLOT_BITS | slot;
    CHECK(w->slots[slot] == NULL);
    w->slots[slot] = p;
    w->count++;
    w->bytes += p->len;
    list_push(&w->order, &p->link);
    if (w->unsent == &w->order) w->unsent = &p->link;
    return p;
}

static void pending_drop(struct writes *w, struct pending *p)
{
    uint32_t slot = (uint32_t) (p->wire_tag & ((1u << SLOT_BITS) - 1));

    if (w->unsent == &p->link) w->unsent = p->link.next;
    list_remove(&p->link);
    w->slots[slot] = NULL;
    w->slots_free[w->slots_free_count++] = slot;
    w->count--;
    w->bytes -= p->len;
    free(p);
}

static struct pending *pending_find(const struct writes *w, uint64_t wire_tag)
{
    uint32_t slot = (uint32_t) (wire_tag & ((1u << SLOT_BITS) - 1));
    struct pending *p = slot < PENDING_COUNT_MAX ? w->slots[slot] : NULL;

    return p != NULL && p->wire_tag == wire_tag ? p : NULL;
}

int replica_submit(struct replica *r, struct replica_time time, uint64_t tag,
                   struct bytes request)
{
    struct writes *w = &r->writes;

    CHECK(time.now_ms >= r->time.now_ms);
    r->time = time;
    if (r->stopped || replica_hopeless(r)) return ERR_NO_QUORUM;
    if (full_refuses(r)) return ERR_DISK_FULL;
    if (w->slots_free_count == 0 || w->bytes + request.len > PENDING_BYTES_MAX) {
        return ERR_BUSY;
    }
    pending_add(w, tag, request);
    return 0;
}

/* C1: the slot is free from here on, so a second answer finds nobody. */
void writes_applied(struct replica *r, const struct txn *t, struct bytes result)
{
    struct pending *p = pending_find(&r->writes, t->tag);

    if (p == NULL) return; /* answered before, or asked in an earlier life of this server */
    /* What was never sent is in no batch: another server had this id, and used this tag. */
    if (!p->exposed) return;

    uint64_t tag = p->tag;

    /* The leader takes numbers in order, so an answer acknowledges all before it. */
    if (p->number >= r->writes.acked) r->writes.acked = p->number + 1;
    pending_drop(&r->writes, p);
    r->io.answer(r->io.ctx, tag, 0, result);
}

/* The leader waits for the numbers that were given and may be lost: what comes from now on is
 * numbered afresh, in a channel of its own. */
void writes_abandon(struct replica *r)
{
    r->writes.channel++;
    r->writes.number_next = r->writes.acked = 1;
    LIST_EACH_SAFE(at, after, &r->writes.order)
    {
        uint64_t tag = pending_of(at)->tag;

        pending_drop(&r->writes, pending_of(at));
        r->io.answer(r->io.ctx, tag, ERR_CLOSED, (struct bytes){ 0 });
    }
}

/* Only what was never sent is in no batch for certain. */
void writes_refuse(struct replica *r)
{
    LIST_EACH_SAFE(at, after, &r->writes.order)
    {
        struct pending *p = pending_of(at);
        uint64_t tag = p->tag;

        if (p->exposed) continue;
        pending_drop(&r->writes, p);
        r->io.answer(r->io.ctx, tag, ERR_NO_QUORUM, (struct bytes){ 0 });
    }
}

/* --- sending --- */

/* The first slot of this reign is applied here, so a batch of an older reign that was not
 * met by now will never count (run rule): all that is unanswered may be sent afresh, in the
 * order in which it was submitted, and nothing can happen twice. */
static void reign_enter(struct replica *r)
{
    struct writes *w = &r->writes;

    w->reign = paxos_ballot(r->paxos);
    w->number_next = w->acked = 1;
    w->unsent = w->order.next;
    LIST_EACH(at, &w->order) pending_of(at)->number = 0;
}

static struct frame forward_frame(const struct replica *r, enum frame_kind kind,
                                  uint64_t number)
{
    return (struct frame){ .kind = kind,
                           .reign = paxos_ballot(r->paxos),
                           .boot = r->writes.channel,
                           .number = number };
}

/* One frame of requests from w->unsent on. */
static void forward_some(struct replica *r, uint32_t leader)
{
    struct writes *w = &r->writes;
    struct list *end = w->unsent;
    size_t bytes = 0;
    struct frame f = { 0 };

    if (pending_of(w->unsent)->number == 0) pending_of(w->unsent)->number = w->number_next++;
    f = forward_frame(r, FRAME_FORWARD, pending_of(w->unsent)->number);
    for (; end != &w->order && bytes < FORWARD_BYTES_AIM; end = end->next) {
        bytes += pending_of(end)->len;
        f.count++;
    }
    buf_clear(&r->frame);
    frame_encode(&r->frame, &f);
    for (uint64_t number = f.number; w->unsent != end; w->unsent = w->unsent->next) {
        struct pending *p = pending_of(w->unsent);

        if (p->number == 0) p->number = w->number_next++;
        CHECK(p->number == number); /* the leader counts on consecutive numbers */
        number++;
        p->exposed = true;
        frame_put_request(&r->frame, p->wire_tag, bytes_of(p->request, p->len));
    }
    w->sent_ms = r->time.now_ms;
    replica_send(r, node_bit(leader), 0);
}

/* Go back to the first request that the leader has not acknowledged. */
static void resend_from(struct writes *w, uint64_t number)
{
    LIST_EACH(at, &w->order)
    {
        struct pending *p = pending_of(at);

        if (p->number == 0) return;
        if (p->number < number) continue;
        w->unsent = at;
        return;
    }
}

/* What was to be sent again may have been acknowledged or answered since then, and behind
 * an answered one the numbers would not be consecutive any more. */
static void skip_acknowledged(struct writes *w)
{
    while (w->unsent != &w->order) {
        uint64_t number = pending_of(w->unsent)->number;

        if (number == 0 || number >= w->acked) return;
        w->unsent = w->unsent->next;
    }
}

/* Whatever was sent before may have been sent to nobody. */
void writes_peer_up(struct replica *r)
{
    if (ballot_cmp(r->writes.reign, paxos_ballot(r->paxos)) != 0) return;
    resend_from(&r->writes, r->writes.acked);
}

static void resend_when_silent(struct replica *r)
{
    struct writes *w = &r->writes;

    if (list_empty(&w->order) || r->time.now_ms - w->sent_ms < RESEND_MS) return;

    struct pending *last = pending_of(w->unsent->prev);

    if (w->unsent != w->order.next && last->number >= w->acked) resend_from(w, w->acked);
}

void writes_turn(struct replica *r)
{
    struct writes *w = &r->writes;
    uint32_t leader = replica_serving(r);

    if (leader == 0) return;
    if (ballot_cmp(w->reign, paxos_ballot(r->paxos)) != 0) reign_enter(r);
    if (leader == r->self) return; /* writes_resolve() takes them without a frame */
    resend_when_silent(r);
    skip_acknowledged(w);
    while (w->unsent != &w->order) forward_some(r, leader);
}

void writes_next_came(struct replica *r, uint32_t from, const struct frame *f)
{
    struct writes *w = &r->writes;

    if (from != f->reign.node) return; /* only the leader itself knows what it has */
    if (f->boot != w->channel || ballot_cmp(f->reign, w->reign) != 0) return;
    if (f->number < w->acked || f->number > w->number_next) return; /* late or nonsense */
    w->acked = f->number;
    w->sent_ms = r->time.now_ms;
    if (f->number < w->number_next) resend_from(w, f->number);
}

/* --- the leader's side --- */

static void tell_next(struct replica *r, uint32_t to, uint64_t channel, uint64_t next)
{
    struct frame f = forward_frame(r, FRAME_FORWARD_NEXT, next);

    f.boot = channel;
    buf_clear(&r->frame);
    frame_encode(&r->frame, &f);
    replica_send(r, node_bit(to), 0);
}

static void inbox_add(struct writes *w, uint32_t origin, uint64_t tag, struct bytes request)
{
    struct inbound *in = mem_alloc(sizeof *in + request.len);

    *in = (struct inbound){ .origin = origin, .tag = tag, .len = request.len };
    memcpy(in->request, request.ptr, request.len);
    list_push(&w->inbox, &in->link);
    w->inbox_count++;
    w->inbox_bytes += request.len;
}

static bool inbox_room(const struct writes *w, size_t len)
{
    return w->inbox_count < PENDING_COUNT_MAX && w->inbox_bytes + len <= PENDING_BYTES_MAX;
}

/* C3: each number of a channel is taken once, in order. What finds no room is not taken, and
 * the origin sends it again. */
void writes_forward_came(struct replica *r, uint32_t from, const struct frame *f)
{
    struct channel *c = &r->writes.channels[from - 1];
    struct reader items = reader_of(f->items);
    uint64_t number = f->number;
    bool doubled = false;

    if (replica_serving(r) != r->self || ballot_cmp(f->reign, r->reign) != 0) return;
    if (f->boot < c->id) return;
    if (f->boot > c->id) *c = (struct channel){ f->boot, 1 };
    for (uint32_t i = 0; i < f->count; i++, number++) {
        uint64_t tag;
        struct bytes request;

        frame_next_request(&items, &tag, &request);
        if (number < c->next) doubled = true;
        if (number != c->next) continue;
        if (!inbox_room(&r->writes, request.len)) break;
        inbox_add(&r->writes, from, tag, request);
        c->next++;
    }
    /* A repeated frame means that the origin does not know how far this side is; a gap, that
     * something was lost. */
    if (doubled || f->number > c->next) tell_next(r, from, c->id, c->next);
}

static bool may_resolve(const struct replica *r)
{
    return resolver_room(r->resolver) && !membership_is_next(r);
}

static void resolve(struct replica *r, uint32_t origin, uint64_t tag, struct bytes request)
{
    struct resolver_request q = { .origin = origin, .tag = tag, .request = request };
    struct resolver_time now = { r->time.now_ms, r->time.wall_ms };
    int code = resolver_submit(r->resolver, &q, now);

    if (code != 0) resolver_refuse(r->resolver, &q, now, code);
}

static struct pending *unsent_take(struct writes *w)
{
    struct pending *p = pending_of(w->unsent);

    w->unsent = w->unsent->next;
    p->number = w->number_next++;
    p->exposed = true;
    return p;
}

static struct inbound *inbox_take(struct writes *w)
{
    struct inbound *in = LIST_FIRST(&w->inbox, struct inbound, link);

    list_remove(&in->link);
    w->inbox_count--;
    w->inbox_bytes -= in->len;
    return in;
}

bool writes_resolve(struct replica *r)
{
    struct writes *w = &r->writes;
    bool some = false;

    for (; w->unsent != &w->order && may_resolve(r); some = true) {
        struct pending *p = unsent_take(w);

        resolve(r, r->self, p->wire_tag, bytes_of(p->request, p->len));
    }
    for (; !list_empty(&w->inbox) && may_resolve(r); some = true) {
        struct inbound *in = inbox_take(w);

        resolve(r, in->origin, in->tag, bytes_of(in->request, in->len));
        free(in);
    }
    return some;
}

static bool heads_own(const struct writes *w)
{
    if (w->unsent == &w->order) return false;
    return request_is_member(
        bytes_of(pending_of(w->unsent)->request, pending_of(w->unsent)->len));
}

bool writes_member_next(const struct replica *r, struct resolver_request *q)
{
    const struct writes *w = &r->writes;

    if (heads_own(w)) {
        const struct pending *p = pending_of(w->unsent);

        *q = (struct resolver_request){ r->self, p->wire_tag, bytes_of(p->request, p->len) };
        return true;
    }
    if (list_empty(&w->inbox)) return false;

    const struct inbound *in = LIST_FIRST(&w->inbox, struct inbound, link);

    *q = (struct resolver_request){ in->origin, in->tag, bytes_of(in->request, in->len) };
    return request_is_member(q->request);
}

void writes_member_taken(struct replica *r)
{
    if (heads_own(&r->writes)) {
        (void)unsent_take(&r->writes);
    } else {
        free(inbox_take(&r->writes));
    }
}

void writes_leader_lost(struct replica *r)
{
    inbox_clear(&r->writes);
    memset(r->writes.channels, 0, sizeof r->writes.channels);
}

void writes_check(const struct replica *r)
{
    const struct writes *w = &r->writes;
    uint64_t count = 0, bytes = 0, number = 0;
    bool unsent = false;

    LIST_EACH(at, &w->order)
    {
        const struct pending *p = pending_of(at);

        if (at == w->unsent) unsent = true;
        CHECK(pending_find(w, p->wire_tag) == p);
        CHECK(IMPLIES(p->number != 0, p->number > number)); /* C3 */
        CHECK(IMPLIES(p->number == 0, unsent));
        if (p->number != 0) number = p->number;
        count++;
        bytes += p->len;
    }
    CHECK(count == w->count && bytes == w->bytes);
    CHECK(w->count + w->slots_free_count == PENDING_COUNT_MAX);
}
