#include "tests/lib/replica_rig.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/base/check.h"
#include "core/base/errors.h"

static struct trio_node *node_of(struct trio *t, uint32_t id)
{
    CHECK(id >= 1 && id <= t->nodes_count);
    return &t->nodes[id - 1];
}

static struct replica_time now(const struct trio *t)
{
    return (struct replica_time){ t->now_ms, 1700000000000 + (int64_t) t->now_ms };
}

/* --- frames --- */

static unsigned kind_of(struct bytes bytes)
{
    struct frame f;
    unsigned kind;

    CHECK(frame_decode(bytes, &f) == 0);
    kind = f.kind == FRAME_PAXOS ? TRIO_PAXOS + f.paxos.kind : (unsigned) f.kind;
    blob_unref(f.paxos.vote.proposal.batch);
    return kind;
}

static void io_send(void *ctx, nodes_set to, uint64_t after, struct bytes bytes)
{
    struct trio_node *n = ctx;
    struct trio *t = n->trio;

    for (uint32_t id = 1; id <= t->nodes_count; id++) {
        struct trio_frame *f = &t->frames[t->frames_count];

        if ((to & node_bit(id)) == 0) continue;
        CHECK(id != n->id);
        CHECK(t->frames_count < TRIO_FRAMES_MAX);
        *f = (struct trio_frame){
            n->id, id, kind_of(bytes), n->incarnation, after, { 0 }
        };
        buf_put_bytes_raw(&f->bytes, bytes);
        t->frames_count++;
        t->sent[f->kind]++;
    }
}

static bool matches(const struct trio_frame *f, uint32_t from, uint32_t to, unsigned kind)
{
    return (from == 0 || f->from == from) && f->to == to && f->kind == kind;
}

static bool frame_find(const struct trio *t, uint32_t from, uint32_t to, unsigned kind,
                       uint32_t *at)
{
    for (*at = 0; *at < t->frames_count; (*at)++) {
        if (matches(&t->frames[*at], from, to, kind)) return true;
    }
    return false;
}

static struct trio_frame frame_take(struct trio *t, uint32_t at)
{
    struct trio_frame f = t->frames[at];

    t->frames_count--;
    memmove(&t->frames[at], &t->frames[at + 1], (t->frames_count - at) * sizeof f);
    return f;
}

static bool give(struct trio *t, struct replica_peer from, uint32_t to,
                 const struct buf *frame)
{
    struct replica *r = node_of(t, to)->replica;

    return r == NULL || replica_receive(r, now(t), from, buf_bytes(frame));
}

bool trio_give(struct trio *t, uint32_t from, uint32_t to, const struct buf *frame)
{
    const struct replica_peer peer = { from, node_of(t, from)->incarnation };

    return give(t, peer, to, frame);
}

static void frame_deliver(struct trio *t, uint32_t at)
{
    struct trio_frame f = frame_take(t, at);

    CHECK(give(t, (struct replica_peer){ f.from, f.incarnation }, f.to, &f.bytes));
    buf_fini(&f.bytes);
}

bool trio_deliver(struct trio *t, uint32_t from, uint32_t to, unsigned kind)
{
    uint32_t at;

    if (!frame_find(t, from, to, kind, &at)) return false;
    frame_deliver(t, at);
    return true;
}

bool trio_deliver_last(struct trio *t, uint32_t from, uint32_t to, unsigned kind)
{
    for (uint32_t at = t->frames_count; at-- > 0;) {
        if (!matches(&t->frames[at], from, to, kind)) continue;
        frame_deliver(t, at);
        return true;
    }
    return false;
}

bool trio_repeat(struct trio *t, uint32_t from, uint32_t to, unsigned kind)
{
    uint32_t at;
    struct buf bytes = { 0 };

    if (!frame_find(t, from, to, kind, &at)) return false;
    buf_put_bytes_raw(&bytes, buf_bytes(&t->frames[at].bytes));
    CHECK(trio_give(t, t->frames[at].from, to, &bytes));
    buf_fini(&bytes);
    return true;
}

bool trio_drop(struct trio *t, uint32_t from, uint32_t to, unsigned kind)
{
    struct trio_frame f;
    uint32_t at;

    if (!frame_find(t, from, to, kind, &at)) return false;
    f = frame_take(t, at);
    buf_fini(&f.bytes);
    return true;
}

