#include "core/paxos/message.h"

#include "core/base/check.h"
#include "core/base/errors.h"
#include "core/paxos/members.h"

/* No honest round or slot comes near; sums with a window then never overflow. */
#define NUMBER_MAX (UINT64_MAX >> 2)

/* What a body holds after kind and ballot.  Writing and reading follow the same table, so
 * they cannot disagree about the order. */
enum field {
    FIELD_END = 0,
    FIELD_NONCE,  /* round, never 0 */
    FIELD_ROUND,  /* round, 0 before the first read */
    FIELD_SLOT,   /* slot, never 0 */
    FIELD_PREFIX, /* slot, 0 when nothing is chosen */
    FIELD_CHOSEN,
    FIELD_YES,
    FIELD_PROMISED,
    FIELD_RELEASED, /* promised, or none */
    FIELD_LEASE,
    FIELD_DISK,
    FIELD_REPORT, /* count, index, the vote if there is one */
    FIELD_VALUE,  /* the proposal of ACCEPT and LEARN, for `slot` */
};

enum { FIELDS_MAX = 5 };

/* clang-format off */
static const struct layout {
    bool ballot; /* one must be present; else 0 says: promised nothing yet */
    uint8_t fields[FIELDS_MAX];
} LAYOUTS[PAXOS_MESSAGE_KINDS_END] = {
    [PAXOS_WOULD_YOU]     = { false, { FIELD_NONCE, FIELD_PREFIX } },
    [PAXOS_WOULD]         = { false, { FIELD_NONCE, FIELD_PREFIX, FIELD_YES } },
    [PAXOS_PREPARE]       = { true,  { FIELD_SLOT, FIELD_RELEASED } },
    [PAXOS_PROMISE]       = { true,  { FIELD_SLOT, FIELD_REPORT } },
    [PAXOS_TOO_OLD]       = { true,  { FIELD_PREFIX } },
    [PAXOS_ACCEPT]        = { true,  { FIELD_SLOT, FIELD_CHOSEN, FIELD_VALUE } },
    [PAXOS_ACCEPTED]      = { true,  { FIELD_SLOT } },
    [PAXOS_NACK]          = { true,  { FIELD_PROMISED } },
    [PAXOS_HEARTBEAT]     = { true,  { FIELD_ROUND, FIELD_CHOSEN, FIELD_YES,
                                       FIELD_LEASE } },
    [PAXOS_HEARTBEAT_OK]  = { true,  { FIELD_ROUND, FIELD_CHOSEN, FIELD_DISK } },
    [PAXOS_LEARN_REQUEST] = { false, { FIELD_SLOT } },
    [PAXOS_LEARN]         = { false, { FIELD_SLOT, FIELD_CHOSEN, FIELD_YES, FIELD_VALUE } },
    [PAXOS_TAKE_OVER]     = { true,  { FIELD_PREFIX } },
};
/* clang-format on */

const char *paxos_message_name(enum paxos_message_kind kind)
{
    static const char *const names[PAXOS_MESSAGE_KINDS_END] = {
#define X(name, number) [number] = #name,
        PAXOS_MESSAGES(X)
#undef X
    };

    CHECK(kind > 0 && kind < PAXOS_MESSAGE_KINDS_END);
    return names[kind];
}

static void put_ballot(struct buf *out, struct ballot b)
{
    buf_put_uint(out, b.round);
    buf_put_uint(out, b.node);
}

static void put_proposal(struct buf *out, const struct proposal *p)
{
    put_ballot(out, p->reign);
    buf_put_uint(out, p->reign_first);
    buf_put_bytes(out, blob_bytes(p->batch));
    buf_put_uint(out, p->members.number);
    if (p->members.number == 0) return;
    buf_put_uint(out, p->members.voters);
    buf_put_uint(out, p->members.learners);
}

static void put_report(struct buf *out, const struct paxos_message *m)
{
    buf_put_uint(out, m->count);
    buf_put_uint(out, m->index);
    if (m->count == 0) return;
    buf_put_uint(out, m->vote.slot);
    put_ballot(out, m->vote.ballot);
    put_proposal(out, &m->vote.proposal);
}

static void put_field(struct buf *out, const struct paxos_message *m, enum field field)
{
    switch (field) {
    case FIELD_END:
        return;
    case FIELD_NONCE:
    case FIELD_ROUND:
        buf_put_uint(out, m->round);
        return;
    case FIELD_SLOT:
    case FIELD_PREFIX:
        buf_put_uint(out, m->slot);
        return;
    case FIELD_CHOSEN:
        buf_put_uint(out, m->chosen);
        return;
    case FIELD_YES:
        buf_put_u8(out, m->yes);
        return;
    case FIELD_PROMISED:
    case FIELD_RELEASED:
        put_ballot(out, m->promised);
        return;
    case FIELD_LEASE:
        buf_put_uint(out, m->lease);
        return;
    case FIELD_DISK:
        buf_put_uint(out, m->disk_us);
        return;
    case FIELD_REPORT:
        put_report(out, m);
        return;
    case FIELD_VALUE:
        put_proposal(out, &m->vote.proposal);
        return;
    }
}

void paxos_message_encode(struct buf *out, const struct paxos_message *m)
{
    CHECK(m->kind > 0 && m->kind < PAXOS_MESSAGE_KINDS_END);
    buf_put_u8(out, (uint8_t)m->kind);
    put_ballot(out, m->ballot);
    for (int i = 0; i < FIELDS_MAX; i++)
        put_field(out, m, LAYOUTS[m->kind].fields[i]);
}

