/* reads.c -- strong reads by read index: all reads at hand share one round.
 *
 * A group of reads asks the leader; the leader begins one Paxos read round for all groups at
 * hand, its own and the others'; when a quorum has answered it names the slot that was chosen
 * when the round began; each replica releases its group once it has applied that slot. A
 * renewal of a session rides on a read: the leader moves the deadline before the round
 * begins, so the round confirms that it was a leader when it did.
 *
 * A leader that holds a lease sends no round: it was the only leader when the clock was read
 * for this turn, and that was after every read at hand had come. What was chosen by then is
 * what they must see, however late they are answered. */
#include <stdlib.h>

#include "core/base/check.h"
#include "core/base/errors.h"
#include "core/replica/internal.h"
#include "core/session/session.h"

static struct read_group *group_of(struct list *link)
{
    return CONTAINER_OF(link, struct read_group, link);
}

static struct read_group *group_new(struct reads *s)
{
    struct read_group *g;

    if (list_empty(&s->spare)) {
        g = mem_zalloc(sizeof *g);
        list_init(&g->link);
        return g;
    }
    g = group_of(s->spare.next);
    list_remove(&g->link);
    return g;
}

static void group_retire(struct reads *s, struct read_group *g)
{
    struct read *reads = g->reads;
    uint32_t cap = g->cap;

    s->count -= g->count;
    s->groups_count--;
    list_remove(&g->link);
    *g = (struct read_group){ .reads = reads, .cap = cap };
    list_push(&s->spare, &g->link);
}

static void group_free(struct read_group *g)
{
    free(g->reads);
    free(g);
}

void reads_init(struct reads *s)
{
    list_init(&s->groups);
    list_init(&s->spare);
    s->open = group_new(s);
    s->id_next = 1;
    s->asks = mem_alloc(ASKS_MAX * sizeof s->asks[0]);
}

void reads_fini(struct reads *s)
{
    list_splice(&s->spare, &s->groups);
    LIST_EACH_SAFE(at, after, &s->spare)
    {
        list_remove(at);
        group_free(group_of(at));
    }
    group_free(s->open);
    free(s->asks);
}

int replica_read(struct replica *r, struct replica_time time, uint64_t tag,
                 uint64_t session)
{
    struct read_group *g = r->reads.open;

    CHECK(time.now_ms >= r->time.now_ms);
    r->time = time;
    if (r->stopped || replica_hopeless(r)) return ERR_NO_QUORUM;
    if (r->reads.count >= PENDING_COUNT_MAX) return ERR_BUSY;
    if (g->count == g->cap) {
        g->cap = g->cap == 0 ? 64 : 2 * g->cap;
        g->reads = mem_grow(g->reads, g->cap * sizeof g->reads[0]);
    }
    g->reads[g->count++] = (struct read){ tag, session };
    r->reads.count++;
    return 0;
}

/* --- asking --- */

static void renew_own(struct replica *r, const struct read_group *g)
{
    for (uint32_t i = 0; i < g->count; i++) {
        uint64_t session = g->reads[i].session;

        if (session == 0) continue;
        if (!resolver_renew(r->resolver, session, r->time.now_ms)) {
            r->reads.renewal_over = true;
        }
    }
}

static void ask(struct replica *r, struct read_group *g, uint32_t leader)
{
    struct frame f = { .kind = FRAME_READ_ASK, .boot = r->config.boot };

    /* An answer of an earlier reign may name a slot that nothing fills for long. */
    if (ballot_cmp(g->asked, paxos_ballot(r->paxos)) != 0) {
        g->id = r->reads.id_next++;
        g->begun_ms = r->time.now_ms;
    }
    f.id = g->id;
    g->asked = paxos_ballot(r->paxos);
    g->asked_ms = r->time.now_ms;
    g->confirmed = false;
    g->round = 0;
    if (leader == r->self) {
        renew_own(r, g);
        return; /* begin_round() takes it up */
    }
    for (uint32_t i = 0; i < g->count; i++) f.count += g->reads[i].session != 0;
    buf_clear(&r->frame);
    frame_encode(&r->frame, &f);
    for (uint32_t i = 0; i < g->count; i++) {
        if (g->reads[i].session != 0) frame_put_session(&r->frame, g->reads[i].session);
    }
    replica_send(r, node_bit(leader), 0);
}

