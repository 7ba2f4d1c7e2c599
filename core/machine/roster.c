#include "core/machine/roster.h"

#include "core/base/check.h"
#include "core/base/errors.h"
#include "core/kv/kv.h"

enum { ROSTER_VERSION = 1 };

static const struct bytes cell_key = BYTES_LIT("mmembers");

/* --- bytes --- */

void roster_encode(struct buf *out, const struct roster *m)
{
    buf_put_u8(out, ROSTER_VERSION);
    buf_put_uint(out, m->number);
    buf_put_uint(out, m->count);
    for (uint32_t i = 0; i < m->count; i++) {
        const struct member *one = &m->at[i];

        buf_put_uint(out, one->id);
        buf_put_u8(out, (uint8_t)one->kind);
        buf_put_u64(out, one->incarnation);
        buf_put_bytes(out, bytes_str(one->peer));
        buf_put_bytes(out, bytes_str(one->client));
    }
}

/* An address is text without gaps, and fits; whether anybody listens there is not ours. */
static bool address_set(char to[MEMBER_ADDRESS_MAX + 1], struct bytes text)
{
    if (text.len > MEMBER_ADDRESS_MAX) return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] <= ' ' || text.ptr[i] >= 0x7f) return false;
    }
    memset(to, 0, MEMBER_ADDRESS_MAX + 1);
    if (text.len > 0) memcpy(to, text.ptr, text.len);
    return true;
}

static void read_member(struct reader *r, struct member *one)
{
    uint64_t id = read_uint(r);
    uint8_t kind = read_u8(r);

    *one = (struct member){ .incarnation = read_u64(r) };
    if (!address_set(one->peer, read_bytes(r, MEMBER_ADDRESS_MAX))) r->bad = true;
    if (!address_set(one->client, read_bytes(r, MEMBER_ADDRESS_MAX))) r->bad = true;
    if (id < 1 || id > NODES_MAX || kind < MEMBER_VOTER || kind > MEMBER_LEARNER) {
        r->bad = true;
        return;
    }
    one->id = (uint32_t)id;
    one->kind = (enum member_kind)kind;
}

int roster_decode(struct bytes bytes, struct roster *m)
{
    struct reader r = reader_of(bytes);
    uint8_t version = read_u8(&r);
    uint64_t number, count;

    *m = (struct roster){ 0 };
    if (r.bad) return ERR_BAD_MESSAGE;
    if (version != ROSTER_VERSION) return ERR_OTHER_VERSION;
    number = read_uint(&r);
    count = read_uint(&r);
    if (r.bad || number > UINT32_MAX || count > NODES_MAX) return ERR_BAD_MESSAGE;
    m->number = (uint32_t)number;
    for (; m->count < count && !r.bad; m->count++) read_member(&r, &m->at[m->count]);
    return reader_done(&r) && roster_is_sound(m) ? 0 : ERR_BAD_MESSAGE;
}

static bool are_distinct(const struct member *a, const struct member *b)
{
    if (a->peer[0] != '\0' && strcmp(a->peer, b->peer) == 0) return false;
    if (a->incarnation != 0 && a->incarnation == b->incarnation) return false;
    return a->id < b->id;
}

bool roster_is_sound(const struct roster *m)
{
    if (m->number == 0 || m->count > NODES_MAX) return false;
    for (uint32_t i = 0; i < m->count; i++) {
        const struct member *one = &m->at[i];

        if (one->kind == MEMBER_VOTER && one->incarnation == 0) return false;
        for (uint32_t k = i + 1; k < m->count; k++) {
            if (!are_distinct(one, &m->at[k])) return false;
        }
    }
    return roster_sets(m).voters != 0;
}

/* --- the cell --- */

struct bytes roster_key(void)
{
    return cell_key;
}

