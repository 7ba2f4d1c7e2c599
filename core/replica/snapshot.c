#include "core/replica/snapshot.h"

#include "core/base/check.h"
#include "core/base/hash.h"
#include "core/machine/machine.h"


void snapshots_init(struct snapshots *s, const struct snapshot_store *store,
                    snapshot_send_fn send, void *send_ctx)
{
    *s = (struct snapshots){ .store = *store, .send = send, .send_ctx = send_ctx };
}

void snapshots_fini(struct snapshots *s)
{
    snapshots_close(s);
    if (s->phase != SNAPSHOT_NONE) s->store.drop(s->store.ctx);
    for (uint32_t i = 0; i < NODES_MAX; i++) buf_fini(&s->pulls[i].cursor);
    buf_fini(&s->cursor);
    buf_fini(&s->cells);
}

static void buf_set(struct buf *b, struct bytes to)
{
    buf_clear(b);
    buf_put_bytes_raw(b, to);
}

/* What the sums of a snapshot begin with. */
static uint64_t sum_first(uint64_t slot)
{
    return hash_u64(slot, 0);
}

/* Of what came before, of the key from which the cells go on, and of the cells. */
static uint64_t sum_next(uint64_t before, struct bytes cursor, struct bytes cells)
{
    return hash_bytes(cells, hash_bytes(cursor, before));
}

/* False at the end, and when the bytes are no cells: then the reader is bad. */
static bool next_cell(struct reader *r, struct bytes *key, struct bytes *value)
{
    if (reader_left(r) == 0) return false;
    *key = read_bytes(r, FRAME_CELL_KEY_MAX);
    *value = read_bytes(r, BATCH_BYTES_MAX);
    if (key->ptr == NULL || key->len == 0 || value->ptr == NULL) r->bad = true;
    return !r->bad;
}

/* --- the sender --- */

static void send_frame(struct snapshots *s, nodes_set to, const struct frame *f,
                       struct bytes cells)
{
    s->send(s->send_ctx, to, f, cells);
}

static void send_offer(struct snapshots *s, uint32_t to)
{
    const struct frame f = { .kind = FRAME_SNAPSHOT_OFFER, .slot = s->slot_open };

    send_frame(s, node_bit(to), &f, (struct bytes){ 0 });
}

void snapshots_close(struct snapshots *s)
{
    if (s->slot_open == 0) return;
    s->store.close(s->store.ctx);
    s->slot_open = 0;
    for (uint32_t i = 0; i < NODES_MAX; i++) s->pulls[i].asked_ms = 0;
}

static bool is_pulled(const struct snapshots *s)
{
    for (uint32_t i = 0; i < NODES_MAX; i++) {
        if (s->pulls[i].asked_ms != 0) return true;
    }
    return false;
}

/* A state is open that helps whoever lacks slots from `slot_first` on. */
static bool open_for(struct snapshots *s, uint64_t slot_first)
{
    uint64_t slot;

    if (s->slot_open != 0 && s->slot_open < slot_first && !is_pulled(s)) {
        snapshots_close(s);
    }
    if (s->slot_open == 0) {
        if (s->store.open(s->store.ctx, &slot) != 0) return false;
        CHECK(slot > 0);
        s->slot_open = slot;
    }
    return s->slot_open >= slot_first;
}

/* Whoever was offered something counts as one that pulls, or T3 would never let go. */
static void offer_to(struct snapshots *s, uint64_t now_ms, uint32_t node)
{
    struct snapshot_pull *p = &s->pulls[node - 1];

    if (p->asked_ms == 0) {
        buf_clear(&p->cursor);
        p->number = p->limit = 0;
        p->sum = sum_first(s->slot_open);
        p->ended = false;
    }
    p->asked_ms = now_ms;
    send_offer(s, node);
}

void snapshots_offer(struct snapshots *s, uint64_t now_ms, uint32_t node,
                     uint64_t slot_first)
{
    if (snapshots_receiving(s)) return; /* what is at rest here goes away soon */
    if (open_for(s, slot_first)) {
        offer_to(s, now_ms, node);
    } else if (s->slot_open != 0 && !is_pulled(s)) {
        snapshots_close(s);
    }
}

