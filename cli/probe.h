/* probe.h -- asks one server, and no other, what it knows of itself.
 *
 * What servers tell of each other is not followed: a probe wants this server's answer, or
 * the fact that it gave none. */
#ifndef CLI_PROBE_H
#define CLI_PROBE_H

#include "core/base/limits.h"
#include "core/client/servers.h"

enum { PROBE_WORD_MAX = 24 };

struct probe_member {
    uint32_t node;
    char client[SERVER_TEXT_MAX]; /* may be empty: not known to the one that was asked */
    char peer[SERVER_TEXT_MAX];
};

struct probe {
    uint32_t node;             /* 0: no answer */
    uint32_t leader;           /* 0: none known */
    char role[PROBE_WORD_MAX]; /* "leader", "follower", "learner", ... */
    char version[PROBE_WORD_MAX];
    uint64_t applied, zxid, round;
    struct probe_member members[NODES_MAX];
    size_t members_count;
    char why[160]; /* of no answer */
};

/* 0 or ERR_UNREACHABLE with `why`; waits for limit_ms at most. */
int probe_ask(struct probe *p, const struct server *server, uint64_t limit_ms);

/* Asks every server of the list and adds the members that they name to it, so that these
 * are asked too. `probes` has SERVERS_MAX places, one for each of `servers` in the end.
 * Returns how many answered. */
size_t probe_all(struct probe *probes, struct servers *servers, uint64_t limit_ms);

/* The index of the leader among probes, or -1. */
int probe_find_leader(const struct probe *probes, size_t count);

/* Asks them all again and again until one leads, for limit_ms at most: its index, or -1.
 * `servers` are those given, and the members in the end. `answered`: how many did, the last
 * time; with none at all there is nothing to wait for. */
int probe_await_leader(struct probe *probes, struct servers *servers, uint64_t limit_ms,
                       size_t *answered);

/* A role as the commands print it: leader, follower, learner or down. */
const char *probe_role(const struct probe *p);

#endif
