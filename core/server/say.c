#include "core/server/say.h"

#include "core/base/log.h"

void say_role(const struct replica_status *s)
{
    unsigned long long round = s->ballot.round;

    if (s->role == PAXOS_LEADING) {
        log_line(LOG_INFO, "paxos", "msg=\"leading\" round=%llu", round);
    } else if (s->role == PAXOS_FOLLOWER && s->leader != 0) {
        log_line(LOG_INFO, "paxos", "msg=\"following\" leader=%u round=%llu", s->leader,
                 round);
    } else {
        log_line(LOG_DEBUG, "paxos", "msg=\"no leader\" role=%s", paxos_role_name(s->role));
    }
}

void say_members(const struct roster *roster)
{
    const struct members sets = roster_sets(roster);

    log_line(LOG_INFO, "server", "msg=\"members\" number=%u voters=%d learners=%d",
             (unsigned)roster->number, __builtin_popcount(sets.voters),
             __builtin_popcount(sets.learners));
}

void say_recovered(const struct log_recovered *recovered)
{
    if (recovered->skipped[0] != '\0') {
        log_line(LOG_WARN, "log", "msg=\"%s\"", recovered->skipped);
    }
    if (recovered->torn_bytes > 0) {
        log_line(LOG_WARN, "log",
                 "msg=\"cut a torn end, never promised to anybody\" bytes=%llu",
                 (unsigned long long)recovered->torn_bytes);
    }
}