/* What the receiver has is what it says. What was sent beyond that may be on its way. */
static bool fits(const struct snapshot_pull *p, const struct frame *f)
{
    return p->asked_ms != 0 && !f->again && f->number <= p->number &&
           f->number + SNAPSHOT_WINDOW >= p->number;
}

void snapshots_asked(struct snapshots *s, uint64_t now_ms, uint32_t from,
                     const struct frame *f)
{
    struct snapshot_pull *p = &s->pulls[from - 1];

    if (s->slot_open == 0 || f->slot != s->slot_open) {
        snapshots_offer(s, now_ms, from, 1);
        if (s->slot_open == 0 || f->slot != s->slot_open) return;
    }
    if (!fits(p, f)) {
        p->number = f->number;
        p->sum = f->sum;
        buf_set(&p->cursor, f->cursor);
        p->ended = false;
    }
    p->asked_ms = now_ms;
    p->limit = f->limit < f->number + SNAPSHOT_WINDOW ? f->limit
                                                      : f->number + SNAPSHOT_WINDOW; /* T2 */
}

static bool wants_chunk(const struct snapshot_pull *p)
{
    return p->asked_ms != 0 && !p->ended && p->number < p->limit;
}

static void send_chunk(struct snapshots *s, uint32_t to, struct snapshot_pull *p)
{
    struct frame f = { .kind = FRAME_SNAPSHOT_CHUNK,
                       .slot = s->slot_open,
                       .number = ++p->number,
                       .sum_before = p->sum };
    struct bytes key, value;

    buf_clear(&s->cells);
    p->ended = f.last = s->store.read(s->store.ctx, buf_bytes(&p->cursor), &s->cells);
    f.sum = p->sum = sum_next(p->sum, buf_bytes(&p->cursor), buf_bytes(&s->cells));

    struct reader r = reader_of(buf_bytes(&s->cells));

    while (next_cell(&r, &key, &value)) continue;
    CHECK(!r.bad);
    if (s->cells.len > 0) buf_set(&p->cursor, key);
    send_frame(s, node_bit(to), &f, buf_bytes(&s->cells));
}

static void send_some(struct snapshots *s)
{
    for (uint32_t i = 0; i < NODES_MAX; i++) {
        struct snapshot_pull *p = &s->pulls[s->next];
        uint32_t node = s->next + 1;

        s->next = (s->next + 1) % NODES_MAX;
        if (!wants_chunk(p)) continue;
        send_chunk(s, node, p);
        return;
    }
}

static void forget_silent(struct snapshots *s, uint64_t now_ms)
{
    if (s->slot_open == 0) return;
    for (uint32_t i = 0; i < NODES_MAX; i++) {
        struct snapshot_pull *p = &s->pulls[i];

        if (p->asked_ms != 0 && now_ms - p->asked_ms >= SNAPSHOT_HOLD_MS) p->asked_ms = 0;
    }
    if (!is_pulled(s)) snapshots_close(s); /* T3 */
}

uint64_t snapshots_sending(const struct snapshots *s)
{
    return s->slot_open;
}

/* --- the receiver --- */

static void abandon(struct snapshots *s)
{
    if (s->phase == SNAPSHOT_NONE) return;
    s->store.drop(s->store.ctx);
    s->phase = SNAPSHOT_NONE;
}

static void ask(struct snapshots *s, uint64_t now_ms, bool again)
{
    const struct frame f = { .kind = FRAME_SNAPSHOT_ASK,
                             .slot = s->slot,
                             .number = s->number,
                             .limit = s->staged + SNAPSHOT_WINDOW,
                             .again = again,
                             .sum = s->sum,
                             .cursor = buf_bytes(&s->cursor) };

    s->asked_ms = now_ms;
    s->limit_told = f.limit;
    send_frame(s, node_bit(s->source), &f, (struct bytes){ 0 });
}

