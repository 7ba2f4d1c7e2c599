/* t_resolver_storm.c -- V1..V5 and exactly-once under random requests, batches in flight,
 * lost batches, new reigns, repeats, gaps, cancels and expiries.
 *
 * Method: clients send numbered requests in any order, again and again, and acknowledge
 * what they have. The rig compares leader, follower and what the leader foresaw at every
 * slot. Here is judged: each (session, seq) has one result however often it is answered,
 * and one effect; at the end nothing is left over. Replay with:  SEED=<n>
 * ./t_resolver_storm */
#include <stdio.h>
#include <stdlib.h>

#include "core/base/check.h"
#include "core/base/errors.h"
#include "core/base/rng.h"
#include "tests/lib/resolver_rig.h"
#include "tests/lib/tap.h"

enum { CLIENTS = 6, SEQ_MAX = 400, STEPS = 6000 };

enum kind {
    CREATE,
    SET,
    DELETE,
    EPHEMERAL,
    MARK,
    ACQUIRE,
    RELEASE,
    READ,
    TOUCH,
    BOOM,
    KINDS
};

struct made {
    enum kind kind;
    char path[16];
    bool sent, answered;
    uint64_t tags[64]; /* every tag it was sent under; the first ones are enough to judge */
    int tags_count;
    struct buf first; /* its one result */
};

struct client {
    uint64_t session, ack, seq; /* seq: the last one made */
    struct made made[SEQ_MAX + 1];
};

static struct rig g;
static struct rng rng;
static struct client clients[CLIENTS];
static int repeats_judged, answered;

static uint64_t below(uint64_t bound)
{
    return rng_below(&rng, bound);
}

static uint64_t submit(struct client *c, uint64_t seq)
{
    struct made *m = &c->made[seq];
    struct rig_id id = { c->session, seq };

    g.ack = c->ack;
    switch (m->kind) {
    case CREATE:
        return rig_create(&g, id, m->path, 0);
    case SET:
        return rig_set(&g, id, m->path, "value");
    case DELETE:
        return rig_delete(&g, id, m->path);
    case EPHEMERAL:
        return rig_create(&g, id, m->path, TX_EPHEMERAL);
    case MARK:
        return rig_mark(&g, id);
    case ACQUIRE:
        return rig_call(&g, id, "lock.acquire", "/lock");
    case RELEASE:
        return rig_call(&g, id, "lock.release", "/lock");
    case READ:
        return rig_call(&g, id, "any.read", m->path);
    case TOUCH:
        return rig_call(&g, id, "any.touch", "/n0");
    case BOOM:
        return rig_call(&g, id, "any.boom", "x");
    case KINDS:
        break;
    }
    CHECK(false);
    return 0;
}

static void send(struct client *c, uint64_t seq)
{
    struct made *m = &c->made[seq];
    uint64_t tag = submit(c, seq);

    m->sent = true;
    if (m->tags_count < 64) m->tags[m->tags_count++] = tag;
}

static void make(struct client *c)
{
    struct made *m;

    if (c->session == 0 || c->seq == SEQ_MAX) return;
    m = &c->made[++c->seq];
    m->kind = (enum kind)below(KINDS);
    if (m->kind == TOUCH && below(60) != 0)
        m->kind = MARK; /* these never end by themselves */
    snprintf(m->path, sizeof m->path, "/n%d%s", (int)below(4), below(2) ? "" : "/x");
    if (below(4) != 0) send(c, c->seq); /* else it comes after its followers */
}

static bool ends_the_promise(int code)
{
    return code == ERR_SESSION_EXPIRED || code == ERR_SEQ_ACKNOWLEDGED;
}

/* Looks at all answers so far; each must be the one and only result. */
static void judge_request(struct made *m)
{
    for (int i = 0; i < m->tags_count; i++) {
        struct rig_answer *a = &g.answers[m->tags[i]];

        if (a->count == 0 || ends_the_promise(a->result.code)) continue;
        CHECK(a->count == 1);
        if (!m->answered) {
            m->answered = true;
            answered++;
            buf_put_bytes_raw(&m->first, buf_bytes(&a->bytes));
        } else {
            CHECK(bytes_equal(buf_bytes(&m->first), buf_bytes(&a->bytes)));
            repeats_judged++;
        }
    }
}

static void judge(struct client *c)
{
    for (uint64_t seq = c->ack + 1; seq <= c->seq; seq++)
        judge_request(&c->made[seq]);
}

/* A client forgets its session and begins anew. */
static void renew(struct client *c)
{
    judge(c);
    for (uint64_t seq = 1; seq <= c->seq; seq++)
        buf_fini(&c->made[seq].first);
    memset(c, 0, sizeof *c);
    c->session = rig_open(&g);
}

