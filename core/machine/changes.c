#include "core/base/check.h"
#include "core/base/errors.h"
#include "core/machine/inside.h"
#include "core/machine/roster.h"

/* Answers with the roster and the id that it was about. */
static void answer(struct resolver *r, const struct asker *a, const struct roster *roster,
                   uint32_t id)
{
    const struct result_part part = { .id = id };
    struct result result = { .index = -1, .parts_count = 1 };
    struct buf value = { 0 };

    buf_clear(&r->parts);
    result_part_encode(&r->parts, &part);
    result.parts = buf_bytes(&r->parts);
    roster_encode(&value, roster);
    result.value = buf_bytes(&value);
    txn_answer(r, a, &result);
    buf_fini(&value);
}

static bool leaves_majority(const struct members *before, const struct members *after,
                            nodes_set heard)
{
    uint32_t answer = (uint32_t)__builtin_popcount(heard & after->voters);

    if (before->voters == after->voters) return true;
    return answer > (uint32_t)__builtin_popcount(after->voters) / 2;
}

void resolver_change(struct resolver *r, const struct resolver_request *request,
                     struct resolver_time time, nodes_set heard, struct members *change)
{
    const struct asker a = { .origin = request->origin, .tag = request->tag };
    struct request q;
    struct roster roster;
    struct members before;
    uint32_t id = 0;
    int code = request_decode(request->request, &q);

    CHECK(r->txns_count == 0);
    CHECK(r->zxid == r->machine->zxid);
    CHECK(roster_read(&r->pending.view, &roster) == 0);
    r->now_ms = time.now_ms;
    r->wall_ms = time.wall_ms;
    *change = (struct members){ 0 };
    before = roster_sets(&roster);
    if (code == 0) code = roster_change(&roster, &q.member, &id);

    const struct members after = roster_sets(&roster);

    if (code == 0 && !leaves_majority(&before, &after, heard)) code = ERR_UNSAFE_CHANGE;
    if (code != 0) {
        txn_refuse(r, &a, code, (struct bytes){ 0 }, -1);
        return;
    }
    txn_begin(r, 0, 1);
    if (after.number != before.number) {
        roster_put(&r->tx, &roster);
        *change = after;
    }
    answer(r, &a, &roster, id);
    CHECK(r->txns_count == 1);
}

void resolver_found(struct resolver *r, const struct roster *founders,
                    struct resolver_time time)
{
    static const struct asker nobody = { 0 };
    struct roster roster;

    CHECK(r->txns_count == 0);
    CHECK(roster_read(&r->pending.view, &roster) == 0 && roster.number == 0);
    r->now_ms = time.now_ms;
    r->wall_ms = time.wall_ms;
    txn_begin(r, 0, 1);
    roster_put(&r->tx, founders);
    txn_commit(r, &nobody, TXN_FINAL, (struct bytes){ 0 });
}