void trio_drop_all(struct trio *t)
{
    for (uint32_t i = 0; i < t->frames_count; i++) buf_fini(&t->frames[i].bytes);
    t->frames_count = 0;
}

uint32_t trio_lying(const struct trio *t, uint32_t from, uint32_t to, unsigned kind)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < t->frames_count; i++) {
        count += matches(&t->frames[i], from, to, kind);
    }
    return count;
}

/* --- the log --- */

static void io_write(void *ctx, const struct paxos_write *w)
{
    struct trio_node *n = ctx;
    struct vote *v = &n->slots[w->vote.slot % TRIO_SLOTS_MAX];

    CHECK(w->seq == n->seq + 1);
    n->seq = w->seq;
    n->promised = w->promised;
    n->chosen = w->chosen;
    if (w->vote.slot == 0) return;
    blob_ref(w->vote.proposal.batch);
    blob_unref(v->proposal.batch);
    *v = w->vote;
}

/* The last slots of an earlier life, one by one; each zxid once. */
static void io_attached(void *ctx, uint64_t session, uint64_t zxid)
{
    struct trio_node *n = ctx;

    n->attached_session = session;
    n->attached_zxid = zxid;
}

static void io_recalled(void *ctx, uint64_t slot, uint64_t zxid_first, uint64_t zxid_last)
{
    struct trio_node *n = ctx;

    CHECK(n->recalled == 0 || slot == n->recalled_last + 1);
    CHECK((zxid_first == 0) == (zxid_last == 0) && zxid_first <= zxid_last);
    if (n->recalled_zxid != 0 && zxid_first != 0) CHECK(zxid_first == n->recalled_zxid + 1);
    if (zxid_last != 0) n->recalled_zxid = zxid_last;
    n->recalled_last = slot;
    n->recalled++;
}

static int io_read_log(void *ctx, uint64_t slot, struct proposal *p)
{
    struct trio_node *n = ctx;
    const struct vote *v = &n->slots[slot % TRIO_SLOTS_MAX];

    if (v->slot != slot || slot <= n->trimmed) return ERR_NO_NODE;
    *p = v->proposal;
    blob_ref(p->batch);
    return 0;
}

void trio_durable(struct trio *t, uint32_t id)
{
    struct trio_node *n = node_of(t, id);

    n->seq_durable = n->seq;
    replica_durable(n->replica, now(t), n->seq);
}

/* --- answers --- */

static void keep_result(struct trio_answer *a, struct bytes bytes)
{
    struct result_part part;
    struct result_parts parts;

    CHECK(result_decode(bytes, &a->result) == 0);
    parts = result_parts_of(&a->result);
    if (a->result.parts_count > 0 && result_part_next(&parts, &part) == 0) a->id = part.id;
    a->result.message = a->result.parts = a->result.value = (struct bytes){ 0 };
}

static void io_answer(void *ctx, uint64_t tag, int code, struct bytes result)
{
    struct trio_node *n = ctx;
    struct trio_answer *a = &n->trio->answers[tag];

    CHECK(tag >= 1 && tag <= n->trio->tag);
    CHECK(a->count == 0); /* C1 */
    CHECK((code == 0) == (result.ptr != NULL));
    a->count++;
    a->code = code;
    if (code == 0) keep_result(a, result);
}

static void io_txn(void *ctx, const struct txn *t, uint64_t zxid)
{
    struct trio_node *n = ctx;

    (void) t;
    CHECK(n->zxid_told == 0 || zxid == n->zxid_told + 1);
    n->zxid_told = zxid;
}

static void io_ready(void *ctx, uint64_t tag, int code)
{
    struct trio_node *n = ctx;
    struct trio_answer *a = &n->trio->answers[tag];

    CHECK(tag >= 1 && tag <= n->trio->tag);
    CHECK(a->count == 0); /* C1 */
    a->count++;
    a->code = code;
    a->slot = machine_slot(replica_machine(n->replica));
}

static void io_role(void *ctx)
{
    (void) ctx;
}

