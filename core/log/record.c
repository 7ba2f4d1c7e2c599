#include "core/log/record.h"

#include "core/base/check.h"
#include "core/base/errors.h"
#include "core/base/hash.h"
#include "core/paxos/members.h"

static const uint8_t segment_magic[8] = { 'T', 'I', 'D', 'E', 'L', 'O', 'G', 2 };
static const uint8_t group_magic[4] = { 'G', 'R', 'U', 'P' };

enum {
    HEADER_SUM_AT = 120,
    GROUP_SUM_AT = 24,
    /* The search behind a bad group hashes every group that it might find, but no more than
     * so many times the segment: bytes made up of headers must not stop a start. */
    SEARCH_BUDGET = 8,
};

static uint64_t header_sum(const uint8_t *at, uint64_t generation)
{
    return hash_bytes(bytes_of(at, HEADER_SUM_AT), generation);
}

void log_segment_header_encode(uint8_t at[LOG_SEGMENT_HEADER],
                               const struct log_segment_header *h)
{
    CHECK(h->group_first > 0);
    memset(at, 0, LOG_SEGMENT_HEADER);
    memcpy(at, segment_magic, sizeof segment_magic);
    put_u64(at + 8, h->generation);
    put_u64(at + 16, h->cluster);
    put_u32(at + 24, h->node);
    put_u32(at + 28, h->size_kib);
    put_u64(at + 32, h->group_first);
    put_u64(at + 40, h->sum_before);
    put_u64(at + 48, h->base.promised.round);
    put_u32(at + 56, h->base.promised.node);
    put_u64(at + 64, h->base.chosen);
    put_u64(at + 72, h->base.boot);
    put_u64(at + HEADER_SUM_AT, header_sum(at, h->generation));
}

static bool all_zero(struct bytes s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] != 0) return false;
    }
    return true;
}

int log_segment_header_decode(struct bytes from, struct log_segment_header *h)
{
    const uint8_t *at = from.ptr;

    if (from.len < LOG_SEGMENT_HEADER) return ERR_DAMAGED;
    if (all_zero(bytes_of(at, LOG_SEGMENT_HEADER))) return ERR_CLOSED;
    if (memcmp(at, segment_magic, 7) != 0) return ERR_DAMAGED;
    if (at[7] != segment_magic[7]) return ERR_OTHER_VERSION;
    *h = (struct log_segment_header){
        .generation = get_u64(at + 8),
        .cluster = get_u64(at + 16),
        .node = get_u32(at + 24),
        .size_kib = get_u32(at + 28),
        .group_first = get_u64(at + 32),
        .sum_before = get_u64(at + 40),
        .base = { .promised = { .round = get_u64(at + 48), .node = get_u32(at + 56) },
                  .chosen = get_u64(at + 64),
                  .boot = get_u64(at + 72) },
    };
    if (get_u64(at + HEADER_SUM_AT) != header_sum(at, h->generation)) return ERR_DAMAGED;
    return h->group_first > 0 && h->base.chosen <= INT64_MAX ? 0 : ERR_DAMAGED;
}

/* The header's hash seeds that of the records, so that no copy of them is needed to leave
 * the checksum's own field out. */
static uint64_t group_sum(struct bytes group, uint64_t generation)
{
    uint8_t header[LOG_GROUP_HEADER];

    memcpy(header, group.ptr, sizeof header);
    put_u64(header + GROUP_SUM_AT, 0);
    uint64_t seed = hash_bytes(bytes_of(header, sizeof header), generation);
    return hash_bytes(bytes_of(group.ptr + LOG_GROUP_HEADER, group.len - LOG_GROUP_HEADER),
                      seed);
}