/* A message in the making.  The batch stays borrowed until all of it is found good, so that
 * a bad message leaves nothing to release. */
struct decoder {
    struct reader reader;
    struct paxos_message *message;
    struct bytes batch;
};

static void demand(struct decoder *d, bool fact)
{
    if (!fact) d->reader.bad = true;
}

static uint64_t take_number(struct decoder *d, uint64_t min, uint64_t max)
{
    const uint64_t v = read_uint(&d->reader);

    demand(d, v >= min && v <= max);
    return v;
}

static struct ballot take_ballot(struct decoder *d, bool must)
{
    const uint64_t round = take_number(d, must ? 1 : 0, NUMBER_MAX);
    const uint64_t node = take_number(d, round > 0 ? 1 : 0, round > 0 ? NODES_MAX : 0);

    return (struct ballot){ .round = round, .node = (uint32_t)node };
}

/* Whether a change takes force is judged when it is chosen; here, that it is one. */
static struct members take_members(struct decoder *d)
{
    struct members m = { .number = (uint32_t)take_number(d, 0, UINT32_MAX) };

    if (m.number == 0) return m;
    m.voters = (nodes_set)take_number(d, 0, UINT32_MAX);
    m.learners = (nodes_set)take_number(d, 0, UINT32_MAX);
    demand(d, members_are_sound(&m));
    return m;
}

/* `slot` is where the proposal stands: no reign begins after its own batches. */
static void take_proposal(struct decoder *d, uint64_t slot)
{
    struct proposal *p = &d->message->vote.proposal;

    p->reign = take_ballot(d, false);
    const bool reigned = p->reign.round > 0;
    p->reign_first = take_number(d, reigned ? 1 : 0, reigned ? slot : 0);
    d->batch = read_bytes(&d->reader, BATCH_BYTES_MAX);
    demand(d, (d->batch.ptr != NULL) == reigned);
    p->members = take_members(d);
    demand(d, IMPLIES(p->members.number != 0, reigned));
}

static void take_report(struct decoder *d)
{
    struct paxos_message *m = d->message;

    m->count = (uint32_t)take_number(d, 0, WINDOW_MAX);
    m->index = (uint32_t)take_number(d, 0, m->count == 0 ? 0 : m->count - 1);
    if (m->count == 0) return;

    /* Who was asked for m->slot has given up nothing from there on, so its window ends
     * within one window of it. */
    m->vote.slot = take_number(d, m->slot, m->slot + WINDOW_MAX - 1);
    m->vote.ballot = take_ballot(d, true);
    demand(d, ballot_cmp(m->vote.ballot, m->ballot) <= 0); /* P2 */
    take_proposal(d, m->vote.slot);
    demand(d, ballot_cmp(m->vote.proposal.reign, m->vote.ballot) <= 0);
}

static void take_field(struct decoder *d, enum field field)
{
    struct paxos_message *m = d->message;

    switch (field) {
    case FIELD_END:
        return;
    case FIELD_NONCE:
        m->round = take_number(d, 1, NUMBER_MAX);
        return;
    case FIELD_ROUND:
        m->round = take_number(d, 0, NUMBER_MAX);
        return;
    case FIELD_SLOT:
        m->slot = take_number(d, 1, NUMBER_MAX);
        return;
    case FIELD_PREFIX:
        m->slot = take_number(d, 0, NUMBER_MAX);
        return;
    case FIELD_CHOSEN:
        m->chosen = take_number(d, 0, NUMBER_MAX);
        return;
    case FIELD_YES:
        m->yes = take_number(d, 0, 1) == 1;
        return;
    case FIELD_PROMISED:
        m->promised = take_ballot(d, true);
        return;
    case FIELD_RELEASED:
        m->promised = take_ballot(d, false);
        return;
    case FIELD_LEASE:
        m->lease = (uint32_t)take_number(d, 0, LEASE_MS_MAX);
        return;
    case FIELD_DISK:
        m->disk_us = (uint32_t)take_number(d, 0, UINT32_MAX);
        return;
    case FIELD_REPORT:
        take_report(d);
        return;
    case FIELD_VALUE:
        take_proposal(d, m->slot);
        return;
    }
}

int paxos_message_decode(struct bytes body, struct paxos_message *m)
{
    struct decoder d = { .reader = reader_of(body), .message = m };
    const uint8_t kind = read_u8(&d.reader);

    *m = (struct paxos_message){ 0 };
    if (kind == 0 || kind >= PAXOS_MESSAGE_KINDS_END) return ERR_BAD_MESSAGE;
    m->kind = (enum paxos_message_kind)kind;
    m->ballot = take_ballot(&d, LAYOUTS[kind].ballot);
    for (int i = 0; i < FIELDS_MAX; i++)
        take_field(&d, LAYOUTS[kind].fields[i]);
    if (m->kind == PAXOS_ACCEPT) {
        demand(&d, ballot_cmp(m->vote.proposal.reign, m->ballot) <= 0);
    }
    if (!reader_done(&d.reader)) return ERR_BAD_MESSAGE;
    if (d.batch.ptr != NULL) m->vote.proposal.batch = blob_new(d.batch);
    return 0;
}