/* A new leader is asked again, also for what was confirmed but is not applied here: its slot
 * may never be filled. */
static bool ask_is_stale(const struct replica *r, const struct read_group *g)
{
    if (ballot_cmp(g->asked, paxos_ballot(r->paxos)) != 0) return true;
    return !g->confirmed && g->round == 0 && r->time.now_ms - g->asked_ms >= RESEND_MS;
}

static void close_open_group(struct reads *s)
{
    if (s->open->count == 0 || s->groups_count >= READ_GROUPS_MAX) return;
    list_push(&s->groups, &s->open->link);
    s->groups_count++;
    s->open = group_new(s);
}

/* --- the leader's side --- */

void reads_ask_came(struct replica *r, uint32_t from, const struct frame *f)
{
    struct reads *s = &r->reads;
    struct reader items = reader_of(f->items);

    if (replica_serving(r) != r->self || s->asks_count == ASKS_MAX) return; /* asks again */
    for (uint32_t i = 0; i < f->count; i++) {
        uint64_t session = frame_next_session(&items);

        if (!resolver_renew(r->resolver, session, r->time.now_ms)) s->renewal_over = true;
    }
    s->asks[s->asks_count++] = (struct ask){ .from = from, .boot = f->boot, .id = f->id };
}

static bool want_round(const struct replica *r)
{
    const struct reads *s = &r->reads;

    for (uint32_t i = 0; i < s->asks_count; i++) {
        if (!s->asks[i].begun) return true;
    }
    LIST_EACH(at, &s->groups)
    {
        if (!group_of(at)->confirmed && group_of(at)->round == 0) return true;
    }
    return false;
}

/* Which slot shows what these reads must see. A session that is over, or whose end is
 * resolved, must be seen gone: then everything proposed so far counts. */
static uint64_t round_index(const struct replica *r)
{
    uint64_t proposed = paxos_slot_next(r->paxos) - 1;

    return r->reads.renewal_over ? proposed : paxos_chosen(r->paxos);
}

/* All that waits goes with this round. */
static void take_up(struct replica *r, uint64_t round)
{
    struct reads *s = &r->reads;
    uint64_t index = round_index(r);

    s->renewal_over = false;
    LIST_EACH(at, &s->groups)
    {
        struct read_group *g = group_of(at);

        if (g->confirmed || g->round != 0) continue;
        g->round = round;
        g->index = index;
    }
    for (uint32_t i = 0; i < s->asks_count; i++) {
        if (s->asks[i].begun) continue;
        s->asks[i].begun = true;
        s->asks[i].round = round;
        s->asks[i].index = index;
    }
}

static void begin_round(struct replica *r)
{
    uint64_t round = paxos_round_next(r->paxos);

    take_up(r, round);
    replica_step(r, &(struct paxos_input){ .kind = PAXOS_IN_READ });
    CHECK(r->out.round == round); /* a lone server confirmed it within the step */
}

static bool has_lease(const struct replica *r)
{
    return r->time.now_ms < paxos_lease_until_ms(r->paxos);
}

/* Who is the only leader now also was when the rounds that are on their way began: they are
 * confirmed as well. */
static void confirm_by_lease(struct replica *r)
{
    uint64_t round = paxos_round_next(r->paxos);

    take_up(r, round);
    r->reads.leased++;
    reads_confirmed(r, round);
}

static void answer_ask(struct replica *r, const struct ask *a)
{
    struct frame f = {
        .kind = FRAME_READ_OK, .boot = a->boot, .id = a->id, .index = a->index
    };

    buf_clear(&r->frame);
    frame_encode(&r->frame, &f);
    replica_send(r, node_bit(a->from), 0);
}

