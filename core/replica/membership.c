/* membership.c -- who belongs: the roster in force here, changes of it, strangers.
 *
 * A change is next when it heads one of the queues of requests, or when a joining member
 * has caught up. Then nothing else is resolved; what is under way is decided, the change is
 * proposed alone, and when it is chosen Paxos begins a new reign, to which everything that
 * waits goes by itself (README.md). */
#include "core/base/check.h"
#include "core/base/errors.h"
#include "core/machine/request.h"
#include "core/paxos/members.h"
#include "core/paxos/nodes.h"
#include "core/replica/internal.h"

enum {
    /* A joining member that kept up for so long is seated. */
    SEAT_MS = 4 * HEARTBEAT_MS,
    /* A reign this young has not heard from all that are well. */
    HEARD_MS = ELECTION_MAX_MS,
};

/* --- the roster in force --- */

void membership_init(struct replica *r)
{
    r->membership.roster = r->config.founders;
}

/* Who joins and learns of the past meets its own id there, as that of a predecessor. */
void membership_tell_paxos(struct replica *r)
{
    const struct member *self = roster_find(&r->membership.roster, r->self);

    if (r->membership.removed) return;
    paxos_alien(r->paxos, self != NULL && self->incarnation != r->config.incarnation);
}

void replica_found(struct replica *r, const struct roster *founders)
{
    if (r->membership.stated) return;
    r->config.founders = *founders;
    membership_init(r);
    membership_tell_paxos(r);
}

int membership_load(struct replica *r)
{
    struct roster roster;
    int code = machine_roster(&r->machine, &roster);

    if (code != 0 || roster.number == 0) return code;
    r->membership.roster = roster;
    r->membership.stated = true;
    return 0;
}

static bool belongs(const struct replica *r)
{
    return roster_knows(&r->membership.roster, r->self, r->config.incarnation);
}

void membership_follow(struct replica *r)
{
    const bool before = belongs(r), stated = r->membership.stated;

    if (membership_load(r) != 0) {
        replica_stop(r, machine_slot(&r->machine), "the roster in the state is damaged");
        return;
    }
    membership_tell_paxos(r);
    r->io.members(r->io.ctx);
    if (!before || belongs(r)) return;
    r->membership.removed = true;
    /* Who only believed that it founded this cluster never was a member. */
    if (stated) paxos_leave(r->paxos);
    r->stopped = !stated;
    r->io.removed(r->io.ctx);
}

void replica_leave(struct replica *r)
{
    CHECK(!belongs(r) && !r->membership.removed);
    r->membership.removed = true;
    paxos_leave(r->paxos);
}

void replica_let_go(struct replica *r, uint32_t node)
{
    paxos_let_go(r->paxos, node);
}

void membership_applied(struct replica *r, const struct proposal *p, bool counted)
{
    if (counted && (p->members.number != 0 || !r->membership.stated)) membership_follow(r);
}

const struct roster *replica_roster(const struct replica *r)
{
    return &r->membership.roster;
}

uint64_t replica_member_chosen(const struct replica *r, uint32_t id)
{
    return paxos_peer_chosen(r->paxos, id);
}

/* A wiped server that came back with its old id must not be taken for its predecessor, who
 * may have promised and voted what this one knows nothing of. */
bool membership_is_stranger(const struct replica *r, struct replica_peer peer)
{
    return !roster_knows(&r->membership.roster, peer.id, peer.incarnation);
}

/* --- joining members that have caught up --- */

static bool keeps_up(const struct replica *r, uint32_t id)
{
    return nodes_has(paxos_heard(r->paxos), id) &&
           paxos_peer_chosen(r->paxos, id) + WINDOW_MAX >= paxos_chosen(r->paxos);
}

