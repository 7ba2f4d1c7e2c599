/* answers_members.c -- the members of the cluster as clients are told them: see answers.h. */
#include "core/base/check.h"
#include "core/machine/roster.h"
#include "core/server/answers.h"

static void put_uint(struct buf *out, const char *name, uint64_t v)
{
    pack_cstr(out, name);
    pack_uint(out, v);
}

static void put_str(struct buf *out, const char *name, const char *v)
{
    pack_cstr(out, name);
    pack_cstr(out, v);
}

static void put_roster(struct buf *out, const struct roster *roster)
{
    put_uint(out, "number", roster->number);
    pack_cstr(out, "members");
    pack_array(out, roster->count);
    for (uint32_t i = 0; i < roster->count; i++) {
        const struct member *m = &roster->at[i];
        pack_map(out, 5);
        put_uint(out, "id", m->id);
        put_str(out, "kind", member_kind_name(m->kind));
        put_uint(out, "incarnation", m->incarnation);
        put_str(out, "peer", m->peer);
        put_str(out, "client", m->client);
    }
}

void answer_member_list(struct buf *out, const struct job *j, const struct roster *roster,
                        uint64_t zxid)
{
    rpc_response_begin(out, j->msgid);
    pack_map(out, 3);
    put_roster(out, roster);
    put_uint(out, "zxid", zxid);
}

void answer_member(struct buf *out, const struct job *j, const struct result *r,
                   const struct roster *roster, const char *cluster, uint64_t founding)
{
    bool joins = j->method == METHOD_MEMBER_JOIN;
    struct result_parts parts = result_parts_of(r);
    struct result_part part = { 0 };

    CHECK(r->code == 0);
    CHECK(result_part_next(&parts, &part) == 0);
    rpc_response_begin(out, j->msgid);
    pack_map(out, joins ? 6 : 4);
    put_uint(out, "id", part.id);
    put_roster(out, roster);
    put_uint(out, "zxid", r->zxid);
    if (!joins) return;
    put_str(out, "cluster", cluster);
    put_uint(out, "founding", founding);
}