void reads_confirmed(struct replica *r, uint64_t round)
{
    struct reads *s = &r->reads;
    uint32_t kept = 0;

    LIST_EACH(at, &s->groups)
    {
        struct read_group *g = group_of(at);

        if (g->round != 0 && g->round <= round) g->confirmed = true;
    }
    for (uint32_t i = 0; i < s->asks_count; i++) {
        if (s->asks[i].begun && s->asks[i].round <= round) {
            answer_ask(r, &s->asks[i]);
        } else {
            s->asks[kept++] = s->asks[i];
        }
    }
    s->asks_count = kept;
}

/* An ask of before may have gone to nobody. */
void reads_peer_up(struct replica *r)
{
    LIST_EACH(at, &r->reads.groups)
    {
        struct read_group *g = group_of(at);

        if (!g->confirmed) g->asked = (struct ballot){ 0 };
    }
}

void reads_leader_lost(struct replica *r)
{
    r->reads.asks_count = 0;
    r->reads.renewal_over = false;
    LIST_EACH(at, &r->reads.groups)
    {
        struct read_group *g = group_of(at);

        if (g->confirmed) continue;
        g->round = 0;
        g->asked = (struct ballot){ 0 };
    }
}

/* --- the end of a read --- */

void reads_ok_came(struct replica *r, const struct frame *f)
{
    if (f->boot != r->config.boot) return;
    LIST_EACH(at, &r->reads.groups)
    {
        struct read_group *g = group_of(at);

        if (g->id != f->id || g->confirmed) continue;
        g->confirmed = true;
        g->index = f->index;
        return;
    }
}

static int read_outcome(struct replica *r, const struct read *read)
{
    struct session session;

    if (read->session == 0) return 0;
    if (session_read(&r->machine.applied->view, read->session, &session)) return 0;
    return ERR_SESSION_EXPIRED;
}

void reads_release(struct replica *r)
{
    uint64_t applied = machine_slot(&r->machine);

    LIST_EACH_SAFE(at, after, &r->reads.groups)
    {
        struct read_group *g = group_of(at);

        if (!g->confirmed || g->index > applied) continue;
        if (g->begun_ms > r->reads.fresh_ms) r->reads.fresh_ms = g->begun_ms;
        for (uint32_t i = 0; i < g->count; i++) {
            r->io.ready(r->io.ctx, g->reads[i].tag, read_outcome(r, &g->reads[i]));
        }
        group_retire(&r->reads, g);
    }
}

static void refuse_all(struct replica *r, int code)
{
    close_open_group(&r->reads);
    LIST_EACH_SAFE(at, after, &r->reads.groups)
    {
        struct read_group *g = group_of(at);

        for (uint32_t i = 0; i < g->count; i++) {
            r->io.ready(r->io.ctx, g->reads[i].tag, code);
        }
        group_retire(&r->reads, g);
    }
}

void reads_refuse(struct replica *r)
{
    refuse_all(r, ERR_NO_QUORUM);
}

void reads_abandon(struct replica *r)
{
    refuse_all(r, ERR_CLOSED);
}

void reads_turn(struct replica *r)
{
    uint32_t leader = replica_serving(r);

    close_open_group(&r->reads);
    if (leader == 0) return;
    LIST_EACH(at, &r->reads.groups)
    {
        if (ask_is_stale(r, group_of(at))) ask(r, group_of(at), leader);
    }
    if (leader != r->self || !want_round(r)) return;
    /* The end of a session that stands in the open batch has no slot yet, so no read could
     * wait for it: the round begins in the turn in which that batch is proposed. */
    if (r->reads.renewal_over && resolver_has_batch(r->resolver)) return;
    if (has_lease(r)) {
        confirm_by_lease(r);
    } else {
        begin_round(r);
    }
}