void membership_tick(struct replica *r)
{
    struct membership *m = &r->membership;

    for (uint32_t i = 0; i < m->roster.count && m->seat.id == 0; i++) {
        const struct member *one = &m->roster.at[i];
        uint64_t *since_ms = &m->caught_up_ms[one->id - 1];

        if (one->kind != MEMBER_JOINING || one->incarnation == 0 || !keeps_up(r, one->id)) {
            *since_ms = 0;
        } else if (*since_ms == 0) {
            *since_ms = r->time.now_ms;
        } else if (r->time.now_ms - *since_ms >= SEAT_MS) {
            *since_ms = 0;
            m->seat = (struct replica_peer){ one->id, one->incarnation };
        }
    }
}

/* --- changes --- */

void membership_reign_begun(struct replica *r)
{
    r->membership.reign_ms = r->time.now_ms;
}

void membership_reign_ended(struct replica *r)
{
    struct membership *m = &r->membership;

    m->changing = false;
    m->seat = (struct replica_peer){ 0 };
    memset(m->caught_up_ms, 0, sizeof m->caught_up_ms);
}

bool membership_is_next(const struct replica *r)
{
    struct resolver_request q;

    return r->membership.changing || r->membership.seat.id != 0 || writes_member_next(r, &q);
}

/* False: not yet. A request that will be refused, or changes nothing, may go at once. */
static bool may_go(struct replica *r, const struct member_ask *ask)
{
    struct roster after = r->membership.roster;
    struct members sets;
    uint32_t id;

    if (roster_change(&after, ask, &id) != 0) return true;
    sets = roster_sets(&after);
    if (!nodes_has(sets.voters, r->self)) {
        /* A legal no: there is nobody to hand over to now. */
        (void)replica_transfer(r, r->time, 0);
        return false;
    }
    /* Of those who were heard one may have fallen silent since, ELECTION_MAX_MS ago at most.
     * Then the voters that are left may be short of a quorum, as they would be had he fallen
     * just after the change: no look can be later than that. So this guards against what an
     * operator overlooks, a server that is down for longer, and no safety rests on it. */
    if (nodes_quorum(paxos_heard(r->paxos), sets.voters)) return true;
    return r->time.now_ms - r->membership.reign_ms >= HEARD_MS;
}

static void seat_request(const struct replica *r, struct buf *out)
{
    const struct request q = { .kind = REQUEST_MEMBER,
                               .member = { .action = MEMBER_SEAT,
                                           .id = r->membership.seat.id,
                                           .incarnation = r->membership.seat.incarnation } };

    request_encode(out, &q);
}

static void change(struct replica *r, const struct resolver_request *q)
{
    const struct resolver_time now = { r->time.now_ms, r->time.wall_ms };
    struct members members;

    resolver_change(r->resolver, q, now, paxos_heard(r->paxos), &members);
    r->membership.changing = members.number != 0;
    replica_propose(r, &members);
}

/* The next request; false when there is none that may go now. */
static bool take(struct replica *r, const struct resolver_request *q)
{
    struct request request;

    if (request_decode(q->request, &request) == 0 && !may_go(r, &request.member)) {
        return false;
    }
    change(r, q);
    return true;
}

static bool take_seat(struct replica *r)
{
    struct buf bytes = { 0 };
    struct resolver_request q = { .origin = 0 }; /* nobody waits for an answer */
    bool taken;

    seat_request(r, &bytes);
    q.request = buf_bytes(&bytes);
    taken = take(r, &q);
    buf_fini(&bytes);
    if (taken) r->membership.seat = (struct replica_peer){ 0 };
    return taken;
}

bool membership_turn(struct replica *r)
{
    struct resolver_request q;

    if (r->membership.changing || r->full.self) return false;
    if (resolver_has_batch(r->resolver) || !paxos_can_change(r->paxos)) return false;
    if (!writes_member_next(r, &q)) return r->membership.seat.id != 0 && take_seat(r);
    if (!take(r, &q)) return false;
    writes_member_taken(r);
    return true;
}

void membership_check(const struct replica *r)
{
    const struct members sets = roster_sets(&r->membership.roster);
    const struct members *known = paxos_members(r->paxos);

    CHECK(IMPLIES(r->membership.changing, r->reign.round != 0));
    if (r->stopped || known->number == 0) return;
    CHECK(sets.number == known->number && sets.voters == known->voters &&
          sets.learners == known->learners);
}