int roster_read(struct kv_view *v, struct roster *m)
{
    struct bytes cell;

    *m = (struct roster){ 0 };
    if (!kv_get(v, cell_key, &cell)) return 0;
    return roster_decode(cell, m) == 0 ? 0 : ERR_DAMAGED;
}

void roster_apply(struct kv_overlay *o, uint64_t zxid, struct bytes roster)
{
    kv_put(o, cell_key, roster, zxid);
}

void roster_put(struct tx *t, const struct roster *m)
{
    struct buf bytes = { 0 };

    CHECK(roster_is_sound(m)); /* O1 */
    roster_encode(&bytes, m);
    op_encode(&t->ops, &(struct op){ .kind = OP_MEMBERS, .data = buf_bytes(&bytes) });
    t->ops_count++;
    roster_apply(&t->over, t->zxid, buf_bytes(&bytes));
    buf_fini(&bytes);
}

/* --- looking --- */

struct members roster_sets(const struct roster *m)
{
    struct members sets = { .number = m->number };

    for (uint32_t i = 0; i < m->count; i++) {
        nodes_set bit = node_bit(m->at[i].id);

        if (m->at[i].kind == MEMBER_VOTER) {
            sets.voters |= bit;
        } else {
            sets.learners |= bit;
        }
    }
    return sets;
}

const struct member *roster_find(const struct roster *m, uint32_t id)
{
    for (uint32_t i = 0; i < m->count; i++) {
        if (m->at[i].id == id) return &m->at[i];
    }
    return NULL;
}

bool roster_knows(const struct roster *m, uint32_t id, uint64_t incarnation)
{
    const struct member *one = roster_find(m, id);

    return one != NULL && incarnation != 0 && one->incarnation == incarnation;
}

const char *member_kind_name(enum member_kind kind)
{
    switch (kind) {
    case MEMBER_VOTER:
        return "voter";
    case MEMBER_JOINING:
        return "joining";
    case MEMBER_LEARNER:
        return "learner";
    }
    return "unknown";
}

/* --- changes --- */

static struct member *find_by_id(struct roster *m, uint32_t id)
{
    return (struct member *)roster_find(m, id);
}

static struct member *find_by_peer(struct roster *m, struct bytes peer)
{
    for (uint32_t i = 0; i < m->count; i++) {
        if (bytes_equal(bytes_str(m->at[i].peer), peer)) return &m->at[i];
    }
    return NULL;
}

static uint32_t id_free(const struct roster *m)
{
    uint32_t id = 1;

    while (roster_find(m, id) != NULL) id++;
    return id;
}

/* In its place by id. NULL: the cluster is full. */
static struct member *insert(struct roster *m, uint32_t id)
{
    uint32_t at = m->count;

    if (m->count == NODES_MAX) return NULL;
    for (; at > 0 && m->at[at - 1].id > id; at--) m->at[at] = m->at[at - 1];
    m->at[at] = (struct member){ .id = id };
    m->count++;
    return &m->at[at];
}

static bool is_described(const struct member_ask *ask)
{
    return (ask->kind == MEMBER_JOINING || ask->kind == MEMBER_LEARNER) &&
           ask->peer.len > 0;
}

static int describe(struct member *one, const struct member_ask *ask)
{
    one->incarnation = ask->incarnation;
    if (!address_set(one->peer, ask->peer)) return ERR_BAD_PARAMS;
    return address_set(one->client, ask->client) ? 0 : ERR_BAD_PARAMS;
}

static int place_new(struct roster *m, const struct member_ask *ask, uint32_t *id)
{
    struct member *one;

    *id = ask->id;
    if (*id == 0 && m->count < NODES_MAX) *id = id_free(m);
    one = insert(m, *id);
    if (one == NULL) return ERR_MEMBERS_FULL;
    m->number++;
    one->kind = ask->kind;
    return describe(one, ask);
}