static void begin(struct snapshots *s, uint64_t now_ms, uint32_t source, uint64_t slot)
{
    snapshots_close(s); /* what would be sent is older than what comes */
    s->store.begin(s->store.ctx);
    s->phase = SNAPSHOT_PULLING;
    s->source = source;
    s->slot = slot;
    s->number = s->staged = 0;
    s->sum = sum_first(slot);
    buf_clear(&s->cursor);
    s->gap = UINT64_MAX;
    s->damages = 0;
    s->place_seen = false;
    s->heard_ms = s->others_ms = now_ms;
    s->seek_ms = 0;
    ask(s, now_ms, true);
}

static bool is_silent(const struct snapshots *s, uint64_t now_ms)
{
    return now_ms - s->heard_ms >= SNAPSHOT_SILENT_MS;
}

void snapshots_offered(struct snapshots *s, uint64_t now_ms, uint64_t chosen, uint32_t from,
                       const struct frame *f)
{
    if (f->slot <= chosen || now_ms < s->retry_ms || now_ms < s->barred_ms[from - 1]) return;
    if (s->phase == SNAPSHOT_NONE) {
        begin(s, now_ms, from, f->slot);
    } else if (s->phase != SNAPSHOT_PULLING) {
        return;
    } else if (is_silent(s, now_ms) && f->slot == s->slot) {
        s->source = from; /* its state is the same: what came is good */
        s->heard_ms = now_ms;
        ask(s, now_ms, true);
    } else if (is_silent(s, now_ms) || (from == s->source && f->slot > s->slot)) {
        begin(s, now_ms, from, f->slot);
    }
}

/* T1: keys rise, and the place is the one that was promised. */
static bool cells_are_good(struct snapshots *s, struct bytes cells, struct bytes *key)
{
    struct bytes before = buf_bytes(&s->cursor), value;
    struct reader r = reader_of(cells);
    uint64_t slot;

    *key = before;
    for (; next_cell(&r, key, &value); before = *key) {
        if (before.len > 0 && bytes_cmp(*key, before) <= 0) return false;
        if (!machine_place_peek(*key, value, &slot)) continue;
        if (slot != s->slot) return false;
        s->place_seen = true;
    }
    return !r.bad;
}

static bool chunk_is_good(struct snapshots *s, const struct frame *f, struct bytes *key)
{
    bool place_seen = s->place_seen;

    if (f->sum_before != s->sum) return false;
    if (f->sum != sum_next(s->sum, buf_bytes(&s->cursor), f->items)) return false;
    if (cells_are_good(s, f->items, key)) {
        if (f->last ? s->place_seen : f->items.len > 0) return true;
    }
    s->place_seen = place_seen; /* nothing of it was taken */
    return false;
}

static void damaged(struct snapshots *s, uint64_t now_ms)
{
    if (++s->damages < SNAPSHOT_DAMAGES_MAX) {
        ask(s, now_ms, true);
        return;
    }
    s->barred_ms[s->source - 1] = now_ms + SNAPSHOT_BAR_MS;
    s->seek_ms = now_ms + SNAPSHOT_BAR_MS;
    abandon(s); /* what came before it is not to be trusted either */
}

static void take(struct snapshots *s, uint64_t now_ms, const struct frame *f,
                 struct bytes key)
{
    s->store.put(s->store.ctx, f->items);
    s->number = f->number;
    s->sum = f->sum;
    buf_set(&s->cursor, key);
    s->heard_ms = now_ms;
    s->damages = 0;
    if (!f->last) return;
    s->store.seal(s->store.ctx);
    s->phase = SNAPSHOT_SEALING;
}

void snapshots_came(struct snapshots *s, uint64_t now_ms, uint32_t from,
                    const struct frame *f)
{
    struct bytes key;

    if (s->phase != SNAPSHOT_PULLING || from != s->source || f->slot != s->slot) return;
    if (f->number <= s->number || f->number > s->staged + SNAPSHOT_WINDOW) return;
    if (f->number > s->number + 1) { /* one was lost; asked for once, then by time */
        if (s->gap != s->number) ask(s, now_ms, true);
        s->gap = s->number;
    } else if (chunk_is_good(s, f, &key)) {
        take(s, now_ms, f, key);
    } else {
        damaged(s, now_ms);
    }
}