void log_group_begin(struct log_group *g, struct buf *out)
{
    g->out = out;
    g->start = out->len;
    buf_put(out, group_magic, sizeof group_magic);
    buf_put_u32(out, 0); /* the length, known at the end */
    buf_put_u64(out, g->number);
    buf_put_u64(out, g->sum_before);
    buf_put_u64(out, 0); /* the checksum */
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

static void put_standing(struct buf *out, const struct log_record *r)
{
    put_ballot(out, r->promised);
    buf_put_uint(out, r->chosen);
}

void log_group_put(struct log_group *g, const struct log_record *r)
{
    struct buf *out = g->out;

    buf_put_u8(out, (uint8_t)r->kind);
    switch (r->kind) {
    case LOG_PROMISE:
    case LOG_INSTALLED:
        put_standing(out, r);
        break;
    case LOG_VOTE:
        CHECK(r->vote.slot > 0);
        CHECK(r->vote.ballot.round > 0);
        put_standing(out, r);
        buf_put_uint(out, r->vote.slot);
        put_ballot(out, r->vote.ballot);
        put_proposal(out, &r->vote.proposal);
        break;
    case LOG_CHOSEN:
        CHECK(r->vote.slot > 0);
        put_standing(out, r);
        buf_put_uint(out, r->vote.slot);
        put_proposal(out, &r->vote.proposal);
        break;
    case LOG_START:
        buf_put_uint(out, r->boot);
        break;
    case LOG_MARK:
        break;
    }
}

uint64_t log_group_end(struct log_group *g)
{
    static const uint8_t padding[LOG_ALIGN];
    size_t over = (g->out->len - g->start) % LOG_ALIGN;

    if (over > 0) buf_put(g->out, padding, LOG_ALIGN - over);

    size_t len = g->out->len - g->start;
    CHECK(len <= UINT32_MAX);
    buf_set_u32(g->out, g->start + 4, (uint32_t)len);
    uint8_t *at = g->out->ptr + g->start;
    uint64_t sum = group_sum(bytes_of(at, len), g->generation);
    put_u64(at + GROUP_SUM_AT, sum);
    return sum;
}

static struct ballot read_ballot(struct reader *from)
{
    struct ballot b = { .round = read_uint(from) };
    uint64_t node = read_uint(from);

    if (node > NODES_MAX) from->bad = true;
    b.node = (uint32_t)node;
    return b;
}

/* The number of a configuration, or a set of nodes. */
static uint32_t read_u32_uint(struct reader *from)
{
    uint64_t v = read_uint(from);

    if (v > UINT32_MAX) from->bad = true;
    return (uint32_t)v;
}

static void read_members(struct reader *from, struct members *m)
{
    m->number = read_u32_uint(from);
    if (m->number == 0) return;
    m->voters = read_u32_uint(from);
    m->learners = read_u32_uint(from);
    if (!members_are_sound(m)) from->bad = true;
}

static void read_proposal(struct reader *from, struct proposal *p, struct bytes *batch)
{
    p->reign = read_ballot(from);
    p->reign_first = read_uint(from);
    *batch = read_bytes(from, UINT32_MAX);
    read_members(from, &p->members);
}

/* Slots are counted up one by one, so one that has the top bit set was never written. */
static uint64_t read_slot(struct reader *from)
{
    uint64_t slot = read_uint(from);

    if (slot > INT64_MAX) from->bad = true;
    return slot;
}

static void read_standing(struct reader *from, struct log_record *r)
{
    r->promised = read_ballot(from);
    r->chosen = read_slot(from);
}

static void read_vote_slot(struct reader *from, struct log_record *r)
{
    r->vote.slot = read_slot(from);
    if (r->vote.slot == 0) from->bad = true;
}

bool log_record_read(struct reader *from, struct log_record *r, struct bytes *batch)
{
    *r = (struct log_record){ 0 };
    *batch = (struct bytes){ 0 };

    uint8_t kind = read_u8(from);
    switch (kind) { /* of bytes, not of an enum: what is not listed is not a record */
    case LOG_PROMISE:
    case LOG_INSTALLED:
        read_standing(from, r);
        break;
    case LOG_VOTE:
        read_standing(from, r);
        read_vote_slot(from, r);
        r->vote.ballot = read_ballot(from);
        if (r->vote.ballot.round == 0) from->bad = true;
        read_proposal(from, &r->vote.proposal, batch);
        break;
    case LOG_CHOSEN:
        read_standing(from, r);
        read_vote_slot(from, r);
        read_proposal(from, &r->vote.proposal, batch);
        break;
    case LOG_START:
        r->boot = read_uint(from);
        break;
    case LOG_MARK:
        break;
    default:
        from->bad = true;
    }
    if (from->bad) return false;
    r->kind = (enum log_record_kind)kind;
    return true;
}

int log_scan_init(struct log_scan *s, struct bytes segment)
{
    *s = (struct log_scan){ .segment = segment, .at = LOG_SEGMENT_HEADER };

    int err = log_segment_header_decode(segment, &s->header);
    if (err != 0) return err;
    s->number = s->header.group_first - 1;
    s->sum = s->header.sum_before;
    return 0;
}

struct group_header {
    uint32_t len;
    uint64_t number, sum_before, sum;
};

/* False when no whole header with our magic stands at `at`. */
static bool group_header_at(const struct log_scan *s, size_t at, struct group_header *g)
{
    if (at > s->segment.len || s->segment.len - at < LOG_GROUP_HEADER) return false;

    const uint8_t *from = s->segment.ptr + at;
    if (memcmp(from, group_magic, sizeof group_magic) != 0) return false;
    g->len = get_u32(from + 4);
    g->number = get_u64(from + 8);
    g->sum_before = get_u64(from + 16);
    g->sum = get_u64(from + GROUP_SUM_AT);
    return true;
}

static bool group_len_fits(const struct log_scan *s, size_t at,
                           const struct group_header *g)
{
    return g->len >= LOG_GROUP_HEADER && g->len % LOG_ALIGN == 0 &&
           g->len <= s->segment.len - at;
}

static bool group_is_sound(const struct log_scan *s, size_t at,
                           const struct group_header *g)
{
    if (!group_len_fits(s, at, g)) return false;
    return group_sum(bytes_of(s->segment.ptr + at, g->len), s->header.generation) == g->sum;
}

enum search { SEARCH_NONE = 1, SEARCH_FOUND, SEARCH_GAVE_UP };

/* The first sound group of this generation, of number `number_min` or more, that stands at
 * `from` or anywhere behind it. Groups of an older use have lower numbers than this segment
 * begins with, so nearly all of them cost no hashing. */
static enum search search_sound(const struct log_scan *s, size_t from, uint64_t number_min,
                                size_t *found)
{
    size_t budget = SEARCH_BUDGET * s->segment.len;
    uint64_t number_max = s->number + s->segment.len / LOG_GROUP_HEADER;
    struct group_header g;

    for (size_t at = from; at < s->segment.len; at += LOG_ALIGN) {
        if (!group_header_at(s, at, &g) || !group_len_fits(s, at, &g)) continue;
        if (g.number < number_min || g.number > number_max) continue;
        if (g.len > budget) return SEARCH_GAVE_UP;
        budget -= g.len;
        *found = at;
        if (group_is_sound(s, at, &g)) return SEARCH_FOUND;
    }
    return SEARCH_NONE;
}

/* The rule in record.h for a group at s->at that is not the next good one. A sound group of
 * this use, whatever its number, shows that a write was lost or went astray: then nothing
 * is cut, and neither is it when the search has to give up. */
static enum log_verdict judge(const struct log_scan *s)
{
    struct group_header g;
    size_t found;

    if (search_sound(s, s->at, s->header.group_first, &found) != SEARCH_NONE) {
        return LOG_BAD;
    }
    bool headed = group_header_at(s, s->at, &g);
    return headed && g.number == s->number + 1 ? LOG_TEAR : LOG_END;
}

/* Moves to the next group. */
static enum log_verdict next_group(struct log_scan *s)
{
    struct group_header g;

    if (!group_header_at(s, s->at, &g) || g.number != s->number + 1 ||
        g.sum_before != s->sum || !group_is_sound(s, s->at, &g)) {
        return judge(s);
    }
    s->records = reader_of(
        bytes_of(s->segment.ptr + s->at + LOG_GROUP_HEADER, g.len - LOG_GROUP_HEADER));
    s->at += g.len;
    s->number = g.number;
    s->sum = g.sum;
    return LOG_GOOD;
}

/* Only the padding of the current group is left, or nothing. */
static bool group_is_over(const struct log_scan *s)
{
    size_t left = reader_left(&s->records);

    return left < LOG_ALIGN && all_zero(bytes_of(s->records.at, left));
}

enum log_verdict log_scan_next(struct log_scan *s, struct log_record *r,
                               struct bytes *batch)
{
    if (s->records.bad) return LOG_BAD;
    while (group_is_over(s)) {
        enum log_verdict verdict = next_group(s);
        if (verdict != LOG_GOOD) return verdict;
    }
    s->record = (size_t)(s->records.at - s->segment.ptr);
    /* The checksum is right and yet it is no record: not a tear, whatever it is. */
    return log_record_read(&s->records, r, batch) ? LOG_GOOD : LOG_BAD;
}

bool log_scan_skip(struct log_scan *s)
{
    struct group_header g;
    size_t found;

    if (s->records.bad) return false; /* sound bytes that are no record are not skipped */
    if (search_sound(s, s->at, s->number + 1, &found) != SEARCH_FOUND) return false;
    if (!group_header_at(s, found, &g) || g.number == s->number + 1) return false;
    s->at = found;
    s->number = g.number - 1;
    s->sum = g.sum_before;
    s->records = (struct reader){ 0 };
    return true;
}

size_t log_scan_torn(const struct log_scan *s)
{
    struct group_header g;
    size_t left = s->segment.len - s->at;

    if (!group_header_at(s, s->at, &g)) return 0;
    return g.len < left ? g.len : left;
}