static int add(struct roster *m, const struct member_ask *ask, uint32_t *id)
{
    const struct member *same = find_by_peer(m, ask->peer);

    if (!is_described(ask) || ask->incarnation != 0) return ERR_BAD_PARAMS;
    if (same != NULL) {
        *id = same->id;
        return same->incarnation == 0 && (ask->id == 0 || ask->id == same->id)
                   ? 0
                   : ERR_MEMBER_EXISTS;
    }
    if (ask->id != 0 && find_by_id(m, ask->id) != NULL) return ERR_MEMBER_EXISTS;
    return place_new(m, ask, id);
}

static const struct member *find_by_incarnation(const struct roster *m,
                                                uint64_t incarnation)
{
    for (uint32_t i = 0; i < m->count; i++) {
        if (m->at[i].incarnation == incarnation) return &m->at[i];
    }
    return NULL;
}

/* Whoever had this address before has lost its memory or gives way: what it was believed to
 * remember must not be asked of its successor, who therefore votes no more. */
static int join(struct roster *m, const struct member_ask *ask, uint32_t *id)
{
    const struct member *known = find_by_incarnation(m, ask->incarnation);
    struct member *same = find_by_peer(m, ask->peer);

    if (!is_described(ask) || ask->incarnation == 0 || ask->id != 0) return ERR_BAD_PARAMS;
    if (known != NULL) { /* asked again */
        *id = known->id;
        return known == same ? 0 : ERR_MEMBER_EXISTS;
    }
    if (same == NULL) return place_new(m, ask, id);
    *id = same->id;
    if (same->kind == MEMBER_VOTER) same->kind = MEMBER_JOINING;
    m->number++;
    return describe(same, ask);
}

static void remove_member(struct roster *m, struct member *one)
{
    size_t at = (size_t)(one - m->at);

    memmove(one, one + 1, (m->count - at - 1) * sizeof *one);
    m->count--;
    m->at[m->count] = (struct member){ 0 };
    m->number++;
}

static void move_to(struct roster *m, struct member *one, enum member_kind kind)
{
    if (one->kind == kind) return;
    one->kind = kind;
    m->number++;
}

/* Who votes already need not be seated any more. */
static int change_known(struct roster *m, const struct member_ask *ask)
{
    struct member *one = find_by_id(m, ask->id);

    if (one == NULL) return ERR_NO_MEMBER;
    if (ask->incarnation != 0 && ask->incarnation != one->incarnation) return ERR_NO_MEMBER;
    switch (ask->action) {
    case MEMBER_ADD:
    case MEMBER_JOIN:
        break;
    case MEMBER_PROMOTE:
        if (one->kind == MEMBER_LEARNER) move_to(m, one, MEMBER_JOINING);
        return 0;
    case MEMBER_SEAT:
        if (one->incarnation == 0 || one->kind == MEMBER_LEARNER) return ERR_NO_MEMBER;
        move_to(m, one, MEMBER_VOTER);
        return 0;
    case MEMBER_DEMOTE:
        move_to(m, one, MEMBER_LEARNER);
        return 0;
    case MEMBER_REMOVE:
        remove_member(m, one);
        return 0;
    }
    return ERR_BAD_PARAMS;
}

int roster_change(struct roster *m, const struct member_ask *ask, uint32_t *id)
{
    struct roster after = *m;
    int code;

    *id = ask->id;
    CHECK(roster_is_sound(m));
    if (ask->action == MEMBER_ADD) {
        code = add(&after, ask, id);
    } else if (ask->action == MEMBER_JOIN) {
        code = join(&after, ask, id);
    } else {
        code = change_known(&after, ask);
    }
    if (code != 0) return code;
    if (roster_sets(&after).voters == 0) return ERR_LAST_VOTER;
    CHECK(after.number - m->number <= 1); /* O2 */
    CHECK(__builtin_popcount(roster_sets(&after).voters ^ roster_sets(m).voters) <= 1);
    if (!roster_is_sound(&after)) return ERR_MEMBER_EXISTS;
    *m = after;
    return 0;
}