/* C2: by the end of the slot whatever was answered is applied, maybe by who is down now. */
static void io_applied(void *ctx, uint64_t slot, const struct proposal *p, bool counted)
{
    struct trio_node *n = ctx;
    struct trio *t = n->trio;

    (void) slot, (void) p, (void) counted;
    if (n->replica == NULL) return; /* the log is replayed */
    if (replica_machine(n->replica)->zxid > t->zxid_most) {
        t->zxid_most = replica_machine(n->replica)->zxid;
    }
    for (uint64_t tag = t->tag > 100 ? t->tag - 100 : 1; tag <= t->tag; tag++) {
        CHECK(t->answers[tag].result.zxid <= t->zxid_most);
    }
}

static void io_stop(void *ctx, uint64_t slot, const char *why)
{
    struct trio_node *n = ctx;

    CHECK(slot > 0 && why != NULL);
    n->stops++;
    n->stop_slot = slot;
}

static void io_members(void *ctx)
{
    struct trio_node *n = ctx;

    n->rosters++;
}

static void io_removed(void *ctx)
{
    struct trio_node *n = ctx;

    CHECK(!n->removed);
    n->removed = true;
}

/* --- life --- */

/* As this one believes: a wiped one that starts as at the first time counts itself in. */
static struct roster founders_of(const struct trio *t, const struct trio_node *n)
{
    struct roster m = { .number = 1 };

    for (uint32_t id = 1; id <= t->founders_count; id++) {
        struct member *one = &m.at[m.count++];

        *one = (struct member){ .id = id, .kind = MEMBER_VOTER, .incarnation = 100 + id };
        if (id == n->id) one->incarnation = n->incarnation;
        snprintf(one->peer, sizeof one->peer, "host%u:1", id);
    }
    return m;
}

/* Transactions that the installed state holds are not told of. */
static void on_install(void *ctx, uint64_t slot)
{
    struct trio_node *n = ctx;

    (void) slot;
    n->zxid_told = 0;
}

static void run_script(struct scripts *s, const struct script_call *call, struct tx *tx,
                       struct script_result *out)
{
    struct trio *t = (struct trio *) s;
    struct node node;

    t->runs++;
    out->outcome = tx_read(tx, call->args, &node) ? SCRIPT_DONE : SCRIPT_WAIT;
    if (out->outcome == SCRIPT_DONE) buf_put_u8(&out->value, 1);
}

bool trio_restart(struct trio *t, uint32_t id)
{
    struct trio_node *n = node_of(t, id);
    struct replica_restored restored = { .promised = n->promised, .chosen = n->chosen };
    struct vote votes[WINDOW_MAX];
    char why[200];

    for (uint64_t slot = n->chosen + 1; slot <= n->chosen + WINDOW_MAX; slot++) {
        const struct vote *v = &n->slots[slot % TRIO_SLOTS_MAX];

        if (v->slot == slot) votes[restored.votes_count++] = *v;
    }
    restored.votes = votes;
    n->seq = n->seq_durable = n->zxid_told = 0;
    n->recalled = n->recalled_last = n->recalled_zxid = 0;

    struct replica_config config = {
        .paxos = { .self = id,
                   .heartbeat_ms = HEARTBEAT_MS,
                   .election_min_ms = ELECTION_MIN_MS,
                   .election_max_ms = ELECTION_MAX_MS,
                   .lease_ms = t->lease_ms,
                   .seed = 1 },
        .founders = n->joins ? (struct roster){ 0 } : founders_of(t, n),
        .incarnation = n->incarnation,
        .io = { n, io_send, io_write, io_read_log, io_txn, io_answer, io_ready, io_role,
                io_applied, io_recalled, io_attached, io_members, io_removed,
                io_stop },
        .store = memory_store_hooks(&n->store),
        .scripts = &t->scripts,
        .applied = &n->applied,
        .boot = ++n->boot,
        .seed = 7,
    };

    n->replica = replica_new(&config, &restored, now(t), why, sizeof why);
    return n->replica != NULL;
}

void trio_crash(struct trio *t, uint32_t id)
{
    struct trio_node *n = node_of(t, id);

    replica_free(n->replica);
    n->replica = NULL;
    memory_store_crash(&n->store);
}

