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
    FUEL_OF_A_REQUEST = 500, /* as much work as a request without a script */
    CHANNEL_BITS = 24, /* numberings of one start of a server; the start stands above */
    /* What one origin may have in the leader's queue. */
    INBOX_COUNT_MAX = PENDING_COUNT_MAX / NODES_MAX,
    INBOX_BYTES_MAX = PENDING_BYTES_MAX / NODES_MAX,
};

static_assert(PENDING_COUNT_MAX <= 1u << SLOT_BITS, "a wire tag has room for the slot");

static struct pending *pending_of(struct list *link)
{
    return CONTAINER_OF(link, struct pending, link);
}

static struct pending *sent_of(struct list *link)
{
    return CONTAINER_OF(link, struct pending, by_sent);
}

/* A wire tag is unique over restarts, since a batch of an earlier life may still be applied:
 * boot in the top 16 bits, a generation in the middle, the slot below. */
void writes_init(struct writes *w, uint64_t boot)
{
    list_init(&w->all);
    list_init(&w->sent);
    fair_init(&w->queue);
    w->unsent = &w->sent;
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

/* It is in the queue no more. */
static void inbound_free(struct writes *w, struct inbound *in)
{
    struct channel *c = &w->channels[in->origin - 1];

    c->count--;
    c->bytes -= in->len;
    free(in);
}

/* Those of others only: they have no place of their own but the queue. */
static void inbox_clear(struct replica *r)
{
    struct writes *w = &r->writes;

    LIST_EACH(at, &w->all)
    {
        if (fair_holds(&pending_of(at)->turn)) fair_remove(&w->queue, &pending_of(at)->turn);
    }
    while (w->queue.count > 0) {
        struct inbound *in = CONTAINER_OF(fair_first(&w->queue), struct inbound, turn);

        fair_remove(&w->queue, &in->turn);
        inbound_free(w, in);
    }
    LIST_EACH(at, &w->all)
    {
        struct pending *p = pending_of(at);
        if (p->number == 0) fair_push(&w->queue, r->self, p->flow, &p->turn);
    }
}

void writes_fini(struct replica *r)
{
    struct writes *w = &r->writes;

    inbox_clear(r);
    LIST_EACH_SAFE(at, after, &w->all)
    {
        if (fair_holds(&pending_of(at)->turn)) fair_remove(&w->queue, &pending_of(at)->turn);
        free(pending_of(at));
    }
    fair_fini(&w->queue);
    free(w->slots);
    free(w->slots_free);
}

static void pending_add(struct replica *r, uint64_t tag, uint64_t flow, struct bytes request)
{
    struct writes *w = &r->writes;
    struct pending *p = mem_alloc(sizeof *p + request.len);
    uint32_t slot = w->slots_free[--w->slots_free_count];

    *p = (struct pending){ .tag = tag, .flow = flow, .len = request.len };
    memcpy(p->request, request.ptr, request.len);
    p->wire_tag = ++w->generation << SLOT_BITS | slot;
    CHECK(w->slots[slot] == NULL);
    w->slots[slot] = p;
    w->count++;
    w->bytes += p->len;
    list_init(&p->by_sent);
    list_push(&w->all, &p->link);
    fair_push(&w->queue, r->self, flow, &p->turn);
}

static void pending_drop(struct writes *w, struct pending *p)
{
    uint32_t slot = (uint32_t) (p->wire_tag & ((1u << SLOT_BITS) - 1));

    if (w->unsent == &p->by_sent) w->unsent = p->by_sent.next;
    if (fair_holds(&p->turn)) fair_remove(&w->queue, &p->turn);
    list_remove(&p->by_sent);
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

int replica_submit(struct replica *r, struct replica_time time, uint64_t tag, uint64_t flow,
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
    pending_add(r, tag, flow, request);
    return 0;
}

static void acknowledge(struct writes *w, uint64_t next)
{
    w->acked = next;
    w->probing = false;
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
    if (p->number >= r->writes.acked) acknowledge(&r->writes, p->number + 1);
    pending_drop(&r->writes, p);
    r->io.answer(r->io.ctx, tag, 0, result);
}

/* The leader waits for the numbers that were given and may be lost: what comes from now on is
 * numbered afresh, in a channel of its own. */
void writes_abandon(struct replica *r)
{
    r->writes.channel++;
    r->writes.number_next = 1;
    acknowledge(&r->writes, 1);
    LIST_EACH_SAFE(at, after, &r->writes.all)
    {
        uint64_t tag = pending_of(at)->tag;

        pending_drop(&r->writes, pending_of(at));
        r->io.answer(r->io.ctx, tag, ERR_CLOSED, (struct bytes){ 0 });
    }
}

/* Only what was never sent is in no batch for certain. */
void writes_refuse(struct replica *r)
{
    LIST_EACH_SAFE(at, after, &r->writes.all)
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
    w->number_next = 1;
    acknowledge(w, 1);
    LIST_EACH(at, &w->all)
    {
        struct pending *p = pending_of(at);

        if (fair_holds(&p->turn)) fair_remove(&w->queue, &p->turn);
        list_remove(&p->by_sent);
        p->number = 0;
        fair_push(&w->queue, r->self, p->flow, &p->turn);
    }
    w->unsent = &w->sent;
}

static struct frame forward_frame(const struct replica *r, enum frame_kind kind,
                                  uint64_t number)
{
    return (struct frame){ .kind = kind,
                           .reign = paxos_ballot(r->paxos),
                           .boot = r->writes.channel,
                           .number = number };
}

/* Whose turn it is gets the next number. */
static struct pending *number_next(struct writes *w, uint64_t cost)
{
    struct pending *p = CONTAINER_OF(fair_first(&w->queue), struct pending, turn);

    fair_end(&w->queue, cost);
    p->number = w->number_next++;
    p->exposed = true;
    list_push(&w->sent, &p->by_sent);
    return p;
}

/* What is new comes behind what is to be sent again, while the leader keeps up. */
static void take_turns(struct writes *w)
{
    size_t bytes = 0;

    while (w->queue.count > 0 && bytes < FORWARD_BYTES_AIM &&
           w->number_next - w->acked < FORWARDS_MAX) {
        struct pending *p = number_next(w, 1);

        bytes += p->len;
        if (w->unsent == &w->sent) w->unsent = &p->by_sent;
    }
}

/* One frame of requests from w->unsent on. */
static void forward_some(struct replica *r, uint32_t leader)
{
    struct writes *w = &r->writes;
    struct list *end = w->unsent;
    size_t bytes = 0;
    struct frame f = forward_frame(r, FRAME_FORWARD, sent_of(w->unsent)->number);

    for (; end != &w->sent && bytes < FORWARD_BYTES_AIM; end = end->next) {
        bytes += sent_of(end)->len;
        f.count++;
    }
    buf_clear(&r->frame);
    frame_encode(&r->frame, &f);
    for (uint64_t number = f.number; w->unsent != end; w->unsent = w->unsent->next) {
        const struct pending *p = sent_of(w->unsent);

        CHECK(p->number == number); /* the leader counts on consecutive numbers */
        number++;
        frame_put_request(&r->frame, p->wire_tag, p->flow, bytes_of(p->request, p->len));
    }
    w->sent_ms = r->time.now_ms;
    replica_send(r, node_bit(leader), 0);
}

/* Go back to the first request that the leader has not acknowledged. */
static void resend_from(struct writes *w, uint64_t number)
{
    w->unsent = w->sent.next;
    while (w->unsent != &w->sent && sent_of(w->unsent)->number < number) {
        w->unsent = w->unsent->next;
    }
}

/* What was to be sent again may have been acknowledged or answered since then, and behind
 * an answered one the numbers would not be consecutive any more. */
static void skip_acknowledged(struct writes *w)
{
    while (w->unsent != &w->sent && sent_of(w->unsent)->number < w->acked) {
        w->unsent = w->unsent->next;
    }
}

/* Whatever was sent before may have been sent to nobody. */
void writes_peer_up(struct replica *r)
{
    struct writes *w = &r->writes;

    if (ballot_cmp(w->reign, paxos_ballot(r->paxos)) != 0) return;
    w->probing = false;
    resend_from(w, w->acked);
}

static bool is_silent(const struct replica *r)
{
    const struct writes *w = &r->writes;

    return w->number_next > w->acked && r->time.now_ms - w->sent_ms >= RESEND_MS;
}

/* A leader that is silent may have no room, or has heard nothing: one frame finds out. */
static void forward(struct replica *r, uint32_t leader)
{
    struct writes *w = &r->writes;

    if (is_silent(r)) {
        resend_from(w, w->acked);
        w->probing = true;
    } else if (w->probing) {
        return;
    }
    do {
        skip_acknowledged(w);
        if (!w->probing) take_turns(w);
        if (w->unsent == &w->sent) return;
        forward_some(r, leader);
    } while (!w->probing);
}

void writes_turn(struct replica *r)
{
    uint32_t leader = replica_serving(r);

    if (leader == 0) return;
    if (ballot_cmp(r->writes.reign, paxos_ballot(r->paxos)) != 0) reign_enter(r);
    if (leader != r->self) forward(r, leader); /* else writes_resolve() takes them */
}

void writes_next_came(struct replica *r, uint32_t from, const struct frame *f)
{
    struct writes *w = &r->writes;

    if (from != f->reign.node) return; /* only the leader itself knows what it has */
    if (f->boot != w->channel || ballot_cmp(f->reign, w->reign) != 0) return;
    if (f->number < w->acked || f->number > w->number_next) return; /* late or nonsense */
    acknowledge(w, f->number);
    w->sent_ms = r->time.now_ms;
    if (f->again) resend_from(w, f->number);
}

/* --- the leader's side --- */

static void tell_next(struct replica *r, uint32_t to, bool again)
{
    struct channel *c = &r->writes.channels[to - 1];
    struct frame f = forward_frame(r, FRAME_FORWARD_NEXT, c->next);

    f.boot = c->id;
    f.again = again;
    c->told = c->next;
    buf_clear(&r->frame);
    frame_encode(&r->frame, &f);
    replica_send(r, node_bit(to), 0);
}

static void inbox_add(struct writes *w, uint32_t origin, uint64_t tag, uint64_t flow,
                      struct bytes request)
{
    struct inbound *in = mem_alloc(sizeof *in + request.len);
    struct channel *c = &w->channels[origin - 1];

    *in = (struct inbound){ .origin = origin, .tag = tag, .len = request.len };
    memcpy(in->request, request.ptr, request.len);
    fair_push(&w->queue, origin, flow, &in->turn);
    c->count++;
    c->bytes += request.len;
}

/* One origin cannot take the room of the others; one request it has in any case. */
static bool inbox_room(const struct channel *c, size_t len)
{
    if (c->count == 0) return true;
    return c->count < INBOX_COUNT_MAX && c->bytes + len <= INBOX_BYTES_MAX;
}

/* An origin that numbers anew. What it asked before may still be resolved. */
static void channel_begin(struct channel *c, uint64_t id)
{
    c->id = id;
    c->next = c->told = 1;
    c->starved = false;
}

/* C3: each number of a channel is taken once, in order. What finds no room is not taken, and
 * the origin sends it again, some of it at a time. */
void writes_forward_came(struct replica *r, uint32_t from, const struct frame *f)
{
    struct channel *c = &r->writes.channels[from - 1];
    struct reader items = reader_of(f->items);
    uint64_t number = f->number;
    bool doubled = false;

    if (replica_serving(r) != r->self || ballot_cmp(f->reign, r->reign) != 0) return;
    if (f->boot < c->id) return;
    if (f->boot > c->id) channel_begin(c, f->boot);
    for (uint32_t i = 0; i < f->count; i++, number++) {
        uint64_t tag, flow;
        struct bytes request;

        frame_next_request(&items, &tag, &flow, &request);
        if (number < c->next) doubled = true;
        if (number != c->next) continue;
        c->starved = !inbox_room(c, request.len);
        if (c->starved) break;
        inbox_add(&r->writes, from, tag, flow, request);
        c->next++;
    }
    /* A repeated frame means that the origin does not know how far this side is; a gap, that
     * something was lost. Calls that wait acknowledge nothing, so now and then it is told. */
    bool gap = f->number > c->next && !c->starved;
    if (doubled || gap || c->next - c->told >= FORWARDS_MAX / 4) tell_next(r, from, gap);
}

static void feed_starved(struct replica *r)
{
    for (uint32_t id = 1; id <= NODES_MAX; id++) {
        struct channel *c = &r->writes.channels[id - 1];

        if (!c->starved || c->count > INBOX_COUNT_MAX / 2) continue;
        if (c->bytes > INBOX_BYTES_MAX / 2) continue;
        c->starved = false;
        tell_next(r, id, true);
    }
}

static bool may_resolve(const struct replica *r)
{
    return r->writes.resolved < RESOLVE_MAX && resolver_room(r->resolver) &&
           !membership_is_next(r);
}

void writes_turn_begin(struct replica *r)
{
    r->writes.resolved = 0;
}

bool writes_again(const struct replica *r)
{
    return r->writes.resolved >= RESOLVE_MAX && r->writes.queue.count > 0;
}

static void resolve(struct replica *r, const struct resolver_request *q)
{
    struct resolver_time now = { r->time.now_ms, r->time.wall_ms };
    int code = resolver_submit(r->resolver, q, now);

    if (code != 0) resolver_refuse(r->resolver, q, now, code);
}

static bool is_own(const struct replica *r, const struct fair_item *item)
{
    return item->flow->origin == r->self;
}

/* Whoever's turn it is. */
static struct resolver_request request_first(const struct replica *r)
{
    struct fair_item *item = fair_first(&r->writes.queue);

    if (is_own(r, item)) {
        const struct pending *p = CONTAINER_OF(item, struct pending, turn);

        return (struct resolver_request){ r->self, p->wire_tag,
                                          bytes_of(p->request, p->len) };
    }
    const struct inbound *in = CONTAINER_OF(item, struct inbound, turn);

    return (struct resolver_request){ in->origin, in->tag, bytes_of(in->request, in->len) };
}

static void request_taken(struct replica *r, uint64_t cost)
{
    struct writes *w = &r->writes;
    struct fair_item *item = fair_first(&w->queue);

    if (is_own(r, item)) {
        (void)number_next(w, cost);
    } else {
        fair_end(&w->queue, cost);
        inbound_free(w, CONTAINER_OF(item, struct inbound, turn));
    }
}

bool writes_resolve(struct replica *r)
{
    struct writes *w = &r->writes;
    bool some = false;

    for (; w->queue.count > 0 && may_resolve(r); some = true) {
        struct resolver_request q = request_first(r);
        uint64_t fuel = resolver_fuel(r->resolver);

        w->resolved++;
        resolve(r, &q);
        request_taken(r, 1 + (resolver_fuel(r->resolver) - fuel) / FUEL_OF_A_REQUEST);
    }
    if (some) feed_starved(r);
    return some;
}

bool writes_member_next(const struct replica *r, struct resolver_request *q)
{
    if (r->writes.queue.count == 0) return false;
    *q = request_first(r);
    return request_is_member(q->request);
}

void writes_member_taken(struct replica *r)
{
    request_taken(r, 1);
}

void writes_leader_lost(struct replica *r)
{
    inbox_clear(r);
    memset(r->writes.channels, 0, sizeof r->writes.channels);
}

static void check_queue(const struct replica *r)
{
    const struct writes *w = &r->writes;
    uint64_t inbound = 0, own = 0;

    for (uint32_t i = 0; i < NODES_MAX; i++) inbound += w->channels[i].count;
    LIST_EACH(at, &w->all) own += fair_holds(&pending_of(at)->turn);
    CHECK(w->queue.count == own + inbound);
}

void writes_check(const struct replica *r)
{
    const struct writes *w = &r->writes;
    uint64_t count = 0, bytes = 0, number = 0;

    LIST_EACH(at, &w->all)
    {
        const struct pending *p = pending_of(at);

        CHECK(pending_find(w, p->wire_tag) == p);
        CHECK((p->number == 0) == fair_holds(&p->turn));
        count++;
        bytes += p->len;
    }
    LIST_EACH(at, &w->sent)
    {
        CHECK(sent_of(at)->number > number); /* C3 */
        number = sent_of(at)->number;
    }
    CHECK(count == w->count && bytes == w->bytes);
    CHECK(w->count + w->slots_free_count == PENDING_COUNT_MAX);
    check_queue(r);
}