static void acknowledge(struct client *c)
{
    judge(c);
    while (c->ack < c->seq && c->made[c->ack + 1].answered)
        c->ack++;
}

static void send_again(struct client *c)
{
    if (c->seq == 0) return;
    send(c, 1 + below(c->seq));
}

static void send_all_unanswered(struct client *c)
{
    for (uint64_t seq = 1; seq <= c->seq; seq++) {
        if (!c->made[seq].answered) send(c, seq);
    }
}

static void cancel_some(struct client *c)
{
    if (c->seq > 0) rig_cancel(&g, (struct rig_id){ c->session, 1 + below(c->seq) });
}

static void new_reign(void)
{
    rig_new_reign(&g, below(4));
    for (int i = 0; i < CLIENTS; i++) {
        judge(&clients[i]);
        if (clients[i].session != 0 && below(4) != 0) send_all_unanswered(&clients[i]);
    }
}

static void step(void)
{
    struct client *c = &clients[below(CLIENTS)];
    uint64_t dice = below(1000);

    if (g.tag + SEQ_MAX * CLIENTS + 1000 > RIG_TAGS_MAX) return;
    if (c->session == 0)
        renew(c);
    else if (dice < 350)
        make(c);
    else if (dice < 450)
        send_again(c);
    else if (dice < 500)
        acknowledge(c);
    else if (dice < 520)
        cancel_some(c);
    else if (dice < 720)
        rig_take(&g);
    else if (dice < 940 && machine_slot(&g.machine) < g.taken)
        rig_apply(&g);
    else if (dice < 980)
        rig_pass(&g, below(300));
    else if (dice < 990)
        resolver_renew(g.resolver, c->session, g.now.now_ms);
    else if (dice < 993)
        new_reign();
    else if (dice < 996)
        rig_close(&g, c->session);
    else if (dice < 998)
        renew(c);
    else
        rig_pass(&g, 4000);
}

static void finish(void)
{
    for (int i = 0; i < CLIENTS; i++) {
        rig_close(&g, clients[i].session);
        judge(&clients[i]);
        for (uint64_t seq = 1; seq <= clients[i].seq; seq++)
            buf_fini(&clients[i].made[seq].first);
        memset(&clients[i], 0, sizeof clients[i]);
    }
    rig_pass(&g, 700000);
    rig_settle(&g);
}

/* Every mark is there once: a request that was done twice would have left two. */
static bool marks_are_unique(void)
{
    static uint8_t seen[4000][16];
    struct buf name = { 0 }, next = { 0 }, path = { 0 };
    const struct bytes marks = BYTES_LIT("/marks");
    struct node n;
    bool unique = true;
    int count = 0;

    while (node_child_next(&g.store.view, marks, buf_bytes(&name), KV_FORWARD, &next)) {
        struct buf used = name;

        name = next;
        next = used;
        buf_clear(&path);
        buf_put_bytes_raw(&path, BYTES_LIT("/marks/"));
        buf_put_bytes_raw(&path, buf_bytes(&name));
        CHECK(node_read(&g.store.view, buf_bytes(&path), &n) && n.data.len == 16);
        for (int i = 0; i < count; i++)
            unique = unique && memcmp(seen[i], n.data.ptr, 16);
        CHECK(count < 4000);
        memcpy(seen[count++], n.data.ptr, 16);
    }
    printf("# %d marks, %d answers, %d repeats, %" PRIu64 " zxids, %" PRIu64 " slots\n",
           count, answered, repeats_judged, g.machine.zxid, machine_slot(&g.machine));
    buf_fini(&name);
    buf_fini(&next);
    buf_fini(&path);
    return unique && count > 0;
}

static void a_storm_of_requests_keeps_every_promise(void)
{
    const char *given = getenv("SEED");
    uint64_t seed = given != NULL ? strtoull(given, NULL, 10) : 1;
    int rounds = given != NULL ? 1 : 5;

    for (int i = 0; i < rounds; i++, seed++) {
        struct resolver_stats stats;

        printf("# SEED=%" PRIu64 "\n", seed);
        rng_init(&rng, seed);
        answered = repeats_judged = 0;
        rig_init(&g, seed);
        for (int at = 0; at < STEPS; at++) {
            step();
            if (at % 500 == 0) machine_check(&g.machine);
        }
        finish();
        machine_check(&g.machine);
        stats = resolver_stats(g.resolver);
        IS(stats.waiting + stats.held + stats.pending_cells, 0);
        OK(marks_are_unique());
        OK(repeats_judged > 0);
        rig_fini(&g);
    }
}

int main(void)
{
    TEST(a_storm_of_requests_keeps_every_promise);
    return tap_done();
}