void trio_wipe(struct trio *t, uint32_t id)
{
    struct trio_node *n = node_of(t, id);

    if (n->replica != NULL) trio_crash(t, id);
    kv_overlay_clear(&n->applied);
    for (uint32_t s = 0; s < TRIO_SLOTS_MAX; s++) {
        blob_unref(n->slots[s].proposal.batch);
        n->slots[s] = (struct vote){ 0 };
    }
    n->promised = (struct ballot){ 0 };
    n->chosen = n->trimmed = n->boot = 0;
    n->incarnation += 100;
    n->joins = true;
    n->removed = false;
}

struct trio *trio_new(uint32_t nodes)
{
    return trio_found(nodes, nodes);
}

struct trio *trio_found(uint32_t nodes, uint32_t founders)
{
    struct trio *t = mem_zalloc(sizeof *t);

    t->scripts.run = run_script;
    t->nodes_count = nodes;
    t->founders_count = founders;
    t->now_ms = 1000;
    for (uint64_t tag = 0; tag < TRIO_TAGS_MAX; tag++) t->answers[tag].code = 1;
    for (uint32_t id = 1; id <= nodes; id++) {
        struct trio_node *n = node_of(t, id);

        n->trio = t;
        n->id = id;
        n->incarnation = 100 + id;
        kv_overlay_init(&n->applied, NULL, id);
        memory_store_init(&n->store, &n->applied, NULL, TRIO_CHUNK_BYTES);
        n->store.on_install = on_install;
        n->store.ctx = n;
        n->joins = id > founders;
        if (!n->joins) CHECK(trio_restart(t, id));
    }
    return t;
}

void trio_free(struct trio *t)
{
    for (uint32_t i = 0; i < t->nodes_count; i++) {
        struct trio_node *n = &t->nodes[i];

        replica_free(n->replica);
        memory_store_fini(&n->store);
        kv_overlay_fini(&n->applied);
        for (uint32_t s = 0; s < TRIO_SLOTS_MAX; s++) {
            blob_unref(n->slots[s].proposal.batch);
        }
    }
    trio_drop_all(t);
    free(t);
}

struct replica *trio_replica(struct trio *t, uint32_t id)
{
    return node_of(t, id)->replica;
}

struct replica_status trio_status(struct trio *t, uint32_t id)
{
    return replica_status(node_of(t, id)->replica);
}

/* --- time --- */

void trio_tick(struct trio *t, uint32_t id, uint64_t ms)
{
    t->now_ms += ms;
    replica_tick(node_of(t, id)->replica, now(t));
}

void trio_turn(struct trio *t, uint32_t id)
{
    replica_turn(node_of(t, id)->replica, now(t));
    replica_check(node_of(t, id)->replica);
}

void trio_peer_up(struct trio *t, uint32_t id, uint32_t peer)
{
    replica_peer_up(node_of(t, id)->replica, now(t), peer);
    replica_check(node_of(t, id)->replica);
}

/* Delivers one frame, or drops one that is cut off; false when none may move. */
static bool deliver_one(struct trio *t)
{
    for (uint32_t at = 0; at < t->frames_count; at++) {
        const struct trio_frame *f = &t->frames[at];

        if ((t->hold[f->kind] & node_bit(f->from)) != 0) continue;
        if ((t->cut & (node_bit(f->from) | node_bit(f->to))) != 0) {
            struct trio_frame lost = frame_take(t, at);

            buf_fini(&lost.bytes);
            return true;
        }
        if (f->after > node_of(t, f->from)->seq_durable) continue;
        frame_deliver(t, at);
        return true;
    }
    return false;
}

void trio_settle(struct trio *t)
{
    bool some = true;

    for (int round = 0; some; round++) {
        CHECK(round < 100); /* replicas that never fall silent while time stands still */
        some = false;
        for (uint32_t id = 1; id <= t->nodes_count; id++) {
            struct trio_node *n = node_of(t, id);

            if (n->replica == NULL) continue;
            if (!n->slow && n->seq_durable < n->seq) trio_durable(t, id);
            trio_turn(t, id);
            some |= !n->slow && n->seq_durable < n->seq;
        }
        while (deliver_one(t)) some = true;
    }
}

void trio_pass(struct trio *t, uint64_t ms)
{
    for (; ms >= TICK_MS; ms -= TICK_MS) {
        t->now_ms += TICK_MS;
        for (uint32_t id = 1; id <= t->nodes_count; id++) {
            if (trio_replica(t, id) != NULL) trio_tick(t, id, 0);
        }
        trio_settle(t);
    }
}

