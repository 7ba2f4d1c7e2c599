#include "core/server/membership.h"

#include <stdio.h>

#include "core/base/errors.h"
#include "core/base/log.h"
#include "core/server/peer_context.h"

struct roster membership_founders(const struct identity *i, const struct address *client)
{
    struct roster founders = { 0 };

    if (i->number != IDENTITY_NUMBER_FOUNDED) return founders;
    identity_roster(i, &founders);
    for (uint32_t at = 0; at < founders.count; at++) {
        struct member *m = &founders.at[at];
        if (m->id == i->config->id) address_format(client, m->client);
    }
    return founders;
}

/* A crash before this leaves a server that hears it again. */
static void note(struct identity *i)
{
    char why[CONFIG_WHY_MAX];

    if (identity_remove(i, why) == 0) return;
    log_line(LOG_ERROR, "server", "msg=\"the removal cannot be noted\" why=\"%s\"", why);
}

bool membership_is_mine(const struct identity *i, const struct roster *applied)
{
    bool newer = applied->number >= i->number; /* else it has its own joining to learn yet */

    if (!i->joined || !newer || applied->number == 0) return true;
    return roster_knows(applied, i->config->id, i->incarnation);
}

static const char *reason_of(int code)
{
    if (code == ERR_NO_MEMBER) {
        return "it was removed from the cluster: keep it off, or " PEER_COMES_BACK;
    }
    if (code == ERR_WRONG_CLUSTER) {
        return "another cluster has a member at this address, whose data directory was "
               "another: " PEER_STRANGER_ADVICE;
    }
    return "the cluster knows it by another data directory, and it must not vote from lost "
           "memory: " PEER_STRANGER_ADVICE;
}

void membership_end(struct identity *i, uint32_t node, int code)
{
    char who[32] = "its own state";

    if (i->removed) return;
    if (i->joined) note(i);
    if (node != 0) snprintf(who, sizeof who, "server %u", (unsigned)node);
    log_line(LOG_ERROR, "server",
             "msg=\"this server stops\" id=%u data=%s says=\"%s\" why=\"%s\"",
             (unsigned)i->config->id, i->folder, who, reason_of(code));
}
