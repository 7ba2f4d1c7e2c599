/* requests_members.c -- from the values of the member methods to what the leader is asked:
 * see requests.h. */
#include <stdio.h>

#include "core/base/check.h"
#include "core/machine/request.h"
#include "core/server/address.h"
#include "core/server/requests.h"

/* Positions in the rows of methods.h. */
enum { ID = 0, ID_INCARNATION = 1 };
enum { ADD_PEER = 0, ADD_CLIENT, ADD_ID, ADD_LEARNER };
enum { JOIN_PEER = 0, JOIN_CLIENT, JOIN_INCARNATION, JOIN_LEARNER };
enum { LIST_CONSISTENCY = 0 };

static void check_position(enum method method, const char *name, unsigned position)
{
    CHECK(rpc_value_index(method, name) == position);
}

void requests_check_members(void)
{
    check_position(METHOD_MEMBER_LIST, "consistency", LIST_CONSISTENCY);
    check_position(METHOD_MEMBER_ADD, "peer", ADD_PEER);
    check_position(METHOD_MEMBER_ADD, "client", ADD_CLIENT);
    check_position(METHOD_MEMBER_ADD, "id", ADD_ID);
    check_position(METHOD_MEMBER_ADD, "learner", ADD_LEARNER);
    check_position(METHOD_MEMBER_DEMOTE, "incarnation", ID_INCARNATION);
    check_position(METHOD_MEMBER_REMOVE, "incarnation", ID_INCARNATION);
    check_position(METHOD_MEMBER_JOIN, "client", JOIN_CLIENT);
    check_position(METHOD_MEMBER_JOIN, "incarnation", JOIN_INCARNATION);
    check_position(METHOD_MEMBER_JOIN, "learner", JOIN_LEARNER);
}

static int refuse(struct rpc_values *v, const char *text)
{
    snprintf(v->why, sizeof v->why, "%s", text);
    return ERR_BAD_PARAMS;
}

static bool is_address(struct bytes text)
{
    char copy[ADDRESS_TEXT_MAX];
    struct address address;

    if (text.len == 0 || text.len >= sizeof copy) return false;
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    return address_parse(copy, &address) == 0 && address.port != 0;
}

static int check_addresses(struct rpc_values *v, const struct member_ask *m)
{
    if (!is_address(m->peer)) return refuse(v, "peer must be host:port or [v6]:port");
    if (m->client.len > 0 && !is_address(m->client))
        return refuse(v, "client must be host:port or [v6]:port");
    return 0;
}

static enum member_kind kind_of(const struct rpc_value *learner)
{
    return learner->number != 0 ? MEMBER_LEARNER : MEMBER_JOINING;
}

static int read_add(struct rpc_values *v, struct member_ask *m)
{
    const struct rpc_value *at = v->at;

    if (at[ADD_ID].given && (at[ADD_ID].number == 0 || at[ADD_ID].number > NODES_MAX))
        return refuse(v, "id must be 1 to 16");
    *m = (struct member_ask){ .action = MEMBER_ADD,
                              .id = (uint32_t)at[ADD_ID].number,
                              .kind = kind_of(&at[ADD_LEARNER]),
                              .peer = at[ADD_PEER].bytes,
                              .client = at[ADD_CLIENT].bytes };
    return check_addresses(v, m);
}

static int read_join(struct rpc_values *v, struct member_ask *m)
{
    const struct rpc_value *at = v->at;

    if (at[JOIN_INCARNATION].number == 0) return refuse(v, "incarnation must not be 0");
    *m = (struct member_ask){ .action = MEMBER_JOIN,
                              .kind = kind_of(&at[JOIN_LEARNER]),
                              .incarnation = at[JOIN_INCARNATION].number,
                              .peer = at[JOIN_PEER].bytes,
                              .client = at[JOIN_CLIENT].bytes };
    return check_addresses(v, m);
}

static int read_id(struct rpc_values *v, enum member_action action, struct member_ask *m)
{
    const uint64_t id = v->at[ID].number;
    bool takes_incarnation = action != MEMBER_PROMOTE;

    if (id == 0 || id > NODES_MAX) return refuse(v, "id must be 1 to 16");
    *m = (struct member_ask){ .action = action, .id = (uint32_t)id };
    if (takes_incarnation) m->incarnation = v->at[ID_INCARNATION].number;
    return 0;
}

static int read_ask(struct rpc_values *v, enum method method, struct member_ask *m)
{
    switch ((int)method) {
    case METHOD_MEMBER_ADD:
        return read_add(v, m);
    case METHOD_MEMBER_JOIN:
        return read_join(v, m);
    case METHOD_MEMBER_PROMOTE:
        return read_id(v, MEMBER_PROMOTE, m);
    case METHOD_MEMBER_DEMOTE:
        return read_id(v, MEMBER_DEMOTE, m);
    case METHOD_MEMBER_REMOVE:
        return read_id(v, MEMBER_REMOVE, m);
    }
    CHECK(false);
}

static int read_list(struct rpc_values *v, struct job *j)
{
    const struct rpc_value *level = &v->at[LIST_CONSISTENCY];
    bool any = level->given && bytes_equal(level->bytes, BYTES_LIT("any"));

    j->class = any ? JOB_LOCAL : JOB_READ;
    if (any || !level->given || bytes_equal(level->bytes, BYTES_LIT("strong"))) return 0;
    snprintf(v->why, sizeof v->why, "consistency is \"strong\" or \"any\"");
    return ERR_BAD_OPTION;
}

int requests_member(struct rpc_values *v, struct job *j)
{
    struct request r = { .kind = REQUEST_MEMBER };

    if (j->method == METHOD_MEMBER_LIST) return read_list(v, j);
    int code = read_ask(v, j->method, &r.member);
    if (code != 0) return code;
    j->class = JOB_WRITE;
    request_encode(&j->body, &r);
    return 0;
}