void trio_lead(struct trio *t, uint32_t id)
{
    for (int i = 0; i < 200 && !trio_status(t, id).serving; i++) {
        trio_tick(t, id, TICK_MS);
        trio_settle(t);
    }
    CHECK(trio_status(t, id).serving);
    trio_tick(t, id, HEARTBEAT_MS); /* the others hear of what is chosen */
    trio_settle(t);
}

/* --- requests --- */

uint64_t trio_submit_raw(struct trio *t, uint32_t id, struct bytes request)
{
    CHECK(t->tag + 1 < TRIO_TAGS_MAX);
    t->code = replica_submit(node_of(t, id)->replica, now(t), ++t->tag, 0, request);
    return t->tag;
}

uint64_t trio_submit(struct trio *t, uint32_t id, const struct request *q)
{
    struct buf bytes = { 0 };
    uint64_t tag;

    request_encode(&bytes, q);
    tag = trio_submit_raw(t, id, buf_bytes(&bytes));
    buf_fini(&bytes);
    return tag;
}

static uint64_t create(struct trio *t, uint32_t id, const char *path, unsigned flags)
{
    struct buf wants = { 0 };
    uint64_t tag;

    want_encode(&wants, &(struct want){ .kind = WANT_CREATE,
                                        .path = bytes_str(path),
                                        .flags = flags });
    tag = trio_submit(t, id,
                      &(struct request){ .kind = REQUEST_WRITE,
                                         .single = true,
                                         .wants_count = 1,
                                         .wants = buf_bytes(&wants) });
    buf_fini(&wants);
    return tag;
}

uint64_t trio_create(struct trio *t, uint32_t id, const char *path)
{
    return create(t, id, path, 0);
}

uint64_t trio_mark(struct trio *t, uint32_t id)
{
    return create(t, id, "/marks/m-", TX_SEQUENTIAL | TX_PARENTS);
}

uint64_t trio_call(struct trio *t, uint32_t id, uint64_t session, uint64_t seq,
                   const char *path)
{
    return trio_submit(t, id,
                       &(struct request){ .kind = REQUEST_CALL,
                                          .session = session,
                                          .seq = seq,
                                          .recipe = BYTES_LIT("any"),
                                          .function = BYTES_LIT("wait"),
                                          .args = bytes_str(path) });
}

uint64_t trio_member(struct trio *t, uint32_t at, enum member_action action, uint32_t who)
{
    struct request q = { .kind = REQUEST_MEMBER,
                         .member = { .action = action, .kind = MEMBER_JOINING } };
    char peer[32];

    snprintf(peer, sizeof peer, "host%u:1", who);
    if (action == MEMBER_JOIN) q.member.incarnation = node_of(t, who)->incarnation;
    if (action == MEMBER_ADD || action == MEMBER_JOIN) q.member.peer = bytes_str(peer);
    if (action != MEMBER_JOIN) q.member.id = who;
    return trio_submit(t, at, &q);
}

uint64_t trio_close(struct trio *t, uint32_t id, uint64_t session)
{
    return trio_submit(
        t, id, &(struct request){ .kind = REQUEST_SESSION_CLOSE, .session = session });
}

uint64_t trio_open(struct trio *t, uint32_t id, uint64_t timeout_ms)
{
    const struct request q = { .kind = REQUEST_SESSION_OPEN,
                               .timeout_ms = timeout_ms,
                               .secret = BYTES_LIT("0123456789abcdef") };
    uint64_t tag = trio_submit(t, id, &q);

    trio_settle(t);
    CHECK(t->answers[tag].id != 0);
    return t->answers[tag].id;
}

uint64_t trio_read(struct trio *t, uint32_t id, uint64_t session)
{
    CHECK(t->tag + 1 < TRIO_TAGS_MAX);
    t->code = replica_read(node_of(t, id)->replica, now(t), ++t->tag, session);
    return t->tag;
}

bool trio_exists(struct trio *t, uint32_t id, const char *path)
{
    struct node n;

    return node_read(&node_of(t, id)->applied.view, bytes_str(path), &n);
}

uint64_t trio_marks(struct trio *t, uint32_t id)
{
    struct node n;

    if (!node_read(&node_of(t, id)->applied.view, BYTES_LIT("/marks"), &n)) return 0;
    return n.children;
}