static void ask_others(struct snapshots *s, uint64_t now_ms, nodes_set others)
{
    const struct frame f = { .kind = FRAME_SNAPSHOT_ASK };

    if (now_ms - s->others_ms < SNAPSHOT_SILENT_MS / 2) return;
    s->others_ms = now_ms;
    others &= ~node_bit(s->source);
    if (others != 0) send_frame(s, others, &f, (struct bytes){ 0 });
}

/* True when the stage goes on. */
static bool look_at_stage(struct snapshots *s, uint64_t now_ms)
{
    uint64_t done;

    if (s->store.staged(s->store.ctx, &done) != 0) {
        s->retry_ms = now_ms + SNAPSHOT_RETRY_MS;
        return false;
    }
    if (done <= s->number) {
        CHECK(done >= s->staged);
        s->staged = done;
    } else {
        CHECK(s->phase >= SNAPSHOT_SEALING && done == s->number + 1);
        s->staged = s->number;
        s->phase = SNAPSHOT_READY;
    }
    if (s->staged < s->number) s->heard_ms = now_ms; /* it is our own disk that is slow */
    return true;
}

static void pull(struct snapshots *s, uint64_t now_ms, nodes_set others)
{
    if (s->staged + SNAPSHOT_WINDOW > s->limit_told) {
        ask(s, now_ms, false);
    } else if (now_ms - s->asked_ms >= SNAPSHOT_AGAIN_MS) {
        ask(s, now_ms, now_ms - s->heard_ms >= SNAPSHOT_AGAIN_MS);
    }
    if (is_silent(s, now_ms)) ask_others(s, now_ms, others);
}

static void receive_turn(struct snapshots *s, uint64_t now_ms, uint64_t chosen,
                         nodes_set others)
{
    bool late = now_ms - s->heard_ms >= SNAPSHOT_GIVE_UP_MS;

    if (s->slot <= chosen || !look_at_stage(s, now_ms)) {
        abandon(s);
    } else if (s->phase != SNAPSHOT_PULLING) {
        /* The sender is told that the slots behind its snapshot will be needed. */
        if (now_ms - s->asked_ms >= SNAPSHOT_HOLD_MS / 4) ask(s, now_ms, false);
    } else if (late) {
        abandon(s);
    } else {
        pull(s, now_ms, others);
    }
}

uint64_t snapshots_ready(const struct snapshots *s)
{
    return s->phase == SNAPSHOT_READY ? s->slot : 0;
}

void snapshots_installed(struct snapshots *s)
{
    CHECK(s->phase == SNAPSHOT_READY);
    s->phase = SNAPSHOT_NONE;
}

/* --- both --- */

void snapshots_turn(struct snapshots *s, uint64_t now_ms, uint64_t chosen, nodes_set others)
{
    if (s->phase != SNAPSHOT_NONE) {
        receive_turn(s, now_ms, chosen, others);
    } else if (now_ms < s->seek_ms) {
        ask_others(s, now_ms, others);
    }
    forget_silent(s, now_ms);
    send_some(s);
}

bool snapshots_again(const struct snapshots *s)
{
    for (uint32_t i = 0; i < NODES_MAX; i++) {
        if (wants_chunk(&s->pulls[i])) return true;
    }
    return false;
}

void snapshots_check(const struct snapshots *s)
{
    CHECK(IMPLIES(is_pulled(s), s->slot_open != 0));
    CHECK(IMPLIES(snapshots_receiving(s), s->slot_open == 0));
    CHECK(s->staged <= s->number);
    CHECK(s->number <= s->staged + SNAPSHOT_WINDOW); /* T2 */
    CHECK(IMPLIES(s->phase >= SNAPSHOT_SEALING, s->place_seen)); /* T1 */
}
